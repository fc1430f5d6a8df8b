//! The value that a bucket stands for, comparable over segments and days.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::column::Number;

/// Key of a bucket. Numbers come before texts.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl Key {
    pub(crate) fn number(number: Number) -> Self {
        match number {
            Number::I64(value) => Key::Whole(value),
            Number::U64(value) => i64::try_from(value).map_or(Key::Fraction(value as f64), Key::Whole),
            Number::F64(value) => Key::Fraction(value),
        }
    }

    /// For undeclared fields, which may hold `1` in one segment and `1.0` in another.
    pub(crate) fn whole_if_possible(self) -> Self {
        /// Up to here each whole number has an `f64` of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Key::Fraction(value) if value.fract() == 0.0 && value.abs() <= EXACT => Key::Whole(value as i64),
            key => key,
        }
    }

    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Key::Whole(value) => *value as f64,
            Key::Fraction(value) => *value,
            Key::Text(_) => f64::NAN,
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Whole(a), Key::Whole(b)) => a.cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Text(_), _) => Ordering::Greater,
            (_, Key::Text(_)) => Ordering::Less,
            (Key::Fraction(_), _) | (_, Key::Fraction(_)) => {
                self.as_f64().total_cmp(&other.as_f64()).then_with(|| self.rank().cmp(&other.rank()))
            }
        }
    }
}

impl Key {
    /// `1` and `1.0` are two keys with a fixed order.
    fn rank(&self) -> u8 {
        match self {
            Key::Whole(_) => 0,
            Key::Fraction(_) => 1,
            Key::Text(_) => 2,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Whole(value) => value.hash(state),
            Key::Fraction(value) => value.to_bits().hash(state),
            Key::Text(text) => text.hash(state),
        }
    }
}
