//! OTLP's values as JSON, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde_json::{Map, Number, Value};

/// A value as JSON. What JSON has no number for stands as a text (`NaN`), bytes stand in Base64.
pub(crate) fn of_any(any: AnyValue) -> Value {
    match any.value {
        // Indices are for profiles; a log has no table that they could be of.
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(value)) => value.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => of_double(number),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(of_any).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(of_pairs(list.values)),
        Some(Any::BytesValue(bytes)) => STANDARD.encode(bytes).into(),
    }
}

/// Attributes as members. Of two with one name, the later counts.
pub(crate) fn of_pairs(pairs: Vec<KeyValue>) -> Map<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map_or(Value::Null, of_any))).collect()
}

pub(crate) fn of_double(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

/// A JSON value as OTLP has it.
pub(crate) fn to_any(value: Value) -> AnyValue {
    let any = match value {
        Value::Null => None,
        Value::Bool(value) => Some(Any::BoolValue(value)),
        Value::Number(number) => Some(match number.as_i64() {
            Some(number) => Any::IntValue(number),
            None => Any::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::String(text) => Some(Any::StringValue(text)),
        Value::Array(items) => Some(Any::ArrayValue(ArrayValue { values: items.into_iter().map(to_any).collect() })),
        Value::Object(members) => Some(Any::KvlistValue(KeyValueList { values: to_pairs(members) })),
    };
    AnyValue { value: any }
}

pub(crate) fn to_pairs(members: Map<String, Value>) -> Vec<KeyValue> {
    members.into_iter().map(|(key, value)| KeyValue { key, value: Some(to_any(value)), key_strindex: 0 }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_there_and_back() {
        for value in [
            json!(null),
            json!(true),
            json!(-7),
            json!(1.5),
            json!("größer"),
            json!([1, "a", null]),
            json!({"a": {"b": 1}}),
        ] {
            assert_eq!(of_any(to_any(value.clone())), value);
        }
        assert_eq!(of_any(AnyValue { value: Some(Any::DoubleValue(f64::NAN)) }), "NaN");
        assert_eq!(of_any(AnyValue { value: Some(Any::BytesValue(vec![1, 2, 255])) }), "AQL/");
        // Beyond 63 bits, JSON's integers are doubles there.
        assert_eq!(of_any(to_any(json!(u64::MAX))), json!(u64::MAX as f64));
    }
}
