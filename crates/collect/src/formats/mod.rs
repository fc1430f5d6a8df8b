//! What a line says: its own time, level, text and fields, whatever program wrote it.
//!
//! ```text
//! bytes ──beats────▶ ┐                    ┌ time, level, text
//! bytes ──syslog───▶ ┤ JSON inside of it  ├ fields, at most 64, the rest in one text `overflow`
//! bytes ──journald─▶ ┤ is read too        └ what was wrong with it
//! lines ──Streams──▶ ┘
//! ```
//!
//! [`syslog()`] reads a message of RFC 5424 or RFC 3164, [`beats`] an event of Filebeat and its like, [`journald()`] one of the
//! systemd journal, [`otlp()`] a log record of OpenTelemetry, [`json()`] a line that programs write as JSON. [`Streams`] reads lines of files in a [`Format`], or in the
//! one that the lines show, and joins those that belong together; [`Verbatim`] is a line whose fields can go on as they stand; [`Survey`] tells whether lines are as a format has them. Each gives an [`Entry`]; a line that cannot be understood is an
//! entry too, with its text as it came and the reason in [`Entry::parse_error`].
//!
//! # Names
//!
//! Fields keep the names that their program gave them, but for those in [`HOUSE_NAMES`], which a record of the house gives
//! itself: they get `own_` in front. What the envelope says stands under the names of the Elastic Common Schema, as Beats have
//! them: `host.name`, `process.name`, `process.pid`, `log.syslog.facility.name`, `log.syslog.severity.name`,
//! `log.syslog.msgid`, `log.syslog.structured_data`. Where both use a name, the program's own value has it, and the envelope's
//! is in the overflow.
//!
//! All of this is pure: the same bytes at the same moment give the same entry. Nothing here is unbounded, and nothing panics.

mod event;
mod fields;
mod format;
mod journald;
mod json;
mod level;
mod logfmt;
mod nginx;
mod openclaw;
mod otlp;
mod plain;
mod servers;
mod streams;
mod survey;
mod syslog;
mod time;
mod verbatim;

use std::borrow::Cow;

use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value};

pub use event::EventError;
pub use fields::{FIELD_BYTES_MAX, FIELDS_BYTES_MAX, FIELDS_MAX, HOUSE_NAMES, NAME_BYTES_MAX, OVERFLOW_BYTES_MAX};
pub use format::Format;
pub use journald::{JournaldEntry, journald};
pub use json::{beats, json};
pub use level::Level;
pub use otlp::otlp;
pub use streams::{JOINED_BYTES_MAX, JOINED_LINES_MAX, OPEN_MAX, Read, Streams, WAIT_MAX};
pub use survey::Survey;
pub use syslog::syslog;
pub use time::written;
pub use verbatim::Verbatim;

/// Bytes of the text of a line that are kept: with all its fields it fits into a line of the journal.
pub const TEXT_BYTES_MAX: usize = 128 << 10;

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// When it was written, by the clock of whoever wrote it.
    pub time: Option<Timestamp>,
    /// How much it matters, if it says so.
    pub level: Option<Level>,
    /// For people to read.
    pub text: String,
    /// Everything else; see [`HOUSE_NAMES`].
    pub fields: Map<String, Value>,
    /// Why it could not be understood, or not all of it.
    pub parse_error: Option<String>,
    /// Whether a part of it was left out because it is too long.
    pub is_cut: bool,
    /// Whether it had bytes that are not UTF-8; they stand as `\xNN`.
    pub has_bytes: bool,
}

/// Reads a line that stands by itself: as JSON under the names that loggers have, or as what it shows.
pub fn shown(line: &str, now: &Zoned) -> Entry {
    json(line).unwrap_or_else(|| Format::guess(line, now).unwrap_or(Format::Plain).read(line, now))
}

/// A line as text, and as it came where that is not the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text {
    /// Bytes that are no UTF-8 stand as `\xNN`.
    pub text: String,
    /// Its bytes, where some are no UTF-8.
    pub bytes: Option<Box<[u8]>>,
}

impl Text {
    /// As it came.
    pub fn as_came(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// Adds the next line.
    fn join(&mut self, next: &Self) {
        if self.bytes.is_some() || next.bytes.is_some() {
            self.bytes = Some([self.as_came(), b"\n", next.as_came()].concat().into());
        }
        self.text.push('\n');
        self.text.push_str(&next.text);
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, bytes: None }
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        let (text, has_bytes) = text_of(bytes);
        Self { text: text.into_owned(), bytes: has_bytes.then(|| bytes.into()) }
    }
}

/// Bytes as text, and whether some of them were none: those stand as `\xNN`.
pub fn text(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    text_of(bytes)
}

fn text_of(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (Cow::Borrowed(text), false);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
            let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            text.push_str("\\x");
            text.extend(digits);
        }
    }
    (Cow::Owned(text), true)
}

/// The beginning of a text, up to so many bytes, and whether there was more.
fn beginning(text: &str, bytes_max: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(bytes_max);
    (&text[..end], end < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stay_visible() {
        for (bytes, text, has_bytes) in [
            (&b"plain"[..], "plain", false),
            ("größer".as_bytes(), "größer", false),
            (b"a\xffb\xc3", "a\\xffb\\xc3", true),
            (b"\xe4\xb8", "\\xe4\\xb8", true),
        ] {
            assert_eq!(text_of(bytes), (Cow::Borrowed(text), has_bytes));
        }
        assert_eq!(beginning("größer", 3), ("gr", true));
        assert_eq!(beginning("größer", 8), ("größer", false));
    }
}
