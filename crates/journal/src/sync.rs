//! The thread that makes written lines durable, so that nobody who only appends waits for an fsync.
//!
//! It sleeps until something is written, waits the agreed time so that many lines share one fsync, syncs, and answers
//! who waited for it. After a failed fsync it does nothing until the writer has written the doubtful bytes again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::disk::{Disk, DiskFile};
use crate::error::JournalError;
use crate::journal::{Answer, Counters, Message};

/// After a failed fsync the next one waits at least this long, unless somebody stands and waits for it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How far the journal reaches: last line, and length of the current file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) length: u64,
}

/// The writer's end of the sync thread.
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    within: Duration,
    counters: Arc<Counters>,
    synced: watch::Sender<u64>,
}

struct State {
    file: Arc<dyn DiskFile>,
    written: Mark,
    synced: Mark,
    /// A file was created or renamed since the directory was last synced.
    dir_changed: bool,
    /// The last sync failed and the writer has not yet written the bytes again.
    failed: bool,
    /// When to sync what is unsynced.
    due: Option<Instant>,
    stop: bool,
    /// Who waits for which line, in order. Bounded by the appends in flight: the unsynced bytes are.
    waiting: Vec<(u64, Answer)>,
}

impl Syncer {
    pub(crate) fn start(
        (disk, dir): (Arc<dyn Disk>, &Path),
        (file, mark): (Arc<dyn DiskFile>, Mark),
        within: Duration,
        counters: Arc<Counters>,
        synced: watch::Sender<u64>,
        writer: mpsc::WeakSender<Message>,
    ) -> io::Result<Self> {
        // The current file may just have been created, and what it holds may never have been synced.
        let state = State {
            file,
            written: mark,
            synced: mark,
            dir_changed: true,
            failed: false,
            due: Some(Instant::now() + within),
            stop: false,
            waiting: Vec::new(),
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { state, changed, disk, dir: dir.to_owned(), within, counters, synced });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new().name("journal-sync".into()).spawn(move || for_thread.run(&writer))?;
        Ok(Self { shared, thread })
    }

    /// Lines were written up to `written`; `waiting` are those of them that want to hear of the sync.
    pub(crate) fn written(&self, written: Mark, waiting: impl Iterator<Item = (u64, Answer)>) {
        let mut state = self.shared.lock();
        state.written = written;
        state.waiting.extend(waiting);
        // A sync failed since the writer looked, and nobody can say when the next one will be.
        if state.failed {
            refuse(std::mem::take(&mut state.waiting));
        }
        // With an earlier time set the thread is on its way already; after a failure it may be set late.
        let due = Instant::now() + self.shared.within;
        if state.due.is_none_or(|earlier| due < earlier && !state.waiting.is_empty()) {
            state.due = Some(due);
            self.shared.changed.notify_all();
        }
    }

    /// Answers once this line, which is the last one written, is on the disk.
    pub(crate) fn answer_when_synced(&self, seq: u64, answer: Answer) {
        let mut state = self.shared.lock();
        debug_assert_eq!(state.written.seq, seq, "who waits, waits in order");
        if state.failed {
            refuse(vec![(seq, answer)]);
        } else if state.synced.seq >= seq {
            let _ = answer.send(Ok(seq));
        } else {
            state.waiting.push((seq, answer));
            let due = Instant::now() + self.shared.within;
            if state.due.is_some_and(|later| due < later) {
                state.due = Some(due);
                self.shared.changed.notify_all();
            }
        }
    }

    /// The last mark that is known to be on the disk.
    pub(crate) fn synced(&self) -> Mark {
        self.shared.lock().synced
    }

    pub(crate) fn failed(&self) -> bool {
        self.shared.lock().failed
    }

    /// The doubtful bytes were written again, through `file`.
    pub(crate) fn repaired(&self, file: Arc<dyn DiskFile>) {
        let mut state = self.shared.lock();
        state.file = file;
        state.failed = false;
        state.due = Some(Instant::now() + RETRY_AFTER.max(self.shared.within));
        self.shared.changed.notify_all();
    }

    /// A new current file was begun; everything before is synced.
    pub(crate) fn moved(&self, file: Arc<dyn DiskFile>, mark: Mark) {
        let mut state = self.shared.lock();
        debug_assert_eq!(state.synced.seq, mark.seq, "a file is synced before it is left");
        (state.file, state.written, state.synced) = (file, mark, mark);
        state.dir_changed = true;
        state.due = Some(Instant::now() + self.shared.within);
        self.shared.changed.notify_all();
    }

    /// Syncs all that is written now and waits for it; false when that failed.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        while state.is_dirty() && !state.failed {
            state.due = Some(Instant::now());
            self.shared.changed.notify_all();
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.failed
    }

    /// Ends the thread. What is not synced by now is told so.
    pub(crate) fn stop(self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        let _ = self.thread.join();
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        refuse(waiting);
    }
}

impl State {
    fn is_dirty(&self) -> bool {
        self.written != self.synced || self.dir_changed
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; were it so, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, writer: &mpsc::WeakSender<Message>) {
        let mut state = self.lock();
        while !state.stop {
            if state.failed || !state.is_dirty() {
                // A time that somebody set during the last sync would keep the next line from waking this thread.
                state.due = None;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = state.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
            if !left.is_zero() {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let (file, written, dir_changed) = (state.file.clone(), state.written, state.dir_changed);
            state.due = None;
            drop(state);
            let began = Instant::now();
            let mut result = file.sync();
            if result.is_ok() && dir_changed {
                result = self.disk.sync_dir(&self.dir);
            }
            if result.is_ok() {
                self.counters.synced(began.elapsed());
            }
            state = self.lock();
            if result.is_ok() {
                state.synced = written;
                // The writer leaves a file only when nothing is unsynced, so no rename can have come in between.
                state.dir_changed = false;
                if state.is_dirty() && state.due.is_none() {
                    state.due = Some(Instant::now() + self.within);
                }
                self.synced.send_replace(written.seq);
                let done = state.waiting.partition_point(|(seq, _)| *seq <= written.seq);
                for (seq, answer) in state.waiting.drain(..done) {
                    let _ = answer.send(Ok(seq));
                }
                self.changed.notify_all();
            } else {
                self.counters.sync_errors.fetch_add(1, Ordering::Relaxed);
                state.failed = true;
                refuse(std::mem::take(&mut state.waiting));
                self.changed.notify_all();
                drop(state);
                // An idle writer must hear of it. One with a full queue is not idle and sees it before its next write;
                // waiting for a place would be waiting for a writer that may be waiting for this thread.
                if let Some(writer) = writer.upgrade() {
                    let _ = writer.try_send(Message::Repair);
                }
                state = self.lock();
            }
        }
    }
}

fn refuse(waiting: Vec<(u64, Answer)>) {
    for (_, answer) in waiting {
        let _ = answer.send(Err(JournalError::Unsynced));
    }
}
