//! `composite`: all combinations are counted, but only for those of the page asked for nested aggregations are computed.
//!
//! It is only ever computed once (it has no parent with many buckets), so that documents can be kept until it is known which
//! combinations are of the page.

use tantivy::DocId;

use super::super::super::buckets::Buckets;
use super::super::super::key::Key;
use super::super::super::partial::{Bucket, Keyed, Partial};
use super::super::super::plan::{AggPlan, Bucketing, Composite};
use super::super::slots::{DateSlots, Interner, Slotting};
use super::super::{Budget, Collect, Level, Segment, numbers_only};
use super::{Field, Fields};
use crate::bits::BLOCK;
use crate::column::{Columns, ValueColumn};
use crate::error::StoreError;

pub(in super::super) struct CompositeCollector<'a> {
    plan: &'a AggPlan,
    composite: &'a Composite,
    fields: Fields<'a>,
    counts: Vec<u64>,
    /// Documents with the number of their combination, if there is something nested.
    kept: Vec<(DocId, u32)>,
    subs: Level<'a>,
    budget: &'a Budget,
}

impl<'a> CompositeCollector<'a> {
    pub(in super::super) fn new(
        plan: &'a AggPlan,
        composite: &'a Composite,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let max_doc = segment.reader.max_doc();
        let mut fields = Vec::with_capacity(composite.sources.len());
        for source in &composite.sources {
            let columns = Columns::open(segment.reader, &source.field.column)?;
            let columns = if matches!(source.bucketing, Bucketing::Value) { columns } else { numbers_only(columns) };
            let slotting = |column: &ValueColumn| match &source.bucketing {
                Bucketing::Value => Slotting::of_values(column),
                Bucketing::Histogram(interval) => {
                    Slotting::Multiples { interval: *interval, slots: Interner::default() }
                }
                Bucketing::Date(rounding, _) => Slotting::Date(DateSlots::new(rounding, (None, None))),
            };
            let missing = source.missing.map(|_| Key::Missing);
            fields.push(Field::new(columns, slotting, missing, source.field.kind.is_some(), max_doc));
        }
        Ok(Self {
            plan,
            composite,
            fields: Fields::new(fields),
            counts: Vec::new(),
            kept: Vec::new(),
            subs: Level::new(&plan.subs, segment, budget)?,
            budget,
        })
    }
}

impl Collect for CompositeCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let keeps = !self.subs.is_empty();
        if keeps {
            self.budget.spend(docs.len() * size_of::<(DocId, u32)>())?;
        }
        self.fields.read(docs, buckets, self.budget, |doc, _, bucket| {
            if bucket as usize == self.counts.len() {
                self.budget.spend(size_of::<u64>())?;
                self.counts.push(0);
            }
            self.counts[bucket as usize] += 1;
            if keeps {
                self.kept.push((doc, bucket));
            }
            Ok(())
        })
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        const NOT_ASKED: u32 = u32::MAX;
        let tuples = self.fields.tree.take(bucket);
        let mut page: Vec<(Vec<Key>, u32)> =
            self.fields.keys(&tuples)?.into_iter().zip(tuples).map(|(key, (_, own))| (key, own)).collect();
        page.retain(|(key, _)| self.composite.is_ahead(key));
        page.sort_unstable_by(|(a, _), (b, _)| self.composite.compare(a, b));
        page.truncate(self.composite.size);
        if !self.kept.is_empty() {
            let mut places = vec![NOT_ASKED; self.counts.len()];
            for (place, (_, own)) in page.iter().enumerate() {
                places[*own as usize] = place as u32;
            }
            let kept = self.kept.iter().map(|(doc, own)| (*doc, places[*own as usize]));
            let kept: Vec<(DocId, u32)> = kept.filter(|(_, place)| *place != NOT_ASKED).collect();
            for block in kept.chunks(BLOCK) {
                let (docs, buckets): (Vec<DocId>, Vec<u32>) = block.iter().copied().unzip();
                self.subs.collect(&docs, &buckets)?;
            }
        }
        let mut buckets = Vec::with_capacity(page.len());
        for (place, (key, own)) in page.into_iter().enumerate() {
            let found = Bucket { count: self.counts[own as usize], subs: self.subs.take(place as u32)? };
            buckets.push((Key::Many(key), found));
        }
        let buckets = Buckets::of(buckets, &self.plan.subs.aggs)?;
        Ok(Partial::Keyed(Keyed { buckets, ..Keyed::default() }))
    }
}
