//! The slowest pace at which a client may send or take.

use std::time::Duration;

/// Slowest pace.
pub(crate) const BYTES_PER_SECOND: u64 = 1024;

/// How long a client may still stay below [`BYTES_PER_SECOND`]: waiting for it takes from that, bytes give to it. Time in
/// which nothing is expected of the client is not counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    most: Duration,
    left: Duration,
}

impl Patience {
    /// All of it.
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, left: most }
    }

    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// The client has been waited for.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// The client has sent or taken so many bytes.
    pub(crate) fn earn(&mut self, bytes: u64) {
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / BYTES_PER_SECOND);
        self.left = self.left.saturating_add(earned).min(self.most);
    }

    /// Another request begins.
    pub(crate) fn restore(&mut self) {
        self.left = self.most;
    }
}
