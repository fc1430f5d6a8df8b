//! The body of an answer, read from its connection as it is asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::balance::Server;
use crate::client::Failure;
use crate::client::connection::Connection;
use crate::client::framing::{Decoder, Step};
use crate::client::upload::Upload;

/// An answer up to here is read in larger pieces: the client's socket takes as much of it at once.
const FIRST_BYTES: u64 = 64 * 1024;
/// Bytes read at once of it, and of what follows: a client that reads slowly lets a piece lie.
const FIRST_PIECE_BYTES: usize = 8 * 1024;
const PIECE_BYTES: usize = 4 * 1024;

/// An answer's body. Dropping it before its end closes the connection.
pub(crate) struct Incoming {
    /// None behind the end, or where it broke off.
    connection: Option<Connection>,
    decoder: Decoder,
    /// What of the request is still to be sent: it goes on while the answer comes.
    upload: Option<Upload>,
    /// Whose connection it is, if it can be used again.
    server: Option<Arc<Server>>,
    taken: u64,
}

impl Incoming {
    pub(super) fn new(
        connection: Connection,
        decoder: Decoder,
        upload: Option<Upload>,
        server: Option<Arc<Server>>,
    ) -> Self {
        let mut body = Self { connection: Some(connection), decoder, upload, server, taken: 0 };
        if decoder.is_over() {
            body.end();
        }
        body
    }

    /// Nothing more is to come. A request that is not sent as a whole by now is not worth more (RFC 9112, section 9.3).
    fn end(&mut self) {
        let connection = self.connection.take();
        if let (Some(mut connection), Some(server), None) = (connection, self.server.take(), self.upload.take())
            && connection.came.is_empty()
        {
            connection.rest();
            server.idle.keep(connection);
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, Failure>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(Step::End)) };
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.poll(connection, context)
        {
            self.upload = None;
            if sent.is_err() {
                // The answer may be right all the same, and be the reason.
                self.server = None;
            }
        }
        loop {
            match self.decoder.take(&mut connection.came)? {
                Step::More => {}
                step => return Poll::Ready(Ok(step)),
            }
            let piece = if self.taken < FIRST_BYTES { FIRST_PIECE_BYTES } else { PIECE_BYTES };
            // Not a byte more than there is of it.
            let left = self.decoder.left().map_or(piece, |left| usize::try_from(left).unwrap_or(piece));
            if ready!(connection.poll_more(context, piece.min(left))).map_err(Failure::Broken)? == 0 {
                self.decoder.close()?;
                return Poll::Ready(Ok(Step::End));
            }
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let step = match ready!(this.poll_step(context)) {
            Ok(step) => step,
            Err(failure) => {
                this.connection = None;
                return Poll::Ready(Some(Err(failure)));
            }
        };
        if step == Step::End || this.decoder.is_over() {
            this.end();
        }
        match step {
            Step::Content(content) => {
                this.taken += content.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(content))))
            }
            Step::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Step::More | Step::End => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder.left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
