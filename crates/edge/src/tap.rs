//! A tap on each connection to a server: of an answer no more is read than its client takes.
//!
//! hyper reads the next piece of an answer as soon as the one before has been taken out of its channel, and lets it wait there.
//! With thousands of clients that read slowly, those pieces are what they cost. So whoever passes an answer on turns the
//! tap: it is open while the next piece is asked for, and shut from then on.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// Bytes read at once. hyper's buffer has one more: were it filled, the next one would be twice as large.
const PIECE_BYTES: usize = 8 * 1024 - 1;

/// The tap of one connection. It goes with each answer that comes on it ([`http::Extensions`]).
#[derive(Debug, Default)]
pub(crate) struct Tap {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often something was sent: an answer belongs to what was sent last.
    sent: u64,
    is_shut: bool,
    /// Who waits for it to be opened.
    reader: Option<Waker>,
}

impl Tap {
    /// The tap in the hand of whoever passes on the answer that has come last.
    pub(crate) fn hold(self: Arc<Self>) -> Hold {
        let sent = self.state().sent;
        Hold { tap: self, sent }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another request is sent: whose answer was passed on before has no say any more.
    fn send(&self) {
        let mut state = self.state();
        state.sent += 1;
        state.is_shut = false;
        wake(state);
    }

    fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.is_shut {
            return Poll::Ready(());
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// A hand on a tap. It is open when the hand is gone.
#[derive(Debug)]
pub(crate) struct Hold {
    tap: Arc<Tap>,
    sent: u64,
}

impl Hold {
    /// Nothing more is read.
    pub(crate) fn shut(&self) {
        self.turn(true);
    }

    /// What comes is read.
    pub(crate) fn open(&self) {
        self.turn(false);
    }

    fn turn(&self, is_shut: bool) {
        let mut state = self.tap.state();
        if state.sent == self.sent && state.is_shut != is_shut {
            state.is_shut = is_shut;
            wake(state);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.open();
    }
}

/// A connection with a tap.
#[derive(Debug)]
pub(crate) struct Tapped<S> {
    stream: S,
    tap: Arc<Tap>,
}

impl<S> Tapped<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, tap: Arc::default() }
    }
}

impl<S: Connection> Connection for Tapped<S> {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.tap.clone())
    }
}

impl<S: Read + Unpin> Read for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.tap.poll_open(context));
        let mut piece = [MaybeUninit::uninit(); PIECE_BYTES];
        let most = buffer.remaining().min(PIECE_BYTES);
        let mut piece = ReadBuf::uninit(&mut piece[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(context, piece.unfilled()))?;
        buffer.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.tap.send();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tap.send();
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn only_the_hand_of_the_last_answer_turns_it() {
        let (ours, mut server) = tokio::io::duplex(64 * 1024);
        let mut client = TokioIo::new(Tapped::new(TokioIo::new(ours)));
        let tap = client.inner().tap.clone();
        client.write_all(b"one").await.unwrap();
        let first = tap.clone().hold();
        server.write_all(b"answer").await.unwrap();
        first.shut();
        let mut piece = [0; 6];
        assert!(client.read_exact(&mut piece).now_or_never().is_none(), "it is shut");
        first.open();
        client.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"answer");
        // Another request: the first answer's client may take its time.
        first.shut();
        client.write_all(b"two").await.unwrap();
        first.shut();
        server.write_all(b"answer").await.unwrap();
        client.read_exact(&mut piece).await.unwrap();
        let second = tap.clone().hold();
        second.shut();
        drop(first);
        assert!(poll_fn(|context| tap.poll_open(context)).now_or_never().is_none(), "it is the second one's");
        drop(second);
        assert!(poll_fn(|context| tap.poll_open(context)).now_or_never().is_some());
    }
}
