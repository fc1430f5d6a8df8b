//! What aggregations of a search body become.

use serde_json::{Value, json};
use tollhouse_query::ast::{
    Agg, AggKind, Bounds, BucketMetric, BucketOrder, BucketsPath, CalendarUnit, Composite, DateHistogram, Filters,
    GapPolicy, Histogram, Interval, Metric, MissingOrder, PathStep, Pipeline, PipelineKind, Query, RangePart, Ranges,
    Select, Source, SourceFilter, SourceKind, Terms,
};
use tollhouse_query::{TimeFormat, dsl};

fn leaf(kind: AggKind) -> Agg {
    Agg { kind, aggs: vec![], meta: None }
}

fn metric(metric: Metric, field: &str) -> Agg {
    leaf(AggKind::Metric { metric, field: field.into(), missing: None, format: None })
}

fn by(by: &str, descending: bool) -> BucketOrder {
    BucketOrder { by: by.into(), descending }
}

fn dates(field: &str, interval: Interval) -> DateHistogram {
    DateHistogram {
        field: field.into(),
        interval,
        offset_ms: 0,
        time_zone: None,
        format: None,
        min_doc_count: 0,
        extended_bounds: None,
        hard_bounds: None,
        keyed: false,
        order: vec![by("_key", false)],
        missing: None,
    }
}

fn terms(field: &str) -> Terms {
    Terms {
        field: field.into(),
        size: 10,
        order: vec![by("_count", true)],
        min_doc_count: 1,
        missing: None,
        select: Select::default(),
        show_error: false,
    }
}

fn path(text: &str, steps: &[(&str, Option<&str>)]) -> BucketsPath {
    let steps = steps.iter().map(|(text, key)| PathStep { text: (*text).into(), key: key.map(str::to_owned) });
    BucketsPath { text: text.into(), steps: steps.collect() }
}

#[test]
fn aggregations_become_plans() {
    for (body, expected) in [
        (
            json!({"date_histogram": {"field": "@timestamp", "fixed_interval": "5m"}}),
            leaf(AggKind::DateHistogram(dates("@timestamp", Interval::Fixed(300_000)))),
        ),
        (
            json!({
                "date_histogram": {
                    "field": "@timestamp", "calendar_interval": "day", "offset": "+6h", "time_zone": "Asia/Shanghai",
                    "min_doc_count": 1, "format": "epoch_millis", "extended_bounds": {"min": "1769385600000", "max": 5},
                },
                "aggs": {"slow": {"avg": {"field": "duration_ms"}}},
                "meta": {"panel": 3},
            }),
            Agg {
                kind: AggKind::DateHistogram(DateHistogram {
                    offset_ms: 6 * 3_600_000,
                    time_zone: Some("Asia/Shanghai".into()),
                    min_doc_count: 1,
                    format: Some(TimeFormat::parse("epoch_millis").unwrap()),
                    extended_bounds: Some(Bounds { min: Some(json!("1769385600000")), max: Some(json!(5)) }),
                    ..dates("@timestamp", Interval::Calendar(CalendarUnit::Day))
                }),
                aggs: vec![("slow".into(), metric(Metric::Avg, "duration_ms"))],
                meta: json!({"panel": 3}).as_object().cloned(),
            },
        ),
        (
            json!({"date_histogram": {"field": "t", "interval": "1M", "extended_bounds": {"min": "now-1d"}, "order": {"_time": "desc"}}}),
            leaf(AggKind::DateHistogram(DateHistogram {
                extended_bounds: Some(Bounds { min: Some(json!("now-1d")), max: None }),
                order: vec![by("_key", true)],
                ..dates("t", Interval::Calendar(CalendarUnit::Month))
            })),
        ),
        (
            json!({"histogram": {"field": "duration_ms", "interval": "2.5", "min_doc_count": 1, "hard_bounds": {"max": 9}}}),
            leaf(AggKind::Histogram(Histogram {
                field: "duration_ms".into(),
                interval: 2.5,
                offset: 0.0,
                min_doc_count: 1,
                extended_bounds: None,
                hard_bounds: Some(Bounds { min: None, max: Some(9.0) }),
                keyed: false,
                order: vec![by("_key", false)],
                missing: None,
            })),
        ),
        (json!({"terms": {"field": "model"}}), leaf(AggKind::Terms(terms("model")))),
        (
            json!({
                "terms": {"field": "model", "size": 500, "order": [{"p.95": "desc"}, {"_term": "asc"}], "missing": "none", "shard_size": 9},
                "aggregations": {"p": {"percentiles": {"field": "duration_ms", "percents": ["95"], "keyed": false}}},
            }),
            Agg {
                kind: AggKind::Terms(Terms {
                    size: 500,
                    order: vec![by("p.95", true), by("_key", false)],
                    missing: Some(json!("none")),
                    ..terms("model")
                }),
                aggs: vec![(
                    "p".into(),
                    leaf(AggKind::Percentiles {
                        field: "duration_ms".into(),
                        percents: vec![95.0],
                        keyed: false,
                        missing: None,
                    }),
                )],
                meta: None,
            },
        ),
        (
            json!({"composite": {"sources": [{"m": {"terms": {"field": "model", "order": "desc", "missing_bucket": true}}}], "after": {"m": null}}}),
            leaf(AggKind::Composite(Composite {
                sources: vec![(
                    "m".into(),
                    Source {
                        field: "model".into(),
                        kind: SourceKind::Terms,
                        descending: true,
                        missing: Some(MissingOrder::Smallest),
                    },
                )],
                size: 10,
                after: Some(vec![Value::Null]),
            })),
        ),
        (
            json!({"filters": {"filters": {"all": {"match_all": {}}, "none": {"match_none": {}}}, "other_bucket": true}}),
            leaf(AggKind::Filters(Filters {
                filters: vec![(Some("all".into()), Query::MatchAll), (Some("none".into()), Query::MatchNone)],
                other: Some("_other_".into()),
                keyed: true,
            })),
        ),
        (
            json!({"filters": {"filters": [{"match_all": {}}]}}),
            leaf(AggKind::Filters(Filters { filters: vec![(None, Query::MatchAll)], other: None, keyed: false })),
        ),
        (json!({"filter": {"match_all": {}}}), leaf(AggKind::Filter(Query::MatchAll))),
        (json!({"global": {}}), leaf(AggKind::Global)),
        (
            json!({"range": {"field": "duration_ms", "ranges": [{"to": 1}, {"key": "slow", "from": 3000.5}]}}),
            leaf(AggKind::Range(Ranges {
                field: "duration_ms".into(),
                ranges: vec![
                    RangePart { key: None, from: None, to: Some(json!(1)) },
                    RangePart { key: Some("slow".into()), from: Some(json!(3000.5)), to: None },
                ],
                keyed: false,
                missing: None,
                format: None,
                time_zone: None,
                are_dates: false,
            })),
        ),
        (json!({"missing": {"field": "error"}}), leaf(AggKind::Missing { field: "error".into() })),
        (
            json!({"sum": {"field": "output_tokens", "missing": 0}}),
            leaf(AggKind::Metric {
                metric: Metric::Sum,
                field: "output_tokens".into(),
                missing: Some(json!(0)),
                format: None,
            }),
        ),
        (json!({"min": {"field": "a"}}), metric(Metric::Min, "a")),
        (json!({"max": {"field": "a"}}), metric(Metric::Max, "a")),
        (json!({"stats": {"field": "a"}}), metric(Metric::Stats, "a")),
        (json!({"extended_stats": {"field": "a", "sigma": 3}}), metric(Metric::ExtendedStats { sigma: 3.0 }, "a")),
        (json!({"value_count": {"field": "a"}}), metric(Metric::ValueCount, "a")),
        (
            json!({"percentiles": {"field": "a", "tdigest": {"compression": 200}}}),
            leaf(AggKind::Percentiles {
                field: "a".into(),
                percents: vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
                keyed: true,
                missing: None,
            }),
        ),
        (
            json!({"cardinality": {"field": "user_id", "precision_threshold": 100}}),
            leaf(AggKind::Cardinality { field: "user_id".into(), missing: None }),
        ),
        (
            json!({"top_hits": {"size": 1, "_source": ["msg"]}}),
            leaf(AggKind::TopHits {
                from: 0,
                size: 1,
                sort: vec![],
                source: SourceFilter { includes: vec!["msg".into()], ..SourceFilter::default() },
            }),
        ),
    ] {
        let request =
            dsl::parse_search(&json!({"aggs": {"x": body}})).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(request.aggs, [("x".to_owned(), expected)], "{body}");
    }
}

#[test]
fn pipelines_become_plans() {
    let beside = |asked: Value, kind: PipelineKind, gap: GapPolicy| {
        let body = json!({"aggs": {
            "days": {"date_histogram": {"field": "t", "calendar_interval": "day"}, "aggs": {"n": {"sum": {"field": "a"}}}},
            "x": asked
        }});
        let request = dsl::parse_search(&body).unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(request.aggs[1].1.kind, AggKind::Pipeline(Pipeline { kind, gap }), "{asked}");
    };
    beside(
        json!({"max_bucket": {"buckets_path": "days>n.value"}}),
        PipelineKind::Bucket {
            path: path("days>n.value", &[("days", None), ("n.value", None)]),
            metric: BucketMetric::Max,
        },
        GapPolicy::Skip,
    );
    beside(
        json!({"sum_bucket": {"buckets_path": "days['2026-03-28']>_count", "gap_policy": "insert_zeros"}}),
        PipelineKind::Bucket {
            path: path("days['2026-03-28']>_count", &[("days", Some("2026-03-28")), ("_count", None)]),
            metric: BucketMetric::Sum,
        },
        GapPolicy::InsertZeros,
    );
    let body = json!({"aggs": {"days": {"date_histogram": {"field": "t", "calendar_interval": "day"}, "aggs": {
        "n": {"sum": {"field": "a"}},
        "d": {"derivative": {"buckets_path": "n", "unit": "day"}},
        "s": {"bucket_sort": {"sort": ["d", {"_count": {"order": "desc"}}], "from": 1}}
    }}}});
    let request = dsl::parse_search(&body).unwrap();
    let nested = &request.aggs[0].1.aggs;
    let kind = PipelineKind::Derivative { path: path("n", &[("n", None)]), unit_ms: Some(86_400_000) };
    assert_eq!(nested[1].1.kind, AggKind::Pipeline(Pipeline { kind, gap: GapPolicy::Skip }));
    let sort = vec![(path("d", &[("d", None)]), false), (path("_count", &[("_count", None)]), true)];
    let kind = PipelineKind::BucketSort { sort, from: 1, size: None };
    assert_eq!(nested[2].1.kind, AggKind::Pipeline(Pipeline { kind, gap: GapPolicy::Skip }));
}

#[test]
fn errors_say_what_is_wrong() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases/aggregation_errors.json")).unwrap();
    for case in &cases {
        let Err(error) = dsl::parse_search(&case["body"]) else { panic!("{} is read", case["body"]) };
        assert_eq!(
            (error.es_type(), error.to_string().as_str()),
            (case["type"].as_str().unwrap(), case["reason"].as_str().unwrap()),
            "{}",
            case["body"]
        );
    }
}
