//! Columns of one segment: typed access to the values that filters, sorting and aggregations read.

use std::sync::Arc;

use tantivy::columnar::column_index::OptionalIndex;
use tantivy::columnar::{Column, ColumnIndex, ColumnType, Dictionary, DynamicColumn, MonotonicallyMappableToU64};
use tantivy::{DocId, SegmentReader};

use crate::bits::{Bits, Docs, is_run};
use crate::error::StoreError;

/// All columns that a field has in one segment. A declared field has at most one; an undeclared one may hold numbers in
/// one document and strings in another, then numbers come first.
#[derive(Clone)]
pub(crate) struct Columns {
    pub(crate) list: Vec<ValueColumn>,
}

/// The values of one type.
#[derive(Clone)]
pub(crate) struct ValueColumn {
    /// Values mapped to `u64` so that their order stays: numbers by [`NumberKind`], strings by their place in the dictionary.
    pub(crate) values: Column<u64>,
    pub(crate) kind: ValueKind,
}

/// What the `u64` of a column stand for.
#[derive(Clone)]
pub(crate) enum ValueKind {
    Number(NumberKind),
    Text(Arc<Dictionary>),
}

/// How a number was mapped to `u64`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NumberKind {
    I64,
    U64,
    F64,
    Bool,
}

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    I64(i64),
    U64(u64),
    F64(f64),
}

impl Columns {
    /// The columns stored under `name`, none if the segment never saw the field.
    pub(crate) fn open(segment: &SegmentReader, name: &str) -> Result<Self, StoreError> {
        let doing = "opening a column";
        let handles = segment.fast_fields().dynamic_column_handles(name).map_err(StoreError::tantivy(doing))?;
        let mut list = Vec::with_capacity(handles.len());
        for handle in handles {
            let kind = match handle.column_type() {
                ColumnType::I64 => Some(NumberKind::I64),
                ColumnType::U64 => Some(NumberKind::U64),
                ColumnType::F64 => Some(NumberKind::F64),
                ColumnType::Bool => Some(NumberKind::Bool),
                ColumnType::Str => None,
                // The schema has no fields of the other types.
                ColumnType::IpAddr | ColumnType::DateTime | ColumnType::Bytes => continue,
            };
            let (values, kind) = match kind {
                // Numbers as they are kept: brought into their type and back, each would take two calls more.
                Some(kind) => match handle.open_u64_lenient().map_err(StoreError::column(doing))? {
                    Some(values) => (values, ValueKind::Number(kind)),
                    None => continue,
                },
                None => match handle.open().map_err(StoreError::column(doing))? {
                    DynamicColumn::Str(column) => {
                        let (dictionary, ords) = column.into_parts();
                        (ords, ValueKind::Text(dictionary))
                    }
                    _ => continue,
                },
            };
            if !matches!(values.index, ColumnIndex::Empty { .. }) && values.values.num_vals() > 0 {
                list.push(ValueColumn { values, kind });
            }
        }
        list.sort_by_key(|column| matches!(column.kind, ValueKind::Text(_)));
        Ok(Self { list })
    }

    /// Documents with at least one value.
    pub(crate) fn exists(&self, max_doc: u32) -> Docs {
        self.list.iter().fold(Docs::None, |docs, column| docs.or(column.exists(max_doc)))
    }

    /// The numeric column, if any.
    pub(crate) fn number(&self) -> Option<(&Column<u64>, NumberKind)> {
        self.list.iter().find_map(|column| match column.kind {
            ValueKind::Number(kind) => Some((&column.values, kind)),
            ValueKind::Text(_) => None,
        })
    }
}

impl ValueColumn {
    fn exists(&self, max_doc: u32) -> Docs {
        match &self.values.index {
            ColumnIndex::Empty { .. } => Docs::None,
            ColumnIndex::Full => Docs::All,
            index @ (ColumnIndex::Optional(_) | ColumnIndex::Multivalued(_)) => {
                let mut bits = Bits::new(max_doc);
                (0..max_doc).filter(|doc| index.has_value(*doc)).for_each(|doc| bits.insert(doc));
                bits.into()
            }
        }
    }

    /// Documents with a value between `low` and `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64, max_doc: u32) -> Docs {
        /// Documents looked at in one call: bounds the list of hits that comes back.
        const CHUNK: u32 = 1 << 16;
        if let Some(docs) = self.settled(low, high) {
            return docs;
        }
        let mut bits = Bits::new(max_doc);
        let mut hits = Vec::new();
        let mut start = 0;
        while start < max_doc {
            let end = max_doc.min(start + CHUNK);
            hits.clear();
            self.values.get_docids_for_value_range(low..=high, start..end, &mut hits);
            for doc in &hits {
                bits.insert(*doc);
            }
            start = end;
        }
        bits.into()
    }

    /// The same where it is known without a look at the values: all documents or none.
    pub(crate) fn settled(&self, low: u64, high: u64) -> Option<Docs> {
        let (min, max) = (self.values.min_value(), self.values.max_value());
        if low > high || low > max || high < min {
            return Some(Docs::None);
        }
        (low <= min && max <= high && matches!(self.values.index, ColumnIndex::Full)).then_some(Docs::All)
    }

    /// Documents with a value that `accept`s.
    pub(crate) fn any(&self, max_doc: u32, accept: impl Fn(u64) -> bool) -> Docs {
        let mut bits = Bits::new(max_doc);
        for doc in 0..max_doc {
            if self.values.values_for_doc(doc).any(&accept) {
                bits.insert(doc);
            }
        }
        bits.into()
    }
}

impl NumberKind {
    pub(crate) fn decode(self, raw: u64) -> Number {
        match self {
            NumberKind::I64 => Number::I64(i64::from_u64(raw)),
            NumberKind::U64 => Number::U64(raw),
            NumberKind::F64 => Number::F64(f64::from_u64(raw)),
            NumberKind::Bool => Number::I64(i64::from(raw != 0)),
        }
    }

    pub(crate) fn decode_f64(self, raw: u64) -> f64 {
        match self {
            NumberKind::I64 => i64::from_u64(raw) as f64,
            NumberKind::U64 => raw as f64,
            NumberKind::F64 => f64::from_u64(raw),
            NumberKind::Bool => f64::from(u8::from(raw != 0)),
        }
    }

    /// The smallest raw value that is not below `bound` (above it, when not `inclusive`); `None` when there is none.
    pub(crate) fn raw_from(self, bound: Number, inclusive: bool) -> Option<u64> {
        match self {
            NumberKind::F64 => {
                let value = bound.as_f64();
                Some(if inclusive { value } else { value.next_up() }.to_u64())
            }
            NumberKind::I64 => {
                bound.whole_from(inclusive).and_then(|value| fit(value, i64::MIN, i64::MAX)).map(i64::to_u64)
            }
            NumberKind::U64 => bound.whole_from(inclusive).and_then(|value| u64::try_from(value.max(0)).ok()),
            NumberKind::Bool => bound.whole_from(inclusive).and_then(|value| u64::try_from(value.max(0)).ok()),
        }
    }

    /// The largest raw value that is not above `bound` (below it, when not `inclusive`); `None` when there is none.
    pub(crate) fn raw_to(self, bound: Number, inclusive: bool) -> Option<u64> {
        match self {
            NumberKind::F64 => {
                let value = bound.as_f64();
                Some(if inclusive { value } else { value.next_down() }.to_u64())
            }
            NumberKind::I64 => bound
                .whole_to(inclusive)
                .map(|value| value.min(i128::from(i64::MAX)))
                .and_then(|value| i64::try_from(value).ok().map(i64::to_u64)),
            NumberKind::U64 | NumberKind::Bool => bound
                .whole_to(inclusive)
                .map(|value| value.min(i128::from(u64::MAX)))
                .and_then(|value| u64::try_from(value).ok()),
        }
    }
}

/// A lower bound below the type's range is its smallest value, one above it has no value.
fn fit(value: i128, min: i64, max: i64) -> Option<i64> {
    (value <= i128::from(max)).then(|| i64::try_from(value).unwrap_or(min))
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::I64(value) => value as f64,
            Number::U64(value) => value as f64,
            Number::F64(value) => value,
        }
    }

    /// The smallest whole number not below (above, when not `inclusive`) this one.
    fn whole_from(self, inclusive: bool) -> Option<i128> {
        match self {
            Number::I64(value) => Some(i128::from(value) + i128::from(!inclusive)),
            Number::U64(value) => Some(i128::from(value) + i128::from(!inclusive)),
            Number::F64(value) if value.is_nan() => None,
            Number::F64(value) if inclusive => Some(value.ceil() as i128),
            Number::F64(value) => Some((value.floor() as i128).saturating_add(1)),
        }
    }

    /// The largest whole number not above (below, when not `inclusive`) this one.
    fn whole_to(self, inclusive: bool) -> Option<i128> {
        match self {
            Number::I64(value) => Some(i128::from(value) - i128::from(!inclusive)),
            Number::U64(value) => Some(i128::from(value) - i128::from(!inclusive)),
            Number::F64(value) if value.is_nan() => None,
            Number::F64(value) if inclusive => Some(value.floor() as i128),
            Number::F64(value) => Some((value.ceil() as i128).saturating_sub(1)),
        }
    }
}

/// Values of a block of documents, side by side with their documents and the buckets these are in.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(crate) docs: Vec<DocId>,
    pub(crate) buckets: Vec<u32>,
    pub(crate) values: Vec<u64>,
    /// Where the values are in their column.
    rows: Vec<u32>,
}

impl Fetched {
    /// Reads the values of `docs`; a document with several values appears several times, one without not at all.
    pub(crate) fn read(&mut self, column: &Column<u64>, docs: &[DocId], buckets: &[u32]) {
        self.docs.clear();
        self.buckets.clear();
        self.values.clear();
        match &column.index {
            ColumnIndex::Empty { .. } => {}
            ColumnIndex::Full => {
                self.docs.extend_from_slice(docs);
                self.buckets.extend_from_slice(buckets);
                self.values.resize(docs.len(), 0);
                read_full(column, docs, &mut self.values);
            }
            ColumnIndex::Optional(index) => self.read_optional(column, index, docs, buckets),
            ColumnIndex::Multivalued(_) => {
                for (doc, bucket) in docs.iter().zip(buckets) {
                    for row in column.index.value_row_ids(*doc) {
                        self.docs.push(*doc);
                        self.buckets.push(*bucket);
                        self.values.push(column.values.get_val(row));
                    }
                }
            }
        }
    }
}

impl Fetched {
    /// Of documents with one value or none; all of a block at once.
    fn read_optional(&mut self, column: &Column<u64>, index: &OptionalIndex, docs: &[DocId], buckets: &[u32]) {
        if let (Some(first), Some(last)) = (docs.first(), docs.last())
            && is_run(docs)
        {
            let rows = column.index.docid_range_to_rowids(*first..*last + 1);
            if rows.len() == docs.len() {
                self.docs.extend_from_slice(docs);
                self.buckets.extend_from_slice(buckets);
                self.values.resize(docs.len(), 0);
                column.values.get_range(u64::from(rows.start), &mut self.values);
            }
            if rows.is_empty() || rows.len() == docs.len() {
                return;
            }
        }
        self.rows.clear();
        index.rank_if_exists_batch(docs, &mut self.docs, &mut self.rows);
        self.values.resize(self.rows.len(), 0);
        column.values.get_vals(&self.rows, &mut self.values);
        if self.docs.len() == docs.len() {
            self.buckets.extend_from_slice(buckets);
            return;
        }
        // Those with a value are in the order of all.
        let mut found = self.docs.iter().peekable();
        let with_value = docs.iter().zip(buckets).filter(|(doc, _)| found.next_if_eq(doc).is_some());
        self.buckets.extend(with_value.map(|(_, bucket)| *bucket));
    }
}

/// The values of documents that all have one. Documents that follow each other, as all do where nothing is filtered, are unpacked
/// together.
fn read_full(column: &Column<u64>, docs: &[DocId], values: &mut [u64]) {
    match docs.first() {
        Some(first) if is_run(docs) => column.values.get_range(u64::from(*first), values),
        _ => column.values.get_vals(docs, values),
    }
}

/// The string at a place of a dictionary.
pub(crate) fn text_at(dictionary: &Dictionary, ord: u64) -> Result<String, StoreError> {
    let mut bytes = Vec::new();
    dictionary.ord_to_term(ord, &mut bytes).map_err(StoreError::column("reading a dictionary"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Number::{F64, I64, U64};
    use super::*;

    #[test]
    fn bounds_of_one_type_fit_columns_of_another() {
        let from = |kind: NumberKind, bound, inclusive| kind.raw_from(bound, inclusive).map(|raw| kind.decode(raw));
        let to = |kind: NumberKind, bound, inclusive| kind.raw_to(bound, inclusive).map(|raw| kind.decode(raw));
        assert_eq!(from(NumberKind::I64, F64(1.5), true), Some(I64(2)));
        assert_eq!(from(NumberKind::I64, F64(2.0), true), Some(I64(2)));
        assert_eq!(from(NumberKind::I64, F64(2.0), false), Some(I64(3)));
        assert_eq!(from(NumberKind::I64, I64(-3), false), Some(I64(-2)));
        assert_eq!(from(NumberKind::I64, U64(u64::MAX), true), None);
        assert_eq!(from(NumberKind::I64, F64(-1e300), true), Some(I64(i64::MIN)));
        assert_eq!(from(NumberKind::U64, I64(-3), true), Some(U64(0)));
        assert_eq!(from(NumberKind::F64, I64(3), true), Some(F64(3.0)));
        assert_eq!(to(NumberKind::I64, F64(1.5), true), Some(I64(1)));
        assert_eq!(to(NumberKind::I64, F64(2.0), false), Some(I64(1)));
        assert_eq!(to(NumberKind::I64, F64(1e300), true), Some(I64(i64::MAX)));
        assert_eq!(to(NumberKind::I64, F64(-1e300), true), None);
        assert_eq!(to(NumberKind::U64, I64(-1), true), None);
        assert_eq!(to(NumberKind::F64, I64(3), false), Some(F64(3.0_f64.next_down())));
    }
}
