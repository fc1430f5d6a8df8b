//! Numbers of records as ranges, for people; and a set of numbers that knows which are in it twice.

use std::collections::BTreeMap;
use std::fmt;

/// Ranges that are listed; all numbers are counted.
const LISTED_MAX: usize = 100;
/// Numbers of one chunk of a set.
const CHUNK: u64 = 1 << 16;

/// Numbers that come in rising order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ranges {
    /// First and last number of each.
    pub(super) listed: Vec<(u64, u64)>,
    /// The last one, listed or not.
    last: Option<(u64, u64)>,
    /// How many ranges there are, listed or not.
    count: u64,
    pub(super) numbers: u64,
}

impl Ranges {
    pub(super) fn push(&mut self, number: u64) {
        self.numbers += 1;
        match &mut self.last {
            Some((_, last)) if last.checked_add(1) == Some(number) => {
                *last = number;
                if self.count as usize == self.listed.len()
                    && let Some((_, listed)) = self.listed.last_mut()
                {
                    *listed = number;
                }
            }
            _ => {
                self.count += 1;
                self.last = Some((number, number));
                if self.listed.len() < LISTED_MAX {
                    self.listed.push((number, number));
                }
            }
        }
    }

    /// Adds ranges that lie anywhere else; none are to be pushed after that.
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.numbers += other.numbers;
        self.listed.extend(other.listed);
        self.listed.sort_unstable();
        self.listed.truncate(LISTED_MAX);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers == 0
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let text =
            |(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{first}–{last}") };
        f.write_str(&self.listed.iter().map(text).collect::<Vec<_>>().join(", "))?;
        let more = self.count - self.listed.len() as u64;
        if more > 0 {
            write!(f, " and {more} more ranges")?;
        }
        write!(f, " ({} in all)", self.numbers)
    }
}

/// How often a number is in a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Times {
    Never,
    Once,
    More,
}

/// Numbers, with those that came more than once: two bits for each.
#[derive(Debug, Default)]
pub(super) struct Set(BTreeMap<u64, Chunk>);

#[derive(Debug)]
struct Chunk {
    once: Box<[u64]>,
    more: Box<[u64]>,
}

impl Chunk {
    fn new() -> Self {
        let bits = || vec![0; (CHUNK / 64) as usize].into_boxed_slice();
        Self { once: bits(), more: bits() }
    }
}

impl Set {
    pub(super) fn insert(&mut self, number: u64) {
        let chunk = self.0.entry(number / CHUNK).or_insert_with(Chunk::new);
        let (word, bit) = place(number);
        chunk.more[word] |= chunk.once[word] & bit;
        chunk.once[word] |= bit;
    }

    /// Takes a number out.
    pub(super) fn take(&mut self, number: u64) -> Times {
        let Some(chunk) = self.0.get_mut(&(number / CHUNK)) else { return Times::Never };
        let (word, bit) = place(number);
        let times = match (chunk.once[word] & bit != 0, chunk.more[word] & bit != 0) {
            (_, true) => Times::More,
            (true, false) => Times::Once,
            (false, false) => Times::Never,
        };
        chunk.once[word] &= !bit;
        chunk.more[word] &= !bit;
        times
    }

    /// What is in it, rising.
    pub(super) fn each(&self, mut each: impl FnMut(u64)) {
        for (number, chunk) in &self.0 {
            for (word, bits) in chunk.once.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    each(number * CHUNK + word as u64 * 64 + u64::from(bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let within = number % CHUNK;
    ((within / 64) as usize, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_shown_and_bounded() {
        let made = |numbers: &[u64]| {
            let mut ranges = Ranges::default();
            for number in numbers {
                ranges.push(*number);
            }
            ranges
        };
        assert_eq!(made(&[]).to_string(), "none");
        assert_eq!(made(&[7]).to_string(), "7 (1 in all)");
        assert_eq!(made(&[1, 2, 3, 5, 9, 10]).to_string(), "1–3, 5, 9–10 (6 in all)");
        let mut second = made(&[7, 8]);
        second.merge(made(&[1, 2, 5]));
        assert_eq!(second.to_string(), "1–2, 5, 7–8 (5 in all)");
        let mut many = Ranges::default();
        for number in 0..2 * LISTED_MAX as u64 {
            many.push(3 * number);
            many.push(3 * number + 1);
        }
        assert_eq!((many.listed.len(), many.numbers), (LISTED_MAX, 4 * LISTED_MAX as u64));
        assert_eq!(many.listed.last(), Some(&(297, 298)));
        assert!(many.to_string().ends_with("297–298 and 100 more ranges (400 in all)"));
    }

    proptest! {
        #[test]
        fn a_set_counts_as_a_map_does(numbers in prop::collection::vec(0_u64..300_000, 0..400), asked in 0_u64..300_000) {
            let (mut set, mut model) = (Set::default(), HashMap::new());
            for number in numbers.iter().flat_map(|number| [number, &numbers[0]]) {
                set.insert(*number);
                *model.entry(*number).or_insert(0) += 1;
            }
            let mut all: Vec<u64> = model.keys().copied().collect();
            all.sort_unstable();
            let mut found = Vec::new();
            set.each(|number| found.push(number));
            prop_assert_eq!(&found, &all);
            for number in all.into_iter().chain([asked]) {
                let times = match model.remove(&number).unwrap_or(0) {
                    0 => Times::Never,
                    1 => Times::Once,
                    _ => Times::More,
                };
                prop_assert_eq!(set.take(number), times);
                prop_assert_eq!(set.take(number), Times::Never);
            }
        }
    }
}
