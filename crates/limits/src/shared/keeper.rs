//! What is done for the shared counters beside requests: leases renewed, revocations read, and the way back found.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::RedisResult;
use tokio::time::Instant;

use super::link::{ANSWER_MAX, Away, Connected};
use super::scripts::Script;
use super::{LEASE, Shared, random_word};
use crate::limits::Inner;
use crate::revocations::REVOKED_MAX;
use crate::table::Unshared;

/// Between two looks at what other nodes have revoked.
const LOOK: Duration = Duration::from_millis(400);
/// Between two attempts to reach Redis.
const RETRY: Duration = Duration::from_secs(1);
/// Leases renewed in one call.
const RENEWED_AT_ONCE: usize = 512;
/// Revoked keys read in one call.
const REVOKED_AT_ONCE: usize = 1_000;

/// Connects once, then keeps the shared counters in the background, until the limits are gone.
pub(crate) async fn start(inner: &Arc<Inner>) {
    let Some(shared) = inner.shared() else { return };
    let Some(posted) = shared.posted.lock().expect("no panic while the lock is held").take() else { return };
    let mut keeper = Keeper { cursor: 0, generation: 0, renewed: Instant::now(), tried: Instant::now() };
    keeper.connect(inner, shared).await;
    tokio::spawn(Shared::send_posts(Arc::downgrade(inner), posted));
    tokio::spawn(keeper.run(Arc::downgrade(inner)));
}

struct Keeper {
    /// Number of the last revocation read.
    cursor: i64,
    /// Lives of the counters that this node has seen.
    generation: u32,
    renewed: Instant,
    tried: Instant,
}

impl Keeper {
    async fn run(mut self, inner: Weak<Inner>) {
        loop {
            let revocations = {
                let Some(inner) = inner.upgrade() else { return };
                let Some(shared) = inner.shared() else { return };
                self.look(&inner, shared).await;
                shared.revocations.clone()
            };
            // The limits are not held while waiting: they may go meanwhile.
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = revocations.wants_publishing() => {}
            }
        }
    }

    async fn look(&mut self, inner: &Arc<Inner>, shared: &Shared) {
        let Some(connected) = shared.link.connected() else {
            if self.tried.elapsed() >= RETRY {
                self.connect(inner, shared).await;
            }
            return;
        };
        let begun_ns = shared.link.clock.now();
        match connected.look(&shared.link.keys.life, shared.link.clock).await {
            Ok(true) => {}
            Ok(false) => return shared.link.leave(&connected, begun_ns, &"it has forgotten what it counted"),
            Err(error) => return shared.link.leave(&connected, begun_ns, &error),
        }
        let _: Result<(), Away> = self.tend(shared, &connected).await;
    }

    async fn tend(&mut self, shared: &Shared, connected: &Arc<Connected>) -> Result<(), Away> {
        self.exchange_revocations(shared, connected).await?;
        if self.renewed.elapsed() >= LEASE / 4 {
            self.renew(shared, connected).await?;
        }
        Ok(())
    }

    /// Reaches Redis, hands in what was counted alone, and shares from then on.
    async fn connect(&mut self, inner: &Arc<Inner>, shared: &Shared) {
        self.tried = Instant::now();
        let Ok(new_life) = random_word() else { return };
        let opened = Connected::open(&shared.link.client, &shared.link.keys.life, &new_life, shared.link.clock);
        let joined = match tokio::time::timeout(ANSWER_MAX * 4, opened).await {
            Ok(Ok(connected)) => self.join(inner, shared, connected).await,
            Ok(Err(error)) => Err(error),
            Err(_) => return,
        };
        if let Err(error) = joined {
            tracing::debug!(%error, "shared limits: reaching Redis");
        }
    }

    async fn join(&mut self, inner: &Arc<Inner>, shared: &Shared, mut connected: Connected) -> RedisResult<()> {
        let Some(since) = shared.link.away_since() else { return Ok(()) };
        let another_life = connected.life != shared.life();
        if another_life {
            self.generation += 1;
            self.cursor = 0;
            shared.revocations.publish_all_again();
        }
        connected.generation = self.generation;
        let connected = Arc::new(connected);
        // In two rounds: the second, in the same moment in which Redis begins to decide, holds only what was counted during
        // the first.
        let from_ns = if another_life { 0 } else { since.ns };
        let (first, upto_ns) = inner.take_unshared(from_ns, another_life);
        hand_in(inner, shared, &connected, first).await?;
        shared.set_life(connected.life.clone());
        let second = inner.take_unshared_and(upto_ns, || shared.link.join(connected.clone()));
        if let Err(error) = hand_in(inner, shared, &connected, second).await {
            shared.link.leave(&connected, upto_ns, &error);
            return Err(error);
        }
        tracing::info!("shared limits: counting together through Redis");
        let tended = self.renew(shared, &connected).await.and(self.exchange_revocations(shared, &connected).await);
        let _: Result<(), Away> = tended;
        Ok(())
    }

    async fn renew(&mut self, shared: &Shared, connected: &Arc<Connected>) -> Result<(), Away> {
        self.renewed = Instant::now();
        let leases: Vec<(Arc<str>, u64)> = {
            let leases = shared.leases();
            leases.iter().flat_map(|(lease, names)| names.iter().map(|name| (name.clone(), *lease))).collect()
        };
        for some in leases.chunks(RENEWED_AT_ONCE) {
            let mut command = connected.command(Script::Renew, &shared.link.keys, Some(shared.link.clock));
            command.arg(LEASE.as_millis() as u64);
            for (name, lease) in some {
                command.arg(&**name).arg(shared.lease_name(Some(*lease)));
            }
            shared.link.call(connected, command).await?.ok();
            for (name, lease) in some {
                let ended = !shared.leases().contains_key(lease);
                if ended {
                    shared.free_again(connected, name, shared.lease_name(Some(*lease)));
                }
            }
        }
        Ok(())
    }

    async fn exchange_revocations(&mut self, shared: &Shared, connected: &Arc<Connected>) -> Result<(), Away> {
        let mine = shared.revocations.unpublished();
        for some in mine.chunks(REVOKED_AT_ONCE) {
            let mut command = connected.command(Script::Revoke, &shared.link.keys, None);
            command.arg(REVOKED_MAX).arg(some);
            shared.link.call(connected, command).await?.ok();
            shared.revocations.published(some);
        }
        let begun_ns = shared.link.clock.now();
        loop {
            let read = read_revocations(shared, connected, self.cursor).await;
            let (ids, last) = read.map_err(|error| {
                shared.link.leave(connected, begun_ns, &error);
                Away
            })?;
            let count = ids.len();
            shared.revocations.learn(ids);
            self.cursor = last;
            if count < REVOKED_AT_ONCE {
                return Ok(());
            }
        }
    }
}

async fn read_revocations(shared: &Shared, connected: &Connected, cursor: i64) -> RedisResult<(Vec<String>, i64)> {
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(format!("{}revoked", shared.link.keys.prefix)).arg(format!("({cursor}")).arg("+inf").arg("WITHSCORES");
    command.arg("LIMIT").arg(0).arg(REVOKED_AT_ONCE);
    let found: Vec<(String, i64)> = command.query_async(&mut connected.connection()).await?;
    let last = found.last().map_or(cursor, |(_, number)| *number);
    Ok((found.into_iter().map(|(id, _)| id).collect(), last))
}

/// Hands in, scope by scope. What cannot be handed in is kept for the next time.
async fn hand_in(inner: &Inner, shared: &Shared, connected: &Connected, mut all: Vec<Unshared>) -> RedisResult<()> {
    while let Some(unshared) = all.last() {
        let now_ns = shared.link.clock.now();
        let mut command = connected.command(Script::HandIn, &shared.link.keys, None);
        command.arg(&*unshared.name).arg(unshared.day).arg(unshared.month);
        for (per_ns, grants) in [&unshared.requests, &unshared.tokens] {
            command.arg(per_ns.div_ceil(1_000)).arg(grants.len());
            for (at, amount) in grants {
                command.arg((now_ns as i64 - *at as i64) / 1_000).arg(*amount);
            }
        }
        let sent: RedisResult<Vec<i64>> = command.query_async(&mut connected.connection()).await;
        if let Err(error) = sent {
            inner.keep_unshared(all.iter().map(|unshared| (&unshared.name, unshared.alone)));
            return Err(error);
        }
        all.pop();
    }
    Ok(())
}
