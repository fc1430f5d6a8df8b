//! One exact sliding window: the moments at which something was granted, and how much.
//!
//! Moments are nanoseconds of the monotonic clock. Each of the first [`EXACT_MAX`] grants in a window has its own moment.
//! Past that, grants are gathered in buckets of a 4,096th of the window that count as granted at the bucket's **end**, which
//! is fixed when the bucket is opened. So a full window never lets more through than its limit, a promise of "after so
//! long" stays true while the bucket fills, and a window of a million requests a day holds at most
//! `EXACT_MAX + BUCKETS + 1` entries; what is given up is that room may come up to a 4,096th of the window late.

use std::collections::VecDeque;

/// Grants that keep their own moment.
pub(crate) const EXACT_MAX: usize = 4_096;
/// Buckets in a window that holds more.
const BUCKETS: u64 = 4_096;
/// Buckets in a window when the entries of all windows together pass their bound.
const BUCKETS_CROWDED: u64 = 64;
/// Most entries that one window ever holds: exact ones, a bucket that begins, and the buckets of a whole window.
pub(crate) const GRANTS_OF_WINDOW_MAX: usize = EXACT_MAX + BUCKETS as usize + 2;
/// An emptied ring larger than this gives its memory back.
const KEPT_CAPACITY: usize = 64;

/// A moment and what was granted then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Grant {
    /// When it counts as granted; the end of its bucket.
    pub(crate) at: u64,
    /// How much.
    pub(crate) amount: u32,
    /// How much of it belongs to requests that still run.
    pub(crate) running: u32,
}

/// Grants in the order of their moments.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Length in nanoseconds, as it was told last.
    per: u64,
    /// Sum of all amounts.
    sum: u64,
    grants: VecDeque<Grant>,
}

impl Window {
    /// A window as it was before a restart; an age that cannot be is no older than a restart's wall clock makes it.
    pub(crate) fn restored(per: u64, grants: Vec<Grant>, now: u64) -> Self {
        // A bucket's end lies ahead by less than the window; what lies further is damage, and must not block for ever.
        let latest = now.saturating_add(per);
        let grants: VecDeque<Grant> =
            grants.into_iter().map(|grant| Grant { at: grant.at.min(latest), ..grant }).collect();
        Self { per, sum: grants.iter().map(|grant| u64::from(grant.amount)).sum(), grants }
    }

    /// Sets the window's length and drops what has left it; gives how many entries went.
    pub(crate) fn prune(&mut self, per: u64, now: u64) -> usize {
        self.per = per;
        let before = self.grants.len();
        while let Some(oldest) = self.grants.front()
            && oldest.at.saturating_add(per) <= now
        {
            self.sum -= u64::from(oldest.amount);
            self.grants.pop_front();
        }
        if self.grants.is_empty() && self.grants.capacity() > KEPT_CAPACITY {
            self.grants = VecDeque::new();
        }
        before - self.grants.len()
    }

    /// Drops what has left the window of the length told last; gives how many entries went.
    pub(crate) fn prune_as_known(&mut self, now: u64) -> usize {
        self.prune(self.per, now)
    }

    /// How much has been granted within the window.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// Length in nanoseconds, as it was told last.
    pub(crate) fn per(&self) -> u64 {
        self.per
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    pub(crate) fn grants(&self) -> impl ExactSizeIterator<Item = Grant> {
        self.grants.iter().copied()
    }

    /// How long until `need` more fit under `most`, when they don't fit now. `need` is at most `most`.
    pub(crate) fn wait(&self, most: u64, need: u64, now: u64) -> Option<u64> {
        let surplus = self.sum.saturating_add(need).checked_sub(most).filter(|surplus| *surplus > 0)?;
        let mut leaving = 0;
        for grant in &self.grants {
            leaving += u64::from(grant.amount);
            if leaving >= surplus {
                return Some(grant.at.saturating_add(self.per).saturating_sub(now));
            }
        }
        unreachable!("the whole window leaves room for what is no larger than its limit")
    }

    /// How long until the window is empty if nothing is granted any more.
    pub(crate) fn reset(&self, now: u64) -> u64 {
        self.grants.back().map_or(0, |last| last.at.saturating_add(self.per).saturating_sub(now))
    }

    /// Grants `amount` at `now`. Gives the moment under which it stands, and whether that is a new entry.
    pub(crate) fn grant(&mut self, amount: u32, running: bool, now: u64, crowded: bool) -> (u64, bool) {
        self.sum += u64::from(amount);
        let running = if running { amount } else { 0 };
        let last_at = self.grants.back().map_or(0, |last| last.at);
        if let Some(last) = self.grants.back_mut()
            && last.at >= now
            && let Some(sum) = last.amount.checked_add(amount)
        {
            last.amount = sum;
            last.running += running;
            return (last.at, false);
        }
        let width = match (crowded, self.grants.len() < EXACT_MAX) {
            (true, _) => self.per / BUCKETS_CROWDED,
            (false, true) => 0,
            (false, false) => self.per / BUCKETS,
        };
        let at = last_at.max(now + width);
        self.grants.push_back(Grant { at, amount, running });
        (at, true)
    }

    /// Puts in something granted in the past; gives whether that is a new entry.
    pub(crate) fn grant_late(&mut self, amount: u32, at: u64, now: u64, crowded: bool) -> bool {
        if self.grants.back().is_none_or(|last| last.at <= at) || self.grants.len() >= EXACT_MAX {
            let full = self.grants.len() >= EXACT_MAX;
            return self.grant(amount, false, if full { now } else { at }, crowded).1;
        }
        self.sum += u64::from(amount);
        let index = self.grants.partition_point(|grant| grant.at < at);
        self.grants.insert(index, Grant { at, amount, running: 0 });
        true
    }

    /// Ends what runs: of the `granted` under `at`, only `used` (no more than `granted`) was needed. What has left the
    /// window meanwhile needs no correction. Gives how many entries went.
    pub(crate) fn settle(&mut self, at: u64, granted: u32, used: u32) -> usize {
        let first = self.grants.partition_point(|grant| grant.at < at);
        let same = self.grants.iter_mut().skip(first).take_while(|grant| grant.at == at);
        for grant in same {
            if grant.running >= granted {
                grant.running -= granted;
                grant.amount -= granted - used;
                self.sum -= u64::from(granted - used);
                break;
            }
        }
        let before = self.grants.len();
        while self.grants.pop_back_if(|last| last.amount == 0).is_some() {}
        before - self.grants.len()
    }
}
