//! What the journal is told of a destination: changes of its state, documents it refused, records that were gone.

use std::time::Duration;

use tokio::time::timeout;
use tollhouse_journal::{Journal, JournalError, Level, Record};

use crate::bulk::{Item, Refusal};
use crate::gather::Missed;
use crate::trouble::{State, Trouble};

/// Where these records come from.
pub(crate) const CALLER: &str = "ship";
/// The kind of a record of a document that was refused.
pub(crate) const DEAD_LETTER: &str = "dead_letter";
/// Refused documents of one answer that have a record each; one record names the numbers of all others.
const LETTERS_MAX: usize = 100;
/// How long records of refused documents may wait for their fsync; then they are written again.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);

/// Writes records about one destination.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) name: String,
    pub(crate) journal: Journal,
}

impl Teller {
    /// It takes documents; after a time without, or for the first time. Who asked for it goes on without waiting.
    pub(crate) fn connected(&self, url: &str, next_seq: u64, silent: Option<Duration>) {
        let msg = if silent.is_some() { "destination takes documents again" } else { "destination connected" };
        let record =
            self.record("process", Level::Info, msg).field("url", url).field("state", State::Connected.as_str());
        let record = record.field("next_seq", next_seq);
        self.hand_in(match silent {
            Some(silent) => record.field("silent_ms", silent.as_millis() as u64),
            None => record,
        });
    }

    /// It does not.
    pub(crate) fn lost(&self, trouble: &Trouble, next_seq: u64) {
        let msg = match trouble.state {
            State::Rejected => "destination rejects documents: somebody has to change something",
            State::Busy => "destination is busy",
            _ => "destination is unreachable",
        };
        let level = if trouble.state == State::Rejected { Level::Error } else { Level::Warn };
        let record = self.record("process", level, msg).field("state", trouble.state.as_str());
        self.hand_in(record.field("error", &trouble.text).field("next_seq", next_seq));
    }

    /// The cursor was of another journal.
    pub(crate) fn began_anew(&self, next_seq: u64) {
        let msg = "the cursor is of another journal: this one is shipped from its begin";
        self.hand_in(self.record("process", Level::Warn, msg).field("next_seq", next_seq));
    }

    /// Records that are not in the journal any more were not shipped.
    pub(crate) fn missed(&self, missed: Missed) {
        let Missed { from_seq, to_seq } = missed;
        let msg = "records were gone from the journal before they were shipped";
        let record = self.record("gap", Level::Error, msg).field("from_seq", from_seq).field("to_seq", to_seq);
        self.hand_in(record.field("count", to_seq - from_seq + 1));
    }

    /// Keeps what was refused and why; in the journal, and on the disk, when this returns.
    pub(crate) async fn dead_letters(&self, refused: &[(Item, Refusal)]) -> Result<(), JournalError> {
        let (each, others) = refused.split_at(refused.len().min(LETTERS_MAX));
        let mut records: Vec<Record> = each.iter().map(|(item, refusal)| self.dead_letter(item, refusal)).collect();
        if let Some((item, refusal)) = others.first() {
            let numbers = ranges(others.iter().map(|(item, _)| item.seq));
            records.push(self.dead_letter(item, refusal).field("of_seqs", numbers).field("count", others.len()));
        }
        self.keep(records).await
    }

    /// The same where so many of these were refused, and it is not known which.
    pub(crate) async fn letter_of_some(&self, sent: &[Item], rejected: u64, reason: &str) -> Result<(), JournalError> {
        let (Some(first), Some(last)) = (sent.first(), sent.last()) else { return Ok(()) };
        let msg = "some documents of a request were refused, and it was not told which";
        let record = self.record(DEAD_LETTER, Level::Error, msg).field("of_seq", first.seq);
        let record = record.field("of_seqs", ranges(sent.iter().map(|item| item.seq))).field("count", rejected);
        let record = record.field("refusal_type", "rejected").field("reason", reason);
        tracing::error!(rejected, from_seq = first.seq, to_seq = last.seq, reason, "documents were refused");
        self.keep(vec![record]).await
    }

    /// Appends records, and waits until they are on the disk.
    async fn keep(&self, records: Vec<Record>) -> Result<(), JournalError> {
        let mut last = None;
        for record in records {
            last = Some(self.journal.hand_over(record).await?);
        }
        let Some(last) = last else { return Ok(()) };
        let seq = last.seq().await?;
        let mut synced = self.journal.synced();
        let waited = timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= seq)).await;
        waited.map_err(|_| JournalError::Unsynced)?.map(|_| ()).map_err(|_| JournalError::Closed)
    }

    fn dead_letter(&self, item: &Item, refusal: &Refusal) -> Record {
        self.record(DEAD_LETTER, Level::Error, "a document was refused")
            .field("of_seq", item.seq)
            .field("index", &item.index)
            .field("doc_id", &item.id)
            .field("refusal_status", refusal.status)
            .field("refusal_type", &refusal.kind)
            .field("reason", &refusal.reason)
    }

    fn record(&self, kind: &'static str, level: Level, msg: &'static str) -> Record {
        Record::new(kind, level, msg).caller(CALLER).field("destination", &self.name)
    }

    fn hand_in(&self, record: Record) {
        if let Err(error) = self.journal.enqueue(record) {
            tracing::error!(error = %error, destination = self.name, "recording how a destination is");
        }
    }
}

/// Numbers in order as `3,7-9`.
pub(crate) fn ranges(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == number => *to = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(from, to): &(u64, u64)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The numbers in a text that [`ranges`] made; nothing where it is another one, or names too many.
pub(crate) fn numbers(text: &str) -> Vec<u64> {
    const NUMBERS_MAX: u64 = 10_000;
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        (to.checked_sub(from)? < NUMBERS_MAX).then_some(from..=to)
    };
    text.split(',').filter_map(range).flatten().take(NUMBERS_MAX as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_ranges() {
        for (seqs, text) in [(&[3, 7, 8, 9, 11][..], "3,7-9,11"), (&[1], "1"), (&[], ""), (&[1, 2], "1-2")] {
            assert_eq!(ranges(seqs.iter().copied()), text);
            assert_eq!(numbers(text), seqs);
        }
        assert!(numbers("9-3,x,1-").is_empty() && numbers("1-18446744073709551615").is_empty());
    }
}
