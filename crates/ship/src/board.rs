//! What is known of a destination at this moment, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::trouble::State;

/// How a destination is, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Its name in the configuration.
    pub name: String,
    /// `elasticsearch`, `opensearch`, `otlp` or `syslog`.
    pub kind: &'static str,
    /// The node that is asked.
    pub url: String,
    /// `starting`, `connected`, `busy`, `unreachable` or `rejected`.
    pub state: &'static str,
    /// Number of the next record that is to be delivered.
    pub next_seq: u64,
    /// Records that wait: the lag.
    pub behind: u64,
    /// Age of the oldest record that waits, in seconds; 0 when none does.
    pub behind_s: f64,
    /// Documents delivered by this destination, earlier runs included.
    pub delivered: u64,
    /// Of those of this run, documents that were there already.
    pub repeated: u64,
    /// Requests of this run that had to be sent again, or whose documents had to be in part.
    pub retries: u64,
    /// Documents that the cluster refused, earlier runs included.
    pub dead_letters: u64,
    /// Records that were gone from the journal before they were shipped, earlier runs included.
    pub missed: u64,
    /// What the cluster said last that was no success.
    pub last_error: Option<String>,
}

/// The board on which a courier writes.
#[derive(Debug)]
pub(crate) struct Board {
    name: String,
    kind: &'static str,
    written: watch::Receiver<u64>,
    notes: Mutex<Notes>,
}

/// What changes.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    pub(crate) url: String,
    pub(crate) state: State,
    pub(crate) next_seq: u64,
    /// When the oldest record of the batch under way was written, in milliseconds since 1970.
    pub(crate) oldest_ms: Option<i64>,
    pub(crate) delivered: u64,
    pub(crate) repeated: u64,
    pub(crate) retries: u64,
    pub(crate) dead_letters: u64,
    pub(crate) missed: u64,
    pub(crate) last_error: Option<String>,
}

/// A look at a destination, for whoever does not keep its courier.
#[derive(Clone, Debug)]
pub struct Sight(pub(crate) Arc<Board>);

impl Sight {
    /// How the destination is at this moment.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

impl Board {
    pub(crate) fn new(name: String, kind: &'static str, url: String, written: watch::Receiver<u64>) -> Self {
        let notes = Notes {
            url,
            state: State::Starting,
            next_seq: 1,
            oldest_ms: None,
            delivered: 0,
            repeated: 0,
            retries: 0,
            dead_letters: 0,
            missed: 0,
            last_error: None,
        };
        Self { name, kind, written, notes: Mutex::new(notes) }
    }

    /// To read or write notes on. No panic can come while it is held.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Status {
        let notes = self.notes().clone();
        let behind = (*self.written.borrow() + 1).saturating_sub(notes.next_seq);
        let age = |oldest_ms: i64| (Timestamp::now().as_millisecond() - oldest_ms).max(0) as f64 / 1_000.0;
        Status {
            name: self.name.clone(),
            kind: self.kind,
            url: notes.url,
            state: notes.state.as_str(),
            next_seq: notes.next_seq,
            behind,
            behind_s: notes.oldest_ms.map_or(0.0, age),
            delivered: notes.delivered,
            repeated: notes.repeated,
            retries: notes.retries,
            dead_letters: notes.dead_letters,
            missed: notes.missed,
            last_error: notes.last_error,
        }
    }
}
