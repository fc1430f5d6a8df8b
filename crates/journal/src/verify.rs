//! Recounts a journal: are all `seq` there, and does each line continue the one before?

use std::collections::BTreeMap;
use std::path::Path;

use crate::condition::GAP;
use crate::error::JournalError;
use crate::line::{self, Head};
use crate::reader::{Line, Reader};
use crate::stray::Strays;

/// Lines looked at between two refills.
const BATCH_LINES: usize = 1024;
/// Most faults of each sort that are listed; all are counted.
const LISTED_MAX: usize = 100;

/// What [`verify`] found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Complete lines read.
    pub lines: u64,
    /// `seq` of the first line; larger than 1 when retention has deleted older ones.
    pub first_seq: Option<u64>,
    /// `seq` of the last line.
    pub last_seq: Option<u64>,
    /// The first places where `seq` does not go on by one.
    pub gaps: Vec<Gap>,
    /// How many such places there are.
    pub gaps_total: u64,
    /// The first lines that are damaged or do not continue the one before.
    pub breaks: Vec<Break>,
    /// How many such lines there are.
    pub breaks_total: u64,
    /// The first lines that are no records at all.
    pub strays: Vec<Strays>,
    /// How many such lines there are.
    pub strays_total: u64,
    /// What stands behind the last line feed: what a crash left, or a line being written just now. It is no fault; the next
    /// start moves it away.
    pub half_line: Option<HalfLine>,
    /// Compressed files that could not be read to their end.
    pub unreadable: Vec<JournalError>,
    /// Records of kind `gap`: each says which records the house could not keep.
    pub gap_records: u64,
    /// The records that these say were not kept, by kind.
    pub not_kept: BTreeMap<String, u64>,
}

/// A place where `seq` does not go on by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The `seq` before.
    pub after: u64,
    /// The one that follows.
    pub next: u64,
}

/// A line that is damaged or whose `prev` is not the hash of the line before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The file.
    pub file: String,
    /// The offset after the line, uncompressed.
    pub end: u64,
    /// Its `seq`, when it has one.
    pub seq: Option<u64>,
}

/// A line without its end, the last of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfLine {
    /// The file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
}

impl Report {
    /// Whether nothing is wrong. That records could not be kept, and that this is told, is not wrong in the files.
    pub fn is_sound(&self) -> bool {
        self.gaps_total == 0 && self.breaks_total == 0 && self.strays_total == 0 && self.unreadable.is_empty()
    }

    /// Adds what the reader passed, once it is at the end.
    fn take_rest(&mut self, reader: &Reader) -> Result<(), JournalError> {
        self.strays.clone_from(&reader.strays().listed);
        self.strays_total = reader.strays().total;
        match reader.rest()? {
            Some((file, bytes, true)) => self.half_line = Some(HalfLine { file, bytes }),
            Some((file, _, false)) => {
                self.strays.push(Strays { file, after: self.last_seq, lines: 1 });
                self.strays_total += 1;
            }
            None => {}
        }
        Ok(())
    }

    /// Adds what a gap record says.
    fn count_gap(&mut self, line: &[u8]) {
        #[derive(serde::Deserialize)]
        struct Told {
            not_kept_by_kind: BTreeMap<String, u64>,
        }
        if line::kind(line).is_none_or(|(kind, _)| kind != GAP.as_bytes()) {
            return;
        }
        self.gap_records += 1;
        for (kind, count) in serde_json::from_slice::<Told>(line).map(|told| told.not_kept_by_kind).unwrap_or_default()
        {
            *self.not_kept.entry(kind).or_default() += count;
        }
    }
}

/// Reads all that is kept of a journal, given its current file; also while it is being written. A chain found whole shows
/// that nothing was changed by accident; who can write the files could have computed a new one.
pub fn verify(current_file: &Path) -> Result<Report, JournalError> {
    verify_each(current_file, |_, _| {})
}

/// As [`verify`], and gives each line to `each` with the `seq` that it says itself; damaged ones too, which may say none.
pub fn verify_each(current_file: &Path, mut each: impl FnMut(&Line, Option<u64>)) -> Result<Report, JournalError> {
    let mut reader = Reader::open(current_file, None)?;
    let mut report = Report::default();
    let mut lines = Vec::new();
    // The hash that the next line must carry; nothing is known before the oldest kept line, unless it is the first ever.
    let mut expected = None;
    loop {
        lines.clear();
        match reader.next_batch(BATCH_LINES, &mut lines) {
            Ok(0) => {
                report.take_rest(&reader)?;
                return Ok(report);
            }
            Ok(_) => {}
            Err(error @ JournalError::Damaged { .. }) => {
                if report.unreadable.len() < LISTED_MAX {
                    report.unreadable.push(error);
                }
                expected = None;
            }
            Err(error) => return Err(error),
        }
        for line in &lines {
            let ends = line::ends(&line.bytes);
            each(line, ends.map(|(seq, _)| seq));
            report.lines += 1;
            report.count_gap(&line.bytes);
            let continues = match ends {
                Some((1, prev)) => prev == Head::START.hash,
                Some((_, prev)) => expected.is_none_or(|expected| prev == expected),
                None => false,
            };
            if !continues || !is_json(&line.bytes) {
                report.breaks_total += 1;
                if report.breaks.len() < LISTED_MAX {
                    let (file, end) = (line.next.file.clone(), line.next.offset);
                    report.breaks.push(Break { file, end, seq: ends.map(|(seq, _)| seq) });
                }
            }
            expected = Some(line::hash(&line.bytes));
            if let Some((seq, _)) = ends {
                report.first_seq.get_or_insert(seq);
                if let Some(after) = report.last_seq.filter(|last| last + 1 != seq) {
                    report.gaps_total += 1;
                    if report.gaps.len() < LISTED_MAX {
                        report.gaps.push(Gap { after, next: seq });
                    }
                }
                report.last_seq = Some(seq);
            }
        }
    }
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}
