//! What hits tell of their documents: `_source`, `fields`, `docvalue_fields`, `stored_fields`.

use serde_json::Value;

use super::read::{object_of, only_keys, string_of};
use crate::ast::{DateFormat, FieldAsked, SourceFilter};
use crate::error::ParseError;
use crate::fields::check_name;

/// Most fields asked for in one list; Elasticsearch's `index.max_docvalue_fields_search`.
const FIELDS_MAX: usize = 100;

/// Reads a `_source` in any of its shapes.
pub fn parse_source(value: &Value) -> Result<SourceFilter, ParseError> {
    let mut filter = SourceFilter::default();
    match value {
        Value::Bool(on) => filter.off = !on,
        Value::String(_) | Value::Array(_) => filter.includes = patterns(value)?,
        Value::Object(options) => {
            only_keys("_source", options, &["includes", "include", "excludes", "exclude"])?;
            for (key, value) in options {
                if key.starts_with("include") {
                    filter.includes = patterns(value)?;
                } else {
                    filter.excludes = patterns(value)?;
                }
            }
        }
        _ => return Err(ParseError::parsing("[_source] must be a boolean, a string, an array or an object")),
    }
    Ok(filter)
}

fn patterns(value: &Value) -> Result<Vec<String>, ParseError> {
    match value {
        Value::Array(items) => items.iter().map(|item| string_of(item, "_source").map(str::to_owned)).collect(),
        other => Ok(vec![string_of(other, "_source")?.to_owned()]),
    }
}

/// Reads `fields` or `docvalue_fields`.
pub(super) fn parse_fields(key: &str, value: &Value) -> Result<Vec<FieldAsked>, ParseError> {
    let fields = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(fields) => fields,
        _ => return Err(ParseError::parsing(format!("[{key}] must be an array"))),
    };
    if fields.len() > FIELDS_MAX {
        return Err(ParseError::illegal(format!("more than {FIELDS_MAX} entries in [{key}]")));
    }
    let field = |field: &Value| {
        let (name, format) = if let Value::String(name) = field {
            (name.as_str(), None)
        } else {
            let options = object_of(field, key)?;
            only_keys(key, options, &["field", "format", "include_unmapped"])?;
            let name = options.get("field").ok_or_else(|| ParseError::parsing(format!("[{key}] without [field]")))?;
            (string_of(name, "field")?, options.get("format").filter(|format| !format.is_null()))
        };
        check_name(name)?;
        let format = format.map(|format| date_format(string_of(format, "format")?)).transpose()?;
        Ok(FieldAsked { pattern: name.to_owned(), format })
    };
    fields.iter().map(field).collect()
}

/// Whether `stored_fields` asks for hits without id and source. Any other list changes nothing: no field is stored apart.
pub(super) fn is_bare(value: &Value) -> Result<bool, ParseError> {
    match value {
        Value::Null => Ok(false),
        Value::String(name) => Ok(name == "_none_"),
        Value::Array(names) => {
            names.iter().try_for_each(|name| string_of(name, "stored_fields").map(|_| ()))?;
            Ok(names.iter().any(|name| name == "_none_"))
        }
        _ => Err(ParseError::parsing("[stored_fields] must be a string or an array of strings")),
    }
}

/// Reads the name of a date format. Only those that machines ask for: people see dates in the console's form.
pub(super) fn date_format(name: &str) -> Result<DateFormat, ParseError> {
    Ok(match name {
        "strict_date_optional_time"
        | "strict_date_optional_time_nanos"
        | "date_optional_time"
        | "strict_date_time"
        | "date_time"
        | "iso8601"
        | "use_field_mapping" => DateFormat::Iso,
        "epoch_millis" => DateFormat::EpochMillis,
        "epoch_second" => DateFormat::EpochSecond,
        other => {
            return Err(ParseError::illegal(format!(
                "the date format [{other}] is not supported in hits; known are strict_date_optional_time, \
                 strict_date_time, epoch_millis and epoch_second"
            )));
        }
    })
}
