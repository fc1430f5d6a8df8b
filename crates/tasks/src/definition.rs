//! A task as its file says it: when it runs, what its steps are, what happens when one fails.

mod read;
mod saying;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tollhouse_config::ConfigErrors;

use crate::schedule::Schedule;
use crate::shown::StepSummary;
use crate::work::{Kind, Question};

pub use self::saying::Saying;

/// Largest task file.
pub const DEFINITION_BYTES_MAX: u64 = 256 * 1024;
/// Most steps of a task, those of `on_failure` apart.
pub const STEPS_MAX: usize = 100;
/// Most items of a step with `each`.
pub const ITEMS_MAX: usize = read::ITEMS_MAX;
/// Characters of a version.
const VERSION_CHARS: usize = 12;

/// A task that can be run: everything in it was checked.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Made of its name and text, so that another text is another version.
    pub version: String,
    /// The text that it was read from.
    pub text: String,
    /// What people call it.
    pub title: Option<String>,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// What becomes of times that were missed.
    pub catch_up: CatchUp,
    /// Where `date` and `time` are those of.
    pub timezone: TimeZone,
    /// Whether it asks a human when something is odd, and how.
    pub critical: Option<Question>,
    /// How long a run may take; waiting for humans does not count.
    pub timeout: Duration,
    /// How many runs of it there may be at a time; further ones wait.
    pub concurrency: u32,
    /// Whether each of its steps needs the GPU to be free.
    pub needs_gpu: bool,
    /// How many tokens a run is planned to cost.
    pub plan_tokens: Option<u64>,
    /// What it may be given, with what stands there when it is not.
    pub input: Map<String, Value>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What is done when a run failed.
    pub on_failure: Vec<Step>,
}

/// What becomes of scheduled times that passed while nobody worked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CatchUp {
    /// Nothing.
    Skip,
    /// One run, of the last of them.
    #[default]
    Once,
    /// A run of each, see [`crate::CATCH_UP_MAX`].
    All,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name, by which later steps know its value.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// What stands under that key, templates not filled in.
    pub work: Value,
    /// Whether it is done: an expression.
    pub when: Option<String>,
    /// What it is done for.
    pub each: Option<Each>,
    /// How many items are done at a time.
    pub at_once: u32,
    /// How often it is tried again.
    pub retries: Retries,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// What has to be true of its value: an expression.
    pub check: Option<String>,
    /// What happens when its effect may have come already.
    pub in_doubt: InDoubt,
}

/// The list of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Each {
    /// An expression that gives it.
    Of(String),
    /// The list itself.
    Items(Vec<Value>),
}

/// How often a step is tried again after an attempt that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// How often; 0 for never.
    pub times: u32,
    /// The pause before the first; each further one is twice as long, up to an hour.
    pub delay: Duration,
}

/// What happens when a worker was lost in the middle of a step that may be felt twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InDoubt {
    /// It is done again, and marked.
    #[default]
    Again,
    /// A human is asked.
    Ask,
}

impl Definition {
    /// Reads a task file, or says everything that is wrong with it. Its name is the file's unless it says another one.
    pub fn read(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        read::definition(file, text)
    }

    /// The steps as they are listed.
    pub fn summary_steps(&self) -> Vec<StepSummary> {
        let summary = |step: &Step, on_failure| StepSummary {
            name: step.name.clone(),
            kind: step.kind,
            when: step.when.clone(),
            each: step.each.as_ref().map(|each| match each {
                Each::Of(expression) => expression.clone(),
                Each::Items(items) => format!("{} items", items.len()),
            }),
            on_failure,
        };
        let steps = self.steps.iter().map(|step| summary(step, false));
        steps.chain(self.on_failure.iter().map(|step| summary(step, true))).collect()
    }

    /// A step, and whether it belongs to `on_failure`.
    pub fn step(&self, name: &str) -> Option<(&Step, bool)> {
        let named = |steps: &'_ [Step]| steps.iter().position(|step| step.name == name);
        named(&self.steps)
            .map(|at| (&self.steps[at], false))
            .or_else(|| named(&self.on_failure).map(|at| (&self.on_failure[at], true)))
    }
}

fn version(name: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    let digest = hash.finalize();
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(VERSION_CHARS).map(hex).collect()
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(digit)])
}
