//! Workers that are lost, wake late or are cut off anywhere.

use std::time::Duration;

use serde_json::json;
use tollhouse_tasks::{Book, Event, Status};

use super::humans::answer;
use crate::support::{House, value};

pub(crate) async fn scenario_r06_a_lost_worker_leaves_the_step_to_the_next(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - {name: a, ask: {model: m, prompt: p}}
  - {name: b, run: {command: [pay]}}
  - {name: c, send: {channel: ops, text: '{{ b.stdout }}'}}
";
    house.publish(&[("task", task)]).await;
    let gates = [house.hands.gate("b"), house.hands.gate("c")];
    let engine = house.engine().await;
    let run = house.run("task").await;
    for at in [2, 3] {
        house.wait_for("the step", async || house.hands.attempts.lock().unwrap().len() == at).await;
        if at == 2 {
            gates[0].add_permits(1);
        }
    }
    // Right in the middle of the last step, as a crash would.
    drop(engine);
    gates[1].add_permits(2);
    let engine = house.engine().await;
    let detail = house.until(&run, Status::Done).await;
    let attempts = house.hands.attempts.lock().unwrap().clone();
    let counts: Vec<u32> = ["a", "b", "c"].iter().map(|step| attempts[&format!("{run}.{step}.0")]).collect();
    assert_eq!(counts, [1, 1, 2], "only the step that was cut is done again");
    let codes: Vec<&str> = detail.history.iter().map(|entry| entry.event.code()).collect();
    assert_eq!(codes, ["started", "begun", "finished", "begun", "finished", "begun", "resumed", "finished", "ended"]);
    // The receiver knew the key, so it is known that the message went out once.
    let finished = detail.history.iter().rev().find_map(|entry| match entry.event {
        Event::Finished { maybe_twice, .. } => Some(maybe_twice),
        _ => None,
    });
    assert_eq!(finished, Some(false));
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn scenario_r06_a_step_in_doubt_asks_where_it_should(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - {name: again, run: {command: [pay]}}
  - {name: asks, in_doubt: ask, run: {command: [pay]}}
";
    house.publish(&[("task", task)]).await;
    let gates = [house.hands.gate("again"), house.hands.gate("asks")];
    let engine = house.engine().await;
    let run = house.run("task").await;
    let begun = async |count| {
        house.wait_for("the step", async || house.hands.attempts.lock().unwrap().len() == count).await;
    };
    begun(1).await;
    drop(engine);
    gates[0].add_permits(2);
    let engine = house.engine().await;
    begun(2).await;
    assert!(house.show(&run).await.steps[0].items[0].maybe_twice, "nobody can know");
    drop(engine);
    let engine = house.engine().await;
    let asked = house.until(&run, Status::Asking).await.question.unwrap();
    assert_eq!((asked.step.as_str(), asked.why.as_str()), ("asks", "doubt"));
    house.desk.approve(&run, answer("ann")).await.unwrap();
    house.until(&run, Status::Done).await;
    assert_eq!(house.hands.attempts.lock().unwrap()[&format!("{run}.asks.0")], 1, "it was not done again");
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn a_worker_that_wakes_late_writes_nothing(book: Book) {
    let house = House::new(book);
    house.publish(&[("task", "steps: [{name: a, ask: {model: m, prompt: p}}]")]).await;
    let gate = house.hands.gate("a");
    let first = house.engine().await;
    let run = house.run("task").await;
    house.wait_for("the step", async || house.hands.attempts.lock().unwrap().len() == 1).await;
    // A second engine believes that it is alone, and takes over at once; the first one does not know yet.
    let second = house.engine().await;
    house
        .wait_for("it to be taken over", async || house.hands.attempts.lock().unwrap().values().sum::<u32>() == 2)
        .await;
    gate.add_permits(2);
    let detail = house.until(&run, Status::Done).await;
    first.stop(Duration::from_secs(5)).await;
    second.stop(Duration::from_secs(5)).await;
    let finished = detail.history.iter().filter(|entry| entry.event.code() == "finished").count();
    assert_eq!((finished, house.hands.sink.lock().unwrap().len()), (1, 1));
}

pub(crate) async fn an_answer_that_was_cut_is_kept_and_asked_again(book: Book) {
    let house = House::new(book);
    house.publish(&[("task", "steps: [{name: a, ask: {model: m, prompt: p}}]")]).await;
    let gate = house.hands.gate("a");
    *house.hands.partial.lock().unwrap() = Some("The first half".to_owned());
    let engine = house.engine().await;
    let run = house.run("task").await;
    let partial = async || house.show(&run).await.steps[0].items.first().and_then(|item| item.partial.clone());
    house.wait_for("the beginning", async || partial().await.as_deref() == Some("The first half")).await;
    drop(engine);
    assert_eq!(partial().await.as_deref(), Some("The first half"));
    gate.add_permits(1);
    let engine = house.engine().await;
    let detail = house.until(&run, Status::Done).await;
    assert_eq!((value(&detail, "a"), partial().await), (json!("answer to p"), None));
    engine.stop(Duration::from_secs(5)).await;
}

/// How long leases last where one is to be lost.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(1);

/// `stand_still(true)` keeps the book from answering the only worker until `stand_still(false)`: its lease ends in the middle of a step.
pub(crate) async fn its_own_worker_takes_a_run_again_whose_lease_has_ended(
    house: &House,
    mut stand_still: impl AsyncFnMut(bool),
) {
    house
        .publish(&[("task", "steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, run: {command: [pay]}}]")])
        .await;
    let gate = house.hands.gate("a");
    let engine = house.engine_with(|options| (options.is_alone, options.lease) = (false, SHORT_LEASE)).await;
    let run = house.run("task").await;
    house.until_attempts(1).await;
    stand_still(true).await;
    // What may be done elsewhere by now is not gone on with.
    house.until_idle().await;
    house.clock.advance(2 * SHORT_LEASE);
    stand_still(false).await;
    house.until_attempts(2).await;
    gate.add_permits(1);
    let detail = house.until(&run, Status::Done).await;
    let codes: Vec<&str> = detail.history.iter().map(|entry| entry.event.code()).collect();
    assert_eq!(codes, ["started", "begun", "resumed", "finished", "begun", "finished", "ended"]);
    assert_eq!(house.hands.sink.lock().unwrap().len(), 2, "each effect once");
    engine.stop(Duration::from_secs(5)).await;
}

/// How often the engine is cut off; another number comes from `TOLLHOUSE_TASK_CUTS`.
const CUTS: u32 = 60;

pub(crate) async fn scenario_r06_work_that_is_cut_anywhere_goes_on_there(book: Book) {
    let house = House::new(book);
    house.desk.publish(&[crate::worker::definition()]).await.unwrap();
    let cuts = std::env::var("TOLLHOUSE_TASK_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut runs = Vec::new();
    let mut made = 0;
    while made < cuts {
        runs.push(house.run("long").await);
        let run = runs.last().unwrap();
        while house.show(run).await.summary.status != Status::Done && made < cuts {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let until = house.hands.told.lock().unwrap().len() as u64 + (random >> 33) % 24;
            let engine = house.engine().await;
            // Right after a commit, or a little later.
            house
                .wait_for("some events", async || {
                    let told = house.hands.told.lock().unwrap();
                    told.len() as u64 >= until || told.last().is_some_and(|told| told.entry.event.code() == "ended")
                })
                .await;
            tokio::time::sleep(Duration::from_micros((random >> 45) % 2_000)).await;
            drop(engine);
            made += 1;
        }
    }
    let engine = house.engine().await;
    for run in &runs {
        let detail = house.until(run, Status::Done).await;
        let finished = detail.history.iter().filter(|entry| entry.event.code() == "finished").count();
        assert_eq!(finished, 28);
    }
    assert_eq!(house.hands.sink.lock().unwrap().len(), 28 * runs.len(), "each effect has one key");
    engine.stop(Duration::from_secs(5)).await;
}
