//! What is known of a file while a source is read.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pattern::Meant;
use super::positions::{BytesBefore, FileId, FileNote};
use super::rotated::{self, Packing};

/// A name in a look at the directories.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) path: PathBuf,
    pub(crate) meant: Meant,
    pub(crate) packing: Option<Packing>,
    pub(crate) stat: Stat,
}

/// What the file system says about a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// 0 where the file system does not tell.
    pub(crate) born_ns: u64,
    pub(crate) size: u64,
    pub(crate) modified_ns: u64,
}

/// Reads a few bytes, unpacked, of a file that was seen or is open.
pub(crate) trait Probe {
    /// The first bytes, at most 1024.
    fn head(&mut self, seen: &Seen) -> io::Result<Vec<u8>>;
    /// The `length` bytes before `end`; fewer when the file is shorter.
    fn before(&mut self, seen: &Seen, end: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Whether the file is open: then it cannot become another one without the reader's notice, nor be lost with its name.
    fn is_open(&self, id: FileId) -> bool;
    /// As `before`, of the open file.
    fn before_open(&mut self, id: FileId, end: u64, length: usize) -> io::Result<Vec<u8>>;
    /// How many bytes a packed file says it unpacks to.
    fn unpacked_bytes(&mut self, seen: &Seen) -> Option<u64>;
}

/// Where a known file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Under its name.
    Here,
    /// It has no name in sight any more, but is still open.
    Nameless,
    /// Not in sight.
    Gone {
        /// Since when.
        since: Duration,
    },
}

/// A file of the source.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its position is kept up to date by the reader.
    pub(crate) note: FileNote,
    pub(crate) place: Place,
    pub(crate) stat: Stat,
    /// A pattern means its name itself, not only what the name was before a rotation.
    pub(crate) is_live: bool,
    /// Files of one group are read one after the other, the older first.
    pub(crate) group: PathBuf,
    /// When it was written last before it was first seen; 0 if that was before this run.
    pub(crate) age_ns: u64,
    /// Its first bytes, once they were read in this run.
    pub(crate) first: Vec<u8>,
    /// Its name before the present one.
    pub(crate) former: Option<PathBuf>,
    /// Its content was compared in this run.
    pub(crate) is_checked: bool,
    /// It has been told that it went with something unread.
    pub(crate) is_told: bool,
    /// Reading it failed.
    pub(crate) failed: Option<Failure>,
}

/// Why a file could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    /// How large it was then.
    pub(crate) size: u64,
    pub(crate) why: String,
    pub(crate) at: Duration,
}

impl Known {
    /// A file that was not looked for yet.
    pub(crate) fn new(note: FileNote) -> Self {
        Self {
            place: Place::Gone { since: Duration::ZERO },
            stat: Stat::default(),
            is_live: false,
            group: name_of(&note.path)
                .map_or_else(|| note.path.clone(), |name| note.path.with_file_name(rotated::family(name))),
            age_ns: 0,
            first: Vec::new(),
            former: None,
            is_checked: false,
            is_told: false,
            failed: None,
            note,
        }
    }

    /// Whether something with its inode number is the same inode, and not one that got the number later.
    pub(crate) fn is_same_inode(&self, seen: &Seen) -> bool {
        let is_told = self.note.born_ns != 0 && seen.stat.born_ns != 0;
        self.note.packing == seen.packing && (!is_told || self.note.born_ns == seen.stat.born_ns)
    }

    /// Whether it has lost the name by which programs write it.
    pub(crate) fn is_left(&self) -> bool {
        self.place != Place::Here || !self.is_live
    }

    /// As it was seen last.
    pub(crate) fn seen(&self) -> Seen {
        let (path, packing) = (self.note.path.clone(), self.note.packing);
        Seen { path, meant: if self.is_live { Meant::Itself } else { Meant::Rotated }, packing, stat: self.stat }
    }
}

pub(crate) fn has_tail(before: &[u8], tail: BytesBefore) -> bool {
    before.len() == tail.length as usize && BytesBefore::of(before) == tail
}

pub(crate) fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
