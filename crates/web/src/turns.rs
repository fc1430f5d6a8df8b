//! Handshakes take turns: those who are being served do not wait behind all who have just come.
//!
//! The first step of a handshake, with its key exchange and its signature, takes longer than most requests. When thousands come
//! at once, each of their tasks is ready, and whoever asks on a connection that is open already would stand behind them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Semaphore;

/// Whose turn it is; as many at once as there are threads.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Does the first step of `work` when it is its turn, and what the network has for others was looked at. The steps behind it,
    /// which wait for the client, hold up nobody.
    pub(crate) async fn take<W: Future>(&self, work: W) -> W::Output {
        let mut work = pin!(work);
        let first = {
            // An error would be a closed semaphore, and nobody closes it.
            let _turn = self.0.acquire().await;
            tokio::task::yield_now().await;
            poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
        };
        match first {
            Poll::Ready(output) => output,
            Poll::Pending => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn others_have_their_turn_between_two_handshakes() {
        let turns = Arc::new(Turns(Semaphore::new(1)));
        let steps = Arc::new(AtomicUsize::new(0));
        let (shaken, other) = (steps.clone(), steps.clone());
        let handshakes: Vec<_> = (0..100)
            .map(|_| {
                let (turns, shaken) = (turns.clone(), shaken.clone());
                tokio::spawn(async move { turns.take(async { shaken.fetch_add(1, Ordering::Relaxed) }).await })
            })
            .collect();
        // Whoever comes back again and again is never kept waiting by more than one or two of them.
        let mut before = 0;
        while before < 100 {
            tokio::task::yield_now().await;
            let now = other.load(Ordering::Relaxed);
            assert!(now - before <= 2, "{before} and then {now}");
            before = now;
        }
        for handshake in handshakes {
            handshake.await.unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_the_client_holds_no_turn() {
        let turns = Turns(Semaphore::new(1));
        let waiting = turns.take(std::future::pending::<()>());
        tokio::select! {
            () = waiting => unreachable!(),
            () = async { while turns.0.available_permits() == 0 { tokio::task::yield_now().await } } => {}
        }
        assert_eq!(turns.take(async { 7 }).await, 7);
    }
}
