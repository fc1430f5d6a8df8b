//! From values to slots (small numbers), and from slots to buckets.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use tantivy::columnar::Dictionary;

use super::super::distinct::{hash_bytes, mix};
use super::super::key::Key;
use super::super::plan::{Chosen, Histogram, Rounding, Select};
use super::Budget;
use crate::bits::Bits;
use crate::column::{Number, NumberKind, ValueColumn, ValueKind};
use crate::error::StoreError;

/// No bucket has this number.
pub(super) const NO_BUCKET: u32 = u32::MAX;

/// Buckets of one parent bucket by slot.
#[derive(Default)]
pub(super) struct Row {
    dense: Vec<u32>,
    sparse: HashMap<u32, u32, BuildHasherDefault<Mixing>>,
}

impl Row {
    /// In the first row (mostly the only one) slots below this have a place of their own.
    const FIRST_DENSE_MAX: u32 = 1 << 22;
    /// So in the first few rows.
    const DENSE_MAX: u32 = 4_096;
    const FEW: u32 = 256;
    /// And so in all others, of which there may be many.
    const SHORT_MAX: u32 = 64;

    /// The bucket of a slot, to be read or set, in the row of a parent bucket.
    pub(super) fn entry(&mut self, slot: u32, parent: u32, budget: &Budget) -> Result<&mut u32, StoreError> {
        let dense_max = match parent {
            0 => Self::FIRST_DENSE_MAX,
            1..Self::FEW => Self::DENSE_MAX,
            _ => Self::SHORT_MAX,
        };
        if slot >= dense_max {
            return Ok(self.sparse.entry(slot).or_insert(NO_BUCKET));
        }
        let slot = slot as usize;
        if self.dense.len() <= slot {
            // In steps, so that ascending slots do not grow it each time.
            let length = (slot + 1).next_power_of_two().min(dense_max as usize);
            budget.spend((length - self.dense.len()) * size_of::<u32>())?;
            self.dense.resize(length, NO_BUCKET);
        }
        Ok(&mut self.dense[slot])
    }

    /// All (slot, bucket).
    pub(super) fn take(self) -> impl Iterator<Item = (u32, u32)> {
        let dense = self.dense.into_iter().enumerate().filter(|(_, bucket)| *bucket != NO_BUCKET);
        dense.map(|(slot, bucket)| (slot as u32, bucket)).chain(self.sparse)
    }
}

/// How values become slots.
pub(super) enum Slotting<'a> {
    /// Places in the dictionary.
    Ordinals,
    /// Each raw value has its own.
    Values(Interner),
    /// Steps of equal width.
    Steps { histogram: &'a Histogram, slots: Interner },
    /// Multiples of a width.
    Multiples { interval: f64, slots: Interner },
    /// Buckets of time.
    Date(DateSlots<'a>),
}

impl Slotting<'_> {
    /// Each value of a column has a bucket of its own.
    pub(super) fn of_values(column: &ValueColumn) -> Self {
        match column.kind {
            ValueKind::Text(_) => Slotting::Ordinals,
            ValueKind::Number(_) => {
                Slotting::Values(Interner::between(column.values.min_value(), column.values.max_value()))
            }
        }
    }

    /// `None` for a value that has no bucket.
    pub(super) fn slot(&mut self, raw: u64, kind: &ValueKind) -> Option<u32> {
        match self {
            Slotting::Ordinals => Some(raw as u32),
            Slotting::Values(slots) => Some(slots.slot(raw)),
            Slotting::Steps { histogram, slots } => {
                histogram.step(number(raw, kind)).map(|step| slots.slot(step as u64))
            }
            Slotting::Multiples { interval, slots } => {
                Some(slots.slot((number(raw, kind) / *interval).floor() as i64 as u64))
            }
            Slotting::Date(slots) => slots.slot(number_i64(raw, kind)),
        }
    }

    /// The keys of slots of a column; those of texts have to be sorted.
    pub(super) fn keys(&self, kind: &ValueKind, slots: &[u32], keys: &mut Vec<Key>) -> Result<(), StoreError> {
        match (self, kind) {
            (Slotting::Ordinals, ValueKind::Text(dictionary)) => return texts(dictionary, slots, keys),
            (Slotting::Values(values), ValueKind::Number(kind)) => {
                keys.extend(slots.iter().map(|slot| Key::number(kind.decode(values.value(*slot)))));
            }
            (Slotting::Steps { slots: steps, .. } | Slotting::Multiples { slots: steps, .. }, _) => {
                keys.extend(slots.iter().map(|slot| Key::Whole(steps.value(*slot) as i64)));
            }
            (Slotting::Date(date), _) => keys.extend(slots.iter().map(|slot| Key::Whole(date.start(*slot)))),
            (Slotting::Ordinals | Slotting::Values(_), _) => unreachable!("the slots were made for this column"),
        }
        Ok(())
    }
}

/// Reads the texts at these places, which are sorted.
fn texts(dictionary: &Dictionary, places: &[u32], keys: &mut Vec<Key>) -> Result<(), StoreError> {
    let places: Vec<u64> = places.iter().map(|place| u64::from(*place)).collect();
    let read = |bytes: &[u8]| keys.push(Key::Text(String::from_utf8_lossy(bytes).into_owned()));
    dictionary.sorted_ords_to_term_cb(&places, read).map_err(StoreError::column("reading a dictionary"))?;
    Ok(())
}

/// A value as a number; texts are none.
pub(super) fn number(raw: u64, kind: &ValueKind) -> f64 {
    match kind {
        ValueKind::Number(kind) => kind.decode_f64(raw),
        ValueKind::Text(_) => f64::NAN,
    }
}

pub(super) fn number_i64(raw: u64, kind: &ValueKind) -> i64 {
    match kind {
        ValueKind::Number(NumberKind::I64) => tantivy::u64_to_i64(raw),
        _ => number(raw, kind).floor() as i64,
    }
}

/// Numbers values in the order they are first seen.
#[derive(Default)]
pub(super) struct Interner {
    slots: HashMap<u64, u32, BuildHasherDefault<Mixing>>,
    values: Vec<u64>,
    last: Option<(u64, u32)>,
    /// Slots of values that lie near each other, as status codes do, by their distance from the first.
    near: Vec<u32>,
    low: u64,
}

impl Interner {
    /// How far apart values may lie to be looked up without a hash.
    const NEAR_MAX: u64 = 4_096;

    /// For values between these, both included.
    fn between(low: u64, high: u64) -> Self {
        let near = high.checked_sub(low).filter(|width| *width < Self::NEAR_MAX).map_or(0, |width| width as usize + 1);
        Self { near: vec![NO_BUCKET; near], low, ..Self::default() }
    }

    pub(super) fn slot(&mut self, value: u64) -> u32 {
        if let Some(near) =
            value.checked_sub(self.low).and_then(|place| self.near.get_mut(usize::try_from(place).ok()?))
        {
            if *near == NO_BUCKET {
                *near = self.values.len() as u32;
                self.values.push(value);
            }
            return *near;
        }
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

    pub(super) fn value(&self, slot: u32) -> u64 {
        self.values[slot as usize]
    }
}

/// Log lines come nearly in the order of time, so that the bucket of one is mostly the bucket of the next and rounding,
/// which may have to ask a time zone, is rare.
pub(super) struct DateSlots<'a> {
    rounding: &'a Rounding,
    /// Start of the first bucket that may be, and of the first that may not be any more.
    hard_bounds: (Option<i64>, Option<i64>),
    slots: Interner,
    current: Option<(i64, i64, Option<u32>)>,
}

impl<'a> DateSlots<'a> {
    pub(super) fn new(rounding: &'a Rounding, hard_bounds: (Option<i64>, Option<i64>)) -> Self {
        Self { rounding, hard_bounds, slots: Interner::default(), current: None }
    }

    pub(super) fn slot(&mut self, ms: i64) -> Option<u32> {
        if let Some((start, end, slot)) = self.current
            && (start..end).contains(&ms)
        {
            return slot;
        }
        let start = self.rounding.floor(ms);
        let (first, end) = self.hard_bounds;
        let is_outside = first.is_some_and(|first| start < first) || end.is_some_and(|end| start >= end);
        let slot = (!is_outside).then(|| self.slots.slot(start as u64));
        self.current = Some((start, self.rounding.next(start), slot));
        slot
    }

    /// Whether all moments between these two, both included, have one slot, or all none.
    pub(super) fn are_together(&mut self, first: i64, last: i64) -> bool {
        self.slot(first);
        self.current.is_some_and(|(_, end, _)| last < end)
    }

    /// Start of the bucket of a slot.
    pub(super) fn start(&self, slot: u32) -> i64 {
        self.slots.value(slot) as i64
    }
}

/// Which raw values of a column have a bucket.
pub(super) enum Allowed {
    Places(Bits),
    /// Only these, or none of these.
    Raw {
        values: HashSet<u64, BuildHasherDefault<Mixing>>,
        is_exclusion: bool,
    },
    Nothing,
}

impl Allowed {
    /// `None` when all have.
    pub(super) fn new(select: &Select, column: &ValueColumn) -> Result<Option<Self>, StoreError> {
        if select.is_everything() {
            return Ok(None);
        }
        match &column.kind {
            ValueKind::Text(dictionary) => Self::places(select, dictionary).map(Some),
            ValueKind::Number(kind) => Ok(Self::raw(select, *kind)),
        }
    }

    pub(super) fn contains(&self, raw: u64) -> bool {
        match self {
            Allowed::Places(places) => places.contains(raw as u32),
            Allowed::Raw { values, is_exclusion } => values.contains(&raw) != *is_exclusion,
            Allowed::Nothing => false,
        }
    }

    fn places(select: &Select, dictionary: &Dictionary) -> Result<Self, StoreError> {
        let terms = dictionary.num_terms() as u32;
        let included = if let Some(chosen) = &select.include {
            chosen_places(chosen, dictionary)?
        } else {
            let mut all = Bits::new(terms);
            (0..terms).for_each(|place| all.insert(place));
            all
        };
        let Some(exclude) = &select.exclude else { return Ok(Allowed::Places(included)) };
        let excluded = chosen_places(exclude, dictionary)?;
        let mut places = Bits::new(terms);
        (0..terms)
            .filter(|place| included.contains(*place) && !excluded.contains(*place))
            .for_each(|place| places.insert(place));
        Ok(Allowed::Places(places))
    }

    fn raw(select: &Select, kind: NumberKind) -> Option<Self> {
        let values = |chosen: &Chosen| match chosen {
            Chosen::Fitting(_) => None,
            Chosen::List { numbers, .. } => Some(numbers.iter().filter_map(|number| raw_of(*number, kind)).collect()),
        };
        match (&select.include, &select.exclude) {
            (Some(include), exclude) => {
                // No number fits an expression about texts.
                let Some(included) = values(include) else { return Some(Allowed::Nothing) };
                let mut included: HashSet<u64, _> = included;
                if let Some(excluded) = exclude.as_ref().and_then(values) {
                    included.retain(|value| !excluded.contains(value));
                }
                Some(Allowed::Raw { values: included, is_exclusion: false })
            }
            (None, exclude) => {
                exclude.as_ref().and_then(values).map(|values| Allowed::Raw { values, is_exclusion: true })
            }
        }
    }
}

fn chosen_places(chosen: &Chosen, dictionary: &Dictionary) -> Result<Bits, StoreError> {
    let doing = "looking into a dictionary";
    let mut places = Bits::new(dictionary.num_terms() as u32);
    match chosen {
        Chosen::List { texts, .. } => {
            for text in texts {
                if let Some(place) = dictionary.term_ord(text).map_err(StoreError::column(doing))? {
                    places.insert(place as u32);
                }
            }
        }
        Chosen::Fitting(regexp) => {
            let mut stream = dictionary.stream().map_err(StoreError::column(doing))?;
            while stream.advance() {
                if std::str::from_utf8(stream.key()).is_ok_and(|text| regexp.is_match(text)) {
                    places.insert(stream.term_ord() as u32);
                }
            }
        }
    }
    Ok(places)
}

/// The one raw value of a number, if the column can hold it.
fn raw_of(number: Number, kind: NumberKind) -> Option<u64> {
    let (from, to) = (kind.raw_from(number, true)?, kind.raw_to(number, true)?);
    (from == to).then_some(from)
}

/// Hashes a number by mixing it.
#[derive(Default)]
pub(super) struct Mixing(u64);

impl std::hash::Hasher for Mixing {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes);
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(value);
    }
}
