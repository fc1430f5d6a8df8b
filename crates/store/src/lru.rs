//! What is remembered under keys, bounded in bytes: what was not asked for the longest is forgotten first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

/// Sightings that are remembered; then they are counted anew.
const SEEN_MAX: usize = 16_384;

/// Values by key.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    bytes_max: usize,
    values: HashMap<K, Held<V>>,
    /// By when they were last asked for.
    order: BTreeMap<u64, K>,
    seen: HashSet<K>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    bytes: usize,
    asked: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Lru<K, V> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, values: HashMap::new(), order: BTreeMap::new(), seen: HashSet::new(), clock: 0, bytes: 0 }
    }

    pub(crate) fn find(&mut self, key: K) -> Option<V> {
        let held = self.values.get_mut(&key)?;
        self.clock += 1;
        self.order.remove(&held.asked);
        held.asked = self.clock;
        self.order.insert(self.clock, key);
        Some(held.value.clone())
    }

    /// Whether this key has come before, as far as that is known; it has from now on.
    pub(crate) fn has_come(&mut self, key: K) -> bool {
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        !self.seen.insert(key)
    }

    /// Remembers a value of so many bytes, if there can be room for it.
    pub(crate) fn keep(&mut self, key: K, value: V, bytes: usize) {
        // Two searches may have found it at once.
        if bytes > self.bytes_max || self.values.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.bytes -= self.values.remove(&oldest).map_or(0, |held| held.bytes);
        }
        self.clock += 1;
        self.order.insert(self.clock, key);
        self.values.insert(key, Held { value, bytes, asked: self.clock });
        self.bytes += bytes;
    }

    /// Bytes of all values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.values.len(), self.order.len());
        assert_eq!(self.bytes, self.values.values().map(|held| held.bytes).sum::<usize>());
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_makes_room() {
        let mut lru = Lru::new(100);
        for key in 0..50_u32 {
            lru.keep(key, key * 2, 10);
            assert_eq!(lru.find(0), Some(0), "{key}");
            assert!(lru.bytes() <= 100 && lru.len() <= 10);
        }
        assert_eq!((lru.find(49), lru.find(40)), (Some(98), None));
        lru.keep(7, 0, 101);
        assert_eq!(lru.find(7), None, "there is never room for it");
        lru.keep(0, 1, 10);
        assert_eq!(lru.find(0), Some(0), "what is known stays as it is");
        assert!(!lru.has_come(1) && lru.has_come(1) && !lru.has_come(2));
    }
}
