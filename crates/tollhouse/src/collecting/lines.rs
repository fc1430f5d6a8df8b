//! What a line says, as a record of the journal.

use tollhouse_collect::formats::{self, Entry, Verbatim};
use tollhouse_journal::{Level, Record};

/// Room for what the house adds to a line: its source, its file and how far it was read, in bytes and in fields.
const BESIDE_BYTES: usize = 256;
const BESIDE_FIELDS: usize = 8;

/// The record of a line that came by a source, an import or `/es`; `beside` adds what is known of how it came.
pub(crate) fn record(
    caller: &'static str,
    source: &str,
    entry: Entry,
    beside: impl FnOnce(Record) -> Record,
) -> Record {
    let Entry { time, level, text, fields, parse_error, is_cut, has_bytes } = entry;
    let mut record =
        Record::new("log", level.map_or(Level::Info, level_of), text).caller(caller).field("source", source);
    if let Some(time) = time {
        record = record.field("time", formats::written(time));
    }
    record = beside(record);
    if is_cut {
        record = record.field("cut", true);
    }
    if has_bytes {
        record = record.field("utf8", false);
    }
    if let Some(parse_error) = parse_error {
        record = record.field("parse_error", parse_error);
    }
    fields.iter().fold(record, |record, (name, value)| record.field(name, value))
}

/// As [`record`], of a line whose fields stand as they will in the record.
pub(crate) fn record_of_verbatim(
    caller: &'static str,
    source: &str,
    line: Verbatim<'_>,
    beside: impl FnOnce(Record) -> Record,
) -> Record {
    let Verbatim { time, level, text, fields } = line;
    let bytes: usize = fields.iter().map(|(name, json)| name.len() + json.len() + 4).sum();
    let mut record = Record::new("log", level.map_or(Level::Info, level_of), text.into_owned())
        .room(bytes + BESIDE_BYTES, fields.len() + BESIDE_FIELDS)
        .caller(caller)
        .field("source", source);
    if let Some(time) = time {
        record = record.field("time", time);
    }
    fields.iter().fold(beside(record), |record, (name, json)| record.json(name, json))
}

fn level_of(level: formats::Level) -> Level {
    match level {
        formats::Level::Trace => Level::Trace,
        formats::Level::Debug => Level::Debug,
        formats::Level::Info => Level::Info,
        formats::Level::Warn => Level::Warn,
        formats::Level::Error => Level::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_make_the_same_record() {
        for line in [
            r#"{"ts":"2026-01-27T10:20:30.456Z","level":"warn","caller":"a.go:1","msg":"done \"x\"","status":200,"ms":912.30,"o":{"a": [1]}}"#,
            r#"{"msg":"m","time":"2026-01-27T10:20:30+08:00","seq":7,"_id":"x","source":"y","file":null}"#,
            r#"{"msg":"中\n","level":30}"#,
        ] {
            let beside = |record: Record| record.field("file", "/a.log").field("lines_joined", 2);
            let verbatim = Verbatim::read(line).unwrap_or_else(|| panic!("not verbatim: {line}"));
            let one = record_of_verbatim("collect/file", "app", verbatim, beside);
            let other = record("collect/file", "app", formats::json(line).unwrap_or_default(), beside);
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{line}");
        }
    }
}
