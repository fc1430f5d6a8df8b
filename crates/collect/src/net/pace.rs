//! How long a connection may leave a message unfinished.

use std::time::Duration;

use tokio::time::Instant;

/// Slowest pace of what was begun.
pub(super) const BYTES_PER_SECOND_MIN: u64 = 1_024;
/// How long it may be slower.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Patience with one connection: waiting takes from it, bytes that come give to it.
#[derive(Debug)]
pub(super) struct Pace {
    left: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: PATIENCE }
    }

    /// Until when the next bytes must have come.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        now + self.left
    }

    /// So many bytes came after so long a wait.
    pub(super) fn came(&mut self, bytes: usize, waited: Duration) {
        let earned = Duration::from_millis((bytes as u64).saturating_mul(1_000) / BYTES_PER_SECOND_MIN);
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(PATIENCE);
    }

    /// A message is complete, and the next one has not begun.
    pub(super) fn rest(&mut self) {
        self.left = PATIENCE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_pace_is_waited_for_and_a_slower_one_is_not() {
        for (bytes_per_second, passes) in [(2_048, true), (1_024, true), (1_000, false), (1, false)] {
            let mut pace = Pace::new();
            let second = Duration::from_secs(1);
            let is_slow = (0..1_000).any(|_| {
                let is_over = pace.left < second;
                pace.came(bytes_per_second, second);
                is_over
            });
            assert_eq!(!is_slow, passes, "{bytes_per_second}");
        }
    }

    #[test]
    fn patience_is_whole_again_after_a_message() {
        let mut pace = Pace::new();
        let now = Instant::now();
        pace.came(0, PATIENCE);
        assert_eq!(pace.deadline(now), now);
        pace.rest();
        assert_eq!(pace.deadline(now), now + PATIENCE);
    }
}
