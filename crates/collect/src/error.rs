//! What can go wrong when a source is set up. What goes wrong while it runs is told as events and never ends it.

use std::io;

use thiserror::Error;

/// Why a source cannot start.
#[derive(Debug, Error)]
pub enum CollectError {
    /// A pattern of paths that cannot be used.
    #[error("failed to read the pattern {pattern:?}: {why}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The thread that reads could not be made.
    #[error("failed to start the thread that reads files")]
    Thread(#[source] io::Error),
}
