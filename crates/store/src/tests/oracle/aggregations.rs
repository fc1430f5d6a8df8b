//! Aggregations held against a plain pass over the documents.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tollhouse_query::date::Zone;

use super::{
    DAY_MS, Random, START_MS, World, buckets, by_term, key_text, near, numbers, query, search, seq, time, values,
};

type Document = Map<String, Value>;

fn answer(world: &World, query: &Value, aggs: &Value) -> Value {
    let found = search(&world.store, &json!({"query": query, "size": 0, "aggs": aggs}));
    Value::Object(found.aggregations.unwrap())
}

fn counts(found: &Value) -> Vec<(String, u64)> {
    buckets(found).iter().map(|bucket| (key_text(&bucket["key"]), bucket["doc_count"].as_u64().unwrap())).collect()
}

/// A random query and what fulfils it; the first is all.
fn asked(world: &World, seed: u64) -> (Random, Value, Vec<&Document>) {
    let mut random = Random(seed);
    let query = if seed.is_multiple_of(7) { json!({"match_all": {}}) } else { query(&mut random, 2) };
    let documents = world.matching(&query);
    (random, query, documents)
}

#[test]
fn metrics_are_those_of_the_model() {
    let world = World::new(14, 700);
    for seed in 0..20 {
        let (_, query, documents) = asked(&world, seed);
        let found = answer(
            &world,
            &query,
            &json!({
                "spread": {"extended_stats": {"field": "duration_ms", "sigma": 3}},
                "weighted": {"weighted_avg": {"value": {"field": "duration_ms"}, "weight": {"field": "output_tokens", "missing": 2}}},
                "ranks": {"percentile_ranks": {"field": "duration_ms", "values": [500, 100.5]}},
                "deviation": {"median_absolute_deviation": {"field": "duration_ms"}},
                "distinct": {"cardinality": {"field": "user_id", "missing": "nobody"}},
                "count": {"value_count": {"field": "site", "missing": "x"}},
                "tops": {"top_metrics": {"metrics": [{"field": "kind"}, {"field": "status"}], "sort": {"duration_ms": "desc"}, "size": 2}}
            }),
        );
        let context = |name: &str| format!("seed {seed} {name}: {query}\n{}", found[name]);
        let durations = numbers(&documents, "duration_ms");
        let count = durations.len() as f64;
        if durations.is_empty() {
            assert!(found["spread"]["variance"].is_null() && found["deviation"]["value"].is_null());
            assert!(found["ranks"]["values"]["500.0"].is_null() && found["weighted"]["value"].is_null());
        } else {
            let mean = durations.iter().sum::<f64>() / count;
            let squares: f64 = durations.iter().map(|ms| (ms - mean) * (ms - mean)).sum();
            let close = |value: &Value, expected: f64| {
                (value.as_f64().unwrap() - expected).abs() <= 1e-6 * expected.abs().max(1.0)
            };
            assert!(close(&found["spread"]["variance"], squares / count), "{}", context("spread"));
            let upper = &found["spread"]["std_deviation_bounds"]["upper"];
            assert!(close(upper, mean + 3.0 * (squares / count).sqrt()), "{}", context("spread"));
            if durations.len() > 1 {
                assert!(close(&found["spread"]["variance_sampling"], squares / (count - 1.0)), "{}", context("spread"));
            } else {
                assert_eq!(found["spread"]["variance_sampling"], "NaN");
            }
            let median = |mut values: Vec<f64>| {
                values.sort_by(f64::total_cmp);
                let place = (values.len() - 1) as f64 / 2.0;
                f64::midpoint(values[place.floor() as usize], values[place.ceil() as usize])
            };
            let middle = median(durations.clone());
            let expected = median(durations.iter().map(|ms| (ms - middle).abs()).collect());
            assert!(near(&found["deviation"]["value"], expected), "{}", context("deviation"));
            for limit in [500.0, 100.5] {
                let exact = 100.0 * durations.iter().filter(|ms| **ms <= limit).count() as f64 / count;
                let rank = found["ranks"]["values"][format!("{limit:?}")].as_f64().unwrap();
                assert!((rank - exact).abs() <= 100.0 / count + 1e-9, "{exact} {}", context("ranks"));
            }
        }
        let pairs = documents.iter().flat_map(|document| {
            let weight = numbers(&[document], "output_tokens").first().copied().unwrap_or(2.0);
            numbers(&[document], "duration_ms").into_iter().map(move |value| (value, weight))
        });
        let (sum, weights) =
            pairs.fold((0.0, 0.0), |(sum, weights), (value, weight)| (sum + value * weight, weights + weight));
        if weights > 0.0 {
            assert!(near(&found["weighted"]["value"], sum / weights), "{}", context("weighted"));
        }
        let users: BTreeSet<String> = documents
            .iter()
            .map(|document| values(document, "user_id").first().map_or("nobody".to_owned(), key_text))
            .collect();
        assert_eq!(found["distinct"]["value"], users.len(), "{}", context("distinct"));
        assert_eq!(found["count"]["value"], documents.len(), "{}", context("count"));

        let mut slowest: Vec<&&Document> =
            documents.iter().filter(|document| !values(document, "duration_ms").is_empty()).collect();
        slowest.sort_by(|a, b| {
            let ms = |document: &Document| numbers(&[document], "duration_ms")[0];
            ms(b).total_cmp(&ms(a)).then(seq(b).cmp(&seq(a)))
        });
        let expected: Vec<Value> = slowest
            .iter()
            .take(2)
            .map(|document| {
                let status = values(document, "status").first().cloned().unwrap_or_default();
                json!({"sort": [document["duration_ms"]], "metrics": {"kind": document["kind"], "status": status}})
            })
            .collect();
        assert_eq!(found["tops"]["top"], json!(expected), "{}", context("tops"));
    }
}

#[test]
fn chosen_rare_and_absent_terms_are_those_of_the_model() {
    let world = World::new(15, 700);
    let all: Vec<&Document> = world.documents.iter().collect();
    for seed in 0..20 {
        let (_, query, documents) = asked(&world, seed);
        let found = answer(
            &world,
            &query,
            &json!({
                "fitting": {"terms": {"field": "user_id", "include": "user-1.*|user-[2-4]", "exclude": "user-.[05]", "size": 100}},
                "listed": {"terms": {"field": "status", "include": [200, 404, 500], "exclude": [404], "missing": 503}},
                "undeclared": {"terms": {"field": "mixed", "include": ["7", "true"], "size": 100}},
                "zero": {"terms": {"field": "site", "min_doc_count": 0, "order": {"_key": "asc"}}},
                "zero_mixed": {"terms": {"field": "inner.depth", "min_doc_count": 0, "size": 100}},
                "rare": {"rare_terms": {"field": "user_id", "max_doc_count": 3}},
                "significant": {"significant_terms": {"field": "user_id", "min_doc_count": 2, "size": 100}},
                "special": {"significant_terms": {"field": "model", "min_doc_count": 1, "background_filter": {"term": {"kind": "request"}}}}
            }),
        );
        let context = |name: &str| format!("seed {seed} {name}: {query}\n{}", found[name]);
        let by = |documents: &[&Document], field: &str| -> BTreeMap<String, u64> {
            by_term(documents, field).into_iter().map(|(key, docs)| (key, docs.len() as u64)).collect()
        };
        let sorted = |name: &str| -> BTreeMap<String, u64> { counts(&found[name]).into_iter().collect() };

        let mut expected = by(&documents, "user_id");
        expected.retain(|key, _| {
            let number = key.strip_prefix("user-").unwrap();
            let included = number.starts_with('1') || matches!(number, "2" | "3" | "4");
            included && !(number.len() == 2 && number.ends_with(['0', '5']))
        });
        assert_eq!(sorted("fitting"), expected, "{}", context("fitting"));
        let mut expected = by(&documents, "status");
        expected.retain(|key, _| matches!(key.as_str(), "200" | "500"));
        assert_eq!(sorted("listed"), expected, "{}", context("listed"));
        let texts = documents.iter().flat_map(|document| values(document, "mixed"));
        let texts = texts.filter(|value| value == "7" || value == "true").count() as u64;
        assert_eq!(sorted("undeclared").values().sum::<u64>(), texts, "{}", context("undeclared"));

        for (name, field) in [("zero", "site"), ("zero_mixed", "inner.depth")] {
            let here = by(&documents, field);
            let expected: BTreeMap<String, u64> = by(&all, field)
                .into_keys()
                .map(|key| (key.clone(), here.get(&key).copied().unwrap_or_default()))
                .collect();
            assert_eq!(sorted(name), expected, "{}", context(name));
        }

        let mut expected: Vec<(String, u64)> =
            by(&documents, "user_id").into_iter().filter(|(_, count)| *count <= 3).collect();
        expected.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
        assert_eq!(counts(&found["rare"]), expected, "{}", context("rare"));

        let requests: Vec<&Document> = all.iter().copied().filter(|document| document["kind"] == "request").collect();
        for (name, field, background, least) in
            [("significant", "user_id", &all, 2), ("special", "model", &requests, 1)]
        {
            assert_eq!(found[name]["bg_count"], background.len(), "{}", context(name));
            assert_eq!(found[name]["doc_count"], documents.len(), "{}", context(name));
            let there = by(background, field);
            let mut expected: Vec<(f64, String)> = Vec::new();
            for (key, count) in by(&documents, field) {
                let share = count as f64 / documents.len() as f64;
                let usual = there.get(&key).copied().unwrap_or_default() as f64 / background.len() as f64;
                let score = (share - usual) * share / usual;
                if count >= least && score > 0.0 && score.is_finite() {
                    expected.push((score, key));
                }
            }
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let keys: Vec<String> = buckets(&found[name]).iter().map(|bucket| key_text(&bucket["key"])).collect();
            assert_eq!(keys, expected.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>(), "{}", context(name));
            for (bucket, (score, _)) in buckets(&found[name]).iter().zip(&expected) {
                assert!(near(&bucket["score"], *score), "{}", context(name));
            }
        }
    }
}

#[test]
fn conditions_and_ranges_are_those_of_the_model() {
    let world = World::new(16, 600);
    let conditions = [
        ("bad", json!({"range": {"status": {"gte": 400}}})),
        ("slow", json!({"range": {"duration_ms": {"gte": 500}}})),
        ("told", json!({"exists": {"field": "msg"}})),
    ];
    let named: Map<String, Value> =
        conditions.iter().map(|(name, query)| ((*name).to_owned(), query.clone())).collect();
    for seed in 0..20 {
        let (_, query, documents) = asked(&world, seed);
        let found = answer(
            &world,
            &query,
            &json!({
                "both": {"adjacency_matrix": {"filters": named, "separator": "+"}, "aggs": {"last": {"max": {"field": "seq"}}}},
                "other": {"filters": {"filters": {"bad": conditions[0].1}, "other_bucket_key": "rest"}},
                "everything": {"global": {}, "aggs": {"kinds": {"terms": {"field": "kind"}}, "far": {"max": {"field": "seq"}}}},
                "ranges": {"range": {"field": "duration_ms", "missing": 50, "ranges": [{"to": 100}, {"from": 100}]}},
                "days": {"date_range": {"field": "@timestamp", "format": "yyyy-MM-dd", "keyed": true,
                    "ranges": [{"to": "2026-01-28"}, {"from": "2026-01-28", "to": "2026-01-29"}, {"key": "rest", "from": "2026-01-29"}]}}
            }),
        );
        let context = |name: &str| format!("seed {seed} {name}: {query}\n{}", found[name]);
        let fulfilling: Vec<BTreeSet<u64>> =
            conditions.iter().map(|(_, query)| world.matching(query).into_iter().map(seq).collect()).collect();
        let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for document in &documents {
            let members: Vec<usize> = (0..3).filter(|place| fulfilling[*place].contains(&seq(document))).collect();
            for (place, first) in members.iter().enumerate() {
                for second in &members[place..] {
                    let (first_name, second_name) = (conditions[*first].0, conditions[*second].0);
                    let key = if first == second { first_name.into() } else { format!("{first_name}+{second_name}") };
                    let entry = expected.entry(key).or_default();
                    *entry = (entry.0 + 1, entry.1.max(seq(document)));
                }
            }
        }
        let seen: BTreeMap<String, (u64, u64)> = buckets(&found["both"])
            .iter()
            .map(|bucket| {
                let last = bucket["last"]["value"].as_f64().unwrap() as u64;
                (key_text(&bucket["key"]), (bucket["doc_count"].as_u64().unwrap(), last))
            })
            .collect();
        assert_eq!(seen, expected, "{}", context("both"));

        let bad = documents.iter().filter(|document| fulfilling[0].contains(&seq(document))).count();
        assert_eq!(found["other"]["buckets"]["bad"]["doc_count"], bad, "{}", context("other"));
        assert_eq!(found["other"]["buckets"]["rest"]["doc_count"], documents.len() - bad, "{}", context("other"));
        assert_eq!(found["everything"]["doc_count"], world.documents.len(), "{}", context("everything"));
        assert_eq!(found["everything"]["far"]["value"], 600.0);
        let kinds: u64 = counts(&found["everything"]["kinds"]).into_iter().map(|(_, count)| count).sum();
        assert_eq!(kinds, 600, "{}", context("everything"));

        let ms = |document: &Document| numbers(&[document], "duration_ms").first().copied().unwrap_or(50.0);
        let fast = documents.iter().filter(|document| ms(document) < 100.0).count() as u64;
        let expected = [("*-100.0".to_owned(), fast), ("100.0-*".to_owned(), documents.len() as u64 - fast)];
        assert_eq!(counts(&found["ranges"]), expected, "{}", context("ranges"));

        for (place, key) in ["*-2026-01-28", "2026-01-28-2026-01-29", "rest"].iter().enumerate() {
            let day = |document: &Document| ((time(document) - START_MS) / DAY_MS) as usize;
            let expected = documents.iter().filter(|document| day(document) == place).count();
            assert_eq!(found["days"]["buckets"][key]["doc_count"], expected, "{}", context("days"));
        }
    }
}

/// A field of a combination, as the model has it: its values (null where there is none), and how these are ordered.
struct Part {
    source: Value,
    keys: fn(&Document) -> Vec<Value>,
    descending: bool,
    missing: Option<&'static str>,
}

fn texts(document: &Document, field: &str) -> Vec<Value> {
    let found: BTreeSet<String> = values(document, field).iter().map(key_text).collect();
    found.into_iter().map(Value::from).collect()
}

/// Fields of one type each, so that the keys of the model are those of the answer.
fn part(random: &mut Random) -> Part {
    type Keys = fn(&Document) -> Vec<Value>;
    let sources: [(Value, Keys); 7] = [
        (json!({"terms": {"field": "kind"}}), |document| texts(document, "kind")),
        (json!({"terms": {"field": "user_id"}}), |document| texts(document, "user_id")),
        (json!({"terms": {"field": "inner.names"}}), |document| texts(document, "inner.names")),
        (json!({"terms": {"field": "stream"}}), |document| values(document, "stream")),
        (json!({"terms": {"field": "weight"}}), |document| values(document, "weight")),
        (json!({"histogram": {"field": "duration_ms", "interval": 250}}), |document| {
            numbers(&[document], "duration_ms").iter().map(|ms| json!((ms / 250.0).floor() * 250.0)).collect()
        }),
        (json!({"date_histogram": {"field": "@timestamp", "fixed_interval": "12h"}}), |document| {
            vec![json!(time(document) / 43_200_000 * 43_200_000)]
        }),
    ];
    let (mut source, keys) = random.one_of(&sources).clone();
    let options = source.as_object_mut().unwrap().values_mut().next().unwrap();
    let descending = random.chance(40);
    if descending {
        options["order"] = json!("desc");
    }
    let missing = random.chance(50).then(|| *random.one_of(&["default", "first", "last"]));
    if let Some(order) = missing {
        options["missing_bucket"] = json!(true);
        options["missing_order"] = json!(order);
    }
    Part { source, keys, descending, missing }
}

impl Part {
    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let order = match (a, b, self.missing) {
            (Value::Null, Value::Null, _) => return Ordering::Equal,
            (Value::Null, _, Some("first")) | (_, Value::Null, Some("last")) => return Ordering::Less,
            (_, Value::Null, Some("first")) | (Value::Null, _, Some("last")) => return Ordering::Greater,
            (Value::Null, ..) => Ordering::Less,
            (_, Value::Null, _) => Ordering::Greater,
            (Value::String(a), Value::String(b), _) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b), _) => a.cmp(b),
            (a, b, _) => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
        };
        if self.descending { order.reverse() } else { order }
    }

    fn of(&self, document: &Document) -> Vec<Value> {
        let mut keys = (self.keys)(document);
        if keys.is_empty() && self.missing.is_some() {
            keys.push(Value::Null);
        }
        keys
    }
}

/// All combinations of the values of a document.
fn combinations(parts: &[Part], document: &Document) -> Vec<Vec<Value>> {
    parts.iter().fold(vec![Vec::new()], |found, part| {
        let keys = part.of(document);
        let longer = found.iter().flat_map(|tuple| {
            keys.iter().map(|key| {
                let mut tuple = tuple.clone();
                tuple.push(key.clone());
                tuple
            })
        });
        longer.collect()
    })
}

#[test]
fn pages_of_combinations_follow_one_another_to_the_end() {
    let world = World::new(17, 700);
    for seed in 0..50 {
        let (mut random, query, documents) = asked(&world, seed);
        let parts: Vec<Part> = (0..=random.below(3)).map(|_| part(&mut random)).collect();
        let mut expected: Vec<(Vec<Value>, u64, f64)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for document in &documents {
            for tuple in combinations(&parts, document) {
                let place = *places.entry(json!(tuple).to_string()).or_insert_with(|| {
                    expected.push((tuple, 0, 0.0));
                    expected.len() - 1
                });
                expected[place].1 += 1;
                expected[place].2 += numbers(&[document], "output_tokens").iter().sum::<f64>();
            }
        }
        expected.sort_by(|(a, ..), (b, ..)| {
            let orders = parts.iter().zip(a.iter().zip(b)).map(|(part, (a, b))| part.compare(a, b));
            orders.fold(Ordering::Equal, Ordering::then)
        });

        let sources: Vec<Value> =
            parts.iter().enumerate().map(|(place, part)| json!({format!("s{place}"): part.source})).collect();
        let size = 1 + random.below(60);
        let (mut seen, mut after): (Vec<Value>, Option<Value>) = (Vec::new(), None);
        loop {
            let mut composite = json!({"sources": sources, "size": size});
            if let Some(after) = &after {
                composite["after"] = after.clone();
            }
            let nested = json!({"tokens": {"sum": {"field": "output_tokens"}}});
            let found = answer(&world, &query, &json!({"pages": {"composite": composite, "aggs": nested}}));
            let page = buckets(&found["pages"]);
            assert!(page.len() <= size as usize);
            if page.is_empty() {
                assert!(found["pages"].get("after_key").is_none());
                break;
            }
            assert_eq!(found["pages"]["after_key"], page[page.len() - 1]["key"]);
            seen.extend(page.iter().cloned());
            after = Some(found["pages"]["after_key"].clone());
        }
        assert_eq!(seen.len(), expected.len(), "seed {seed}: {query} {sources:?}");
        for (bucket, (tuple, count, tokens)) in seen.iter().zip(&expected) {
            let key: Vec<Value> = (0..parts.len()).map(|place| bucket["key"][format!("s{place}")].clone()).collect();
            let same = key.iter().zip(tuple).all(|(a, b)| a == b || (a.is_number() && a.as_f64() == b.as_f64()));
            assert!(same, "seed {seed}: {query} {sources:?}\n{bucket} {tuple:?}");
            assert_eq!(bucket["doc_count"], *count, "seed {seed}: {query} {sources:?}");
            assert!(near(&bucket["tokens"]["value"], *tokens), "seed {seed}: {query} {sources:?}");
        }
    }
}

#[test]
fn combinations_of_terms_are_those_of_the_model() {
    let world = World::new(18, 700);
    for seed in 0..20 {
        let (_, query, documents) = asked(&world, seed);
        let found = answer(
            &world,
            &query,
            &json!({"kinds": {"terms": {"field": "kind", "size": 9}, "aggs": {"pairs": {
                "multi_terms": {"terms": [{"field": "model", "missing": "none"}, {"field": "inner.names"}], "size": 100},
                "aggs": {"tokens": {"sum": {"field": "output_tokens"}}}
            }}}}),
        );
        for bucket in buckets(&found["kinds"]) {
            let kind = bucket["key"].as_str().unwrap();
            let mut expected: BTreeMap<(String, String), (u64, f64)> = BTreeMap::new();
            for document in documents.iter().filter(|document| document["kind"] == kind) {
                let mut models = texts(document, "model");
                if models.is_empty() {
                    models.push(json!("none"));
                }
                for model in models {
                    for name in texts(document, "inner.names") {
                        let entry = expected.entry((key_text(&model), key_text(&name))).or_default();
                        entry.0 += 1;
                        entry.1 += numbers(&[document], "output_tokens").iter().sum::<f64>();
                    }
                }
            }
            let pairs = buckets(&bucket["pairs"]);
            assert_eq!(pairs.len(), expected.len(), "seed {seed}: {query}\n{found}");
            assert!(pairs.is_sorted_by(|a, b| a["doc_count"].as_u64() >= b["doc_count"].as_u64()));
            for pair in pairs {
                let key = (key_text(&pair["key"][0]), key_text(&pair["key"][1]));
                assert_eq!(pair["key_as_string"], format!("{}|{}", key.0, key.1));
                let (count, tokens) = expected[&key];
                assert_eq!(pair["doc_count"], count, "seed {seed}: {query}\n{pair}");
                assert!(near(&pair["tokens"]["value"], tokens), "seed {seed}: {query}\n{pair}");
            }
        }
    }
}

#[test]
fn histograms_have_their_bounds_order_and_form() {
    let world = World::new(19, 500);
    for seed in 0..15 {
        let (_, query, documents) = asked(&world, seed);
        let found = answer(
            &world,
            &query,
            &json!({
                "steps": {"histogram": {"field": "duration_ms", "interval": 100, "offset": 30, "missing": -500,
                    "hard_bounds": {"min": -1000, "max": 700}, "order": {"_count": "desc"}, "min_doc_count": 1}},
                "wide": {"histogram": {"field": "input_tokens", "interval": 10, "extended_bounds": {"min": -25, "max": 75}, "keyed": true}},
                "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "format": "dd.MM.", "keyed": true,
                    "hard_bounds": {"max": "29.01."}, "missing": "30.01."}}
            }),
        );
        // A bound in a form without a year is of 1970: everything lies behind it.
        assert_eq!(found["days"]["buckets"], json!({}));
        let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
        for document in &documents {
            let ms = numbers(&[document], "duration_ms").first().copied().unwrap_or(-500.0);
            let step = ((ms - 30.0) / 100.0).floor() as i64;
            if (-10..=7).contains(&step) {
                *expected.entry(step * 100 + 30).or_default() += 1;
            }
        }
        let mut expected: Vec<(i64, u64)> = expected.into_iter().collect();
        expected.sort_by_key(|(border, count)| (std::cmp::Reverse(*count), *border));
        let seen: Vec<(i64, u64)> = buckets(&found["steps"])
            .iter()
            .map(|bucket| (bucket["key"].as_f64().unwrap() as i64, bucket["doc_count"].as_u64().unwrap()))
            .collect();
        assert_eq!(seen, expected, "seed {seed}: {query}");

        let wide = found["wide"]["buckets"].as_object().unwrap();
        assert_eq!(wide.len(), 11, "seed {seed}: {query}\n{}", found["wide"]);
        for (name, bucket) in wide {
            let from = bucket["key"].as_f64().unwrap();
            assert_eq!(*name, format!("{from:?}"));
            let inside =
                numbers(&documents, "input_tokens").iter().filter(|n| (from..from + 10.0).contains(*n)).count();
            assert_eq!(bucket["doc_count"], inside, "seed {seed}: {query}");
        }
    }
}

#[test]
fn automatic_time_buckets_are_as_narrow_as_fit() {
    let world = World::new(20, 600);
    // Elasticsearch's widths: of each unit, how many can be put together.
    let units = [(1_000, "s", [1, 5, 10, 30]), (60_000, "m", [1, 5, 10, 30]), (3_600_000, "h", [1, 3, 12, 12])];
    for seed in 0..60 {
        let mut random = Random(seed);
        let from = START_MS + random.below(2 * DAY_MS as u64) as i64;
        let span = *random.one_of(&[120_000, 3_600_000, 20_000_000, DAY_MS]);
        let zone = Zone::utc();
        let query = json!({"range": {"@timestamp": {"gte": zone.format(from), "lt": zone.format(from + span)}}});
        let documents = world.matching(&query);
        let target = 3 + random.below(20) as usize;
        let auto = json!({"auto_date_histogram": {"field": "@timestamp", "buckets": target}, "aggs": {"ms": {"sum": {"field": "duration_ms"}}}});
        let found = answer(&world, &query, &json!({"times": auto}));
        let found = &found["times"];
        let times: Vec<i64> = documents.iter().map(|document| time(document)).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            assert!(buckets(found).is_empty());
            continue;
        };
        let (width, unit, multiples) = units
            .into_iter()
            .find(|(width, _, multiples)| {
                let needed = last / 1_000 * 1_000 / width - first / width;
                needed + 1 < (target * multiples[3]) as i64
            })
            .unwrap_or(units[2]);
        let needed = (last / width - first / width + 1) as usize;
        let multiple = multiples.into_iter().find(|multiple| needed.div_ceil(*multiple) <= target).unwrap_or(1);
        if found["interval"] != format!("{multiple}{unit}") {
            // At the edge, where it matters on which side of a border the first and the last lie.
            assert!(buckets(found).len() <= target, "seed {seed}: {found}");
            continue;
        }
        let step = width * multiple as i64;
        let begin = first / width * width;
        let mut expected: BTreeMap<i64, (u64, f64)> =
            (0..needed.div_ceil(multiple) as i64).map(|place| (begin + place * step, (0, 0.0))).collect();
        for document in &documents {
            let entry = expected.get_mut(&(begin + (time(document) - begin) / step * step)).unwrap();
            *entry = (entry.0 + 1, entry.1 + numbers(&[document], "duration_ms").iter().sum::<f64>());
        }
        assert_eq!(buckets(found).len(), expected.len(), "seed {seed}: {found}");
        for (bucket, (start, (count, ms))) in buckets(found).iter().zip(expected) {
            assert_eq!((&bucket["key"], &bucket["doc_count"]), (&json!(start), &json!(count)), "seed {seed}");
            assert!(near(&bucket["ms"]["value"], ms), "seed {seed}");
        }
    }
}

#[test]
fn pipelines_are_computed_from_what_is_answered() {
    let world = World::new(21, 500);
    for seed in 0..15 {
        let (_, query, _) = asked(&world, seed);
        let days = json!({
            "date_histogram": {"field": "@timestamp", "fixed_interval": "6h"},
            "aggs": {
                "n": {"sum": {"field": "output_tokens"}},
                "all": {"value_count": {"field": "seq"}},
                "change": {"derivative": {"buckets_path": "n", "unit": "1h"}},
                "so_far": {"cumulative_sum": {"buckets_path": "n"}},
                "before": {"serial_diff": {"buckets_path": "_count", "lag": 2}},
                "usual": {"moving_fn": {"buckets_path": "n", "window": 3, "script": "MovingFunctions.unweightedAvg(values)"}},
                "each": {"bucket_script": {"buckets_path": {"n": "n", "c": "_count"}, "script": "params.c > 0 ? params.n / params.c : 0"}}
            }
        });
        let aggs = json!({
            "days": days,
            "best": {"max_bucket": {"buckets_path": "days>n"}},
            "mean": {"avg_bucket": {"buckets_path": "days>each"}},
            "kept": {"terms": {"field": "user_id", "size": 50}, "aggs": {
                "n": {"sum": {"field": "output_tokens"}},
                "many": {"bucket_selector": {"buckets_path": {"n": "n", "c": "_count"}, "script": {"source": "n > 1000 && c > 1", "lang": "expression"}}},
                "top": {"bucket_sort": {"sort": [{"n": "desc"}], "from": 1, "size": 3}}
            }},
            "plain": {"terms": {"field": "user_id", "size": 50}, "aggs": {"n": {"sum": {"field": "output_tokens"}}}}
        });
        let found = answer(&world, &query, &aggs);
        let list = buckets(&found["days"]);
        let number = |bucket: &Value| (bucket["doc_count"] != 0).then(|| bucket["n"]["value"].as_f64().unwrap());
        let (mut sum, mut there) = (0.0, Vec::new());
        for (place, bucket) in list.iter().enumerate() {
            let context = || format!("seed {seed} bucket {place}: {query}\n{bucket}");
            sum += number(bucket).unwrap_or_default();
            assert!(near(&bucket["so_far"]["value"], sum), "{}", context());
            let before = place.checked_sub(1).map(|place| number(&list[place]));
            match (before, number(bucket)) {
                (None, _) => assert!(bucket.get("change").is_none(), "{}", context()),
                (Some(Some(before)), Some(now)) => {
                    assert!(near(&bucket["change"]["value"], now - before), "{}", context());
                    assert!(near(&bucket["change"]["normalized_value"], (now - before) / 6.0), "{}", context());
                }
                (Some(_), _) => assert!(bucket["change"]["value"].is_null(), "{}", context()),
            }
            if place >= 2 {
                let difference = bucket["doc_count"].as_f64().unwrap() - list[place - 2]["doc_count"].as_f64().unwrap();
                assert!(near(&bucket["before"]["value"], difference), "{}", context());
            } else {
                assert!(bucket.get("before").is_none(), "{}", context());
            }
            if let Some(now) = number(bucket) {
                let window: &[f64] = &there[there.len().saturating_sub(3)..];
                if window.is_empty() {
                    assert!(bucket["usual"]["value"].is_null(), "{}", context());
                } else {
                    let mean = window.iter().sum::<f64>() / window.len() as f64;
                    assert!(near(&bucket["usual"]["value"], mean), "{}", context());
                }
                there.push(now);
                assert!(near(&bucket["each"]["value"], now / bucket["doc_count"].as_f64().unwrap()), "{}", context());
            } else {
                assert!(bucket.get("usual").is_none() && bucket.get("each").is_none(), "{}", context());
            }
        }
        match there.iter().copied().reduce(f64::max) {
            Some(best) => {
                assert!(near(&found["best"]["value"], best));
                let keys = list.iter().filter(|bucket| number(bucket) == Some(best));
                let keys: Vec<&Value> = keys.map(|bucket| &bucket["key_as_string"]).collect();
                assert_eq!(found["best"]["keys"], json!(keys), "seed {seed}: {query}");
            }
            None => assert!(found["best"]["value"].is_null() && found["mean"]["value"].is_null()),
        }

        let mut expected: Vec<(&Value, f64)> = buckets(&found["plain"])
            .iter()
            .map(|bucket| (bucket, bucket["n"]["value"].as_f64().unwrap()))
            .filter(|(bucket, n)| *n > 1000.0 && bucket["doc_count"].as_u64().unwrap() > 1)
            .collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        let expected: Vec<&Value> = expected.iter().skip(1).take(3).map(|(bucket, _)| *bucket).collect();
        assert_eq!(buckets(&found["kept"]).iter().collect::<Vec<_>>(), expected, "seed {seed}: {query}");
    }
}

#[test]
fn answers_do_not_depend_on_how_documents_are_spread() {
    let (many, few) = (World::committed(22, 500, 40), World::committed(22, 500, 500));
    let aggs = json!({
        "auto": {"auto_date_histogram": {"field": "@timestamp", "buckets": 7}, "aggs": {"u": {"cardinality": {"field": "user_id"}}}},
        "pairs": {"multi_terms": {"terms": [{"field": "kind"}, {"field": "status", "missing": 0}], "size": 9, "order": [{"n": "desc"}, {"_key": "asc"}]},
                  "aggs": {"n": {"value_count": {"field": "user_id"}}}},
        "page": {"composite": {"sources": [{"u": {"terms": {"field": "user_id"}}}, {"m": {"terms": {"field": "mixed"}}}], "size": 12}},
        "ranks": {"percentile_ranks": {"field": "input_tokens", "values": [10, 20]}},
        "deviation": {"median_absolute_deviation": {"field": "input_tokens"}},
        "spread": {"extended_stats": {"field": "input_tokens"}},
        "weighted": {"weighted_avg": {"value": {"field": "input_tokens"}, "weight": {"field": "output_tokens"}}},
        "tops": {"top_metrics": {"metrics": {"field": "kind"}, "sort": {"output_tokens": "asc"}, "size": 5}},
        "zero": {"terms": {"field": "kind"}, "aggs": {"s": {"terms": {"field": "site", "min_doc_count": 0}}}},
        "rare": {"rare_terms": {"field": "user_id", "max_doc_count": 9}},
        "special": {"significant_terms": {"field": "user_id", "min_doc_count": 1}},
        "everything": {"global": {}, "aggs": {"k": {"terms": {"field": "kind"}}}},
        "hits": {"top_hits": {"from": 2, "size": 2, "sort": [{"duration_ms": "desc"}], "_source": ["seq"]}},
        "by_day": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1d"}, "aggs": {
            "hits": {"top_hits": {"size": 4, "sort": [{"duration_ms": "desc"}], "_source": ["seq"]}},
            "newest": {"top_hits": {"size": 4, "_source": ["seq"]}},
            "tops": {"top_metrics": {"metrics": {"field": "user_id"}, "sort": {"duration_ms": "asc"}, "size": 4}}
        }}
    });
    for query in [json!({"match_all": {}}), json!({"term": {"kind": "log"}}), json!({"match_none": {}})] {
        assert_eq!(answer(&many, &query, &aggs), answer(&few, &query, &aggs), "{query}");
    }
}

/// With few of many buckets shown, what is nested in them is collected in a second pass; with all of them shown, in the first.
#[test]
fn few_of_many_buckets_hold_what_they_hold_among_all() {
    let nested = json!({
        "tokens": {"sum": {"field": "output_tokens"}},
        "by_status": {"terms": {"field": "status"}, "aggs": {"slowest": {"max": {"field": "duration_ms"}}}},
        "newest": {"top_hits": {"size": 2, "sort": [{"seq": "desc"}], "_source": ["seq"]}},
    });
    for seed in 1..4 {
        let world = World::new(seed, 900);
        for terms in [
            json!({}),
            json!({"order": {"_key": "desc"}}),
            json!({"order": [{"_count": "asc"}, {"_key": "desc"}], "min_doc_count": 3}),
            json!({"missing": "nobody"}),
            json!({"missing": "user-7", "exclude": "user-1.*"}),
        ] {
            let ask = |size: usize| {
                let mut terms = terms.clone();
                terms["field"] = json!("user_id");
                terms["size"] = json!(size);
                let body = json!({
                    "size": 0,
                    "query": {"range": {"duration_ms": {"gte": 100}}},
                    "aggs": {"users": {"terms": terms, "aggs": nested}, "all": {"value_count": {"field": "seq"}}},
                });
                search(&world.store, &body).aggregations.unwrap()
            };
            let (few, all) = (ask(3), ask(100));
            let (shown, others) = buckets(&all["users"]).split_at(3);
            assert_eq!(buckets(&few["users"]), shown, "seed {seed}, {terms}");
            let others: u64 = others.iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).sum();
            assert_eq!(few["users"]["sum_other_doc_count"], others, "seed {seed}, {terms}");
            assert_eq!(few["all"], all["all"]);
        }
    }
}
