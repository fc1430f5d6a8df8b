//! Aggregations that put documents into buckets by values and conditions.

use serde_json::{Map, Value};

use super::super::read::{bool_of, count_of, number_of, object_of, only_keys, scalar_of, string_of};
use super::super::{TERMS_MAX, parse_query};
use super::{PARTS_MAX, field, given, keyed, min_doc_count, missing_value, order, size};
use crate::ast::{
    AggKind, Bounds, Filters, Histogram, MultiTerms, RangePart, Ranges, Select, SignificantTerms, Terms, Values,
};
use crate::error::ParseError;
use crate::fields::check_name;
use crate::regexp::{Regexp, RegexpOptions};

const TERMS_SIZE_DEFAULT: usize = 10;
/// In so many documents a rare value may be at most; Elasticsearch's bound.
const RARE_COUNT_MAX: usize = 100;
/// Most conditions in one `adjacency_matrix`: each two have a bucket.
const ADJACENT_MAX: usize = 100;
const SIGNIFICANT_COUNT_DEFAULT: u64 = 3;

pub(super) fn histogram(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "histogram";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "interval",
            "min_doc_count",
            "offset",
            "keyed",
            "order",
            "extended_bounds",
            "hard_bounds",
            "missing",
        ],
    )?;
    let interval = given(body, "interval").ok_or_else(|| ParseError::illegal("[histogram] needs [interval]"))?;
    let interval = number_of(interval, "interval")?;
    if interval <= 0.0 {
        return Err(ParseError::illegal("[interval] must be >0 for histogram aggregation"));
    }
    Ok(AggKind::Histogram(Histogram {
        field: field(body, NAME)?,
        interval,
        offset: given(body, "offset").map_or(Ok(0.0), |offset| number_of(offset, "offset"))?,
        min_doc_count: min_doc_count(body, 0)?,
        extended_bounds: bounds(body, "extended_bounds", number_of)?,
        hard_bounds: bounds(body, "hard_bounds", number_of)?,
        keyed: keyed(body, false)?,
        order: order(body, ("_key", false), NAME)?,
        missing: given(body, "missing").map(|missing| number_of(missing, "missing")).transpose()?,
    }))
}

/// `{"min": …, "max": …}`, of which each may be left out.
pub(super) fn bounds<T>(
    body: &Map<String, Value>,
    key: &str,
    read: impl Fn(&Value, &str) -> Result<T, ParseError>,
) -> Result<Option<Bounds<T>>, ParseError> {
    let Some(bounds) = given(body, key) else { return Ok(None) };
    let bounds = object_of(bounds, &format!("[{key}]"))?;
    only_keys(key, bounds, &["min", "max"])?;
    let end = |end: &str| given(bounds, end).map(|value| read(value, end)).transpose();
    Ok(Some(Bounds { min: end("min")?, max: end("max")? }))
}

pub(super) fn terms(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "terms";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "size",
            "order",
            "min_doc_count",
            "missing",
            "include",
            "exclude",
            "show_term_doc_count_error",
            // Ways to the same answer.
            "shard_size",
            "shard_min_doc_count",
            "execution_hint",
            "collect_mode",
        ],
    )?;
    Ok(AggKind::Terms(Terms {
        field: field(body, NAME)?,
        size: size(body, TERMS_SIZE_DEFAULT, NAME)?,
        order: order(body, ("_count", true), NAME)?,
        min_doc_count: min_doc_count(body, 1)?,
        missing: missing_value(body)?,
        select: select(body)?,
        show_error: show_error(body)?,
    }))
}

fn show_error(body: &Map<String, Value>) -> Result<bool, ParseError> {
    given(body, "show_term_doc_count_error").map_or(Ok(false), |show| bool_of(show, "show_term_doc_count_error"))
}

fn select(body: &Map<String, Value>) -> Result<Select, ParseError> {
    let values = |key: &str| match given(body, key) {
        None => Ok(None),
        Some(Value::String(text)) => {
            Regexp::new(text, RegexpOptions::default()).map(|regexp| Some(Values::Fitting(regexp)))
        }
        Some(Value::Array(list)) if list.len() <= TERMS_MAX => {
            let list = list.iter().map(|value| scalar_of(value, key)).collect::<Result<_, _>>();
            let list = list.map_err(|error| ParseError::content(error.message))?;
            Ok(Some(Values::List(list)))
        }
        Some(Value::Array(_)) => Err(ParseError::illegal(format!("[{key}] has more than {TERMS_MAX} values"))),
        Some(_) => Err(ParseError::parsing(format!("[{key}] must be a regular expression or an array of values"))),
    };
    Ok(Select { include: values("include")?, exclude: values("exclude")? })
}

pub(super) fn rare_terms(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "rare_terms";
    only_keys(NAME, body, &["field", "max_doc_count", "precision", "missing", "include", "exclude"])?;
    let max = given(body, "max_doc_count").map_or(Ok(1), |max| count_of(max, "max_doc_count"))?;
    if max == 0 || max > RARE_COUNT_MAX {
        return Err(ParseError::illegal(format!(
            "[max_doc_count] must be in [1,{RARE_COUNT_MAX}], got [{max}] in [{NAME}]"
        )));
    }
    Ok(AggKind::RareTerms {
        field: field(body, NAME)?,
        max_doc_count: max as u64,
        missing: missing_value(body)?,
        select: select(body)?,
    })
}

pub(super) fn multi_terms(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "multi_terms";
    /// Fields in one combination.
    const FIELDS_MAX: usize = 16;
    only_keys(
        NAME,
        body,
        &[
            "terms",
            "size",
            "order",
            "min_doc_count",
            "show_term_doc_count_error",
            "shard_size",
            "shard_min_doc_count",
            "collect_mode",
        ],
    )?;
    let terms = body.get("terms").and_then(Value::as_array).filter(|terms| (2..=FIELDS_MAX).contains(&terms.len()));
    let terms = terms.ok_or_else(|| {
        ParseError::illegal(format!(
            "multi term aggregation requires at least 2 and at most {FIELDS_MAX} terms, see [terms] of [{NAME}]"
        ))
    })?;
    let mut fields = Vec::new();
    for term in terms {
        let term = object_of(term, "an entry of [terms]")?;
        only_keys("terms", term, &["field", "missing"])?;
        fields.push((field(term, NAME)?, missing_value(term)?));
    }
    Ok(AggKind::MultiTerms(MultiTerms {
        fields,
        size: size(body, TERMS_SIZE_DEFAULT, NAME)?,
        order: order(body, ("_count", true), NAME)?,
        min_doc_count: min_doc_count(body, 1)?.max(1),
        show_error: show_error(body)?,
    }))
}

pub(super) fn significant_terms(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "significant_terms";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "size",
            "min_doc_count",
            "background_filter",
            "include",
            "exclude",
            "jlh",
            "shard_size",
            "shard_min_doc_count",
            "execution_hint",
        ],
    )?;
    Ok(AggKind::SignificantTerms(SignificantTerms {
        field: field(body, NAME)?,
        size: size(body, TERMS_SIZE_DEFAULT, NAME)?,
        min_doc_count: min_doc_count(body, SIGNIFICANT_COUNT_DEFAULT)?.max(1),
        background: given(body, "background_filter").map(parse_query).transpose()?,
        select: select(body)?,
    }))
}

pub(super) fn filters(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    only_keys("filters", body, &["filters", "other_bucket", "other_bucket_key", "keyed"])?;
    let filters: Vec<(Option<String>, _)> = match body.get("filters") {
        Some(Value::Object(named)) => named
            .iter()
            .map(|(name, clause)| Ok((Some(name.clone()), parse_query(clause)?)))
            .collect::<Result<_, ParseError>>()?,
        Some(Value::Array(list)) => {
            list.iter().map(|clause| Ok((None, parse_query(clause)?))).collect::<Result<_, ParseError>>()?
        }
        _ => return Err(ParseError::parsing("[filters] needs [filters], an object or an array")),
    };
    if filters.is_empty() || filters.len() > PARTS_MAX {
        return Err(ParseError::illegal(format!("[filters] cannot be empty or have more than {PARTS_MAX} entries")));
    }
    let key = given(body, "other_bucket_key").map(|key| string_of(key, "other_bucket_key")).transpose()?;
    // A name asks for the bucket, unless that is refused.
    let has_other = given(body, "other_bucket").map_or(Ok(key.is_some()), |other| bool_of(other, "other_bucket"))?;
    // Without names there is nothing to be keyed by.
    let is_named = filters.iter().all(|(name, _)| name.is_some());
    Ok(AggKind::Filters(Filters {
        filters,
        other: has_other.then(|| key.unwrap_or("_other_").to_owned()),
        keyed: is_named && keyed(body, true)?,
    }))
}

pub(super) fn adjacency_matrix(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "adjacency_matrix";
    only_keys(NAME, body, &["filters", "separator"])?;
    let named = object_of(body.get("filters").unwrap_or(&Value::Null), "[filters] of [adjacency_matrix]")?;
    if named.len() > ADJACENT_MAX {
        return Err(ParseError::illegal(format!(
            "Number of filters is too large, must be less than or equal to: [{ADJACENT_MAX}] but was [{}]",
            named.len()
        )));
    }
    let mut filters = Vec::new();
    for (name, clause) in named {
        filters.push((name.clone(), parse_query(clause)?));
    }
    // Names of two are put together in their order.
    filters.sort_by(|a, b| a.0.cmp(&b.0));
    let separator = given(body, "separator").map_or(Ok("&"), |separator| string_of(separator, "separator"))?;
    Ok(AggKind::AdjacencyMatrix { filters, separator: separator.to_owned() })
}

pub(super) fn range(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "range";
    only_keys(NAME, body, &["field", "ranges", "keyed", "missing"])?;
    Ok(AggKind::Range(Ranges {
        field: field(body, NAME)?,
        ranges: range_parts(body, NAME)?,
        keyed: keyed(body, false)?,
        missing: missing_value(body)?,
        format: None,
        time_zone: None,
        are_dates: false,
    }))
}

pub(super) fn range_parts(body: &Map<String, Value>, name: &str) -> Result<Vec<RangePart>, ParseError> {
    let list = body.get("ranges").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty() && list.len() <= PARTS_MAX);
    let list = list.ok_or_else(|| ParseError::parsing(format!("[{name}] needs an array of [ranges]")))?;
    let mut ranges = Vec::new();
    for entry in list {
        let entry = object_of(entry, "an entry of [ranges]")?;
        only_keys("ranges", entry, &["key", "from", "to"])?;
        let end = |key: &str| given(entry, key).map(|value| scalar_of(value, key)).transpose();
        let key = given(entry, "key").map(|key| string_of(key, "key").map(str::to_owned)).transpose()?;
        ranges.push(RangePart { key, from: end("from")?, to: end("to")? });
    }
    Ok(ranges)
}

pub(super) fn missing(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    only_keys("missing", body, &["field"])?;
    let field = field(body, "missing")?;
    check_name(&field)?;
    Ok(AggKind::Missing { field })
}
