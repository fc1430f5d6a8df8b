//! What all connections of a listener share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tollhouse_web::Places;

use super::batch::Batch;
use super::closed::Closed;
use super::counts::Counters;
use super::options::ListenOptions;
use super::received::{Receipt, Received, Transport};

/// How often one reason for closing connections is told: there may be thousands of them.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Hears why connections are closed.
pub(super) type Tell = dyn Fn(SocketAddr, &Closed) + Send + Sync;

/// Options, numbers, and the way to the consumer.
pub(super) struct Shared {
    pub(super) options: ListenOptions,
    pub(super) counters: Arc<Counters>,
    /// One for each large batch that may be in memory.
    pub(super) shares: Arc<Semaphore>,
    pub(super) places: Places,
    to: mpsc::Sender<Received>,
    tell: Box<Tell>,
    told: [Mutex<Option<Instant>>; Closed::NAMES.len()],
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(options: ListenOptions, to: mpsc::Sender<Received>, tell: Box<Tell>) -> Self {
        let shares = Semaphore::new(options.large_batches_max.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            counters: Arc::default(),
            shares: Arc::new(shares),
            places: Places::new(options.connections_max),
            options,
            to,
            tell,
            told: Default::default(),
        }
    }

    /// Gives a batch to the consumer as soon as it has room.
    pub(super) async fn hand_over(
        &self,
        batch: Batch,
        transport: &Arc<Transport>,
        waiting: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), Closed> {
        let place = self.place().await?;
        self.fill(place, batch, transport, waiting);
        Ok(())
    }

    /// Room at the consumer.
    pub(super) async fn place(&self) -> Result<mpsc::Permit<'_, Received>, Closed> {
        self.to.reserve().await.map_err(|_| Closed::Over)
    }

    /// Gives a batch to the consumer.
    pub(super) fn fill(
        &self,
        place: mpsc::Permit<'_, Received>,
        batch: Batch,
        transport: &Arc<Transport>,
        waiting: oneshot::Sender<Result<(), String>>,
    ) {
        self.counters.messages(transport.wire).add(batch.len() as u64);
        self.counters.bytes.add(batch.bytes_len() as u64);
        self.counters.cut.add(batch.cut() as u64);
        let receipt = Receipt::new(self.counters.clone(), batch.len() as u64, waiting);
        place.send(Received { transport: transport.clone(), batch, receipt });
    }

    /// Counts the end of a connection, and tells of it now and then.
    pub(super) fn tell(&self, peer: SocketAddr, closed: &Closed) {
        self.counters.closed(closed).add(1);
        let mut told = self.told[closed.index()].lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            drop(told);
            (self.tell)(peer, closed);
        }
    }
}
