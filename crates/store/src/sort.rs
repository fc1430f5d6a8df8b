//! Order of hits: by any columns, the best of each segment first, then merged over segments and days.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;
use tantivy::columnar::{Column, ColumnIndex, Dictionary};
use tantivy::{DocId, SegmentReader};
use tollhouse_query::ast::Sort;
use tollhouse_query::fields::{FieldKind, Fields};

use crate::column::{Columns, Number, NumberKind, ValueColumn, ValueKind, text_at};
use crate::error::StoreError;
use crate::field::{FieldRef, SEQ, TIMESTAMP};

/// Sort keys in one request.
const SORT_KEYS_MAX: usize = 32;

/// In which order hits are answered.
#[derive(Debug)]
pub(crate) struct SortPlan {
    keys: Vec<SortKey>,
    /// The request gave keys, so that hits tell their values and have no score.
    pub(crate) is_explicit: bool,
    /// Among equals the newest record (largest sequence number) comes first.
    newest_first: bool,
}

#[derive(Debug)]
struct SortKey {
    /// `None` for `_score`, which is the same for all.
    field: Option<FieldRef>,
    descending: bool,
    missing_first: bool,
}

impl SortPlan {
    pub(crate) fn new(sort: &[Sort], fields: &Fields) -> Result<Self, StoreError> {
        if sort.len() > SORT_KEYS_MAX {
            return Err(StoreError::invalid(format!("more than {SORT_KEYS_MAX} sort keys")));
        }
        if sort.is_empty() {
            let newest =
                SortKey { field: Some(FieldRef::resolve(TIMESTAMP, fields)), descending: true, missing_first: false };
            return Ok(Self { keys: vec![newest], is_explicit: false, newest_first: true });
        }
        let mut keys = Vec::with_capacity(sort.len());
        for key in sort {
            let field = match key.field.as_str() {
                "_score" => None,
                "_doc" => Some(FieldRef::resolve(SEQ, fields)),
                name => {
                    let field = FieldRef::resolve(name, fields);
                    if field.kind == Some(FieldKind::Text) {
                        return Err(StoreError::text_has_no_values(&field.name));
                    }
                    Some(field)
                }
            };
            keys.push(SortKey { field, descending: key.descending, missing_first: key.missing_first });
        }
        let newest_first = keys.iter().find(|key| key.field.is_some()).is_none_or(|key| key.descending);
        Ok(Self { keys, is_explicit: true, newest_first })
    }

    /// Whether newer days hold the better hits, so that they should be looked at first.
    pub(crate) fn prefers_new(&self) -> bool {
        self.newest_first
    }

    pub(crate) fn compare(&self, a: &Found, b: &Found) -> Ordering {
        for (key, (a, b)) in self.keys.iter().zip(a.sort.iter().zip(&b.sort)) {
            let order = match (a, b) {
                (SortValue::Missing, SortValue::Missing) => Ordering::Equal,
                (SortValue::Missing, _) if key.missing_first => Ordering::Less,
                (SortValue::Missing, _) => Ordering::Greater,
                (_, SortValue::Missing) if key.missing_first => Ordering::Greater,
                (_, SortValue::Missing) => Ordering::Less,
                (a, b) if key.descending => b.compare(a),
                (a, b) => a.compare(b),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        if self.newest_first { b.seq.cmp(&a.seq) } else { a.seq.cmp(&b.seq) }
    }

    /// The `sort` member of a hit.
    pub(crate) fn values(&self, found: &Found) -> Vec<Value> {
        self.keys.iter().zip(&found.sort).map(|(key, value)| key.json(value)).collect()
    }
}

impl SortKey {
    fn json(&self, value: &SortValue) -> Value {
        let Some(field) = &self.field else { return Value::from(1.0) };
        match value {
            SortValue::Text(text) => text.clone().into(),
            SortValue::Number(Number::I64(value)) => (*value).into(),
            SortValue::Number(Number::U64(value)) => (*value).into(),
            SortValue::Number(Number::F64(value)) => (*value).into(),
            // What Elasticsearch puts in the place of a missing value, so that it sorts where it stands.
            SortValue::Missing => {
                let is_last_in_value_order = self.descending == self.missing_first;
                match (field.kind, is_last_in_value_order) {
                    (Some(FieldKind::Long | FieldKind::Date | FieldKind::Boolean), true) => i64::MAX.into(),
                    (Some(FieldKind::Long | FieldKind::Date | FieldKind::Boolean), false) => i64::MIN.into(),
                    (Some(FieldKind::Double), true) => "Infinity".into(),
                    (Some(FieldKind::Double), false) => "-Infinity".into(),
                    (Some(FieldKind::Keyword | FieldKind::Text) | None, _) => Value::Null,
                }
            }
        }
    }
}

/// A hit with what it is sorted by, comparable over segments.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    sort: Vec<SortValue>,
    pub(crate) seq: u64,
    pub(crate) place: Place,
}

/// Where a document is: numbers of the day and the segment within the search, and of the document in the segment.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) day: u32,
    pub(crate) segment: u32,
    pub(crate) doc: DocId,
}

#[derive(Clone, Debug)]
enum SortValue {
    Missing,
    Number(Number),
    Text(String),
}

impl SortValue {
    /// Neither is missing.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (SortValue::Number(Number::I64(a)), SortValue::Number(Number::I64(b))) => a.cmp(b),
            (SortValue::Number(Number::U64(a)), SortValue::Number(Number::U64(b))) => a.cmp(b),
            (SortValue::Number(a), SortValue::Number(b)) => a.as_f64().total_cmp(&b.as_f64()),
            (SortValue::Text(a), SortValue::Text(b)) => a.cmp(b),
            (SortValue::Text(_), _) => Ordering::Greater,
            (_, SortValue::Text(_)) => Ordering::Less,
            (SortValue::Missing, _) | (_, SortValue::Missing) => Ordering::Equal,
        }
    }
}

/// The sort columns of one segment.
pub(crate) struct SegmentSort {
    keys: Vec<SegmentKey>,
    seq: Column<u64>,
    newest_first: bool,
}

struct SegmentKey {
    columns: Columns,
    descending: bool,
    missing_first: bool,
}

/// A value as a pair that sorts in the order of the hits: 0 missing and first, 1 number, 2 text, 3 missing and last;
/// then the value, turned over when descending.
type Rank = (u8, u64);

impl SegmentSort {
    pub(crate) fn new(plan: &SortPlan, segment: &SegmentReader) -> Result<Self, StoreError> {
        let keys = plan.keys.iter().map(|key| {
            let columns = match &key.field {
                Some(field) => Columns::open(segment, &field.column)?,
                None => Columns { list: Vec::new() },
            };
            Ok(SegmentKey { columns, descending: key.descending, missing_first: key.missing_first })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, StoreError>>()?,
            seq: segment.fast_fields().u64(SEQ).map_err(StoreError::tantivy("opening a column"))?,
            newest_first: plan.newest_first,
        })
    }

    /// Whether no document of the segment can come before `worst`; `false` when that is not easily known.
    pub(crate) fn is_behind(&self, worst: &Found) -> bool {
        let Some(key) = self.keys.first() else { return false };
        let [ValueColumn { values, kind: ValueKind::Number(kind) }] = key.columns.list.as_slice() else { return false };
        if key.missing_first && !matches!(values.index, ColumnIndex::Full) {
            return false;
        }
        let best = kind.decode(if key.descending { values.max_value() } else { values.min_value() });
        let Some(SortValue::Number(worst)) = worst.sort.first() else { return false };
        let order = SortValue::Number(best).compare(&SortValue::Number(*worst));
        order == if key.descending { Ordering::Less } else { Ordering::Greater }
    }

    fn found(&self, entry: &Entry, day: u32, segment: u32) -> Result<Found, StoreError> {
        let values = self.keys.iter().zip(&entry.ranks).map(|(key, rank)| key.value(*rank));
        Ok(Found {
            sort: values.collect::<Result<_, _>>()?,
            seq: if self.newest_first { !entry.tie } else { entry.tie },
            place: Place { day, segment, doc: entry.doc },
        })
    }

    /// Smaller comes first.
    fn tie(&self, doc: DocId) -> u64 {
        let seq = self.seq.first(doc).unwrap_or_default();
        if self.newest_first { !seq } else { seq }
    }
}

impl SegmentKey {
    fn rank(&self, doc: DocId) -> Rank {
        for column in &self.columns.list {
            let class = if matches!(column.kind, ValueKind::Number(_)) { 1 } else { 2 };
            let values = column.values.values_for_doc(doc);
            let value = if self.descending { values.max() } else { values.min() };
            if let Some(value) = value {
                return if self.descending { (3 - class, !value) } else { (class, value) };
            }
        }
        (if self.missing_first { 0 } else { 3 }, 0)
    }

    fn value(&self, (class, value): Rank) -> Result<SortValue, StoreError> {
        if matches!(class, 0 | 3) {
            return Ok(SortValue::Missing);
        }
        let (class, value) = if self.descending { (3 - class, !value) } else { (class, value) };
        let number = self.columns.number();
        if class == 1 {
            return Ok(
                number.map_or(SortValue::Missing, |(_, kind): (_, NumberKind)| SortValue::Number(kind.decode(value)))
            );
        }
        match self.dictionary() {
            Some(dictionary) => Ok(SortValue::Text(text_at(dictionary, value)?)),
            None => Ok(SortValue::Missing),
        }
    }

    fn dictionary(&self) -> Option<&Dictionary> {
        self.columns.list.iter().find_map(|column| match &column.kind {
            ValueKind::Text(dictionary) => Some(dictionary.as_ref()),
            ValueKind::Number(_) => None,
        })
    }
}

/// The best documents of one segment (or of one bucket in it).
pub(crate) struct Best {
    limit: usize,
    heap: BinaryHeap<Entry>,
    scratch: Vec<Rank>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    ranks: Vec<Rank>,
    tie: u64,
    doc: DocId,
}

impl Best {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new(), scratch: Vec::new() }
    }

    pub(crate) fn add(&mut self, sort: &SegmentSort, doc: DocId) {
        if self.limit == 0 {
            return;
        }
        if self.heap.len() == self.limit
            && let Some(worst) = self.heap.peek()
        {
            // Most documents already lose by their first key.
            if let (Some(key), Some(worst_rank)) = (sort.keys.first(), worst.ranks.first())
                && key.rank(doc) > *worst_rank
            {
                return;
            }
        }
        self.scratch.clear();
        self.scratch.extend(sort.keys.iter().map(|key| key.rank(doc)));
        let tie = sort.tie(doc);
        if self.heap.len() < self.limit {
            self.heap.push(Entry { ranks: self.scratch.clone(), tie, doc });
            return;
        }
        let Some(mut worst) = self.heap.peek_mut() else { return };
        if (&self.scratch, tie, doc) < (&worst.ranks, worst.tie, worst.doc) {
            worst.ranks.clone_from(&self.scratch);
            worst.tie = tie;
            worst.doc = doc;
        }
    }

    /// The found documents, in no order.
    pub(crate) fn take(&mut self, sort: &SegmentSort, day: u32, segment: u32) -> Result<Vec<Found>, StoreError> {
        std::mem::take(&mut self.heap).into_iter().map(|entry| sort.found(&entry, day, segment)).collect()
    }
}

/// Puts hits in order and keeps the first `limit`.
pub(crate) fn keep_best(plan: &SortPlan, found: &mut Vec<Found>, limit: usize) {
    found.sort_unstable_by(|a, b| plan.compare(a, b));
    found.truncate(limit);
}
