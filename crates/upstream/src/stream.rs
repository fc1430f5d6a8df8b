//! The events of one answer, and who lets go of it: its reader, or the clock.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tollhouse_dialect::Event;

use crate::UpstreamError;
use crate::deadlines::{Deadline, Deadlines, End};
use crate::demo::Talk;
use crate::error::Cause;
use crate::live::Live;
use crate::scheduler::Slot;

/// The events of one answer. Dropping it closes the connection to the server unless the answer was complete, and frees
/// the place at the server for the next request. Both happen too when [`Timeouts::total`](crate::Timeouts::total) is
/// over, even if nobody asks for events any more.
pub struct EventStream {
    source: Source,
}

enum Source {
    /// An answer that came whole; its place is free already.
    Ready(Vec<Event>),
    Written {
        written: Arc<Written>,
        /// Held for as long as there is something to end.
        _deadline: Deadline,
    },
    Ended,
}

/// When a whole answer has to be there.
#[derive(Clone, Copy)]
pub(crate) struct Total {
    pub(crate) at: Instant,
    /// How long that was from the beginning.
    pub(crate) limit: Duration,
}

/// An answer that is being written. Its reader and the clock have it together.
struct Written {
    upstream: Arc<str>,
    limit: Duration,
    state: Mutex<State>,
}

struct State {
    /// The answer and its place at the server; `None` once the time was over.
    answer: Option<(Writer, Slot)>,
    /// Who waits for the next events.
    reader: Option<Waker>,
}

/// Who writes it.
pub(crate) enum Writer {
    Live(Box<Live>),
    Demo(Box<Talk>),
}

impl EventStream {
    /// An answer that came whole; its place is free already.
    pub(crate) fn ready(events: Vec<Event>) -> Self {
        Self { source: Source::Ready(events) }
    }

    /// An answer of this server that is being written; it ends at the deadline.
    pub(crate) fn written(
        writer: Writer,
        slot: Slot,
        upstream: &Arc<str>,
        total: Total,
        ends: &Arc<Deadlines>,
    ) -> Self {
        let state = Mutex::new(State { answer: Some((writer, slot)), reader: None });
        let written = Arc::new(Written { upstream: Arc::clone(upstream), limit: total.limit, state });
        Self { source: Source::Written { _deadline: ends.add(total.at, &written), written } }
    }

    /// The next events: all that one piece of the answer held, never none. `None` is the orderly end; after an error
    /// there is nothing more. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Result<Vec<Event>, UpstreamError>> {
        let next = match &mut self.source {
            Source::Ready(events) => Ok(Some(std::mem::take(events)).filter(|events| !events.is_empty())),
            Source::Written { written, .. } => poll_fn(|task| written.poll_next(task)).await,
            Source::Ended => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) {
            // Lets go of the connection and the place now, not when the client has taken the last piece.
            self.source = Source::Ended;
        }
        next.transpose()
    }
}

impl Written {
    fn poll_next(&self, task: &mut Context<'_>) -> Poll<Result<Option<Vec<Event>>, UpstreamError>> {
        let mut state = self.state();
        let State { answer, reader } = &mut *state;
        let next = match answer {
            Some((Writer::Live(live), slot)) => live.poll_next(slot, task),
            Some((Writer::Demo(talk), _)) => talk.poll_next(task).map(Ok),
            None => Poll::Ready(Err(Cause::Total(self.limit))),
        };
        if next.is_pending() && !reader.as_ref().is_some_and(|reader| reader.will_wake(task.waker())) {
            *reader = Some(task.waker().clone());
        }
        next.map_err(|cause| UpstreamError::of(cause, &self.upstream))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End for Written {
    fn end(&self) {
        let (answer, reader) = {
            let mut state = self.state();
            (state.answer.take(), state.reader.take())
        };
        // Without the lock, as the place goes to the next one.
        drop(answer);
        reader.inspect(Waker::wake_by_ref);
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = match &self.source {
            Source::Ready(_) => "whole",
            Source::Written { .. } => "being written",
            Source::Ended => "ended",
        };
        formatter.debug_struct("EventStream").field("answer", &source).finish_non_exhaustive()
    }
}
