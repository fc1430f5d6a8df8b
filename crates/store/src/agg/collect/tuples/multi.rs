//! `multi_terms`: a bucket for each combination.

use tantivy::DocId;

use super::super::super::buckets::Buckets;
use super::super::super::key::Key;
use super::super::super::partial::{Bucket, KEYS_MAX, Keyed, Partial};
use super::super::super::plan::{AggPlan, MultiTerms};
use super::super::slots::Slotting;
use super::super::{BRANCH_BYTES, Budget, Collect, LEAF_BYTES, Level, Segment};
use super::{Field, Fields};
use crate::column::Columns;
use crate::error::StoreError;

pub(in super::super) struct MultiCollector<'a> {
    plan: &'a AggPlan,
    fields: Fields<'a>,
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
}

impl<'a> MultiCollector<'a> {
    pub(in super::super) fn new(
        plan: &'a AggPlan,
        multi: &'a MultiTerms,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let max_doc = segment.reader.max_doc();
        let fields = multi.fields.iter().map(|(field, missing)| {
            let columns = Columns::open(segment.reader, &field.column)?;
            Ok(Field::new(columns, Slotting::of_values, missing.clone(), field.kind.is_some(), max_doc))
        });
        Ok(Self {
            plan,
            fields: Fields::new(fields.collect::<Result<_, StoreError>>()?),
            counts: Vec::new(),
            subs: Level::new(&plan.subs, segment, budget)?,
            budget,
            out_docs: Vec::new(),
            out_buckets: Vec::new(),
        })
    }
}

impl Collect for MultiCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        self.out_docs.clear();
        self.out_buckets.clear();
        let bytes = if self.subs.is_empty() { LEAF_BYTES } else { BRANCH_BYTES };
        self.fields.read(docs, buckets, self.budget, |doc, _, bucket| {
            if bucket as usize == self.counts.len() {
                self.budget.spend(bytes)?;
                self.counts.push(0);
            }
            self.counts[bucket as usize] += 1;
            self.out_docs.push(doc);
            self.out_buckets.push(bucket);
            Ok(())
        })?;
        self.subs.collect(&self.out_docs, &self.out_buckets)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut keyed = Keyed::default();
        let mut tuples = self.fields.tree.take(bucket);
        // Of too many keys of one segment only the most frequent go on.
        if tuples.len() > KEYS_MAX {
            tuples.sort_unstable_by_key(|(_, own)| u64::MAX - self.counts[*own as usize]);
            let counts = tuples[KEYS_MAX..].iter().map(|(_, own)| self.counts[*own as usize]);
            keyed.dropped_docs += counts.clone().sum::<u64>();
            keyed.error += counts.max().unwrap_or_default();
            tuples.truncate(KEYS_MAX);
        }
        let mut buckets = Vec::with_capacity(tuples.len());
        for (key, (_, own)) in self.fields.keys(&tuples)?.into_iter().zip(&tuples) {
            let found = Bucket { count: self.counts[*own as usize], subs: self.subs.take(*own)? };
            buckets.push((Key::Many(key), found));
        }
        keyed.buckets = Buckets::of(buckets, &self.plan.subs.aggs)?;
        Ok(Partial::Keyed(keyed))
    }
}
