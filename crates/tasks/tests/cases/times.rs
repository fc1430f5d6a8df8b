//! Schedules, waits, places, and clocks that are set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tollhouse_tasks::{Begin, Book, Filter, Status, replay};

use crate::support::{BEGIN_MS, House, fails, gives, value};

pub(crate) async fn scenario_r08_a_busy_house_puts_tasks_off(book: Book) {
    let house = House::new(book);
    let asks = "steps: [{name: c, collect: {search: '*'}}, {name: a, ask: {model: m, prompt: p}}]";
    let gpu = "{needs: gpu, steps: [{name: r, run: {command: [train]}}]}";
    house.publish(&[("asks", asks), ("gpu", gpu)]).await;
    *house.hands.no_room.lock().unwrap() = Some("GPU 0 is 97 % busy".to_owned());
    let engine = house.engine().await;
    let runs = [house.run("asks").await, house.run("gpu").await];
    for run in &runs {
        let detail = house.until(run, Status::Waiting).await;
        assert_eq!(detail.summary.waiting.as_deref(), Some("room: GPU 0 is 97 % busy"));
        assert_eq!(detail.summary.wake_ms, Some(BEGIN_MS + 15 * 60_000));
    }
    // What needs no place was done, and nothing else was begun.
    assert_eq!(house.hands.attempts.lock().unwrap().len(), 1);
    assert!(house.show(&runs[0]).await.steps[1].items.is_empty());
    let asked = || house.hands.asked_room.lock().unwrap().len();
    assert_eq!(asked(), 2);
    house.advance(15 * 60);
    house.wait_for("both to ask again", async || asked() == 4).await;
    // Sooner, when idle is seen.
    *house.hands.no_room.lock().unwrap() = None;
    for run in &runs {
        house
            .wait_for("it to be put off again", async || {
                house.show(run).await.summary.wake_ms == Some(BEGIN_MS + 30 * 60_000)
            })
            .await;
    }
    house.hands.idle.notify_one();
    for run in &runs {
        house.until(run, Status::Done).await;
    }
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn no_more_runs_than_the_task_wants_are_under_way(book: Book) {
    let house = House::new(book);
    let task = "{concurrency: 2, steps: [{name: a, ask: {model: m, prompt: p}}]}";
    house.publish(&[("few", task)]).await;
    let gate = house.hands.gate("a");
    let engine = house.engine_with(|options| options.workers = 8).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(house.run("few").await);
    }
    house.wait_for("two to be at it", async || house.hands.attempts.lock().unwrap().len() == 2).await;
    let count = async |status| {
        let filter = Filter { status: Some(status), ..Filter::default() };
        house.desk.list(&filter).await.unwrap().runs.len()
    };
    assert_eq!((count(Status::Queued).await, count(Status::Running).await), (4, 2));
    gate.add_permits(6);
    for run in &runs {
        house.until(run, Status::Done).await;
    }
    assert_eq!(house.hands.at_once_max.load(Ordering::SeqCst), 2);
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn schedules_begin_one_run_for_each_time_on_two_nodes(book: Book) {
    let house = House::new(book);
    let of = |catch_up| {
        format!(
            "{{every: 1h, catch_up: {catch_up}, concurrency: 9, steps: [{{name: a, write: {{path: p, text: t}}}}]}}"
        )
    };
    house.publish(&[("all", &of("all")), ("once", &of("once")), ("skip", &of("skip"))]).await;
    let engines = [house.engine_with(|o| o.is_alone = false).await, house.engine_with(|o| o.is_alone = false).await];
    let counts = async || {
        let mut counts = Vec::new();
        for task in ["all", "once", "skip"] {
            let filter = Filter { task: Some(task.to_owned()), limit: 100, ..Filter::default() };
            counts.push(house.desk.list(&filter).await.unwrap().runs.len());
        }
        counts
    };
    for hour in 1..=3 {
        house.advance(3600);
        house.wait_for("the hour's runs", async || counts().await == [hour, hour, hour]).await;
    }
    for engine in engines {
        engine.stop(Duration::from_secs(5)).await;
    }
    // Five hours and a half without anybody.
    house.advance(5 * 3600 + 1800);
    let engine = house.engine().await;
    house.wait_for("what was missed", async || counts().await == [8, 4, 3]).await;
    house.desk.hold("all", "ann").await.unwrap();
    assert!(house.desk.tasks().await.unwrap()[0].is_held);
    house.advance(3600);
    // The clock leaps here, so that each time is an hour old: nothing for the one that skips.
    house.wait_for("the others", async || counts().await == [8, 5, 3]).await;
    house.desk.release("all", "ann").await.unwrap();
    house.advance(3600);
    house.wait_for("all again", async || counts().await == [9, 6, 3]).await;
    // A clock that is set back and goes on begins nothing twice; what was held back at 17:00 has no run yet.
    house.clock.set(house.now_ms() - 2 * 3_600_000);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    house.advance(2 * 3600 + 3600);
    house.wait_for("the next hour", async || counts().await == [11, 7, 3]).await;
    let tasks = house.desk.tasks().await.unwrap();
    assert_eq!(tasks[0].next_ms, Some((house.now_ms() / 3_600_000 + 1) * 3_600_000));
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn waiting_for_a_time_and_for_something_to_come(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - {name: pause, wait: {for: 10m}}
  - {name: moment, wait: {until: '2026-03-02T10:00:00Z'}}
  - {name: come, wait: {collect: {search: 'x'}, every: 1m, for: 1h}, check: 'value.there'}
  - {name: last, write: {path: p, text: '{{ come.n }}'}}
";
    house.publish(&[("waits", task)]).await;
    let looks = Arc::new(AtomicU32::new(0));
    let counted = looks.clone();
    house.hands.script("come", move |_| {
        let look = counted.fetch_add(1, Ordering::SeqCst) + 1;
        gives(json!({"there": look == 3, "n": look}))
    });
    let engine = house.engine().await;
    let run = house.run("waits").await;
    let waits_until = async |step: &str, ms: i64| {
        house
            .wait_for("it to wait", async || {
                let summary = house.show(&run).await.summary;
                summary.status == Status::Waiting
                    && summary.step.as_deref() == Some(step)
                    && summary.wake_ms == Some(ms)
            })
            .await;
    };
    waits_until("pause", BEGIN_MS + 600_000).await;
    house.advance(600);
    waits_until("moment", BEGIN_MS + 7_200_000).await;
    house.advance(6600);
    for look in 1..=2 {
        waits_until("come", house.now_ms() + 60_000).await;
        assert_eq!(looks.load(Ordering::SeqCst), look);
        house.advance(60);
    }
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "come"), json!({"there": true, "n": 3}));
    engine.stop(Duration::from_secs(5)).await;
}

/// Far beyond what the run may take, forward and back, and while it waits for each kind of time.
pub(crate) async fn a_clock_that_is_set_ends_no_run_and_delays_none(book: Book) {
    let house = House::new(book);
    let task = "
timeout: 2h
concurrency: 9
steps:
  - {name: pause, wait: {for: 30m}}
  - {name: again, retries: {times: 1, delay: 30m}, ask: {model: m, prompt: p}}
  - {name: named, wait: {until: '{{ input.until }}'}}
input: {until: ''}
";
    house.publish(&[("task", task)]).await;
    house.hands.script("again", |call| if call.attempt == 1 { fails("busy") } else { None });
    let engine = house.engine_with(|options| options.schedules = false).await;
    for hours in [25, -50] {
        let named_ms = house.now_ms() + 3_600_000 + (2 * hours + 100) * 3_600_000;
        let until = jiff::Timestamp::from_millisecond(named_ms).unwrap().to_string();
        let run = house.run_with("task", json!({"until": until})).await;
        let waits = async |step: &str, ms: i64| {
            house
                .wait_for(&format!("{step} to wait until {ms}"), async || {
                    let summary = house.show(&run).await.summary;
                    let stands = (summary.status, summary.step.as_deref(), summary.wake_ms);
                    stands == (Status::Waiting, Some(step), Some(ms))
                })
                .await;
        };
        let half_an_hour = 1_800_000;
        for step in ["pause", "again"] {
            waits(step, house.now_ms() + half_an_hour).await;
            house.clock.set(house.now_ms() + hours * 3_600_000);
            waits(step, house.now_ms() + half_an_hour).await;
            house.advance(1800);
        }
        // One hour of the two has passed; a time that people named is one of the clock as it is set.
        waits("named", house.now_ms() + 3_600_000).await;
        house.clock.set(named_ms);
        let detail = house.until(&run, Status::Done).await;
        assert!(detail.history.iter().any(|entry| entry.clock_set_ms != 0), "the history says what it goes by");
        let definition = house.desk.definition("task", None).await.unwrap();
        let begin = Begin { id: run, input: detail.input, for_ms: detail.summary.created_ms, who: "ann".to_owned() };
        replay(definition, begin, &detail.history).unwrap();
    }
    engine.stop(Duration::from_secs(5)).await;
}
