//! Numbers over the values of a field: `avg`, `sum`, `stats`, …, `percentiles` and the like, `weighted_avg`.

use tantivy::DocId;

use super::super::partial::Partial;
use super::super::sketch::Sketch;
use super::super::stats::{Spread, Stats, Weighted};
use super::slots::number;
use super::{BRANCH_BYTES, Budget, Collect, grow};
use crate::bits::Docs;
use crate::column::{Columns, Fetched, ValueKind};
use crate::error::StoreError;

/// The numbers of a field, block by block.
struct Numbers {
    columns: Columns,
    /// What stands for a missing value, with the documents that have one.
    missing: Option<(f64, Docs)>,
    fetched: Fetched,
}

impl Numbers {
    fn new(columns: Columns, missing: Option<f64>, max_doc: u32) -> Self {
        let missing = missing.map(|value| (value, columns.exists(max_doc)));
        Self { columns, missing, fetched: Fetched::default() }
    }

    /// Calls `add` with the bucket and the value, for each value; texts, which are only ever counted, are 0.
    fn read(&mut self, docs: &[DocId], buckets: &[u32], mut add: impl FnMut(u32, f64)) {
        for column in &self.columns.list {
            self.fetched.read(&column.values, docs, buckets);
            let values = self.fetched.buckets.iter().zip(&self.fetched.values);
            match &column.kind {
                ValueKind::Number(kind) => values.for_each(|(bucket, raw)| add(*bucket, kind.decode_f64(*raw))),
                ValueKind::Text(_) => values.for_each(|(bucket, _)| add(*bucket, 0.0)),
            }
        }
        if let Some((value, with_value)) = &self.missing {
            for (doc, bucket) in docs.iter().zip(buckets) {
                if !with_value.contains(*doc) {
                    add(*bucket, *value);
                }
            }
        }
    }
}

/// `avg`, `sum`, `min`, `max`, `stats`, `value_count`.
pub(super) struct StatsCollector<'a> {
    numbers: Numbers,
    stats: Vec<Stats>,
    budget: &'a Budget,
}

impl<'a> StatsCollector<'a> {
    pub(super) fn new(columns: Columns, missing: Option<f64>, max_doc: u32, budget: &'a Budget) -> Self {
        Self { numbers: Numbers::new(columns, missing, max_doc), stats: Vec::new(), budget }
    }
}

impl Collect for StatsCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.stats, buckets, 1, size_of::<Stats>(), self.budget)?;
        self.numbers.read(docs, buckets, |bucket, value| self.stats[bucket as usize].add(value));
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Stats(self.stats.get(bucket as usize).copied().unwrap_or_default()))
    }
}

/// `extended_stats`.
pub(super) struct SpreadCollector<'a> {
    numbers: Numbers,
    spreads: Vec<Spread>,
    budget: &'a Budget,
}

impl<'a> SpreadCollector<'a> {
    pub(super) fn new(columns: Columns, missing: Option<f64>, max_doc: u32, budget: &'a Budget) -> Self {
        Self { numbers: Numbers::new(columns, missing, max_doc), spreads: Vec::new(), budget }
    }
}

impl Collect for SpreadCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.spreads, buckets, 1, size_of::<Spread>(), self.budget)?;
        self.numbers.read(docs, buckets, |bucket, value| self.spreads[bucket as usize].add(value));
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Spread(self.spreads.get(bucket as usize).copied().unwrap_or_default()))
    }
}

/// `percentiles`, `percentile_ranks`, `median_absolute_deviation`.
pub(super) struct SketchCollector<'a> {
    numbers: Numbers,
    sketches: Vec<Sketch>,
    budget: &'a Budget,
}

impl<'a> SketchCollector<'a> {
    pub(super) fn new(columns: Columns, missing: Option<f64>, max_doc: u32, budget: &'a Budget) -> Self {
        Self { numbers: Numbers::new(columns, missing, max_doc), sketches: Vec::new(), budget }
    }
}

impl Collect for SketchCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.sketches, buckets, 1, BRANCH_BYTES, self.budget)?;
        self.numbers.read(docs, buckets, |bucket, value| self.sketches[bucket as usize].add(value));
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Sketch(self.sketches.get_mut(bucket as usize).map(std::mem::take).unwrap_or_default()))
    }
}

/// `weighted_avg`.
pub(super) struct WeightedCollector<'a> {
    value: (Columns, Option<f64>),
    weight: (Columns, Option<f64>),
    sums: Vec<Weighted>,
    budget: &'a Budget,
}

impl<'a> WeightedCollector<'a> {
    pub(super) fn new(value: (Columns, Option<f64>), weight: (Columns, Option<f64>), budget: &'a Budget) -> Self {
        Self { value, weight, sums: Vec::new(), budget }
    }
}

impl Collect for WeightedCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.sums, buckets, 1, size_of::<Weighted>(), self.budget)?;
        for (doc, bucket) in docs.iter().zip(buckets) {
            let mut weights = numbers_of(&self.weight.0, *doc);
            let Some(weight) = weights.next().or(self.weight.1) else { continue };
            if weights.next().is_some() {
                return Err(StoreError::Aggregation {
                    reason: "Encountered more than one weight for a single document. Use a script to combine multiple \
                             weights-per-doc into a single value."
                        .to_owned(),
                });
            }
            let sums = &mut self.sums[*bucket as usize];
            let mut has_value = false;
            for value in numbers_of(&self.value.0, *doc) {
                has_value = true;
                sums.add(value, weight);
            }
            if let Some(value) = self.value.1
                && !has_value
            {
                sums.add(value, weight);
            }
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Weighted(self.sums.get(bucket as usize).copied().unwrap_or_default()))
    }
}

fn numbers_of(columns: &Columns, doc: DocId) -> impl Iterator<Item = f64> {
    columns.list.iter().flat_map(move |column| column.values.values_for_doc(doc).map(|raw| number(raw, &column.kind)))
}
