//! The thread that follows the journal and writes the day indices.
//!
//! Documents are committed in rounds. A round begins at a place of the journal; all indices that got documents since are
//! committed one after another, each commit carrying the place the round began at and the record it reached. Whatever
//! moment the process is killed at, at the next start the commit that reached furthest tells where to begin reading, and
//! each index skips what is in its own commit already. So no record is lost and none is there twice.
//!
//! Days that were set aside are read again from the start of the journal; the other days skip what they have. Their names
//! are kept in a file until that is done, so that a kill in between does not leave them half full.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use tantivy::IndexWriter;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tollhouse_journal::{JournalError, Position, Reader};
use tollhouse_query::date::parse_rfc3339;
use tollhouse_shape::{Leaf, Part, Shaped, Shaper};
use tollhouse_units::chain;

use crate::day::{Day, Entry, Payload, date_of, day_name, read_name};
use crate::error::StoreError;
use crate::row::{Row, Rows};
use crate::schema::layout;
use crate::store::Inner;
use crate::underway::Underway;
use crate::warmer::Warmer;

/// A record that came alone waits so long for others to be committed with it.
const GATHER: Duration = Duration::from_millis(50);
/// At least so long between two rounds.
const ROUND_EVERY: Duration = Duration::from_millis(400);
/// The same while there is a backlog: fewer, larger segments.
const ROUND_EVERY_BEHIND: Duration = Duration::from_secs(2);
/// Bytes of the records of a round: no more can be on the way to the writers, however slow they are.
const ROUND_BYTES_MAX: usize = 20 << 20;
/// Lines read at once.
const BATCH_LINES: usize = 1_000;
/// Rows handed to a day's writer at once, or as many as have so many bytes: each time costs waking its thread.
const ROWS_AT_ONCE: usize = 64;
const ROWS_BYTES_AT_ONCE: usize = 256 << 10;
/// Memory in which one day's documents are gathered before they are a segment.
const WRITER_BYTES: usize = 30_000_000;
/// Indices written at the same time: the days of several services, and late lines.
pub(crate) const WRITERS_MAX: usize = 6;
/// A day without documents for so long gets its memory and threads taken back.
const WRITER_IDLE: Duration = Duration::from_mins(1);
/// How often old days are looked for, at least.
const KEEP_EVERY: Duration = Duration::from_hours(1);
/// First and longest pause after a failed round.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How long a commit waits for the journal's fsync before the round is given up and tried again.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);
/// A record that says it is from later than this after it was written is put into the day it was written.
pub(crate) const FUTURE_MS_MAX: i64 = 24 * 3_600 * 1_000;

/// How a line of the journal begins: `{"ts":"2026-01-27T10:20:30.456Z"`.
const STAMP_BYTES: usize = 32;

/// A day of UTC.
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Kind of the records that say that indices are taken out of searching, in their field `index`. The journal keeps what was in
/// them; an index that is made again from it obeys them again.
pub const INDEX_DELETED: &str = "index.deleted";

/// Follows the journal in a thread of its own, until it is closed.
#[derive(Debug)]
pub struct Indexer {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    warmer: Warmer,
}

impl Indexer {
    pub(crate) fn start(
        store: Arc<Inner>,
        journal_file: PathBuf,
        written: watch::Receiver<u64>,
        synced: watch::Receiver<u64>,
        shaper: Shaper,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = watch::channel(false);
        let doing = "starting the indexer";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(StoreError::io(doing, &store.options.dir))?;
        let path = store.options.dir.clone();
        let warmer = Warmer::start(Arc::clone(&store), stopped.clone())?;
        let mut follower =
            Follower { store, journal_file, written, synced, shaper, stopped, runtime: Arc::new(runtime) };
        let thread = std::thread::Builder::new()
            .name("indexer".into())
            .spawn(move || follower.run())
            .map_err(StoreError::io(doing, path))?;
        Ok(Self { stop, thread, warmer })
    }

    /// Indexes and commits all that is written to the journal by now, then ends the thread. Blocks meanwhile.
    pub fn close(self) -> Result<(), StoreError> {
        self.stop.send_replace(true);
        self.warmer.join();
        self.thread.join().map_err(|_| StoreError::NotWritable { state: "without its indexer, which panicked" })
    }
}

struct Follower {
    store: Arc<Inner>,
    journal_file: PathBuf,
    written: watch::Receiver<u64>,
    synced: watch::Receiver<u64>,
    shaper: Shaper,
    stopped: watch::Receiver<bool>,
    runtime: Arc<Runtime>,
}

/// Why waiting ended.
enum Woken {
    Written,
    Stopped,
    Timeout,
}

impl Follower {
    fn run(&mut self) {
        let mut pause = RETRY_MIN;
        loop {
            let started = Instant::now();
            // A panic is a fault of ours: the round is thrown away as after any other error, and told as loudly.
            let followed = catch_unwind(AssertUnwindSafe(|| self.follow()));
            let panicked = |_| Err(StoreError::NotWritable { state: "without its indexer, which panicked" });
            let Err(error) = followed.unwrap_or_else(panicked) else { return };
            self.store.counters.failed_rounds.fetch_add(1, Ordering::Relaxed);
            tracing::error!(error = chain(&error), retry_s = pause.as_secs(), "indexing failed");
            if started.elapsed() > RETRY_MAX {
                pause = RETRY_MIN;
            }
            // Asked to end while it does not work: what is missing is indexed at the next start.
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if matches!(self.wait(Some(until), false), Woken::Stopped) {
                    return;
                }
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Indexes until stopped. An error throws away what is not committed; calling again takes it up from there.
    fn follow(&mut self) -> Result<(), StoreError> {
        self.set_aside_days_ahead()?;
        let start = Start::find(&self.store);
        let mut reader = Reader::open(&self.journal_file, start.position.clone()).map_err(journal)?;
        let store = Arc::clone(&self.store);
        let durable = Durable { synced: self.synced.clone(), runtime: Arc::clone(&self.runtime) };
        let mut round = Round::new(&store, start, durable);
        let mut is_stopping = false;
        let mut kept_at = Instant::now();
        loop {
            // Looked at before reading, so that all that was written before being stopped is read.
            is_stopping |= *self.stopped.borrow_and_update();
            let _ = self.written.borrow_and_update();
            let shaper = &self.shaper;
            let read = reader.each_of_batch(BATCH_LINES, |seq, line| match round.take(seq, line, shaper) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            });
            round.next = reader.place().cloned().or(round.next.take());
            let is_behind = match read {
                Ok(ControlFlow::Break(error)) => return Err(error),
                Ok(ControlFlow::Continue(())) => reader.has_more(),
                Err(error @ JournalError::Damaged { .. }) => {
                    tracing::error!(error = chain(&error), "a part of the journal cannot be indexed");
                    true
                }
                Err(error) => return Err(journal(error)),
            };
            if round.is_due(is_behind) {
                round.commit()?;
            }
            if is_behind {
                continue;
            }
            round.caught_up(is_stopping)?;
            if is_stopping {
                return round.end();
            }
            round.drop_idle_writers()?;
            if kept_at.elapsed() >= KEEP_EVERY || round.has_new_day() || round.store.wants_room() {
                kept_at = Instant::now();
                round.keep()?;
            }
            let until = round.next_deadline().into_iter().chain([kept_at + KEEP_EVERY]).min();
            // While a round is open, what is written is read when it ends and not line by line.
            is_stopping |= matches!(self.wait(until, round.first_record.is_none()), Woken::Stopped);
        }
    }

    /// Sleeps until something is written, the indexer is stopped, or the time has come.
    fn wait(&mut self, until: Option<Instant>, for_lines: bool) -> Woken {
        let (written, stopped) = (&mut self.written, &mut self.stopped);
        self.runtime.block_on(async {
            let time = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            let lines = async {
                // The journal is closed: only being stopped is left to wait for.
                if !for_lines || written.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                // Dropping the handle means the same as closing it.
                _ = stopped.wait_for(|stopped| *stopped) => Woken::Stopped,
                () = lines => Woken::Written,
                () = time => Woken::Timeout,
            }
        })
    }

    /// After a power loss the index can know records that the journal lost; their numbers are given to others now.
    fn set_aside_days_ahead(&self) -> Result<(), StoreError> {
        let written = *self.written.borrow();
        for day in self.store.days() {
            let reached = day.payload.lock().as_ref().map(|payload| payload.seq);
            if reached.is_some_and(|reached| reached > written) {
                tracing::error!(
                    index = day.name,
                    reached,
                    written,
                    "a day index knows records that the journal does not"
                );
                self.store.set_aside(&day.name, "ahead")?;
            }
        }
        Ok(())
    }
}

fn journal(error: JournalError) -> StoreError {
    StoreError::Journal { source: Box::new(error) }
}

/// Where to begin reading, and what each index has already.
struct Start {
    position: Option<Position>,
    /// By index: all records up to this one are in it.
    has: HashMap<String, u64>,
    /// The same for days that have no index (they were dropped).
    has_without_index: u64,
}

impl Start {
    fn find(store: &Inner) -> Self {
        let days: Vec<(String, Option<Payload>)> =
            store.days().iter().map(|day| (day.name.clone(), day.payload.lock().clone())).collect();
        let furthest = days.iter().filter_map(|(_, payload)| payload.as_ref()).max_by_key(|payload| payload.seq);
        let mut position = furthest.and_then(|payload| payload.from.clone());
        // What was before the round of the furthest commit is committed everywhere.
        let everywhere = position.as_ref().map_or(0, |position| position.seq.saturating_sub(1));
        let rebuild = &store.rebuild.lock().days;
        let mut has = HashMap::new();
        for (name, payload) in &days {
            let own = payload.as_ref().map_or(0, |payload| payload.seq);
            let is_complete = !rebuild.contains(name);
            has.insert(name.clone(), if is_complete { own.max(everywhere) } else { own });
        }
        for name in rebuild {
            has.entry(name.clone()).or_insert(0);
            let payload = days.iter().find(|(day, _)| day == name).and_then(|(_, payload)| payload.as_ref());
            position = match (position, payload.and_then(|payload| payload.from.clone())) {
                (Some(position), Some(from)) => Some(if from.seq < position.seq { from } else { position }),
                _ => None,
            };
        }
        Self { position, has, has_without_index: everywhere }
    }
}

/// What is read but not yet committed.
struct Round<'a> {
    store: &'a Inner,
    has: HashMap<String, u64>,
    has_without_index: u64,
    writers: BTreeMap<String, DayWriter>,
    from: Option<Position>,
    next: Option<Position>,
    reached: u64,
    /// Of the records that are not committed.
    bytes: usize,
    first_record: Option<Instant>,
    committed: Instant,
    new_day: bool,
    /// Time of the last record, for lines that have none.
    last_ms: i64,
    /// How the line began that said it.
    last_stamp: [u8; STAMP_BYTES],
    today: Date,
    /// Of the last document: days since 1970, the index, and its date.
    last_own_day: Option<(i64, Arc<str>, Date)>,
    durable: Durable,
}

/// Tells which records of the journal a power loss cannot take any more. The index never knows more than that: the
/// journal would give the same numbers to other records.
struct Durable {
    synced: watch::Receiver<u64>,
    runtime: Arc<Runtime>,
}

impl Durable {
    /// Waits until the journal is synced up to this record.
    fn wait(&mut self, seq: u64) -> Result<(), StoreError> {
        let synced = &mut self.synced;
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= seq)).await });
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StoreError::NotSynced { seq }),
        }
    }
}

struct DayWriter {
    day: Arc<Day>,
    writer: IndexWriter<Row>,
    /// Not handed over to the writer yet.
    rows: Rows,
    underway: Underway,
    extra_fields: HashSet<String>,
    is_dirty: bool,
    used: Instant,
}

impl<'a> Round<'a> {
    fn new(store: &'a Inner, start: Start, durable: Durable) -> Self {
        let now_ms = Timestamp::now().as_millisecond();
        Self {
            store,
            has: start.has,
            has_without_index: start.has_without_index,
            writers: BTreeMap::new(),
            from: start.position.clone(),
            next: start.position,
            reached: 0,
            bytes: 0,
            first_record: None,
            committed: Instant::now().checked_sub(ROUND_EVERY).unwrap_or_else(Instant::now),
            new_day: false,
            last_ms: now_ms,
            last_stamp: [0; STAMP_BYTES],
            today: date_of(now_ms),
            last_own_day: None,
            durable,
        }
    }

    /// Takes a line. Where it ends is said behind the batch of lines that it is in: until then, a commit tells of a place before it.
    fn take(&mut self, seq: u64, line: &[u8], shaper: &Shaper) -> Result<(), StoreError> {
        let written_ms = self.written_ms(line);
        let dead_letter = |why: &str| Shaper::dead_letter(seq, written_ms, line, why).into();
        let document: Shaped<'_> = match shaper.shape(line) {
            Ok(document) if document.seq == seq => document,
            Ok(_) => dead_letter("the record's number is not the line's"),
            Err(error) => dead_letter(&error.to_string()),
        };
        self.delete(deleted_by(&document), seq)?;
        self.add(&document, written_ms)?;
        self.reached = seq;
        self.bytes += line.len();
        self.first_record.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// The time a line was written, which it begins with; that of the one before where it has none. Many have the same.
    fn written_ms(&mut self, line: &[u8]) -> i64 {
        let Some(stamp) = line.get(..STAMP_BYTES) else { return self.last_ms };
        if *stamp != self.last_stamp {
            self.last_stamp.copy_from_slice(stamp);
            self.last_ms = written_ms(line).unwrap_or(self.last_ms);
        }
        self.last_ms
    }

    fn add(&mut self, document: &Shaped<'_>, written_ms: i64) -> Result<(), StoreError> {
        let (name, date) = match named_by(document) {
            Some((name, date)) => (name.into(), date),
            None => self.own_day(document.timestamp_ms, written_ms),
        };
        if !self.store.is_kept(date, self.today) {
            self.store.counters.expired_records.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if document.seq <= self.has(&name) {
            return Ok(());
        }
        self.writer(&name)?.add(document)
    }

    /// The index of the house's own documents of this time, which most often is that of the one before.
    fn own_day(&mut self, timestamp_ms: i64, written_ms: i64) -> (Arc<str>, Date) {
        let is_from_future = timestamp_ms.saturating_sub(written_ms) > FUTURE_MS_MAX;
        let ms = if is_from_future { written_ms } else { timestamp_ms };
        let day = ms.div_euclid(DAY_MS);
        if let Some((last, name, date)) = &self.last_own_day
            && *last == day
        {
            return (Arc::clone(name), *date);
        }
        let date = date_of(ms);
        let name: Arc<str> = day_name(&self.store.options.service, date).into();
        self.last_own_day = Some((day, Arc::clone(&name), date));
        (name, date)
    }

    /// Up to which record an index has all that it is to have.
    fn has(&self, name: &str) -> u64 {
        self.has.get(name).copied().unwrap_or(self.has_without_index)
    }

    /// Takes indices away as the record of this number says: they then have what was written behind it, and nothing else.
    /// An index that has come further has done so before.
    fn delete(&mut self, names: Vec<String>, seq: u64) -> Result<(), StoreError> {
        for name in names {
            if seq <= self.has(&name) {
                continue;
            }
            // The commit first: a writer that is dropped forgets what is not committed, and merges may be under way.
            self.commit()?;
            if let Some(writer) = self.writers.remove(&name) {
                writer.close()?;
            }
            if self.store.day(&name).is_some() {
                self.store.drop_folder(&name)?;
            }
            self.has.insert(name, seq - 1);
        }
        Ok(())
    }

    fn writer(&mut self, name: &str) -> Result<&mut DayWriter, StoreError> {
        if !self.writers.contains_key(name) {
            if self.writers.len() >= WRITERS_MAX {
                // The commit first: a writer that is dropped forgets what is not committed.
                self.commit()?;
                let idlest = self.writers.iter().min_by_key(|(_, writer)| writer.used).map(|(name, _)| name.clone());
                if let Some(writer) = idlest.and_then(|name| self.writers.remove(&name)) {
                    writer.close()?;
                }
            }
            self.new_day |= self.store.day(name).is_none();
            let writer = DayWriter::open(self.store.day_or_create(name)?)?;
            self.writers.insert(name.to_owned(), writer);
        }
        match self.writers.get_mut(name) {
            Some(writer) => Ok(writer),
            None => unreachable!("it was just put there"),
        }
    }

    fn is_due(&self, is_behind: bool) -> bool {
        let Some(first_record) = self.first_record else { return false };
        let every = if is_behind { ROUND_EVERY_BEHIND } else { ROUND_EVERY };
        self.bytes >= ROUND_BYTES_MAX || (first_record.elapsed() >= GATHER && self.committed.elapsed() >= every)
    }

    /// When the round is to be committed, or a writer has been idle long enough.
    fn next_deadline(&self) -> Option<Instant> {
        let round = self.first_record.map(|first| (first + GATHER).max(self.committed + ROUND_EVERY));
        let idle = self.writers.values().map(|writer| writer.used + WRITER_IDLE);
        round.into_iter().chain(idle).min()
    }

    /// Commits all days that got documents, and begins the next round.
    fn commit(&mut self) -> Result<(), StoreError> {
        if self.first_record.is_none() {
            return Ok(());
        }
        self.durable.wait(self.reached)?;
        let payload = Payload { from: self.from.clone(), seq: self.reached };
        for writer in self.writers.values_mut().filter(|writer| writer.is_dirty) {
            writer.commit(&payload)?;
        }
        self.from.clone_from(&self.next);
        self.bytes = 0;
        self.first_record = None;
        self.committed = Instant::now();
        self.store.indexed.send_if_modified(|indexed| {
            let is_new = self.reached > *indexed;
            *indexed = self.reached.max(*indexed);
            is_new
        });
        Ok(())
    }

    /// All of the journal is read.
    fn caught_up(&mut self, is_stopping: bool) -> Result<(), StoreError> {
        let is_rebuilding = !self.store.rebuild.lock().days.is_empty();
        if is_stopping || is_rebuilding {
            self.commit()?;
        }
        if is_rebuilding {
            self.store.finish_rebuild()?;
        }
        Ok(())
    }

    fn has_new_day(&mut self) -> bool {
        std::mem::take(&mut self.new_day)
    }

    fn keep(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        self.today = date_of(Timestamp::now().as_millisecond());
        self.store.drop_old_days(self.today)?;
        if self.store.wants_room() {
            self.store.drop_for_room()?;
        }
        let gone = |writer: &DayWriter| self.store.day(&writer.day.name).is_none();
        self.writers.retain(|_, writer| !gone(writer));
        Ok(())
    }

    fn drop_idle_writers(&mut self) -> Result<(), StoreError> {
        let is_idle = |writer: &DayWriter| !writer.is_dirty && writer.used.elapsed() >= WRITER_IDLE;
        let idle: Vec<String> =
            self.writers.iter().filter(|(_, writer)| is_idle(writer)).map(|(name, _)| name.clone()).collect();
        for name in idle {
            if let Some(writer) = self.writers.remove(&name) {
                writer.close()?;
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), StoreError> {
        self.commit()?;
        std::mem::take(&mut self.writers).into_values().try_for_each(DayWriter::close)
    }
}

impl DayWriter {
    fn open(day: Arc<Day>) -> Result<Self, StoreError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter<Row> =
            day.index.writer_with_options(options).map_err(StoreError::tantivy("opening an index writer"))?;
        writer.set_merge_policy(Box::new(LogMergePolicy::default()));
        let (extra_fields, rows) = (day.extra_field_names()?, Rows::default());
        let (underway, is_dirty, used) = (Underway::default(), false, Instant::now());
        Ok(Self { day, writer, rows, underway, extra_fields, is_dirty, used })
    }

    fn add(&mut self, document: &Shaped<'_>) -> Result<(), StoreError> {
        layout().add_row(document, &mut self.extra_fields, &mut self.rows);
        if self.rows.len() == ROWS_AT_ONCE || self.rows.bytes() >= ROWS_BYTES_AT_ONCE {
            self.hand_over()?;
        }
        self.is_dirty = true;
        self.used = Instant::now();
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let rows = self.rows.take();
        let batch = self.underway.begin(rows.bytes());
        self.writer
            .run(rows.on_their_way(batch).map(UserOperation::Add))
            .map(|_| ())
            .map_err(StoreError::tantivy("adding documents"))
    }

    fn commit(&mut self, payload: &Payload) -> Result<(), StoreError> {
        let doing = "committing a day index";
        self.hand_over()?;
        let text = serde_json::to_string(payload).map_err(|error| StoreError::column(doing)(error.into()))?;
        let mut commit = self.writer.prepare_commit().map_err(StoreError::tantivy(doing))?;
        commit.set_payload(&text);
        commit.commit().map_err(StoreError::tantivy(doing))?;
        *self.day.payload.lock() = Some(payload.clone());
        self.day.reader.reload().map_err(StoreError::tantivy("opening what was committed"))?;
        self.is_dirty = false;
        Ok(())
    }

    /// Waits for merges under way, so that their work is not lost.
    fn close(self) -> Result<(), StoreError> {
        let day = self.day;
        self.writer.wait_merging_threads().map_err(StoreError::tantivy("closing an index writer"))?;
        day.reader.reload().map_err(StoreError::tantivy("opening what was merged"))
    }
}

/// The index that a document which a client wrote was written to; others are in the day of their time.
pub(crate) fn named_by(document: &Shaped<'_>) -> Option<(String, Date)> {
    let name = document.text("index").filter(|_| document.text("kind") == Some("log"))?;
    match read_name(name)? {
        (_, Entry::Day(date)) => Some((name.to_owned(), date)),
        _ => None,
    }
}

/// The indices that a record says are taken away.
pub(crate) fn deleted_by(document: &Shaped<'_>) -> Vec<String> {
    if document.text("kind") != Some(INDEX_DELETED) {
        return Vec::new();
    }
    let Some(Leaf::Deep(names)) = document.get("index").map(Part::leaf) else { return Vec::new() };
    names.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The time a line was written, which it begins with.
fn written_ms(line: &[u8]) -> Option<i64> {
    let rest = line.strip_prefix(br#"{"ts":""#)?;
    let end = rest.iter().take(64).position(|byte| *byte == b'"')?;
    parse_rfc3339(std::str::from_utf8(&rest[..end]).ok()?)
}
