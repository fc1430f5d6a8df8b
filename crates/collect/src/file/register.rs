//! Which file is which: decides, from what a look at the directories shows, what happened to the files known so far.
//!
//! This is a state machine without files of its own: it sees a list of names with inodes and sizes, asks a [`Probe`] for
//! some bytes, and says what changed. The rules, in the order in which they are tried for each name:
//!
//! 1. *Same inode (and birth time), not shorter than what was read, same first bytes, same bytes before the position:* the
//!    same file, perhaps under another name. (After a restart, inode and birth time suffice where the device number changed.)
//! 2. *Same inode, but one of these differs:* it was truncated, or the inode was given to another file. What was read
//!    before is looked for among the other names (rule 3); the inode is a new file, from its beginning.
//! 3. *Another inode with the first bytes of a known file:*
//!    - the known file is no longer there, and the bytes before its position are here too: its copy, packed or not. It is
//!      read on from that position. A copy that ends before the position has nothing to give.
//!    - the known file is still there and this name is what rotation makes of its name: a copy that waits. It is taken up
//!      when the known file is truncated or removed, and never if that does not happen.
//! 4. *Anything else* is a new file, read from its beginning.
//!
//! A name at which a known file was found before is never taken for a copy of it on the strength of a few bytes: programs
//! that begin each file with the same words are common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::copies::{PROOF_BYTES, Relation, relate, rotations};
use super::known::{Known, Place, Probe, Seen, Stat, has_tail};
use super::pattern::Meant;
use super::positions::{BytesBefore, FileId, FileNote, First, HEAD_BYTES, Head, Note, Positions};
use super::tailer::{Begin, Event};
use super::watch::reason;

/// Most files that are known of one source, those included that are gone but may come back packed.
pub(crate) const FILES_MAX: usize = 2048;
/// How long a file with fewer equal bytes is taken for a copy under way.
const SHORT_COPY_WAIT: Duration = Duration::from_secs(30);
/// How long a file that is gone is remembered.
const GONE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a look has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) notes: Vec<Note>,
    pub(crate) events: Vec<Event>,
    /// Files whose open handle leads to the wrong content now.
    pub(crate) reopen: Vec<FileId>,
}

impl Changes {
    /// A name that leads elsewhere by now is looked at again soon; what else prevents reading is told.
    fn trouble(&mut self, seen: &Seen, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.events.push(Event::Trouble { path: seen.path.clone(), why: reason(error) });
        }
    }
}

/// A name that is not taken up yet.
#[derive(Debug)]
struct Waiting {
    stat: Stat,
    /// The file that it seems to be a copy of.
    of: Option<FileId>,
    since: Duration,
    proof: usize,
}

/// What a name that is no known file turns out to be.
enum Verdict {
    New,
    /// Reading of this file goes on here.
    Continues(FileId),
    /// A copy of a file that was read further.
    Finished,
    /// A copy of this file, or (without one) a packed file in which there is nothing yet.
    Waits {
        of: Option<FileId>,
        proof: usize,
    },
    /// To be judged again with the next look.
    Later,
}

/// All files of a source.
pub(crate) struct Register {
    known: BTreeMap<FileId, Known>,
    waiting: HashMap<PathBuf, Waiting>,
    /// Open files in which a reader found other bytes than before.
    replaced: BTreeSet<FileId>,
    next: u64,
    is_begun: bool,
    begin: Begin,
    is_full: bool,
}

impl Register {
    pub(crate) fn new(positions: Positions, begin: Begin) -> Self {
        Self {
            next: positions.next,
            is_begun: positions.is_begun,
            known: positions.files.into_iter().map(|(id, note)| (id, Known::new(note))).collect(),
            waiting: HashMap::new(),
            replaced: BTreeSet::new(),
            begin,
            is_full: false,
        }
    }

    /// The files, oldest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    pub(crate) fn get_mut(&mut self, id: FileId) -> Option<&mut Known> {
        self.known.get_mut(&id)
    }

    /// A reader found that the open file is not the one it was: the next look must find out what happened.
    pub(crate) fn is_replaced(&mut self, id: FileId) {
        if let Some(known) = self.known.get_mut(&id) {
            // The size that was seen last is not its own any more.
            known.stat.size = known.note.read;
        }
        self.replaced.insert(id);
    }

    /// A nameless file was read to its end and closed.
    pub(crate) fn is_closed(&mut self, id: FileId, now: Duration) {
        if let Some(known) = self.known.get_mut(&id)
            && known.place == Place::Nameless
        {
            known.place = Place::Gone { since: now };
            known.is_checked = false;
        }
    }

    /// Takes in a look. `is_listed` says whether the directory of a path could be listed: files are gone only from those.
    pub(crate) fn observe(
        &mut self,
        seen: &[Seen],
        is_listed: &dyn Fn(&Path) -> bool,
        probe: &mut dyn Probe,
        now: Duration,
    ) -> Changes {
        let mut changes = Changes::default();
        let (mut here, mut newcomers) = (BTreeSet::new(), Vec::new());
        let inodes = self.inodes();
        // A new name may hold what was in a file before it was truncated: then it must be known which files were.
        let is_news = seen.iter().any(|seen| self.find(&inodes, &seen.stat).is_none());
        for seen in seen {
            let id = self.find(&inodes, &seen.stat);
            match id.map(|id| (id, self.is_still(id, seen, is_news, probe))) {
                Some((id, _)) if here.contains(&id) => {}
                Some((id, Ok(true))) if self.is_blank(id) && seen.stat.size > 0 => {
                    here.insert(id);
                    newcomers.push((seen, Some(id)));
                }
                Some((id, Ok(true))) => {
                    here.insert(id);
                    self.place(id, seen, probe, &mut changes);
                }
                Some((id, Ok(false))) => {
                    let is_rewritten = self.known.get(&id).is_some_and(|known| known.is_same_inode(seen));
                    self.orphan(id, seen, now, &mut changes);
                    // What was in a file is not looked for in itself.
                    newcomers.push((seen, is_rewritten.then_some(id)));
                }
                Some((id, Err(error))) => {
                    here.insert(id);
                    changes.trouble(seen, &error);
                }
                None => newcomers.push((seen, None)),
            }
        }
        self.miss(&here, is_listed, probe, now);
        // What may be a copy is judged after what it may be a copy of.
        newcomers.sort_by_key(|(seen, _)| (rotations(&seen.path), seen.stat.modified_ns, seen.path.clone()));
        self.waiting.retain(|path, _| newcomers.iter().any(|(seen, _)| seen.path == *path));
        let mut inodes_new = BTreeSet::new();
        for (seen, before) in newcomers {
            if inodes_new.insert((seen.stat.device, seen.stat.inode)) {
                self.welcome(seen, before, probe, now, &mut changes);
            }
        }
        self.tell_vanished(&mut changes);
        self.forget(now, &mut changes);
        if !self.is_begun {
            self.is_begun = true;
            changes.notes.push(Note::Begun);
        }
        changes
    }

    /// Whether nothing was in the file yet: which one it is will show when there is.
    fn is_blank(&self, id: FileId) -> bool {
        self.known.get(&id).is_some_and(|known| known.note.head.length == 0)
    }

    fn inodes(&self) -> HashMap<(u64, u64), FileId> {
        let identity = |known: &Known| (known.note.device, known.note.inode);
        self.known
            .values()
            .filter(|known| known.note.inode != 0)
            .map(|known| (identity(known), known.note.id))
            .collect()
    }

    /// By device and inode; by inode and birth time where the device number changed over a restart.
    fn find(&self, inodes: &HashMap<(u64, u64), FileId>, stat: &Stat) -> Option<FileId> {
        let by_birth = || {
            let mut unchecked = self.known.values().filter(|known| !known.is_checked);
            let is_it = |known: &&Known| known.note.inode == stat.inode && known.note.born_ns == stat.born_ns;
            unchecked.find(is_it).map(|known| known.note.id)
        };
        let found = inodes.get(&(stat.device, stat.inode)).copied();
        found.or_else(|| (stat.born_ns != 0).then(by_birth).flatten())
    }

    /// Whether a file with this inode has the content that was read (rules 1 and 2).
    fn is_still(&mut self, id: FileId, seen: &Seen, is_news: bool, probe: &mut dyn Probe) -> io::Result<bool> {
        let was_replaced = self.replaced.remove(&id);
        let Some(known) = self.known.get_mut(&id) else { return Ok(false) };
        let note = &known.note;
        if was_replaced || !known.is_same_inode(seen) {
            return Ok(false);
        }
        let is_packed = seen.packing.is_some();
        if !is_packed && seen.stat.size < note.read.max(u64::from(note.head.length)) {
            return Ok(false);
        }
        let is_unchanged = seen.stat.size == known.stat.size && seen.stat.modified_ns == known.stat.modified_ns;
        if known.is_checked && (is_unchanged || (probe.is_open(id) && !is_news)) {
            return Ok(true);
        }
        let first = probe.head(seen)?;
        if first.len() < note.head.length as usize || Head::of(&first[..note.head.length as usize]) != note.head {
            return Ok(false);
        }
        if !is_packed && !has_tail(&probe.before(seen, note.read, note.tail.length as usize)?, note.tail) {
            return Ok(false);
        }
        known.first = first;
        known.is_checked = true;
        Ok(true)
    }

    /// The file is here: its name and size may be new, and its head may have grown.
    fn place(&mut self, id: FileId, seen: &Seen, probe: &mut dyn Probe, changes: &mut Changes) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let mut is_new = false;
        if known.note.path != seen.path {
            known.former = Some(std::mem::replace(&mut known.note.path, seen.path.clone()));
            is_new = true;
        }
        if (known.note.device, known.note.inode) != (seen.stat.device, seen.stat.inode) {
            (known.note.device, known.note.inode) = (seen.stat.device, seen.stat.inode);
            is_new = true;
        }
        known.place = Place::Here;
        known.is_told = false;
        known.is_live = seen.meant == Meant::Itself;
        known.stat = seen.stat;
        // Twice the length at least, so that a file of short lines is noted ten times and no more.
        let length = u64::from(known.note.head.length);
        if length < HEAD_BYTES as u64
            && seen.packing.is_none()
            && seen.stat.size >= (2 * length).min(HEAD_BYTES as u64)
            && let Ok(first) = probe.head(seen)
            && first.len() as u64 > length
            && Head::of(&first[..length as usize]) == known.note.head
        {
            known.note.head = Head::of(&first);
            known.first = first;
            is_new = true;
        }
        if is_new {
            changes.notes.push(Note::File(known.note.clone()));
        }
    }

    /// Its inode holds something else now; its content may be found in a copy.
    fn orphan(&mut self, id: FileId, seen: &Seen, now: Duration, changes: &mut Changes) {
        if self.is_blank(id) {
            self.known.remove(&id);
            changes.reopen.push(id);
            return changes.notes.push(Note::Forgotten(id));
        }
        let Some(known) = self.known.get_mut(&id) else { return };
        let is_rewritten = known.is_same_inode(seen);
        let was_gone = matches!(known.place, Place::Gone { .. });
        (known.note.device, known.note.inode, known.note.born_ns) = (0, 0, 0);
        known.place = Place::Gone { since: now };
        known.is_checked = false;
        known.is_live = false;
        changes.reopen.push(id);
        changes.notes.push(Note::File(known.note.clone()));
        let unread_bytes = known.stat.size.saturating_sub(known.note.read);
        // The inode of a file that is gone is given to others as the file system likes.
        if !was_gone && (is_rewritten || unread_bytes > 0) {
            changes.events.push(Event::Truncated { path: known.note.path.clone(), unread_bytes });
        }
    }

    /// What is not in sight, although its directory was listed, is nameless or gone.
    fn miss(&mut self, here: &BTreeSet<FileId>, is_listed: &dyn Fn(&Path) -> bool, probe: &dyn Probe, now: Duration) {
        for known in self.known.values_mut() {
            let is_replaced = known.place == Place::Nameless && self.replaced.remove(&known.note.id);
            if is_replaced {
                known.place = Place::Gone { since: now };
            }
            if known.place == Place::Here && !here.contains(&known.note.id) && is_listed(&known.note.path) {
                let is_open = probe.is_open(known.note.id) && !self.replaced.remove(&known.note.id);
                known.place = if is_open { Place::Nameless } else { Place::Gone { since: now } };
                known.is_checked = is_open;
                known.is_live = false;
            }
        }
    }

    /// A name that is no known file (rules 3 and 4), or of one that was empty until now. `before` is what its inode was.
    fn welcome(
        &mut self,
        seen: &Seen,
        before: Option<FileId>,
        probe: &mut dyn Probe,
        now: Duration,
        changes: &mut Changes,
    ) {
        if seen.stat.size == 0 && seen.packing.is_none() {
            // Taken up so that it is open when it is removed with something in it.
            if seen.meant == Meant::Itself {
                self.add(seen, Vec::new(), false, changes);
            }
            return;
        }
        if self.waits_still(seen, now) {
            return;
        }
        let first = match probe.head(seen) {
            Ok(first) => first,
            Err(error) => return changes.trouble(seen, &error),
        };
        let verdict = match (first.is_empty(), seen.packing) {
            (false, _) => self.judge(seen, &first, before, probe),
            (true, Some(_)) => Verdict::Waits { of: None, proof: 0 },
            (true, None) => Verdict::Later,
        };
        let blank = before.filter(|id| self.is_blank(*id));
        match verdict {
            Verdict::Waits { of, proof } => {
                let since =
                    self.waiting.get(&seen.path).filter(|waiting| waiting.of == of).map_or(now, |old| old.since);
                self.waiting.insert(seen.path.clone(), Waiting { stat: seen.stat, of, since, proof });
                return;
            }
            Verdict::Later => return,
            Verdict::Continues(id) => {
                if let Some(blank) = blank {
                    self.known.remove(&blank);
                    changes.reopen.push(blank);
                    changes.notes.push(Note::Forgotten(blank));
                }
                self.adopt(id, seen, first, probe, changes);
            }
            Verdict::Finished if blank.is_some() => self.fill(blank, seen, first, seen.stat.size, changes),
            Verdict::Finished => self.add(seen, first, true, changes),
            Verdict::New if blank.is_some() => self.fill(blank, seen, first, 0, changes),
            // History: what had been rotated before the source was ever looked at.
            Verdict::New => {
                let is_skipped = !self.is_begun && (seen.meant == Meant::Rotated || self.begin == Begin::End);
                self.add(seen, first, is_skipped, changes);
            }
        }
        self.waiting.remove(&seen.path);
    }

    /// A name that waits is not probed again until it, or the file that it waits for, changes.
    fn waits_still(&self, seen: &Seen, now: Duration) -> bool {
        let Some(waiting) = self.waiting.get(&seen.path).filter(|waiting| waiting.stat == seen.stat) else {
            return false;
        };
        let Some(of) = waiting.of else { return true };
        let is_there = self.known.get(&of).is_some_and(|known| !matches!(known.place, Place::Gone { .. }));
        let is_proven = waiting.proof >= PROOF_BYTES || seen.packing.is_some();
        is_there && (is_proven || now < waiting.since + SHORT_COPY_WAIT)
    }

    fn judge(&self, seen: &Seen, first: &[u8], before: Option<FileId>, probe: &mut dyn Probe) -> Verdict {
        let mut first = First::new(first);
        let mut verdict = Verdict::New;
        for known in self.known.values().filter(|known| Some(known.note.id) != before) {
            let is_beginning = || known.first.len() > first.bytes.len() && known.first.starts_with(first.bytes);
            let proof = if is_beginning() { first.bytes.len() } else { known.note.head.proof(&mut first) };
            if proof == 0 {
                continue;
            }
            match relate(known, seen, proof, probe) {
                Relation::Continues => return Verdict::Continues(known.note.id),
                Relation::Finished => verdict = Verdict::Finished,
                Relation::Unsure => return Verdict::Later,
                Relation::Copy if matches!(verdict, Verdict::New) => {
                    verdict = Verdict::Waits { of: Some(known.note.id), proof };
                }
                Relation::None | Relation::Copy => {}
            }
        }
        if let Verdict::Waits { of: Some(of), proof } = verdict
            && proof < PROOF_BYTES
            && seen.packing.is_none()
            && self.waiting.get(&seen.path).is_some_and(|old| old.of == Some(of) && old.stat == seen.stat)
        {
            // It was given its time and is as short as before: a file of its own that begins with the same words.
            return Verdict::New;
        }
        verdict
    }

    /// Reading of a known file goes on in its copy.
    fn adopt(&mut self, id: FileId, seen: &Seen, first: Vec<u8>, probe: &mut dyn Probe, changes: &mut Changes) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let was_complete = known.note.packing.is_none() && known.stat.size <= known.note.read && known.stat.size > 0;
        let note = &mut known.note;
        if seen.packing.is_some() {
            note.is_done = was_complete && probe.unpacked_bytes(seen) == Some(note.read);
        }
        (note.device, note.inode, note.born_ns) = (seen.stat.device, seen.stat.inode, seen.stat.born_ns);
        note.packing = seen.packing;
        known.former = Some(std::mem::replace(&mut note.path, seen.path.clone()));
        known.first = first;
        known.stat = seen.stat;
        known.place = Place::Here;
        known.is_live = seen.meant == Meant::Itself;
        known.is_checked = true;
        changes.notes.push(Note::File(known.note.clone()));
        changes.reopen.push(id);
        // Not a loss after all.
        changes
            .events
            .retain(|event| !matches!(event, Event::Truncated { path, .. } if Some(path) == known.former.as_ref()));
    }

    /// A file that was empty has something in it now, to be read from `read` on.
    fn fill(&mut self, blank: Option<FileId>, seen: &Seen, first: Vec<u8>, read: u64, changes: &mut Changes) {
        let Some(known) = blank.and_then(|id| self.known.get_mut(&id)) else { return };
        known.note.head = Head::of(&first);
        known.note.path.clone_from(&seen.path);
        known.note.read = read;
        known.first = first;
        known.place = Place::Here;
        known.stat = seen.stat;
        known.is_live = seen.meant == Meant::Itself;
        changes.notes.push(Note::File(known.note.clone()));
        if read > 0 {
            changes.reopen.push(known.note.id);
        }
    }

    fn add(&mut self, seen: &Seen, first: Vec<u8>, is_skipped: bool, changes: &mut Changes) {
        if self.known.len() >= FILES_MAX && !self.make_room(changes) {
            if !std::mem::replace(&mut self.is_full, true) {
                changes.events.push(Event::TooMany { path: seen.path.clone(), files_max: FILES_MAX });
            }
            return;
        }
        self.is_full = false;
        let id = FileId(self.next);
        self.next += 1;
        let Stat { device, inode, born_ns, size, .. } = seen.stat;
        let is_packed = seen.packing.is_some();
        let note = FileNote {
            id,
            device,
            inode,
            born_ns,
            head: Head::of(&first),
            path: seen.path.clone(),
            packing: seen.packing,
            is_done: is_skipped && is_packed,
            read: if is_skipped && !is_packed { size } else { 0 },
            tail: BytesBefore::default(),
            is_cut: false,
        };
        changes.notes.push(Note::File(note.clone()));
        let known = Known {
            place: Place::Here,
            stat: seen.stat,
            is_live: seen.meant == Meant::Itself,
            age_ns: seen.stat.modified_ns,
            first,
            is_checked: true,
            ..Known::new(note)
        };
        self.known.insert(id, known);
    }

    /// Forgets the file that has been gone for longest.
    fn make_room(&mut self, changes: &mut Changes) -> bool {
        let since = |known: &Known| match known.place {
            Place::Gone { since } => Some((since, known.note.id)),
            Place::Here | Place::Nameless => None,
        };
        let oldest = self.known.values().filter_map(since).min();
        if let Some((_, id)) = oldest {
            self.known.remove(&id);
            changes.notes.push(Note::Forgotten(id));
        }
        oldest.is_some()
    }

    /// Tells of files that went with something unread, once.
    fn tell_vanished(&mut self, changes: &mut Changes) {
        for known in self.known.values_mut() {
            let unread_bytes = known.stat.size.saturating_sub(known.note.read);
            let is_gone = matches!(known.place, Place::Gone { .. });
            // Of an orphan it has been told; of packed ones the size says nothing.
            let is_plain = known.note.packing.is_none();
            let is_counted = known.note.inode != 0 && is_plain && known.note.head.length > 0;
            if is_gone && unread_bytes > 0 && is_counted && !known.is_told {
                known.is_told = true;
                changes.events.push(Event::Vanished { path: known.note.path.clone(), unread_bytes });
            }
        }
    }

    fn forget(&mut self, now: Duration, changes: &mut Changes) {
        let is_over = |known: &Known| {
            let kept = if known.note.head.length == 0 { Duration::ZERO } else { GONE_KEPT };
            matches!(known.place, Place::Gone { since } if now >= since + kept)
        };
        let over: Vec<FileId> = self.known.values().filter(|known| is_over(known)).map(|known| known.note.id).collect();
        for id in over {
            self.known.remove(&id);
            changes.notes.push(Note::Forgotten(id));
        }
    }
}
