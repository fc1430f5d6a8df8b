//! What is remembered of segments changes no answer, and spares the work that it is remembered for.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::tempdir;
use tollhouse_query::date::Zone;
use tollhouse_query::dsl;
use tollhouse_shape::catalogue;

use super::oracle::{Random, query, record};
use super::{DAY_MS, Journal, START_MS, WAIT, options, search, wait};
use crate::filter::Moment;
use crate::pass::Memory;
use crate::search::{Asker, search as search_days};
use crate::{SearchResponse, Store};

/// The same search by somebody who remembers nothing.
fn search_afresh(store: &Store, body: &Value) -> SearchResponse {
    let request = dsl::parse_search(body).unwrap();
    let (memory, deadline) = (Memory::default(), Instant::now() + WAIT);
    search_days(&store.inner.days(), &request, catalogue(), &memory, Moment::now(), deadline, Asker::Someone).unwrap()
}

/// All of an answer but the time that it took.
fn answered(response: &SearchResponse) -> Value {
    let mut answer = serde_json::to_value(response).unwrap();
    answer["took"] = Value::Null;
    answer
}

/// Asks, and asks again when the first answer is remembered. Hits alone are not.
pub(super) fn search_twice(store: &Store, body: &Value) -> SearchResponse {
    if body.get("aggs").is_none() {
        return search(store, body);
    }
    let afresh = answered(&search_afresh(store, body));
    let first = search(store, body);
    for (found, which) in [(&first, "first"), (&search(store, body), "second"), (&search(store, body), "third")] {
        assert_eq!(answered(found), afresh, "the {which} answer to {body}");
    }
    first
}

/// What searches had to work out so far.
fn collected(store: &Store) -> u64 {
    store.stats().answers_collected
}

fn at(ms: i64) -> String {
    Zone::utc().format(ms)
}

/// Every kind of aggregation, with and without others in it.
fn every_kind(random: &mut Random) -> Value {
    let nested = json!({
        "n": {"value_count": {"field": "user_id"}},
        "p": {"percentiles": {"field": "duration_ms", "percents": [50, random.below(100)]}},
        "hits": {"top_hits": {"size": 2, "sort": [{"duration_ms": "desc"}], "_source": ["seq"]}},
    });
    let kinds = [
        json!({"date_histogram": {"field": "@timestamp", "fixed_interval": "5h"}}),
        json!({"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "time_zone": "Asia/Kolkata",
            "hard_bounds": {"min": at(START_MS + DAY_MS), "max": at(START_MS + 2 * DAY_MS)}}}),
        json!({"auto_date_histogram": {"field": "@timestamp", "buckets": 5}}),
        json!({"histogram": {"field": "duration_ms", "interval": 200, "missing": 7}}),
        json!({"terms": {"field": "model", "missing": "none", "order": {"n": "desc"}}}),
        json!({"terms": {"field": "user_id", "size": 2}}),
        json!({"terms": {"field": "mixed"}}),
        json!({"terms": {"field": "user_id", "include": "user-1.*"}}),
        json!({"terms": {"field": "kind", "min_doc_count": 0}}),
        json!({"rare_terms": {"field": "user_id", "max_doc_count": 4}}),
        json!({"significant_terms": {"field": "user_id", "min_doc_count": 1}}),
        json!({"multi_terms": {"terms": [{"field": "kind"}, {"field": "status", "missing": 0}]}}),
        json!({"composite": {"sources": [{"u": {"terms": {"field": "user_id"}}}], "size": 5, "after": {"u": "user-2"}}}),
        json!({"filters": {"filters": {"slow": {"term": {"tags": "slow"}}, "late": {"range": {"@timestamp": {"gte": at(START_MS + DAY_MS)}}}}, "other_bucket_key": "rest"}}),
        json!({"adjacency_matrix": {"filters": {"a": {"exists": {"field": "site"}}, "b": {"term": {"kind": "log"}}}}}),
        json!({"filter": {"range": {"@timestamp": {"lt": at(START_MS + random.below(3 * DAY_MS as u64) as i64)}}}}),
        json!({"global": {}}),
        json!({"range": {"field": "duration_ms", "ranges": [{"to": 100}, {"from": 50}], "missing": 60}}),
        json!({"date_range": {"field": "@timestamp", "ranges": [{"from": "now-10d/d"}, {"to": at(START_MS + DAY_MS)}]}}),
        json!({"missing": {"field": "user_id"}}),
    ];
    let metrics = json!({
        "avg": {"avg": {"field": "duration_ms"}},
        "sum": {"sum": {"field": "duration_ms", "missing": 3}},
        "count": {"value_count": {"field": "msg_or_none"}},
        "spread": {"extended_stats": {"field": "duration_ms"}},
        "weighted": {"weighted_avg": {"value": {"field": "input_tokens"}, "weight": {"field": "output_tokens"}}},
        "ranks": {"percentile_ranks": {"field": "duration_ms", "values": [100, 900]}},
        "deviation": {"median_absolute_deviation": {"field": "duration_ms"}},
        "distinct": {"cardinality": {"field": "mixed", "missing": 1}},
        "tops": {"top_metrics": {"metrics": [{"field": "kind"}, {"field": "status"}], "sort": {"duration_ms": "asc"}, "size": 3}},
        "hits": {"top_hits": {"from": 1, "size": 2, "sort": [{"user_id": "asc"}], "_source": ["seq"]}},
    });
    let Value::Object(mut aggs) = metrics else { unreachable!("it is one") };
    for (number, kind) in kinds.into_iter().enumerate() {
        let mut agg = kind;
        agg["aggs"] = nested.clone();
        aggs.insert(format!("kind{number}"), agg);
    }
    aggs.into()
}

/// Records come, segments are merged, and the same is asked at each step: with what is remembered, and without.
#[test]
fn answers_are_the_same_with_and_without_memory() {
    for seed in [1, 2] {
        let dir = tempdir().unwrap();
        let mut random = Random(seed);
        let mut journal = Journal::new(dir.path());
        let store = Store::open(options(dir.path())).unwrap();
        let indexer = journal.follow(&store);
        let mut asked: Vec<Value> = Vec::new();
        for step in 0..10 {
            for _ in 0..30 {
                let (ts, fields) = record(&mut random);
                journal.append(ts, &fields);
            }
            wait(&store, journal.seq);
            if step % 4 == 0 {
                let from = at(START_MS + random.below(3 * DAY_MS as u64) as i64 - DAY_MS);
                let filter = json!([query(&mut random, 2), {"range": {"@timestamp": {"gte": from}}}]);
                asked.push(json!({
                    "query": {"bool": {"filter": filter}},
                    "size": 5,
                    "sort": [{"duration_ms": "desc"}],
                    "track_total_hits": true,
                    "aggs": every_kind(&mut random),
                }));
            }
            if step % 3 == 2 {
                for body in &asked {
                    search_twice(&store, body);
                }
            }
        }
        let segments = |store: &Store| -> usize {
            store.inner.days().iter().map(|day| day.reader.searcher().segment_readers().len()).sum()
        };
        let before = segments(&store);
        indexer.close().unwrap();
        assert!(segments(&store) <= before, "{before}");
        for body in &asked {
            search_twice(&store, body);
        }
        let stats = store.stats();
        assert!(stats.answers_recalled > stats.answers_collected, "{stats:?}");
        assert!(stats.answers_bytes > 0);
    }
}

/// A store of three days, each of one segment or more, and who writes it.
fn filled(dir: &std::path::Path, records: u64) -> (Store, crate::Indexer, Journal) {
    let mut random = Random(3);
    let mut journal = Journal::new(dir);
    let store = Store::open(options(dir)).unwrap();
    for _ in 0..records {
        let (ts, fields) = record(&mut random);
        journal.append(ts, &fields);
    }
    let indexer = journal.follow(&store);
    wait(&store, records);
    (store, indexer, journal)
}

/// A question as a page asks it, about the time after a moment.
fn page(from_ms: i64) -> Value {
    json!({
        "query": {"bool": {"filter": [{"term": {"kind": "request"}}, {"range": {"@timestamp": {"gte": at(from_ms)}}}]}},
        "size": 3,
        "sort": [{"duration_ms": "desc"}],
        "aggs": {
            "over_time": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "extended_bounds": {"min": from_ms, "max": START_MS + 4 * DAY_MS}},
                "aggs": {"p": {"percentiles": {"field": "duration_ms"}}},
            },
            "models": {"terms": {"field": "model"}},
        },
    })
}

#[test]
fn a_range_that_moves_asks_again_only_what_it_cuts() {
    let dir = tempdir().unwrap();
    let (store, indexer, _) = filled(dir.path(), 300);
    // Nobody else asks from now on.
    indexer.close().unwrap();
    search(&store, &page(START_MS - DAY_MS));
    let first = collected(&store);
    assert!(first > 0);
    // Beginning before all records, and at none of the segments' times.
    for hours in 1..5 {
        search_twice(&store, &page(START_MS - hours * 3_600_000));
    }
    assert_eq!(collected(&store), first);
    // In the second day: the first has no documents, the third is as it was.
    let day = |number: i64| format!("gate-2026.01.{}", 27 + number);
    let second_alone = |before: u64| {
        let mut body = page(START_MS + DAY_MS + DAY_MS / 2);
        // Hits of segments that cannot have any of the first are not asked for.
        body["size"] = json!(0);
        let request = dsl::parse_search(&body).unwrap();
        store.search(&day(2), &request).unwrap();
        assert_eq!(collected(&store), before);
        store.search(&day(1), &request).unwrap();
        collected(&store) - before
    };
    assert!(second_alone(first) > 0);
    // The same limits come again: then they are worth it.
    assert!(second_alone(collected(&store)) > 0);
    assert_eq!(second_alone(collected(&store)), 0);
}

#[test]
fn how_something_is_shown_is_no_other_question() {
    let dir = tempdir().unwrap();
    let (store, indexer, _) = filled(dir.path(), 120);
    // Nobody else asks from now on.
    indexer.close().unwrap();
    let ask = |aggs: Value| search_twice(&store, &json!({"size": 0, "aggs": aggs}));
    ask(
        json!({"a": {"terms": {"field": "kind"}, "aggs": {"m": {"avg": {"field": "duration_ms"}}}}, "p": {"percentiles": {"field": "duration_ms"}}}),
    );
    let before = collected(&store);
    ask(
        json!({"b": {"terms": {"field": "kind", "size": 1}, "aggs": {"x": {"max": {"field": "duration_ms"}}}}, "q": {"percentile_ranks": {"field": "duration_ms", "values": [7]}}}),
    );
    assert_eq!(collected(&store), before);
    // Other fields, other values for what is missing, and another order of what is dropped are other questions.
    for aggs in [
        json!({"a": {"terms": {"field": "kind"}, "aggs": {"m": {"avg": {"field": "input_tokens"}}}}}),
        json!({"a": {"terms": {"field": "kind", "missing": "x"}, "aggs": {"m": {"avg": {"field": "duration_ms"}}}}}),
        json!({"a": {"terms": {"field": "kind", "order": {"_key": "asc"}}, "aggs": {"m": {"avg": {"field": "duration_ms"}}}}}),
        json!({"a": {"terms": {"field": "kind", "exclude": ["log"]}, "aggs": {"m": {"avg": {"field": "duration_ms"}}}}}),
    ] {
        let before = collected(&store);
        ask(aggs.clone());
        assert!(collected(&store) > before, "{aggs}");
    }
}

#[test]
fn what_ran_out_of_time_is_not_remembered() {
    let dir = tempdir().unwrap();
    let (store, indexer, _) = filled(dir.path(), 120);
    // Nobody else asks from now on.
    indexer.close().unwrap();
    let request = dsl::parse_search(&page(START_MS)).unwrap();
    let inner = &store.inner;
    let found =
        search_days(&inner.days(), &request, catalogue(), &inner.memory, Moment::now(), Instant::now(), Asker::Someone);
    assert!(found.unwrap().timed_out);
    search_twice(&store, &page(START_MS));
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn standing_questions_are_asked_ahead_after_a_start_and_of_new_segments() {
    let dir = tempdir().unwrap();
    let (store, indexer, mut journal) = filled(dir.path(), 200);
    let once = json!({"size": 0, "aggs": {"sites": {"terms": {"field": "site"}}}});
    search(&store, &once);
    // The same question about other times.
    for hours in 0..3 {
        search(&store, &page(START_MS - DAY_MS - hours * 3_600_000));
    }
    assert_eq!(store.inner.memory.standing.questions(Moment::now().now_ms).len(), 1);
    indexer.close().unwrap();
    drop(store);

    let store = Store::open(options(dir.path())).unwrap();
    let standing = store.inner.memory.standing.questions(Moment::now().now_ms);
    assert_eq!(standing.len(), 1);
    // As it stood when the file was written: after the second time it is told only once an hour.
    let asked = [1, 2].map(|hours| page(START_MS - DAY_MS - hours * 3_600_000));
    assert!(asked.contains(&standing[0].body), "{:?}", standing[0].body);
    let indexer = journal.follow(&store);
    let is_known = || {
        let before = collected(&store);
        search(&store, &page(START_MS - DAY_MS));
        collected(&store) == before
    };
    // Asked by the house: nobody else has asked.
    until("asked after the start", || collected(&store) > 0);
    until("all is known", is_known);

    for _ in 0..50 {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), json!("request"));
        journal.append(START_MS, &fields);
    }
    let before = collected(&store);
    wait(&store, journal.seq);
    until("new segments were asked", || collected(&store) > before);
    until("all is known again", is_known);
    indexer.close().unwrap();
}
