//! What can go wrong before a process runs.

use std::io;
use std::path::PathBuf;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// Nothing says what to start.
    #[error("no command is given")]
    NoCommand,
    /// The system did not start it.
    #[error("starting {program}: {source}")]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The pipe of what it says.
    #[error("opening its output {}: {source}", path.display())]
    Output {
        /// The pipe.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody is called so here.
    #[error("finding the user {0} in /etc/passwd")]
    User(String),
    /// The socket by which it says that it is ready.
    #[error("opening its notify socket: {0}")]
    Notify(io::Error),
}
