//! A line as it came, which its dead letter keeps, so that a replay reads it anew.

use jiff::Zoned;
use serde_json::Value;
use tollhouse_collect::formats::{self, Entry, Format};
use tollhouse_collect::http::Way;
use tollhouse_journal::Record;

/// Longest line, as JSON, that is kept beside what was read of it: the journal, which cuts the longest fields of a record that has no room,
/// never cuts it.
const LINE_BYTES_MAX: usize = 64 << 10;
/// The fields of a dead letter that have it.
pub(super) const LINE: &str = "line";
pub(super) const LINE_FORM: &str = "line_form";

/// A line as it came. Bytes that are no UTF-8 stand as `\xNN`, as they do in all that is read.
pub(super) struct Came<'a> {
    pub(super) text: &'a [u8],
    pub(super) form: Form,
}

/// How a line is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// In a format.
    Format(Format),
    /// As what it shows.
    Shown,
    /// As an event of Beats.
    Event,
    /// As a message that came by syslog.
    Message,
    /// As an entry of the systemd journal.
    Journald,
}

impl Came<'_> {
    /// Adds it to the record of its dead letter, unless it is too long.
    pub(super) fn keep(&self, record: Record) -> Record {
        let text = Value::from(formats::text(self.text).0);
        if text.to_string().len() > LINE_BYTES_MAX {
            return record;
        }
        record.field(LINE, text).field(LINE_FORM, self.form.as_str())
    }
}

impl From<Way> for Form {
    fn from(way: Way) -> Self {
        match way {
            Way::Shown => Self::Shown,
            Way::Format(format) => Self::Format(format),
            Way::Event => Self::Event,
        }
    }
}

impl Form {
    const OTHERS: [Self; 4] = [Self::Shown, Self::Event, Self::Message, Self::Journald];

    /// The word in records.
    fn as_str(self) -> &'static str {
        match self {
            Self::Format(format) => format.as_str(),
            Self::Shown => "shown",
            Self::Event => "event",
            Self::Message => "syslog message",
            Self::Journald => "journald",
        }
    }

    /// The form of this word.
    pub(super) fn named(word: &str) -> Option<Self> {
        let others = || Self::OTHERS.into_iter().find(|form| form.as_str() == word);
        Format::named(word).map(Self::Format).or_else(others)
    }

    /// Reads a line, in the format that its source is configured with now where it has one.
    pub(super) fn read(self, line: &str, configured: Option<Format>, now: &Zoned) -> Entry {
        match (self, configured) {
            (Self::Event, _) => formats::beats(line.as_bytes()),
            (Self::Message, _) => formats::syslog(line.as_bytes(), now),
            (Self::Journald, format) => formats::journald(line.as_bytes(), format, now).entry,
            (Self::Format(_) | Self::Shown, Some(format)) | (Self::Format(format), None) => format.read(line, now),
            (Self::Shown, None) => formats::shown(line, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_a_word() {
        let formats = Format::ALL.into_iter().map(Form::Format);
        for form in formats.chain(Form::OTHERS) {
            assert_eq!(Form::named(form.as_str()), Some(form));
        }
        assert_eq!(Form::named("loud"), None);
    }

    #[test]
    fn what_is_configured_now_decides() {
        let now = Zoned::now();
        let read = |form: Form, configured| form.read("a=1 b=2", configured, &now).fields.get("a").is_some();
        assert!(!read(Form::Format(Format::Plain), None));
        assert!(read(Form::Format(Format::Plain), Some(Format::Logfmt)));
        assert!(read(Form::Shown, None));
        assert!(!read(Form::Shown, Some(Format::Json)));
        assert_eq!(Form::Message.read("<13>1 - web1 gw - - - hi", None, &now).text, "hi");
    }
}
