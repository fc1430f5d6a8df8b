//! What is told to Redis without waiting for it: what requests did not need, what they used beyond, that they have ended.

use std::sync::Arc;

use redis::Cmd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::link::{ANSWER_MAX, Connected};
use super::scripts::{DONE, Script};
use super::{Shared, Ticket, per_us};
use crate::table::Held;

/// Settlements sent in one go.
const BATCH: usize = 64;

/// Something to send.
#[derive(Debug)]
pub(super) enum Post {
    Settlement(Box<Settlement>),
    /// Tells when all before it has been sent.
    Flush(oneshot::Sender<()>),
}

/// How a request used its tokens.
#[derive(Debug)]
pub(super) struct Settlement {
    lease: String,
    /// Reserved and not needed.
    unused: u64,
    /// Used beyond what is counted.
    beyond: u64,
    generation: u32,
    scopes: Vec<ScopeSettlement>,
}

#[derive(Debug)]
struct ScopeSettlement {
    name: Arc<str>,
    per_us: u64,
    at: i64,
    budgets: bool,
    periods: [i32; 2],
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    /// It is on its way to Redis.
    Posted,
    /// Redis is away: what was used beyond has to be handed in later.
    Alone {
        /// So many tokens.
        beyond: u64,
    },
}

impl Shared {
    /// Says that a running request has used more than was counted for it.
    pub(crate) fn overrun(&self, held: &[Held], tokens: u64) -> Settled {
        let Some(connected) = self.link.connected() else { return Settled::Alone { beyond: tokens } };
        self.post(Settlement::new(&connected, held, String::new(), 0, tokens))
    }

    /// Says that a request has ended: of the `granted` tokens it used `used`; more has been said before.
    pub(crate) fn settle(&self, held: &[Held], ticket: &Ticket, granted: u64, used: u64) -> Settled {
        if let Some(lease) = ticket.lease {
            self.leases().remove(&lease);
        }
        let Some(connected) = self.link.connected() else {
            let beyond = if ticket.reserved.is_none() { used } else { 0 };
            return Settled::Alone { beyond };
        };
        let reserved = ticket.reserved.as_ref().filter(|(generation, ..)| *generation == connected.generation);
        let (unused, beyond) = if reserved.is_some() { (granted - used, 0) } else { (0, used) };
        if ticket.lease.is_none() && unused == 0 && beyond == 0 {
            return Settled::Posted;
        }
        let mut settlement = Settlement::new(&connected, held, self.lease_name(ticket.lease), unused, beyond);
        if let Some((_, moments, periods)) = reserved {
            settlement.place(moments, *periods);
        }
        self.post(settlement)
    }

    pub(super) fn post(&self, settlement: Settlement) -> Settled {
        let beyond = settlement.beyond;
        match self.posts.try_send(Post::Settlement(Box::new(settlement))) {
            Ok(()) => Settled::Posted,
            Err(_) => Settled::Alone { beyond },
        }
    }

    /// Frees places that were renewed while their request ended.
    pub(super) fn free_again(&self, connected: &Connected, name: &Arc<str>, lease: String) {
        let scope = ScopeSettlement { name: name.clone(), per_us: 0, at: 0, budgets: false, periods: [0; 2] };
        let generation = connected.generation;
        // Sent or not: a place that nobody renews is free by itself, later.
        let _: Settled = self.post(Settlement { lease, unused: 0, beyond: 0, generation, scopes: vec![scope] });
    }

    /// Resolves when all that has been posted so far was sent.
    pub(crate) async fn flush(&self) {
        let (sent, all_sent) = oneshot::channel();
        if self.posts.send(Post::Flush(sent)).await.is_ok() {
            let _: Result<(), oneshot::error::RecvError> = all_sent.await;
        }
    }

    /// The task that sends, until the limits are gone.
    pub(super) async fn send_posts(shared: std::sync::Weak<crate::limits::Inner>, mut posted: mpsc::Receiver<Post>) {
        let mut posts = Vec::with_capacity(BATCH);
        while posted.recv_many(&mut posts, BATCH).await > 0 {
            let Some(inner) = shared.upgrade() else { return };
            let Some(this) = inner.shared() else { return };
            let mut settlements = Vec::with_capacity(posts.len());
            let mut flushed = Vec::new();
            for post in posts.drain(..) {
                match post {
                    Post::Settlement(settlement) => settlements.push(*settlement),
                    Post::Flush(sent) => flushed.push(sent),
                }
            }
            if !settlements.is_empty() && this.send(&settlements).await.is_err() {
                inner.keep_unshared(
                    settlements.iter().flat_map(|post| post.scopes.iter().map(|scope| (&scope.name, post.beyond))),
                );
            }
            for sent in flushed {
                let _: Result<(), ()> = sent.send(());
            }
        }
    }

    async fn send(&self, settlements: &[Settlement]) -> Result<(), super::link::Away> {
        let connected = self.link.connected().ok_or(super::link::Away)?;
        let mut pipe = redis::pipe();
        // What was reserved in another life of the counters went with it.
        for settlement in settlements.iter().filter(|settlement| settlement.generation == connected.generation) {
            pipe.add_command(self.settle_command(&connected, settlement));
        }
        let begun_ns = self.link.clock.now();
        let mut connection = connected.connection();
        let reason = match timeout(ANSWER_MAX, pipe.query_async::<Vec<Vec<i64>>>(&mut connection)).await {
            Ok(Ok(replies)) if replies.iter().all(|reply| reply.first() == Some(&DONE)) => return Ok(()),
            Ok(Ok(_)) => "Redis has forgotten what it counted".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {ANSWER_MAX:?}"),
        };
        self.link.leave(&connected, begun_ns, &reason);
        Err(super::link::Away)
    }

    fn settle_command(&self, connected: &Connected, settlement: &Settlement) -> Cmd {
        let mut command = connected.command(Script::Settle, &self.link.keys, None);
        command.arg(&settlement.lease).arg(settlement.unused).arg(settlement.beyond);
        for scope in &settlement.scopes {
            command.arg(&*scope.name).arg(scope.per_us).arg(scope.at).arg(u8::from(scope.budgets)).arg(&scope.periods);
        }
        command
    }
}

impl Settlement {
    /// How a request used its tokens, of which none were reserved in Redis.
    pub(super) fn new(connected: &Connected, held: &[Held], lease: String, unused: u64, beyond: u64) -> Self {
        let scope = |held: &Held| ScopeSettlement {
            name: held.scope.name.clone(),
            per_us: held.scope.rules.tokens.map_or(0, per_us),
            at: 0,
            budgets: !held.scope.rules.budgets.is_empty(),
            periods: [0; 2],
        };
        let generation = connected.generation;
        Self { lease, unused, beyond, generation, scopes: held.iter().map(scope).collect() }
    }

    /// Says under which moments of its scopes, and in which day and month, the tokens were reserved.
    pub(super) fn place(&mut self, moments: &[i64], periods: [i32; 2]) {
        for (scope, at) in self.scopes.iter_mut().zip(moments) {
            (scope.at, scope.periods) = (*at, periods);
        }
    }
}
