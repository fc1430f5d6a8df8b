//! Finds the members of a JSON object at a glance: where their names and values are, without reading the values.
//!
//! Most lines of JSON are written by one serialiser and read by another for nothing but to be taken apart and written again. Here
//! they are taken apart where they stand:
//!
//! - [`each_member`] gives names and values of an object in their order, as slices of it;
//! - [`is_as_written`] says of a value whether `serde_json` would write the same, so that it may be copied as it stands;
//! - [`mark`] tells most names apart by one bit each;
//! - [`text_end`] and [`value_end`] find where a text or a value ends, for those who look through bytes by themselves.
//!
//! Only what is surely JSON of a simple form is found. Anything else (names with escapes, control characters, tokens between
//! which stands more than spaces) is left to whoever reads all of JSON; so a refusal here says nothing about the text. A value is
//! not checked by [`each_member`] but for where it ends. All of it is pure, allocates nothing, and never panics.
//!
//! ```
//! let mut found = Vec::new();
//! assert!(tollhouse_members::each_member(r#"{"a":1, "b": {"c": [2]}}"#, |name, value| found.push((name, value))));
//! assert_eq!(found, [("a", "1"), ("b", r#"{"c": [2]}"#)]);
//! ```

mod names;
mod plain;
mod scan;

pub use names::mark;
pub use plain::is_as_written;
pub use scan::{each_member, text_end, value_end};
