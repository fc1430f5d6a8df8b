//! The scheduler itself: who is given which server's place, and when. No clock, no lock, no task.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fair::{FlowId, Flows, cost};
use super::lane::{CLASSES, Gate, Lane};
use super::prefixes::Prefixes;
use super::residency::Heat;
use crate::{Priority, QueueSpec};

/// A server by its place in the scheduler.
pub(crate) type ServerId = usize;
/// When a request came, counted: the earlier first, where nothing else decides.
pub(crate) type Order = u64;
/// A place in one server's queue: the tag of the flow, and who it is.
type Turn = (f64, Order);

/// A server that could serve a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) server: ServerId,
    /// Lower ones are preferred.
    pub(crate) tier: u32,
    /// The server's own name of the model.
    pub(crate) model: Arc<str>,
}

/// A request that wants a place.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) flow: &'a str,
    pub(crate) weight: u32,
    pub(crate) class: Priority,
    pub(crate) tokens: u64,
    /// Who could serve it, each server once.
    pub(crate) stops: &'a Arc<[Stop]>,
    /// The beginning of its conversation.
    pub(crate) prefix: Option<u64>,
    /// Its order when it had a place before, and lost it by no fault of its own: it has paid already.
    pub(crate) again: Option<Order>,
}

/// A place given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) server: ServerId,
    /// Which of the request's stops.
    pub(crate) stop: usize,
    pub(crate) heat: Heat,
    /// Whether the server is asked for several models, or the model has several servers.
    pub(crate) rivals: bool,
    pub(crate) tokens: u64,
    pub(crate) order: Order,
}

/// Why a request gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// None of its servers lets anybody pass.
    Shut,
    /// Its servers asked to be left alone for so long.
    Resting(Duration),
    /// Too many wait; how long until those have had their turn, if that is known.
    Full(Option<Duration>),
    /// It has waited as long as a request may; how much longer it would have had to, if that is known.
    Late(Option<Duration>),
}

/// What becomes of a request at once.
#[derive(Debug)]
pub(crate) enum Offer<W> {
    Granted(Grant),
    Queued {
        order: Order,
        position: u32,
        /// Who had to make way for it.
        dropped: Option<(W, Refused)>,
    },
    Refused(Refused),
}

/// What became of those who wait.
#[derive(Debug)]
pub(crate) struct Moved<W> {
    pub(crate) granted: Vec<(W, Grant)>,
    pub(crate) refused: Vec<(W, Refused)>,
}

impl<W> Moved<W> {
    fn none() -> Self {
        Self { granted: Vec::new(), refused: Vec::new() }
    }
}

/// The state of all queues; `W` is how one who waits is told.
#[derive(Debug)]
pub(crate) struct Core<W> {
    queue: QueueSpec,
    /// `None` is a number that can be given away.
    lanes: Vec<Option<Lane>>,
    flows: Flows,
    /// Those who wait, in the order in which they came.
    waiting: BTreeMap<Order, Ticket<W>>,
    next_order: Order,
    prefixes: Prefixes,
}

#[derive(Debug)]
struct Ticket<W> {
    flow: FlowId,
    class: Priority,
    weight: u32,
    tokens: u64,
    cost: f64,
    stops: Arc<[Stop]>,
    prefix: Option<u64>,
    /// When it was its turn and a request for a loaded model went first.
    passed: Option<Instant>,
    waiter: W,
}

impl<W> Core<W> {
    pub(crate) fn new(queue: QueueSpec) -> Self {
        let (flows, prefixes) = (Flows::default(), Prefixes::default());
        Self { queue, lanes: Vec::new(), flows, waiting: BTreeMap::new(), next_order: 0, prefixes }
    }

    /// Other bounds from now on; who waits goes on waiting.
    pub(crate) fn configure(&mut self, queue: QueueSpec) {
        self.queue = queue;
    }

    pub(crate) fn add(&mut self, parallel: u32, swaps: bool, now: Instant) -> ServerId {
        let free = self.lanes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.lanes.push(None);
            self.lanes.len() - 1
        });
        self.lanes[free] = Some(Lane::new(parallel, swaps, now));
        free
    }

    /// A server that nobody asks for any more.
    pub(crate) fn retire(&mut self, server: ServerId) {
        if let Some(lane) = self.lane_mut(server) {
            lane.retired = true;
        }
        self.tidy(server);
    }

    pub(crate) fn lane(&self, server: ServerId) -> Option<&Lane> {
        self.lanes.get(server)?.as_ref()
    }

    pub(crate) fn lane_mut(&mut self, server: ServerId) -> Option<&mut Lane> {
        self.lanes.get_mut(server)?.as_mut()
    }

    /// A request wants a place: it has one, waits for one by `waiter`, or is refused.
    pub(crate) fn offer(&mut self, ask: &Ask<'_>, now: Instant, waiter: impl FnOnce() -> W) -> Offer<W> {
        let flow = self.flows.find(ask.flow);
        let order = ask.again.unwrap_or(self.next_order);
        self.next_order = self.next_order.max(order + 1);
        let cost = if ask.again.is_some() { 0.0 } else { cost(ask.tokens, ask.weight) };
        if let Some(stop) = self.best_free(ask, now) {
            return Offer::Granted(self.grant(flow, cost, ask, stop, order, now));
        }
        let room = match self.room(ask, flow, now) {
            Ok(room) => room,
            Err(refused) => return Offer::Refused(refused),
        };
        let dropped = room.and_then(|victim| Some((self.leave(victim)?, self.full(ask.stops))));
        self.flows.enqueue(flow, ask.stops.iter().map(|stop| stop.server));
        for stop in ask.stops.iter() {
            if let Some(lane) = self.lane_mut(stop.server) {
                lane.enqueue(ask.class, now);
            }
        }
        let Ask { weight, class, tokens, stops, prefix, .. } = *ask;
        let stops = Arc::clone(stops);
        let ticket = Ticket { flow, class, weight, tokens, cost, stops, prefix, passed: None, waiter: waiter() };
        self.waiting.insert(order, ticket);
        Offer::Queued { order, position: self.position(order).unwrap_or(1), dropped }
    }

    /// Takes a request out of the queue; its waiter, if it was still there.
    pub(crate) fn leave(&mut self, order: Order) -> Option<W> {
        let ticket = self.waiting.remove(&order)?;
        self.flows.dequeue(ticket.flow, ticket.stops.iter().map(|stop| stop.server));
        for stop in ticket.stops.iter() {
            if let Some(lane) = self.lane_mut(stop.server) {
                lane.dequeue(ticket.class);
            }
            self.tidy(stop.server);
        }
        Some(ticket.waiter)
    }

    /// A place is free again; `kept` is for how long it was, where it was for an answer.
    pub(crate) fn release(&mut self, grant: &Grant, kept: Option<Duration>, now: Instant) -> Moved<W> {
        if let Some(lane) = self.lane_mut(grant.server) {
            lane.give_back(grant.tokens, grant.order);
            kept.inspect(|kept| lane.rate.measured(*kept));
        }
        let moved = self.move_up(grant.server, now);
        self.tidy(grant.server);
        moved
    }

    /// Lets pass whom `gate` says.
    pub(crate) fn set_gate(&mut self, server: ServerId, gate: Gate, now: Instant) -> Moved<W> {
        let Some(lane) = self.lane_mut(server) else { return Moved::none() };
        lane.set_gate(gate);
        let mut moved = self.move_up(server, now);
        if gate == Gate::Shut {
            let lost: Vec<Order> = self
                .waiting
                .iter()
                .filter(|(_, ticket)| self.is_shut(&ticket.stops))
                .map(|(order, _)| *order)
                .collect();
            let waiters = lost.into_iter().filter_map(|order| self.leave(order));
            moved.refused = waiters.map(|waiter| (waiter, Refused::Shut)).collect();
        }
        moved
    }

    /// Gives the free places of a server to those who wait.
    pub(crate) fn move_up(&mut self, server: ServerId, now: Instant) -> Moved<W> {
        let mut moved = Moved::none();
        while self.lane(server).is_some_and(|lane| lane.has_place(now)) {
            let Some(order) = self.pick(server, now) else { break };
            let ticket = &self.waiting[&order];
            let Some(stop) = ticket.stops.iter().position(|stop| stop.server == server) else { break };
            let (flow, cost, stops) = (ticket.flow, ticket.cost, Arc::clone(&ticket.stops));
            let Ticket { weight, class, tokens, prefix, .. } = *ticket;
            let ask = Ask { flow: "", weight, class, tokens, stops: &stops, prefix, again: None };
            let grant = self.grant(flow, cost, &ask, stop, order, now);
            if let Some(waiter) = self.leave(order) {
                moved.granted.push((waiter, grant));
            }
        }
        moved
    }

    /// The place in the queue from 1, at the server where it is nearest to the front; `None` when it does not wait.
    /// Requests that go first because their model is loaded are not foreseen.
    pub(crate) fn position(&self, order: Order) -> Option<u32> {
        let ticket = self.waiting.get(&order)?;
        ticket.stops.iter().map(|stop| self.position_at(stop.server, order, ticket)).min()
    }

    /// How long until this request would have had its turn, as far as is known.
    pub(crate) fn wait(&self, order: Order) -> Option<Duration> {
        let ticket = self.waiting.get(&order)?;
        let waits = ticket.stops.iter().filter_map(|stop| {
            let lane = self.lane(stop.server)?;
            lane.rate.wait(self.position_at(stop.server, order, ticket), lane.parallel)
        });
        waits.min()
    }

    fn grant(&mut self, flow: FlowId, cost: f64, ask: &Ask<'_>, stop: usize, order: Order, now: Instant) -> Grant {
        let Stop { server, model, .. } = &ask.stops[stop];
        self.flows.charge(flow, *server, cost);
        let lane = self.lanes[*server].as_mut().expect("a server with a free place is there");
        let heat = lane.residency.heat(model);
        lane.residency.sent(model);
        let rivals = ask.stops.len() > 1 || lane.residency.has_several();
        lane.take(ask.class, ask.tokens, order, now);
        if let Some(prefix) = ask.prefix {
            self.prefixes.put(prefix, *server);
        }
        Grant { server: *server, stop, heat, rivals, tokens: ask.tokens, order }
    }

    /// The best of the servers that could take the request now: of the first tier with any, one that has the model
    /// loaded, then the one that knows the conversation, then the one with least to do, then the one asked longest ago.
    fn best_free(&self, ask: &Ask<'_>, now: Instant) -> Option<usize> {
        let known = ask.prefix.and_then(|prefix| self.prefixes.get(prefix));
        let free = ask.stops.iter().enumerate().filter_map(|(place, stop)| {
            let lane = self.lane(stop.server).filter(|lane| lane.has_place(now))?;
            let load = lane.tokens / u64::from(lane.parallel);
            let key = (stop.tier, lane.residency.heat(&stop.model), known != Some(stop.server), load, lane.last_order);
            Some((key, place))
        });
        free.min().map(|(_, place)| place)
    }

    /// Whether there is room to wait; `Some` is who has to make way for it.
    fn room(&self, ask: &Ask<'_>, flow: FlowId, now: Instant) -> Result<Option<Order>, Refused> {
        let lanes =
            || ask.stops.iter().filter_map(|stop| self.lane(stop.server)).filter(|lane| lane.gate() != Gate::Shut);
        let Some(crowd) = lanes().map(Lane::waits).min() else { return Err(Refused::Shut) };
        if let Some(until) = lanes().map(|lane| lane.rests_until.filter(|_| lane.rests(now))).min().flatten() {
            // The least of all is a time, so that each of them rests.
            return Err(Refused::Resting(until.duration_since(now)));
        }
        if (crowd as usize) < self.queue.depth {
            return Ok(None);
        }
        self.victim(ask, flow).map(Some).ok_or_else(|| self.full(ask.stops))
    }

    /// Who makes way for a newcomer when the queue is full: the last of a lower class, else the last of the flow that
    /// has most waiting, if that is more than the newcomer's flow would have.
    fn victim(&self, ask: &Ask<'_>, flow: FlowId) -> Option<Order> {
        let crowding = |flow, weight: u32, more| f64::from(self.flows.waiting(flow) + more) / f64::from(weight.max(1));
        let own = crowding(flow, ask.weight, 1);
        let shares_server = |ticket: &Ticket<W>| {
            ticket.stops.iter().any(|theirs| ask.stops.iter().any(|stop| stop.server == theirs.server))
        };
        let rivals = self.waiting.iter().filter(|(_, ticket)| ticket.class <= ask.class && shares_server(ticket));
        let ranked = rivals.map(|(order, ticket)| (ticket.class, crowding(ticket.flow, ticket.weight, 0), *order));
        let (class, theirs, order) =
            ranked.max_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))?;
        (class < ask.class || theirs > own).then_some(order)
    }

    fn full(&self, stops: &[Stop]) -> Refused {
        let lanes = stops.iter().filter_map(|stop| self.lane(stop.server)).filter(|lane| lane.gate() != Gate::Shut);
        Refused::Full(lanes.filter_map(|lane| lane.rate.wait(lane.waits(), lane.parallel)).min())
    }

    fn is_shut(&self, stops: &[Stop]) -> bool {
        stops.iter().all(|stop| self.lane(stop.server).is_none_or(|lane| lane.gate() == Gate::Shut))
    }

    /// Who is next at a server: of the class whose turn it is, the one whose flow has had least. If a loaded model would
    /// have to make way for it, the first of those whose model is loaded goes instead, but no longer than half of the
    /// time that a request may wait at all.
    fn pick(&mut self, server: ServerId, now: Instant) -> Option<Order> {
        let lane = self.lane(server)?;
        let class = lane.class(now)?;
        // The lowest tag of all, and of those for whom no model would have to make way.
        let (mut first, mut warm): (Option<Turn>, Option<Turn>) = (None, None);
        for (order, ticket) in &self.waiting {
            if ticket.class as usize != class {
                continue;
            }
            let Some(stop) = ticket.stops.iter().find(|stop| stop.server == server) else { continue };
            let turn = (self.flows.start(ticket.flow, server), *order);
            let is_before = |best: Option<Turn>| best.is_none_or(|best| turn.0 < best.0);
            if is_before(first) {
                first = Some(turn);
            }
            if is_before(warm) && lane.residency.heat(&stop.model) != Heat::Evicts {
                warm = Some(turn);
            }
        }
        let ((_, first), warm) = (first?, warm.map(|(_, order)| order));
        let Some(warm) = warm.filter(|warm| *warm != first) else { return Some(first) };
        let patience = self.queue.wait / 2;
        let passed = *self.waiting.get_mut(&first)?.passed.get_or_insert(now);
        Some(if now.duration_since(passed) < patience { warm } else { first })
    }

    fn position_at(&self, server: ServerId, order: Order, ticket: &Ticket<W>) -> u32 {
        // Where each flow's next request will stand, request by request.
        let mut tags: HashMap<FlowId, f64> = HashMap::new();
        let mut queued: Vec<(usize, f64, Order)> = Vec::new();
        for (order, other) in &self.waiting {
            if !other.stops.iter().any(|stop| stop.server == server) {
                continue;
            }
            let tag = tags.entry(other.flow).or_insert_with(|| self.flows.start(other.flow, server));
            queued.push((CLASSES - other.class as usize, *tag, *order));
            *tag += other.cost;
        }
        let own = queued.iter().find(|(_, _, other)| *other == order).map(|(_, tag, _)| *tag).unwrap_or_default();
        let own = (CLASSES - ticket.class as usize, own, order);
        let ahead = |other: &(usize, f64, Order)| {
            other.0.cmp(&own.0).then(other.1.total_cmp(&own.1)).then(other.2.cmp(&own.2)).is_lt()
        };
        queued.iter().filter(|other| ahead(other)).count() as u32 + 1
    }

    /// Forgets a retired server once nobody needs it.
    fn tidy(&mut self, server: ServerId) {
        if self.lane(server).is_some_and(|lane| lane.retired && lane.running == 0 && lane.waits() == 0) {
            self.lanes[server] = None;
            self.flows.forget_server(server);
            self.prefixes.forget_server(server);
        }
    }
}
