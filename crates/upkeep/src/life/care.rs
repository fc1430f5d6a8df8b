//! Looks after a process that runs: what it uses, whether it answers, and whether it gets on with its requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tollhouse_journal::Level;

use super::Life;
use super::telling::{record, rounded};
use crate::check;
use crate::house::House;
use crate::machine::{Event, State};
use crate::memory::Used;
use crate::pressure::Pressure;
use crate::progress::{Flow, Lull, Step};
use crate::spec::Liveness;
use crate::why::Why;

/// How often is looked whether the gate has found it silent, or its answers have ceased.
const SILENCE_EVERY: Duration = Duration::from_millis(500);
/// How long those may take to come back whose requests are taken back.
const RECALL_TIME: Duration = Duration::from_millis(500);
/// How often idle models are unloaded at most.
const UNLOAD_EVERY: Duration = Duration::from_mins(1);

impl Life {
    /// Looks whether it uses too much.
    pub(super) async fn weigh(&mut self, used: Option<Used>) {
        let (memory, pressure) = (used.map(|used| used.memory), used.and_then(|used| used.pressure));
        self.status.send_if_modified(|status| {
            let before = (status.memory, status.pressure);
            (status.memory, status.pressure) = (memory, pressure);
            before != (memory, pressure)
        });
        let (Some(used), State::Ready) = (used, self.machine.state()) else { return };
        if let Some(why) = self.is_too_much(used) {
            self.take(Event::Worn(why)).await;
            return;
        }
        let is_due = self.unloaded.is_none_or(|at| at.elapsed() >= UNLOAD_EVERY);
        let is_pressed = self.pressure_above(used).is_some();
        if is_due && (is_pressed || self.spec.memory.soft.is_some_and(|soft| used.memory > soft)) {
            self.unloaded = Some(Instant::now());
            self.unload(false, "idle models were unloaded: memory is short");
        }
    }

    /// Whether it has been above a limit for some time.
    fn is_too_much(&mut self, used: Used) -> Option<Why> {
        if let Some(hard) = self.spec.memory.hard
            && self.trend.take(used.memory > hard)
        {
            return Some(Why::Memory { used: used.memory, limit: hard });
        }
        let above = self.pressure_above(used);
        self.pressed.take(above.is_some()).then_some(above).flatten()
    }

    /// That too much is waited for memory, and this process has its part in it.
    fn pressure_above(&self, used: Used) -> Option<Why> {
        let (limit, Pressure { percent, is_group }) = (self.spec.memory.pressure?, used.pressure?);
        let has_part = self.spec.memory.soft.is_none_or(|soft| used.memory > soft);
        let why = Why::Pressure { percent: percent.round() as u32, limit, is_group };
        (has_part && percent > f64::from(limit)).then_some(why)
    }

    /// Has its upstreams unload models, and tells of it; nobody waits for that.
    fn unload(&mut self, all: bool, what: &'static str) {
        let (house, spec) = (Arc::clone(&self.ground.house), Arc::clone(&self.spec));
        let state = self.machine.state();
        let memory = self.status.borrow().memory;
        self.errands.spawn(async move {
            let mut unloaded = Vec::new();
            for upstream in &spec.upstreams {
                unloaded.extend(house.unload(upstream, all).await);
            }
            if !unloaded.is_empty() {
                let record = record(&spec.name, state, Level::Info, what).field("models", &unloaded);
                house.record(match memory {
                    Some(memory) => record.field("memory_bytes", memory),
                    None => record,
                });
            }
        });
    }

    pub(super) fn is_watched(&self) -> bool {
        self.machine.state() == State::Ready && self.spec.stalled.is_some() && !self.spec.upstreams.is_empty()
    }

    /// Looks whether it gets on with its requests, and treats it in steps where it does not.
    pub(super) async fn look_at_progress(&mut self, passed: Duration) {
        let Some(after) = self.spec.stalled else { return };
        let flow = flow_of(&*self.ground.house, &self.spec.upstreams);
        let Some((step, idle)) = self.stall.look(flow, passed, after) else { return };
        let why = Why::Stalled(rounded(idle));
        match step {
            Step::Recall => {
                self.tell(Level::Warn, "does not get on: unanswered requests are taken back", |record| {
                    record.field("reason", why.to_string()).field("requests", flow.running)
                });
                self.recall(&why);
            }
            Step::Unload => {
                self.tell(Level::Warn, "does not get on: its models are unloaded", |record| {
                    record.field("reason", why.to_string())
                });
                self.unload(true, "models were unloaded: it did not get on");
            }
            Step::Renew => self.take(Event::Worn(why)).await,
        }
    }

    /// Takes back what it has not begun to answer. It is held for a moment, so that those do not run into each other who come
    /// back and who go on.
    fn recall(&mut self, why: &Why) {
        let house = &self.ground.house;
        let held: Vec<_> = self.spec.upstreams.iter().filter_map(|upstream| house.hold(upstream)).collect();
        for upstream in &self.spec.upstreams {
            house.recall(upstream, &why.to_string());
        }
        self.errands.spawn(async move {
            sleep(RECALL_TIME).await;
            drop(held);
        });
    }
}

/// How all these upstreams get on together.
pub(super) fn flow_of(house: &dyn House, upstreams: &[String]) -> Flow {
    upstreams.iter().filter_map(|upstream| house.flow(upstream)).sum()
}

/// Waits until the process does not answer any more, so often in a row. One that the gate has found silent, or whose answers have
/// ceased to come, is asked at once, and that once is enough: nobody gets anything from it meanwhile.
pub(super) async fn stuck(live: Liveness, flow: impl Fn() -> Flow) -> Option<Event> {
    let (mut times, mut lull, mut looked) = (0, Lull::default(), Instant::now());
    loop {
        let asked = Instant::now();
        let says_nothing = loop {
            sleep(SILENCE_EVERY.min(live.every)).await;
            let (flow, passed) = (flow(), looked.elapsed());
            looked = Instant::now();
            // Both: what comes is followed meanwhile.
            let is_quiet = lull.is_quiet(flow, passed);
            if flow.is_silent || is_quiet {
                break true;
            }
            if asked.elapsed() >= live.every {
                break false;
            }
        };
        match check::answers(&live.ask).await {
            Ok(()) => times = 0,
            Err(error) => {
                times += 1;
                if times >= live.failures || says_nothing {
                    return Some(Event::Stuck(Why::Silent { times, error }));
                }
            }
        }
    }
}
