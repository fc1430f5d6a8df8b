//! When each probe runs. Pure: times are milliseconds of whatever clock the caller has.
//!
//! Each probe has a grid of times of its own, one every so often, and runs at a random moment of the first tenth behind each:
//! many houses that were started together do not ask all at once. A time that has passed while a run went on, or while the
//! machine slept, is left out.

/// A run begins within this part of its time behind the grid.
const JITTER_SHARE: u64 = 10;
/// The first run comes within this time, or within the probe's own if that is shorter: not in the middle of the start.
const FIRST_WITHIN_MS: u64 = 60_000;

/// Gives random numbers below a bound; a test gives its own.
pub trait Dice {
    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: u64) -> u64;
}

/// When each probe runs, and which are running.
#[derive(Debug)]
pub struct Schedule<D> {
    slots: Vec<Slot>,
    dice: D,
    running_max: usize,
    /// Of those that ask models, one at a time.
    asking_max: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    every_ms: u64,
    asks_models: bool,
    /// The grid's time behind which `next_ms` lies.
    grid_ms: u64,
    next_ms: u64,
    is_running: bool,
    /// It is to run as soon as it can, whatever the grid says.
    is_wanted: bool,
}

impl<D: Dice> Schedule<D> {
    /// An empty schedule in which so many may run at once, and one that asks models.
    pub fn new(dice: D, running_max: usize) -> Self {
        Self { slots: Vec::new(), dice, running_max, asking_max: 1 }
    }

    /// Adds a probe, which gets the next number.
    pub fn add(&mut self, now_ms: u64, every_ms: u64, asks_models: bool) {
        let every_ms = every_ms.max(1);
        let first = every_ms.min(FIRST_WITHIN_MS);
        let next_ms = now_ms + first / 2 + self.dice.below((first / 2).max(1));
        self.slots.push(Slot { every_ms, asks_models, grid_ms: next_ms, next_ms, is_running: false, is_wanted: false });
    }

    /// Those that begin now, noted as running: never one that runs already.
    pub fn begin(&mut self, now_ms: u64) -> Vec<usize> {
        let mut due: Vec<usize> = (0..self.slots.len()).filter(|at| self.slots[*at].is_due(now_ms)).collect();
        // Who was asked for, and then who has waited longest.
        due.sort_by_key(|at| (!self.slots[*at].is_wanted, self.slots[*at].next_ms));
        let mut running = self.slots.iter().filter(|slot| slot.is_running).count();
        let mut asking = self.slots.iter().filter(|slot| slot.is_running && slot.asks_models).count();
        let mut begun = Vec::new();
        for at in due {
            let asks = usize::from(self.slots[at].asks_models);
            if running >= self.running_max || asking + asks > self.asking_max {
                continue;
            }
            (running, asking) = (running + 1, asking + asks);
            self.slots[at].is_running = true;
            self.slots[at].is_wanted = false;
            begun.push(at);
        }
        begun
    }

    /// A run is over; the next one is at the first time of the grid that is still to come.
    pub fn ended(&mut self, at: usize, now_ms: u64) {
        let jitter = self.slots.get(at).map(|slot| (slot.every_ms / JITTER_SHARE).max(1));
        let Some(jitter) = jitter else { return };
        let late = self.dice.below(jitter);
        let slot = &mut self.slots[at];
        slot.is_running = false;
        let behind = now_ms.saturating_sub(slot.grid_ms);
        slot.grid_ms += slot.every_ms * (behind / slot.every_ms + 1);
        slot.next_ms = slot.grid_ms + late;
    }

    /// Lets it run as soon as it can; one that runs already is left alone.
    pub fn want(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.is_wanted = !slot.is_running;
        }
    }

    /// When something is due that does not run; a time that is past where it only waits for others to end.
    pub fn next_ms(&self) -> Option<u64> {
        self.slots
            .iter()
            .filter(|slot| !slot.is_running)
            .map(|slot| if slot.is_wanted { 0 } else { slot.next_ms })
            .min()
    }

    /// When something becomes due after `now_ms`; what is due already and does not run only waits for others to end.
    pub fn next_after(&self, now_ms: u64) -> Option<u64> {
        let waits = self.slots.iter().filter(|slot| !slot.is_running && !slot.is_wanted);
        waits.map(|slot| slot.next_ms).filter(|next| *next > now_ms).min()
    }

    /// When this one is due; `None` while it runs.
    pub fn next_of(&self, at: usize) -> Option<u64> {
        self.slots.get(at).filter(|slot| !slot.is_running).map(|slot| slot.next_ms)
    }
}

impl Slot {
    fn is_due(&self, now_ms: u64) -> bool {
        !self.is_running && (self.is_wanted || self.next_ms <= now_ms)
    }
}

/// Numbers that nobody foresees, of a small generator (`SplitMix64`) that the system's randomness begins.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins anywhere.
    pub fn new() -> Self {
        Self(getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15))
    }

    /// Begins where the seed says, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl Dice for Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a schedule in simulated time: `(begin, end, probe)` of each run.
    fn simulate(
        seed: u64,
        probes: &[(u64, bool)],
        takes: impl Fn(usize) -> u64,
        until_ms: u64,
    ) -> Vec<(u64, u64, usize)> {
        let mut schedule = Schedule::new(Random::seeded(seed), 3);
        for (every, asks) in probes {
            schedule.add(0, *every, *asks);
        }
        let (mut now, mut running, mut runs) = (0, Vec::<(u64, u64, usize)>::new(), Vec::new());
        while now <= until_ms {
            for at in schedule.begin(now) {
                running.push((now, now + takes(at), at));
            }
            let ends = running.iter().map(|run| run.1).min();
            let next = schedule.next_ms().filter(|next| *next > now);
            now = ends.into_iter().chain(next).min().unwrap_or(u64::MAX).max(now + 1);
            let (ended, rest): (Vec<_>, Vec<_>) = running.into_iter().partition(|run| run.1 <= now);
            running = rest;
            for run in ended {
                schedule.ended(run.2, now);
                runs.push(run);
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn nothing_runs_twice_at_once_and_bounds_hold(seed in any::<u64>(), takes in 1u64..40_000) {
            let probes = [(1_000, false), (5_000, true), (7_000, true), (60_000, false), (3_000, false)];
            let runs = simulate(seed, &probes, |_| takes, 600_000);
            for (begin, _, probe) in &runs {
                let at_once: Vec<usize> =
                    runs.iter().filter(|(b, e, _)| b <= begin && begin < e).map(|run| run.2).collect();
                prop_assert!(at_once.len() <= 3);
                prop_assert_eq!(at_once.iter().filter(|other| *other == probe).count(), 1);
                prop_assert!(at_once.iter().filter(|at| probes[**at].1).count() <= 1);
            }
        }

        #[test]
        fn missed_times_are_left_out(seed in any::<u64>(), slept in 1u64..1_000_000) {
            let mut schedule = Schedule::new(Random::seeded(seed), 3);
            schedule.add(0, 10_000, false);
            let first = schedule.next_ms().unwrap();
            prop_assert!((5_000..10_000).contains(&first));
            prop_assert_eq!(schedule.begin(first), vec![0]);
            // The machine sleeps; many times of the grid pass.
            let end = first + slept;
            schedule.ended(0, end);
            let next = schedule.next_ms().unwrap();
            prop_assert!(next > end.saturating_sub(1) && next <= end + 10_000 + 1_000, "{next} after {end}");
            prop_assert_eq!(schedule.begin(next), vec![0]);
            schedule.ended(0, next + 1);
            prop_assert!(schedule.next_ms().unwrap() > next + 1);
        }
    }

    #[test]
    fn a_day_has_as_many_runs_as_it_should() {
        let runs = simulate(7, &[(900_000, false), (3_600_000, true)], |_| 5_000, 86_400_000);
        let of = |probe| runs.iter().filter(|run| run.2 == probe).count();
        assert!((95..=97).contains(&of(0)), "{}", of(0));
        assert!((23..=25).contains(&of(1)), "{}", of(1));
        let begins: Vec<u64> = runs.iter().filter(|run| run.2 == 0).map(|run| run.0).collect();
        let gaps: Vec<u64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (800_000..=1_000_000).contains(gap)), "{gaps:?}");
        assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
    }

    #[test]
    fn what_is_asked_for_runs_at_once_and_once() {
        let mut schedule = Schedule::new(Random::seeded(1), 3);
        schedule.add(0, 900_000, false);
        schedule.want(0);
        assert_eq!(schedule.next_ms(), Some(0));
        assert_eq!(schedule.begin(1), [0]);
        schedule.want(0);
        assert!(schedule.begin(1).is_empty());
        schedule.ended(0, 2);
        assert!(schedule.begin(3).is_empty());
    }
}
