//! Aggregations over dates.

use serde_json::{Map, Value};

use super::super::read::{count_of, only_keys, scalar_of, string_of};
use super::buckets::{bounds, range_parts};
use super::{field, given, keyed, min_doc_count, missing_value, order};
use crate::ast::{AggKind, AutoDateHistogram, AutoUnit, DateHistogram, Interval, Ranges};
use crate::date::{Zone, parse_calendar_interval, parse_fixed_interval, parse_offset};
use crate::error::ParseError;
use crate::time_format::TimeFormat;

const AUTO_BUCKETS_DEFAULT: usize = 10;
/// Most buckets that an `auto_date_histogram` may want: a multiple of them is held while it runs.
const AUTO_BUCKETS_MAX: usize = 2_000;

pub(super) fn date_histogram(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "date_histogram";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "fixed_interval",
            "calendar_interval",
            "interval",
            "offset",
            "time_zone",
            "min_doc_count",
            "extended_bounds",
            "hard_bounds",
            "format",
            "keyed",
            "order",
            "missing",
        ],
    )?;
    Ok(AggKind::DateHistogram(DateHistogram {
        field: field(body, NAME)?,
        interval: interval(body)?,
        offset_ms: offset(body)?,
        time_zone: time_zone(body)?,
        format: format(body)?,
        min_doc_count: min_doc_count(body, 0)?,
        extended_bounds: bounds(body, "extended_bounds", scalar_of)?,
        hard_bounds: bounds(body, "hard_bounds", scalar_of)?,
        keyed: keyed(body, false)?,
        order: order(body, ("_key", false), NAME)?,
        missing: missing_value(body)?,
    }))
}

pub(super) fn time_zone(body: &Map<String, Value>) -> Result<Option<String>, ParseError> {
    let Some(zone) = given(body, "time_zone") else { return Ok(None) };
    let zone = string_of(zone, "time_zone")?;
    Zone::parse(zone).map_err(|error| ParseError::content(error.message))?;
    Ok(Some(zone.to_owned()))
}

pub(super) fn format(body: &Map<String, Value>) -> Result<Option<TimeFormat>, ParseError> {
    given(body, "format").map(|format| TimeFormat::parse(string_of(format, "format")?)).transpose()
}

pub(super) fn offset(body: &Map<String, Value>) -> Result<i64, ParseError> {
    match given(body, "offset") {
        None => Ok(0),
        Some(Value::Number(ms)) => {
            ms.as_i64().ok_or_else(|| ParseError::illegal("[offset] must be a whole number of milliseconds"))
        }
        Some(other) => parse_offset(string_of(other, "offset")?),
    }
}

pub(super) fn interval(body: &Map<String, Value>) -> Result<Interval, ParseError> {
    let given: Vec<&str> =
        ["fixed_interval", "calendar_interval", "interval"].into_iter().filter(|key| body.contains_key(*key)).collect();
    let [key] = given.as_slice() else {
        return Err(ParseError::illegal(
            "[date_histogram] needs exactly one of [fixed_interval] and [calendar_interval]",
        ));
    };
    let value = &body[*key];
    match *key {
        "fixed_interval" => parse_fixed_interval(string_of(value, key)?).map(Interval::Fixed),
        "calendar_interval" => parse_calendar_interval(string_of(value, key)?).map(Interval::Calendar),
        // The one key of Elasticsearch before 7: calendar units by their names, anything else fixed.
        _ => match value {
            Value::Number(ms) => ms
                .as_u64()
                .filter(|ms| *ms > 0 && i64::try_from(*ms).is_ok())
                .map(Interval::Fixed)
                .ok_or_else(|| ParseError::illegal("[interval] must be a whole number of milliseconds from 1")),
            other => {
                let text = string_of(other, key)?;
                match parse_calendar_interval(text) {
                    Ok(unit) => Ok(Interval::Calendar(unit)),
                    Err(_) => parse_fixed_interval(text).map(Interval::Fixed),
                }
            }
        },
    }
}

pub(super) fn auto_date_histogram(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "auto_date_histogram";
    only_keys(NAME, body, &["field", "buckets", "minimum_interval", "time_zone", "format", "missing"])?;
    let buckets = given(body, "buckets").map_or(Ok(AUTO_BUCKETS_DEFAULT), |buckets| count_of(buckets, "buckets"))?;
    if buckets == 0 || buckets > AUTO_BUCKETS_MAX {
        return Err(ParseError::illegal(format!(
            "buckets must be from 1 to {AUTO_BUCKETS_MAX} for [{NAME}], got [{buckets}]"
        )));
    }
    let minimum_unit =
        match given(body, "minimum_interval").map(|unit| string_of(unit, "minimum_interval")).transpose()? {
            None => None,
            Some("second") => Some(AutoUnit::Second),
            Some("minute") => Some(AutoUnit::Minute),
            Some("hour") => Some(AutoUnit::Hour),
            Some("day") => Some(AutoUnit::Day),
            Some("month") => Some(AutoUnit::Month),
            Some("year") => Some(AutoUnit::Year),
            Some(other) => {
                return Err(ParseError::illegal(format!(
                    "minimum_interval must be one of [year, month, day, hour, minute, second], got [{other}]"
                )));
            }
        };
    Ok(AggKind::AutoDateHistogram(AutoDateHistogram {
        field: field(body, NAME)?,
        buckets,
        minimum_unit,
        time_zone: time_zone(body)?,
        format: format(body)?,
        missing: missing_value(body)?,
    }))
}

pub(super) fn date_range(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "date_range";
    only_keys(NAME, body, &["field", "ranges", "format", "time_zone", "keyed", "missing"])?;
    Ok(AggKind::Range(Ranges {
        field: field(body, NAME)?,
        ranges: range_parts(body, NAME)?,
        keyed: keyed(body, false)?,
        missing: missing_value(body)?,
        format: format(body)?,
        time_zone: time_zone(body)?,
        are_dates: true,
    }))
}
