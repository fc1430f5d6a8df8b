//! The machine: each rule of it, without a book, a clock or hands.

use std::time::Duration;

use super::*;
use crate::hands::{Outcome, StepError};
use crate::work::Work;

const BEGIN_MS: i64 = 1_772_438_400_000;

/// A run that a test brings forward by hand.
struct Machine {
    run: Run,
    history: Vec<Entry>,
    /// The even time.
    now_ms: i64,
    clock_set_ms: i64,
}

impl Machine {
    fn new(text: &str) -> Self {
        let definition = Definition::read("task.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
        let begin = Begin { id: "r".into(), input: Map::new(), for_ms: BEGIN_MS, who: "ann".into() };
        Self { run: Run::new(Arc::new(definition), begin), history: Vec::new(), now_ms: BEGIN_MS, clock_set_ms: 0 }
    }

    fn add(&mut self, event: Event) {
        let entry = Entry { at_ms: self.now_ms + self.clock_set_ms, clock_set_ms: self.clock_set_ms, event };
        self.run.apply(&entry);
        self.history.push(entry);
    }

    /// Lets the machine decide until it rests or is over.
    fn settle(&mut self) -> Next {
        for _ in 0..1000 {
            self.run.set_clock(self.clock_set_ms);
            match self.run.next(self.now_ms) {
                Next::Note(events) => events.into_iter().for_each(|event| self.add(event)),
                next => return next,
            }
        }
        panic!("the machine does not come to rest: {:#?}", self.history);
    }

    /// Ends what is being done.
    fn end(&mut self, result: &Result<Value, StepError>) {
        self.run.set_clock(self.clock_set_ms);
        for doing in self.run.doing() {
            let outcome = result.clone().map(|value| Outcome { value, tokens: 1, is_surely_once: false });
            for event in self.run.ended(&doing, outcome, &[], self.now_ms) {
                self.add(event);
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now_ms += Duration::from_secs(seconds).as_millis() as i64;
    }

    /// Sets the clock while no time passes.
    fn set_clock(&mut self, hours: i64) {
        self.clock_set_ms += hours * 3_600_000;
    }

    fn codes(&self) -> Vec<&'static str> {
        self.history.iter().map(|entry| entry.event.code()).collect()
    }

    /// Every beginning of the history, read anew, decides as it did, and ends in the same state.
    fn check(&self) {
        let definition = self.run.definition.clone();
        let replayed =
            replay(definition, self.run.begin.clone(), &self.history).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(replayed.digest(), self.run.digest());
        let text = serde_json::to_string(&self.history).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<Entry>>(&text).unwrap(),
            self.history,
            "a history is read as it was written"
        );
    }
}

fn rest_of(next: Next) -> Rest {
    match next {
        Next::Rest(rest) => rest,
        next => panic!("it does not rest: {next:?}"),
    }
}

#[test]
fn steps_follow_each_other() {
    let mut machine =
        Machine::new("steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, send: {channel: c, text: '{{ a }}'}}]");
    assert_eq!(rest_of(machine.settle()).status, Status::Running);
    machine.end(&Ok("hello".into()));
    machine.settle();
    let doing = machine.run.doing();
    assert!(matches!(&doing[0].work, Work::Send(message) if message.text == "hello"));
    assert_eq!(machine.run.key("b", None).as_deref(), Some("r.b.0"));
    machine.end(&Ok(Value::Null));
    assert_eq!(machine.settle(), Next::Over);
    assert_eq!(machine.codes(), ["started", "begun", "finished", "begun", "finished", "ended"]);
    machine.check();
}

#[test]
fn the_step_that_failed_is_shown_as_failed() {
    let mut machine =
        Machine::new("steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, send: {channel: c, text: t}}]");
    machine.settle();
    machine.end(&Err(StepError::lasting("no such model")));
    assert_eq!(machine.settle(), Next::Over);
    let shown: Vec<Progress> = machine.run.step_details().iter().map(|step| step.progress).collect();
    assert_eq!(shown, [Progress::Failed, Progress::Open]);
}

#[test]
fn the_time_of_a_run_stands_still_while_a_human_is_waited_for() {
    let mut machine = Machine::new(
        "{timeout: 1h, steps: [{name: a, approve: {}}, {name: b, ask: {model: m, prompt: p}, timeout: 2h}], on_failure: [{name: f, wait: {for: 1s}}]}",
    );
    assert_eq!(rest_of(machine.settle()), Rest { status: Status::Asking, until_ms: None, is_for_child: false });
    machine.pass(5 * 3600);
    machine.settle();
    machine.add(Event::Answered {
        step: "a".into(),
        verdict: Verdict::Approve,
        who: "ann".into(),
        comment: String::new(),
        edits: Edits::default(),
    });
    let rest = rest_of(machine.settle());
    assert_eq!(rest.until_ms, Some(machine.now_ms + 3_600_000));
    machine.pass(3600);
    machine.settle();
    machine.pass(1);
    assert_eq!(machine.settle(), Next::Over);
    let tail = &machine.codes()[4..];
    assert_eq!(tail, ["timed_out", "failure_begun", "begun", "finished", "ended"]);
    assert!(machine.run.digest().error.unwrap().contains("longer than its timeout of 1h"));
    machine.check();
}

#[test]
fn a_clock_that_is_set_ends_nothing_too_early_and_delays_nothing() {
    for hours in [-50, -2, 25, 800] {
        let mut machine = Machine::new(
            "{timeout: 1h, steps: [{name: a, retries: {times: 1, delay: 10m}, ask: {model: m, prompt: p}}, {name: b, approve: {expires: 2h}}]}",
        );
        machine.settle();
        machine.set_clock(hours);
        machine.end(&Err(StepError::passing("busy")));
        assert_eq!(rest_of(machine.settle()).until_ms, Some(machine.now_ms + 600_000));
        machine.set_clock(hours);
        machine.settle();
        machine.pass(600);
        assert_eq!(rest_of(machine.settle()).status, Status::Running);
        machine.end(&Ok("x".into()));
        machine.settle();
        let asked = machine.run.asked().unwrap();
        assert_eq!(asked.expires_ms, Some(machine.now_ms + machine.clock_set_ms + 7_200_000));
        machine.set_clock(hours);
        assert_eq!(rest_of(machine.settle()).status, Status::Asking);
        machine.pass(7_200);
        assert_eq!(machine.settle(), Next::Over);
        machine.check();
    }
}

#[test]
fn a_time_that_people_name_is_one_of_the_clock_as_it_is_set() {
    let mut machine = Machine::new("steps: [{name: a, wait: {until: '2026-03-02T10:00:00Z'}}]");
    assert_eq!(rest_of(machine.settle()).until_ms, Some(BEGIN_MS + 7_200_000));
    machine.set_clock(1);
    assert_eq!(rest_of(machine.settle()).until_ms, Some(BEGIN_MS + 3_600_000));
    machine.set_clock(1);
    assert_eq!(machine.settle(), Next::Over);
    machine.check();
}

#[test]
fn attempts_are_put_off_twice_as_long_each_time_and_no_longer_than_an_hour() {
    let mut machine = Machine::new(
        "{timeout: 720h, steps: [{name: a, retries: {times: 20, delay: 10m}, ask: {model: m, prompt: p}}]}",
    );
    for minutes in [10, 20, 40, 60, 60] {
        machine.settle();
        machine.end(&Err(StepError::passing("busy")));
        let rest = rest_of(machine.settle());
        assert_eq!((rest.status, rest.until_ms), (Status::Waiting, Some(machine.now_ms + minutes * 60_000)));
        machine.pass(minutes as u64 * 60);
    }
    machine.settle();
    let asked = StepError { retry_after: Some(Duration::from_secs(3000)), ..StepError::passing("busy") };
    machine.end(&Err(asked));
    machine.check();
}

#[test]
fn what_is_being_done_ends_before_a_list_fails() {
    let mut machine = Machine::new("steps: [{name: a, each: [1, 2, 3, 4, 5], at_once: 2, run: {command: [x]}}]");
    machine.settle();
    let doing = machine.run.doing();
    assert_eq!(doing.len(), 2);
    for event in machine.run.ended(&doing[0], Err(StepError::lasting("broken")), &[], machine.now_ms) {
        machine.add(event);
    }
    assert_eq!(rest_of(machine.settle()).status, Status::Running, "the other one is still being done");
    assert_eq!(machine.run.doing().len(), 1, "and nothing new is begun");
    machine.end(&Ok(Value::Null));
    assert_eq!(machine.settle(), Next::Over);
    machine.check();
}

#[test]
fn a_template_that_cannot_be_filled_in_fails_its_step() {
    let mut machine =
        Machine::new("steps: [{name: a, ask: {model: m, prompt: p}}, {name: b, write: {path: p, text: '{{ a.n }}'}}]");
    machine.settle();
    machine.end(&Ok("text".into()));
    assert_eq!(machine.settle(), Next::Over);
    let error = machine.run.digest().error.unwrap();
    assert!(error.starts_with("b: ") && error.contains("undefined"), "{error}");
    machine.check();
}

#[test]
fn results_that_are_too_large_are_refused() {
    let mut machine = Machine::new("steps: [{name: a, retries: 3, collect: {file: x}}]");
    machine.settle();
    machine.end(&Ok("x".repeat(1024 * 1024).into()));
    assert_eq!(machine.settle(), Next::Over);
    assert!(machine.run.digest().error.unwrap().contains("larger than 1 MiB"));
    let mut deep = Value::Null;
    for _ in 0..100 {
        deep = Value::Array(vec![deep]);
    }
    let mut machine = Machine::new("steps: [{name: a, collect: {file: x}}]");
    machine.settle();
    machine.end(&Ok(deep));
    assert_eq!(machine.settle(), Next::Over);
}

#[test]
fn a_history_that_never_ends_is_ended() {
    let mut machine = Machine::new(
        "{timeout: 720h, steps: [{name: a, check: value, wait: {collect: {file: x}, every: 10s, for: 700h}}]}",
    );
    let mut rounds = 0;
    while machine.settle() != Next::Over {
        machine.end(&Ok(false.into()));
        machine.pass(10);
        rounds += 1;
        assert!(rounds < 20_000);
    }
    assert!(machine.run.digest().error.unwrap().contains("20000 events"));
}

#[test]
fn another_history_is_told_apart() {
    let mut machine = Machine::new("steps: [{name: a, ask: {model: m, prompt: p}}]");
    machine.settle();
    machine.end(&Ok("x".into()));
    machine.settle();
    let other = Definition::read("task.yaml", "steps: [{name: a, ask: {model: m, prompt: q}}]").unwrap();
    let divergence = replay(Arc::new(other), machine.run.begin.clone(), &machine.history).unwrap_err();
    assert_eq!(divergence.number, 2);
}

/// Whatever happens in whatever order, the machine comes to rest or to an end, and its history replays.
#[test]
fn any_order_of_ends_losses_and_human_acts_comes_to_an_end() {
    let text = "
critical: true
steps:
  - {name: a, ask: {model: m, prompt: p}, retries: {times: 1, delay: 1s}, check: 'value != 3'}
  - {name: b, each: [1, 2, 3, 4], at_once: 2, run: {command: [x, '{{ item }}']}}
  - {name: c, in_doubt: ask, send: {channel: c, text: t}}
  - {name: d, approve: {expires: 1h, default: approve}}
  - {name: e, wait: {for: 1m}}
on_failure: [{name: f, send: {channel: c, text: '{{ error.message }}'}}]
";
    for seed in 0..400_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut machine = Machine::new(text);
        let mut steps = 0;
        while machine.settle() != Next::Over {
            steps += 1;
            assert!(steps < 500, "seed {seed} does not end: {:?}", machine.codes());
            let doing = machine.run.doing();
            match random(10) {
                0 => machine.run.resume().into_iter().for_each(|event| machine.add(event)),
                1 if !machine.run.is_paused() => machine.add(Event::Paused { who: "ann".into() }),
                2 if !doing.is_empty() => machine.end(&Err(StepError::passing("busy"))),
                3 | 4 if machine.run.asked().is_some() => {
                    let step = machine.run.asked().unwrap().step;
                    let verdict = if random(5) == 0 { Verdict::Reject } else { Verdict::Approve };
                    let (who, comment, edits) = ("ann".into(), String::new(), Edits::default());
                    machine.add(Event::Answered { step, verdict, who, comment, edits });
                }
                5 if doing.is_empty() && machine.run.asked().is_some() => {
                    let step = machine.run.retry_step().unwrap().to_owned();
                    machine.add(Event::Retried { step, who: "ann".into(), edits: Edits::default() });
                }
                6 | 7 if !doing.is_empty() => {
                    let one = &doing[random(doing.len() as u64) as usize];
                    let outcome = Outcome { value: random(5).into(), ..Outcome::default() };
                    for event in machine.run.ended(one, Ok(outcome), &[], machine.now_ms) {
                        machine.add(event);
                    }
                }
                _ if machine.run.is_paused() => machine.add(Event::Continued { who: "ann".into() }),
                _ => machine.pass(random(1800)),
            }
        }
        machine.check();
    }
}
