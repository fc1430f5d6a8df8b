//! Reads a request of JSON, leniently: other writers than the official ones have their own way with numbers and null.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::OtlpError;
use crate::line::{LogLine, Origin, Taking};
use crate::{LINE_BYTES_MAX, ids, value};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, alias = "resource_logs")]
    resource_logs: Option<Vec<ResourceLogs<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    resource: Option<Described>,
    #[serde(borrow, alias = "scope_logs")]
    scope_logs: Option<Vec<ScopeLogs<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    scope: Option<Described>,
    /// Each is read by itself: one that is wrong leaves the others.
    #[serde(borrow, alias = "log_records")]
    log_records: Option<Vec<&'a RawValue>>,
}

/// A resource or a scope.
#[derive(Default, Deserialize)]
struct Described {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    attributes: Value,
}

pub(crate) fn read<F: FnMut(&Origin, LogLine)>(body: &[u8], taking: &mut Taking<F>) -> Result<(), OtlpError> {
    let request: Request<'_> = serde_json::from_slice(body)?;
    for resource_logs in request.resource_logs.into_iter().flatten() {
        let resource = resource_logs.resource.unwrap_or_default();
        let mut origin = Origin { resource: of_pairs(resource.attributes), ..Origin::default() };
        for scope_logs in resource_logs.scope_logs.into_iter().flatten() {
            let scope = scope_logs.scope.unwrap_or_default();
            (origin.scope, origin.scope_version) = (scope.name.unwrap_or_default(), scope.version.unwrap_or_default());
            origin.scope_attributes = of_pairs(scope.attributes);
            for record in scope_logs.log_records.into_iter().flatten() {
                taking.take(&origin, line(record.get()))?;
            }
        }
    }
    Ok(())
}

fn line(text: &str) -> Result<LogLine, String> {
    if text.len() > LINE_BYTES_MAX {
        return Err(format!("a record of {} bytes is larger than {LINE_BYTES_MAX}", text.len()));
    }
    let mut record: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("reading a record: {error}"))?;
    let mut take = |name: &str, other: &str| record.remove(name).or_else(|| record.remove(other)).unwrap_or_default();
    let time = |value: &Value| number(value).and_then(|number| u64::try_from(number).ok()).filter(|time| *time != 0);
    let id = |value: &Value, length| ids::of_bytes(&ids::to_bytes(value.as_str()?, length)?, length);
    Ok(LogLine {
        time_ns: time(&take("timeUnixNano", "time_unix_nano")),
        observed_ns: time(&take("observedTimeUnixNano", "observed_time_unix_nano")),
        severity: severity(&take("severityNumber", "severity_number")),
        severity_text: text_of(take("severityText", "severity_text")),
        body: of_any(take("body", "body")),
        attributes: of_pairs(take("attributes", "attributes")),
        trace_id: id(&take("traceId", "trace_id"), ids::TRACE_BYTES),
        span_id: id(&take("spanId", "span_id"), ids::SPAN_BYTES),
        event_name: text_of(take("eventName", "event_name")),
    })
}

/// By number, or by name: `SEVERITY_NUMBER_INFO2`.
fn severity(value: &Value) -> u8 {
    const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let named = || {
        let name = value.as_str()?.strip_prefix("SEVERITY_NUMBER_")?;
        let (name, step) = match name.as_bytes().last()? {
            digit @ b'2'..=b'4' => (&name[..name.len() - 1], digit - b'1'),
            _ => (name, 0),
        };
        let place = NAMES.iter().position(|known| *known == name)?;
        Some(place as u8 * 4 + 1 + step)
    };
    let numbered = number(value).and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= 24);
    numbered.or_else(named).unwrap_or(0)
}

/// A whole number, written as one or as a text.
fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text_of(value: Value) -> String {
    if let Value::String(text) = value { text } else { String::new() }
}

/// `[{"key": …, "value": {…}}]` as members; what is not of that form is left out.
fn of_pairs(pairs: Value) -> Map<String, Value> {
    let Value::Array(pairs) = pairs else { return Map::new() };
    let member = |mut pair: Value| {
        let Some(Value::String(key)) = pair.get_mut("key").map(Value::take) else { return None };
        Some((key, pair.get_mut("value").map_or(Value::Null, |value| of_any(value.take()))))
    };
    pairs.into_iter().filter_map(member).collect()
}

/// `{"stringValue": …}` and its like.
fn of_any(any: Value) -> Value {
    let Value::Object(members) = any else { return Value::Null };
    let Some((name, found)) = members.into_iter().find(|(_, found)| !found.is_null()) else { return Value::Null };
    match name.as_str() {
        "stringValue" | "string_value" | "bytesValue" | "bytes_value" => Value::String(text_of(found)),
        "boolValue" | "bool_value" => Value::Bool(found.as_bool().unwrap_or(false)),
        "intValue" | "int_value" => match number(&found).map(i64::try_from) {
            Some(Ok(number)) => number.into(),
            _ => found,
        },
        "doubleValue" | "double_value" => match &found {
            Value::String(text) => text.parse().map_or_else(|_| found.clone(), value::of_double),
            _ => found,
        },
        "arrayValue" | "array_value" => match values(found) {
            Value::Array(items) => items.into_iter().map(of_any).collect(),
            _ => Value::Array(Vec::new()),
        },
        "kvlistValue" | "kvlist_value" => Value::Object(of_pairs(values(found))),
        _ => Value::Null,
    }
}

fn values(mut list: Value) -> Value {
    list.get_mut("values").map(Value::take).unwrap_or_default()
}
