//! What a line says, as a record of the journal.

use tollhouse_collect::formats::{self, Entry};
use tollhouse_journal::{Level, Record};

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

fn level_of(level: formats::Level) -> Level {
    match level {
        formats::Level::Trace => Level::Trace,
        formats::Level::Debug => Level::Debug,
        formats::Level::Info => Level::Info,
        formats::Level::Warn => Level::Warn,
        formats::Level::Error => Level::Error,
    }
}
