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

use crate::Timeouts;
use crate::client::{ClientError, Incoming};
use crate::error::Cause;
use crate::flow::Counted;
use crate::pace::{LOOK_AFTER, LOOK_EVERY, Look, Pace, Track};
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
    /// When is looked next whether it has ceased before that is due.
    look: Instant,
    /// The answer is complete, but not the body.
    ends: bool,
    /// One timer for the whole stream: set anew when it rings, not at each piece.
    alarm: Option<Pin<Box<Sleep>>>,
    /// How the answers of its model come.
    pace: Arc<Pace>,
    /// Whether its server may keep parts of it back until they are whole.
    keeps_back: bool,
    /// Its own part in that, and that it is counted among the answers that its server writes: from its first event on.
    begun: Option<(Track, Counted)>,
    /// Whether the server answers at its health address, where that is asked because nothing comes.
    question: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl Live {
    pub(crate) fn new(
        server: Arc<Server>,
        body: Incoming,
        decoder: ServerDecoder,
        pace: Arc<Pace>,
        keeps_back: bool,
    ) -> Self {
        let now = Instant::now();
        let (due, look) = (now + server.timeouts.idle, now + LOOK_AFTER);
        let (ready, begun, question) = (Vec::new(), None, None);
        Self { server, body, decoder, ready, due, look, ends: false, alarm: None, pace, keeps_back, begun, question }
    }

    /// Reads until there are events to give out; `on_bytes` is called at every piece, events or not.
    pub(crate) async fn begin(&mut self, on_bytes: impl Fn()) -> Result<(), Cause> {
        while self.ready.is_empty() && !self.decoder.is_done() {
            let frame = self.body.frame().await;
            on_bytes();
            self.take(frame)?;
        }
        let (flow, now) = (&self.server.state.flow, Instant::now());
        self.begun.get_or_insert_with(|| (self.pace.begin(self.keeps_back, now), flow.begin()));
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
                return self.poll_ceased(task).map(Err);
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
        }
        self.poll_until(self.due, task)
    }

    /// Waits until the answer has to be given up though the connection is open; why.
    fn poll_ceased(&mut self, task: &mut Context<'_>) -> Poll<Cause> {
        loop {
            if let Some(question) = &mut self.question {
                let is_there = ready!(question.as_mut().poll(task));
                self.question = None;
                let Timeouts { pause, .. } = self.server.timeouts;
                if let Some(pause) = pause.filter(|_| is_there) {
                    let now = Instant::now();
                    self.pace.cease(now, pause, self.server.state.flow.loads());
                    self.look = now;
                }
            }
            ready!(self.poll_until(self.due.min(self.look), task));
            let now = Instant::now();
            if now >= self.due {
                return Poll::Ready(Cause::Idle(self.server.timeouts.idle));
            }
            if let Some(cause) = self.look(now) {
                return Poll::Ready(cause);
            }
        }
    }

    /// Looks whether it has ceased: by what is known of the answers of its model, or by a question that is asked then.
    fn look(&mut self, now: Instant) -> Option<Cause> {
        self.look = now + LOOK_EVERY;
        let (track, _) = self.begun.as_ref()?;
        if now < track.last() + LOOK_AFTER {
            self.look = track.last() + LOOK_AFTER;
            return None;
        }
        match track.look(now, self.server.timeouts.pause, self.server.state.flow.loads()) {
            Look::Over(ceased) => return Some(Cause::Ceased(ceased)),
            Look::Quiet if self.server.is_waited_for() && self.pace.asks(now) => {
                let server = Arc::clone(&self.server);
                self.question = Some(Box::pin(async move { server.is_healthy().await }));
            }
            Look::Quiet | Look::Well => {}
        }
        None
    }

    /// Waits until this time.
    fn poll_until(&mut self, due: Instant, task: &mut Context<'_>) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < alarm.deadline() {
            // It was to ring later.
            alarm.as_mut().reset(due);
        }
        loop {
            ready!(alarm.as_mut().poll(task));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
    }

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, ClientError>>) -> Result<(), Cause> {
        let now = Instant::now();
        self.due = now + self.server.timeouts.idle;
        self.question = None;
        self.server.state.flow.piece();
        if let Some((track, _)) = &mut self.begun {
            track.piece(now);
        }
        let read = self.read(frame);
        if read.as_ref().is_err_and(Cause::tells_lost_runner) {
            self.pace.lost(now);
        }
        read
    }

    fn read(&mut self, frame: Option<Result<Frame<Bytes>, ClientError>>) -> Result<(), Cause> {
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
