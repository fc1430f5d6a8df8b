//! Reads the files of a source, a step at a time.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::known::{Failure, Known};
use super::lines::Line;
use super::pattern::Pattern;
use super::positions::{FileId, Note, Positions};
use super::reader::{LEFT_AFTER, Readers, Turn};
use super::register::Register;
use super::watch::{Troubles, Watch, reason};

/// How often the directories are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a line of a file that has its name waits for its end.
const UNFINISHED_AFTER: Duration = Duration::from_secs(60);
/// A batch is closed when it has this many bytes or lines.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_LINES: usize = 8192;
/// Most troubles that are remembered as told.
const TROUBLES_MAX: usize = 256;

/// Where reading begins in files that are there when a source is looked at for the first time. Files that appear later are
/// always read from their beginning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Begin {
    /// At their beginning. What had been rotated before is passed over unless a pattern means it.
    #[default]
    Start,
    /// At their end.
    End,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct Options {
    patterns: Vec<Pattern>,
    begin: Begin,
    unfinished_after: Duration,
}

impl Options {
    /// Files that match any of the patterns, from their beginning.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self { patterns, begin: Begin::Start, unfinished_after: UNFINISHED_AFTER }
    }

    /// Where to begin at the first time.
    #[must_use]
    pub fn begin(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// How long a line waits for its end before it is given as unfinished; 60 s unless set.
    #[must_use]
    pub fn unfinished_after(mut self, wait: Duration) -> Self {
        self.unfinished_after = wait;
        self
    }
}

/// What a step has found: store `notes` first, then `lines`, each with its mark.
#[derive(Debug, Default)]
pub struct Batch {
    /// Changes of what is known of files.
    pub notes: Vec<Note>,
    /// Lines, in the order of each file.
    pub lines: Vec<Line>,
    /// What people should know. Nothing needs to be stored for them.
    pub events: Vec<Event>,
    /// There is more to be read at once. When not, nothing is missed by waiting for a quarter of a second.
    pub has_more: bool,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.lines.is_empty() && self.events.is_empty()
    }
}

/// Something that happened to files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A file or directory cannot be read. Told once, until it is solved.
    Trouble {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A trouble is over.
    Solved {
        /// What can be read again.
        path: PathBuf,
    },
    /// A file was truncated or written anew, and no copy of what was in it is in sight.
    Truncated {
        /// Its name.
        path: PathBuf,
        /// How many bytes are known not to have been read. What was written after the last look is not among them.
        unread_bytes: u64,
    },
    /// A file went away before it was read to its end. If it comes back or its packed copy appears it is read on.
    Vanished {
        /// Its last name.
        path: PathBuf,
        /// How many bytes are known not to have been read.
        unread_bytes: u64,
    },
    /// The rest of a line that was longer than 1 MiB was left out.
    Skipped {
        /// Its file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// A file is not read because too many are there.
    TooMany {
        /// The first one that is not read.
        path: PathBuf,
        /// How many there may be.
        files_max: usize,
    },
}

/// How far a file is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileStatus {
    /// Where it is, or was last.
    pub path: PathBuf,
    /// Its size at the last look, as it lies on the disk.
    pub size: u64,
    /// Offset of the next line, unpacked.
    pub read: u64,
    /// Whether everything that was there at the last look has been handed over.
    pub is_caught_up: bool,
}

/// Reads files from where the positions say.
pub struct Tailer {
    options: Options,
    watch: Watch,
    register: Register,
    readers: Readers,
    look_at: Duration,
    is_look_forced: bool,
    told: Troubles,
    /// For the next batch: notes are stored before the lines of theirs, and these tell what is true after some.
    later: Vec<Note>,
    /// Turns go round among groups of files; this one comes first next time.
    turn: usize,
    buffer: Vec<u8>,
}

impl Tailer {
    /// Begins where `positions` end: [`Positions::new`] the first time, later what was stored.
    pub fn new(options: Options, positions: Positions) -> Self {
        Self {
            watch: Watch::new(options.patterns.clone()),
            register: Register::new(positions, options.begin),
            options,
            readers: Readers::default(),
            look_at: Duration::ZERO,
            is_look_forced: false,
            told: Troubles::new(),
            later: Vec::new(),
            turn: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads what there is, up to a batch. `now` is any clock that does not go back.
    pub fn step(&mut self, now: Duration) -> Batch {
        let mut batch = Batch { notes: mem::take(&mut self.later), ..Batch::default() };
        if now >= self.look_at || self.is_look_forced {
            self.look(now, &mut batch);
        }
        let turns = self.turns(now);
        let mut bytes = 0;
        for place in 0..turns.len() {
            if bytes >= BATCH_BYTES || batch.lines.len() >= BATCH_LINES {
                batch.has_more = true;
                break;
            }
            let before = batch.lines.len();
            self.read(turns[self.turn.wrapping_add(place) % turns.len()], now, &mut batch);
            bytes += batch.lines[before..].iter().map(|line| line.text.len()).sum::<usize>();
        }
        self.turn = self.turn.wrapping_add(1);
        batch
    }

    /// How far each file is read.
    pub fn status(&self) -> Vec<FileStatus> {
        let status = |known: &Known| {
            let note = &known.note;
            let is_caught_up = note.is_done || (note.packing.is_none() && note.read >= known.stat.size);
            FileStatus { path: note.path.clone(), size: known.stat.size, read: note.read, is_caught_up }
        };
        self.register.files().map(status).collect()
    }

    /// Looks at the directories, and opens what can be lost with its name.
    fn look(&mut self, now: Duration, batch: &mut Batch) {
        let look = self.watch.look(now, mem::take(&mut self.is_look_forced));
        let mut troubles = look.troubles;
        let watch = &self.watch;
        let changes = self.register.observe(&look.seen, &|path| watch.is_listed(path), &mut self.readers, now);
        batch.notes.extend(changes.notes);
        for id in changes.reopen {
            self.readers.close(id);
        }
        for event in changes.events {
            match event {
                Event::Trouble { path, why } => {
                    troubles.insert(path, why);
                }
                other => batch.events.push(other),
            }
        }
        self.readers.open(&mut self.register, now, &mut troubles);
        self.tell(troubles, batch);
        self.look_at = now + LOOK_EVERY;
    }

    /// Tells troubles that are new and those that are over.
    fn tell(&mut self, mut troubles: Troubles, batch: &mut Batch) {
        while troubles.len() > TROUBLES_MAX {
            troubles.pop_last();
        }
        let is_new = |(path, why): &(&PathBuf, &String)| self.told.get(*path) != Some(*why);
        let new = troubles.iter().filter(is_new);
        batch.events.extend(new.map(|(path, why)| Event::Trouble { path: path.clone(), why: why.clone() }));
        let solved = self.told.keys().filter(|path| !troubles.contains_key(*path));
        batch.events.extend(solved.map(|path| Event::Solved { path: path.clone() }));
        self.told = troubles;
    }

    /// The file of each group whose turn it is: the oldest in which there may be something.
    fn turns(&self, now: Duration) -> Vec<FileId> {
        let mut groups: BTreeMap<&Path, (u64, FileId)> = BTreeMap::new();
        for known in self.register.files() {
            let id = known.note.id;
            if self.readers.get(id).is_some_and(|reader| reader.has_turn(known, self.options.wait(known), now)) {
                let oldest = groups.entry(&known.group).or_insert((known.age_ns, id));
                *oldest = (*oldest).min((known.age_ns, id));
            }
        }
        groups.into_values().map(|(_, id)| id).collect()
    }

    /// One turn of a file.
    fn read(&mut self, id: FileId, now: Duration, batch: &mut Batch) {
        let (Some(known), Some(reader)) = (self.register.get_mut(id), self.readers.get_mut(id)) else { return };
        let room = BATCH_LINES.saturating_sub(batch.lines.len()).max(1);
        let wait = self.options.wait(known);
        match reader.turn(known, wait, now, &mut self.buffer, room, &mut batch.lines) {
            Ok((turn @ (Turn::More | Turn::Wait), skipped)) => {
                batch.has_more |= turn == Turn::More;
                known.failed = None;
                if skipped > 0 {
                    batch.events.push(Event::Skipped { path: known.note.path.clone(), bytes: skipped });
                }
            }
            Ok((Turn::End, _)) if known.note.packing.is_some() => {
                known.note.is_done = true;
                self.later.push(Note::File(known.note.clone()));
                self.readers.close(id);
            }
            Ok((Turn::End, _)) => {
                self.readers.close(id);
                self.register.is_closed(id, now);
            }
            Ok((Turn::Replaced, _)) => {
                self.register.is_replaced(id);
                self.is_look_forced = true;
                batch.has_more = true;
            }
            Err(error) => {
                known.failed = Some(Failure { size: known.stat.size, why: reason(&error), at: now });
                self.readers.close(id);
            }
        }
    }
}

impl Options {
    /// How long a line of this file waits for its end.
    fn wait(&self, known: &Known) -> Duration {
        if known.is_left() { LEFT_AFTER.min(self.unfinished_after) } else { self.unfinished_after }
    }
}
