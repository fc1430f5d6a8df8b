//! The way to Redis: a connection that works, or none and since when.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult};
use tokio::time::timeout;

use super::scripts::{BEGIN, DENIED, DONE, SOURCES, Script};
use crate::clock::{Clock, wall_ms};

/// The longest that anything waits for Redis.
pub(super) const ANSWER_MAX: Duration = Duration::from_millis(250);

/// Redis did not do it: this node counts for itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away;

/// A connection that works.
#[derive(Debug)]
pub(super) struct Connected {
    connection: MultiplexedConnection,
    /// Names of the loaded scripts, in the order of [`Script`].
    shas: [String; SOURCES.len()],
    /// The life of the counters.
    pub(super) life: String,
    /// How many lives this node has seen: what was reserved in an earlier one is gone.
    pub(super) generation: u32,
    /// What has to be added to the monotonic clock to have the time of Redis, in µs; a little less than that.
    offset_us: AtomicI64,
}

impl Connected {
    /// Connects, loads the scripts and finds out which life the counters have.
    pub(super) async fn open(client: &Client, life_key: &str, proposed_life: &str, clock: Clock) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut load = redis::pipe();
        for source in SOURCES {
            load.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        let shas = load.query_async(&mut connection).await?;
        let mut begin = redis::cmd("EVAL");
        begin.arg(BEGIN).arg(1).arg(life_key).arg(proposed_life);
        let life = begin.query_async(&mut connection).await?;
        let opened = Self { connection, shas, life, generation: 0, offset_us: AtomicI64::new(0) };
        opened.look(life_key, clock).await?;
        Ok(opened)
    }

    /// Learns what time it is in Redis (the clocks of two machines drift apart), and whether the counters still have the life
    /// they had.
    pub(super) async fn look(&self, life_key: &str, clock: Clock) -> RedisResult<bool> {
        let mut look = redis::pipe();
        look.cmd("TIME").cmd("GET").arg(life_key);
        let ((seconds, micros), life): ((i64, i64), Option<String>) =
            look.query_async(&mut self.connection.clone()).await?;
        let here_us = (clock.now() / 1_000) as i64;
        let there_us = seconds.saturating_mul(1_000_000).saturating_add(micros);
        self.offset_us.store(there_us.saturating_sub(here_us), Ordering::Relaxed);
        Ok(life.as_ref() == Some(&self.life))
    }

    /// A call of a script; its arguments from the fourth on are added by the caller. With `clock`, Redis does nothing when it
    /// comes to it after this side has given up.
    pub(super) fn command(&self, script: Script, keys: &Keys, clock: Option<Clock>) -> Cmd {
        let deadline = clock.map_or(i64::MAX / 2, |clock| {
            let deadline_us = (clock.now() / 1_000) as i64 + ANSWER_MAX.as_micros() as i64;
            deadline_us.saturating_add(self.offset_us.load(Ordering::Relaxed))
        });
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.shas[script as usize]).arg(1).arg(&keys.life).arg(&self.life).arg(deadline).arg(&keys.prefix);
        command
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

/// Names of the keys in Redis.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) prefix: String,
    pub(super) life: String,
}

impl Keys {
    /// All keys of a namespace share a hash tag, so that a cluster keeps them on one node.
    pub(super) fn new(namespace: &str) -> Self {
        let prefix = format!("{{{namespace}}}:");
        Self { life: format!("{prefix}life"), prefix }
    }
}

/// Whether there is a connection that works, and what to know until there is again.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connected: Option<Arc<Connected>>,
    since: Since,
}

/// When this node began to count for itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// By the monotonic clock.
    pub(super) ns: u64,
    /// Since 1970.
    pub(super) ms: i64,
}

impl Link {
    pub(super) fn new(client: Client, namespace: &str, clock: Clock) -> Self {
        let since = Since { ns: clock.now(), ms: wall_ms() };
        Self { client, keys: Keys::new(namespace), clock, state: Mutex::new(State { connected: None, since }) }
    }

    pub(super) fn connected(&self) -> Option<Arc<Connected>> {
        self.state().connected.clone()
    }

    /// Since when this node counts for itself; `None` when it does not.
    pub(super) fn away_since(&self) -> Option<Since> {
        let state = self.state();
        state.connected.is_none().then_some(state.since)
    }

    /// What this node has counted until now is known in Redis, if that still has the life it had.
    pub(super) fn alone_since(&self, ns: u64) {
        self.state().since = Since { ns, ms: wall_ms() };
    }

    pub(super) fn join(&self, connected: Arc<Connected>) {
        self.state().connected = Some(connected);
    }

    /// Gives a connection up, unless another has taken its place. What was counted since `begun_ns` may not have arrived.
    pub(super) fn leave(&self, gone: &Arc<Connected>, begun_ns: u64, reason: &dyn std::fmt::Display) {
        let mut state = self.state();
        if state.connected.as_ref().is_some_and(|connected| Arc::ptr_eq(connected, gone)) {
            state.connected = None;
            state.since = Since { ns: begun_ns, ms: wall_ms() };
            tracing::warn!(%reason, "shared limits: Redis does not answer, counting alone until it does");
        }
    }

    /// Sends one call and reads its reply, the leading code aside; in the inner result what a denial says.
    pub(super) async fn call(&self, to: &Arc<Connected>, command: Cmd) -> Result<Result<Reply, Reply>, Away> {
        let begun_ns = self.clock.now();
        let mut connection = to.connection();
        let answer = timeout(ANSWER_MAX, command.query_async::<Vec<i64>>(&mut connection)).await;
        let reason = match answer {
            Ok(Ok(reply)) => match reply.split_first_chunk() {
                Some(([DONE, now_us], rest)) => return Ok(Ok(Reply { now_us: *now_us, numbers: rest.to_vec() })),
                Some(([DENIED, now_us], rest)) => return Ok(Err(Reply { now_us: *now_us, numbers: rest.to_vec() })),
                _ => "it was too late, or Redis has forgotten what it counted".to_owned(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ANSWER_MAX:?}"),
        };
        self.leave(to, begun_ns, &reason);
        Err(Away)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

/// What a script says.
#[derive(Debug)]
pub(super) struct Reply {
    /// The time in Redis, µs since 1970.
    pub(super) now_us: i64,
    pub(super) numbers: Vec<i64>,
}
