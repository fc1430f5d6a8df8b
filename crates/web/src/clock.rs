//! One timer for a connection, set anew only when it fires too early: a request costs no work on it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::shared::Wait;

/// Without a request for so long, a connection gives its buffers back.
const REST_AFTER: Duration = Duration::from_secs(1);
/// How long a client may take to notice that its connection is ended.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long a body may come more slowly than [`BODY_BYTES_PER_SECOND`].
const PATIENCE: Duration = Duration::from_secs(10);
/// Slowest pace of a body.
const BODY_BYTES_PER_SECOND: u64 = 1024;

/// Measures how long a connection waits for one thing.
#[derive(Debug)]
pub(crate) struct Clock {
    sleep: Pin<Box<Sleep>>,
    is_armed: bool,
    wait: Wait,
    since: Instant,
    /// What is left of [`PATIENCE`]: time spent waiting for a body takes from it, bytes that come give to it.
    patience: Duration,
    body_bytes: u64,
}

impl Clock {
    /// A clock that has not been looked at.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(now)),
            is_armed: false,
            wait: Wait::Nothing,
            since: now,
            patience: PATIENCE,
            body_bytes: 0,
        }
    }

    /// Ready when the connection has waited too long for what it waits for.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, wait: Wait, bounds: &Bounds) -> Poll<()> {
        if wait != self.wait {
            self.turn_to(wait);
        }
        let most = match wait {
            Wait::Nothing => return Poll::Pending,
            Wait::Request => REST_AFTER,
            Wait::Head => bounds.head,
            Wait::Body(_) => self.patience,
            Wait::Write(_) => bounds.write,
            Wait::Close => CLOSE_WITHIN,
        };
        self.poll_until(context, self.since + most)
    }

    /// Ready at this time.
    pub(crate) fn poll_until(&mut self, context: &mut Context<'_>, time: Instant) -> Poll<()> {
        loop {
            if self.is_armed && self.sleep.deadline() <= time && !self.sleep.is_elapsed() {
                return Poll::Pending;
            }
            if !self.is_armed || self.sleep.deadline() > time {
                self.sleep.as_mut().reset(time);
                self.is_armed = true;
            }
            ready!(self.sleep.as_mut().poll(context));
            self.is_armed = false;
            if Instant::now() >= time {
                return Poll::Ready(());
            }
        }
    }

    fn turn_to(&mut self, wait: Wait) {
        let was = std::mem::replace(&mut self.wait, wait);
        // A handler at work is not timed here, and need not be.
        if wait == Wait::Nothing && !matches!(was, Wait::Body(_)) {
            return;
        }
        let now = Instant::now();
        if let Wait::Body(_) = was {
            self.patience = self.patience.saturating_sub(now - self.since);
        }
        match wait {
            Wait::Body(bytes) => {
                let came = bytes.wrapping_sub(self.body_bytes);
                let earned = Duration::from_millis(came.saturating_mul(1000) / BODY_BYTES_PER_SECOND);
                self.patience = self.patience.saturating_add(earned).min(PATIENCE);
                self.body_bytes = bytes;
            }
            Wait::Request | Wait::Head => self.patience = PATIENCE,
            _ => {}
        }
        self.since = now;
    }
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For a head, once it has begun.
    pub(crate) head: Duration,
    /// To take any of what is written.
    pub(crate) write: Duration,
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const BOUNDS: Bounds = Bounds { head: Duration::from_secs(10), write: Duration::from_secs(60) };

    async fn time_until_over(clock: &mut Clock, wait: Wait) -> Duration {
        let began = Instant::now();
        poll_fn(|context| clock.poll(context, wait, &BOUNDS)).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_time() {
        let mut clock = Clock::new(Instant::now());
        for (wait, most) in [
            (Wait::Request, REST_AFTER),
            (Wait::Head, BOUNDS.head),
            (Wait::Write(1), BOUNDS.write),
            (Wait::Close, CLOSE_WITHIN),
            (Wait::Body(0), PATIENCE),
        ] {
            let took = time_until_over(&mut clock, wait).await;
            assert!(took >= most && took < most + Duration::from_millis(10), "{wait:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_at_the_slowest_pace_is_waited_for_and_a_slower_one_is_not() {
        for (bytes_per_second, passes) in [(1024, true), (1000, false), (1, false)] {
            let mut clock = Clock::new(Instant::now());
            let mut is_over = false;
            for second in 0..1000 {
                let wait = Wait::Body(second * bytes_per_second);
                let second = tokio::time::timeout(Duration::from_secs(1), time_until_over(&mut clock, wait));
                is_over |= second.await.is_ok();
            }
            assert_eq!(!is_over, passes, "{bytes_per_second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_begins_the_time_anew() {
        let mut clock = Clock::new(Instant::now());
        for written in 0..10 {
            let wait = time_until_over(&mut clock, Wait::Write(written));
            assert!(tokio::time::timeout(Duration::from_secs(59), wait).await.is_err());
        }
    }
}
