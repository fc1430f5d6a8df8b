//! What no document can fulfil because a value does not fit its field.

use serde_json::Value;

use super::values::{Numeric, boolean};
use crate::ast::{BoolQuery, Bound, Case, MatchMode, Query, TextMatch};
use crate::date::parse_date;
use crate::error::ParseError;
use crate::fields::{FieldKind, Fields};

/// Tells conditions that no document can fulfil because a value does not fit its field: words compared with numbers,
/// unreadable dates, patterns over numbers. Elasticsearch refuses the same.
pub fn validate(query: &Query, fields: &Fields, now_ms: i64) -> Result<(), ParseError> {
    match query {
        Query::MatchAll
        | Query::MatchNone
        | Query::Exists { .. }
        | Query::Ids(_)
        | Query::Slice { .. }
        | Query::Lenient(_) => Ok(()),
        Query::Term { field, case: Case::Ignored, .. } => needs_text("conditions that ignore case", field, fields),
        Query::Term { field, value, .. } => check_value(field, value, fields, now_ms, None),
        Query::Terms { field, values } => {
            values.iter().try_for_each(|value| check_value(field, value, fields, now_ms, None))
        }
        Query::Match(wanted) => check_match(wanted, fields, now_ms),
        Query::CrossFields { fields: names, text, .. } => {
            names.iter().try_for_each(|name| check_value(name, &Value::from(text.as_str()), fields, now_ms, None))
        }
        Query::Range { field, lower, upper, time_zone } => [lower, upper].into_iter().try_for_each(|end| match end {
            Bound::Open => Ok(()),
            Bound::Inclusive(value) | Bound::Exclusive(value) => {
                check_value(field, value, fields, now_ms, time_zone.as_deref())
            }
        }),
        Query::Prefix { field, .. } | Query::Wildcard { field, .. } => {
            needs_text("prefix and wildcard conditions", field, fields)
        }
        Query::Regexp { field, .. } => needs_text("regular expressions", field, fields),
        Query::Fuzzy { field, .. } => needs_text("fuzzy conditions", field, fields),
        Query::Bool(BoolQuery { must, filter, should, must_not, .. }) => must
            .iter()
            .chain(filter)
            .chain(should)
            .chain(must_not)
            .try_for_each(|query| validate(query, fields, now_ms)),
    }
}

fn check_match(wanted: &TextMatch, fields: &Fields, now_ms: i64) -> Result<(), ParseError> {
    let TextMatch { field, text, mode, fuzzy, is_open_ended, .. } = wanted;
    if *is_open_ended
        && matches!(mode, MatchMode::Phrase { .. })
        && let Some(kind) = fields.kind(field).filter(|kind| *kind != FieldKind::Text)
    {
        return Err(ParseError::shard(format!(
            "phrases that end in the beginning of a word need a text field, [{field}] is {}",
            name_of(kind)
        )));
    }
    if fuzzy.is_some() {
        needs_text("fuzzy conditions", field, fields)?;
    }
    check_value(field, &Value::from(text.as_str()), fields, now_ms, None)
}

fn needs_text(what: &str, field: &str, fields: &Fields) -> Result<(), ParseError> {
    match fields.kind(field) {
        None | Some(FieldKind::Keyword | FieldKind::Text) => Ok(()),
        Some(kind) => {
            Err(ParseError::shard(format!("{what} need a keyword or text field, [{field}] is {}", name_of(kind))))
        }
    }
}

fn check_value(field: &str, value: &Value, fields: &Fields, now_ms: i64, zone: Option<&str>) -> Result<(), ParseError> {
    let kind = fields.kind(field);
    let is_readable = match kind {
        None | Some(FieldKind::Keyword | FieldKind::Text) => true,
        Some(FieldKind::Long | FieldKind::Double) => Numeric::read(value).is_some(),
        Some(FieldKind::Boolean) => boolean(value).is_some(),
        Some(FieldKind::Date) => return parse_date(value, false, now_ms, zone).map(|_| ()),
    };
    if is_readable {
        return Ok(());
    }
    let kind = kind.map_or("", name_of);
    Err(ParseError::shard(format!("failed to create query: [{field}] is {kind} and cannot be compared with {value}")))
}

fn name_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword => "a keyword",
        FieldKind::Text => "a text",
        FieldKind::Long => "a whole number",
        FieldKind::Double => "a number",
        FieldKind::Boolean => "a boolean",
        FieldKind::Date => "a date",
    }
}
