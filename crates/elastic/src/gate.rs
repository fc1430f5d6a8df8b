//! So many searches run at once, so many wait, the others are refused.

use tokio::sync::Semaphore;
use tollhouse_store::SEARCH_TIME_MAX;

use crate::error::ElasticError;
use crate::search::blocking;

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

    /// Runs a search where blocking is allowed, as soon as there is room for it.
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> Result<T, ElasticError> + Send + 'static,
    ) -> Result<T, ElasticError> {
        let busy = || ElasticError::Busy { running: self.running_max, waiting: self.waiting_max };
        let admitted = self.admitted.try_acquire().map_err(|_| busy())?;
        let running = tokio::time::timeout(SEARCH_TIME_MAX, self.running.acquire()).await;
        let running = running.map_err(|_| busy())?.map_err(|_| ElasticError::Internal)?;
        blocking(move || {
            // Held by the search itself: it goes on when the client has left.
            let _held = (admitted, running);
            work()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn refuses_when_too_many_run_and_wait() {
        static GATE: Gate = Gate::new(1, 1);
        let (release, held) = mpsc::sync_channel::<()>(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn(GATE.run(move || {
            let _ = started.send(());
            let _ = held.recv();
            Ok(1)
        }));
        has_started.await.unwrap();
        let mut second = Box::pin(GATE.run(|| Ok(2)));
        assert!(poll_once(&mut second).await.is_none());
        assert!(matches!(GATE.run(|| Ok(3)).await, Err(ElasticError::Busy { running: 1, waiting: 1 })));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap(), 2);
        assert_eq!(GATE.run(|| Ok(4)).await.unwrap(), 4);
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
