//! Aggregations that compute numbers, or show some documents.

use serde_json::{Map, Value};

use super::super::read::{count_of, number_of, object_of, only_keys};
use super::super::{parse_sort, parse_source};
use super::time::format;
use super::{PARTS_MAX, field, given, keyed, missing_value, numbers};
use crate::ast::{AggKind, Metric, SourceFilter};
use crate::error::ParseError;

/// Most documents in one `top_hits`; Elasticsearch's `index.max_inner_result_window`.
const TOP_HITS_MAX: usize = 100;
const TOP_HITS_DEFAULT: usize = 3;
/// Most documents in one `top_metrics`; Elasticsearch's `index.top_metrics_max_size`.
const TOP_METRICS_MAX: usize = 10;
const PERCENTS_DEFAULT: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];
const SIGMA_DEFAULT: f64 = 2.0;

pub(super) fn metric(name: &str, body: &Map<String, Value>, metric: Metric) -> Result<AggKind, ParseError> {
    only_keys(name, body, &["field", "missing", "format"])?;
    Ok(AggKind::Metric { metric, field: field(body, name)?, missing: missing_value(body)?, format: format(body)? })
}

pub(super) fn extended_stats(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "extended_stats";
    only_keys(NAME, body, &["field", "missing", "format", "sigma"])?;
    Ok(AggKind::Metric {
        metric: Metric::ExtendedStats { sigma: sigma(body, NAME)? },
        field: field(body, NAME)?,
        missing: missing_value(body)?,
        format: format(body)?,
    })
}

pub(super) fn sigma(body: &Map<String, Value>, name: &str) -> Result<f64, ParseError> {
    let sigma = given(body, "sigma").map_or(Ok(SIGMA_DEFAULT), |sigma| number_of(sigma, "sigma"))?;
    if sigma < 0.0 {
        return Err(ParseError::illegal(format!(
            "[sigma] must be greater than or equal to 0. Found [{sigma:?}] in [{name}]"
        )));
    }
    Ok(sigma)
}

pub(super) fn weighted_avg(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "weighted_avg";
    only_keys(NAME, body, &["value", "weight"])?;
    let part = |key: &str| {
        let part = given(body, key).ok_or_else(|| ParseError::illegal(format!("[{NAME}] needs [{key}]")))?;
        let part = object_of(part, &format!("[{key}] of [{NAME}]"))?;
        only_keys(key, part, &["field", "missing"])?;
        let missing = given(part, "missing").map(|missing| number_of(missing, "missing")).transpose()?;
        Ok((field(part, key)?, missing))
    };
    Ok(AggKind::WeightedAvg { value: part("value")?, weight: part("weight")? })
}

pub(super) fn percentiles(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "percentiles";
    // How exact the answer is meant to be; ours is exact enough for all.
    only_keys(NAME, body, &["field", "percents", "keyed", "missing", "tdigest", "hdr"])?;
    Ok(AggKind::Percentiles {
        field: field(body, NAME)?,
        percents: percents(body, NAME)?,
        keyed: keyed(body, true)?,
        missing: missing_value(body)?,
    })
}

pub(super) fn percents(body: &Map<String, Value>, name: &str) -> Result<Vec<f64>, ParseError> {
    let percents = match body.get("percents") {
        None => PERCENTS_DEFAULT.to_vec(),
        Some(_) => numbers(body, "percents", name)?,
    };
    match percents.iter().find(|percent| !(0.0..=100.0).contains(*percent)) {
        Some(wrong) => Err(ParseError::illegal(format!("percent must be in [0,100], got [{wrong}]: [{name}]"))),
        None => Ok(percents),
    }
}

pub(super) fn percentile_ranks(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "percentile_ranks";
    only_keys(NAME, body, &["field", "values", "keyed", "missing", "tdigest", "hdr"])?;
    Ok(AggKind::PercentileRanks {
        field: field(body, NAME)?,
        values: numbers(body, "values", NAME)?,
        keyed: keyed(body, true)?,
        missing: missing_value(body)?,
    })
}

pub(super) fn median_absolute_deviation(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "median_absolute_deviation";
    only_keys(NAME, body, &["field", "missing", "compression", "execution_hint"])?;
    Ok(AggKind::MedianAbsoluteDeviation { field: field(body, NAME)?, missing: missing_value(body)? })
}

pub(super) fn cardinality(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "cardinality";
    only_keys(NAME, body, &["field", "missing", "precision_threshold", "execution_hint", "rehash"])?;
    Ok(AggKind::Cardinality { field: field(body, NAME)?, missing: missing_value(body)? })
}

pub(super) fn top_hits(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "top_hits";
    only_keys(NAME, body, &["size", "from", "sort", "_source", "version", "seq_no_primary_term", "track_scores"])?;
    let from = given(body, "from").map_or(Ok(0), |from| count_of(from, "from"))?;
    let size = given(body, "size").map_or(Ok(TOP_HITS_DEFAULT), |size| count_of(size, "size"))?;
    if from + size > TOP_HITS_MAX {
        return Err(ParseError::illegal(format!(
            "Top hits result window is too large, the top hits aggregator's from + size must be less than or equal to: \
             [{TOP_HITS_MAX}] but was [{}]. This limit can be set by changing the [index.max_inner_result_window] index \
             level setting.",
            from + size
        )));
    }
    Ok(AggKind::TopHits {
        from,
        size,
        sort: body.get("sort").map_or(Ok(Vec::new()), parse_sort)?,
        source: body.get("_source").map_or(Ok(SourceFilter::default()), parse_source)?,
    })
}

pub(super) fn top_metrics(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "top_metrics";
    only_keys(NAME, body, &["metrics", "sort", "size"])?;
    let entries: Vec<&Value> = match body.get("metrics") {
        Some(Value::Array(list)) if !list.is_empty() && list.len() <= PARTS_MAX => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(ParseError::illegal(format!("[{NAME}] needs [metrics], an object or an array of these"))),
    };
    let mut metrics = Vec::new();
    for entry in entries {
        let entry = object_of(entry, "an entry of [metrics]")?;
        only_keys("metrics", entry, &["field"])?;
        metrics.push(field(entry, NAME)?);
    }
    let size = given(body, "size").map_or(Ok(1), |size| count_of(size, "size"))?;
    if size == 0 || size > TOP_METRICS_MAX {
        return Err(ParseError::illegal(format!(
            "[top_metrics.size] must not be more than [{TOP_METRICS_MAX}] and at least 1 but was [{size}]"
        )));
    }
    let sort = parse_sort(body.get("sort").unwrap_or(&Value::Null))?;
    if sort.len() != 1 {
        return Err(ParseError::illegal(format!("[{NAME}] needs exactly one key in [sort]")));
    }
    Ok(AggKind::TopMetrics { metrics, size, sort })
}
