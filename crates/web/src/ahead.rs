//! How much of an answer is made ready before its client takes it: much for one that takes it, little for one that lets it lie.
//!
//! What was encrypted, or read from a file or a server, cannot be put back: it is what thousands of slow clients cost. The
//! system's own buffers hide at first how fast a client is, so an answer that does not fit into them goes on in small pieces
//! until its client had to be waited for, and was not waited for long.

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

/// One answer and its client.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    written: usize,
    blocked_since: Option<Instant>,
    is_quick: bool,
}

impl Ahead {
    /// The answer goes on by so many bytes.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
        self.went_on();
    }

    /// The client has to take something first.
    pub(crate) fn blocked(&mut self) {
        self.blocked_since.get_or_insert_with(Instant::now);
    }

    /// It has.
    pub(crate) fn went_on(&mut self) {
        if let Some(since) = self.blocked_since.take() {
            self.is_quick = since.elapsed() < QUICK;
        }
    }

    /// Bytes that may be made ready at once.
    pub(crate) fn room(&self) -> usize {
        if self.written < FIRST_BYTES || self.is_quick { MUCH } else { LITTLE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_goes_on_in_small_pieces_until_its_client_has_been_quick() {
        let mut ahead = Ahead::default();
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
        assert_eq!(Ahead::default().room(), MUCH, "another answer");
    }
}
