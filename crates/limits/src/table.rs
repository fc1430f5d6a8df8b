//! All scopes with their windows, places and budgets, in one table behind one lock: a request is counted in all of its
//! scopes or in none.
//!
//! Nothing here waits or reads a clock; the callers bring the time. The lock is held for well under a microsecond a
//! request, so that one table serves a hundred times more requests than a gateway passes, and exactness costs nothing.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::budget::Counter;
use crate::window::{Grant, Window};
use crate::{Denied, Left, Period, Rate, Rules, Scope, Told};

/// Scopes remembered at once.
pub(crate) const SCOPES_MAX: usize = 65_536;
/// Entries of all windows together; past it windows keep coarse buckets only.
const GRANTS_MAX: usize = 4_194_304;
/// Scopes looked at, and forgotten when empty, whenever one is added.
const SWEEP: usize = 4;
/// The same when the table is full.
const SWEEP_FULL: usize = 256;
/// How long a place is thought to be held before any has been given back.
const HOLD_UNKNOWN: Duration = Duration::from_secs(1);
/// The longest that a request is told to wait for a place.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What a request holds in one scope.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) scope: Scope,
    slot: u32,
    /// Moment under which its request stands in the window.
    request_at: u64,
    /// Moment under which its tokens stand in the window.
    tokens_at: u64,
    /// Numbers of the day and month in which its tokens were granted.
    periods: [i32; 2],
}

/// What a request holds; four scopes (address, key, user, model) need no allocation.
pub(crate) type HeldList = SmallVec<[Held; 4]>;

/// The time by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Monotonic, nanoseconds.
    pub(crate) ns: u64,
    /// Since 1970, milliseconds.
    pub(crate) wall_ms: i64,
}

/// What is counted for one scope.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Absent when the slot is free.
    pub(crate) name: Option<Arc<str>>,
    /// Requests that hold something here: they keep the slot from being given to another scope.
    pins: u32,
    pub(crate) requests: Window,
    pub(crate) tokens: Window,
    /// Places that are taken.
    places: u32,
    /// How long places were held, on average, in nanoseconds.
    hold_ns: u64,
    /// Of the day and of the month.
    pub(crate) budgets: [Counter; 2],
    /// Tokens used while Redis was away, which its budgets have to be told.
    alone: u64,
}

/// What other nodes have not been told about one scope.
#[derive(Debug)]
pub(crate) struct Unshared {
    pub(crate) name: Arc<str>,
    /// Length of the window in nanoseconds; moments and amounts.
    pub(crate) requests: (u64, Vec<(u64, u32)>),
    pub(crate) tokens: (u64, Vec<(u64, u32)>),
    /// For the budget of the day, and of the month.
    pub(crate) day: u64,
    pub(crate) month: u64,
}

/// The scopes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    names: HashMap<Arc<str>, u32, RandomState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The slot that is looked at next when something has to be forgotten.
    hand: usize,
    /// Entries of all windows.
    grants: usize,
}

impl Table {
    /// Finds or makes the slots of a request's scopes and pins them. Scopes without rules and repeated ones are left out.
    pub(crate) fn pin(&mut self, scopes: &[Scope], now: Now) -> Result<HeldList, Denied> {
        let mut held = HeldList::new();
        for scope in scopes {
            if scope.rules.is_empty() || held.iter().any(|held| held.scope.name == scope.name) {
                continue;
            }
            let Some(slot) = self.slot(&scope.name, now) else {
                self.unpin(&held);
                return Err(Denied::Crowded { scope: scope.name.clone() });
            };
            self.slots[slot as usize].pins += 1;
            held.push(Held { scope: scope.clone(), slot, request_at: 0, tokens_at: 0, periods: [0; 2] });
        }
        Ok(held)
    }

    /// Lets go of slots in which nothing was counted.
    pub(crate) fn unpin(&mut self, held: &[Held]) {
        for held in held {
            self.slots[held.slot as usize].pins -= 1;
        }
    }

    /// Whether a request may start under all of its scopes: the limit in the way that has to be waited for longest.
    pub(crate) fn check_request(&mut self, held: &[Held], now: Now) -> Result<(), Denied> {
        let mut longest = Longest::default();
        for held in held {
            let (rules, name) = (&*held.scope.rules, &held.scope.name);
            let slot = &mut self.slots[held.slot as usize];
            if let Some(rate) = rules.requests {
                self.grants -= slot.requests.prune(rate.per_ns(), now.ns);
                if let Some(wait) = slot.requests.wait(rate.most.get(), 1, now.ns) {
                    longest.add(wait, || requests_denied(name, rate, wait));
                }
            }
            if let Some(most) = rules.concurrent
                && slot.places >= most.get()
            {
                longest.add_estimate(|| slot.place_denied(name, most.get()));
            }
            slot.check_budgets(rules, name, 1, now, &mut longest);
        }
        longest.outcome()
    }

    /// Counts a request in all of its scopes, allowed or not.
    pub(crate) fn count_request(&mut self, held: &mut [Held], now: Now) {
        for held in held {
            let crowded = self.grants >= GRANTS_MAX;
            let slot = &mut self.slots[held.slot as usize];
            slot.places += 1;
            if let Some(rate) = held.scope.rules.requests {
                self.grants -= slot.requests.prune(rate.per_ns(), now.ns);
                let (at, added) = slot.requests.grant(1, true, now.ns, crowded);
                held.request_at = at;
                self.grants += usize::from(added);
            }
        }
    }

    /// Whether `tokens` may be used under all of the scopes.
    pub(crate) fn check_tokens(&mut self, held: &[Held], tokens: u64, now: Now) -> Result<(), Denied> {
        let mut longest = Longest::default();
        for held in held {
            let (rules, name) = (&*held.scope.rules, &held.scope.name);
            let slot = &mut self.slots[held.slot as usize];
            if let Some(rate) = rules.tokens {
                let most = rate.most.get();
                if tokens > most {
                    return Err(Denied::TooLarge { scope: name.clone(), most, asked: tokens });
                }
                self.grants -= slot.tokens.prune(rate.per_ns(), now.ns);
                if let Some(wait) = slot.tokens.wait(most, tokens, now.ns) {
                    longest.add(wait, || tokens_denied(name, rate, wait));
                }
            }
            if let Some(budget) = rules.budgets.iter().find(|budget| budget.tokens < tokens) {
                return Err(Denied::TooLarge { scope: name.clone(), most: budget.tokens, asked: tokens });
            }
            slot.check_budgets(rules, name, tokens, now, &mut longest);
        }
        longest.outcome()
    }

    /// Counts tokens that a running request is about to use, allowed or not.
    pub(crate) fn count_tokens(&mut self, held: &mut [Held], tokens: u64, now: Now) {
        for held in held {
            let (at, periods) = self.grant_tokens(held.slot, &held.scope.rules, tokens, true, now);
            (held.tokens_at, held.periods) = (at, periods);
        }
    }

    /// Counts tokens that a request has used beyond those that were counted for it.
    pub(crate) fn count_overrun(&mut self, held: &[Held], tokens: u64, now: Now) {
        for held in held {
            self.grant_tokens(held.slot, &held.scope.rules, tokens, false, now);
        }
    }

    fn grant_tokens(&mut self, slot: u32, rules: &Rules, tokens: u64, running: bool, now: Now) -> (u64, [i32; 2]) {
        let crowded = self.grants >= GRANTS_MAX;
        let slot = &mut self.slots[slot as usize];
        let mut at = 0;
        if let Some(rate) = rules.tokens {
            self.grants -= slot.tokens.prune(rate.per_ns(), now.ns);
            let (moment, added) = slot.tokens.grant(entry(tokens), running, now.ns, crowded);
            at = moment;
            self.grants += usize::from(added);
        }
        if !rules.budgets.is_empty() {
            slot.turn_budgets(now);
            for counter in &mut slot.budgets {
                counter.grant(tokens, running);
            }
        }
        (at, [slot.budgets[0].number, slot.budgets[1].number])
    }

    /// Ends a request: its places are free, of the tokens granted to it `used` were needed. A request that was not let in
    /// after all (`refused`) is taken out of its windows.
    pub(crate) fn end(&mut self, held: &[Held], granted: u64, used: u64, refused: bool, lasted_ns: u64) {
        for held in held {
            let slot = &mut self.slots[held.slot as usize];
            slot.pins -= 1;
            slot.places -= 1;
            if held.scope.rules.requests.is_some() {
                self.grants -= slot.requests.settle(held.request_at, 1, u32::from(!refused));
            }
            if granted > 0 && held.scope.rules.tokens.is_some() {
                self.grants -= slot.tokens.settle(held.tokens_at, entry(granted), entry(used));
            }
            if granted > 0 && !held.scope.rules.budgets.is_empty() {
                for (counter, number) in slot.budgets.iter_mut().zip(held.periods) {
                    counter.settle(number, granted, used);
                }
            }
            if !refused {
                slot.hold_ns = if slot.hold_ns == 0 { lasted_ns } else { slot.hold_ns / 8 * 7 + lasted_ns / 8 };
            }
        }
    }

    /// What the tightest scope has left.
    pub(crate) fn told(&self, held: &[Held], now: Now) -> Told {
        let mut told = Told::default();
        for held in held {
            let slot = &self.slots[held.slot as usize];
            if let Some(rate) = held.scope.rules.requests {
                told.requests = Some(left(&slot.requests, rate, now).tighter(told.requests));
            }
            if let Some(rate) = held.scope.rules.tokens {
                told.tokens = Some(left(&slot.tokens, rate, now).tighter(told.tokens));
            }
        }
        told
    }

    /// Puts in a request of the past, `age_ns` ago by the monotonic clock.
    pub(crate) fn recount(&mut self, scope: &Scope, tokens: u64, age_ns: u64, happened_ms: i64, now: Now) -> bool {
        let Some(index) = self.slot(&scope.name, now) else { return false };
        let crowded = self.grants >= GRANTS_MAX;
        let slot = &mut self.slots[index as usize];
        let at = now.ns.saturating_sub(age_ns);
        let windows = [(scope.rules.requests, &mut slot.requests, 1), (scope.rules.tokens, &mut slot.tokens, tokens)];
        for (rate, window, amount) in windows {
            let Some(rate) = rate.filter(|rate| age_ns < rate.per_ns() && amount > 0) else { continue };
            self.grants -= window.prune(rate.per_ns(), now.ns);
            self.grants += usize::from(window.grant_late(entry(amount), at, now.ns, crowded));
        }
        if !scope.rules.budgets.is_empty() {
            slot.turn_budgets(now);
            for (counter, period) in slot.budgets.iter_mut().zip(PERIODS) {
                if period.number(happened_ms) == counter.number {
                    counter.grant(tokens, false);
                }
            }
        }
        true
    }

    /// Takes out what has been counted since `from_ns` and not been shared, or everything. What running requests hold of tokens
    /// is left: it is told when they end.
    pub(crate) fn take_unshared(&mut self, from_ns: u64, everything: bool, now: Now) -> Vec<Unshared> {
        self.slots.iter_mut().filter_map(|slot| slot.take_unshared(from_ns, everything, now)).collect()
    }

    /// Keeps tokens that other nodes have to be told of when Redis is back.
    pub(crate) fn keep_unshared(&mut self, name: &str, tokens: u64) {
        if let Some(index) = self.names.get(name) {
            let slot = &mut self.slots[*index as usize];
            slot.alone = slot.alone.saturating_add(tokens);
        }
    }

    /// An estimate of when a place in this scope is free.
    pub(crate) fn place_wait(&self, name: &str, most: u32) -> Duration {
        let hold = self.names.get(name).map_or(HOLD_UNKNOWN, |index| self.slots[*index as usize].hold());
        (hold / most).clamp(HOLD_UNKNOWN, PLACE_WAIT_MAX)
    }

    /// Scopes that are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The slots in use, by their index, for copies.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slot of a scope, made when there is room; for what is put back after a restart.
    pub(crate) fn slot_mut(&mut self, name: &Arc<str>, now: Now) -> Option<&mut Slot> {
        let index = self.slot(name, now)?;
        self.slots.get_mut(index as usize)
    }

    /// Counts the entries of all windows anew, after they were put in past [`Self::count_request`].
    pub(crate) fn count_grants(&mut self) {
        self.grants = self.slots.iter().map(|slot| slot.requests.grants().len() + slot.tokens.grants().len()).sum();
    }

    fn slot(&mut self, name: &Arc<str>, now: Now) -> Option<u32> {
        if let Some(slot) = self.names.get(name) {
            return Some(*slot);
        }
        self.sweep(if self.names.len() < SCOPES_MAX { SWEEP } else { SWEEP_FULL }, now);
        if self.names.len() >= SCOPES_MAX {
            return None;
        }
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        let slot = Slot::named(name.clone());
        if index as usize == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[index as usize] = slot;
        }
        self.names.insert(name.clone(), index);
        Some(index)
    }

    /// Looks at the next `steps` slots and frees those in which nothing counts any more.
    fn sweep(&mut self, steps: usize, now: Now) {
        for _ in 0..steps.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            self.grants -= slot.requests.prune_as_known(now.ns) + slot.tokens.prune_as_known(now.ns);
            if slot.name.is_some() && slot.is_idle(now) {
                let name = std::mem::take(slot).name;
                self.names.remove(&name.expect("checked above"));
                self.free.push(self.hand as u32);
            }
        }
    }
}

const PERIODS: [Period; 2] = [Period::Day, Period::Month];

impl Slot {
    pub(crate) fn named(name: Arc<str>) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// Whether nothing has been counted here yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.pins == 0
            && self.requests.is_empty()
            && self.tokens.is_empty()
            && self.budgets.iter().all(|counter| counter.used == 0)
    }

    fn is_idle(&mut self, now: Now) -> bool {
        if self.pins > 0 || !self.requests.is_empty() || !self.tokens.is_empty() {
            return false;
        }
        if self.is_unused() {
            return true;
        }
        self.turn_budgets(now);
        self.budgets.iter().all(|counter| counter.used == 0)
    }

    pub(crate) fn turn_budgets(&mut self, now: Now) {
        for (counter, period) in self.budgets.iter_mut().zip(PERIODS) {
            counter.turn(period.number(now.wall_ms));
        }
    }

    fn check_budgets(&mut self, rules: &Rules, name: &Arc<str>, need: u64, now: Now, longest: &mut Longest) {
        if rules.budgets.is_empty() {
            return;
        }
        self.turn_budgets(now);
        for budget in &rules.budgets {
            let counter = match budget.period {
                Period::Day => &self.budgets[0],
                Period::Month => &self.budgets[1],
            };
            if counter.used.saturating_add(need) > budget.tokens {
                let opens_at_ms = budget.period.next_ms(now.wall_ms);
                let wait_ms = opens_at_ms.saturating_sub(now.wall_ms) as u64;
                let (scope, tokens, period) = (name.clone(), budget.tokens, budget.period);
                longest.add(wait_ms.saturating_mul(1_000_000), || Denied::Budget {
                    scope,
                    tokens,
                    period,
                    opens_at_ms,
                });
            }
        }
    }

    fn place_denied(&self, name: &Arc<str>, most: u32) -> Denied {
        let retry_after = (self.hold() / most).clamp(HOLD_UNKNOWN, PLACE_WAIT_MAX);
        Denied::Concurrent { scope: name.clone(), most, retry_after }
    }

    fn hold(&self) -> Duration {
        if self.hold_ns == 0 { HOLD_UNKNOWN } else { Duration::from_nanos(self.hold_ns) }
    }

    fn take_unshared(&mut self, from_ns: u64, everything: bool, now: Now) -> Option<Unshared> {
        let name = self.name.clone()?;
        let alone = std::mem::take(&mut self.alone);
        let since = |window: &Window, running: bool| {
            let counts = |grant: &Grant| grant.at >= from_ns && grant.at.saturating_add(window.per()) > now.ns;
            let told = |grant: Grant| (grant.at, grant.amount - if running { 0 } else { grant.running });
            let grants: Vec<_> = window.grants().filter(counts).map(told).filter(|(_, amount)| *amount > 0).collect();
            (window.per(), grants)
        };
        let (requests, tokens) = (since(&self.requests, true), since(&self.tokens, false));
        let (mut day, mut month) = (alone, alone);
        if everything && self.budgets != [Counter::default(); 2] {
            self.turn_budgets(now);
            [day, month] = self.budgets.map(|counter| counter.used - counter.running);
        }
        let nothing = requests.1.is_empty() && tokens.1.is_empty() && day == 0 && month == 0;
        (!nothing).then_some(Unshared { name, requests, tokens, day, month })
    }
}

/// Of several limits in the way, the one that has to be waited for longest. Estimates yield to what is known.
#[derive(Default)]
struct Longest {
    wait: u64,
    denied: Option<Denied>,
}

impl Longest {
    fn add(&mut self, wait: u64, denied: impl FnOnce() -> Denied) {
        if self.denied.is_none() || wait >= self.wait {
            (self.wait, self.denied) = (wait, Some(denied()));
        }
    }

    fn add_estimate(&mut self, denied: impl FnOnce() -> Denied) {
        if self.denied.is_none() {
            self.denied = Some(denied());
        }
    }

    fn outcome(self) -> Result<(), Denied> {
        self.denied.map_or(Ok(()), Err)
    }
}

/// An amount as one entry of a window holds it: no request uses four milliards of tokens.
fn entry(amount: u64) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

fn requests_denied(scope: &Arc<str>, rate: Rate, wait: u64) -> Denied {
    let (most, per, retry_after) = (rate.most.get(), rate.per, Duration::from_nanos(wait));
    Denied::Requests { scope: scope.clone(), most, per, retry_after }
}

fn tokens_denied(scope: &Arc<str>, rate: Rate, wait: u64) -> Denied {
    let (most, per, retry_after) = (rate.most.get(), rate.per, Duration::from_nanos(wait));
    Denied::Tokens { scope: scope.clone(), most, per, retry_after }
}

fn left(window: &Window, rate: Rate, now: Now) -> Left {
    Left {
        most: rate.most.get(),
        per: rate.per,
        remaining: rate.most.get().saturating_sub(window.sum()),
        reset: Duration::from_nanos(window.reset(now.ns)),
    }
}
