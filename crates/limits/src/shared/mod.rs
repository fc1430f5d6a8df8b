//! Counting together with other nodes, through Redis.
//!
//! While Redis answers, it decides, and each node counts alongside for itself what it has let in. When Redis does not answer
//! within a quarter of a second, the node's own count decides at once and for all requests until Redis is back, which is
//! tried once a second: so N nodes may together let in up to N times a limit while Redis is away. Coming back, a node first
//! hands in what it has counted alone, or everything when Redis has lost its memory; then the limits are exact again.

mod keeper;
mod link;
mod post;
mod scripts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redis::{Client, Cmd};
use tokio::sync::mpsc;

pub(crate) use self::keeper::start;
use self::link::{Link, Reply};
use self::post::Post;
pub(crate) use self::post::Settled;
use self::scripts::Script;
use crate::clock::Clock;
use crate::revocations::Revocations;
use crate::table::Held;
use crate::{Denied, Left, Period, Rate, Rules, Told};

/// How long a place is held for a node that says nothing any more.
const LEASE: Duration = Duration::from_secs(20);
/// Settlements that wait to be sent; when it is full, what a request did not need stays counted in Redis.
const POSTS_MAX: usize = 65_536;
/// Numbers in a reply for each scope.
const PER_SCOPE: usize = 3;

/// Why limits cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// The address of Redis cannot be read.
    #[error("reading the address of the Redis that shares the limits")]
    Address(#[source] redis::RedisError),
    /// The system gives no random bytes.
    #[error("choosing a name for this node")]
    Random(#[source] getrandom::Error),
}

/// Whether limits are counted together with other nodes now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sharing {
    /// They are not meant to be.
    Local,
    /// They are.
    Shared,
    /// They are meant to be, but Redis has not answered since this moment (milliseconds since 1970).
    Away {
        /// Since when this node counts for itself.
        since_ms: i64,
    },
}

/// This node's side of the shared counters.
#[derive(Debug)]
pub(crate) struct Shared {
    link: Link,
    /// Names this node in its leases.
    node: String,
    next_lease: AtomicU64,
    /// The places that are held here, to be renewed.
    leases: Mutex<HashMap<u64, Vec<Arc<str>>>>,
    posts: mpsc::Sender<Post>,
    /// Taken by the task that sends them.
    posted: Mutex<Option<mpsc::Receiver<Post>>>,
    /// The life of the counters that this node's own count belongs to.
    life: Mutex<String>,
    pub(crate) revocations: Revocations,
}

/// What a request holds in Redis.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    /// Its places, when it has any: they are held in every life of the counters.
    pub(crate) lease: Option<u64>,
    /// Moments under which the request counts, by scope, and the life in which it does.
    entered: Option<(u32, Vec<i64>)>,
    /// The same for its tokens, and the numbers of the day and month in which they were reserved.
    reserved: Option<(u32, Vec<i64>, [i32; 2])>,
}

impl Ticket {
    pub(crate) fn new(lease: Option<u64>) -> Self {
        Self { lease, ..Self::default() }
    }
}

impl Shared {
    pub(crate) fn new(url: &str, namespace: &str, clock: Clock, revocations: Revocations) -> Result<Self, SharedError> {
        let client = Client::open(url).map_err(SharedError::Address)?;
        let (posts, posted) = mpsc::channel(POSTS_MAX);
        Ok(Self {
            link: Link::new(client, namespace, clock),
            node: random_word().map_err(SharedError::Random)?,
            next_lease: AtomicU64::new(0),
            leases: Mutex::default(),
            posts,
            posted: Mutex::new(Some(posted)),
            life: Mutex::default(),
            revocations,
        })
    }

    pub(crate) fn sharing(&self) -> Sharing {
        self.link.away_since().map_or(Sharing::Shared, |since| Sharing::Away { since_ms: since.ms })
    }

    /// The life of the counters that this node's own count belongs to.
    pub(crate) fn life(&self) -> String {
        self.life.lock().expect("no panic while the lock is held").clone()
    }

    /// What has been put back until now was counted in this life of the counters.
    pub(crate) fn restored(&self, life: String, now_ns: u64) {
        self.set_life(life);
        self.link.alone_since(now_ns + 1);
    }

    fn set_life(&self, life: String) {
        *self.life.lock().expect("no panic while the lock is held") = life;
    }

    /// A name for the places of a request, where its scopes have places.
    pub(crate) fn lease(&self, held: &[Held]) -> Option<u64> {
        let placed = held.iter().any(|held| held.scope.rules.concurrent.is_some());
        placed.then(|| self.next_lease.fetch_add(1, Ordering::Relaxed))
    }

    /// From now on the places of a request are held: they are renewed until it is settled.
    pub(crate) fn hold(&self, held: &[Held], ticket: &Ticket) {
        if let Some(lease) = ticket.lease {
            let placed = held.iter().filter(|held| held.scope.rules.concurrent.is_some());
            self.leases().insert(lease, placed.map(|held| held.scope.name.clone()).collect());
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<u64, Vec<Arc<str>>>> {
        self.leases.lock().expect("no panic while the lock is held")
    }

    /// Counts a request in Redis. `None` when Redis does not answer: this node has to decide.
    pub(crate) async fn enter(&self, held: &[Held], ticket: &mut Ticket) -> Option<Result<Told, Denied>> {
        let connected = self.link.connected()?;
        let mut command = connected.command(Script::Enter, &self.link.keys, Some(self.link.clock));
        command.arg(self.lease_name(ticket.lease)).arg(LEASE.as_millis() as u64);
        for held in held {
            let rules = &held.scope.rules;
            let places = rules.concurrent.map_or(0, std::num::NonZeroU32::get);
            add_rate(command.arg(&*held.scope.name), rules.requests).arg(places);
            add_budgets(&mut command, rules);
        }
        let reply = match self.link.call(&connected, command).await.ok()? {
            Ok(reply) => reply,
            Err(denied) => return Some(Err(denial(held, &denied, 1))),
        };
        ticket.entered = Some((connected.generation, moments(&reply)));
        let mut told = Told::default();
        for (held, numbers) in held.iter().zip(reply.numbers.chunks_exact(PER_SCOPE)) {
            if let Some(rate) = held.scope.rules.requests {
                told.requests = Some(left(rate, numbers).tighter(told.requests));
            }
        }
        Some(Ok(told))
    }

    /// Reserves tokens in Redis. `None` when Redis does not answer: this node has to decide. Denied, the request is taken back
    /// there.
    pub(crate) async fn reserve(
        &self,
        held: &[Held],
        tokens: u64,
        ticket: &mut Ticket,
    ) -> Option<Result<Option<Left>, Denied>> {
        let connected = self.link.connected()?;
        let mut command = connected.command(Script::Reserve, &self.link.keys, Some(self.link.clock));
        command.arg(self.lease_name(ticket.lease)).arg(tokens);
        let entered = ticket.entered.as_ref().filter(|(generation, _)| *generation == connected.generation);
        for (index, held) in held.iter().enumerate() {
            let at = entered.map_or(0, |(_, moments)| moments[index]);
            add_rate(command.arg(&*held.scope.name), held.scope.rules.tokens);
            add_budgets(&mut command, &held.scope.rules).arg(at);
        }
        let reply = match self.link.call(&connected, command).await.ok()? {
            Ok(reply) => reply,
            Err(denied) => return Some(Err(denial(held, &denied, tokens))),
        };
        let periods = [Period::Day, Period::Month].map(|period| period.number(reply.now_us / 1_000));
        ticket.reserved = Some((connected.generation, moments(&reply), periods));
        let mut told = None;
        for (held, numbers) in held.iter().zip(reply.numbers.chunks_exact(PER_SCOPE)) {
            if let Some(rate) = held.scope.rules.tokens {
                told = Some(left(rate, numbers).tighter(told));
            }
        }
        Some(Ok(told))
    }

    fn lease_name(&self, lease: Option<u64>) -> String {
        lease.map_or_else(String::new, |lease| format!("{}:{lease}", self.node))
    }
}

/// A word that no other node and no other life has.
fn random_word() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}", getrandom::u64()?))
}

/// Adds a limit and its window in µs; zeros for none.
fn add_rate(command: &mut Cmd, rate: Option<Rate>) -> &mut Cmd {
    command.arg(rate.map_or(0, |rate| rate.most.get())).arg(rate.map_or(0, per_us))
}

/// Adds the budgets of a day and a month; −1 for none.
fn add_budgets<'a>(command: &'a mut Cmd, rules: &Rules) -> &'a mut Cmd {
    let smallest = |period| {
        let budgets = rules.budgets.iter().filter(|budget| budget.period == period);
        budgets.map(|budget| i64::try_from(budget.tokens).unwrap_or(i64::MAX)).min().unwrap_or(-1)
    };
    command.arg(smallest(Period::Day)).arg(smallest(Period::Month))
}

/// A window in whole µs, rounded up: never shorter than it should be.
fn per_us(rate: Rate) -> u64 {
    rate.per_ns().div_ceil(1_000)
}

fn moments(reply: &Reply) -> Vec<i64> {
    reply.numbers.chunks_exact(PER_SCOPE).map(|numbers| numbers[0]).collect()
}

fn left(rate: Rate, numbers: &[i64]) -> Left {
    let (sum, reset_us) = (numbers[1] as u64, numbers[2] as u64);
    Left {
        most: rate.most.get(),
        per: rate.per,
        remaining: rate.most.get().saturating_sub(sum),
        reset: Duration::from_micros(reset_us),
    }
}

/// What a script's denial means: why (as the scripts number it), which scope (from one), how long to wait in µs.
fn denial(held: &[Held], reply: &Reply, need: u64) -> Denied {
    let [why, which, wait_us] = *reply.numbers else { unreachable!("a denial has three numbers") };
    let held = &held[which as usize - 1];
    let (rules, scope) = (&held.scope.rules, held.scope.name.clone());
    let retry_after = Duration::from_micros(wait_us.max(0) as u64);
    match (why, rules.requests, rules.tokens, rules.concurrent) {
        (1, Some(rate), ..) => Denied::Requests { scope, most: rate.most.get(), per: rate.per, retry_after },
        (5, _, Some(rate), _) => Denied::Tokens { scope, most: rate.most.get(), per: rate.per, retry_after },
        // How long a place is held is known to the table only; it fills this in.
        (2, .., Some(most)) => Denied::Concurrent { scope, most: most.get(), retry_after: Duration::ZERO },
        (6, _, Some(rate), _) => Denied::TooLarge { scope, most: rate.most.get(), asked: need },
        (3 | 4 | 7 | 8, ..) => {
            let period = if why % 2 == 1 { Period::Day } else { Period::Month };
            let budgets = rules.budgets.iter().filter(|budget| budget.period == period);
            let tokens = budgets.map(|budget| budget.tokens).min().unwrap_or(need);
            if why > 4 {
                return Denied::TooLarge { scope, most: tokens, asked: need };
            }
            Denied::Budget { scope, tokens, period, opens_at_ms: period.next_ms(reply.now_us / 1_000) }
        }
        _ => unreachable!("the scripts know eight reasons, and no rule that was not sent"),
    }
}
