//! What may be kept, for how long, and how much is asked at a time.

use std::time::Duration;

/// Bounds. Counts are for each key unless they say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Files.
    pub files_max: u64,
    /// Bytes of all files of a key.
    pub bytes_max: u64,
    /// Bytes of all files of all keys.
    pub bytes_max_of_all: u64,
    /// Requests in one batch.
    pub lines_max: u64,
    /// Batches that are not over.
    pub batches_max: u64,
    /// Batches that are worked on at a time, of all keys.
    pub batches_at_once: u32,
    /// Requests of one batch that are under way at a time.
    pub at_once: u32,
    /// For how many days files are kept, and batches that are over.
    pub keep_days: u32,
    /// Deferred requests that have no answer yet.
    pub later_max: u64,
    /// Deferred requests that are asked at a time, of all keys.
    pub later_at_once: u32,
    /// How long their answers are kept.
    pub later_keep: Duration,
}
