//! So many searches run at once, so many wait, the others are refused.

use tokio::sync::{Semaphore, SemaphorePermit};
use tollhouse_store::SEARCH_TIME_MAX;

use crate::error::ElasticError;

/// Searches that run at once; each keeps one core busy.
pub(crate) const RUNNING_MAX: usize = 4;
/// Searches that wait for one of these to end.
const WAITING_MAX: usize = 64;

/// One for the whole process, however many routers there are: it stands for the machine.
pub(crate) static GATE: Gate = Gate::new(RUNNING_MAX, WAITING_MAX);

/// Lets so many searches run and so many wait.
pub(crate) struct Gate {
    running: Semaphore,
    admitted: Semaphore,
    running_max: usize,
    waiting_max: usize,
}

impl Gate {
    const fn new(running_max: usize, waiting_max: usize) -> Self {
        Self {
            running: Semaphore::const_new(running_max),
            admitted: Semaphore::const_new(running_max + waiting_max),
            running_max,
            waiting_max,
        }
    }

    /// Lets a search in as soon as there is room for it, which it takes until what is given here is dropped.
    pub(crate) async fn enter(&'static self) -> Result<Running, ElasticError> {
        let busy = || ElasticError::Busy { running: self.running_max, waiting: self.waiting_max };
        let admitted = self.admitted.try_acquire().map_err(|_| busy())?;
        let running = tokio::time::timeout(SEARCH_TIME_MAX, self.running.acquire()).await;
        let running = running.map_err(|_| busy())?.map_err(|_| ElasticError::Internal)?;
        Ok(Running { _admitted: admitted, _running: running })
    }
}

/// Room that a search takes. Held by the search itself: in our own index it goes on when the client has left.
pub(crate) struct Running {
    _admitted: SemaphorePermit<'static>,
    _running: SemaphorePermit<'static>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_when_too_many_run_and_wait() {
        static GATE: Gate = Gate::new(1, 1);
        let first = GATE.enter().await.unwrap();
        let mut second = Box::pin(GATE.enter());
        assert!(poll_once(&mut second).await.is_none());
        assert!(matches!(GATE.enter().await, Err(ElasticError::Busy { running: 1, waiting: 1 })));
        drop(first);
        drop(second.await.unwrap());
        drop(GATE.enter().await.unwrap());
    }

    /// Polls once: takes the future's place in the queue.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
