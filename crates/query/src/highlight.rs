//! Which words of a text made a document fulfil a query, and the pieces of the text around them.
//!
//! Pieces are those of Lucene's plain highlighter: a new one begins with the word that ends at or beyond the next multiple of
//! the wanted length, unless less than half a piece would be left; those with most different words come first.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::ast::{BoolQuery, Case, MatchMode, Query, TextMatch};
use crate::fields::{FieldKind, Fields};
use crate::fit::{Fit, text_of};
use crate::matches::matches;
use crate::text::WORD_BYTES_LIMIT;

/// How a text is shown with its words marked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marking {
    /// Stands before a word.
    pub before: String,
    /// Stands behind it.
    pub behind: String,
    /// About how many characters a piece has.
    pub piece_chars: usize,
    /// How many pieces are shown; 0 shows the whole text.
    pub pieces: usize,
    /// The text is escaped for HTML; the marks are not.
    pub is_html: bool,
}

/// What marks the words of one field.
#[derive(Debug)]
pub struct Highlighter<'a> {
    field: &'a str,
    fields: &'a Fields,
    wanted: Vec<Wanted<'a>>,
}

#[derive(Debug)]
enum Wanted<'a> {
    Word(String),
    Fit(Fit),
    /// Words that stand behind one another.
    Phrase(Vec<(usize, Fit)>),
    /// The whole of a value that is no text.
    Whole(&'a Query),
}

/// A word in a text.
struct Word {
    range: Range<usize>,
    text: String,
    place: usize,
    /// Where it ends, in the units of UTF-16 that Lucene counts in.
    end_units: usize,
}

impl<'a> Highlighter<'a> {
    /// Marks what `query` looks for in `field`, or in any field when `in_any_field`.
    pub fn new(query: &'a Query, field: &'a str, fields: &'a Fields, in_any_field: bool) -> Self {
        let mut highlighter = Self { field: fields.canonical(field), fields, wanted: Vec::new() };
        highlighter.take(query, in_any_field);
        highlighter
    }

    /// Whether nothing can be marked.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    fn take(&mut self, query: &'a Query, in_any_field: bool) {
        let (field, fields) = (self.field, self.fields);
        let is_text = fields.kind(field) == Some(FieldKind::Text);
        let is_own = |name: &str| in_any_field || fields.canonical(name) == field;
        match query {
            Query::Bool(BoolQuery { must, filter, should, .. }) => {
                must.iter().chain(filter).chain(should).for_each(|query| self.take(query, in_any_field));
            }
            Query::Lenient(query) => self.take(query, in_any_field),
            Query::CrossFields { fields, text, .. } if is_text && fields.iter().any(|name| is_own(name)) => {
                self.wanted.extend(words_of(text).into_iter().map(|word| Wanted::Word(word.text)));
            }
            Query::Match(wanted) if is_own(&wanted.field) => {
                if is_text {
                    self.take_match(wanted);
                } else {
                    self.wanted.push(Wanted::Whole(query));
                }
            }
            Query::Term { field, .. }
            | Query::Terms { field, .. }
            | Query::Prefix { field, .. }
            | Query::Wildcard { field, .. }
            | Query::Regexp { field, .. }
            | Query::Fuzzy { field, .. }
                if is_own(field) =>
            {
                if is_text {
                    self.take_words(query);
                } else {
                    self.wanted.push(Wanted::Whole(query));
                }
            }
            _ => {}
        }
    }

    fn take_words(&mut self, query: &Query) {
        let word = |value: &Value| text_of(value).map(|text| Wanted::Word(text.into_owned()));
        match query {
            Query::Term { value, case: Case::Exact | Case::AsIndexed, .. } => self.wanted.extend(word(value)),
            Query::Terms { values, .. } => self.wanted.extend(values.iter().filter_map(word)),
            other => self.wanted.extend(Fit::of(other, true).map(Wanted::Fit)),
        }
    }

    fn take_match(&mut self, wanted: &TextMatch) {
        let words = words_of(&wanted.text);
        let last = words.len().saturating_sub(1);
        let fits = words.into_iter().enumerate().map(|(at, word)| {
            let fit = match wanted.fuzzy {
                _ if wanted.is_open_ended && at == last => Fit::prefix(word.text),
                Some(fuzzy) => Fit::similar(&word.text, fuzzy),
                None => Fit::whole(word.text),
            };
            (word.place, fit)
        });
        match wanted.mode {
            MatchMode::Phrase { slop: 0 } if last > 0 => self.wanted.push(Wanted::Phrase(fits.collect())),
            _ => self.wanted.extend(fits.map(|(_, fit)| Wanted::Fit(fit))),
        }
    }

    /// The pieces of a text that have marked words in them, marked; none when no word is to be marked.
    pub fn pieces(&self, text: &str, marking: &Marking) -> Vec<String> {
        let document = Map::from_iter([(self.field.to_owned(), Value::from(text))]);
        let fits_whole =
            |wanted: &Wanted<'_>| matches!(wanted, Wanted::Whole(query) if matches(query, &document, self.fields));
        if self.wanted.iter().any(fits_whole) {
            return vec![format!("{}{}{}", marking.before, escaped(text, marking.is_html), marking.behind)];
        }
        let words = words_of(text);
        let marked = self.marked(&words);
        if marked.is_empty() {
            return Vec::new();
        }
        let units = text.encode_utf16().count();
        let mut pieces: Vec<(usize, String)> = Vec::new();
        let (mut piece, mut found, mut number, mut written) = (String::new(), BTreeSet::new(), 1, 0);
        for (at, word) in words.iter().enumerate() {
            let is_new = marking.pieces > 0
                && word.end_units >= marking.piece_chars.saturating_mul(number)
                && units - word.end_units >= marking.piece_chars / 2;
            if is_new {
                number += 1;
                pieces.push((std::mem::take(&mut found).len(), std::mem::take(&mut piece)));
            }
            piece.push_str(&escaped(&text[written..word.range.start], marking.is_html));
            let shown = escaped(&text[word.range.clone()], marking.is_html);
            if marked.contains(&at) {
                found.insert(word.text.clone());
                piece.extend([marking.before.as_str(), &shown, marking.behind.as_str()]);
            } else {
                piece.push_str(&shown);
            }
            written = word.range.end;
        }
        piece.push_str(&escaped(&text[written..], marking.is_html));
        pieces.push((found.len(), piece));
        // Stable: of those with as many words the first comes first.
        pieces.sort_by(|(a, _), (b, _)| b.cmp(a));
        let shown = pieces.into_iter().filter(|(found, _)| *found > 0).map(|(_, piece)| piece);
        shown.take(marking.pieces.max(1)).collect()
    }

    /// The places in the list of the words that are to be marked.
    fn marked(&self, words: &[Word]) -> BTreeSet<usize> {
        let mut marked = BTreeSet::new();
        for wanted in &self.wanted {
            match wanted {
                Wanted::Word(wanted) => {
                    marked.extend(words.iter().enumerate().filter(|(_, word)| word.text == *wanted).map(|(at, _)| at));
                }
                Wanted::Fit(fit) => {
                    let fitting = words.iter().enumerate().filter(|(_, word)| fit.is_match(&word.text));
                    marked.extend(fitting.map(|(at, _)| at));
                }
                Wanted::Phrase(phrase) => {
                    for first in 0..words.len() {
                        let of = |(place, fit): &(usize, Fit)| {
                            let place = words[first].place + place - phrase[0].0;
                            let at = words[first..].iter().position(|word| word.place == place)? + first;
                            fit.is_match(&words[at].text).then_some(at)
                        };
                        if let Some(found) = phrase.iter().map(of).collect::<Option<Vec<_>>>() {
                            marked.extend(found);
                        }
                    }
                }
                Wanted::Whole(_) => {}
            }
        }
        marked
    }
}

/// The words of a text as the index has them, and where they stand.
fn words_of(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut start, mut units, mut place) = (None, 0, 0);
    let ends = text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]);
    for (at, c) in ends {
        let is_part = c.is_some_and(char::is_alphanumeric);
        match start {
            None if is_part => start = Some(at),
            Some(begin) if !is_part => {
                let run = &text[begin..at];
                if run.len() < WORD_BYTES_LIMIT {
                    words.push(Word { range: begin..at, text: run.to_lowercase(), place, end_units: units });
                }
                place += 1;
                start = None;
            }
            _ => {}
        }
        units += c.map_or(0, char::len_utf16);
    }
    words
}

/// As Lucene's encoder for HTML does it.
fn escaped(text: &str, is_html: bool) -> Cow<'_, str> {
    if !is_html || !text.contains(['"', '&', '<', '>', '\'', '/']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("&quot;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#x27;"),
            '/' => escaped.push_str("&#x2F;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dsl::parse_query;

    fn fields() -> Fields {
        let mut fields = Fields::default();
        fields.declare("msg", FieldKind::Text);
        fields.declare("model", FieldKind::Keyword);
        fields.alias("message", "msg");
        fields
    }

    fn marking(piece_chars: usize, pieces: usize) -> Marking {
        Marking { before: "<".into(), behind: ">".into(), piece_chars, pieces, is_html: false }
    }

    #[test]
    fn words_are_marked_by_what_asks_for_them() {
        let fields = fields();
        let text = "Retry: the cache missed, cache-miss retried";
        for (query, expected) in [
            (json!({"match": {"msg": "CACHE"}}), "Retry: the <cache> missed, <cache>-miss retried"),
            (json!({"match_phrase": {"message": "cache miss"}}), "Retry: the cache missed, <cache>-<miss> retried"),
            (
                json!({"match_phrase_prefix": {"msg": "cache mis"}}),
                "Retry: the <cache> <missed>, <cache>-<miss> retried",
            ),
            (json!({"prefix": {"msg": "retr"}}), "<Retry>: the cache missed, cache-miss <retried>"),
            (json!({"wildcard": {"msg": "m*s"}}), "Retry: the cache missed, cache-<miss> retried"),
            (json!({"fuzzy": {"msg": "casche"}}), "Retry: the <cache> missed, <cache>-miss retried"),
            (json!({"term": {"msg": "the"}}), "Retry: <the> cache missed, cache-miss retried"),
            (
                json!({"query_string": {"query": "msg:(miss OR retry)"}}),
                "<Retry>: the cache missed, cache-<miss> retried",
            ),
            (json!({"bool": {"must_not": [{"match": {"msg": "the"}}]}}), ""),
            (json!({"match": {"model": "the"}}), ""),
        ] {
            let query = parse_query(&query).unwrap();
            let shown = Highlighter::new(&query, "msg", &fields, false).pieces(text, &marking(100, 0));
            assert_eq!(shown.concat(), expected, "{query:?}");
        }
        let query = parse_query(&json!({"match": {"model": "the"}})).unwrap();
        assert_eq!(Highlighter::new(&query, "model", &fields, false).pieces("the", &marking(9, 1)), ["<the>"]);
        let shown = Highlighter::new(&query, "msg", &fields, true).pieces(text, &marking(100, 0));
        assert_eq!(shown.len(), 1, "in any field");
    }

    #[test]
    fn pieces_are_those_of_the_plain_highlighter() {
        let fields = fields();
        let query = parse_query(&json!({"match": {"msg": "one two"}})).unwrap();
        let highlighter = Highlighter::new(&query, "msg", &fields, false);
        let text = "one aaaa bbbb cccc dddd one two eeee ffff gggg hhhh";
        assert_eq!(
            highlighter.pieces(text, &marking(20, 5)),
            [" dddd <one> <two> eeee", "<one> aaaa bbbb cccc"].map(str::to_owned)
        );
        assert_eq!(highlighter.pieces(text, &marking(20, 1)), [" dddd <one> <two> eeee"]);
        assert!(highlighter.pieces("", &marking(20, 1)).is_empty());
        let html = Marking { is_html: true, ..marking(100, 0) };
        assert_eq!(highlighter.pieces("<b>two</b>", &html), ["&lt;b&gt;<two>&lt;&#x2F;b&gt;"]);
    }
}
