//! The book of runs: what was begun, what came of it, and who is at it, in SQLite or Postgres.
//!
//! What holds at every moment:
//! 1. A run's history is a list that only grows. Its events are numbered from 1 without a gap, and the run's row counts them.
//! 2. Events are added in one transaction with the row that sums them up, by whoever knew all events before them: one that did
//!    not is refused with [`TaskError::Changed`].
//! 3. A worker adds events only under its *fence*, a number that grows each time the run is taken: one whose lease ended and
//!    whose run was taken by another is refused with [`TaskError::Lost`], however late it wakes up.
//! 4. Of a task no more runs are under way than its `concurrency` says: a run has a place, or waits for one.
//! 5. What asks for a run names its *origin* (a scheduled time, a step of another run): asking twice gives one run.

mod database;
mod keep;
mod lists;
mod runs;
mod tasks;
mod time;

use std::path::Path;

use database::{Database, args};
pub(crate) use keep::Keep;
pub(crate) use lists::RunRow;
pub(crate) use runs::{Added, Claimed, NewRun, Parked};
pub(crate) use tasks::TaskRow;
pub(crate) use time::SET_MIN_MS;

use crate::error::TaskError;

/// Most runs of one task that wait for a place.
pub const QUEUED_MAX: i64 = 10_000;
/// How deep tasks may be steps of tasks.
pub const DEPTH_MAX: i64 = 5;

/// The book; clones are the same one.
#[derive(Clone, Debug)]
pub struct Book {
    database: Database,
}

/// The right to add to a run's history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lease {
    pub(crate) run: String,
    pub(crate) owner: String,
    pub(crate) fence: i64,
}

impl Book {
    /// Opens or creates the book in a file of its own.
    pub async fn sqlite(path: &Path) -> Result<Self, TaskError> {
        Ok(Self { database: Database::sqlite(path).await? })
    }

    /// Opens the book in a Postgres database, in tables that begin with `task`.
    pub async fn postgres(url: &str) -> Result<Self, TaskError> {
        Ok(Self { database: Database::postgres(url).await? })
    }

    /// Writes a copy of the book, as it is at one moment, to a file that is not there yet. A book in Postgres is copied by Postgres'
    /// own means.
    pub async fn copy_to(&self, path: &Path) -> Result<(), TaskError> {
        self.database.copy_to(path).await
    }

    /// Looks through the whole file for damage.
    pub async fn check(&self) -> Result<(), TaskError> {
        match self.database.damage().await? {
            None => Ok(()),
            Some(why) => Err(TaskError::Book { what: "the file".to_owned(), why }),
        }
    }

    /// The name of the newest run.
    pub async fn newest(&self) -> Result<Option<String>, TaskError> {
        let rows = self.database.rows("SELECT id FROM task_runs ORDER BY id DESC LIMIT 1", args![]).await?;
        rows.first().map(|row| row.text("id")).transpose()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
