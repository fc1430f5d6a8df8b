//! The time as the engine sees it: the system's, or one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::hands::Doing;

/// So long a sleeper of the system's clock does not look at it; a clock that was set is noticed after it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What time it is, and how to wait for another one.
pub trait Clock: Send + Sync + 'static {
    /// Now, in milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;

    /// Waits until the clock shows at least `ms`.
    fn sleep_until(&self, ms: i64) -> Doing<'_, ()>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    fn sleep_until(&self, ms: i64) -> Doing<'_, ()> {
        Box::pin(async move {
            while let Some(left) = u64::try_from(ms - self.now_ms()).ok().filter(|left| *left > 0) {
                tokio::time::sleep(Duration::from_millis(left).min(LOOK_AGAIN)).await;
            }
        })
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    now_ms: Arc<AtomicI64>,
    moved: Arc<Notify>,
}

impl SimulatedClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: Arc::new(AtomicI64::new(now_ms)), moved: Arc::default() }
    }

    /// Sets the clock, forward or back, and wakes who waited for that time.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now_ms() + by.as_millis() as i64);
    }
}

impl Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn sleep_until(&self, ms: i64) -> Doing<'_, ()> {
        Box::pin(async move {
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                // Listens before it looks, so that no move is missed between the two.
                moved.as_mut().enable();
                if self.now_ms() >= ms {
                    return;
                }
                moved.await;
            }
        })
    }
}
