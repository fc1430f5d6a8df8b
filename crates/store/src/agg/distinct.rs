//! Counting different values: exact up to a bound, estimated above it (HyperLogLog, 2^14 registers, about 0.8 % error).
//!
//! Source: Flajolet et al., "HyperLogLog", 2007, with linear counting for the small range.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::key::Key;

/// So many different values are counted exactly (Elasticsearch's default is 3,000).
const EXACT_MAX: usize = 4_096;

const REGISTER_BITS: u32 = 14;

/// The different values of one bucket.
#[derive(Clone, Debug)]
pub(crate) enum Distinct {
    Exact(HashSet<u64, BuildHasherDefault<AlreadyMixed>>),
    Registers(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct::Exact(HashSet::default())
    }
}

impl Distinct {
    pub(crate) fn add(&mut self, hash: u64) {
        match self {
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_MAX {
                    let mut registers = vec![0; 1 << REGISTER_BITS].into_boxed_slice();
                    for hash in &*hashes {
                        register(&mut registers, *hash);
                    }
                    *self = Distinct::Registers(registers);
                }
            }
            Distinct::Registers(registers) => register(registers, hash),
        }
    }

    pub(crate) fn merge(&mut self, other: Distinct) {
        match other {
            Distinct::Exact(hashes) => hashes.into_iter().for_each(|hash| self.add(hash)),
            Distinct::Registers(mut theirs) => {
                match self {
                    Distinct::Exact(hashes) => hashes.iter().for_each(|hash| register(&mut theirs, *hash)),
                    Distinct::Registers(ours) => {
                        theirs.iter_mut().zip(ours.iter()).for_each(|(their, our)| *their = (*their).max(*our));
                    }
                }
                *self = Distinct::Registers(theirs);
            }
        }
    }

    /// What it takes besides itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            // A table is at most half empty, and says of each place whether it is taken.
            Distinct::Exact(hashes) => hashes.capacity() * (size_of::<u64>() + 1),
            Distinct::Registers(registers) => registers.len(),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Distinct::Exact(hashes) => hashes.len() as u64,
            Distinct::Registers(registers) => estimate(registers),
        }
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let index = (hash >> (64 - REGISTER_BITS)) as usize;
    let rest = hash << REGISTER_BITS;
    let rank = (rest.leading_zeros() + 1).min(64 - REGISTER_BITS + 1) as u8;
    registers[index] = registers[index].max(rank);
}

fn estimate(registers: &[u8]) -> u64 {
    let number = registers.len() as f64;
    let sum: f64 = registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / number) * number * number / sum;
    let empty = registers.len() - registers.iter().map(|rank| usize::from(*rank > 0)).sum::<usize>();
    if raw <= 2.5 * number && empty > 0 {
        return (number * (number / empty as f64).ln()).round() as u64;
    }
    raw.round() as u64
}

/// A hash that is the same on every machine and in every run.
pub(crate) fn hash(key: &Key) -> u64 {
    match key {
        Key::Text(text) => hash_bytes(text.as_bytes()),
        Key::Whole(value) => mix(*value as u64 ^ 0x5bd1_e995_0bad_cafe),
        Key::Fraction(value) => mix(value.to_bits() ^ 0x27d4_eb2f_1656_67c5),
        Key::Missing => mix(0x165_667b1),
        Key::Many(keys) => keys.iter().fold(keys.len() as u64, |state, key| mix(state.rotate_left(23) ^ hash(key))),
    }
}

pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut state = mix(bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state.rotate_left(23) ^ u64::from_le_bytes(word));
    }
    state
}

/// Finaliser of MurmurHash3: each input bit changes each output bit with a chance of one half.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let value = (value ^ (value >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

/// Hashes that are already mixed are their own hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlreadyMixed(u64);

impl Hasher for AlreadyMixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_exactly_then_nearly_and_merges() {
        for number in [0_u64, 1, 100, 4_096, 4_097, 50_000, 300_000] {
            let mut whole = Distinct::default();
            let mut halves = [Distinct::default(), Distinct::default()];
            for i in 0..number {
                let hash = hash_bytes(format!("user-{i}").as_bytes());
                whole.add(hash);
                whole.add(hash);
                halves[(i % 2) as usize].add(hash);
                halves[0].add(hash_bytes(b"user-0"));
            }
            let [mut merged, other] = halves;
            merged.merge(other);
            assert_eq!(merged.count(), whole.count(), "{number}");
            let error = whole.count().abs_diff(number) as f64;
            let allowed = if number <= EXACT_MAX as u64 { 0.0 } else { number as f64 * 0.03 };
            assert!(error <= allowed, "{number}: {}", whole.count());
        }
    }
}
