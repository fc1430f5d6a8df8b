//! What this node has counted for itself, handed in to Redis once, whatever fails on the way.

use std::collections::VecDeque;

use redis::{Cmd, ErrorKind, RedisResult};

use super::Shared;
use super::link::Connected;
use super::scripts::{DONE, Script};
use crate::table::Unshared;

/// What is to be handed in, scope by scope. It outlives an attempt that fails half-way: what has arrived does not come
/// again, and what may have arrived comes again under the number it had, by which Redis knows it.
#[derive(Debug, Default)]
pub(super) struct HandingIn {
    /// The life of the counters that it is for.
    life: String,
    /// Taken out of the table and not known to have arrived. One take at most: the next is made when this has arrived.
    unsent: VecDeque<Unshared>,
    /// Scopes handed in: the first that is unsent has the next number.
    number: u64,
    /// What was counted before this moment has been taken, or is known in Redis.
    upto_ns: u64,
    /// Nothing is known in Redis: the next take is of all that counts.
    everything: bool,
}

impl HandingIn {
    /// Begins in this life of the counters, which may be another one than was known, or goes on in it. What was counted before
    /// `since_ns` is known there, if it is not another life.
    pub(super) fn begin(&mut self, life: &str, another_life: bool, since_ns: u64) {
        if self.life == life {
            self.upto_ns = self.upto_ns.max(since_ns);
            return;
        }
        let upto_ns = if another_life { 0 } else { since_ns };
        let (number, unsent) = (self.number + 1, VecDeque::new());
        *self = Self { life: life.to_owned(), unsent, number, upto_ns, everything: another_life };
    }

    /// Takes what has been counted since the last time, by `take`, which is told from when on and whether everything. Gives the
    /// moment up to which that was.
    pub(super) fn take(&mut self, take: impl FnOnce(u64, bool) -> (Vec<Unshared>, u64)) -> u64 {
        let (taken, upto_ns) = take(self.upto_ns, self.everything);
        self.unsent.extend(taken);
        (self.upto_ns, self.everything) = (upto_ns, false);
        upto_ns
    }

    /// Hands in what has been taken.
    pub(super) async fn send(&mut self, shared: &Shared, connected: &Connected) -> RedisResult<()> {
        while let Some(unshared) = self.unsent.front() {
            let command = command(shared, connected, self.number + 1, unshared);
            let reply: Vec<i64> = command.query_async(&mut connected.connection()).await?;
            if reply.first() != Some(&DONE) {
                return Err((ErrorKind::UnexpectedReturnType, "it has forgotten what it counted").into());
            }
            self.number += 1;
            self.unsent.pop_front();
        }
        Ok(())
    }
}

fn command(shared: &Shared, connected: &Connected, number: u64, unshared: &Unshared) -> Cmd {
    let now_ns = shared.link.clock.now();
    let mut command = connected.command(Script::HandIn, &shared.link.keys, None);
    command.arg(&shared.node).arg(number).arg(&*unshared.name).arg(unshared.day).arg(unshared.month);
    for (per_ns, grants) in [&unshared.requests, &unshared.tokens] {
        command.arg(per_ns.div_ceil(1_000)).arg(grants.len());
        for (at, amount) in grants {
            command.arg((now_ns as i64 - *at as i64) / 1_000).arg(*amount);
        }
    }
    command
}
