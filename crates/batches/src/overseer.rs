//! What whoever keeps the house sees of everybody's batches and answers that come later, and how they are ended.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::batch::{Batch, Status};
use crate::clerk::Clerk;
use crate::deferred::{self, Deferred, Kind};
use crate::error::BatchError;
use crate::files::Part;
use crate::lines::LineError;
use crate::record::Counts;

/// Entries of a page.
const PAGE_MAX: u32 = 200;

/// Sees everything, and may end it; clones are the same. Nothing that it tells holds a prompt or an answer.
#[derive(Clone)]
pub struct Overseer(pub(crate) Arc<Clerk>);

impl fmt::Debug for Overseer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overseer").finish_non_exhaustive()
    }
}

/// A batch as its overseer sees it. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ConsoleBatch {
    id: String,
    /// The key that made it; none where no key is asked for.
    key_id: Option<String>,
    /// Whose requests they are: the user of that key, or its name.
    user: Option<String>,
    status: Status,
    /// Nothing further becomes of it.
    is_over: bool,
    endpoint: String,
    /// As the client said it.
    completion_window: String,
    /// Requests.
    total: u64,
    /// Those that have their answer.
    completed: u64,
    /// Those that have an error in place of one.
    failed: u64,
    created_ms: i64,
    /// When no further request of it is asked.
    expires_ms: i64,
    in_progress_ms: Option<i64>,
    finalizing_ms: Option<i64>,
    cancelling_ms: Option<i64>,
    ended_ms: Option<i64>,
    input_file_id: String,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    /// Why it failed, by line.
    #[schema(value_type = Vec<BatchFault>)]
    errors: Vec<LineError>,
}

/// Something that is wrong with a batch's file.
#[expect(dead_code, reason = "what is sent is an error of a line; this says what it is")]
#[derive(utoipa::ToSchema)]
pub struct BatchFault {
    code: String,
    message: String,
    param: Option<String>,
    /// Counted from 1.
    line: Option<u64>,
}

impl From<Batch> for ConsoleBatch {
    fn from(batch: Batch) -> Self {
        Self {
            is_over: batch.status.is_over(),
            id: batch.id,
            key_id: batch.key_id,
            user: batch.user,
            status: batch.status,
            endpoint: batch.endpoint,
            completion_window: batch.completion_window,
            total: batch.total,
            completed: batch.completed,
            failed: batch.failed,
            created_ms: batch.created_ms,
            expires_ms: batch.expires_ms,
            in_progress_ms: batch.in_progress_ms,
            finalizing_ms: batch.finalizing_ms,
            cancelling_ms: batch.cancelling_ms,
            ended_ms: batch.ended_ms,
            input_file_id: batch.input_file_id,
            output_file_id: batch.output_file_id,
            error_file_id: batch.error_file_id,
            errors: batch.errors,
        }
    }
}

/// A request that is answered later, as its overseer sees it. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ConsoleLater {
    id: String,
    /// By which API it came.
    api: Kind,
    /// The key that asked; none where no key is asked for.
    key_id: Option<String>,
    /// Whose request it is.
    user: Option<String>,
    model: String,
    status: deferred::Status,
    /// It has its answer, or gets none any more.
    is_over: bool,
    created_ms: i64,
    ended_ms: Option<i64>,
    /// Until when it is kept.
    expires_ms: i64,
    /// What the gate answered with.
    http_status: Option<u16>,
    /// A webhook is told when it is over.
    has_webhook: bool,
}

impl From<Deferred> for ConsoleLater {
    fn from(deferred: Deferred) -> Self {
        Self {
            is_over: deferred.status.is_over(),
            id: deferred.id,
            api: deferred.kind,
            key_id: deferred.key_id,
            user: deferred.user,
            model: deferred.model,
            status: deferred.status,
            created_ms: deferred.created_ms,
            ended_ms: deferred.ended_ms,
            expires_ms: deferred.expires_ms,
            http_status: deferred.http_status,
            has_webhook: deferred.webhook.is_some(),
        }
    }
}

/// What is kept and under way, of everybody.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct BatchUse {
    /// Batches that are not over.
    open: u64,
    /// Files.
    files: u64,
    /// What is kept altogether, in bytes.
    bytes: u64,
    /// How many bytes may be.
    bytes_max: u64,
    /// Requests that are answered later and have no answer yet.
    later_open: u64,
}

/// The figures of a moment, for `/metrics`.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What happened since the engine began.
    pub counts: Counts,
    /// Batches that are not over, by the word of their state.
    pub open: Vec<(&'static str, u64)>,
    /// Requests of those that have no answer yet.
    pub waiting: u64,
    /// Requests that are answered later and have no answer yet, by the word of their state.
    pub later: Vec<(&'static str, u64)>,
    /// What is kept altogether, in bytes.
    pub bytes: u64,
}

impl Overseer {
    /// Batches, the newest first, behind that of this id; and whether there are more.
    pub async fn batches(&self, after: Option<String>, limit: u32) -> Result<(Vec<ConsoleBatch>, bool), BatchError> {
        let (batches, has_more) = self.0.cabinet.batches(None, &part(after, limit)).await?;
        Ok((batches.into_iter().map(ConsoleBatch::from).collect(), has_more))
    }

    /// Ends a batch: what is under way is asked no further, and what was answered stays.
    pub async fn cancel(&self, id: &str) -> Result<ConsoleBatch, BatchError> {
        Ok(self.0.cancel_batch(id).await?.into())
    }

    /// Requests that are answered later, the newest first, behind that of this id; and whether there are more.
    pub async fn later(&self, after: Option<String>, limit: u32) -> Result<(Vec<ConsoleLater>, bool), BatchError> {
        let (later, has_more) = self.0.cabinet.all_deferred(&part(after, limit)).await?;
        Ok((later.into_iter().map(ConsoleLater::from).collect(), has_more))
    }

    /// Gives up on a request that is answered later.
    pub async fn cancel_later(&self, id: &str) -> Result<ConsoleLater, BatchError> {
        Ok(self.0.cancel_deferred(id).await?.into())
    }

    /// What is kept and under way.
    pub async fn used(&self) -> Result<BatchUse, BatchError> {
        let cabinet = &self.0.cabinet;
        let (used, (open, later_open)) = (cabinet.used_of_all().await?, self.open().await?);
        let bytes_max = self.0.settings.bytes_max_of_all;
        Ok(BatchUse { open, files: used.files_of_all, bytes: used.bytes_of_all, bytes_max, later_open })
    }

    /// How many batches and requests that are answered later are not over.
    pub async fn open(&self) -> Result<(u64, u64), BatchError> {
        self.0.cabinet.open_count().await
    }

    /// The figures of this moment.
    pub async fn figures(&self) -> Result<Figures, BatchError> {
        let cabinet = &self.0.cabinet;
        let (open, waiting) = cabinet.open_by_status().await?;
        let later = cabinet.open_deferred_by_status().await?;
        let counts = self.0.records.counts();
        let bytes = cabinet.used_of_all().await?.bytes_of_all;
        let [validating, in_progress, finalizing, cancelling] =
            [Status::Validating, Status::InProgress, Status::Finalizing, Status::Cancelling]
                .map(|status| (status.word(), open.get(&status).copied().unwrap_or(0)));
        let [queued, asked] = [deferred::Status::Queued, deferred::Status::InProgress]
            .map(|status| (status.word(), later.get(&status).copied().unwrap_or(0)));
        let open = vec![validating, in_progress, finalizing, cancelling];
        Ok(Figures { counts, open, waiting, later: vec![queued, asked], bytes })
    }
}

fn part(after: Option<String>, limit: u32) -> Part {
    Part { after, limit: limit.clamp(1, PAGE_MAX), is_newest_first: true }
}
