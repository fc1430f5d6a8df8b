//! Counting together with other nodes, through Redis.
//!
//! While Redis answers, it decides, and each node counts alongside for itself what it has let in. When Redis does not answer
//! within a quarter of a second, the node's own count decides at once and for all requests until Redis is back, which is
//! tried once a second: so N nodes may together let in up to N times a limit while Redis is away. Coming back, a node first
//! hands in what it has counted alone, or everything when Redis has lost its memory; then the limits are exact again.

mod asking;
mod hand_in;
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

use self::asking::Asking;
pub(crate) use self::keeper::start;
use self::link::{Connected, Link, Reply};
pub(crate) use self::post::Settled;
use self::post::{Post, Settlement};
use self::scripts::Script;
use crate::clock::Clock;
use crate::limits::Inner;
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
        let begun_ns = self.link.clock.now();
        let answer = self.link.call(&connected, command).await.ok()?;
        let reply = match self.understood(&connected, begun_ns, answer, held, 1)? {
            Ok(reply) => reply,
            Err(denied) => return Some(Err(denied)),
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
        inner: &Arc<Inner>,
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
        let begun_ns = self.link.clock.now();
        let give_back = Settlement::new(&connected, held, String::new(), tokens, 0);
        let answer = Asking::new(inner, connected.clone(), command, give_back).answer().await.ok()?;
        let reply = match self.understood(&connected, begun_ns, answer, held, tokens)? {
            Ok(reply) => reply,
            Err(denied) => return Some(Err(denied)),
        };
        ticket.reserved = Some((connected.generation, moments(&reply), periods(&reply)));
        let mut told = None;
        for (held, numbers) in held.iter().zip(reply.numbers.chunks_exact(PER_SCOPE)) {
            if let Some(rate) = held.scope.rules.tokens {
                told = Some(left(rate, numbers).tighter(told));
            }
        }
        Some(Ok(told))
    }

    /// What Redis has answered; a reply that does not fit the question is none.
    fn understood(
        &self,
        connected: &Arc<Connected>,
        begun_ns: u64,
        answer: Result<Reply, Reply>,
        held: &[Held],
        need: u64,
    ) -> Option<Result<Reply, Denied>> {
        let understood = match answer {
            Ok(reply) => (reply.numbers.len() == held.len() * PER_SCOPE).then_some(Ok(reply)),
            Err(denied) => denial(held, &denied, need).map(Err),
        };
        if understood.is_none() {
            self.link.leave(connected, begun_ns, &"its reply does not fit the question");
        }
        understood
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

/// Numbers of the day and month in which Redis has answered.
fn periods(reply: &Reply) -> [i32; 2] {
    [Period::Day, Period::Month].map(|period| period.number(reply.now_us / 1_000))
}

fn left(rate: Rate, numbers: &[i64]) -> Left {
    let (sum, reset) = (numbers[1].max(0) as u64, wait(numbers[2]));
    Left { most: rate.most.get(), per: rate.per, remaining: rate.most.get().saturating_sub(sum), reset }
}

/// A time to wait, in µs; the scripts know none longer than the longest window.
fn wait(us: i64) -> Duration {
    Duration::from_micros(us.max(0) as u64).min(Rate::PER_MAX)
}

/// What a script's denial means: why (as the scripts number it), which scope (from one), how long to wait in µs. Nothing when
/// it is no denial that the scripts know, or one by a rule that was not sent.
fn denial(held: &[Held], reply: &Reply, need: u64) -> Option<Denied> {
    let [why, which, wait_us] = *reply.numbers else { return None };
    let held = held.get(usize::try_from(which).ok()?.checked_sub(1)?)?;
    let (rules, scope, retry_after) = (&held.scope.rules, held.scope.name.clone(), wait(wait_us));
    let denied = match why {
        1 => {
            let Rate { most, per } = rules.requests?;
            Denied::Requests { scope, most: most.get(), per, retry_after }
        }
        // How long a place is held is known to the table only; it fills this in.
        2 => Denied::Concurrent { scope, most: rules.concurrent?.get(), retry_after: Duration::ZERO },
        5 => {
            let Rate { most, per } = rules.tokens?;
            Denied::Tokens { scope, most: most.get(), per, retry_after }
        }
        6 => Denied::TooLarge { scope, most: rules.tokens?.most.get(), asked: need },
        3 | 4 | 7 | 8 => {
            let period = if why % 2 == 1 { Period::Day } else { Period::Month };
            let budgets = rules.budgets.iter().filter(|budget| budget.period == period);
            let tokens = budgets.map(|budget| budget.tokens).min()?;
            if why > 4 {
                return Some(Denied::TooLarge { scope, most: tokens, asked: need });
            }
            Denied::Budget { scope, tokens, period, opens_at_ms: period.next_ms(reply.now_us / 1_000) }
        }
        _ => return None,
    };
    Some(denied)
}
