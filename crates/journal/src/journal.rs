//! The handles: [`Journal`] for everybody who appends, [`Writer`] for the one who closes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};

use crate::condition::{Condition, DiskState, TIGHT_BYTES, Telling, TightBound, Why};
use crate::disk::{Disk, FILE_MODE, RealDisk, Space};
use crate::error::JournalError;
use crate::foreign::refuse_foreign;
use crate::hold::Holds;
use crate::keep::{Keeper, Keeping, Policy};
use crate::line::Form;
use crate::names::Names;
use crate::packing::Packing;
use crate::record::Record;
use crate::recover::{Recovered, Recovery, recover};
use crate::sync::{Mark, Syncer};
use crate::together::Together;
use crate::writer::{Desk, Lines, Rules};

/// The wall clock, in milliseconds since 1970 UTC; tests bring their own.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + std::marker::Sync>;
/// A clock that has a printable form, for [`Journal`].
#[derive(Clone)]
pub(crate) struct ClockOf(pub(crate) Clock);

impl std::fmt::Debug for ClockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// Where the result of one append goes.
pub(crate) type Answer = oneshot::Sender<Result<u64, JournalError>>;

/// How long written lines may wait for their fsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Not at all: every append is answered after the fsync. Lines that arrive during one share the next.
    Each,
    /// At most this long after the write; many lines share one fsync.
    Within(Duration),
}

/// Where and how a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The current file; its directory is created when missing. The files beside it begin with its stem.
    pub file: PathBuf,
    /// The `service` of every line.
    pub service: String,
    /// Added to every line.
    pub fields: Map<String, Value>,
    /// Whether the first line of a new UTC day begins a new file.
    pub rotate_day: bool,
    /// A file that has this many bytes gets no further line.
    pub rotate_bytes: u64,
    /// Closed files whose last line is this many days old are deleted at the next rotation; 0 keeps them.
    pub keep_days: u32,
    /// The oldest closed files are deleted until all take at most this many bytes; 0 keeps them.
    pub keep_bytes: u64,
    /// Below so much free room the disk is tight, though never above a twentieth of it; 0: never. Then the oldest closed files
    /// go until there is room, down to a quarter of `keep_bytes`, which must not be 0 for that.
    pub tight_bytes: u64,
    /// Who still has to read what; retention leaves it.
    pub holds: Holds,
    /// How closed files are compressed, if they are.
    pub compress: Option<Packing>,
    /// When lines are synced.
    pub sync: Sync,
    /// How many records may wait for the writer, at least 1; then `append` waits and `enqueue` refuses.
    pub queue: usize,
}

impl Options {
    /// The defaults of the configuration: by day and 256 MiB, 30 days and 10 GiB, compressed, synced within 100 ms.
    pub fn new(file: impl Into<PathBuf>, service: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            service: service.into(),
            fields: Map::new(),
            rotate_day: true,
            rotate_bytes: 256 << 20,
            keep_days: 30,
            keep_bytes: 10 << 30,
            tight_bytes: TIGHT_BYTES,
            holds: Holds::default(),
            compress: Some(Packing::Zstd),
            sync: Sync::Within(Duration::from_millis(100)),
            queue: 4096,
        }
    }
}

/// What opening a journal gives.
#[derive(Debug)]
pub struct Opened {
    /// To append with.
    pub journal: Journal,
    /// To close at the very end.
    pub writer: Writer,
    /// What was found.
    pub recovery: Recovery,
}

/// Appends records. Cheap to clone; all clones share the one writer.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(crate) desk: Arc<Desk>,
    pub(crate) queue: mpsc::Sender<Message>,
    places: usize,
    written: watch::Receiver<u64>,
    synced: watch::Receiver<u64>,
    disk: watch::Receiver<DiskState>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) condition: Arc<Condition>,
    pub(crate) clock: ClockOf,
    /// Whether every append is answered only after its fsync.
    pub(crate) is_always_synced: bool,
}

/// Owns the thread that writes. When it is dropped without [`Writer::close`], the thread ends by itself, synced, after the
/// last [`Journal`] is gone.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<Result<(), JournalError>>,
    /// Place in the queue for the message that closes, also when it is full.
    close: mpsc::OwnedPermit<Message>,
}

/// Bounds by which the times of fsyncs are told apart, in microseconds.
pub const SYNC_BOUNDS_US: [u64; 10] = [500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];

/// Counts since the journal was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// `seq` of the last line written.
    pub written_seq: u64,
    /// `seq` of the last line known to be on the disk.
    pub synced_seq: u64,
    /// Records waiting for the writer now.
    pub queued: u64,
    /// Lines written.
    pub lines: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Lines that were too long and cut.
    pub cut: u64,
    /// Records that `enqueue` refused because the queue was full.
    pub full: u64,
    /// Records that were taken and could not be written.
    pub lost: u64,
    /// Writes, repairs and creations of files that failed.
    pub write_errors: u64,
    /// Failed fsyncs.
    pub sync_errors: u64,
    /// How long the others took: how many at most so long as each of [`SYNC_BOUNDS_US`], and last how many longer. Not summed up.
    pub syncs: [u64; SYNC_BOUNDS_US.len() + 1],
    /// All of these together, in microseconds.
    pub sync_us: u64,
    /// Rotations done.
    pub rotations: u64,
    /// Rotations that failed and will be tried again.
    pub rotate_errors: u64,
    /// Failures in compressing or deleting closed files; tried again after the next rotation.
    pub keep_errors: u64,
    /// Closed files that were removed because they were too old or took too much room.
    pub removed_files: u64,
}

/// The shared form of [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) lines: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) write_errors: AtomicU64,
    pub(crate) sync_errors: AtomicU64,
    pub(crate) syncs: [AtomicU64; SYNC_BOUNDS_US.len() + 1],
    pub(crate) sync_us: AtomicU64,
    pub(crate) rotations: AtomicU64,
    pub(crate) rotate_errors: AtomicU64,
    pub(crate) keep_errors: AtomicU64,
    pub(crate) removed_files: AtomicU64,
}

impl Counters {
    /// Counts an fsync that took so long.
    pub(crate) fn synced(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.syncs[SYNC_BOUNDS_US.partition_point(|bound| *bound < took_us)].fetch_add(1, Ordering::Relaxed);
        self.sync_us.fetch_add(took_us, Ordering::Relaxed);
    }
}

/// What the writer's queue carries.
#[derive(Debug)]
pub(crate) enum Message {
    Append(Record, Reply),
    AppendAll(Together),
    /// The keeper tells what it did.
    Own(Record),
    /// The keeper looked at the disk.
    Looked(Space),
    /// An fsync failed; the unsynced bytes must be written again.
    Repair,
    Close,
}

/// When and whether an append is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Never,
    Written(Answer),
    Synced(Answer),
}

/// A record that was handed over. Who drops it does not take the record back.
#[derive(Debug)]
pub struct Appending(oneshot::Receiver<Result<u64, JournalError>>);

impl Appending {
    /// Waits until the line is written to the file (with [`Sync::Each`]: synced), and gives its `seq`.
    pub async fn seq(self) -> Result<u64, JournalError> {
        self.0.await.map_err(|_| JournalError::Closed)?
    }
}

/// A record that waits for a place in the queue. Whoever appends it may be dropped meanwhile, as when a client leaves; then
/// it is handed over without waiting, or counted as one there was no place for.
struct Waiting<'a> {
    journal: &'a Journal,
    record: Option<Record>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let _: Result<(), JournalError> = self.journal.enqueue(record);
        }
    }
}

impl Journal {
    /// Opens or creates the journal, repairs what a crash left, and starts the threads. Reads the disk, so it blocks.
    ///
    /// The caller should append the closing records for [`Recovery::unfinished`] first and a record of kind `process` with
    /// the message `started` after them: where the next start looks for unfinished ones again begins there. The last record
    /// before [`Writer::close`] should be of kind `process` with the message `stopped`.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one journal")]
    pub fn open(options: Options) -> Result<Opened, JournalError> {
        let clock: Clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        Self::open_on(Arc::new(RealDisk), clock, &options)
    }

    pub(crate) fn open_on(disk: Arc<dyn Disk>, clock: Clock, options: &Options) -> Result<Opened, JournalError> {
        let names = Names::new(&options.file)?;
        let form = Form::new(&options.service, &options.fields)?;
        std::fs::create_dir_all(&names.dir).map_err(JournalError::io("creating", &names.dir))?;
        // Before anything is made beside it.
        refuse_foreign(&names)?;
        let lock = lock(&names)?;
        let Recovered { recovery, head, first_seq, length } = recover(&names)?;
        let file = disk.open(&names.current).map_err(JournalError::io("opening", &names.current))?;

        let counters = Arc::new(Counters::default());
        let (written_sender, written) = watch::channel(head.seq);
        let (synced_sender, synced) = watch::channel(head.seq);
        // One place more for the message that closes and one so that a journal with a queue of 1 has one to give.
        let (queue, receiver) = mpsc::channel(options.queue.max(1) + 1);
        let close = queue.clone().try_reserve_owned().map_err(|_| JournalError::Closed)?;
        let spawning = || JournalError::io("starting the threads of", &names.current);

        let (within, always_synced) = match options.sync {
            Sync::Each => (Duration::ZERO, true),
            Sync::Within(time) => (time, false),
        };
        let mark = Mark { seq: head.seq, length };
        let at = (disk.clone(), names.dir.as_path());
        let syncer =
            Syncer::start(at, (file.clone(), mark), within, counters.clone(), synced_sender, queue.downgrade())
                .map_err(spawning())?;
        let condition = Arc::new(Condition::new());
        let tight = TightBound { bytes: options.tight_bytes };
        let policy = Policy { compress: options.compress, days: options.keep_days, bytes: options.keep_bytes, tight };
        let keeping = Keeping {
            names: names.clone(),
            policy,
            holds: options.holds.clone(),
            disk: disk.clone(),
            clock: clock.clone(),
            counters: counters.clone(),
            condition: condition.clone(),
            writer: queue.downgrade(),
        };
        let keeper = Keeper::start(keeping).map_err(spawning())?;
        keeper.keep();
        let lines = Lines {
            disk,
            clock: clock.clone(),
            rules: Rules { rotate_day: options.rotate_day, rotate_bytes: options.rotate_bytes, always_synced },
            form,
            counters: counters.clone(),
            condition: condition.clone(),
            telling: Telling::new(tight),
            written_seq: written_sender,
            syncer,
            keeper,
            file: Some(file),
            first_seq,
            base: length,
            tail: Vec::new(),
            written: 0,
            written_head: head,
            head,
            pending: Vec::new(),
            ragged: false,
            rotate_tried: false,
            slow_until: None,
            names: names.clone(),
            _lock: lock,
        };
        let desk = Arc::new(Desk::new(lines));
        let for_thread = desk.clone();
        let thread = std::thread::Builder::new()
            .name("journal-write".into())
            .spawn(move || for_thread.run(receiver))
            .map_err(spawning())?;
        let (disk, clock) = (condition.state(), ClockOf(clock));
        let places = options.queue.max(1);
        let is_always_synced = always_synced;
        let journal = Self { desk, queue, places, written, synced, disk, counters, condition, clock, is_always_synced };
        Ok(Opened { journal, writer: Writer { thread, close }, recovery })
    }

    /// Whether a process has the journal with this current file open, and which one as far as that is known. Owns it itself
    /// for the moment of looking.
    pub fn owner(current_file: &Path) -> Result<Option<JournalError>, JournalError> {
        let names = Names::new(current_file)?;
        let path = names.lock();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("opening", &path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(locked(&mut file, &names.current))),
            Err(TryLockError::Error(error)) => Err(JournalError::io("locking", &path)(error)),
        }
    }

    /// Appends a record and gives its `seq` once the line is written to the file (with [`Sync::Each`]: synced). Writes it
    /// itself where that is one short write, and no record waits before it; else it goes through the queue, and this waits
    /// while that is full. A caller that stops waiting does not take its record back.
    pub async fn append(&self, record: Record) -> Result<u64, JournalError> {
        if let Some(written) = self.desk.write_now(&record) {
            return written;
        }
        self.send(record, Reply::Written).await?.seq().await
    }

    /// As [`Journal::append`], for a record that must not hold anything up: that the disk does not take it is no error, because
    /// then it is counted and told later.
    pub async fn tell(&self, record: Record) -> Result<(), JournalError> {
        match self.append(record).await {
            Ok(_) | Err(JournalError::NotKept { .. } | JournalError::Unsynced) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Appends a record and gives its `seq` once the line is known to be on the disk.
    pub async fn append_synced(&self, record: Record) -> Result<u64, JournalError> {
        self.send(record, Reply::Synced).await?.seq().await
    }

    /// Hands a record over and waits only while the queue is full. Records that are handed over one after another are
    /// written in that order; [`Appending::seq`] waits until this one is.
    pub async fn hand_over(&self, record: Record) -> Result<Appending, JournalError> {
        self.send(record, Reply::Written).await
    }

    async fn send(&self, record: Record, reply: fn(Answer) -> Reply) -> Result<Appending, JournalError> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = Waiting { journal: self, record: Some(record) };
        let place = self.queue.reserve().await;
        let record = waiting.record.take().expect("taken only here");
        let place = place.map_err(|_| JournalError::Closed)?;
        self.desk.hands();
        place.send(Message::Append(record, reply(sender)));
        Ok(Appending(answer))
    }

    /// Hands a record over without waiting for anything; whether it could be written only [`Stats::lost`] tells.
    pub fn enqueue(&self, record: Record) -> Result<(), JournalError> {
        self.desk.hands();
        let Record { kind, comes_again, .. } = record;
        let refused = match self.queue.try_send(Message::Append(record, Reply::Never)) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => JournalError::Closed,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counters.full.fetch_add(1, Ordering::Relaxed);
                if !comes_again {
                    self.condition.add(kind, (self.clock.0)(), Why::Queue);
                }
                JournalError::Full(self.places)
            }
        };
        self.desk.handed(1);
        Err(refused)
    }

    /// From now on nobody but the thread writes.
    #[cfg(test)]
    pub(crate) fn always_queues(&self) {
        self.desk.hands();
    }

    /// `seq` of the last written line, to follow.
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.clone()
    }

    /// `seq` of the last line known to be on the disk, to follow.
    pub fn synced(&self) -> watch::Receiver<u64> {
        self.synced.clone()
    }

    /// How the disk is, to follow.
    pub fn disk(&self) -> watch::Receiver<DiskState> {
        self.disk.clone()
    }

    /// Whether records are taken at all: not any more once the writer has been closed.
    pub fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// The counts of this moment.
    pub fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &*self.counters;
        Stats {
            written_seq: *self.written.borrow(),
            synced_seq: *self.synced.borrow(),
            queued: (self.queue.max_capacity() - self.queue.capacity()).saturating_sub(1) as u64,
            lines: get(&counters.lines),
            bytes: get(&counters.bytes),
            cut: get(&counters.cut),
            full: get(&counters.full),
            lost: get(&counters.lost),
            write_errors: get(&counters.write_errors),
            sync_errors: get(&counters.sync_errors),
            syncs: std::array::from_fn(|at| get(&counters.syncs[at])),
            sync_us: get(&counters.sync_us),
            rotations: get(&counters.rotations),
            rotate_errors: get(&counters.rotate_errors),
            keep_errors: get(&counters.keep_errors),
            removed_files: get(&counters.removed_files),
        }
    }
}

impl Writer {
    /// Takes no new records, writes those already taken, syncs, and ends the threads. Blocks for that long; inside a
    /// runtime call it through `spawn_blocking`. An error means that the last lines may not be on the disk.
    pub fn close(self) -> Result<(), JournalError> {
        self.close.send(Message::Close);
        self.thread.join().unwrap_or(Err(JournalError::Closed))
    }
}

/// Locks the journal for this process, for as long as the returned file is open.
fn lock(names: &Names) -> Result<File, JournalError> {
    let path = names.lock();
    let failed = |action| JournalError::io(action, &path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(failed("opening"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(locked(&mut file, &names.current)),
        Err(TryLockError::Error(error)) => return Err(failed("locking")(error)),
    }
    // The lock counts, not the number in it: a full disk must not keep the journal shut.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn locked(file: &mut File, journal: &Path) -> JournalError {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    let pid = read.ok().and_then(|_| text.trim().parse().ok());
    JournalError::Locked { file: journal.to_owned(), pid }
}
