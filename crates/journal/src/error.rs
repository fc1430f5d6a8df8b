//! What can go wrong with the journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Errors of the journal. Cheap to clone, because one failed write is the answer to many appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Another process (or this one) has the journal open.
    #[error("opening journal {}: in use by process {}", file.display(), pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Locked {
        /// The journal that was to be opened.
        file: PathBuf,
        /// Process id of the owner, as written in the lock file.
        pid: Option<u32>,
    },
    /// The operating system refused something.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done, as in "writing".
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The disk did not take the record. It is counted, and a `gap` record tells once the disk takes records again: whoever
    /// can do without this record may go on.
    #[error("writing {}: the record is not kept", file.display())]
    NotKept {
        /// The journal.
        file: PathBuf,
        /// The system's answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The path does not name a file that can hold a journal.
    #[error("opening journal {}: not a usable file name", .0.display())]
    Name(PathBuf),
    /// There is a file that was never a journal.
    #[error(
        "opening journal {}: this file is no journal, not one of its lines is a record; it was not changed. Name another file in \
         `logging.file`, or move this one away",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The fields that every line carries are too long.
    #[error("opening journal: configured fields take {bytes} bytes of each line, at most {max} are allowed")]
    FieldsTooLong {
        /// Bytes they would take.
        bytes: usize,
        /// Bytes they may take.
        max: usize,
    },
    /// The queue to the writer is full; the record was not taken.
    #[error("appending to the journal: queue of {0} records is full")]
    Full(usize),
    /// The journal is closed; the record was not taken.
    #[error("appending to the journal: it is closed")]
    Closed,
    /// The line is written, but its fsync failed.
    #[error("syncing the journal: the line is written but not known to be on the disk")]
    Unsynced,
    /// A compressed file cannot be read further; the reader has moved on to the next file.
    #[error("reading {}: damaged after {offset} bytes, the rest of it is skipped: {reason}", file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Uncompressed bytes that were still good.
        offset: u64,
        /// What the decoder said.
        reason: Arc<io::Error>,
    },
}

impl JournalError {
    /// For `map_err`: names what was being done to which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }
}
