//! The limits of all scopes, and what a request holds of them while it runs.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::{Clock, wall_ms};
use crate::table::{HeldList, Now, Table};
use crate::{Denied, Restored, Scope, SnapshotError, Told, snapshot};

/// Tokens beyond the reserved ones that a running answer may have before they are counted.
const OVERRUN_STEP: u64 = 64;

/// Counts requests and tokens by scope. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Limits {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    table: Mutex<Table>,
}

impl Limits {
    /// Limits of this process alone.
    pub fn local() -> Self {
        Self { inner: Arc::new(Inner { clock: Clock::new(), table: Mutex::default() }) }
    }

    /// Counts a request in all scopes or in none, and takes its places. To be called before the body is read; nothing is
    /// waited for where limits are local.
    pub async fn enter(&self, scopes: &[Scope]) -> Result<Entered, Denied> {
        self.enter_here(scopes)
    }

    /// [`Self::enter`] without waiting, by what this process has counted itself.
    fn enter_here(&self, scopes: &[Scope]) -> Result<Entered, Denied> {
        let mut table = self.inner.table();
        let now = self.inner.now();
        let mut held = table.pin(scopes, now)?;
        if let Err(denied) = table.check_request(&held, now) {
            table.unpin(&held);
            return Err(denied);
        }
        table.count_request(&mut held, now);
        let told = table.told(&held, now);
        drop(table);
        Ok(Entered { inner: self.inner.clone(), held, since_ns: now.ns, reserved: 0, counted: 0, used: 0, told })
    }

    /// All that counts now, for [`Self::restore`] after a restart. What running requests hold is left out: their own ends
    /// are counted when they come ([`Self::recount`]).
    pub fn snapshot(&self) -> Vec<u8> {
        let table = self.inner.table();
        snapshot::write(&table, "", self.inner.now())
    }

    /// Puts a snapshot back, at `now_ms` (since 1970) by the wall clock. To be done before the first request: a scope that
    /// counts something already keeps that.
    pub fn restore(&self, bytes: &[u8], now_ms: i64) -> Result<Restored, SnapshotError> {
        let mut table = self.inner.table();
        let now = Now { wall_ms: now_ms, ..self.inner.now() };
        let (restored, _life) = snapshot::read(&mut table, bytes, now)?;
        Ok(restored)
    }

    /// Counts a request of the past for this scope: one that came in at `at_ms` (since 1970), used so many tokens, and
    /// ended after the snapshot was taken.
    pub fn recount(&self, scope: &Scope, at_ms: i64, tokens: u64) {
        let mut table = self.inner.table();
        let now = self.inner.now();
        let age_ns = now.wall_ms.saturating_sub(at_ms).max(0).saturating_mul(1_000_000) as u64;
        table.recount(scope, tokens, age_ns, at_ms, now);
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic while the lock is held")
    }

    fn now(&self) -> Now {
        Now { ns: self.clock.now(), wall_ms: wall_ms() }
    }
}

/// A request that was let in. It holds its places until it is settled or dropped; dropped, it settles with what was
/// noted last.
#[derive(Debug)]
#[must_use = "a request that is dropped is settled as having used nothing"]
pub struct Entered {
    inner: Arc<Inner>,
    held: HeldList,
    since_ns: u64,
    /// Granted before the tokens were used.
    reserved: u64,
    /// Granted in all.
    counted: u64,
    /// Used, as far as is known.
    used: u64,
    told: Told,
}

impl Entered {
    /// Reserves the tokens that the request is expected to use, prompt and answer together, in all scopes or in none. To be
    /// called once, when the body is read. Denied, the request is over: its places are free and it is counted nowhere.
    pub async fn reserve(&mut self, tokens: u64) -> Result<(), Denied> {
        self.reserve_here(tokens)
    }

    fn reserve_here(&mut self, tokens: u64) -> Result<(), Denied> {
        debug_assert_eq!(self.reserved, 0, "tokens are reserved once");
        if !self.held.iter().any(|held| held.scope.rules.count_tokens()) {
            return Ok(());
        }
        let mut table = self.inner.table();
        let now = self.inner.now();
        if let Err(denied) = table.check_tokens(&self.held, tokens, now) {
            table.end(&self.held, 0, 0, true, 0);
            self.held.clear();
            return Err(denied);
        }
        table.count_tokens(&mut self.held, tokens, now);
        (self.reserved, self.counted) = (tokens, tokens);
        self.told = table.told(&self.held, now);
        Ok(())
    }

    /// Notes how many tokens have been used so far. What goes beyond the reserved ones is counted as it comes.
    pub fn note(&mut self, tokens_so_far: u64) {
        self.used = tokens_so_far;
        if tokens_so_far >= self.counted.saturating_add(OVERRUN_STEP) {
            self.count_overrun();
        }
    }

    /// Ends the request: it has used so many tokens.
    pub fn settle(mut self, tokens: u64) {
        self.used = tokens;
    }

    /// What the tightest scope had left when this request had been counted, for the `x-ratelimit-*` headers.
    pub fn told(&self) -> Told {
        self.told
    }

    fn count_overrun(&mut self) {
        let overrun = self.used.saturating_sub(self.counted);
        if overrun > 0 && self.held.iter().any(|held| held.scope.rules.count_tokens()) {
            let mut table = self.inner.table();
            let now = self.inner.now();
            table.count_overrun(&self.held, overrun, now);
            self.counted += overrun;
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        self.count_overrun();
        let unused = self.counted.saturating_sub(self.used).min(self.reserved);
        let mut table = self.inner.table();
        let lasted_ns = self.inner.clock.now().saturating_sub(self.since_ns);
        table.end(&self.held, self.reserved, self.reserved - unused, false, lasted_ns);
    }
}
