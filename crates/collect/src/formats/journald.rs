//! Entries of the systemd journal, as `journalctl --output=json` gives them.

use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use super::json::Draft;
use super::level::Level;
use super::{Entry, Format, json, text_of};

/// An entry, and where the journal was then.
#[derive(Clone, Debug, PartialEq)]
pub struct JournaldEntry {
    /// What it says.
    pub entry: Entry,
    /// The journal's cursor: reading goes on behind it.
    pub cursor: Option<String>,
}

/// Reads an entry, its text in `format` or in the one that the text itself shows.
pub fn journald(line: &[u8], format: Option<Format>, now: &Zoned) -> JournaldEntry {
    let (text, has_bytes) = text_of(line);
    let mut object = match json::parse(&text) {
        Ok(object) => object,
        Err(error) => {
            let parse_error = Some(json::not_json(&error));
            let draft = Draft { text: Some(text.into_owned()), parse_error, has_bytes, ..Draft::default() };
            return JournaldEntry { entry: draft.finish(), cursor: None };
        }
    };
    let cursor = take_text(&mut object, "__CURSOR");
    let (message, has_bytes) = message(object.shift_remove("MESSAGE"));
    let format = format.or_else(|| Format::guess(&message, now)).unwrap_or(Format::Plain);
    let mut draft = format.draft(&message, now);
    draft.has_bytes |= has_bytes;
    let time_us = take_text(&mut object, "__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok());
    draft.time = draft.time.or_else(|| Timestamp::from_microsecond(time_us?).ok());
    let severity = take_text(&mut object, "PRIORITY").and_then(|text| text.parse::<u8>().ok());
    draft.level = draft.level.or(severity.map(Level::of_severity));
    put(&mut draft, object);
    JournaldEntry { entry: draft.finish(), cursor }
}

/// Who spoke, under the names that Beats have for it; the journal's many other fields are the same on each line.
fn put(draft: &mut Draft, mut object: Map<String, Value>) {
    if let Some(host) = take_text(&mut object, "_HOSTNAME") {
        draft.fields.put("host", json!({"name": host}));
    }
    let name = take_text(&mut object, "SYSLOG_IDENTIFIER").or_else(|| take_text(&mut object, "_COMM"));
    let pid = take_text(&mut object, "_PID").and_then(|text| text.parse::<u32>().ok());
    let mut process = Map::new();
    process.extend(name.map(|name| ("name".to_owned(), name.into())));
    process.extend(pid.map(|pid| ("pid".to_owned(), pid.into())));
    if !process.is_empty() {
        draft.fields.put("process", process.into());
    }
    let unit = take_text(&mut object, "_SYSTEMD_UNIT").or_else(|| take_text(&mut object, "_SYSTEMD_USER_UNIT"));
    if let Some(unit) = unit {
        draft.fields.put("systemd", json!({"unit": unit}));
    }
}

/// A message is a text, or a list of bytes where it is not one; of several with this name the first counts.
fn message(value: Option<Value>) -> (String, bool) {
    match value {
        Some(Value::String(text)) => (text, false),
        Some(Value::Array(items)) => {
            let bytes: Option<Vec<u8>> =
                items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            match bytes {
                Some(bytes) => {
                    let (text, has_bytes) = text_of(&bytes);
                    (text.into_owned(), has_bytes)
                }
                None => message(items.into_iter().next()),
            }
        }
        _ => (String::new(), false),
    }
}

fn take_text(object: &mut Map<String, Value>, name: &str) -> Option<String> {
    match object.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Array(items)) => items.first()?.as_str().map(str::to_owned),
        _ => None,
    }
}
