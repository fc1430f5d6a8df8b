//! How often a server has loaded a model for us, and whether it does nothing else any more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A shorter time is none in which a model was loaded: Ollama tells some milliseconds for a model that was there.
pub(crate) const LOAD_MIN: Duration = Duration::from_millis(100);
/// More changes from one model to another within [`THRASH_WITHIN`] are a thrash.
pub const SWITCHES_MAX: usize = 6;
/// The time in which changes of the model are counted.
pub const THRASH_WITHIN: Duration = Duration::from_mins(1);
/// Most models whose last load is remembered; then all are forgotten.
const MODELS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Loads {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    total: Duration,
    /// When each model was there, the last time that it was loaded.
    loaded_at: HashMap<Arc<str>, Instant>,
    last: Option<Arc<str>>,
    /// When models changed; at most one more than is a thrash.
    switches: VecDeque<Instant>,
    warned: Option<Instant>,
}

/// What is to be told of a server's loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) count: u64,
    pub(crate) total: Duration,
    pub(crate) thrashes: bool,
}

impl Loads {
    /// A request sent at `sent` waited for so long until its model was loaded; true when a thrash has to be told now.
    pub(crate) fn took(&self, model: &Arc<str>, sent: Instant, load: Duration) -> bool {
        if load < LOAD_MIN {
            return false;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let there = sent + load;
        // Of those who wait for one load, each tells of it.
        if inner.loaded_at.get(model).is_some_and(|at| *at >= sent) {
            return false;
        }
        if inner.loaded_at.len() >= MODELS_MAX {
            inner.loaded_at.clear();
        }
        inner.loaded_at.insert(Arc::clone(model), there);
        inner.count += 1;
        inner.total += load;
        let switched = inner.last.replace(Arc::clone(model)).is_some_and(|last| last != *model);
        if switched {
            inner.switches.push_back(there);
            if inner.switches.len() > SWITCHES_MAX + 1 {
                inner.switches.pop_front();
            }
        }
        let tell = switched && inner.thrashes(there) && inner.warned.is_none_or(|at| at + THRASH_WITHIN <= there);
        if tell {
            inner.warned = Some(there);
        }
        tell
    }

    pub(crate) fn told(&self, now: Instant) -> Told {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Told { count: inner.count, total: inner.total, thrashes: inner.thrashes(now) }
    }
}

impl Inner {
    fn thrashes(&self, now: Instant) -> bool {
        let recent = self.switches.iter().filter(|at| now.saturating_duration_since(**at) <= THRASH_WITHIN);
        recent.count() > SWITCHES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn loads_are_counted_once_and_a_thrash_is_told_once_a_minute() {
        let loads = Loads::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        assert!(!loads.took(&a, begun, 5 * second));
        loads.took(&a, begun + second, 4 * second);
        loads.took(&a, begun + 6 * second, Duration::from_millis(20));
        assert_eq!(loads.told(begun), Told { count: 1, total: 5 * second, thrashes: false });
        let mut told = 0;
        for turn in 2..20 {
            let model = if turn % 2 == 0 { &b } else { &a };
            told += u32::from(loads.took(model, begun + 5 * turn * second, 2 * second));
        }
        assert_eq!(told, 1);
        let after = begun + 97 * second;
        assert_eq!(loads.told(after), Told { count: 19, total: 41 * second, thrashes: true });
        assert!(!loads.told(after + THRASH_WITHIN).thrashes);
    }
}
