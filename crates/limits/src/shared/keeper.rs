//! What is done for the shared counters beside requests: leases renewed, revocations read, and the way back found.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::RedisResult;
use tokio::time::Instant;

use super::hand_in::HandingIn;
use super::link::{ANSWER_MAX, Away, Connected};
use super::scripts::Script;
use super::{LEASE, Shared, random_word};
use crate::limits::Inner;
use crate::revocations::REVOKED_MAX;

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
    let (now, handing_in) = (Instant::now(), HandingIn::default());
    let mut keeper = Keeper { cursor: 0, generation: 0, handing_in, renewed: now, tried: now };
    keeper.connect(inner, shared).await;
    tokio::spawn(Shared::send_posts(Arc::downgrade(inner), posted));
    tokio::spawn(keeper.run(Arc::downgrade(inner)));
}

struct Keeper {
    /// Number of the last revocation read.
    cursor: i64,
    /// Lives of the counters that this node has seen.
    generation: u32,
    handing_in: HandingIn,
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
        // What an attempt before this one could not hand in; then what was counted since, in two rounds: the second, in the
        // same moment in which Redis begins to decide, holds only what was counted during the first.
        self.handing_in.begin(&connected.life, another_life, since.ns);
        self.handing_in.send(shared, &connected).await?;
        self.handing_in.take(|from_ns, everything| inner.take_unshared(from_ns, everything));
        self.handing_in.send(shared, &connected).await?;
        shared.set_life(connected.life.clone());
        let join = || shared.link.join(connected.clone());
        let joined_ns = self.handing_in.take(|from_ns, _| inner.take_unshared_and(from_ns, join));
        if let Err(error) = self.handing_in.send(shared, &connected).await {
            shared.link.leave(&connected, joined_ns, &error);
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
