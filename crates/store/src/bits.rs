//! Sets of documents of one segment, as bits.

use tantivy::DocId;

/// Which documents of a segment fulfil a condition.
#[derive(Clone, Debug)]
pub(crate) enum Docs {
    /// No document.
    None,
    /// Every document.
    All,
    /// Those whose bit is set.
    Some(Bits),
}

impl Docs {
    pub(crate) fn and(self, other: Docs) -> Docs {
        match (self, other) {
            (Docs::None, _) | (_, Docs::None) => Docs::None,
            (Docs::All, docs) | (docs, Docs::All) => docs,
            (Docs::Some(mut left), Docs::Some(right)) => {
                left.combine(&right, |a, b| a & b);
                Docs::Some(left).simplified()
            }
        }
    }

    pub(crate) fn or(self, other: Docs) -> Docs {
        match (self, other) {
            (Docs::All, _) | (_, Docs::All) => Docs::All,
            (Docs::None, docs) | (docs, Docs::None) => docs,
            (Docs::Some(mut left), Docs::Some(right)) => {
                left.combine(&right, |a, b| a | b);
                Docs::Some(left)
            }
        }
    }

    pub(crate) fn not(self) -> Docs {
        match self {
            Docs::None => Docs::All,
            Docs::All => Docs::None,
            Docs::Some(mut bits) => {
                bits.invert();
                Docs::Some(bits).simplified()
            }
        }
    }

    pub(crate) fn contains(&self, doc: DocId) -> bool {
        match self {
            Docs::None => false,
            Docs::All => true,
            Docs::Some(bits) => bits.contains(doc),
        }
    }

    /// Memory of the bits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Docs::None | Docs::All => 0,
            Docs::Some(bits) => bits.words.len() * size_of::<u64>(),
        }
    }

    /// Number of documents, in a segment of `max_doc`.
    pub(crate) fn count(&self, max_doc: u32) -> u64 {
        match self {
            Docs::None => 0,
            Docs::All => u64::from(max_doc),
            Docs::Some(bits) => bits.count(),
        }
    }

    /// Calls `visit` with ascending blocks of at most [`BLOCK`] documents, in a segment of `max_doc`; stops at its first error.
    pub(crate) fn for_each_block<E>(
        &self,
        max_doc: u32,
        mut visit: impl FnMut(&[DocId]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut block = Vec::with_capacity(BLOCK);
        match self {
            Docs::None => {}
            Docs::All => {
                let mut start = 0;
                while start < max_doc {
                    let end = max_doc.min(start + BLOCK as u32);
                    block.clear();
                    block.extend(start..end);
                    visit(&block)?;
                    start = end;
                }
            }
            Docs::Some(bits) => {
                for (index, word) in bits.words.iter().enumerate() {
                    let mut rest = *word;
                    while rest != 0 {
                        block.push(index as u32 * 64 + rest.trailing_zeros());
                        rest &= rest - 1;
                    }
                    if block.len() + 64 > BLOCK {
                        visit(&block)?;
                        block.clear();
                    }
                }
                if !block.is_empty() {
                    visit(&block)?;
                }
            }
        }
        Ok(())
    }

    /// An empty set of bits is told as `None`, so that later work is skipped.
    fn simplified(self) -> Docs {
        match self {
            Docs::Some(bits) if bits.words.iter().all(|word| *word == 0) => Docs::None,
            docs => docs,
        }
    }
}

/// How many documents are handed on at once: large enough to hide the calls, small enough to stay in the first cache.
pub(crate) const BLOCK: usize = 512;

/// One bit for each document of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Bits {
    words: Vec<u64>,
    max_doc: u32,
}

/// Whether these documents follow each other, none left out and none twice.
pub(crate) fn is_run(docs: &[DocId]) -> bool {
    let (Some(first), Some(last)) = (docs.first(), docs.last()) else { return false };
    last.wrapping_sub(*first) as usize == docs.len() - 1 && docs.iter().zip(*first..).all(|(doc, place)| *doc == place)
}

impl Bits {
    pub(crate) fn new(max_doc: u32) -> Self {
        Self { words: vec![0; max_doc.div_ceil(64) as usize], max_doc }
    }

    pub(crate) fn insert(&mut self, doc: DocId) {
        self.words[doc as usize / 64] |= 1 << (doc % 64);
    }

    pub(crate) fn contains(&self, doc: DocId) -> bool {
        self.words[doc as usize / 64] >> (doc % 64) & 1 == 1
    }

    /// Calls `visit` with the place of each of these documents that is in the set.
    pub(crate) fn each_of(&self, docs: &[DocId], mut visit: impl FnMut(usize)) {
        let Some(first) = docs.first().copied().filter(|_| is_run(docs)) else {
            (0..docs.len()).filter(|place| self.contains(docs[*place])).for_each(visit);
            return;
        };
        // 64 at once; where few are in the set, most are not looked at.
        let end = first + docs.len() as u32;
        for index in first / 64..end.div_ceil(64) {
            let (from, to) = (first.max(index * 64), end.min((index + 1) * 64));
            let mut rest = self.words[index as usize] >> (from % 64) & (u64::MAX >> (64 - (to - from)));
            while rest != 0 {
                visit((from - first + rest.trailing_zeros()) as usize);
                rest &= rest - 1;
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn combine(&mut self, other: &Bits, operation: impl Fn(u64, u64) -> u64) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word = operation(*word, *other);
        }
    }

    fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        let used = self.max_doc % 64;
        if used != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

impl From<Bits> for Docs {
    fn from(bits: Bits) -> Self {
        Docs::Some(bits).simplified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(docs: &Docs, max_doc: u32) -> Vec<u32> {
        let mut all = Vec::new();
        docs.for_each_block(max_doc, |block| {
            assert!(block.len() <= BLOCK);
            all.extend_from_slice(block);
            Ok::<_, ()>(())
        })
        .unwrap();
        all
    }

    fn every(step: u32, max_doc: u32) -> Docs {
        let mut bits = Bits::new(max_doc);
        (0..max_doc).filter(|doc| doc % step == 0).for_each(|doc| bits.insert(doc));
        bits.into()
    }

    #[test]
    fn each_of_some_documents_that_is_in_a_set_is_found() {
        let max_doc = 700;
        let lists: [Vec<u32>; 8] = [
            Vec::new(),
            vec![0],
            (0..64).collect(),
            (3..61).collect(),
            (63..130).collect(),
            (100..612).collect(),
            vec![5, 5, 7],
            (0..700).filter(|doc| doc % 7 != 0).collect(),
        ];
        for step in [1, 2, 3, 64, 65] {
            let mut bits = Bits::new(max_doc);
            (0..max_doc).filter(|doc| doc % step == 0).for_each(|doc| bits.insert(doc));
            for docs in &lists {
                let mut found = Vec::new();
                bits.each_of(docs, |place| found.push(place));
                let expected: Vec<usize> = (0..docs.len()).filter(|place| docs[*place] % step == 0).collect();
                assert_eq!(found, expected, "{step} {docs:?}");
            }
        }
        assert!(is_run(&[4, 5, 6]) && !is_run(&[4, 4, 6]) && !is_run(&[4, 6, 5]) && !is_run(&[]));
    }

    #[test]
    fn sets_combine_like_sets() {
        for max_doc in [0, 1, 63, 64, 65, 700, 2000] {
            for (left, right) in [(2, 3), (1, 5), (7, 7)] {
                let (a, b) = (every(left, max_doc), every(right, max_doc));
                let expect = |keep: &dyn Fn(u32) -> bool| (0..max_doc).filter(|doc| keep(*doc)).collect::<Vec<_>>();
                assert_eq!(
                    list(&a.clone().and(b.clone()), max_doc),
                    expect(&|doc| doc % left == 0 && doc % right == 0)
                );
                assert_eq!(list(&a.clone().or(b.clone()), max_doc), expect(&|doc| doc % left == 0 || doc % right == 0));
                let not = a.clone().not();
                assert_eq!(list(&not, max_doc), expect(&|doc| doc % left != 0));
                assert_eq!(not.count(max_doc) + a.count(max_doc), u64::from(max_doc));
            }
            assert_eq!(list(&Docs::All, max_doc), (0..max_doc).collect::<Vec<_>>());
            assert_eq!(list(&Docs::All.not(), max_doc), Vec::<u32>::new());
        }
    }
}
