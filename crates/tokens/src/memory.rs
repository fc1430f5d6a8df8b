//! Remembers how many tokens long texts had, because a conversation is sent again with each of its turns.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Texts remembered by one counter, about 100 KiB in all.
pub(crate) const TEXTS_MAX: usize = 4096;
/// Texts shorter than this are counted faster than they are looked up.
const TEXT_BYTES_MIN: usize = 128;

/// Token counts of the texts that were seen last. Not the texts: a keyed hash of 64 bits and the length stand for them.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    hasher: RandomState,
    generations: Mutex<Generations>,
}

/// Two halves: what is found in the old one moves to the young one, and when that is full, the old one is forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(u64, usize), u64>,
    old: HashMap<(u64, usize), u64>,
}

impl Memory {
    /// The count of `text`, remembered or made by `count`.
    pub(crate) fn or_count(&self, text: &str, count: impl FnOnce() -> u64) -> u64 {
        if text.len() < TEXT_BYTES_MIN {
            return count();
        }
        let key = (self.hasher.hash_one(text), text.len());
        if let Some(known) = self.lock().get(key) {
            return known;
        }
        // Counted without the lock: it may take milliseconds.
        let counted = count();
        self.lock().put(key, counted);
        counted
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn get(&mut self, key: (u64, usize)) -> Option<u64> {
        if let Some(known) = self.young.get(&key) {
            return Some(*known);
        }
        let known = self.old.remove(&key)?;
        self.put(key, known);
        Some(known)
    }

    fn put(&mut self, key: (u64, usize), count: u64) {
        if self.young.len() >= TEXTS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, count);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn counts_a_long_text_once() {
        let (memory, counted) = (Memory::default(), Cell::new(0));
        let count = || {
            counted.set(counted.get() + 1);
            7
        };
        let long = "a".repeat(TEXT_BYTES_MIN);
        for _ in 0..3 {
            assert_eq!(memory.or_count(&long, count), 7);
            assert_eq!(memory.or_count("short", count), 7);
        }
        assert_eq!(counted.get(), 1 + 3);
    }

    #[test]
    fn forgets_what_is_not_asked_for() {
        let memory = Memory::default();
        let text = |number: usize| format!("{number:0>200}");
        for number in 0..TEXTS_MAX * 2 {
            memory.or_count(&text(number), || number as u64);
            // Asked for again and again, so it stays.
            assert_eq!(memory.or_count(&text(0), || u64::MAX), 0);
        }
        let generations = memory.lock();
        assert!(generations.young.len() + generations.old.len() <= TEXTS_MAX);
        drop(generations);
        assert_eq!(memory.or_count(&text(1), || u64::MAX), u64::MAX);
    }
}
