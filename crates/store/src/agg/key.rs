//! The value that a bucket stands for, comparable over segments and days.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::column::Number;

/// Key of a bucket. Numbers come before texts.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// Stands among [`Key::Many`] for a field that a document has not.
    Missing,
    Whole(i64),
    Fraction(f64),
    Text(String),
    /// Of several fields.
    Many(Vec<Key>),
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
            Key::Missing | Key::Text(_) | Key::Many(_) => f64::NAN,
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Whole(a), Key::Whole(b)) => a.cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Many(a), Key::Many(b)) => a.cmp(b),
            (Key::Whole(_) | Key::Fraction(_), Key::Whole(_) | Key::Fraction(_)) => {
                self.as_f64().total_cmp(&other.as_f64()).then_with(|| self.rank().cmp(&other.rank()))
            }
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl Key {
    /// Order of the kinds; `1` and `1.0` are two keys.
    fn rank(&self) -> u8 {
        match self {
            Key::Missing => 0,
            Key::Whole(_) => 1,
            Key::Fraction(_) => 2,
            Key::Text(_) => 3,
            Key::Many(_) => 4,
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
            Key::Missing => {}
            Key::Many(keys) => keys.hash(state),
        }
    }
}
