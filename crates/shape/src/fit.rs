//! Brings a value into the kind of its field, or says why it cannot be.

use serde_json::Value;
use tollhouse_query::FieldKind;

/// The value as its field holds it. Arrays are brought into form value by value; `null` stays: it means "none".
///
/// # Errors
/// The value itself, unchanged, and what it should have been.
pub(crate) fn fit(kind: FieldKind, value: Value) -> Result<Value, (Value, &'static str)> {
    match (kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        (_, Value::Array(items)) => fit_all(kind, items),
        (FieldKind::Keyword | FieldKind::Text, value @ (Value::Number(_) | Value::Bool(_))) => {
            Ok(Value::String(value.to_string()))
        }
        (FieldKind::Keyword | FieldKind::Text | FieldKind::Date, value @ Value::String(_))
        | (FieldKind::Boolean, value @ Value::Bool(_))
        | (FieldKind::Double, value @ Value::Number(_)) => Ok(value),
        (FieldKind::Boolean, Value::String(text)) => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err((Value::String(text), "true or false")),
        },
        (FieldKind::Long, Value::Number(number)) => match number.as_i64() {
            Some(whole) => Ok(Value::from(whole)),
            None => cut(number.as_f64()).ok_or((Value::Number(number), "a whole number")),
        },
        (FieldKind::Long, Value::String(text)) => match text.trim().parse::<i64>() {
            Ok(whole) => Ok(Value::from(whole)),
            Err(_) => cut(text.trim().parse().ok()).ok_or((Value::String(text), "a whole number")),
        },
        (FieldKind::Double, Value::String(text)) => number(text.trim()).ok_or((Value::String(text), "a number")),
        (kind, value) => Err((value, expected(kind))),
    }
}

fn fit_all(kind: FieldKind, items: Vec<Value>) -> Result<Value, (Value, &'static str)> {
    let mut fitted = Vec::with_capacity(items.len());
    let original = items.clone();
    for item in items {
        match fit(kind, item) {
            Ok(item) => fitted.push(item),
            Err((_, expected)) => return Err((Value::Array(original), expected)),
        }
    }
    Ok(Value::Array(fitted))
}

/// A number with a fraction in a whole field is cut, as Elasticsearch's `coerce` does.
fn cut(number: Option<f64>) -> Option<Value> {
    // 2^63: every smaller number fits.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let whole = number?.trunc();
    (whole > -LIMIT && whole < LIMIT).then(|| Value::from(whole as i64))
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    // Infinite and not-a-number have no JSON number.
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
}

fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword | FieldKind::Text => "a text",
        FieldKind::Long => "a whole number",
        FieldKind::Double => "a number",
        FieldKind::Boolean => "true or false",
        FieldKind::Date => "a date",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_brought_into_kind() {
        for (kind, value, expected) in [
            (FieldKind::Long, json!("200"), Some(json!(200))),
            (FieldKind::Long, json!(" 200 "), Some(json!(200))),
            (FieldKind::Long, json!(200.9), Some(json!(200))),
            (FieldKind::Long, json!("2e3"), Some(json!(2000))),
            (FieldKind::Long, json!(u64::MAX), None),
            (FieldKind::Long, json!("NaN"), None),
            (FieldKind::Long, json!(true), None),
            (FieldKind::Long, json!(["1", 2]), Some(json!([1, 2]))),
            (FieldKind::Long, json!([1, "x"]), None),
            (FieldKind::Long, json!(null), Some(json!(null))),
            (FieldKind::Double, json!("3000"), Some(json!(3000))),
            (FieldKind::Double, json!("3000.5"), Some(json!(3000.5))),
            (FieldKind::Double, json!("inf"), None),
            (FieldKind::Double, json!("slow"), None),
            (FieldKind::Keyword, json!(42), Some(json!("42"))),
            (FieldKind::Keyword, json!({"a": 1}), None),
            (FieldKind::Text, json!(false), Some(json!("false"))),
            (FieldKind::Boolean, json!("true"), Some(json!(true))),
            (FieldKind::Boolean, json!(1), None),
        ] {
            let fitted = fit(kind, value.clone());
            match expected {
                Some(expected) => assert_eq!(fitted, Ok(expected), "{kind:?} {value}"),
                None => assert_eq!(fitted.map_err(|(value, _)| value), Err(value), "{kind:?}"),
            }
        }
    }
}
