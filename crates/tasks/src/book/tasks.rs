//! Tasks: which are in force, in which versions, and up to where their schedules were looked at.

use super::Book;
use super::database::args;
use super::runs::{NewRun, insert};
use crate::definition::Definition;
use crate::error::TaskError;
use crate::hands::Turned;

/// A task in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskRow {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) is_held: bool,
    pub(crate) cursor_ms: i64,
}

impl Book {
    /// Makes these the tasks in force. A task that is new begins its schedule now.
    pub(crate) async fn publish(&self, definitions: &[Definition], now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        tx.execute("UPDATE tasks SET is_there = 0", args![]).await?;
        for definition in definitions {
            let Definition { name, version, text, .. } = definition;
            let keep = "INSERT INTO task_versions (version, task, text, created_ms) VALUES ($1, $2, $3, $4)
                ON CONFLICT (version) DO NOTHING";
            tx.execute(keep, args![version, name, text, now_ms]).await?;
            // One that was away for a while does not catch up on that time.
            let set = "INSERT INTO tasks (name, version, is_there, is_held, cursor_ms) VALUES ($1, $2, 1, 0, $3)
                ON CONFLICT (name) DO UPDATE SET version = $2, is_there = 1";
            tx.execute(set, args![name, version, now_ms]).await?;
        }
        tx.commit().await
    }

    /// The tasks in force, by name.
    pub(crate) async fn tasks(&self) -> Result<Vec<TaskRow>, TaskError> {
        let select = "SELECT name, version, is_held, cursor_ms FROM tasks WHERE is_there = 1 ORDER BY name";
        let rows = self.database.rows(select, args![]).await?;
        let row = |row: &super::database::Row| {
            Ok(TaskRow {
                name: row.text("name")?,
                version: row.text("version")?,
                is_held: row.int("is_held")? != 0,
                cursor_ms: row.int("cursor_ms")?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// A kept version: the task's name and its text.
    pub(crate) async fn version(&self, version: &str) -> Result<Option<(String, String)>, TaskError> {
        let select = "SELECT task, text FROM task_versions WHERE version = $1";
        let rows = self.database.rows(select, args![version]).await?;
        rows.first().map(|row| Ok((row.text("task")?, row.text("text")?))).transpose()
    }

    /// Holds a task's schedule, or lets it go on from now.
    pub(crate) async fn set_held(&self, task: &str, is_held: bool, who: &str, now_ms: i64) -> Result<(), TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update = "UPDATE tasks SET cursor_ms = CASE WHEN is_held = 1 THEN $3 ELSE cursor_ms END,
                turned_by = CASE WHEN is_held = $2 THEN turned_by ELSE $4 END,
                is_turn_told = CASE WHEN is_held = $2 THEN is_turn_told ELSE 0 END, is_held = $2
            WHERE name = $1 AND is_there = 1";
        if tx.execute(update, args![task, is_held, now_ms, who]).await? == 0 {
            return Err(TaskError::NoTask(task.to_owned()));
        }
        tx.commit().await
    }

    /// Schedules that were held or let go on, of which the house has not heard.
    pub(crate) async fn untold_turns(&self) -> Result<Vec<Turned>, TaskError> {
        let select = "SELECT name, is_held, turned_by FROM tasks WHERE is_turn_told = 0 ORDER BY name";
        let rows = self.database.rows(select, args![]).await?;
        let turned = |row: &super::database::Row| {
            Ok(Turned { task: row.text("name")?, is_held: row.int("is_held")? != 0, who: row.text("turned_by")? })
        };
        rows.iter().map(turned).collect()
    }

    /// Notes that the house has heard of it.
    pub(crate) async fn turn_told(&self, turned: &Turned) -> Result<(), TaskError> {
        let mut tx = self.database.begin(0).await?;
        let update = "UPDATE tasks SET is_turn_told = 1 WHERE name = $1 AND is_held = $2";
        tx.execute(update, args![&turned.task, turned.is_held]).await?;
        tx.commit().await
    }

    /// Moves a schedule's cursor from where it was last seen, together with the runs that are due; does nothing when another node
    /// did so. Tells whether it was moved.
    pub(crate) async fn move_cursor(
        &self,
        seen: &TaskRow,
        cursor_ms: i64,
        runs: &[NewRun],
        now_ms: i64,
    ) -> Result<bool, TaskError> {
        let mut tx = self.database.begin(now_ms).await?;
        let update =
            "UPDATE tasks SET cursor_ms = $3 WHERE name = $1 AND cursor_ms = $2 AND is_held = 0 AND is_there = 1";
        if tx.execute(update, args![&seen.name, seen.cursor_ms, cursor_ms]).await? == 0 {
            return Ok(false);
        }
        for run in runs {
            insert(&mut tx, run, now_ms).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}
