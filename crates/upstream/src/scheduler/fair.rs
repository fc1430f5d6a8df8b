//! Start-time fair queueing: which flow has had least of a server, for its weight.
//!
//! Goyal, Vin and Cheng, "Start-time fair queueing" (SIGCOMM 1996). Each server has a virtual time, and each flow has a
//! start tag per server. Whoever is given a place moves its flow's tag on by cost / weight, and the server's time to where
//! the tag was. Of those who wait, the lowest tag is next. A flow that comes back after a pause starts at the server's
//! time: it has saved up nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::ServerId;

/// Most flows that are remembered before those of which nothing waits are forgotten.
pub(crate) const FLOWS_MAX: usize = 4096;
/// What every request costs besides its tokens, so that many small ones are not free.
const COST_BASE_TOKENS: u64 = 100;

/// A flow by its place in [`Flows`]: good while something of it waits, or until the next [`Flows::find`].
pub(crate) type FlowId = usize;

#[derive(Debug, Default)]
pub(crate) struct Flows {
    by_name: HashMap<Arc<str>, FlowId>,
    /// `None` is a place that can be given away.
    places: Vec<Option<Flow>>,
    free: Vec<FlowId>,
    /// The virtual time of each server.
    time: Vec<f64>,
}

#[derive(Debug, Default)]
struct Flow {
    /// By server.
    shares: Vec<Share>,
    /// How many of its requests wait, each counted once.
    waiting: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    start: f64,
    /// How many wait that this server could serve.
    waiting: u32,
}

/// What a request takes of its flow's share: its size for its flow's weight.
pub(crate) fn cost(tokens: u64, weight: u32) -> f64 {
    COST_BASE_TOKENS.saturating_add(tokens) as f64 / f64::from(weight.max(1))
}

impl Flows {
    /// The flow of this name, made if need be.
    pub(crate) fn find(&mut self, name: &str) -> FlowId {
        if let Some(found) = self.by_name.get(name) {
            return *found;
        }
        if self.by_name.len() >= FLOWS_MAX {
            self.forget_idle();
        }
        let flow = self.free.pop().unwrap_or(self.places.len());
        if flow == self.places.len() {
            self.places.push(None);
        }
        self.places[flow] = Some(Flow::default());
        self.by_name.insert(name.into(), flow);
        flow
    }

    /// Forgets a server, so that its number can be given to another.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        if let Some(time) = self.time.get_mut(server) {
            *time = 0.0;
        }
        for flow in self.places.iter_mut().flatten() {
            if let Some(share) = flow.shares.get_mut(server) {
                *share = Share::default();
            }
        }
    }

    /// The tag of the flow's next request in the server's queue.
    pub(crate) fn start(&self, flow: FlowId, server: ServerId) -> f64 {
        let time = self.time.get(server).copied().unwrap_or_default();
        match self.flow(flow).shares.get(server) {
            Some(share) if share.waiting > 0 => share.start,
            Some(share) => share.start.max(time),
            None => time,
        }
    }

    /// How many requests of the flow wait.
    pub(crate) fn waiting(&self, flow: FlowId) -> u32 {
        self.flow(flow).waiting
    }

    /// A request begins to wait for these servers.
    pub(crate) fn enqueue(&mut self, flow: FlowId, servers: impl Iterator<Item = ServerId>) {
        self.flow_mut(flow).waiting += 1;
        for server in servers {
            let start = self.start(flow, server);
            let share = self.share(flow, server);
            share.start = start;
            share.waiting += 1;
        }
    }

    /// A request waits for these servers no longer.
    pub(crate) fn dequeue(&mut self, flow: FlowId, servers: impl Iterator<Item = ServerId>) {
        self.flow_mut(flow).waiting -= 1;
        for server in servers {
            self.share(flow, server).waiting -= 1;
        }
    }

    /// A request is given a place; called before [`dequeue`](Self::dequeue) where it waited.
    pub(crate) fn charge(&mut self, flow: FlowId, server: ServerId, cost: f64) {
        let start = self.start(flow, server);
        self.share(flow, server).start = start + cost;
        if self.time.len() <= server {
            self.time.resize(server + 1, 0.0);
        }
        self.time[server] = self.time[server].max(start);
    }

    fn flow(&self, flow: FlowId) -> &Flow {
        self.places[flow].as_ref().expect("a flow in use is remembered")
    }

    fn flow_mut(&mut self, flow: FlowId) -> &mut Flow {
        self.places[flow].as_mut().expect("a flow in use is remembered")
    }

    fn share(&mut self, flow: FlowId, server: ServerId) -> &mut Share {
        let shares = &mut self.flow_mut(flow).shares;
        if shares.len() <= server {
            shares.resize(server + 1, Share::default());
        }
        &mut shares[server]
    }

    /// What an idle flow has had beyond others is forgiven with it: no more than the requests that it has running.
    fn forget_idle(&mut self) {
        let Self { by_name, places, free, .. } = self;
        by_name.retain(|_, flow| {
            let waits = places[*flow].as_ref().is_some_and(|flow| flow.waiting > 0);
            if !waits {
                places[*flow] = None;
                free.push(*flow);
            }
            waits
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves `turns` requests of flows that always have more, and counts who got how much.
    fn shares(weights: &[(u32, u64)], turns: usize) -> Vec<f64> {
        let mut flows = Flows::default();
        let ids: Vec<FlowId> = (0..weights.len()).map(|flow| flows.find(&flow.to_string())).collect();
        for id in &ids {
            flows.enqueue(*id, [0].into_iter());
        }
        let mut served = vec![0.0; weights.len()];
        for _ in 0..turns {
            let next = (0..ids.len())
                .min_by(|a, b| flows.start(ids[*a], 0).total_cmp(&flows.start(ids[*b], 0)))
                .expect("a flow");
            let (weight, tokens) = weights[next];
            flows.charge(ids[next], 0, cost(tokens, weight));
            served[next] += cost(tokens, 1);
        }
        served
    }

    #[test]
    fn shares_follow_the_weights_whatever_the_sizes() {
        let served = shares(&[(1, 900), (3, 100), (1, 4000)], 3000);
        let unit = served[0];
        assert!((served[1] / unit - 3.0).abs() < 0.05, "{served:?}");
        assert!((served[2] / unit - 1.0).abs() < 0.05, "{served:?}");
    }

    #[test]
    fn who_comes_back_has_saved_up_nothing_and_owes_nothing_old() {
        let mut flows = Flows::default();
        let (busy, idle) = (flows.find("busy"), flows.find("idle"));
        for _ in 0..100 {
            flows.charge(busy, 0, 1000.0);
        }
        assert!(flows.start(idle, 0) >= 99_000.0, "no credit for the pause");
        assert!(flows.start(busy, 0) - flows.start(idle, 0) <= 1000.0, "behind by its last request only");
    }

    #[test]
    fn idle_flows_are_forgotten_and_waiting_ones_are_not() {
        let mut flows = Flows::default();
        let waits = flows.find("waits");
        flows.enqueue(waits, [0].into_iter());
        for flow in 0..3 * FLOWS_MAX {
            let id = flows.find(&format!("flow {flow}"));
            flows.charge(id, 0, 1.0);
        }
        assert!(flows.by_name.len() <= FLOWS_MAX && flows.places.len() <= FLOWS_MAX);
        assert_eq!((flows.find("waits"), flows.waiting(waits)), (waits, 1));
    }
}
