//! What the house must offer so that documents can be written.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::ElasticError;

/// A document as it was sent, and where it belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDocument {
    /// The day index: `<service>-2026.01.27`.
    pub index: String,
    /// The id that the client gave it.
    pub id: Option<String>,
    /// A JSON object.
    pub source: Bytes,
}

/// Takes documents for good: the journal, as this crate sees it.
pub trait Book: Send + Sync {
    /// Appends documents in this order and gives, for each, the number of its record once that is written; it may not be on
    /// the disk then.
    fn append(&self, documents: Vec<NewDocument>) -> BoxFuture<'_, Vec<Result<u64, ElasticError>>>;

    /// Waits until everything up to this record is on the disk.
    fn synced(&self, seq: u64) -> BoxFuture<'_, Result<(), ElasticError>>;

    /// Records that these indices are taken out of searching and by whom, and gives the number of that record once it is on
    /// the disk.
    fn delete(&self, indices: Vec<String>, by: Option<String>) -> BoxFuture<'_, Result<u64, ElasticError>>;
}

/// Who sends a request: an extension of it, for what is recorded of it.
#[derive(Clone, Debug)]
pub struct By(pub String);
