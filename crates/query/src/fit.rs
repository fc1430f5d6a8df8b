//! Tests of one text, a whole value or a word: what a pattern means, for documents in memory and in the index alike.

use std::borrow::Cow;

use crate::ast::{Case, Query};
use crate::regexp::Regexp;
use crate::similar::{Fuzzy, Similar};
use crate::text::Pattern;

/// What a text must be.
#[derive(Clone, Debug)]
pub struct Fit(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// This.
    Whole(String),
    /// This, whatever the case of its letters.
    Alike(String),
    Prefix(String),
    /// Begins with this, whatever the case of its letters.
    PrefixAlike(String),
    Pattern {
        pattern: Pattern,
        beginning: String,
        ignores_case: bool,
    },
    Regexp(Regexp),
    Similar(Similar),
}

impl Fit {
    /// What a condition with a pattern asks of words (of a text field) or else of whole values, and its field. `None` if
    /// it is of another sort.
    pub fn of(query: &Query, on_words: bool) -> Option<Self> {
        let written = |text: &str, case: Case| match case {
            Case::AsIndexed if on_words => text.to_lowercase(),
            Case::Ignored => text.to_ascii_lowercase(),
            Case::Exact | Case::AsIndexed => text.to_owned(),
        };
        Some(Self(match query {
            Query::Term { value, case: Case::Ignored, .. } => Kind::Alike(text_of(value)?.to_ascii_lowercase()),
            Query::Prefix { value, case: Case::Ignored, .. } => Kind::PrefixAlike(value.to_ascii_lowercase()),
            Query::Prefix { value, case, .. } => Kind::Prefix(written(value, *case)),
            Query::Wildcard { pattern, case, .. } => {
                let pattern = written(pattern, *case);
                let ignores_case = *case == Case::Ignored;
                let beginning = if ignores_case { String::new() } else { literal_beginning(&pattern) };
                Kind::Pattern { pattern: Pattern::new(&pattern), beginning, ignores_case }
            }
            Query::Regexp { regexp, .. } => Kind::Regexp(regexp.clone()),
            Query::Fuzzy { value, fuzzy, case, .. } => Kind::Similar(Similar::new(&written(value, *case), *fuzzy)),
            _ => return None,
        }))
    }

    /// This text alone.
    pub(crate) fn whole(text: impl Into<String>) -> Self {
        Self(Kind::Whole(text.into()))
    }

    /// Texts that begin with this.
    pub fn prefix(beginning: impl Into<String>) -> Self {
        Self(Kind::Prefix(beginning.into()))
    }

    /// Texts that are nearly this.
    pub fn similar(text: &str, fuzzy: Fuzzy) -> Self {
        Self(Kind::Similar(Similar::new(text, fuzzy)))
    }

    /// What every text that fits begins with.
    pub fn beginning(&self) -> &str {
        match &self.0 {
            Kind::Alike(_) | Kind::PrefixAlike(_) => "",
            Kind::Whole(text) => text,
            Kind::Prefix(beginning) | Kind::Pattern { beginning, .. } => beginning,
            Kind::Regexp(regexp) => regexp.beginning(),
            Kind::Similar(similar) => similar.beginning(),
        }
    }

    /// Whether every text that begins with [`Fit::beginning`] fits.
    pub fn is_prefix(&self) -> bool {
        matches!(self.0, Kind::Prefix(_))
    }

    /// Whether a text fits.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Whole(wanted) => text == wanted,
            Kind::Alike(wanted) => text.eq_ignore_ascii_case(wanted),
            Kind::Prefix(beginning) => text.starts_with(beginning.as_str()),
            Kind::PrefixAlike(beginning) => {
                let start = text.as_bytes().get(..beginning.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
            }
            Kind::Pattern { pattern, ignores_case: true, .. } => pattern.is_match(&text.to_ascii_lowercase()),
            Kind::Pattern { pattern, beginning, .. } => text.starts_with(beginning.as_str()) && pattern.is_match(text),
            Kind::Regexp(regexp) => regexp.is_match(text),
            Kind::Similar(similar) => similar.is_match(text),
        }
    }
}

/// The text of a string, number or boolean.
pub(crate) fn text_of(value: &serde_json::Value) -> Option<Cow<'_, str>> {
    use serde_json::Value;
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What each text that fits a pattern of `*` and `?` begins with.
fn literal_beginning(pattern: &str) -> String {
    let mut beginning = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => beginning.push(chars.next().unwrap_or('\\')),
            other => beginning.push(other),
        }
    }
    beginning
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn letters_in_either_case() {
        let prefix = |case| Query::Prefix { field: "a".into(), value: "Qé".into(), case };
        for (query, on_words, text, expected) in [
            (prefix(Case::Exact), true, "qéx", false),
            (prefix(Case::AsIndexed), true, "qéx", true),
            (prefix(Case::AsIndexed), false, "qéx", false),
            (prefix(Case::Ignored), false, "qéx", true),
            // Only A to Z.
            (prefix(Case::Ignored), false, "qÉx", false),
            (Query::Term { field: "a".into(), value: json!("Ab"), case: Case::Ignored }, false, "aB", true),
            (Query::Wildcard { field: "a".into(), pattern: "A*c".into(), case: Case::Ignored }, false, "abC", true),
            (Query::Wildcard { field: "a".into(), pattern: "A*c".into(), case: Case::Exact }, false, "abC", false),
        ] {
            let fit = Fit::of(&query, on_words).unwrap();
            assert_eq!(fit.is_match(text), expected, "{query:?} {text}");
            assert!(!expected || text.starts_with(fit.beginning()), "{query:?} {text}");
        }
        assert!(Fit::of(&Query::MatchAll, true).is_none());
    }

    #[test]
    fn beginnings_of_patterns() {
        assert_eq!(literal_beginning(r"a\*b?c"), "a*b");
        assert_eq!(literal_beginning("*a"), "");
    }
}
