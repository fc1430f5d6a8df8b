//! A line as the programs that shape it see it: one JSON object; and the entry that becomes of what they leave.

use serde_json::{Map, Value};
use thiserror::Error;

use super::fields::Fields;
use super::level::Level;
use super::{Entry, TEXT_BYTES_MAX, beginning, time};

/// Why an object cannot be the entry of a line.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EventError {
    /// Its `level` is no word or number of a logger.
    #[error("failed to read `.level`: {0} is no level (trace, debug, info, warn, error)")]
    Level(String),
    /// Its `time` is none.
    #[error("failed to read `.time`: {0} is no time such as 2026-01-27T10:20:30Z")]
    Time(String),
}

/// Longest piece of a wrong value that is told, in bytes.
const SHOWN_BYTES_MAX: usize = 128;

impl Entry {
    /// Its fields with `msg`, and with `level`, `time` and `parse_error` where it has them.
    pub fn event(&self) -> Map<String, Value> {
        let mut event = self.fields.clone();
        event.insert("msg".to_owned(), self.text.clone().into());
        if let Some(level) = self.level {
            event.insert("level".to_owned(), level.as_str().into());
        }
        if let Some(time) = self.time {
            event.insert("time".to_owned(), time::written(time).into());
        }
        if let Some(parse_error) = &self.parse_error {
            event.insert("parse_error".to_owned(), parse_error.clone().into());
        }
        event
    }

    /// The entry of such an object, whatever it was changed to: within the bounds that every line has, and with names that the
    /// house needs itself under `own_…`.
    pub fn of_event(mut event: Map<String, Value>) -> Result<Self, EventError> {
        let mut take = |name: &str| event.shift_remove(name).filter(|value| !value.is_null());
        let text = take("msg").map(text_of).unwrap_or_default();
        let level = match take("level") {
            None => None,
            Some(value) => Some(Level::read(&value).ok_or_else(|| EventError::Level(shown(&value)))?.0),
        };
        let time = match take("time") {
            None => None,
            Some(value) => Some(time::read(&value).ok_or_else(|| EventError::Time(shown(&value)))?),
        };
        let parse_error = take("parse_error").map(text_of);
        let overflow = take("overflow").map(text_of);
        let mut fields = Fields::beside(overflow.as_deref().unwrap_or_default());
        for (name, value) in event {
            fields.put(&name, value);
        }
        let (fields, mut is_cut) = fields.finish();
        let (kept, was_longer) = beginning(&text, TEXT_BYTES_MAX);
        is_cut |= was_longer;
        Ok(Self { time, level, text: kept.to_owned(), fields, parse_error, is_cut, has_bytes: false })
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    beginning(&value.to_string(), SHOWN_BYTES_MAX).0.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{FIELD_BYTES_MAX, FIELDS_MAX, HOUSE_NAMES, NAME_BYTES_MAX, OVERFLOW_BYTES_MAX, beats};
    use super::*;

    #[test]
    fn an_entry_that_nobody_changed_is_the_same() {
        for line in [
            r#"{"time":"2026-01-27T10:20:30.5Z","level":"warn","msg":"a","status":200,"kind":"x","o":{"p":[1,null]}}"#,
            "no object",
            "{}",
        ] {
            let entry = beats(line.as_bytes());
            assert_eq!(Entry::of_event(entry.event()), Ok(entry));
        }
    }

    #[test]
    fn what_programs_leave_becomes_an_entry() {
        let of = |event: Value| Entry::of_event(event.as_object().unwrap().clone());
        let entry = of(json!({
            "msg": 7, "level": "WARNING", "time": "2026-01-27T10:20:30+08:00", "parse_error": null, "seq": 1, "@b": 2,
            "overflow": "\"c\":3",
        }));
        let entry = entry.unwrap();
        assert_eq!((entry.text.as_str(), entry.level), ("7", Some(Level::Warn)));
        assert_eq!(entry.time.unwrap().to_string(), "2026-01-27T02:20:30Z");
        assert_eq!(Value::from(entry.fields), json!({"own_seq": 1, "b": 2, "overflow": "\"c\":3"}));
        assert_eq!(entry.parse_error, None);
        assert_eq!(of(json!({"level": "loud"})), Err(EventError::Level("\"loud\"".to_owned())));
        assert_eq!(of(json!({"time": [1]})), Err(EventError::Time("[1]".to_owned())));
        assert_eq!(of(json!({})).unwrap(), Entry::default());
    }

    proptest! {
        #[test]
        fn any_object_stays_within_the_bounds(
            members in prop::collection::vec(("[a-c@_]{0,3}|msg|seq|kind|file_mark|overflow|n{150}", 0_usize..40_000, 0..4), 0..90),
        ) {
            let mut event = Map::new();
            for (number, (name, length, kind)) in members.into_iter().enumerate() {
                let name = if kind == 3 { format!("{name}{number}") } else { name };
                event.insert(name, match kind {
                    0 => json!("é".repeat(length / 2)),
                    1 => json!({"deep": ["x".repeat(length)]}),
                    _ => json!(length),
                });
            }
            let entry = Entry::of_event(event).unwrap();
            prop_assert!(entry.text.len() <= TEXT_BYTES_MAX);
            prop_assert!(entry.fields.len() <= FIELDS_MAX + 1);
            for (name, value) in &entry.fields {
                if name == "overflow" {
                    prop_assert!(value.as_str().unwrap().len() <= OVERFLOW_BYTES_MAX);
                    continue;
                }
                prop_assert!(!HOUSE_NAMES.contains(&name.as_str()), "{}", name);
                prop_assert!(name.len() <= NAME_BYTES_MAX + 4 && value.to_string().len() <= FIELD_BYTES_MAX + 16);
            }
        }
    }
}
