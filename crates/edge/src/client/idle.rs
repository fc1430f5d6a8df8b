//! Connections to a server that wait for its next request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Connection;

/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// Unused connections kept to each server.
const KEPT_MAX: usize = 64;

/// Connections of one server, the one that was used last at the end.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    since: Instant,
}

impl Kept {
    fn is_fit(&mut self) -> bool {
        self.since.elapsed() < IDLE_MAX && self.connection.is_quiet()
    }
}

impl Idle {
    /// A connection on which nothing has been said since its last answer, if there is one.
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut kept = self.kept();
        while let Some(mut last) = kept.pop() {
            if last.is_fit() {
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection whose last answer has come to its end.
    pub(crate) fn keep(&self, connection: Connection) {
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.push(Kept { connection, since: Instant::now() });
        }
    }

    /// Closes those that have waited too long, or that the server has closed.
    pub(crate) fn let_go(&self) {
        self.kept().retain_mut(Kept::is_fit);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
