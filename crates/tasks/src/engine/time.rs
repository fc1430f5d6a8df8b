//! The time of an engine: what the clock shows, and the even time by which everything is counted down.
//!
//! A clock is set now and then: by a time server, by hand, by a virtual machine that was moved. No time passes by that, so no run
//! may be out of time by it and no pause may last longer. So the *even time* is counted: the clock less what it was set by, which
//! the engine sees by its steady clock and notes in the book. Each event has both ([`Entry`](crate::Entry)), so that a history alone still
//! says what its run does.

use std::time::Duration;

use tokio::sync::Mutex;

use super::Shared;
use crate::book::SET_MIN_MS;
use crate::clock::{Clock, Moment};
use crate::error::TaskError;

/// A moment of the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    /// What the clock shows.
    pub(crate) ms: i64,
    /// By how much it was set, in all.
    pub(crate) set_ms: i64,
}

impl Now {
    /// The even time.
    pub(crate) fn even_ms(self) -> i64 {
        self.ms - self.set_ms
    }
}

/// What an engine knows of its clock. Held while the clock is read, so that whoever is slow does not take an earlier look for a later one.
#[derive(Debug)]
pub(super) struct EvenTime(Mutex<Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    /// How far the even time is ahead of the steady clock. It follows clocks that go a little faster or slower than each other.
    ahead_ms: i64,
    /// By how much the clock was set, in all, as the book has it.
    set_ms: i64,
}

impl EvenTime {
    /// `set_ms` is what the book has.
    pub(super) fn new(clock: &dyn Clock, set_ms: i64) -> Self {
        let Moment { now_ms, steady_ms } = clock.moment();
        Self(Mutex::new(Known { ahead_ms: now_ms - set_ms - steady_ms, set_ms }))
    }
}

impl Shared {
    /// Now. When the clock was set, that is in the book before anybody decides by it.
    pub(crate) async fn now(&self) -> Result<Now, TaskError> {
        let mut known = self.time.0.lock().await;
        let Moment { now_ms: ms, steady_ms } = self.clock.moment();
        let by_ms = ms - steady_ms - known.ahead_ms - known.set_ms;
        if by_ms.abs() < SET_MIN_MS {
            known.ahead_ms += by_ms;
            return Ok(Now { ms, set_ms: known.set_ms });
        }
        let by = tollhouse_units::format_duration(Duration::from_millis(by_ms.unsigned_abs()));
        let way = if by_ms > 0 { "forward" } else { "back" };
        tracing::warn!(by, way, "the clock was set; task runs go on as if it had not been");
        self.book.set_clock(known.set_ms + by_ms, ms).await?;
        known.set_ms += by_ms;
        Ok(Now { ms, set_ms: known.set_ms })
    }

    /// Waits for an even time.
    pub(crate) async fn sleep_until(&self, even_ms: i64) {
        let ahead_ms = self.time.0.lock().await.ahead_ms;
        self.clock.sleep_until(even_ms - ahead_ms).await;
    }
}
