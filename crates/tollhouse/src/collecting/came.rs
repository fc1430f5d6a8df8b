//! A line as it came, which its dead letter keeps, so that a replay reads it anew.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Zoned;
use serde_json::{Map, Value};
use tollhouse_collect::formats::{self, Entry, Format};
use tollhouse_collect::http::Way;
use tollhouse_journal::{Record, UNCUT_BYTES_MAX};

/// Longest line, as JSON, that is kept as text beside what was read of it: the journal, which cuts the longest fields of a record that has
/// no room, never cuts it.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Longest line that is kept at all: the journal keeps it uncut, as Base64 and with its name.
const BYTES_MAX: usize = (UNCUT_BYTES_MAX - 64) / 4 * 3;
/// The fields of a dead letter that have its line: as text, or its bytes as Base64 where they are no UTF-8, or many; and how it was read.
pub(super) const LINE: &str = "line";
pub(super) const LINE_BASE64: &str = "line_base64";
pub(super) const LINE_FORM: &str = "line_form";

const _: () = assert!(BYTES_MAX > 1 << 20, "every line of a file must have room");

/// A line as it came.
pub(super) struct Came<'a> {
    pub(super) bytes: &'a [u8],
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
        if self.bytes.len() > BYTES_MAX {
            return record;
        }
        let is_short = self.bytes.len() <= TEXT_BYTES_MAX;
        let text = std::str::from_utf8(self.bytes).ok().filter(|_| is_short).map(Value::from);
        let record = match text.filter(|text| text.to_string().len() <= TEXT_BYTES_MAX) {
            Some(text) => record.field(LINE, text),
            None => record.uncut(LINE_BASE64, &BASE64_STANDARD.encode(self.bytes)),
        };
        record.field(LINE_FORM, self.form.as_str())
    }
}

/// The line that a dead letter keeps, and how it was read; nothing where it keeps none.
pub(super) fn kept(letter: &Map<String, Value>) -> Option<(Vec<u8>, Form)> {
    let text = |name: &str| letter.get(name).and_then(Value::as_str);
    let form = Form::named(text(LINE_FORM)?)?;
    let bytes = match text(LINE_BASE64) {
        Some(encoded) => BASE64_STANDARD.decode(encoded).ok()?,
        None => text(LINE)?.as_bytes().to_vec(),
    };
    Some((bytes, form))
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
    pub(super) fn read(self, line: &[u8], configured: Option<Format>, now: &Zoned) -> Entry {
        let text = || formats::text(line).0;
        match (self, configured) {
            (Self::Event, _) => formats::beats(line),
            (Self::Message, _) => formats::syslog(line, now),
            (Self::Journald, format) => formats::journald(line, format, now).entry,
            (Self::Format(_) | Self::Shown, Some(format)) | (Self::Format(format), None) => format.read(&text(), now),
            (Self::Shown, None) => formats::shown(&text(), now),
        }
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_journal::{Journal, Level, Opened, Options, Reader};

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
    fn any_bytes_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        let Opened { journal, writer, .. } = Journal::open(Options::new(&file, "s")).unwrap();
        let long = [vec![b'x'; TEXT_BYTES_MAX], vec![0; 1 << 20], vec![0xff; BYTES_MAX], vec![b'x'; BYTES_MAX + 1]];
        let [text, zeros, longest, too_long] = &long;
        let lines: [&[u8]; 8] = [b"short", b"caf\xe9", b"caf\\xe9", b"", text, zeros, longest, too_long];
        for bytes in lines {
            let record = Record::new("dead_letter", Level::Error, "m").field("event", "é".repeat(200_000));
            journal.enqueue(Came { bytes, form: Form::Shown }.keep(record).field("n", bytes.len())).unwrap();
        }
        writer.close().unwrap();
        let (mut reader, mut read) = (Reader::open(&file, None).unwrap(), Vec::new());
        while reader.next_batch(100, &mut read).unwrap() > 0 {}
        for (line, bytes) in read.iter().zip(lines) {
            let letter: Map<String, Value> = serde_json::from_slice(&line.bytes).unwrap();
            assert_eq!(letter["n"], bytes.len());
            let is_kept = bytes.len() <= BYTES_MAX;
            assert!(kept(&letter) == is_kept.then(|| (bytes.to_vec(), Form::Shown)), "{} bytes", bytes.len());
            assert_eq!(letter.contains_key(LINE), bytes.len() < TEXT_BYTES_MAX && bytes != b"caf\xe9");
        }
        assert_eq!(read.len(), lines.len());
    }

    #[test]
    fn what_is_configured_now_decides() {
        let now = Zoned::now();
        let read = |form: Form, configured| form.read(b"a=1 b=2", configured, &now).fields.get("a").is_some();
        assert!(!read(Form::Format(Format::Plain), None));
        assert!(read(Form::Format(Format::Plain), Some(Format::Logfmt)));
        assert!(read(Form::Shown, None));
        assert!(!read(Form::Shown, Some(Format::Json)));
        assert_eq!(Form::Message.read(b"<13>1 - web1 gw - - - hi", None, &now).text, "hi");
    }
}
