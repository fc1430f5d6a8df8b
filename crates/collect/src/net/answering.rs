//! The answering side of a connection: acknowledgements, in order, and only for what is kept.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::closed::Closed;
use super::connection::{Stop, stopped};
use super::lumberjack::Version;
use super::received::Wire;
use super::shared::Shared;

/// How often a sender that waits is told that we are alive. Beats give up after 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a sender may leave an acknowledgement untouched.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Up to where a batch is to be acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Acknowledgement {
    pub(super) version: Version,
    pub(super) sequence: u32,
    pub(super) ends_window: bool,
}

/// A batch that was, or is about to be, handed over.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) answer: oneshot::Receiver<Result<(), String>>,
    /// Of its last event; syslog knows no acknowledgements.
    pub(super) last: Option<Acknowledgement>,
}

/// Whether the sender has begun a window of which the end was not read yet, and may be waiting for us.
#[derive(Debug, Default)]
pub(super) struct Owing(AtomicBool);

impl Owing {
    pub(super) fn set(&self, is_owing: bool) {
        self.0.store(is_owing, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One connection's answering side.
#[derive(Debug)]
pub(super) struct Answering<'a, W> {
    writer: &'a mut W,
    wire: Wire,
    shared: &'a Shared,
    owing: &'a Owing,
    /// What was acknowledged of a window that has not been as a whole. A sign of life says it again: after the end of a
    /// window it would be taken for one of the next, so that it is 0 then.
    acknowledged: u32,
    /// When the next sign of life is due.
    alive_at: Instant,
}

impl<'a, W: AsyncWrite + Unpin> Answering<'a, W> {
    pub(super) fn new(writer: &'a mut W, wire: Wire, shared: &'a Shared, owing: &'a Owing) -> Self {
        Self { writer, wire, shared, owing, acknowledged: 0, alive_at: Instant::now() + KEEP_ALIVE }
    }

    /// Answers for each batch when the consumer has answered for it. Ends when nothing is owed and nothing more comes.
    pub(super) async fn run(mut self, mut owes: mpsc::Receiver<Owed>, mut stop: Stop) -> Result<(), Closed> {
        // Beats are told by acknowledgements, and wait for them.
        let mut is_half_closed = self.wire == Wire::Beats;
        loop {
            let owed = tokio::select! {
                owed = owes.recv() => owed,
                () = sleep_until(self.alive_at) => {
                    self.say_alive(self.owing.get()).await?;
                    continue;
                }
                () = stopped(&mut stop), if !is_half_closed => {
                    // The next thing that a careful sender of syslog does is to look whether we are leaving.
                    is_half_closed = true;
                    let _: Result<io::Result<()>, _> = timeout(WRITE_TIMEOUT, self.writer.shutdown()).await;
                    continue;
                }
            };
            let Some(owed) = owed else { return Ok(()) };
            self.settle(owed).await?;
        }
    }

    /// Waits for the consumer's word on one batch, and passes it on.
    async fn settle(&mut self, mut owed: Owed) -> Result<(), Closed> {
        let is_waiting = owed.last.is_some_and(|last| last.version == Version::Two);
        let answer = loop {
            tokio::select! {
                answer = &mut owed.answer => break answer,
                () = sleep_until(self.alive_at) => self.say_alive(is_waiting).await?,
            }
        };
        match answer {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(Closed::Refused(reason)),
            Err(_) => return Err(Closed::Over),
        }
        let Some(last) = owed.last else { return Ok(()) };
        // Senders of version 1 take any acknowledgement for one of everything.
        if last.version == Version::Two || last.ends_window {
            self.write(last.version.acknowledge(last.sequence)).await?;
        }
        self.acknowledged = if last.ends_window { 0 } else { last.sequence };
        Ok(())
    }

    async fn say_alive(&mut self, is_waiting: bool) -> Result<(), Closed> {
        self.alive_at = Instant::now() + KEEP_ALIVE;
        if is_waiting {
            self.write(Version::Two.acknowledge(self.acknowledged)).await?;
        }
        Ok(())
    }

    async fn write(&mut self, acknowledgement: [u8; 6]) -> Result<(), Closed> {
        let written = async {
            self.writer.write_all(&acknowledgement).await?;
            self.writer.flush().await
        };
        match timeout(WRITE_TIMEOUT, written).await {
            Ok(written) => written.map_err(Closed::Unacknowledged)?,
            Err(late) => return Err(Closed::Unacknowledged(io::Error::from(late))),
        }
        self.shared.counters.acknowledgements.add(1);
        self.alive_at = Instant::now() + KEEP_ALIVE;
        Ok(())
    }
}
