//! Percentiles: exact for few values, a histogram with fixed relative error for many.
//!
//! The result depends only on the values, never on how they were spread over segments and days, so that a rebuilt index
//! answers the same to the last digit. (A t-digest, as Elasticsearch has, does not give that.)

use std::collections::BTreeMap;

/// So many values are kept as they are; their percentiles are interpolated as Elasticsearch does for few values.
const EXACT_MAX: usize = 2_000;

/// Bits of the mantissa that tell buckets apart: 9 bits are a relative width of 1/512, an error of at most 0.1 %.
const MANTISSA_BITS: u32 = 9;

/// Values of one bucket, summed up for percentiles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    /// Values not yet put into cells: all of them as long as there are at most [`EXACT_MAX`].
    fresh: Vec<f64>,
    /// Count by [`cell`].
    cells: BTreeMap<u64, u64>,
    count: u64,
}

impl Sketch {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.fresh.push(value);
        if self.fresh.len() > EXACT_MAX {
            self.spill();
        }
    }

    pub(crate) fn merge(&mut self, other: Sketch) {
        self.count += other.count;
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        self.fresh.extend(other.fresh);
        if self.fresh.len() > EXACT_MAX {
            self.spill();
        }
    }

    /// The values below which these shares (0 to 100) of the values lie; `None` without values.
    pub(crate) fn percentiles(mut self, percents: &[f64]) -> Option<Vec<f64>> {
        if self.count == 0 {
            return None;
        }
        let is_exact = self.count <= EXACT_MAX as u64;
        if is_exact {
            self.fresh.sort_unstable_by(f64::total_cmp);
        } else {
            self.spill();
        }
        let place = |percent: &f64| percent.clamp(0.0, 100.0) / 100.0 * (self.count - 1) as f64;
        let at = |percent| if is_exact { self.exact_at(place(percent)) } else { self.cell_at(place(percent)) };
        Some(percents.iter().map(at).collect())
    }

    fn exact_at(&self, place: f64) -> f64 {
        let (low, high) = (self.fresh[place.floor() as usize], self.fresh[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }

    /// Values are taken to lie evenly within their cell.
    fn cell_at(&self, place: f64) -> f64 {
        let mut before = 0;
        for (cell, count) in &self.cells {
            if place < (before + count) as f64 {
                let (low, high) = (decode(*cell), decode(cell + 1));
                let share = (place - before as f64 + 0.5) / *count as f64;
                return low + (high - low) * share.clamp(0.0, 1.0);
            }
            before += count;
        }
        self.cells.keys().next_back().map_or(f64::NAN, |cell| decode(*cell))
    }

    fn spill(&mut self) {
        let mut fresh: Vec<u64> = self.fresh.drain(..).map(cell).collect();
        fresh.sort_unstable();
        for run in fresh.chunk_by(|a, b| a == b) {
            *self.cells.entry(run[0]).or_default() += run.len() as u64;
        }
    }
}

/// The cell of a value: its bits without the low ones of the mantissa, mapped so that cells sort like values.
fn cell(value: f64) -> u64 {
    // -0.0 and 0.0 are one value.
    tantivy::f64_to_u64(value + 0.0) >> (52 - MANTISSA_BITS)
}

/// The lower border of a cell.
fn decode(cell: u64) -> f64 {
    tantivy::u64_to_f64(cell << (52 - MANTISSA_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_exact() {
        assert_eq!(Sketch::default().percentiles(&[50.0]), None);
        let mut sketch = Sketch::default();
        (1..=100).for_each(|value| sketch.add(f64::from(value)));
        let found = sketch.percentiles(&[0.0, 50.0, 99.0, 100.0]).unwrap();
        for (found, expected) in found.iter().zip([1.0, 50.5, 99.01, 100.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn many_values_are_near_and_do_not_depend_on_the_split() {
        let scattered = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) % 100_000) / 7.0 - 50.0;
        let values: Vec<f64> = (0..50_000).map(scattered).collect();
        let mut whole = Sketch::default();
        for value in &values {
            whole.add(*value);
        }
        let mut parts = Sketch::default();
        for part in values.chunks(1_777) {
            let mut sketch = Sketch::default();
            for value in part {
                sketch.add(*value);
            }
            parts.merge(sketch);
        }
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let percents = [0.0, 1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9, 100.0];
        let found = whole.percentiles(&percents).unwrap();
        assert_eq!(parts.percentiles(&percents).as_ref(), Some(&found));
        for (percent, found) in percents.iter().zip(found) {
            let exact = sorted[(percent / 100.0 * (sorted.len() - 1) as f64).round() as usize];
            assert!((found - exact).abs() <= exact.abs() / 256.0 + 0.1, "{percent}: {found} {exact}");
        }
    }
}
