//! What clients need not wait for: files that they upload, batches of requests made of them, and single requests that are
//! answered later.
//!
//! - [`Batches`] keeps all of it below one folder and brings it forward with an engine of `tasks`, so that whoever is killed goes
//!   on at the line where it was. It is the [`tollhouse_gateway::Later`] of a gateway.
//! - [`House`] is what it needs of the house: to ask a model on behalf of somebody, behind everybody who waits, and to tell by a
//!   webhook that an answer is there.
//! - [`Overseer`] sees what everybody has here, and may end it; [`erase`] removes what is kept of somebody.
//! - [`Settings`] bound it.
//!
//! **The way of a batch:** a file of JSON lines is uploaded (streamed to the disk, never whole in memory) → a batch is made of it →
//! a run of the task `batch` reads it line by line and tells all that is wrong → its lines are asked, in parts, each answer
//! committed under its line's number before the next is asked → answers are written in the order of their lines, those that failed into
//! a file of their own → both files and the batch's end are committed together. A line that has an answer is never asked again; one
//! that was under way when the house was killed is, since nobody has its answer.
//!
//! What this crate never does: decide who may call (the gate does), or choose what a model server gets.

mod batch;
mod cabinet;
mod calls;
mod clerk;
mod deferred;
mod definitions;
mod erase;
mod error;
mod files;
mod finish;
mod hands;
mod lines;
mod overseer;
mod record;
mod settings;
mod upload;
mod work;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tollhouse_gateway::Later;
use tollhouse_journal::Journal;
use tollhouse_tasks::{Book, Desk, Engine, Options, SystemClock};

pub use crate::batch::Status;
pub use crate::deferred::{Kind, Status as LaterStatus};
pub use crate::erase::{Erased, Whose, erase};
pub use crate::error::BatchError;
pub use crate::overseer::{BatchFault, BatchUse, ConsoleBatch, ConsoleLater, Figures, Overseer};
pub use crate::record::Counts;
pub use crate::settings::Settings;
pub use crate::work::{Doing, Event, Fate, House, Question, Reply};

use crate::cabinet::Cabinet;
use crate::clerk::Clerk;
use crate::hands::BatchHands;

/// How often is looked for what has been kept long enough, and for erasures without a record.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// Files, batches and deferred requests at work.
pub struct Batches {
    clerk: Arc<Clerk>,
    engine: Engine,
    book: Book,
    tidying: JoinHandle<()>,
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

impl Batches {
    /// Opens what is kept below `dir`, and goes on with what is open. One process at a time may do so.
    pub async fn start(
        dir: &Path,
        settings: Settings,
        journal: Journal,
        house: Arc<dyn House>,
    ) -> Result<Self, BatchError> {
        let cabinet = Cabinet::open(dir).await?;
        let book = Book::sqlite(&dir.join("runs.db")).await?;
        let desk = Desk::new(book.clone(), Arc::new(SystemClock));
        desk.publish(&definitions::all(&settings)).await?;
        let options = Options {
            workers: settings.batches_at_once + settings.later_at_once,
            node: "batches".to_owned(),
            is_alone: true,
            keep_days: settings.keep_days,
            schedules: false,
            ..Options::default()
        };
        let clerk = Arc::new(Clerk::new(cabinet, settings, journal, desk, house));
        clerk.tidy().await?;
        clerk.take_up().await?;
        let hands = Arc::new(BatchHands(clerk.clone()));
        let engine = Engine::start(book.clone(), Arc::new(SystemClock), hands, options).await?;
        let tidying = tokio::spawn(tidy(clerk.clone()));
        Ok(Self { clerk, engine, book, tidying })
    }

    /// What the gateway hands calls to.
    pub fn later(&self) -> Arc<dyn Later> {
        self.clerk.clone()
    }

    /// Sees everything, and may end it.
    pub fn overseer(&self) -> Overseer {
        Overseer(self.clerk.clone())
    }

    /// Ends. What is under way has `grace` to come to its end, and is asked anew at the next start.
    pub async fn end(self, grace: Duration) {
        self.tidying.abort();
        self.engine.stop(grace).await;
        self.clerk.cabinet.close().await;
        self.book.close().await;
    }
}

async fn tidy(clerk: Arc<Clerk>) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        if let Err(error) = clerk.tidy().await {
            tracing::error!(error = %error, "removing files and batches that were kept long enough");
        }
    }
}
