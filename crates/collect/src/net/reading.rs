//! The reading side of a connection: bytes in, batches out, and no more read than somebody takes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::answering::{Acknowledgement, Owed, Owing};
use super::batch::{Bounds, Sheaf};
use super::closed::Closed;
use super::connection::{Stop, stopped};
use super::framing::{self, Framing};
use super::lumberjack::{self, Lumberjack, Version};
use super::pace::{BYTES_PER_SECOND_MIN, Pace};
use super::received::Transport;
use super::shared::Shared;
use super::sniff::Speech;

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 16 << 10;
/// A batch larger than this needs a share of the memory for large ones.
pub(super) const SMALL_BATCH_BYTES: usize = 64 << 10;
/// Events of a window that has stopped to come are handed over after so long. Some senders announce large windows and fill
/// them slowly.
const QUIET: Duration = Duration::from_millis(250);
/// How long a syslog connection that we have half closed may say nothing. A sender that is about to send sees that we are
/// leaving and closes its side, so that nothing is lost.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a connection says, as messages.
#[derive(Debug)]
enum Decoder {
    Lumberjack(Lumberjack),
    Syslog(Framing),
}

/// What came of one step of reading.
#[derive(Debug)]
enum Turn {
    Hungry,
    Working,
    /// A window begins.
    Window(Version),
    /// An event that is to be acknowledged.
    Event(Acknowledgement),
    Message,
}

impl Decoder {
    fn step(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Result<Turn, Closed> {
        match self {
            Self::Lumberjack(lumberjack) => Ok(match lumberjack.step(input, sheaf)? {
                lumberjack::Step::Hungry => Turn::Hungry,
                lumberjack::Step::Working => Turn::Working,
                lumberjack::Step::Window { version } => Turn::Window(version),
                lumberjack::Step::Event { version, sequence, is_last_of_window } => {
                    Turn::Event(Acknowledgement { version, sequence, ends_window: is_last_of_window })
                }
            }),
            Self::Syslog(framing) => Ok(match framing.step(input, sheaf) {
                framing::Step::Hungry => Turn::Hungry,
                framing::Step::Message => Turn::Message,
            }),
        }
    }

    fn is_inside(&self) -> bool {
        match self {
            Self::Lumberjack(lumberjack) => lumberjack.is_inside(),
            Self::Syslog(framing) => framing.is_inside(),
        }
    }

    fn is_lumberjack(&self) -> bool {
        matches!(self, Self::Lumberjack(_))
    }
}

/// What ends a wait for bytes.
enum Waited {
    Read(io::Result<usize>),
    /// Whole events have waited long enough for their window's end.
    Quiet,
    Slow,
    Idle,
    Stopped,
}

/// One connection's reading side.
#[derive(Debug)]
pub(super) struct Reading<'a, R> {
    reader: &'a mut R,
    bytes: Vec<u8>,
    decoder: Decoder,
    sheaf: Sheaf,
    pace: Pace,
    transport: Arc<Transport>,
    shared: &'a Shared,
    owed: mpsc::Sender<Owed>,
    owing: &'a Owing,
    /// Of the last event in the sheaf.
    last: Option<Acknowledgement>,
}

impl<'a, R: AsyncRead + Unpin> Reading<'a, R> {
    /// Reads on from `bytes`, which have been read.
    #[expect(clippy::too_many_arguments, reason = "each is a part of one connection, put together in one place")]
    pub(super) fn new(
        reader: &'a mut R,
        bytes: Vec<u8>,
        speech: Speech,
        peer: SocketAddr,
        transport: Arc<Transport>,
        shared: &'a Shared,
        owed: mpsc::Sender<Owed>,
        owing: &'a Owing,
    ) -> Self {
        let options = &shared.options;
        let (decoder, message_bytes_max) = match speech {
            Speech::Lumberjack => {
                (Decoder::Lumberjack(Lumberjack::new(options.unpacked_bytes_max)), options.event_bytes_max)
            }
            Speech::SyslogLines => (Decoder::Syslog(Framing::lines()), options.syslog_bytes_max),
            Speech::SyslogCounted => (Decoder::Syslog(Framing::counted()), options.syslog_bytes_max),
        };
        let bounds =
            Bounds { message_bytes_max, messages_max: options.batch_messages_max, bytes_max: options.batch_bytes_max };
        let sheaf = Sheaf::new(bounds, peer);
        Self { reader, bytes, decoder, sheaf, pace: Pace::new(), transport, shared, owed, owing, last: None }
    }

    /// Reads until the sender closes, something goes wrong, or the listener stops and there is a good place to end.
    pub(super) async fn run(mut self, mut stop: Stop) -> Result<(), Closed> {
        loop {
            self.decode().await?;
            let began = Instant::now();
            let Some(read) = self.next(began, &mut stop).await? else { return self.hand_over_rest().await };
            match read {
                Ok(0) => return self.end().await,
                Ok(bytes) if self.decoder.is_inside() => self.pace.came(bytes, began.elapsed()),
                Ok(_) => self.pace.rest(),
                Err(error) => {
                    self.count_unfinished();
                    self.hand_over_rest().await?;
                    return Err(Closed::Cut(error));
                }
            }
        }
    }

    /// Reads messages from all bytes there are, and hands over each batch that is full.
    async fn decode(&mut self) -> Result<(), Closed> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut input = &bytes[..];
        loop {
            let turn = self.decoder.step(&mut input, &mut self.sheaf)?;
            if self.sheaf.held_bytes() > SMALL_BATCH_BYTES && !self.sheaf.has_share() {
                let share = self.shared.shares.clone().acquire_owned().await;
                self.sheaf.take_share(share.expect("the semaphore is never closed"));
            }
            match turn {
                Turn::Hungry => break,
                // Few bytes can become many: others have their turn between the pieces.
                Turn::Working => consume_budget().await,
                Turn::Window(version) => {
                    // Legal, if odd, while another window is open.
                    self.hand_over().await?;
                    self.owing.set(version == Version::Two);
                }
                Turn::Event(acknowledgement) => {
                    self.last = Some(acknowledgement);
                    if acknowledgement.ends_window || self.sheaf.is_full() {
                        self.hand_over().await?;
                    }
                }
                Turn::Message if self.sheaf.is_full() => self.hand_over().await?,
                Turn::Message => {}
            }
        }
        bytes.clear();
        self.bytes = bytes;
        Ok(())
    }

    /// The next bytes, of which there may be none any more; nothing when it is time to end.
    async fn next(&mut self, began: Instant, stop: &mut Stop) -> Result<Option<io::Result<usize>>, Closed> {
        let said = *stop.borrow();
        if said.is_some_and(|said| self.may_end(said)) {
            return Ok(None);
        }
        tokio::select! {
            biased;
            read = self.reader.read_buf(&mut self.bytes) => return Ok(Some(read)),
            () = std::future::ready(()) => {}
        }
        if !self.decoder.is_lumberjack() {
            // Whoever sends line by line wants each line to arrive.
            self.hand_over().await?;
        }
        loop {
            match self.wait(began, stop).await {
                Waited::Read(read) => return Ok(Some(read)),
                Waited::Quiet => self.hand_over().await?,
                Waited::Slow => return Err(Closed::Slow(BYTES_PER_SECOND_MIN)),
                Waited::Idle => return Err(Closed::Idle(self.shared.options.idle_timeout)),
                Waited::Stopped => return Ok(None),
            }
        }
    }

    /// Waits for bytes as long as it makes sense.
    async fn wait(&mut self, began: Instant, stop: &mut Stop) -> Waited {
        loop {
            let said = *stop.borrow();
            let (deadline, over) = self.deadline(began, said);
            tokio::select! {
                read = self.reader.read_buf(&mut self.bytes) => return Waited::Read(read),
                () = sleep_until(deadline) => return over,
                () = stopped(stop), if said.is_none() => {}
            }
        }
    }

    /// Until when to wait for bytes, and what it means when none have come.
    fn deadline(&self, began: Instant, said: Option<Instant>) -> (Instant, Waited) {
        if let Some(said) = said {
            let last = said + self.shared.options.drain / 2;
            let soon = if self.decoder.is_lumberjack() && !self.decoder.is_inside() { said } else { last };
            let silent = if self.decoder.is_lumberjack() { last } else { began.max(said) + LAST_WORD };
            return (soon.min(silent), Waited::Stopped);
        }
        if self.decoder.is_lumberjack() && !self.sheaf.is_empty() {
            return (began + QUIET, Waited::Quiet);
        }
        if self.decoder.is_inside() {
            return (self.pace.deadline(began), Waited::Slow);
        }
        (began + self.shared.options.idle_timeout, Waited::Idle)
    }

    /// Whether the connection may end here, now that the listener stops.
    fn may_end(&self, said: Instant) -> bool {
        let is_between = self.decoder.is_lumberjack() && !self.decoder.is_inside();
        is_between || Instant::now() >= said + self.shared.options.drain / 2
    }

    /// The sender has closed its side.
    async fn end(&mut self) -> Result<(), Closed> {
        match &mut self.decoder {
            // What was not acknowledged will be sent again.
            Decoder::Lumberjack(_) => Ok(()),
            Decoder::Syslog(framing) => {
                if framing.finish(&mut self.sheaf) {
                    self.shared.counters.unfinished.add(1);
                }
                self.hand_over().await
            }
        }
    }

    /// A syslog message that ends in its middle is not whole, and its sender may repeat it.
    fn count_unfinished(&mut self) {
        if !self.decoder.is_lumberjack() && self.decoder.is_inside() {
            self.shared.counters.unfinished.add(1);
        }
        self.sheaf.abandon();
    }

    /// Hands over what is whole when the connection ends in the middle of something.
    async fn hand_over_rest(&mut self) -> Result<(), Closed> {
        if self.last.is_some_and(|last| last.version == Version::One) {
            // There is no word for a part of a window in version 1: it will be sent again as a whole.
            return Ok(());
        }
        self.hand_over().await
    }

    /// Hands over the whole messages, if there are any, as soon as the consumer has room.
    async fn hand_over(&mut self) -> Result<(), Closed> {
        if self.sheaf.is_empty() {
            return Ok(());
        }
        let batch = self.sheaf.take();
        let last = self.last.take();
        let (waiting, answer) = oneshot::channel();
        // Before there is room: whoever waits for an acknowledgement is kept alive meanwhile.
        self.owed.send(Owed { answer, last }).await.map_err(|_| Closed::Over)?;
        if last.is_some_and(|last| last.ends_window) {
            self.owing.set(false);
        }
        self.shared.hand_over(batch, &self.transport, waiting).await
    }
}
