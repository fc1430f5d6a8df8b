//! What is to happen next.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{ItemState, Run};
use crate::definition::{Each, ITEMS_MAX, Step};
use crate::event::{Edits, Ending, Event, Odd, Verdict};
use crate::shown::{Progress, Status};
use crate::template::{fill_all, is_too_deep, is_true, value_of};
use crate::work::{ByDefault, Kind, Question, Work};

/// Longest history of a run, in events; one that reaches it fails.
pub(super) const EVENTS_MAX: i64 = 20_000;
/// Who answers a question that nobody answered.
pub(crate) const EXPIRY: &str = "expiry";

/// What is to happen next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// These events are committed; then it is asked again.
    Note(Vec<Event>),
    /// Nothing but what is being done, or what the rest says.
    Rest(Rest),
    /// Nothing more.
    Over,
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rest {
    /// How the run stands meanwhile.
    pub(crate) status: Status,
    /// When it is to be looked at again, an even time.
    pub(crate) until_ms: Option<i64>,
    /// The run that it waits for, as the work of a step.
    pub(crate) is_for_child: bool,
}

impl Run {
    /// What is to happen now, an even time.
    pub(crate) fn next(&self, now_ms: i64) -> Next {
        if self.over.is_some() {
            return Next::Over;
        }
        if self.started_ms.is_none() {
            return Next::Note(vec![Event::Started]);
        }
        if let Some(ending) = self.failing_next() {
            return Next::Note(vec![ending]);
        }
        if self.is_paused {
            return rest(Status::Paused, None);
        }
        if let Some(halt) = &self.halted {
            let question = self.halt_question();
            let step = self.step_at(halt.step).name.clone();
            return question_next(&question, step, halt.since_ms, halt.reminded_ms, now_ms);
        }
        if self.at >= self.end() {
            let outcome = if self.is_failing { Ending::Failed } else { Ending::Done };
            let error = self.failure.as_ref().map(|(step, error)| format!("{step}: {error}"));
            return Next::Note(vec![Event::Ended { outcome, error }]);
        }
        if self.is_out_of_time(now_ms) {
            return Next::Note(vec![Event::TimedOut]);
        }
        if self.length >= EVENTS_MAX {
            return Next::Note(vec![
                self.step_failed(None, format!("the run has {EVENTS_MAX} events, more are not kept")),
            ]);
        }
        self.step_next(now_ms)
    }

    /// What follows from a failure.
    fn failing_next(&self) -> Option<Event> {
        if self.at >= self.end() {
            return None;
        }
        let state = &self.steps[self.at];
        let step = self.step_at(self.at).name.clone();
        let error = state.error.clone().unwrap_or_default();
        if state.progress != Progress::Failed {
            // What is being done meanwhile comes to its end first.
            let has_failed = state.items.iter().any(|item| item.progress == Progress::Failed)
                && state.items.iter().all(|item| item.progress != Progress::Doing);
            if !has_failed || self.halted.is_some() {
                return None;
            }
            if self.definition.critical.is_some() && !self.is_failing {
                return Some(Event::Halted { step, odd: Odd::Error { error } });
            }
        }
        if !self.is_failing && !self.definition.on_failure.is_empty() {
            return Some(Event::FailureBegun { step, error });
        }
        let error = match self.failure.as_ref().filter(|_| self.is_failing) {
            Some((first, why)) => format!("{first}: {why}; then {step} of on_failure: {error}"),
            None => format!("{step}: {error}"),
        };
        Some(Event::Ended { outcome: Ending::Failed, error: Some(error) })
    }

    /// When the run's time is over; it stands still while humans are waited for.
    fn deadline_ms(&self) -> Option<i64> {
        if self.is_with_human() {
            return None;
        }
        Some(self.counted_from_ms + self.human_ms + millis(self.definition.timeout))
    }

    fn is_out_of_time(&self, now_ms: i64) -> bool {
        self.deadline_ms().is_some_and(|deadline_ms| now_ms >= deadline_ms)
    }

    fn step_next(&self, now_ms: i64) -> Next {
        let (state, step) = (&self.steps[self.at], self.step_at(self.at));
        let name = || step.name.clone();
        if state.progress == Progress::Open {
            if let Some(when) = &step.when {
                match is_true(when, &self.names()) {
                    Ok(true) => {}
                    Ok(false) => return Next::Note(vec![Event::Skipped { step: name() }]),
                    Err(error) => return Next::Note(vec![self.step_failed(None, format!("when: {error}"))]),
                }
            }
            if let Some(each) = &step.each {
                return Next::Note(vec![match self.items(each) {
                    Ok(items) => Event::Spread { step: name(), items },
                    Err(error) => self.step_failed(None, format!("each: {error}")),
                }]);
            }
        }
        if state.progress == Progress::Asking {
            return self.asking_next(now_ms);
        }
        let begun = self.to_begin(now_ms);
        if !begun.is_empty() {
            return Next::Note(begun);
        }
        if let Some(event) = self.waited(now_ms) {
            return Next::Note(vec![event]);
        }
        let again_ms = state.items.iter().filter_map(|item| item.wakes_ms(self.clock_set_ms)).min();
        let until_ms = [again_ms, self.deadline_ms()].into_iter().flatten().min();
        let mut doing = state.items.iter().filter(|item| item.progress == Progress::Doing).peekable();
        let is_doing = doing.peek().is_some();
        let is_for_child = is_doing && doing.all(|item| item.is_of(Kind::Task));
        let status = if is_doing && !is_for_child { Status::Running } else { Status::Waiting };
        Next::Rest(Rest { status, until_ms, is_for_child })
    }

    /// The items that are to be begun now.
    fn to_begin(&self, now_ms: i64) -> Vec<Event> {
        let (state, step) = (&self.steps[self.at], self.step_at(self.at));
        let is_each = step.each.is_some();
        // Nothing further of a step that is going to fail.
        if state.items.iter().any(|item| item.progress == Progress::Failed) {
            return Vec::new();
        }
        let fresh = [ItemState::default()];
        let items = if state.items.is_empty() { &fresh[..] } else { &state.items[..] };
        let doing = items.iter().filter(|item| matches!(item.progress, Progress::Doing | Progress::Waiting));
        let busy = doing.filter(|item| !item.is_due(now_ms)).count();
        let places = if is_each { (step.at_once as usize).saturating_sub(busy) } else { 1 };
        let ready = items.iter().enumerate().filter(|(_, item)| item.progress == Progress::Open || item.is_due(now_ms));
        ready.take(places).map(|(index, item)| self.begin_item(index as u32, item, is_each)).collect()
    }

    fn begin_item(&self, index: u32, state: &ItemState, is_each: bool) -> Event {
        let step = self.step_at(self.at);
        let item = is_each.then_some(index);
        // An attempt that was put off has its work already: the same is tried again.
        let again = state.work.clone().filter(|_| state.progress == Progress::Waiting);
        let work = again.map_or_else(|| self.work(step, index), Ok);
        match work {
            Ok(work) => Event::Begun {
                step: step.name.clone(),
                item,
                generation: self.steps[self.at].generation,
                attempt: state.attempts + 1,
                work,
            },
            Err(error) => self.step_failed(item, error),
        }
    }

    /// A step's work with its templates filled in.
    fn work(&self, step: &Step, item: u32) -> Result<Work, String> {
        let mut asked = step.work.clone();
        let schema = asked.as_object_mut().and_then(|members| members.shift_remove("schema"));
        let mut work = fill_all(&asked, &self.item_names(self.at, item), step.kind == Kind::Task)?;
        if let Value::Object(members) = &mut work {
            members.retain(|_, value| !value.is_null());
            members.extend(schema.filter(|schema| !schema.is_null()).map(|schema| ("schema".to_owned(), schema)));
            members.extend(self.steps[self.at].edits.clone());
        }
        let mut wrapped = Map::new();
        wrapped.insert(step.kind.key().to_owned(), work);
        serde_json::from_value(Value::Object(wrapped)).map_err(|error| format!("{}: {error}", step.kind.key()))
    }

    fn items(&self, each: &Each) -> Result<Vec<Value>, String> {
        let items = match each {
            Each::Items(items) => Value::Array(items.clone()),
            Each::Of(expression) => value_of(expression, &self.names())?,
        };
        let Value::Array(items) = items else { return Err("the expression gives no list".to_owned()) };
        if items.len() > ITEMS_MAX {
            return Err(format!("the list has {} items, at most {ITEMS_MAX} are done", items.len()));
        }
        if items.iter().any(is_too_deep) {
            return Err("an item is nested too deep".to_owned());
        }
        Ok(items)
    }

    fn asking_next(&self, now_ms: i64) -> Next {
        let (state, step) = (&self.steps[self.at], self.step_at(self.at));
        let Some(Work::Approve(question)) = state.items.first().and_then(|item| item.work.as_ref()) else {
            return rest(Status::Asking, None);
        };
        let since_ms = state.asked.map_or(now_ms, |(since_ms, _)| since_ms);
        question_next(question, step.name.clone(), since_ms, state.reminded_ms, now_ms)
    }

    /// The end of a wait for time.
    fn waited(&self, now_ms: i64) -> Option<Event> {
        let (state, step) = (&self.steps[self.at], self.step_at(self.at));
        let mut waiting = state.items.iter().enumerate().filter(|(_, item)| item.is_pure_wait());
        waiting.find_map(|(index, item)| {
            let index = step.each.is_some().then_some(index as u32);
            match item.waits_until_ms(self.clock_set_ms) {
                Ok(until_ms) if now_ms >= until_ms => Some(Event::Finished {
                    step: step.name.clone(),
                    item: index,
                    value: Value::Null,
                    tokens: 0,
                    maybe_twice: false,
                    odd: None,
                }),
                Ok(_) => None,
                Err(error) => Some(self.step_failed(index, error)),
            }
        })
    }

    /// A failure of the step that it is at, for good.
    pub(super) fn step_failed(&self, item: Option<u32>, error: String) -> Event {
        Event::Failed { step: self.step_at(self.at).name.clone(), item, error, again_ms: None }
    }
}

impl ItemState {
    /// It was put off, and the time has come.
    fn is_due(&self, now_ms: i64) -> bool {
        self.progress == Progress::Waiting && self.again_ms.is_some_and(|again_ms| now_ms >= again_ms)
    }

    /// When something is to be done with it.
    fn wakes_ms(&self, clock_set_ms: i64) -> Option<i64> {
        match self.progress {
            Progress::Waiting => {
                self.again_ms.or_else(|| self.waits_until_ms(clock_set_ms).ok().filter(|_| self.is_pure_wait()))
            }
            _ => None,
        }
    }

    pub(super) fn is_of(&self, kind: Kind) -> bool {
        self.work.as_ref().is_some_and(|work| work.kind() == kind)
    }

    /// A wait for time alone.
    fn is_pure_wait(&self) -> bool {
        let is_pure = matches!(&self.work, Some(Work::Wait(wait)) if wait.collect.is_none());
        is_pure && self.progress == Progress::Waiting
    }

    /// When a wait is over, or has lasted too long. A time that people named is one of the clock as it is set now.
    pub(super) fn waits_until_ms(&self, clock_set_ms: i64) -> Result<i64, String> {
        let Some(Work::Wait(wait)) = &self.work else { return Err("it is no wait".to_owned()) };
        let since_ms = self.first_ms.unwrap_or_default();
        match (&wait.until, wait.lasts) {
            (Some(until), _) => {
                let until: Timestamp = until.trim().parse().map_err(|_| {
                    format!(
                        "until: `{}` is no time such as 2026-01-27T08:00:00Z",
                        until.chars().take(60).collect::<String>()
                    )
                })?;
                Ok(until.as_millisecond() - wait.before.map_or(0, millis) - clock_set_ms)
            }
            (None, Some(lasts)) => Ok(since_ms + millis(lasts)),
            (None, None) => Err("it is not said how long".to_owned()),
        }
    }
}

/// A question that nobody has answered yet.
fn question_next(question: &Question, step: String, since_ms: i64, reminded_ms: i64, now_ms: i64) -> Next {
    let expires_ms = question.expires.map(|expires| since_ms + millis(expires));
    if expires_ms.is_some_and(|expires_ms| now_ms >= expires_ms) {
        let verdict = match question.default {
            ByDefault::Approve => Verdict::Approve,
            ByDefault::Reject => Verdict::Reject,
        };
        return Next::Note(vec![Event::Answered {
            step,
            verdict,
            who: EXPIRY.to_owned(),
            comment: "nobody answered in time".to_owned(),
            edits: Edits::default(),
        }]);
    }
    let remind_ms = question.remind.map(|remind| reminded_ms + millis(remind));
    if remind_ms.is_some_and(|remind_ms| now_ms >= remind_ms) {
        return Next::Note(vec![Event::Reminded { step }]);
    }
    rest(Status::Asking, [expires_ms, remind_ms].into_iter().flatten().min())
}

fn rest(status: Status, until_ms: Option<i64>) -> Next {
    Next::Rest(Rest { status, until_ms, is_for_child: false })
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
