//! A run as it is listed and shown.

use serde_json::Value;

use super::{ItemState, Run, StepState};
use crate::event::Odd;
use crate::shown::{Asked, ItemDetail, Progress, Status, StepDetail};
use crate::work::{Question, Work};

/// Characters of the error that a list shows.
const ERROR_CHARS_MAX: usize = 300;

/// What the book keeps of a run beside its history, so that lists need no history.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Digest {
    pub(crate) step: Option<String>,
    pub(crate) steps_done: u32,
    pub(crate) tokens: u64,
    pub(crate) error: Option<String>,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) asked: Option<Asked>,
}

impl Run {
    /// How it ended, if it did.
    pub fn over(&self) -> Option<Status> {
        self.over.map(|(status, _)| status)
    }

    pub(crate) fn digest(&self) -> Digest {
        let is_at = self.over.is_none() || self.failure.is_some();
        let behind = |progress| matches!(progress, Progress::Done | Progress::Skipped);
        let main = &self.steps[..self.definition.steps.len()];
        let error = match (&self.halted, &self.failure) {
            (Some(halt), _) => Some(format!("{}: {}", self.step_at(halt.step).name, halt.odd.sentence())),
            (None, Some((step, error))) => Some(format!("{step}: {error}")),
            (None, None) => None,
        };
        Digest {
            step: (self.at < self.steps.len() && is_at).then(|| self.step_at(self.at).name.clone()),
            steps_done: main.iter().filter(|state| behind(state.progress)).count() as u32,
            tokens: self.tokens,
            error: error.map(|error| error.chars().take(ERROR_CHARS_MAX).collect()),
            started_ms: self.started_ms,
            ended_ms: self.over.map(|(_, at_ms)| at_ms),
            asked: self.asked(),
        }
    }

    /// What a human is asked now.
    pub fn asked(&self) -> Option<Asked> {
        if self.over.is_some() {
            return None;
        }
        let (run, task) = (self.begin.id.clone(), self.definition.name.clone());
        let expires = |question: &Question, since_ms: i64| {
            question.expires.map(|expires| since_ms + i64::try_from(expires.as_millis()).unwrap_or(i64::MAX / 4))
        };
        if let Some(halt) = &self.halted {
            let question = self.halt_question();
            let why = match halt.odd {
                Odd::Error { .. } => "error",
                Odd::Check { .. } => "check",
                Odd::Cost { .. } => "cost",
                Odd::Far { .. } => "far",
                Odd::Doubt => "doubt",
            };
            return Some(Asked {
                run,
                task,
                step: self.step_at(halt.step).name.clone(),
                why: why.to_owned(),
                text: halt.odd.sentence(),
                expires_ms: expires(&question, halt.since_ms + self.clock_set_ms),
                by: question.by,
                since_ms: halt.since_ms + self.clock_set_ms,
                number: halt.number,
            });
        }
        let state = self.steps.get(self.at).filter(|state| state.progress == Progress::Asking)?;
        let (since_ms, number) = state.asked?;
        let since_ms = since_ms + self.clock_set_ms;
        let Some(Work::Approve(question)) = state.items.first().and_then(|item| item.work.clone()) else { return None };
        Some(Asked {
            run,
            task,
            step: self.step_at(self.at).name.clone(),
            why: "approve".to_owned(),
            expires_ms: expires(&question, since_ms),
            text: question.text,
            by: question.by,
            since_ms,
            number,
        })
    }

    /// The step at which a retry begins when nobody names one: that which halted, failed, or is at hand.
    pub(crate) fn retry_step(&self) -> Option<&str> {
        let at = match (&self.halted, &self.failure) {
            (Some(halt), _) => halt.step,
            (None, Some((step, _))) => self.index(step)?,
            (None, None) => self.at,
        };
        (at < self.steps.len()).then(|| self.step_at(at).name.as_str())
    }

    /// The steps with everything that is known of them.
    pub fn step_details(&self) -> Vec<StepDetail> {
        let detail = |(step, (at, state)): (_, (usize, &StepState))| StepDetail {
            step,
            progress: self.progress(at, state),
            items: state.items.iter().enumerate().map(|item| self.item_detail(at, item)).collect(),
            value: state.value.clone(),
        };
        self.definition.summary_steps().into_iter().zip(self.steps.iter().enumerate()).map(detail).collect()
    }

    fn progress(&self, at: usize, state: &StepState) -> Progress {
        let is_halted = self.halted.as_ref().is_some_and(|halt| halt.step == at);
        let has_failed = self.failure.as_ref().is_some_and(|(step, _)| self.index(step) == Some(at));
        match progress(state.progress, &state.items) {
            _ if is_halted => Progress::Asking,
            Progress::Done => Progress::Done,
            _ if has_failed => Progress::Failed,
            // Nothing goes on in a run that is over: what was broken off was not done.
            Progress::Doing | Progress::Waiting | Progress::Asking if self.over.is_some() => Progress::Open,
            progress => progress,
        }
    }

    fn item_detail(&self, at: usize, (index, item): (usize, &ItemState)) -> ItemDetail {
        let work = item.work.as_ref().and_then(|work| serde_json::to_value(work).ok());
        ItemDetail {
            index: self.step_at(at).each.is_some().then_some(index as u32),
            progress: item.progress,
            // What stands under the kind's key; the kind is the step's.
            work: work.and_then(|work| match work {
                Value::Object(members) => members.into_iter().next().map(|(_, value)| value),
                _ => None,
            }),
            value: item.value.clone(),
            error: item.error.clone(),
            attempts: item.attempts,
            maybe_twice: item.maybe_twice,
            begun_ms: item.begun_ms,
            ended_ms: item.ended_ms,
            partial: None,
        }
    }
}

/// A step that has begun is as far as its items are.
fn progress(step: Progress, items: &[ItemState]) -> Progress {
    if step != Progress::Doing {
        return step;
    }
    let any = |progress| items.iter().any(|item| item.progress == progress);
    if any(Progress::Doing) || !any(Progress::Waiting) { Progress::Doing } else { Progress::Waiting }
}
