//! What holds for every line.

use std::fmt::Write;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollhouse_collect::formats::{
    self, Entry, FIELDS_BYTES_MAX, FIELDS_MAX, Format, HOUSE_NAMES, NAME_BYTES_MAX, OVERFLOW_BYTES_MAX, TEXT_BYTES_MAX,
};

use crate::now;

/// Nothing is larger than it may be, and no name is one of the house's.
fn assert_bounded(entry: &Entry) -> Result<(), TestCaseError> {
    prop_assert!(entry.text.len() <= TEXT_BYTES_MAX);
    prop_assert!(entry.fields.len() <= FIELDS_MAX + 1);
    let mut texts = 0;
    for (name, value) in &entry.fields {
        if name == "overflow" {
            prop_assert!(value.as_str().is_some_and(|text| text.len() <= OVERFLOW_BYTES_MAX));
            continue;
        }
        prop_assert!(!HOUSE_NAMES.contains(&name.as_str()) && name.len() <= NAME_BYTES_MAX + "own_".len(), "{name}");
        texts += value.as_str().map_or(0, str::len);
    }
    prop_assert!(texts <= FIELDS_BYTES_MAX);
    Ok(())
}

/// Pieces that mean something to one of the readers.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "<13>",
        "<191>",
        "1 ",
        "- ",
        "-",
        " ",
        "Jan 27 10:20:30 ",
        "2026-01-27T10:20:30Z ",
        "host ",
        "app[1]: ",
        "[a b=\"c\"]",
        "[",
        "]",
        "\"",
        "\\",
        "=",
        ":",
        "{",
        "}",
        "\"msg\":",
        "\"level\":\"info\"",
        ",",
        "@cee:",
        "{\"a\":1}",
        "\u{feff}",
        "中",
        "{\"message\":\"{\\\"a\\\":1}\"}",
        "null",
        "key=",
        "key=\"",
        "id=1 ",
        "[GIN] ",
        "2026/01/27 - 10:20:30",
        "2026/01/27 10:20:30 [error] 1#1: *2 ",
        " | 200 | 1.5s | ::1 | GET \"/\"",
        "127.0.0.1 - - [27/Jan/2026:10:20:30 +0800] \"GET / HTTP/1.1\" 200 5",
        "\x1b[",
        "31m",
        "slot x: id 0 | task 1 |",
        "request: GET / ::1 200",
        "eval time = 1 ms / 2 tokens",
        "{\"_meta\":{\"logLevelName\":\"INFO\"},\"0\":",
        "{\"MESSAGE\":[1,2",
        "1e999",
        "\\u0000",
        "\n",
        "\0",
    ];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

/// A word of a syslog header: visible ASCII, and not the word that says nothing.
fn word(chars_max: usize) -> impl Strategy<Value = String> {
    let text = format!("[!-~]{{1,{chars_max}}}");
    proptest::string::string_regex(&text).unwrap().prop_filter("`-` says nothing", |word| word != "-")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z@._]{0,6}", inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry(pieces in prop::collection::vec(piece(), 0..24)) {
        let bytes = pieces.concat();
        assert_bounded(&formats::syslog(&bytes, &now()))?;
        assert_bounded(&formats::beats(&bytes))?;
        assert_bounded(&formats::journald(&bytes, None, &now()).entry)?;
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        if let Some(entry) = formats::json(text) {
            assert_bounded(&entry)?;
        }
        let _ = Format::guess(text, &now());
        for format in Format::ALL {
            assert_bounded(&format.read(text, &now()))?;
        }
    }

    /// What RFC 5424 lets a sender say is read as it was said.
    #[test]
    fn a_message_of_rfc_5424_is_read_as_it_was_meant(
        (priority, ms) in (0_u8..=191, 0_i64..4_000_000_000_000),
        (host, app, id) in (word(40), word(48), word(32)),
        pid in any::<u32>(),
        data in prop::collection::vec(("[a-z]{1,8}@[0-9]{1,5}", "[a-zA-Z.]{1,8}", "\\PC{0,16}"), 0..3),
        text in "[^\\pC{\u{feff} ][\\PC]{0,40}",
    ) {
        let time = Timestamp::from_millisecond(ms).unwrap();
        // An element that is there twice is an error.
        let elements: std::collections::BTreeSet<_> = data.iter().map(|(element, _, _)| element).collect();
        prop_assume!(elements.len() == data.len());
        let mut expected = Map::new();
        let mut written = String::new();
        for (element, name, value) in &data {
            expected.insert(element.clone(), json!({name.as_str(): value}));
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
            write!(written, "[{element} {name}=\"{escaped}\"]").unwrap();
        }
        let written = if data.is_empty() { "-".to_owned() } else { written };
        prop_assume!(!text.starts_with("@cee:"));
        let message = format!("<{priority}>1 {time} {host} {app} {pid} {id} {written} {text}");
        let entry = formats::syslog(message.as_bytes(), &now());
        prop_assert_eq!(&entry.parse_error, &None);
        prop_assert_eq!(entry.time, Some(time));
        prop_assert_eq!(&entry.text, &text);
        prop_assert_eq!(&entry.fields["host"], &json!({"name": host}));
        prop_assert_eq!(&entry.fields["process"], &json!({"name": app, "pid": pid}));
        let syslog = &entry.fields["log"]["syslog"];
        prop_assert_eq!(&syslog["msgid"], &json!(id));
        let expected = (!data.is_empty()).then(|| Value::from(expected));
        prop_assert_eq!(syslog.get("structured_data"), expected.as_ref());
    }

    /// JSON that lies in the text of syslog or of an event says what it says by itself.
    #[test]
    fn json_says_the_same_in_any_envelope(members in prop::collection::vec(("[a-z]{1,8}", any_json()), 0..8)) {
        let mut object: Map<String, Value> = members.into_iter().collect();
        for name in ["host", "process", "log", "message", "event", "level", "severity", "lvl"] {
            object.shift_remove(name);
        }
        object.insert("msg".into(), "text".into());
        object.insert("ts".into(), "2026-01-27T10:20:30.456Z".into());
        let line = Value::from(object).to_string();
        let alone = formats::json(&line).unwrap();
        let message = format!("<13>1 - - - - - - {line}");
        let event = json!({"@timestamp": "2026-01-27T08:00:00Z", "message": line}).to_string();
        for mut other in [formats::syslog(message.as_bytes(), &now()), formats::beats(event.as_bytes())] {
            other.fields.shift_remove("log");
            other.level = None;
            prop_assert_eq!(&other, &alone);
        }
    }
}

#[test]
fn large_lines_are_cut_and_not_slow() {
    let text = "中".repeat(TEXT_BYTES_MAX);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many: Map<String, Value> = (0..100_000).map(|number| (format!("f{number}"), json!(number))).collect();
    let data = "[a b=\"\\]\"]".repeat(100_000);
    for (message, is_cut) in [
        (format!("<13>1 - - - - - - {text}"), true),
        (format!("<13>1 - - - - - - {}", json!({"msg": text})), true),
        (format!("<13>1 - - - - - - {{\"a\":{deep}}}"), true),
        (format!("<13>1 - - - - - - {}", Value::from(many)), true),
        (format!("<13>1 - - - - - {data} text"), true),
    ] {
        let entry = formats::syslog(message.as_bytes(), &now());
        assert_eq!(entry.is_cut, is_cut, "{}", &message[..60]);
        assert_bounded(&entry).unwrap();
    }
}
