//! Reads the journal from a cursor on and makes batches of documents, as our own index has them.

use std::collections::VecDeque;
use std::path::Path;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tollhouse_journal::{JournalError, Line, Position, Reader};
use tollhouse_query::date::parse_rfc3339;
use tollhouse_shape::{Document, Shaper};
use tollhouse_units::chain;

use crate::bulk::Item;
use crate::cursor::{Cursor, document_id, hash, hash_before};

/// Documents of a batch.
pub(crate) const ITEMS_MAX: usize = 2_000;
/// Bytes of the lines of a batch; a single line may be longer.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Lines read at once.
const LINES_AT_ONCE: usize = 500;
/// A record that says it is from later than this after it was written is put into the day it was written, as in our own
/// index.
const FUTURE_MS_MAX: i64 = 24 * 3_600 * 1_000;

/// Documents that follow one another in the journal.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// Records that are not in the journal any more, before and among them.
    pub(crate) missed: Vec<Missed>,
    /// Where the record after them begins.
    pub(crate) next: Position,
    /// Hash of the last record.
    pub(crate) after: String,
    /// When the first one was written, in milliseconds since 1970.
    pub(crate) oldest_ms: i64,
}

/// Records of the journal, first and last one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Missed {
    pub(crate) from_seq: u64,
    pub(crate) to_seq: u64,
}

/// What makes documents and names their indices; the same for each destination.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) shaper: Shaper,
    /// In lower case, as the names of indices have to be.
    pub(crate) service: String,
}

/// Follows the journal for one destination.
#[derive(Debug)]
pub(crate) struct Gatherer {
    reader: Reader,
    form: Form,
    /// Read, and not yet taken.
    lines: VecDeque<Line>,
    /// `seq` that the next line should have, once one is known.
    expected: Option<u64>,
    /// Time of the last record, for lines that have none.
    last_ms: i64,
}

/// Where reading begins.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) gatherer: Gatherer,
    /// The cursor is of another journal, and this one is read from its begin.
    pub(crate) is_other_journal: bool,
}

impl Gatherer {
    /// Opens the journal at a cursor, or at its oldest line. Blocks.
    pub(crate) fn open(file: &Path, cursor: &Cursor, form: Form) -> Result<Opened, JournalError> {
        let reader = Reader::open(file, cursor.next.clone())?;
        let expected = cursor.next.as_ref().map(|next| next.seq);
        let last_ms = Timestamp::now().as_millisecond();
        let mut gatherer = Self { reader, form: form.clone(), lines: VecDeque::new(), expected, last_ms };
        gatherer.read()?;
        let (Some(first), Some(next)) = (gatherer.lines.front(), &cursor.next) else {
            return Ok(Opened { gatherer, is_other_journal: false });
        };
        let continues = first.seq != next.seq || hash_before(&first.bytes).is_none_or(|before| before == cursor.after);
        if first.seq >= next.seq && continues {
            return Ok(Opened { gatherer, is_other_journal: false });
        }
        let (reader, lines) = (Reader::open(file, None)?, VecDeque::new());
        let gatherer = Self { reader, form, lines, expected: None, last_ms };
        Ok(Opened { gatherer, is_other_journal: true })
    }

    /// `seq` of the next record, as far as is known.
    pub(crate) fn next_seq(&self) -> u64 {
        self.lines.front().map(|line| line.seq).or(self.expected).unwrap_or(1)
    }

    /// The next batch, of records that a power loss cannot take from the journal any more: their numbers would be given
    /// to others. Nothing when there is none now. Blocks.
    pub(crate) fn next_batch(&mut self, synced_seq: u64) -> Result<Option<Batch>, JournalError> {
        let mut batch: Option<Batch> = None;
        let mut bytes = 0;
        loop {
            if self.lines.is_empty() && !self.read()? {
                return Ok(batch);
            }
            while let Some(line) = self.lines.pop_front() {
                let taken = batch.as_ref().map_or(0, |batch| batch.items.len());
                let is_full = taken == ITEMS_MAX || (taken > 0 && bytes + line.bytes.len() > BATCH_BYTES_MAX);
                if line.seq > synced_seq || is_full {
                    self.lines.push_front(line);
                    return Ok(batch);
                }
                bytes += line.bytes.len();
                self.take(line, &mut batch);
            }
        }
    }

    /// Reads more lines; false when there are none now.
    fn read(&mut self) -> Result<bool, JournalError> {
        let mut lines = Vec::new();
        loop {
            match self.reader.next_batch(LINES_AT_ONCE, &mut lines) {
                Ok(_) => break,
                // What is missing shows by the numbers of those that follow.
                Err(error @ JournalError::Damaged { .. }) => {
                    tracing::error!(error = chain(&error), "a part of the journal cannot be shipped");
                }
                Err(error) => return Err(error),
            }
        }
        self.lines.extend(lines);
        Ok(!self.lines.is_empty())
    }

    fn take(&mut self, line: Line, batch: &mut Option<Batch>) {
        let (item, hash, written_ms) = self.form.item(&line, self.last_ms);
        self.last_ms = written_ms;
        let batch = batch.get_or_insert_with(|| Batch {
            items: Vec::new(),
            missed: Vec::new(),
            next: line.next.clone(),
            after: String::new(),
            oldest_ms: written_ms,
        });
        if let Some(expected) = self.expected.filter(|expected| *expected < line.seq) {
            batch.missed.push(Missed { from_seq: expected, to_seq: line.seq - 1 });
        }
        self.expected = Some(line.seq + 1);
        batch.items.push(item);
        (batch.next, batch.after) = (line.next, hash);
    }
}

impl Form {
    /// A line's document on its way, the line's hash, and when it was written; `last_ms` where it does not say.
    pub(crate) fn item(&self, line: &Line, last_ms: i64) -> (Item, String, i64) {
        let written_ms = written_ms(&line.bytes).unwrap_or(last_ms);
        let document = match self.shaper.document(&line.bytes) {
            Ok(document) if document.seq == line.seq => document,
            Ok(_) => Shaper::dead_letter(line.seq, written_ms, &line.bytes, "the record's number is not the line's"),
            Err(error) => Shaper::dead_letter(line.seq, written_ms, &line.bytes, &error.to_string()),
        };
        let hash = hash(&line.bytes);
        let item = Item {
            seq: line.seq,
            index: named_by(&document).unwrap_or_else(|| self.index(document.timestamp_ms, written_ms)),
            id: document_id(line.seq, &hash),
            source: serde_json::to_vec(&document.source).expect("a map of JSON values is written"),
            is_dead_letter: document.source.get("kind").is_some_and(|kind| kind == "dead_letter"),
        };
        (item, hash, written_ms)
    }

    fn index(&self, timestamp_ms: i64, written_ms: i64) -> String {
        let is_from_future = timestamp_ms.saturating_sub(written_ms) > FUTURE_MS_MAX;
        let day = date_of(if is_from_future { written_ms } else { timestamp_ms });
        format!("{}-{}", self.service, day.strftime("%Y.%m.%d"))
    }
}

/// The index that a document which a client wrote was written to, where it is one of a day.
fn named_by(document: &Document) -> Option<String> {
    let is_log = document.source.get("kind").is_some_and(|kind| kind == "log");
    let name = document.source.get("index").filter(|_| is_log)?.as_str()?;
    let (service, date) = name.split_at_checked(name.len().checked_sub("-2026.01.27".len())?)?;
    let is_day = !service.is_empty() && Date::strptime("-%Y.%m.%d", date).is_ok();
    is_day.then(|| name.to_lowercase())
}

/// The day of a moment, by UTC; the last one that there is for moments beyond.
fn date_of(ms: i64) -> Date {
    let moment = Timestamp::from_millisecond(ms);
    let beyond = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    moment.unwrap_or(beyond).to_zoned(TimeZone::UTC).date()
}

/// The time a line was written, which it begins with.
fn written_ms(line: &[u8]) -> Option<i64> {
    let rest = line.strip_prefix(br#"{"ts":""#)?;
    let end = rest.iter().take(64).position(|byte| *byte == b'"')?;
    parse_rfc3339(std::str::from_utf8(&rest[..end]).ok()?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const TS: &str = "2026-01-27T10:00:00.000Z";

    fn form() -> Form {
        Form { shaper: Shaper::new(&[]).unwrap(), service: "gate".to_owned() }
    }

    /// Writes a journal of these numbers, the chain included.
    fn journal(file: &Path, seqs: impl IntoIterator<Item = u64>, msg: &str) {
        let mut before = "0".repeat(32);
        let mut text = String::new();
        for seq in seqs {
            let fields = format!(r#""level":"info","kind":"log","msg":"{msg}","caller":"","service":"gate""#);
            let line = format!(r#"{{"ts":"{TS}",{fields},"seq":{seq},"prev":"{before}"}}"#);
            before = hash(line.as_bytes());
            text.push_str(&line);
            text.push('\n');
        }
        fs::write(file, text).unwrap();
    }

    fn cursor(batch: &Batch) -> Cursor {
        Cursor { next: Some(batch.next.clone()), after: batch.after.clone(), ..Cursor::start() }
    }

    #[test]
    fn batches_follow_one_another_and_hold_what_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        journal(&file, 1..=4_500, "m");
        let Opened { mut gatherer, is_other_journal } = Gatherer::open(&file, &Cursor::start(), form()).unwrap();
        assert!(!is_other_journal);
        let first = gatherer.next_batch(3_000).unwrap().unwrap();
        assert_eq!((first.items.len(), first.next.seq, gatherer.next_seq()), (2_000, 2_001, 2_001));
        assert_eq!(gatherer.next_batch(3_000).unwrap().unwrap().items.len(), 1_000);
        assert!(gatherer.next_batch(3_000).unwrap().is_none(), "not synced yet");
        assert_eq!(first.items[0].index, "gate-2026.01.27");

        // Again from the cursor of the first one, with the same ids.
        let Opened { mut gatherer, is_other_journal } = Gatherer::open(&file, &cursor(&first), form()).unwrap();
        assert!(!is_other_journal);
        let second = gatherer.next_batch(u64::MAX).unwrap().unwrap();
        assert_eq!((second.items[0].seq, second.missed.len()), (2_001, 0));
        let whole = Gatherer::open(&file, &Cursor::start(), form()).unwrap().gatherer.next_batch(u64::MAX).unwrap();
        assert_eq!(whole.unwrap().items, first.items);
    }

    #[test]
    fn what_is_gone_from_the_journal_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        journal(&file, 1..=10, "m");
        let mut gatherer = Gatherer::open(&file, &Cursor::start(), form()).unwrap().gatherer;
        let reached = cursor(&gatherer.next_batch(5).unwrap().unwrap());
        fs::remove_file(&file).unwrap();
        journal(&file, 8..=12, "m");
        let Opened { mut gatherer, is_other_journal } = Gatherer::open(&file, &reached, form()).unwrap();
        let batch = gatherer.next_batch(u64::MAX).unwrap().unwrap();
        assert!(!is_other_journal);
        assert_eq!(batch.missed, [Missed { from_seq: 6, to_seq: 7 }]);
        assert_eq!(batch.items.iter().map(|item| item.seq).collect::<Vec<_>>(), [8, 9, 10, 11, 12]);
    }

    #[test]
    fn another_journal_is_read_from_its_begin() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        journal(&file, 1..=10, "one");
        let mut gatherer = Gatherer::open(&file, &Cursor::start(), form()).unwrap().gatherer;
        let reached = cursor(&gatherer.next_batch(5).unwrap().unwrap());
        // A shorter one, one as long, and a longer one.
        for last in [3, 5, 20] {
            fs::remove_file(&file).unwrap();
            journal(&file, 1..=last, "two");
            let Opened { mut gatherer, is_other_journal } = Gatherer::open(&file, &reached, form()).unwrap();
            // Of one that is exactly as long nothing shows until its next line.
            assert_eq!(is_other_journal, last != 5, "{last}");
            let batch = gatherer.next_batch(u64::MAX).unwrap();
            assert_eq!(batch.map_or(0, |batch| batch.items.len() as u64), if last == 5 { 0 } else { last });
        }
    }

    #[test]
    fn a_day_is_the_documents_unless_that_is_to_come() {
        let line = |time: &str| Line {
            seq: 1,
            bytes: format!(r#"{{"ts":"{TS}","kind":"log","time":"{time}","seq":1,"prev":""}}"#).into_bytes(),
            next: Position { file: String::new(), offset: 0, seq: 2 },
        };
        for (time, day) in [
            ("2026-01-26T23:59:59Z", "2026.01.26"),
            ("2026-01-28T01:00:00+08:00", "2026.01.27"),
            ("2031-01-01T00:00:00Z", "2026.01.27"),
            ("0001-01-01T00:00:00Z", "0001.01.01"),
        ] {
            assert_eq!(form().item(&line(time), 0).0.index, format!("gate-{day}"), "{time}");
        }
        for (index, expected) in [
            ("App-2026.01.26", "app-2026.01.26"),
            ("app-2026.13.26", "gate-2026.01.27"),
            ("app", "gate-2026.01.27"),
            ("-2026.01.26", "gate-2026.01.27"),
        ] {
            let bytes = format!(r#"{{"ts":"{TS}","kind":"log","index":"{index}","seq":1,"prev":""}}"#).into_bytes();
            let (item, ..) = form().item(&Line { bytes, ..line(TS) }, 0);
            assert_eq!(item.index, expected);
            assert_eq!(item.service(), expected.split_once('-').unwrap().0);
        }
        let (item, ..) = form().item(&Line { bytes: b"torn".to_vec(), ..line(TS) }, 0);
        assert_eq!((item.index.as_str(), item.seq), ("gate-1970.01.01", 1));
    }
}
