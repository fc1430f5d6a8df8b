//! What can go wrong with shipping, apart from what a cluster answers.

use std::path::{Path, PathBuf};

use tollhouse_journal::JournalError;

use crate::trouble::Trouble;

/// Why a destination cannot be used, or its cursor not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// Nothing can be encrypted, or nobody be trusted.
    #[error(transparent)]
    Outbound(#[from] tollhouse_outbound::OutboundError),
    /// Name, password or key have characters that a request's head cannot carry.
    #[error("the login of {0} has characters in it that cannot be sent")]
    Login(String),
    /// An address is none.
    #[error("{0} is no address of a server")]
    Address(String),
    /// A cursor cannot be read or written.
    #[error("{action} the cursor {}", path.display())]
    Cursor {
        /// What was being done, as in "writing".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system, or the reader of JSON, said.
        #[source]
        source: std::io::Error,
    },
    /// The journal cannot be read.
    #[error("reading the journal")]
    Journal(#[from] JournalError),
    /// The cluster does not answer, or not what was asked for.
    #[error("asking {name}: {trouble}")]
    Cluster {
        /// The destination.
        name: String,
        /// What it said.
        trouble: Trouble,
    },
}

impl ShipError {
    /// For `map_err`: names what was being done to which cursor.
    pub(crate) fn cursor(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Cursor { action, path, source }
    }
}
