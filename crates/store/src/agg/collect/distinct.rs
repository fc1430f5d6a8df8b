//! `cardinality`: how many different values there are.

use tantivy::DocId;

use super::super::distinct::{Distinct, hash, hash_bytes};
use super::super::key::Key;
use super::super::partial::Partial;
use super::{BRANCH_BYTES, Budget, Collect, grow};
use crate::bits::Docs;
use crate::column::{Columns, Fetched, ValueKind};
use crate::error::StoreError;
use crate::field::FieldRef;

/// Places in the dictionary are gathered while collecting, their texts are hashed at the end.
pub(super) struct DistinctCollector<'a> {
    columns: Columns,
    is_undeclared: bool,
    /// By column, then by parent bucket.
    seen: Vec<Vec<Seen>>,
    /// For `missing`: the hash of what stands for a value, documents with one, and parent buckets with one without.
    missing: Option<(u64, Docs, Vec<bool>)>,
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
    pub(super) fn new(
        columns: Columns,
        field: &FieldRef,
        missing: Option<&Key>,
        max_doc: u32,
        budget: &'a Budget,
    ) -> Self {
        let seen = columns.list.iter().map(|_| Vec::new()).collect();
        let missing = missing.map(|key| (hash(key), columns.exists(max_doc), Vec::new()));
        Self { columns, is_undeclared: field.kind.is_none(), seen, missing, fetched: Fetched::default(), budget }
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
        if let Some((_, with_value, buckets_without)) = &mut self.missing {
            grow(buckets_without, buckets, 1, size_of::<bool>(), self.budget)?;
            for (doc, bucket) in docs.iter().zip(buckets) {
                buckets_without[*bucket as usize] |= !with_value.contains(*doc);
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
        if let Some((hash, _, buckets_without)) = &self.missing
            && buckets_without.get(bucket as usize) == Some(&true)
        {
            distinct.add(*hash);
        }
        Ok(Partial::Distinct(distinct))
    }
}
