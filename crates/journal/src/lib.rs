//! The journal: one JSON object a line, appended, rotated, read and verified.
//!
//! The journal file is the truth of the whole product; every index is derived from it. Three types meet here:
//! [`Journal`] is the cheap handle that everybody appends a [`Record`] with, [`Writer`] owns the thread that writes what
//! its appender could not write at once and is closed last, and [`Reader`] follows the files, over rotation and compression, for the indexer.
//!
//! # Files
//!
//! ```text
//! gateway.log                                the current file
//! gateway-2026.01.27-000000000001.log        closed: UTC day of its last line, seq of its first line
//! gateway-2026.01.27-000000000001.log.zst    the same bytes, packed in stretches with a table (`stretches.rs`); or .gz
//! gateway-….log.zst.tmp                      a compression under way; left over after a kill, removed at open
//! gateway.lock                               locked while a process has the journal open; holds its process id
//! gateway.torn                               quarantine: what was cut off after a crash, at most 16 MiB
//! ```
//!
//! # Line
//!
//! ```text
//! {"ts":"2026-01-27T10:00:00.123Z","level":"info","kind":"request","msg":"…","caller":"…","service":"…",
//!  <configured fields>,<the record's fields>,"seq":42,"prev":"<32 hex digits>"}⏎
//! ```
//!
//! `prev` is the first half of the SHA-256 of the line before, without its LF (zeros for the first line ever). `seq` and
//! `prev` are always last and `ts` to `service` always first, so that both can be read without parsing the line. A
//! record's own field with one of these names, or with a name it already used, gets underscores put in front until the
//! name is free; where a record and the configured fields share a name the record's value is kept.
//!
//! # Invariants
//!
//! 1. `seq` starts at 1 and has no gaps; it and the hash chain go on over files and restarts. `ts` never goes back.
//! 2. An append is answered after write(2) of its line, a synced one after fsync of it and of the directory entry it needs.
//! 3. A complete line in a file is never taken back: after a failed or short write the file is cut back to its last
//!    complete line, the lines that made it are acknowledged, the others answer an error and give their `seq` back.
//! 4. A failed fsync is never repeated and trusted. The kernel may have dropped the pages, so the bytes since the last
//!    good fsync are kept in memory (at most 8 MiB), written again through a newly opened file and only then synced.
//!    Who waited for that fsync gets [`JournalError::Unsynced`]: the line may or may not survive a power loss.
//! 5. Only the current file is ever written. A file is synced before it gets its rotated name and never changes after
//!    that; its compressed form appears under the final name complete and synced, and only then the original goes.
//! 6. A full or failing disk does not stop the writer: every record is tried, those that cannot be written are counted by
//!    kind and answered with [`JournalError::NotKept`], and what is written first when writing works again is a record of kind `gap` with
//!    these counts. So is what a full queue refused. `seq` has no gap for it. [`Journal::disk`] tells how the disk is.
//! 7. No line is longer than 256 KiB: its longest fields are cut with a mark. One field of a record may be kept uncut ([`Record::uncut`]);
//!    with it no line is longer than 2 MiB.
//! 8. Nothing wakes up while nothing is appended, unless the disk is not well. So rotation by day and retention happen with the
//!    next line.
//! 9. Whatever is removed, by age, by budget or for room on a tight disk, is told by a record of kind `resource`.
//!
//! It never interprets what it carries, never prints, and never deletes the current file.
//!
//! # Example
//!
//! ```
//! use tollhouse_journal::{Journal, Level, Options, Reader, Record};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("gateway.log");
//! let opened = Journal::open(Options::new(&file, "tollhouse"))?;
//! runtime.block_on(async {
//!     let record = Record::new("process", Level::Info, "started").caller("app/main.rs").field("pid", 7);
//!     opened.journal.append(record).await
//! })?;
//! opened.writer.close()?;
//!
//! let mut lines = Vec::new();
//! Reader::open(&file, None)?.next_batch(100, &mut lines)?;
//! assert_eq!(lines[0].seq, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod condition;
mod disk;
mod error;
mod foreign;
mod hold;
mod journal;
mod keep;
mod line;
mod names;
mod packing;
mod reader;
mod record;
mod recover;
mod seek;
mod stray;
mod stretches;
mod sync;
mod together;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use condition::{DiskState, tight_below};
pub use error::JournalError;
pub use hold::Holds;
pub use journal::{Appending, Journal, Opened, Options, SYNC_BOUNDS_US, Stats, Sync, Writer};
pub use line::{LINE_BYTES_MAX, RECORD_BYTES_MAX, UNCUT_BYTES_MAX};
pub use packing::Packing;
pub use reader::{Line, Position, Reader};
pub use record::{Level, Record};
pub use recover::Recovery;
pub use stray::Strays;
pub use together::Appended;
pub use verify::{Break, Gap, HalfLine, Report, verify, verify_each};
