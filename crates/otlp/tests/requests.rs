//! Requests of both encodings read the same, and nothing that comes from outside panics or grows without bound.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tollhouse_otlp::{Encoding, LINE_BYTES_MAX, LINES_MAX, LogLine, Origin, OtlpError, Rejected, read, write};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn read_all(body: &[u8], encoding: Encoding) -> Result<(Vec<(Origin, LogLine)>, Rejected), OtlpError> {
    let mut lines = Vec::new();
    let rejected = read(body, encoding, |origin, line| lines.push((origin.clone(), line)))?;
    Ok((lines, rejected))
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A request as the specification's example has it, and what it says.
fn example() -> (String, Origin, LogLine) {
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "openclaw"}},
            {"key": "host.name", "value": {"stringValue": "böx"}},
        ]},
        "scopeLogs": [{
            "scope": {"name": "my.library", "version": "1.0.0", "attributes": [{"key": "a", "value": {"boolValue": true}}]},
            "logRecords": [{
                "timeUnixNano": "1769480430456000000",
                "observedTimeUnixNano": 1_769_480_430_457_000_000_u64,
                "severityNumber": 13, "severityText": "Warning",
                "traceId": TRACE.to_uppercase(), "spanId": SPAN,
                "eventName": "turn.end",
                "futureMember": {"x": 1},
                "body": {"stringValue": "Example log record"},
                "attributes": [
                    {"key": "string", "value": {"stringValue": "some string"}},
                    {"key": "int", "value": {"intValue": "10"}},
                    {"key": "double", "value": {"doubleValue": 637.704}},
                    {"key": "array", "value": {"arrayValue": {"values": [{"stringValue": "many"}, {"intValue": 2}]}}},
                    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
                    {"key": "none", "value": null},
                ],
            }],
        }],
    }]});
    let origin = Origin {
        resource: object(&json!({"service.name": "openclaw", "host.name": "böx"})),
        scope: "my.library".to_owned(),
        scope_version: "1.0.0".to_owned(),
        scope_attributes: object(&json!({"a": true})),
    };
    let line = LogLine {
        time_ns: Some(1_769_480_430_456_000_000),
        observed_ns: Some(1_769_480_430_457_000_000),
        severity: 13,
        severity_text: "Warning".to_owned(),
        body: json!("Example log record"),
        attributes: object(&json!({
            "string": "some string", "int": 10, "double": 637.704, "array": ["many", 2], "map": {"k": "v"}, "none": null,
        })),
        trace_id: Some(TRACE.to_owned()),
        span_id: Some(SPAN.to_owned()),
        event_name: "turn.end".to_owned(),
    };
    (body.to_string(), origin, line)
}

#[test]
fn both_encodings_say_the_same() {
    let (body, origin, line) = example();
    let expected = (vec![(origin.clone(), line.clone())], Rejected::default());
    assert_eq!(read_all(body.as_bytes(), Encoding::Json).unwrap(), expected);
    let protobuf = write([(origin, vec![line])]);
    assert_eq!(read_all(&protobuf, Encoding::Protobuf).unwrap(), expected);
}

#[test]
fn writers_have_their_own_ways() {
    let one = |record: &Value| {
        let body = json!({"resource_logs": [{"resource": null, "scope_logs": [{"log_records": [record]}, {"logRecords": null}]}]});
        let (lines, rejected) = read_all(body.to_string().as_bytes(), Encoding::Json).unwrap();
        assert_eq!((lines.len(), rejected.lines), (1, 0), "{record}");
        lines.into_iter().next().unwrap().1
    };
    for (severity, number) in [
        (json!("SEVERITY_NUMBER_INFO"), 9),
        (json!("SEVERITY_NUMBER_FATAL4"), 24),
        (json!("17"), 17),
        (json!(25), 0),
        (json!("loud"), 0),
        (json!(null), 0),
    ] {
        assert_eq!(one(&json!({"severityNumber": severity})).severity, number, "{severity}");
    }
    assert_eq!(one(&json!({"trace_id": "0".repeat(32), "spanId": "xyz"})), LogLine::default());
    assert_eq!(one(&json!({"body": {"doubleValue": "NaN"}})).body, "NaN");
    assert_eq!(one(&json!({"body": {"stringValue": null, "intValue": "7"}})).body, 7);
    assert_eq!(one(&json!({"time_unix_nano": "0", "attributes": {"no": "list"}})), LogLine::default());
    let nothing: [&[u8]; 3] = [b"{}", b"{\"resourceLogs\":[]}", b"{\"other\":1}"];
    for body in nothing {
        assert!(read_all(body, Encoding::Json).unwrap().0.is_empty());
    }
    assert!(read_all(b"", Encoding::Protobuf).unwrap().0.is_empty());
}

#[test]
fn a_record_that_is_wrong_leaves_the_others() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[7,{"body":{"stringValue":"kept"}},[]]}]}]}"#;
    let (lines, rejected) = read_all(body.as_bytes(), Encoding::Json).unwrap();
    assert_eq!((lines.len(), rejected.lines), (1, 2));
    assert!(rejected.why.starts_with("reading a record: invalid type"), "{}", rejected.why);

    let long = LogLine { body: Value::from("x".repeat(LINE_BYTES_MAX)), ..LogLine::default() };
    let short = LogLine { body: Value::from("y"), ..LogLine::default() };
    let body = write([(Origin::default(), vec![long, short.clone()])]);
    let (lines, rejected) = read_all(&body, Encoding::Protobuf).unwrap();
    assert_eq!((lines, rejected.lines), (vec![(Origin::default(), short)], 1));
    assert!(rejected.why.contains("is larger than 1048576"), "{}", rejected.why);
}

#[test]
fn what_is_no_request_is_refused_as_a_whole() {
    for body in ["", "[]", "null", "{\"resourceLogs\":{}}", "{\"resourceLogs\":[{\"scopeLogs\":[", "\u{feff}{}"] {
        assert!(matches!(read_all(body.as_bytes(), Encoding::Json), Err(OtlpError::Json(_))), "{body}");
    }
    let (_, origin, line) = example();
    let whole = write([(origin, vec![line])]);
    for end in 1..whole.len() {
        // What is torn inside of a record only costs that record, and the lengths around it are wrong then.
        assert!(read_all(&whole[..end], Encoding::Protobuf).is_err(), "{end}");
    }
    // {resource_logs {scope_logs {log_record {} …}}}, two bytes a record.
    let records = [0x12, 0].repeat(LINES_MAX + 1);
    let mut body = Vec::new();
    for (number, inner) in [(0x12_u8, records), (0x0a, Vec::new())] {
        let inner = if inner.is_empty() { body.clone() } else { inner };
        let mut length = inner.len();
        body = vec![number];
        while length >= 0x80 {
            body.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend(inner);
    }
    assert!(matches!(read_all(&body, Encoding::Protobuf), Err(OtlpError::TooMany)));
}

#[test]
fn depth_is_bounded() {
    let mut any = r#"{"stringValue":"x"}"#.to_owned();
    for _ in 0..200 {
        any = format!(r#"{{"arrayValue":{{"values":[{any}]}}}}"#);
    }
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{any}}}]}}]}}]}}"#);
    let (lines, rejected) = read_all(body.as_bytes(), Encoding::Json).unwrap();
    assert_eq!((lines.len(), rejected.lines), (0, 1));
    let nested = (0..200).fold(json!("x"), |value, _| json!([value]));
    let body = write([(Origin::default(), vec![LogLine { body: nested, ..LogLine::default() }])]);
    let (lines, rejected) = read_all(&body, Encoding::Protobuf).unwrap();
    assert_eq!((lines.len(), rejected.lines), (0, 1));
}

/// A request, broken at random: bytes changed, cut out, put in twice.
fn broken(mut bytes: Vec<u8>, cuts: &[(Index, Index, u8)]) -> Vec<u8> {
    for (from, to, change) in cuts {
        if bytes.is_empty() {
            break;
        }
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let (from, to) = (from.min(to), from.max(to));
        match change % 4 {
            0 => bytes[from] = *change,
            1 => drop(bytes.drain(from..to)),
            2 => bytes = [&bytes[..to], &bytes[from..]].concat(),
            _ => bytes[from] ^= 1 << (change % 8),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_that_comes_panics(cuts in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..6), is_json in any::<bool>()) {
        let (text, origin, line) = example();
        let (bytes, encoding) = if is_json {
            (text.into_bytes(), Encoding::Json)
        } else {
            (write([(origin, vec![line.clone(), line])]), Encoding::Protobuf)
        };
        if let Ok((lines, rejected)) = read_all(&broken(bytes, &cuts), encoding) {
            // What was read is written, and reads the same again.
            prop_assert!(rejected.lines <= 64);
            let again = write(lines.iter().map(|(origin, line)| (origin.clone(), vec![line.clone()])));
            let (read_again, _) = read_all(&again, Encoding::Protobuf).unwrap();
            prop_assert_eq!(read_again.len(), lines.len());
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read_all(&bytes, Encoding::Protobuf);
        let mut text = String::new();
        for byte in &bytes {
            write!(text, "{}", char::from(*byte)).unwrap();
        }
        let _ = read_all(text.as_bytes(), Encoding::Json);
    }
}
