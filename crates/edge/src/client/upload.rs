//! A request on its way to a server: its head, and its body as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body;
use tokio::io::AsyncWrite;

use crate::client::connection::Connection;
use crate::client::head::Length;
use crate::client::{Failure, Sent, Source};

/// A piece of a body up to here is copied behind what stands before it: one write for both.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// How often a body is asked for its first piece before its head is sent without one: what has come with the head lies ready only
/// after it was asked for.
const LOOKS: usize = 2;

/// What is still to be sent of a request.
pub(super) struct Upload {
    /// Written first,
    before: BytesMut,
    /// then this,
    piece: Bytes,
    /// then this.
    after: &'static [u8],
    body: Option<Sent>,
    /// As it was said in the head; how much of it is to come.
    length: Length,
    /// How often the body is still to be asked before the head is sent.
    looks_left: usize,
    is_flushed: bool,
}

impl Upload {
    pub(super) fn new(head: BytesMut, length: Length, body: Source) -> Self {
        let mut upload = Self {
            before: head,
            piece: Bytes::new(),
            after: b"",
            body: None,
            length,
            looks_left: LOOKS,
            is_flushed: false,
        };
        match body {
            Source::Held(bytes) if bytes.len() <= COPIED_BYTES_MAX => upload.before.put_slice(&bytes),
            Source::Held(bytes) => upload.piece = bytes,
            Source::Passing(body) => upload.body = Some(body),
        }
        upload
    }

    /// Sends as much as the server takes; ready when all is sent. A body that fails before anything of it has come reaches no server,
    /// nor does its head.
    pub(super) fn poll(&mut self, to: &mut Connection, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.looks_left > 0 {
            self.looks_left -= 1;
            match self.poll_piece(context) {
                Poll::Ready(Ok(())) => self.looks_left = 0,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending if self.looks_left > 0 => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        loop {
            ready!(self.poll_write(to, context)).map_err(Failure::Broken)?;
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_piece(context))?;
        }
    }

    /// Takes the next piece of the body, if there is one.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        let piece = match ready!(Pin::new(&mut *body).poll_frame(context)) {
            // Trailers are for one connection: no server was told that there would be any (RFC 9110, section 6.5.1).
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Poll::Ready(Err(Failure::Body(error))),
            None => return Poll::Ready(self.end()),
        };
        let is_last = body.is_end_stream();
        self.add(piece)?;
        Poll::Ready(if is_last { self.end() } else { Ok(()) })
    }

    fn poll_write(&mut self, to: &mut Connection, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { before, piece, after, is_flushed, .. } = self;
        ready!(poll_all(to, context, before, is_flushed))?;
        if before.capacity() > 0 {
            *before = BytesMut::new();
        }
        ready!(poll_all(to, context, piece, is_flushed))?;
        *piece = Bytes::new();
        ready!(poll_all(to, context, after, is_flushed))?;
        if !*is_flushed {
            ready!(Pin::new(to).poll_flush(context))?;
            *is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// What came before it is written, but for the head.
    fn add(&mut self, piece: Bytes) -> Result<(), Failure> {
        if piece.is_empty() {
            return Ok(());
        }
        match &mut self.length {
            Length::Exact(left) => {
                let rest = left.checked_sub(piece.len() as u64);
                *left = rest.ok_or_else(|| Failure::Body("it is longer than it was said to be".into()))?;
            }
            Length::Chunked => {
                self.before.put_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                self.after = b"\r\n";
            }
            Length::None => return Err(Failure::Body("there was said to be none".into())),
        }
        if piece.len() > COPIED_BYTES_MAX {
            self.piece = piece;
            return Ok(());
        }
        self.before.put_slice(&piece);
        self.before.put_slice(std::mem::take(&mut self.after));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.body = None;
        match self.length {
            Length::Chunked => self.after = if self.after.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" },
            Length::Exact(left) if left > 0 => {
                return Err(Failure::Body("it is shorter than it was said to be".into()));
            }
            Length::Exact(_) | Length::None => {}
        }
        Ok(())
    }
}

fn poll_all(
    to: &mut Connection,
    context: &mut Context<'_>,
    bytes: &mut impl Buf,
    is_flushed: &mut bool,
) -> Poll<io::Result<()>> {
    while bytes.has_remaining() {
        let count = ready!(Pin::new(&mut *to).poll_write(context, bytes.chunk()))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        bytes.advance(count);
        *is_flushed = false;
    }
    Poll::Ready(Ok(()))
}
