//! Reads a journal from any place on, over rotated and compressed files, while it is being written and rotated.
//!
//! A file is known by the `seq` of its first line, not by its name: the current file gets its rotated name and later its
//! compressed form while a reader is in it, and its bytes stay the same. So a position is found again by its `seq`, and
//! its offset counts uncompressed bytes.
//!
//! How a follower misses nothing:
//! 1. The open current file is read through its descriptor, whatever its name becomes. Only when the name leads to another
//!    file, so that no more can be written to this one, is it read to its end and left.
//! 2. The next file is the closed one with the next higher first `seq`. The current file is taken only when it was opened
//!    before a listing that shows no closed one in between.
//! 3. A line is taken from the bytes of a single read. When the end of the data is not the end of a line, those bytes are
//!    forgotten and read again later: a failed write may have been cut off in between.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::JournalError;
use crate::line::{self, LINE_BYTES_MAX};
use crate::names::{Names, Rotated, day_text};
use crate::packing::{Packing, Unpacker};
use crate::recover::first_seq;
use crate::seek::shortly_before;
use crate::stray::StrayList;
use crate::stretches::Table;

/// Lines that [`Reader::take_until`] holds at once.
const TAKEN_LINES: usize = 1_000;
/// Bytes read at once.
const READ_BYTES: usize = 128 << 10;
/// Bytes of lines after which a batch has enough.
const BATCH_BYTES: usize = 8 << 20;
/// Most bytes held while looking for the end of a line; longer ones are not ours and are skipped.
const READ_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// How often the directory is listed before a gap in it is believed. A listing may miss a file that changes its name
/// meanwhile; a file does so twice, when it is closed and when it is compressed, so one of three listings shows it.
const LISTINGS_MAX: usize = 3;

/// Where a reader stands. Stays valid over rotation, compression and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Name the file had, for people; it is found again by `seq`.
    pub file: String,
    /// Offset of the next line in the uncompressed file, in bytes.
    pub offset: u64,
    /// `seq` of the next line.
    pub seq: u64,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its `seq`. A damaged line has the one that was expected in its place.
    pub seq: u64,
    /// Its bytes without the LF.
    pub bytes: Vec<u8>,
    /// Where the line after it begins.
    pub next: Position,
}

/// Reads lines in order.
#[derive(Debug)]
pub struct Reader {
    names: Names,
    source: Option<Source>,
    /// `buffer[start..end]` is read and not yet given out; its first byte is at `offset` of the file.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    count: Count,
    strays: StrayList,
    /// Damage met while opening, for the next call to tell.
    untold: Option<JournalError>,
    has_more: bool,
    /// Offset and `seq` of the line behind the one that was given last; its file is the open one.
    given: Option<(u64, u64)>,
    place: Option<Position>,
}

/// An open file.
struct Source {
    input: Input,
    name: String,
    /// Unknown while the file is empty.
    first_seq: Option<u64>,
    /// Opened as the current file and not yet seen to be renamed.
    is_current: bool,
    /// Within a line too long to be ours.
    is_skipping: bool,
}

enum Input {
    Plain(File),
    Packed(Packed),
    /// It was damaged; there is no more to get from it.
    Exhausted,
}

/// A compressed file, read from its start or from a stretch on.
struct Packed {
    file: Arc<File>,
    packing: Packing,
    unpacker: Unpacker,
}

impl Packed {
    fn new(file: File, packing: Packing) -> io::Result<Self> {
        let file = Arc::new(file);
        Ok(Self { unpacker: packing.unpack(file.clone(), 0)?, file, packing })
    }

    /// Goes to this offset of the plain file, having read nothing yet. The byte before it is the next one.
    fn go_before(&mut self, offset: u64) -> io::Result<()> {
        let begin = Table::of(&self.file, self.packing)?.and_then(|table| table.holding(offset - 1));
        let mut rest = offset - 1;
        if let Some(begin) = begin {
            self.unpacker = self.packing.unpack(self.file.clone(), begin.packed)?;
            rest -= begin.plain;
        }
        io::copy(&mut self.unpacker.by_ref().take(rest), &mut io::sink()).map(drop)
    }

    /// Goes to the last stretch that begins with the line of this `seq` or one before it, and gives offset and `seq` of that line; nothing
    /// when none is known.
    fn go_shortly_before(&mut self, seq: u64) -> io::Result<Option<(u64, u64)>> {
        let Some(table) = Table::of(&self.file, self.packing)? else { return Ok(None) };
        let Some((begin, first)) = table.shortly_before(&self.file, self.packing, seq)? else { return Ok(None) };
        self.unpacker = self.packing.unpack(self.file.clone(), begin.packed)?;
        Ok(Some((begin.plain, first)))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("first_seq", &self.first_seq).finish_non_exhaustive()
    }
}

/// Which `seq` the next line has.
#[derive(Debug, Clone, Copy)]
struct Count {
    next: u64,
    /// False until the first line tells.
    is_known: bool,
    /// What the last line said when that was not what was expected.
    disagreed: Option<u64>,
    damaged: u64,
}

impl Reader {
    /// Opens the journal with this current file, which need not be there yet, at a position or at the oldest kept line. So
    /// also when the position's line is older than all that is kept, or the journal never came that far.
    #[expect(clippy::needless_pass_by_value, reason = "whoever opens at a position has no more use for it")]
    pub fn open(current_file: &Path, from: Option<Position>) -> Result<Self, JournalError> {
        let names = Names::new(current_file)?;
        let (buffer, count) = (Vec::new(), Count::START);
        let mut reader = Self {
            names,
            source: None,
            buffer,
            start: 0,
            end: 0,
            offset: 0,
            count,
            strays: StrayList::default(),
            untold: None,
            has_more: true,
            given: None,
            place: None,
        };
        let is_found = match &from {
            Some(position) => reader.find(position)?,
            None => false,
        };
        if !is_found {
            reader.leave(Count::START);
        }
        Ok(reader)
    }

    /// Opens the journal at the first file with lines of the UTC day of this moment, or of a later one; in milliseconds since
    /// 1970. Lines before the moment may come first.
    pub fn open_since(current_file: &Path, ms: i64) -> Result<Self, JournalError> {
        let names = Names::new(current_file)?;
        let day = day_text(ms);
        let closed = names.list_distinct()?.into_iter().find(|file| file.day >= day);
        let first = match closed {
            Some(closed) => Some((closed.name, closed.first_seq)),
            None => open_current(&names)?.and_then(|source| Some((source.name, source.first_seq?))),
        };
        Self::open(current_file, first.map(|(file, seq)| Position { file, offset: 0, seq }))
    }

    /// Appends up to `lines_max` complete lines to `lines`, fewer where they are long, and gives their number; 0 means that there is
    /// nothing new now.
    ///
    /// After [`JournalError::Damaged`] the next call goes on with the next file; after other errors it tries again. Lines
    /// appended before an error are good.
    pub fn next_batch(&mut self, lines_max: usize, lines: &mut Vec<Line>) -> Result<usize, JournalError> {
        if let Some(error) = self.untold.take() {
            return Err(error);
        }
        let (mut count, mut bytes) = (0, 0);
        while count < lines_max && bytes < BATCH_BYTES {
            let Some((seq, line)) = self.next_line()? else { break };
            let next = Position { file: self.file_name(), offset: self.offset, seq: self.count.next };
            bytes += line.len();
            lines.push(Line { seq, bytes: self.buffer[line].to_vec(), next });
            count += 1;
        }
        Ok(count)
    }

    /// As [`Reader::next_batch`], but gives each line to `take` with its `seq`, where it was read, and ends early when that breaks off.
    pub fn each_of_batch<B>(
        &mut self,
        lines_max: usize,
        take: impl FnMut(u64, &[u8]) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, JournalError> {
        if let Some(error) = self.untold.take() {
            return Err(error);
        }
        let taken = self.take_lines(lines_max, take);
        self.note_place();
        taken
    }

    /// Where the line behind the last one is that [`Reader::each_of_batch`] gave.
    pub fn place(&self) -> Option<&Position> {
        self.place.as_ref()
    }

    fn take_lines<B>(
        &mut self,
        lines_max: usize,
        mut take: impl FnMut(u64, &[u8]) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, JournalError> {
        let (mut count, mut bytes) = (0, 0);
        while count < lines_max && bytes < BATCH_BYTES {
            let Some((seq, line)) = self.next_line()? else { break };
            self.given = Some((self.offset, self.count.next));
            bytes += line.len();
            count += 1;
            if let ControlFlow::Break(why) = take(seq, &self.buffer[line]) {
                return Ok(ControlFlow::Break(why));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Makes a position of what was given last, while its file is open.
    fn note_place(&mut self) {
        if let Some((offset, seq)) = self.given.take() {
            self.place = Some(Position { file: self.file_name(), offset, seq });
        }
    }

    /// Whether the last batch may have ended before the lines that are there now.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Gives the lines that are there now, up to number `last_seq`, to `take` in order, until that breaks off. What is damaged
    /// has no line; it is told by whoever follows the journal, such as the indexer.
    pub fn take_until(
        &mut self,
        last_seq: u64,
        mut take: impl FnMut(&Line) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let mut lines = Vec::new();
        loop {
            let is_end = match self.next_batch(TAKEN_LINES, &mut lines) {
                Ok(read) => read == 0,
                // The next call goes on behind it.
                Err(JournalError::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
            for line in lines.drain(..) {
                if line.seq > last_seq || take(&line).is_break() {
                    return Ok(());
                }
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// How many damaged lines and pieces of lines were met so far.
    pub fn damaged(&self) -> u64 {
        self.count.damaged
    }

    /// The lines met so far that are no records.
    pub(crate) fn strays(&self) -> &StrayList {
        &self.strays
    }

    /// What follows the last line feed of the open file: its name, the bytes, and whether more may come.
    pub(crate) fn rest(&self) -> Result<Option<(String, u64, bool)>, JournalError> {
        let Some(source) = &self.source else { return Ok(None) };
        let bytes = match &source.input {
            Input::Plain(file) => {
                let path = self.names.dir.join(&source.name);
                let length = file.metadata().map_err(JournalError::io("examining", &path))?.len();
                length.saturating_sub(self.offset)
            }
            Input::Packed(_) => (self.end - self.start) as u64,
            Input::Exhausted => 0,
        };
        Ok((bytes > 0).then(|| (source.name.clone(), bytes, source.is_current)))
    }

    /// The next complete line that is there now, as [`Reader::next_range`] gives it.
    fn next_line(&mut self) -> Result<Option<(u64, Range<usize>)>, JournalError> {
        self.has_more = true;
        loop {
            if let Some(found) = self.next_range()? {
                return Ok(Some(found));
            }
            self.note_place();
            if !self.next_file()? {
                self.has_more = false;
                return Ok(None);
            }
        }
    }

    /// The name of the open file.
    fn file_name(&self) -> String {
        self.source.as_ref().map(|source| source.name.clone()).unwrap_or_default()
    }

    /// The `seq` of the next complete line of the open file, and where it is in the buffer until more is read.
    fn next_range(&mut self) -> Result<Option<(u64, Range<usize>)>, JournalError> {
        loop {
            let Some(length) = memchr::memchr(b'\n', &self.buffer[self.start..self.end]) else {
                if self.fill()? {
                    continue;
                }
                return Ok(None);
            };
            let line = self.start..self.start + length;
            self.start = line.end + 1;
            self.offset += length as u64 + 1;
            let Some(source) = &mut self.source else { return Ok(None) };
            if std::mem::take(&mut source.is_skipping) {
                continue;
            }
            let Some(seq) = self.count.take(&self.buffer[line.clone()]) else {
                self.strays.add(&source.name, self.count.last());
                continue;
            };
            if self.offset == length as u64 + 1 {
                source.first_seq.get_or_insert(seq);
            }
            return Ok(Some((seq, line)));
        }
    }

    /// Reads more of the open file; false when there is no more now.
    fn fill(&mut self) -> Result<bool, JournalError> {
        let Some(source) = &mut self.source else { return Ok(false) };
        let had = self.end - self.start;
        if had == self.buffer.len() {
            if had >= READ_BYTES_MAX {
                if !std::mem::replace(&mut source.is_skipping, true) {
                    self.count.damaged += 1;
                    self.strays.add(&source.name, self.count.last());
                }
                self.offset += had as u64;
                (self.start, self.end) = (0, 0);
                return Ok(true);
            }
            self.buffer.resize((2 * had).clamp(READ_BYTES, READ_BYTES_MAX), 0);
        }
        let result = match &mut source.input {
            Input::Plain(file) => {
                (self.start, self.end) = (0, 0);
                file.read_at(&mut self.buffer, self.offset).inspect(|count| self.end = *count)
            }
            Input::Packed(packed) => {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, had);
                packed.unpacker.read(&mut self.buffer[had..]).inspect(|count| self.end += *count)
            }
            Input::Exhausted => return Ok(false),
        };
        if let Err(error) = result {
            let file = self.names.dir.join(&source.name);
            if error.kind() == io::ErrorKind::Interrupted {
                return Ok(true);
            }
            if matches!(source.input, Input::Plain(_)) {
                return Err(JournalError::io("reading", &file)(error));
            }
            source.input = Input::Exhausted;
            self.count.damaged += 1;
            (self.start, self.end) = (0, 0);
            return Err(JournalError::Damaged { file, offset: self.offset, reason: Arc::new(error) });
        }
        // A piece of a line that did not grow is all there is.
        let has_grown = self.end > had;
        if !has_grown && matches!(source.input, Input::Plain(_)) {
            (self.start, self.end) = (0, 0);
        }
        Ok(has_grown)
    }

    /// Goes on when the open file has no more lines; false when it may yet get some, or there is no other.
    fn next_file(&mut self) -> Result<bool, JournalError> {
        if let Some(source) = &mut self.source
            && source.is_current
        {
            if let Input::Plain(file) = &source.input
                && is_still(file, &self.names.current).map_err(JournalError::io("examining", &self.names.current))?
            {
                return Ok(false);
            }
            // It was renamed: what was written to it before that may not have been read yet.
            source.is_current = false;
            return Ok(true);
        }
        let after = self.source.as_ref().map(|source| source.first_seq.unwrap_or(self.count.next.saturating_sub(1)));
        let Some(source) = self.find_next(after)? else { return Ok(false) };
        // Nothing is written to a file that has a later one.
        if let Some((name, ..)) = self.rest()? {
            self.strays.add(&name, self.count.last());
        }
        let mut count = Count { disagreed: None, ..self.count };
        if let Some(first_seq) = source.first_seq {
            count = Count { next: first_seq, is_known: true, ..count };
        }
        self.enter(source, count);
        Ok(true)
    }

    /// The file with the lowest first `seq` above `after`.
    fn find_next(&self, after: Option<u64>) -> Result<Option<Source>, JournalError> {
        let is_next = |first_seq: u64| after.is_none_or(|after| first_seq > after);
        for listing in 1..=LISTINGS_MAX {
            // Opened before the listing, so that no rotation can hide a file between the two.
            let current = open_current(&self.names)?;
            let closed = self.names.list_distinct()?;
            let closed = closed.iter().find(|file| is_next(file.first_seq));
            let first_seq = closed.map(|file| file.first_seq).or(current.as_ref().and_then(|source| source.first_seq));
            if first_seq != Some(self.count.next) && listing < LISTINGS_MAX {
                continue;
            }
            let Some(closed) = closed else {
                return Ok(current.filter(|source| source.first_seq.is_none_or(is_next)));
            };
            // When it is gone since it was listed, it was compressed meanwhile.
            if let Some(source) = open_closed(&self.names, closed)? {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }

    /// Goes to a position; false when the journal has no such place.
    fn find(&mut self, position: &Position) -> Result<bool, JournalError> {
        if let Some(current) = open_current(&self.names)?
            && current.first_seq.is_some_and(|first_seq| first_seq <= position.seq)
        {
            return self.find_in(current, position);
        }
        // What was renamed before the current file was opened is closed now.
        let mut first_seq = None;
        for _ in 0..LISTINGS_MAX {
            let closed = self.names.list_distinct()?;
            first_seq = first_seq.max(closed.iter().map(|file| file.first_seq).rfind(|first| *first <= position.seq));
        }
        // Else older than all that is kept, or nothing was ever written.
        let Some(first_seq) = first_seq else { return Ok(false) };
        let Some(closed) = reopen(&self.names, first_seq)? else { return Ok(false) };
        self.find_in(closed, position)
    }

    fn find_in(&mut self, source: Source, position: &Position) -> Result<bool, JournalError> {
        let count = Count { next: source.first_seq.unwrap_or(position.seq), is_known: true, ..Count::START };
        let is_current = source.is_current;
        self.enter(source, count);
        if count.next == position.seq {
            return Ok(true);
        }
        if self.skip_to(position.offset) {
            self.count.next = position.seq;
            match self.peek() {
                Ok(Some(seq)) if seq != position.seq => {}
                Ok(_) => return Ok(true),
                Err(error) => return self.tell_later(error),
            }
        }
        // The offset is not known, or not where the line begins: the file is damaged or another. Look for the line.
        let path = self.source.as_ref().map(|source| self.names.dir.join(&source.name)).unwrap_or_default();
        for is_near in [true, false] {
            let source = if is_current { open_current(&self.names)? } else { reopen(&self.names, count.next)? };
            let gone = || JournalError::io("reopening", &path)(io::ErrorKind::NotFound.into());
            let mut source = source.ok_or_else(gone)?;
            let near = match &mut source.input {
                _ if !is_near => Ok(None),
                Input::Plain(file) => shortly_before(file, position.seq),
                Input::Packed(packed) => packed.go_shortly_before(position.seq),
                Input::Exhausted => Ok(None),
            };
            let near = near.map_err(JournalError::io("reading", &path))?.filter(|(_, seq)| *seq > count.next);
            if is_near && near.is_none() {
                continue;
            }
            self.enter(source, count);
            (self.offset, self.count.next) = near.unwrap_or((0, count.next));
            match self.scan_to(position.seq) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(error) => return self.tell_later(error),
            }
        }
        Ok(false)
    }

    /// Reads on to the line of this `seq`; false when it does not come.
    fn scan_to(&mut self, seq: u64) -> Result<bool, JournalError> {
        while self.count.next < seq {
            if self.next_range()?.is_none() {
                return Ok(false);
            }
        }
        Ok(self.count.next == seq)
    }

    /// A damaged file does not keep the reader from opening: reading goes on with the next one.
    fn tell_later(&mut self, error: JournalError) -> Result<bool, JournalError> {
        if !matches!(error, JournalError::Damaged { .. }) {
            return Err(error);
        }
        self.untold = Some(error);
        Ok(true)
    }

    /// Goes forward in a file just entered; false when no line ends there.
    fn skip_to(&mut self, offset: u64) -> bool {
        let Some(source) = &mut self.source else { return false };
        let Some(before) = offset.checked_sub(1) else { return false };
        let mut last = [0];
        let result = match &mut source.input {
            Input::Plain(file) => file.read_exact_at(&mut last, before),
            Input::Packed(packed) => packed.go_before(offset).and_then(|()| packed.unpacker.read_exact(&mut last)),
            Input::Exhausted => return false,
        };
        self.offset = offset;
        // Whatever hinders here is met, and told, again when the file is read from its begin.
        result.is_ok() && last == [b'\n']
    }

    /// The `seq` that the next line carries, when it is there and whole.
    fn peek(&mut self) -> Result<Option<u64>, JournalError> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                let line = &self.buffer[self.start..self.start + length];
                return Ok(line::ends(line).map(|(seq, _)| seq));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn enter(&mut self, source: Source, count: Count) {
        self.leave(count);
        self.source = Some(source);
    }

    fn leave(&mut self, count: Count) {
        self.source = None;
        (self.start, self.end, self.offset) = (0, 0, 0);
        self.count = count;
    }
}

impl Count {
    /// Before anything is read; a journal that was never shortened begins with 1.
    const START: Self = Self { next: 1, is_known: false, disagreed: None, damaged: 0 };

    /// `seq` of the line before, as far as one is known.
    fn last(&self) -> Option<u64> {
        self.next.checked_sub(1).filter(|last| self.is_known && *last > 0)
    }

    /// The `seq` to give a line, or nothing when it is only a piece of one. Damage changes what a line says or where lines
    /// end; the count is believed over one line that disagrees, and two lines that agree with each other over the count.
    fn take(&mut self, line: &[u8]) -> Option<u64> {
        let told = line::ends(line).map(|(seq, _)| seq);
        let seq = match told {
            Some(told) if !self.is_known || told == self.next => told,
            Some(told) if told > self.next && self.disagreed == Some(told.wrapping_sub(1)) => told,
            None | Some(_) => {
                self.damaged += 1;
                self.disagreed = told;
                if !line.starts_with(b"{\"ts\":\"") {
                    return None;
                }
                self.next
            }
        };
        if told == Some(seq) {
            self.disagreed = None;
        }
        self.is_known = true;
        self.next = seq + 1;
        Some(seq)
    }
}

/// Whether the path still leads to this open file.
fn is_still(file: &File, path: &Path) -> io::Result<bool> {
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// The current file, or nothing when it is not there (yet, or between two steps of a rotation).
fn open_current(names: &Names) -> Result<Option<Source>, JournalError> {
    let failed = |action| JournalError::io(action, &names.current);
    let file = match File::open(&names.current) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opening")(error)),
    };
    let first_seq = first_seq(&file).map_err(failed("reading"))?;
    let (input, name) = (Input::Plain(file), names.current_name.clone());
    Ok(Some(Source { input, name, first_seq, is_current: true, is_skipping: false }))
}

/// A closed file, or nothing when it is no longer there in this form.
fn open_closed(names: &Names, closed: &Rotated) -> Result<Option<Source>, JournalError> {
    let path = names.dir.join(&closed.name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::io("opening", &path)(error)),
    };
    let input = match closed.packing {
        Some(packing) => Input::Packed(Packed::new(file, packing).map_err(JournalError::io("opening", &path))?),
        None => Input::Plain(file),
    };
    let name = closed.name.clone();
    Ok(Some(Source { input, name, first_seq: Some(closed.first_seq), is_current: false, is_skipping: false }))
}

/// The closed file with this first `seq`, in whatever form it is there now.
fn reopen(names: &Names, first_seq: u64) -> Result<Option<Source>, JournalError> {
    for _ in 0..LISTINGS_MAX {
        if let Some(closed) = names.list_distinct()?.iter().find(|file| file.first_seq == first_seq)
            && let Some(source) = open_closed(names, closed)?
        {
            return Ok(Some(source));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Form, Head};
    use crate::{Level, Record};
    use std::io::Write;

    #[test]
    fn what_was_written_between_the_last_read_and_the_rename_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let current = dir.path().join("gateway.log");
        let mut form = Form::new("house", &serde_json::Map::new()).unwrap();
        let mut head = Head::START;
        let mut line = || {
            let mut line = Vec::new();
            form.write(&mut line, &Record::new("log", Level::Info, ""), &mut head, 0);
            line
        };
        fs::write(&current, line()).unwrap();
        let mut reader = Reader::open(&current, None).unwrap();
        let mut lines = Vec::new();
        assert_eq!(reader.next_batch(10, &mut lines).unwrap(), 1);

        // The reader has just found the end of the file, when a line comes and the file is left.
        fs::OpenOptions::new().append(true).open(&current).unwrap().write_all(&line()).unwrap();
        fs::rename(&current, dir.path().join(reader.names.rotated(0, 1))).unwrap();
        fs::write(&current, line()).unwrap();
        assert!(reader.next_file().unwrap());
        assert_eq!(reader.next_batch(10, &mut lines).unwrap(), 2);
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(reader.damaged(), 0);
    }
}
