//! Copies a file that is being written, and empties it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::writers;

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;
/// How long is waited for the right moment: just after a line has come, so that the next one is far.
const MOMENT_TIME_MAX: Duration = Duration::from_millis(200);
/// A file that does not grow for so long is quiet.
const QUIET: Duration = Duration::from_millis(5);
/// How often is looked for that moment.
const LOOK_EVERY: Duration = Duration::from_micros(50);
/// Bytes that show whether one file begins as another one does.
const PROOF: usize = 4096;

pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) lost_bytes: u64,
}

/// Copies a file, and empties it when all of it was copied and a line has just ended.
pub(super) fn copy_and_empty(path: &Path, to: &Path) -> io::Result<Copied> {
    let from = OpenOptions::new().read(true).write(true).open(path)?;
    let mode = from.metadata()?.permissions().mode() & 0o777;
    let copy = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    let mut copying = Copying { from, copy, at: 0, last: b'\n' };
    copying.catch_up()?;
    // The bulk is on the disk before the file is emptied.
    copying.copy.sync_all()?;
    copying.catch_up()?;
    let writing = writers::appending(path);
    copying.await_moment()?;
    copying.from.set_len(0)?;
    // Whoever has just written knows where: what came after the last look is gone.
    let reached = writers::furthest(&writing).unwrap_or(0);
    let lost_bytes = reached.saturating_sub(copying.at);
    copying.copy.sync_all()?;
    Ok(Copied { bytes: copying.at, lost_bytes })
}

struct Copying {
    from: File,
    copy: File,
    at: u64,
    /// The last byte that was copied.
    last: u8,
}

impl Copying {
    /// Copies what is there; whether that was something.
    fn catch_up(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; PIECE];
        let before = self.at;
        loop {
            let read = self.from.read_at(&mut piece, self.at)?;
            if read == 0 {
                return Ok(self.at > before);
            }
            self.copy.write_all_at(&piece[..read], self.at)?;
            self.at += read as u64;
            self.last = piece[read - 1];
        }
    }

    /// Waits until all was copied and a line has just come, or the file is quiet. An error where that does not come.
    fn await_moment(&mut self) -> io::Result<()> {
        let (began, mut grown) = (Instant::now(), Instant::now());
        let mut has_grown = false;
        loop {
            if self.catch_up()? {
                (grown, has_grown) = (Instant::now(), true);
            }
            let is_moment = (has_grown && self.last == b'\n') || grown.elapsed() >= QUIET;
            if is_moment && self.from.metadata()?.len() == self.at {
                return Ok(());
            }
            if began.elapsed() >= MOMENT_TIME_MAX {
                return Err(io::Error::other("it is written so fast that there was no moment to empty it"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether a file is a copy of the beginning of another one, as a house leaves it that is killed before it has emptied that.
pub(super) fn is_copy(copy: &Path, original: &Path) -> bool {
    let same = || -> io::Result<bool> {
        let (mut copy, original) = (File::open(copy)?, File::open(original)?);
        let (length, whole) = (copy.metadata()?.len(), original.metadata()?.len());
        if length > whole {
            return Ok(false);
        }
        let proof = PROOF.min(length as usize);
        let mut mine = vec![0; proof];
        let mut theirs = vec![0; proof];
        copy.read_exact(&mut mine)?;
        original.read_exact_at(&mut theirs, 0)?;
        if mine != theirs {
            return Ok(false);
        }
        let end = length - proof as u64;
        copy.read_exact_at(&mut mine, end)?;
        original.read_exact_at(&mut theirs, end)?;
        Ok(mine == theirs)
    };
    same().unwrap_or(false)
}
