//! Sizes and durations as people write them in configuration files and on the command line, and errors as they read them.
//!
//! - [`Bytes`] is a size: `"8MiB".parse::<Bytes>()`, and its `Display` writes the shortest exact text back.
//! - [`parse_duration`] and [`format_duration`] do the same for [`std::time::Duration`].
//! - [`chain()`] tells an error with its causes in one line.
//! - [`hex()`] writes bytes as digits.
//! - [`catalogue!`] makes an enum of all that somebody says, by codes and as English words; [`sentence`] joins several of them.
//! - [`UnitError`] says what was wrong with a text; it never repeats more of it than is needed to find it.
//!
//! Every text that is written here is read back as the same quantity. The crate does no I/O, knows no clock and accepts one
//! way of writing only: a whole number directly followed by its unit.
//!
//! ```
//! use std::time::Duration;
//! use tollhouse_units::{Bytes, format_duration, parse_duration};
//!
//! assert_eq!("8MiB".parse::<Bytes>(), Ok(Bytes(8 * 1024 * 1024)));
//! assert_eq!(Bytes(12_000_000_000).to_string(), "12GB");
//! assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
//! assert_eq!(format_duration(Duration::from_secs(900)), "15m");
//! ```

mod bytes;
mod chain;
mod duration;
mod error;
mod hex;
mod saying;

pub use bytes::Bytes;
pub use chain::chain;
pub use duration::{format_duration, parse_duration};
pub use error::UnitError;
pub use hex::hex;
pub use saying::sentence;
