//! Runs filters over one segment, as sets of documents.

use tantivy::SegmentReader;
use tantivy::columnar::{Dictionary, TermOrdHit};
use tollhouse_query::ast::Bound;

use super::cache::{FilterCache, Known};
use super::values::text;
use super::words::Words;
use super::{Filter, Test, TextTest};
use crate::bits::{Bits, Docs};
use crate::column::{Columns, NumberKind, ValueColumn, ValueKind};
use crate::error::StoreError;
use crate::field::{EXTRA, FieldRef, SEQ};

/// Runs filters over one segment.
pub(crate) struct SegmentFilter<'a> {
    pub(super) reader: &'a SegmentReader,
    cache: &'a FilterCache,
}

impl<'a> SegmentFilter<'a> {
    pub(crate) fn new(reader: &'a SegmentReader, cache: &'a FilterCache) -> Self {
        Self { reader, cache }
    }

    /// The documents that fulfil a filter.
    pub(crate) fn docs(&self, filter: &Filter) -> Result<Docs, StoreError> {
        let known = self.cache.ask(filter, self.reader.segment_id(), self.reader.max_doc());
        if let Known::Docs(docs) = known {
            return Ok((*docs).clone());
        }
        let docs = self.find(filter)?;
        if let Known::Again(print) = known {
            self.cache.keep(print, &docs);
        }
        Ok(docs)
    }

    fn find(&self, filter: &Filter) -> Result<Docs, StoreError> {
        match filter {
            Filter::All => Ok(Docs::All),
            Filter::None => Ok(Docs::None),
            Filter::Values { field, test } => self.values(field, test),
            Filter::Words { field, test } => Words::docs(self.reader, field, test),
            Filter::Exists(field) => self.exists(field),
            Filter::Slice { id, max } => self.slice(*id, *max),
            Filter::Bool { required, forbidden, optional, minimum } => {
                self.bool(required, forbidden, optional, *minimum)
            }
        }
    }

    fn bool(
        &self,
        required: &[Filter],
        forbidden: &[Filter],
        optional: &[Filter],
        minimum: usize,
    ) -> Result<Docs, StoreError> {
        if minimum > optional.len() {
            return Ok(Docs::None);
        }
        let mut docs = Docs::All;
        for filter in required {
            docs = docs.and(self.docs(filter)?);
            if matches!(docs, Docs::None) {
                return Ok(docs);
            }
        }
        for filter in forbidden {
            docs = docs.and(self.docs(filter)?.not());
            if matches!(docs, Docs::None) {
                return Ok(docs);
            }
        }
        Ok(match minimum {
            0 => docs,
            1 => {
                let mut any = Docs::None;
                for filter in optional {
                    any = any.or(self.docs(filter)?);
                }
                docs.and(any)
            }
            _ => {
                let optional = optional.iter().map(|filter| self.docs(filter));
                docs.and(at_least(optional, minimum, self.reader.max_doc())?)
            }
        })
    }

    fn exists(&self, field: &FieldRef) -> Result<Docs, StoreError> {
        let max_doc = self.reader.max_doc();
        let docs = Columns::open(self.reader, &field.column)?.exists(max_doc);
        if field.kind.is_some() || !field.column.starts_with(EXTRA) {
            return Ok(docs);
        }
        // An object exists when something in it does.
        let doing = "opening a column";
        let inner = self.reader.fast_fields().dynamic_subpath_column_handles(&field.column);
        inner.map_err(StoreError::tantivy(doing))?.into_iter().try_fold(docs, |docs, handle| {
            let index = handle.open().map_err(StoreError::column(doing))?.into_column_index();
            let mut bits = Bits::new(max_doc);
            (0..max_doc).filter(|doc| index.has_value(*doc)).for_each(|doc| bits.insert(doc));
            Ok(docs.or(bits.into()))
        })
    }

    /// Numbers of records are kept as they are.
    fn slice(&self, id: u64, max: u64) -> Result<Docs, StoreError> {
        let max_doc = self.reader.max_doc();
        let columns = Columns::open(self.reader, SEQ)?.list;
        Ok(columns.iter().fold(Docs::None, |docs, column| docs.or(column.any(max_doc, |seq| seq % max == id))))
    }

    fn values(&self, field: &FieldRef, test: &Test) -> Result<Docs, StoreError> {
        let mut docs = Docs::None;
        for column in Columns::open(self.reader, &field.column)?.list {
            let ranges = match &column.kind {
                ValueKind::Number(NumberKind::Bool) => [(test.is_false, 0), (test.is_true, 1)]
                    .into_iter()
                    .filter(|(on, _)| *on)
                    .map(|(_, v)| (v, v))
                    .collect(),
                ValueKind::Number(kind) => test.numbers.iter().filter_map(|range| range.raw(*kind)).collect(),
                ValueKind::Text(dictionary) => match &test.texts {
                    Some(test) => ordinals(dictionary, test)?,
                    None => Vec::new(),
                },
            };
            docs = docs.or(in_ranges(&column, ranges, self.reader.max_doc()));
        }
        Ok(docs)
    }
}

/// Documents that are in at least so many of the sets.
pub(super) fn at_least(
    sets: impl Iterator<Item = Result<Docs, StoreError>>,
    minimum: usize,
    max_doc: u32,
) -> Result<Docs, StoreError> {
    let mut counts = vec![0_u16; max_doc as usize];
    for docs in sets {
        docs?.for_each_block(max_doc, |block| {
            for doc in block {
                counts[*doc as usize] = counts[*doc as usize].saturating_add(1);
            }
            Ok::<_, StoreError>(())
        })?;
    }
    let mut bits = Bits::new(max_doc);
    for (doc, count) in counts.into_iter().enumerate() {
        if usize::from(count) >= minimum {
            bits.insert(doc as u32);
        }
    }
    Ok(bits.into())
}

/// The places in a dictionary of the texts that fulfil a test, as ranges.
fn ordinals(dictionary: &Dictionary, test: &TextTest) -> Result<Vec<(u64, u64)>, StoreError> {
    let doing = "looking into a dictionary";
    let terms = dictionary.num_terms() as u64;
    let from = |key: &str| -> Result<u64, StoreError> {
        Ok(match dictionary.term_ord_or_next(key).map_err(StoreError::column(doing))? {
            TermOrdHit::Exact(ord) | TermOrdHit::Next(ord) => ord.min(terms),
        })
    };
    let mut ranges = Vec::new();
    match test {
        TextTest::OneOf(texts) => {
            for text in texts {
                if let Some(ord) = dictionary.term_ord(text).map_err(StoreError::column(doing))? {
                    ranges.push((ord, ord));
                }
            }
        }
        TextTest::Between(lower, upper) => {
            let after = |key: &str| -> Result<u64, StoreError> {
                let ord = dictionary.term_ord(key).map_err(StoreError::column(doing))?;
                ord.map_or_else(|| from(key), |ord| Ok(ord + 1))
            };
            let start = match lower {
                Bound::Open => Some(0),
                Bound::Inclusive(low) => text(low).map(|low| from(&low)).transpose()?,
                Bound::Exclusive(low) => text(low).map(|low| after(&low)).transpose()?,
            };
            let end = match upper {
                Bound::Open => Some(terms),
                Bound::Inclusive(high) => text(high).map(|high| after(&high)).transpose()?,
                Bound::Exclusive(high) => text(high).map(|high| from(&high)).transpose()?,
            };
            if let (Some(start), Some(end)) = (start, end)
                && start < end
            {
                ranges.push((start, end - 1));
            }
        }
        TextTest::Fits(fit) => {
            let beginning = fit.beginning();
            let start = from(beginning)?;
            let mut ord = start;
            let mut stream = dictionary.prefix_range(beginning).into_stream().map_err(StoreError::column(doing))?;
            while stream.advance() {
                if !fit.is_prefix() && std::str::from_utf8(stream.key()).is_ok_and(|text| fit.is_match(text)) {
                    ranges.push((ord, ord));
                }
                ord += 1;
            }
            if fit.is_prefix() && ord > start {
                ranges.push((start, ord - 1));
            }
        }
    }
    Ok(ranges)
}

/// Documents with a value in one of the ranges.
fn in_ranges(column: &ValueColumn, mut ranges: Vec<(u64, u64)>, max_doc: u32) -> Docs {
    /// Up to here one fast pass for each range is cheaper than a slow pass for all.
    const PASSES_MAX: usize = 4;
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => merged.push((low, high)),
        }
    }
    if merged.len() <= PASSES_MAX {
        let pass = |docs: Docs, (low, high): (u64, u64)| docs.or(column.between(low, high, max_doc));
        return merged.into_iter().fold(Docs::None, pass);
    }
    column.any(max_doc, |value| {
        let after = merged.partition_point(|(low, _)| *low <= value);
        after > 0 && value <= merged[after - 1].1
    })
}
