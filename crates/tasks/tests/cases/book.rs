//! What the book keeps: versions, orders, lists, what the house has heard.

use std::time::Duration;

use serde_json::json;
use tollhouse_tasks::{Book, Filter, Options, Order, Status, StepError, TaskError, Turned};

use super::humans::ASKING;
use super::humans::answer;
use super::steps::REPORT;
use crate::support::{House, value};

pub(crate) async fn a_run_goes_on_with_the_version_it_began_with(book: Book) {
    let house = House::new(book);
    let task = "steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, ask: {model: m, prompt: 'old'}}]";
    house.publish(&[("task", task)]).await;
    let gate = house.hands.gate("a");
    let engine = house.engine().await;
    let run = house.run("task").await;
    house.wait_for("it to be at it", async || !house.hands.attempts.lock().unwrap().is_empty()).await;
    house.publish(&[("task", &task.replace("old", "new"))]).await;
    gate.add_permits(2);
    assert_eq!(value(&house.until(&run, Status::Done).await, "b"), json!("answer to old"));
    let second = house.run("task").await;
    let detail = house.until(&second, Status::Done).await;
    assert_eq!(value(&detail, "b"), json!("answer to new"));
    let old = house.show(&run).await.summary.version;
    assert_ne!(old, detail.summary.version);
    assert!(house.desk.definition("task", Some(&old)).await.unwrap().text.contains("old"));
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn the_same_order_is_one_run(book: Book) {
    let house = House::new(book);
    house.publish(&[("task", "steps: [{name: a, ask: {model: m, prompt: p}}]")]).await;
    let order = Order { task: "task".into(), who: "ann".into(), id: Some("o-1".into()), ..Order::default() };
    let tries = (0..8).map(|_| {
        let (desk, order) = (house.desk.clone(), order.clone());
        tokio::spawn(async move { desk.run(order).await.unwrap() })
    });
    let mut runs = Vec::new();
    for run in tries.collect::<Vec<_>>() {
        runs.push(run.await.unwrap());
    }
    runs.dedup();
    assert_eq!(runs.len(), 1, "{runs:?}");
}

pub(crate) async fn runs_are_listed_searched_and_removed(book: Book) {
    let house = House::new(book);
    let task = "{concurrency: 50, input: {n: 0}, steps: [{name: a, write: {path: 'f', text: '{{ input.n }}'}}]}";
    house.publish(&[("one", task), ("two", task)]).await;
    house.hands.script("a", |call| (call.task == "two").then(|| Err(StepError::lasting("100 % Full_Disk"))));
    let engine = house.engine().await;
    let mut runs = Vec::new();
    for number in 0..30 {
        house.advance(1);
        runs.push(house.run_with(if number % 3 == 0 { "two" } else { "one" }, json!({"n": number})).await);
    }
    for (number, run) in runs.iter().enumerate() {
        house.until(run, if number % 3 == 0 { Status::Failed } else { Status::Done }).await;
    }
    let list = async |filter: Filter| house.desk.list(&filter).await.unwrap();
    let ids = |page: &tollhouse_tasks::Page| page.runs.iter().map(|run| run.id.clone()).collect::<Vec<_>>();
    let first = list(Filter { limit: 20, ..Filter::default() }).await;
    let rest = list(Filter { limit: 20, before: first.next.clone(), ..Filter::default() }).await;
    let newest: Vec<String> = runs.iter().rev().cloned().collect();
    assert_eq!([ids(&first), ids(&rest)].concat(), newest);
    assert_eq!(rest.next, None);
    let text = |text: &str| Filter { text: Some(text.to_owned()), limit: 100, ..Filter::default() };
    assert_eq!(list(text("full_disk")).await.runs.len(), 10);
    assert_eq!(list(text("100 %")).await.runs.len(), 10);
    assert_eq!(list(text("full%disk")).await.runs.len(), 0);
    assert_eq!(list(Filter { status: Some(Status::Done), limit: 100, ..Filter::default() }).await.runs.len(), 20);

    // By number: the five newest of each task; by age: all.
    house
        .wait_for("all to be told", async || house.hands.codes().iter().filter(|code| **code == "ended").count() == 30)
        .await;
    let left = async |keep_runs, keep_days| {
        house.desk.retain(keep_runs, keep_days, u64::MAX).await.unwrap();
        list(Filter { limit: 100, ..Filter::default() }).await.runs.len()
    };
    house.wait_for("the older ones to go", async || left(5, 90).await == 10).await;
    assert!(matches!(house.desk.show(&runs[0]).await, Err(TaskError::NoRun(_))));
    // By bytes: the oldest of both go, until so much is left as the newest three have.
    let newest = list(Filter { limit: 3, ..Filter::default() }).await.runs;
    let mut bytes = 0;
    for run in &newest {
        let history = house.show(&run.id).await.history;
        bytes += history.iter().map(|entry| serde_json::to_string(entry).unwrap().len() as u64).sum::<u64>();
    }
    assert_eq!(house.desk.retain(5, 90, bytes).await.unwrap(), 7);
    assert_eq!(list(Filter { limit: 100, ..Filter::default() }).await.runs, newest);
    house.advance(3 * 86_400);
    house.wait_for("all to go", async || left(5, 2).await == 0).await;
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn everything_is_told_once_when_nothing_is_lost(book: Book) {
    let house = House::new(book);
    house.publish(&[("report", REPORT), ("asking", ASKING)]).await;
    let engine = house.engine_with(|options: &mut Options| options.is_alone = false).await;
    let report = house.run("report").await;
    let asking = house.run("asking").await;
    house.until(&asking, Status::Asking).await;
    house.desk.pause(&asking, "ann").await.unwrap();
    house.wait_for("the pause to be told", async || house.hands.codes().contains(&"paused")).await;
    house.desk.resume(&asking, "ann").await.unwrap();
    house.until(&asking, Status::Asking).await;
    house.desk.approve(&asking, answer("ann")).await.unwrap();
    house.until(&asking, Status::Done).await;
    house.until(&report, Status::Done).await;
    engine.stop(Duration::from_secs(5)).await;
    for run in [report, asking] {
        let told: Vec<_> = house.hands.told.lock().unwrap().iter().filter(|told| told.run == run).cloned().collect();
        let numbers: Vec<i64> = told.iter().map(|told| told.number).collect();
        let history = house.show(&run).await.history;
        assert_eq!(numbers, (1..=history.len() as i64).collect::<Vec<_>>());
        assert!(told.iter().zip(&history).all(|(told, entry)| told.entry == *entry));
        assert!(told.iter().all(|told| !told.sentence().contains("answer to")));
    }
}

pub(crate) async fn who_turns_a_schedule_is_told_once(book: Book) {
    let house = House::new(book);
    house.publish(&[("task", "{every: 1h, steps: [{name: a, write: {path: p, text: t}}]}")]).await;
    // Also while nobody works, as the command line may.
    house.desk.hold("task", "ann").await.unwrap();
    house.desk.hold("task", "bob").await.unwrap();
    let engine = house.engine().await;
    let told = || house.hands.turned.lock().unwrap().clone();
    let of = |is_held, who: &str| Turned { task: "task".to_owned(), is_held, who: who.to_owned() };
    house.wait_for("the first", async || told() == [of(true, "ann")]).await;
    house.desk.release("task", "bob").await.unwrap();
    house.wait_for("the second", async || told() == [of(true, "ann"), of(false, "bob")]).await;
    engine.stop(Duration::from_secs(5)).await;
}
