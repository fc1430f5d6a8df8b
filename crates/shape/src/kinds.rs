//! Kinds that users declare for the own fields of lines.

use serde_json::{Map, Value};
use thiserror::Error;
use tollhouse_query::FieldKind;
use tollhouse_query::date::{Zone, parse_rfc3339};

use crate::catalogue::{RENAMED, catalogue};
use crate::fit::fit;

/// Most kinds that one source may have.
pub const KINDS_MAX: usize = 64;
/// Longest piece of a wrong value that is told, in characters.
const SHOWN_CHARS_MAX: usize = 128;
/// What is behind the name of a field whose value did not fit.
const KEPT_AS_TEXT: &str = "_text";
/// Whole numbers above this one are milliseconds, others seconds: that is the year 5138, or 1973.
const SECONDS_MAX: i64 = 100_000_000_000;

/// The kind of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnKind {
    /// A text; numbers and truth values become one.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A time: RFC 3339, or a number of seconds or milliseconds since 1970. It becomes RFC 3339 in UTC.
    Date,
}

/// A field whose kind cannot be declared.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{name}` has a kind already: it is {is} in every record")]
pub struct KindError {
    /// The field.
    pub name: String,
    is: &'static str,
}

/// Declared kinds, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kinds(Vec<(String, OwnKind)>);

impl Kinds {
    /// Declares the kinds of fields; one that is named twice has the last one.
    pub fn new(declared: impl IntoIterator<Item = (String, OwnKind)>) -> Result<Self, KindError> {
        let mut kinds: Vec<(String, OwnKind)> = Vec::new();
        for (name, kind) in declared {
            check(&name)?;
            match kinds.iter_mut().find(|(known, _)| *known == name) {
                Some((_, earlier)) => *earlier = kind,
                None => kinds.push((name, kind)),
            }
        }
        Ok(Self(kinds))
    }

    /// Whether none is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings the fields of a line into their kinds. A value that does not fit stays as a text under `<name>_text`; gives what to say
    /// of it.
    pub fn bring(&self, fields: &mut Map<String, Value>) -> Option<String> {
        let mut problems = Vec::new();
        for (name, kind) in &self.0 {
            let Some(value) = fields.get_mut(name) else { continue };
            match kind.fit(value.take()) {
                Ok(fitted) => *value = fitted,
                Err((wrong, expected)) => {
                    let text = wrong.as_str().map_or_else(|| wrong.to_string(), str::to_owned);
                    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                    problems.push(format!("{name}: {shown:?} is not {expected}"));
                    fields.shift_remove(name);
                    let mut beside = format!("{name}{KEPT_AS_TEXT}");
                    while fields.contains_key(&beside) {
                        beside.push('_');
                    }
                    fields.insert(beside, text.into());
                }
            }
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

impl OwnKind {
    fn fit(self, value: Value) -> Result<Value, (Value, &'static str)> {
        match self {
            Self::Text => fit(FieldKind::Keyword, value),
            Self::Integer => fit(FieldKind::Long, value),
            Self::Number => fit(FieldKind::Double, value),
            Self::Boolean => fit(FieldKind::Boolean, value),
            Self::Date => date(value),
        }
    }
}

fn date(value: Value) -> Result<Value, (Value, &'static str)> {
    let ms = match &value {
        Value::Null => return Ok(value),
        Value::String(text) => parse_rfc3339(text.trim()),
        Value::Number(number) => number.as_i64().and_then(|number| match number {
            ..=SECONDS_MAX => number.checked_mul(1_000),
            _ => Some(number),
        }),
        _ => None,
    };
    // Years that RFC 3339 has.
    match ms.filter(|ms| (-62_135_596_800_000..253_402_300_800_000).contains(ms)) {
        Some(ms) => Ok(Zone::utc().format(ms).into()),
        None => Err((value, "a time")),
    }
}

fn check(name: &str) -> Result<(), KindError> {
    let is_renamed = RENAMED.iter().any(|(old, _)| *old == name);
    let is = match catalogue().kind(name) {
        None if is_renamed => "known",
        None => return Ok(()),
        Some(FieldKind::Keyword | FieldKind::Text) => "a text",
        Some(FieldKind::Long) => "a whole number",
        Some(FieldKind::Double) => "a number",
        Some(FieldKind::Boolean) => "a truth value",
        Some(FieldKind::Date) => "a time",
    };
    Err(KindError { name: name.to_owned(), is })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn brought(name: &str, kind: OwnKind, value: Value) -> (Value, Option<String>) {
        let kinds = Kinds::new([(name.to_owned(), kind)]).unwrap();
        let mut fields = json!({"other": 1}).as_object().unwrap().clone();
        fields.insert(name.to_owned(), value);
        let problems = kinds.bring(&mut fields);
        fields.shift_remove("other");
        (fields.into(), problems)
    }

    #[test]
    fn values_are_brought_into_their_kinds() {
        for (kind, value, expected) in [
            (OwnKind::Integer, json!("42"), json!(42)),
            (OwnKind::Number, json!("4.5"), json!(4.5)),
            (OwnKind::Boolean, json!("true"), json!(true)),
            (OwnKind::Text, json!(7), json!("7")),
            (OwnKind::Date, json!("2026-01-27T10:20:30+08:00"), json!("2026-01-27T02:20:30.000Z")),
            (OwnKind::Date, json!(1_769_480_430), json!("2026-01-27T02:20:30.000Z")),
            (OwnKind::Date, json!(1_769_480_430_123_i64), json!("2026-01-27T02:20:30.123Z")),
            (OwnKind::Integer, json!(null), json!(null)),
        ] {
            assert_eq!(brought("took", kind, value), (json!({"took": expected}), None), "{kind:?}");
        }
    }

    #[test]
    fn what_does_not_fit_stays_as_text() {
        for (kind, value, text, said) in [
            (OwnKind::Integer, json!("fast"), "fast", "took: \"fast\" is not a whole number"),
            (OwnKind::Integer, json!({"a": 1}), "{\"a\":1}", "took: \"{\\\"a\\\":1}\" is not a whole number"),
            (OwnKind::Date, json!("soon"), "soon", "took: \"soon\" is not a time"),
            (OwnKind::Date, json!(i64::MAX), "9223372036854775807", "took: \"9223372036854775807\" is not a time"),
            (OwnKind::Boolean, json!(1), "1", "took: \"1\" is not true or false"),
        ] {
            assert_eq!(brought("took", kind, value), (json!({"took_text": text}), Some(said.to_owned())));
        }
        let kinds = Kinds::new([("a".to_owned(), OwnKind::Integer)]).unwrap();
        let mut fields = json!({"a": "x", "a_text": "own"}).as_object().unwrap().clone();
        kinds.bring(&mut fields);
        assert_eq!(Value::from(fields), json!({"a_text": "own", "a_text_": "x"}));
    }

    #[test]
    fn the_kinds_of_the_house_stay() {
        for name in ["duration_ms", "status", "tag", "msg", "model", "msg.keyword"] {
            assert!(Kinds::new([(name.to_owned(), OwnKind::Text)]).is_err(), "{name}");
        }
        let error = Kinds::new([("input_tokens".to_owned(), OwnKind::Text)]).unwrap_err();
        assert_eq!(error.to_string(), "`input_tokens` has a kind already: it is a whole number in every record");
    }
}
