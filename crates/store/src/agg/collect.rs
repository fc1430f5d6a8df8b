//! Running aggregations over one segment: one collector for each aggregation of the request, however many buckets it is
//! computed in. A collector gets blocks of documents, each with the number of the parent's bucket it is in.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use tantivy::columnar::{ColumnIndex, Dictionary};
use tantivy::{DocId, SegmentReader};
use tollhouse_query::ast::Metric;

use super::distinct::{Distinct, hash, hash_bytes, mix};
use super::key::Key;
use super::partial::{Bucket, KEYS_MAX, Keyed, Partial, Top};
use super::plan::{AggPlan, Kind, OrderBy, Rounding};
use super::sketch::Sketch;
use super::stats::Stats;
use crate::bits::Docs;
use crate::column::{Columns, Fetched, NumberKind, ValueColumn, ValueKind};
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::filter::SegmentFilter;
use crate::sort::{Best, SegmentSort};

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
    pub(crate) fn new(plans: &'a [AggPlan], segment: &Segment<'a>, budget: &'a Budget) -> Result<Self, StoreError> {
        Ok(Self { collectors: plans.iter().map(|plan| collector(plan, segment, budget)).collect::<Result<_, _>>()? })
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

/// What may still be allocated for buckets.
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Cell::new(BUCKET_BYTES_MAX))
    }

    fn spend(&self, bytes: usize) -> Result<(), StoreError> {
        let left = self.0.get().checked_sub(bytes).ok_or(StoreError::TooManyBuckets { max: BUCKETS_MAX })?;
        self.0.set(left);
        Ok(())
    }
}

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
    Ok(match &plan.kind {
        Kind::DateHistogram { field, rounding, .. } => {
            let slots = |_: &ValueColumn| Slotting::Date(DateSlots::new(rounding));
            Box::new(KeyedCollector::new(plan, segment, budget, numbers_only(open(field)?), slots)?)
        }
        Kind::Histogram { field, interval, .. } => {
            let interval = *interval;
            let slots = |_: &ValueColumn| Slotting::Steps { interval, slots: Interner::default() };
            Box::new(KeyedCollector::new(plan, segment, budget, numbers_only(open(field)?), slots)?)
        }
        Kind::Terms { field, .. } => {
            let slots = |column: &ValueColumn| match column.kind {
                ValueKind::Text(_) => Slotting::Ordinals,
                ValueKind::Number(_) => Slotting::Values(Interner::default()),
            };
            Box::new(KeyedCollector::new(plan, segment, budget, open(field)?, slots)?)
        }
        Kind::Filters { filters, .. } => {
            let docs = filters.iter().map(|filter| segment.filter.docs(filter)).collect::<Result<_, _>>()?;
            Box::new(FilterCollector::new(plan, segment, budget, docs)?)
        }
        Kind::Filter(filter) => {
            Box::new(FilterCollector::new(plan, segment, budget, vec![segment.filter.docs(filter)?])?)
        }
        Kind::Missing(field) => {
            let docs = open(field)?.exists(max_doc).not();
            Box::new(FilterCollector::new(plan, segment, budget, vec![docs])?)
        }
        Kind::Range { field, ranges } => {
            // A document is in a range with any of its values, just like in a condition.
            let columns = numbers_only(open(field)?);
            let docs = ranges.iter().map(|(_, from, to)| range_docs(&columns, *from, *to, max_doc)).collect();
            Box::new(FilterCollector::new(plan, segment, budget, docs)?)
        }
        Kind::Metric { metric, field, missing } => {
            let columns = open(field)?;
            let columns = if *metric == Metric::ValueCount { columns } else { numbers_only(columns) };
            Box::new(StatsCollector::new(columns, *missing, max_doc, budget))
        }
        Kind::Percentiles { field, .. } => Box::new(SketchCollector {
            columns: numbers_only(open(field)?),
            sketches: Vec::new(),
            fetched: Fetched::default(),
            budget,
        }),
        Kind::Cardinality(field) => Box::new(DistinctCollector::new(open(field)?, field.kind.is_none(), budget)),
        Kind::TopHits { size, sort, .. } => Box::new(TopCollector {
            sort: SegmentSort::new(sort, segment.reader)?,
            size: *size,
            day: segment.day,
            segment: segment.number,
            best: Vec::new(),
            budget,
        }),
    })
}

/// Undeclared fields can hold texts too; one cannot calculate with these.
fn numbers_only(mut columns: Columns) -> Columns {
    columns.list.retain(|column| matches!(column.kind, ValueKind::Number(_)));
    columns
}

fn range_docs(columns: &Columns, from: Option<f64>, to: Option<f64>, max_doc: u32) -> Docs {
    use crate::column::Number;
    let Some((values, kind)) = columns.number() else { return Docs::None };
    let low = from.map_or(Some(0), |from| kind.raw_from(Number::F64(from), true));
    let high = to.map_or(Some(u64::MAX), |to| kind.raw_to(Number::F64(to), false));
    let (Some(low), Some(high)) = (low, high) else { return Docs::None };
    ValueColumn { values: values.clone(), kind: ValueKind::Number(kind) }.between(low, high, max_doc)
}

/// `terms`, `histogram` and `date_histogram`.
struct KeyedCollector<'a> {
    plan: &'a AggPlan,
    parts: Vec<KeyedPart<'a>>,
    /// For `missing`: documents with any value, and the bucket of those without, by parent bucket.
    missing: Option<(Key, Docs, Vec<u32>)>,
    is_declared: bool,
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    fetched: Fetched,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
}

/// One column of the field.
struct KeyedPart<'a> {
    column: ValueColumn,
    slotting: Slotting<'a>,
    /// By parent bucket.
    rows: Vec<Row>,
}

const NO_BUCKET: u32 = u32::MAX;

/// Buckets of one parent bucket by slot.
#[derive(Default)]
struct Row {
    dense: Vec<u32>,
    sparse: HashMap<u32, u32>,
}

impl Row {
    /// Slots below this have a place of their own.
    const DENSE_MAX: u32 = 4_096;
    /// In the first row (mostly the only one) many more may.
    const FIRST_DENSE_MAX: u32 = 1 << 22;

    fn entry(&mut self, slot: u32, dense_max: u32) -> &mut u32 {
        if slot >= dense_max {
            return self.sparse.entry(slot).or_insert(NO_BUCKET);
        }
        if self.dense.len() <= slot as usize {
            self.dense.resize(slot as usize + 1, NO_BUCKET);
        }
        &mut self.dense[slot as usize]
    }

    /// All (slot, bucket).
    fn take(self) -> Vec<(u32, u32)> {
        let dense = self.dense.into_iter().enumerate().filter(|(_, bucket)| *bucket != NO_BUCKET);
        dense.map(|(slot, bucket)| (slot as u32, bucket)).chain(self.sparse).collect()
    }
}

impl<'a> KeyedCollector<'a> {
    fn new(
        plan: &'a AggPlan,
        segment: &Segment<'a>,
        budget: &'a Budget,
        columns: Columns,
        slotting: impl Fn(&ValueColumn) -> Slotting<'a>,
    ) -> Result<Self, StoreError> {
        let (missing, is_declared) = match &plan.kind {
            Kind::Terms { missing, field, .. } => (
                missing.clone().map(|key| (key, columns.exists(segment.reader.max_doc()), Vec::new())),
                field.kind.is_some(),
            ),
            _ => (None, true),
        };
        let parts = columns.list.into_iter().map(|column| {
            let slotting = slotting(&column);
            KeyedPart { column, slotting, rows: Vec::new() }
        });
        Ok(Self {
            plan,
            parts: parts.collect(),
            missing,
            is_declared,
            counts: Vec::new(),
            subs: Level::new(&plan.subs, segment, budget)?,
            budget,
            fetched: Fetched::default(),
            out_docs: Vec::new(),
            out_buckets: Vec::new(),
        })
    }

    fn collect_part(&mut self, part: usize, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let part = &mut self.parts[part];
        self.fetched.read(&part.column.values, docs, buckets);
        self.out_docs.clear();
        self.out_buckets.clear();
        let bytes = if self.subs.is_empty() { LEAF_BYTES } else { BRANCH_BYTES };
        let is_multivalued = matches!(part.column.values.index, ColumnIndex::Multivalued(_));
        for ((doc, parent), value) in self.fetched.docs.iter().zip(&self.fetched.buckets).zip(&self.fetched.values) {
            let slot = part.slotting.slot(*value, &part.column.kind);
            while part.rows.len() <= *parent as usize {
                part.rows.push(Row::default());
            }
            let dense_max = if *parent == 0 { Row::FIRST_DENSE_MAX } else { Row::DENSE_MAX };
            let bucket = part.rows[*parent as usize].entry(slot, dense_max);
            if *bucket == NO_BUCKET {
                self.budget.spend(bytes)?;
                *bucket = self.counts.len() as u32;
                self.counts.push(0);
            }
            // A document counts once in a bucket, even if several of its values lie there.
            if is_multivalued {
                let same_doc = self.out_docs.iter().rev().take_while(|earlier| *earlier == doc).count();
                let start = self.out_docs.len() - same_doc;
                if self.out_buckets[start..].contains(bucket) {
                    continue;
                }
            }
            self.counts[*bucket as usize] += 1;
            self.out_docs.push(*doc);
            self.out_buckets.push(*bucket);
        }
        self.subs.collect(&self.out_docs, &self.out_buckets)
    }

    fn collect_missing(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let Some((_, with_value, missing_buckets)) = &mut self.missing else { return Ok(()) };
        self.out_docs.clear();
        self.out_buckets.clear();
        for (doc, parent) in docs.iter().zip(buckets) {
            if with_value.contains(*doc) {
                continue;
            }
            if missing_buckets.len() <= *parent as usize {
                missing_buckets.resize(*parent as usize + 1, NO_BUCKET);
            }
            let bucket = &mut missing_buckets[*parent as usize];
            if *bucket == NO_BUCKET {
                self.budget.spend(BRANCH_BYTES)?;
                *bucket = self.counts.len() as u32;
                self.counts.push(0);
            }
            self.counts[*bucket as usize] += 1;
            self.out_docs.push(*doc);
            self.out_buckets.push(*bucket);
        }
        self.subs.collect(&self.out_docs, &self.out_buckets)
    }

    /// Of too many keys of one segment only the first in the order asked for go on.
    fn drop_last(&self, entries: &mut Vec<(usize, u32, u32)>, keyed: &mut Keyed) {
        let Kind::Terms { order, .. } = &self.plan.kind else { return };
        if entries.len() <= KEYS_MAX {
            return;
        }
        // Ordinals are in the order of their texts, so that the order by key can be had without reading these.
        match order.first() {
            Some(order) if matches!(order.by, OrderBy::Key) => {
                entries.sort_unstable_by_key(|(_, slot, _)| *slot);
                if order.descending {
                    entries.reverse();
                }
            }
            Some(order) if matches!(order.by, OrderBy::Count) && !order.descending => {
                entries.sort_unstable_by_key(|(_, slot, bucket)| (self.counts[*bucket as usize], *slot));
            }
            _ => entries.sort_unstable_by_key(|(_, slot, bucket)| (u64::MAX - self.counts[*bucket as usize], *slot)),
        }
        let counts = entries[KEYS_MAX..].iter().map(|(_, _, bucket)| self.counts[*bucket as usize]);
        keyed.dropped_docs += counts.clone().sum::<u64>();
        keyed.error += counts.max().unwrap_or_default();
        entries.truncate(KEYS_MAX);
    }

    /// Keys of (part, slot, bucket), which are sorted by these.
    fn keys(&self, entries: &[(usize, u32, u32)]) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::with_capacity(entries.len());
        for run in entries.chunk_by(|(a, ..), (b, ..)| a == b) {
            let part = &self.parts[run[0].0];
            let slots = run.iter().map(|(_, slot, _)| *slot);
            match (&part.slotting, &part.column.kind) {
                (Slotting::Ordinals, ValueKind::Text(dictionary)) => {
                    texts(dictionary, &slots.map(u64::from).collect::<Vec<_>>(), &mut keys)?;
                }
                (Slotting::Values(values), ValueKind::Number(kind)) => {
                    keys.extend(slots.map(|slot| Key::number(kind.decode(values.value(slot)))));
                }
                (Slotting::Steps { slots: steps, .. }, _) => {
                    keys.extend(slots.map(|slot| Key::Whole(steps.value(slot) as i64)));
                }
                (Slotting::Date(date), _) => keys.extend(slots.map(|slot| Key::Whole(date.starts[slot as usize]))),
                (Slotting::Ordinals | Slotting::Values(_), _) => unreachable!("the slots were made for this column"),
            }
        }
        if !self.is_declared {
            keys = keys.into_iter().map(Key::whole_if_possible).collect();
        }
        Ok(keys)
    }
}

impl Collect for KeyedCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        for part in 0..self.parts.len() {
            self.collect_part(part, docs, buckets)?;
        }
        self.collect_missing(docs, buckets)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut keyed = Keyed::default();
        let mut entries = Vec::new();
        for (number, part) in self.parts.iter_mut().enumerate() {
            if let Some(row) = part.rows.get_mut(bucket as usize) {
                let row = std::mem::take(row).take();
                entries.extend(row.into_iter().map(|(slot, bucket)| (number, slot, bucket)));
            }
        }
        self.drop_last(&mut entries, &mut keyed);
        entries.sort_unstable();
        let keys = self.keys(&entries)?;
        for ((_, _, own), key) in entries.into_iter().zip(keys) {
            let found = Bucket { count: self.counts[own as usize], subs: self.subs.take(own)? };
            add(&mut keyed, key, found, self.plan);
        }
        if let Some((key, _, missing_buckets)) = &self.missing
            && let Some(own) = missing_buckets.get(bucket as usize).copied().filter(|own| *own != NO_BUCKET)
        {
            let found = Bucket { count: self.counts[own as usize], subs: self.subs.take(own)? };
            add(&mut keyed, key.clone(), found, self.plan);
        }
        Ok(Partial::Keyed(keyed))
    }
}

/// Two columns of one field may hold the same key, and `missing` may be a key that also exists.
fn add(keyed: &mut Keyed, key: Key, bucket: Bucket, plan: &AggPlan) {
    match keyed.buckets.get_mut(&key) {
        Some(ours) => ours.merge(bucket, plan),
        None => {
            keyed.buckets.insert(key, bucket);
        }
    }
}

/// Reads the texts at these places, which are sorted.
fn texts(dictionary: &Dictionary, ordinals: &[u64], keys: &mut Vec<Key>) -> Result<(), StoreError> {
    let read = |bytes: &[u8]| keys.push(Key::Text(String::from_utf8_lossy(bytes).into_owned()));
    dictionary.sorted_ords_to_term_cb(ordinals, read).map_err(StoreError::column("reading a dictionary"))?;
    Ok(())
}

/// How values become slots: small numbers that buckets are looked up by.
enum Slotting<'a> {
    /// Places in the dictionary.
    Ordinals,
    /// Each raw value has its own.
    Values(Interner),
    /// Steps of equal width.
    Steps { interval: f64, slots: Interner },
    /// Buckets of time.
    Date(DateSlots<'a>),
}

impl Slotting<'_> {
    fn slot(&mut self, raw: u64, kind: &ValueKind) -> u32 {
        match self {
            Slotting::Ordinals => raw as u32,
            Slotting::Values(slots) => slots.slot(raw),
            Slotting::Steps { interval, slots } => {
                let step = (number(raw, kind) / *interval).floor() as i64;
                slots.slot(step as u64)
            }
            Slotting::Date(slots) => slots.slot(number_i64(raw, kind)),
        }
    }
}

fn number(raw: u64, kind: &ValueKind) -> f64 {
    match kind {
        ValueKind::Number(kind) => kind.decode_f64(raw),
        ValueKind::Text(_) => f64::NAN,
    }
}

fn number_i64(raw: u64, kind: &ValueKind) -> i64 {
    match kind {
        ValueKind::Number(NumberKind::I64) => tantivy::u64_to_i64(raw),
        _ => number(raw, kind).floor() as i64,
    }
}

/// Numbers values in the order they are first seen.
#[derive(Default)]
struct Interner {
    slots: HashMap<u64, u32, BuildHasherDefault<Mixing>>,
    values: Vec<u64>,
    last: Option<(u64, u32)>,
}

impl Interner {
    fn slot(&mut self, value: u64) -> u32 {
        if let Some((last, slot)) = self.last
            && last == value
        {
            return slot;
        }
        let slot = *self.slots.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u32 - 1
        });
        self.last = Some((value, slot));
        slot
    }

    fn value(&self, slot: u32) -> u64 {
        self.values[slot as usize]
    }
}

/// Log lines come nearly in the order of time, so that the bucket of one is mostly the bucket of the next and rounding,
/// which may have to ask a time zone, is rare.
struct DateSlots<'a> {
    rounding: &'a Rounding,
    slots: Interner,
    /// Start of the bucket by slot.
    starts: Vec<i64>,
    current: Option<(i64, i64, u32)>,
}

impl<'a> DateSlots<'a> {
    fn new(rounding: &'a Rounding) -> Self {
        Self { rounding, slots: Interner::default(), starts: Vec::new(), current: None }
    }

    fn slot(&mut self, ms: i64) -> u32 {
        if let Some((start, end, slot)) = self.current
            && (start..end).contains(&ms)
        {
            return slot;
        }
        let start = self.rounding.floor(ms);
        let slot = self.slots.slot(start as u64);
        if slot as usize == self.starts.len() {
            self.starts.push(start);
        }
        self.current = Some((start, self.rounding.next(start), slot));
        slot
    }
}

/// Hashes one `u64` by mixing it.
#[derive(Default)]
struct Mixing(u64);

impl std::hash::Hasher for Mixing {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(value);
    }
}

/// Buckets of documents that are known beforehand: `filter`, `filters`, `range`, `missing`.
struct FilterCollector<'a> {
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
    fn new(plan: &'a AggPlan, segment: &Segment<'a>, budget: &'a Budget, docs: Vec<Docs>) -> Result<Self, StoreError> {
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
            for (doc, parent) in docs.iter().zip(buckets) {
                if filter.contains(*doc) {
                    let bucket = *parent as usize * width + number;
                    self.counts[bucket] += 1;
                    self.out_docs.push(*doc);
                    self.out_buckets.push(bucket as u32);
                }
            }
            self.subs.collect(&self.out_docs, &self.out_buckets)?;
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut buckets = Vec::with_capacity(self.docs.len());
        for number in 0..self.docs.len() {
            let own = bucket as usize * self.docs.len() + number;
            buckets.push(match self.counts.get(own) {
                Some(count) if *count > 0 => Bucket { count: *count, subs: self.subs.take(own as u32)? },
                _ => Bucket::empty(self.plan),
            });
        }
        Ok(Partial::Fixed(buckets))
    }
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

/// `avg`, `sum`, `min`, `max`, `stats`, `value_count`.
struct StatsCollector<'a> {
    columns: Columns,
    missing: Option<(f64, Docs)>,
    stats: Vec<Stats>,
    fetched: Fetched,
    budget: &'a Budget,
}

impl<'a> StatsCollector<'a> {
    fn new(columns: Columns, missing: Option<f64>, max_doc: u32, budget: &'a Budget) -> Self {
        let missing = missing.map(|value| (value, columns.exists(max_doc)));
        Self { columns, missing, stats: Vec::new(), fetched: Fetched::default(), budget }
    }
}

impl Collect for StatsCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.stats, buckets, 1, size_of::<Stats>(), self.budget)?;
        for column in &self.columns.list {
            self.fetched.read(&column.values, docs, buckets);
            for (bucket, raw) in self.fetched.buckets.iter().zip(&self.fetched.values) {
                let value = match &column.kind {
                    ValueKind::Number(kind) => kind.decode_f64(*raw),
                    // Only counted.
                    ValueKind::Text(_) => 0.0,
                };
                self.stats[*bucket as usize].add(value);
            }
        }
        if let Some((value, with_value)) = &self.missing {
            for (doc, bucket) in docs.iter().zip(buckets) {
                if !with_value.contains(*doc) {
                    self.stats[*bucket as usize].add(*value);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Stats(self.stats.get(bucket as usize).copied().unwrap_or_default()))
    }
}

/// `percentiles`.
struct SketchCollector<'a> {
    columns: Columns,
    sketches: Vec<Sketch>,
    fetched: Fetched,
    budget: &'a Budget,
}

impl Collect for SketchCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.sketches, buckets, 1, BRANCH_BYTES, self.budget)?;
        for column in &self.columns.list {
            self.fetched.read(&column.values, docs, buckets);
            for (bucket, raw) in self.fetched.buckets.iter().zip(&self.fetched.values) {
                self.sketches[*bucket as usize].add(number(*raw, &column.kind));
            }
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        Ok(Partial::Sketch(self.sketches.get_mut(bucket as usize).map(std::mem::take).unwrap_or_default()))
    }
}

/// `cardinality`: places in the dictionary are gathered while collecting, their texts are hashed at the end.
struct DistinctCollector<'a> {
    columns: Columns,
    is_undeclared: bool,
    /// By column, then by parent bucket.
    seen: Vec<Vec<Seen>>,
    fetched: Fetched,
    budget: &'a Budget,
}

/// Raw values of one bucket.
#[derive(Default)]
struct Seen {
    few: Vec<u64>,
    /// Bits by place in the dictionary, once there are many.
    places: Vec<u64>,
}

impl Seen {
    /// Values in a list before it is made a set.
    const FEW_MAX: usize = 256;

    fn add(&mut self, value: u64, terms: Option<usize>) {
        if self.places.is_empty() {
            if self.few.last() == Some(&value) {
                return;
            }
            self.few.push(value);
            if self.few.len() >= Self::FEW_MAX && self.few.len().is_power_of_two() {
                self.few.sort_unstable();
                self.few.dedup();
                // A bit for each place, as soon as that takes less memory than the list.
                if let Some(terms) = terms
                    && self.few.len() * 64 >= terms
                {
                    self.places.resize(terms.div_ceil(64), 0);
                    for value in self.few.drain(..) {
                        self.places[value as usize / 64] |= 1 << (value % 64);
                    }
                }
            }
        } else {
            self.places[value as usize / 64] |= 1 << (value % 64);
        }
    }

    /// Sorted, each once.
    fn take(mut self) -> Vec<u64> {
        self.few.sort_unstable();
        self.few.dedup();
        for (index, word) in self.places.iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                self.few.push(index as u64 * 64 + u64::from(rest.trailing_zeros()));
                rest &= rest - 1;
            }
        }
        self.few
    }
}

impl<'a> DistinctCollector<'a> {
    fn new(columns: Columns, is_undeclared: bool, budget: &'a Budget) -> Self {
        let seen = columns.list.iter().map(|_| Vec::new()).collect();
        Self { columns, is_undeclared, seen, fetched: Fetched::default(), budget }
    }
}

impl Collect for DistinctCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        for (column, seen) in self.columns.list.iter().zip(&mut self.seen) {
            grow(seen, buckets, 1, BRANCH_BYTES, self.budget)?;
            let terms = match &column.kind {
                ValueKind::Text(dictionary) => Some(dictionary.num_terms()),
                ValueKind::Number(_) => None,
            };
            self.fetched.read(&column.values, docs, buckets);
            for (bucket, raw) in self.fetched.buckets.iter().zip(&self.fetched.values) {
                seen[*bucket as usize].add(*raw, terms);
            }
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut distinct = Distinct::default();
        for (column, seen) in self.columns.list.iter().zip(&mut self.seen) {
            let Some(seen) = seen.get_mut(bucket as usize) else { continue };
            let values = std::mem::take(seen).take();
            match &column.kind {
                ValueKind::Number(kind) => values.into_iter().for_each(|raw| {
                    let key = Key::number(kind.decode(raw));
                    distinct.add(hash(&if self.is_undeclared { key.whole_if_possible() } else { key }));
                }),
                ValueKind::Text(dictionary) => {
                    let add = |bytes: &[u8]| distinct.add(hash_bytes(bytes));
                    dictionary
                        .sorted_ords_to_term_cb(&values, add)
                        .map_err(StoreError::column("reading a dictionary"))?;
                }
            }
        }
        Ok(Partial::Distinct(distinct))
    }
}

/// `top_hits`.
struct TopCollector<'a> {
    sort: SegmentSort,
    size: usize,
    day: u32,
    segment: u32,
    best: Vec<Option<(u64, Best)>>,
    budget: &'a Budget,
}

impl Collect for TopCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        grow(&mut self.best, buckets, 1, BRANCH_BYTES * (1 + self.size), self.budget)?;
        for (doc, bucket) in docs.iter().zip(buckets) {
            let (total, best) = self.best[*bucket as usize].get_or_insert_with(|| (0, Best::new(self.size)));
            *total += 1;
            best.add(&self.sort, *doc);
        }
        Ok(())
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let Some((total, mut best)) = self.best.get_mut(bucket as usize).and_then(Option::take) else {
            return Ok(Partial::Top(Top::default()));
        };
        Ok(Partial::Top(Top { total, hits: best.take(&self.sort, self.day, self.segment)? }))
    }
}
