//! Lines as programs write them, and what is read in them; and that no bytes at all are too odd.
//!
//! Beside each `NAME.lines` lies `NAME.entries`: what its lines say, one entry a line. `\xNN` stands for a byte. Run with
//! `UPDATE_CASES=1` to write the entries anew, and look at the difference as at a change of the interface.

mod properties;

use std::fs;
use std::path::Path;

use jiff::Zoned;
use serde_json::{Value, json};
use tollhouse_collect::formats::{self, Entry, Format};

/// When all lines came.
fn now() -> Zoned {
    "2026-01-27T10:20:31+08:00[Asia/Shanghai]".parse().unwrap()
}

fn shown(entry: &Entry) -> Value {
    let mut shown = serde_json::Map::new();
    let mut put = |name: &str, value: Option<Value>| shown.extend(value.map(|value| (name.to_owned(), value)));
    put("time", entry.time.map(|time| time.to_string().into()));
    put("level", entry.level.map(|level| level.as_str().into()));
    put("text", Some(entry.text.as_str().into()));
    put("fields", Some(entry.fields.clone().into()).filter(|_| !entry.fields.is_empty()));
    put("parse_error", entry.parse_error.as_deref().map(Value::from));
    put("is_cut", entry.is_cut.then(|| json!(true)));
    put("has_bytes", entry.has_bytes.then(|| json!(true)));
    shown.into()
}

/// A line of a case with its `\xNN` as bytes.
fn bytes(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}

fn check(name: &str, read: impl Fn(&[u8]) -> Option<Entry>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let lines = fs::read_to_string(folder.join(format!("{name}.lines"))).unwrap();
    let told: String = lines
        .lines()
        .map(|line| match read(&bytes(line)) {
            Some(entry) => format!("{}\n", shown(&entry)),
            None => "null\n".to_owned(),
        })
        .collect();
    let beside = folder.join(format!("{name}.entries"));
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(&beside, &told).unwrap();
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    for ((line, told), expected) in lines.lines().zip(told.lines()).zip(expected.lines()) {
        assert_eq!(told, expected, "{line}");
    }
    assert_eq!(told.lines().count(), expected.lines().count());
}

#[test]
fn syslog_messages() {
    check("syslog", |message| Some(formats::syslog(message, &now())));
}

#[test]
fn json_lines() {
    check("json", |line| formats::json(std::str::from_utf8(line).unwrap()));
}

/// Lines of one format, and what their own look says of them.
fn check_format(name: &str, format: Format) {
    check(name, |line| Some(format.read(std::str::from_utf8(line).unwrap(), &now())));
}

#[test]
fn lines_of_each_format() {
    for (name, format) in [
        ("openclaw", Format::Openclaw),
        ("nginx", Format::Nginx),
        ("logfmt", Format::Logfmt),
        ("ollama", Format::Ollama),
        ("llama.cpp", Format::LlamaCpp),
        ("syslog-files", Format::Syslog),
        ("plain", Format::Plain),
    ] {
        check_format(name, format);
    }
}

#[test]
fn journald_entries() {
    check("journald", |line| Some(formats::journald(line, None, &now()).entry));
    let cursor = |line: &str| formats::journald(line.as_bytes(), Some(Format::Plain), &now()).cursor;
    assert_eq!(cursor(r#"{"__CURSOR":"s=1;i=2","MESSAGE":"x"}"#).as_deref(), Some("s=1;i=2"));
    assert_eq!(cursor("{}"), None);
}

#[test]
fn most_lines_show_their_format() {
    for (name, format) in [
        ("openclaw", Format::Openclaw),
        ("nginx", Format::Nginx),
        ("logfmt", Format::Logfmt),
        ("ollama", Format::Ollama),
        ("llama.cpp", Format::LlamaCpp),
        ("syslog-files", Format::Syslog),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(format!("{name}.lines"));
        let lines = fs::read_to_string(file).unwrap();
        let first = lines.lines().next().unwrap();
        assert_eq!(Format::guess(first, &now()), Some(format), "{first}");
    }
    for line in ["", "just text", "2026-01-27 10:20:30,456 ERROR root: it broke", "{", "a=1", "Error: x (a=b)", "<x>"] {
        assert_eq!(Format::guess(line, &now()), None, "{line}");
    }
    assert_eq!(Format::guess("{}", &now()), Some(Format::Json));
}

#[test]
fn beats_events() {
    check("beats", |event| Some(formats::beats(event)));
}
