//! The time as the engine sees it: the system's, a database server's, or one that a test moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::hands::Doing;

/// Two looks at the clocks that lie further apart are not taken for one: the process was stopped in between.
const APART_MAX: Duration = Duration::from_millis(500);

/// What both clocks of a node show at one moment, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// Since 1970 UTC. This clock may be set.
    pub now_ms: i64,
    /// Since some moment of this process. This one goes on evenly, whatever the other one is set to.
    pub steady_ms: i64,
}

/// What time it is, and how to wait for another one.
pub trait Clock: Send + Sync + 'static {
    /// Now, by both clocks.
    fn moment(&self) -> Moment;

    /// Waits until the steady clock shows at least `steady_ms`.
    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()>;

    /// Now, in milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64 {
        self.moment().now_ms
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let begin = *BEGIN;
        loop {
            let steady = begin.elapsed();
            let now_ms = jiff::Timestamp::now().as_millisecond();
            if begin.elapsed().saturating_sub(steady) < APART_MAX {
                return Moment { now_ms, steady_ms: steady.as_millis() as i64 };
            }
        }
    }

    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()> {
        Box::pin(async move {
            if let Ok(left) = u64::try_from(steady_ms - self.moment().steady_ms) {
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
        })
    }
}

/// The clock of a database server that several nodes share: what a node's own clock shows, and is set to, means nothing.
#[derive(Debug)]
pub(crate) struct ServerClock<C> {
    node: C,
    /// How far the server's clock is ahead of the node's steady one.
    ahead_ms: AtomicI64,
}

impl<C: Clock> ServerClock<C> {
    pub(crate) fn new(node: C, server: Option<(Moment, i64)>) -> Self {
        let (asked, now_ms) = server.unwrap_or_else(|| (node.moment(), node.now_ms()));
        Self { ahead_ms: AtomicI64::new(now_ms - asked.steady_ms), node }
    }

    /// Takes in what the server's clock showed at a moment of the node.
    pub(crate) fn hear(&self, asked: Moment, now_ms: i64) {
        self.ahead_ms.store(now_ms - asked.steady_ms, Ordering::SeqCst);
    }

    pub(crate) fn node(&self) -> &C {
        &self.node
    }
}

impl<C: Clock> Clock for ServerClock<C> {
    fn moment(&self) -> Moment {
        let steady_ms = self.node.moment().steady_ms;
        Moment { now_ms: steady_ms + self.ahead_ms.load(Ordering::SeqCst), steady_ms }
    }

    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()> {
        self.node.sleep_until(steady_ms)
    }
}

impl Clock for Arc<dyn Clock> {
    fn moment(&self) -> Moment {
        (**self).moment()
    }

    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()> {
        (**self).sleep_until(steady_ms)
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    moment: Arc<Mutex<Moment>>,
    moved: Arc<Notify>,
}

impl SimulatedClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { moment: Arc::new(Mutex::new(Moment { now_ms, steady_ms: 0 })), moved: Arc::default() }
    }

    /// Sets the clock, forward or back, while no time passes.
    pub fn set(&self, now_ms: i64) {
        self.turn(|moment| moment.now_ms = now_ms);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by_ms = by.as_millis() as i64;
        self.turn(|moment| *moment = Moment { now_ms: moment.now_ms + by_ms, steady_ms: moment.steady_ms + by_ms });
    }

    fn turn(&self, turn: impl FnOnce(&mut Moment)) {
        turn(&mut self.moment.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_waiters();
    }
}

impl Clock for SimulatedClock {
    fn moment(&self) -> Moment {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()> {
        Box::pin(async move {
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                // Listens before it looks, so that no move is missed between the two.
                moved.as_mut().enable();
                if self.moment().steady_ms >= steady_ms {
                    return;
                }
                moved.await;
            }
        })
    }
}
