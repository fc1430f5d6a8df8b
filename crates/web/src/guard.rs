//! The head guard: between a client's socket and hyper, it lets only well-formed HTTP/1.x requests through, one at a time.
//!
//! hyper is given whole heads that [`Framing`] has found to be right, and the bodies that belong to them. In place of a
//! head that is refused it is given [`STAND_IN`], which the service above answers with the refusal: hyper never sees the
//! bad one, and all that was asked before is answered first, in order. A body that breaks its framing is an error of
//! the connection; its request is answered with the refusal if no answer has begun.
//!
//! The next request is shown only when the one before is answered. What a client sends ahead is read, within
//! [`AHEAD_BYTES_MAX`], so that its leaving is noticed while its request runs.
//!
//! Usually a head comes in one piece: it is then read straight into hyper's buffer and looked at there, without a copy.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use crate::ahead::{Ahead, Crowd};
use crate::framing::Framing;
use crate::refusal::Refusal;
use crate::shared::{Reading, Shared};

/// What hyper is given in place of a refused head. No client can have sent it, since `TRACE` is always refused.
const STAND_IN: &[u8] = b"TRACE /refused HTTP/1.1\r\nhost: refused\r\n\r\n";
/// Bytes that a client may send ahead while its request is answered; further ones stay in the system's buffer.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes read and thrown away at the end, so that the answer is not lost to a reset.
const LINGER_BYTES_MAX: usize = 64 * 1024;
/// Bytes read at once where they cannot go into hyper's buffer.
const PIECE_BYTES: usize = 4 * 1024;

/// A transport that can be broken off, and tells that the client has left behind bytes that are not read yet.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Whether the client has closed the connection, as far as the system knows.
    fn has_ended(&self) -> bool;

    /// Makes the coming close a reset, so that the system forgets at once what the client does not take.
    fn break_off(&mut self);

    /// Holds at most so many bytes of its own that the client has not taken.
    fn hold_at_most(&mut self, bytes: usize);
}

impl Transport for tokio::net::TcpStream {
    fn has_ended(&self) -> bool {
        let ready = self.ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
    }

    fn break_off(&mut self) {
        // Without it the system tries for some minutes more: a nuisance, not a fault.
        let _: io::Result<()> = self.set_zero_linger();
    }

    fn hold_at_most(&mut self, _: usize) {}
}

/// One client's connection as hyper sees it. `K` is kept as long as the connection, also when another protocol takes it.
#[derive(Debug)]
pub(crate) struct Guard<S, K> {
    stream: S,
    framing: Framing,
    shared: Arc<Shared>,
    /// Bytes that have come and are not handed over: of these, the first `admitted` may be.
    held: BytesMut,
    admitted: usize,
    /// Bytes thrown away behind the last answer.
    lingered: usize,
    ahead: Ahead,
    _kept: K,
}

/// What has come of the next request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// A head, or a refusal in place of one.
    Request,
    /// The client closed the connection.
    End,
}

impl<S: Transport, K: Unpin> Guard<S, K> {
    /// Guards `stream`, of which the bytes in `first` were read before.
    pub(crate) fn new(stream: S, first: BytesMut, head_bytes_max: usize, crowd: Crowd, kept: K) -> Self {
        let shared = Arc::new(Shared::default());
        shared.set_reading(if first.is_empty() { Reading::Request } else { Reading::Head });
        let framing = Framing::new(head_bytes_max);
        Self { stream, framing, shared, held: first, admitted: 0, lingered: 0, ahead: Ahead::new(crowd), _kept: kept }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Waits for a whole head without hyper, which would hold buffers for it all the while.
    pub(crate) fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Next>> {
        loop {
            if self.admitted > 0 || self.look_for_head() {
                return Poll::Ready(Ok(Next::Request));
            }
            let mut piece = [const { std::mem::MaybeUninit::uninit() }; PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(Next::End));
            }
            self.held.extend_from_slice(piece.filled());
        }
    }

    /// Whether the client has sent anything of a next request.
    pub(crate) fn has_begun(&self) -> bool {
        !self.held.is_empty()
    }

    /// Refuses the head that is being waited for.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.shared.refuse(refusal);
        self.shared.set_reading(Reading::Nothing);
        self.held.clear();
        self.held.extend_from_slice(STAND_IN);
        self.admitted = STAND_IN.len();
    }

    /// Whether the head that is waited for is refused, so that nothing is to come of it but the answer that says so.
    pub(crate) fn is_refused(&self) -> bool {
        *self.held == *STAND_IN
    }

    /// Looks at what is held; whether a head, or the stand-in of one, may be handed over.
    fn look_for_head(&mut self) -> bool {
        if self.held.is_empty() {
            self.shared.set_reading(Reading::Request);
            return false;
        }
        match self.framing.head(&self.held) {
            Ok(None) => {
                self.shared.set_reading(Reading::Head);
                return false;
            }
            Ok(Some(head)) => {
                // A body that is malformed from its first byte is told of when hyper asks for it.
                let body = self.body_part(head);
                self.admitted = head + body;
            }
            Err(refusal) => self.refuse(refusal),
        }
        true
    }

    /// How much of what is held behind the head belongs to its body.
    fn body_part(&mut self, head: usize) -> usize {
        let counted = self.framing.body(&self.held[head..]);
        let count = self.count_body(counted).unwrap_or(0);
        self.shared.set_unseen(self.held.len() > head + count);
        count
    }

    /// Notes what of a body has come.
    fn count_body(&mut self, counted: Result<usize, Refusal>) -> io::Result<usize> {
        match counted {
            Ok(count) => {
                self.shared.count_body(count);
                self.shared.set_reading(if self.framing.is_in_body() { Reading::BodyLater } else { Reading::Nothing });
                Ok(count)
            }
            Err(refusal) => {
                self.shared.refuse(refusal);
                self.shared.set_reading(Reading::BodyLater);
                Err(io::Error::new(io::ErrorKind::InvalidData, refusal.reason()))
            }
        }
    }

    fn begin_answer(&mut self) {
        self.shared.begin_answer();
        self.ahead.begin();
        self.make_room();
    }

    /// Lets as much of the answer be made ready as its client takes.
    fn make_room(&mut self) {
        let room = self.ahead.room();
        if self.shared.set_room(room) {
            self.stream.hold_at_most(room);
        }
    }

    /// Hands over what was admitted, as much as fits.
    fn hand_over(&mut self, buffer: &mut ReadBuf<'_>) {
        if !self.shared.is_answering() {
            self.begin_answer();
        }
        let count = self.admitted.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.admitted -= count;
        self.shared.set_ahead_full(false);
        if self.held.is_empty() {
            // Most connections never hold anything again.
            self.held = BytesMut::new();
        }
    }

    /// Reads part of a body into hyper's buffer. Bytes behind its end are held.
    fn poll_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.shared.refusal().is_some() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
        }
        if self.shared.is_expired() {
            self.shared.refuse(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"));
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
        }
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream).poll_read(context, buffer)?.is_pending() {
            self.shared.set_reading(Reading::Body);
            return Poll::Pending;
        }
        let fresh = &buffer.filled()[before..];
        if fresh.is_empty() {
            self.shared.refuse(Refusal::malformed("the body was cut short"));
            return Poll::Ready(Ok(()));
        }
        let counted = self.framing.body(fresh);
        let count = match self.count_body(counted) {
            Ok(count) => count,
            Err(error) => {
                buffer.set_filled(before);
                return Poll::Ready(Err(error));
            }
        };
        self.keep_rest(buffer, before + count);
        Poll::Ready(Ok(()))
    }

    /// Reads a head, and what of its body came with it, into hyper's buffer. Everything else is held.
    fn poll_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() || self.shared.is_expired() {
            return self.poll_held_head(context, buffer);
        }
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream).poll_read(context, buffer)?.is_pending() {
            self.shared.set_reading(Reading::Request);
            return Poll::Pending;
        }
        let fresh = &buffer.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let head = match self.framing.head(fresh) {
            Ok(Some(head)) => head,
            Ok(None) => {
                self.held.extend_from_slice(fresh);
                buffer.set_filled(before);
                return self.poll_held_head(context, buffer);
            }
            Err(refusal) => {
                buffer.set_filled(before);
                self.refuse(refusal);
                self.hand_over(buffer);
                return Poll::Ready(Ok(()));
            }
        };
        let counted = self.framing.body(&fresh[head..]);
        self.begin_answer();
        let count = self.count_body(counted).unwrap_or(0);
        self.keep_rest(buffer, before + head + count);
        Poll::Ready(Ok(()))
    }

    fn poll_held_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.shared.is_expired() {
            self.refuse(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the head came too slowly"));
        }
        if let Next::Request = ready!(self.poll_request(context))? {
            self.hand_over(buffer);
        }
        Poll::Ready(Ok(()))
    }

    /// While a request is answered: notices that the client leaves, and holds what it sends ahead.
    fn poll_ahead(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Nothing is looked at behind a refused head; its answer ends the connection.
        if self.shared.refusal().is_some() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        while self.held.len() < AHEAD_BYTES_MAX {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            let fresh = &buffer.filled()[before..];
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.held.extend_from_slice(fresh);
            self.shared.set_unseen(true);
            buffer.set_filled(before);
        }
        // Nothing wakes us while we do not read: the clock has us asked again.
        self.shared.set_ahead_full(true);
        if self.stream.has_ended() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Holds what of hyper's buffer lies behind `end`.
    fn keep_rest(&mut self, buffer: &mut ReadBuf<'_>, end: usize) {
        let rest = &buffer.filled()[end..];
        if !rest.is_empty() {
            self.held.extend_from_slice(rest);
            self.shared.set_unseen(true);
            buffer.set_filled(end);
        }
    }

    /// Reads on for a while, so that the system does not answer unread bytes with a reset that overtakes our answer.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.set_reading(Reading::Close);
        let mut piece = [const { std::mem::MaybeUninit::uninit() }; PIECE_BYTES];
        while self.lingered < LINGER_BYTES_MAX {
            let mut piece = ReadBuf::uninit(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                break;
            }
            self.lingered += piece.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport, K: Unpin> AsyncRead for Guard<S, K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.admitted > 0 {
            this.hand_over(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.shared.is_tunnel() {
            if this.held.is_empty() {
                return Pin::new(&mut this.stream).poll_read(context, buffer);
            }
            this.admitted = this.held.len();
            this.hand_over(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.shared.is_in_body() {
            return this.poll_body(context, buffer);
        }
        if this.shared.is_answering() {
            return this.poll_ahead(context, buffer);
        }
        this.poll_head(context, buffer)
    }
}

impl<S: Transport, K: Unpin> Guard<S, K> {
    /// Notes that the client has to take something first, and breaks the connection off when it has taken nothing for too long.
    fn note_blocked<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            if self.shared.is_expired() {
                self.stream.break_off();
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
            self.shared.write_blocked();
            self.ahead.blocked();
        }
        polled
    }

    fn note_write(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.shared.written(*count);
            self.ahead.wrote(*count);
            self.make_room();
        }
        self.note_blocked(written)
    }
}

impl<S: Transport, K: Unpin> AsyncWrite for Guard<S, K> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes what is below it when it has nothing left of its own. TLS may hold a record then: until the client's
        // socket has taken that, hyper is given no more, and the connection does not rest.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if let Poll::Ready(Ok(())) = &flushed {
            self.shared.flushed();
            self.ahead.went_on();
            self.make_room();
        }
        self.note_blocked(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.shared.reading() != Reading::Close {
            let ended = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.note_blocked(ended))?;
            this.shared.flushed();
            let has_more = this.shared.refusal().is_some() || this.shared.is_in_body() || !this.held.is_empty();
            if !has_more || this.shared.is_tunnel() {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_linger(context)
    }
}
