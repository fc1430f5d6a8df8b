//! `sort` and `search_after`: in which order hits come, and behind which one they begin.

use serde_json::{Map, Value};

use super::SORT_KEYS_MAX;
use super::hits::date_format;
use super::read::{only_keys, string_of};
use crate::ast::{Missing, SearchRequest, Sort};
use crate::error::ParseError;
use crate::fields::{FieldKind, check_name};

/// Reads a `sort` in any of its shapes.
pub fn parse_sort(value: &Value) -> Result<Vec<Sort>, ParseError> {
    let mut sort = Vec::new();
    match value {
        Value::Array(keys) => {
            for key in keys {
                sort_keys(key, &mut sort)?;
            }
        }
        other => sort_keys(other, &mut sort)?,
    }
    if sort.len() > SORT_KEYS_MAX {
        return Err(ParseError::illegal(format!("more than {SORT_KEYS_MAX} sort keys")));
    }
    Ok(sort)
}

fn sort_keys(value: &Value, sort: &mut Vec<Sort>) -> Result<(), ParseError> {
    match value {
        Value::String(field) => sort.push(sort_key(field)?),
        Value::Object(keys) => {
            for (field, options) in keys {
                let mut key = sort_key(field)?;
                match options {
                    Value::String(order) => key.descending = is_descending(order)?,
                    Value::Object(options) => sort_options(options, &mut key)?,
                    _ => return Err(ParseError::parsing(format!("[sort] of [{field}] must be a string or an object"))),
                }
                sort.push(key);
            }
        }
        _ => return Err(ParseError::parsing("[sort] must be a field name, an object or an array of these")),
    }
    Ok(())
}

fn sort_key(field: &str) -> Result<Sort, ParseError> {
    if matches!(field, "_script" | "_geo_distance") {
        return Err(ParseError::parsing(format!("[{field}] in [sort] is not supported")));
    }
    if !matches!(field, "_score" | "_doc" | "_shard_doc") {
        check_name(field)?;
    }
    let descending = field == "_score";
    Ok(Sort { field: field.to_owned(), descending, missing: Missing::Last, unmapped: None, format: None })
}

fn sort_options(options: &Map<String, Value>, key: &mut Sort) -> Result<(), ParseError> {
    only_keys("sort", options, &["order", "missing", "unmapped_type", "mode", "format", "numeric_type"])?;
    if let Some(order) = options.get("order") {
        key.descending = is_descending(string_of(order, "order")?)?;
    }
    key.missing = match options.get("missing") {
        None | Some(Value::Null) => Missing::Last,
        Some(value) => match value.as_str() {
            Some("_first") => Missing::First,
            Some("_last") => Missing::Last,
            _ if value.is_number() || value.is_string() => Missing::Value(value.clone()),
            _ => return Err(ParseError::parsing("[missing] in [sort] must be _first, _last, a number or a date")),
        },
    };
    if let Some(kind) = options.get("unmapped_type") {
        key.unmapped = Some(kind_of(string_of(kind, "unmapped_type")?)?);
    }
    if let Some(format) = options.get("format") {
        key.format = Some(date_format(string_of(format, "format")?)?);
    }
    // Numbers keep their kind here, and dates their milliseconds: only what changes nothing can be asked for.
    if let Some(kind) = options.get("numeric_type")
        && !matches!(kind.as_str(), Some("long" | "double" | "date"))
    {
        return Err(ParseError::parsing("[numeric_type] in [sort] other than long, double and date is not supported"));
    }
    if let Some(mode) = options.get("mode") {
        // The default: an ascending order looks at the smallest of several values, a descending one at the largest.
        let default = if key.descending { "max" } else { "min" };
        if mode.as_str() != Some(default) {
            return Err(ParseError::parsing(format!("[mode] in [sort] other than [{default}] is not supported")));
        }
    }
    Ok(())
}

/// The kind of a field by Elasticsearch's name for it.
fn kind_of(name: &str) -> Result<FieldKind, ParseError> {
    Ok(match name {
        "long" | "integer" | "short" | "byte" | "unsigned_long" => FieldKind::Long,
        "double" | "float" | "half_float" | "scaled_float" => FieldKind::Double,
        "boolean" => FieldKind::Boolean,
        "date" | "date_nanos" => FieldKind::Date,
        "keyword" | "text" | "ip" | "constant_keyword" | "wildcard" => FieldKind::Keyword,
        other => return Err(ParseError::illegal(format!("No mapper found for type [{other}]"))),
    })
}

/// Reads `search_after`: the sort values of the hit to go on behind.
pub(super) fn parse_search_after(value: &Value) -> Result<Vec<Value>, ParseError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) if values.is_empty() => {
            Err(ParseError::illegal("Values must contains at least one value."))
        }
        Value::Array(values) => match values.iter().find(|value| value.is_array() || value.is_object()) {
            Some(_) => Err(ParseError::illegal("[search_after] must hold numbers, strings, booleans and nulls")),
            None => Ok(values.clone()),
        },
        _ => Err(ParseError::parsing("[search_after] must be an array")),
    }
}

/// Going on behind a hit makes sense in an order that is given, and instead of skipping hits.
pub(super) fn check_search_after(request: &SearchRequest) -> Result<(), ParseError> {
    let (values, keys) = (request.search_after.len(), request.sort.len());
    if values == 0 {
        return Ok(());
    }
    if request.from > 0 {
        return Err(ParseError::validation("`from` parameter must be set to 0 when `search_after` is used"));
    }
    if keys == 0 {
        return Err(ParseError::illegal("Sort must contain at least one field."));
    }
    if values != keys {
        return Err(ParseError::illegal(format!("search_after has {values} value(s) but sort has {keys}.")));
    }
    Ok(())
}

pub(crate) fn is_descending(order: &str) -> Result<bool, ParseError> {
    match order.to_ascii_lowercase().as_str() {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(ParseError::illegal(format!("unknown order [{order}], expected asc or desc"))),
    }
}
