//! How much asking again is allowed, so that a failing server does not get more to do.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Most times that a request is sent, over all servers and models.
pub(crate) const ATTEMPTS_MAX: u32 = 4;
/// Each request allows so much of a retry: at most every tenth is sent again.
const PER_REQUEST: f64 = 0.1;
/// Each second allows so much of a retry, for those with few requests.
const PER_SECOND: f64 = 0.2;
/// Most retries that can be saved up.
const SAVED_MAX: f64 = 20.0;

/// A bucket of retries, shared by all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    left: f64,
    at: Instant,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner { left: SAVED_MAX / 2.0, at: Instant::now() }) }
    }

    /// A request comes for the first time.
    pub(crate) fn request(&self) {
        self.change(|left| (*left + PER_REQUEST, ()));
    }

    /// Whether one may be sent again; if so, that is taken from the budget.
    pub(crate) fn retry(&self) -> bool {
        self.change(|left| if *left >= 1.0 { (*left - 1.0, true) } else { (*left, false) })
    }

    fn change<T>(&self, change: impl FnOnce(&f64) -> (f64, T)) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let saved = inner.left + now.duration_since(inner.at).as_secs_f64() * PER_SECOND;
        let (left, told) = change(&saved.min(SAVED_MAX));
        (inner.left, inner.at) = (left.min(SAVED_MAX), now);
        told
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_tenth_request_may_be_sent_again_and_a_few_more() {
        let budget = Budget::new();
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.request();
            retries += u32::from(budget.retry());
        }
        assert!((1000..=1010).contains(&retries), "{retries}");
        assert!(!budget.retry());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!((0..12).all(|_| budget.retry()));
        assert!(!budget.retry());
    }
}
