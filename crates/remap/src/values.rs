//! JSON values into those of the language, and back.

use serde_json::{Map, Number, Value as Json};
use vrl::value::{ObjectMap, Value};

/// How deeply a program may nest what it leaves.
pub const DEPTH_MAX: usize = 64;

/// A value is nested deeper than [`DEPTH_MAX`].
#[derive(Debug)]
pub(crate) struct TooDeep;

pub(crate) fn object(map: Map<String, Json>) -> ObjectMap {
    map.into_iter().map(|(name, value)| (name.into(), value_of(value))).collect()
}

fn value_of(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Boolean(truth),
        Json::Number(number) => number_of(&number),
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::Array(items.into_iter().map(value_of).collect()),
        Json::Object(map) => Value::Object(object(map)),
    }
}

/// The language has no numbers above those of 63 bits: as a text, such a one keeps its digits.
fn number_of(number: &Number) -> Value {
    match (number.as_i64(), number.is_u64()) {
        (Some(whole), _) => Value::Integer(whole),
        (None, true) => Value::from(number.to_string()),
        (None, false) => Value::from_f64_or_zero(number.as_f64().unwrap_or_default()),
    }
}

pub(crate) fn map(object: ObjectMap) -> Result<Map<String, Json>, TooDeep> {
    members(object, DEPTH_MAX)
}

fn members(object: ObjectMap, depth: usize) -> Result<Map<String, Json>, TooDeep> {
    object.into_iter().map(|(name, value)| Ok((name.to_string(), json_of(value, depth)?))).collect()
}

fn json_of(value: Value, depth: usize) -> Result<Json, TooDeep> {
    let inside = depth.checked_sub(1).ok_or(TooDeep);
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => Json::Bool(truth),
        Value::Integer(whole) => Json::from(whole),
        // What is infinite has no number in JSON.
        Value::Float(number) => match Number::from_f64(number.into_inner()) {
            Some(number) => Json::Number(number),
            None => Json::from(number.to_string()),
        },
        Value::Array(items) => {
            let inside = inside?;
            Json::Array(items.into_iter().map(|item| json_of(item, inside)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => Json::Object(members(object, inside?)?),
        // Texts; times as RFC 3339; patterns as they are written.
        other => Json::String(other.to_string_lossy().into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let json = json!({"a": [1, -1.5, "é", null, true, {"b": {}}], "n": i64::MIN, "f": 1.0});
        assert_eq!(Json::from(map(object(json.as_object().unwrap().clone())).unwrap()), json);
        let large = json!({"n": u64::MAX});
        assert_eq!(
            Json::from(map(object(large.as_object().unwrap().clone())).unwrap()),
            json!({"n": "18446744073709551615"})
        );
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth| (0..depth).fold(Value::Null, |inside, _| Value::Array(vec![inside]));
        let of = |depth| map([("a".into(), nested(depth))].into_iter().collect());
        assert!(of(DEPTH_MAX).is_ok());
        assert!(of(DEPTH_MAX + 1).is_err());
    }
}
