//! Order of hits: by any columns, the best of each segment first, then merged over segments and days.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;
use tantivy::columnar::{Column, ColumnIndex, Dictionary, TermOrdHit};
use tantivy::{DocId, SegmentReader};
use tollhouse_query::ast::{DateFormat, Missing, Sort};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::{FieldKind, Fields};

use crate::column::{Columns, Number, NumberKind, ValueColumn, ValueKind, text_at};
use crate::error::StoreError;
use crate::field::{FieldRef, SEQ, TIMESTAMP};
use crate::filter::Moment;

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
    /// What its values are: as declared, or as the request says where no document has it.
    kind: Option<FieldKind>,
    descending: bool,
    missing_first: bool,
    /// What stands for a missing value, where that is to be a value like others.
    substitute: Option<Number>,
    format: Option<DateFormat>,
}

impl SortPlan {
    pub(crate) fn new(sort: &[Sort], fields: &Fields, moment: Moment) -> Result<Self, StoreError> {
        if sort.len() > SORT_KEYS_MAX {
            return Err(StoreError::invalid(format!("more than {SORT_KEYS_MAX} sort keys")));
        }
        if sort.is_empty() {
            let newest = SortKey {
                field: Some(FieldRef::resolve(TIMESTAMP, fields)),
                kind: Some(FieldKind::Date),
                descending: true,
                missing_first: false,
                substitute: None,
                format: None,
            };
            return Ok(Self { keys: vec![newest], is_explicit: false, newest_first: true });
        }
        let mut keys = Vec::with_capacity(sort.len());
        for key in sort {
            let field = match key.field.as_str() {
                "_score" => None,
                "_doc" | "_shard_doc" => Some(FieldRef::resolve(SEQ, fields)),
                name => {
                    let field = FieldRef::resolve(name, fields);
                    if field.kind == Some(FieldKind::Text) {
                        return Err(StoreError::text_has_no_values(&field.name));
                    }
                    Some(field)
                }
            };
            let kind = field.as_ref().and_then(|field| field.kind).or(key.unmapped);
            let substitute = match &key.missing {
                Missing::First | Missing::Last => None,
                Missing::Value(value) => Some(substitute(&key.field, kind, value, moment)?),
            };
            keys.push(SortKey {
                field,
                kind,
                descending: key.descending,
                missing_first: key.missing == Missing::First,
                substitute,
                format: key.format,
            });
        }
        let newest_first = keys.iter().find(|key| key.field.is_some()).is_none_or(|key| key.descending);
        Ok(Self { keys, is_explicit: true, newest_first })
    }

    /// Whether newer days hold the better hits, so that they should be looked at first.
    pub(crate) fn prefers_new(&self) -> bool {
        self.newest_first
    }

    /// Names of undeclared fields that hits are sorted by although the request does not say what they would be.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = &str> {
        let doubtful = |key: &&SortKey| key.kind.is_none() && key.field.is_some();
        self.keys.iter().filter(doubtful).filter_map(|key| Some(key.field.as_ref()?.name.as_str()))
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

/// The value that stands for a missing one, in numbers as they are kept.
fn substitute(name: &str, kind: Option<FieldKind>, value: &Value, moment: Moment) -> Result<Number, StoreError> {
    let number = match kind {
        Some(FieldKind::Date) => Number::I64(Zone::utc().parse_date(value, false, moment.now_ms)?),
        Some(FieldKind::Keyword | FieldKind::Text | FieldKind::Boolean) => {
            return Err(StoreError::invalid(format!(
                "[missing] in the sort of [{name}] must be _first or _last: a value is only supported for numbers and dates"
            )));
        }
        _ => match (value.as_i64(), value.as_f64().or_else(|| value.as_str()?.parse().ok())) {
            (Some(whole), _) => Number::I64(whole),
            (None, Some(number)) => Number::F64(number),
            (None, None) => return Err(StoreError::invalid(format!("For input string: {value}"))),
        },
    };
    Ok(number)
}

impl SortKey {
    fn json(&self, value: &SortValue) -> Value {
        if self.field.is_none() {
            return Value::from(1.0);
        }
        match value {
            SortValue::Text(text) => text.clone().into(),
            SortValue::Number(Number::I64(value)) => match self.format.filter(|_| self.kind == Some(FieldKind::Date)) {
                Some(format) => date_json(*value, format),
                None => (*value).into(),
            },
            SortValue::Number(Number::U64(value)) => (*value).into(),
            SortValue::Number(Number::F64(value)) => (*value).into(),
            SortValue::Missing => self.missing_json(),
        }
    }

    /// What Elasticsearch puts in the place of a missing value, so that it sorts where it stands.
    fn missing_json(&self) -> Value {
        let is_last_in_value_order = self.descending == self.missing_first;
        match (self.kind, is_last_in_value_order) {
            (Some(FieldKind::Long | FieldKind::Date | FieldKind::Boolean), true) => i64::MAX.into(),
            (Some(FieldKind::Long | FieldKind::Date | FieldKind::Boolean), false) => i64::MIN.into(),
            (Some(FieldKind::Double), true) => "Infinity".into(),
            (Some(FieldKind::Double), false) => "-Infinity".into(),
            (Some(FieldKind::Keyword | FieldKind::Text) | None, _) => Value::Null,
        }
    }
}

/// A date as hits tell it.
pub(crate) fn date_json(ms: i64, format: DateFormat) -> Value {
    match format {
        DateFormat::Iso => Zone::utc().format(ms).into(),
        DateFormat::EpochMillis => ms.to_string().into(),
        DateFormat::EpochSecond => ms.div_euclid(1000).to_string().into(),
    }
}

/// A hit with what it is sorted by, comparable over segments.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    sort: Vec<SortValue>,
    pub(crate) seq: u64,
    pub(crate) place: Place,
}

impl Found {
    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.sort.iter().map(|value| match value {
            SortValue::Text(text) => text.len(),
            SortValue::Missing | SortValue::Number(_) => 0,
        });
        size_of::<Self>() + self.sort.len() * size_of::<SortValue>() + texts.sum::<usize>()
    }

    /// The same document in another search, in which its day and segment have these numbers.
    pub(crate) fn move_to(&mut self, day: u32, segment: u32) {
        (self.place.day, self.place.segment) = (day, segment);
    }
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
    /// Only documents behind it are wanted; empty when all are.
    after: Vec<After>,
    seq: Column<u64>,
    newest_first: bool,
}

struct SegmentKey {
    columns: Columns,
    /// What a number is where no document of the segment has one.
    kind_of_none: NumberKind,
    descending: bool,
    /// Rank of documents without a value.
    missing: Rank,
}

/// One key of the place that hits begin behind.
#[derive(Clone, Copy, Debug)]
struct After {
    rank: Rank,
    /// The value is not in this segment: what has this rank is the first behind it.
    is_between: bool,
}

/// A value as a pair that sorts in the order of the hits: 0 missing and first, 1 number, 2 text, 3 missing and last;
/// then the value, turned over when descending.
type Rank = (u8, u64);

const FIRST: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const LAST: u8 = 3;

impl SegmentSort {
    /// All documents, in this order.
    pub(crate) fn new(plan: &SortPlan, segment: &SegmentReader) -> Result<Self, StoreError> {
        Self::behind(plan, &[], segment, Moment { now_ms: 0 })
    }

    /// Only those behind one with these sort values.
    pub(crate) fn behind(
        plan: &SortPlan,
        after: &[Value],
        segment: &SegmentReader,
        moment: Moment,
    ) -> Result<Self, StoreError> {
        let keys = plan.keys.iter().map(|key| {
            let columns = match &key.field {
                Some(field) => Columns::open(segment, &field.column)?,
                None => Columns { list: Vec::new() },
            };
            let kind_of_none = match key.kind {
                Some(FieldKind::Double) => NumberKind::F64,
                Some(FieldKind::Boolean) => NumberKind::Bool,
                _ => NumberKind::I64,
            };
            let mut made = SegmentKey { columns, kind_of_none, descending: key.descending, missing: (LAST, 0) };
            made.missing = match key.substitute {
                Some(number) => made.number_rank(number).rank,
                None => (if key.missing_first { FIRST } else { LAST }, 0),
            };
            Ok(made)
        });
        let keys: Vec<SegmentKey> = keys.collect::<Result<_, StoreError>>()?;
        let places = plan.keys.iter().zip(&keys).zip(after);
        Ok(Self {
            after: places.map(|((plan, key), value)| key.after(plan, value, moment)).collect::<Result<_, _>>()?,
            keys,
            seq: segment.fast_fields().u64(SEQ).map_err(StoreError::tantivy("opening a column"))?,
            newest_first: plan.newest_first,
        })
    }

    /// Whether no document of the segment can come before `worst`; `false` when that is not easily known.
    pub(crate) fn is_behind(&self, worst: &Found) -> bool {
        let Some(key) = self.keys.first() else { return false };
        let [ValueColumn { values, kind: ValueKind::Number(kind) }] = key.columns.list.as_slice() else { return false };
        if key.missing.0 != LAST && !matches!(values.index, ColumnIndex::Full) {
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

    /// Whether a document of these ranks is wanted.
    fn is_wanted(&self, ranks: &[Rank]) -> bool {
        for (rank, after) in ranks.iter().zip(&self.after) {
            match rank.cmp(&after.rank) {
                Ordering::Less => return false,
                Ordering::Greater => return true,
                Ordering::Equal if after.is_between => return true,
                Ordering::Equal => {}
            }
        }
        self.after.is_empty()
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
            let class = if matches!(column.kind, ValueKind::Number(_)) { NUMBER } else { TEXT };
            let values = column.values.values_for_doc(doc);
            let value = if self.descending { values.max() } else { values.min() };
            if let Some(value) = value {
                return self.turned((class, value));
            }
        }
        self.missing
    }

    /// A rank in ascending order, or one in the order of the hits, turned into the other.
    fn turned(&self, (class, value): Rank) -> Rank {
        if self.descending { (LAST - class, !value) } else { (class, value) }
    }

    /// Where this number is, or the first behind it in the order of the hits.
    fn number_rank(&self, number: Number) -> After {
        let kind = self.columns.number().map_or(self.kind_of_none, |(_, kind)| kind);
        let (above, below) = (kind.raw_from(number, true), kind.raw_to(number, true));
        let is_between = above != below;
        let rank = match if self.descending { below } else { above } {
            Some(raw) => self.turned((NUMBER, raw)),
            // All of them come before it.
            None => (if self.descending { TEXT } else { NUMBER }, u64::MAX),
        };
        After { rank, is_between }
    }

    /// The place of a sort value of `search_after`.
    fn after(&self, key: &SortKey, value: &Value, moment: Moment) -> Result<After, StoreError> {
        let missing = After { rank: self.missing, is_between: false };
        // What stands for a missing value is one, or the next page would begin before it.
        if key.substitute.is_none() && *value == key.missing_json() {
            return Ok(missing);
        }
        let wrong = || StoreError::invalid(format!("Failed to parse search_after value for [{value}]"));
        match value {
            _ if key.field.is_none() => Ok(After { rank: self.missing, is_between: false }),
            Value::String(text) if matches!(key.kind, Some(FieldKind::Keyword) | None) => self.text_place(text),
            Value::Null => Ok(missing),
            Value::Bool(is_true) => Ok(self.number_rank(Number::I64((*is_true).into()))),
            _ if key.kind == Some(FieldKind::Date) => {
                let ms = Zone::utc().parse_date(value, false, moment.now_ms)?;
                Ok(self.number_rank(Number::I64(ms)))
            }
            Value::Number(number) => {
                let whole = number.as_i64().map(Number::I64).or_else(|| number.as_u64().map(Number::U64));
                Ok(self.number_rank(whole.or_else(|| number.as_f64().map(Number::F64)).ok_or_else(wrong)?))
            }
            Value::String(text) => {
                let whole = text.parse().ok().map(Number::I64);
                Ok(self.number_rank(whole.or_else(|| text.parse().ok().map(Number::F64)).ok_or_else(wrong)?))
            }
            Value::Array(_) | Value::Object(_) => Err(wrong()),
        }
    }

    fn text_place(&self, text: &str) -> Result<After, StoreError> {
        let doing = "looking into a dictionary";
        let Some(dictionary) = self.dictionary() else {
            // No document has a text: all texts are behind the numbers, and before what is missing.
            return Ok(After { rank: self.turned((TEXT, 0)), is_between: false });
        };
        let (ord, is_between) = match dictionary.term_ord_or_next(text.as_bytes()).map_err(StoreError::column(doing))? {
            TermOrdHit::Exact(ord) => (ord, false),
            TermOrdHit::Next(ord) => (ord, true),
        };
        if !(self.descending && is_between) {
            return Ok(After { rank: self.turned((TEXT, ord)), is_between });
        }
        // Turned over, the first behind it is the one below.
        Ok(match ord.checked_sub(1) {
            Some(below) => After { rank: self.turned((TEXT, below)), is_between },
            None => After { rank: (LAST - TEXT, u64::MAX), is_between: false },
        })
    }

    fn value(&self, (class, value): Rank) -> Result<SortValue, StoreError> {
        if matches!(class, FIRST | LAST) {
            return Ok(SortValue::Missing);
        }
        let (class, value) = self.turned((class, value));
        let number = self.columns.number();
        if class == NUMBER {
            let kind = number.map_or(self.kind_of_none, |(_, kind)| kind);
            return Ok(SortValue::Number(kind.decode(value)));
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
        if !sort.after.is_empty() && !sort.is_wanted(&self.scratch) {
            return;
        }
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

    /// The found documents, the first one first.
    pub(crate) fn take(&mut self, sort: &SegmentSort, day: u32, segment: u32) -> Result<Vec<Found>, StoreError> {
        let found = std::mem::take(&mut self.heap).into_sorted_vec();
        found.iter().map(|entry| sort.found(entry, day, segment)).collect()
    }
}

/// Puts hits in order and keeps the first `limit`.
pub(crate) fn keep_best(plan: &SortPlan, found: &mut Vec<Found>, limit: usize) {
    found.sort_unstable_by(|a, b| plan.compare(a, b));
    found.truncate(limit);
}
