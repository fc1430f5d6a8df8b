//! `terms` and what is made of them, `histogram`, `date_histogram`: a bucket for each value, or for what it is rounded to.

use tantivy::DocId;
use tantivy::columnar::ColumnIndex;

use super::super::buckets::Buckets;
use super::super::key::Key;
use super::super::partial::{Bucket, KEYS_MAX, Keyed, Partial};
use super::super::plan::{AggPlan, DateHistogram, Histogram, Order, OrderBy, TermsAnswer, TermsPlan};
use super::slots::{Allowed, DateSlots, Interner, NO_BUCKET, Row, Slotting, number_i64};
use super::{BRANCH_BYTES, BUCKETS_MAX, Budget, Collect, LEAF_BYTES, Level, Segment, grow, numbers_only};
use crate::bits::Docs;
use crate::column::{Columns, Fetched, ValueColumn};
use crate::error::StoreError;

pub(super) struct KeyedCollector<'a> {
    plan: &'a AggPlan,
    parts: Vec<Part<'a>>,
    /// For `missing`: its bucket's key, documents with any value, and the bucket of those without, by parent bucket.
    missing: Option<(Key, Docs, Vec<u32>)>,
    many: Many<'a>,
    is_declared: bool,
    /// For `significant_terms`: documents by parent bucket.
    found_docs: Option<Vec<u64>>,
    counts: Vec<u64>,
    subs: Level<'a>,
    budget: &'a Budget,
    fetched: Fetched,
    out_docs: Vec<DocId>,
    out_buckets: Vec<u32>,
    /// Used anew for each bucket that is taken, of which there may be many.
    entries: Vec<Entry>,
    slots: Vec<u32>,
}

/// One column of the field.
struct Part<'a> {
    column: ValueColumn,
    slotting: Slotting<'a>,
    /// The values that have a bucket, unless all have.
    allowed: Option<Allowed>,
    /// By parent bucket.
    rows: Vec<Row>,
}

/// What becomes of more keys than are carried on.
#[derive(Clone, Copy)]
enum Many<'a> {
    /// All are needed.
    Keep,
    /// The last in this order are dropped.
    Drop(&'a [Order]),
    /// The answer would be wrong.
    Refuse,
}

/// (part, slot, bucket).
type Entry = (usize, u32, u32);

pub(super) fn dates<'a>(
    plan: &'a AggPlan,
    histogram: &'a DateHistogram,
    segment: &Segment<'a>,
    budget: &'a Budget,
) -> Result<KeyedCollector<'a>, StoreError> {
    let columns = numbers_only(Columns::open(segment.reader, &histogram.field.column)?);
    let dates = || DateSlots::new(&histogram.rounding, histogram.hard_bounds);
    let missing = histogram.missing.and_then(|ms| dates().slot(ms).map(|_| Key::Whole(histogram.rounding.floor(ms))));
    let parts = columns.list.iter().map(|column| Part::new(column, Slotting::Date(dates()), None)).collect();
    KeyedCollector::new(plan, &columns, parts, missing, segment, budget)
}

pub(super) fn steps<'a>(
    plan: &'a AggPlan,
    histogram: &'a Histogram,
    segment: &Segment<'a>,
    budget: &'a Budget,
) -> Result<KeyedCollector<'a>, StoreError> {
    let columns = numbers_only(Columns::open(segment.reader, &histogram.field.column)?);
    let missing = histogram.missing.and_then(|value| histogram.step(value)).map(Key::Whole);
    let steps = || Slotting::Steps { histogram, slots: Interner::default() };
    let parts = columns.list.iter().map(|column| Part::new(column, steps(), None)).collect();
    KeyedCollector::new(plan, &columns, parts, missing, segment, budget)
}

pub(super) fn terms<'a>(
    plan: &'a AggPlan,
    terms: &'a TermsPlan,
    segment: &Segment<'a>,
    budget: &'a Budget,
) -> Result<KeyedCollector<'a>, StoreError> {
    let columns = Columns::open(segment.reader, &terms.field.column)?;
    let parts = columns
        .list
        .iter()
        .map(|column| Ok(Part::new(column, Slotting::of_values(column), Allowed::new(&terms.select, column)?)));
    let parts = parts.collect::<Result<_, StoreError>>()?;
    let missing = terms.missing.clone().filter(|key| terms.select.allows(key));
    let mut collector = KeyedCollector::new(plan, &columns, parts, missing, segment, budget)?;
    collector.is_declared = terms.field.kind.is_some();
    collector.many = match terms.answer {
        TermsAnswer::Frequent { .. } => Many::Drop(&terms.order),
        TermsAnswer::Rare { .. } | TermsAnswer::Significant { .. } => Many::Refuse,
    };
    if let TermsAnswer::Significant { .. } = terms.answer {
        collector.found_docs = Some(Vec::new());
    }
    Ok(collector)
}

impl<'a> Part<'a> {
    fn new(column: &ValueColumn, slotting: Slotting<'a>, allowed: Option<Allowed>) -> Self {
        Self { column: column.clone(), slotting, allowed, rows: Vec::new() }
    }

    /// The slot and the parent bucket that a whole block has in common, as lines of one hour mostly do: they need not be looked
    /// at one by one.
    fn same(&mut self, fetched: &Fetched) -> Option<(Option<u32>, u32)> {
        let Slotting::Date(dates) = &mut self.slotting else { return None };
        let parent = fetched.buckets.first()?;
        if fetched.buckets.iter().any(|other| other != parent) {
            return None;
        }
        let (first, last) = (fetched.values.iter().min()?, fetched.values.iter().max()?);
        let (first, last) = (number_i64(*first, &self.column.kind), number_i64(*last, &self.column.kind));
        dates.are_together(first, last).then(|| (dates.slot(first), *parent))
    }
}

/// Where the documents of a block are counted.
struct Counting<'a> {
    /// By parent bucket; there is one for each of the block.
    rows: &'a mut [Row],
    counts: &'a mut Vec<u64>,
    budget: &'a Budget,
    bytes: usize,
    /// The bucket of each document, [`NO_BUCKET`] for one that has none.
    out: &'a mut Vec<u32>,
}

impl Counting<'_> {
    /// Counts a block of documents with one value each. Whether all of them have a bucket.
    fn place(&mut self, fetched: &Fetched, mut slot: impl FnMut(u64) -> Option<u32>) -> Result<bool, StoreError> {
        let mut has_all = true;
        // The same as for the document before, as mostly: looked up once.
        let (mut before, mut bucket) = (None, NO_BUCKET);
        for (parent, value) in fetched.buckets.iter().zip(&fetched.values) {
            let Some(slot) = slot(*value) else {
                has_all = false;
                self.out.push(NO_BUCKET);
                continue;
            };
            if before != Some((*parent, slot)) {
                bucket =
                    bucket_of(&mut self.rows[*parent as usize], slot, *parent, self.bytes, self.counts, self.budget)?;
                before = Some((*parent, slot));
            }
            self.counts[bucket as usize] += 1;
            self.out.push(bucket);
        }
        Ok(has_all)
    }
}

/// The bucket of a slot in the row of a parent bucket; made when there is none.
fn bucket_of(
    row: &mut Row,
    slot: u32,
    parent: u32,
    bytes: usize,
    counts: &mut Vec<u64>,
    budget: &Budget,
) -> Result<u32, StoreError> {
    let bucket = row.entry(slot, parent, budget)?;
    if *bucket == NO_BUCKET {
        budget.spend(bytes)?;
        *bucket = counts.len() as u32;
        counts.push(0);
    }
    Ok(*bucket)
}

impl<'a> KeyedCollector<'a> {
    fn new(
        plan: &'a AggPlan,
        columns: &Columns,
        parts: Vec<Part<'a>>,
        missing: Option<Key>,
        segment: &Segment<'a>,
        budget: &'a Budget,
    ) -> Result<Self, StoreError> {
        let max_doc = segment.reader.max_doc();
        Ok(Self {
            plan,
            parts,
            missing: missing.map(|key| (key, columns.exists(max_doc), Vec::new())),
            many: Many::Keep,
            is_declared: true,
            found_docs: None,
            counts: Vec::new(),
            subs: Level::new(&plan.subs, segment, budget)?,
            budget,
            fetched: Fetched::default(),
            out_docs: Vec::new(),
            out_buckets: Vec::new(),
            entries: Vec::new(),
            slots: Vec::new(),
        })
    }

    fn collect_part(&mut self, part: usize, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        let part = &mut self.parts[part];
        self.fetched.read(&part.column.values, docs, buckets);
        self.out_docs.clear();
        self.out_buckets.clear();
        let Some(most) = self.fetched.buckets.iter().max() else { return Ok(()) };
        if part.rows.len() <= *most as usize {
            part.rows.resize_with(*most as usize + 1, Row::default);
        }
        let bytes = if self.subs.is_empty() { LEAF_BYTES } else { BRANCH_BYTES };
        let is_multivalued = matches!(part.column.values.index, ColumnIndex::Multivalued(_));
        if !is_multivalued && let Some((slot, parent)) = part.same(&self.fetched) {
            let Some(slot) = slot else { return Ok(()) };
            let row = &mut part.rows[parent as usize];
            let bucket = bucket_of(row, slot, parent, bytes, &mut self.counts, self.budget)?;
            self.counts[bucket as usize] += self.fetched.docs.len() as u64;
            self.out_buckets.resize(self.fetched.docs.len(), bucket);
            return self.subs.collect(&self.fetched.docs, &self.out_buckets);
        }
        if !is_multivalued && part.allowed.is_none() {
            let Part { column, slotting, rows, .. } = part;
            let kind = &column.kind;
            let mut into =
                Counting { rows, counts: &mut self.counts, budget: self.budget, bytes, out: &mut self.out_buckets };
            let has_all = match slotting {
                Slotting::Ordinals => into.place(&self.fetched, |raw| Some(raw as u32))?,
                Slotting::Values(slots) => into.place(&self.fetched, |raw| Some(slots.slot(raw)))?,
                Slotting::Date(dates) => into.place(&self.fetched, |raw| dates.slot(number_i64(raw, kind)))?,
                other => into.place(&self.fetched, |raw| other.slot(raw, kind))?,
            };
            if has_all {
                return self.subs.collect(&self.fetched.docs, &self.out_buckets);
            }
            let found = self.fetched.docs.iter().zip(&self.out_buckets).filter(|(_, bucket)| **bucket != NO_BUCKET);
            self.out_docs.extend(found.map(|(doc, _)| *doc));
            self.out_buckets.retain(|bucket| *bucket != NO_BUCKET);
            return self.subs.collect(&self.out_docs, &self.out_buckets);
        }
        for ((doc, parent), value) in self.fetched.docs.iter().zip(&self.fetched.buckets).zip(&self.fetched.values) {
            if part.allowed.as_ref().is_some_and(|allowed| !allowed.contains(*value)) {
                continue;
            }
            let Some(slot) = part.slotting.slot(*value, &part.column.kind) else { continue };
            let row = &mut part.rows[*parent as usize];
            let bucket = bucket_of(row, slot, *parent, bytes, &mut self.counts, self.budget)?;
            // A document counts once in a bucket, even if several of its values lie there.
            if is_multivalued {
                let same_doc = self.out_docs.iter().rev().take_while(|earlier| *earlier == doc).count();
                let start = self.out_docs.len() - same_doc;
                if self.out_buckets[start..].contains(&bucket) {
                    continue;
                }
            }
            self.counts[bucket as usize] += 1;
            self.out_docs.push(*doc);
            self.out_buckets.push(bucket);
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
    fn drop_last(&self, entries: &mut Vec<Entry>, keyed: &mut Keyed) -> Result<(), StoreError> {
        if entries.len() <= KEYS_MAX {
            return Ok(());
        }
        let order = match self.many {
            Many::Keep => return Ok(()),
            Many::Refuse => return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX }),
            Many::Drop(order) => order,
        };
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
        Ok(())
    }

    /// Keys of entries, which are sorted.
    fn keys(&mut self, entries: &[Entry]) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::with_capacity(entries.len());
        for run in entries.chunk_by(|(a, ..), (b, ..)| a == b) {
            let part = &self.parts[run[0].0];
            self.slots.clear();
            self.slots.extend(run.iter().map(|(_, slot, _)| *slot));
            part.slotting.keys(&part.column.kind, &self.slots, &mut keys)?;
        }
        if !self.is_declared {
            keys = keys.into_iter().map(Key::whole_if_possible).collect();
        }
        Ok(keys)
    }
}

impl Collect for KeyedCollector<'_> {
    fn collect(&mut self, docs: &[DocId], buckets: &[u32]) -> Result<(), StoreError> {
        if let Some(found_docs) = &mut self.found_docs {
            grow(found_docs, buckets, 1, size_of::<u64>(), self.budget)?;
            for bucket in buckets {
                found_docs[*bucket as usize] += 1;
            }
        }
        for part in 0..self.parts.len() {
            self.collect_part(part, docs, buckets)?;
        }
        self.collect_missing(docs, buckets)
    }

    fn take(&mut self, bucket: u32) -> Result<Partial, StoreError> {
        let mut keyed = Keyed::default();
        let found_docs = self.found_docs.as_ref().and_then(|found| found.get(bucket as usize));
        keyed.found_docs = found_docs.copied().unwrap_or_default();
        let mut entries = std::mem::take(&mut self.entries);
        entries.clear();
        for (number, part) in self.parts.iter_mut().enumerate() {
            if let Some(row) = part.rows.get_mut(bucket as usize) {
                let row = std::mem::take(row).take();
                entries.extend(row.map(|(slot, bucket)| (number, slot, bucket)));
            }
        }
        self.drop_last(&mut entries, &mut keyed)?;
        entries.sort_unstable();
        let keys = self.keys(&entries)?;
        let mut buckets = Vec::with_capacity(entries.len() + 1);
        for ((_, _, own), key) in entries.iter().zip(keys) {
            buckets.push((key, Bucket { count: self.counts[*own as usize], subs: self.subs.take(*own)? }));
        }
        self.entries = entries;
        if let Some((key, _, missing_buckets)) = &self.missing
            && let Some(own) = missing_buckets.get(bucket as usize).copied().filter(|own| *own != NO_BUCKET)
        {
            buckets.push((key.clone(), Bucket { count: self.counts[own as usize], subs: self.subs.take(own)? }));
        }
        keyed.buckets = Buckets::of(buckets, &self.plan.subs.aggs)?;
        Ok(Partial::Keyed(keyed))
    }
}
