//! What is kept for how long, and small things beside the histories.

use super::database::args;
use super::{Book, Lease};
use crate::error::TaskError;

/// Runs that are removed in one transaction.
const REMOVED_AT_ONCE: i64 = 200;
/// Transactions of one round; what is left comes with the next.
const ROUNDS_MAX: usize = 100;
/// Runs that an output is compared with.
const EARLIER_MAX: i64 = 20;

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

    /// Removes runs that ended before `before_ms`, and of each task those beyond the `keep_runs` newest; then versions that
    /// nobody goes by. Runs that others wait for, and runs of which the house has not heard everything, stay. Tells how many
    /// runs were removed.
    pub(crate) async fn remove_old(&self, keep_runs: u32, before_ms: i64, now_ms: i64) -> Result<u64, TaskError> {
        let mut removed = 0;
        let by_age = "SELECT id FROM task_runs r WHERE place = 2 AND told >= events AND ended_ms < $1
              AND NOT EXISTS (SELECT 1 FROM task_runs p WHERE p.id = r.parent AND p.place <> 2)
            ORDER BY ended_ms LIMIT $2";
        removed += self.remove(by_age, args![before_ms, REMOVED_AT_ONCE], now_ms).await?;
        let by_count = "SELECT id FROM task_runs r WHERE task = $1 AND place = 2 AND told >= events
              AND id < (SELECT id FROM task_runs k WHERE k.task = $1 AND k.place = 2 ORDER BY id DESC LIMIT 1 OFFSET $2)
              AND NOT EXISTS (SELECT 1 FROM task_runs p WHERE p.id = r.parent AND p.place <> 2)
            ORDER BY id LIMIT $3";
        for row in self.database.rows("SELECT task FROM task_places", args![]).await? {
            let task = row.text("task")?;
            let offset = i64::from(keep_runs.max(1)) - 1;
            removed += self.remove(by_count, args![task, offset, REMOVED_AT_ONCE], now_ms).await?;
        }
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

    async fn remove(&self, select: &str, args: Vec<super::database::Arg>, now_ms: i64) -> Result<u64, TaskError> {
        let mut removed = 0;
        for _ in 0..ROUNDS_MAX {
            let mut tx = self.database.begin(now_ms).await?;
            let rows = tx.rows(select, args.clone()).await?;
            for row in &rows {
                let id = row.text("id")?;
                // Nobody retried it meanwhile.
                if tx.execute("DELETE FROM task_runs WHERE id = $1 AND place = 2", args![&id]).await? == 0 {
                    continue;
                }
                for table in ["task_events", "task_leases", "task_partials", "task_lengths"] {
                    tx.execute(&format!("DELETE FROM {table} WHERE run = $1"), args![&id]).await?;
                }
                removed += 1;
            }
            tx.commit().await?;
            if rows.len() < REMOVED_AT_ONCE as usize {
                break;
            }
        }
        Ok(removed)
    }
}
