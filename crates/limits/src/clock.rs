//! The two clocks: a monotonic one for windows, the wall clock for budgets and for what is kept over a restart.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where the monotonic clock starts: late enough that moments before the start of the program can be told.
const ORIGIN_NS: u64 = 1 << 62;

/// A monotonic clock in nanoseconds. It follows tokio's paused time in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds; never goes back.
    pub(crate) fn now(&self) -> u64 {
        ORIGIN_NS + self.start.elapsed().as_nanos() as u64
    }
}

/// Milliseconds since 1970, which may step at any time.
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
