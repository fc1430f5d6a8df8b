//! One timer for a connection, set anew only when it fires too early: a request costs no work on it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::pace::Patience;
use crate::shared::Wait;
use crate::uploads::PATIENCE;

/// Without a request for so long, a connection gives its buffers back.
const REST_AFTER: Duration = Duration::from_secs(1);
/// How long a client may take to notice that its connection is ended.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked whether a client has left that has sent ahead as much as it may.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Measures how long a connection waits for one thing.
#[derive(Debug)]
pub(crate) struct Clock {
    sleep: Pin<Box<Sleep>>,
    is_armed: bool,
    wait: Wait,
    since: Instant,
    head_timeout: Duration,
    reads: Pace,
    writes: Pace,
}

/// One direction of a connection.
#[derive(Debug)]
struct Pace {
    patience: Patience,
    bytes: u64,
}

impl Pace {
    fn new(most: Duration) -> Self {
        Self { patience: Patience::new(most), bytes: 0 }
    }

    /// So many bytes have passed by now.
    fn count(&mut self, bytes: u64) {
        self.patience.earn(bytes.wrapping_sub(self.bytes));
        self.bytes = bytes;
    }
}

impl Clock {
    /// A clock that has not been looked at. A head may take `head_timeout` once it has begun; a client may take for
    /// `write_timeout` less than the slowest pace of what is written.
    pub(crate) fn new(now: Instant, head_timeout: Duration, write_timeout: Duration) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(now)),
            is_armed: false,
            wait: Wait::Nothing,
            since: now,
            head_timeout,
            reads: Pace::new(PATIENCE),
            writes: Pace::new(write_timeout),
        }
    }

    /// Ready when the connection has waited too long for what it waits for.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, wait: Wait) -> Poll<()> {
        if wait != self.wait {
            self.turn_to(wait);
        }
        let most = match wait {
            Wait::Nothing => return Poll::Pending,
            Wait::Request => REST_AFTER,
            Wait::Head => self.head_timeout,
            Wait::Body(_) => self.reads.patience.left(),
            Wait::Write(_) => self.writes.patience.left(),
            Wait::Ahead => LOOK_EVERY,
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

    /// Begins to wait anew for the same.
    pub(crate) fn again(&mut self) {
        self.since = Instant::now();
    }

    fn turn_to(&mut self, wait: Wait) {
        let was = std::mem::replace(&mut self.wait, wait);
        // A handler at work is not timed here, and need not be.
        if wait == Wait::Nothing && !matches!(was, Wait::Body(_) | Wait::Write(_)) {
            return;
        }
        let now = Instant::now();
        match was {
            Wait::Body(_) => self.reads.patience.waited(now - self.since),
            Wait::Write(_) => self.writes.patience.waited(now - self.since),
            _ => {}
        }
        match wait {
            Wait::Body(bytes) => self.reads.count(bytes),
            Wait::Write(bytes) => self.writes.count(bytes),
            Wait::Request | Wait::Head => {
                self.reads.patience.restore();
                self.writes.patience.restore();
            }
            _ => {}
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const WRITE: Duration = Duration::from_secs(60);

    fn clock() -> Clock {
        Clock::new(Instant::now(), HEAD, WRITE)
    }

    async fn time_until_over(clock: &mut Clock, wait: Wait) -> Duration {
        let began = Instant::now();
        poll_fn(|context| clock.poll(context, wait)).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_time() {
        let mut clock = clock();
        for (wait, most) in [
            (Wait::Request, REST_AFTER),
            (Wait::Head, HEAD),
            (Wait::Write(1), WRITE),
            (Wait::Ahead, LOOK_EVERY),
            (Wait::Close, CLOSE_WITHIN),
            (Wait::Body(0), PATIENCE),
        ] {
            let took = time_until_over(&mut clock, wait).await;
            assert!(took >= most && took < most + Duration::from_millis(10), "{wait:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_or_takes_at_the_slowest_pace_is_waited_for_and_a_slower_one_is_not() {
        for wait in [Wait::Body, Wait::Write] {
            for (bytes_per_second, passes) in [(1024, true), (1000, false), (1, false)] {
                let mut clock = clock();
                let mut is_over = false;
                for second in 0..4000 {
                    let wait = wait(second * bytes_per_second);
                    let second = tokio::time::timeout(Duration::from_secs(1), time_until_over(&mut clock, wait));
                    is_over |= second.await.is_ok();
                }
                assert_eq!(!is_over, passes, "{:?} {bytes_per_second}", wait(0));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_time_in_which_something_lies_ready_counts_against_a_reader() {
        let mut clock = clock();
        for written in 0..70 {
            for (wait, seconds) in [(Wait::Write(written), 1), (Wait::Nothing, 1000)] {
                let waited = time_until_over(&mut clock, wait);
                let over = tokio::time::timeout(Duration::from_secs(seconds), waited).await.is_ok();
                // Bytes earn next to nothing here; a timer is as much as a millisecond late.
                if (58..=60).contains(&written) {
                    continue;
                }
                assert_eq!(over, written > 60 && wait != Wait::Nothing, "{written} {wait:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_request_begins_with_all_patience() {
        let mut clock = clock();
        for written in 0..10 {
            for wait in [Wait::Write(written), Wait::Body(written)] {
                let most = if wait == Wait::Write(written) { WRITE } else { PATIENCE };
                let waited = time_until_over(&mut clock, wait);
                assert!(tokio::time::timeout(most * 9 / 10, waited).await.is_err(), "{wait:?}");
                let begun = time_until_over(&mut clock, Wait::Head);
                assert!(tokio::time::timeout(Duration::ZERO, begun).await.is_err());
            }
        }
    }
}
