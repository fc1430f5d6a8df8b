//! Taking typed values out of a JSON body, with errors that name the key.

use serde_json::{Map, Value};

use crate::error::{ParseError, hint};

/// The value as an object.
pub(super) fn object_of<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, ParseError> {
    value.as_object().ok_or_else(|| ParseError::parsing(format!("{what} must be an object, got {}", kind_of(value))))
}

/// The only entry of an object.
pub(super) fn single<'a>(map: &'a Map<String, Value>, what: &str) -> Result<(&'a str, &'a Value), ParseError> {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        (None, _) => Err(ParseError::parsing(format!("{what} is empty"))),
        (Some((first, _)), Some((second, _))) => {
            Err(ParseError::parsing(format!("{what} takes one entry, found [{first}] and [{second}]")))
        }
    }
}

/// Refuses keys that are not known.
pub(super) fn only_keys(what: &str, map: &Map<String, Value>, known: &[&str]) -> Result<(), ParseError> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            Err(ParseError::parsing(format!("[{what}] does not support [{key}]{}", hint(key, known.iter().copied()))))
        }
    }
}

/// A required string.
pub(super) fn required_string<'a>(map: &'a Map<String, Value>, key: &str, what: &str) -> Result<&'a str, ParseError> {
    let value = map.get(key).ok_or_else(|| ParseError::parsing(format!("[{what}] needs [{key}]")))?;
    string_of(value, key)
}

/// The value as a string.
pub(super) fn string_of<'a>(value: &'a Value, key: &str) -> Result<&'a str, ParseError> {
    value.as_str().ok_or_else(|| ParseError::parsing(format!("[{key}] must be a string, got {}", kind_of(value))))
}

/// The text of a string, number or boolean.
pub(super) fn text_of(value: &Value, key: &str) -> Result<String, ParseError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => {
            Err(ParseError::parsing(format!("[{key}] must be a string, a number or a boolean, got {}", kind_of(value))))
        }
    }
}

/// A string, number or boolean as it is.
pub(super) fn scalar_of(value: &Value, key: &str) -> Result<Value, ParseError> {
    text_of(value, key).map(|_| value.clone())
}

/// The value as a boolean; `"true"` and `"false"` count as such, as in Elasticsearch.
pub(super) fn bool_of(value: &Value, key: &str) -> Result<bool, ParseError> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(ParseError::parsing(format!("[{key}] must be a boolean, got {}", kind_of(value)))),
    }
}

/// The value as a number; strings of a number count as such.
pub(super) fn number_of(value: &Value, key: &str) -> Result<f64, ParseError> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| ParseError::parsing(format!("[{key}] must be a number, got {}", kind_of(value))))
}

/// The value as a whole number from 0.
pub(super) fn count_of(value: &Value, key: &str) -> Result<usize, ParseError> {
    let number = number_of(value, key)?;
    if number < 0.0 {
        return Err(ParseError::illegal(format!("[{key}] parameter cannot be negative, found [{number}]")));
    }
    if number > f64::from(i32::MAX) {
        return Err(ParseError::illegal(format!("[{key}] is too large: [{number}]")));
    }
    Ok(number as usize)
}

/// Refuses a key that may be given only with the value it has anyway.
pub(super) fn only_default(map: &Map<String, Value>, key: &str, default: &Value, what: &str) -> Result<(), ParseError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value == default => Ok(()),
        Some(value) if value.is_number() && value.as_f64() == default.as_f64() => Ok(()),
        Some(value) => Err(ParseError::parsing(format!(
            "[{key}] of [{what}] other than [{default}] is not supported, got {value}"
        ))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
