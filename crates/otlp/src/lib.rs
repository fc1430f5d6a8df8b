//! OpenTelemetry's protocol (OTLP 1.x): log records in and out, as protobuf and as JSON.
//!
//! [`read`] takes the body of `POST /v1/logs` apart and gives each [`LogLine`] with the [`Origin`] that it shares with
//! others: its resource and its scope. What cannot be read of a single record is [`Rejected`], and the others are kept;
//! a body that is no request at all is an [`OtlpError`]. [`Rejected::answer`] and [`failure`] make the answers, [`write()`] makes a
//! request, and [`read_answer`] reads what a receiver says to that.
//!
//! The leaves are read by the official messages (`opentelemetry-proto`); the containers around them are walked by hand, so
//! that nothing is made of a body that claims to have millions of records. JSON is read leniently, as the protocol demands:
//! numbers of 64 bits as texts or numbers, enumerations by number or name, unknown members skipped, ids in hexadecimal.
//!
//! All of this is pure: no clock, no socket, no file. The bytes of a body are bounded by whoever reads it; what is made of
//! them is bounded here ([`LINES_MAX`], [`LINE_BYTES_MAX`]).
//!
//! ```
//! use tollhouse_otlp::{Encoding, read};
//!
//! let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"hello"}}]}]}]}"#;
//! let mut texts = Vec::new();
//! let rejected = read(body, Encoding::Json, |_, line| texts.push(line.body))?;
//! assert_eq!(texts, ["hello"]);
//! assert_eq!(rejected.lines, 0);
//! # Ok::<(), tollhouse_otlp::OtlpError>(())
//! ```

mod answer;
mod encoding;
mod error;
mod ids;
mod json;
mod line;
mod protobuf;
mod value;
mod write;

pub use answer::{Rejected, failure, failure_message, read_answer};
pub use encoding::Encoding;
pub use error::OtlpError;
pub use line::{LogLine, Origin};
pub use write::write;

/// Records of one request; a request with more is refused as a whole.
pub const LINES_MAX: usize = 50_000;
/// Bytes of one record; a larger one is rejected by itself.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Reads a request, and gives each record with where it comes from. An error may come after some were given: nothing of
/// them is to be kept then.
pub fn read(body: &[u8], encoding: Encoding, take: impl FnMut(&Origin, LogLine)) -> Result<Rejected, OtlpError> {
    let mut taking = line::Taking::new(take);
    match encoding {
        Encoding::Protobuf => protobuf::read(body, &mut taking)?,
        Encoding::Json => json::read(body, &mut taking)?,
    }
    Ok(taking.rejected)
}
