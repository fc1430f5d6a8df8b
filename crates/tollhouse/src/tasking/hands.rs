//! The house's hands for the tasks: each kind of a step's work, room for it, and an ear for what happens.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::task::spawn_blocking;
use tollhouse_config::TaskCommand;
use tollhouse_journal::Journal;
use tollhouse_notify::{Channel, Message, Phase, Severity};
use tollhouse_remote::Shelf;
use tollhouse_state::State;
use tollhouse_tasks::{
    Ask, Call, Collect, Command, Doing, File, Hands, Need, Outcome, Room, Saying, StepError, Told, Turned,
};

use super::counts::Counts;
use super::files::Folders;
use super::questions::Questions;
use super::room::Gate;
use super::{ask, commands, facts, telling};

/// What steps may reach, by the configuration in force.
pub(super) struct Reach {
    pub(super) service: String,
    pub(super) folders: Folders,
    pub(super) commands: Vec<TaskCommand>,
    pub(super) hosts: Vec<String>,
    pub(super) channels: Vec<Arc<Channel>>,
    /// Percent at which a card has other work.
    pub(super) gpu_busy_above: f64,
    /// When what was put off is tried again.
    pub(super) gpu_retry: Duration,
}

/// The hands; the engine keeps them over every change of the configuration.
pub(super) struct HouseHands {
    reach: RwLock<Arc<Reach>>,
    gate: Arc<Gate>,
    shelf: Shelf,
    state: State,
    journal: Journal,
    questions: Questions,
    counts: Counts,
}

impl HouseHands {
    pub(super) fn new(
        reach: Arc<Reach>,
        gate: Arc<Gate>,
        shelf: Shelf,
        state: State,
        journal: Journal,
        questions: Questions,
        counts: Counts,
    ) -> Self {
        Self { reach: RwLock::new(reach), gate, shelf, state, journal, questions, counts }
    }

    /// Steps reach this from now on; those under way keep what they have.
    pub(super) fn adopt(&self, reach: Arc<Reach>) {
        *self.reach.write().unwrap_or_else(PoisonError::into_inner) = reach;
    }

    fn reach(&self) -> Arc<Reach> {
        self.reach.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Hands for HouseHands {
    fn ask(&self, call: Call, ask: Ask) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move { ask::ask(&self.gate, self.reach().gpu_busy_above, &call, &ask).await })
    }

    fn collect(&self, _: Call, collect: Collect) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move {
            let reach = self.reach();
            let sources = facts::Sources {
                shelf: &self.shelf,
                state: &self.state,
                service: &reach.service,
                folders: &reach.folders,
                hosts: &reach.hosts,
            };
            facts::collect(&sources, collect).await
        })
    }

    fn run(&self, call: Call, command: Command) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move {
            let reach = self.reach();
            commands::run(&reach.commands, &reach.folders.files, &call, &command).await
        })
    }

    fn write(&self, call: Call, file: File) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move {
            let folders = self.reach().folders.clone();
            let value = json!({"path": file.path, "bytes": file.text.len()});
            let written = spawn_blocking(move || folders.write(&file.path, &file.text, &call.key)).await;
            written.map_err(|error| StepError::passing(error.to_string()))??;
            // The same bytes in the same place: twice is once.
            Ok(Outcome { value, is_surely_once: true, ..Outcome::default() })
        })
    }

    fn send(&self, call: Call, message: tollhouse_tasks::Message) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move {
            let reach = self.reach();
            let Some(channel) = reach.channels.iter().find(|channel| channel.name() == message.channel) else {
                return Err(StepError::lasting(reach.no_channel(&message.channel).to_string()));
            };
            let message = told_by(&call, message, &reach.service);
            match channel.send(&message).await {
                Ok(delivered) => {
                    let value = json!({"channel": channel.name(), "id": message.id, "refused": delivered.refused});
                    Ok(Outcome { value, ..Outcome::default() })
                }
                Err(trouble) => Err(StepError {
                    message: format!("the channel {} did not take the message: {}", channel.name(), trouble.text),
                    may_retry: trouble.is_retryable,
                    retry_after: trouble.retry_after,
                }),
            }
        })
    }

    fn room(&self, need: Need) -> Doing<'_, Room> {
        Box::pin(async move {
            let reach = self.reach();
            match self.gate.in_the_way(need.model.as_deref(), reach.gpu_busy_above).await {
                None => Room::Free,
                Some(why) => {
                    self.gate.put_off();
                    self.counts.put_off();
                    Room::Later { why, after: Some(reach.gpu_retry) }
                }
            }
        })
    }

    fn idle(&self) -> Doing<'_, ()> {
        Box::pin(self.gate.idle(|| self.reach().gpu_busy_above))
    }

    fn told(&self, told: &Told) {
        if let Err(error) = self.journal.enqueue(telling::record(told)) {
            tracing::error!(error = %error, "recording what becomes of a task");
        }
        self.questions.hear(told);
        self.counts.told(told);
    }

    fn turned(&self, turned: &Turned) {
        if let Err(error) = self.journal.enqueue(telling::turned(turned)) {
            tracing::error!(error = %error, "recording who turned the schedule of a task");
        }
    }
}

impl Reach {
    /// Whether there is a channel of this name.
    pub(super) fn has_channel(&self, name: &str) -> bool {
        self.channels.iter().any(|channel| channel.name() == name)
    }

    /// That there is no such channel, and which there are.
    pub(super) fn no_channel(&self, name: &str) -> Saying {
        let known: Vec<&str> = self.channels.iter().map(|channel| channel.name()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Saying::NoChannel { name: name.to_owned(), known }
    }
}

/// A step's message. Its id is the call's key: whoever gets it twice can see that.
fn told_by(call: &Call, message: tollhouse_tasks::Message, service: &str) -> Message {
    let title = if message.subject.is_empty() { call.task.clone() } else { message.subject };
    let (id, now_ms) = (format!("task-{}", call.key), Timestamp::now().as_millisecond());
    Message {
        title,
        text: message.text,
        ..Message::bare(id, &call.task, Severity::Info, Phase::Report, service, now_ms)
    }
}
