//! What the engine does, the same over both books.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tollhouse_tasks::{
    Answer, Book, Definition, Edits, Event, Filter, Options, Order, Outcome, Progress, Status, StepError, TaskError,
    replay,
};

use crate::support::{BEGIN_MS, House, fails, gives, object, value};

/// Makes a test of each case.
macro_rules! each_case {
    ($with:ident) => {
        $with! {
            a_report_goes_through_its_steps_and_its_values_flow,
            a_list_is_worked_off_a_few_at_a_time_in_its_order,
            an_attempt_that_failed_is_tried_again_later,
            a_failure_runs_the_steps_for_it,
            scenario_r11_a_question_waits_for_a_human_and_takes_edits,
            scenario_r11_a_question_reminds_and_answers_itself,
            scenario_r11_a_critical_task_halts_at_what_is_odd,
            a_retry_of_a_list_does_only_what_failed,
            scenario_r08_a_busy_house_puts_tasks_off,
            a_task_is_a_step_of_another,
            no_more_runs_than_the_task_wants_are_under_way,
            pausing_and_cancelling_take_effect_at_once,
            a_run_goes_on_with_the_version_it_began_with,
            the_same_order_is_one_run,
            scenario_r06_a_lost_worker_leaves_the_step_to_the_next,
            scenario_r06_a_step_in_doubt_asks_where_it_should,
            a_worker_that_wakes_late_writes_nothing,
            schedules_begin_one_run_for_each_time_on_two_nodes,
            waiting_for_a_time_and_for_something_to_come,
            runs_are_listed_searched_and_removed,
            an_answer_that_was_cut_is_kept_and_asked_again,
            answers_follow_their_schema,
            everything_is_told_once_when_nothing_is_lost,
            scenario_r06_work_that_is_cut_anywhere_goes_on_there,
        }
    };
}
pub(crate) use each_case;

const REPORT: &str = "
timezone: Asia/Shanghai
input: {who: nobody}
steps:
  - {name: facts, collect: {search: 'kind:request', within: 24h}}
  - {name: draft, ask: {model: m, prompt: 'report for {{ input.who }} of {{ facts.search }} on {{ date }} {{ time }}'}}
  - {name: never, when: 'draft | length == 0', send: {channel: ops, text: empty}}
  - {name: file, write: {path: 'reports/{{ date }}.md', text: '{{ draft }}'}}
  - {name: mail, send: {channel: ops, subject: Report, text: '{{ draft }}'}}
";

pub(crate) async fn a_report_goes_through_its_steps_and_its_values_flow(book: Book) {
    let house = House::new(book);
    house.publish(&[("report", REPORT)]).await;
    let engine = house.engine().await;
    let run = house.run_with("report", json!({"who": "ann"})).await;
    let detail = house.until(&run, Status::Done).await;
    let draft = "answer to report for ann of kind:request on 2026-03-02 16:00";
    assert_eq!(value(&detail, "draft"), json!(draft));
    assert_eq!(value(&detail, "file"), json!({"path": "reports/2026-03-02.md", "bytes": draft.len()}));
    assert_eq!(value(&detail, "mail")["text"], json!(draft));
    let progress: Vec<Progress> = detail.steps.iter().map(|step| step.progress).collect();
    let expected = [Progress::Done, Progress::Done, Progress::Skipped, Progress::Done, Progress::Done];
    assert_eq!(progress, expected);
    assert_eq!((detail.summary.steps, detail.summary.steps_done, detail.summary.tokens), (5, 5, 10));
    assert_eq!(detail.summary.who, "ann");
    let keys: Vec<String> = house.hands.sink.lock().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["draft", "facts", "file", "mail"].map(|step| format!("{run}.{step}.0")));

    // What was decided then is decided now.
    let definition = Arc::new(Definition::read("report.yaml", REPORT).unwrap());
    let begin = tollhouse_tasks::Begin { id: run, input: detail.input, for_ms: BEGIN_MS, who: "ann".to_owned() };
    replay(definition, begin, &detail.history).unwrap();
    assert!(house.desk.run(Order { task: "nothing".into(), ..Order::default() }).await.is_err());
    let unknown = Order { task: "report".into(), input: object(json!({"whom": 1})), ..Order::default() };
    assert!(matches!(house.desk.run(unknown).await, Err(TaskError::Wrong(_))));
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn a_list_is_worked_off_a_few_at_a_time_in_its_order(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - {name: all, each: 'range(12) | list', at_once: 3, ask: {model: m, prompt: '{{ index }}: {{ item * 2 }}'}}
  - {name: none, each: [], ask: {model: m, prompt: '{{ item }}'}}
  - {name: last, write: {path: a, text: '{{ all | length }} {{ all[11] }}'}}
";
    house.publish(&[("list", task)]).await;
    let engine = house.engine().await;
    let run = house.run("list").await;
    let detail = house.until(&run, Status::Done).await;
    let expected: Vec<Value> = (0..12).map(|n| format!("answer to {n}: {}", n * 2).into()).collect();
    assert_eq!(value(&detail, "all"), Value::Array(expected));
    assert_eq!(value(&detail, "none"), json!([]));
    assert_eq!(value(&detail, "last")["bytes"], json!("12 answer to 11: 22".len()));
    let most = house.hands.at_once_max.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at a time");
    assert_eq!(house.hands.sink.lock().unwrap().len(), 13);
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn an_attempt_that_failed_is_tried_again_later(book: Book) {
    let house = House::new(book);
    let task = "steps: [{name: a, retries: {times: 3, delay: 10s}, ask: {model: m, prompt: p}}]";
    house.publish(&[("retry", task)]).await;
    house.hands.script("a", |call| (call.attempt < 4).then(|| Err(StepError::passing("busy"))));
    let engine = house.engine().await;
    let run = house.run("retry").await;
    // 10, 20 and 40 s later.
    for (attempt, pause) in [(1, 10), (2, 20), (3, 40)] {
        house
            .wait_for("the attempt to be put off", async || {
                let detail = house.show(&run).await;
                let items = &detail.steps[0].items;
                detail.summary.status == Status::Waiting && items[0].attempts == attempt
            })
            .await;
        house.advance(pause - 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(house.show(&run).await.steps[0].items[0].attempts, attempt, "not too early");
        house.advance(1);
    }
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(detail.steps[0].items[0].attempts, 4);
    // All attempts of an intent have one key.
    assert_eq!(house.hands.attempts.lock().unwrap().values().copied().collect::<Vec<_>>(), [4]);

    house.hands.script("a", |_| Some(Err(StepError::lasting("no such model"))));
    let lasting = house.run("retry").await;
    let detail = house.until(&lasting, Status::Failed).await;
    assert_eq!(detail.summary.error.as_deref(), Some("a: no such model"));
    assert_eq!(detail.steps[0].items[0].attempts, 1);
    engine.stop(Duration::from_secs(5)).await;
}

pub(crate) async fn a_failure_runs_the_steps_for_it(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - {name: a, ask: {model: m, prompt: p}}
  - {name: b, run: {command: [make]}}
  - {name: c, ask: {model: m, prompt: '{{ b.stdout }}'}}
on_failure:
  - {name: alarm, send: {channel: ops, text: '{{ error.step }}: {{ error.message }} after {{ a }}; {{ c }}'}}
";
    house.publish(&[("fail", task)]).await;
    house.hands.script("b", |_| fails("exit 2"));
    let engine = house.engine().await;
    let run = house.run("fail").await;
    let detail = house.until(&run, Status::Failed).await;
    assert_eq!(value(&detail, "alarm")["text"], json!("b: exit 2 after answer to p; "));
    assert_eq!(detail.summary.error.as_deref(), Some("b: exit 2"));
    // Once it can succeed, it goes on where it stopped: what was done stays done.
    house.hands.script("b", |_| gives(json!({"stdout": "made"})));
    house.desk.retry(&run, None, "bob", Edits::default()).await.unwrap();
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "c"), json!("answer to made"));
    assert_eq!(detail.summary.error, None);
    let attempts = house.hands.attempts.lock().unwrap().clone();
    assert_eq!(attempts[&format!("{run}.a.0")], 1);
    assert_eq!((attempts[&format!("{run}.b.0")], attempts[&format!("{run}.b.1")]), (1, 1));
    engine.stop(Duration::from_secs(5)).await;
}

const ASKING: &str = "
steps:
  - {name: draft, ask: {model: m, prompt: p}}
  - {name: ok, approve: {by: [ops], text: 'send {{ draft }}?', expires: 24h, remind: 4h}}
  - {name: mail, send: {channel: ops, text: '{{ draft }} ({{ ok.by }})'}}
on_failure:
  - {name: told, send: {channel: ops, text: '{{ error.message }}'}}
";

fn answer(who: &str) -> Answer {
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

pub(crate) async fn a_retry_of_a_list_does_only_what_failed(book: Book) {
    let house = House::new(book);
    let task = "steps: [{name: all, each: [1, 2, 3, 4], at_once: 4, run: {command: [do, '{{ item }}']}}]";
    house.publish(&[("list", task)]).await;
    house.hands.script("all", |call| (call.key.ends_with("all.2.0")).then(|| Err(StepError::lasting("broken"))));
    let engine = house.engine().await;
    let run = house.run("list").await;
    house.until(&run, Status::Failed).await;
    house.desk.retry(&run, None, "ann", Edits::default()).await.unwrap();
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "all").as_array().unwrap().len(), 4);
    let attempts = house.hands.attempts.lock().unwrap().clone();
    let expected = ["0.0", "1.0", "2.0", "2.1", "3.0"].map(|end| (format!("{run}.all.{end}"), 1));
    assert_eq!(attempts.into_iter().collect::<Vec<_>>(), expected);
    engine.stop(Duration::from_secs(5)).await;
}

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

pub(crate) async fn a_task_is_a_step_of_another(book: Book) {
    let house = House::new(book);
    let outer = "
steps:
  - {name: parts, each: [a, b, c], at_once: 2, task: {name: inner, input: {part: '{{ item }}', all: '{{ input }}'}}}
  - {name: sum, write: {path: x, text: '{{ parts }}'}}
";
    let inner = "
input: {part: none, all: {}}
concurrency: 2
steps: [{name: one, ask: {model: m, prompt: '{{ input.part }}'}}]
";
    house.publish(&[("outer", outer), ("inner", inner)]).await;
    let engine = house.engine().await;
    let run = house.run("outer").await;
    let detail = house.until(&run, Status::Done).await;
    assert_eq!(value(&detail, "parts"), json!(["answer to a", "answer to b", "answer to c"]));
    assert_eq!((detail.children.len(), detail.summary.tokens), (3, 30));
    let child = house.show(&detail.children[0]).await;
    assert_eq!((child.summary.parent.as_deref(), &child.input["all"]), (Some(run.as_str()), &json!({})));

    house.hands.script("one", |_| fails("broken"));
    let run = house.run("outer").await;
    let detail = house.until(&run, Status::Failed).await;
    let error = detail.summary.error.unwrap();
    assert!(error.starts_with("parts: run ") && error.ends_with("of task inner failed: one: broken"), "{error}");
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
    house.desk.hold("all").await.unwrap();
    assert!(house.desk.tasks().await.unwrap()[0].is_held);
    house.advance(3600);
    // The clock leaps here, so that each time is an hour old: nothing for the one that skips.
    house.wait_for("the others", async || counts().await == [8, 5, 3]).await;
    house.desk.release("all").await.unwrap();
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
        house.desk.retain(keep_runs, keep_days).await.unwrap();
        list(Filter { limit: 100, ..Filter::default() }).await.runs.len()
    };
    house.wait_for("the older ones to go", async || left(5, 90).await == 10).await;
    assert!(matches!(house.desk.show(&runs[0]).await, Err(TaskError::NoRun(_))));
    house.advance(3 * 86_400);
    house.wait_for("all to go", async || left(5, 2).await == 0).await;
    engine.stop(Duration::from_secs(5)).await;
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

pub(crate) async fn answers_follow_their_schema(book: Book) {
    let house = House::new(book);
    let task = "
steps:
  - name: a
    retries: {times: 2, delay: 1s}
    ask: {model: m, prompt: p, schema: {type: object, required: [n], properties: {n: {type: integer}}}}
  - {name: b, write: {path: p, text: '{{ a.n + 1 }}'}}
";
    house.publish(&[("schema", task)]).await;
    house.hands.script("a", |call| match call.attempt {
        1 => gives("I think it is 7"),
        2 => gives(r#"{"n": "seven"}"#),
        _ => gives("```json\n{\"n\": 7}\n```"),
    });
    let engine = house.engine().await;
    let run = house.run("schema").await;
    for error in ["the answer is no JSON", "the answer does not follow the schema at `/n`"] {
        house
            .wait_for(error, async || {
                let detail = house.show(&run).await;
                let items = &detail.steps[0].items;
                let shown = items.first().and_then(|item| item.error.clone()).unwrap_or_default();
                detail.summary.status == Status::Waiting && shown.starts_with(error)
            })
            .await;
        house.advance(2);
    }
    let detail = house.until(&run, Status::Done).await;
    assert_eq!((value(&detail, "a"), &value(&detail, "b")["bytes"]), (json!({"n": 7}), &json!(1)));
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
