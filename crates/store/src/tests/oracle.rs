//! Everything a search answers, held against a plain pass over the documents with `tollhouse_query::matches_at`.

mod aggregations;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tempfile::{TempDir, tempdir};
use tollhouse_query::date::{Zone, parse_rfc3339};
use tollhouse_query::{dsl, matches_at};
use tollhouse_shape::{Shaper, catalogue};

use super::remembering::search_twice as search;
use super::{DAY_MS, Journal, SERVICE, START_MS, options, wait};
use crate::agg::collect::BUCKETS_MAX;
use crate::{Store, StoreError};

/// A small generator of random numbers (SplitMix64), so that a failure is told by its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const KINDS: [&str; 4] = ["request", "log", "probe", "Request"];
const WORDS: [&str; 7] = ["model", "loaded", "failed", "GPU", "memory", "模型", "x2"];

pub(super) fn record(random: &mut Random) -> (i64, Map<String, Value>) {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("kind", json!(random.one_of(&KINDS)));
    if random.chance(90) {
        let number = 1 + random.below(6);
        let words: Vec<&str> = (0..number).map(|_| *random.one_of(&WORDS)).collect();
        put("msg", json!(words.join(" ")));
    }
    if random.chance(80) {
        put("status", json!(random.one_of(&[200, 200, 200, 404, 429, 500, 503])));
    }
    if random.chance(80) {
        put("duration_ms", json!(random.below(100_000) as f64 / 100.0));
    }
    if random.chance(70) {
        put("model", json!(random.one_of(&["qwen3:32b", "qwen3:4b", "llama", ""])));
    }
    if random.chance(60) {
        put("input_tokens", json!(random.below(50)));
        put("output_tokens", json!(random.below(2_000)));
    }
    if random.chance(50) {
        put("stream", json!(random.chance(50)));
    }
    if random.chance(40) {
        put("user_id", json!(format!("user-{}", random.below(30))));
    }
    // Undeclared: of one type, of several, in an object, in an array.
    if random.chance(50) {
        put("site", json!(random.one_of(&["shanghai", "berlin", "bern"])));
    }
    if random.chance(50) {
        put("weight", json!(random.below(20) as f64 / 2.0 - 3.0));
    }
    if random.chance(50) {
        let mixed = [json!("7"), json!(7), json!(7.5), json!(true), json!("true"), json!(null)];
        put("mixed", random.one_of(&mixed).clone());
    }
    if random.chance(30) {
        put("inner", json!({"depth": random.below(5), "names": ["a", random.one_of(&["a", "b", "c"])]}));
    }
    // Three days with a change of clocks in New York in them would need March; the days here are enough for borders.
    (START_MS + random.below(3 * DAY_MS as u64) as i64, fields)
}

struct World {
    _dir: TempDir,
    store: Store,
    documents: Vec<Map<String, Value>>,
    indexer: Option<crate::Indexer>,
}

impl World {
    fn new(seed: u64, number: u64) -> Self {
        // Several commits, so that each day has several segments.
        Self::committed(seed, number, number / 3)
    }

    /// The same documents, with a commit of each so many.
    fn committed(seed: u64, number: u64, every: u64) -> Self {
        let dir = tempdir().unwrap();
        let mut random = Random(seed);
        let mut journal = Journal::new(dir.path());
        let store = Store::open(options(dir.path())).unwrap();
        let indexer = journal.follow(&store);
        let shaper = Shaper::new(&[("slow".to_owned(), "duration_ms:>500".to_owned())]).unwrap();
        let mut documents = Vec::new();
        for count in 1..=number {
            let (ts, fields) = record(&mut random);
            let line = journal.append(ts, &fields);
            documents.push(shaper.document(&line).unwrap().source);
            if count % every == 0 {
                wait(&store, count);
            }
        }
        wait(&store, number);
        Self { _dir: dir, store, documents, indexer: Some(indexer) }
    }

    fn matching(&self, query: &Value) -> Vec<&Map<String, Value>> {
        let query = dsl::parse_query(query).unwrap();
        self.documents.iter().filter(|document| matches_at(&query, *document, catalogue(), NOW_MS)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(indexer) = self.indexer.take() {
            let _ = indexer.close();
        }
    }
}

/// Queries here use no `now`.
const NOW_MS: i64 = START_MS;

fn leaf(random: &mut Random) -> Value {
    let word = |random: &mut Random| *random.one_of(&WORDS);
    match random.below(38) {
        0 => json!({"match_all": {}}),
        1 => json!({"term": {"kind": random.one_of(&KINDS)}}),
        2 => json!({"terms": {"http_status": [200, 503, "404"]}}),
        3 => json!({"range": {"duration_ms": {"gte": random.below(1_000), "lt": random.below(1_500)}}}),
        4 => json!({"range": {"status": {"gt": random.one_of(&[json!(200), json!(404.5), json!("429")])}}}),
        5 => {
            let from = Zone::utc().format(START_MS + random.below(3 * DAY_MS as u64) as i64);
            json!({"range": {"@timestamp": {"gte": from}}})
        }
        6 => json!({"range": {"@timestamp": {"gt": "2026-01-27", "lte": "2026-01-28", "time_zone": "+08:00"}}}),
        7 => json!({"term": {"@timestamp": random.one_of(&["2026-01-28", "2026-01-29T10", "2026"])}}),
        8 => {
            json!({"exists": {"field": random.one_of(&["msg", "site", "inner", "inner.names", "mixed", "tags", "stream"])}})
        }
        9 => json!({"prefix": {"model": {"value": random.one_of(&["qwen", "q", "", "x", "qwen3:32b"])}}}),
        10 => json!({"wildcard": {"model_name": {"value": random.one_of(&["*", "qwen3:*b", "?lama", "*4*", "l*m?"])}}}),
        11 => {
            json!({"match": {"msg": {"query": format!("{} {}", word(random), word(random)), "operator": random.one_of(&["or", "and"])}}})
        }
        12 => json!({"match_phrase": {"msg": format!("{} {}", word(random), word(random))}}),
        13 => json!({"prefix": {"msg": {"value": random.one_of(&["m", "Mo", "fail", "模"])}}}),
        14 => json!({"wildcard": {"msg": {"value": random.one_of(&["*o*", "g?u", "?2", "*"])}}}),
        15 => {
            json!({"term": {"mixed": random.one_of(&[json!("7"), json!(7), json!(7.5), json!(true), json!("true")])}})
        }
        16 => {
            json!({"range": {"mixed": random.one_of(&[json!({"gte": 7}), json!({"lt": "7.5"}), json!({"gt": "a"})])}})
        }
        17 => json!({"term": {"stream": random.one_of(&[json!(true), json!("false")])}}),
        18 => json!({"ids": {"values": [random.below(400).to_string(), "7", "007", "x"]}}),
        19 => json!({"term": {"inner.names": random.one_of(&["a", "b"])}}),
        21 => {
            let slop = random.below(4);
            json!({"match_phrase": {"msg": {"query": format!("{} {} {}", word(random), word(random), word(random)), "slop": slop}}})
        }
        22 => {
            let slop = random.below(3);
            json!({"match_phrase_prefix": {"msg": {"query": format!("{} {}", word(random), random.one_of(&["m", "lo", "模", "fai"])), "slop": slop}}})
        }
        23 => {
            json!({"match_bool_prefix": {"msg": {"query": format!("{} {}", word(random), random.one_of(&["m", "lo", "x"])), "operator": random.one_of(&["or", "and"])}}})
        }
        24 => {
            let text = format!("{} {} {}", word(random), word(random), word(random));
            json!({"match": {"msg": {"query": text, "minimum_should_match": random.one_of(&[json!(2), json!("-1"), json!("70%"), json!("1<2"), json!(9)])}}})
        }
        25 => {
            let text = format!("{} modle", word(random));
            json!({"match": {"msg": {"query": text, "fuzziness": random.one_of(&[json!(1), json!("AUTO")]), "operator": random.one_of(&["or", "and"])}}})
        }
        26 => {
            json!({"fuzzy": {"msg": {"value": random.one_of(&["modle", "fialed", "gpu", "x", "型模", "GPU"]), "fuzziness": random.below(3), "prefix_length": random.below(2)}}})
        }
        27 => {
            json!({"fuzzy": {"model": {"value": random.one_of(&["qwen3:5b", "lama", "", "QWEN3:4B"]), "transpositions": random.chance(50)}}})
        }
        28 => {
            json!({"regexp": {"model": {"value": random.one_of(&["qwen3:(4|32)b", ".*", "", "~(q.*)", "q.*&.*2b", "qwen<1-5>:.+", "LLA.*"]), "case_insensitive": random.chance(50)}}})
        }
        29 => json!({"regexp": {"msg": {"value": random.one_of(&["m.*", "[a-g].+", "G.U", "~(m.*)", "模."])}}}),
        30 => {
            let value = random.one_of(&["QWEN3:4B", "Llama", "REQUEST"]);
            json!({"term": {random.one_of(&["model", "kind"]).to_owned(): {"value": value, "case_insensitive": true}}})
        }
        31 => {
            json!({"prefix": {random.one_of(&["model", "msg", "site"]).to_owned(): {"value": random.one_of(&["M", "Q", "BER", ""]), "case_insensitive": true}}})
        }
        32 => {
            json!({"wildcard": {random.one_of(&["model", "msg", "site"]).to_owned(): {"value": random.one_of(&["*E*", "Q*b", "?ERN"]), "case_insensitive": true}}})
        }
        33 => {
            let fields = random.one_of(&[json!(["msg", "model"]), json!(["msg"]), json!(["kind", "model"])]).clone();
            let text = random.one_of(&["model loaded", "qwen3:4b", "log", "gpu failed memory"]);
            let kind = random.one_of(&["best_fields", "cross_fields", "bool_prefix", "phrase"]);
            json!({"multi_match": {"query": text, "fields": fields, "type": kind, "operator": random.one_of(&["or", "and"])}})
        }
        34 => {
            let text =
                random.one_of(&["model +loaded -gpu", "\"model loaded\"~2 | fail*", "(gpu + memory) modle~1", "\"("]);
            json!({"simple_query_string": {"query": text, "fields": ["msg", "kind"], "default_operator": random.one_of(&["or", "and"])}})
        }
        35 => {
            let text = random.one_of(&[
                "msg:/m.*l/ OR modle~",
                "msg:\"loaded model\"~3",
                "status:abc OR Mod*",
                "NOT @timestamp:abc",
                "status:>abc",
            ]);
            json!({"query_string": {"query": text, "minimum_should_match": 1}})
        }
        36 => json!({"dis_max": {"queries": [leaf(random), leaf(random)], "tie_breaker": 0.3}}),
        37 => json!({"boosting": {"positive": leaf(random), "negative": leaf(random), "negative_boost": 0.2}}),
        20 => json!({"range": {"weight": {"gte": -1, "lte": random.below(7)}}}),
        _ => json!({"range": {"site": {"gte": "berlin", "lt": random.one_of(&["bern", "shanghai", "z"])}}}),
    }
}

pub(super) fn query(random: &mut Random, depth: u64) -> Value {
    if depth == 0 || random.chance(40) {
        return leaf(random);
    }
    let clauses = |random: &mut Random, most: u64| -> Vec<Value> {
        (0..random.below(most + 1)).map(|_| query(random, depth - 1)).collect()
    };
    let (must, filter) = (clauses(random, 2), clauses(random, 1));
    let (should, must_not) = (clauses(random, 3), clauses(random, 1));
    let mut body = json!({"must": must, "filter": filter, "should": should, "must_not": must_not});
    if random.chance(40) {
        body["minimum_should_match"] = json!(random.below(3));
    }
    json!({ "bool": body })
}

fn seq(document: &Map<String, Value>) -> u64 {
    document["seq"].as_u64().unwrap()
}

fn time(document: &Map<String, Value>) -> i64 {
    parse_rfc3339(document["@timestamp"].as_str().unwrap()).unwrap()
}

/// All values of a field, dots leading into objects.
fn values(document: &Map<String, Value>, field: &str) -> Vec<Value> {
    fn flatten(value: &Value, found: &mut Vec<Value>) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| flatten(item, found)),
            value => found.push(value.clone()),
        }
    }
    let mut found = Vec::new();
    let mut value = document.get(catalogue().canonical(field).split('.').next().unwrap());
    for part in catalogue().canonical(field).split('.').skip(1) {
        value = value.and_then(|value| value.get(part));
    }
    if let Some(value) = value {
        flatten(value, &mut found);
    }
    found
}

fn numbers(documents: &[&Map<String, Value>], field: &str) -> Vec<f64> {
    documents.iter().flat_map(|document| values(document, field)).filter_map(|value| value.as_f64()).collect()
}

fn near(found: &Value, expected: f64) -> bool {
    found.as_f64().is_some_and(|found| (found - expected).abs() <= expected.abs() * 1e-9 + 1e-9)
}

/// The first hits again, in pages that each begin behind the last hit of the one before. The keys of `sort` leave ties:
/// with `seq` as the last key none are left, and the order is the same.
fn pages_behind(store: &Store, sort: &Value) -> Vec<u64> {
    let newest_first = sort[0].as_object().unwrap().values().next().unwrap()["order"] == "desc";
    let mut keys = sort.as_array().unwrap().clone();
    keys.push(json!({"seq": if newest_first { "desc" } else { "asc" }}));
    let (mut pages, mut after) = (Vec::new(), Vec::new());
    while pages.len() < 500 {
        let mut body = json!({"size": 100, "sort": keys, "_source": false});
        if !after.is_empty() {
            body["search_after"] = after.clone().into();
        }
        let found = search(store, &body);
        let Some(last) = found.hits.hits.last() else { break };
        after = last.sort.clone().unwrap();
        pages.extend(found.hits.hits.iter().map(|hit| hit.id.parse::<u64>().unwrap()));
    }
    pages
}

#[test]
fn hits_and_totals_are_those_of_the_model() {
    let world = World::new(1, 600);
    for seed in 0..600 {
        let mut random = Random(seed);
        let query = query(&mut random, 3);
        let expected: Vec<u64> = world.matching(&query).into_iter().map(seq).collect();
        let found = search(&world.store, &json!({"query": query, "size": 10_000, "sort": ["_doc"], "_source": false}));
        let found_ids: Vec<u64> = found.hits.hits.iter().map(|hit| hit.id.parse().unwrap()).collect();
        assert_eq!(found_ids, expected, "seed {seed}: {query}");
        assert_eq!(found.hits.total.unwrap().value, expected.len() as u64, "seed {seed}: {query}");
        assert_eq!(
            world.store.count("_all", &dsl::parse_query(&query).unwrap()).unwrap(),
            expected.len() as u64,
            "seed {seed}: {query}"
        );
    }
}

#[test]
fn a_document_is_found_by_its_number() {
    let world = World::new(3, 50);
    for query in [
        json!({"term": {"seq": 7}}),
        json!({"range": {"seq": {"gte": 7, "lt": 8}}}),
        json!({"query_string": {"query": "seq:7"}}),
        json!({"ids": {"values": ["7"]}}),
    ] {
        let found = search(&world.store, &json!({"query": query}));
        let ids: Vec<&str> = found.hits.hits.iter().map(|hit| hit.id.as_str()).collect();
        assert_eq!(ids, ["7"], "{query}");
    }
}

#[test]
fn hits_are_sorted_and_paged() {
    let world = World::new(2, 500);
    // Without a wish: newest first.
    let mut newest: Vec<&Map<String, Value>> = world.documents.iter().collect();
    newest.sort_by_key(|document| std::cmp::Reverse((time(document), seq(document))));
    let found = search(&world.store, &json!({"size": 20, "from": 7}));
    let ids: Vec<String> = newest[7..27].iter().map(|document| seq(document).to_string()).collect();
    assert_eq!(found.hits.hits.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(found.hits.max_score, Some(1.0));
    assert!(found.hits.hits.iter().all(|hit| hit.sort.is_none()));
    let day = found.hits.hits[0].index.clone();
    assert!(day.starts_with(SERVICE), "{day}");
    for (hit, document) in found.hits.hits.iter().zip(&newest[7..27]) {
        let source: Value = serde_json::from_str(hit.source.as_ref().unwrap().get()).unwrap();
        assert_eq!(&source, &Value::Object((*document).clone()));
    }

    // By one key with missing values, then by another: in pages, which must follow one another without a seam.
    for (first, descending, missing_first) in [
        ("duration_ms", true, false),
        ("duration_ms", false, true),
        ("user_id", false, false),
        ("model", true, true),
        ("weight", true, false),
        ("status", false, false),
    ] {
        let order = if descending { "desc" } else { "asc" };
        let missing = if missing_first { "_first" } else { "_last" };
        let sort = json!([{first: {"order": order, "missing": missing}}, {"kind": "asc"}]);
        let mut pages = Vec::new();
        for page in 0..5 {
            let found = search(&world.store, &json!({"size": 100, "from": page * 100, "sort": sort, "_source": false}));
            pages.extend(found.hits.hits.iter().map(|hit| hit.id.parse::<u64>().unwrap()));
        }
        assert_eq!(pages_behind(&world.store, &sort), pages, "{first} {order} {missing}");
        let key = |document: &Map<String, Value>| values(document, first).into_iter().next();
        let mut expected: Vec<&Map<String, Value>> = world.documents.iter().collect();
        expected.sort_by(|a, b| {
            let order = match (key(a), key(b)) {
                (None, None) => std::cmp::Ordering::Equal,
                (None, _) if missing_first => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Greater,
                (_, None) if missing_first => std::cmp::Ordering::Greater,
                (_, None) => std::cmp::Ordering::Less,
                (Some(a), Some(b)) => {
                    let order = match (a.as_f64(), b.as_f64()) {
                        (Some(a), Some(b)) => a.total_cmp(&b),
                        _ => a.as_str().cmp(&b.as_str()),
                    };
                    if descending { order.reverse() } else { order }
                }
            };
            let kinds = a["kind"].as_str().cmp(&b["kind"].as_str());
            let ties = if descending { seq(b).cmp(&seq(a)) } else { seq(a).cmp(&seq(b)) };
            order.then(kinds).then(ties)
        });
        let expected: Vec<u64> = expected.into_iter().map(seq).collect();
        assert_eq!(pages, expected, "{sort}");
    }

    let found = search(
        &world.store,
        &json!({"size": 1, "sort": [{"duration_ms": {"order": "asc", "missing": "_first"}}, {"@timestamp": "desc"}]}),
    );
    let sort = found.hits.hits[0].sort.as_ref().unwrap();
    assert_eq!(sort[0], json!("-Infinity"));
    assert!(sort[1].is_i64());
    assert_eq!(found.hits.max_score, None);
}

#[test]
fn totals_follow_track_total_hits() {
    let world = World::new(3, 60);
    for (body, expected) in [
        (json!({}), json!({"value": 60, "relation": "eq"})),
        (json!({"track_total_hits": 10}), json!({"value": 10, "relation": "gte"})),
        (json!({"track_total_hits": 60}), json!({"value": 60, "relation": "eq"})),
        (json!({"track_total_hits": true, "size": 0}), json!({"value": 60, "relation": "eq"})),
        (json!({"track_total_hits": false}), json!(null)),
    ] {
        let found = serde_json::to_value(search(&world.store, &body)).unwrap();
        assert_eq!(found["hits"].get("total").cloned().unwrap_or_default(), expected, "{body}");
    }
}

/// Buckets of a `terms` as the model has them: key → documents.
fn by_term<'a>(documents: &[&'a Map<String, Value>], field: &str) -> BTreeMap<String, Vec<&'a Map<String, Value>>> {
    let mut buckets: BTreeMap<String, Vec<&Map<String, Value>>> = BTreeMap::new();
    for document in documents {
        let keys: BTreeSet<String> = values(document, field).iter().map(key_text).collect();
        for key in keys {
            buckets.entry(key).or_default().push(document);
        }
    }
    buckets
}

/// Booleans are 1 and 0 as keys; undeclared whole numbers have no fraction.
fn key_text(value: &Value) -> String {
    match value {
        Value::Bool(on) => u8::from(*on).to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if value.fract() == 0.0 => format!("{}", value as i64),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        other => panic!("{other} is no key"),
    }
}

fn buckets(found: &Value) -> &Vec<Value> {
    found["buckets"].as_array().unwrap_or_else(|| panic!("no buckets in {found}"))
}

#[test]
fn aggregations_are_those_of_the_model() {
    let world = World::new(4, 900);
    for seed in 0..60 {
        let mut random = Random(1_000 + seed);
        let query = if seed == 0 { json!({"match_all": {}}) } else { query(&mut random, 2) };
        let documents = world.matching(&query);
        let aggs = json!({
            "kinds": {"terms": {"field": "kind", "size": 100}, "aggs": {
                "mean": {"avg": {"field": "duration_ms"}},
                "slow": {"filter": {"range": {"duration_ms": {"gt": 500}}}, "aggs": {"tokens": {"sum": {"field": "output_tokens"}}}},
                "top": {"top_hits": {"size": 2, "sort": [{"duration_ms": "desc"}], "_source": ["kind"]}},
                "hours": {"date_histogram": {"field": "@timestamp", "fixed_interval": "6h", "min_doc_count": 1}}
            }},
            "status": {"terms": {"field": "status", "order": {"_key": "desc"}, "size": 3}},
            "streams": {"terms": {"field": "stream"}},
            "sites": {"terms": {"field": "site", "missing": "nowhere"}},
            "mixed": {"terms": {"field": "mixed"}},
            "names": {"terms": {"field": "inner.names"}},
            "users": {"terms": {"field": "user_id", "size": 5, "order": [{"tokens": "desc"}, {"_key": "asc"}]},
                      "aggs": {"tokens": {"sum": {"field": "output_tokens"}}}},
            "steps": {"histogram": {"field": "duration_ms", "interval": 250}},
            "ranges": {"range": {"field": "duration_ms", "ranges": [{"to": 100}, {"from": 100, "to": 500.5}, {"from": 300}]}},
            "asked": {"filters": {"filters": {"slow": {"term": {"tags": "slow"}}, "errors": {"range": {"status": {"gte": 500}}}}}},
            "without": {"missing": {"field": "user_id"}},
            "stats": {"stats": {"field": "duration_ms"}},
            "weights": {"stats": {"field": "weight"}},
            "count": {"value_count": {"field": "tags"}},
            "patient": {"avg": {"field": "duration_ms", "missing": 1000}},
            "last": {"max": {"field": "@timestamp"}},
            "percent": {"percentiles": {"field": "duration_ms", "percents": [50, 95, 99.9]}},
            "distinct": {"cardinality": {"field": "user_id"}},
            "distinct_mixed": {"cardinality": {"field": "mixed"}}
        });
        let found = search(&world.store, &json!({"query": query, "size": 0, "aggs": aggs}));
        let found = Value::Object(found.aggregations.unwrap());
        let context = |name: &str| format!("seed {seed} {name}: {query}\n{}", found[name]);

        for (name, field) in [("kinds", "kind"), ("streams", "stream"), ("mixed", "mixed"), ("names", "inner.names")] {
            let expected: BTreeMap<String, u64> =
                by_term(&documents, field).into_iter().map(|(key, docs)| (key, docs.len() as u64)).collect();
            let mut seen: BTreeMap<String, u64> = BTreeMap::new();
            // A text `true` and a boolean `true`, or `7` and `"7"`, are two buckets.
            for bucket in buckets(&found[name]) {
                *seen.entry(key_text(&bucket["key"])).or_default() += bucket["doc_count"].as_u64().unwrap();
            }
            assert_eq!(seen, expected, "{}", context(name));
            let counts: Vec<u64> =
                buckets(&found[name]).iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).collect();
            assert!(counts.is_sorted_by(|a, b| a >= b), "{}", context(name));
        }
        for bucket in buckets(&found["kinds"]) {
            let docs = &by_term(&documents, "kind")[bucket["key"].as_str().unwrap()];
            let durations = numbers(docs, "duration_ms");
            if durations.is_empty() {
                assert!(bucket["mean"]["value"].is_null());
            } else {
                assert!(near(&bucket["mean"]["value"], durations.iter().sum::<f64>() / durations.len() as f64));
            }
            let slow: Vec<&Map<String, Value>> = docs
                .iter()
                .copied()
                .filter(|document| numbers(&[document], "duration_ms").iter().any(|ms| *ms > 500.0))
                .collect();
            assert_eq!(bucket["slow"]["doc_count"], slow.len());
            assert!(near(&bucket["slow"]["tokens"]["value"], numbers(&slow, "output_tokens").iter().sum()));
            let mut top = docs.clone();
            top.sort_by(|a, b| {
                let key = |document: &Map<String, Value>| {
                    numbers(&[document], "duration_ms").first().copied().unwrap_or(-1.0)
                };
                key(b).total_cmp(&key(a)).then(seq(b).cmp(&seq(a)))
            });
            let hits = &bucket["top"]["hits"];
            assert_eq!(hits["total"]["value"], docs.len());
            let expected: Vec<Value> = top.iter().take(2).map(|document| json!(seq(document).to_string())).collect();
            let ids: Vec<Value> = hits["hits"].as_array().unwrap().iter().map(|hit| hit["_id"].clone()).collect();
            assert_eq!(ids, expected, "{}", context("kinds"));
            assert_eq!(hits["hits"][0]["_source"], json!({"kind": bucket["key"]}));
            let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
            for document in docs {
                *hours.entry(time(document) / 21_600_000 * 21_600_000).or_default() += 1;
            }
            let seen: Vec<(i64, u64)> = buckets(&bucket["hours"])
                .iter()
                .map(|bucket| (bucket["key"].as_i64().unwrap(), bucket["doc_count"].as_u64().unwrap()))
                .collect();
            assert_eq!(seen, hours.into_iter().collect::<Vec<_>>());
        }

        let expected: Vec<(i64, u64)> = by_term(&documents, "status")
            .iter()
            .rev()
            .map(|(key, docs)| (key.parse().unwrap(), docs.len() as u64))
            .collect();
        let seen: Vec<(i64, u64)> = buckets(&found["status"])
            .iter()
            .map(|bucket| (bucket["key"].as_i64().unwrap(), bucket["doc_count"].as_u64().unwrap()))
            .collect();
        assert_eq!(seen, expected.iter().copied().take(3).collect::<Vec<_>>(), "{}", context("status"));
        let other: u64 = expected.iter().skip(3).map(|(_, count)| count).sum();
        assert_eq!(found["status"]["sum_other_doc_count"], other, "{}", context("status"));

        let nowhere = documents.iter().filter(|document| values(document, "site").is_empty()).count();
        let seen = buckets(&found["sites"]).iter().find(|bucket| bucket["key"] == "nowhere");
        assert_eq!(seen.map_or(0, |bucket| bucket["doc_count"].as_u64().unwrap()), nowhere as u64);

        let mut users: Vec<(String, f64)> = by_term(&documents, "user_id")
            .into_iter()
            .map(|(key, docs)| (key, numbers(&docs, "output_tokens").iter().sum()))
            .collect();
        users.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let expected: Vec<String> = users.into_iter().take(5).map(|(key, _)| key).collect();
        let seen: Vec<String> = buckets(&found["users"]).iter().map(|bucket| key_text(&bucket["key"])).collect();
        assert_eq!(seen, expected, "{}", context("users"));

        let durations = numbers(&documents, "duration_ms");
        let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
        for ms in &durations {
            *steps.entry((ms / 250.0).floor() as i64).or_default() += 1;
        }
        if let (Some(first), Some(last)) = (steps.keys().next().copied(), steps.keys().next_back().copied()) {
            (first..=last).for_each(|step| {
                steps.entry(step).or_default();
            });
        }
        let seen: Vec<(f64, u64)> = buckets(&found["steps"])
            .iter()
            .map(|bucket| (bucket["key"].as_f64().unwrap(), bucket["doc_count"].as_u64().unwrap()))
            .collect();
        let expected: Vec<(f64, u64)> = steps.into_iter().map(|(step, count)| (step as f64 * 250.0, count)).collect();
        assert_eq!(seen, expected, "{}", context("steps"));

        let count = |from: f64, to: f64| durations.iter().filter(|ms| (from..to).contains(*ms)).count();
        let seen: Vec<(&str, u64)> = buckets(&found["ranges"])
            .iter()
            .map(|bucket| (bucket["key"].as_str().unwrap(), bucket["doc_count"].as_u64().unwrap()))
            .collect();
        let all = f64::INFINITY;
        let expected =
            [("*-100.0", count(-all, 100.0)), ("100.0-500.5", count(100.0, 500.5)), ("300.0-*", count(300.0, all))];
        assert_eq!(seen, expected.map(|(key, count)| (key, count as u64)), "{}", context("ranges"));

        let slow = documents.iter().filter(|document| values(document, "tags").contains(&json!("slow"))).count();
        assert_eq!(found["asked"]["buckets"]["slow"]["doc_count"], slow);
        let errors = numbers(&documents, "http_status").iter().filter(|status| **status >= 500.0).count();
        assert_eq!(found["asked"]["buckets"]["errors"]["doc_count"], errors);
        let without = documents.iter().filter(|document| values(document, "user_id").is_empty()).count();
        assert_eq!(found["without"]["doc_count"], without);

        for (name, field) in [("stats", "duration_ms"), ("weights", "weight")] {
            let numbers = numbers(&documents, field);
            assert_eq!(found[name]["count"], numbers.len());
            assert!(near(&found[name]["sum"], numbers.iter().sum()), "{}", context(name));
            if numbers.is_empty() {
                assert!(found[name]["min"].is_null() && found[name]["avg"].is_null());
            } else {
                assert!(near(&found[name]["min"], numbers.iter().copied().fold(f64::INFINITY, f64::min)));
                assert!(near(&found[name]["max"], numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
            }
        }
        let tags: usize = documents.iter().map(|document| values(document, "tags").len()).sum();
        assert_eq!(found["count"]["value"], tags);
        if !documents.is_empty() {
            let missing = documents.len() - durations.len();
            let mean = (durations.iter().sum::<f64>() + 1000.0 * missing as f64) / documents.len() as f64;
            assert!(near(&found["patient"]["value"], mean), "{}", context("patient"));
            let last = documents.iter().map(|document| time(document)).max().unwrap();
            assert!(near(&found["last"]["value"], last as f64));
            assert_eq!(found["last"]["value_as_string"], Zone::utc().format(last));
        }

        let mut sorted = durations.clone();
        sorted.sort_by(f64::total_cmp);
        for percent in [50.0, 95.0, 99.9] {
            let seen = &found["percent"]["values"][format!("{percent:?}")];
            if sorted.is_empty() {
                assert!(seen.is_null());
                continue;
            }
            let place = percent / 100.0 * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            assert!(near(seen, low + (high - low) * place.fract()), "{}", context("percent"));
        }
        assert_eq!(found["distinct"]["value"], by_term(&documents, "user_id").len(), "{}", context("distinct"));
        let mixed: BTreeSet<String> =
            documents.iter().flat_map(|document| values(document, "mixed")).map(|value| value.to_string()).collect();
        assert_eq!(found["distinct_mixed"]["value"], mixed.len(), "{}", context("distinct_mixed"));
    }
}

#[test]
fn time_buckets_follow_the_calendar_of_their_zone_and_have_no_gaps() {
    let world = World::new(5, 400);
    let query = json!({"range": {"duration_ms": {"gte": 900}}});
    let documents = world.matching(&query);
    for (width, zone, offset) in [
        (json!({"calendar_interval": "1d"}), None, None),
        (json!({"calendar_interval": "1d"}), Some("Asia/Shanghai"), None),
        (json!({"calendar_interval": "week"}), Some("America/New_York"), None),
        (json!({"calendar_interval": "month"}), Some("-05:00"), None),
        (json!({"fixed_interval": "90m"}), None, None),
        (json!({"fixed_interval": "6h"}), Some("Asia/Kolkata"), Some("+1h")),
        (json!({"calendar_interval": "hour"}), Some("Asia/Kolkata"), None),
    ] {
        let mut agg = width.clone();
        agg["field"] = json!("@timestamp");
        if let Some(zone) = zone {
            agg["time_zone"] = json!(zone);
        }
        if let Some(offset) = offset {
            agg["offset"] = json!(offset);
        }
        let body = json!({"query": query, "size": 0, "aggs": {"time": {"date_histogram": agg}}});
        let request = dsl::parse_search(&body).unwrap();
        let tollhouse_query::ast::AggKind::DateHistogram(histogram) = &request.aggs[0].1.kind else {
            panic!("not a date histogram")
        };
        let (interval, offset_ms) = (&histogram.interval, &histogram.offset_ms);
        let zone = zone.map_or(Ok(Zone::utc()), Zone::parse).unwrap();
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for document in &documents {
            *expected.entry(zone.floor(time(document), *interval, *offset_ms)).or_default() += 1;
        }
        let (first, last) = (*expected.keys().next().unwrap(), *expected.keys().next_back().unwrap());
        let mut at = first;
        while at < last {
            expected.entry(at).or_default();
            at = zone.next(at, *interval, *offset_ms);
        }
        let found = search(&world.store, &body).aggregations.unwrap();
        let seen: BTreeMap<i64, u64> = buckets(&found["time"])
            .iter()
            .map(|bucket| {
                let key = bucket["key"].as_i64().unwrap();
                assert_eq!(bucket["key_as_string"], zone.format(key));
                (key, bucket["doc_count"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(seen, expected, "{body}");
    }

    let body = json!({"query": {"match_none": {}}, "size": 0, "aggs": {"time": {
        "date_histogram": {"field": "@timestamp", "calendar_interval": "day", "extended_bounds": {"min": "2026-01-27", "max": START_MS + 2 * DAY_MS}},
        "aggs": {"mean": {"avg": {"field": "duration_ms"}}, "users": {"terms": {"field": "user_id"}}, "sum": {"sum": {"field": "duration_ms"}}}
    }}});
    let found = search(&world.store, &body).aggregations.unwrap();
    assert_eq!(buckets(&found["time"]).len(), 3);
    assert_eq!(
        buckets(&found["time"])[0],
        json!({"key_as_string": "2026-01-27T00:00:00.000Z", "key": START_MS, "doc_count": 0,
            "mean": {"value": null},
            "users": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []},
            "sum": {"value": 0.0}})
    );
}

#[test]
fn what_cannot_be_answered_is_told() {
    let world = World::new(6, 30);
    let error = |body: Value| {
        let request = dsl::parse_search(&body).unwrap_or_else(|error| panic!("{body}: {error}"));
        world.store.search("_all", &request).map(|found| format!("{found:?}")).unwrap_err()
    };
    let too_many =
        error(json!({"size": 0, "aggs": {"ms": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms"}}}}));
    assert!(matches!(too_many, StoreError::TooManyBuckets { max: BUCKETS_MAX }), "{too_many}");
    for body in [
        json!({"sort": ["msg"]}),
        json!({"aggs": {"a": {"terms": {"field": "msg"}}}}),
        json!({"aggs": {"a": {"avg": {"field": "kind"}}}}),
        json!({"query": {"term": {"status": "many"}}}),
        json!({"query": {"range": {"@timestamp": {"gte": "yesterday"}}}}),
    ] {
        let found = error(body.clone());
        assert!(found.is_callers_fault(), "{body}: {found}");
    }
}

#[test]
fn the_mapping_has_declared_and_seen_fields_and_aliases() {
    let world = World::new(7, 60);
    let mapping = world.store.mapping("gate-2026.01.27").unwrap();
    let properties = &mapping["gate-2026.01.27"]["mappings"]["properties"];
    for (name, expected) in [
        ("kind", json!({"type": "keyword"})),
        ("msg", json!({"type": "text"})),
        ("http_status", json!({"type": "long"})),
        ("duration_ms", json!({"type": "double"})),
        ("stream", json!({"type": "boolean"})),
        ("@timestamp", json!({"type": "date"})),
        ("status", json!({"type": "alias", "path": "http_status"})),
        ("site", json!({"type": "keyword"})),
    ] {
        assert_eq!(properties[name], expected, "{name}");
    }
    assert_eq!(properties["inner"]["properties"]["depth"]["type"], "long");
    assert!(matches!(world.store.mapping("nothing"), Err(StoreError::IndexNotFound { .. })));
}
