//! Durable tasks: jobs of several steps that survive every crash, run at their times, and ask a human where one is needed.
//!
//! - [`Definition`] is a task as its YAML file says it: a schedule, steps, and what happens when one fails. Read by
//!   [`Definition::read`] with everything that is wrong told at once; versioned by its content.
//! - [`Run`] is the state of one run, made of its history alone: a pure machine that takes events and says what is next.
//! - [`Book`] keeps histories in SQLite or Postgres, and lets one worker at a time add to each.
//! - [`Engine`] takes runs from the book and brings them forward with the house's [`Hands`]; its scheduler begins runs.
//! - [`Desk`] is what people do: run, list, show, pause, resume, approve, reject, retry, cancel.
//!
//! **The way of a step:** decided by the machine → its intent committed ([`Event::Begun`]) → done by the hands → its result
//! committed ([`Event::Finished`]) together with the intent of the next one. After a crash another worker finds the intent
//! without a result and does the step again, with the same key ([`Call::key`]): where the receiver knows the key, the
//! effect comes once; where nobody can know, it is marked as `maybe_twice`.
//!
//! What this crate never does: touch a model, a file, a network or a mail server (the hands do), read an environment, or
//! decide who may answer a question.
//!
//! ```
//! use tollhouse_tasks::Definition;
//!
//! let text = "
//! schedule: \"0 8 * * 1-5\"
//! timezone: Asia/Shanghai
//! steps:
//!   - {name: facts, collect: {search: 'kind:request', within: 24h, report: errors}}
//!   - {name: draft, ask: {model: \"qwen3:32b\", prompt: \"Write a report of: {{ facts }}\"}}
//!   - {name: file, write: {path: \"reports/{{ date }}.md\", text: \"{{ draft }}\"}}
//! ";
//! let task = Definition::read("tasks/daily-report.yaml", text).expect("a valid task");
//! assert_eq!(task.name, "daily-report");
//!
//! let errors = Definition::read("a.yaml", "steps: [{name: a, ask: {model: m, prompt: \"{{ fact }}\"}}]").expect_err("unknown");
//! assert!(errors.to_string().contains("`fact` is not known here"));
//! ```

mod book;
mod clock;
mod definition;
mod desk;
mod engine;
mod error;
mod event;
mod hands;
mod partial;
mod run;
mod schedule;
mod shown;
mod template;
mod work;

pub use book::{Book, DEPTH_MAX, QUEUED_MAX};
pub use clock::{Clock, Moment, SimulatedClock, SystemClock};
pub use definition::{
    CatchUp, DEFINITION_BYTES_MAX, Definition, Each, ITEMS_MAX, InDoubt, Retries, STEPS_MAX, Saying, Step,
};
pub use desk::{Answer, Desk, Order, TASKS_MAX};
pub use engine::{Engine, Options};
pub use error::TaskError;
pub use event::{Edits, Ending, Entry, Event, Odd, Told, Verdict};
pub use hands::{Call, Doing, Hands, Need, Outcome, Room, StepError, Turned};
pub use partial::Partial;
pub use run::{Begin, Divergence, Run, replay};
pub use schedule::{CATCH_UP_MAX, Cron, CronError, Schedule};
pub use shown::{
    Asked, Filter, ItemDetail, Page, Progress, RunDetail, RunSummary, Status, StepDetail, StepSummary, TaskSummary,
};
pub use work::{Ask, ByDefault, Collect, Command, File, Kind, Message, Question, Subtask, Wait, Work};
