//! What happens when a journal is opened: the torn tail is cut off, and the place to go on from is found.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use memchr::{memchr, memmem, memrchr};
use serde_json::{Map, Value};

use crate::disk::FILE_MODE;
use crate::error::JournalError;
use crate::line::{self, Head, LINE_BYTES_MAX, RECORD_BYTES_MAX};
use crate::names::{Names, Rotated};

/// Most bytes of torn tails that are kept beside the journal, some of the longest lines; what does not fit is counted and dropped.
const QUARANTINE_BYTES_MAX: u64 = 16 << 20;
/// Bytes at the end of a file that are searched for its last sound line before all of it is read.
const END_BYTES: u64 = 2 * LINE_BYTES_MAX as u64;
/// As many are enough as a rule.
const USUAL_END_BYTES: u64 = 2 * RECORD_BYTES_MAX as u64;
/// Bytes read at once when looking back for a line feed.
const CHUNK_BYTES: u64 = 64 << 10;
/// Most requests without an end that are remembered.
const UNFINISHED_MAX: usize = 100_000;

/// What was found when the journal was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovery {
    /// Bytes after the last line feed that were cut off and put into quarantine.
    pub torn_bytes: u64,
    /// Of these, as many as did not fit into quarantine any more and are lost.
    pub dropped_bytes: u64,
    /// The quarantine.
    pub quarantine: PathBuf,
    /// `seq` of the last line that is there, 0 when there is none.
    pub last_seq: u64,
    /// After an unclean end: the `request.start` records that have no `request` of the same `request_id`, oldest first.
    pub unfinished: Vec<Map<String, Value>>,
}

/// Where the writer goes on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) recovery: Recovery,
    pub(crate) head: Head,
    /// `seq` of the first line of the current file, or of the next line when the file is empty.
    pub(crate) first_seq: u64,
    /// Bytes in the current file.
    pub(crate) length: u64,
}

pub(crate) fn recover(names: &Names) -> Result<Recovered, JournalError> {
    for left_over in names.temporaries()? {
        fs::remove_file(&left_over).map_err(JournalError::io("removing", &left_over))?;
    }
    let (length, torn) = cut_torn_tail(names)?;
    let before = names.list_distinct()?.pop();

    // A rotation that was cut short leaves an empty current file or none; then the one before tells where to go on.
    let end = if length > 0 {
        let expected = before.as_ref().map_or(1, |file| file.first_seq);
        end_of_current(&names.current, length, expected)?
    } else if let Some(before) = &before {
        let end = end_by_reading(open_closed(names, before)?, before.first_seq);
        End { first_seq: end.last_seq + 1, ..end }
    } else {
        End { first_seq: 1, last_seq: 0, last_line: Vec::new(), ts_ms: None }
    };

    let head = match end.last_seq {
        0 => Head::START,
        seq => Head {
            seq,
            hash: line::hash(&end.last_line),
            ts_ms: end.ts_ms.unwrap_or_else(|| modified_ms(&names.current)),
        },
    };
    let is_clean = end.last_seq == 0 || is_process(&end.last_line, b"stopped");
    let unfinished = if is_clean { Vec::new() } else { unfinished(names, before.as_ref())? };
    let recovery = Recovery {
        torn_bytes: torn.bytes,
        dropped_bytes: torn.dropped,
        quarantine: names.torn(),
        last_seq: head.seq,
        unfinished,
    };
    Ok(Recovered { recovery, head, first_seq: end.first_seq, length })
}

/// What was cut off.
#[derive(Default)]
struct Torn {
    bytes: u64,
    /// Of these, not kept.
    dropped: u64,
}

/// Cuts what follows the last line feed off the current file. Gives the length left and what was cut.
fn cut_torn_tail(names: &Names) -> Result<(u64, Torn), JournalError> {
    let path = &names.current;
    let failed = |action| JournalError::io(action, path);
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Torn::default())),
        Err(error) => return Err(failed("opening")(error)),
    };
    let found = file.metadata().map_err(failed("examining"))?;
    if !found.is_file() {
        return Err(JournalError::Name(path.clone()));
    }
    let length = end_of_last_line(&file, found.len()).map_err(failed("reading"))?;
    let mut torn = Torn { bytes: found.len() - length, dropped: 0 };
    if torn.bytes > 0 {
        let kept = quarantine(names, &file, length).map_err(JournalError::io("writing", &names.torn()))?;
        torn.dropped = torn.bytes - kept;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(failed("cutting the torn end of"))?;
    }
    Ok((length, torn))
}

/// The offset after the last LF before `length`, or 0.
fn end_of_last_line(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        chunk.resize((end - start) as usize, 0);
        file.read_exact_at(&mut chunk, start)?;
        if let Some(at) = memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Appends what is torn to the quarantine, and gives the bytes that it had room for.
fn quarantine(names: &Names, mut torn: &File, from: u64) -> io::Result<u64> {
    let mut kept = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(names.torn())?;
    let room = QUARANTINE_BYTES_MAX.saturating_sub(kept.metadata()?.len());
    torn.seek(SeekFrom::Start(from))?;
    let copied = io::copy(&mut torn.take(room.saturating_sub(1)), &mut kept)?;
    if copied > 0 {
        kept.write_all(b"\n")?;
    }
    kept.sync_all()?;
    Ok(copied)
}

/// The ends of one file.
struct End {
    first_seq: u64,
    last_seq: u64,
    /// Without its LF.
    last_line: Vec<u8>,
    /// Time of the last line that has one.
    ts_ms: Option<i64>,
}

/// Reads only both ends of the file, unless they are damaged.
fn end_of_current(path: &Path, length: u64, expected: u64) -> Result<End, JournalError> {
    let failed = || JournalError::io("reading", path);
    let file = File::open(path).map_err(failed())?;
    let mut last = Vec::new();
    for bytes in [USUAL_END_BYTES, END_BYTES].map(|bytes| bytes.min(length)) {
        last = vec![0; bytes as usize];
        file.read_exact_at(&mut last, length - bytes).map_err(failed())?;
        last.pop();
        // A whole line is in it.
        if memchr(b'\n', &last).is_some() {
            break;
        }
    }

    // A damaged line with its LF stays where it is and counts as one record.
    let mut damaged = 0;
    for line in last.rsplit(|byte| *byte == b'\n') {
        let Some((seq, _)) = line::ends(line) else {
            damaged += 1;
            continue;
        };
        let Some(first_seq) = first_seq(&file).map_err(failed())? else { break };
        let last_line = last.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        let ts_ms = last.rsplit(|byte| *byte == b'\n').find_map(line::ts_ms);
        return Ok(End { first_seq, last_seq: seq + damaged, last_line, ts_ms });
    }
    Ok(end_by_reading(Box::new(BufReader::new(file)), expected))
}

/// `seq` of the first line of an open file, or nothing when it is empty or not told near its begin. Damaged lines before
/// the first sound one are counted.
pub(crate) fn first_seq(file: &File) -> io::Result<Option<u64>> {
    let mut begin = Vec::new();
    let mut filled = 0;
    let mut searched = 0;
    let mut damaged = 0;
    while filled < END_BYTES as usize {
        begin.resize(filled + CHUNK_BYTES as usize, 0);
        let count = file.read_at(&mut begin[filled..], filled as u64)?;
        if count == 0 {
            break;
        }
        filled += count;
        while let Some(at) = memchr(b'\n', &begin[searched..filled]) {
            if let Some((seq, _)) = line::ends(&begin[searched..searched + at]) {
                return Ok(Some(seq.saturating_sub(damaged)));
            }
            damaged += 1;
            searched += at + 1;
        }
    }
    Ok(None)
}

/// Reads a file from begin to end, as far as it can be read.
fn end_by_reading(mut input: Box<dyn BufRead>, expected: u64) -> End {
    let mut end = End { first_seq: expected, last_seq: expected - 1, last_line: Vec::new(), ts_ms: None };
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) && line.pop() == Some(b'\n') {
        end.last_seq = line::ends(&line).map_or(end.last_seq + 1, |(seq, _)| seq);
        end.ts_ms = line::ts_ms(&line).or(end.ts_ms);
        std::mem::swap(&mut end.last_line, &mut line);
        line.clear();
    }
    end
}

/// Opens a closed file in either form.
pub(crate) fn open_closed(names: &Names, file: &Rotated) -> Result<Box<dyn BufRead>, JournalError> {
    let path = names.dir.join(&file.name);
    let open = || -> io::Result<Box<dyn BufRead>> {
        let plain = File::open(&path)?;
        Ok(match file.packing {
            Some(packing) => Box::new(BufReader::new(packing.unpack(Arc::new(plain), 0)?)),
            None => Box::new(BufReader::new(plain)),
        })
    };
    open().map_err(JournalError::io("opening", &path))
}

/// Looks through the current file, and the one before it when the last start is not in the current one.
fn unfinished(names: &Names, before: Option<&Rotated>) -> Result<Vec<Map<String, Value>>, JournalError> {
    let current = || -> Result<Box<dyn BufRead>, JournalError> {
        match File::open(&names.current) {
            Ok(file) => Ok(Box::new(BufReader::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(io::empty())),
            Err(error) => Err(JournalError::io("opening", &names.current)(error)),
        }
    };
    let mut open = Open::default();
    open.read(current()?);
    if let (false, Some(before)) = (open.saw_start, before) {
        open = Open::default();
        open.read(open_closed(names, before)?);
        open.read(current()?);
    }
    let mut left: Vec<(usize, Vec<u8>)> = open.requests.into_values().flatten().collect();
    left.sort_unstable();
    Ok(left.iter().filter_map(|(_, line)| serde_json::from_slice(line).ok()).collect())
}

/// Requests begun and not ended since the last start of the process.
#[derive(Default)]
struct Open {
    saw_start: bool,
    /// Starts seen.
    count: usize,
    /// Starts without an end.
    unended: usize,
    /// By request id: when it came, and its line. Clients may use an id again while its request runs; then the oldest start
    /// is closed by the first end.
    requests: HashMap<Vec<u8>, VecDeque<(usize, Vec<u8>)>>,
}

impl Open {
    /// Goes through the lines without parsing them: a name in quotes followed by a colon can only be a name, because quotes
    /// inside a text are escaped.
    fn read(&mut self, mut input: Box<dyn BufRead>) {
        let id_name = memmem::Finder::new(b"\"request_id\":\"");
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            self.take(&line, &id_name);
            line.clear();
        }
    }

    fn take(&mut self, line: &[u8], id_name: &memmem::Finder<'_>) {
        let Some((kind, _)) = line::kind(line) else { return };
        if is_process(line, b"started") {
            self.saw_start = true;
            self.requests.clear();
            self.unended = 0;
            return;
        }
        if kind != b"request" && kind != b"request.start" {
            return;
        }
        let Some(at) = id_name.find(line) else { return };
        let id = &line[at + id_name.needle().len()..];
        let Some(id) = memchr(b'"', id).map(|end| &id[..end]) else { return };
        if kind == b"request" {
            if let Some(starts) = self.requests.get_mut(id) {
                starts.pop_front();
                self.unended -= 1;
                if starts.is_empty() {
                    self.requests.remove(id);
                }
            }
        } else if self.unended < UNFINISHED_MAX {
            self.count += 1;
            self.unended += 1;
            self.requests.entry(id.to_vec()).or_default().push_back((self.count, line.to_vec()));
        }
    }
}

/// Whether a line is of kind `process` with this message.
fn is_process(line: &[u8], msg: &[u8]) -> bool {
    let Some((b"process", rest)) = line::kind(line) else { return false };
    let msg_is = |rest: &[u8]| rest.strip_prefix(msg).is_some_and(|rest| rest.starts_with(b"\""));
    rest.strip_prefix(b",\"msg\":\"").is_some_and(msg_is)
}

/// For a file without a time in it: when it was last written. A made-up old time would have it deleted as too old.
fn modified_ms(path: &Path) -> i64 {
    let modified = fs::metadata(path).and_then(|found| found.modified()).ok();
    modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_millis() as i64)
}
