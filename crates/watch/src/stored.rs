//! Rules, reports and forecasts asked of a real index, over records of past weeks.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tollhouse_remote::Shelf;
use tollhouse_shape::Shaper;
use tollhouse_store::{Indexer, Store, StoreOptions};

use crate::expected::expected;
use crate::miner::Miner;
use crate::round::Change;
use crate::{Finding, Limit, Measure, ReportKind, Rule, RuleSettings, Span, Usuals, backtest};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An index of some records.
struct Book {
    _dir: TempDir,
    shelf: Shelf,
    _written: watch::Sender<u64>,
    indexer: Option<Indexer>,
}

impl Book {
    /// Records in order, each with its time in milliseconds.
    async fn of(records: impl IntoIterator<Item = (i64, Value)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            StoreOptions { dir: dir.path().join("index"), service: "gate".into(), keep_days: 0, keep_bytes: 0 };
        let store = Store::open(options).unwrap();
        let file = dir.path().join("gateway.log");
        let last = write(&file, records);
        let (written, follow) = watch::channel(last);
        let indexer = store.follow(file, follow.clone(), follow, Shaper::new(&[]).unwrap()).unwrap();
        assert!(store.wait_indexed(last, Duration::from_secs(20)).await);
        Self { _dir: dir, shelf: store.into(), _written: written, indexer: Some(indexer) }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        if let Some(indexer) = self.indexer.take() {
            let _ = indexer.close();
        }
    }
}

fn write(file: &Path, records: impl IntoIterator<Item = (i64, Value)>) -> u64 {
    let (mut text, mut seq) = (String::new(), 0);
    for (at_ms, mut record) in records {
        seq += 1;
        let members = record.as_object_mut().unwrap();
        members.insert("ts".into(), format!("{:.3}", Timestamp::from_millisecond(at_ms).unwrap()).into());
        let members = record.to_string();
        let members = &members[1..members.len() - 1];
        writeln!(text, r#"{{{members},"seq":{seq},"prev":"{seq:032x}"}}"#).unwrap();
    }
    std::fs::write(file, text).unwrap();
    seq
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn rule(settings: RuleSettings) -> Rule {
    Rule::new(RuleSettings { zone: TimeZone::UTC, ..settings }).unwrap()
}

fn request(model: &str, ms: f64) -> Value {
    json!({"kind": "request", "level": "info", "msg": "m", "status": 200, "model": model, "duration_ms": ms,
        "input_tokens": 10, "output_tokens": 30, "user_id": "alice", "client_ip": "10.0.0.1"})
}

async fn found(rule: &Rule, book: &Book, now: i64) -> Vec<Finding> {
    rule.found(&book.shelf, now, &mut Usuals::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_record_and_the_absence_of_any_are_measured_by_group() {
    let begin = at("2026-03-02T08:00:00Z");
    let probe = |name: &str, outcome: &str| json!({"kind": "probe", "level": "info", "msg": "m", "probe": name, "probe_kind": "process", "outcome": outcome});
    let book = Book::of([
        (begin, probe("ollama", "fault")),
        (begin + MINUTE, probe("nginx", "ok")),
        (begin + 2 * MINUTE, probe("ollama", "ok")),
        // In the same millisecond: the journal's order counts.
        (begin + 3 * MINUTE, probe("nginx", "ok")),
        (begin + 3 * MINUTE, probe("nginx", "fault")),
    ])
    .await;
    let latest = rule(RuleSettings {
        query: "kind:probe AND probe_kind:process".into(),
        measure: Measure::Latest("outcome:fault".into()),
        within: Duration::from_secs(24 * 3600),
        group_by: Some("probe".into()),
        ..RuleSettings::new("process-gone")
    });
    let is_met = |findings: &[Finding], group: &str| {
        latest.is_met(findings.iter().find(|finding| finding.group == group).unwrap())
    };
    let early = found(&latest, &book, begin + 90_000).await;
    assert!(is_met(&early, "ollama") && !is_met(&early, "nginx"));
    let late = found(&latest, &book, begin + HOUR).await;
    assert!(!is_met(&late, "ollama") && is_met(&late, "nginx"));
    assert!(found(&latest, &book, begin - 1).await.is_empty(), "without records all is calm");

    let absent = rule(RuleSettings {
        measure: Measure::Absence,
        limit: Limit::parse("> 600").unwrap(),
        ..latest.settings().clone()
    });
    for (minutes, met) in [(3, 0), (13, 1), (14, 2)] {
        let findings = found(&absent, &book, begin + minutes * MINUTE).await;
        assert_eq!(findings.iter().filter(|finding| absent.is_met(finding)).count(), met, "after {minutes} minutes");
    }
    let lonely = rule(RuleSettings { group_by: None, query: "kind:nothing".into(), ..absent.settings().clone() });
    assert!(found(&lonely, &book, begin + HOUR).await.iter().all(|finding| !lonely.is_met(finding)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_becomes_slower_than_usual_is_found_in_the_stored_records() {
    let begin = at("2026-03-02T00:00:00Z");
    let mut records = Vec::new();
    // Eight days; from the eighth day at noon on one of two models takes half as long again.
    for minute in (0..8 * 24 * 60).step_by(2) {
        let now = begin + minute * MINUTE;
        let wave = 1.0 + 0.1 * ((minute % 7) as f64 - 3.0) / 3.0;
        let is_slow = now >= begin + 7 * DAY + 12 * HOUR;
        records.push((now, request("qwen3:32b", 1000.0 * wave * if is_slow { 1.5 } else { 1.0 })));
        records.push((now + 1, request("qwen3:4b", 200.0 * wave)));
    }
    let book = Book::of(records).await;
    let baseline = rule(RuleSettings {
        query: "kind:request".into(),
        measure: Measure::Average("duration_ms".into()),
        limit: Limit::parse("> 30").unwrap(),
        baseline: Some(Duration::from_secs(7 * 24 * 3600)),
        samples: 20,
        within: Duration::from_secs(3600),
        group_by: Some("model_name".into()),
        hold: Duration::from_secs(600),
        ..RuleSettings::new("latency-baseline")
    });
    let mut usuals = Usuals::default();
    let before = baseline.found(&book.shelf, begin + 7 * DAY + 11 * HOUR, &mut usuals).await.unwrap();
    assert!(before.iter().all(|finding| !baseline.is_met(finding)), "{before:?}");
    assert!((before[0].usual.unwrap() / before[0].value.unwrap() - 1.0).abs() < 0.02, "{before:?}");
    let after = baseline.found(&book.shelf, begin + 7 * DAY + 13 * HOUR, &mut usuals).await.unwrap();
    let slow: Vec<&Finding> = after.iter().filter(|finding| baseline.is_met(finding)).collect();
    assert_eq!(slow.len(), 1, "{after:?}");
    assert!(slow[0].group == "qwen3:32b" && (slow[0].deviation.unwrap() - 50.0).abs() < 3.0, "{slow:?}");
    let change = Change { group: "qwen3:32b".into(), value: slow[0].value, usual: slow[0].usual, window: None };
    let chart = baseline.chart(&book.shelf, begin + 7 * DAY + 13 * HOUR, &change);
    let chart = chart.await.unwrap().unwrap();
    assert_eq!(chart.points.len(), 24);
    assert!(chart.points[23].1.unwrap() > 1400.0 && chart.points[21].1.unwrap() < 1100.0, "{chart:?}");

    let tested = backtest(&baseline, &book.shelf, begin + 7 * DAY + 16 * HOUR, 1).await.unwrap();
    assert_eq!(tested.fired, 1, "{tested:?}");
    let first = tested.told[0].at_ms - (begin + 7 * DAY + 12 * HOUR);
    assert!((30 * MINUTE..=75 * MINUTE).contains(&first), "told after {} minutes", first / MINUTE);
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_refusals_are_counted_by_client() {
    let begin = at("2026-03-02T00:00:00Z");
    let refused = |status: u16, ip: &str, user: &str| json!({"kind": "request", "level": "warn", "msg": "m", "status": status, "client_ip": ip, "user_id": user});
    let mut records = Vec::new();
    for number in 0..7_i64 {
        for _ in 0..=number {
            records.push((begin + number * HOUR, refused(429, &format!("10.0.0.{number}"), "bob")));
        }
    }
    records.push((begin + 8 * HOUR, refused(401, "10.0.0.9", "eve")));
    records.push((begin + DAY + HOUR, refused(500, "10.0.0.9", "eve")));
    records.sort_by_key(|(at, _)| *at);
    let book = Book::of(records).await;
    let tables = |span| ReportKind::Errors.tables(&book.shelf, span, 5);
    let day = tables(Span { from_ms: begin, to_ms: begin + DAY }).await.unwrap();
    assert_eq!(day.len(), 2, "a table without a row is left out");
    assert_eq!(day[0].rows, [["10.0.0.9", "eve", "1", "2026-03-02T08:00:00Z"]]);
    let top: Vec<&str> = day[1].rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(top, ["10.0.0.6", "10.0.0.5", "10.0.0.4", "10.0.0.3", "10.0.0.2"]);
    assert_eq!(day[1].rows[0][2], "7");
    let next = tables(Span { from_ms: begin + DAY, to_ms: begin + 2 * DAY }).await.unwrap();
    assert_eq!((next.len(), next[0].title.as_str()), (1, "5xx: failed"));
    for kind in [ReportKind::Slow, ReportKind::Tokens, ReportKind::Top] {
        kind.tables(&book.shelf, Span { from_ms: begin, to_ms: begin + DAY }, 5).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_has_a_time_line_of_what_happened_around_it() {
    let begin = at("2026-03-02T08:00:00Z");
    let log = |msg: &str| json!({"kind": "log", "level": "error", "source": "ollama", "msg": msg});
    let gpu = |percent: f64| json!({"kind": "resource", "level": "info", "msg": "m", "gpu": "0", "gpu_memory_used_percent": percent});
    let mut failed = request("qwen3:32b", 900.0);
    failed["status"] = 503.into();
    failed["error"] = "upstream_closed".into();
    let book = Book::of([
        (begin - 10 * MINUTE, log("far before")),
        (begin - 2_000, gpu(91.0)),
        (begin - 1_000, gpu(99.0)),
        (begin, log("CUDA error: out of memory")),
        (begin + 200, log("llama runner process has terminated: signal: killed")),
        (begin + 300, failed),
        (begin + 1_000, gpu(3.0)),
        (begin + 10 * MINUTE, gpu(50.0)),
    ])
    .await;
    let memory = rule(RuleSettings {
        query: "kind:log AND msg:(\"out of memory\" OR \"signal: killed\")".into(),
        within: Duration::from_secs(120),
        around: Some(Duration::from_secs(30)),
        ..RuleSettings::new("out-of-memory")
    });
    let line = memory.timeline(&book.shelf, begin + 5_000).await.unwrap();
    let wanted = ["91", "99", "CUDA error", "signal: killed", "503", "3"];
    assert_eq!(line.len(), wanted.len(), "{line:#?}");
    for (told, wanted) in line.iter().zip(wanted) {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_never_seen_before_is_found_once() {
    let begin = at("2026-03-02T08:00:00Z");
    let warn = |msg: &str| json!({"kind": "log", "level": "warn", "source": "app", "msg": msg});
    let mut records: Vec<(i64, Value)> =
        (0..60).map(|n| (begin + n * MINUTE, warn(&format!("cache miss for key {n}")))).collect();
    records.push((begin + 70 * MINUTE, warn("peer certificate is about to end")));
    records.push((begin + 71 * MINUTE, warn("cache miss for key 99")));
    records.push((begin + 72 * MINUTE, warn("peer certificate is about to end")));
    let book = Book::of(records).await;
    let (miner, changes) = Miner::default().look(&book.shelf).await.unwrap().unwrap();
    assert_eq!(changes.intents.len(), 1, "{:?}", changes.intents);
    assert!(changes.intents[0].body.contains("peer certificate"));
    assert!(miner.look(&book.shelf).await.unwrap().is_none(), "nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peak_that_the_places_cannot_take_is_foreseen() {
    let begin = at("2026-02-02T00:00:00Z");
    let mut records = Vec::new();
    let hours = 30 * 24;
    for hour in 0..hours {
        let (day, weekday) = (hour % 24, hour / 24 % 7);
        let busy = if weekday >= 5 { 1 } else { 4 }
            * match day {
                14 => 12,
                9..=17 => 6,
                _ => 1,
            };
        let count = busy + (hour * hour * 31 + hour * 17) % 11 % 4;
        for number in 0..count {
            records.push((begin + hour * HOUR + number * HOUR / count, request("qwen3:32b", 100_000.0)));
        }
    }
    let book = Book::of(records).await;
    // Two places, 100 s each: 72 an hour. The working days' peak is about 49.
    let now = begin + hours * HOUR + 5 * MINUTE;
    let of = async |places| {
        let changes = expected(&book.shelf, now, Some(places)).await.unwrap();
        let kept: Value = serde_json::from_str(&changes.memory[0].1).unwrap();
        (kept, changes.intents)
    };
    let (enough, _) = of(2).await;
    let requests = &enough["series"][0];
    assert_eq!(
        (requests["told"].as_bool(), requests["forecast"].as_array().unwrap().len()),
        (Some(true), 24),
        "{requests}"
    );
    assert_eq!(requests["history"].as_array().unwrap().len(), 168);
    println!("requests: {}; tokens: {}", requests["why"], enough["series"][1]["why"]);
    let peak = requests["peak"]["value"].as_f64().unwrap();
    assert!((40.0..=58.0).contains(&peak), "{peak}");
    assert!(enough["slots"]["share"].as_f64().unwrap() < 1.0);
    let (short, intents) = of(1).await;
    let share = short["slots"]["share"].as_f64().unwrap();
    assert!((1.1..=1.6).contains(&share), "{share}");
    assert!(short["slots"]["text"].as_str().unwrap().contains("will exceed the places by"), "{}", short["slots"]);
    assert!(intents[0].body.contains("\"peak_share\""));
}
