//! Who is given which server's place, and who waits for how long: the queue over all servers.
//!
//! [`Core`] decides and knows no clock; this file holds it behind a lock and wakes those who wait. The rules, in order:
//!
//! 1. **Places.** A server is given `parallel` requests at once, none while its breaker is open, one while it is on trial.
//!    A request that finds a place takes it: of the first tier with any, at the server that has the model loaded, else at
//!    the one that worked on this conversation last, else at the one with the fewest tokens to do. A place that becomes
//!    free goes to somebody who waits, if anybody does.
//! 2. **Classes.** High goes before normal, normal before low; but a class that has waited for [`CLASS_WAIT_MAX`] without
//!    a turn has the next one.
//! 3. **Fairness.** Within a class the flow is next that has had the least, for its weight ([`fair`]).
//! 4. **Residency.** If a loaded model would have to make way for the next request, the fairest request for a loaded
//!    model goes first, until half of the longest wait has passed since the next one was first passed over ([`residency`]).
//! 5. **Bounds.** At most `depth` requests wait for a server, each for at most `wait`. When the queue is full, a newcomer
//!    of a flow with little waiting takes the place of the last one of the flow with most.

mod core;
mod fair;
mod lane;
mod prefixes;
mod rate;
mod residency;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use self::core::{Ask, Order, Refused, ServerId, Stop};
use self::core::{Core, Grant, Moved, Offer};
pub(crate) use self::lane::Gate;
pub(crate) use self::residency::Heat;
use crate::{Progress, QueueSpec};

/// How long a class of lower priority goes without a turn before it has one all the same.
pub const CLASS_WAIT_MAX: Duration = Duration::from_secs(20);

/// The queue over all servers; shared by everything that asks them, and by configurations that follow each other.
#[derive(Debug)]
pub(crate) struct Scheduler {
    core: Mutex<Core<Waiter>>,
}

/// How one who waits is told.
#[derive(Debug)]
struct Waiter {
    sender: oneshot::Sender<Result<Slot, Refused>>,
    stops: Arc<[Stop]>,
}

/// What is seen of one server's queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) parallel: u32,
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) loaded: Vec<Arc<str>>,
}

impl Scheduler {
    pub(crate) fn new(queue: QueueSpec) -> Arc<Self> {
        Arc::new(Self { core: Mutex::new(Core::new(queue)) })
    }

    /// Other bounds from now on.
    pub(crate) fn configure(&self, queue: QueueSpec) {
        self.core().configure(queue);
    }

    /// A server with so many places; `swaps` tells whether it loads models on demand.
    pub(crate) fn add(self: &Arc<Self>, parallel: u32, swaps: bool) -> Lane {
        let server = self.core().add(parallel, swaps, Instant::now());
        Lane { scheduler: Arc::clone(self), server }
    }

    /// Waits for a place until `deadline`. Dropping the future leaves the queue.
    pub(crate) async fn place(
        self: &Arc<Self>,
        ask: Ask<'_>,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Slot, Refused> {
        let mut receiver = None;
        let offer = self.core().offer(&ask, Instant::now(), || {
            let (sender, receives) = oneshot::channel();
            receiver = Some(receives);
            Waiter { sender, stops: Arc::clone(ask.stops) }
        });
        let (order, position, dropped) = match offer {
            Offer::Granted(grant) => return Ok(self.slot(grant, Arc::clone(ask.stops))),
            Offer::Refused(refused) => return Err(refused),
            Offer::Queued { order, position, dropped } => (order, position, dropped),
        };
        if let Some((waiter, refused)) = dropped {
            let _ = waiter.sender.send(Err(refused));
        }
        progress.queued(self, order, position);
        let leaves = Leaves { scheduler: self, order, progress };
        // The queue never forgets one who waits without telling, so the channel has a receiver here by now.
        let Some(receiver) = receiver else { return Err(Refused::Shut) };
        match timeout_at(deadline, receiver).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => Err(Refused::Shut),
            Err(_) => Err(Refused::Late(leaves.scheduler.core().wait(order))),
        }
    }

    /// The place in the queue, from 1.
    pub(crate) fn position(&self, order: Order) -> Option<u32> {
        self.core().position(order)
    }

    fn core(&self) -> MutexGuard<'_, Core<Waiter>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(self: &Arc<Self>, grant: Grant, stops: Arc<[Stop]>) -> Slot {
        Slot { scheduler: Arc::clone(self), grant, stops, began: Instant::now(), answers: false }
    }

    /// Tells those whom something has become of; without the lock, because a slot that nobody takes is given back.
    fn tell(self: &Arc<Self>, moved: Moved<Waiter>) {
        for (waiter, grant) in moved.granted {
            let _ = waiter.sender.send(Ok(self.slot(grant, waiter.stops)));
        }
        for (waiter, refused) in moved.refused {
            let _ = waiter.sender.send(Err(refused));
        }
    }
}

/// Leaves the queue when the one who waits is gone.
struct Leaves<'a> {
    scheduler: &'a Arc<Scheduler>,
    order: Order,
    progress: &'a Progress,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        // Bound to a name, so that it is dropped without the lock: whoever it wakes may come here too.
        let _waiter = self.scheduler.core().leave(self.order);
        self.progress.dequeued();
    }
}

/// A server's part of the queue; when it is dropped, the server is forgotten as soon as nobody needs it.
#[derive(Debug)]
pub(crate) struct Lane {
    scheduler: Arc<Scheduler>,
    server: ServerId,
}

impl Lane {
    pub(crate) fn id(&self) -> ServerId {
        self.server
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        let moved = self.scheduler.core().set_gate(self.server, gate, Instant::now());
        self.scheduler.tell(moved);
    }

    pub(crate) fn set_parallel(&self, parallel: u32) {
        let moved = {
            let mut core = self.scheduler.core();
            if let Some(lane) = core.lane_mut(self.server) {
                lane.parallel = parallel.max(1);
            }
            core.move_up(self.server, Instant::now())
        };
        self.scheduler.tell(moved);
    }

    /// To be noted before the server is asked what it has loaded.
    pub(crate) fn changes(&self) -> u64 {
        self.scheduler.core().lane(self.server).map_or(0, |lane| lane.residency.changes())
    }

    /// The models that the server says it has loaded, when it was asked at `changes`.
    pub(crate) fn told_loaded(&self, loaded: &[Arc<str>], changes: u64) {
        if let Some(lane) = self.scheduler.core().lane_mut(self.server) {
            lane.residency.told(loaded, changes);
        }
    }

    /// A request had to wait until this model was loaded.
    pub(crate) fn was_loaded(&self, model: &str) {
        if let Some(lane) = self.scheduler.core().lane_mut(self.server) {
            lane.residency.was_loaded(model);
        }
    }

    /// Leaves the server alone for a while, as it asked.
    pub(crate) fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        if let Some(lane) = self.scheduler.core().lane_mut(self.server) {
            lane.rests_until = Some(until);
        }
        let (scheduler, server) = (Arc::downgrade(&self.scheduler), self.server);
        // One timer for each time that the server asks for it, and that is when it has had enough requests.
        tokio::spawn(async move {
            sleep_until(until).await;
            let Some(scheduler) = scheduler.upgrade() else { return };
            let moved = scheduler.core().move_up(server, Instant::now());
            scheduler.tell(moved);
        });
    }

    pub(crate) fn seen(&self) -> Seen {
        let core = self.scheduler.core();
        let Some(lane) = core.lane(self.server) else { return Seen::default() };
        let loaded = lane.residency.loaded().to_vec();
        Seen { parallel: lane.parallel, running: lane.running, waiting: lane.waits(), loaded }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.scheduler.core().retire(self.server);
    }
}

/// A place at a server. Dropping it frees the place for the next.
#[derive(Debug)]
pub(crate) struct Slot {
    scheduler: Arc<Scheduler>,
    grant: Grant,
    stops: Arc<[Stop]>,
    began: Instant,
    /// Whether the answer has begun.
    answers: bool,
}

impl Slot {
    /// Which of the request's stops it is at.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stops[self.grant.stop]
    }

    /// Who this is, to ask again with.
    pub(crate) fn order(&self) -> Order {
        self.grant.order
    }

    /// What was believed of the server when the place was given.
    pub(crate) fn heat(&self) -> Heat {
        self.grant.heat
    }

    /// When the place was given.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Whether it matters what the server has loaded: it is asked for several models, or others have this one too.
    pub(crate) fn has_rivals(&self) -> bool {
        self.grant.rivals
    }

    /// The answer has begun: the model is loaded.
    pub(crate) fn answers(&mut self) {
        if self.answers {
            return;
        }
        self.answers = true;
        let stop = &self.stops[self.grant.stop];
        if let Some(lane) = self.scheduler.core().lane_mut(stop.server) {
            lane.residency.answered(&stop.model);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let kept = self.answers.then(|| self.began.elapsed());
        self.answers();
        let moved = self.scheduler.core().release(&self.grant, kept, Instant::now());
        self.scheduler.tell(moved);
    }
}
