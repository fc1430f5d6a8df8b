//! Combinations of the values of several fields: `multi_terms` and `composite`.
//!
//! The values of each field become slots, and the slots of a document lead through a tree of rows to its bucket, so that no
//! document's values are put together or hashed as a whole.

mod composite;
mod multi;

use tantivy::DocId;
use tantivy::columnar::ColumnIndex;

use super::super::key::Key;
use super::slots::{Interner, NO_BUCKET, Row, Slotting};
use super::{Budget, LEAF_BYTES};
use crate::bits::Docs;
use crate::column::{Columns, Fetched, ValueColumn};
use crate::error::StoreError;

pub(super) use composite::CompositeCollector;
pub(super) use multi::MultiCollector;

/// One of the fields.
struct Field<'a> {
    columns: Vec<ValueColumn>,
    slottings: Vec<Slotting<'a>>,
    /// Of several columns: (column, slot) by slot.
    joined: Option<Interner>,
    /// Documents without a value count, under this key.
    missing: Option<Key>,
    /// Undeclared fields may hold a number in several forms.
    is_declared: bool,
    with_value: Docs,
    /// Slots of each document of the block: `slots[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    slots: Vec<u32>,
    fetched: Fetched,
    pairs: Vec<(u32, u32)>,
}

/// Stands for a missing value; values come behind.
const MISSING_SLOT: u32 = 0;

impl<'a> Field<'a> {
    fn new(
        columns: Columns,
        slotting: impl Fn(&ValueColumn) -> Slotting<'a>,
        missing: Option<Key>,
        is_declared: bool,
        max_doc: u32,
    ) -> Self {
        let with_value = if missing.is_some() { columns.exists(max_doc) } else { Docs::None };
        Self {
            slottings: columns.list.iter().map(slotting).collect(),
            joined: (columns.list.len() > 1).then(Interner::default),
            columns: columns.list,
            missing,
            is_declared,
            with_value,
            starts: Vec::new(),
            slots: Vec::new(),
            fetched: Fetched::default(),
            pairs: Vec::new(),
        }
    }

    /// Reads the slots of a block of documents.
    fn read(&mut self, docs: &[DocId]) {
        self.starts.clear();
        self.slots.clear();
        self.pairs.clear();
        let places: Vec<u32> = (0..docs.len() as u32).collect();
        for (number, column) in self.columns.iter().enumerate() {
            self.fetched.read(&column.values, docs, &places);
            let first = self.pairs.len();
            for (place, raw) in self.fetched.buckets.iter().zip(&self.fetched.values) {
                let Some(slot) = self.slottings[number].slot(*raw, &column.kind) else { continue };
                let slot = match &mut self.joined {
                    Some(joined) => joined.slot((number as u64) << 32 | u64::from(slot)),
                    None => slot,
                };
                self.pairs.push((*place, slot + 1));
            }
            if matches!(column.values.index, ColumnIndex::Multivalued(_)) {
                // A value that a document has twice counts once.
                self.pairs[first..].sort_unstable();
                self.pairs.dedup();
            }
        }
        if self.columns.len() > 1 {
            self.pairs.sort_unstable();
            self.pairs.dedup();
        }
        let mut pairs = self.pairs.iter().peekable();
        for (place, doc) in docs.iter().enumerate() {
            self.starts.push(self.slots.len() as u32);
            while let Some((_, slot)) = pairs.next_if(|(of, _)| *of == place as u32) {
                self.slots.push(*slot);
            }
            if self.missing.is_some() && !self.with_value.contains(*doc) {
                self.slots.push(MISSING_SLOT);
            }
        }
        self.starts.push(self.slots.len() as u32);
    }

    /// The slots of the document at a place of the block.
    fn of(&self, place: usize) -> &[u32] {
        &self.slots[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// The keys of slots that ascend, each in its place.
    fn keys(&self, slots: &[u32]) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::with_capacity(slots.len());
        let mut values = slots;
        if let (Some(MISSING_SLOT), Some(missing)) = (slots.first().copied(), &self.missing) {
            keys.push(missing.clone());
            values = &slots[1..];
        }
        match &self.joined {
            None => {
                if let (Some(slotting), Some(column)) = (self.slottings.first(), self.columns.first()) {
                    let own: Vec<u32> = values.iter().map(|slot| slot - 1).collect();
                    slotting.keys(&column.kind, &own, &mut keys)?;
                }
            }
            Some(joined) => {
                for slot in values {
                    let both = joined.value(slot - 1);
                    let (number, slot) = ((both >> 32) as usize, both as u32);
                    self.slottings[number].keys(&self.columns[number].kind, &[slot], &mut keys)?;
                }
            }
        }
        if !self.is_declared {
            keys = keys.into_iter().map(Key::whole_if_possible).collect();
        }
        Ok(keys)
    }
}

/// The buckets of all combinations that were met, as a tree: a level for each field, in it a row for each beginning.
struct Tree {
    levels: Vec<Vec<Row>>,
    /// How many rows the next level has, by level.
    nodes: Vec<u32>,
}

impl Tree {
    fn new(fields: usize) -> Self {
        Self { levels: (0..fields).map(|_| Vec::new()).collect(), nodes: vec![0; fields] }
    }

    /// The number of a combination below a parent bucket: from 0 in the order they are first met.
    fn bucket(&mut self, parent: u32, slots: &[u32], budget: &Budget) -> Result<u32, StoreError> {
        let mut node = parent;
        for (level, slot) in slots.iter().enumerate() {
            let rows = &mut self.levels[level];
            if rows.len() <= node as usize {
                rows.resize_with(node as usize + 1, Row::default);
            }
            let next = rows[node as usize].entry(*slot, node, budget)?;
            if *next == NO_BUCKET {
                budget.spend(LEAF_BYTES + size_of::<Row>())?;
                *next = self.nodes[level];
                self.nodes[level] += 1;
            }
            node = *next;
        }
        Ok(node)
    }

    /// All combinations below a parent bucket with their numbers.
    fn take(&mut self, parent: u32) -> Vec<(Vec<u32>, u32)> {
        let mut found = vec![(Vec::new(), parent)];
        for rows in &mut self.levels {
            let mut longer = Vec::new();
            for (slots, node) in found {
                let Some(row) = rows.get_mut(node as usize) else { continue };
                for (slot, next) in std::mem::take(row).take() {
                    let mut slots = slots.clone();
                    slots.push(slot);
                    longer.push((slots, next));
                }
            }
            found = longer;
        }
        found
    }
}

/// All fields of one aggregation.
struct Fields<'a> {
    list: Vec<Field<'a>>,
    tree: Tree,
}

/// Combinations that one document may have: fields with many values make very many.
const COMBINATIONS_MAX: usize = 4_096;

impl<'a> Fields<'a> {
    fn new(list: Vec<Field<'a>>) -> Self {
        Self { tree: Tree::new(list.len()), list }
    }

    /// Calls `add` with each document of a block, its parent bucket, and the bucket of each combination of its values.
    fn read(
        &mut self,
        docs: &[DocId],
        parents: &[u32],
        budget: &Budget,
        mut add: impl FnMut(DocId, u32, u32) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.list.iter_mut().for_each(|field| field.read(docs));
        let mut tuple = vec![0; self.list.len()];
        for (place, (doc, parent)) in docs.iter().zip(parents).enumerate() {
            let combinations =
                self.list.iter().map(|field| field.of(place).len()).try_fold(1_usize, usize::checked_mul);
            match combinations {
                Some(0) => {}
                Some(1) => {
                    for (slot, field) in tuple.iter_mut().zip(&self.list) {
                        *slot = field.of(place)[0];
                    }
                    add(*doc, *parent, self.tree.bucket(*parent, &tuple, budget)?)?;
                }
                Some(count) if count <= COMBINATIONS_MAX => {
                    for combination in 0..count {
                        let mut rest = combination;
                        for (slot, field) in tuple.iter_mut().zip(&self.list) {
                            let slots = field.of(place);
                            *slot = slots[rest % slots.len()];
                            rest /= slots.len();
                        }
                        add(*doc, *parent, self.tree.bucket(*parent, &tuple, budget)?)?;
                    }
                }
                _ => {
                    return Err(StoreError::invalid(format!(
                        "a document has more than {COMBINATIONS_MAX} combinations of the values of these fields"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The keys of combinations, a part for each field.
    fn keys(&self, tuples: &[(Vec<u32>, u32)]) -> Result<Vec<Vec<Key>>, StoreError> {
        let mut keys: Vec<Vec<Key>> = tuples.iter().map(|_| Vec::with_capacity(self.list.len())).collect();
        for (number, field) in self.list.iter().enumerate() {
            let mut slots: Vec<u32> = tuples.iter().map(|(slots, _)| slots[number]).collect();
            slots.sort_unstable();
            slots.dedup();
            let of_slots = field.keys(&slots)?;
            for ((tuple, _), key) in tuples.iter().zip(&mut keys) {
                let place = slots.binary_search(&tuple[number]).unwrap_or_default();
                key.push(of_slots[place].clone());
            }
        }
        Ok(keys)
    }
}
