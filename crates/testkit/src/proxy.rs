//! A proxy between a client and a server that spoils connections at an exact byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes taken at once.
const PIECE_BYTES: usize = 16 * 1024;

/// How a direction of a connection ends before its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// Both sides see an orderly close (FIN).
    Close,
    /// Both sides see a reset (RST).
    Reset,
    /// No byte passes in this direction any more, and nobody is told: a cable pulled, a machine gone.
    Silence,
    /// These bytes come in place of the rest, then a close.
    Garbage(Vec<u8>),
}

/// What happens to the bytes of one direction. The default passes them on.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// After so many bytes, this end.
    pub end: Option<(u64, End)>,
    /// The byte at this offset is combined with that pattern (exclusive or).
    pub corrupt: Option<(u64, u8)>,
    /// Pieces of so many bytes, with a pause behind each.
    pub drip: Option<(usize, Duration)>,
}

/// What happens to one connection.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// From the client to the server.
    pub up: Line,
    /// From the server to the client.
    pub down: Line,
    met: Met,
}

/// What a client meets.
#[derive(Clone, Debug, Default)]
enum Met {
    #[default]
    Server,
    /// Connections are taken and reset.
    Reset,
    /// Everything is read, nothing said; the server is not asked.
    Nobody,
    /// This is said at once; the server is not asked.
    Words(Vec<u8>),
}

impl Plan {
    /// Every byte passes.
    pub fn pass() -> Self {
        Self::default()
    }

    /// The client is reset as soon as it is connected.
    pub fn refuse() -> Self {
        Self { met: Met::Reset, ..Self::default() }
    }

    /// The client is listened to and never answered.
    pub fn never_answer() -> Self {
        Self { met: Met::Nobody, ..Self::default() }
    }

    /// The client gets these bytes and a close, whatever it asks.
    pub fn say(words: impl Into<Vec<u8>>) -> Self {
        Self { met: Met::Words(words.into()), ..Self::default() }
    }

    /// After `bytes` of the server's answer, this end.
    #[must_use]
    pub fn cut_down(mut self, bytes: u64, end: End) -> Self {
        self.down.end = Some((bytes, end));
        self
    }

    /// After `bytes` of the client's request, this end.
    #[must_use]
    pub fn cut_up(mut self, bytes: u64, end: End) -> Self {
        self.up.end = Some((bytes, end));
        self
    }

    /// The answer comes in pieces of `bytes` with pauses between.
    #[must_use]
    pub fn drip_down(mut self, bytes: usize, pause: Duration) -> Self {
        self.down.drip = Some((bytes, pause));
        self
    }

    /// The request goes on in pieces of `bytes` with pauses between.
    #[must_use]
    pub fn drip_up(mut self, bytes: usize, pause: Duration) -> Self {
        self.up.drip = Some((bytes, pause));
        self
    }

    /// The byte at this offset of the answer is changed by this pattern.
    #[must_use]
    pub fn corrupt_down(mut self, at: u64, pattern: u8) -> Self {
        self.down.corrupt = Some((at, pattern));
        self
    }
}

/// A listening proxy; it ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicUsize,
    open: AtomicUsize,
}

impl FaultProxy {
    /// Listens on a free port of this machine. `plan` is asked with the number of each connection, from 0.
    pub async fn start(server: SocketAddr, plan: impl Fn(usize) -> Plan + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let counts = Arc::new(Counts::default());
        let accepting = tokio::spawn(accept(listener, server, plan, counts.clone()));
        Self { address, counts, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    pub fn opened(&self) -> usize {
        self.counts.opened.load(Ordering::SeqCst)
    }

    /// Connections that have not ended.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, plan: impl Fn(usize) -> Plan, counts: Arc<Counts>) {
    // Dropped, and thereby ended, with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let plan = plan(counts.opened.fetch_add(1, Ordering::SeqCst));
        counts.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(counts.clone());
        connections.spawn(async move {
            // An error is a side that left: the connection is over.
            let _: std::io::Result<()> = connection(client, server, plan).await;
            drop(open);
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(mut client: TcpStream, server: SocketAddr, plan: Plan) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    match plan.met {
        Met::Server => {}
        Met::Reset => return client.set_zero_linger(),
        Met::Nobody => return swallow(&mut client).await,
        Met::Words(words) => {
            client.write_all(&words).await?;
            client.shutdown().await?;
            return swallow(&mut client).await;
        }
    }
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = pass(&mut from_client, &mut to_server, plan.up);
    let down = pass(&mut from_server, &mut to_client, plan.down);
    let ended = {
        let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
        tokio::select! {
            // A client that has said everything may still be answered; a server that has is done.
            ended = &mut up => match ended? {
                Ended::ByItself => down.await?,
                spoiled => spoiled,
            },
            ended = &mut down => ended?,
        }
    };
    if matches!(ended, Ended::Reset) {
        from_client.reunite(to_client).map_or(Ok(()), |client| client.set_zero_linger())?;
        from_server.reunite(to_server).map_or(Ok(()), |server| server.set_zero_linger())?;
    }
    Ok(())
}

async fn swallow(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = vec![0; PIECE_BYTES];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

enum Ended {
    ByItself,
    Closed,
    Reset,
}

async fn pass(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, line: Line) -> std::io::Result<Ended> {
    let mut bytes = vec![0; PIECE_BYTES];
    let mut passed: u64 = 0;
    loop {
        let left = line.end.as_ref().map_or(u64::MAX, |(after, _)| after.saturating_sub(passed));
        if let (0, Some((_, end))) = (left, &line.end) {
            return spoil(from, to, end).await;
        }
        let piece = line.drip.map_or(PIECE_BYTES, |(piece, _)| piece.clamp(1, PIECE_BYTES));
        let room = piece.min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = from.read(&mut bytes[..room]).await?;
        if count == 0 {
            to.shutdown().await?;
            return Ok(Ended::ByItself);
        }
        if let Some((at, pattern)) = line.corrupt
            && (passed..passed + count as u64).contains(&at)
        {
            bytes[(at - passed) as usize] ^= pattern;
        }
        to.write_all(&bytes[..count]).await?;
        passed += count as u64;
        if let Some((_, pause)) = line.drip {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn spoil(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, end: &End) -> std::io::Result<Ended> {
    match end {
        End::Close => Ok(Ended::Closed),
        End::Reset => Ok(Ended::Reset),
        End::Garbage(garbage) => {
            to.write_all(garbage).await?;
            Ok(Ended::Closed)
        }
        // What still comes is taken, so that the sender notices nothing, until the sender leaves.
        End::Silence => {
            let mut bytes = vec![0; PIECE_BYTES];
            while from.read(&mut bytes).await? > 0 {}
            Ok(Ended::Closed)
        }
    }
}
