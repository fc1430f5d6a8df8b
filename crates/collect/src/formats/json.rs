//! Lines that are JSON objects, under the names that loggers and Beats use.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::level::Level;
use super::{Entry, TEXT_BYTES_MAX, beginning, text_of, time};

/// Names of the time, the level and the text, the more certain ones first.
pub(super) const TIMES: [&str; 6] = ["@timestamp", "ts", "time", "timestamp", "datetime", "@t"];
pub(super) const LEVELS: [&str; 9] =
    ["level", "lvl", "log.level", "severity", "loglevel", "log_level", "levelname", "@level", "@l"];
pub(super) const TEXTS: [&str; 7] = ["msg", "message", "@message", "short_message", "log", "event", "@m"];
/// For whom a Beat means it; nothing of the line itself.
pub(super) const METADATA: &str = "@metadata";
/// Of a line without a text of its own, so much of the line stands for it.
const LINE_BYTES_MAX: usize = 1 << 10;
/// JSON inside of the text of JSON is read; what is in that text is not.
const NESTED_MAX: usize = 1;

/// Members of an object that are looked through for each name; of more, names are hashed.
const LOOKED_THROUGH_MAX: usize = 64;

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

/// The members of an object in their order, each name once with its last value. Looking through some dozens costs less than
/// hashing each of them.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Value)>);

impl Members<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }

    fn remove(&mut self, name: &str) -> Option<Value> {
        self.find(name).map(|at| self.0.remove(at).1)
    }
}

impl From<Map<String, Value>> for Members<'_> {
    fn from(map: Map<String, Value>) -> Self {
        Self(map.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect())
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members(Vec::with_capacity(LOOKED_THROUGH_MAX / 4));
                while let Some((Name(name), value)) = map.next_entry()? {
                    if let Some(at) = members.find(&name) {
                        members.0[at].1 = value;
                    } else if members.0.len() < LOOKED_THROUGH_MAX {
                        members.0.push((name, value));
                    } else {
                        let first = members.0.into_iter().chain([(name, value)]);
                        let mut all: Map<String, Value> =
                            first.map(|(name, value)| (name.into_owned(), value)).collect();
                        while let Some((name, value)) = map.next_entry()? {
                            all.insert(name, value);
                        }
                        return Ok(all.into());
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A name without escapes stays where it is in the line.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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
    match serde_json::from_str(text) {
        Ok(members) => take_members(draft, members, text, nested_max),
        Err(_) => take_object(draft, parse(text)?, text, nested_max),
    }
    Ok(())
}

/// Adds what an object says, which stands as `text`.
pub(super) fn take_object(draft: &mut Draft, object: Map<String, Value>, text: &str, nested_max: usize) {
    take_members(draft, object.into(), text, nested_max);
}

fn take_members(draft: &mut Draft, mut object: Members<'_>, text: &str, nested_max: usize) {
    object.remove(METADATA);
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
    draft.fields.expect(object.0.len());
    for (name, value) in object.0 {
        draft.fields.put(&name, value);
    }
}

/// Takes the first value out that can be read, by these names.
fn take<T>(object: &mut Members<'_>, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let of = |name: &&str| object.find(name).and_then(|at| Some((at, read(&object.0[at].1)?)));
    let (at, found) = names.iter().find_map(of)?;
    object.0.remove(at);
    Some(found)
}

/// Takes the level out; with its value, where that says more than the level.
fn take_level(object: &mut Members<'_>) -> Option<(Level, Option<Value>)> {
    for name in LEVELS {
        let Some(at) = object.find(name) else { continue };
        let Some((level, is_all)) = Level::read(&object.0[at].1) else { continue };
        let (_, value) = object.0.remove(at);
        return Some((level, Some(value).filter(|_| !is_all)));
    }
    // {"log": {"level": …}}, as the Elastic Common Schema has it.
    let at = object.find("log")?;
    let log = object.0[at].1.as_object_mut()?;
    let (level, is_all) = log.get("level").and_then(Level::read)?;
    let value = log.shift_remove("level");
    if log.is_empty() {
        object.0.remove(at);
    }
    Some((level, value.filter(|_| !is_all)))
}
