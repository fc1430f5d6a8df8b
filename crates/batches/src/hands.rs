//! The hands of the engine: its tasks run nothing but the steps of batches and deferred requests.

use std::sync::Arc;

use serde_json::Value;
use tollhouse_tasks::{Ask, Call, Collect, Command, Doing, File, Hands, Message, Need, Outcome, Room, StepError, Told};
use tollhouse_units::chain;

use crate::clerk::Clerk;
use crate::error::BatchError;

/// See [`Hands`].
pub(crate) struct BatchHands(pub(crate) Arc<Clerk>);

impl Hands for BatchHands {
    fn run(&self, _: Call, command: Command) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(async move {
            let clerk = &self.0;
            let words: Vec<&str> = command.command.iter().map(String::as_str).collect();
            let value = match words[..] {
                ["read", id] => clerk.read(id).await,
                ["ask", id, part] => clerk.ask(id, part).await,
                ["finish", id] => clerk.finish(id).await,
                ["give_up", id, error] => clerk.give_up(id, error).await,
                ["answer", id] => clerk.answer(id).await,
                ["tell", id] => return clerk.tell(id).await,
                ["untold", id, error] => clerk.untold(id, error).await,
                _ => return Err(StepError::lasting("no such step")),
            };
            match value {
                Ok(value) => Ok(Outcome { value, ..Outcome::default() }),
                // Removed meanwhile: nobody wants to know any more.
                Err(BatchError::Unknown { .. }) => Ok(Outcome { value: nothing(), ..Outcome::default() }),
                Err(error) => Err(StepError::passing(chain(&error))),
            }
        })
    }

    fn ask(&self, _: Call, _: Ask) -> Doing<'_, Result<Outcome, StepError>> {
        no_such()
    }

    fn collect(&self, _: Call, _: Collect) -> Doing<'_, Result<Outcome, StepError>> {
        no_such()
    }

    fn write(&self, _: Call, _: File) -> Doing<'_, Result<Outcome, StepError>> {
        no_such()
    }

    fn send(&self, _: Call, _: Message) -> Doing<'_, Result<Outcome, StepError>> {
        no_such()
    }

    /// Each line looks for room by itself.
    fn room(&self, _: Need) -> Doing<'_, Room> {
        Box::pin(async { Room::Free })
    }

    /// What becomes of a batch is recorded where it does.
    fn told(&self, _: &Told) {}
}

/// The value of a step that had nothing to do.
pub(crate) fn nothing() -> Value {
    serde_json::json!({"parts": []})
}

fn no_such<'a>() -> Doing<'a, Result<Outcome, StepError>> {
    Box::pin(async { Err(StepError::lasting("no such step")) })
}
