//! How much of an answer is made ready before its client takes it: much for one that takes it, little for one that lets it lie.
//!
//! What was encrypted, or read from a file or a server, cannot be put back: it is what thousands of slow clients cost. The
//! system's own buffers hide at first how fast a client is, so an answer that does not fit into them goes on in small pieces
//! until its client had to be waited for, and was not waited for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes ready for a client that takes them: the largest record of TLS (RFC 8446, section 5.1).
const MUCH: usize = 16 * 1024;
/// Bytes ready for another one.
const LITTLE: usize = 4 * 1024;
/// An answer up to here is no burden: the system takes as much of it at once.
const FIRST_BYTES: usize = 64 * 1024;
/// A client that could take more within this time is not slow.
const QUICK: Duration = Duration::from_millis(100);

/// So many clients may be waited for while others still get much at first: where the system has little room for each of thousands, what
/// was made ready for them would lie here.
const WAITED_FOR_MAX: usize = 256;

/// How many clients have to take something before their answers go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<AtomicUsize>);

/// One answer and its client.
#[derive(Debug)]
pub(crate) struct Ahead {
    crowd: Crowd,
    written: usize,
    blocked_since: Option<Instant>,
    is_quick: bool,
}

impl Ahead {
    pub(crate) fn new(crowd: Crowd) -> Self {
        Self { crowd, written: 0, blocked_since: None, is_quick: false }
    }

    /// Another answer begins.
    pub(crate) fn begin(&mut self) {
        self.went_on();
        (self.written, self.is_quick) = (0, false);
    }

    /// The answer goes on by so many bytes.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
        self.went_on();
    }

    /// The client has to take something first.
    pub(crate) fn blocked(&mut self) {
        if self.blocked_since.is_none() {
            self.blocked_since = Some(Instant::now());
            self.crowd.0.fetch_add(1, Relaxed);
        }
    }

    /// It has.
    pub(crate) fn went_on(&mut self) {
        if let Some(since) = self.blocked_since.take() {
            self.crowd.0.fetch_sub(1, Relaxed);
            self.is_quick = since.elapsed() < QUICK;
        }
    }

    /// Bytes that may be made ready at once.
    pub(crate) fn room(&self) -> usize {
        let is_first = self.written < FIRST_BYTES && self.crowd.0.load(Relaxed) < WAITED_FOR_MAX;
        if is_first || self.is_quick { MUCH } else { LITTLE }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.went_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_goes_on_in_small_pieces_until_its_client_has_been_quick() {
        let mut ahead = Ahead::new(Crowd::default());
        assert_eq!(ahead.room(), MUCH);
        ahead.wrote(FIRST_BYTES);
        assert_eq!(ahead.room(), LITTLE);
        for (waited, room) in [(QUICK / 2, MUCH), (QUICK * 2, LITTLE), (QUICK / 2, MUCH)] {
            ahead.blocked();
            tokio::time::advance(waited / 2).await;
            ahead.blocked();
            tokio::time::advance(waited / 2).await;
            ahead.wrote(1);
            assert_eq!(ahead.room(), room, "{waited:?}");
        }
        ahead.blocked();
        ahead.begin();
        assert_eq!((ahead.room(), ahead.crowd.0.load(Relaxed)), (MUCH, 0), "another answer");
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_crowd_of_slow_clients_nobody_gets_much_at_first() {
        let crowd = Crowd::default();
        let waited_for = || {
            let mut ahead = Ahead::new(crowd.clone());
            ahead.blocked();
            ahead.blocked();
            ahead
        };
        let mut slow: Vec<Ahead> = (1..WAITED_FOR_MAX).map(|_| waited_for()).collect();
        assert_eq!(Ahead::new(crowd.clone()).room(), MUCH);
        slow.push(waited_for());
        let mut other = Ahead::new(crowd.clone());
        assert_eq!(other.room(), LITTLE);
        other.blocked();
        other.went_on();
        assert_eq!(other.room(), MUCH, "it is quick");
        slow.pop();
        assert_eq!(Ahead::new(crowd).room(), MUCH);
    }
}
