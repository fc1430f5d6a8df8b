//! Rotates files of other programs while they are written, so that no line of them is lost.
//!
//! A file is *renamed* and its program told to open it anew; or, where a program can do nothing of that, *copied and emptied*.
//! Either way the old content gets the file's name with the time behind it (`app.log-20260127T080000`), by which [`Tailer`]
//! knows it (see [`super::Pattern`]); only names of this form are ever removed.
//!
//! ```text
//! rename:        app.log → app.log-…   told      app.log is there again: done
//!                                                not within 30 s, and somebody goes on in the old one: it gets its name back
//! copytruncate:  copied to the end     checked: nothing new, a line has ended     emptied
//! ```
//!
//! Killed at any moment, nothing is lost: after a renaming the program is told once more, and a copy of a file that was not
//! emptied is removed again. What is written between the check and the emptying exists nowhere else; it is made as short as two
//! system calls, comes right behind a line when the file is busy, and what of it can be seen to be lost is counted.
//!
//! [`Tailer`]: super::Tailer

mod archive;
mod copy;
mod writers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use self::archive::Archive;
use super::pattern::Pattern;
use super::sample::Sight;
use super::watch::reason;

/// How long a program may take to open its file anew after it was told.
const REOPEN_TIME_MAX: Duration = Duration::from_secs(30);
/// After a failure, a file is left alone for so long.
const AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// Files of one source of which something is remembered.
const REMEMBERED_MAX: usize = 256;

/// What is rotated, and what is kept of it.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Files that are meant themselves.
    pub patterns: Vec<Pattern>,
    /// From this size on, in bytes.
    pub size: Option<u64>,
    /// When the last time was on an earlier day (UTC).
    pub is_daily: bool,
    /// How.
    pub method: Method,
    /// What is kept.
    pub keep: KeepRotated,
}

/// How a file is rotated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// It gets another name, and its program opens a new one.
    Rename,
    /// It is copied and emptied; the program must be one that writes at the end of its file whatever that is (`O_APPEND`).
    CopyTruncate,
}

/// What is kept of the rotated files of each file; whichever bound is reached first counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepRotated {
    /// Together in bytes. The oldest go even where they were not read.
    pub bytes: Option<u64>,
    /// Age in days.
    pub days: Option<u32>,
    /// How many.
    pub count: Option<u32>,
}

/// What was done, or could not be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rotated {
    /// A file was rotated.
    Done {
        /// Its name.
        path: PathBuf,
        /// Where its content is.
        to: PathBuf,
        /// How much that is, in bytes.
        bytes: u64,
        /// How much of it is known to be lost: written while it was emptied.
        lost_bytes: u64,
    },
    /// The program was not told, or did not open its file anew, and goes on in the old one, which has its name again.
    NotReopened {
        /// Its name.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file cannot be rotated.
    Failed {
        /// Its name.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A rotated file was removed.
    Removed {
        /// Its name.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Beyond which bound it was: `bytes`, `days`, `count`, or `tight`: the disk is short of room.
        why: &'static str,
    },
}

/// Whether a file, by device and inode, was read to this size; true of one that nobody knows.
pub type IsRead<'a> = &'a dyn Fn(u64, u64, u64) -> bool;

/// Whether the disk of this folder gets so short of room that a quarter of the budget has to do.
pub type IsTight<'a> = &'a dyn Fn(&Path) -> bool;

/// On a tight disk this part of the budget has to do.
const TIGHT_BUDGET_PART: u64 = 4;

/// Rotates the files of one source.
#[derive(Debug)]
pub struct Rotator {
    rotation: Rotation,
    /// Files that were renamed and are not there again yet.
    opening: BTreeMap<PathBuf, Opening>,
    /// Files that failed, and until when they are left alone.
    failed: BTreeMap<PathBuf, Instant>,
    /// Files of which is known what a killed house has left.
    met: BTreeSet<PathBuf>,
}

/// A file that its program is to open anew.
#[derive(Debug)]
struct Opening {
    to: PathBuf,
    since: Instant,
    size: u64,
    why: Option<String>,
}

impl Rotator {
    /// One that has done nothing yet.
    pub fn new(rotation: Rotation) -> Self {
        Self { rotation, opening: BTreeMap::new(), failed: BTreeMap::new(), met: BTreeSet::new() }
    }

    /// Whether it waits for a program, so that it should look again soon.
    pub fn is_waiting(&self) -> bool {
        !self.opening.is_empty()
    }

    /// Looks at all files, and rotates what is due. `reopen` tells the programs to open their files anew; it is asked once
    /// for all that were renamed. Blocks.
    pub fn look(
        &mut self,
        now: Timestamp,
        is_read: IsRead<'_>,
        is_tight: IsTight<'_>,
        reopen: &dyn Fn() -> Result<(), String>,
    ) -> Vec<Rotated> {
        let mut told = Vec::new();
        self.look_at_opening(&mut told);
        self.failed.retain(|_, until| Instant::now() < *until);
        let files = self.files();
        let mut is_renamed = self.take_up(&files, &mut told);
        for (path, archives) in &files {
            if self.opening.contains_key(path) || self.failed.contains_key(path) {
                continue;
            }
            match self.rotate(path, archives, now) {
                Ok(None) => {}
                Ok(Some(done)) if self.rotation.method == Method::CopyTruncate => told.push(done),
                Ok(Some(_)) => is_renamed = true,
                Err(why) => {
                    self.leave_alone(path);
                    told.push(Rotated::Failed { path: path.clone(), why });
                }
            }
            let is_tight = !archives.is_empty() && path.parent().is_some_and(is_tight);
            self.thin(archives, now, is_read, is_tight, &mut told);
        }
        if is_renamed {
            let why = reopen().err();
            for opening in self.opening.values_mut().filter(|opening| opening.why.is_none()) {
                opening.why.clone_from(&why);
            }
        }
        told
    }

    /// The files that are meant, or were, each with what was rotated of it, oldest first.
    fn files(&self) -> BTreeMap<PathBuf, Vec<Archive>> {
        let mut files: BTreeMap<PathBuf, Vec<Archive>> = BTreeMap::new();
        for sighted in Sight::of(self.rotation.patterns.clone()).files {
            let path = sighted.path();
            if let Some((original, archive)) = Archive::of(path) {
                files.entry(original).or_default().push(archive);
            } else if !sighted.is_rotated() && super::rotated::packing(&path.to_string_lossy()).is_none() {
                files.entry(path.to_owned()).or_default();
            }
        }
        for archives in files.values_mut() {
            archives.sort();
        }
        files
    }

    /// Goes on where a killed house was; whether programs are to be told something.
    fn take_up(&mut self, files: &BTreeMap<PathBuf, Vec<Archive>>, told: &mut Vec<Rotated>) -> bool {
        let mut is_renamed = false;
        for (path, archives) in files {
            if self.met.len() == REMEMBERED_MAX || !self.met.insert(path.clone()) {
                continue;
            }
            let Some(last) = archives.last() else { continue };
            let is_there = path.exists();
            let is_recent = || {
                let modified = fs::metadata(&last.path).and_then(|meta| meta.modified()).ok();
                modified.and_then(|time| time.elapsed().ok()).is_some_and(|age| age < 2 * REOPEN_TIME_MAX)
            };
            let goes_on = || writers::of(&last.path).is_some() || is_recent();
            if self.rotation.method == Method::Rename && !is_there && goes_on() {
                self.await_opening(path, &last.path);
                is_renamed = true;
            } else if self.rotation.method == Method::CopyTruncate
                && is_there
                && copy::is_copy(&last.path, path)
                && let Err(error) = fs::remove_file(&last.path)
            {
                told.push(Rotated::Failed { path: last.path.clone(), why: reason(&error) });
            }
        }
        is_renamed
    }

    fn look_at_opening(&mut self, told: &mut Vec<Rotated>) {
        for (path, opening) in std::mem::take(&mut self.opening) {
            let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
            if path.exists() {
                let bytes = size(&opening.to);
                told.push(Rotated::Done { path, to: opening.to, bytes, lost_bytes: 0 });
                continue;
            }
            if opening.since.elapsed() < REOPEN_TIME_MAX && opening.why.is_none() {
                self.opening.insert(path, opening);
                continue;
            }
            let goes_on = writers::of(&opening.to).is_some() || size(&opening.to) > opening.size;
            if !goes_on {
                // Its program does not run: it makes its file when it does.
                let bytes = size(&opening.to);
                told.push(Rotated::Done { path, to: opening.to, bytes, lost_bytes: 0 });
                continue;
            }
            let why = opening
                .why
                .unwrap_or_else(|| format!("its program did not open it anew within {} s", REOPEN_TIME_MAX.as_secs()));
            match renameat_with(CWD, &opening.to, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    self.leave_alone(&path);
                    told.push(Rotated::NotReopened { path, why });
                }
                // It was opened at the last moment.
                Err(Errno::EXIST) => {
                    let bytes = size(&opening.to);
                    told.push(Rotated::Done { path, to: opening.to, bytes, lost_bytes: 0 });
                }
                Err(error) => told.push(Rotated::Failed { path, why: reason(&error.into()) }),
            }
        }
    }

    /// Rotates a file if it is due. What was renamed is done when its program has opened it anew.
    fn rotate(&mut self, path: &Path, archives: &[Archive], now: Timestamp) -> Result<Option<Rotated>, String> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(reason(&error)),
        };
        if !self.is_due(&meta, archives, now) {
            return Ok(None);
        }
        let to = Archive::name(path, now).ok_or("its name cannot be made longer")?;
        let done = |bytes, lost_bytes| Rotated::Done { path: path.to_owned(), to: to.clone(), bytes, lost_bytes };
        match self.rotation.method {
            Method::Rename => {
                renameat_with(CWD, path, CWD, &to, RenameFlags::NOREPLACE).map_err(|error| reason(&error.into()))?;
                self.await_opening(path, &to);
                Ok(Some(done(meta.len(), 0)))
            }
            Method::CopyTruncate => {
                if writers::of(path) == Some(writers::Writers::Anywhere) {
                    return Err("its program writes at places of its own choice, not at the end: \
                                emptied, it would become a file of zeros"
                        .to_owned());
                }
                let copied = copy::copy_and_empty(path, &to).map_err(|error| {
                    // The file is whole: what was copied of it is not needed.
                    let _: io::Result<()> = fs::remove_file(&to);
                    reason(&error)
                })?;
                Ok(Some(done(copied.bytes, copied.lost_bytes)))
            }
        }
    }

    fn is_due(&self, meta: &fs::Metadata, archives: &[Archive], now: Timestamp) -> bool {
        if meta.len() == 0 || !meta.is_file() {
            return false;
        }
        let day = |time: Timestamp| time.as_second().div_euclid(86_400);
        let began = || {
            let born = meta.created().or_else(|_| meta.modified()).ok()?;
            let born = Timestamp::try_from(born).ok();
            archives.last().map(|archive| archive.at).or(born)
        };
        self.rotation.size.is_some_and(|size| meta.len() >= size)
            || (self.rotation.is_daily && began().is_some_and(|began| day(began) < day(now)))
    }

    fn await_opening(&mut self, path: &Path, to: &Path) {
        let size = fs::metadata(to).map_or(0, |meta| meta.len());
        let opening = Opening { to: to.to_owned(), since: Instant::now(), size, why: None };
        self.opening.insert(path.to_owned(), opening);
    }

    fn leave_alone(&mut self, path: &Path) {
        if self.failed.len() < REMEMBERED_MAX {
            self.failed.insert(path.to_owned(), Instant::now() + AGAIN_AFTER);
        }
    }

    /// Removes what is beyond the bounds, oldest first.
    fn thin(&self, archives: &[Archive], now: Timestamp, is_read: IsRead<'_>, is_tight: bool, told: &mut Vec<Rotated>) {
        let KeepRotated { bytes, days, count } = self.rotation.keep;
        let is_open = |archive: &Archive| self.opening.values().any(|opening| opening.to == archive.path);
        let there: Vec<(&Archive, fs::Metadata)> = archives
            .iter()
            .filter(|archive| !is_open(archive))
            .filter_map(|archive| Some((archive, fs::metadata(&archive.path).ok()?)))
            .collect();
        let mut total: u64 = there.iter().map(|(_, meta)| meta.len()).sum();
        let mut left = there.len();
        for (archive, meta) in there {
            let is_over = bytes.is_some_and(|bytes| total > bytes);
            let age = now.as_second().saturating_sub(archive.at.as_second());
            let is_old = days.is_some_and(|days| age > i64::from(days) * 86_400);
            let are_many = count.is_some_and(|count| left > count as usize);
            let was_read = is_read(meta.dev(), meta.ino(), meta.len());
            let is_too_much = is_tight && bytes.is_some_and(|bytes| total > bytes / TIGHT_BUDGET_PART);
            if !(is_over || (was_read && (is_old || are_many || is_too_much))) {
                break;
            }
            match fs::remove_file(&archive.path) {
                Ok(()) => {
                    let why = if is_over {
                        "bytes"
                    } else if is_old {
                        "days"
                    } else if are_many {
                        "count"
                    } else {
                        "tight"
                    };
                    told.push(Rotated::Removed { path: archive.path.clone(), bytes: meta.len(), why });
                }
                Err(error) => {
                    told.push(Rotated::Failed { path: archive.path.clone(), why: reason(&error) });
                    break;
                }
            }
            total -= meta.len();
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
