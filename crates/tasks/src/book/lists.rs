//! Runs as they are listed, searched and shown.

use super::Book;
use super::database::{Arg, Row, args};
use super::runs::begin;
use crate::error::TaskError;
use crate::run::Begin;
use crate::shown::{Asked, Filter, Page, RunSummary, Status};

/// Runs of a page where nothing is said, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;
/// Questions that are shown at a time.
const QUESTIONS_MAX: i64 = 500;
/// Characters of a search.
const TEXT_CHARS_MAX: usize = 200;
/// The columns of a summary.
const COLUMNS: &str =
    "id, task, version, status, waiting, who, scheduled_ms, created_ms, started_ms, ended_ms, wake_ms,
    step, steps_done, steps, tokens, error, parent, place";

/// What the history alone does not tell of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunRow {
    pub(crate) summary: RunSummary,
    pub(crate) begin: Begin,
    pub(crate) told: i64,
}

impl Book {
    /// Runs, the newest first.
    pub(crate) async fn list(&self, filter: &Filter) -> Result<Page, TaskError> {
        let limit = if filter.limit == 0 { LIMIT } else { filter.limit.min(LIMIT_MAX) };
        let mut conditions = vec!["1 = 1".to_owned()];
        let mut bound: Vec<Arg> = Vec::new();
        let mut add = |condition: &str, arg: Arg| {
            bound.push(arg);
            conditions.push(condition.replace('?', &format!("${}", bound.len())));
        };
        if let Some(task) = &filter.task {
            add("task = ?", task.into());
        }
        if let Some(status) = filter.status {
            add("status = ?", status.word().into());
        }
        if let Some(text) = &filter.text {
            let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
            let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            add("words LIKE ? ESCAPE '\\'", format!("%{escaped}%").into());
        }
        if let Some(before) = &filter.before {
            add("id < ?", before.into());
        }
        bound.push(Arg::from(limit + 1));
        let conditions = conditions.join(" AND ");
        let at = bound.len();
        // The names are found in an index that holds all that is looked at; only those of the page are read whole.
        let select = format!(
            "SELECT {COLUMNS} FROM task_runs WHERE id IN
                (SELECT id FROM task_runs WHERE {conditions} ORDER BY id DESC LIMIT ${at})
             ORDER BY id DESC"
        );
        let rows = self.database.rows(&select, bound).await?;
        let mut runs = rows.iter().map(summary).collect::<Result<Vec<_>, _>>()?;
        let next = (runs.len() > limit as usize).then(|| runs[limit as usize - 1].id.clone());
        runs.truncate(limit as usize);
        Ok(Page { runs, next })
    }

    /// A run's row.
    pub(crate) async fn run_row(&self, run: &str) -> Result<RunRow, TaskError> {
        let select = format!("SELECT {COLUMNS}, input, for_ms, told FROM task_runs WHERE id = $1");
        let rows = self.database.rows(&select, args![run]).await?;
        let row = rows.first().ok_or_else(|| TaskError::NoRun(run.to_owned()))?;
        Ok(RunRow { summary: summary(row)?, begin: begin(row)?, told: row.int("told")? })
    }

    /// The newest run of a task.
    pub(crate) async fn last_run(&self, task: &str) -> Result<Option<RunSummary>, TaskError> {
        let filter = Filter { task: Some(task.to_owned()), limit: 1, ..Filter::default() };
        Ok(self.list(&filter).await?.runs.pop())
    }

    /// The runs that a run began, the oldest first.
    pub(crate) async fn children(&self, run: &str) -> Result<Vec<RunSummary>, TaskError> {
        let select = format!("SELECT {COLUMNS} FROM task_runs WHERE parent = $1 ORDER BY id");
        self.database.rows(&select, args![run]).await?.iter().map(summary).collect()
    }

    /// Everything that waits for a human, the oldest first.
    pub(crate) async fn questions(&self) -> Result<Vec<Asked>, TaskError> {
        let select = "SELECT id, asked FROM task_runs WHERE asked IS NOT NULL AND place = 1 ORDER BY id LIMIT $1";
        let rows = self.database.rows(select, args![QUESTIONS_MAX]).await?;
        let read = |row: &Row| {
            let text = row.maybe_text("asked")?.unwrap_or_default();
            let id = row.text("id")?;
            serde_json::from_str(&text)
                .map_err(|error| TaskError::Book { what: format!("the question of run {id}"), why: error.to_string() })
        };
        rows.iter().map(read).collect()
    }
}

fn summary(row: &Row) -> Result<RunSummary, TaskError> {
    let status = row.text("status")?;
    Ok(RunSummary {
        id: row.text("id")?,
        task: row.text("task")?,
        version: row.text("version")?,
        status: Status::of(&status).unwrap_or(Status::Waiting),
        waiting: row.maybe_text("waiting")?,
        who: row.text("who")?,
        scheduled_ms: row.maybe_int("scheduled_ms")?,
        created_ms: row.int("created_ms")?,
        started_ms: row.maybe_int("started_ms")?,
        ended_ms: row.maybe_int("ended_ms")?,
        wake_ms: row.maybe_int("wake_ms")?,
        step: row.maybe_text("step")?,
        steps_done: row.int("steps_done")? as u32,
        steps: row.int("steps")? as u32,
        tokens: row.int("tokens")? as u64,
        error: row.maybe_text("error")?,
        parent: row.maybe_text("parent")?,
    })
}
