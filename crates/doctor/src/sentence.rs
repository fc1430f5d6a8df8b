//! A sentence for people, and the same once more by codes and figures.

use std::fmt;

use serde_json::Value;
use tollhouse_units::sentence;

use crate::advise::Advised;
use crate::said::Said;

/// What other programs said must not move a cursor, and not fill a page: characters of one text.
const CHARS_MAX: usize = 600;

/// What is told to people, in English and by codes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentence {
    text: String,
    said: Vec<Value>,
}

impl Sentence {
    /// What others say by codes of their own: the English text, and `{"code": …, "figures": {…}}` for each thing of it.
    pub fn by(text: &str, said: Vec<Value>) -> Self {
        Self { text: plain(text), said: said.into_iter().map(plain_figures).collect() }
    }

    /// In English.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// By codes, each with its figures.
    pub fn said(&self) -> &[Value] {
        &self.said
    }

    /// Both, one after the other.
    #[must_use]
    pub(crate) fn and(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        self.text = plain(&sentence(&[self.text, other.text]));
        self.said.extend(other.said);
        self
    }

    fn of(all: &[impl fmt::Display], said: Vec<Value>) -> Self {
        Self::by(&sentence(all), said)
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Said> for Sentence {
    fn from(said: Said) -> Self {
        Self::of(&[&said], vec![said.to_json()])
    }
}

impl From<Vec<Said>> for Sentence {
    fn from(said: Vec<Said>) -> Self {
        Self::of(&said, said.iter().map(Said::to_json).collect())
    }
}

impl From<Advised> for Sentence {
    fn from(said: Advised) -> Self {
        Self::of(&[&said], vec![said.to_json()])
    }
}

impl From<Vec<Advised>> for Sentence {
    fn from(said: Vec<Advised>) -> Self {
        Self::of(&said, said.iter().map(Advised::to_json).collect())
    }
}

fn plain(text: &str) -> String {
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn plain_figures(mut said: Value) -> Value {
    for figure in said["figures"].as_object_mut().into_iter().flat_map(|figures| figures.values_mut()) {
        if let Value::String(text) = figure {
            *text = plain(text);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_codes_say_the_same_and_nothing_moves_a_cursor() {
        let told = Sentence::from(Said::words("a\u{1b}[2Jb")).and(Said::SeeOthers {});
        assert_eq!(told.text(), "a [2Jb, see what is not well");
        let codes = json!([
            {"code": "found_words", "figures": {"error": "a [2Jb"}},
            {"code": "see_others", "figures": {}},
        ]);
        assert_eq!(json!(told.said()), codes);
        assert_eq!(Sentence::from(Said::words("x".repeat(2000))).text().len(), CHARS_MAX);
    }

    #[test]
    fn codes_are_told_apart() {
        let mut codes: Vec<&str> = Said::CODES.iter().chain(Advised::CODES).copied().collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
