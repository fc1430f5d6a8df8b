//! The first documents of each bucket: `top_hits`, and single values of them: `top_metrics`.

use tantivy::DocId;

use super::super::key::Key;
use super::super::partial::{Partial, Top, TopValues};
use super::{BRANCH_BYTES, Budget, Collect, Segment, grow};
use crate::bits::Docs;
use crate::column::{Columns, ValueKind, text_at};
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::sort::{Best, Found, SegmentSort, SortPlan};

/// The best documents of each parent bucket, with how many there are.
struct Ranking<'a> {
    sort: SegmentSort,
    size: usize,
    day: u32,
    segment: u32,
    best: Vec<Option<(u64, Best)>>,
    budget: &'a Budget,
}

impl<'a> Ranking<'a> {
    fn new(sort: &SortPlan, size: usize, segment: &Segment<'a>, budget: &'a Budget) -> Result<Self, StoreError> {
        Ok(Self {
            sort: SegmentSort::new(sort, segment.reader)?,
            size,
            day: segment.day,
            segment: segment.number,
            best: Vec::new(),
            budget,
        })
    }

    fn add(&mut self, docs: &[DocId], buckets: &[u32], counts: impl Fn(DocId) -> bool) -> Result<(), StoreError> {
        grow(&mut self.best, buckets, 1, BRANCH_BYTES * (1 + self.size), self.budget)?;
        for (doc, bucket) in docs.iter().zip(buckets).filter(|(doc, _)| counts(**doc)) {
            let (total, best) = self.best[*bucket as usize].get_or_insert_with(|| (0, Best::new(self.size)));
            *total += 1;
            best.add(&self.sort, *doc);
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<(u64, Vec<Found>), StoreError> {
        match self.best.get_mut(bucket as usize).and_then(Option::take) {
            Some((total, mut best)) => Ok((total, best.take(&self.sort, self.day, self.segment)?)),
            None => Ok((0, Vec::new())),
        }
    }
}

pub(super) struct TopCollector<'a>(Ranking<'a>);

impl<'a> TopCollector<'a> {
    pub(super) fn new(
        sort: &SortPlan,
        size: usize,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        Ranking::new(sort, size, segment, budget).map(Self)
    }
}

impl Collect for TopCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        self.0.add(docs, buckets, |_| true)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let (total, hits) = self.0.take(bucket)?;
        Ok(Partial::Top(Top { total, hits }))
    }
}

pub(super) struct MetricsCollector<'a> {
    ranking: Ranking<'a>,
    metrics: Vec<Columns>,
    /// Documents with a value to sort by; others are none of the first.
    with_value: Docs,
}

impl<'a> MetricsCollector<'a> {
    pub(super) fn new(
        sort: &SortPlan,
        size: usize,
        metrics: &[(String, FieldRef)],
        sort_field: Option<&FieldRef>,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let open = |field: &FieldRef| Columns::open(segment.reader, &field.column);
        let with_value = match sort_field {
            Some(field) => open(field)?.exists(segment.reader.max_doc()),
            None => Docs::All,
        };
        let metrics = metrics.iter().map(|(_, field)| open(field)).collect::<Result<_, _>>()?;
        Ok(Self { ranking: Ranking::new(sort, size, segment, budget)?, metrics, with_value })
    }
}

impl Collect for MetricsCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let with_value = &self.with_value;
        self.ranking.add(docs, buckets, |doc| with_value.contains(doc))
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let (_, found) = self.ranking.take(bucket)?;
        let mut top = Vec::with_capacity(found.len());
        for found in found {
            let values = self.metrics.iter().map(|columns| first(columns, found.place.doc));
            top.push(TopValues { values: values.collect::<Result<_, _>>()?, found });
        }
        Ok(Partial::TopValues(top))
    }
}

/// The smallest value of a document.
fn first(columns: &Columns, doc: DocId) -> Result<Option<Key>, StoreError> {
    for column in &columns.list {
        if let Some(raw) = column.values.values_for_doc(doc).min() {
            return Ok(Some(match &column.kind {
                ValueKind::Number(kind) => Key::number(kind.decode(raw)),
                ValueKind::Text(dictionary) => Key::Text(text_at(dictionary, raw)?),
            }));
        }
    }
    Ok(None)
}
