//! Writes histories for `golden/`: run by name once the form of events has grown, into a folder that does not exist yet.

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{BEGIN_MS, House, fails, gives, object};
use tollhouse_tasks::{Answer, Book, Edits, Options, Order, Outcome, RunDetail, Status, StepError};

/// The form of events that this build writes.
const FORMAT: &str = "2";

/// A task with everything that the templates do not have.
const EVERYTHING: &str = "
critical: {by: [ops], remind: 1h}
plan: {tokens: 1000}
input: {n: 3}
steps:
  - {name: never, when: 'input.n > 3', send: {channel: ops, text: never}}
  - {name: pause, wait: {for: 10m}}
  - {name: come, wait: {collect: {search: x}, every: 1m, for: 1h}, check: 'value.there'}
  - {name: parts, each: 'range(input.n) | list', at_once: 2, retries: {times: 1, delay: 5s}, ask: {model: m, prompt: 'part {{ item }}'}}
  - {name: inner, task: {name: inner, input: {part: '{{ parts[0] }}'}}}
  - {name: pay, in_doubt: ask, run: {command: [pay]}}
  - {name: note, run: {command: [note], idempotent: true}}
  - {name: tell, send: {channel: ops, text: '{{ inner }}'}}
  - {name: judged, ask: {model: m, prompt: p}, check: 'value == \"good\"'}
  - {name: ok, approve: {by: [ops], text: 'go on?', expires: 24h, remind: 4h, default: approve}}
  - {name: file, write: {path: '{{ date }}.txt', text: '{{ judged }}'}}
";
const INNER: &str = "{input: {part: none}, steps: [{name: one, ask: {model: m, prompt: '{{ input.part }}'}}]}";
const SLOW: &str = "{timeout: 1h, steps: [{name: first, ask: {model: m, prompt: p}}, {name: slow, wait: {for: 5h}}], on_failure: [{name: tell, send: {channel: ops, text: '{{ error.step }}: {{ error.message }}'}}]}";

fn answer() -> Answer {
    Answer { who: "ann".to_owned(), ..Answer::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes files"]
async fn write_histories() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(Book::sqlite(&folder.path().join("tasks.db")).await.unwrap());
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tollhouse/templates");
    let mut texts = vec![
        ("everything".to_owned(), EVERYTHING.to_owned()),
        ("inner".to_owned(), INNER.to_owned()),
        ("slow".to_owned(), SLOW.to_owned()),
    ];
    for name in ["daily-report", "nightly-quality", "weekly-log-digest", "model-warm-up", "backup"] {
        texts.push((name.to_owned(), std::fs::read_to_string(templates.join(format!("{name}.yaml"))).unwrap()));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    house.publish(&texts).await;
    let schedules = |options: &mut Options| options.schedules = false;
    let engine = house.engine_with(schedules).await;

    // The daily report: approved with an edit, rejected, and halted at an empty draft.
    let run = house.run("daily-report").await;
    house.until(&run, Status::Asking).await;
    house.advance(8 * 3600);
    house.wait_for("the reminder", async || house.hands.codes().contains(&"reminded")).await;
    let edits = Edits { values: object(json!({"draft": "A better text"})), ..Edits::default() };
    house.desk.approve(&run, Answer { edits, ..answer() }).await.unwrap();
    keep(&house, "daily-report", &house.until(&run, Status::Done).await).await;
    let run = house.run("daily-report").await;
    house.until(&run, Status::Asking).await;
    house.desk.reject(&run, Answer { comment: "wrong figures".into(), ..answer() }).await.unwrap();
    keep(&house, "daily-report-rejected", &house.until(&run, Status::Failed).await).await;
    house.hands.script("draft", |call| {
        call.key.ends_with(".0").then(|| Ok(Outcome { value: " ".into(), ..Outcome::default() }))
    });
    let run = house.run("daily-report").await;
    for pause in [10, 20] {
        house.until(&run, Status::Waiting).await;
        house.advance(pause);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    keep(&house, "daily-report-halted", &house.until(&run, Status::Asking).await).await;

    // The other templates, each well and with a failure.
    house.hands.script("tests", |_| gives(json!({"status": 0, "stdout": "{\"results\": []}", "stderr": ""})));
    keep(&house, "nightly-quality", &done(&house, "nightly-quality").await).await;
    house.hands.script("tests", |_| Some(Err(StepError::lasting("the program ended with 4"))));
    keep(&house, "nightly-quality-failed", &failed(&house, "nightly-quality").await).await;
    house.hands.script("lines", |_| {
        let line = json!({"seq": 7, "@timestamp": "2026-03-01T00:00:00Z", "source": "app", "msg": "disk full"});
        gives(json!({"total": 1, "records": [line]}))
    });
    house.hands.script("digest", |_| {
        gives("```json\n{\"findings\": [{\"title\": \"the disk is full\", \"severity\": \"critical\", \"evidence\": [7]}]}\n```")
    });
    keep(&house, "weekly-log-digest", &done(&house, "weekly-log-digest").await).await;
    house.hands.script("lines", |_| gives(json!({"total": 0, "records": []})));
    keep(&house, "weekly-log-digest-empty", &done(&house, "weekly-log-digest").await).await;
    let peak = jiff::Timestamp::from_millisecond(house.now_ms() + 1_800_000).unwrap().to_string();
    house.hands.script("day", move |_| gives(json!({"told": true, "peak": {"at": peak, "value": 50.0}})));
    house
        .hands
        .script("load", |call| if call.attempt == 1 { fails("no server has the model") } else { gives("ready") });
    let run = house.run("model-warm-up").await;
    let wakes_in = async |ms: i64| {
        let at_ms = Some(house.now_ms() + ms);
        house.wait_for("the time to wake", async || house.show(&run).await.summary.wake_ms == at_ms).await;
    };
    wakes_in(600_000).await;
    house.advance(600);
    wakes_in(60_000).await;
    house.advance(60);
    keep(&house, "model-warm-up", &house.until(&run, Status::Done).await).await;
    house.hands.script("copy", |_| gives(json!({"status": 0, "stdout": "{}", "stderr": ""})));
    keep(&house, "backup", &done(&house, "backup").await).await;
    house.hands.script("copy", |_| Some(Err(StepError::lasting("the disk is full"))));
    keep(&house, "backup-failed", &failed(&house, "backup").await).await;

    // Out of time, and cancelled.
    let run = house.run("slow").await;
    house.until(&run, Status::Waiting).await;
    house.advance(3600);
    keep(&house, "timed-out", &house.until(&run, Status::Failed).await).await;
    let run = house.run("slow").await;
    house.until(&run, Status::Waiting).await;
    house.desk.cancel(&run, "ann").await.unwrap();
    keep(&house, "cancelled", &house.until(&run, Status::Cancelled).await).await;
    engine.stop(Duration::from_secs(5)).await;

    everything(&house).await;
}

async fn done(house: &House, task: &str) -> RunDetail {
    let run = house.run(task).await;
    house.until(&run, Status::Done).await
}

async fn failed(house: &House, task: &str) -> RunDetail {
    let run = house.run(task).await;
    house.until(&run, Status::Failed).await
}

/// A run that everything happens to: pauses, losses of its worker, doubts, halts, retries with edits, reminders, expiry.
async fn everything(house: &House) {
    let schedules = |options: &mut Options| options.schedules = false;
    let looks = std::sync::atomic::AtomicU32::new(0);
    house.hands.script("come", move |_| {
        let look = looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        gives(json!({"there": look == 1}))
    });
    house.hands.script("parts", |call| if call.item == Some(1) && call.attempt == 1 { fails("busy") } else { None });
    house.hands.script("judged", |call| if call.key.ends_with(".0") { gives("bad") } else { gives("good") });
    let gates = [house.hands.gate("pay"), house.hands.gate("note")];
    let engine = house.engine_with(schedules).await;
    let order = Order { task: "everything".into(), who: "ann".into(), id: Some("golden".into()), ..Order::default() };
    let run = house.desk.run(order).await.unwrap();
    let at = async |step: &str| {
        house.wait_for(step, async || house.show(&run).await.summary.step.as_deref() == Some(step)).await;
    };
    at("pause").await;
    house.until(&run, Status::Waiting).await;
    house.desk.pause(&run, "bob").await.unwrap();
    house.until(&run, Status::Paused).await;
    house.desk.resume(&run, "bob").await.unwrap();
    house.until(&run, Status::Waiting).await;
    // The clock is set by a day and an hour; ten minutes are ten minutes all the same.
    house.clock.set(house.now_ms() + 25 * 3_600_000);
    house.advance(600);
    at("come").await;
    house.until(&run, Status::Waiting).await;
    house.advance(60);
    at("parts").await;
    house.until(&run, Status::Waiting).await;
    house.advance(5);
    let attempts = async |step: &str, count: usize| {
        house
            .wait_for(step, async || {
                let attempts = house.hands.attempts.lock().unwrap().clone();
                let of = attempts.iter().filter(|(key, _)| key.starts_with(&format!("{run}.{step}.")));
                of.map(|(_, count)| *count as usize).sum::<usize>() == count
            })
            .await;
    };
    attempts("pay", 1).await;
    drop(engine);
    let engine = house.engine_with(schedules).await;
    house.until(&run, Status::Asking).await;
    house.advance(3600);
    house
        .wait_for("the reminder", async || house.show(&run).await.history.last().unwrap().event.code() == "reminded")
        .await;
    gates[0].add_permits(2);
    house.desk.retry(&run, None, "ann", Edits::default()).await.unwrap();
    attempts("note", 1).await;
    drop(engine);
    gates[1].add_permits(2);
    let engine = house.engine_with(schedules).await;
    house.until(&run, Status::Asking).await;
    keep(house, "everything-halted", &house.show(&run).await).await;
    let edits = Edits { work: object(json!({"prompt": "q"})), ..Edits::default() };
    house.desk.retry(&run, Some("judged"), "ann", edits).await.unwrap();
    at("ok").await;
    house.until(&run, Status::Asking).await;
    house.advance(4 * 3600);
    house
        .wait_for("the reminder", async || house.show(&run).await.history.last().unwrap().event.code() == "reminded")
        .await;
    house.advance(20 * 3600);
    let detail = house.until(&run, Status::Done).await;
    keep(house, "everything", &detail).await;
    engine.stop(Duration::from_secs(5)).await;
}

/// Writes a run as it stands.
async fn keep(house: &House, name: &str, detail: &RunDetail) {
    let summary = &detail.summary;
    let definition = house.desk.definition(&summary.task, Some(&summary.version)).await.unwrap();
    let steps: Value = serde_json::to_value(&detail.steps).unwrap();
    let over = summary.status.is_over().then_some(summary.status);
    let kept = json!({
        "task": summary.task,
        "version": summary.version,
        "text": definition.text,
        "begin": {"id": summary.id, "input": detail.input, "for_ms": summary.created_ms, "who": summary.who},
        "history": detail.history,
        "state": {"status": over, "tokens": summary.tokens, "question": detail.question, "steps": steps},
    });
    assert!(summary.created_ms >= BEGIN_MS);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(FORMAT);
    std::fs::create_dir_all(&folder).unwrap();
    let file = std::fs::File::create_new(folder.join(format!("{name}.json"))).unwrap();
    serde_json::to_writer_pretty(file, &kept).unwrap();
}

/// A task whose version in force changes while a run of it is under way.
const BEFORE: &str = "steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, run: {command: [pay]}}, {name: c, write: {path: f, text: 'before: {{ a }}'}}]";

/// Writes a whole book with a run in the middle of its second step, one that asks, one that waits and one that is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes files"]
async fn write_a_book() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let house = House::new(Book::sqlite(&path).await.unwrap());
    let asks = "steps: [{name: ok, approve: {text: 'go on?', expires: 240h}}]";
    let waits = "steps: [{name: w, wait: {for: 10h}}, {name: f, write: {path: g, text: waited}}]";
    house.publish(&[("moving", BEFORE), ("asks", asks), ("waits", waits)]).await;
    let gate = house.hands.gate("b");
    let engine = house.engine().await;
    gate.add_permits(1);
    for (task, status) in [("moving", Status::Done), ("asks", Status::Asking), ("waits", Status::Waiting)] {
        let run = house.run(task).await;
        house.until(&run, status).await;
    }
    house.advance(60);
    let run = house.run("moving").await;
    house
        .wait_for("the second step", async || house.hands.attempts.lock().unwrap().contains_key(&format!("{run}.b.0")))
        .await;
    drop(engine);
    house.publish(&[("moving", &BEFORE.replace("before", "after")), ("asks", asks), ("waits", waits)]).await;
    house.book.close().await;

    let mut book =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let mut dump = String::new();
    let made: Vec<(String, String, String)> =
        sqlx::query_as("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name")
            .fetch_all(&mut book)
            .await
            .unwrap();
    for (kind, name, sql) in made {
        writeln!(dump, "{sql};").unwrap();
        if kind == "table" {
            let columns: Vec<(String,)> = sqlx::query_as("SELECT name FROM pragma_table_info($1) ORDER BY cid")
                .bind(&name)
                .fetch_all(&mut book)
                .await
                .unwrap();
            let quoted: Vec<String> = columns.iter().map(|(column,)| format!("quote({column})")).collect();
            let select = format!("SELECT {} FROM {name}", quoted.join(" || ', ' || "));
            let rows: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_all(&mut book).await.unwrap();
            for (row,) in rows {
                writeln!(dump, "INSERT INTO {name} VALUES ({row});").unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(FORMAT).join("book.sql");
    std::io::Write::write_all(&mut std::fs::File::create_new(path).unwrap(), dump.as_bytes()).unwrap();
}
