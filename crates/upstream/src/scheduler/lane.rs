//! One server as the scheduler sees it: its places, who may pass, and what it has to do.

use tokio::time::Instant;

use super::Order;
use super::rate::Rate;
use super::residency::Residency;
use crate::Priority;

/// How many classes of priority there are.
pub(crate) const CLASSES: usize = 3;

/// Who is let through to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Everybody, as far as there are places.
    Open,
    /// One at a time, to see whether the server is well again.
    Trial,
    /// Nobody for now; it is worth waiting.
    Held,
    /// Nobody; it is not worth waiting.
    Shut,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) parallel: u32,
    pub(crate) running: u32,
    /// Who of those running is on trial.
    trial: Option<Order>,
    /// What those running are expected to take in all.
    pub(crate) tokens: u64,
    gate: Gate,
    /// The server asked to be left alone until then.
    pub(crate) rests_until: Option<Instant>,
    pub(crate) residency: Residency,
    pub(crate) rate: Rate,
    /// How many wait that this server could serve, by class.
    waiting: [u32; CLASSES],
    /// When each class last had a turn, or began to wait.
    turns: [Instant; CLASSES],
    /// Which place was given last, counted over all servers.
    pub(crate) last_order: Order,
    /// No longer configured: goes when nobody runs here or waits for it.
    pub(crate) retired: bool,
}

impl Lane {
    pub(crate) fn new(parallel: u32, swaps: bool, now: Instant) -> Self {
        Self {
            parallel: parallel.max(1),
            running: 0,
            trial: None,
            tokens: 0,
            gate: Gate::Open,
            rests_until: None,
            residency: Residency::new(swaps),
            rate: Rate::default(),
            waiting: [0; CLASSES],
            turns: [now; CLASSES],
            last_order: 0,
            retired: false,
        }
    }

    /// Whether a request could be sent to the server now.
    pub(crate) fn has_place(&self, now: Instant) -> bool {
        let passes = match self.gate {
            Gate::Open => true,
            Gate::Trial => self.trial.is_none(),
            Gate::Held | Gate::Shut => false,
        };
        passes && self.running < self.parallel && !self.rests(now)
    }

    pub(crate) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate
    }

    pub(crate) fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
        self.trial = None;
    }

    pub(crate) fn take(&mut self, class: Priority, tokens: u64, order: Order, now: Instant) {
        self.running += 1;
        self.tokens += tokens;
        self.turns[class as usize] = now;
        self.last_order = order;
        if self.gate == Gate::Trial {
            self.trial = Some(order);
        }
    }

    pub(crate) fn give_back(&mut self, tokens: u64, order: Order) {
        self.running -= 1;
        self.tokens -= tokens;
        self.trial = self.trial.filter(|trial| *trial != order);
    }

    pub(crate) fn enqueue(&mut self, class: Priority, now: Instant) {
        if self.waiting[class as usize] == 0 {
            self.turns[class as usize] = now;
        }
        self.waiting[class as usize] += 1;
    }

    pub(crate) fn dequeue(&mut self, class: Priority) {
        self.waiting[class as usize] -= 1;
    }

    pub(crate) fn waits(&self) -> u32 {
        self.waiting.iter().sum()
    }

    /// The class whose turn it is: the highest that waits, unless a lower one has waited for too long.
    pub(crate) fn class(&self, now: Instant) -> Option<usize> {
        let highest = (0..CLASSES).rev().find(|class| self.waiting[*class] > 0)?;
        let overdue = (0..highest).filter(|class| {
            self.waiting[*class] > 0 && now.duration_since(self.turns[*class]) >= super::CLASS_WAIT_MAX
        });
        Some(overdue.min_by_key(|class| self.turns[*class]).unwrap_or(highest))
    }
}
