//! Steps that are runs of other tasks: begun once, and told how they ended.

use super::drive::Drive;
use crate::book::NewRun;
use crate::error::TaskError;
use crate::hands::{Outcome, StepError};
use crate::run::{Doing, Run};
use crate::shown::Status;
use crate::work::Work;

impl Drive<'_> {
    fn child_origin(&self, doing: &Doing) -> Option<String> {
        Some(format!("step:{}", self.run.key(&doing.step, doing.item)?))
    }

    pub(super) async fn child_id(&self, doing: &Doing) -> Result<Option<String>, TaskError> {
        let Some(origin) = self.child_origin(doing) else { return Ok(None) };
        self.shared.book.run_of(&origin).await
    }

    /// The run that a step began: begins it where it is not there, and tells how it ended when it did.
    pub(super) async fn child(&self, doing: &Doing) -> Result<Option<Result<Outcome, StepError>>, TaskError> {
        let (Work::Task(subtask), Some(origin)) = (&doing.work, self.child_origin(doing)) else { return Ok(None) };
        let book = &self.shared.book;
        let id = if let Some(id) = book.run_of(&origin).await? {
            id
        } else {
            let tasks = book.tasks().await?;
            let Some(row) = tasks.into_iter().find(|row| row.name == subtask.name) else {
                return Ok(Some(Err(StepError::lasting(format!("there is no task {}", subtask.name)))));
            };
            let definition = self.shared.definitions.get(&row.version).await?;
            let new = NewRun {
                origin: Some(origin),
                task: row.name,
                version: row.version,
                steps: definition.steps.len() as u32,
                concurrency: definition.concurrency,
                who: self.claimed.begin.who.clone(),
                input: subtask.input.clone(),
                scheduled_ms: None,
                parent: Some(self.claimed.lease.run.clone()),
                depth: self.claimed.depth + 1,
            };
            match book.begin_run(&new, self.shared.now_ms()).await {
                Ok(id) => {
                    self.shared.wake.notify_one();
                    id
                }
                Err(error @ TaskError::TooMuch { .. }) => {
                    return Ok(Some(Err(StepError::lasting(format!("the run cannot begin: {error}")))));
                }
                Err(error) => return Err(error),
            }
        };
        let row = book.run_row(&id).await?;
        Ok(match row.summary.status {
            Status::Done => {
                let definition = self.shared.definitions.get(&row.summary.version).await?;
                let run = Run::of(definition, row.begin, &book.history(&id).await?);
                let last = run.definition().steps.last().map(|step| step.name.clone()).unwrap_or_default();
                let value = run.value(&last).cloned().unwrap_or_default();
                Some(Ok(Outcome { value, tokens: run.tokens(), is_surely_once: true }))
            }
            Status::Failed | Status::Cancelled => {
                let why = row.summary.error.map(|why| format!(": {why}")).unwrap_or_default();
                let ending = row.summary.status.word();
                Some(Err(StepError::lasting(format!("run {id} of task {} {ending}{why}", subtask.name))))
            }
            _ => None,
        })
    }
}
