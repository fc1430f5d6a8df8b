//! Finds the dead letters of the journal, and which of them were replayed.

use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem;
use serde_json::{Map, Value};
use tollhouse_journal::{JournalError, Line, Reader};

use crate::collecting::shaping::DEAD_LETTER;

/// The field of a record by which a dead letter is done with: its number.
pub(crate) const REPLAY_OF: &str = "replay_of";

/// What a line of the journal says of dead letters.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is one.
    Letter(u64, Map<String, Value>),
    /// The one of this number is done with.
    Replayed(u64),
}

/// Reads the journal from its oldest line up to number `last_seq`, and gives what says something of dead letters to `each`; ends early
/// when that says false.
pub(crate) fn scan(
    journal_file: &Path,
    last_seq: u64,
    mut each: impl FnMut(Found) -> bool,
) -> Result<(), JournalError> {
    Reader::open(journal_file, None)?.take_until(last_seq, |line| {
        if found(line).is_none_or(&mut each) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
}

fn found(line: &Line) -> Option<Found> {
    // Most lines are neither: only the others are parsed.
    let has = |name: &str| memmem::find(&line.bytes, name.as_bytes()).is_some();
    if !has(DEAD_LETTER) && !has(REPLAY_OF) {
        return None;
    }
    let record: Map<String, Value> = serde_json::from_slice(&line.bytes).ok()?;
    if record.get("kind").is_some_and(|kind| kind == DEAD_LETTER) {
        return Some(Found::Letter(line.seq, record));
    }
    // A line of somebody's may have a field of that name too.
    let is_ours = record.get("caller").is_some_and(|caller| caller == super::replay::CALLER);
    record.get(REPLAY_OF).and_then(Value::as_u64).filter(|_| is_ours).map(Found::Replayed)
}

/// Whether it is one of a line, which can be replayed; others are of documents.
pub(crate) fn is_of_a_line(letter: &Map<String, Value>) -> bool {
    letter.contains_key("event")
}
