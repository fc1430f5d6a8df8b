//! The state of a run, made of its history alone.
//!
//! [`Run::apply`] takes what happened, [`Run::next`] says what is to happen. Both are pure: the same history at the same time
//! gives the same answer on every machine and in every later version, which is what lets another worker go on where one was
//! lost. Whatever is decided is an event first, committed, and only then acted on.

mod next;
mod outcome;
mod replay;
mod show;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) use next::{Next, Rest};
pub(crate) use outcome::{Doing, is_compared};
pub use replay::{Divergence, replay};
pub(crate) use show::Digest;
use state::{Halt, ItemState, StepState};

use crate::definition::{Definition, Step};
use crate::event::{Edits, Ending, Entry, Event, Odd, Verdict};
use crate::shown::{Progress, Status};
use crate::template::Names;
use crate::work::Question;

/// How a run began: what its state depends on beside its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The run's name.
    pub id: String,
    /// What it was given.
    pub input: Map<String, Value>,
    /// The time it is for: that of its schedule, else that at which it was asked for.
    pub for_ms: i64,
    /// Who began it.
    pub who: String,
}

/// A run. Times are even ones, in milliseconds: what the clock showed less what it was set by; but for those that are only shown.
#[derive(Clone, Debug)]
pub struct Run {
    definition: Arc<Definition>,
    begin: Begin,
    /// Events so far.
    length: i64,
    /// By how much the clock was set until now, in all.
    clock_set_ms: i64,
    /// As the clock showed it.
    started_ms: Option<i64>,
    /// When the time that `timeout` counts began.
    counted_from_ms: i64,
    /// How long humans were waited for since then.
    human_ms: i64,
    human_since_ms: Option<i64>,
    /// All steps, those of `on_failure` last.
    steps: Vec<StepState>,
    /// The step that it is at.
    at: usize,
    is_failing: bool,
    is_paused: bool,
    halted: Option<Halt>,
    /// The cost was judged by a human: it is not asked about again.
    is_cost_judged: bool,
    tokens: u64,
    /// Which step failed, and why.
    failure: Option<(String, String)>,
    /// How and when it ended, as the clock showed it.
    over: Option<(Status, i64)>,
}

impl Run {
    /// A run to which nothing has happened.
    pub fn new(definition: Arc<Definition>, begin: Begin) -> Self {
        let count = definition.steps.len() + definition.on_failure.len();
        Self {
            counted_from_ms: begin.for_ms,
            definition,
            begin,
            length: 0,
            clock_set_ms: 0,
            started_ms: None,
            human_ms: 0,
            human_since_ms: None,
            steps: vec![StepState::default(); count],
            at: 0,
            is_failing: false,
            is_paused: false,
            halted: None,
            is_cost_judged: false,
            tokens: 0,
            failure: None,
            over: None,
        }
    }

    /// A run to which `history` has happened.
    pub fn of(definition: Arc<Definition>, begin: Begin, history: &[Entry]) -> Self {
        let mut run = Self::new(definition, begin);
        for entry in history {
            run.apply(entry);
        }
        run
    }

    /// Takes in what happened.
    pub fn apply(&mut self, entry: &Entry) {
        self.length += 1;
        self.clock_set_ms = entry.clock_set_ms;
        let at_ms = entry.even_ms();
        let step = entry.event.step().and_then(|name| self.index(name));
        match &entry.event {
            Event::Started => {
                self.started_ms = Some(entry.at_ms);
                self.counted_from_ms = at_ms;
            }
            Event::Skipped { .. } => self.with(step, |state| state.close(Progress::Skipped, Value::Null)),
            Event::Spread { items, .. } => self.with(step, |state| state.spread(items)),
            Event::Begun { item, generation, attempt, work, .. } => {
                let number = self.length;
                self.with(step, |state| state.begin((*item, *generation, *attempt), work, entry, number));
            }
            Event::Resumed { item, maybe_twice, .. } => {
                self.with_item(step, *item, |item| {
                    item.attempts += 1;
                    item.begun_ms = Some(entry.at_ms);
                    item.maybe_twice |= maybe_twice;
                });
            }
            Event::Finished { item, value, tokens, maybe_twice, .. } => {
                self.tokens = self.tokens.saturating_add(*tokens);
                self.with_item(step, *item, |item| {
                    item.end(Progress::Done, entry.at_ms);
                    item.value = Some(value.clone());
                    item.error = None;
                    item.maybe_twice |= maybe_twice;
                });
                self.close_step(step);
            }
            Event::Failed { item, error, again_ms, .. } => {
                let again_ms = again_ms.map(|again_ms| again_ms - entry.clock_set_ms);
                self.failed(step, *item, error, again_ms, entry.at_ms);
            }
            Event::NotYet { item, again_ms, .. } => self.with_item(step, *item, |item| {
                item.end(Progress::Waiting, entry.at_ms);
                item.again_ms = Some(*again_ms - entry.clock_set_ms);
            }),
            Event::Reminded { .. } => {
                if let Some(halt) = &mut self.halted {
                    halt.reminded_ms = at_ms;
                }
                self.with(step, |state| state.reminded_ms = at_ms);
            }
            Event::Halted { odd, .. } => self.halt(step, odd, at_ms),
            Event::Answered { verdict, who, comment, edits, .. } => {
                self.answered(step, *verdict, who, comment, edits, entry.at_ms);
            }
            Event::Retried { edits, .. } => self.retried(step, edits, at_ms),
            Event::Paused { .. } => self.is_paused = true,
            Event::Continued { .. } => self.is_paused = false,
            Event::Cancelled { .. } => self.over = Some((Status::Cancelled, entry.at_ms)),
            Event::TimedOut => {
                let limit = tollhouse_units::format_duration(self.definition.timeout);
                if self.at < self.end() {
                    self.fail_at(self.at, &format!("the run took longer than its timeout of {limit}"));
                }
            }
            Event::FailureBegun { step, error } => {
                self.failure = Some((step.clone(), error.clone()));
                self.is_failing = true;
                self.at = self.definition.steps.len();
                self.counted_from_ms = at_ms;
                self.human_ms = 0;
            }
            Event::Ended { outcome, .. } => {
                let status = if *outcome == Ending::Done { Status::Done } else { Status::Failed };
                if status == Status::Failed && self.failure.is_none() && self.at < self.end() {
                    let error = self.steps[self.at].error.clone().unwrap_or_default();
                    self.failure = Some((self.step_at(self.at).name.clone(), error));
                }
                self.over = Some((status, entry.at_ms));
            }
        }
        self.count_human_time(at_ms);
        self.advance();
    }

    /// Says by how much the clock was set until now, where no event has said it yet.
    pub(crate) fn set_clock(&mut self, clock_set_ms: i64) {
        self.clock_set_ms = clock_set_ms;
    }

    /// Events so far.
    pub fn length(&self) -> i64 {
        self.length
    }

    /// What it goes by.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Tokens used.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The value of a step.
    pub fn value(&self, step: &str) -> Option<&Value> {
        self.steps[self.index(step)?].value.as_ref()
    }

    /// Whether a human paused it.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether it has come to a step, so that it can be done again.
    pub(crate) fn can_retry(&self, step: &str) -> bool {
        let Some(at) = self.index(step) else { return false };
        at <= self.at.min(self.end().saturating_sub(1)) && (at < self.definition.steps.len() || self.is_failing)
    }

    /// Whether something of it is being done, or was when its worker was lost.
    pub fn is_doing(&self) -> bool {
        self.steps.iter().flat_map(|step| &step.items).any(|item| item.progress == Progress::Doing)
    }

    // Steps by name and place

    fn index(&self, name: &str) -> Option<usize> {
        (0..self.steps.len()).find(|at| self.step_at(*at).name == name)
    }

    fn step_at(&self, at: usize) -> &Step {
        let main = self.definition.steps.len();
        if at < main { &self.definition.steps[at] } else { &self.definition.on_failure[at - main] }
    }

    /// The place behind the last step of the list that it is in.
    fn end(&self) -> usize {
        if self.is_failing { self.steps.len() } else { self.definition.steps.len() }
    }

    fn with(&mut self, step: Option<usize>, change: impl FnOnce(&mut StepState)) {
        if let Some(state) = step.and_then(|step| self.steps.get_mut(step)) {
            change(state);
        }
    }

    fn with_item(&mut self, step: Option<usize>, item: Option<u32>, change: impl FnOnce(&mut ItemState)) {
        self.with(step, |state| {
            if let Some(item) = state.items.get_mut(item.unwrap_or(0) as usize) {
                change(item);
            }
        });
    }

    // What happened

    /// Closes a step whose items are all done.
    fn close_step(&mut self, step: Option<usize>) {
        let Some(at) = step else { return };
        let has_each = self.step_at(at).each.is_some();
        let state = &mut self.steps[at];
        if !state.items.iter().all(|item| matches!(item.progress, Progress::Done | Progress::Skipped)) {
            return;
        }
        let mut values = state.items.iter().map(|item| item.value.clone().unwrap_or_default());
        let value = if has_each { values.collect() } else { values.next_back().unwrap_or_default() };
        state.progress = Progress::Done;
        state.value = Some(value);
    }

    fn failed(&mut self, step: Option<usize>, item: Option<u32>, error: &str, again_ms: Option<i64>, at_ms: i64) {
        self.with(step, |state| {
            // It may fail before its list is known.
            if state.items.is_empty() {
                state.items.push(ItemState::default());
            }
            state.error = Some(error.to_owned());
        });
        self.with_item(step, item, |item| {
            item.end(if again_ms.is_some() { Progress::Waiting } else { Progress::Failed }, at_ms);
            item.error = Some(error.to_owned());
            item.again_ms = again_ms;
        });
    }

    fn halt(&mut self, step: Option<usize>, odd: &Odd, at_ms: i64) {
        let Some(step) = step else { return };
        if *odd == Odd::Doubt {
            let doing = self.steps[step].items.iter_mut().filter(|item| item.progress == Progress::Doing);
            doing.for_each(|item| item.progress = Progress::Asking);
        }
        // Its result may have been taken for the end of the step.
        self.at = step;
        self.halted = Some(Halt { step, odd: odd.clone(), since_ms: at_ms, number: self.length, reminded_ms: at_ms });
    }

    fn answered(&mut self, step: Option<usize>, verdict: Verdict, who: &str, comment: &str, edits: &Edits, at_ms: i64) {
        let Some(at) = step else { return };
        let halted = self.halted.take();
        if verdict == Verdict::Reject {
            let said = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            self.fail_at(at, &format!("rejected by {who}{said}"));
            return;
        }
        if let Some(halt) = halted {
            self.is_cost_judged |= matches!(halt.odd, Odd::Cost { .. });
            // It goes on without what failed or is in doubt.
            let open = self.steps[at].items.iter_mut();
            open.filter(|item| matches!(item.progress, Progress::Failed | Progress::Asking)).for_each(|item| {
                item.progress = Progress::Skipped;
                item.value = Some(Value::Null);
            });
            self.close_step(step);
        } else {
            let value = json!({"approved": true, "by": who, "comment": comment});
            self.with_item(step, None, |item| {
                item.end(Progress::Done, at_ms);
                item.value = Some(value);
            });
            self.close_step(step);
        }
        self.edit_values(edits);
    }

    fn retried(&mut self, step: Option<usize>, edits: &Edits, at_ms: i64) {
        let Some(at) = step else { return };
        // Of the step that failed, items that are done stay done, unless all are to be done in another way.
        let state = &self.steps[at];
        let is_stuck = state.progress == Progress::Failed || state.items.iter().any(ItemState::is_stuck);
        let keeps_items = state.is_spread && is_stuck && edits.work.is_empty();
        self.steps[at].reopen(keeps_items);
        self.steps[at].edits.clone_from(&edits.work);
        self.steps[at + 1..].iter_mut().for_each(|state| {
            if state.progress != Progress::Open || !state.items.is_empty() {
                state.reopen(false);
            }
        });
        self.edit_values(edits);
        self.at = at;
        self.is_failing = at >= self.definition.steps.len();
        if !self.is_failing {
            self.failure = None;
        }
        self.halted = None;
        self.is_paused = false;
        self.over = None;
        self.counted_from_ms = at_ms;
        self.human_ms = 0;
        self.human_since_ms = None;
    }

    fn edit_values(&mut self, edits: &Edits) {
        for (name, value) in &edits.values {
            let step = self.index(name).filter(|at| self.steps[*at].value.is_some());
            self.with(step, |state| state.value = Some(value.clone()));
        }
    }

    fn fail_at(&mut self, at: usize, error: &str) {
        self.halted = None;
        if let Some(state) = self.steps.get_mut(at) {
            state.progress = Progress::Failed;
            state.error = Some(error.to_owned());
        }
    }

    /// Goes past steps that are behind it.
    fn advance(&mut self) {
        while self.at < self.end() && matches!(self.steps[self.at].progress, Progress::Done | Progress::Skipped) {
            // Something odd about the last step is judged before the next one begins.
            if self.halted.is_some() {
                return;
            }
            self.at += 1;
        }
    }

    fn count_human_time(&mut self, at_ms: i64) {
        match (self.is_with_human(), self.human_since_ms) {
            (true, None) => self.human_since_ms = Some(at_ms),
            (false, Some(since_ms)) => {
                self.human_ms += (at_ms - since_ms).max(0);
                self.human_since_ms = None;
            }
            _ => {}
        }
    }

    /// Whether it is a human's turn.
    fn is_with_human(&self) -> bool {
        self.over.is_none() && (self.is_paused || self.halted.is_some() || self.is_asking())
    }

    fn is_asking(&self) -> bool {
        self.steps.get(self.at).is_some_and(|state| state.progress == Progress::Asking)
    }

    /// What is asked of humans when something is odd.
    fn halt_question(&self) -> Question {
        self.definition.critical.clone().unwrap_or_default()
    }

    /// What templates know at a step.
    fn names(&self) -> Names {
        let mut names = Names::new();
        let mut input = self.definition.input.clone();
        input.extend(self.begin.input.clone());
        names.insert("input".to_owned(), Value::Object(input));
        let moment = Timestamp::from_millisecond(self.begin.for_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = moment.to_zoned(self.definition.timezone.clone());
        names.insert("date".to_owned(), local.strftime("%Y-%m-%d").to_string().into());
        names.insert("time".to_owned(), local.strftime("%H:%M").to_string().into());
        let run = json!({"id": self.begin.id, "task": self.definition.name, "scheduled": moment.to_string()});
        names.insert("run".to_owned(), run);
        if let Some((step, error)) = self.failure.as_ref().filter(|_| self.is_failing) {
            names.insert("error".to_owned(), json!({"step": step, "message": error}));
        }
        for (at, state) in self.steps.iter().enumerate() {
            // After a failure, steps that did not come so far are known as nothing.
            let value = state.value.clone().or_else(|| self.is_failing.then_some(Value::Null));
            if let Some(value) = value {
                names.insert(self.step_at(at).name.clone(), value);
            }
        }
        names
    }

    /// What templates know of an item.
    fn item_names(&self, at: usize, item: u32) -> Names {
        let mut names = self.names();
        if self.step_at(at).each.is_some() {
            let value = self.steps[at].list.get(item as usize).cloned().unwrap_or_default();
            names.insert("item".to_owned(), value);
            names.insert("index".to_owned(), item.into());
        }
        names
    }
}
