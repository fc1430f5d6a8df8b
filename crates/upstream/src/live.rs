//! An answer that a server is writing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until};
use tollhouse_dialect::{Event, ServerDecoder};
use tollhouse_units::chain;

use crate::client::{ClientError, Incoming};
use crate::error::Cause;
use crate::flow::Begun;
use crate::scheduler::Slot;
use crate::server::Server;

/// How long the end of a connection's body is waited for once the answer itself is complete. It is there at once as a
/// rule, and lets the connection be used again.
const END_WAIT: Duration = Duration::from_millis(50);

/// The events of one answer as its server sends them.
pub(crate) struct Live {
    server: Arc<Server>,
    body: Incoming,
    decoder: ServerDecoder,
    /// Events that were read but not given out yet.
    ready: Vec<Event>,
    /// When the next sign of life is due.
    due: Instant,
    /// The answer is complete, but not the body.
    ends: bool,
    /// One timer for the whole stream: set anew when it rings, not at each piece.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Counted among the answers that its server writes, from its first event on.
    begun: Option<Begun>,
}

impl Live {
    pub(crate) fn new(server: Arc<Server>, body: Incoming, decoder: ServerDecoder) -> Self {
        let due = Instant::now() + server.timeouts.idle;
        Self { server, body, decoder, ready: Vec::new(), due, ends: false, alarm: None, begun: None }
    }

    /// Reads until there are events to give out; `on_bytes` is called at every piece, events or not.
    pub(crate) async fn begin(&mut self, on_bytes: impl Fn()) -> Result<(), Cause> {
        while self.ready.is_empty() && !self.decoder.is_done() {
            let frame = self.body.frame().await;
            on_bytes();
            self.take(frame)?;
        }
        self.begun.get_or_insert_with(|| self.server.state.flow.begin());
        Ok(())
    }

    /// The next events; `None` is the orderly end.
    pub(crate) fn poll_next(&mut self, slot: &Slot, task: &mut Context<'_>) -> Poll<Result<Option<Vec<Event>>, Cause>> {
        while self.ready.is_empty() {
            if self.decoder.is_done() {
                ready!(self.poll_end(task));
                return Poll::Ready(Ok(None));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(task) else {
                ready!(self.poll_due(task));
                return Poll::Ready(Err(Cause::Idle(self.server.timeouts.idle)));
            };
            self.take(frame)?;
        }
        let events = std::mem::take(&mut self.ready);
        self.server.note_load(slot, &events);
        Poll::Ready(Ok(Some(events)))
    }

    /// Waits for the end of a body whose answer is complete; errors no longer matter.
    fn poll_end(&mut self, task: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.body).poll_frame(task) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if !self.ends {
            self.ends = true;
            self.due = Instant::now() + END_WAIT;
            // It was to ring later.
            self.alarm = None;
        }
        self.poll_due(task)
    }

    /// Waits until something is overdue.
    fn poll_due(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let due = self.due;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(alarm.as_mut().poll(task));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
    }

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, ClientError>>) -> Result<(), Cause> {
        self.due = Instant::now() + self.server.timeouts.idle;
        self.server.state.flow.piece();
        match frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.decoder.push(bytes, &mut self.ready)?;
                }
            }
            Some(Err(error)) => return Err(Cause::Read(chain(&error))),
            None => self.decoder.finish(&mut self.ready)?,
        }
        if let Some(Event::Error(message)) = self.ready.last() {
            return Err(Cause::Reported(message.clone()));
        }
        Ok(())
    }
}
