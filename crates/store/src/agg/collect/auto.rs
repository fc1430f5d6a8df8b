//! `auto_date_histogram`: buckets as narrow as fit, made wider whenever there are too many of them.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use tantivy::DocId;
use tantivy::columnar::ColumnIndex;

use super::super::partial::{AutoBuckets, Bucket, Partial};
use super::super::plan::{AggPlan, AutoDate};
use super::slots::{Mixing, number_i64};
use super::{BRANCH_BYTES, Budget, Collect, Level, Segment, numbers_only};
use crate::bits::Docs;
use crate::column::{Columns, Fetched};
use crate::error::StoreError;

pub(super) struct AutoCollector<'a> {
    plan: &'a AggPlan,
    auto: &'a AutoDate,
    columns: Columns,
    /// For `missing`: documents with a value.
    with_value: Option<(i64, Docs)>,
    /// By parent bucket.
    rows: Vec<AutoRow>,
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    fetched: Fetched,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
}

/// Buckets of one parent bucket. Those of narrower widths stay until the end, when what now is one is put together.
#[derive(Default)]
struct AutoRow {
    /// Which width is taken now.
    step: usize,
    /// Own bucket by start, of the width that is taken now.
    buckets: HashMap<u64, u32, BuildHasherDefault<Mixing>>,
    /// All own buckets with their starts.
    all: Vec<(i64, u32)>,
    /// The last one: start, end, own bucket.
    current: Option<(i64, i64, u32)>,
}

impl<'a> AutoCollector<'a> {
    pub(super) fn new(
        plan: &'a AggPlan,
        auto: &'a AutoDate,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let columns = numbers_only(Columns::open(segment.reader, &auto.field.column)?);
        let with_value = auto.missing.map(|ms| (ms, columns.exists(segment.reader.max_doc())));
        Ok(Self {
            plan,
            auto,
            columns,
            with_value,
            rows: Vec::new(),
            counts: Vec::new(),
            subs: Level::new(&plan.subs, segment, budget)?,
            budget,
            fetched: Fetched::default(),
            out_docs: Vec::new(),
            out_buckets: Vec::new(),
        })
    }

    fn add(&mut self, doc: DocId, parent: u32, ms: i64, is_multivalued: bool) -> Result<(), StoreError> {
        while self.rows.len() <= parent as usize {
            self.rows.push(AutoRow::default());
        }
        let bucket = self.rows[parent as usize].bucket(ms, self.auto, &mut self.counts, self.budget)?;
        if is_multivalued {
            let same_doc = self.out_docs.iter().rev().take_while(|earlier| **earlier == doc).count();
            let start = self.out_docs.len() - same_doc;
            if self.out_buckets[start..].contains(&bucket) {
                return Ok(());
            }
        }
        self.counts[bucket as usize] += 1;
        self.out_docs.push(doc);
        self.out_buckets.push(bucket);
        Ok(())
    }
}

impl AutoRow {
    fn bucket(&mut self, ms: i64, auto: &AutoDate, counts: &mut Vec<u64>, budget: &Budget) -> Result<u32, StoreError> {
        if let Some((start, end, bucket)) = self.current
            && (start..end).contains(&ms)
        {
            return Ok(bucket);
        }
        let start = auto.steps[self.step].rounding.floor(ms);
        let bucket = if let Some(bucket) = self.buckets.get(&(start as u64)) {
            *bucket
        } else {
            budget.spend(BRANCH_BYTES)?;
            let bucket = counts.len() as u32;
            counts.push(0);
            self.buckets.insert(start as u64, bucket);
            self.all.push((start, bucket));
            self.widen(auto);
            bucket
        };
        let rounding = &auto.steps[self.step].rounding;
        let start = rounding.floor(ms);
        self.current = Some((start, rounding.next(start), bucket));
        Ok(bucket)
    }

    /// Takes wider buckets as long as there are too many, and goes on with the first own bucket of each.
    fn widen(&mut self, auto: &AutoDate) {
        while self.step + 1 < auto.steps.len() && self.buckets.len() > auto.buckets_max(self.step) {
            self.step += 1;
            let rounding = &auto.steps[self.step].rounding;
            self.buckets.clear();
            for (start, bucket) in &self.all {
                self.buckets.entry(rounding.floor(*start) as u64).or_insert(*bucket);
            }
        }
    }
}

impl Collect for AutoCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        for column in 0..self.columns.list.len() {
            self.out_docs.clear();
            self.out_buckets.clear();
            let column = self.columns.list[column].clone();
            self.fetched.read(&column.values, docs, buckets);
            let is_multivalued = matches!(column.values.index, ColumnIndex::Multivalued(_));
            for place in 0..self.fetched.docs.len() {
                let ms = number_i64(self.fetched.values[place], &column.kind);
                self.add(self.fetched.docs[place], self.fetched.buckets[place], ms, is_multivalued)?;
            }
            self.subs.collect(&self.out_docs, &self.out_buckets)?;
        }
        let Some((ms, with_value)) = self.with_value.take() else { return Ok(()) };
        self.out_docs.clear();
        self.out_buckets.clear();
        for (doc, parent) in docs.iter().zip(buckets) {
            if !with_value.contains(*doc) {
                self.add(*doc, *parent, ms, false)?;
            }
        }
        self.with_value = Some((ms, with_value));
        self.subs.collect(&self.out_docs, &self.out_buckets)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut found = AutoBuckets::default();
        let Some(row) = self.rows.get_mut(bucket as usize).map(std::mem::take) else {
            return Ok(Partial::Auto(found));
        };
        found.step = row.step;
        let rounding = &self.auto.steps[row.step].rounding;
        for (start, own) in row.all {
            let bucket = Bucket { count: self.counts[own as usize], subs: self.subs.take(own)? };
            found.add(rounding.floor(start), bucket, &self.plan.subs.aggs)?;
        }
        Ok(Partial::Auto(found))
    }
}
