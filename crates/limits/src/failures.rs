//! Wrong keys: how many a client's address may try.
//!
//! An address bucket (`bucket` of `access`: an IPv4 address, an IPv6 `/64`) has ten wrong keys in any minute; then it waits
//! until the oldest is a minute old, loopback like everybody. A guess is therefore slow wherever it comes from, and a right
//! key in between does not make it faster. All buckets together have a thousand wrong keys a minute. When those are used up,
//! a bucket with one wrong key in the last minute waits already; one without is still let through, so that an attack from
//! many addresses locks nobody out who has the right key.
//!
//! The same wrong key again is no further guess: a program with an old key, or one that tries a new key a moment before it
//! is in force, does not lock out its whole address.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::Clock;
use crate::window::Window;

/// Wrong keys of one address bucket in [`PER`].
const BUCKET_MOST: u64 = 10;
/// Wrong keys of all together in [`PER`].
const ALL_MOST: u64 = 1_000;
/// The window.
const PER: Duration = Duration::from_secs(60);
/// Address buckets remembered; past it the one that began first is forgotten.
const BUCKETS_MAX: usize = 65_536;
/// Buckets looked at, and forgotten when their minute is over, whenever one is added.
const SWEEP: usize = 4;

/// Counts wrong keys by address bucket; clones count together.
#[derive(Clone, Debug)]
pub struct Failures {
    clock: Clock,
    /// Keyed at random, so that nobody can make two guesses look alike.
    hasher: RandomState,
    recent: Arc<Mutex<Recent>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self::new()
    }
}

impl Failures {
    /// No wrong keys yet.
    pub fn new() -> Self {
        Self { clock: Clock::new(), hasher: RandomState::new(), recent: Arc::default() }
    }

    /// Whether this address may try a key now; else how long it has to wait. To be asked before the key is looked at, so that
    /// the answer tells nothing about it.
    pub fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let (mut recent, now) = self.recent();
        recent.check(bucket(address), now)
    }

    /// Counts a wrong key, unless it is one of the address's last ones.
    pub fn failed(&self, address: IpAddr, secret: &str) {
        let guess = self.hasher.hash_one(secret);
        let (mut recent, now) = self.recent();
        recent.count(bucket(address), guess, now);
    }

    fn recent(&self) -> (MutexGuard<'_, Recent>, u64) {
        let recent = self.recent.lock().expect("no panic while the lock is held");
        (recent, self.clock.now())
    }
}

/// An IPv4 address, or the network part of an IPv6 address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Bucket {
    V4(u32),
    V6(u64),
}

fn bucket(address: IpAddr) -> Bucket {
    match address.to_canonical() {
        IpAddr::V4(address) => Bucket::V4(address.to_bits()),
        IpAddr::V6(address) => Bucket::V6((address.to_bits() >> 64) as u64),
    }
}

/// What came from one bucket.
#[derive(Debug, Default)]
struct Guesses {
    window: Window,
    /// Hashes of the last wrong keys, the newest last; at most [`BUCKET_MOST`].
    last: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct Recent {
    all: Window,
    buckets: HashMap<Bucket, Guesses>,
    /// The buckets in the order in which they were added.
    order: VecDeque<Bucket>,
}

impl Recent {
    fn check(&mut self, bucket: Bucket, now: u64) -> Result<(), Duration> {
        let Some(Guesses { window, .. }) = self.buckets.get_mut(&bucket) else { return Ok(()) };
        window.prune(PER_NS, now);
        if let Some(wait) = window.wait(BUCKET_MOST, 1, now) {
            return Err(Duration::from_nanos(wait));
        }
        self.all.prune(PER_NS, now);
        if self.all.wait(ALL_MOST, 1, now).is_some() && !window.is_empty() {
            return Err(Duration::from_nanos(window.reset(now)));
        }
        Ok(())
    }

    fn count(&mut self, bucket: Bucket, guess: u64, now: u64) {
        if self.buckets.get(&bucket).is_some_and(|guesses| guesses.last.contains(&guess)) {
            return;
        }
        self.all.prune(PER_NS, now);
        self.all.grant(1, false, now, false);
        if !self.buckets.contains_key(&bucket) {
            self.make_room(now);
            self.order.push_back(bucket);
        }
        let Guesses { window, last } = self.buckets.entry(bucket).or_default();
        if last.len() as u64 == BUCKET_MOST {
            last.pop_front();
        }
        last.push_back(guess);
        window.prune(PER_NS, now);
        window.grant(1, false, now, false);
    }

    fn make_room(&mut self, now: u64) {
        for _ in 0..SWEEP {
            let Some(oldest) = self.order.front() else { return };
            let Guesses { window, .. } = self.buckets.get_mut(oldest).expect("what is in the order is in the map");
            window.prune(PER_NS, now);
            if !window.is_empty() && self.order.len() < BUCKETS_MAX {
                return;
            }
            self.buckets.remove(oldest);
            self.order.pop_front();
        }
    }
}

const PER_NS: u64 = PER.as_nanos() as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_eleventh_wrong_key_of_a_minute_waits_until_the_first_is_a_minute_old() {
        let failures = Failures::new();
        let loopback = address("127.0.0.1");
        failures.failed(loopback, "first");
        tokio::time::advance(Duration::from_secs(10)).await;
        for guess in 0..9 {
            assert_eq!(failures.check(loopback), Ok(()));
            failures.failed(loopback, &guess.to_string());
        }
        assert_eq!(failures.check(loopback), Err(Duration::from_secs(50)));
        assert_eq!(failures.check(address("127.0.0.2")), Ok(()), "others are not touched");
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(failures.check(loopback), Ok(()));
        failures.failed(loopback, "last");
        assert_eq!(failures.check(loopback), Err(Duration::from_secs(10)), "the other nine are still there");
    }

    #[test]
    fn one_ipv6_network_and_one_mapped_address_are_one_bucket() {
        let failures = Failures::new();
        for host in 0..10 {
            let guess = host.to_string();
            failures.failed(address(&format!("2001:db8:1:2::{host:x}")), &guess);
            failures.failed(address(if host % 2 == 0 { "::ffff:1.2.3.4" } else { "1.2.3.4" }), &guess);
        }
        assert!(failures.check(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(failures.check(address("1.2.3.4")).is_err());
        assert!(failures.check(address("2001:db8:1:3::1")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attack_from_many_addresses_has_one_guess_each_and_locks_nobody_out() {
        let failures = Failures::new();
        for host in 0..500_u32 {
            failures.failed(IpAddr::from(host.to_be_bytes()), "a");
            failures.failed(IpAddr::from(host.to_be_bytes()), "b");
        }
        assert_eq!(failures.check(IpAddr::from(7_u32.to_be_bytes())), Err(PER));
        assert_eq!(failures.check(address("9.9.9.9")), Ok(()));
        tokio::time::advance(PER).await;
        assert_eq!(failures.check(IpAddr::from(7_u32.to_be_bytes())), Ok(()));
    }

    #[test]
    fn the_same_wrong_key_again_is_no_further_guess() {
        let failures = Failures::new();
        for _ in 0..1_000 {
            failures.failed(address("1.2.3.4"), "an old key");
        }
        assert_eq!(failures.check(address("1.2.3.4")), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_buckets_are_remembered_than_the_bound() {
        let failures = Failures::new();
        for host in 0..70_000_u32 {
            failures.failed(IpAddr::from(host.to_be_bytes()), "a");
        }
        assert_eq!(failures.recent().0.buckets.len(), BUCKETS_MAX);
        tokio::time::advance(PER).await;
        for host in 0..20_000_u32 {
            failures.failed(IpAddr::from(host.to_be_bytes()), "a");
        }
        let (recent, _) = failures.recent();
        assert!(recent.buckets.len() <= 20_000, "those whose minute is over are forgotten");
        assert_eq!(recent.buckets.len(), recent.order.len());
    }
}
