//! Conditions against documents, search bodies against plans, and properties of both; the data lies in `cases/`.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollhouse_query::ast::{BoolQuery, Bound, Case, MatchMode, Missing, Query, Sort, SourceFilter, TextMatch};
use tollhouse_query::date::parse_rfc3339;
use tollhouse_query::kql::KqlOptions;
use tollhouse_query::lucene::{LuceneOptions, escape};
use tollhouse_query::{FieldKind, Fields, dsl, kql, lucene, matches_at};

fn fields() -> Fields {
    let mut fields = Fields::default();
    for (name, kind) in [
        ("@timestamp", FieldKind::Date),
        ("kind", FieldKind::Keyword),
        ("http_status", FieldKind::Long),
        ("duration_ms", FieldKind::Double),
        ("model_name", FieldKind::Keyword),
        ("user_id", FieldKind::Keyword),
        ("path", FieldKind::Keyword),
        ("error", FieldKind::Keyword),
        ("tags", FieldKind::Keyword),
        ("msg", FieldKind::Text),
        ("stream", FieldKind::Boolean),
    ] {
        fields.declare(name, kind);
    }
    for (alias, name) in [("ts", "@timestamp"), ("status", "http_status"), ("model", "model_name"), ("tag", "tags")] {
        fields.alias(alias, name);
    }
    fields
}

#[test]
fn conditions_select_documents() {
    let file: Value = serde_json::from_str(include_str!("cases/conditions.json")).unwrap();
    let now_ms = parse_rfc3339(file["now"].as_str().unwrap()).unwrap();
    let fields = fields();
    for case in file["cases"].as_array().unwrap() {
        let query = match (case.get("lucene"), case.get("kql")) {
            (Some(text), _) => lucene::parse(text.as_str().unwrap(), &LuceneOptions::default()),
            (None, Some(text)) => kql::parse(text.as_str().unwrap(), &KqlOptions::default()),
            (None, None) => dsl::parse_query(&case["query"]),
        };
        let query = query.unwrap_or_else(|error| panic!("{case}: {error}"));
        let documents = file["documents"].as_array().unwrap().iter();
        let hits = documents.filter(|document| matches_at(&query, document.as_object().unwrap(), &fields, now_ms));
        let hits: Vec<Value> = hits.map(|document| document["seq"].clone()).collect();
        assert_eq!(Value::from(hits), case["hits"], "{case}");
    }
}

#[test]
fn wrong_bodies_name_what_is_wrong() {
    let cases: Value = serde_json::from_str(include_str!("cases/errors.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let error = dsl::parse_search(&case["body"]).expect_err(&case.to_string());
        assert_eq!(error.to_string(), case["reason"].as_str().unwrap(), "{case}");
        assert_eq!(error.es_type(), case["type"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn an_empty_body_has_the_defaults() {
    let empty = dsl::parse_search(&Value::Null).unwrap();
    assert_eq!(dsl::parse_search(&json!({})).unwrap(), empty);
    assert_eq!((empty.from, empty.size, empty.track_total_hits), (0, 10, Some(10_000)));
    assert_eq!(empty.query, Query::MatchAll);
    assert_eq!(dsl::parse_count(&Value::Null), Ok(Query::MatchAll));
    assert!(dsl::parse_count(&json!({"size": 1})).is_err());
}

fn sort(field: &str, descending: bool, missing_first: bool) -> Sort {
    let missing = if missing_first { Missing::First } else { Missing::Last };
    Sort { field: field.into(), descending, missing, unmapped: None, format: None }
}

#[test]
fn sort_and_source_take_all_shapes() {
    for (value, expected) in [
        (json!("a"), vec![sort("a", false, false)]),
        (
            json!(["a", {"b": "desc"}, "_score"]),
            vec![sort("a", false, false), sort("b", true, false), sort("_score", true, false)],
        ),
        (
            json!({"@timestamp": {"order": "desc", "unmapped_type": "boolean"}, "_doc": {"order": "desc"}}),
            vec![
                Sort { unmapped: Some(FieldKind::Boolean), ..sort("@timestamp", true, false) },
                sort("_doc", true, false),
            ],
        ),
        (json!([{"a": {"missing": "_first", "mode": "min"}}]), vec![sort("a", false, true)]),
    ] {
        assert_eq!(dsl::parse_sort(&value), Ok(expected), "{value}");
    }
    let filter = |off, includes: &[&str], excludes: &[&str]| SourceFilter {
        off,
        includes: includes.iter().map(|name| (*name).to_owned()).collect(),
        excludes: excludes.iter().map(|name| (*name).to_owned()).collect(),
    };
    for (value, expected) in [
        (json!(true), filter(false, &[], &[])),
        (json!(false), filter(true, &[], &[])),
        (json!("a*"), filter(false, &["a*"], &[])),
        (json!(["a", "b"]), filter(false, &["a", "b"], &[])),
        (json!({"includes": "a", "excludes": ["b"]}), filter(false, &["a"], &["b"])),
        (json!({"exclude": "b"}), filter(false, &[], &["b"])),
    ] {
        assert_eq!(dsl::parse_source(&value), Ok(expected), "{value}");
    }
}

#[test]
fn harmless_keys_are_passed_over() {
    let body = json!({
        "timeout": "30s", "version": true, "stored_fields": ["*"], "track_total_hits": true, "script_fields": {},
        "docvalue_fields": [], "highlight": {}, "explain": false, "min_score": null, "size": 0, "from": 0,
    });
    let request = dsl::parse_search(&body).unwrap();
    assert_eq!((request.size, request.track_total_hits), (0, Some(u64::MAX)));
    assert_eq!(dsl::parse_search(&json!({"track_total_hits": false})).unwrap().track_total_hits, None);
    assert_eq!(dsl::parse_search(&json!({"track_total_hits": 500})).unwrap().track_total_hits, Some(500));
}

#[test]
fn limits_hold() {
    let mut query = json!({"match_all": {}});
    let mut aggs = json!({"x": {"filter": {"match_all": {}}}});
    for _ in 0..dsl::QUERY_DEPTH_MAX {
        query = json!({"bool": {"must": query}});
    }
    for _ in 1..dsl::AGGS_DEPTH_MAX {
        aggs = json!({"x": {"filter": {"match_all": {}}, "aggs": aggs}});
    }
    assert!(dsl::parse_query(&query).is_ok());
    assert!(dsl::parse_query(&json!({"bool": {"must": query}})).is_err());
    assert!(dsl::parse_search(&json!({"aggs": aggs})).is_ok());
    assert!(dsl::parse_search(&json!({"aggs": {"x": {"filter": {"match_all": {}}, "aggs": aggs}}})).is_err());
    let clauses = vec![json!({"match_all": {}}); dsl::CLAUSES_MAX];
    assert!(dsl::parse_query(&json!({"bool": {"should": clauses}})).is_err());
    let values = vec![json!(1); dsl::TERMS_MAX + 1];
    assert!(dsl::parse_query(&json!({"terms": {"a": values}})).is_err());
}

/// A plan in Lucene's words.
fn print(query: &Query) -> String {
    let end = |bound: &Bound| match bound {
        Bound::Open => "*".to_owned(),
        Bound::Inclusive(value) | Bound::Exclusive(value) => format!("\"{}\"", value.as_str().unwrap()),
    };
    match query {
        Query::MatchAll => "*:*".into(),
        Query::Match(TextMatch { field, text, mode: MatchMode::PHRASE, .. }) => {
            format!("{field}:\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Query::Match(TextMatch { field, text, .. }) => format!("{field}:{}", escape(text)),
        Query::Range { field, lower, upper, .. } => {
            let open = if matches!(lower, Bound::Exclusive(_)) { '{' } else { '[' };
            let close = if matches!(upper, Bound::Exclusive(_)) { '}' } else { ']' };
            format!("{field}:{open}{} TO {}{close}", end(lower), end(upper))
        }
        Query::Exists { field } => format!("_exists_:{field}"),
        Query::Prefix { field, value, .. } => format!("{field}:{}*", escape(value)),
        Query::Wildcard { field, pattern, .. } => {
            let pieces = pattern.split_inclusive(['*', '?']);
            let escaped = pieces.map(|piece| match piece.char_indices().last() {
                Some((at, sign @ ('*' | '?'))) => format!("{}{sign}", escape(&piece[..at])),
                _ => escape(piece),
            });
            format!("{field}:{}", escaped.collect::<String>())
        }
        Query::Bool(query) => {
            let must = query.must.iter().map(|query| format!("+{}", print(query)));
            let should = query.should.iter().map(print);
            let must_not = query.must_not.iter().map(|query| format!("-{}", print(query)));
            format!("({})", must.chain(should).chain(must_not).collect::<Vec<_>>().join(" "))
        }
        other => panic!("not made by the generator: {other:?}"),
    }
}

fn field() -> impl Strategy<Value = String> {
    let names = ["msg", "user_id", "model", "http_status", "duration_ms", "@timestamp", "stream", "tags", "extra"];
    proptest::sample::select(names.map(str::to_owned).to_vec())
}

fn word() -> impl Strategy<Value = String> {
    let words =
        ["a", "b", "A b", "ab-c", "200", "3000", "-1", "2.5", "true", "now", "2026-01-27", "é模", "a*\"b\\", "AND"];
    proptest::sample::select(words.map(str::to_owned).to_vec())
}

fn bound() -> impl Strategy<Value = Bound> {
    let end = proptest::sample::select(["a", "200", "2.5", "-1", "2026-01-27", "now-1d"].map(Value::from).to_vec());
    (0..3, end).prop_map(|(kind, value)| match kind {
        0 => Bound::Open,
        1 => Bound::Inclusive(value),
        _ => Bound::Exclusive(value),
    })
}

fn query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        Just(Query::MatchAll),
        (field(), word()).prop_map(|(field, text)| Query::Match(TextMatch::new(field, text, MatchMode::Any))),
        (field(), word()).prop_map(|(field, text)| Query::Match(TextMatch::new(field, text, MatchMode::PHRASE))),
        (field(), bound(), bound())
            // Without ends it is read as a question for existence.
            .prop_filter("a range has an end", |(_, lower, upper)| *lower != Bound::Open || *upper != Bound::Open)
            .prop_map(|(field, lower, upper)| Query::Range { field, lower, upper, time_zone: None }),
        field().prop_map(|field| Query::Exists { field }),
        (field(), word()).prop_map(|(field, value)| Query::Prefix { field, value, case: Case::AsIndexed }),
        (field(), "[ab2?]{1,2}[*?][ab0]{0,1}").prop_map(|(field, pattern)| Query::Wildcard {
            field,
            pattern,
            case: Case::AsIndexed
        }),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let list = || proptest::collection::vec(inner.clone(), 0..3);
        (list(), list(), list()).prop_filter_map("empty groups cannot be written", |(must, should, must_not)| {
            let is_empty = must.is_empty() && should.is_empty() && must_not.is_empty();
            (!is_empty).then_some(Query::Bool(BoolQuery { must, should, must_not, ..BoolQuery::default() }))
        })
    })
}

fn document() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        word().prop_map(Value::from),
        Just(json!(200)),
        Just(json!(2.5)),
        Just(json!(true)),
        Just(json!(null)),
        Just(json!(["a", "b"])),
        Just(json!([200, 3000])),
        Just(json!("2026-01-27T10:00:00.000Z")),
    ];
    proptest::collection::vec((field(), value), 0..6).prop_map(|entries| {
        let fields = fields();
        entries.into_iter().map(|(field, value)| (fields.canonical(&field).to_owned(), value)).collect()
    })
}

/// JSON out of the words of the DSL, mostly nonsense.
fn body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(vec!["a", "1d", "1h", "desc", "now/d", "+08:00", "epoch_millis", "-5%", "*", "a AND"])
            .prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "query",
        "aggs",
        "bool",
        "must",
        "should",
        "minimum_should_match",
        "term",
        "terms",
        "range",
        "gte",
        "format",
        "time_zone",
        "exists",
        "field",
        "match",
        "query_string",
        "default_field",
        "date_histogram",
        "fixed_interval",
        "interval",
        "offset",
        "extended_bounds",
        "min",
        "max",
        "size",
        "from",
        "sort",
        "order",
        "_source",
        "filters",
        "filter",
        "ranges",
        "to",
        "percentiles",
        "percents",
        "top_hits",
        "ids",
        "values",
        "a",
        "value",
        "fields",
    ]);
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..4).prop_map(|entries| {
                Value::from(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_plan_is_read_back(query in query(), documents in proptest::collection::vec(document(), 1..5)) {
        let fields = fields();
        let now_ms = parse_rfc3339("2026-01-27T12:00:00.000Z").unwrap();
        let text = print(&query);
        let read = lucene::parse(&text, &LuceneOptions::default()).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        for document in &documents {
            prop_assert_eq!(
                matches_at(&query, document, &fields, now_ms),
                matches_at(&read, document, &fields, now_ms),
                "{} on {:?}", text, document
            );
        }
    }

    #[test]
    fn any_body_is_read_without_panic(body in body(), key in proptest::sample::select(vec!["query", "aggs", "sort", "_source", "size"])) {
        let _ = dsl::parse_search(&body);
        let _ = dsl::parse_query(&body);
        let _ = dsl::parse_search(&json!({key: body}));
        let _ = dsl::parse_search(&json!({"aggs": {"x": {"date_histogram": body}, "y": {"terms": body}}}));
    }
}
