//! What comes in the bodies of HTTP requests: unpacked within a bound ([`Packing`]), and read as lines ([`read_lines`]) or as
//! OpenTelemetry's log records ([`read_otlp`]).
//!
//! All of this is pure. Who may send, how much is in memory at once, and when it may be said that lines are kept is the
//! business of whoever listens.

mod lines;
mod packing;

use tollhouse_otlp::{Encoding, OtlpError, Rejected};

use crate::formats::{self, Entry};

pub use lines::{LINE_BYTES_MAX, LINES_MAX, Line, TooMany, Way, read_lines};
pub use packing::{Packing, UnpackError};

/// Reads a request of OpenTelemetry's protocol: what its records say, and those of them that cannot be read.
pub fn read_otlp(body: &[u8], encoding: Encoding) -> Result<(Vec<Entry>, Rejected), OtlpError> {
    let mut entries = Vec::new();
    let rejected = tollhouse_otlp::read(body, encoding, |origin, line| entries.push(formats::otlp(origin, line)))?;
    Ok((entries, rejected))
}
