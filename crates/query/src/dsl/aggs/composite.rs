//! `composite`: pages of all combinations of the values of several sources.

use serde_json::{Map, Value};

use super::super::is_descending;
use super::super::read::{bool_of, number_of, object_of, only_keys, scalar_of, single, string_of};
use super::time::{format, interval, offset, time_zone};
use super::{field, given, size};
use crate::ast::{AggKind, Composite, MissingOrder, Source, SourceKind};
use crate::error::ParseError;

const NAME: &str = "composite";
const SIZE_DEFAULT: usize = 10;
/// Most sources of one.
const SOURCES_MAX: usize = 16;

pub(super) fn composite(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    only_keys(NAME, body, &["sources", "size", "after"])?;
    let list = match body.get("sources") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    if list.is_empty() || list.len() > SOURCES_MAX {
        return Err(ParseError::illegal(format!("Composite [sources] must have 1 to {SOURCES_MAX} entries")));
    }
    let mut sources: Vec<(String, Source)> = Vec::new();
    for entry in list {
        let (name, entry) = single(object_of(entry, "an entry of [sources]")?, "an entry of [sources]")?;
        if sources.iter().any(|(known, _)| known == name) {
            return Err(ParseError::illegal(format!(
                "Composite source names must be unique, found duplicates: [{name}]"
            )));
        }
        sources.push((name.to_owned(), source(entry)?));
    }
    let after = match given(body, "after") {
        None => None,
        Some(after) => Some(after_key(object_of(after, "[after]")?, &sources)?),
    };
    Ok(AggKind::Composite(Composite { sources, size: size(body, SIZE_DEFAULT, NAME)?, after }))
}

fn source(entry: &Value) -> Result<Source, ParseError> {
    let (kind, body) = single(object_of(entry, "a source of [composite]")?, "a source of [composite]")?;
    let body = object_of(body, &format!("[{kind}]"))?;
    let mut known = vec!["field", "order", "missing_bucket", "missing_order"];
    known.extend_from_slice(match kind {
        "terms" => &[],
        "histogram" => &["interval"],
        "date_histogram" => &["fixed_interval", "calendar_interval", "interval", "offset", "time_zone", "format"],
        other => {
            return Err(ParseError::parsing(format!(
                "[{other}] sources of [composite] are not supported, expected terms, histogram or date_histogram"
            )));
        }
    });
    only_keys(kind, body, &known)?;
    let source_kind = match kind {
        "terms" => SourceKind::Terms,
        "histogram" => {
            let interval = given(body, "interval").map_or(Ok(0.0), |interval| number_of(interval, "interval"))?;
            if interval <= 0.0 {
                return Err(ParseError::illegal("[interval] must be greater than 0 for [histogram] source"));
            }
            SourceKind::Histogram { interval }
        }
        _ => SourceKind::DateHistogram {
            interval: interval(body)?,
            offset_ms: offset(body)?,
            time_zone: time_zone(body)?,
            format: format(body)?,
        },
    };
    Ok(Source {
        field: field(body, kind)?,
        kind: source_kind,
        descending: given(body, "order").map_or(Ok(false), |order| is_descending(string_of(order, "order")?))?,
        missing: missing(body)?,
    })
}

fn missing(body: &Map<String, Value>) -> Result<Option<MissingOrder>, ParseError> {
    let is_asked = given(body, "missing_bucket").map_or(Ok(false), |asked| bool_of(asked, "missing_bucket"))?;
    let order = match given(body, "missing_order").map(|order| string_of(order, "missing_order")).transpose()? {
        None | Some("default") => MissingOrder::Smallest,
        Some(_) if !is_asked => {
            return Err(ParseError::illegal("missing_order can only be set if missing_bucket is true"));
        }
        Some("first") => MissingOrder::First,
        Some("last") => MissingOrder::Last,
        Some(other) => {
            return Err(ParseError::illegal(format!(
                "Unknown missing order [{other}], expected first, last or default"
            )));
        }
    };
    Ok(is_asked.then_some(order))
}

/// The last bucket of the page before, a value for each source.
fn after_key(after: &Map<String, Value>, sources: &[(String, Source)]) -> Result<Vec<Value>, ParseError> {
    if after.len() != sources.len() {
        return Err(ParseError::illegal(format!(
            "[after] has {} value(s) but [sources] has {}",
            after.len(),
            sources.len()
        )));
    }
    let mut values = Vec::new();
    for (name, source) in sources {
        values.push(match after.get(name) {
            Some(Value::Null) if source.missing.is_some() => Value::Null,
            Some(value) => scalar_of(value, name)?,
            None => return Err(ParseError::illegal(format!("Missing value for [after.{name}]"))),
        });
    }
    Ok(values)
}
