//! Lines of nginx and of servers that write alike: the combined access log, the error log, and JSON with nginx's names.

use std::borrow::Cow;

use jiff::Zoned;
use serde_json::{Map, Value, json};

use super::json::{self, Draft};
use super::level::Level;
use super::{logfmt, time};

/// Longest address, user name or method that is taken for one.
const WORD_BYTES_MAX: usize = 256;
/// nginx's variables, and the names that our records have for the same.
const RENAMED: [(&str, &str); 8] = [
    ("remote_addr", "client_ip"),
    ("request_method", "method"),
    ("uri", "path"),
    ("http_user_agent", "user_agent"),
    ("http_referer", "referer"),
    ("time_iso8601", "time"),
    ("msec", "time"),
    ("status", "status"),
];
/// What the error log says behind its text, and the names for it here.
const SAID_BEHIND: [(&str, &str); 7] = [
    (", client: ", "client_ip"),
    (", server: ", "server_name"),
    (", request: ", "request"),
    (", subrequest: ", "subrequest"),
    (", upstream: ", "upstream"),
    (", host: ", "http_host"),
    (", referrer: ", "referer"),
];

/// Reads a line.
pub(super) fn read(line: &str, now: &Zoned) -> Result<Draft, String> {
    if json::is_meant(line) {
        return object(line);
    }
    access(line).or_else(|| error(line, now)).ok_or_else(|| "not as nginx writes its logs".to_owned())
}

/// Whether an object has nginx's names.
pub(super) fn is_meant(object: &Map<String, Value>) -> bool {
    object.contains_key("remote_addr") && (object.contains_key("request") || object.contains_key("request_uri"))
}

/// `addr - user [time] "request" status bytes "referer" "user agent"`, and whatever stands behind.
pub(super) fn access(line: &str) -> Option<Draft> {
    let (client, rest) = line.split_once(' ')?;
    let (_identity, rest) = rest.split_once(' ')?;
    let (user, rest) = rest.split_once(" [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let (status, rest) = word(rest.strip_prefix(' ')?);
    let (bytes, mut rest) = word(rest.strip_prefix(' ')?);
    if client.is_empty() || client.len() > WORD_BYTES_MAX || user.len() > WORD_BYTES_MAX || status.len() != 3 {
        return None;
    }
    let status: u16 = status.parse().ok()?;
    let mut draft = Draft { time: Some(time::of_clf(time)?), ..Draft::default() };
    draft.fields.put("client_ip", client.into());
    if user != "-" {
        draft.fields.put("remote_user", user.into());
    }
    put_request(&mut draft, request);
    draft.fields.put("status", status.into());
    if let Ok(bytes) = bytes.parse::<u64>() {
        draft.fields.put("body_bytes_sent", bytes.into());
    }
    for name in ["referer", "user_agent"] {
        let Some((value, behind)) = rest.strip_prefix(" \"").and_then(quoted) else { break };
        if value != "-" {
            draft.fields.put(name, value.into());
        }
        rest = behind;
    }
    put_rest(&mut draft, rest.trim_start());
    draft.text = Some(request.to_owned());
    Some(draft)
}

/// What a format of one's own adds: pairs, such as `rt=0.034`, or anything.
fn put_rest(draft: &mut Draft, rest: &str) {
    match logfmt::only_pairs(rest) {
        Some(pairs) => pairs.into_iter().for_each(|(name, value)| draft.fields.put(&name, value)),
        None => draft.fields.put("behind", rest.into()),
    }
}

/// `2026/01/27 10:20:30 [error] 12#34: *5 text, client: …, server: …, request: "…", …`
pub(super) fn error(line: &str, now: &Zoned) -> Option<Draft> {
    let (time, rest) = time::of_local(line, now)?;
    let (word, rest) = rest.strip_prefix(" [")?.split_once("] ")?;
    let (level, is_all) = Level::of_word(word)?;
    let (process, rest) = rest.split_once('#')?;
    let process: u32 = process.parse().ok()?;
    let (_thread, rest) = rest.split_once(": ")?;
    let mut draft = Draft { time: Some(time), level: Some(level), ..Draft::default() };
    if !is_all {
        draft.fields.put("level", word.into());
    }
    draft.fields.put("process", json!({"name": "nginx", "pid": process}));
    let connection = rest.strip_prefix('*').and_then(|rest| rest.split_once(' '));
    let numbered = connection.and_then(|(number, text)| Some((number.parse::<u64>().ok()?, text)));
    let text = numbered.map_or(rest, |(number, text)| {
        draft.fields.put("connection", number.into());
        text
    });
    for (mark, name) in SAID_BEHIND {
        let Some((_, behind)) = text.split_once(mark) else { continue };
        let value = match behind.strip_prefix('"') {
            Some(behind) => quoted(behind).map_or(behind, |(value, _)| value),
            None => behind.split_once(", ").map_or(behind, |(value, _)| value),
        };
        if name == "request" {
            put_request(&mut draft, value);
        } else {
            draft.fields.put(name, value.into());
        }
    }
    draft.text = Some(text.to_owned());
    Some(draft)
}

/// JSON as `log_format … escape=json` makes it: all values are texts.
fn object(line: &str) -> Result<Draft, String> {
    let mut object = json::parse(line).map_err(|error| json::not_json(&error))?;
    let mut draft = Draft::default();
    if let Some(text) = object.get("time_local").and_then(Value::as_str)
        && let Some(time) = time::of_clf(text)
    {
        draft.time = Some(time);
        object.shift_remove("time_local");
    }
    if let Some(seconds) = object.get("request_time").and_then(number) {
        object.shift_remove("request_time");
        draft.fields.put("duration_ms", ((seconds * 1e6).round() / 1e3).into());
    }
    let request = object.shift_remove("request");
    if let Some(Value::String(request)) = &request {
        put_request(&mut draft, request);
        draft.text = Some(request.clone());
    }
    let named: Map<String, Value> = object
        .into_iter()
        .map(|(name, value)| {
            let ours = RENAMED.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| (*ours).to_owned());
            let is_number = matches!(name.as_str(), "status" | "body_bytes_sent" | "bytes_sent" | "msec");
            let value = Some(&value).filter(|_| is_number).and_then(number).map_or(value.clone(), whole);
            (ours.unwrap_or(name), value)
        })
        .collect();
    json::take_object(&mut draft, named, line, 0);
    Ok(draft)
}

/// A number as one if it has no fraction.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { number.into() }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// `GET /path?query HTTP/1.1`; anything else that came as a request is only the text.
fn put_request(draft: &mut Draft, request: &str) {
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(protocol), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return;
    };
    let is_method =
        !method.is_empty() && method.len() <= WORD_BYTES_MAX && method.bytes().all(|b| b.is_ascii_uppercase());
    if !is_method || !protocol.starts_with("HTTP/") {
        return;
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    draft.fields.put("method", method.into());
    draft.fields.put("path", path.into());
    if let Some(query) = query {
        draft.fields.put("query", query.into());
    }
    draft.fields.put("protocol", Value::from(Cow::Borrowed(protocol)));
}

/// What stands before a quote that no backslash stands before, and what is behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(['"', '\\'])?;
        if text[at..].starts_with('"') {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1 + text[at + 1..].chars().next()?.len_utf8();
    }
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(' ').unwrap_or(text.len()))
}
