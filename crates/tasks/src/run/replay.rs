//! Checks that a history is one that this version would have written: what it decided then, it decides now.

use std::sync::Arc;

use super::{Begin, Next, Run};
use crate::definition::Definition;
use crate::event::{Entry, Event};

/// A history that this version would have continued in another way.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("event {number} is {found:?}, and this version would have written {expected:?}")]
pub struct Divergence {
    /// The event, counted from 1.
    pub number: usize,
    /// What stands in the history.
    pub found: Box<Event>,
    /// What is decided now at that place.
    pub expected: Vec<Event>,
}

/// Goes through a history and compares each event that the engine decided by itself with what it decides now. What came from
/// outside (results, humans, lost workers) is taken as it is.
pub fn replay(definition: Arc<Definition>, begin: Begin, history: &[Entry]) -> Result<Run, Divergence> {
    let mut run = Run::new(definition, begin);
    let mut expected: Vec<Event> = Vec::new();
    for (index, entry) in history.iter().enumerate() {
        if is_decided(&entry.event) {
            run.set_clock(entry.clock_set_ms);
            if expected.is_empty()
                && let Next::Note(events) = run.next(entry.even_ms())
            {
                expected = events;
            }
            if expected.first() != Some(&entry.event) {
                let found = Box::new(entry.event.clone());
                return Err(Divergence { number: index + 1, found, expected });
            }
            expected.remove(0);
        } else {
            expected.clear();
        }
        run.apply(entry);
    }
    Ok(run)
}

/// Whether an event follows from the history alone.
fn is_decided(event: &Event) -> bool {
    matches!(
        event,
        Event::Started
            | Event::Skipped { .. }
            | Event::Spread { .. }
            | Event::Begun { .. }
            | Event::Reminded { .. }
            | Event::TimedOut
            | Event::FailureBegun { .. }
            | Event::Ended { .. }
    )
}
