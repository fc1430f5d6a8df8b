//! How much memory processes use, and when that is too much.

use std::collections::{BTreeMap, HashMap, VecDeque};

use procfs::process::{Stat, all_processes};

use crate::pressure::Pressure;

/// Of so many samples, so many must be above the bound: one peak is no trend.
const SAMPLES: usize = 5;
const SAMPLES_ABOVE: usize = 3;

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Used {
    /// Its resident memory with all that it has started, in bytes.
    pub(crate) memory: u64,
    /// How much is waited for memory where it runs, if that is looked at.
    pub(crate) pressure: Option<Pressure>,
}

/// The resident memory of each of these processes with all that they have started, in bytes: those of its group, and whatever
/// else descends from it. Reads `/proc`, so it blocks. One that is gone is left out.
pub(crate) fn used(roots: &BTreeMap<String, i32>) -> BTreeMap<String, u64> {
    let Ok(all) = all_processes() else { return BTreeMap::new() };
    let stats: HashMap<i32, Stat> =
        all.filter_map(|process| process.ok()?.stat().ok()).map(|stat| (stat.pid, stat)).collect();
    let mut used = BTreeMap::new();
    for (name, root) in roots.iter().filter(|(_, root)| stats.contains_key(root)) {
        let pages: u64 = stats.values().filter(|stat| belongs(stat, *root, &stats)).map(|stat| stat.rss).sum();
        used.insert(name.clone(), pages * procfs::page_size());
    }
    used
}

fn belongs(stat: &Stat, root: i32, all: &HashMap<i32, Stat>) -> bool {
    /// Deeper families are taken for foreign ones.
    const GENERATIONS_MAX: usize = 32;
    if stat.pgrp == root {
        return true;
    }
    let mut pid = stat.pid;
    for _ in 0..GENERATIONS_MAX {
        if pid == root {
            return true;
        }
        match all.get(&pid) {
            Some(stat) if stat.ppid > 1 => pid = stat.ppid,
            _ => return false,
        }
    }
    false
}

/// Whether something has been above a bound for some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trend(VecDeque<bool>);

impl Trend {
    /// Takes in a sample; true when so many of the last ones were above that it is no chance, after which it begins anew.
    pub(crate) fn take(&mut self, is_above: bool) -> bool {
        self.0.push_back(is_above);
        if self.0.len() > SAMPLES {
            self.0.pop_front();
        }
        let is_trend = self.0.iter().filter(|above| **above).count() >= SAMPLES_ABOVE;
        if is_trend {
            self.0.clear();
        }
        is_trend
    }

    /// Forgets all samples.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_no_trend() {
        let takes = |samples: &[bool]| {
            let mut trend = Trend::default();
            samples.iter().map(|above| trend.take(*above)).filter(|is_trend| *is_trend).count()
        };
        assert_eq!(takes(&[true, true, false, false, false, false, true, true]), 0);
        assert_eq!(takes(&[true, false, true, false, true]), 1);
        assert_eq!(takes(&[true; 6]), 2);
    }

    #[test]
    fn our_own_memory_is_found() {
        let roots = BTreeMap::from([("us".to_owned(), std::process::id() as i32), ("nobody".to_owned(), i32::MAX)]);
        let used = used(&roots);
        assert_eq!(used.len(), 1);
        assert!(used["us"] > 1 << 20, "{used:?}");
    }
}
