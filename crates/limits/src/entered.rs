//! What a request holds of the limits while it runs.

use std::sync::Arc;

use crate::limits::Inner;
use crate::shared::{Settled, Ticket};
use crate::table::HeldList;
use crate::{Denied, Told};

/// Tokens beyond the reserved ones that a running answer may have before they are counted.
const OVERRUN_STEP: u64 = 64;

/// A request that was let in. It holds its places until it is settled or dropped; dropped, it settles with what was
/// noted last.
#[derive(Debug)]
#[must_use = "a request that is dropped is settled as having used nothing"]
pub struct Entered {
    inner: Arc<Inner>,
    /// Empty when nothing is limited, and when tokens were denied.
    pub(crate) held: HeldList,
    /// What it holds in Redis.
    pub(crate) ticket: Ticket,
    /// When it was counted; absent while Redis is being asked.
    since_ns: Option<u64>,
    /// Granted before the tokens were used.
    reserved: u64,
    /// Granted in all.
    counted: u64,
    /// Used, as far as is known.
    used: u64,
    told: Told,
}

impl Entered {
    /// A request that has its slots and is counted nowhere yet.
    pub(crate) fn pinned(inner: Arc<Inner>, held: HeldList, ticket: Ticket) -> Self {
        Self { inner, held, ticket, since_ns: None, reserved: 0, counted: 0, used: 0, told: Told::default() }
    }

    /// A request that has been counted.
    pub(crate) fn counted(inner: Arc<Inner>, held: HeldList, since_ns: u64, told: Told) -> Self {
        let (ticket, since_ns) = (Ticket::default(), Some(since_ns));
        Self { inner, held, ticket, since_ns, reserved: 0, counted: 0, used: 0, told }
    }

    /// Counts here what Redis has let in.
    pub(crate) fn count(&mut self, told: Told) {
        let mut table = self.inner.table();
        let now = self.inner.now();
        table.count_request(&mut self.held, now);
        (self.since_ns, self.told) = (Some(now.ns), told);
    }

    /// Decides here, because Redis does not answer.
    pub(crate) fn check_and_count(&mut self) -> Result<(), Denied> {
        let mut table = self.inner.table();
        let now = self.inner.now();
        table.check_request(&self.held, now)?;
        table.count_request(&mut self.held, now);
        (self.since_ns, self.told) = (Some(now.ns), table.told(&self.held, now));
        Ok(())
    }

    /// Reserves the tokens that the request is expected to use, prompt and answer together, in all scopes or in none. To be
    /// called once, when the body is read. Denied, the request is over: its places are free and it is counted nowhere.
    pub async fn reserve(&mut self, tokens: u64) -> Result<(), Denied> {
        debug_assert_eq!(self.reserved, 0, "tokens are reserved once");
        if !self.counts_tokens() {
            return Ok(());
        }
        let inner = self.inner.clone();
        let decided = match inner.shared() {
            Some(shared) => shared.reserve(&inner, &self.held, tokens, &mut self.ticket).await,
            None => None,
        };
        let mut table = inner.table();
        let now = inner.now();
        let outcome = match &decided {
            Some(Ok(_)) => Ok(()),
            Some(Err(denied)) => Err(denied.clone()),
            None => table.check_tokens(&self.held, tokens, now),
        };
        if let Err(denied) = outcome {
            table.end(&self.held, 0, 0, true, 0);
            drop(table);
            if let Some(shared) = inner.shared() {
                // Where Redis has denied it, nothing is left there; else its places are.
                let _: Settled = shared.settle(&self.held, &self.ticket, 0, 0);
            }
            self.held.clear();
            return Err(denied);
        }
        table.count_tokens(&mut self.held, tokens, now);
        (self.reserved, self.counted) = (tokens, tokens);
        match decided {
            Some(Ok(left)) => self.told.tokens = left,
            _ => self.told = table.told(&self.held, now),
        }
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

    fn counts_tokens(&self) -> bool {
        self.held.iter().any(|held| held.scope.rules.count_tokens())
    }

    fn count_overrun(&mut self) {
        let overrun = self.used.saturating_sub(self.counted);
        if overrun == 0 || !self.counts_tokens() {
            return;
        }
        self.counted += overrun;
        let mut table = self.inner.table();
        let now = self.inner.now();
        table.count_overrun(&self.held, overrun, now);
        drop(table);
        if let Some(shared) = self.inner.shared() {
            self.keep_unshared(shared.overrun(&self.held, overrun));
        }
    }

    fn keep_unshared(&self, settled: Settled) {
        if let Settled::Alone { beyond } = settled
            && beyond > 0
        {
            self.inner.keep_unshared(self.held.iter().map(|held| (&held.scope.name, beyond)));
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let Some(since_ns) = self.since_ns else {
            // Left while Redis was being asked, or denied.
            self.inner.table().unpin(&self.held);
            if let (Some(shared), Some(_)) = (self.inner.shared(), self.ticket.lease) {
                let _: Settled = shared.settle(&self.held, &self.ticket, 0, 0);
            }
            return;
        };
        self.count_overrun();
        let unused = self.counted.saturating_sub(self.used).min(self.reserved);
        let used = self.reserved - unused;
        let mut table = self.inner.table();
        let lasted_ns = self.inner.now().ns.saturating_sub(since_ns);
        table.end(&self.held, self.reserved, used, false, lasted_ns);
        drop(table);
        if let Some(shared) = self.inner.shared() {
            self.keep_unshared(shared.settle(&self.held, &self.ticket, self.reserved, used));
        }
    }
}
