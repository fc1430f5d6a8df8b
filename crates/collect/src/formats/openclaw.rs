//! Lines of OpenClaw and of what it was called before (Clawdbot, Moltbot): tslog's JSON, of old and new builds.
//!
//! ```text
//! {"0":"{\"subsystem\":\"gateway/ws\"}","1":text or object,"2":text if "1" is an object,
//!  "_meta":{"date":…,"logLevelName":…,"path":{…}},"time":…,"message":the best text, in new builds,"traceId":…}
//! ```
//!
//! What the logger says of itself on each line (`_meta` beyond time, level and place) is left out: it is the same a million
//! times. Objects among the arguments become fields. So do the values in a text that begins with `[model-fetch]`, which tells
//! of a request as our own records do.

use jiff::Zoned;
use serde_json::{Map, Value, json};

use super::json::{self, Draft};
use super::level::Level;
use super::{logfmt, plain, time};

/// Arguments of a call that are looked for; more are fields under their numbers.
const ARGUMENTS_MAX: usize = 10;
/// Their names, and those that our records have for the same.
const RENAMED: [(&str, &str); 5] = [
    ("traceId", "trace_id"),
    ("spanId", "span_id"),
    ("parentSpanId", "parent_span_id"),
    ("traceFlags", "trace_flags"),
    ("elapsedMs", "duration_ms"),
];
/// Texts that tell of a request to a model.
const MODEL_FETCH: &str = "[model-fetch] ";

/// Whether an object is a line of tslog.
pub(super) fn is_meant(object: &Map<String, Value>) -> bool {
    object.get("_meta").and_then(Value::as_object).is_some_and(|meta| meta.contains_key("logLevelName"))
}

/// Reads a line: tslog's JSON, the plain JSON of the gateways around it, or the text that goes to terminals.
pub(super) fn read(line: &str, now: &Zoned) -> Result<Draft, String> {
    if !json::is_meant(line) {
        return Ok(plain::read(line, now));
    }
    let mut object = json::parse(line).map_err(|error| json::not_json(&error))?;
    let mut draft = Draft::default();
    if !is_meant(&object) {
        json::take_object(&mut draft, object, line, 1);
        return Ok(draft);
    }
    if let Some(Value::Object(meta)) = object.shift_remove("_meta") {
        read_meta(&mut draft, &meta);
    }
    if let Some(own) = object.shift_remove("time") {
        draft.time = draft.time.or_else(|| time::read(&own));
    }
    let message = text_of(object.shift_remove("message"));
    let mut texts = Vec::new();
    for number in 0..ARGUMENTS_MAX {
        match object.shift_remove(number.to_string().as_str()) {
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Object(members)) => put_all(&mut draft, members),
                _ => texts.push(text),
            },
            Some(Value::Object(members)) => put_all(&mut draft, members),
            Some(other) => draft.fields.put(&format!("argument_{number}"), other),
            None => break,
        }
    }
    // The last text tells most: those before it are prefixes or the name of the part that speaks.
    let text = message.clone().or_else(|| texts.last().cloned()).unwrap_or_default();
    for other in texts.iter().filter(|other| !text.contains(other.as_str())) {
        draft.fields.put("argument", other.as_str().into());
    }
    if let Some(hostname) = text_of(object.shift_remove("hostname")) {
        draft.fields.put("host", json!({"name": hostname}));
    }
    put_all(&mut draft, object);
    if let Some(values) = text.strip_prefix(MODEL_FETCH) {
        for (name, value) in logfmt::pairs_within(values) {
            draft.fields.put(renamed(name), value);
        }
    }
    draft.text = Some(text);
    Ok(draft)
}

fn read_meta(draft: &mut Draft, meta: &Map<String, Value>) {
    draft.time = meta.get("date").and_then(time::read);
    if let Some(name) = meta.get("logLevelName") {
        let level = Level::read(name);
        draft.level = level.map(|(level, _)| level);
        if level.is_none_or(|(_, is_all)| !is_all) {
            draft.fields.put("level", name.clone());
        }
    }
    if let Some(place) = meta.get("path").and_then(|path| path.get("fileNameWithLine")) {
        draft.fields.put("caller", place.clone());
    }
}

fn put_all(draft: &mut Draft, members: Map<String, Value>) {
    for (name, value) in members {
        draft.fields.put(renamed(&name), value);
    }
}

fn renamed(name: &str) -> &str {
    RENAMED.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours)
}

fn text_of(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
