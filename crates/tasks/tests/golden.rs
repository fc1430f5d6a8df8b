//! Histories that earlier builds wrote, kept as files: each replays to the very state that it had then.
//!
//! `golden/N/` has one file for each run; N grows when the form of events grows, and what is there is never written anew. The text
//! of the task stands in the file too, so that a template may change and its old histories still replay. `golden/N/book.sql` is a
//! whole book of that build with a run under way (see `golden/README.md`).

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sqlx::Connection as _;
use support::{House, value};
use tollhouse_tasks::{Answer, Begin, Book, Definition, Entry, Filter, Run, Status, replay};

/// Everything that can happen; a history of each is kept.
const CODES: [&str; 18] = [
    "started",
    "skipped",
    "spread",
    "begun",
    "resumed",
    "finished",
    "failed",
    "not_yet",
    "reminded",
    "halted",
    "answered",
    "retried",
    "paused",
    "continued",
    "cancelled",
    "timed_out",
    "failure_begun",
    "ended",
];
/// Templates that come along.
const TEMPLATES: [&str; 5] = ["daily-report", "nightly-quality", "weekly-log-digest", "model-warm-up", "backup"];

/// One kept run.
struct Golden {
    path: PathBuf,
    definition: Arc<Definition>,
    begin: Begin,
    history: Vec<Entry>,
    state: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn goldens() -> Vec<Golden> {
    let formats = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = formats.flat_map(|format| std::fs::read_dir(format).unwrap()).map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Golden {
    let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let definition = Definition::read(&format!("{}.yaml", text(&kept["task"])), &text(&kept["text"]));
    let begin = &kept["begin"];
    let input: Map<String, Value> = serde_json::from_value(begin["input"].clone()).unwrap();
    let begin =
        Begin { id: text(&begin["id"]), input, for_ms: begin["for_ms"].as_i64().unwrap(), who: text(&begin["who"]) };
    let definition = definition.unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
    assert_eq!(definition.version, text(&kept["version"]), "{}: the same text is the same version", path.display());
    Golden {
        definition: Arc::new(definition),
        begin,
        history: serde_json::from_value(kept["history"].take()).unwrap(),
        state: kept["state"].take(),
        path,
    }
}

fn state_of(run: &Run) -> Value {
    json!({"status": run.over(), "tokens": run.tokens(), "question": run.asked(), "steps": run.step_details()})
}

#[test]
fn scenario_r06_histories_of_earlier_builds_replay_to_the_state_that_they_had() {
    let mut seen = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    for Golden { path, definition, begin, history, state } in goldens() {
        let path = path.display();
        seen.extend(history.iter().map(|entry| entry.event.code()));
        tasks.insert(definition.name.clone());
        let run = replay(definition.clone(), begin.clone(), &history).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        assert_eq!(state_of(&run), state, "{path}");
        // So does every beginning of it: a worker may have been lost anywhere.
        for length in 0..history.len() {
            replay(definition.clone(), begin.clone(), &history[..length])
                .unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        }
    }
    assert_eq!(seen, CODES.into(), "a history of everything that can happen is kept");
    let missing: Vec<&str> = TEMPLATES.into_iter().filter(|template| !tasks.contains(*template)).collect();
    assert!(missing.is_empty(), "no history of {missing:?}");
}

#[test]
fn a_history_that_this_build_would_have_written_otherwise_is_told_apart() {
    let golden = goldens().into_iter().find(|golden| golden.definition.name == "daily-report").unwrap();
    let text = golden.definition.text.replace("of at most 200 words", "of at most 300 words");
    let other = Definition::read("daily-report.yaml", &text).unwrap();
    assert_ne!(other.version, golden.definition.version);
    let divergence = replay(Arc::new(other), golden.begin, &golden.history).unwrap_err();
    assert!(divergence.to_string().contains("300 words"), "{divergence}");
}

/// A house that is brought up to date with runs under way: each goes on where it was, by the text that it began with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_r06_a_book_of_an_earlier_build_goes_on_by_the_versions_of_its_runs() {
    for format in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(dump) = std::fs::read_to_string(format.join("book.sql")) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let mut old = sqlx::SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(dump)).execute(&mut old).await.unwrap();
        old.close().await.unwrap();

        let house = House::new(Book::sqlite(&path).await.unwrap());
        house.advance(60);
        let find = async |task: &str, status| {
            let filter = Filter { task: Some(task.to_owned()), status: Some(status), ..Filter::default() };
            house.desk.list(&filter).await.unwrap().runs.remove(0)
        };
        let (done, moving) = (find("moving", Status::Done).await, find("moving", Status::Running).await);
        let (asks, waits) = (find("asks", Status::Asking).await, find("waits", Status::Waiting).await);
        let engine = house.engine().await;
        let detail = house.until(&moving.id, Status::Done).await;
        assert_eq!(value(&detail, "c")["bytes"], json!("before: answer to p".len()));
        assert!(detail.steps[1].items[0].maybe_twice, "it was cut in the middle of its second step");
        let attempts = house.hands.attempts.lock().unwrap().clone();
        assert!(!attempts.contains_key(&format!("{}.a.0", moving.id)), "what was done is not done again");
        house.desk.approve(&asks.id, Answer { who: "ann".into(), ..Answer::default() }).await.unwrap();
        house.until(&asks.id, Status::Done).await;
        house.advance(10 * 3600);
        house.until(&waits.id, Status::Done).await;
        let next = house.run("moving").await;
        let detail = house.until(&next, Status::Done).await;
        assert_eq!(value(&detail, "c")["bytes"], json!("after: answer to p".len()));
        assert_ne!(detail.summary.version, done.version);
        engine.stop(Duration::from_secs(5)).await;
        house.book.close().await;
    }
}
