//! Inputs of fuzz targets: what a corpus has, broken at random.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value;

const BREAKS_MAX: usize = 6;
const CUT_MAX: usize = 40;
const PIECE_MAX: usize = 60;
const TIMES_MAX: usize = 50;
const TOKENS_MAX: usize = 30;
/// Units of an input that never was in the corpus.
const NOISE_MAX: usize = 200;

/// What inputs consist of: bytes, or characters where the reader takes text.
pub trait Unit: Arbitrary + Copy + Debug + 'static {
    /// A token in these units.
    fn units(token: &[u8]) -> Vec<Self>;
}

impl Unit for u8 {
    fn units(token: &[u8]) -> Vec<Self> {
        token.to_vec()
    }
}

impl Unit for char {
    fn units(token: &[u8]) -> Vec<Self> {
        String::from_utf8_lossy(token).chars().collect()
    }
}

/// One way to break an input; places are scaled to whatever length there is.
#[derive(Clone, Debug)]
enum Break<T> {
    Change(Index, T),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, Vec<T>),
    /// What another one of the corpus has from its own place on.
    Splice(Index, Index, Index),
    Truncate(Index),
}

impl<T: Unit> Break<T> {
    fn apply(&self, input: &mut Vec<T>, corpus: &[Vec<T>]) {
        match self {
            Self::Change(at, unit) if !input.is_empty() => {
                let at = at.index(input.len());
                input[at] = *unit;
            }
            Self::Change(..) => {}
            Self::Cut(at, length) => {
                let at = at.index(input.len() + 1);
                input.drain(at..input.len().min(at + length));
            }
            Self::Repeat(at, length, times) => {
                let at = at.index(input.len() + 1);
                let piece = input[at..input.len().min(at + length)].repeat(*times);
                input.splice(at..at, piece);
            }
            Self::Insert(at, token) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, token.iter().copied());
            }
            Self::Splice(at, which, from) => {
                let other = which.get(corpus);
                input.truncate(at.index(input.len() + 1));
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            Self::Truncate(at) => input.truncate(at.index(input.len() + 1)),
        }
    }
}

/// Inputs of `corpus` with up to five breaks each, and now and then strings of `tokens` (what readers stumble over) or of
/// arbitrary units.
pub fn broken<T: Unit>(corpus: &'static [Vec<T>], tokens: &[impl AsRef<[u8]>]) -> BoxedStrategy<Vec<T>> {
    let tokens: Vec<Vec<T>> = tokens.iter().map(|token| T::units(token.as_ref())).collect();
    let one = prop_oneof![
        3 => (any::<Index>(), any::<T>()).prop_map(|(at, unit)| Break::Change(at, unit)),
        2 => (any::<Index>(), 1..CUT_MAX).prop_map(|(at, length)| Break::Cut(at, length)),
        2 => (any::<Index>(), 1..PIECE_MAX, 1..TIMES_MAX).prop_map(|(at, length, times)| Break::Repeat(at, length, times)),
        5 => (any::<Index>(), select(tokens.clone())).prop_map(|(at, token)| Break::Insert(at, token)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(at, which, from)| Break::Splice(at, which, from)),
        1 => any::<Index>().prop_map(Break::Truncate),
    ];
    let cases = (any::<Index>(), vec(one, 0..BREAKS_MAX)).prop_map(move |(which, breaks)| {
        let mut input = which.get(corpus).clone();
        for one in &breaks {
            one.apply(&mut input, corpus);
        }
        input
    });
    let tokens = vec(select(tokens), 0..TOKENS_MAX).prop_map(|tokens| tokens.concat());
    prop_oneof![8 => cases, 1 => vec(any::<T>(), 0..NOISE_MAX), 1 => tokens].boxed()
}

/// Puts `odd` where `value` has another: `node` chooses among all of its nodes, itself included.
pub fn replace_node(value: &mut Value, node: Index, odd: &Value) {
    let mut left = node.index(count(value));
    replace(value, &mut left, odd);
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn replace(value: &mut Value, left: &mut usize, odd: &Value) -> bool {
    if *left == 0 {
        value.clone_from(odd);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, left, odd)),
        Value::Object(map) => map.values_mut().any(|item| replace(item, left, odd)),
        _ => false,
    }
}

/// How a fuzz target runs: so many `rounds` unless `PROPTEST_CASES` says otherwise; seeds of failures are kept in the file
/// `seeds` and tried first by all later runs.
pub fn fuzz_rounds(rounds: u32, seeds: &'static str) -> ProptestConfig {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    let cases = if set { default.cases } else { rounds };
    ProptestConfig { cases, failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))), ..default }
}

/// Places in something of this length, in order: where a reader is given it in pieces.
pub fn cuts(places: &[Index], length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(length + 1)).collect();
    places.sort_unstable();
    places
}
