//! How fast a server's places become free, as measured, and how long a wait that makes.

use std::time::Duration;

/// How much a new measurement counts against all older ones.
const NEWEST_SHARE: f64 = 0.1;

/// A running mean of how long requests keep their places.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    mean_s: Option<f64>,
}

impl Rate {
    /// A request has kept its place for so long.
    pub(crate) fn measured(&mut self, kept: Duration) {
        let kept = kept.as_secs_f64();
        self.mean_s = Some(self.mean_s.map_or(kept, |mean| mean + NEWEST_SHARE * (kept - mean)));
    }

    /// How long it takes until so many requests have had their turn; `None` before anything was measured.
    pub(crate) fn wait(&self, requests: u32, parallel: u32) -> Option<Duration> {
        self.mean_s.map(|mean| Duration::from_secs_f64(mean * f64::from(requests) / f64::from(parallel.max(1))))
    }
}
