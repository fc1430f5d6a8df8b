//! Values of a query as numbers, texts and booleans.

use std::borrow::Cow;

use serde_json::{Number as JsonNumber, Value};
use tollhouse_query::ast::Bound;

use super::NumberRange;
use crate::column::Number;

/// The limits of a range of numbers; `None` when one of them is no number.
pub(super) fn number_range(lower: &Bound, upper: &Bound) -> Option<NumberRange> {
    let end = |bound: &Bound| match bound {
        Bound::Open => Ok(None),
        Bound::Inclusive(value) => number(value).map(|number| Some((number, true))).ok_or(()),
        Bound::Exclusive(value) => number(value).map(|number| Some((number, false))).ok_or(()),
    };
    Some(NumberRange { low: end(lower).ok()?, high: end(upper).ok()? })
}

/// Numbers, and strings of a number.
pub(super) fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(json_number(number)),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse() {
                return Some(Number::I64(whole));
            }
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::F64)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn json_number(number: &JsonNumber) -> Number {
    let whole = number.as_i64().map(Number::I64).or_else(|| number.as_u64().map(Number::U64));
    // -0 equals 0 as a number.
    whole.unwrap_or_else(|| Number::F64(number.as_f64().unwrap_or_default() + 0.0))
}

/// The text of a string, number or boolean.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Elasticsearch takes an empty string for false.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text == "true" => Some(true),
        Value::String(text) if text == "false" || text.is_empty() => Some(false),
        _ => None,
    }
}

pub(super) fn in_texts(value: &str, lower: &Bound, upper: &Bound) -> bool {
    let above = match lower {
        Bound::Open => true,
        Bound::Inclusive(low) => text(low).is_some_and(|low| value >= low.as_ref()),
        Bound::Exclusive(low) => text(low).is_some_and(|low| value > low.as_ref()),
    };
    let below = match upper {
        Bound::Open => true,
        Bound::Inclusive(high) => text(high).is_some_and(|high| value <= high.as_ref()),
        Bound::Exclusive(high) => text(high).is_some_and(|high| value < high.as_ref()),
    };
    above && below
}
