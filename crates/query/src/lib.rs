//! Reads Lucene strings and the Elasticsearch query DSL into one plan.

pub mod ast;
pub mod date;
mod error;
pub mod fields;
mod text;

pub use error::{ErrorKind, ParseError};
pub use text::{Pattern, WORD_BYTES_LIMIT, positioned_words, words};
