//! `typed_keys`: aggregations with the type of their result before their name, by which typed clients read them.

use serde_json::{Map, Value};
use tollhouse_query::FieldKind;
use tollhouse_query::ast::{Agg, AggKind, BucketMetric, PipelineKind};
use tollhouse_shape::catalogue;

/// Puts types before the names of these results.
pub(crate) fn name_types(aggs: &[(String, Agg)], found: &mut Map<String, Value>) {
    let mut named = Map::new();
    for (name, mut value) in std::mem::take(found) {
        let Some((_, agg)) = aggs.iter().find(|(known, _)| *known == name) else {
            named.insert(name, value);
            continue;
        };
        let kind = type_of(&agg.kind, &value);
        if !agg.aggs.is_empty() {
            name_nested(&agg.aggs, &mut value);
        }
        named.insert(kind.map_or_else(|| name.clone(), |kind| format!("{kind}#{name}")), value);
    }
    *found = named;
}

fn name_nested(aggs: &[(String, Agg)], found: &mut Value) {
    let buckets: Vec<&mut Value> = match found.get("buckets") {
        Some(Value::Array(_)) => found["buckets"].as_array_mut().into_iter().flatten().collect(),
        Some(Value::Object(_)) => found["buckets"].as_object_mut().into_iter().flat_map(Map::values_mut).collect(),
        _ => vec![found],
    };
    for bucket in buckets.into_iter().filter_map(Value::as_object_mut) {
        name_types(aggs, bucket);
    }
}

fn type_of(kind: &AggKind, found: &Value) -> Option<&'static str> {
    Some(match kind {
        AggKind::DateHistogram(_) => "date_histogram",
        AggKind::AutoDateHistogram(_) => "auto_date_histogram",
        AggKind::Histogram(_) => "histogram",
        AggKind::Terms(terms) => by_key(&terms.field, found, ["sterms", "lterms", "dterms", "sterms"]),
        AggKind::RareTerms { field, .. } => {
            by_key(field, found, ["srareterms", "lrareterms", "lrareterms", "umrareterms"])
        }
        AggKind::MultiTerms(_) => "multi_terms",
        AggKind::SignificantTerms(terms) => {
            by_key(&terms.field, found, ["sigsterms", "siglterms", "siglterms", "umsigterms"])
        }
        AggKind::Composite(_) => "composite",
        AggKind::Filters(_) => "filters",
        AggKind::AdjacencyMatrix { .. } => "adjacency_matrix",
        AggKind::Filter(_) => "filter",
        AggKind::Global => "global",
        AggKind::Range(range) if range.are_dates || catalogue().kind(&range.field) == Some(FieldKind::Date) => {
            "date_range"
        }
        AggKind::Range(_) => "range",
        AggKind::Missing { .. } => "missing",
        AggKind::Metric { metric, .. } => metric.name(),
        AggKind::WeightedAvg { .. } => "weighted_avg",
        AggKind::Percentiles { .. } => "tdigest_percentiles",
        AggKind::PercentileRanks { .. } => "tdigest_percentile_ranks",
        AggKind::MedianAbsoluteDeviation { .. } => "median_absolute_deviation",
        AggKind::Cardinality { .. } => "cardinality",
        AggKind::TopHits { .. } => "top_hits",
        AggKind::TopMetrics { .. } => "top_metrics",
        AggKind::Pipeline(pipeline) => match &pipeline.kind {
            PipelineKind::Derivative { .. } => "derivative",
            PipelineKind::CumulativeSum { .. }
            | PipelineKind::SerialDiff { .. }
            | PipelineKind::MovingFn { .. }
            | PipelineKind::BucketScript { .. } => "simple_value",
            PipelineKind::BucketSelector { .. } | PipelineKind::BucketSort { .. } => return None,
            PipelineKind::Bucket { metric, .. } => match metric {
                BucketMetric::Avg | BucketMetric::Sum => "simple_value",
                BucketMetric::Max | BucketMetric::Min => "bucket_metric_value",
                BucketMetric::Stats => "stats_bucket",
                BucketMetric::ExtendedStats { .. } => "extended_stats_bucket",
                BucketMetric::Percentiles { .. } => "percentiles_bucket",
            },
        },
    })
}

/// By the kind of the field, or of the first key where nobody declared it: of texts, whole numbers, fractions, or none.
fn by_key(field: &str, found: &Value, [text, whole, fraction, none]: [&'static str; 4]) -> &'static str {
    match catalogue().kind(field) {
        Some(FieldKind::Keyword | FieldKind::Text) => text,
        Some(FieldKind::Long | FieldKind::Boolean | FieldKind::Date) => whole,
        Some(FieldKind::Double) => fraction,
        None => match found.pointer("/buckets/0/key") {
            Some(Value::String(_)) => text,
            Some(Value::Number(number)) if number.is_f64() => fraction,
            Some(_) => whole,
            None => none,
        },
    }
}
