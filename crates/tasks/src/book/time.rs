//! The time by which a book's runs go, and by how much it was set while they were under way.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Book;
use super::database::{Database, args};
use crate::clock::{Clock, Moment, ServerClock};
use crate::error::TaskError;

/// How often the server's clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// An answer that took longer says too little of what time it was.
const ANSWER_MAX_MS: i64 = 1_000;
/// Clocks that agree so closely were not set.
pub(crate) const SET_MIN_MS: i64 = 5_000;

impl Book {
    /// The clock that everybody who works on this book goes by: the server's, as far as it was heard of lately; the node's own
    /// for a file.
    pub async fn clock(&self, node: Arc<dyn Clock>) -> Result<Arc<dyn Clock>, TaskError> {
        if matches!(self.database, Database::Sqlite { .. }) {
            return Ok(node);
        }
        let mut asked = self.server_moment(&*node).await?;
        if asked.is_none() {
            // Once more: the first connection takes longer.
            asked = self.server_moment(&*node).await?;
        }
        let clock = Arc::new(ServerClock::new(node, asked));
        tokio::spawn(follow(self.clone(), Arc::downgrade(&clock)));
        Ok(clock)
    }

    /// The moment of the node in the middle of the question, and what the server's clock showed; nothing when it took too long.
    async fn server_moment(&self, node: &dyn Clock) -> Result<Option<(Moment, i64)>, TaskError> {
        let before = node.moment();
        let rows = self.database.rows("SELECT {now} AS now_ms", args![]).await?;
        let took_ms = node.moment().steady_ms - before.steady_ms;
        let Some(row) = rows.first().filter(|_| took_ms <= ANSWER_MAX_MS) else { return Ok(None) };
        let middle = Moment { steady_ms: before.steady_ms + took_ms / 2, ..before };
        Ok(Some((middle, row.int("now_ms")?)))
    }

    /// By how much the clock was set while runs were under way, in all.
    pub(crate) async fn clock_set_ms(&self) -> Result<i64, TaskError> {
        let rows = self.database.rows("SELECT set_ms FROM task_clock", args![]).await?;
        rows.first().map_or(Ok(0), |row| row.int("set_ms"))
    }

    /// Notes that the clock was set, unless another node did. Everything that waits is looked at anew: what it waits for has
    /// another time on that clock now.
    pub(crate) async fn set_clock(&self, set_ms: i64, now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE task_clock SET set_ms = $1 WHERE abs(set_ms - $1) >= $2";
        if tx.execute(update, args![set_ms, SET_MIN_MS]).await? > 0 {
            let wake = "UPDATE task_runs SET wake_ms = $1 WHERE place = 1 AND wake_ms IS NOT NULL";
            tx.execute(wake, args![now_ms]).await?;
        }
        tx.commit().await
    }
}

/// Follows the server's clock for as long as somebody goes by it.
async fn follow(book: Book, clock: Weak<ServerClock<Arc<dyn Clock>>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(clock) = clock.upgrade() else { return };
        match book.server_moment(&**clock.node()).await {
            Ok(Some((asked, now_ms))) => clock.hear(asked, now_ms),
            Ok(None) => {}
            // Its own steady clock goes on meanwhile.
            Err(error) => tracing::debug!(error = tollhouse_units::chain(&error), "cannot ask the server for the time"),
        }
    }
}
