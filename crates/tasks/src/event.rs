//! What happens to a run: the events of its history, from which alone its state is made.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::work::Work;

/// One line of a run's history. A released form is never changed: old histories are read for as long as they are kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// By how much that clock was set while runs were under way, in all until then. What is counted down goes by the difference,
    /// so that a clock that is set ends nothing too early and delays nothing.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub clock_set_ms: i64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// When it happened by the even time: the clock less what it was set by.
    pub(crate) fn even_ms(&self) -> i64 {
        self.at_ms - self.clock_set_ms
    }
}

/// What can happen. `step` is a step's name, `item` the place in its list when it has `each`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first worker took the run.
    Started,
    /// The condition of a step was not met.
    Skipped {
        /// The step.
        step: String,
    },
    /// The list of a step with `each` is known.
    Spread {
        /// The step.
        step: String,
        /// Its items.
        items: Vec<Value>,
    },
    /// A step's work is about to be done: its intent.
    Begun {
        /// The step.
        step: String,
        /// Its item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Grows with each retry that a human asked for.
        generation: u32,
        /// Counted from 1 in each generation.
        attempt: u32,
        /// What is done.
        work: Work,
    },
    /// The worker that had begun is gone; the same work is begun anew.
    Resumed {
        /// The step.
        step: String,
        /// Its item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Its effect may come twice, since nobody knows whether it had come already.
        maybe_twice: bool,
    },
    /// A step's work is done: its result.
    Finished {
        /// The step.
        step: String,
        /// Its item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// What came of it.
        value: Value,
        /// Tokens that it cost.
        #[serde(default, skip_serializing_if = "is_zero")]
        tokens: u64,
        /// Its effect may have come twice.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        maybe_twice: bool,
        /// What is odd about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        odd: Option<Odd>,
    },
    /// An attempt failed.
    Failed {
        /// The step.
        step: String,
        /// Its item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Why.
        error: String,
        /// When it is tried again; `None` when it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again_ms: Option<i64>,
    },
    /// What is waited for is not there yet.
    NotYet {
        /// The step.
        step: String,
        /// Its item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// When it is looked at again.
        again_ms: i64,
    },
    /// Nobody answered; the question was told again.
    Reminded {
        /// The step.
        step: String,
    },
    /// A critical task stopped at something odd and waits for a human.
    Halted {
        /// The step.
        step: String,
        /// What is odd.
        odd: Odd,
    },
    /// A question was answered, or what was odd was judged.
    Answered {
        /// The step.
        step: String,
        /// How.
        verdict: Verdict,
        /// Who; `expiry` when it answered itself.
        who: String,
        /// What they said.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
        /// What they changed.
        #[serde(default, skip_serializing_if = "Edits::is_empty")]
        edits: Edits,
    },
    /// The run goes on from an earlier step, with a new generation of it and of all after it.
    Retried {
        /// The step.
        step: String,
        /// Who.
        who: String,
        /// What they changed.
        #[serde(default, skip_serializing_if = "Edits::is_empty")]
        edits: Edits,
    },
    /// Nothing further is begun.
    Paused {
        /// Who.
        who: String,
    },
    /// It goes on after a pause.
    Continued {
        /// Who.
        who: String,
    },
    /// The run is over because somebody said so.
    Cancelled {
        /// Who.
        who: String,
    },
    /// The run's time is over.
    TimedOut,
    /// The steps of `on_failure` begin.
    FailureBegun {
        /// Which step failed.
        step: String,
        /// Why.
        error: String,
    },
    /// The run is over.
    Ended {
        /// How: `done` or `failed`.
        outcome: Ending,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// How a run ended by itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// All steps are done.
    Done,
    /// A step failed for good.
    Failed,
}

/// A human's answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Go on.
    Approve,
    /// Stop.
    Reject,
}

/// What makes a critical task stop and ask.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "odd", rename_all = "snake_case")]
pub enum Odd {
    /// A step failed for good.
    Error {
        /// Why.
        error: String,
    },
    /// The step's `check` is not met.
    Check {
        /// The check.
        check: String,
    },
    /// More tokens than planned were used.
    Cost {
        /// Tokens so far.
        tokens: u64,
        /// Tokens planned.
        plan: u64,
    },
    /// The output's length is far from that of earlier runs.
    Far {
        /// Characters of this output.
        chars: u64,
        /// Characters of the shortest of the earlier ones.
        least: u64,
        /// Characters of the longest.
        most: u64,
    },
    /// The worker went down in the middle of a step whose effect may have come, and the step says `in_doubt: ask`.
    Doubt,
}

/// What a human changed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TaskEdits)]
pub struct Edits {
    /// Values of steps, by name: what later steps see in place of what was there.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// Keys of the step that is done again, such as `prompt`: what is done in place of what its template gives.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub work: Map<String, Value>,
}

impl Edits {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.work.is_empty()
    }
}

/// An event as the house hears of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The run.
    pub run: String,
    /// Its task.
    pub task: String,
    /// Its place in the run's history, counted from 1. Together with `run` it is the same when an event is told twice.
    pub number: i64,
    /// What happened, and when.
    pub entry: Entry,
}

impl Told {
    /// What happened, in one English sentence without values, prompts or answers.
    pub fn sentence(&self) -> String {
        let what = self.entry.event.sentence();
        let colon = if what.starts_with("step ") { ":" } else { "" };
        format!("task {} run {}{colon} {what}", self.task, self.run)
    }
}

impl Odd {
    /// What is odd, in English.
    pub fn sentence(&self) -> String {
        match self {
            Self::Error { error } => error.clone(),
            Self::Check { check } => format!("the check `{check}` is not met"),
            Self::Cost { tokens, plan } => format!("{tokens} tokens were used, {plan} were planned"),
            Self::Far { chars, least, most } => {
                format!("the output has {chars} characters, earlier ones had {least} to {most}")
            }
            Self::Doubt => "its effect may have come before its worker was lost".to_owned(),
        }
    }
}

impl Event {
    /// The event's code, as it stands in histories.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Skipped { .. } => "skipped",
            Self::Spread { .. } => "spread",
            Self::Begun { .. } => "begun",
            Self::Resumed { .. } => "resumed",
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::NotYet { .. } => "not_yet",
            Self::Reminded { .. } => "reminded",
            Self::Halted { .. } => "halted",
            Self::Answered { .. } => "answered",
            Self::Retried { .. } => "retried",
            Self::Paused { .. } => "paused",
            Self::Continued { .. } => "continued",
            Self::Cancelled { .. } => "cancelled",
            Self::TimedOut => "timed_out",
            Self::FailureBegun { .. } => "failure_begun",
            Self::Ended { .. } => "ended",
        }
    }

    /// What it says, in English, without values, prompts or answers: `step draft begun, attempt 1`.
    pub fn sentence(&self) -> String {
        match self {
            Self::Started => "started".to_owned(),
            Self::Skipped { step } => format!("step {step} skipped"),
            Self::Spread { step, items } => format!("step {step} has {} items", items.len()),
            Self::Begun { step, item, attempt, .. } => format!("step {step}{} begun, attempt {attempt}", of(*item)),
            Self::Resumed { step, item, maybe_twice } => {
                let twice = if *maybe_twice { "; its effect may come twice" } else { "" };
                format!("step {step}{} resumed after its worker was lost{twice}", of(*item))
            }
            Self::Finished { step, item, .. } => format!("step {step}{} finished", of(*item)),
            Self::Failed { step, item, error, .. } => format!("step {step}{} failed: {error}", of(*item)),
            Self::NotYet { step, item, .. } => format!("step {step}{} waits on", of(*item)),
            Self::Reminded { step } => format!("step {step} still waits for an answer"),
            Self::Halted { step, odd } => format!("halted at step {step}: {}", odd.sentence()),
            Self::Answered { step, verdict: Verdict::Approve, who, .. } => format!("step {step} approved by {who}"),
            Self::Answered { step, verdict: Verdict::Reject, who, .. } => format!("step {step} rejected by {who}"),
            Self::Retried { step, who, .. } => format!("retried from step {step} by {who}"),
            Self::Paused { who } => format!("paused by {who}"),
            Self::Continued { who } => format!("continued by {who}"),
            Self::Cancelled { who } => format!("cancelled by {who}"),
            Self::TimedOut => "ran out of time".to_owned(),
            Self::FailureBegun { step, .. } => format!("step {step} failed, the steps of on_failure begin"),
            Self::Ended { outcome: Ending::Done, .. } => "done".to_owned(),
            Self::Ended { outcome: Ending::Failed, error } => {
                format!("failed: {}", error.as_deref().unwrap_or("no reason is known"))
            }
        }
    }

    /// The step that it is about.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Skipped { step }
            | Self::Spread { step, .. }
            | Self::Begun { step, .. }
            | Self::Resumed { step, .. }
            | Self::Finished { step, .. }
            | Self::Failed { step, .. }
            | Self::NotYet { step, .. }
            | Self::Reminded { step }
            | Self::Halted { step, .. }
            | Self::Answered { step, .. }
            | Self::Retried { step, .. }
            | Self::FailureBegun { step, .. } => Some(step),
            Self::Started
            | Self::Paused { .. }
            | Self::Continued { .. }
            | Self::Cancelled { .. }
            | Self::TimedOut
            | Self::Ended { .. } => None,
        }
    }
}

fn of(item: Option<u32>) -> String {
    item.map(|item| format!(" [{item}]")).unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_unset(by_ms: &i64) -> bool {
    *by_ms == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
