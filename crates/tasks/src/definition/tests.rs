//! Definitions: what is read, what is refused.

use std::time::Duration;

use serde_json::json;

use super::*;

const WHOLE: &str = r#"
title: Daily report
schedule: "0 8 * * 1-5"
timezone: Asia/Shanghai
catch_up: all
critical: {by: [ops], remind: 4h, expires: 24h, default: approve}
timeout: 2h
concurrency: 3
needs: gpu
plan: {tokens: 20000}
input: {days: 1}
steps:
  - {name: facts, collect: {search: 'kind:request', within: 24h, report: errors}}
  - name: parts
    each: facts.rows
    at_once: 2
    when: "facts.rows | length > 0"
    retries: {times: 2, delay: 1m}
    timeout: 5m
    check: "value.ok and item"
    ask: {model: "qwen3:32b", prompt: "{{ index }}: {{ item }}", temperature: 0.2, schema: {type: object, properties: {"{{": {}}}}
  - {name: ok, approve: }
  - {name: pay, in_doubt: ask, run: {command: [pay, "{{ ok.by }}"], env: {A: "${HOME}"}}}
  - {name: rest, wait: {collect: {file: x}, every: 1m, for: 1h}, check: value}
  - {name: other, task: {name: cleanup, input: {days: "{{ input.days }}"}}}
  - {name: mail, each: [a, b], send: {channel: "{{ item }}", text: "{{ parts }}"}}
on_failure:
  - {name: alarm, send: {channel: ops, text: "{{ error.message }} {{ facts }}"}}
"#;

#[test]
fn a_whole_file_is_read() {
    let task = Definition::read("tasks/daily-report.yaml", WHOLE).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((task.name.as_str(), task.title.as_deref()), ("daily-report", Some("Daily report")));
    assert_eq!(task.schedule.as_ref().unwrap().to_string(), "0 8 * * 1-5 Asia/Shanghai");
    assert_eq!((task.catch_up, task.concurrency, task.needs_gpu), (CatchUp::All, 3, true));
    assert_eq!((task.timeout, task.plan_tokens), (Duration::from_secs(7200), Some(20_000)));
    assert_eq!(task.critical.as_ref().unwrap().by, ["ops"]);
    let parts = &task.steps[1];
    assert_eq!((parts.kind, parts.at_once), (Kind::Ask, 2));
    assert_eq!(parts.each, Some(Each::Of("facts.rows".into())));
    assert_eq!(parts.retries, Retries { times: 2, delay: Duration::from_secs(60) });
    assert_eq!(task.steps[3].work["env"]["A"], json!("${HOME}"), "variables of the environment mean nothing");
    assert_eq!(task.steps[3].in_doubt, InDoubt::Ask);
    assert_eq!(task.on_failure.len(), 1);
    let names: Vec<String> = task.summary_steps().into_iter().map(|step| step.name).collect();
    assert_eq!(names, ["facts", "parts", "ok", "pay", "rest", "other", "mail", "alarm"]);
}

#[test]
fn another_text_is_another_version_and_the_same_text_is_the_same() {
    let version = |file: &str, text: &str| Definition::read(file, text).unwrap().version;
    let first = version("a.yaml", WHOLE);
    assert_eq!((first.len(), &first), (12, &version("elsewhere/a.yaml", WHOLE)));
    assert_ne!(first, version("a.yaml", &format!("{WHOLE}\n")));
    assert_ne!(first, version("b.yaml", WHOLE));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = r#"
shedule: "0 8 * * *"
timezone: Mars/Olympus
steps:
  - {name: facts, colect: {search: x}}
  - {name: draft, ask: {model: m, prompt: "{{ fact }}"}}
  - {name: draft, write: {path: p, text: "{{ draft"}}
  - {name: two, ask: {model: m, prompt: p}, send: {channel: c, text: t}}
  - {name: late, when: "mail == 1", run: {command: "ls"}}
  - {name: mail, send: {channel: c, txt: t}}
"#;
    let errors = Definition::read("bad.yaml", text).unwrap_err();
    let told: Vec<String> = errors
        .problems()
        .iter()
        .map(|problem| format!("{}: {}", problem.place.map_or(0, |place| place.line), problem.message()))
        .collect();
    let expected = [
        "2: unknown key `shedule`",
        "3: `timezone`: there is no time zone `Mars/Olympus`",
        "5: `steps[0]`: the step does not say what it does",
        "5: unknown key `steps[0].colect`",
        "6: `steps[1].ask.prompt`: `fact` is not known here",
        "7: `steps[2]`: there is another step `draft`",
        "7: `steps[2].write.text`: syntax error",
        "8: `steps[3]`: the step does 2 things",
        "9: `steps[4].when`: `mail` is not known here",
        "9: `steps[4].run`: invalid type: string",
        "10: `steps[5].send`: key `text` is missing",
        "10: unknown key `steps[5].send.txt`",
    ];
    for expected in expected {
        assert!(told.iter().any(|told| told.starts_with(expected)), "{expected} is not in {told:#?}");
    }
    let text = errors.to_string();
    assert!(text.contains("bad.yaml:2:1:") && text.contains("did you mean `schedule`?"), "{text}");
    assert!(text.contains("did you mean `collect`?"), "{text}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let step = |step: &str| format!("steps: [{step}]");
    let cases = [
        ("{}".to_owned(), "key `steps` is missing"),
        ("steps: []".to_owned(), "no step stands here"),
        (step("{name: item, approve: {}}"), "has a meaning of its own"),
        (step("{name: 'a b', approve: {}}"), "is not a name"),
        (step("{name: a, collect: {search: x, url: y}}"), "2 sources stand here"),
        (step("{name: a, collect: {within: 1h}}"), "0 sources stand here"),
        (step("{name: a, wait: {}}"), "it is not said how long"),
        (step("{name: a, wait: {for: 1h, collect: {file: x}}}"), "it is not said what is waited for"),
        (step("{name: a, wait: {for: soon}}"), "soon"),
        (step("{name: a, task: {name: x}}"), "a task cannot be a step of itself"),
        (step("{name: a, each: [1], approve: {}}"), "not asked item by item"),
        (step("{name: a, at_once: 2, approve: {}}"), "there is no `each`"),
        (step("{name: a, ask: {model: m, prompt: p, schema: {type: 7}}}"), "the schema cannot be used"),
        (step("{name: a, ask: {model: m, prompt: '{% for x in input %}'}}"), "end of input"),
        (step("{name: a, approve: {default: maybe}}"), "maybe"),
        (step("{name: a, retries: 100, approve: {}}"), "100 is too large"),
        (
            format!("{{schedule: '* * * * *', every: 1h, {}}}", step("{name: a, approve: {}}")),
            "`schedule` is there too",
        ),
        (format!("{{schedule: '99 * * * *', {}}}", step("{name: a, approve: {}}")), "`schedule`"),
        (format!("{{every: 10ms, {}}}", step("{name: a, approve: {}}")), "too short"),
    ];
    for (text, expected) in cases {
        match Definition::read("x.yaml", &text) {
            Ok(_) => panic!("{text} is taken"),
            Err(errors) => assert!(errors.to_string().contains(expected), "{text}: {errors}"),
        }
    }
    assert!(Definition::read("x.yaml", &format!("# {}", "x".repeat(300_000))).is_err());
    let many = (0..101).map(|n| format!("{{name: s{n}, wait: {{for: 1s}}}}")).collect::<Vec<_>>().join(", ");
    assert!(Definition::read("x.yaml", &format!("steps: [{many}]")).unwrap_err().to_string().contains("101 steps"));
}
