//! Records that are appended together: in order, as far as the disk takes them, and with one wait for all.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::condition::Why;
use crate::error::JournalError;
use crate::journal::{Answer, Journal, Message, Reply};
use crate::record::Record;
use crate::writer::Lines;

/// Records that are written together at most: what the line of a request may find before it.
const TOGETHER_MAX: usize = 256;

/// What became of records that were appended together.
#[derive(Debug, Default)]
pub struct Appended {
    /// `seq` of those that are written, in their order: always the first ones, up to one that was not written.
    pub seqs: Vec<u64>,
    /// Why the others are not written. When all are, it is [`JournalError::Unsynced`]: their fsync failed.
    pub error: Option<JournalError>,
    /// The others, in their order, for whoever tries again. Some are missing where the journal was closed meanwhile.
    pub left: Vec<Record>,
}

/// Records on their way to the writer.
#[derive(Debug)]
pub(crate) struct Together {
    records: Vec<Record>,
    written: oneshot::Sender<Written>,
    /// Told when the last of them that is written is on the disk.
    synced: Option<Answer>,
}

/// How many of them were written.
#[derive(Debug)]
struct Written {
    first_seq: u64,
    count: usize,
    error: Option<JournalError>,
    left: Vec<Record>,
}

/// The answer to an [`Answer`].
type Waiting = oneshot::Receiver<Result<u64, JournalError>>;

impl Journal {
    /// Appends records in their order, and waits until all are written to the file (with [`Sync::Each`](crate::Sync::Each):
    /// synced, which is one wait for all of them). Once one cannot be written none behind it is, so that whoever reads
    /// them from somewhere can go on there.
    ///
    /// A caller that stops waiting has appended the first ones of them, and does not learn how many.
    pub async fn append_all(&self, records: Vec<Record>) -> Appended {
        if let [record] = &records[..]
            && let Some(written) = self.desk.write_now(record)
        {
            return match written {
                Ok(seq) => Appended { seqs: vec![seq], ..Appended::default() },
                Err(error) => Appended { error: Some(error), left: records, ..Appended::default() },
            };
        }
        let mut appended = Appended { seqs: Vec::with_capacity(records.len()), ..Appended::default() };
        let mut last: Option<Waiting> = None;
        let mut rest = records.into_iter();
        while appended.error.is_none() {
            let part: Vec<Record> = rest.by_ref().take(TOGETHER_MAX).collect();
            if part.is_empty() {
                break;
            }
            match self.append_part(part).await {
                Ok((Written { first_seq, count, error, left }, synced)) => {
                    appended.seqs.extend(first_seq..first_seq + count as u64);
                    (appended.error, appended.left) = (error, left);
                    // Whoever waits for the last one has waited for all before it.
                    last = if count > 0 { synced } else { last };
                }
                Err(error) => appended.error = Some(error),
            }
        }
        if matches!(appended.error, Some(JournalError::NotKept { .. })) {
            rest.as_slice().iter().for_each(|record| self.leave_out(record));
        }
        appended.left.extend(rest);
        if let Some(last) = last {
            let synced = last.await.unwrap_or(Err(JournalError::Closed));
            appended.error = appended.error.or(synced.err());
        }
        appended
    }

    async fn append_part(&self, records: Vec<Record>) -> Result<(Written, Option<Waiting>), JournalError> {
        let (written, is_written) = oneshot::channel();
        let (synced, is_synced) = oneshot::channel();
        let place = self.queue.reserve().await.map_err(|_| JournalError::Closed)?;
        let synced = self.is_always_synced.then_some(synced);
        self.desk.hands();
        place.send(Message::AppendAll(Together { records, written, synced }));
        let written = is_written.await.map_err(|_| JournalError::Closed)?;
        Ok((written, self.is_always_synced.then_some(is_synced)))
    }

    /// Counts a record that was not even tried, because one before it was not taken.
    fn leave_out(&self, record: &Record) {
        self.counters.lost.fetch_add(1, Ordering::Relaxed);
        if !record.comes_again {
            self.condition.add(record.kind, (self.clock.0)(), Why::Disk);
        }
    }
}

impl Lines {
    /// Writes records, up to the first that cannot be written.
    pub(crate) fn add_all(&mut self, together: Together) {
        let Together { mut records, written, synced } = together;
        // What came before them succeeds or fails by itself.
        let _: Result<(), JournalError> = self.flush();
        let before = self.written_head.seq;
        let mut tried = 0;
        let mut error = None;
        for record in &records {
            let now_ms = (self.clock)();
            // A rotation and a full tail begin with a write, whose failure must not leave this record behind a gap.
            let failed = if self.must_write_before(now_ms) { self.flush().err() } else { None };
            error = failed.or_else(|| {
                tried += 1;
                self.add_at(now_ms, record, Reply::Never).err()
            });
            if error.is_some() {
                break;
            }
        }
        let error = self.flush().err().or(error);
        for record in &records[tried..] {
            self.not_kept(record.kind, record.comes_again);
        }
        let count = (self.written_head.seq - before) as usize;
        debug_assert!(error.is_some() || count == records.len(), "what is not written has a reason");
        if let Some(synced) = synced.filter(|_| count > 0) {
            self.syncer.answer_when_synced(self.written_head.seq, synced);
        }
        // Whoever does not wait any more need not know.
        let left = records.split_off(count);
        let _: Result<(), Written> = written.send(Written { first_seq: before + 1, count, error, left });
    }
}
