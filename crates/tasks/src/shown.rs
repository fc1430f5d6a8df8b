//! Tasks and runs as they are listed and shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Entry;
use crate::work::Kind;

/// The state of a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RunStatus)]
pub enum Status {
    /// Nobody has begun it: no worker is free, or the task's `concurrency` is reached.
    Queued,
    /// A worker is at it, or may take it at once.
    Running,
    /// It waits for a time, for room, or for another run: see [`RunSummary::waiting`].
    Waiting,
    /// It waits for a human's answer.
    Asking,
    /// A human paused it.
    Paused,
    /// All is done.
    Done,
    /// It failed.
    Failed,
    /// A human ended it.
    Cancelled,
}

impl Status {
    /// All of them, by their words.
    pub const ALL: [(&'static str, Self); 8] = [
        ("queued", Self::Queued),
        ("running", Self::Running),
        ("waiting", Self::Waiting),
        ("asking", Self::Asking),
        ("paused", Self::Paused),
        ("done", Self::Done),
        ("failed", Self::Failed),
        ("cancelled", Self::Cancelled),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The status of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, status)| *status)
    }

    /// Whether nothing more happens unless a human asks for a retry.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A task as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TaskSummary {
    /// Its name.
    pub name: String,
    /// The version in force.
    pub version: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its schedule, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When it runs next, in milliseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// Whether its schedule is held.
    pub is_held: bool,
    /// Whether it asks a human when something is odd.
    pub critical: bool,
    /// Its steps in order.
    pub steps: Vec<StepSummary>,
    /// Its last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunSummary>,
}

/// A step of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StepSummary {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Whether it belongs to `on_failure`.
    pub on_failure: bool,
}

/// A run as it is listed. Times are in milliseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RunSummary {
    /// Its name; later runs have larger ones.
    pub id: String,
    /// Its task.
    pub task: String,
    /// The version of the task that it goes by.
    pub version: String,
    /// How it stands.
    pub status: Status,
    /// What it waits for: `time`, `room: …`, `run …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Who began it; `schedule` for the scheduler.
    pub who: String,
    /// The time of the schedule that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_ms: Option<i64>,
    /// When it was put into the book.
    pub created_ms: i64,
    /// When the first worker took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<i64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// When it is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_ms: Option<i64>,
    /// The step that it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How many steps are behind it.
    pub steps_done: u32,
    /// How many steps it has.
    pub steps: u32,
    /// Tokens used.
    pub tokens: u64,
    /// Why it failed or halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The run that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Which runs are listed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Of this task only.
    pub task: Option<String>,
    /// In this state only.
    pub status: Option<Status>,
    /// With this text in the run's name, task, step or error; upper and lower case are the same.
    pub text: Option<String>,
    /// Older than this run, for the next page.
    pub before: Option<String>,
    /// Most runs; 50 where it is 0, and never more than 500.
    pub limit: u32,
}

/// Runs, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RunPage)]
pub struct Page {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// [`Filter::before`] of the next page, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A run with everything that is known of it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RunDetail {
    /// As it is listed.
    pub summary: RunSummary,
    /// What it was given.
    #[schema(value_type = Object)]
    pub input: Map<String, Value>,
    /// Its steps in order, those of `on_failure` last.
    pub steps: Vec<StepDetail>,
    /// What a human is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Asked>,
    /// Runs that it began.
    pub children: Vec<String>,
    /// What happened, the oldest first.
    #[schema(value_type = Vec<Object>)]
    pub history: Vec<Entry>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = StepProgress)]
pub enum Progress {
    /// Not begun.
    #[default]
    Open,
    /// Being done.
    Doing,
    /// It waits: for another attempt, for a time, for a run.
    Waiting,
    /// It waits for a human.
    Asking,
    /// Done.
    Done,
    /// Its condition was not met, or a human went on without it.
    Skipped,
    /// Failed for good.
    Failed,
}

/// A step of a run.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct StepDetail {
    /// What the definition says.
    #[serde(flatten)]
    pub step: StepSummary,
    /// How far it is.
    pub progress: Progress,
    /// Its items; one without `index` where it has no `each`; none before it is begun.
    pub items: Vec<ItemDetail>,
    /// What later steps know it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// An item of a step of a run.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ItemDetail {
    /// Its place in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// How far it is.
    pub progress: Progress,
    /// What was done, with its templates filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub work: Option<Value>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Attempts of this generation.
    pub attempts: u32,
    /// Its effect may have come twice.
    pub maybe_twice: bool,
    /// When its last attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_ms: Option<i64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// The beginning of an answer that did not come to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// What a human is asked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = TaskQuestion)]
pub struct Asked {
    /// The run.
    pub run: String,
    /// Its task.
    pub task: String,
    /// The step.
    pub step: String,
    /// `approve` for a step that asks, or what is odd: `error`, `check`, `cost`, `far`, `doubt`.
    pub why: String,
    /// What is asked.
    pub text: String,
    /// Who may answer; empty for everybody who may approve tasks.
    pub by: Vec<String>,
    /// Since when.
    pub since_ms: i64,
    /// When it answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// Changes with each question, so that a link answers the question it was made for and no later one.
    pub number: i64,
}
