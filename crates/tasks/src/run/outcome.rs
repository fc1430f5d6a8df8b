//! What a result means: whether it is good, whether it is odd, and what follows from a failure.

use std::time::Duration;

use serde_json::Value;

use super::next::millis;
use super::{ItemState, Run};
use crate::definition::InDoubt;
use crate::event::{Event, Odd};
use crate::hands::{Call, Outcome, StepError};
use crate::partial::Partial;
use crate::shown::Progress;
use crate::template::{is_too_deep, is_true};
use crate::work::{Kind, Work};

/// Largest value of a step, as JSON in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Longest pause between two attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(3600);
/// How many earlier runs there have to be before an output can be far from theirs.
const EARLIER_MIN: usize = 5;
/// An output is far when it is so many times as long as the longest, or so many times shorter than the shortest.
const FAR_FACTOR: u64 = 3;
/// How often something is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 2_000;

/// Something of the run that is to be done now.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    pub(crate) step: String,
    pub(crate) item: Option<u32>,
    pub(crate) work: Work,
}

impl Run {
    /// What was begun and has not ended.
    pub(crate) fn doing(&self) -> Vec<Doing> {
        let mut doing = Vec::new();
        if self.over.is_some() {
            return doing;
        }
        for (at, state) in self.steps.iter().enumerate().filter(|(_, state)| state.progress != Progress::Failed) {
            let step = self.step_at(at);
            for (index, item) in state.items.iter().enumerate() {
                if let Some(work) = item.work.clone().filter(|_| item.progress == Progress::Doing) {
                    let item = step.each.is_some().then_some(index as u32);
                    doing.push(Doing { step: step.name.clone(), item, work });
                }
            }
        }
        doing
    }

    /// What is to be told of work whose worker was lost, before it is done again.
    pub(crate) fn resume(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for doing in self.doing() {
            let Some((step, _)) = self.definition.step(&doing.step) else { continue };
            // Another run goes on by itself.
            if doing.work.kind() == Kind::Task {
                continue;
            }
            let maybe_twice = doing.work.is_felt_twice();
            if maybe_twice && step.in_doubt == InDoubt::Ask && !self.is_failing && self.halted.is_none() {
                return vec![Event::Halted { step: doing.step, odd: Odd::Doubt }];
            }
            events.push(Event::Resumed { step: doing.step, item: doing.item, maybe_twice });
        }
        events
    }

    /// The call of something that is to be done.
    pub(crate) fn call(&self, doing: &Doing, fence: i64, partial: Partial) -> Option<Call> {
        let (step, _) = self.definition.step(&doing.step)?;
        let item = self.item(&doing.step, doing.item)?;
        Some(Call {
            run: self.begin.id.clone(),
            task: self.definition.name.clone(),
            step: doing.step.clone(),
            item: doing.item,
            key: self.key(&doing.step, doing.item)?,
            fence,
            attempt: item.attempts,
            is_again: item.attempts > 1 || item.maybe_twice,
            who: self.begin.who.clone(),
            timeout: step.timeout,
            partial,
        })
    }

    /// The name of an intent: the same for all its attempts.
    pub(crate) fn key(&self, step: &str, item: Option<u32>) -> Option<String> {
        let generation = self.item(step, item)?.generation;
        let item = item.map(|item| format!("{item}.")).unwrap_or_default();
        Some(format!("{}.{step}.{item}{generation}", self.begin.id))
    }

    fn item(&self, step: &str, item: Option<u32>) -> Option<&ItemState> {
        self.steps[self.index(step)?].items.get(item.unwrap_or(0) as usize)
    }

    /// Whether it is still to be done: not cancelled, not answered otherwise.
    pub(crate) fn is_wanted(&self, step: &str, item: Option<u32>) -> bool {
        let has_failed = self.index(step).is_none_or(|at| self.steps[at].progress == Progress::Failed);
        let is_doing = self.item(step, item).is_some_and(|item| item.progress == Progress::Doing);
        self.over.is_none() && !has_failed && is_doing
    }

    /// What follows from the end of an attempt at an even time. `earlier` are the lengths of the step's output in earlier runs.
    pub(crate) fn ended(
        &self,
        doing: &Doing,
        result: Result<Outcome, StepError>,
        earlier: &[u64],
        now_ms: i64,
    ) -> Vec<Event> {
        match result.and_then(|outcome| fitting(doing, outcome)) {
            Ok(outcome) => self.finished(doing, outcome, earlier, now_ms),
            Err(error) => self.attempt_failed(doing, &error, now_ms),
        }
    }

    fn finished(&self, doing: &Doing, outcome: Outcome, earlier: &[u64], now_ms: i64) -> Vec<Event> {
        let Some((step, on_failure)) = self.definition.step(&doing.step) else { return Vec::new() };
        let asks = self.definition.critical.is_some() && !on_failure;
        let checked = step.check.as_ref().map(|check| {
            let mut names = self.item_names(self.index(&doing.step).unwrap_or(0), doing.item.unwrap_or(0));
            names.insert("value".to_owned(), outcome.value.clone());
            (check, is_true(check, &names))
        });
        let mut odd = None;
        match checked {
            Some((_, Err(error))) => {
                return self.attempt_failed(doing, &StepError::lasting(format!("check: {error}")), now_ms);
            }
            Some((_, Ok(false))) if doing.work.kind() == Kind::Wait => return self.not_yet(doing, now_ms),
            Some((check, Ok(false))) => {
                let error = StepError::passing(format!("the check `{check}` is not met"));
                let events = self.attempt_failed(doing, &error, now_ms);
                let is_tried_again = matches!(events[..], [Event::Failed { again_ms: Some(_), .. }]);
                if is_tried_again || !asks {
                    return events;
                }
                odd = Some(Odd::Check { check: check.clone() });
            }
            _ => {}
        }
        let odd = odd.or_else(|| self.cost(outcome.tokens)).or_else(|| far(doing, &outcome.value, earlier));
        let halts = odd.clone().filter(|_| asks && self.halted.is_none());
        let is_again = self.item(&doing.step, doing.item).is_some_and(|item| item.maybe_twice);
        let mut events = vec![Event::Finished {
            step: doing.step.clone(),
            item: doing.item,
            value: outcome.value,
            tokens: outcome.tokens,
            maybe_twice: is_again && !outcome.is_surely_once,
            odd,
        }];
        events.extend(halts.map(|odd| Event::Halted { step: doing.step.clone(), odd }));
        events
    }

    fn cost(&self, tokens: u64) -> Option<Odd> {
        let plan = self.definition.plan_tokens.filter(|_| !self.is_cost_judged)?;
        let tokens = self.tokens.saturating_add(tokens);
        (tokens > plan).then_some(Odd::Cost { tokens, plan })
    }

    /// What is waited for is not there.
    fn not_yet(&self, doing: &Doing, now_ms: i64) -> Vec<Event> {
        let (Work::Wait(wait), Some(item)) = (&doing.work, self.item(&doing.step, doing.item)) else {
            return Vec::new();
        };
        match item.waits_until_ms(self.clock_set_ms) {
            Ok(until_ms) if now_ms < until_ms => {
                let again_ms = (now_ms + millis(wait.every.unwrap_or(LOOK_EVERY))).min(until_ms);
                let again_ms = again_ms + self.clock_set_ms;
                vec![Event::NotYet { step: doing.step.clone(), item: doing.item, again_ms }]
            }
            Ok(_) => {
                let error = StepError::lasting("what was waited for did not come in time");
                self.attempt_failed(doing, &error, now_ms)
            }
            Err(error) => self.attempt_failed(doing, &StepError::lasting(error), now_ms),
        }
    }

    fn attempt_failed(&self, doing: &Doing, error: &StepError, now_ms: i64) -> Vec<Event> {
        let Some((step, _)) = self.definition.step(&doing.step) else { return Vec::new() };
        let attempts = self.item(&doing.step, doing.item).map_or(1, |item| item.attempts.max(1));
        let again_ms = (error.may_retry && attempts <= step.retries.times).then(|| {
            let doubled = step.retries.delay.saturating_mul(1 << (attempts - 1).min(16));
            now_ms + self.clock_set_ms + millis(doubled.max(error.retry_after.unwrap_or_default()).min(RETRY_DELAY_MAX))
        });
        let text: String = error.message.chars().take(ERROR_CHARS_MAX).collect();
        vec![Event::Failed { step: doing.step.clone(), item: doing.item, error: text, again_ms }]
    }

    /// The outputs whose lengths later runs are compared with.
    pub(crate) fn lengths(&self) -> Vec<(String, u64)> {
        let compared = self.definition.steps.iter().enumerate().filter(|(_, step)| is_compared(step.kind));
        let length = |(at, step): (usize, &crate::definition::Step)| {
            let state = &self.steps[at];
            let value = state.value.as_ref().filter(|_| step.each.is_none() && state.progress == Progress::Done)?;
            Some((step.name.clone(), chars(value)))
        };
        compared.filter_map(length).collect()
    }
}

/// A value that can be kept, and is what the step asked for.
fn fitting(doing: &Doing, mut outcome: Outcome) -> Result<Outcome, StepError> {
    if let Work::Ask(ask) = &doing.work
        && let Some(schema) = &ask.schema
    {
        outcome.value = answer(schema, &outcome.value).map_err(StepError::passing)?;
    }
    let bytes = if is_too_deep(&outcome.value) { usize::MAX } else { outcome.value.to_string().len() };
    if bytes > VALUE_BYTES_MAX {
        return Err(StepError::lasting(
            "the result is larger than 1 MiB or nested deeper than 64: let the step give less, for instance with `limit`",
        ));
    }
    Ok(outcome)
}

/// Which outputs are compared with those of earlier runs.
pub(crate) fn is_compared(kind: Kind) -> bool {
    matches!(kind, Kind::Ask | Kind::Collect | Kind::Run)
}

fn far(doing: &Doing, value: &Value, earlier: &[u64]) -> Option<Odd> {
    if earlier.len() < EARLIER_MIN || doing.item.is_some() || !is_compared(doing.work.kind()) {
        return None;
    }
    let (least, most) = (*earlier.iter().min()?, *earlier.iter().max()?);
    let chars = chars(value);
    (chars > most.saturating_mul(FAR_FACTOR) || chars < least / FAR_FACTOR).then_some(Odd::Far { chars, least, most })
}

fn chars(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.chars().count() as u64,
        other => other.to_string().chars().count() as u64,
    }
}

/// The JSON in an answer, when it follows the schema.
fn answer(schema: &Value, value: &Value) -> Result<Value, String> {
    let parsed = match value {
        Value::String(text) => {
            // Models like to put JSON into a fence.
            let text = text.trim();
            let inside = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
            let text = inside.and_then(|text| text.strip_suffix("```")).unwrap_or(text);
            serde_json::from_str(text).map_err(|error| format!("the answer is no JSON: {error}"))?
        }
        other => other.clone(),
    };
    let validator = jsonschema::validator_for(schema).map_err(|error| format!("the schema cannot be used: {error}"))?;
    let wrong = validator.iter_errors(&parsed).next();
    match wrong.map(|error| format!("the answer does not follow the schema at `{}`: {error}", error.instance_path())) {
        None => Ok(parsed),
        Some(wrong) => Err(wrong),
    }
}
