//! One request on its way through the model servers: from waiting for its turn to the last event of the answer.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Duration, Instant, Sleep, sleep_until};
use tollhouse_access::Key;
use tollhouse_dialect::Event;
use tollhouse_upstream::{EventStream, Reply, UpstreamError};

use crate::record::OpenRecord;
use crate::refusal::Refusal;

/// A request that is answered sooner leaves one record; one that takes longer also leaves one of its start, so that a
/// crash in the middle of it can be told.
pub(crate) const START_RECORDED_AFTER: Duration = Duration::from_millis(250);

type Asking = Pin<Box<dyn Future<Output = Result<Reply, UpstreamError>> + Send>>;

/// What came next.
pub(crate) enum Step {
    /// More of the answer, never none.
    Events(Vec<Event>),
    /// Nothing for a while: time for a sign of life.
    Quiet,
    /// It is over, and why.
    Failed(Refusal),
    /// It is complete.
    End,
}

/// A request that is being answered. Dropping it takes it out of the queue or closes the connection to the server.
pub(crate) struct Talk {
    source: Source,
    revoked: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// One timer for everything: set anew when it rings, not at each piece.
    alarm: Pin<Box<Sleep>>,
    started: bool,
    last_step: Instant,
    quiet_after: Option<Duration>,
    /// Who answers, once that is known.
    pub(crate) told: Option<Told>,
}

/// What is known when the answer begins.
pub(crate) struct Told {
    pub(crate) upstream: String,
    pub(crate) model: String,
    pub(crate) queue_ms: f64,
    pub(crate) queue_position: Option<u32>,
}

enum Source {
    Asking(Asking),
    Answering(EventStream),
    /// An answer that no server was asked for.
    Ready(Vec<Event>),
    Ended,
}

impl Talk {
    /// A request whose answer is known without asking anybody.
    pub(crate) fn known(events: impl Into<Vec<Event>>) -> Self {
        let talk = Self::new(std::future::pending(), None, None);
        Self { source: Source::Ready(events.into()), ..talk }
    }

    /// `quiet_after`: how long nothing may come before [`Step::Quiet`] is told; `None` where the client cannot be told.
    pub(crate) fn new(
        asking: impl Future<Output = Result<Reply, UpstreamError>> + Send + 'static,
        key: Option<&Arc<Key>>,
        quiet_after: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        Self {
            source: Source::Asking(Box::pin(asking)),
            revoked: key.map(|key| Box::pin(key.revoked()) as _),
            alarm: Box::pin(sleep_until(now + START_RECORDED_AFTER)),
            started: false,
            last_step: now,
            quiet_after,
            told: None,
        }
    }

    /// What comes next; the record learns it on the way. After `Failed` and `End` there is nothing more.
    pub(crate) async fn next(&mut self, open: &mut OpenRecord) -> Step {
        loop {
            let revoked = async {
                match &mut self.revoked {
                    Some(revoked) => revoked.await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                biased;
                () = revoked => Some(Step::Failed(Refusal::InvalidKey)),
                step = self.source.next(&mut self.told, open) => step,
                () = self.alarm.as_mut() => self.ring(open).then_some(Step::Quiet),
            };
            let Some(step) = step else { continue };
            match &step {
                Step::Events(events) => open.count(events),
                Step::Quiet => {}
                // Lets go of the server now, not when the client has taken the last piece.
                Step::Failed(_) | Step::End => self.source = Source::Ended,
            }
            self.last_step = Instant::now();
            return step;
        }
    }

    /// What the alarm rang for: whether nothing came for so long that the client should be told.
    fn ring(&mut self, open: &mut OpenRecord) -> bool {
        let now = Instant::now();
        if !self.started {
            self.started = true;
            open.started();
        }
        let Some(quiet_after) = self.quiet_after else {
            self.alarm = Box::pin(sleep_until(now + Duration::from_hours(24)));
            return false;
        };
        let quiet = now >= self.last_step + quiet_after;
        let next = if quiet { now } else { self.last_step } + quiet_after;
        self.alarm.as_mut().reset(next);
        quiet
    }
}

impl Source {
    /// `None` when only the state changed. Safe to drop and call again.
    async fn next(&mut self, told: &mut Option<Told>, open: &mut OpenRecord) -> Option<Step> {
        match self {
            Self::Asking(asking) => match asking.await {
                Ok(reply) => {
                    open.replied(&reply);
                    let Reply { upstream, model, queue_ms, queue_position, answer: events, .. } = reply;
                    *told = Some(Told { upstream, model, queue_ms, queue_position });
                    *self = Self::Answering(events);
                    None
                }
                Err(error) => {
                    open.not_replied(&error);
                    Some(Step::Failed(Refusal::Upstream(error)))
                }
            },
            Self::Answering(events) => Some(match events.next().await {
                Some(Ok(events)) => Step::Events(events),
                Some(Err(error)) => Step::Failed(Refusal::Upstream(error)),
                None => Step::End,
            }),
            Self::Ready(events) => {
                let events = std::mem::take(events);
                *self = Self::Ended;
                Some(Step::Events(events))
            }
            Self::Ended => Some(Step::End),
        }
    }
}
