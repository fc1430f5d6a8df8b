//! Values of a request as values of a field: what stands for a missing one, what a list names, what a page ended with.

use serde_json::Value;
use tollhouse_query::date::Zone;
use tollhouse_query::fields::FieldKind;

use super::super::key::Key;
use crate::column::Number;
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::filter::Moment;

/// The value as a key of the field's buckets.
pub(super) fn key_of(value: &Value, field: &FieldRef, moment: Moment) -> Result<Key, StoreError> {
    let bad = || StoreError::invalid(format!("the value [{value}] does not fit the field [{}]", field.name));
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(match field.kind {
        Some(FieldKind::Keyword | FieldKind::Text) => Key::Text(text),
        Some(FieldKind::Long) => {
            // A whole number may be written with a fraction.
            let whole = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0).map(|number| number as i64);
            Key::Whole(text.parse().ok().or_else(whole).ok_or_else(bad)?)
        }
        Some(FieldKind::Double) => Key::Fraction(text.parse().map_err(|_| bad())?),
        Some(FieldKind::Boolean) => Key::Whole(match text.as_str() {
            "true" | "1" => 1,
            "false" | "0" => 0,
            _ => return Err(bad()),
        }),
        Some(FieldKind::Date) => Key::Whole(Zone::utc().parse_date(value, false, moment.now_ms)?),
        None => match value {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Key::Whole(whole),
                None => Key::Fraction(number.as_f64().unwrap_or(f64::NAN)).whole_if_possible(),
            },
            Value::Bool(value) => Key::Whole(i64::from(*value)),
            _ => Key::Text(text),
        },
    })
}

/// The value as a number that one can calculate with.
pub(super) fn number_of(value: &Value, field: &FieldRef, moment: Moment) -> Result<f64, StoreError> {
    let number = match (field.kind, value) {
        (Some(FieldKind::Date), value) => Zone::utc().parse_date(value, false, moment.now_ms)? as f64,
        (_, Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        (_, Value::Bool(value)) => f64::from(u8::from(*value)),
        (_, Value::String(text)) => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    };
    if number.is_finite() {
        return Ok(number);
    }
    Err(StoreError::invalid(format!("the value [{value}] does not fit the field [{}]", field.name)))
}

/// The value as a number that is looked for in columns; `None` for texts.
pub(super) fn exact_number(value: &Value, field: &FieldRef, moment: Moment) -> Result<Option<Number>, StoreError> {
    Ok(match key_of(value, field, moment)? {
        Key::Whole(value) => Some(Number::I64(value)),
        Key::Fraction(value) => Some(Number::F64(value)),
        Key::Missing | Key::Text(_) | Key::Many(_) => None,
    })
}
