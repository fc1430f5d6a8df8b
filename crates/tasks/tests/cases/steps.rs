//! What steps do: values, lists, attempts, tasks within tasks, answers that follow a schema.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tollhouse_tasks::{Book, Definition, Edits, Order, Progress, Status, StepError, TaskError, replay};

use crate::support::{BEGIN_MS, House, fails, gives, object, value};

pub(crate) const REPORT: &str = "
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
