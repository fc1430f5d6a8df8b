//! Whether a server gets on with its requests, and taking them back from one that does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::pace::Pace;

/// Most models of one server whose pace is known; then all are learnt anew.
const MODELS_MAX: usize = 256;

/// What comes from a server, counted, and the way to those who wait for its answers.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Pieces of answers that have come, whatever was in them.
    pieces: AtomicU64,
    /// Requests under way whose answers come whole: until they end, nothing is seen of them.
    wholes: Arc<AtomicU32>,
    /// Answers that have begun and come piece by piece.
    begun: Arc<AtomicU32>,
    /// Requests under way for which a model is being loaded, as far as is known.
    loading: Arc<AtomicU32>,
    /// How the answers of each model come.
    paces: Mutex<HashMap<Arc<str>, Arc<Pace>>>,
    /// Why requests were taken back last.
    recall: watch::Sender<Arc<str>>,
}

/// How a server gets on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flowing {
    /// Pieces of answers that have come since the house began: while this does not change, nothing comes.
    pub pieces: u64,
    /// Requests that it works on.
    pub running: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// Those among the running ones whose answers come whole: of them nothing is seen until they end.
    pub whole: u32,
    /// Those whose answers have begun and come piece by piece.
    pub begun: u32,
    /// The usual time between two pieces of those answers; where several models are written, of the slowest.
    pub gap: Option<Duration>,
    /// Whether its requests wait, because it does not answer or somebody said so.
    pub is_held: bool,
}

impl Flow {
    pub(crate) fn piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Counts a request whose answer comes whole, until what is given back is dropped.
    pub(crate) fn whole(&self) -> Counted {
        Counted::new(&self.wholes)
    }

    pub(crate) fn wholes(&self) -> u32 {
        self.wholes.load(Ordering::Relaxed)
    }

    /// Counts an answer that has begun, until what is given back is dropped.
    pub(crate) fn begin(&self) -> Counted {
        Counted::new(&self.begun)
    }

    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts a request for which a model is being loaded, until what is given back is dropped.
    pub(crate) fn load(&self) -> Counted {
        Counted::new(&self.loading)
    }

    /// Whether a model is being loaded for anybody.
    pub(crate) fn loads(&self) -> bool {
        self.loading.load(Ordering::Relaxed) > 0
    }

    /// How the answers of this model come.
    pub(crate) fn pace(&self, model: &Arc<str>) -> Arc<Pace> {
        let mut paces = self.paces();
        if let Some(pace) = paces.get(model) {
            return Arc::clone(pace);
        }
        if paces.len() >= MODELS_MAX {
            paces.clear();
        }
        Arc::clone(paces.entry(Arc::clone(model)).or_default())
    }

    /// The usual time between two pieces of an answer, of the slowest model that is being written.
    pub(crate) fn gap(&self) -> Option<Duration> {
        self.paces().values().filter_map(|pace| pace.gap()).max()
    }

    fn paces(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Pace>>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back all that wait for the beginning of an answer now.
    pub(crate) fn recall(&self, reason: &str) {
        self.recall.send_replace(reason.into());
    }

    /// Waits until requests of this moment are taken back; why.
    pub(crate) fn recalled(&self) -> impl Future<Output = Arc<str>> + Send + use<> {
        let mut recall = self.recall.subscribe();
        async move {
            match recall.changed().await {
                Ok(()) => recall.borrow().clone(),
                // The server is gone, so nobody takes anything back.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// One that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_are_taken_back_who_waited_before() {
        let flow = Flow::default();
        let before = flow.recalled();
        flow.recall("stuck");
        assert_eq!(&*before.await, "stuck");
        let after = flow.recalled();
        tokio::select! {
            biased;
            reason = after => panic!("taken back after it: {reason}"),
            () = std::future::ready(()) => {}
        }
    }

    #[test]
    fn whole_ones_and_those_that_have_begun_count_while_they_last() {
        let flow = Flow::default();
        let (one, two) = (flow.whole(), flow.begin());
        assert_eq!((flow.wholes(), flow.begun()), (1, 1));
        drop(one);
        assert_eq!((flow.wholes(), flow.begun()), (0, 1));
        drop(two);
        assert_eq!(flow.begun(), 0);
        let load = flow.load();
        assert!(flow.loads());
        drop(load);
        assert!(!flow.loads());
    }

    #[test]
    fn the_pace_of_a_model_is_one_for_all_its_answers_and_there_are_not_more_than_a_bound() {
        let flow = Flow::default();
        let model: Arc<str> = "m".into();
        assert!(Arc::ptr_eq(&flow.pace(&model), &flow.pace(&"m".into())));
        for place in 0..2 * MODELS_MAX {
            flow.pace(&place.to_string().into());
        }
        assert!(flow.paces().len() <= MODELS_MAX);
    }
}
