//! What people do with tasks: look at them, begin runs, answer questions, stop and go on.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::book::{Added, Book, Keep, NewRun};
use crate::clock::Clock;
use crate::definition::Definition;
use crate::engine::Definitions;
use crate::error::TaskError;
use crate::event::{Edits, Entry, Event, Verdict};
use crate::run::Run;
use crate::shown::{Asked, Filter, Page, RunDetail, RunSummary, Status, TaskSummary};

/// How often something is tried while a worker writes at the same time.
const TRIES_MAX: u32 = 20;
/// Largest input of a run and largest edits, as JSON in bytes.
const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Most tasks in force.
pub const TASKS_MAX: usize = 1_000;

/// The verbs, over a book. They work whether an engine runs on it or not, here or elsewhere.
#[derive(Clone)]
pub struct Desk {
    book: Book,
    clock: Arc<dyn Clock>,
    definitions: Arc<Definitions>,
}

/// A run that is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// The task.
    pub task: String,
    /// What it is given; what is left out is as the task says.
    pub input: Map<String, Value>,
    /// Who asks.
    pub who: String,
    /// Names the order: with the same one there is one run, however often it is asked for.
    pub id: Option<String>,
}

/// An answer of a human.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Who answers.
    pub who: String,
    /// What they say.
    pub comment: String,
    /// What they change.
    pub edits: Edits,
    /// The question that is meant, where that matters: [`Asked::number`].
    pub number: Option<i64>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("book", &self.book).finish_non_exhaustive()
    }
}

impl Desk {
    /// The desk of a book.
    pub fn new(book: Book, clock: Arc<dyn Clock>) -> Self {
        Self { definitions: Arc::new(Definitions::new(book.clone())), book, clock }
    }

    // Tasks

    /// Makes these the tasks in force, on all nodes of the book. Runs that have begun go on by the version that they began with.
    pub async fn publish(&self, definitions: &[Definition]) -> Result<(), TaskError> {
        if definitions.len() > TASKS_MAX {
            return Err(TaskError::TooMuch { what: "tasks", most: TASKS_MAX as u64 });
        }
        let mut seen = HashSet::new();
        for definition in definitions {
            if !seen.insert(&definition.name) {
                return Err(TaskError::Wrong(format!("there are two tasks of the name {}", definition.name)));
            }
        }
        self.book.publish(definitions, self.clock.now_ms()).await
    }

    /// The tasks in force, by name.
    pub async fn tasks(&self) -> Result<Vec<TaskSummary>, TaskError> {
        let mut tasks = Vec::new();
        for row in self.book.tasks().await? {
            let definition = self.definitions.get(&row.version).await?;
            let schedule = definition.schedule.as_ref();
            let next_ms = schedule.filter(|_| !row.is_held).and_then(|schedule| schedule.next_after(row.cursor_ms));
            tasks.push(TaskSummary {
                title: definition.title.clone(),
                schedule: schedule.map(ToString::to_string),
                next_ms,
                is_held: row.is_held,
                critical: definition.critical.is_some(),
                steps: definition.summary_steps(),
                last_run: self.book.last_run(&row.name).await?,
                name: row.name,
                version: row.version,
            });
        }
        Ok(tasks)
    }

    /// A task's definition: the version in force, or another one that is kept.
    pub async fn definition(&self, task: &str, version: Option<&str>) -> Result<Arc<Definition>, TaskError> {
        let version = if let Some(version) = version {
            version.to_owned()
        } else {
            let mut tasks = self.book.tasks().await?.into_iter();
            tasks.find(|row| row.name == task).ok_or_else(|| TaskError::NoTask(task.to_owned()))?.version
        };
        match self.book.version(&version).await? {
            Some((name, _)) if name == task => self.definitions.get(&version).await,
            _ => Err(TaskError::NoTask(task.to_owned())),
        }
    }

    /// Holds a task's schedule: no run begins by itself until it is released.
    pub async fn hold(&self, task: &str, who: &str) -> Result<(), TaskError> {
        self.book.set_held(task, true, who, self.clock.now_ms()).await
    }

    /// Lets a task's schedule go on. The times that passed meanwhile get no run.
    pub async fn release(&self, task: &str, who: &str) -> Result<(), TaskError> {
        self.book.set_held(task, false, who, self.clock.now_ms()).await
    }

    // Runs

    /// Asks for a run, and tells its name.
    pub async fn run(&self, order: Order) -> Result<String, TaskError> {
        let definition = self.definition(&order.task, None).await?;
        let unknown = order.input.keys().find(|key| !definition.input.contains_key(*key));
        if let Some(key) = unknown {
            let known: Vec<&str> = definition.input.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            return Err(TaskError::Wrong(format!("task {} takes no input `{key}`, but {known}", order.task)));
        }
        check_size(&Value::Object(order.input.clone()))?;
        let new = NewRun {
            origin: order.id.map(|id| format!("order:{}:{id}", order.task)),
            task: order.task,
            version: definition.version.clone(),
            steps: definition.steps.len() as u32,
            concurrency: definition.concurrency,
            who: order.who,
            input: order.input,
            scheduled_ms: None,
            parent: None,
            depth: 0,
        };
        self.book.begin_run(&new, self.clock.now_ms()).await
    }

    /// Runs, the newest first.
    pub async fn list(&self, filter: &Filter) -> Result<Page, TaskError> {
        self.book.list(filter).await
    }

    /// A run with everything that is known of it.
    pub async fn show(&self, run: &str) -> Result<RunDetail, TaskError> {
        let (state, row, history) = self.load(run).await?;
        let mut steps = state.step_details();
        for (step, item, text) in self.book.partials(run).await? {
            let index = u32::try_from(item).ok();
            let items = steps.iter_mut().filter(|detail| detail.step.name == step).flat_map(|detail| &mut detail.items);
            items.filter(|item| item.index == index).for_each(|item| item.partial = Some(text.clone()));
        }
        Ok(RunDetail {
            input: row.begin.input.clone(),
            steps,
            question: state.asked(),
            children: self.book.children(run).await?.into_iter().map(|child| child.id).collect(),
            history,
            summary: row.summary,
        })
    }

    /// Everything that waits for a human, the oldest first.
    pub async fn questions(&self) -> Result<Vec<Asked>, TaskError> {
        self.book.questions().await
    }

    /// Begins nothing further of a run. What is being done comes to its end.
    pub async fn pause(&self, run: &str, who: &str) -> Result<(), TaskError> {
        self.verb(run, "pausing it", |state, summary| {
            let is_open = !summary.status.is_over() && summary.status != Status::Paused && !state.is_paused();
            Ok(is_open.then(|| Event::Paused { who: who.to_owned() }))
        })
        .await
    }

    /// Lets a paused run go on.
    pub async fn resume(&self, run: &str, who: &str) -> Result<(), TaskError> {
        self.verb(run, "going on with it", |state, _| {
            Ok(state.is_paused().then(|| Event::Continued { who: who.to_owned() }))
        })
        .await
    }

    /// Ends a run, and those that it began. What is being done is dropped.
    pub async fn cancel(&self, run: &str, who: &str) -> Result<(), TaskError> {
        self.verb(run, "cancelling it", |state, _| {
            Ok(state.over().is_none().then(|| Event::Cancelled { who: who.to_owned() }))
        })
        .await?;
        for child in self.book.children(run).await? {
            if !child.status.is_over() {
                match Box::pin(self.cancel(&child.id, who)).await {
                    Ok(()) | Err(TaskError::NotNow { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Says yes: to a question, or to going on in spite of what is odd. What failed counts as left out then.
    pub async fn approve(&self, run: &str, answer: Answer) -> Result<(), TaskError> {
        self.answer(run, Verdict::Approve, "approving it", answer).await
    }

    /// Says no: the run fails, and what its task does on a failure is done.
    pub async fn reject(&self, run: &str, answer: Answer) -> Result<(), TaskError> {
        self.answer(run, Verdict::Reject, "rejecting it", answer).await
    }

    /// Does a step and all after it again, with what was changed; of a run that halted, asks, failed or is over. Without a
    /// `step`, the one that it stopped at; of its items, those that are done stay done.
    pub async fn retry(&self, run: &str, step: Option<&str>, who: &str, edits: Edits) -> Result<(), TaskError> {
        check_edits(&edits)?;
        self.verb(run, "retrying it", |state, _| {
            if state.is_doing() && state.over().is_none() {
                return Ok(None);
            }
            let is_stopped = state.over().is_some() || state.asked().is_some() || state.is_paused();
            let Some(step) = step.or_else(|| state.retry_step()).filter(|_| is_stopped) else { return Ok(None) };
            if !state.can_retry(step) {
                return Err(TaskError::Wrong(format!("the run has not come to a step `{step}`")));
            }
            known_values(state, &edits)?;
            let step = step.to_owned();
            Ok(Some(Event::Retried { step, who: who.to_owned(), edits: edits.clone() }))
        })
        .await
    }

    /// Removes runs that ended more than `keep_days` ago, of each task those beyond the `keep_runs` newest, and then the oldest
    /// of all until `keep_bytes` of events are left; tells how many.
    pub async fn retain(&self, keep_runs: u32, keep_days: u32, keep_bytes: u64) -> Result<u64, TaskError> {
        let now_ms = self.clock.now_ms();
        self.book.remove_old(&Keep::new(keep_runs, keep_days, keep_bytes, now_ms), now_ms).await
    }

    // How

    async fn answer(&self, run: &str, verdict: Verdict, what: &str, answer: Answer) -> Result<(), TaskError> {
        check_edits(&answer.edits)?;
        self.verb(run, what, |state, _| {
            let Some(asked) = state.asked() else { return Ok(None) };
            if answer.number.is_some_and(|number| number != asked.number) {
                return Err(TaskError::NotNow {
                    what: what.to_owned(),
                    status: "asking something else now".to_owned(),
                });
            }
            known_values(state, &answer.edits)?;
            Ok(Some(Event::Answered {
                step: asked.step,
                verdict,
                who: answer.who.clone(),
                comment: answer.comment.clone(),
                edits: answer.edits.clone(),
            }))
        })
        .await
    }

    /// Adds what `decide` makes of a run's state to its history; `None` is for a state in which it cannot be done.
    async fn verb(
        &self,
        run: &str,
        what: &str,
        decide: impl Fn(&Run, &RunSummary) -> Result<Option<Event>, TaskError>,
    ) -> Result<(), TaskError> {
        for _ in 0..TRIES_MAX {
            let (mut state, row, _) = self.load(run).await?;
            let Some(event) = decide(&state, &row.summary)? else {
                return Err(TaskError::NotNow { what: what.to_owned(), status: row.summary.status.word().to_owned() });
            };
            let now_ms = self.clock.now_ms();
            let after = state.length();
            let entry = Entry { at_ms: now_ms, clock_set_ms: self.book.clock_set_ms().await?, event };
            state.apply(&entry);
            let added = Added {
                entries: &[entry],
                after,
                status: if state.is_paused() { Status::Paused } else { state.status_when_open() },
                digest: state.digest(),
                told: row.told,
                // Taken by a worker, which tells of it and sees what follows.
                wake_ms: Some(now_ms),
                reported: Vec::new(),
                lengths: Vec::new(),
            };
            match self.book.append(run, None, &added, now_ms).await {
                // A worker wrote meanwhile.
                Err(TaskError::Changed) => {}
                result => return result,
            }
        }
        Err(TaskError::Changed)
    }

    async fn load(&self, run: &str) -> Result<(Run, crate::book::RunRow, Vec<Entry>), TaskError> {
        let row = self.book.run_row(run).await?;
        let definition = self.definitions.get(&row.summary.version).await?;
        let history = self.book.history(run).await?;
        Ok((Run::of(definition, row.begin.clone(), &history), row, history))
    }
}

fn check_size(value: &Value) -> Result<(), TaskError> {
    if value.to_string().len() > INPUT_BYTES_MAX {
        return Err(TaskError::TooMuch { what: "bytes of what is given", most: INPUT_BYTES_MAX as u64 });
    }
    Ok(())
}

fn check_edits(edits: &Edits) -> Result<(), TaskError> {
    check_size(&Value::Object(edits.values.clone()))?;
    check_size(&Value::Object(edits.work.clone()))
}

fn known_values(state: &Run, edits: &Edits) -> Result<(), TaskError> {
    // What failed may be given by hand.
    let halted = state.asked().map(|asked| asked.step);
    let is_unknown = |name: &&String| state.value(name).is_none() && halted.as_ref() != Some(*name);
    match edits.values.keys().find(is_unknown) {
        Some(name) => Err(TaskError::Wrong(format!("the run has no value `{name}` that could be changed"))),
        None => Ok(()),
    }
}
