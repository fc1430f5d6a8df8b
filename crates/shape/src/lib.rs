//! Turns journal records into documents of the index: typed fields, derived numbers, tags.
//!
//! - [`catalogue()`] declares every field that has a fixed kind, and the aliases people ask by.
//! - [`Shaper`] holds the tag queries and makes one [`Document`] of each journal line: `ts` becomes `@timestamp`,
//!   `status` becomes `http_status`, numbers become numbers, a request gets its `token_efficiency` and its tags. The index is
//!   written from [`Shaped`], which is the same with its texts and numbers left in the line.
//! - A collected line (kind `log`) brings its own time, service and caller: `time` becomes `@timestamp`, and so chooses the
//!   day; one that tells of a request is derived from and tagged as our own requests are.
//! - [`Kinds`] brings the own fields of collected lines into the kinds that users declare, before they become records.
//! - [`Cap`] lets so many lines of one [`pattern()`] through in a time, so that a crash loop does not fill the journal.
//! - A line or a value that does not fit is kept all the same, beside the tag [`INGEST_ERROR`]: every journal record has
//!   a document with the same `seq`.
//!
//! It never does I/O and never looks at the clock (`now` in a tag query is the record's own time): the same line gives the
//! same document, so that the index can be built again from the journal.
//!
//! ```
//! let shaper = tollhouse_shape::Shaper::new(&[("slow_request".into(), "duration_ms:>3000".into())])?;
//! let line = br#"{"ts":"2026-01-27T10:20:30.456Z","kind":"request","status":200,"duration_ms":4200,"seq":7}"#;
//! let document = shaper.document(line).unwrap();
//! assert_eq!(document.seq, 7);
//! assert_eq!(document.source["http_status"], 200);
//! assert_eq!(document.source["tags"][0], "slow_request");
//! # Ok::<(), tollhouse_query::ParseError>(())
//! ```

mod cap;
mod catalogue;
mod fit;
mod kinds;
mod part;
mod pattern;
mod shaped;
mod shaper;

pub use cap::{Cap, LeftOut, LeftOutPattern, PATTERNS_MAX, TOLD_MAX};
pub use catalogue::{catalogue, declared_names};
pub use kinds::{KINDS_MAX, KindError, Kinds, OwnKind};
pub use part::{Leaf, Part};
pub use pattern::{LOOKED_AT_BYTES_MAX, PATTERN_BYTES_MAX, pattern};
pub use shaped::{Member, Shaped};
pub use shaper::{Document, INGEST_ERROR, ShapeError, Shaper};
