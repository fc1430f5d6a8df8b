//! What is told when a query cannot be read, and the nearest known word for a mistyped one.

use thiserror::Error;

/// A query, search body, date or interval that could not be read. Always the asker's fault, never worth a retry.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}{}", position.map(|at| format!(" at position {at}")).unwrap_or_default())]
pub struct ParseError {
    /// What was wrong, for the person who asked.
    pub message: String,
    /// Where in a query string, in characters from 0; absent for JSON bodies.
    pub position: Option<usize>,
    /// Which of Elasticsearch's errors this is.
    pub kind: ErrorKind,
}

/// The errors Elasticsearch tells apart by `error.type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The JSON is not of the form the clause has.
    Parsing,
    /// The form is right, a value is not.
    IllegalArgument,
    /// The clause cannot be run against these fields, or a query string has a wrong syntax.
    QueryShard,
    /// Aggregations that cannot be put together like this.
    Aggregation,
    /// Parts of a request that do not go together.
    Validation,
    /// A key that is not known, where Elasticsearch reads keys with its strict reader, or a value that this cannot read.
    Content,
}

impl ParseError {
    /// An error in the form of a JSON body.
    pub fn parsing(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::Parsing }
    }

    /// A value that is not allowed.
    pub fn illegal(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::IllegalArgument }
    }

    /// A condition that does not fit the fields.
    pub fn shard(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::QueryShard }
    }

    /// The same error as Elasticsearch's strict reader of keys tells it.
    pub(crate) fn of_content(self) -> Self {
        Self { kind: ErrorKind::Content, ..self }
    }

    /// Parts of a request that do not go together.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::Validation }
    }

    /// A member of the JSON with a value that cannot be read.
    pub(crate) fn content(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::Content }
    }

    /// Aggregations that do not fit together.
    pub(crate) fn aggregation(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None, kind: ErrorKind::Aggregation }
    }

    /// Wrong syntax in a query string at a character position.
    pub(crate) fn syntax(message: impl Into<String>, position: usize) -> Self {
        Self { message: message.into(), position: Some(position), kind: ErrorKind::QueryShard }
    }

    /// `error.type` of the Elasticsearch error body; the status is always 400.
    pub fn es_type(&self) -> &'static str {
        match self.kind {
            ErrorKind::Parsing => "parsing_exception",
            ErrorKind::IllegalArgument => "illegal_argument_exception",
            ErrorKind::QueryShard => "query_shard_exception",
            ErrorKind::Aggregation => "aggregation_initialization_exception",
            ErrorKind::Content => "x_content_parse_exception",
            ErrorKind::Validation => "action_request_validation_exception",
        }
    }
}

/// The known word nearest to a mistyped one, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer input is not a typing mistake, and the distance below is quadratic.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let allowed = 1 + word.len() / 4;
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The ending of an "unknown" message: ` did you mean [x]?` or nothing.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|near| format!(" did you mean [{near}]?")).unwrap_or_default()
}

/// Levenshtein's distance by bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_small_mistakes_only() {
        let known = ["match", "match_all", "term", "range"];
        assert_eq!(nearest("mtch", known), Some("match"));
        assert_eq!(nearest("terms", known), Some("term"));
        assert_eq!(nearest("geo_distance", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn display_tells_the_position() {
        assert_eq!(ParseError::syntax("expected a value", 4).to_string(), "expected a value at position 4");
        assert_eq!(ParseError::parsing("no [query]").to_string(), "no [query]");
    }
}
