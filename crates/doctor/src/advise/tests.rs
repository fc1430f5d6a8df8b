//! Records made by a known truth, and whether the advice finds it.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollhouse_testkit::Dice;

use super::*;

/// Numbers that look random, from 0 to 1, so that each truth gives the same records.
struct Noise(Dice);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(Dice::new(seed))
    }

    fn next(&mut self) -> f64 {
        self.0.roll() as f64 / u64::MAX as f64
    }

    /// About normal, of deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn at(minute: usize) -> String {
    let start: jiff::Timestamp = "2026-01-20T00:00:00Z".parse().unwrap();
    (start + jiff::SignedDuration::from_mins(minute as i64)).to_string()
}

fn hits(records: &[Value]) -> Value {
    let hits: Vec<Value> = records.iter().map(|record| json!({"_source": record})).collect();
    json!({"hits": {"total": {"value": records.len()}, "hits": hits}})
}

fn setup() -> Setup {
    Setup {
        models: vec![("m".to_owned(), Some(8192), None)],
        upstreams: vec![("local".to_owned(), Some(2))],
        hours: 24.0,
    }
}

/// The answers of a world with these requests; the loads among them are found.
fn answers(requests: &[Value], hours: &[(usize, u64, u64)], memory: Option<(f64, f64)>) -> Vec<Value> {
    let loads: Vec<Value> =
        requests.iter().filter(|request| request["load_ms"].as_f64().is_some_and(|ms| ms >= 500.0)).cloned().collect();
    let bucket = |(hour, count, long): &(usize, u64, u64)| {
        let key = at(hour * 60).parse::<jiff::Timestamp>().unwrap().as_millisecond();
        json!({"key": key, "doc_count": count, "long": {"doc_count": long}, "waited": {"values": {"50.0": 0.0, "95.0": 3000.0}}})
    };
    let peak = memory.map(|(percent, bytes)| {
        json!({"hits": {"total": {"value": 500}, "hits": [{"_source": {"@timestamp": at(0), "gpu_memory_used_percent": percent}}]},
               "aggregations": {"total": {"value": bytes}}})
    });
    vec![
        hits(requests),
        hits(&loads),
        json!({"aggregations": {"hours": {"buckets": hours.iter().map(bucket).collect::<Vec<_>>()}}}),
        peak.unwrap_or(json!({"hits": {"total": {"value": 0}, "hits": []}})),
    ]
}

fn request(minute: usize, tokens: f64, ttft_ms: f64) -> Value {
    json!({"@timestamp": at(minute), "model_name": "m", "upstream": "local", "key_id": "k", "input_tokens": tokens, "ttft_ms": ttft_ms,
           "context_limit": 8192, "num_ctx": 8192})
}

/// A world of requests whose reading costs so much a token.
fn world(count: usize, ms_per_token: f64, seed: u64) -> Vec<Value> {
    let mut dice = Noise::new(seed);
    let made = (0..count).map(|number| {
        let tokens = (200.0 + dice.next() * 6000.0).round();
        let outlier = if dice.next() < 0.03 { 60_000.0 } else { 0.0 };
        request(number, tokens, 150.0 + tokens * ms_per_token + dice.normal() * 80.0 + outlier)
    });
    made.collect()
}

fn of<'a>(all: &'a [Advice], id: &str) -> &'a Advice {
    all.iter().find(|advice| advice.id == id).unwrap_or_else(|| panic!("no advice of {id}"))
}

#[test]
fn a_world_in_good_order_needs_no_change() {
    let all = advise(&answers(&world(400, 0.05, 1), &[(9, 300, 0), (10, 100, 2)], Some((60.0, 24e9))), &setup());
    let told: Vec<(&str, &str, &str)> =
        all.iter().map(|advice| (advice.id, advice.word.as_str(), advice.code)).collect();
    assert_eq!(
        told,
        [
            ("prompts", "keep", "short_enough"),
            ("context", "keep", "fits"),
            ("loads", "keep", "rare"),
            ("queue", "keep", "short"),
            ("memory", "keep", "room"),
        ]
    );
    let told = advice_json(&all, &questions(0));
    assert_eq!((&told["change_needed"], told["queries"].as_object().unwrap().len()), (&json!(false), 4));
    assert!(
        told["advice"]
            .as_array()
            .unwrap()
            .iter()
            .all(|advice| !told["queries"][advice["query"].as_str().unwrap()].is_null())
    );
}

#[test]
fn nothing_is_said_of_too_little() {
    let all = advise(&answers(&world(5, 1.0, 1), &[(9, 5, 5)], None), &setup());
    assert!(all.iter().all(|advice| advice.word != Word::Change), "{all:?}");
    let none = advise(&[], &setup());
    assert!(none.iter().all(|advice| advice.word == Word::Unknown), "{none:?}");
}

#[test]
fn long_prompts_are_found_with_what_they_cost() {
    let all = advise(&answers(&world(400, 2.0, 2), &[], None), &setup());
    let advice = of(&all, "prompts");
    assert_eq!((advice.word, advice.code), (Word::Change, "shorten"));
    let figure = |name: &str| advice.figures[name].as_f64().unwrap();
    assert!(figure("low") <= 2000.0 && 2000.0 <= figure("high"), "{:?}", advice.figures);
    assert!(figure("high") - figure("low") < 100.0, "{:?}", advice.figures);
}

#[test]
fn prompts_that_do_not_fit_ask_for_a_larger_context() {
    let mut requests = world(300, 0.05, 3);
    for (number, request) in requests.iter_mut().enumerate().filter(|(number, _)| number % 10 == 0) {
        request["prompt_tokens_counted"] = json!(12_000 + number);
        request["truncated"] = json!(true);
    }
    let all = advise(&answers(&requests, &[], None), &setup());
    let advice = of(&all, "context");
    assert_eq!((advice.word, advice.code, &advice.figures["truncated"]), (Word::Change, "raise", &json!(30)));
    let change = advice.change.as_ref().unwrap().text();
    let to: f64 = change.split("context: ").nth(1).unwrap().split('}').next().unwrap().parse().unwrap();
    assert!((12_300.0..=20_480.0).contains(&to), "{change}");
}

/// A world in which each load has its cause.
fn loads(count: usize, model: impl Fn(usize) -> &'static str, context: impl Fn(usize) -> u32) -> Vec<Value> {
    let made = (0..count).map(|number| {
        let mut row = request(number * 10, 100.0, 5000.0);
        row["load_ms"] = json!(4000.0);
        row["model_name"] = json!(model(number));
        row["num_ctx"] = json!(context(number));
        row
    });
    made.collect()
}

#[test]
fn the_cause_of_loads_is_found() {
    let fight = |number: usize| if number.is_multiple_of(2) { "a" } else { "b" };
    for (code, requests) in [
        ("fight", loads(60, fight, |_| 8192)),
        ("contexts", loads(60, |_| "a", |number| if number.is_multiple_of(2) { 4096 } else { 8192 })),
        ("keep_alive", loads(60, |_| "a", |_| 8192)),
        ("rare", loads(10, fight, |_| 8192)),
    ] {
        let all = advise(&answers(&requests, &[], None), &setup());
        assert_eq!(of(&all, "loads").code, code);
    }
    let all = advise(&answers(&loads(60, fight, |_| 8192), &[], None), &setup());
    let advice = of(&all, "loads");
    assert_eq!(advice.figures["pairs"], json!([{"models": "a + b", "count": 59}]));
    assert!(advice.change.as_ref().unwrap().text().contains("a + b (59)"));
}

#[test]
fn a_larger_card_is_advised_only_where_it_helps() {
    let fight = || loads(60, |number| if number.is_multiple_of(2) { "a" } else { "b" }, |_| 8192);
    for (code, word, requests, memory) in [
        ("larger_card", Word::Change, fight(), Some((97.0, 24e9))),
        ("room_for_two", Word::Change, fight(), Some((50.0, 24e9))),
        ("full_and_quiet", Word::Keep, world(100, 0.1, 5), Some((97.0, 24e9))),
        ("full_and_quiet", Word::Keep, fight(), Some((97.0, 80e9))),
        ("no_samples", Word::Unknown, fight(), None),
    ] {
        let all = advise(&answers(&requests, &[], memory), &setup());
        let advice = of(&all, "memory");
        assert_eq!((advice.code, advice.word), (code, word));
    }
}

#[test]
fn waiting_is_told_with_its_hour() {
    let all = advise(&answers(&[], &[(8, 100, 2), (9, 100, 60), (33, 50, 30)], None), &setup());
    let advice = of(&all, "queue");
    assert_eq!((advice.word, advice.code), (Word::Change, "raise_parallel"));
    assert!(
        advice.found.text().contains("92 of 250")
            && advice.found.text().contains("between 9:00 and 10:00 UTC (90 of 150)"),
        "{}",
        advice.found
    );
    assert!(advice.change.as_ref().unwrap().text().contains("(at once now: local 2)"));
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let held = (0..200).filter(|seed| {
        let mut dice = Noise::new(*seed);
        let points: Vec<(f64, f64)> = (0..60)
            .map(|_| {
                let x = dice.next() * 1000.0;
                (x, 5.0 + 0.7 * x + dice.normal() * 50.0)
            })
            .collect();
        let line = Line::through(&points).unwrap();
        (line.low..=line.high).contains(&0.7)
    });
    let held = held.count();
    assert!((180..=200).contains(&held), "{held} of 200");
}

proptest! {
    #[test]
    fn outliers_do_not_bend_the_line(slope in 0.01..10.0f64, seed in any::<u64>()) {
        let mut dice = Noise::new(seed);
        let points: Vec<(f64, f64)> = (0..100)
            .map(|number| {
                let x = dice.next() * 1000.0;
                // One of ten is a stray far above.
                (x, slope * x + if number % 10 == 0 { 1e6 * dice.next() } else { dice.normal() })
            })
            .collect();
        let line = Line::through(&points).unwrap();
        prop_assert!((line.slope - slope).abs() < 0.05 * slope + 0.02, "{line:?}");
        prop_assert!(line.low <= line.slope && line.slope <= line.high);
    }

    #[test]
    fn a_share_lies_in_its_interval(all in 1usize..5000, part in 0.0..1.0f64) {
        let count = (all as f64 * part) as usize;
        let share = Share::of(count, all);
        prop_assert!(share.low <= share.share + 1e-9 && share.share <= share.high + 1e-9);
        prop_assert!((0.0..=1.0).contains(&share.low) && (0.0..=1.0).contains(&share.high));
    }

    #[test]
    fn no_answer_makes_it_panic(texts in proptest::collection::vec("[a-z]{0,4}", 0..4), number in any::<f64>()) {
        let odd = json!({"hits": {"total": {"value": number}, "hits": [{"_source": {"@timestamp": "2026-01-20T00:00:00Z", "model": "m",
            "input_tokens": number, "ttft_ms": number, "load_ms": number, "num_ctx": -1, "truncated": texts}}, {}]}, "aggregations": texts});
        let _: Vec<Advice> = advise(&[odd.clone(), odd.clone(), odd.clone(), odd], &setup());
    }
}
