//! What humans are asked, what they answer, and how they turn runs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tollhouse_tasks::{Answer, Book, Edits, Event, Outcome, Progress, Status, StepError, TaskError};

use crate::support::{BEGIN_MS, House, gives, object, value};

pub(crate) const ASKING: &str = "
steps:
  - {name: draft, ask: {model: m, prompt: p}}
  - {name: ok, approve: {by: [ops], text: 'send {{ draft }}?', expires: 24h, remind: 4h}}
  - {name: mail, send: {channel: ops, text: '{{ draft }} ({{ ok.by }})'}}
on_failure:
  - {name: told, send: {channel: ops, text: '{{ error.message }}'}}
";

pub(crate) fn answer(who: &str) -> Answer {
    Answer { who: who.to_owned(), ..Answer::default() }
}

pub(crate) async fn scenario_r11_a_question_waits_for_a_human_and_takes_edits(book: Book) {
    let house = House::new(book);
    house.publish(&[("asking", ASKING)]).await;
    let engine = house.engine().await;
    let run = house.run("asking").await;
    let detail = house.until(&run, Status::Asking).await;
    let asked = detail.question.unwrap();
    assert_eq!((asked.step.as_str(), asked.why.as_str(), asked.text.as_str()), ("ok", "approve", "send answer to p?"));
    assert_eq!((asked.by.clone(), asked.expires_ms), (vec!["ops".to_owned()], Some(BEGIN_MS + 24 * 3_600_000)));
    assert_eq!(house.desk.questions().await.unwrap(), std::slice::from_ref(&asked));
    let stale = Answer { number: Some(asked.number + 1), ..answer("ann") };
    assert!(matches!(house.desk.approve(&run, stale).await, Err(TaskError::NotNow { .. })));
    let edits = Edits { values: object(json!({"draft": "better"})), ..Edits::default() };
    let approved = Answer { number: Some(asked.number), edits, ..answer("ann") };
    house.desk.approve(&run, approved).await.unwrap();
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "mail")["text"], json!("better (ann)"));
    assert!(house.desk.questions().await.unwrap().is_empty());
    assert!(matches!(house.desk.approve(&run, answer("ann")).await, Err(TaskError::NotNow { .. })));

    let second = house.run("asking").await;
    house.until(&second, Status::Asking).await;
    house.desk.reject(&second, Answer { comment: "too long".into(), ..answer("bob") }).await.unwrap();
    let detail = house.until(&second, Status::Failed).await;
    assert_eq!(value(&detail, "told")["text"], json!("rejected by bob: too long"));

    // Sent back to an earlier step, with another prompt.
    let third = house.run("asking").await;
    house.until(&third, Status::Asking).await;
    let edits = Edits { work: object(json!({"prompt": "shorter"})), ..Edits::default() };
    house.desk.retry(&third, Some("draft"), "bob", edits).await.unwrap();
    house
        .wait_for("the question to come again", async || {
            house.show(&third).await.question.is_some_and(|asked| asked.text == "send answer to shorter?")
        })
        .await;
    house.desk.approve(&third, answer("bob")).await.unwrap();
    house.until(&third, Status::Done).await;
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn scenario_r11_a_question_reminds_and_answers_itself(book: Book) {
    let house = House::new(book);
    let yes = ASKING.replace("expires: 24h", "expires: 24h, default: approve");
    house.publish(&[("asking", ASKING), ("yes", &yes)]).await;
    let engine = house.engine().await;
    let runs = [house.run("asking").await, house.run("yes").await];
    for run in &runs {
        house.until(run, Status::Asking).await;
    }
    let reminded = || house.hands.codes().iter().filter(|code| **code == "reminded").count();
    house.advance(4 * 3600);
    house.wait_for("both to remind", async || reminded() == 2).await;
    house.advance(4 * 3600);
    house.wait_for("both to remind again", async || reminded() == 4).await;
    for run in &runs {
        assert_eq!(house.until(run, Status::Asking).await.summary.status, Status::Asking);
    }
    house.advance(16 * 3600);
    let rejected = house.until(&runs[0], Status::Failed).await;
    assert_eq!(value(&rejected, "told")["text"], json!("rejected by expiry: nobody answered in time"));
    let approved = house.until(&runs[1], Status::Done).await;
    assert_eq!(value(&approved, "mail")["text"], json!("answer to p (expiry)"));
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn scenario_r11_a_critical_task_halts_at_what_is_odd(book: Book) {
    let house = House::new(book);
    let task = "
critical: true
plan: {tokens: 25}
steps:
  - {name: a, ask: {model: m, prompt: p}, check: 'value | length > 3'}
  - {name: b, ask: {model: m, prompt: '{{ a }}'}}
  - {name: c, ask: {model: m, prompt: '{{ b }}'}}
";
    house.publish(&[("critical", task)]).await;
    let engine = house.engine().await;
    let why = async |run: &str| house.until(run, Status::Asking).await.question.unwrap().why;

    // An error: sent back with another prompt.
    house.hands.script("a", |call| call.key.ends_with(".0").then(|| Err(StepError::lasting("no model"))));
    let run = house.run("critical").await;
    assert_eq!(why(&run).await, "error");
    let edits = Edits { work: object(json!({"prompt": "q"})), ..Edits::default() };
    house.desk.retry(&run, None, "ann", edits).await.unwrap();
    // The cost: 30 tokens where 25 were planned; judged once.
    assert_eq!(why(&run).await, "cost");
    assert_eq!(value(&house.show(&run).await, "a"), json!("answer to q"));
    house.desk.approve(&run, answer("ann")).await.unwrap();
    house.until(&run, Status::Done).await;

    // An error: gone on without it, and with a value in its place.
    let run = house.run("critical").await;
    assert_eq!(why(&run).await, "error");
    let edits = Edits { values: object(json!({"a": "by hand"})), ..Edits::default() };
    house.desk.approve(&run, Answer { edits, ..answer("ann") }).await.unwrap();
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "b"), json!("answer to by hand"));

    // A check that is not met: the value is there to be judged.
    house.hands.script("a", |_| gives("x"));
    let run = house.run("critical").await;
    assert_eq!(why(&run).await, "check");
    assert_eq!(value(&house.show(&run).await, "a"), json!("x"));
    house.desk.reject(&run, answer("ann")).await.unwrap();
    house.until(&run, Status::Failed).await;

    // An output far from earlier ones.
    house.hands.script("a", |_| Some(Ok(Outcome { value: "y".repeat(30).into(), ..Outcome::default() })));
    for _ in 0..5 {
        let run = house.run("critical").await;
        house.until(&run, Status::Done).await;
    }
    house.hands.script("a", |_| gives("z".repeat(3000)));
    let run = house.run("critical").await;
    assert_eq!(why(&run).await, "far");
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn pausing_and_cancelling_take_effect_at_once(book: Book) {
    let house = House::new(book);
    let task =
        "{concurrency: 9, steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, ask: {model: m, prompt: q}}]}";
    house.publish(&[("two", task)]).await;
    let gate = house.hands.gate("a");
    // So that what a human does is heard soon.
    let engine = house.engine_with(|options| options.lease = Duration::from_millis(400)).await;
    let run = house.run("two").await;
    let at_it = async |count| {
        house.wait_for("it to be at it", async || house.hands.attempts.lock().unwrap().len() == count).await;
    };
    at_it(1).await;
    house.desk.pause(&run, "ann").await.unwrap();
    assert!(house.desk.pause(&run, "ann").await.is_err());
    gate.add_permits(1);
    house.wait_for("what was begun to end", async || house.show(&run).await.steps[0].progress == Progress::Done).await;
    house.until(&run, Status::Paused).await;
    assert_eq!(house.hands.attempts.lock().unwrap().len(), 1);
    house.desk.resume(&run, "bob").await.unwrap();
    house.until(&run, Status::Done).await;
    assert!(matches!(house.desk.cancel(&run, "ann").await, Err(TaskError::NotNow { .. })));

    let second = house.run("two").await;
    at_it(3).await;
    house.desk.cancel(&second, "ann").await.unwrap();
    house.wait_for("the work to be dropped", async || house.hands.at_once.load(Ordering::SeqCst) == 0).await;
    let detail = house.until(&second, Status::Cancelled).await;
    assert!(matches!(&detail.history.last().unwrap().event, Event::Cancelled { who } if who == "ann"));
    house.wait_for("it to be told", async || house.hands.codes().contains(&"cancelled")).await;
    engine.stop(Duration::from_secs(5)).await;
}
