//! What is kept for how long, and small things beside the histories.

use super::database::{Arg, Tx, args};
use super::{Book, Lease};
use crate::error::TaskError;

/// Runs that are removed in one transaction.
const REMOVED_AT_ONCE: i64 = 200;
/// Transactions of one round; what is left comes with the next.
const ROUNDS_MAX: usize = 100;
/// Runs that an output is compared with.
const EARLIER_MAX: i64 = 20;

/// What is kept of runs that have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// So many of each task.
    runs: u32,
    /// Those that ended after this.
    after_ms: i64,
    /// So many bytes of events, of all together.
    bytes: i64,
}

impl Keep {
    pub(crate) fn new(runs: u32, days: u32, bytes: u64, now_ms: i64) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { runs, after_ms: now_ms - i64::from(days) * 86_400_000, bytes }
    }
}

impl Book {
    /// Keeps the beginning of an answer.
    pub(crate) async fn keep_partial(&self, lease: &Lease, step: &str, item: i64, text: &str) -> Result<(), TaskError> {
        let mut tx = self.database.begin(0).await?;
        let insert = "INSERT INTO task_partials (run, step, item, text)
            SELECT $1, $2, $3, $4 FROM task_runs WHERE id = $1 AND lease_owner = $5 AND fence = $6
            ON CONFLICT (run, step, item) DO UPDATE SET text = $4";
        if tx.execute(insert, args![&lease.run, step, item, text, &lease.owner, lease.fence]).await? == 0 {
            return Err(TaskError::Lost);
        }
        tx.commit().await
    }

    /// The beginnings of answers of a run, by step and item.
    pub(crate) async fn partials(&self, run: &str) -> Result<Vec<(String, i64, String)>, TaskError> {
        let select = "SELECT step, item, text FROM task_partials WHERE run = $1";
        let rows = self.database.rows(select, args![run]).await?;
        rows.iter().map(|row| Ok((row.text("step")?, row.int("item")?, row.text("text")?))).collect()
    }

    /// How long a step's output was in the last runs that came to a good end.
    pub(crate) async fn lengths(&self, task: &str, step: &str) -> Result<Vec<u64>, TaskError> {
        let select = "SELECT chars FROM task_lengths WHERE task = $1 AND step = $2 ORDER BY run DESC LIMIT $3";
        let rows = self.database.rows(select, args![task, step, EARLIER_MAX]).await?;
        rows.iter().map(|row| Ok(row.int("chars")? as u64)).collect()
    }

    /// Removes ended runs that are not to be kept: the too old, the too many of each task, and the oldest of all while there are
    /// too many bytes; then versions that nobody goes by. Runs that others wait for, and runs of which the house has not heard
    /// everything, stay. Tells how many runs were removed.
    pub(crate) async fn remove_old(&self, keep: &Keep, now_ms: i64) -> Result<u64, TaskError> {
        let mut removed = 0;
        let by_age = "SELECT id FROM task_runs r WHERE place = 2 AND told >= events AND ended_ms < $1
              AND NOT EXISTS (SELECT 1 FROM task_runs p WHERE p.id = r.parent AND p.place <> 2)
            ORDER BY ended_ms LIMIT $2";
        removed += self.remove(by_age, args![keep.after_ms, REMOVED_AT_ONCE], now_ms).await?;
        let by_count = "SELECT id FROM task_runs r WHERE task = $1 AND place = 2 AND told >= events
              AND id < (SELECT id FROM task_runs k WHERE k.task = $1 AND k.place = 2 ORDER BY id DESC LIMIT 1 OFFSET $2)
              AND NOT EXISTS (SELECT 1 FROM task_runs p WHERE p.id = r.parent AND p.place <> 2)
            ORDER BY id LIMIT $3";
        for row in self.database.rows("SELECT task FROM task_places", args![]).await? {
            let task = row.text("task")?;
            let offset = i64::from(keep.runs.max(1)) - 1;
            removed += self.remove(by_count, args![task, offset, REMOVED_AT_ONCE], now_ms).await?;
        }
        removed += self.remove_beyond(keep.bytes, now_ms).await?;
        let mut tx = self.database.begin(now_ms).await?;
        let versions = "DELETE FROM task_versions WHERE version NOT IN (SELECT version FROM tasks)
            AND version NOT IN (SELECT version FROM task_runs)";
        tx.execute(versions, args![]).await?;
        tx.commit().await?;
        if removed > 0 {
            self.database.shrink().await?;
        }
        Ok(removed)
    }

    /// Removes the oldest ended runs until so many bytes of events are left.
    async fn remove_beyond(&self, bytes: i64, now_ms: i64) -> Result<u64, TaskError> {
        let sum = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM task_runs WHERE place = 2";
        let mut too_many = self.database.rows(sum, args![]).await?[0].int("bytes")? - bytes;
        let oldest = "SELECT id, bytes FROM task_runs r WHERE place = 2 AND told >= events
              AND NOT EXISTS (SELECT 1 FROM task_runs p WHERE p.id = r.parent AND p.place <> 2)
            ORDER BY ended_ms, id LIMIT $1";
        let mut removed = 0;
        for _ in 0..ROUNDS_MAX {
            if too_many <= 0 {
                break;
            }
            let mut ids = Vec::new();
            for row in self.database.rows(oldest, args![REMOVED_AT_ONCE]).await? {
                if too_many > 0 {
                    too_many -= row.int("bytes")?;
                    ids.push(row.text("id")?);
                }
            }
            let mut tx = self.database.begin(now_ms).await?;
            let gone = remove_runs(&mut tx, &ids).await?;
            tx.commit().await?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        Ok(removed)
    }

    async fn remove(&self, select: &str, args: Vec<Arg>, now_ms: i64) -> Result<u64, TaskError> {
        let mut removed = 0;
        for _ in 0..ROUNDS_MAX {
            let mut tx = self.database.begin(now_ms).await?;
            let rows = tx.rows(select, args.clone()).await?;
            let ids = rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, _>>()?;
            removed += remove_runs(&mut tx, &ids).await?;
            tx.commit().await?;
            if ids.len() < REMOVED_AT_ONCE as usize {
                break;
            }
        }
        Ok(removed)
    }
}

/// Removes runs with all that belongs to them, and tells how many there were.
async fn remove_runs(tx: &mut Tx, ids: &[String]) -> Result<u64, TaskError> {
    let mut removed = 0;
    for id in ids {
        // Nobody retried it meanwhile.
        if tx.execute("DELETE FROM task_runs WHERE id = $1 AND place = 2", args![id]).await? == 0 {
            continue;
        }
        for table in ["task_events", "task_leases", "task_partials", "task_lengths"] {
            tx.execute(&format!("DELETE FROM {table} WHERE run = $1"), args![id]).await?;
        }
        removed += 1;
    }
    Ok(removed)
}
