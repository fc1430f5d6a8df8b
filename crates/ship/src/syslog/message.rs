//! A record as a message of RFC 5424, and its frame on a stream (RFC 6587, octet counting).
//!
//! ```text
//! LENGTH <PRI>1 2026-01-27T10:20:30.456Z HOST SERVICE - KIND [tollhouse@32473 seq="7" id="7-ab12"] MESSAGE
//! ```

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::SyslogMessage;
use crate::bulk::Item;

/// Facility `local0`.
const FACILITY: u8 = 16;
/// Whose structured data it is. The number is the one for examples (RFC 5612): we have none of our own.
const OWN: &str = "tollhouse@32473";
/// The same for a record's fields.
const FIELDS: &str = "fields@32473";
/// Bounds of a head's parts, in characters (RFC 5424, section 6).
const HOST_CHARS_MAX: usize = 255;
const APP_CHARS_MAX: usize = 48;
const KIND_CHARS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 32;
/// Where this machine's name stands; where there is no such file, messages have none.
const HOST_FILE: &str = "/proc/sys/kernel/hostname";

/// Writes messages.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    message: SyslogMessage,
    host: String,
}

impl Writer {
    /// Reads the name of this machine, so it blocks.
    pub(super) fn new(message: SyslogMessage) -> Self {
        let host = std::fs::read_to_string(HOST_FILE).unwrap_or_default();
        Self { message, host: host.trim().to_owned() }
    }

    /// The message of a record, without a frame.
    pub(super) fn message(&self, item: &Item) -> Vec<u8> {
        let document: Map<String, Value> = serde_json::from_slice(&item.source).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let host = text("host.name").or_else(|| document.get("host")?.get("name")?.as_str()).unwrap_or(&self.host);
        let mut out = format!(
            "<{}>1 {} {} {} - {} [{OWN} seq=\"{}\" id=\"{}\"]",
            FACILITY * 8 + severity(text("level").unwrap_or_default()),
            text("@timestamp").filter(|time| is_time(time)).unwrap_or("-"),
            word(host, HOST_CHARS_MAX),
            word(text("service_name").unwrap_or_default(), APP_CHARS_MAX),
            word(text("kind").unwrap_or_default(), KIND_CHARS_MAX),
            item.seq,
            item.id,
        );
        match self.message {
            SyslogMessage::Json => {
                out.push(' ');
                let mut out = out.into_bytes();
                out.extend_from_slice(&item.source);
                out
            }
            SyslogMessage::Fields => {
                write_fields(&mut out, &document);
                out.push(' ');
                out.push_str(text("msg").unwrap_or_default());
                out.into_bytes()
            }
        }
    }
}

/// With its length in front.
pub(super) fn framed(message: Vec<u8>) -> Vec<u8> {
    let mut out = format!("{} ", message.len()).into_bytes();
    out.extend(message);
    out
}

fn write_fields(out: &mut String, document: &Map<String, Value>) {
    const ELSEWHERE: [&str; 6] = ["@timestamp", "level", "service_name", "kind", "seq", "msg"];
    let mut fields = document.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())).peekable();
    if fields.peek().is_none() {
        return;
    }
    let _: std::fmt::Result = write!(out, "[{FIELDS}");
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _: std::fmt::Result = write!(out, " {}=\"", word(name, NAME_CHARS_MAX));
        for c in text.chars() {
            // RFC 5424, section 6.3.3.
            if matches!(c, '"' | '\\' | ']') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(']');
}

/// Severities of RFC 5424, section 6.2.1.
fn severity(level: &str) -> u8 {
    match level {
        "error" => 3,
        "warn" => 4,
        "info" => 6,
        _ => 7,
    }
}

/// Whether it is a time as RFC 5424 wants it: RFC 3339 with at most six digits behind the second.
fn is_time(text: &str) -> bool {
    let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    digits <= 6 && text.parse::<jiff::Timestamp>().is_ok()
}

/// A part of the head, or a name in structured data: visible ASCII; `-` where there is nothing.
fn word(text: &str, chars_max: usize) -> String {
    let visible = |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '=' | ']') { c } else { '_' };
    let word: String = text.chars().take(chars_max).map(visible).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(message: SyslogMessage, document: &Value) -> String {
        let writer = Writer { message, host: "box".to_owned() };
        let item = Item {
            seq: 7,
            index: "gate-2026.01.27".to_owned(),
            id: "7-ab".to_owned(),
            source: document.to_string().into_bytes(),
            is_dead_letter: false,
        };
        String::from_utf8(writer.message(&item)).unwrap()
    }

    #[test]
    fn a_message_has_all_of_its_parts() {
        let document = json!({
            "@timestamp": "2026-01-27T10:20:30.456Z", "level": "warn", "service_name": "my gate", "kind": "request",
            "msg": "größer", "seq": 7, "path": "/a\"]\\", "status": 500,
        });
        assert_eq!(
            written(SyslogMessage::Json, &document),
            format!(
                "<132>1 2026-01-27T10:20:30.456Z box my_gate - request [tollhouse@32473 seq=\"7\" id=\"7-ab\"] {document}"
            )
        );
        assert_eq!(
            written(SyslogMessage::Fields, &document),
            "<132>1 2026-01-27T10:20:30.456Z box my_gate - request [tollhouse@32473 seq=\"7\" id=\"7-ab\"]\
             [fields@32473 path=\"/a\\\"\\]\\\\\" status=\"500\"] größer"
        );
        let other = json!({"@timestamp": "2026-01-27T10:20:30.1234567Z", "host": {"name": "其他"}});
        assert!(written(SyslogMessage::Fields, &other).starts_with("<135>1 - __ - - - [tollhouse@32473 "));
        assert_eq!(framed(b"abc".to_vec()), b"3 abc");
    }
}
