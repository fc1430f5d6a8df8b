//! Who uploaded, made, cancelled and got what, as records: names, counts and outcomes, no prompt and no answer.

use tollhouse_gateway::Owner;
use tollhouse_journal::{Journal, Level, Record};

use crate::batch::{Batch, Status};
use crate::deferred::Deferred;
use crate::files::KeptFile;

/// Where these records come from.
const CALLER: &str = "batches/clerk.rs";

fn write(journal: &Journal, owner: &Owner, record: Record) {
    let mut record = record.caller(CALLER).field("client_ip", owner.client.to_string());
    if let Some(key) = &owner.key_id {
        record = record.field("key_id", key.as_str());
    }
    if let Some(user) = &owner.user {
        record = record.field("user_id", user.as_str());
    }
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording what becomes of a batch");
    }
}

/// Something was done with a file: `uploaded`, `read` or `deleted`.
pub(crate) fn file(journal: &Journal, owner: &Owner, file: &KeptFile, event: &'static str) {
    let record = Record::new("batch", Level::Info, format!("file {event}"))
        .field("batch_event", format!("file_{event}"))
        .field("file_id", file.id.as_str())
        .field("file_bytes", file.bytes);
    write(journal, owner, record);
}

/// A batch has come to another status, or somebody asked for its end.
pub(crate) fn batch(journal: &Journal, batch: &Batch, event: &'static str) {
    let level = match batch.status {
        Status::Failed | Status::Expired => Level::Error,
        _ => Level::Info,
    };
    let mut record = Record::new("batch", level, format!("batch {event}"))
        .field("batch_event", event)
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
    write(journal, &batch.owner(), record);
}

/// A request that is answered later has come to another status.
pub(crate) fn deferred(journal: &Journal, deferred: &Deferred, event: &'static str, error: Option<String>) {
    let level = if error.is_some() { Level::Error } else { Level::Info };
    let mut record = Record::new("batch", level, format!("deferred request {event}"))
        .field("batch_event", format!("later_{event}"))
        .field("batch", deferred.id.as_str())
        .field("path", deferred.kind.path())
        .field("model", deferred.model.as_str());
    if let Some(status) = deferred.http_status {
        record = record.field("status", status);
    }
    if let Some(error) = error {
        record = record.field("error", error);
    }
    write(journal, &deferred.owner(), record);
}
