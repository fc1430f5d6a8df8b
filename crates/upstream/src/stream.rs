//! The events of one answer as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tollhouse_dialect::{Event, ServerDecoder};

use crate::demo::Talk;
use crate::error::{Cause, chain};
use crate::scheduler::Slot;
use crate::server::Server;
use crate::{Timeouts, UpstreamError};

/// How long the end of a connection's body is waited for once the answer itself is complete. It is there at once as a
/// rule, and lets the connection be used again.
const END_WAIT: Duration = Duration::from_millis(50);

/// The events of one answer. Dropping it closes the connection to the server unless the answer was complete, and frees
/// the place at the server for the next request.
#[derive(Debug)]
pub struct EventStream {
    source: Source,
    slot: Option<Slot>,
}

#[derive(Debug)]
enum Source {
    /// An answer that came whole.
    Ready(Vec<Event>),
    Live(Box<Live>),
    Demo(Box<Talk>),
    Ended,
}

impl EventStream {
    /// An answer that came whole; its place is free already.
    pub(crate) fn ready(events: Vec<Event>) -> Self {
        Self { source: Source::Ready(events), slot: None }
    }

    pub(crate) fn live(live: Box<Live>, slot: Slot) -> Self {
        Self { source: Source::Live(live), slot: Some(slot) }
    }

    pub(crate) fn demo(talk: Talk, slot: Slot) -> Self {
        Self { source: Source::Demo(Box::new(talk)), slot: Some(slot) }
    }

    /// The next events: all that one piece of the answer held, never none. `None` is the orderly end; after an error
    /// there is nothing more. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Result<Vec<Event>, UpstreamError>> {
        let next = match &mut self.source {
            Source::Ready(events) => Ok(Some(std::mem::take(events)).filter(|events| !events.is_empty())),
            Source::Live(live) => live.next(self.slot.as_ref()).await,
            Source::Demo(talk) => Ok(talk.next().await),
            Source::Ended => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) {
            // Lets go of the connection and the place now, not when the client has taken the last piece.
            self.source = Source::Ended;
            self.slot = None;
        }
        next.transpose()
    }
}

/// An answer that a server is writing.
pub(crate) struct Live {
    server: Arc<Server>,
    body: Incoming,
    decoder: ServerDecoder,
    /// Events that were read but not given out yet.
    ready: Vec<Event>,
    deadline: Instant,
    last_byte: Instant,
    /// One timer for the whole stream: set anew when it rings, not at each piece.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Live {
    pub(crate) fn new(server: Arc<Server>, body: Incoming, decoder: ServerDecoder, deadline: Instant) -> Self {
        Self { server, body, decoder, ready: Vec::new(), deadline, last_byte: Instant::now(), alarm: None }
    }

    /// Reads until there are events to give out; `on_bytes` is called at every piece, events or not.
    pub(crate) async fn begin(&mut self, on_bytes: impl Fn()) -> Result<(), Cause> {
        while self.ready.is_empty() && !self.decoder.is_done() {
            let frame = self.body.frame().await;
            on_bytes();
            self.take(frame)?;
        }
        Ok(())
    }

    async fn next(&mut self, slot: Option<&Slot>) -> Result<Option<Vec<Event>>, UpstreamError> {
        loop {
            if !self.ready.is_empty() {
                let events = std::mem::take(&mut self.ready);
                if let Some(slot) = slot {
                    self.server.note_load(slot, &events);
                }
                return Ok(Some(events));
            }
            if self.decoder.is_done() {
                // Errors no longer matter: the answer is complete.
                while let Ok(Some(Ok(_))) = timeout(END_WAIT, self.body.frame()).await {}
                return Ok(None);
            }
            self.read().await.map_err(|cause| UpstreamError::of(cause, &self.server.name))?;
        }
    }

    async fn read(&mut self) -> Result<(), Cause> {
        let Timeouts { idle, total, .. } = self.server.timeouts;
        let rings = (self.last_byte + idle).min(self.deadline);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(rings)));
        let frame = loop {
            tokio::select! {
                biased;
                frame = self.body.frame() => break frame,
                () = alarm.as_mut() => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return Err(Cause::Total(total));
                    }
                    if now >= self.last_byte + idle {
                        return Err(Cause::Idle(idle));
                    }
                    alarm.as_mut().reset((self.last_byte + idle).min(self.deadline));
                }
            }
        };
        self.last_byte = Instant::now();
        self.take(frame)
    }

    fn take(&mut self, frame: Option<Result<hyper::body::Frame<bytes::Bytes>, hyper::Error>>) -> Result<(), Cause> {
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

impl std::fmt::Debug for Live {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Live").field("server", &self.server.name).finish_non_exhaustive()
    }
}
