//! The questions for approval that an OpenClaw asks, shown among those of tasks: one inbox for all that waits for a human.
//!
//! Each question (`exec.approval.requested`, and those of `exec.approval.list` at each connection) begins a run of the task
//! [`TASK`] under the question's own id, so that it is begun once whatever happens in between. What a human answers there is
//! sent back (`exec.approval.resolve`): approved is `allow-once`, rejected is `deny`. A question that was answered elsewhere,
//! or whose time is over, leaves the inbox.
//!
//! What is kept of a question is its run alone; whoever is killed asks OpenClaw what is open, and goes on.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tollhouse_config::OpenclawApprovals;
use tollhouse_console::TaskHouse;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_tasks::{Definition, Desk, Filter, Order, Status, TaskError};
use tollhouse_units::chain;

use self::wire::{Connection, Heard, Question};
use crate::tasking::Tasked;

/// The task that asks such a question. A file of this name takes its place.
pub(crate) const TASK: &str = "openclaw-approval";
/// Who began its runs.
const WHO: &str = "openclaw";
/// Questions that are shown at a time; further ones stay with OpenClaw.
const OPEN_MAX: usize = 200;
/// How often is looked whether somebody has answered.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longest text of a question, in characters.
const TEXT_CHARS_MAX: usize = 8_000;
/// Where these records come from.
const CALLER: &str = "tollhouse/approving.rs";

/// The mirror at work, where there is one.
pub(crate) struct Approving {
    parts: Parts,
    wanted: Option<OpenclawApprovals>,
    running: Option<JoinHandle<()>>,
}

/// What of the house it needs.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) tasked: Arc<Tasked>,
}

impl Approving {
    pub(crate) fn new(parts: Parts, wanted: Option<OpenclawApprovals>) -> Self {
        let mut approving = Self { parts, wanted: None, running: None };
        approving.adopt(wanted);
        approving
    }

    /// Does what another configuration wants from now on.
    pub(crate) fn adopt(&mut self, wanted: Option<OpenclawApprovals>) {
        if self.wanted == wanted {
            return;
        }
        self.end();
        self.running = wanted.clone().map(|wanted| tokio::spawn(mirror(wanted, self.parts.clone())));
        self.wanted = wanted;
    }

    /// Ends. Questions that are open stay in the inbox.
    pub(crate) fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

/// The definition of the task, for those whom the configuration names.
///
/// # Errors
/// None is known: names are written as JSON.
pub(crate) fn definition(wanted: &OpenclawApprovals) -> anyhow::Result<Definition> {
    let text = format!(
        "title: OpenClaw asks\nconcurrency: {OPEN_MAX}\ntimeout: 720h\ninput: {{id: \"\", text: \"\"}}\nsteps:\n  - {{name: decide, \
         approve: {{by: {}, text: \"{{{{ input.text }}}}\"}}}}\n",
        json!(wanted.by)
    );
    Ok(Definition::read(&format!("{TASK}.yaml"), &text)?)
}

/// Keeps a connection for as long as the configuration wants one.
async fn mirror(wanted: OpenclawApprovals, parts: Parts) {
    let mut pause = PAUSE;
    let mut told = String::new();
    loop {
        let error = match Connection::open(&wanted).await {
            Ok(connection) => {
                (pause, told) = (PAUSE, String::new());
                tracing::info!(url = wanted.url, "questions of OpenClaw for approval are shown here");
                let mut mirror = Mirror { connection, parts: parts.clone(), open: BTreeMap::new() };
                mirror.follow().await
            }
            Err(error) => error,
        };
        // Once, not at each attempt.
        if error != told {
            tracing::warn!(url = wanted.url, error, "questions of OpenClaw for approval cannot be read; trying again");
            told = error;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One connection, and the questions that are open by what it has told.
struct Mirror {
    connection: Connection,
    parts: Parts,
    open: BTreeMap<String, Open>,
}

struct Open {
    run: String,
    expires_ms: i64,
    is_sent: bool,
}

impl Mirror {
    /// Follows until the connection ends, and says why it did.
    async fn follow(&mut self) -> String {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(error) = self.connection.ask_for_open().await {
            return error;
        }
        loop {
            let done = tokio::select! {
                heard = self.connection.hear() => match heard {
                    Ok(heard) => self.heard(heard).await,
                    Err(error) => Err(error),
                },
                _ = look.tick() => self.look().await,
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    async fn heard(&mut self, heard: Heard) -> Result<(), String> {
        match heard {
            Heard::Open(questions) => {
                let ids: BTreeSet<String> = questions.iter().map(|question| question.id.clone()).collect();
                for question in questions {
                    self.show(question).await?;
                }
                self.withdraw_others(&ids).await
            }
            Heard::Asked(question) => self.show(question).await,
            Heard::Answered { id } => {
                // That of our own answer is told too; whether it was taken comes as its reply.
                if self.open.get(&id).is_some_and(|open| !open.is_sent)
                    && let Some(open) = self.open.remove(&id)
                {
                    withdraw(&self.desk()?, &open.run).await?;
                }
                Ok(())
            }
            Heard::Taken { id, error } => {
                if let Some(open) = self.open.remove(&id) {
                    self.record(&id, &open.run, error);
                }
                Ok(())
            }
            Heard::Other => Ok(()),
        }
    }

    /// Puts a question into the inbox, once.
    async fn show(&mut self, question: Question) -> Result<(), String> {
        if self.open.contains_key(&question.id) {
            return Ok(());
        }
        if self.open.len() >= OPEN_MAX {
            tracing::warn!(approval = question.id, "more questions of OpenClaw are open than are shown here");
            return Ok(());
        }
        let text: String = question.text().chars().take(TEXT_CHARS_MAX).collect();
        let input = Map::from_iter([
            ("id".to_owned(), Value::from(question.id.as_str())),
            ("text".to_owned(), Value::from(text)),
        ]);
        let id = Some(question.id.clone());
        let order = Order { task: TASK.to_owned(), input, who: WHO.to_owned(), id };
        let run = self.desk()?.run(order).await.map_err(|error| chain(&error))?;
        self.open.insert(question.id, Open { run, expires_ms: question.expires_ms, is_sent: false });
        Ok(())
    }

    /// Sends what was answered, and takes what is over out of the inbox.
    async fn look(&mut self) -> Result<(), String> {
        if self.open.is_empty() {
            return Ok(());
        }
        let desk = self.desk()?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut gone = Vec::new();
        for (id, open) in &mut self.open {
            if open.is_sent {
                continue;
            }
            let status = match desk.show(&open.run).await {
                Ok(run) => run.summary.status,
                Err(TaskError::NoRun(_)) => Status::Cancelled,
                Err(error) => return Err(chain(&error)),
            };
            match status {
                Status::Done | Status::Failed => {
                    let decision = if status == Status::Done { "allow-once" } else { "deny" };
                    self.connection.resolve(id, decision).await?;
                    open.is_sent = true;
                }
                // A human takes no side: it stays with OpenClaw.
                Status::Cancelled => gone.push(id.clone()),
                _ if open.expires_ms <= now_ms => {
                    withdraw(&desk, &open.run).await?;
                    gone.push(id.clone());
                }
                _ => {}
            }
        }
        for id in gone {
            self.open.remove(&id);
        }
        Ok(())
    }

    /// Takes questions out of the inbox that OpenClaw has no more: answered or expired while nobody looked.
    async fn withdraw_others(&mut self, ids: &BTreeSet<String>) -> Result<(), String> {
        let desk = self.desk()?;
        let filter = Filter {
            task: Some(TASK.to_owned()),
            status: Some(Status::Asking),
            limit: OPEN_MAX as u32,
            ..Filter::default()
        };
        let asking = desk.list(&filter).await.map_err(|error| chain(&error))?;
        for run in asking.runs {
            let detail = desk.show(&run.id).await.map_err(|error| chain(&error))?;
            let id = detail.input.get("id").and_then(Value::as_str).unwrap_or_default();
            if !ids.contains(id) {
                self.open.remove(id);
                withdraw(&desk, &run.id).await?;
            }
        }
        Ok(())
    }

    fn desk(&self) -> Result<Desk, String> {
        self.parts.tasked.desk().ok_or_else(|| "there are no tasks right now".to_owned())
    }

    fn record(&self, id: &str, run: &str, error: Option<String>) {
        let (level, text) = match error {
            None => (Level::Info, "answer sent to OpenClaw"),
            Some(_) => (Level::Error, "answer not taken by OpenClaw"),
        };
        let mut record = Record::new("task", level, text)
            .caller(CALLER)
            .field("task", TASK)
            .field("task_run", run)
            .field("task_event", "sent_back")
            .field("approval", id);
        if let Some(error) = error {
            record = record.field("error", error);
        }
        if let Err(error) = self.parts.journal.enqueue(record) {
            tracing::error!(error = %error, "recording that an answer was sent to OpenClaw");
        }
    }
}

/// Takes a question out of the inbox; one that is not there any more is no error.
async fn withdraw(desk: &Desk, run: &str) -> Result<(), String> {
    match desk.cancel(run, WHO).await {
        Ok(()) | Err(TaskError::NotNow { .. } | TaskError::NoRun(_)) => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_config::Config;

    use super::*;

    #[test]
    fn the_task_can_be_read() {
        let text = "tasks: {}\napprovals:\n  openclaw: {url: \"ws://127.0.0.1:1\", token: t, by: [admin, \"o'x\"]}\n";
        let config: Config = tollhouse_config::parse(text, "x.yaml", &|_| None).unwrap();
        let definition = definition(&config.approvals.unwrap()).unwrap();
        assert_eq!((definition.name.as_str(), definition.steps.len()), (TASK, 1));
    }
}
