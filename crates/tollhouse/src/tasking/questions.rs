//! Tells humans what a task asks them, with a link that answers: once to each channel, again and again while a channel is down,
//! and anew at each reminder.
//!
//! What has to be told is noted in the state before it is sent, and that it was sent after: whoever is killed in between tells it
//! again, with the same id.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tollhouse_console::{TASK_LINK_PURPOSE, TaskLink};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_notify::{Channel, Figure, Message, Phase, Severity};
use tollhouse_state::{State, StateError, TaskMessage};
use tollhouse_tasks::{Asked, Desk, Event, TaskError, Told, Work};
use tollhouse_units::chain;

/// Questions that were heard of and wait to be noted; of more, [`LOOK_EVERY`] finds them again.
const HEARD_MAX: usize = 1_024;
/// How often is looked for questions of which nothing was heard, such as those of a house before.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The first pause after a failure; each next one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long a link is good where the question never answers itself.
const LINK_LIFETIME: Duration = Duration::from_hours(24 * 7);
/// Longest text of a question in a message, in characters.
const TEXT_CHARS_MAX: usize = 8_000;
/// Where these records come from.
const CALLER: &str = "tollhouse/tasking.rs";

/// Who is told, and where one answers.
pub(super) struct Audience {
    pub(super) channels: Vec<Arc<Channel>>,
    /// Those that are told where a question names none; all when empty.
    pub(super) notify: Vec<String>,
    pub(super) service: String,
    /// The console's address.
    pub(super) console: String,
}

/// By which is heard what is asked; clones are the same.
#[derive(Clone)]
pub(super) struct Questions(mpsc::Sender<Heard>);

/// That a run asks, or that it is reminded of it.
struct Heard {
    run: String,
    /// The event's number, for a reminder.
    reminder: Option<i64>,
}

impl Questions {
    /// The hearing end, and what is heard.
    pub(super) fn channel() -> (Self, Waiting) {
        let (sender, receiver) = mpsc::channel(HEARD_MAX);
        (Self(sender), Waiting(receiver))
    }

    /// Takes note of an event that a human has to know of. Does not block.
    pub(super) fn hear(&self, told: &Told) {
        let reminder = match &told.entry.event {
            Event::Begun { work: Work::Approve(_), .. } | Event::Halted { .. } => None,
            Event::Reminded { .. } => Some(told.number),
            _ => return,
        };
        if self.0.try_send(Heard { run: told.run.clone(), reminder }).is_err() {
            tracing::warn!(task = told.task, run = told.run, "too many questions at once; it is told a little later");
        }
    }
}

/// What was heard and is not told yet.
pub(super) struct Waiting(mpsc::Receiver<Heard>);

/// Tells the questions of one book.
pub(super) struct Teller {
    pub(super) desk: Desk,
    pub(super) state: State,
    pub(super) journal: Journal,
    pub(super) audience: Arc<RwLock<Arc<Audience>>>,
    /// Nobody else works on this book: what nobody has told yet is ours to tell.
    pub(super) is_alone: bool,
}

/// Why it could not be told now.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl Teller {
    pub(super) fn start(self, waiting: Waiting) -> JoinHandle<()> {
        tokio::spawn(self.run(waiting))
    }

    async fn run(self, Waiting(mut heard): Waiting) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause: Option<Duration> = None;
        loop {
            let noted = tokio::select! {
                Some(heard) = heard.recv() => self.note(&heard).await,
                _ = look.tick() => self.note_all().await,
                () = sleep(pause.unwrap_or(PAUSE_MAX)), if pause.is_some() => Ok(()),
                else => return,
            };
            let told = match noted {
                Ok(()) => self.tell().await,
                Err(error) => Err(error),
            };
            let is_done = told.unwrap_or_else(|error| {
                tracing::error!(error = chain(&error), "telling what tasks ask");
                false
            });
            pause = (!is_done).then(|| pause.map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX)));
        }
    }

    /// Notes whom a question is to be told to.
    async fn note(&self, heard: &Heard) -> Result<(), Untold> {
        let questions = self.desk.questions().await?;
        for question in questions.iter().filter(|question| question.run == heard.run) {
            self.note_question(question, heard.reminder).await?;
        }
        Ok(())
    }

    async fn note_all(&self) -> Result<(), Untold> {
        if self.is_alone {
            for question in &self.desk.questions().await? {
                self.note_question(question, None).await?;
            }
        }
        Ok(())
    }

    async fn note_question(&self, question: &Asked, reminder: Option<i64>) -> Result<(), Untold> {
        let audience = self.audience();
        for channel in asked_of(question, &audience) {
            let key = match reminder {
                None => first_key(question),
                Some(number) => format!("task-{}.r{number}", question.run),
            };
            let message = TaskMessage {
                key,
                channel: channel.name().to_owned(),
                run: question.run.clone(),
                number: question.number,
                created_ms: Timestamp::now().as_millisecond(),
            };
            self.state.note_task_message(&message).await?;
        }
        Ok(())
    }

    /// Sends what waits. Gives whether nothing waits any more.
    async fn tell(&self) -> Result<bool, Untold> {
        let waiting = self.state.waiting_task_messages().await?;
        if waiting.is_empty() {
            return Ok(true);
        }
        let (questions, audience) = (self.desk.questions().await?, self.audience());
        let mut is_done = true;
        for message in &waiting {
            let question = questions.iter().find(|it| it.run == message.run && it.number == message.number);
            let channel = audience.channels.iter().find(|channel| channel.name() == message.channel);
            if let Some((question, channel)) = question.zip(channel) {
                let sent = channel.send(&self.message(message, question, &audience)).await;
                if sent.as_ref().is_err_and(|trouble| trouble.is_retryable) {
                    is_done = false;
                    continue;
                }
                self.record(message, question, sent.err().map(|trouble| trouble.text)).await;
            }
            self.state.task_message_settled(&message.key, &message.channel).await?;
        }
        Ok(is_done)
    }

    async fn record(&self, message: &TaskMessage, question: &Asked, error: Option<String>) {
        let (level, what) = match error {
            None => (Level::Info, "question of a task told"),
            Some(_) => (Level::Error, "question of a task not told"),
        };
        let mut record = Record::new("task", level, what)
            .caller(CALLER)
            .field("task", question.task.as_str())
            .field("task_run", question.run.as_str())
            .field("task_step", question.step.as_str())
            .field("task_event", "told")
            .field("channel", message.channel.as_str());
        if let Some(error) = error {
            record = record.field("error", error);
        }
        if let Err(error) = self.journal.append(record).await {
            tracing::error!(error = %error, "recording that a question was told");
        }
    }

    fn message(&self, noted: &TaskMessage, question: &Asked, audience: &Audience) -> Message {
        let Asked { run, task, step, why, .. } = question;
        let link = TaskLink { run: run.clone(), number: question.number, channel: noted.channel.clone() };
        let mut text: String = question.text.chars().take(TEXT_CHARS_MAX).collect();
        if link.may_answer(question) {
            let until_ms = question.expires_ms.unwrap_or(question.since_ms + LINK_LIFETIME.as_millis() as i64);
            let token = self.state.sign_link(TASK_LINK_PURPOSE, &link.subject(), until_ms);
            let link = format!("{}/console/link/task/{token}", audience.console);
            text.push_str("\n\nApprove or reject: ");
            text.push_str(&link);
        }
        let first = first_key(question);
        let figure = |name: &str, value: &str| Figure { name: name.to_owned(), value: value.to_owned() };
        let mut figures = vec![figure("task", task), figure("step", step), figure("run", run)];
        if let Some(until) = question.expires_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            figures.push(figure("open until", &format!("{until:.0}")));
        }
        let again = if noted.key == first { "" } else { "still " };
        Message {
            thread: if noted.key == first { Vec::new() } else { vec![first] },
            id: noted.key.clone(),
            rule: task.clone(),
            severity: Severity::Warning,
            state: Phase::Firing,
            title: match why.as_str() {
                "approve" => format!("{task} {again}asks for approval ({step})"),
                _ => format!("{task} stopped at {step} and {again}waits for you"),
            },
            title_told: Vec::new(),
            text_told: Vec::new(),
            text,
            figures,
            worst: Vec::new(),
            timeline: Vec::new(),
            tables: Vec::new(),
            chart: None,
            link: Some(format!("{}/tasks?run={run}", audience.console)),
            acknowledge: None,
            runbook: Some(format!("tollhouse task approve {run}, or tollhouse task reject {run}")),
            service: audience.service.clone(),
            at_ms: question.since_ms,
        }
    }

    fn audience(&self) -> Arc<Audience> {
        self.audience.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn first_key(question: &Asked) -> String {
    format!("task-{}.q{}", question.run, question.number)
}

/// The channels that a question names, else those of the configuration.
fn asked_of<'a>(question: &Asked, audience: &'a Audience) -> Vec<&'a Arc<Channel>> {
    let named = |names: &[String]| -> Vec<&'a Arc<Channel>> {
        audience.channels.iter().filter(|channel| names.iter().any(|name| name == channel.name())).collect()
    };
    let own = named(&question.by);
    match (own.is_empty(), audience.notify.is_empty()) {
        (false, _) => own,
        (true, false) => named(&audience.notify),
        (true, true) => audience.channels.iter().collect(),
    }
}
