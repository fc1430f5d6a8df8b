//! The values of a document, found by name and compared by kind.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::ast::Bound;
use crate::fit::text_of;
use crate::matches::Source;

/// Looks a name up: as it is written, then dot by dot into objects. Visits each value, those of arrays one by one, until
/// `test` says yes.
pub(super) fn any_value(document: &impl Source, name: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    if let Some(value) = document.field(name)
        && any_leaf(&value, test)
    {
        return true;
    }
    name.match_indices('.').any(|(dot, _)| match document.field(&name[..dot]) {
        Some(inner) => any_inside(&inner, &name[dot + 1..], test),
        None => false,
    })
}

fn any_inside(value: &Value, rest: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Object(object) => any_value(object, rest, test),
        Value::Array(items) => items.iter().any(|item| any_inside(item, rest, test)),
        _ => false,
    }
}

fn any_leaf(value: &Value, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(|item| any_leaf(item, test)),
        Value::Object(object) => object.values().any(|value| any_leaf(value, test)),
        value => test(value),
    }
}

/// One end of a range with its value read.
pub(super) enum End<T> {
    Open,
    Inclusive(T),
    Exclusive(T),
}

impl<T> End<T> {
    /// `None` when the value cannot be read.
    pub(super) fn read(bound: &Bound, read: impl FnOnce(&Value) -> Option<T>) -> Option<Self> {
        Some(match bound {
            Bound::Open => Self::Open,
            Bound::Inclusive(value) => Self::Inclusive(read(value)?),
            Bound::Exclusive(value) => Self::Exclusive(read(value)?),
        })
    }

    /// `compare` looks from the bound towards the inside: greater is well inside.
    pub(super) fn admits(&self, compare: impl FnOnce(&T) -> Ordering) -> bool {
        match self {
            Self::Open => true,
            Self::Inclusive(end) => compare(end).is_ge(),
            Self::Exclusive(end) => compare(end).is_gt(),
        }
    }
}

pub(super) fn in_texts(value: &str, lower: &Bound, upper: &Bound) -> bool {
    let read = |value: &Value| text_of(value).map(Cow::into_owned);
    let (Some(lower), Some(upper)) = (End::read(lower, read), End::read(upper, read)) else { return false };
    lower.admits(|lower| value.cmp(lower.as_str())) && upper.admits(|upper| upper.as_str().cmp(value))
}

pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text == "true" => Some(true),
        // Elasticsearch takes an empty string for false.
        Value::String(text) if text == "false" || text.is_empty() => Some(false),
        _ => None,
    }
}

/// A number that is compared exactly as long as it is whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numeric {
    Whole(i128),
    Fraction(f64),
}

impl Numeric {
    /// Numbers, and strings of a number.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::of(number)),
            Value::String(text) => {
                let text = text.trim();
                if let Ok(whole) = text.parse::<i64>() {
                    return Some(Self::Whole(whole.into()));
                }
                text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Self::Fraction)
            }
            _ => None,
        }
    }

    pub(super) fn of(number: &Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map_or_else(|| Self::Fraction(number.as_f64().unwrap_or_default()), Self::Whole)
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            _ => self.as_f64().total_cmp(&other.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            // -0 equals 0 as a number.
            Self::Fraction(fraction) => fraction + 0.0,
        }
    }
}
