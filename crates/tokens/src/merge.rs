//! Byte-pair merging of one piece of text, down to the number of its tokens.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::{FxHashMap, FxHashSet};

/// The id of a symbol that is no token.
const NO_TOKEN: u32 = u32::MAX;
/// The end of the chain of symbols.
const NONE: u32 = u32::MAX;
/// Pieces of one text that are remembered, and how long these are at most in bytes.
const SEEN_MAX: usize = 4096;
const SEEN_BYTES_MAX: usize = 32;

/// How a piece becomes tokens. The keys of all maps come from the vocabulary and never from a client, so an unkeyed hash
/// is safe.
#[derive(Debug)]
pub(crate) struct Merger {
    pub(crate) alphabet: Alphabet,
    pub(crate) rules: Rules,
    /// Tokens that a piece becomes as a whole although merging does not lead there (`ignore_merges`).
    pub(crate) whole: FxHashSet<Box<str>>,
    pub(crate) unknown: Unknown,
}

/// What a piece is made of before anything is merged.
#[derive(Debug)]
pub(crate) enum Alphabet {
    /// Bytes, each with its token.
    Bytes(Box<[u32; 256]>),
    /// Characters and their tokens.
    Characters(FxHashMap<char, u32>),
}

/// Which two neighbours become one, and which pair goes first.
#[derive(Debug)]
pub(crate) enum Rules {
    /// A list of pairs: the earlier, the sooner. Key: [`pair`].
    Pairs(FxHashMap<u64, Merged>),
    /// SentencePiece's: whatever together is a token, the best score first.
    Tokens(FxHashMap<Box<str>, Merged>),
}

/// What a pair becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The lower, the sooner.
    pub(crate) rank: u32,
    pub(crate) token: u32,
}

/// What becomes of a character without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// A token for each of its bytes.
    Bytes,
    /// One token.
    One,
    /// One token, also for several in a row.
    Fused,
    /// Nothing.
    Dropped,
}

/// The key of two neighbouring tokens.
pub(crate) fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// A stretch of the piece that is one token by now.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    token: u32,
    start: u32,
    /// Equal to `start` once the symbol has been merged into its left neighbour.
    end: u32,
    before: u32,
    after: u32,
}

/// Memory that the pieces of one text share.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    symbols: Vec<Symbol>,
    /// Lowest rank first, then the leftmost: `(rank, symbol, token)`.
    queue: BinaryHeap<Reverse<(u32, u32, u32)>>,
    /// What the words were that came before: most come again, and merging costs ten look-ups in megabytes of pairs.
    seen: HashMap<Box<str>, usize>,
}

impl Merger {
    /// How many tokens `piece` becomes. Needs O(n log n) time at most, n being its length. Pieces have to be shorter than
    /// 4 GiB.
    pub(crate) fn count(&self, piece: &str, scratch: &mut Scratch) -> usize {
        if let Some(known) = scratch.seen.get(piece) {
            return *known;
        }
        if self.whole.contains(piece) {
            return 1;
        }
        self.merge(piece, scratch);
        let count = self.tokens(&scratch.symbols);
        if piece.len() <= SEEN_BYTES_MAX && scratch.seen.len() < SEEN_MAX {
            scratch.seen.insert(piece.into(), count);
        }
        count
    }

    fn merge(&self, piece: &str, scratch: &mut Scratch) {
        let Scratch { symbols, queue, .. } = scratch;
        self.fill(piece, symbols);
        queue.clear();
        for left in 1..symbols.len() as u32 {
            queue.extend(self.candidate(piece, symbols, left - 1));
        }
        while let Some(Reverse((_, left, token))) = queue.pop() {
            // Merges since then may have changed the two; then this entry is out of date.
            match self.candidate(piece, symbols, left) {
                Some(Reverse((_, _, now))) if now == token => {}
                _ => continue,
            }
            let Symbol { after: right, before, .. } = symbols[left as usize];
            let Symbol { end, after, start, .. } = symbols[right as usize];
            symbols[right as usize].end = start;
            let merged = &mut symbols[left as usize];
            (merged.token, merged.end, merged.after) = (token, end, after);
            if after != NONE {
                symbols[after as usize].before = left;
                queue.extend(self.candidate(piece, symbols, left));
            }
            if before != NONE {
                queue.extend(self.candidate(piece, symbols, before));
            }
        }
    }

    /// The piece in symbols of its alphabet.
    fn fill(&self, piece: &str, symbols: &mut Vec<Symbol>) {
        symbols.clear();
        let mut push = |token: u32, start: usize, end: usize| {
            let index = symbols.len() as u32;
            let before = if index == 0 { NONE } else { index - 1 };
            symbols.push(Symbol { token, start: start as u32, end: end as u32, before, after: index + 1 });
        };
        match &self.alphabet {
            Alphabet::Bytes(tokens) => {
                for (at, byte) in piece.bytes().enumerate() {
                    push(tokens[usize::from(byte)], at, at + 1);
                }
            }
            Alphabet::Characters(tokens) => {
                for (at, character) in piece.char_indices() {
                    push(tokens.get(&character).copied().unwrap_or(NO_TOKEN), at, at + character.len_utf8());
                }
            }
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
    }

    /// What the symbol and its right neighbour would become.
    fn candidate(&self, piece: &str, symbols: &[Symbol], left: u32) -> Option<Reverse<(u32, u32, u32)>> {
        let symbol = symbols[left as usize];
        if symbol.start == symbol.end || symbol.after == NONE {
            return None;
        }
        let next = symbols[symbol.after as usize];
        let merged = match &self.rules {
            Rules::Pairs(pairs) => pairs.get(&pair(symbol.token, next.token)),
            Rules::Tokens(tokens) => tokens.get(&piece[symbol.start as usize..next.end as usize]),
        }?;
        Some(Reverse((merged.rank, left, merged.token)))
    }

    /// Counts the symbols that are left.
    fn tokens(&self, symbols: &[Symbol]) -> usize {
        let mut count = 0;
        let mut last_unknown = false;
        for symbol in symbols.iter().filter(|symbol| symbol.start < symbol.end) {
            let unknown = symbol.token == NO_TOKEN;
            count += match (unknown, self.unknown) {
                (false, _) | (true, Unknown::One) => 1,
                (true, Unknown::Bytes) => (symbol.end - symbol.start) as usize,
                (true, Unknown::Fused) => usize::from(!last_unknown),
                (true, Unknown::Dropped) => 0,
            };
            last_unknown = unknown;
        }
        count
    }
}

impl Alphabet {
    /// Bytes without tokens as yet.
    pub(crate) fn no_bytes() -> Box<[u32; 256]> {
        Box::new([NO_TOKEN; 256])
    }
}
