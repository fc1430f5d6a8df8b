//! Lines that are JSON objects, under the names that loggers and Beats use.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::level::Level;
use super::{Entry, TEXT_BYTES_MAX, beginning, text_of, time};

/// Names of the time, the level and the text, the more certain ones first.
const TIMES: [&str; 6] = ["@timestamp", "ts", "time", "timestamp", "datetime", "@t"];
const LEVELS: [&str; 9] =
    ["level", "lvl", "log.level", "severity", "loglevel", "log_level", "levelname", "@level", "@l"];
const TEXTS: [&str; 7] = ["msg", "message", "@message", "short_message", "log", "event", "@m"];
/// For whom a Beat means it; nothing of the line itself.
const METADATA: &str = "@metadata";
/// Of a line without a text of its own, so much of the line stands for it.
const LINE_BYTES_MAX: usize = 1 << 10;
/// JSON inside of the text of JSON is read; what is in that text is not.
const NESTED_MAX: usize = 1;

/// Reads a line that programs write as JSON; nothing when it is no JSON object.
pub fn json(line: &str) -> Option<Entry> {
    let mut draft = Draft::default();
    read(&mut draft, line, NESTED_MAX).ok()?;
    Some(draft.finish())
}

/// Reads an event of Filebeat, or of anything else that speaks its protocol: a JSON object.
pub fn beats(event: &[u8]) -> Entry {
    let (text, has_bytes) = text_of(event);
    let mut draft = Draft { has_bytes, ..Draft::default() };
    if let Err(error) = read(&mut draft, &text, NESTED_MAX) {
        draft.text = Some(text.into_owned());
        draft.parse_error = Some(not_json(&error));
    }
    draft.finish()
}

/// What is known of a line while it is read: what comes first stays.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) time: Option<jiff::Timestamp>,
    pub(super) level: Option<Level>,
    pub(super) text: Option<String>,
    pub(super) fields: Fields,
    pub(super) parse_error: Option<String>,
    pub(super) has_bytes: bool,
}

impl Draft {
    pub(super) fn finish(self) -> Entry {
        let (fields, mut is_cut) = self.fields.finish();
        let mut text = self.text.unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(beginning(&text, TEXT_BYTES_MAX).0.len());
            is_cut = true;
        }
        let Self { time, level, parse_error, has_bytes, .. } = self;
        Entry { time, level, text, fields, parse_error, is_cut, has_bytes }
    }
}

/// Whether a text looks as if a JSON object had been meant.
pub(super) fn is_meant(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{').map(str::trim_start);
    inside.is_some_and(|inside| inside.starts_with(['"', '}']))
}

/// Why it could not be read.
pub(super) fn not_json(error: &serde_json::Error) -> String {
    format!("not a JSON object: {error}")
}

/// Reads an object; also one in which bytes stand as `\xNN`, which JSON does not know: nginx writes it so, and so do we.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match with_bytes_escaped(text) {
        Some(text) => serde_json::from_str(&text).map_err(|_| error),
        None => Err(error),
    })
}

/// The text with a second backslash before each `x` that has only one; nothing when there is none.
fn with_bytes_escaped(text: &str) -> Option<String> {
    let mut escaped = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        let backslash = at + found;
        if text[backslash + 1..].starts_with('x') {
            escaped.push_str(&text[from..=backslash]);
            escaped.push('\\');
            from = backslash + 1;
        }
        // Past what it escapes, which may be another backslash.
        at = text.ceil_char_boundary((backslash + 2).min(text.len()));
    }
    escaped.push_str(&text[from..]);
    (from > 0).then_some(escaped)
}

/// Adds what a JSON object says. An error leaves the draft as it was.
pub(super) fn read(draft: &mut Draft, text: &str, nested_max: usize) -> Result<(), serde_json::Error> {
    take_object(draft, parse(text)?, text, nested_max);
    Ok(())
}

/// Adds what an object says, which stands as `text`.
pub(super) fn take_object(draft: &mut Draft, mut object: Map<String, Value>, text: &str, nested_max: usize) {
    object.shift_remove(METADATA);
    // The text first: a line that lies in the text of an envelope knows better.
    let own = take(&mut object, &TEXTS, |value| value.as_str().map(str::to_owned));
    let mut is_line = false;
    if let Some(own) = own.as_deref().filter(|own| nested_max > 0 && is_meant(own)) {
        match read(draft, own, nested_max - 1) {
            Ok(()) => is_line = true,
            Err(error) => draft.parse_error = Some(not_json(&error)),
        }
    }
    if !is_line && draft.text.is_none() {
        // Docker has the line's end in it.
        let own = own.map(|own| own.trim_end_matches(['\r', '\n']).to_owned());
        draft.text = Some(own.unwrap_or_else(|| beginning(text.trim(), LINE_BYTES_MAX).0.to_owned()));
    }
    let time = take(&mut object, &TIMES, time::read);
    draft.time = draft.time.or(time);
    if let Some((level, value)) = take_level(&mut object) {
        draft.level = draft.level.or(Some(level));
        if let Some(value) = value {
            draft.fields.put("level", value);
        }
    }
    for (name, value) in object {
        draft.fields.put(&name, value);
    }
}

/// Takes the first value out that can be read, by these names.
fn take<T>(object: &mut Map<String, Value>, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let (name, found) = names.iter().find_map(|name| Some((name, read(object.get(*name)?)?)))?;
    object.shift_remove(*name);
    Some(found)
}

/// Takes the level out; with its value, where that says more than the level.
fn take_level(object: &mut Map<String, Value>) -> Option<(Level, Option<Value>)> {
    for name in LEVELS {
        let Some((level, is_all)) = object.get(name).and_then(Level::read) else { continue };
        let value = object.shift_remove(name);
        return Some((level, value.filter(|_| !is_all)));
    }
    // {"log": {"level": …}}, as the Elastic Common Schema has it.
    let log = object.get_mut("log")?.as_object_mut()?;
    let (level, is_all) = log.get("level").and_then(Level::read)?;
    let value = log.shift_remove("level");
    if log.is_empty() {
        object.shift_remove("log");
    }
    Some((level, value.filter(|_| !is_all)))
}
