//! An exact sliding window: never more than N requests in any stretch of time as long as the window.
//!
//! Each caller's accepted requests are kept as their moments. A refusal names the moment at which the oldest leaves the
//! window, so that waiting exactly that long is always enough, for one caller that waits.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Callers remembered at once; beyond it, those whose window is empty are forgotten, and then the limiter refuses new
/// ones rather than forget a full window.
const CALLERS_MAX: usize = 65_536;

/// `requests` in any stretch of `per`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

/// What the limiter says of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may pass; so many more may pass now, and the window is empty again after `reset`.
    Pass {
        /// Requests left in this window.
        remaining: u32,
        /// Until the window is empty if nobody asks again.
        reset: Duration,
    },
    /// It may not; a request after `retry_after` may.
    Refuse {
        /// Until the oldest request leaves the window.
        retry_after: Duration,
    },
}

/// Sliding windows by caller.
#[derive(Debug, Default)]
pub struct RateLimiter {
    windows: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl RateLimiter {
    /// Counts a request of `caller` at `now`, unless it has to be refused. `now` never goes back.
    pub fn check(&self, caller: &str, limit: RateLimit, now: Instant) -> Decision {
        let mut windows = self.windows.lock().expect("no panic while the lock is held");
        if !windows.contains_key(caller) {
            if windows.len() >= CALLERS_MAX {
                windows.retain(|_, window| window.back().is_some_and(|last| now.duration_since(*last) < limit.per));
            }
            if windows.len() >= CALLERS_MAX {
                return Decision::Refuse { retry_after: limit.per };
            }
            windows.insert(caller.to_owned(), VecDeque::new());
        }
        let window = windows.get_mut(caller).expect("inserted above");
        while window.front().is_some_and(|oldest| now.duration_since(*oldest) >= limit.per) {
            window.pop_front();
        }
        let most = limit.requests.get() as usize;
        if window.len() >= most {
            // A limit that was lowered leaves more in the window than it now holds: wait until enough have left.
            let leaving = window[window.len() - most];
            return Decision::Refuse { retry_after: limit.per.saturating_sub(now.duration_since(leaving)) };
        }
        window.push_back(now);
        Decision::Pass { remaining: (most - window.len()) as u32, reset: limit.per }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32, per_ms: u64) -> RateLimit {
        RateLimit { requests: NonZeroU32::new(requests).unwrap(), per: Duration::from_millis(per_ms) }
    }

    #[test]
    fn the_thirty_first_is_refused_for_the_whole_window() {
        let (limiter, now) = (RateLimiter::default(), Instant::now());
        for used in 1..=30 {
            let passed = Decision::Pass { remaining: 30 - used, reset: Duration::from_secs(60) };
            assert_eq!(limiter.check("a", limit(30, 60_000), now), passed);
        }
        assert_eq!(
            limiter.check("a", limit(30, 60_000), now),
            Decision::Refuse { retry_after: Duration::from_secs(60) }
        );
        assert!(matches!(limiter.check("b", limit(30, 60_000), now), Decision::Pass { .. }), "others are not touched");
    }

    #[test]
    fn a_lowered_limit_is_waited_out() {
        let (limiter, start) = (RateLimiter::default(), Instant::now());
        for at in 0..5 {
            limiter.check("a", limit(5, 100), start + Duration::from_millis(at));
        }
        let now = start + Duration::from_millis(10);
        let Decision::Refuse { retry_after } = limiter.check("a", limit(2, 100), now) else { panic!("five are in it") };
        assert!(matches!(limiter.check("a", limit(2, 100), now + retry_after), Decision::Pass { .. }));
    }

    proptest! {
        #[test]
        fn waiting_as_told_is_enough_and_the_window_never_holds_more(
            most in 1_u32..6, per_ms in 1_u64..50, steps in prop::collection::vec(0_u64..20, 1..200)
        ) {
            let (limiter, limit) = (RateLimiter::default(), limit(most, per_ms));
            let mut now = Instant::now();
            let mut passed: Vec<Instant> = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                match limiter.check("a", limit, now) {
                    Decision::Pass { .. } => passed.push(now),
                    Decision::Refuse { retry_after } => {
                        prop_assert!(retry_after > Duration::ZERO && retry_after <= limit.per);
                        now += retry_after;
                        let waited = matches!(limiter.check("a", limit, now), Decision::Pass { .. });
                        prop_assert!(waited);
                        passed.push(now);
                    }
                }
            }
            for (index, first) in passed.iter().enumerate() {
                let inside = passed[index..].iter().filter(|later| later.duration_since(*first) < limit.per).count();
                prop_assert!(inside <= most as usize, "{inside} in one window of {most}");
            }
        }
    }
}
