//! Files that grow and rotate, read exactly once.
//!
//! [`Tailer`] reads the files that [`Pattern`]s mean, a [`Tailer::step`] at a time, and hands over a [`Batch`]. [`Tail`]
//! runs one in a thread; [`Sight`] only looks, and a [`Rotator`] rotates what nobody else does. Positions are stored by whoever stores the lines, in the same place and in the
//! same order:
//!
//! ```text
//! for each batch:   its notes, then its lines, each in one record with its mark      (one append, or several)
//! after a restart:  Positions::new(), apply(note) and advance(mark) in the order stored; then Tailer::new(_, positions)
//! ```
//!
//! Any prefix of what was handed over makes valid positions. So there is no acknowledgement to be sent back and nothing to be
//! done in one transaction: whoever stores a line has stored that it was read. Notes are rare (a file appears, is renamed,
//! grows beyond the first 1024 bytes); a mark is a list of four numbers. Folded positions may be kept elsewhere as a
//! starting point, so that not all that was ever stored needs to be read again.
//!
//! # Which file is which
//!
//! A file is known by device, inode and birth time, by its first bytes (up to 1024, growing with the file) and by the last
//! bytes before the position (up to 256, by CRC-32). All of them are compared when a file is met again, the latter also
//! after each read. The rules stand at the head of `file/register.rs`. Beside the names that a pattern means, the names that
//! rotation makes of them are watched (`app.log.1`, `app-20260127.log`, `app.log.2.gz`): what is unread is found there.
//!
//! # What is guaranteed
//!
//! - *Rename, removal and creation, numbering, day change:* nothing is lost or doubled, restarts and `kill -9` included, as long as the
//!   old file still lies under a watched name, or was open here (at most 256 files are) when it was removed.
//! - *Packed after that* (`.gz`, `.zst`): read on where the unpacked one was left, if something is unread, and never twice.
//! - *copytruncate:* the copy (under a watched name) is recognised by its content and waits; when the original is truncated,
//!   the unread rest is read from it. What was written between the end of copying and the truncation exists nowhere
//!   but in the file itself for that moment: those lines are lost unless the reader had come to them. That is a
//!   property of copytruncate. So: **the reader must be caught up when the file is truncated, or the copy must be whole.** Without
//!   a copy in sight, it must have been caught up; [`Event::Truncated`] tells.
//! - *Truncation to a shorter length* that leaves a beginning: the file is read again from its start, as it cannot be told
//!   from one written anew.
//! - A file that appears and is removed within a quarter of a second may never be seen.
//! - Two files that are equal to the last byte are two files, unless one has a name that rotation makes of the other's: then
//!   it is a copy.
//! - Lines of one file come in order. So do those of a file and its successor at the same name, the older file's first.
//!
//! # What a line is
//!
//! Bytes up to LF, CR LF too. Empty lines are passed over. Longer than 1 MiB: the beginning is given with [`Flaw::Cut`], the rest
//! is skipped and counted ([`Event::Skipped`]). Bytes that are no UTF-8 become `\xNN` ([`Flaw::Bytes`]).
//!
//! A last line **without a line end** waits: as long as a file has its name, for 60 s after its last byte
//! ([`Options::unfinished_after`]); once it was renamed or removed, for 5 s; at the end of a packed file, not at all. Then it is given
//! with [`Flaw::Unfinished`]; should more come all the same, it is given as a line with [`Flaw::Rest`]. A line that is written
//! in pieces with shorter pauses is never split.
//!
//! # What is bounded
//!
//! Memory: one turn's bytes (at most 1.2 MiB) and one batch of about 1 MiB, three more in [`Tail`]; for each known file (2,048)
//! about 2 KiB; when unpacking, 4 MiB and the window of the packed file. Nothing is read ahead of that: a slow consumer makes
//! the tailer wait. Each file has its turn of 64 KiB in a round. Directories that are missing and files that may not be
//! read are tried again for ever, told once, and once more when it works.

mod content;
mod copies;
mod known;
mod lines;
mod pattern;
mod positions;
mod reader;
mod register;
mod rotate;
mod rotated;
mod sample;
mod tailer;
mod thread;
mod watch;

pub use lines::{Flaw, Flaws, LINE_BYTES_MAX, Line};
pub use pattern::Pattern;
pub use positions::{BytesBefore, FileId, FileNote, Head, Mark, Note, Positions};
pub use rotate::{IsRead, IsTight, KeepRotated, Method, Rotated, Rotation, Rotator};
pub use rotated::Packing;
pub use sample::{Sight, Sighted};
pub use tailer::{Batch, Begin, Event, FileStatus, Options, Tailer};
pub use thread::Tail;
