//! A value of a journal line, read only as far as it has to be: what is a text or a number without more stays where it is in
//! the line.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Whole numbers of so many digits are below 2^63.
const WHOLE_DIGITS_MAX: usize = 18;

/// A value, and how it stands in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    json: Cow<'a, str>,
    leaf: Leaf<'a>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text without its quotes and escapes.
    Text(Cow<'a, str>),
    /// An array or an object; few are, and the others are moved about.
    Deep(Box<Value>),
}

impl<'a> Part<'a> {
    /// Reads a value that stands for itself, without spaces around it.
    pub(crate) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        let leaf = match json.as_bytes() {
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Leaf::Text(Cow::Borrowed(&json[1..json.len() - 1])),
            // Written anew, so that equal values are equal in the index too.
            [b'"' | b'{' | b'[', ..] => return Ok(Self::of(serde_json::from_str(json)?)),
            b"null" => Leaf::Null,
            b"true" => Leaf::Boolean(true),
            b"false" => Leaf::Boolean(false),
            // Most are small and whole.
            [b'1'..=b'9', rest @ ..] if rest.len() < WHOLE_DIGITS_MAX && rest.iter().all(u8::is_ascii_digit) => {
                let whole = json.bytes().fold(0_u64, |whole, digit| 10 * whole + u64::from(digit - b'0'));
                Leaf::Number(whole.into())
            }
            _ => Leaf::Number(serde_json::from_str(json)?),
        };
        Ok(Self { json: Cow::Borrowed(json), leaf })
    }

    /// A value that was made.
    pub(crate) fn of(value: Value) -> Self {
        let json = Cow::Owned(value.to_string());
        let leaf = match value {
            Value::Null => Leaf::Null,
            Value::Bool(on) => Leaf::Boolean(on),
            Value::Number(number) => Leaf::Number(number),
            Value::String(text) => Leaf::Text(Cow::Owned(text)),
            deep => Leaf::Deep(deep.into()),
        };
        Self { json, leaf }
    }

    /// As it stands in JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// What it is.
    pub fn leaf(&self) -> &Leaf<'a> {
        &self.leaf
    }

    /// Its text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.leaf {
            Leaf::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its whole number, where it is one that is not negative.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match &self.leaf {
            Leaf::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The value itself.
    pub(crate) fn into_value(self) -> Value {
        match self.leaf {
            Leaf::Null => Value::Null,
            Leaf::Boolean(on) => on.into(),
            Leaf::Number(number) => number.into(),
            Leaf::Text(text) => text.into_owned().into(),
            Leaf::Deep(value) => *value,
        }
    }

    /// As [`Part::into_value`], without taking it.
    pub(crate) fn value(&self) -> Cow<'_, Value> {
        Cow::Owned(match &self.leaf {
            Leaf::Deep(value) => return Cow::Borrowed(value),
            Leaf::Null => Value::Null,
            Leaf::Boolean(on) => (*on).into(),
            Leaf::Number(number) => number.clone().into(),
            Leaf::Text(text) => text.as_ref().into(),
        })
    }
}

impl<'a> From<&'a Value> for Leaf<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(on) => Self::Boolean(*on),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            deep => Self::Deep(deep.clone().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_stay_where_they_are() {
        for json in
            ["null", "true", "false", "0", "-7", "123456789012345678", "18446744073709551615", "1.5", "\"\"", "\"é中\""]
        {
            let part = Part::read(json).unwrap();
            assert!(matches!(part.json, Cow::Borrowed(_)), "{json}");
            assert_eq!((part.json(), part.value().to_string()), (json, json.to_owned()));
        }
        assert_eq!(Part::read(r#""\u00e9\n""#).unwrap().json(), "\"é\\n\"");
        for wrong in ["", "nul", "\"\\ud800\"", "[1", "1e999", "\"", "-"] {
            assert!(Part::read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(text in ".{0,12}|[\"\\\\\n/u]{0,6}") {
            let json = Value::from(text.as_str()).to_string();
            let part = Part::read(&json).unwrap();
            prop_assert_eq!(part.as_str(), Some(text.as_str()));
            prop_assert_eq!(part.json(), json.as_str());
            prop_assert_eq!(part.into_value(), Value::from(text));
        }
    }
}
