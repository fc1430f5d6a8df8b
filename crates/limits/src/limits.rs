//! The limits of all scopes: made, asked, kept over a restart.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::{Clock, wall_ms};
use crate::shared::{self, Shared, Ticket};
use crate::table::{Now, Table, Unshared};
use crate::{Denied, Entered, Restored, Revocations, Scope, SharedError, Sharing, SnapshotError, snapshot};

/// Scopes that a snapshot takes under one lock.
const SNAPSHOT_SLOTS: usize = 256;

/// Counts requests and tokens by scope. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Limits {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    clock: Clock,
    table: Mutex<Table>,
    shared: Option<Shared>,
    revocations: Revocations,
}

impl Limits {
    /// Limits of this process alone.
    pub fn local() -> Self {
        let inner =
            Inner { clock: Clock::new(), table: Mutex::default(), shared: None, revocations: Revocations::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Limits that all nodes with the same Redis (`redis://` or `rediss://`) and namespace count together. Nothing is sent
    /// before [`Self::connect`].
    pub fn shared(redis_url: &str, namespace: &str) -> Result<Self, SharedError> {
        let (clock, revocations) = (Clock::new(), Revocations::default());
        let shared = Some(Shared::new(redis_url, namespace, clock, revocations.clone())?);
        Ok(Self { inner: Arc::new(Inner { clock, table: Mutex::default(), shared, revocations }) })
    }

    /// Begins to count together with the other nodes, in the background from then on; after [`Self::restore`] and
    /// [`Self::recount`], so that what this node knows is there when Redis has lost its memory. Tries once to reach Redis (a
    /// second at most) and goes on either way. To be called within a tokio runtime.
    pub async fn connect(&self) {
        shared::start(&self.inner).await;
    }

    /// Counts a request in all scopes or in none, and takes its places. To be called before the body is read; nothing is
    /// waited for where limits are local.
    pub async fn enter(&self, scopes: &[Scope]) -> Result<Entered, Denied> {
        match &self.inner.shared {
            None => self.enter_alone(scopes),
            Some(shared) => self.enter_together(shared, scopes).await,
        }
    }

    /// Whether limits are counted together with other nodes now.
    pub fn sharing(&self) -> Sharing {
        self.inner.shared.as_ref().map_or(Sharing::Local, Shared::sharing)
    }

    /// The revoked keys that all nodes tell each other.
    pub fn revocations(&self) -> &Revocations {
        &self.inner.revocations
    }

    /// Resolves when all that has ended so far has been told to the other nodes; for the end of the program.
    pub async fn flush(&self) {
        if let Some(shared) = &self.inner.shared {
            shared.flush().await;
        }
    }

    /// All that counts now, for [`Self::restore`] after a restart. What running requests hold is left out: their own ends
    /// are counted when they come ([`Self::recount`]). It takes as long as
    /// there are scopes: not to be done where requests wait for their turn. They go on meanwhile, and what they use may or
    /// may not be in it.
    pub fn snapshot(&self) -> Vec<u8> {
        let life = self.inner.shared.as_ref().map(Shared::life).unwrap_or_default();
        let mut writer = snapshot::Writer::new(&life, self.inner.now());
        let mut written = 0;
        loop {
            // Locked anew for each part, so that no request waits for all of them.
            let table = self.inner.table();
            let rest = table.slots().get(written..).unwrap_or_default();
            if rest.is_empty() {
                return writer.finish();
            }
            let some = &rest[..rest.len().min(SNAPSHOT_SLOTS)];
            writer.add(some);
            written += some.len();
        }
    }

    /// Puts a snapshot back, at `now_ms` (since 1970) by the wall clock. To be done before the first request: a scope that
    /// counts something already keeps that.
    pub fn restore(&self, bytes: &[u8], now_ms: i64) -> Result<Restored, SnapshotError> {
        let mut table = self.inner.table();
        let now = Now { wall_ms: now_ms, ..self.inner.now() };
        let (restored, life) = snapshot::read(&mut table, bytes, now)?;
        if let Some(shared) = &self.inner.shared {
            shared.restored(life, now.ns);
        }
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

    fn enter_alone(&self, scopes: &[Scope]) -> Result<Entered, Denied> {
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
        Ok(Entered::counted(self.inner.clone(), held, now.ns, told))
    }

    async fn enter_together(&self, shared: &Shared, scopes: &[Scope]) -> Result<Entered, Denied> {
        let held = self.inner.table().pin(scopes, self.inner.now())?;
        if held.is_empty() {
            return self.enter_alone(&[]);
        }
        let ticket = Ticket::new(shared.lease(&held));
        let mut entered = Entered::pinned(self.inner.clone(), held, ticket);
        match shared.enter(&entered.held, &mut entered.ticket).await {
            Some(Ok(told)) => entered.count(told),
            Some(Err(mut denied)) => {
                // Redis has counted nothing, so there is nothing to take back.
                entered.ticket.lease = None;
                if let Denied::Concurrent { scope, most, retry_after } = &mut denied {
                    *retry_after = self.inner.table().place_wait(scope, *most);
                }
                return Err(denied);
            }
            None => entered.check_and_count()?,
        }
        shared.hold(&entered.held, &entered.ticket);
        Ok(entered)
    }
}

impl Inner {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic while the lock is held")
    }

    /// The time by both clocks; asked for under the lock of the table, so that it never goes back there.
    pub(crate) fn now(&self) -> Now {
        Now { ns: self.clock.now(), wall_ms: wall_ms() }
    }

    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.shared.as_ref()
    }

    /// Takes out what other nodes have not been told, and says up to which moment.
    pub(crate) fn take_unshared(&self, from_ns: u64, everything: bool) -> (Vec<Unshared>, u64) {
        let mut table = self.table();
        let now = self.now();
        (table.take_unshared(from_ns, everything, now), now.ns)
    }

    /// The same, and does something in the moment in which nothing is counted.
    pub(crate) fn take_unshared_and(&self, from_ns: u64, then: impl FnOnce()) -> (Vec<Unshared>, u64) {
        let mut table = self.table();
        let now = self.now();
        let unshared = table.take_unshared(from_ns, false, now);
        then();
        (unshared, now.ns)
    }

    pub(crate) fn keep_unshared<'a>(&self, tokens: impl Iterator<Item = (&'a Arc<str>, u64)>) {
        let mut table = self.table();
        for (name, tokens) in tokens {
            table.keep_unshared(name, tokens);
        }
    }
}
