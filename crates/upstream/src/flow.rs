//! Whether a server gets on with its requests, and taking them back from one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::watch;

/// What comes from a server, counted, and the way to those who wait for its answers.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Pieces of answers that have come, whatever was in them.
    pieces: AtomicU64,
    /// Requests under way whose answers come whole: until they end, nothing is seen of them.
    wholes: AtomicU32,
    /// Answers that have begun and come piece by piece.
    begun: Arc<AtomicU32>,
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
    pub(crate) fn whole(&self) -> Whole<'_> {
        self.wholes.fetch_add(1, Ordering::Relaxed);
        Whole(self)
    }

    pub(crate) fn wholes(&self) -> u32 {
        self.wholes.load(Ordering::Relaxed)
    }

    /// Counts an answer that has begun, until what is given back is dropped.
    pub(crate) fn begin(&self) -> Begun {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Begun(Arc::clone(&self.begun))
    }

    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
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

/// A request whose answer comes whole.
pub(crate) struct Whole<'a>(&'a Flow);

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.0.wholes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer that has begun and comes piece by piece.
pub(crate) struct Begun(Arc<AtomicU32>);

impl Drop for Begun {
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
    }
}
