//! Reads Lucene strings, KQL and the Elasticsearch query DSL into one plan, and tells whether a document fulfils it.
//!
//! There is one query language inside: whatever a person types or a tool sends becomes an [`ast::Query`] or an
//! [`ast::SearchRequest`], and everything that answers (the store, the tags of records, later alerts) works on these.
//!
//! - [`lucene::parse`] reads what people type: `model:qwen3* AND duration_ms:>3000`; [`kql::parse`] reads it as Kibana's
//!   users know it: `model: qwen3* and duration_ms > 3000`; [`simple::parse`] reads whatever is typed without an error.
//! - [`dsl::parse_search`], [`dsl::parse_count`] and [`dsl::parse_query`] read what tools send: `_search` bodies.
//! - [`Fields`] says which fields there are, of which [`FieldKind`], and under which other names.
//! - [`matches()`] is the truth about one document in memory; [`validate`] tells beforehand what no document can fulfil.
//! - [`date`] reads dates, date math, zones and intervals, for conditions and for time buckets alike.
//!
//! It never reads a file, a socket or an index, never changes a query for speed, and never guesses: what it does not
//! understand is a [`ParseError`] that names the place and the nearest known word.
//!
//! ```
//! use serde_json::json;
//! use tollhouse_query::lucene::LuceneOptions;
//! use tollhouse_query::{FieldKind, Fields, lucene, matches};
//!
//! let mut fields = Fields::default();
//! fields.declare("duration_ms", FieldKind::Double);
//! let slow = lucene::parse("duration_ms:>3000", &LuceneOptions::default())?;
//! let document = json!({"duration_ms": 4200});
//! assert!(matches(&slow, document.as_object().unwrap(), &fields));
//! # Ok::<(), tollhouse_query::ParseError>(())
//! ```

pub mod ast;
pub mod date;
pub mod dsl;
mod error;
mod expression;
pub mod fields;
mod fit;
pub mod highlight;
pub mod kql;
pub mod lucene;
mod matches;
mod minimum;
mod phrase;
mod regexp;
mod similar;
pub mod simple;
mod spread;
mod text;
mod time_format;

pub use ast::{Query, SearchRequest};
pub use error::{ErrorKind, ParseError};
pub use expression::{Expression, Number};
pub use fields::{FieldKind, Fields};
pub use fit::Fit;
pub use matches::{Source, matches, matches_at, validate};
pub use minimum::Minimum;
pub use phrase::{PhraseWord, stand_near};
pub use regexp::{AUTOMATON_BYTES_MAX, REGEXP_CHARS_MAX, REGEXPS_MAX, Regexp, RegexpOptions};
pub use similar::{Fuzziness, Fuzzy};
pub use spread::in_any_field;
pub use text::{Pattern, WORD_BYTES_LIMIT, positioned_words, words};
pub use time_format::TimeFormat;
