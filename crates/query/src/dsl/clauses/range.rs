//! The clause `range`, and the date formats its ends may be in.

use serde_json::{Map, Value};

use super::field_entry;
use crate::ast::{Bound, Query};
use crate::date::Zone;
use crate::dsl::read::{bool_of, object_of, only_keys, scalar_of, string_of};
use crate::error::{ParseError, hint};

pub(super) fn range(body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry("range", body)?;
    let options = object_of(options, &format!("[range] of [{field}]"))?;
    only_keys(
        "range",
        options,
        &["gt", "gte", "lt", "lte", "from", "to", "include_lower", "include_upper", "format", "time_zone", "boost"],
    )?;
    let formats = options.get("format").map(|format| Formats::parse(string_of(format, "format")?)).transpose()?;
    let time_zone = match options.get("time_zone") {
        None | Some(Value::Null) => None,
        Some(zone) => Some(string_of(zone, "time_zone")?.to_owned()),
    };
    if let Some(zone) = &time_zone {
        Zone::parse(zone)?;
    }
    let (mut lower, mut upper) = (Bound::Open, Bound::Open);
    for (key, value) in options {
        let (end, is_inclusive) = match key.as_str() {
            "gt" => (&mut lower, false),
            "gte" => (&mut lower, true),
            "lt" => (&mut upper, false),
            "lte" => (&mut upper, true),
            "from" => (&mut lower, flag(options, "include_lower")?),
            "to" => (&mut upper, flag(options, "include_upper")?),
            _ => continue,
        };
        *end = if value.is_null() {
            Bound::Open
        } else {
            let value = scalar_of(value, key)?;
            let value = formats.as_ref().map_or(Ok(value.clone()), |formats| formats.convert(&value))?;
            if is_inclusive { Bound::Inclusive(value) } else { Bound::Exclusive(value) }
        };
    }
    if lower == Bound::Open && upper == Bound::Open {
        return Ok(Query::Exists { field: field.to_owned() });
    }
    Ok(Query::Range { field: field.to_owned(), lower, upper, time_zone })
}

fn flag(options: &Map<String, Value>, key: &str) -> Result<bool, ParseError> {
    options.get(key).map_or(Ok(true), |value| bool_of(value, key))
}

/// The date formats of a `format` key, of which values are brought into the form that every date is read from.
pub(in crate::dsl) struct Formats(Vec<Format>);

#[derive(Clone, Copy, PartialEq)]
enum Format {
    EpochMillis,
    EpochSecond,
    /// ISO 8601 as the reader of dates takes it.
    Iso,
    /// ISO 8601 with a space instead of the T.
    Spaced,
}

/// ISO 8601 forms by name or pattern; all are read by the same reader.
const ISO_FORMATS: [&str; 21] = [
    "strict_date_optional_time",
    "strict_date_optional_time_nanos",
    "date_optional_time",
    "iso8601",
    "strict_date_time",
    "date_time",
    "strict_date_time_no_millis",
    "date_time_no_millis",
    "strict_date",
    "date",
    "strict_date_hour_minute_second",
    "date_hour_minute_second",
    "strict_date_hour_minute_second_millis",
    "date_hour_minute_second_millis",
    "yyyy-MM-dd",
    "yyyy-MM",
    "yyyy",
    "yyyy-MM-dd'T'HH:mm:ss",
    "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
];
const SPACE_FORMATS: [&str; 3] = ["yyyy-MM-dd HH:mm", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss.SSS"];

impl Formats {
    pub(in crate::dsl) fn parse(text: &str) -> Result<Self, ParseError> {
        let mut formats = Vec::new();
        for format in text.split("||") {
            let format = format.replace("uuuu", "yyyy");
            formats.push(match format.as_str() {
                "epoch_millis" => Format::EpochMillis,
                "epoch_second" => Format::EpochSecond,
                spaced if SPACE_FORMATS.contains(&spaced) => Format::Spaced,
                iso if ISO_FORMATS.contains(&iso) => Format::Iso,
                other => {
                    let known = ISO_FORMATS.into_iter().chain(SPACE_FORMATS).chain(["epoch_millis", "epoch_second"]);
                    return Err(ParseError::illegal(format!(
                        "the date format [{other}] is not supported{}",
                        hint(other, known)
                    )));
                }
            });
        }
        Ok(Self(formats))
    }

    pub(in crate::dsl) fn convert(&self, value: &Value) -> Result<Value, ParseError> {
        match value {
            Value::Number(number) if self.has_only_seconds() => Self::epoch_ms(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => self.convert_text(text),
            _ => Ok(value.clone()),
        }
    }

    fn convert_text(&self, text: &str) -> Result<Value, ParseError> {
        let is_year = self.has(Format::Iso) && text.len() == 4;
        if (self.has(Format::EpochMillis) || self.has(Format::EpochSecond))
            && !is_year
            && let Ok(number) = text.parse::<i64>()
        {
            // As a string the reader of dates would take four digits for a year; a number is always milliseconds.
            return if self.has_only_seconds() { Self::epoch_ms(number as f64) } else { Ok(Value::from(number)) };
        }
        if self.has(Format::Spaced) && text.as_bytes().get(10) == Some(&b' ') {
            return Ok(Value::from(text.replacen(' ', "T", 1)));
        }
        Ok(Value::from(text))
    }

    fn has(&self, format: Format) -> bool {
        self.0.contains(&format)
    }

    fn has_only_seconds(&self) -> bool {
        self.has(Format::EpochSecond) && !self.has(Format::EpochMillis)
    }

    fn epoch_ms(seconds: f64) -> Result<Value, ParseError> {
        // Up to here milliseconds are exact in a binary fraction.
        const SECONDS_MAX: f64 = 9e12;
        if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
            return Err(ParseError::illegal(format!("the date [{seconds}] is out of range")));
        }
        Ok(Value::from((seconds * 1000.0).floor() as i64))
    }
}
