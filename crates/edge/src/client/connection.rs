//! One connection to a server: its bytes, and those of them that have come and are not taken yet.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::client::Failure;
use crate::client::head::{Answered, HEAD_BYTES_MAX};

/// Bytes read at first: most answers are shorter.
const FIRST_BYTES: usize = 4 * 1024;

/// What carries the bytes, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One connection.
pub(crate) struct Connection {
    wire: Box<dyn Wire>,
    /// What has come and is not taken yet. Its room is given back when it is empty.
    pub(super) came: BytesMut,
    has_answered: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("came", &self.came.len()).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { wire: Box::new(wire), came: BytesMut::new(), has_answered: false }
    }

    /// Whether the server has said nothing, and has not closed it, since its last answer was taken.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        self.came.is_empty()
            && Pin::new(&mut self.wire).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Whether anything of an answer has come since [`Self::rest`].
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Gives its room back until the next request.
    pub(super) fn rest(&mut self) {
        self.came = BytesMut::new();
        self.has_answered = false;
    }

    /// Reads at most so many bytes more; how many came, 0 at the end.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        let is_empty = self.came.is_empty();
        self.came.reserve(most);
        let mut room = (&mut self.came).limit(most);
        let read = pin!(self.wire.read_buf(&mut room)).poll(context);
        if read.is_pending() && is_empty {
            // Whoever waits for long holds nothing.
            self.came = BytesMut::new();
        }
        let count = ready!(read)?;
        self.has_answered |= count > 0;
        Poll::Ready(Ok(count))
    }

    /// Reads the head of the next answer.
    pub(super) fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Answered, Failure>> {
        loop {
            if let Some(answered) = Answered::take(&mut self.came)? {
                return Poll::Ready(Ok(answered));
            }
            let room = HEAD_BYTES_MAX.saturating_sub(self.came.len());
            if room == 0 {
                return Poll::Ready(Err(Failure::Malformed("its head is too long")));
            }
            if ready!(self.poll_more(context, room.min(FIRST_BYTES))).map_err(Failure::Broken)? == 0 {
                let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection without an answer");
                return Poll::Ready(Err(Failure::Broken(closed)));
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.came.is_empty() {
            return Pin::new(&mut this.wire).poll_read(context, buffer);
        }
        let count = this.came.len().min(buffer.remaining());
        buffer.put_slice(&this.came[..count]);
        this.came.advance(count);
        if this.came.is_empty() {
            this.came = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
