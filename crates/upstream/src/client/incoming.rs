//! The body of an answer, read from its connection as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::ClientError;
use super::connection::Connection;
use super::framing::{Broken, Framing};

/// The body of an answer. Read to its end, it hands its connection on to the next request; dropped before, it closes it.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// `None` once the body is complete or broken.
    connection: Option<Connection>,
    framing: Framing,
    /// Whether the connection may be used again.
    keeps: bool,
    /// What came together with the head.
    rest: Bytes,
}

impl Incoming {
    pub(super) fn new(connection: Connection, framing: Framing, keeps: bool, rest: Bytes) -> Self {
        let mut body = Self { connection: Some(connection), framing, keeps, rest };
        if body.framing.is_done() {
            body.keeps &= body.rest.is_empty();
            body.end();
        }
        body
    }

    /// Hands the connection on, if it can be used again.
    fn end(&mut self) {
        let connection = self.connection.take().filter(|connection| self.keeps && connection.is_sent());
        if let Some(Connection { io, home, .. }) = connection {
            home.pool.keep(home.authority, io);
        }
    }

    /// The next piece of the body.
    fn poll_piece(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        loop {
            let Self { connection: Some(connection), framing, rest, .. } = self else { return Poll::Ready(None) };
            let read = if rest.is_empty() {
                connection.send_more(task);
                ready!(connection.io.poll_read(task, |bytes| take(framing, bytes)))
            } else {
                Ok(Some(take(framing, &std::mem::take(rest))))
            };
            let taken = match read {
                Ok(Some(taken)) => taken.map_err(ClientError::Broken),
                Ok(None) if framing.is_ended_by_closing() => {
                    self.connection = None;
                    return Poll::Ready(None);
                }
                Ok(None) => Err(connection.lost(ClientError::Closed)),
                Err(error) => Err(connection.lost(ClientError::Read(error))),
            };
            let (piece, is_all) = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            if self.framing.is_done() {
                // What was not asked for is not the answer to the next request.
                self.keeps &= is_all;
                self.end();
            }
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }
}

/// What of these bytes is of the body, and whether the body, or a part of it, was all they were.
fn take(framing: &mut Framing, bytes: &[u8]) -> Result<(Bytes, bool), Broken> {
    let mut piece = Vec::with_capacity(bytes.len());
    let taken = framing.take(bytes, &mut piece)?;
    Ok((piece.into(), taken == bytes.len()))
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        self.poll_piece(task).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }
}
