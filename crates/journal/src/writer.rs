//! What writes lines: forms them, writes them in batches, rotates.
//!
//! There is one [`Lines`], under a lock. Its own thread writes what came through the queue, waits for syncs, rotates and
//! repairs. Whoever appends while the thread has nothing to do writes its line itself ([`Desk::write_now`]): that is one
//! short write into the system's memory, and waking a thread for it would cost several times as much.
//!
//! `tail` is the only buffer: the bytes from the last good fsync to the last formed line.
//!
//! ```text
//!   file:  … synced │ written, not yet synced │
//!   tail:           │←──────── written ──────→│ pending │
//!                  base
//! ```

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::condition::{Condition, GAP, Telling};
use crate::disk::{Disk, DiskFile};
use crate::error::JournalError;
use crate::journal::{Answer, Clock, Counters, Message, Reply};
use crate::keep::Keeper;
use crate::line::{Form, Head};
use crate::names::{Names, day_of};
use crate::record::Record;
use crate::sync::{Mark, Syncer};

/// Most messages taken from the queue at once.
const BATCH_MESSAGES: usize = 1024;
/// Formed bytes after which they are written.
const BATCH_BYTES: usize = 1 << 20;
/// Unsynced bytes after which the writer waits for an fsync: what must be kept in memory to be written again.
const UNSYNCED_BYTES_MAX: usize = 8 << 20;
/// Capacity that an empty tail keeps.
const TAIL_KEPT_BYTES: usize = 256 << 10;
/// A write that took longer than this waited for a disk: for [`SLOW_FOR`] only the thread waits for it.
const SLOW: Duration = Duration::from_millis(10);
const SLOW_FOR: Duration = Duration::from_secs(1);

/// A formed line that is not written yet.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Where it ends in the tail.
    end: usize,
    /// The head after it.
    head: Head,
    reply: Reply,
    kind: &'static str,
    comes_again: bool,
}

/// What the writer is told to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether a new UTC day begins a new file.
    pub(crate) rotate_day: bool,
    /// A file that has this many bytes gets no further line.
    pub(crate) rotate_bytes: u64,
    /// Whether every append is answered only after its fsync.
    pub(crate) always_synced: bool,
}

/// Where all who append meet the thread that writes.
pub(crate) struct Desk {
    /// `None` when the thread has ended.
    lines: Mutex<Option<Lines>>,
    /// Records in the queue, or taken from it and not written yet. While there are any, nobody writes before them.
    handed: AtomicUsize,
}

/// What is written, and how far.
pub(crate) struct Lines {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Clock,
    pub(crate) names: Names,
    pub(crate) rules: Rules,
    pub(crate) form: Form,
    pub(crate) counters: Arc<Counters>,
    pub(crate) condition: Arc<Condition>,
    pub(crate) telling: Telling,
    pub(crate) written_seq: watch::Sender<u64>,
    pub(crate) syncer: Syncer,
    pub(crate) keeper: Keeper,
    /// None between the rename of the old file and a creation of the new one that works.
    pub(crate) file: Option<Arc<dyn DiskFile>>,
    /// `seq` of the first line of the current file, or of the line that will be it.
    pub(crate) first_seq: u64,
    pub(crate) base: u64,
    pub(crate) tail: Vec<u8>,
    pub(crate) written: usize,
    /// The head after the last written line.
    pub(crate) written_head: Head,
    /// The head after the last formed line.
    pub(crate) head: Head,
    pub(crate) pending: Vec<Pending>,
    /// The file may hold bytes after the last complete line.
    pub(crate) ragged: bool,
    /// A rotation failed in this batch; the next batch tries again.
    pub(crate) rotate_tried: bool,
    /// The disk was slow to take a line: until then only the thread writes.
    pub(crate) slow_until: Option<Instant>,
    /// Held until the thread ends.
    pub(crate) _lock: File,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Desk").field("handed", &self.handed).finish_non_exhaustive()
    }
}

impl Desk {
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines: Mutex::new(Some(lines)), handed: AtomicUsize::new(0) }
    }

    /// To be called before a record goes into the queue.
    pub(crate) fn hands(&self) {
        self.handed.fetch_add(1, Ordering::SeqCst);
    }

    /// A record was written, or did not get into the queue.
    pub(crate) fn handed(&self, records: usize) {
        self.handed.fetch_sub(records, Ordering::SeqCst);
    }

    /// Writes the line of a record at once, if nobody else writes, none waits before it, and nothing is to be done but a
    /// short write. `None`: it has to go through the queue.
    pub(crate) fn write_now(&self, record: &Record) -> Option<Result<u64, JournalError>> {
        let mut desk = self.lines.try_lock().ok()?;
        let lines = desk.as_mut().filter(|_| self.handed.load(Ordering::SeqCst) == 0)?;
        lines.write_now(record)
    }

    /// Writes what comes through the queue, until it is closed.
    pub(crate) fn run(&self, mut queue: mpsc::Receiver<Message>) -> Result<(), JournalError> {
        let mut batch = Vec::with_capacity(BATCH_MESSAGES);
        while queue.blocking_recv_many(&mut batch, BATCH_MESSAGES) > 0 {
            let mut desk = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(lines) = &mut *desk else { break };
            lines.rotate_tried = false;
            lines.forget_synced();
            lines.begin_gap(false);
            let mut records = 0;
            for message in batch.drain(..) {
                match message {
                    Message::Append(record, reply) => {
                        records += 1;
                        lines.add(&record, reply);
                    }
                    Message::AppendAll(together) => {
                        records += 1;
                        lines.add_all(together);
                    }
                    Message::Own(record) => lines.add(&record, Reply::Never),
                    Message::Looked(space) => lines.looked(space),
                    Message::Repair => lines.repair_if_failed(),
                    Message::Close => queue.close(),
                }
            }
            // What went wrong was told to those who waited.
            let _: Result<(), JournalError> = lines.flush();
            lines.settle();
            lines.look_now_and_then(Instant::now());
            self.handed(records);
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        lines.map_or(Ok(()), Lines::end)
    }
}

impl Lines {
    /// Syncs, and lets go of the file and its lock.
    fn end(mut self) -> Result<(), JournalError> {
        self.forget_synced();
        self.begin_gap(true);
        let _: Result<(), JournalError> = self.flush();
        let synced = self.sync_all();
        if synced.is_ok() {
            self.ended_well();
        }
        self.syncer.stop();
        self.keeper.stop();
        synced
    }

    /// As [`Desk::write_now`].
    fn write_now(&mut self, record: &Record) -> Option<Result<u64, JournalError>> {
        let began = Instant::now();
        let is_slow = self.slow_until.is_some_and(|until| began < until);
        let is_whole = self.file.is_some() && !self.ragged && !self.syncer.failed();
        let now_ms = (self.clock)();
        let is_calm = self.telling.takes_records() && !self.condition.is_missing();
        if is_slow || !is_whole || !is_calm || self.rules.always_synced || self.rotation_is_due(now_ms) {
            return None;
        }
        self.look_now_and_then(began);
        self.forget_synced();
        if self.tail.len() >= UNSYNCED_BYTES_MAX {
            return None;
        }
        self.form(record, Reply::Never, now_ms);
        let written = self.flush().map(|()| self.written_head.seq);
        self.slow_until = Some(began + SLOW_FOR).filter(|_| began.elapsed() > SLOW);
        Some(written)
    }

    /// Forms the line of a record; it is written with the batch. What becomes of it is told to `reply`.
    pub(crate) fn add(&mut self, record: &Record, reply: Reply) {
        let _: Result<(), JournalError> = self.add_at((self.clock)(), record, reply);
    }

    /// As [`Lines::add`]. An error says that this record, or one that was formed before it, could not be written.
    pub(crate) fn add_at(&mut self, now_ms: i64, record: &Record, reply: Reply) -> Result<(), JournalError> {
        if self.rotation_is_due(now_ms) && !self.rotate_tried && self.rotate().is_err() {
            self.rotate_tried = true;
            self.counters.rotate_errors.fetch_add(1, Ordering::Relaxed);
        }
        if self.tail.len() >= UNSYNCED_BYTES_MAX {
            let _: Result<(), JournalError> = self.flush();
            if let Err(error) = self.sync_all() {
                let source = Arc::new(io::Error::other(error));
                self.took_no_line(&source);
                self.not_kept(record.kind, record.comes_again);
                let error = JournalError::NotKept { file: self.names.current.clone(), source };
                reply.send(Err(error.clone()));
                return Err(error);
            }
        }
        self.form(record, reply, now_ms);
        if self.tail.len() - self.written >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Whether something is written, apart from the record itself, before a record of this time is formed.
    pub(crate) fn must_write_before(&self, now_ms: i64) -> bool {
        (self.rotation_is_due(now_ms) && !self.rotate_tried) || self.tail.len() >= UNSYNCED_BYTES_MAX
    }

    fn form(&mut self, record: &Record, reply: Reply, now_ms: i64) {
        if self.form.write(&mut self.tail, record, &mut self.head, now_ms) {
            self.counters.cut.fetch_add(1, Ordering::Relaxed);
        }
        let Record { kind, comes_again, .. } = *record;
        self.pending.push(Pending { end: self.tail.len(), head: self.head, reply, kind, comes_again });
    }

    /// Writes the pending lines and answers them, each by what became of it. An error is what became of the last one.
    pub(crate) fn flush(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut end = self.written;
        let result = self.ready_file().and_then(|file| write_all(&*file, &self.tail, &mut end, self.base));
        let complete = self.pending.partition_point(|line| line.end <= end);
        if let Some(last) = complete.checked_sub(1).and_then(|last| self.pending.get(last)) {
            let bytes = last.end - self.written;
            (self.written, self.written_head) = (last.end, last.head);
            self.counters.lines.fetch_add(complete as u64, Ordering::Relaxed);
            self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        let refused = self.pending.split_off(complete);
        let with_gap = self.pending.iter().any(|line| line.kind == GAP);
        let answers: Vec<Reply> = self.pending.drain(..).map(|line| line.reply).collect();
        self.tail.truncate(self.written);
        self.head = self.written_head;
        if !answers.is_empty() {
            self.took_lines(with_gap, result.is_ok());
        }
        self.tell_written(answers);
        result.map_err(|error| {
            self.counters.write_errors.fetch_add(1, Ordering::Relaxed);
            self.took_no_line(&error);
            // A failed write may have left a part of a line, told or not. When cutting fails too, the next write begins
            // with it.
            self.ragged = true;
            let _ = self.ready_file();
            let error = JournalError::NotKept { file: self.names.current.clone(), source: Arc::new(error) };
            for line in refused {
                self.not_kept(line.kind, line.comes_again);
                line.reply.send(Err(error.clone()));
            }
            error
        })
    }

    /// Tells the followers and those who waited for lines that are now written.
    fn tell_written(&mut self, answers: Vec<Reply>) {
        if answers.is_empty() {
            return;
        }
        let first = self.written_head.seq + 1 - answers.len() as u64;
        self.written_seq.send_replace(self.written_head.seq);
        let mut for_sync: Vec<(u64, Answer)> = Vec::new();
        for (seq, reply) in (first..).zip(answers) {
            match reply {
                Reply::Written(answer) if !self.rules.always_synced => drop(answer.send(Ok(seq))),
                Reply::Written(answer) | Reply::Synced(answer) => for_sync.push((seq, answer)),
                Reply::Never => {}
            }
        }
        self.syncer.written(self.mark(), for_sync.into_iter());
    }

    fn mark(&self) -> Mark {
        Mark { seq: self.written_head.seq, length: self.base + self.written as u64 }
    }

    /// The current file in a state where the next line may be written at its end.
    fn ready_file(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.begin_file()?,
        };
        if self.syncer.failed() {
            return self.repair();
        }
        if self.ragged {
            file.set_len(self.base + self.written as u64)?;
            self.ragged = false;
        }
        Ok(file)
    }

    /// Drops what is known to be on the disk from the tail. Only between batches: pending lines have positions in it.
    fn forget_synced(&mut self) {
        debug_assert!(self.pending.is_empty(), "positions in the tail must not move");
        let synced = (self.syncer.synced().length.saturating_sub(self.base) as usize).min(self.written);
        self.tail.drain(..synced);
        self.base += synced as u64;
        self.written -= synced;
        if self.tail.is_empty() && self.tail.capacity() > TAIL_KEPT_BYTES {
            self.tail.shrink_to(TAIL_KEPT_BYTES);
        }
    }

    /// Waits until every written line is on the disk; after a failure it writes them again and tries once more.
    pub(crate) fn sync_all(&mut self) -> Result<(), JournalError> {
        let failed = JournalError::io("repairing", &self.names.current);
        if self.syncer.failed() || !self.syncer.wait() {
            self.repair().map_err(failed)?;
        }
        if !self.syncer.wait() {
            return Err(JournalError::Unsynced);
        }
        self.forget_synced();
        Ok(())
    }

    fn repair_if_failed(&mut self) {
        // When it fails, the next append or the end of the journal tries again.
        if self.syncer.failed() && self.repair().is_err() {
            self.counters.write_errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// After a failed fsync: writes the unsynced lines again through a new descriptor. The bytes are the same, so a reader
    /// does not notice.
    fn repair(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.names.current)?;
        write_all(&*file, &self.tail[..self.written], &mut 0, self.base)?;
        file.set_len(self.base + self.written as u64)?;
        self.file = Some(file.clone());
        self.ragged = false;
        self.syncer.repaired(file.clone());
        Ok(file)
    }

    fn rotation_is_due(&self, now_ms: i64) -> bool {
        // An empty file is never rotated, and one is empty exactly when its first line is yet to come.
        let is_empty = self.first_seq == self.head.seq + 1;
        let length = self.base + self.tail.len() as u64;
        let day_is_over = self.rules.rotate_day && day_of(now_ms) > day_of(self.head.ts_ms);
        !is_empty && (day_is_over || length >= self.rules.rotate_bytes)
    }

    /// Closes the current file under its final name and begins the next one.
    fn rotate(&mut self) -> Result<(), JournalError> {
        let _: Result<(), JournalError> = self.flush();
        self.sync_all()?;
        if self.first_seq > self.written_head.seq {
            // None of the lines could be written.
            return Ok(());
        }
        let ready = self.ready_file();
        ready.map_err(JournalError::io("closing", &self.names.current))?;
        let closed = self.names.dir.join(self.names.rotated(self.written_head.ts_ms, self.first_seq));
        self.disk.rename(&self.names.current, &closed).map_err(JournalError::io("renaming", &self.names.current))?;
        self.counters.rotations.fetch_add(1, Ordering::Relaxed);
        self.file = None;
        self.first_seq = self.written_head.seq + 1;
        (self.base, self.written) = (0, 0);
        self.tail.clear();
        self.begin_file().map_err(JournalError::io("creating", &self.names.current))?;
        self.keeper.keep();
        Ok(())
    }

    fn begin_file(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.names.current)?;
        // The directory entry is synced together with the first lines.
        self.syncer.moved(file.clone(), self.mark());
        self.file = Some(file.clone());
        Ok(file)
    }
}

impl Reply {
    fn send(self, result: Result<u64, JournalError>) {
        match self {
            Self::Written(answer) | Self::Synced(answer) => drop(answer.send(result)),
            Self::Never => {}
        }
    }
}

/// Writes `bytes[*end..]` so that `bytes[0]` lies at `base`, and moves `end` by what was written, also when it fails.
fn write_all(file: &dyn DiskFile, bytes: &[u8], end: &mut usize, base: u64) -> io::Result<()> {
    while *end < bytes.len() {
        match file.write_at(&bytes[*end..], base + *end as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *end += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
