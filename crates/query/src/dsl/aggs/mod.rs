//! The aggregations of a search body: names, nesting, and which kind may stand where.

mod buckets;
mod composite;
mod metrics;
mod pipeline;
mod time;

use serde_json::{Map, Value};

use super::read::{bool_of, count_of, number_of, object_of, required_string, scalar_of, single, string_of};
use super::{AGGS_DEPTH_MAX, AGGS_MAX, is_descending, parse_query};
use crate::ast::{Agg, AggKind, BucketOrder, Metric, Values};
use crate::error::{ParseError, hint};
use crate::fields::check_name;
use crate::regexp::REGEXPS_MAX;

/// Most ranges, filters or percentiles in one aggregation.
const PARTS_MAX: usize = 1024;

const SUPPORTED: [&str; 43] = [
    "adjacency_matrix",
    "auto_date_histogram",
    "avg",
    "avg_bucket",
    "bucket_script",
    "bucket_selector",
    "bucket_sort",
    "cardinality",
    "composite",
    "cumulative_sum",
    "date_histogram",
    "date_range",
    "derivative",
    "extended_stats",
    "extended_stats_bucket",
    "filter",
    "filters",
    "global",
    "histogram",
    "max",
    "max_bucket",
    "median_absolute_deviation",
    "min",
    "min_bucket",
    "missing",
    "moving_fn",
    "multi_terms",
    "percentile_ranks",
    "percentiles",
    "percentiles_bucket",
    "range",
    "rare_terms",
    "serial_diff",
    "significant_terms",
    "stats",
    "stats_bucket",
    "sum",
    "sum_bucket",
    "terms",
    "top_hits",
    "top_metrics",
    "value_count",
    "weighted_avg",
];

/// Aggregations that Elasticsearch has and that are refused by name.
const UNSUPPORTED: [&str; 34] = [
    "boxplot",
    "bucket_correlation",
    "categorize_text",
    "change_point",
    "children",
    "cumulative_cardinality",
    "diversified_sampler",
    "frequent_item_sets",
    "geo_bounds",
    "geo_centroid",
    "geo_distance",
    "geo_line",
    "geohash_grid",
    "geohex_grid",
    "geotile_grid",
    "inference",
    "ip_prefix",
    "ip_range",
    "matrix_stats",
    "moving_avg",
    "moving_percentiles",
    "nested",
    "normalize",
    "parent",
    "random_sampler",
    "rate",
    "reverse_nested",
    "sampler",
    "scripted_metric",
    "significant_text",
    "string_stats",
    "t_test",
    "time_series",
    "variable_width_histogram",
];

pub(super) fn parse(value: &Value) -> Result<Vec<(String, Agg)>, ParseError> {
    let aggs = Reader { count: 0, regexps: 0 }.aggs(value, 1)?;
    pipeline::check(None, &aggs)?;
    Ok(aggs)
}

struct Reader {
    count: usize,
    regexps: usize,
}

impl Reader {
    fn aggs(&mut self, value: &Value, depth: usize) -> Result<Vec<(String, Agg)>, ParseError> {
        if depth > AGGS_DEPTH_MAX {
            return Err(ParseError::aggregation(format!("aggregations are nested deeper than {AGGS_DEPTH_MAX}")));
        }
        let mut aggs = Vec::new();
        for (name, body) in object_of(value, "[aggs]")? {
            self.count += 1;
            if self.count > AGGS_MAX {
                return Err(ParseError::aggregation(format!("more than {AGGS_MAX} aggregations")));
            }
            if name.is_empty() || name.contains(['[', ']', '>']) {
                return Err(ParseError::parsing(format!(
                    "Invalid aggregation name [{name}]. Aggregation names cannot contain '[', ']' and '>'"
                )));
            }
            aggs.push((name.clone(), self.agg(name, object_of(body, &format!("aggregation [{name}]"))?, depth)?));
        }
        Ok(aggs)
    }

    fn agg(&mut self, name: &str, body: &Map<String, Value>, depth: usize) -> Result<Agg, ParseError> {
        let mut kind: Option<(&str, &Value)> = None;
        let (mut aggs, mut meta) = (Vec::new(), None);
        for (key, value) in body {
            match key.as_str() {
                "aggs" | "aggregations" => aggs = self.aggs(value, depth + 1)?,
                "meta" => meta = Some(object_of(value, "[meta]")?.clone()),
                other => {
                    if let Some((first, _)) = kind {
                        return Err(ParseError::parsing(format!(
                            "Found two aggregation type definitions in [{name}]: [{first}] and [{other}]"
                        )));
                    }
                    kind = Some((other, value));
                }
            }
        }
        let Some((type_name, body)) = kind else {
            return Err(ParseError::parsing(format!("Missing definition for aggregation [{name}]")));
        };
        let kind = agg_kind(type_name, body)?;
        self.regexps += regexps(&kind);
        if self.regexps > REGEXPS_MAX {
            return Err(ParseError::aggregation(format!(
                "more than {REGEXPS_MAX} regular expressions in aggregations"
            )));
        }
        check_nested(name, type_name, &kind, &aggs)?;
        pipeline::check(Some((type_name, &kind)), &aggs)?;
        Ok(Agg { kind, aggs, meta })
    }
}

fn agg_kind(name: &str, body: &Value) -> Result<AggKind, ParseError> {
    if name == "filter" {
        return parse_query(body).map(AggKind::Filter);
    }
    // Before the body is looked at, so that a mistyped name is told and not its strange content.
    if UNSUPPORTED.contains(&name) {
        return Err(ParseError::parsing(format!("[{name}] aggregations are not supported")));
    }
    if !SUPPORTED.contains(&name) {
        return Err(ParseError::parsing(format!("Unknown aggregation type [{name}]{}", hint(name, SUPPORTED))));
    }
    let body = object_of(body, &format!("[{name}]"))?;
    match name {
        "date_histogram" => time::date_histogram(body),
        "auto_date_histogram" => time::auto_date_histogram(body),
        "date_range" => time::date_range(body),
        "histogram" => buckets::histogram(body),
        "terms" => buckets::terms(body),
        "rare_terms" => buckets::rare_terms(body),
        "multi_terms" => buckets::multi_terms(body),
        "significant_terms" => buckets::significant_terms(body),
        "composite" => composite::composite(body),
        "filters" => buckets::filters(body),
        "adjacency_matrix" => buckets::adjacency_matrix(body),
        "range" => buckets::range(body),
        "missing" => buckets::missing(body),
        "global" if body.is_empty() => Ok(AggKind::Global),
        "global" => Err(ParseError::parsing("[global] takes no options")),
        "percentiles" => metrics::percentiles(body),
        "percentile_ranks" => metrics::percentile_ranks(body),
        "median_absolute_deviation" => metrics::median_absolute_deviation(body),
        "cardinality" => metrics::cardinality(body),
        "weighted_avg" => metrics::weighted_avg(body),
        "top_hits" => metrics::top_hits(body),
        "top_metrics" => metrics::top_metrics(body),
        "extended_stats" => metrics::extended_stats(body),
        "avg" => metrics::metric(name, body, Metric::Avg),
        "sum" => metrics::metric(name, body, Metric::Sum),
        "min" => metrics::metric(name, body, Metric::Min),
        "max" => metrics::metric(name, body, Metric::Max),
        "value_count" => metrics::metric(name, body, Metric::ValueCount),
        "stats" => metrics::metric(name, body, Metric::Stats),
        other => pipeline::parse(other, body).map(AggKind::Pipeline),
    }
}

/// How many automata an aggregation keeps.
fn regexps(kind: &AggKind) -> usize {
    let select = match kind {
        AggKind::Terms(terms) => &terms.select,
        AggKind::RareTerms { select, .. } => select,
        AggKind::SignificantTerms(terms) => &terms.select,
        _ => return 0,
    };
    let values = select.include.iter().chain(&select.exclude);
    values.filter(|values| matches!(values, Values::Fitting(_))).count()
}

/// What may be nested in what, as far as that needs no fields.
fn check_nested(name: &str, type_name: &str, kind: &AggKind, aggs: &[(String, Agg)]) -> Result<(), ParseError> {
    if !aggs.is_empty() && !has_buckets(kind) {
        return Err(ParseError::illegal(format!(
            "Aggregator [{name}] of type [{type_name}] cannot accept sub-aggregations"
        )));
    }
    for (inner, agg) in aggs {
        if matches!(agg.kind, AggKind::Global) {
            return Err(ParseError::illegal(format!(
                "Aggregation [{name}] cannot have a global sub-aggregation [{inner}]. Global aggregations can only be \
                 defined as top level aggregations"
            )));
        }
        if matches!(agg.kind, AggKind::Composite(_)) && !matches!(kind, AggKind::Filter(_)) {
            return Err(ParseError::illegal(format!(
                "[composite] aggregation cannot be used with a parent aggregation of type: [{type_name}]"
            )));
        }
    }
    Ok(())
}

fn has_buckets(kind: &AggKind) -> bool {
    !matches!(
        kind,
        AggKind::Metric { .. }
            | AggKind::WeightedAvg { .. }
            | AggKind::Percentiles { .. }
            | AggKind::PercentileRanks { .. }
            | AggKind::MedianAbsoluteDeviation { .. }
            | AggKind::Cardinality { .. }
            | AggKind::TopHits { .. }
            | AggKind::TopMetrics { .. }
            | AggKind::Pipeline(_)
    )
}

/// `name`, `name.part` or `name[part]`; names may have dots themselves.
fn begins_with_name(step: &str, name: &str) -> bool {
    step.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn field(body: &Map<String, Value>, name: &str) -> Result<String, ParseError> {
    let field = required_string(body, "field", name)?;
    check_name(field)?;
    Ok(field.to_owned())
}

fn min_doc_count(body: &Map<String, Value>, default: u64) -> Result<u64, ParseError> {
    given(body, "min_doc_count").map_or(Ok(default), |count| Ok(count_of(count, "min_doc_count")? as u64))
}

fn missing_value(body: &Map<String, Value>) -> Result<Option<Value>, ParseError> {
    given(body, "missing").map(|value| scalar_of(value, "missing")).transpose()
}

fn keyed(body: &Map<String, Value>, default: bool) -> Result<bool, ParseError> {
    given(body, "keyed").map_or(Ok(default), |keyed| bool_of(keyed, "keyed"))
}

/// A member that is there and not null.
fn given<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    body.get(key).filter(|value| !value.is_null())
}

/// How many buckets; at least one.
fn size(body: &Map<String, Value>, default: usize, name: &str) -> Result<usize, ParseError> {
    let size = given(body, "size").map_or(Ok(default), |size| count_of(size, "size"))?;
    if size == 0 {
        return Err(ParseError::illegal(format!("[size] must be greater than 0. Found [0] in [{name}]")));
    }
    Ok(size)
}

fn order(body: &Map<String, Value>, default: (&str, bool), name: &str) -> Result<Vec<BucketOrder>, ParseError> {
    let Some(value) = given(body, "order") else {
        return Ok(vec![BucketOrder { by: default.0.to_owned(), descending: default.1 }]);
    };
    let keys = match value {
        Value::Array(keys) => keys.iter().collect(),
        key => vec![key],
    };
    if keys.is_empty() || keys.len() > PARTS_MAX {
        return Err(ParseError::parsing(format!("[order] of [{name}] needs at least one key")));
    }
    let mut order = Vec::new();
    for key in keys {
        let (key, direction) = single(object_of(key, "[order]")?, "[order]")?;
        let by = if matches!(key, "_term" | "_time") { "_key" } else { key };
        order.push(BucketOrder { by: by.to_owned(), descending: is_descending(string_of(direction, "order")?)? });
    }
    Ok(order)
}

/// A list of numbers that has to be there.
fn numbers(body: &Map<String, Value>, key: &str, name: &str) -> Result<Vec<f64>, ParseError> {
    match given(body, key) {
        Some(Value::Array(list)) if !list.is_empty() && list.len() <= PARTS_MAX => {
            list.iter().map(|number| number_of(number, key)).collect()
        }
        _ => Err(ParseError::illegal(format!("[{key}] must not be empty: [{name}]"))),
    }
}
