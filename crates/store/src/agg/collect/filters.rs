//! Buckets of documents that are known beforehand: `filter`, `filters`, `range`, `missing`, `adjacency_matrix`, `global`.

use tantivy::DocId;

use super::super::partial::{Bucket, Partial};
use super::super::plan::AggPlan;
use super::{BRANCH_BYTES, Budget, Collect, Level, Segment, grow};
use crate::bits::{BLOCK, Docs};
use crate::error::StoreError;

pub(super) struct FilterCollector<'a> {
    plan: &'a AggPlan,
    docs: Vec<Docs>,
    /// By parent bucket × filter.
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
}

impl<'a> FilterCollector<'a> {
    pub(super) fn new(
        plan: &'a AggPlan,
        segment: &Segment<'a>,
        budget: &'a Budget,
        docs: Vec<Docs>,
    ) -> Result<Self, StoreError> {
        let subs = Level::new(&plan.subs, segment, budget)?;
        Ok(Self { plan, docs, counts: Vec::new(), subs, budget, out_docs: Vec::new(), out_buckets: Vec::new() })
    }
}

impl Collect for FilterCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let width = self.docs.len();
        grow(&mut self.counts, buckets, width, BRANCH_BYTES, self.budget)?;
        for (number, filter) in self.docs.iter().enumerate() {
            self.out_docs.clear();
            self.out_buckets.clear();
            let own = |parent: u32| (parent as usize * width + number) as u32;
            match filter {
                Docs::None => continue,
                Docs::All => {
                    self.out_docs.extend_from_slice(docs);
                    self.out_buckets.extend(buckets.iter().map(|parent| own(*parent)));
                }
                Docs::Some(bits) => bits.each_of(docs, |place| {
                    self.out_docs.push(docs[place]);
                    self.out_buckets.push(own(buckets[place]));
                }),
            }
            for bucket in &self.out_buckets {
                self.counts[*bucket as usize] += 1;
            }
            self.subs.collect(&self.out_docs, &self.out_buckets)?;
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let width = self.docs.len();
        take_fixed(self.plan, &self.counts, &mut self.subs, bucket, width)
    }
}

fn take_fixed(
    plan: &AggPlan,
    counts: &[u64],
    subs: &mut Level<'_>,
    bucket: u32,
    width: usize,
) -> Result<Partial, StoreError> {
    let mut buckets = Vec::with_capacity(width);
    for number in 0..width {
        let own = bucket as usize * width + number;
        buckets.push(match counts.get(own) {
            Some(count) if *count > 0 => Bucket { count: *count, subs: subs.take(own as u32)? },
            _ => Bucket::empty(plan),
        });
    }
    Ok(Partial::Fixed(buckets))
}

/// `adjacency_matrix`: a bucket for each condition, then one for each two of them.
pub(super) struct PairCollector<'a> {
    plan: &'a AggPlan,
    docs: Vec<Docs>,
    /// By parent bucket × pair.
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
}

impl<'a> PairCollector<'a> {
    pub(super) fn new(
        plan: &'a AggPlan,
        segment: &Segment<'a>,
        budget: &'a Budget,
        docs: Vec<Docs>,
    ) -> Result<Self, StoreError> {
        let subs = Level::new(&plan.subs, segment, budget)?;
        Ok(Self { plan, docs, counts: Vec::new(), subs, budget, out_docs: Vec::new(), out_buckets: Vec::new() })
    }
}

impl Collect for PairCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let width = pairs(self.docs.len());
        grow(&mut self.counts, buckets, width, BRANCH_BYTES, self.budget)?;
        self.out_docs.clear();
        self.out_buckets.clear();
        let mut members = Vec::new();
        for (doc, parent) in docs.iter().zip(buckets) {
            members.clear();
            members.extend((0..self.docs.len()).filter(|filter| self.docs[*filter].contains(*doc)));
            for (place, first) in members.iter().enumerate() {
                for second in &members[place..] {
                    let bucket = *parent as usize * width + pair(*first, *second, self.docs.len());
                    self.counts[bucket] += 1;
                    self.out_docs.push(*doc);
                    self.out_buckets.push(bucket as u32);
                }
            }
        }
        self.subs.collect(&self.out_docs, &self.out_buckets)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        take_fixed(self.plan, &self.counts, &mut self.subs, bucket, pairs(self.docs.len()))
    }
}

/// How many pairs so many conditions make, each with itself too.
pub(in super::super) fn pairs(conditions: usize) -> usize {
    conditions * (conditions + 1) / 2
}

/// The place of a pair, of which the first is not behind the second: 0 with 0, 0 with 1, …, 1 with 1, …
pub(in super::super) fn pair(first: usize, second: usize, conditions: usize) -> usize {
    first * conditions - first * first.saturating_sub(1) / 2 + second - first
}

/// `global`: goes over all documents of the segment by itself, whatever is found.
pub(super) struct GlobalCollector<'a> {
    max_doc: u32,
    subs: Level<'a>,
    budget: &'a Budget,
}

impl<'a> GlobalCollector<'a> {
    pub(super) fn new(plan: &'a AggPlan, segment: &Segment<'a>, budget: &'a Budget) -> Result<Self, StoreError> {
        let subs = Level::new(&plan.subs, segment, budget)?;
        Ok(Self { max_doc: segment.reader.max_doc(), subs, budget })
    }
}

impl Collect for GlobalCollector<'_> {
    fn collect(&mut self, _docs: &[DocId], _buckets: &[u32]) -> Result<(), StoreError> {
        Ok(())
    }

    fn take(&mut self, _bucket: u32) -> Result<Partial, StoreError> {
        let buckets = [0; BLOCK];
        let mut count = 0;
        Docs::All.for_each_block(self.max_doc, |block| {
            if !self.budget.has_time() {
                return Ok(());
            }
            count += block.len() as u64;
            self.subs.collect(block, &buckets[..block.len()])
        })?;
        Ok(Partial::Fixed(vec![Bucket { count, subs: self.subs.take(0)? }]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_has_a_place_of_its_own() {
        for conditions in 0..8 {
            let places = (0..conditions).flat_map(|a| (a..conditions).map(move |b| pair(a, b, conditions)));
            assert_eq!(places.collect::<Vec<_>>(), (0..pairs(conditions)).collect::<Vec<_>>());
        }
    }
}
