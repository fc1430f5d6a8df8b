//! A client without manners: it sends exactly the bytes it is given.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PATIENCE;
use crate::message::{self, Head, RawAnswer};

/// One connection on which anything can be said.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
    closed: Option<Unanswered>,
}

/// Why no answer came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unanswered {
    /// The server closed the connection in an orderly way (FIN).
    Closed,
    /// The server reset the connection (RST).
    Reset,
    /// What came is no HTTP answer.
    Malformed(String),
}

impl RawClient {
    /// Connects; panics when that fails.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("connecting {address}: {error}"));
        stream.set_nodelay(true).expect("a socket can be told not to wait");
        Self { stream, unread: Vec::new(), closed: None }
    }

    /// This end of the connection.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends these bytes, as many as the server takes: one that closes early is what many tests are about.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sending = self.stream.write_all(bytes.as_ref());
        let _: Result<(), std::io::Error> = in_time("sending", sending).await;
    }

    /// Sends `piece` bytes, waits, and so on.
    pub async fn drip(&mut self, bytes: impl AsRef<[u8]>, piece: usize, pause: Duration) {
        for piece in bytes.as_ref().chunks(piece.max(1)) {
            self.send(piece).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Says that nothing more will come (FIN) and goes on reading.
    pub async fn half_close(&mut self) {
        let _: Result<(), std::io::Error> = self.stream.shutdown().await;
    }

    /// Breaks the connection off (RST).
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket can be told to reset");
    }

    /// The next answer, whole; also one that ends with the connection, which is then marked as not complete.
    pub async fn answer(&mut self) -> Result<RawAnswer, Unanswered> {
        self.next(false).await
    }

    /// The next answer, to a `HEAD` request: without body, whatever its fields say.
    pub async fn answer_to_head(&mut self) -> Result<RawAnswer, Unanswered> {
        self.next(true).await
    }

    /// The head of the next answer: status and fields. Its body is then read by [`Self::bytes`].
    pub async fn head(&mut self) -> Result<RawAnswer, Unanswered> {
        loop {
            if let Some(head) = Head::read(&self.unread).map_err(Unanswered::Malformed)? {
                self.unread.drain(..head.bytes);
                let status = head.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
                return Ok(RawAnswer { status, headers: head.headers, ..RawAnswer::default() });
            }
            self.more().await?;
        }
    }

    /// The next bytes as they come, framing included; none after the end.
    pub async fn bytes(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            let _: Result<(), Unanswered> = self.more().await;
        }
        std::mem::take(&mut self.unread)
    }

    /// Reads until these bytes have come and gives all up to them; panics when the connection ends before.
    pub async fn until(&mut self, wanted: impl AsRef<[u8]>) -> Vec<u8> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, wanted.as_ref()) {
                return self.unread.drain(..at + wanted.as_ref().len()).collect();
            }
            if let Err(end) = self.more().await {
                let wanted = String::from_utf8_lossy(wanted.as_ref()).into_owned();
                panic!("{wanted:?} did not come before {end:?}: {:?}", String::from_utf8_lossy(&self.unread));
            }
        }
    }

    /// All further answers and how the connection ended.
    pub async fn answers(&mut self) -> (Vec<RawAnswer>, Unanswered) {
        let mut answers = Vec::new();
        loop {
            match self.answer().await {
                Ok(answer) => answers.push(answer),
                Err(end) => return (answers, end),
            }
        }
    }

    async fn next(&mut self, to_head: bool) -> Result<RawAnswer, Unanswered> {
        loop {
            let answer = message::answer(&self.unread, to_head, self.closed.is_some());
            if let Some((answer, taken)) = answer.map_err(Unanswered::Malformed)? {
                self.unread.drain(..taken);
                return Ok(answer);
            }
            // The end itself is told once what came before it has been given out.
            if let (Err(end), true) = (self.more().await, self.unread.is_empty()) {
                return Err(end);
            }
        }
    }

    async fn more(&mut self) -> Result<(), Unanswered> {
        if let Some(end) = &self.closed {
            return Err(end.clone());
        }
        let end = match in_time("an answer", self.stream.read_buf(&mut self.unread)).await {
            Ok(0) => Unanswered::Closed,
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Unanswered::Reset,
            Err(error) => panic!("reading an answer: {error}"),
        };
        self.closed = Some(end.clone());
        Err(end)
    }
}

/// Sends these bytes on a connection of their own; all answers until the server ends it.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> (Vec<RawAnswer>, Unanswered) {
    let mut client = RawClient::connect(address).await;
    client.send(bytes).await;
    client.answers().await
}

/// Fails the test when `what` takes longer than [`PATIENCE`].
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
