//! The grammar of a query string.

use serde_json::Value;

use super::lexer::{Char, End, Kind, Tilde, Token, Word};
use super::{CLAUSES_MAX, DEPTH_MAX, LuceneOptions, Operator, TextKind, fields_or_default};
use crate::ast::{BoolQuery, Bound, Case, MatchMode, Query, TextMatch, pass_over_wordless};
use crate::error::ParseError;
use crate::fields::check_name;
use crate::minimum::Minimum;
use crate::regexp::{REGEXPS_MAX, Regexp, RegexpOptions};
use crate::similar::Fuzziness;

#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

#[derive(Clone, Copy, PartialEq)]
enum Conjunction {
    None,
    And,
    Or,
}

pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Position after the last character, for what is missing there.
    end: usize,
    options: &'a LuceneOptions,
    default_fields: Vec<String>,
    clauses: usize,
    regexps: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [Token], end: usize, options: &'a LuceneOptions) -> Self {
        let default_fields = fields_or_default(&options.default_fields);
        Self { tokens, at: 0, end, options, default_fields, clauses: 0, regexps: 0, depth: 0 }
    }

    /// All of the string.
    pub(super) fn whole(mut self) -> Result<Query, ParseError> {
        if self.tokens.is_empty() {
            return Ok(Query::MatchNone);
        }
        let mut query = self.query(None)?;
        if let Some(token) = self.peek() {
            return Err(ParseError::syntax("unexpected )", token.start));
        }
        if let Some(minimum) = &self.options.minimum_should_match {
            match &mut query {
                Built::Clauses(clauses) => clauses.minimum_should_match = least(minimum, clauses.should.len()),
                Built::One(Query::Match(wanted)) if wanted.mode == MatchMode::Any => {
                    wanted.mode = MatchMode::AtLeast(minimum.clone());
                }
                Built::One(_) => {}
            }
        }
        Ok(query.into())
    }

    /// Clauses up to the end or a closing parenthesis.
    fn query(&mut self, field: Option<&str>) -> Result<Built, ParseError> {
        let mut clauses: Vec<(Occur, Built)> = Vec::new();
        while self.peek().is_some_and(|token| token.kind != Kind::Close) {
            let conjunction = self.conjunction(clauses.is_empty())?;
            if conjunction == Conjunction::None
                && let Some(text) = self.words_in_a_row()
            {
                let query = self.text(field, &text)?;
                self.add(&mut clauses, Conjunction::None, None, Built::One(query));
                continue;
            }
            let modifier = self.modifier();
            let query = self.clause(field)?;
            self.add(&mut clauses, conjunction, modifier, query);
        }
        if clauses.is_empty() {
            return Err(self.missing("a word, a phrase, a field or a group"));
        }
        Ok(combine(clauses))
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let is_next = self.peek().is_some_and(|token| token.kind == *kind);
        self.at += usize::from(is_next);
        is_next
    }

    fn missing(&self, what: &str) -> ParseError {
        match self.peek() {
            None => ParseError::syntax(format!("expected {what} before the end"), self.end),
            Some(token) => ParseError::syntax(format!("expected {what}"), token.start),
        }
    }

    fn conjunction(&mut self, is_first: bool) -> Result<Conjunction, ParseError> {
        let conjunction = match self.peek().map(|token| &token.kind) {
            Some(Kind::And) => Conjunction::And,
            Some(Kind::Or) => Conjunction::Or,
            _ => return Ok(Conjunction::None),
        };
        if is_first {
            return Err(self.missing("something in front of AND or OR"));
        }
        self.at += 1;
        Ok(conjunction)
    }

    fn modifier(&mut self) -> Option<Occur> {
        let modifier = match self.peek()?.kind {
            Kind::Plus => Occur::Must,
            Kind::Minus | Kind::Not => Occur::MustNot,
            _ => return None,
        };
        self.at += 1;
        Some(modifier)
    }

    /// Two or more bare words that stand next to each other, as one text. The last one must not belong to what follows
    /// it (`MultiTerm` and `disallowedPostMultiTerm` in the grammar).
    fn words_in_a_row(&mut self) -> Option<String> {
        let plain = |at: usize| match self.tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(Word { text, comparison: None })) => Some(text.as_str()),
            _ => None,
        };
        let ends_well = |at: usize| {
            !matches!(
                self.tokens.get(at).map(|token| &token.kind),
                Some(Kind::Colon | Kind::Star | Kind::Boost | Kind::Tilde(_) | Kind::And | Kind::Or)
            )
        };
        let mut text = plain(self.at)?.to_owned();
        let mut at = self.at + 1;
        while let Some(word) = plain(at)
            && ends_well(at + 1)
        {
            text.push(' ');
            text.push_str(word);
            at += 1;
        }
        if at == self.at + 1 {
            return None;
        }
        self.at = at;
        Some(text)
    }

    fn clause(&mut self, field: Option<&str>) -> Result<Built, ParseError> {
        let is_fielded = self.tokens.get(self.at + 1).is_some_and(|token| token.kind == Kind::Colon);
        if is_fielded && let Some(token) = self.peek() {
            let name = match &token.kind {
                Kind::Word(Word { text, comparison: None }) => Some(text.as_str()),
                Kind::Star => Some("*"),
                Kind::Pattern(_) => {
                    return Err(ParseError::syntax("wildcards in field names are not supported", token.start));
                }
                _ => None,
            };
            if let Some(name) = name {
                self.at += 2;
                return self.fielded(name, token.start);
            }
        }
        self.value(field)
    }

    fn fielded(&mut self, name: &str, start: usize) -> Result<Built, ParseError> {
        if name == "*" {
            return if self.eat(&Kind::Star) {
                self.count()?;
                self.eat(&Kind::Boost);
                Ok(Built::One(Query::MatchAll))
            } else {
                self.value(None)
            };
        }
        if name.contains('*') {
            return Err(ParseError::syntax("wildcards in field names are not supported", start));
        }
        check_name(name).map_err(|error| ParseError { position: Some(start), ..error })?;
        let query = self.value(Some(name))?;
        if let Some(token) = self.peek().filter(|token| token.kind == Kind::Colon) {
            return Err(ParseError::syntax(
                "a : inside a value must be escaped with \\ or the value quoted",
                token.start,
            ));
        }
        Ok(query)
    }

    /// A word, phrase, range or group, with its boost.
    fn value(&mut self, field: Option<&str>) -> Result<Built, ParseError> {
        let Some(token) = self.next() else { return Err(self.missing("a value")) };
        let query = match &token.kind {
            Kind::Open => {
                let group = self.group(field, token.start)?;
                self.eat(&Kind::Boost);
                return Ok(group);
            }
            Kind::Word(Word { text, comparison: None }) => match self.marks() {
                Some(Tilde(distance)) => self.fuzzy(field, text, distance.as_deref())?,
                None => self.text(field, text)?,
            },
            Kind::Sign(sign) => self.text(field, &sign.to_string())?,
            Kind::Word(Word { text, comparison: Some(comparison) }) => {
                let value = if text.is_empty() { self.compared_value()? } else { text.clone() };
                let field = field.ok_or_else(|| ParseError::syntax("a comparison needs a field", token.start))?;
                let (lower, upper) = comparison.bounds(value);
                self.range(field, lower, upper)?
            }
            Kind::Range { lower, upper, includes_lower, includes_upper } => {
                let field = field.ok_or_else(|| ParseError::syntax("a range needs a field", token.start))?;
                self.range(field, bound(lower, *includes_lower), bound(upper, *includes_upper))?
            }
            Kind::Quoted(text) => {
                // What is no number is passed over, as Lucene does.
                let slop = self.marks().and_then(|Tilde(number)| number.as_ref()?.parse::<f32>().ok());
                self.phrase(field, text, slop.map_or(self.options.phrase_slop, |slop| slop as u32))?
            }
            Kind::Regexp(text) => self.regexp(field, text)?,
            Kind::Star => self.any_value(field)?,
            Kind::Pattern(pattern) => self.pattern(field, pattern, token.start)?,
            Kind::And
            | Kind::Or
            | Kind::Not
            | Kind::Plus
            | Kind::Minus
            | Kind::Close
            | Kind::Colon
            | Kind::Boost
            | Kind::Tilde(_) => {
                self.at -= 1;
                return Err(self.missing("a value"));
            }
        };
        match &token.kind {
            Kind::Word(Word { comparison: None, .. }) | Kind::Quoted(_) => {}
            Kind::Word(_) | Kind::Range { .. } => {
                self.eat(&Kind::Boost);
            }
            // A `~` behind a pattern means nothing.
            _ => {
                self.marks();
            }
        }
        Ok(Built::One(query))
    }

    /// A `~` and a boost, in either order.
    fn marks(&mut self) -> Option<&'a Tilde> {
        let before = self.tilde();
        self.eat(&Kind::Boost);
        before.or_else(|| self.tilde())
    }

    /// The `~` that follows.
    fn tilde(&mut self) -> Option<&'a Tilde> {
        let Some(Token { kind: Kind::Tilde(tilde), .. }) = self.peek() else { return None };
        self.at += 1;
        Some(tilde)
    }

    fn group(&mut self, field: Option<&str>, start: usize) -> Result<Built, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::syntax(format!("groups are nested deeper than {DEPTH_MAX}"), start));
        }
        let query = self.query(field)?;
        self.depth -= 1;
        if self.eat(&Kind::Close) { Ok(query) } else { Err(ParseError::syntax("the group is never closed", start)) }
    }

    /// `> 3000` and `>"2026-01-27"`: the value is a token of its own.
    fn compared_value(&mut self) -> Result<String, ParseError> {
        // `> -5`: only here a minus belongs to the number.
        let sign = if self.eat(&Kind::Minus) { "-" } else { "" };
        match self.peek().map(|token| &token.kind) {
            Some(Kind::Word(Word { text, comparison: None }) | Kind::Quoted(text)) => {
                self.at += 1;
                Ok(format!("{sign}{text}"))
            }
            _ => Err(self.missing("a value to compare with")),
        }
    }

    fn text(&mut self, field: Option<&str>, text: &str) -> Result<Query, ParseError> {
        self.count()?;
        let mode = match (self.options.kind, self.options.default_operator) {
            (TextKind::Phrase | TextKind::PhrasePrefix, _) => MatchMode::Phrase { slop: self.options.phrase_slop },
            (_, operator) => operator.into(),
        };
        if let Some(query) = special(field, text) {
            return Ok(query);
        }
        if field.is_none() && self.options.kind == TextKind::Across && self.default_fields.len() > 1 {
            let fields = self.default_fields.clone();
            return Ok(Query::CrossFields { fields, text: text.to_owned(), mode });
        }
        let is_open_ended = matches!(self.options.kind, TextKind::PhrasePrefix | TextKind::WordsPrefix);
        Ok(self.in_fields(field, |field| {
            Query::Match(TextMatch { is_open_ended, ..TextMatch::new(field, text, mode.clone()) })
        }))
    }

    fn phrase(&mut self, field: Option<&str>, text: &str, slop: u32) -> Result<Query, ParseError> {
        self.count()?;
        if let Some(query) = special(field, text) {
            return Ok(query);
        }
        let is_open_ended = self.options.kind == TextKind::PhrasePrefix;
        Ok(self.in_fields(field, |field| {
            Query::Match(TextMatch { is_open_ended, ..TextMatch::new(field, text, MatchMode::Phrase { slop }) })
        }))
    }

    fn fuzzy(&mut self, field: Option<&str>, text: &str, distance: Option<&str>) -> Result<Query, ParseError> {
        self.count()?;
        if let Some(query) = special(field, text) {
            return Ok(query);
        }
        let mut fuzzy = self.options.fuzzy;
        if let Some(distance) = distance {
            fuzzy.fuzziness = Fuzziness::parse(distance).map_err(|error| ParseError::shard(error.message))?;
        }
        Ok(self.in_fields(field, |field| Query::Fuzzy { field, value: text.to_owned(), fuzzy, case: Case::AsIndexed }))
    }

    fn regexp(&mut self, field: Option<&str>, text: &str) -> Result<Query, ParseError> {
        self.count()?;
        self.regexps += 1;
        if self.regexps > REGEXPS_MAX {
            return Err(ParseError::shard(format!("the query string has more than {REGEXPS_MAX} regular expressions")));
        }
        let regexp = Regexp::new(text, RegexpOptions::default()).map_err(|error| ParseError::shard(error.message))?;
        Ok(self.in_fields(field, |field| Query::Regexp { field, regexp: regexp.clone() }))
    }

    fn range(&mut self, field: &str, lower: Bound, upper: Bound) -> Result<Query, ParseError> {
        self.count()?;
        if lower == Bound::Open && upper == Bound::Open {
            return Ok(Query::Exists { field: field.to_owned() });
        }
        Ok(Query::Range { field: field.to_owned(), lower, upper, time_zone: self.options.time_zone.clone() })
    }

    fn any_value(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        self.count()?;
        Ok(match (field, self.default_fields.as_slice()) {
            (Some(field), _) => Query::Exists { field: field.to_owned() },
            (None, [field]) => Query::Exists { field: field.clone() },
            (None, _) => Query::MatchAll,
        })
    }

    fn pattern(&mut self, field: Option<&str>, pattern: &[Char], start: usize) -> Result<Query, ParseError> {
        self.count()?;
        if !self.options.allow_leading_wildcard && pattern[0].is_wildcard() {
            return Err(ParseError::syntax("'*' or '?' not allowed as first character in WildcardQuery", start));
        }
        if let [beginning @ .., last] = pattern
            && last.is('*')
            && beginning.iter().all(|c| !c.is_wildcard())
        {
            let value: String = beginning.iter().map(|c| c.value).collect();
            if self.options.analyze_wildcard {
                let mode = MatchMode::from(self.options.default_operator);
                let open =
                    |field| TextMatch { is_open_ended: true, ..TextMatch::new(field, value.clone(), mode.clone()) };
                return Ok(self.in_fields(field, |field: String| Query::Match(open(field))));
            }
            return Ok(self.in_fields(field, |field| Query::Prefix {
                field,
                value: value.clone(),
                case: Case::AsIndexed,
            }));
        }
        let mut text = String::new();
        for c in pattern {
            if c.value == '\\' || (c.is_escaped && matches!(c.value, '*' | '?')) {
                text.push('\\');
            }
            text.push(c.value);
        }
        Ok(self.in_fields(field, |field| Query::Wildcard { field, pattern: text.clone(), case: Case::AsIndexed }))
    }

    fn in_fields(&self, field: Option<&str>, make: impl Fn(String) -> Query) -> Query {
        match (field, self.default_fields.as_slice()) {
            (Some(field), _) => make(field.to_owned()),
            (None, [field]) => make(field.clone()),
            (None, fields) => {
                let should = fields.iter().cloned().map(make).collect();
                Query::Bool(BoolQuery { should, ..BoolQuery::default() })
            }
        }
    }

    fn count(&mut self) -> Result<(), ParseError> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(ParseError::shard(format!("the query string has more than {CLAUSES_MAX} clauses")));
        }
        Ok(())
    }

    /// `QueryParserBase.addClause`, with its two ways by default operator.
    fn add(&self, clauses: &mut Vec<(Occur, Built)>, conjunction: Conjunction, modifier: Option<Occur>, query: Built) {
        let is_and_default = self.options.default_operator == Operator::And;
        if let Some((occur, _)) = clauses.last_mut()
            && *occur != Occur::MustNot
        {
            match conjunction {
                Conjunction::And => *occur = Occur::Must,
                // What was required only by default becomes optional by the OR behind it.
                Conjunction::Or if is_and_default => *occur = Occur::Should,
                Conjunction::Or | Conjunction::None => {}
            }
        }
        let occur = match modifier {
            Some(Occur::MustNot) => Occur::MustNot,
            _ if is_and_default && conjunction != Conjunction::Or => Occur::Must,
            Some(Occur::Must) if !is_and_default => Occur::Must,
            _ if !is_and_default && conjunction == Conjunction::And => Occur::Must,
            _ => Occur::Should,
        };
        clauses.push((occur, query));
    }
}

fn bound(end: &End, is_inclusive: bool) -> Bound {
    match end {
        End::Open => Bound::Open,
        End::Value(value) if is_inclusive => Bound::Inclusive(Value::String(value.clone())),
        End::Value(value) => Bound::Exclusive(Value::String(value.clone())),
    }
}

/// What has been read: clauses of their own, of which a minimum may be asked, or one condition.
enum Built {
    One(Query),
    Clauses(BoolQuery),
}

impl From<Built> for Query {
    fn from(built: Built) -> Self {
        match built {
            Built::One(query) => query,
            Built::Clauses(clauses) => Query::Bool(clauses),
        }
    }
}

/// Elasticsearch takes a minimum of nothing for none said.
pub(crate) fn least(minimum: &Minimum, clauses: usize) -> Option<usize> {
    Some(minimum.of(clauses)).filter(|needed| *needed > 0)
}

/// Fields that ask for something else than a value.
fn special(field: Option<&str>, text: &str) -> Option<Query> {
    match field? {
        "_exists_" => Some(Query::Exists { field: text.to_owned() }),
        "_id" => Some(Query::Ids(vec![text.to_owned()])),
        _ => None,
    }
}

/// One clause alone is itself, unless it is forbidden.
fn combine(mut clauses: Vec<(Occur, Built)>) -> Built {
    if clauses.len() == 1 && clauses[0].0 != Occur::MustNot {
        return clauses.remove(0).1;
    }
    let mut combined = BoolQuery::default();
    for (occur, query) in clauses {
        match occur {
            Occur::Must => combined.must.push(query.into()),
            Occur::Should => combined.should.push(query.into()),
            Occur::MustNot => combined.must_not.push(query.into()),
        }
    }
    pass_over_wordless(&mut combined.must, combined.should.len());
    Built::Clauses(combined)
}
