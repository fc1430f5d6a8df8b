//! Remembers that a server does not answer, so that nobody waits for it in vain.
//!
//! ```text
//!            not reachable, was well             still not after `restart`
//!   closed ─────────────────────────▶ held ────────────────────────────────▶ open ◀──────────────┐
//!     ▲  ▲                             │                                      ▲ │                 │
//!     │  └── its health address answers┘        silent, or twice in a row     │ │ health answers  │ fails again
//!     │                                         not reachable (from closed) ──┘ ▼                 │
//!     └────────────────────────── a request is answered ────────────────── half open ─────────────┘
//! ```
//!
//! Closed: requests pass. Held: they wait, because a server that was well and takes no connections may be restarting. Open:
//! they are refused at once. Half open: one passes at a time, until one is answered. Whoever starts the server anew holds the breaker
//! for that time, whatever is seen of the server meanwhile; one of which it is known that somebody does when it is silent is held, too,
//! for `restart`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many failures in a row to connect, or to get any answer over a connection, open a breaker of a server that has not
/// been well. One is not enough: a server that starts refuses a connection or two and is there at once. Silence opens it
/// the first time, because that has already been checked twice.
pub const FAILURES_TO_OPEN: u32 = 2;
/// How often the health address of a server is asked while its breaker is not closed.
pub const PROBE_EVERY: Duration = Duration::from_millis(500);

/// What a breaker lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    HalfOpen(Arc<str>),
    Held(Arc<str>),
    Open(Arc<str>),
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen(_) => "half_open",
            Self::Held(_) => "held",
            Self::Open(_) => "open",
        }
    }

    /// Why it is not closed.
    pub(crate) fn reason(&self) -> Option<&Arc<str>> {
        match self {
            Self::Closed => None,
            Self::HalfOpen(reason) | Self::Held(reason) | Self::Open(reason) => Some(reason),
        }
    }
}

/// How a server failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It took no connection.
    Unreachable,
    /// It closed the connection before it said anything.
    Lost,
    /// It said nothing, and its health address neither.
    Silent,
    /// The same, of a server that somebody starts anew then.
    Stuck,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    /// All is well and nothing has to be remembered. Read by every request, written when that changes, so that the cores
    /// need not pass a lock around.
    well: AtomicBool,
    inner: Mutex<Inner>,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// It has answered since the breaker was closed or made.
    was_well: bool,
    held_since: Option<Instant>,
    /// While held: whether its health address was silent too.
    was_away: bool,
    /// How many hold it who know when it comes back.
    holds: u32,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { well: AtomicBool::new(false), inner: Mutex::default(), state: watch::Sender::new(State::Closed) }
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The reason, when requests are refused.
    pub(crate) fn refuses(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Open(reason) => Some(Arc::clone(reason)),
            _ => None,
        }
    }

    /// The server answered a request. The new state if that changed it.
    pub(crate) fn answered(&self) -> Option<State> {
        if self.well.load(Ordering::Relaxed) {
            return None;
        }
        let mut inner = self.inner();
        let state = self.state();
        if matches!(state, State::Closed | State::HalfOpen(_)) {
            (inner.failures, inner.was_well) = (0, true);
            self.well.store(true, Ordering::Relaxed);
        }
        matches!(state, State::HalfOpen(_)).then(|| self.enter(State::Closed))
    }

    /// A request failed. The new state if that changed it.
    pub(crate) fn failed(&self, failure: Failure, reason: &str, now: Instant) -> Option<State> {
        let mut inner = self.inner();
        self.well.store(false, Ordering::Relaxed);
        if inner.holds > 0 {
            return None;
        }
        let reason: Arc<str> = reason.into();
        let state = self.state();
        match (state, failure) {
            (State::Open(_), _) => None,
            (_, Failure::Silent) | (State::HalfOpen(_), _) => {
                inner.was_well = false;
                Some(self.enter(State::Open(reason)))
            }
            (State::Held(_), _) => None,
            (State::Closed, Failure::Stuck) => {
                (inner.held_since, inner.was_away) = (Some(now), true);
                Some(self.enter(State::Held(reason)))
            }
            (State::Closed, _) if inner.was_well => {
                (inner.held_since, inner.was_away) = (Some(now), failure == Failure::Unreachable);
                Some(self.enter(State::Held(reason)))
            }
            (State::Closed, _) => {
                inner.failures = inner.failures.saturating_add(1);
                (inner.failures >= FAILURES_TO_OPEN).then(|| self.enter(State::Open(reason)))
            }
        }
    }

    /// What its health address said while the breaker was not closed. The new state if that changed it.
    pub(crate) fn probed(&self, healthy: bool, restart: Duration, now: Instant) -> Option<State> {
        let mut inner = self.inner();
        if inner.holds > 0 {
            return None;
        }
        match (self.state(), healthy) {
            (State::Open(reason), true) => Some(self.enter(State::HalfOpen(reason))),
            (State::Held(reason), true) => {
                // One that was there all the time is not restarting: it drops its requests.
                inner.failures = if inner.was_away { 0 } else { inner.failures + 1 };
                if inner.failures >= FAILURES_TO_OPEN {
                    inner.was_well = false;
                    return Some(self.enter(State::Open(reason)));
                }
                Some(self.enter(State::Closed))
            }
            (State::Held(reason), false) => {
                inner.was_away = true;
                let over = inner.held_since.is_none_or(|since| now.duration_since(since) >= restart);
                inner.was_well &= !over;
                over.then(|| self.enter(State::Open(reason)))
            }
            _ => None,
        }
    }

    /// Requests wait from now on, until [`Breaker::release`].
    pub(crate) fn hold(&self, reason: &str) {
        let mut inner = self.inner();
        self.well.store(false, Ordering::Relaxed);
        inner.holds += 1;
        self.enter(State::Held(reason.into()));
    }

    /// Whoever held it says that the server is there again, or why it is not.
    pub(crate) fn release(&self, gone: Option<&str>) {
        let mut inner = self.inner();
        inner.holds = inner.holds.saturating_sub(1);
        if inner.holds > 0 {
            return;
        }
        (inner.failures, inner.held_since, inner.was_away) = (0, None, false);
        inner.was_well = gone.is_none();
        self.enter(gone.map_or(State::Closed, |reason| State::Open(reason.into())));
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.state.subscribe())
    }

    fn enter(&self, state: State) -> State {
        self.state.send_replace(state.clone());
        state
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a breaker to open.
pub(crate) struct Watch(watch::Receiver<State>);

impl Watch {
    /// The reason, once it is open.
    pub(crate) async fn opened(mut self) -> Arc<str> {
        let reason = match self.0.wait_for(|state| matches!(state, State::Open(_))).await {
            Ok(state) => state.reason().cloned(),
            Err(_) => None,
        };
        match reason {
            Some(reason) => reason,
            // The breaker is gone, so nobody will open it.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn one_that_was_never_well_opens_at_the_second_failure() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        let waiting = breaker.watch();
        assert_eq!(breaker.failed(Failure::Unreachable, "refused", now), None);
        assert_eq!(breaker.failed(Failure::Lost, "lost", now), Some(State::Open("lost".into())));
        assert_eq!(breaker.failed(Failure::Silent, "again", now), None, "it was open already");
        assert_eq!(&*waiting.opened().await, "lost");
        assert!(breaker.refuses().is_some());
        assert_eq!(breaker.probed(false, RESTART, now), None);
        assert_eq!(breaker.probed(true, RESTART, now), Some(State::HalfOpen("lost".into())));
        assert_eq!(breaker.failed(Failure::Lost, "lost", now), Some(State::Open("lost".into())), "the trial failed");
        breaker.probed(true, RESTART, now);
        assert_eq!(breaker.answered(), Some(State::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_well_is_waited_for() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        breaker.answered();
        assert_eq!(breaker.failed(Failure::Unreachable, "refused", now), Some(State::Held("refused".into())));
        assert_eq!(breaker.failed(Failure::Unreachable, "refused", now), None);
        assert_eq!(breaker.probed(false, RESTART, now + RESTART / 2), None);
        assert_eq!(breaker.probed(true, RESTART, now + RESTART / 2), Some(State::Closed));
        breaker.failed(Failure::Lost, "lost", now);
        assert_eq!(breaker.probed(false, RESTART, now + RESTART), Some(State::Open("lost".into())));
        assert_eq!(breaker.probed(true, RESTART, now), Some(State::HalfOpen("lost".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_drops_requests_and_is_healthy_opens() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        breaker.answered();
        for expected in [State::Closed, State::Open("lost".into())] {
            assert_eq!(breaker.failed(Failure::Lost, "lost", now), Some(State::Held("lost".into())));
            assert_eq!(breaker.probed(true, RESTART, now), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_started_anew_when_it_is_stuck_is_waited_for() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        assert_eq!(breaker.failed(Failure::Stuck, "silent", now), Some(State::Held("silent".into())));
        assert_eq!(breaker.failed(Failure::Stuck, "silent", now), None);
        assert_eq!(breaker.probed(false, RESTART, now + RESTART), Some(State::Open("silent".into())), "nobody did");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_opens_at_once() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        breaker.answered();
        assert_eq!(breaker.failed(Failure::Silent, "silent", now), Some(State::Open("silent".into())));
    }
}
