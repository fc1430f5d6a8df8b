//! Lucene's query string syntax as Elasticsearch's `query_string` takes it.
//!
//! Follows Lucene's classic grammar (`QueryParser.jj`) and Elasticsearch's `QueryStringQueryParser`, so that the same
//! string selects the same documents:
//! - `AND`, `OR`, `NOT` are no operators with precedence but marks on clauses: `AND` makes both neighbours required, so
//!   `a OR b AND c` means `+b +c` with `a` optional.
//! - Bare words in a row are one text: `model:(new york)` looks for the value `new york` in a keyword field, and for
//!   either word in a text field.
//! - A comparison such as `>3000` is a range.
//!
//! - A path such as `/v1/chat` is a regular expression and a word: `/` has to be escaped or the value quoted.
//!
//! What is not supported (wildcards in field names) is an error, never read as something else.

mod lexer;
mod parser;

use crate::ast::{MatchMode, Query};
use crate::error::ParseError;
use crate::minimum::Minimum;
use crate::similar::{Fuzziness, Fuzzy};
use lexer::{Lexer, SPECIAL};
use parser::Parser;
pub(crate) use parser::least;

/// Longest query string, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Most clauses (words, phrases, ranges, …) in one query string; Elasticsearch's own default.
pub const CLAUSES_MAX: usize = 1024;
/// Deepest nesting of groups.
pub const DEPTH_MAX: usize = 64;

/// The fields that a word without a field is looked for in: the text, and what people paste from elsewhere.
pub const DEFAULT_FIELDS: [&str; 9] =
    ["msg", "request_id", "model_name", "user_id", "path", "error", "upstream", "key_id", "client_ip"];

/// How a query string is read.
#[derive(Clone, Debug, PartialEq)]
pub struct LuceneOptions {
    /// Where a word without a field is looked for; `*` alone stands for [`DEFAULT_FIELDS`].
    pub default_fields: Vec<String>,
    /// How clauses without an operator combine.
    pub default_operator: Operator,
    /// Zone of dates in ranges that name none; UTC when absent.
    pub time_zone: Option<String>,
    /// How words without an operator between them, quoted or not, are looked for in fields.
    pub kind: TextKind,
    /// How many of the clauses that are not required must hold.
    pub minimum_should_match: Option<Minimum>,
    /// By how many places in all the words of a phrase may have been moved, where it does not say.
    pub phrase_slop: u32,
    /// How far words with a bare `~` may be from what is written.
    pub fuzzy: Fuzzy,
    /// Patterns may begin with `*` or `?`.
    pub allow_leading_wildcard: bool,
    /// Of a word that ends in `*` only the last part is a beginning, where it has several for the field.
    pub analyze_wildcard: bool,
    /// A value that does not fit its field is no error.
    pub lenient: bool,
}

/// How texts are looked for in several fields (`type` of `query_string`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TextKind {
    /// In any of them, all that is needed in the same one.
    #[default]
    InOne,
    /// Each word in any of them (`cross_fields`).
    Across,
    /// As phrases (`phrase`).
    Phrase,
    /// As phrases that end in the beginning of a word (`phrase_prefix`).
    PhrasePrefix,
    /// As words of which the last is a beginning (`bool_prefix`).
    WordsPrefix,
}

impl Default for LuceneOptions {
    fn default() -> Self {
        Self {
            default_fields: DEFAULT_FIELDS.map(str::to_owned).to_vec(),
            default_operator: Operator::Or,
            time_zone: None,
            kind: TextKind::InOne,
            minimum_should_match: None,
            phrase_slop: 0,
            fuzzy: Fuzzy::within(Fuzziness::AUTO),
            allow_leading_wildcard: true,
            analyze_wildcard: false,
            lenient: false,
        }
    }
}

/// How clauses combine where no operator is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operator {
    /// One is enough.
    #[default]
    Or,
    /// All are needed.
    And,
}

impl From<Operator> for MatchMode {
    fn from(operator: Operator) -> Self {
        match operator {
            Operator::Or => Self::Any,
            Operator::And => Self::All,
        }
    }
}

/// Reads a query string. Positions in errors count characters from 0. An empty string selects nothing, as in
/// Elasticsearch.
pub fn parse(text: &str, options: &LuceneOptions) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ParseError::shard(format!(
            "query string of {} bytes is longer than the {QUERY_BYTES_MAX} allowed",
            text.len()
        )));
    }
    let chars: Vec<char> = text.chars().collect();
    let tokens = Lexer::new(&chars).tokens()?;
    let query = Parser::new(&tokens, chars.len(), options).whole()?;
    Ok(if options.lenient { Query::Lenient(Box::new(query)) } else { query })
}

/// The fields that a word without a field is looked for in: those named, or else [`DEFAULT_FIELDS`].
pub(crate) fn fields_or_default(named: &[String]) -> Vec<String> {
    match named {
        [] => DEFAULT_FIELDS.map(str::to_owned).to_vec(),
        [star] if star == "*" => DEFAULT_FIELDS.map(str::to_owned).to_vec(),
        fields => fields.to_vec(),
    }
}

/// Writes a value so that it is read back as itself, with every sign of the syntax escaped.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_whitespace() || SPECIAL.contains(c) || "&|<>".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    match escaped.as_str() {
        "AND" | "OR" | "NOT" => format!("\\{escaped}"),
        _ => escaped,
    }
}

#[cfg(test)]
mod tests;
