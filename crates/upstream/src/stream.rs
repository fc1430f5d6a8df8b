//! The events of one answer as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tollhouse_dialect::Event;

use crate::UpstreamError;
use crate::demo::Talk;
use crate::error::Cause;
use crate::kind::Decoder;

/// How long the end of a connection's body is waited for once the answer itself is complete. It is there at once as a
/// rule, and lets the connection be used again.
const END_WAIT: Duration = Duration::from_millis(50);

/// The events of one answer. Dropping it closes the connection to the server unless the answer was complete.
#[derive(Debug)]
pub struct EventStream {
    source: Source,
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
    pub(crate) fn ready(events: Vec<Event>) -> Self {
        Self { source: Source::Ready(events) }
    }

    pub(crate) fn live(live: Live) -> Self {
        Self { source: Source::Live(Box::new(live)) }
    }

    pub(crate) fn demo(talk: Talk) -> Self {
        Self { source: Source::Demo(Box::new(talk)) }
    }

    /// The next events: all that one piece of the answer held, never none. `None` is the orderly end; after an error
    /// there is nothing more. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Result<Vec<Event>, UpstreamError>> {
        let next = match &mut self.source {
            Source::Ready(events) => Ok(Some(std::mem::take(events)).filter(|events| !events.is_empty())),
            Source::Live(live) => live.next().await,
            Source::Demo(talk) => Ok(talk.next().await),
            Source::Ended => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) {
            // Lets go of the connection now, not when the client has taken the last piece.
            self.source = Source::Ended;
        }
        next.transpose()
    }
}

/// An answer that a server is writing.
#[derive(Debug)]
pub(crate) struct Live {
    upstream: Arc<str>,
    body: Incoming,
    decoder: Decoder,
    /// Events that were read but not given out yet.
    ready: Vec<Event>,
    idle: Duration,
    total: Duration,
    deadline: Instant,
    last_byte: Instant,
    /// One timer for the whole stream: set anew when it rings, not at each piece.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Live {
    pub(crate) fn new(
        upstream: Arc<str>,
        body: Incoming,
        decoder: Decoder,
        idle: Duration,
        total: Duration,
        deadline: Instant,
    ) -> Self {
        let last_byte = Instant::now();
        Self { upstream, body, decoder, ready: Vec::new(), idle, total, deadline, last_byte, alarm: None }
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

    async fn next(&mut self) -> Result<Option<Vec<Event>>, UpstreamError> {
        loop {
            if !self.ready.is_empty() {
                return Ok(Some(std::mem::take(&mut self.ready)));
            }
            if self.decoder.is_done() {
                // Errors no longer matter: the answer is complete.
                while let Ok(Some(Ok(_))) = timeout(END_WAIT, self.body.frame()).await {}
                return Ok(None);
            }
            self.read().await.map_err(|cause| UpstreamError::of(cause, &self.upstream))?;
        }
    }

    async fn read(&mut self) -> Result<(), Cause> {
        let rings = (self.last_byte + self.idle).min(self.deadline);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(rings)));
        let frame = loop {
            tokio::select! {
                biased;
                frame = self.body.frame() => break frame,
                () = alarm.as_mut() => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return Err(Cause::Total(self.total));
                    }
                    if now >= self.last_byte + self.idle {
                        return Err(Cause::Idle(self.idle));
                    }
                    alarm.as_mut().reset((self.last_byte + self.idle).min(self.deadline));
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

/// An error with its causes, for the record.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
