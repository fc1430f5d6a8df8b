//! Files that are open, and one turn of reading in one of them.
//!
//! Nothing is kept of a line whose end is not there yet: it is read again when there is more. So what is in memory of a
//! file is its position, and the file can be closed at any time.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::content::{self, Content};
use super::known::{Known, Place, Probe, Seen};
use super::lines::{Behind, Cursor, LINE_BYTES_MAX, Line, cut};
use super::positions::{BytesBefore, FileId, Head};
use super::register::Register;
use super::watch::{Troubles, reason};

/// How long a line of a file that was renamed or removed waits for its end, and how long a removed file is listened to.
pub(crate) const LEFT_AFTER: Duration = Duration::from_secs(5);
/// A rotated file in which nothing came for this long is closed.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// A file that could not be read is tried again after this, or when its size changes. (A damaged packed file only then.)
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Read at once from one file before the next one has its turn; more only where a line is longer.
const TURN_BYTES: usize = 64 << 10;
/// What is read at once of one long line.
const TURN_BYTES_MAX: usize = LINE_BYTES_MAX + TURN_BYTES;
/// First bytes of what was read that are read again, to see that the file is still the one it was.
const AGAIN_BYTES: usize = 64;
/// Most files of a source that are open at the same time.
pub(crate) const OPEN_MAX: usize = 256;
/// Most files being unpacked at the same time: each may need the memory of its window.
const UNPACKING_MAX: usize = 1;

/// How a turn ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// More can be read at once.
    More,
    /// More may come.
    Wait,
    /// No more will come.
    End,
    /// The file is not the one it was.
    Replaced,
}

/// The open files of a source.
#[derive(Default)]
pub(crate) struct Readers(HashMap<FileId, Reader>);

/// An open file.
pub(crate) struct Reader {
    content: Content,
    cursor: Cursor,
    path: Arc<Path>,
    /// How far bytes were seen.
    end: u64,
    /// When the last of them were seen first.
    grown_at: Duration,
    /// When it lost the name by which it is written: then its writer finishes the last line, or never.
    left_at: Option<Duration>,
    has_more: bool,
    /// The bytes before the position were compared. (Of plain files they are in every turn.)
    is_checked: bool,
}

impl Readers {
    pub(crate) fn get(&self, id: FileId) -> Option<&Reader> {
        self.0.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: FileId) -> Option<&mut Reader> {
        self.0.get_mut(&id)
    }

    pub(crate) fn close(&mut self, id: FileId) {
        self.0.remove(&id);
    }

    /// Opens files in which something is unread, and live ones so that they are not lost by their removal; closes what is
    /// not needed.
    pub(crate) fn open(&mut self, register: &mut Register, now: Duration, troubles: &mut Troubles) {
        self.0.retain(|id, reader| {
            let Some(known) = register.get_mut(*id) else { return false };
            reader.left_at = known.is_left().then(|| reader.left_at.unwrap_or(now));
            if known.place == Place::Nameless {
                known.stat.size = reader.content.size().unwrap_or(known.stat.size);
            }
            let is_idle = !known.is_live && reader.is_caught_up(known) && now >= reader.grown_at + IDLE_AFTER;
            match known.place {
                Place::Here => !is_idle,
                Place::Nameless => true,
                Place::Gone { .. } => false,
            }
        });
        for known in register.files() {
            let id = known.note.id;
            if !self.is_wanted(known, now) || self.0.contains_key(&id) {
                continue;
            }
            if self.0.len() >= OPEN_MAX && !self.close_one(register) {
                break;
            }
            match Content::open(&known.seen()) {
                Ok(content) => {
                    self.0.insert(id, Reader::new(content, known, now));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    troubles.insert(known.note.path.clone(), reason(&error));
                }
            }
        }
        for known in register.files() {
            if let Some(failed) = known.failed.as_ref().filter(|_| known.place == Place::Here) {
                troubles.insert(known.note.path.clone(), failed.why.clone());
            }
        }
    }

    fn is_wanted(&self, known: &Known, now: Duration) -> bool {
        let is_packed = known.note.packing.is_some();
        let is_unpacking = |reader: &&Reader| matches!(reader.content, Content::Packed(_));
        let is_failed = known
            .failed
            .as_ref()
            .is_some_and(|failed| failed.size == known.stat.size && (is_packed || now < failed.at + RETRY_AFTER));
        if known.place != Place::Here || known.note.is_done || is_failed {
            return false;
        }
        if is_packed {
            return self.0.values().filter(is_unpacking).count() < UNPACKING_MAX;
        }
        known.is_live || known.note.read < known.stat.size
    }

    /// Closes the file in which nothing came for longest: a rotated one if there is one.
    fn close_one(&mut self, register: &Register) -> bool {
        let reader = |known: &Known| self.0.get(&known.note.id).map(|reader| (reader, known.note.id));
        let spare = register.files().filter(|known| known.place == Place::Here).filter_map(|known| {
            let (reader, id) = reader(known)?;
            reader.is_caught_up(known).then_some((known.is_live, reader.grown_at, id))
        });
        let Some((_, _, id)) = spare.min() else { return false };
        self.0.remove(&id).is_some()
    }
}

impl Probe for Readers {
    fn head(&mut self, seen: &Seen) -> io::Result<Vec<u8>> {
        Content::open(seen)?.head()
    }

    fn before(&mut self, seen: &Seen, end: u64, length: usize) -> io::Result<Vec<u8>> {
        if length == 0 {
            return Ok(Vec::new());
        }
        Content::open(seen)?.before(end, length)
    }

    fn is_open(&self, id: FileId) -> bool {
        self.0.contains_key(&id)
    }

    fn before_open(&mut self, id: FileId, end: u64, length: usize) -> io::Result<Vec<u8>> {
        let reader = self.0.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        reader.content.before(end, length)
    }

    fn unpacked_bytes(&mut self, seen: &Seen) -> Option<u64> {
        content::unpacked_bytes(seen)
    }
}

impl Reader {
    fn new(mut content: Content, known: &Known, now: Duration) -> Self {
        let note = &known.note;
        let is_inside = note.read > 0 && content.before(note.read, 1).is_ok_and(|before| before != b"\n");
        let cursor = Cursor {
            read: note.read,
            tail: note.tail,
            is_cut: note.is_cut,
            is_rest: is_inside && !note.is_cut,
            skipped: 0,
        };
        let path = note.path.as_path().into();
        Self {
            content,
            cursor,
            path,
            end: note.read,
            grown_at: now,
            left_at: known.is_left().then_some(now),
            has_more: false,
            is_checked: false,
        }
    }

    fn is_caught_up(&self, known: &Known) -> bool {
        !self.has_more && self.cursor.read >= self.end.max(known.stat.size)
    }

    fn quiet_since(&self) -> Duration {
        self.grown_at.max(self.left_at.unwrap_or_default())
    }

    /// Whether reading may give something, or may have to end.
    pub(crate) fn has_turn(&self, known: &Known, wait: Duration, now: Duration) -> bool {
        if known.note.head.length == 0 && known.place == Place::Here {
            // What it is will be found out by the next look.
            return false;
        }
        let is_over = now >= self.quiet_since() + wait;
        self.has_more
            || (known.place == Place::Nameless && now >= self.quiet_since() + LEFT_AFTER)
            || known.note.packing.is_some()
            || known.stat.size > self.end
            || (self.cursor.read < self.end && is_over)
    }

    /// Reads on, and adds at most `room` lines. Also returns how many bytes were skipped of lines that were too long.
    pub(crate) fn turn(
        &mut self,
        known: &mut Known,
        wait: Duration,
        now: Duration,
        buffer: &mut Vec<u8>,
        room: usize,
        lines: &mut Vec<Line>,
    ) -> io::Result<(Turn, u64)> {
        let id = known.note.id;
        if *self.path != *known.note.path {
            self.path = known.note.path.as_path().into();
        }
        let is_packed = known.note.packing.is_some();
        if is_packed && !std::mem::replace(&mut self.is_checked, true) {
            match self.is_packed_same()? {
                Turn::More => {}
                other => return Ok((other, 0)),
            }
        }
        let from = self.cursor.read;
        let got = self.fill(buffer)?;
        let bytes = &buffer[..got];
        if !is_packed && !(self.is_same(bytes)? && (from > 0 || begins_with(bytes, &known.note.head))) {
            return Ok((Turn::Replaced, 0));
        }
        let is_full = got == buffer.len();
        let reached = from + got as u64;
        if reached > self.end {
            (self.end, self.grown_at) = (reached, now);
        }
        // What was unpacked so far is good, but only a clean end is an end.
        let failed = if is_packed && !is_full { self.content.read_at(&mut [0], reached).err() } else { None };
        let is_over = (is_packed && failed.is_none()) || (!is_packed && now >= self.quiet_since() + wait);
        let behind = match (is_full, is_over) {
            (true, _) => Behind::More,
            (false, true) => Behind::Never,
            (false, false) => Behind::NoneYet,
        };
        let skipped = cut(&mut self.cursor, bytes, behind, (id, &self.path), room, lines);
        known.note.read = self.cursor.read;
        known.note.tail = self.cursor.tail;
        known.note.is_cut = self.cursor.is_cut;
        let is_stopped_by_room = self.cursor.read < reached && behind != Behind::NoneYet;
        let is_progress = self.cursor.read > from;
        self.has_more = is_full || is_stopped_by_room || (is_progress && self.cursor.read < reached);
        if self.has_more {
            return Ok((Turn::More, skipped));
        }
        match failed {
            Some(error) => Err(error),
            None if is_packed => Ok((Turn::End, skipped)),
            None if known.place == Place::Nameless && now >= self.quiet_since() + LEFT_AFTER => {
                Ok((Turn::End, skipped))
            }
            None => Ok((Turn::Wait, skipped)),
        }
    }

    /// Reads from the position on: a turn's bytes, and more while there is no line end among them.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.resize(TURN_BYTES, 0);
        let mut got = self.content.read_at(buffer, self.cursor.read)?;
        while got == buffer.len()
            && buffer.len() < TURN_BYTES_MAX
            && !self.cursor.is_cut
            && memchr::memchr(b'\n', &buffer[..got]).is_none()
            && buffer[0] != 0
        {
            buffer.resize((2 * got).min(TURN_BYTES_MAX), 0);
            got += self.content.read_at(&mut buffer[got..], self.cursor.read + got as u64)?;
        }
        Ok(got)
    }

    /// Whether the file is still the one it was: what stands before the position does, and what was read now does too. It
    /// is asked after reading: had the file been truncated before or meanwhile, one of them would be gone.
    fn is_same(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let (tail, read) = (self.cursor.tail, self.cursor.read);
        let (before, again) = (tail.length as usize, bytes.len().min(AGAIN_BYTES));
        let there = self.content.before(read + again as u64, before + again)?;
        let is_there = there.len() == before + again
            && BytesBefore::of(&there[..before]) == tail
            && there[before..] == bytes[..again];
        Ok(is_there && self.content.size()? >= read + bytes.len() as u64)
    }

    /// Of a packed file: what it holds is known when the position is reached. One that ends before is a copy made before
    /// the last lines were written, and has nothing to give.
    fn is_packed_same(&mut self) -> io::Result<Turn> {
        let tail = self.cursor.tail;
        let before = self.content.before(self.cursor.read, tail.length as usize)?;
        if before.len() < tail.length as usize {
            return match self.content.read_at(&mut [0], self.cursor.read) {
                Ok(_) => Ok(Turn::End),
                Err(error) => Err(error),
            };
        }
        Ok(if BytesBefore::of(&before) == tail { Turn::More } else { Turn::Replaced })
    }
}

/// Whether the first bytes of a file are those that were found when it was looked at.
fn begins_with(bytes: &[u8], head: &Head) -> bool {
    bytes.get(..head.length as usize).is_some_and(|first| head.length == 0 || Head::of(first) == *head)
}
