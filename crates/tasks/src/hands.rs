//! What the engine needs of the house: hands that do a step's work, room to do it in, and an ear for what happened.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::event::Told;
use crate::partial::Partial;
use crate::work::{Ask, Collect, Command, File, Message};

/// Something that is being done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the house does for the engine.
///
/// Each method may be called again with the same [`Call::key`] after a crash: a hand that can, hands the key on (as an
/// `Idempotency-Key`, as the name of a temporary file) so that the effect happens once. A future that is dropped is to end its
/// work: the run was cancelled, timed out, or belongs to another worker now.
pub trait Hands: Send + Sync + 'static {
    /// Asks a model; the value is the answer's text. Parts of it may be kept with [`Call::partial`] while it comes. The engine
    /// checks the answer against [`Ask::schema`].
    fn ask(&self, call: Call, ask: Ask) -> Doing<'_, Result<Outcome, StepError>>;

    /// Fetches facts; the value is theirs.
    fn collect(&self, call: Call, collect: Collect) -> Doing<'_, Result<Outcome, StepError>>;

    /// Runs a command of the allow-list; the value is `{status, stdout, stderr}`.
    fn run(&self, call: Call, command: Command) -> Doing<'_, Result<Outcome, StepError>>;

    /// Writes a file, whole or not at all; the value is `{path, bytes}`.
    fn write(&self, call: Call, file: File) -> Doing<'_, Result<Outcome, StepError>>;

    /// Sends a message; the value is what is known of it.
    fn send(&self, call: Call, message: Message) -> Doing<'_, Result<Outcome, StepError>>;

    /// Whether a task may take a place now. Asked before each model request, and before each step of a task that needs the GPU.
    fn room(&self, need: Need) -> Doing<'_, Room>;

    /// Comes to an end when the house sees that it is idle, so that what was put off is tried at once. Waited for anew after
    /// each time. Without it only time brings work back.
    fn idle(&self) -> Doing<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Hears what happened, after it was committed. After a crash the last few things may be told a second time, never
    /// left out. Must not block.
    fn told(&self, told: &Told);

    /// Hears that somebody held a task's schedule or let it go on. After a crash it may be told a second time. Must not block.
    fn turned(&self, _turned: &Turned) {}
}

/// A schedule that somebody held or let go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turned {
    /// The task.
    pub task: String,
    /// Whether its schedule stands still now.
    pub is_held: bool,
    /// Who did it.
    pub who: String,
}

/// For which step of which run something is done.
#[derive(Clone, Debug)]
pub struct Call {
    /// The run.
    pub run: String,
    /// Its task.
    pub task: String,
    /// The step.
    pub step: String,
    /// Which item of a step with `each`, counted from 0.
    pub item: Option<u32>,
    /// The same for all attempts of the same intent, and for no other: `run.step.item.generation`. The generation changes
    /// only when a human asks for a retry.
    pub key: String,
    /// Grows with each worker that takes the run over; a receiver that keeps the largest it saw can refuse a late one.
    pub fence: i64,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// An earlier attempt with this key may have had its effect, and nobody knows.
    pub is_again: bool,
    /// Who began the run.
    pub who: String,
    /// How long it may take; the engine drops the future then.
    pub timeout: Duration,
    /// Keeps what there is of an answer while it comes.
    pub partial: Partial,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Its value, by which later steps know it.
    pub value: Value,
    /// Tokens that it cost, in and out.
    pub tokens: u64,
    /// The receiver knew the key and did not do it a second time, or it can be seen that it was done once.
    pub is_surely_once: bool,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq)]
pub struct StepError {
    /// For people: what, where, what to do.
    pub message: String,
    /// Whether trying again can help; otherwise the step's `retries` are not used.
    pub may_retry: bool,
    /// Not before so long.
    pub retry_after: Option<Duration>,
}

impl StepError {
    /// One that may pass by itself.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_retry: true, retry_after: None }
    }

    /// One that stays until somebody changes something.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_retry: false, retry_after: None }
    }
}

/// What room is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// The task.
    pub task: String,
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// The model that will be asked, if any.
    pub model: Option<String>,
    /// Whether the task says `needs: gpu`.
    pub gpu: bool,
}

/// Whether there is room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Room {
    /// There is.
    Free,
    /// Later.
    Later {
        /// Why, for people: `GPU 0 is 97 % busy`.
        why: String,
        /// When to ask again; [`crate::Options::room_retry`] when nothing is said.
        after: Option<Duration>,
    },
}
