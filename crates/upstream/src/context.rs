//! What goes with a request besides its body, and what can be seen of it on its way.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use crate::scheduler::{Order, Scheduler};

/// The answer is kept at most one of this many parts of a window, however long it may become.
const ANSWER_SHARE: u64 = 4;
/// Servers asked in vain of which is told.
const FAILURES_TOLD_MAX: usize = 8;

/// Tells whether the caller may use a model, by its public name.
pub type MayCall = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What goes with a request besides its body.
#[derive(Clone)]
pub struct Context {
    /// W3C Trace Context, handed on to the server.
    pub traceparent: Option<String>,
    /// Who is fair against whom: requests of one flow share one turn in the queue.
    pub flow: String,
    /// How much of a busy server the flow gets, against other flows (1 to 100).
    pub weight: u32,
    /// Which requests go first.
    pub priority: Priority,
    /// How large the request is expected to be, prompt and answer together, in tokens.
    pub tokens: u64,
    /// How large its prompt is, as well as that is known, in tokens: a fallback model has to have room for it.
    pub prompt_tokens: u64,
    /// Which fallback models the caller may use; none by default.
    pub may_call: MayCall,
    /// It is suspected of breaking its server: no server gets it after one has failed at it.
    pub is_sent_once: bool,
    /// Where the request is, for those who want to tell.
    pub progress: Progress,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            traceparent: None,
            flow: String::new(),
            weight: 1,
            priority: Priority::default(),
            tokens: 0,
            prompt_tokens: 0,
            may_call: Arc::new(|_| false),
            is_sent_once: false,
            progress: Progress::default(),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("traceparent", &self.traceparent)
            .field("flow", &self.flow)
            .field("weight", &self.weight)
            .field("priority", &self.priority)
            .field("tokens", &self.tokens)
            .field("prompt_tokens", &self.prompt_tokens)
            .field("is_sent_once", &self.is_sent_once)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Whether a window of so many tokens has room for the prompt and the beginning of its answer.
    pub(crate) fn fits(&self, window: u32) -> bool {
        let window = u64::from(window);
        let answer = self.tokens.saturating_sub(self.prompt_tokens).min(window / ANSWER_SHARE);
        self.prompt_tokens <= window - answer
    }
}

/// Which requests go first when a server is busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Work that nobody waits for.
    Low,
    /// What is not said otherwise.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Where a request is on its way; clones see the same.
#[derive(Clone, Debug)]
pub struct Progress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: AtomicU8,
    /// The place in the queue at first; 0 when it never queued.
    first_position: AtomicU32,
    queue: Mutex<Option<(Weak<Scheduler>, Order)>>,
    failed: Mutex<Vec<FailedAttempt>>,
}

/// A server that was asked in vain.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    /// Its name.
    pub upstream: Arc<str>,
    /// When it was asked.
    pub began: Instant,
    /// When it had failed.
    pub ended: Instant,
    /// Why, by the word of [`UpstreamError::reason`](crate::UpstreamError::reason).
    pub reason: &'static str,
}

/// The stretches of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It waits for its turn.
    Queued,
    /// A connection to the server is made.
    Connecting,
    /// It has been sent: the server loads the model, reads the prompt or thinks.
    Waiting,
    /// The answer has begun.
    Answering,
}

impl Default for Progress {
    fn default() -> Self {
        let (phase, first_position) = (AtomicU8::new(Phase::Connecting as u8), AtomicU32::new(0));
        Self { inner: Arc::new(Inner { phase, first_position, queue: Mutex::new(None), failed: Mutex::default() }) }
    }
}

impl Progress {
    /// The place in the queue now, from 1; `None` when it is not waiting there.
    pub fn position(&self) -> Option<u32> {
        let (scheduler, order) = self.queue().clone()?;
        scheduler.upgrade()?.position(order)
    }

    /// The place in the queue when it came; `None` when it had not to wait.
    pub fn first_position(&self) -> Option<u32> {
        Some(self.inner.first_position.load(Ordering::Relaxed)).filter(|place| *place > 0)
    }

    /// Where it is now.
    pub fn phase(&self) -> Phase {
        match self.inner.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Queued as u8 => Phase::Queued,
            phase if phase == Phase::Waiting as u8 => Phase::Waiting,
            phase if phase == Phase::Answering as u8 => Phase::Answering,
            _ => Phase::Connecting,
        }
    }

    /// The servers that were asked in vain until now; at most as many as are asked at all.
    pub fn failures(&self) -> Vec<FailedAttempt> {
        self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn failed(&self, upstream: &Arc<str>, began: Instant, reason: &'static str) {
        let mut failed = self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() < FAILURES_TOLD_MAX {
            failed.push(FailedAttempt { upstream: Arc::clone(upstream), began, ended: Instant::now(), reason });
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.inner.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn queued(&self, scheduler: &Arc<Scheduler>, order: Order, position: u32) {
        let first = &self.inner.first_position;
        let _ = first.compare_exchange(0, position, Ordering::Relaxed, Ordering::Relaxed);
        *self.queue() = Some((Arc::downgrade(scheduler), order));
        self.enter(Phase::Queued);
    }

    pub(crate) fn dequeued(&self) {
        *self.queue() = None;
    }

    fn queue(&self) -> MutexGuard<'_, Option<(Weak<Scheduler>, Order)>> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
