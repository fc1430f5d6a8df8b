//! Remembers that a server does not answer, so that nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How many failures in a row to connect, or to get any answer over a connection, open a breaker. One is not enough: a
/// server that restarts refuses a connection or two and is back at once. Silence opens it the first time, because that
/// has already been checked twice.
pub const FAILURES_TO_OPEN: u32 = 2;
/// How often the health address of a server is asked while its breaker is open.
pub const PROBE_EVERY: Duration = Duration::from_millis(500);

/// `None` while closed, else why it is open.
type State = Option<Arc<str>>;

#[derive(Debug)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    state: watch::Sender<State>,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { failures: AtomicU32::new(0), state: watch::Sender::new(None) }
    }

    /// Why it is open, if it is.
    pub(crate) fn reason(&self) -> State {
        self.state.borrow().clone()
    }

    /// The server answered.
    pub(crate) fn succeeded(&self) {
        // Read first: a write by every request would make the cores pass this line of memory around.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The server could not be reached; true when that opened the breaker just now.
    pub(crate) fn failed(&self, reason: &str) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= FAILURES_TO_OPEN && self.open(reason)
    }

    /// Opens it; true when it was closed before.
    pub(crate) fn open(&self, reason: &str) -> bool {
        self.state.send_if_modified(|state| {
            let closed = state.is_none();
            if closed {
                *state = Some(reason.into());
            }
            closed
        })
    }

    pub(crate) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.state.send_replace(None);
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.state.subscribe())
    }
}

/// Waits for a breaker to open.
pub(crate) struct Watch(watch::Receiver<State>);

impl Watch {
    /// The reason, once it is open.
    pub(crate) async fn opened(mut self) -> Arc<str> {
        let reason = match self.0.wait_for(Option::is_some).await {
            Ok(state) => state.clone(),
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

    #[tokio::test]
    async fn opens_once_and_tells_those_who_wait() {
        let breaker = Breaker::new();
        let waiting = breaker.watch();
        assert!(!breaker.failed("refused"));
        breaker.succeeded();
        assert!(!breaker.failed("refused"), "a success in between starts the count anew");
        assert!(breaker.reason().is_none());
        assert!(breaker.failed("refused"));
        assert!(!breaker.open("again"), "it was open already");
        assert_eq!(&*waiting.opened().await, "refused");
        breaker.close();
        assert!(breaker.reason().is_none());
    }
}
