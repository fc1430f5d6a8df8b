//! Why something cannot be kept, found or done, and how that is told.

use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use tollhouse_gateway::Refusal;
use tollhouse_journal::JournalError;
use tollhouse_tasks::TaskError;
use tollhouse_units::chain;

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is no such thing, or it is somebody else's.
    #[error("there is no {what} '{id}'")]
    Unknown {
        /// What was asked for.
        what: &'static str,
        /// Its id, as it was named.
        id: String,
    },
    /// The call is not what the API takes.
    #[error("{message}")]
    Wrong {
        /// What is wrong, and what would be right.
        message: String,
        /// The field.
        param: Option<&'static str>,
    },
    /// More than one file, or one body, may have.
    #[error("{0}")]
    TooLarge(String),
    /// More than one key, or the house, may keep.
    #[error("{0}")]
    TooMuch(String),
    /// It cannot be done to what it has become.
    #[error("{0}")]
    NotNow(String),
    /// There is such a path, but not with this method; those that there are.
    #[error("method not allowed here")]
    Method(&'static str),
    /// There is no such path.
    #[error("no such path")]
    Path,
    /// The database could not be asked.
    #[error("asking the database of batches")]
    Database(#[from] sqlx::Error),
    /// Its tables could not be brought up to date.
    #[error("bringing the database of batches up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The engine could not take it.
    #[error("handing it to the engine")]
    Task(#[from] TaskError),
    /// A file of ours could not be read or written.
    #[error("{path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A record that has to be there could not be written.
    #[error("writing a record")]
    Record(#[from] JournalError),
    /// What we kept cannot be read.
    #[error("reading what was kept")]
    Kept(#[from] serde_json::Error),
}

impl BatchError {
    /// Trouble with a file of ours.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    pub(crate) fn wrong(message: impl Into<String>, param: &'static str) -> Self {
        Self::Wrong { message: message.into(), param: Some(param) }
    }

    /// Status and stable word of an answer that says so.
    pub fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::Wrong { .. } => (StatusCode::BAD_REQUEST, "invalid_value"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "file_too_large"),
            Self::TooMuch(_) => (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"),
            Self::NotNow(_) => (StatusCode::CONFLICT, "conflict"),
            Self::Path => (StatusCode::NOT_FOUND, "unknown_path"),
            Self::Method(_)
            | Self::Database(_)
            | Self::Migration(_)
            | Self::Task(_)
            | Self::File { .. }
            | Self::Record(_)
            | Self::Kept(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }
}

impl From<BatchError> for Refusal {
    fn from(error: BatchError) -> Self {
        if let BatchError::Method(methods) = error {
            return Self::MethodNotAllowed(methods);
        }
        let (status, code) = error.told();
        if status.is_server_error() {
            // Paths and statements are the operator's.
            tracing::error!(error = chain(&error), "keeping files and batches");
            let message = "the service could not keep or find that right now, please try again shortly".to_owned();
            return Self::Later { status, message, code, param: None };
        }
        let param = if let BatchError::Wrong { param, .. } = &error { *param } else { None };
        Self::Later { status, message: error.to_string(), code, param }
    }
}
