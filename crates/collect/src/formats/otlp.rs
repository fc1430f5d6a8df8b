//! Log records of OpenTelemetry.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tollhouse_otlp::{LogLine, Origin};

use super::json::{self, Draft};
use super::level::Level;
use super::{Entry, beginning, time};

/// Values of maps stand by themselves, their names joined by dots, so many maps deep.
const DEPTH_MAX: usize = 8;
/// Of a body that is a list, so many bytes stand as the text.
const BODY_BYTES_MAX: usize = 4 << 10;

/// Reads a log record. What is most needed to find it again has the first places among its fields: ids, service, its own
/// attributes; then its scope and the rest of its resource.
pub fn otlp(origin: &Origin, line: LogLine) -> Entry {
    let mut draft = Draft { time: line.time_ns.or(line.observed_ns).and_then(moment), ..Draft::default() };
    let named = Level::of_word(&line.severity_text);
    draft.level = of_severity(line.severity).or(named.map(|(level, _)| level));
    for (name, id) in [("trace_id", line.trace_id), ("span_id", line.span_id)] {
        if let Some(id) = id {
            draft.fields.put(name, id.into());
        }
    }
    let service = origin.resource.get("service.name");
    if let Some(service) = service {
        draft.fields.put("service.name", service.clone());
    }
    if !line.event_name.is_empty() {
        draft.fields.put("event.name", line.event_name.into());
    }
    let is_all = named.is_some_and(|(level, is_all)| is_all && draft.level == Some(level));
    if !line.severity_text.is_empty() && !is_all {
        draft.fields.put("severity_text", line.severity_text.into());
    }
    put_all(&mut draft, line.attributes, "", 0);
    read_body(&mut draft, line.body);
    for (name, text) in [("otel.scope.name", &origin.scope), ("otel.scope.version", &origin.scope_version)] {
        if !text.is_empty() {
            draft.fields.put(name, text.as_str().into());
        }
    }
    put_all(&mut draft, origin.scope_attributes.clone(), "otel.scope", 0);
    let rest = origin.resource.iter().filter(|(name, _)| *name != "service.name");
    put_all(&mut draft, rest.map(|(name, value)| (name.clone(), value.clone())).collect(), "", 0);
    draft.finish()
}

fn moment(nanoseconds: u64) -> Option<Timestamp> {
    time::read(&Value::from(nanoseconds))
}

/// Of a severity's number: four for each level, and those of `fatal` are errors.
fn of_severity(number: u8) -> Option<Level> {
    Some(match number {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17..=24 => Level::Error,
        _ => return None,
    })
}

fn read_body(draft: &mut Draft, body: Value) {
    match body {
        Value::Null => {}
        Value::String(text) => {
            // Programs that write JSON to their output are collected so: the line is the body.
            if !json::is_meant(&text) || json::read(draft, &text, 0).is_err() {
                draft.text = Some(text);
            }
        }
        Value::Object(members) => {
            let text = Value::Object(members.clone()).to_string();
            json::take_object(draft, members, &text, 0);
        }
        other => {
            let text = other.to_string();
            draft.text = Some(beginning(&text, BODY_BYTES_MAX).0.to_owned());
            draft.fields.put("body", other);
        }
    }
}

fn put_all(draft: &mut Draft, members: Map<String, Value>, before: &str, depth: usize) {
    for (name, value) in members {
        let name = if before.is_empty() { name } else { format!("{before}.{name}") };
        match value {
            Value::Null => {}
            Value::Object(members) if depth < DEPTH_MAX && !members.is_empty() => {
                put_all(draft, members, &name, depth + 1);
            }
            value => draft.fields.put(&name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_record_keeps_what_it_says() {
        let origin = Origin {
            resource: object(&json!({"host.name": "box", "service.name": "openclaw", "process": {"pid": 7}})),
            scope: "gateway".to_owned(),
            scope_version: "2".to_owned(),
            scope_attributes: Map::new(),
        };
        let line = LogLine {
            observed_ns: Some(1_769_480_430_456_000_000),
            severity: 21,
            severity_text: "FATAL".to_owned(),
            body: json!("model not found"),
            attributes: object(
                &json!({"request_id": "r-1", "gen_ai": {"usage": {"input_tokens": 7}}, "seq": 9, "none": null}),
            ),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            span_id: Some("b7ad6b7169203331".to_owned()),
            ..LogLine::default()
        };
        let entry = otlp(&origin, line);
        assert_eq!(entry.time.unwrap().to_string(), "2026-01-27T02:20:30.456Z");
        assert_eq!((entry.level, entry.text.as_str()), (Some(Level::Error), "model not found"));
        let expected = json!({
            "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "service.name": "openclaw",
            "severity_text": "FATAL", "request_id": "r-1", "gen_ai.usage.input_tokens": 7, "own_seq": 9,
            "otel.scope.name": "gateway", "otel.scope.version": "2", "host.name": "box", "process.pid": 7,
        });
        assert_eq!(Value::Object(entry.fields), expected);
    }

    #[test]
    fn bodies_have_many_forms() {
        let of_body = |body: Value| otlp(&Origin::default(), LogLine { severity: 9, body, ..LogLine::default() });
        for (body, text, fields) in [
            (json!("plain"), "plain", json!({})),
            (json!(null), "", json!({})),
            (json!("{\"msg\":\"inner\",\"status\":500}"), "inner", json!({"status": 500})),
            (json!("{\"broken"), "{\"broken", json!({})),
            (json!({"message": "m", "level": "error", "a": {"b": 1}}), "m", json!({"a": {"b": 1}})),
            (json!([1, 2]), "[1,2]", json!({"body": [1, 2]})),
            (json!(7), "7", json!({"body": 7})),
        ] {
            let entry = of_body(body.clone());
            assert_eq!(
                (entry.text.as_str(), Value::Object(entry.fields), entry.level),
                (text, fields, Some(Level::Info)),
                "{body}"
            );
        }
    }
}
