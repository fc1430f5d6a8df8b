//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tollhouse_query::ParseError;

/// An error of the store: of the one who asks ([`StoreError::is_callers_fault`]) or of the machine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A search named an index that does not exist.
    #[error("no such index [{index}]")]
    IndexNotFound {
        /// The name that was asked for.
        index: String,
    },
    /// A query, date, zone or interval that does not fit the fields.
    #[error(transparent)]
    Query(#[from] ParseError),
    /// A value in the request that is not allowed.
    #[error("{reason}")]
    Invalid {
        /// What is wrong, as Elasticsearch says it where it does.
        reason: String,
    },
    /// Aggregations that cannot be put together like this.
    #[error("{reason}")]
    Aggregation {
        /// What is wrong, as Elasticsearch says it where it does.
        reason: String,
    },
    /// A search would have made more buckets than allowed.
    #[error(
        "Trying to create too many buckets. Must be less than or equal to: [{max}] but this number of buckets was exceeded. This limit can be set by changing the [search.max_buckets] cluster level setting."
    )]
    TooManyBuckets {
        /// How many are allowed.
        max: usize,
    },
    /// A file or folder could not be used.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Tantivy failed.
    #[error("{doing}")]
    Index {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: tantivy::TantivyError,
    },
    /// A column of an index could not be read.
    #[error("{doing}")]
    Column {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The journal could not be read.
    #[error("reading the journal")]
    Journal {
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The journal was not synced in time, so its newest records are not committed yet.
    #[error("waiting for the journal to be synced up to record {seq}")]
    NotSynced {
        /// The record.
        seq: u64,
    },
    /// A search that must be whole was not.
    #[error("{doing} took too long")]
    TimedOut {
        /// What was being done.
        doing: &'static str,
    },
    /// A store that was opened for reading was asked to write, or is already being written.
    #[error("the index store is {state}")]
    NotWritable {
        /// Why not.
        state: &'static str,
    },
}

impl StoreError {
    /// Whether the request is wrong, so that asking again the same way is of no use.
    pub fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            Self::IndexNotFound { .. }
                | Self::Query(_)
                | Self::Invalid { .. }
                | Self::Aggregation { .. }
                | Self::TooManyBuckets { .. }
        )
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// Elasticsearch's answer to sorting or aggregating by a text.
    pub(crate) fn text_has_no_values(field: &str) -> Self {
        Self::invalid(format!(
            "Fielddata is disabled on [{field}]. Text fields are not optimised for operations that require per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead."
        ))
    }

    pub(crate) fn tantivy(doing: &'static str) -> impl FnOnce(tantivy::TantivyError) -> Self {
        move |source| Self::Index { doing, source }
    }

    pub(crate) fn column(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Column { doing, source }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
