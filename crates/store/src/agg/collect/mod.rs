//! Running aggregations over one segment: one collector for each aggregation of the request, however many buckets it is
//! computed in. A collector gets blocks of documents, each with the number of the parent's bucket it is in.

mod auto;
mod counts;
mod distinct;
mod filters;
mod keyed;
mod metrics;
mod slots;
mod top;
mod tuples;

use std::cell::Cell;
use std::time::Instant;

use tantivy::{DocId, SegmentReader};
use tollhouse_query::ast::Metric;

use super::partial::Partial;
use super::plan::{AggPlan, Kind, LevelPlan};
use crate::bits::Docs;
use crate::column::{Columns, Number, ValueColumn, ValueKind};
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::filter::SegmentFilter;

/// Memory that the buckets of one segment may take in one search, as roughly counted by [`Budget`].
const BUCKET_BYTES_MAX: usize = 256 << 20;

/// A bucket without nested aggregations is a count and a place in a table.
const LEAF_BYTES: usize = 16;
/// A bucket with nested ones also holds their state.
const BRANCH_BYTES: usize = 256;

/// Buckets that one answer may have (Elasticsearch's `search.max_buckets`).
pub(crate) const BUCKETS_MAX: usize = 65_536;

/// One segment that is being searched.
pub(crate) struct Segment<'a> {
    pub(crate) reader: &'a SegmentReader,
    pub(crate) filter: &'a SegmentFilter<'a>,
    /// Numbers of the day and the segment within the search.
    pub(crate) day: u32,
    pub(crate) number: u32,
}

/// All collectors of one level.
pub(crate) struct Level<'a> {
    collectors: Vec<Box<dyn Collect + 'a>>,
}

impl<'a> Level<'a> {
    pub(crate) fn new(plan: &'a LevelPlan, segment: &Segment<'a>, budget: &'a Budget) -> Result<Self, StoreError> {
        Self::of(&plan.aggs, segment, budget)
    }

    /// Only these of a level.
    pub(crate) fn of(
        plans: impl IntoIterator<Item = &'a AggPlan>,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let collectors = plans.into_iter().map(|plan| collector(plan, segment, budget));
        Ok(Self { collectors: collectors.collect::<Result<_, _>>()? })
    }

    /// Takes a block of documents; `buckets` says for each in which bucket of the level above it is.
    pub(crate) fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        if docs.is_empty() {
            return Ok(());
        }
        self.collectors.iter_mut().try_for_each(|collector| collector.collect(docs, buckets))
    }

    /// The results in one bucket of the level above.
    pub(crate) fn take(&mut self, bucket: u32) -> Result<Vec<Partial>, StoreError> {
        self.collectors.iter_mut().map(|collector| collector.take(bucket)).collect()
    }

    fn is_empty(&self) -> bool {
        self.collectors.is_empty()
    }
}

/// What may still be used for the buckets of one segment: memory, and time.
pub(crate) struct Budget {
    bytes: Cell<usize>,
    deadline: Instant,
    is_over: Cell<bool>,
}

impl Budget {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { bytes: Cell::new(BUCKET_BYTES_MAX), deadline, is_over: Cell::new(false) }
    }

    /// Whether a collector that goes over documents by itself ran out of time.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    fn spend(&self, bytes: usize) -> Result<(), StoreError> {
        let left = self.bytes.get().checked_sub(bytes).ok_or(StoreError::TooManyBuckets { max: BUCKETS_MAX })?;
        self.bytes.set(left);
        Ok(())
    }

    fn has_time(&self) -> bool {
        if Instant::now() >= self.deadline {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }
}

pub(super) use counts::key_counts;
pub(super) use filters::{pair, pairs};

trait Collect {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError>;

    /// Hands over the result for a bucket; called once for each, after the last block.
    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError>;
}

fn collector<'a>(
    plan: &'a AggPlan,
    segment: &Segment<'a>,
    budget: &'a Budget,
) -> Result<Box<dyn Collect + 'a>, StoreError> {
    let max_doc = segment.reader.max_doc();
    let open = |field: &FieldRef| Columns::open(segment.reader, &field.column);
    let filtered = |docs| filters::FilterCollector::new(plan, segment, budget, docs).map(Box::new);
    Ok(match &plan.kind {
        Kind::DateHistogram(histogram) => Box::new(keyed::dates(plan, histogram, segment, budget)?),
        Kind::Histogram(histogram) => Box::new(keyed::steps(plan, histogram, segment, budget)?),
        Kind::Terms(terms) => Box::new(keyed::terms(plan, terms, segment, budget)?),
        Kind::AutoDate(auto) => Box::new(auto::AutoCollector::new(plan, auto, segment, budget)?),
        Kind::MultiTerms(multi) => Box::new(tuples::MultiCollector::new(plan, multi, segment, budget)?),
        Kind::Composite(composite) => Box::new(tuples::CompositeCollector::new(plan, composite, segment, budget)?),
        Kind::Filters { filters, other, .. } => {
            let mut docs =
                filters.iter().map(|filter| segment.filter.docs(filter)).collect::<Result<Vec<Docs>, _>>()?;
            if other.is_some() {
                let all = docs.iter().cloned().fold(Docs::None, Docs::or);
                docs.push(all.not());
            }
            filtered(docs)?
        }
        Kind::Filter(filter) => filtered(vec![segment.filter.docs(filter)?])?,
        Kind::Missing(field) => filtered(vec![open(field)?.exists(max_doc).not()])?,
        Kind::Range(ranges) => {
            // A document is in a range with any of its values, just like in a condition.
            let columns = numbers_only(open(&ranges.field)?);
            let without = ranges.missing.map(|value| (value, columns.exists(max_doc).not()));
            let docs = ranges.list.iter().map(|range| {
                let docs = range_docs(&columns, range.from, range.to, max_doc);
                match &without {
                    Some((value, without)) if range.contains(*value) => docs.or(without.clone()),
                    _ => docs,
                }
            });
            filtered(docs.collect())?
        }
        Kind::Adjacency { filters, .. } => {
            let docs = filters.iter().map(|filter| segment.filter.docs(filter)).collect::<Result<_, _>>()?;
            Box::new(filters::PairCollector::new(plan, segment, budget, docs)?)
        }
        Kind::Global => Box::new(filters::GlobalCollector::new(plan, segment, budget)?),
        Kind::Metric { metric: Metric::ExtendedStats { .. }, values, .. } => {
            Box::new(metrics::SpreadCollector::new(numbers_only(open(&values.field)?), values.missing, max_doc, budget))
        }
        Kind::Metric { metric, values, .. } => {
            let columns = open(&values.field)?;
            let columns = if *metric == Metric::ValueCount { columns } else { numbers_only(columns) };
            Box::new(metrics::StatsCollector::new(columns, values.missing, max_doc, budget))
        }
        Kind::Percentiles { values, .. } | Kind::Ranks { values, .. } | Kind::Deviation(values) => {
            Box::new(metrics::SketchCollector::new(numbers_only(open(&values.field)?), values.missing, max_doc, budget))
        }
        Kind::WeightedAvg { value, weight } => {
            let numbers = |field: &FieldRef| Ok::<_, StoreError>(numbers_only(open(field)?));
            let value = (numbers(&value.field)?, value.missing);
            let weight = (numbers(&weight.field)?, weight.missing);
            Box::new(metrics::WeightedCollector::new(value, weight, budget))
        }
        Kind::Cardinality { field, missing } => {
            Box::new(distinct::DistinctCollector::new(open(field)?, field, missing.as_ref(), max_doc, budget))
        }
        Kind::TopHits { from, size, sort, .. } => Box::new(top::TopCollector::new(sort, from + size, segment, budget)?),
        Kind::TopMetrics { metrics, size, sort, sort_field } => {
            Box::new(top::MetricsCollector::new(sort, *size, metrics, sort_field.as_ref(), segment, budget)?)
        }
    })
}

/// Undeclared fields can hold texts too; one cannot calculate with these.
fn numbers_only(mut columns: Columns) -> Columns {
    columns.list.retain(|column| matches!(column.kind, ValueKind::Number(_)));
    columns
}

fn range_docs(columns: &Columns, from: Option<f64>, to: Option<f64>, max_doc: u32) -> Docs {
    let Some((values, kind)) = columns.number() else { return Docs::None };
    let low = from.map_or(Some(0), |from| kind.raw_from(Number::F64(from), true));
    let high = to.map_or(Some(u64::MAX), |to| kind.raw_to(Number::F64(to), false));
    let (Some(low), Some(high)) = (low, high) else { return Docs::None };
    ValueColumn { values: values.clone(), kind: ValueKind::Number(kind) }.between(low, high, max_doc)
}

/// Makes room for the state of all these parent buckets.
fn grow<T: Default>(
    states: &mut Vec<T>,
    buckets: &[u32],
    width: usize,
    bytes: usize,
    budget: &Budget,
) -> Result<(), StoreError> {
    let needed = buckets.iter().max().map_or(0, |bucket| (*bucket as usize + 1) * width);
    if needed > states.len() {
        budget.spend((needed - states.len()) * bytes)?;
        states.resize_with(needed, T::default);
    }
    Ok(())
}
