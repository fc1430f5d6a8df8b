//! Begins the runs of schedules when their times have come.

use std::sync::Arc;

use serde_json::Map;

use super::Shared;
use crate::book::{NewRun, TaskRow};
use crate::definition::Definition;
use crate::error::TaskError;
use crate::schedule::due;

/// A schedule that was looked at so far in the future is not believed: the clock was wrong, and was set back. Nothing runs twice by
/// that, since each time has one run.
const AHEAD_MAX_MS: i64 = 3_600_000;
/// Who begins the runs of schedules.
pub(crate) const SCHEDULE: &str = "schedule";

pub(super) async fn schedule(shared: Arc<Shared>) {
    loop {
        if let Err(error) = look(&shared).await {
            tracing::warn!(error = tollhouse_units::chain(&error), "cannot look at the schedules of tasks");
        }
        let next_ms = shared.clock.moment().steady_ms + 1000;
        tokio::select! {
            () = shared.clock.sleep_until(next_ms) => {}
            // A clock that was set is not slept through.
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
        }
    }
}

/// Begins what is due.
async fn look(shared: &Shared) -> Result<(), TaskError> {
    let now_ms = shared.now_ms();
    for row in shared.book.tasks().await? {
        if row.is_held {
            continue;
        }
        match shared.definitions.get(&row.version).await {
            Ok(definition) => begin_due(shared, &row, &definition, now_ms).await?,
            Err(error) => tracing::warn!(task = row.name, error = tollhouse_units::chain(&error), "a task is left out"),
        }
    }
    Ok(())
}

async fn begin_due(shared: &Shared, row: &TaskRow, definition: &Definition, now_ms: i64) -> Result<(), TaskError> {
    let Some(schedule) = &definition.schedule else { return Ok(()) };
    let cursor_ms = if row.cursor_ms > now_ms + AHEAD_MAX_MS { now_ms } else { row.cursor_ms };
    let due = due(schedule, cursor_ms, now_ms, definition.catch_up);
    if due.times_ms.is_empty() && due.left_out == 0 && cursor_ms == row.cursor_ms {
        return Ok(());
    }
    if due.left_out > 0 {
        tracing::info!(task = row.name, times = due.left_out, "times of a task's schedule were missed and get no run");
    }
    let runs: Vec<NewRun> = due.times_ms.iter().map(|at_ms| new_run(row, definition, *at_ms)).collect();
    match shared.book.move_cursor(row, due.cursor_ms, &runs, now_ms).await {
        Ok(_) => shared.wake.notify_one(),
        // Its runs pile up: this time is left out, and the next one is tried.
        Err(TaskError::TooMuch { what, most }) => {
            tracing::warn!(task = row.name, what, most, "a scheduled time gets no run");
            shared.book.move_cursor(row, due.cursor_ms, &[], now_ms).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn new_run(row: &TaskRow, definition: &Definition, at_ms: i64) -> NewRun {
    NewRun {
        origin: Some(format!("at:{}:{at_ms}", row.name)),
        task: row.name.clone(),
        version: row.version.clone(),
        steps: definition.steps.len() as u32,
        concurrency: definition.concurrency,
        who: SCHEDULE.to_owned(),
        input: Map::new(),
        scheduled_ms: Some(at_ms),
        parent: None,
        depth: 0,
    }
}
