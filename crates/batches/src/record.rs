//! Who uploaded, made, cancelled and got what, as records and as counts for `/metrics`: names, numbers and outcomes, no prompt and no
//! answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tollhouse_gateway::Owner;
use tollhouse_journal::{Journal, Level, Record};

use crate::batch::{Batch, Status};
use crate::deferred::Deferred;
use crate::erase::Erased;
use crate::error::BatchError;
use crate::files::KeptFile;

/// Where these records come from.
const CALLER: &str = "batches/clerk.rs";

/// Writes the records, and counts.
pub(crate) struct Records {
    journal: Journal,
    counts: Mutex<Counts>,
}

/// What happened since this began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// By `batch_event` of its records.
    pub events: BTreeMap<String, u64>,
    /// Requests of batches with an answer.
    pub done: u64,
    /// Requests of batches with an error in place of one.
    pub failed: u64,
}

impl Records {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, counts: Mutex::default() }
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        self.counted().clone()
    }

    fn counted(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, owner: &Owner, event: String, record: Record) {
        let mut record =
            record.caller(CALLER).field("batch_event", event.as_str()).field("client_ip", owner.client.to_string());
        if let Some(key) = &owner.key_id {
            record = record.field("key_id", key.as_str());
        }
        if let Some(user) = &owner.user {
            record = record.field("user_id", user.as_str());
        }
        *self.counted().events.entry(event).or_default() += 1;
        if let Err(error) = self.journal.enqueue(record) {
            tracing::error!(error = %error, "recording what becomes of a batch");
        }
    }

    /// A request of a batch has its answer, or an error in place of one. Its own record is the gate's.
    pub(crate) fn line(&self, is_ok: bool) {
        let mut counts = self.counted();
        if is_ok { counts.done += 1 } else { counts.failed += 1 }
    }

    /// Something was done with a file: `uploaded`, `read` or `deleted`.
    pub(crate) fn file(&self, owner: &Owner, file: &KeptFile, event: &'static str) {
        let record = Record::new("batch", Level::Info, format!("file {event}"))
            .field("file_id", file.id.as_str())
            .field("file_bytes", file.bytes);
        self.write(owner, format!("file_{event}"), record);
    }

    /// A batch has come to another status, or somebody asked for its end.
    pub(crate) fn batch(&self, batch: &Batch, event: &'static str) {
        let level = match batch.status {
            Status::Failed | Status::Expired => Level::Error,
            _ => Level::Info,
        };
        let mut record = Record::new("batch", level, format!("batch {event}"))
            .field("batch", batch.id.as_str())
            .field("file_id", batch.input_file_id.as_str())
            .field("path", batch.endpoint.as_str())
            .field("batch_requests", batch.total)
            .field("batch_completed", batch.completed)
            .field("batch_failed", batch.failed);
        if let Some(first) = batch.errors.first() {
            let line = first.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            record = record.field("error", format!("{line}{}", first.message));
        }
        self.write(&batch.owner(), event.to_owned(), record);
    }

    /// A request that is answered later has come to another status.
    pub(crate) fn deferred(&self, deferred: &Deferred, event: &'static str, error: Option<String>) {
        let level = if error.is_some() { Level::Error } else { Level::Info };
        let mut record = Record::new("batch", level, format!("deferred request {event}"))
            .field("batch", deferred.id.as_str())
            .field("path", deferred.kind.path())
            .field("model", deferred.model.as_str());
        if let Some(status) = deferred.http_status {
            record = record.field("status", status);
        }
        if let Some(error) = error {
            record = record.field("error", error);
        }
        self.write(&deferred.owner(), format!("later_{event}"), record);
    }

    /// What was kept of somebody was erased. Returns once that is on the disk.
    pub(crate) async fn erased(&self, erased: &Erased) -> Result<(), BatchError> {
        let record = Record::new("audit", Level::Info, "files and batches erased")
            .caller(CALLER)
            .field("owner", erased.owner.as_str())
            .field("erased_files", erased.files)
            .field("erased_batches", erased.batches)
            .field("erased_later", erased.later)
            .field("erased_ms", erased.erased_ms);
        self.journal.append_synced(record).await?;
        Ok(())
    }
}
