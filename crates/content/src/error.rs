//! What can go wrong here.

use tollhouse_journal::JournalError;
use tollhouse_state::StateError;

/// Why content could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The file that it lies in.
    #[error("keeping content")]
    Journal(#[from] JournalError),
    /// The store that its keys lie in.
    #[error("asking for a key of content")]
    State(#[from] StateError),
    /// Its owner's key was deleted.
    #[error("the content of request {0} was erased")]
    Erased(String),
    /// Neither written by this program nor whole.
    #[error("the content of request {0} is damaged")]
    Damaged(String),
    /// The thread that reads ended without an answer.
    #[error("reading content")]
    Reading(#[from] tokio::task::JoinError),
}
