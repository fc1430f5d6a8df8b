//! Percentiles, ranks and the median of deviations: exact for few values, a histogram with fixed relative error for many.
//!
//! The result depends only on the values, never on how they were spread over segments and days, so that a rebuilt index
//! answers the same to the last digit. (A t-digest, as Elasticsearch has, does not give that.)

/// So many values are kept as they are; their percentiles are interpolated as Elasticsearch does for few values.
const EXACT_MAX: usize = 2_000;

/// Bits of the mantissa that tell buckets apart: 9 bits are a relative width of 1/512, an error of at most 0.1 %.
const MANTISSA_BITS: u32 = 9;

/// Cells that lie no farther apart are counted in a table: sixteen doublings, from milliseconds to a minute.
const NEAR_CELLS_MAX: u64 = 16 << MANTISSA_BITS;

/// Values of one bucket, summed up for percentiles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    /// Values not yet put into cells: all of them as long as there are at most [`EXACT_MAX`].
    fresh: Vec<f64>,
    /// Each [`cell`] that has values, with their count, in the order of the cells.
    cells: Vec<(u64, u64)>,
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
        self.add_cells(other.cells.into_iter());
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

    /// Which shares (0 to 100) of the values are not above these limits, which ascend; `None` without values.
    ///
    /// Each value stands for the stretch between the middles to its neighbours, as in Elasticsearch's digest.
    pub(crate) fn ranks(mut self, limits: &[f64]) -> Option<Vec<f64>> {
        if self.count == 0 {
            return None;
        }
        let stretches = self.stretches();
        let count = self.count as f64;
        // Beyond the ends there is nothing, even if their stretches go on.
        let (min, max) = match (self.fresh.first(), self.fresh.last()) {
            (Some(min), Some(max)) if self.cells.is_empty() => (*min, *max),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        let rank = |limit: &f64| {
            if *limit < min || *limit > max {
                return if *limit < min { 0.0 } else { 100.0 };
            }
            let mut before = 0;
            for stretch in &stretches {
                if *limit < stretch.high {
                    let share = ((limit - stretch.low) / (stretch.high - stretch.low)).max(0.0);
                    return 100.0 * (before as f64 + stretch.count as f64 * share) / count;
                }
                before += stretch.count;
            }
            100.0
        };
        Some(limits.iter().map(rank).collect())
    }

    /// The median of the distances from the median; `None` without values.
    pub(crate) fn deviation(mut self) -> Option<f64> {
        let median = *self.clone().percentiles(&[50.0])?.first()?;
        if self.count <= EXACT_MAX as u64 {
            self.fresh.iter_mut().for_each(|value| *value = (*value - median).abs());
            return self.percentiles(&[50.0])?.first().copied();
        }
        self.spill();
        let middle = |cell: u64| f64::midpoint(decode(cell), decode(cell + 1));
        let mut distances: Vec<(f64, u64)> =
            self.cells.iter().map(|(cell, count)| ((middle(*cell) - median).abs(), *count)).collect();
        distances.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = 0;
        let half = distances.iter().find(|(_, count)| {
            before += count;
            before * 2 >= self.count
        });
        half.map(|(distance, _)| *distance)
    }

    /// Where the values lie, ascending and without gaps.
    fn stretches(&mut self) -> Vec<Stretch> {
        if self.count > EXACT_MAX as u64 {
            self.spill();
            let cell =
                |(cell, count): &(u64, u64)| Stretch { low: decode(*cell), high: decode(cell + 1), count: *count };
            return self.cells.iter().map(cell).collect();
        }
        self.fresh.sort_unstable_by(f64::total_cmp);
        let values: Vec<(f64, u64)> =
            self.fresh.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect();
        let mut stretches = Vec::with_capacity(values.len());
        for (place, (value, count)) in values.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| (value - values[place].0) / 2.0);
            let after = values.get(place + 1).map(|(next, _)| (next - value) / 2.0);
            // At the ends as far outwards as inwards; a single value is no stretch but a step.
            let (low, high) = (before.or(after).unwrap_or(0.0), after.or(before).unwrap_or(f64::MIN_POSITIVE));
            stretches.push(Stretch { low: value - low, high: value + high, count: *count });
        }
        stretches
    }

    fn exact_at(&self, place: f64) -> f64 {
        let (low, high) = (self.fresh[place.floor() as usize], self.fresh[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }

    /// Between the two nearest values, which may lie in cells that are far apart.
    fn cell_at(&self, place: f64) -> f64 {
        let (low, high) = (self.value_at(place.floor() as u64), self.value_at(place.ceil() as u64));
        low + (high - low) * place.fract()
    }

    /// The value that has so many before it. Values are taken to lie evenly within their cell.
    fn value_at(&self, place: u64) -> f64 {
        let mut before = 0;
        for (cell, count) in &self.cells {
            if place < before + count {
                let (low, high) = (decode(*cell), decode(cell + 1));
                return low + (high - low) * ((place - before) as f64 + 0.5) / *count as f64;
            }
            before += count;
        }
        self.cells.last().map_or(f64::NAN, |(cell, _)| decode(*cell))
    }

    fn spill(&mut self) {
        let mut fresh: Vec<u64> = self.fresh.drain(..).map(cell).collect();
        let (Some(low), Some(high)) = (fresh.iter().min().copied(), fresh.iter().max().copied()) else { return };
        if high - low < NEAR_CELLS_MAX {
            // Counting is less work than sorting.
            let mut counts = vec![0_u64; (high - low) as usize + 1];
            for cell in fresh {
                counts[(cell - low) as usize] += 1;
            }
            self.add_cells((low..).zip(counts).filter(|(_, count)| *count > 0));
            return;
        }
        fresh.sort_unstable();
        self.add_cells(fresh.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)));
    }

    /// Walks along both, which is less work than looking up each cell.
    fn add_cells(&mut self, cells: impl Iterator<Item = (u64, u64)>) {
        let ours = std::mem::take(&mut self.cells);
        if ours.is_empty() {
            self.cells.extend(cells);
            return;
        }
        let mut theirs = cells.peekable();
        self.cells.reserve(ours.len() + theirs.size_hint().0);
        for (cell, mut count) in ours {
            while let Some(their) = theirs.next_if(|(their, _)| *their < cell) {
                self.cells.push(their);
            }
            if let Some((_, more)) = theirs.next_if(|(their, _)| *their == cell) {
                count += more;
            }
            self.cells.push((cell, count));
        }
        self.cells.extend(theirs);
    }

    /// What it takes besides itself.
    pub(crate) fn bytes(&self) -> usize {
        self.fresh.capacity() * size_of::<f64>() + self.cells.capacity() * size_of::<(u64, u64)>()
    }
}

/// Values that lie evenly between two limits.
struct Stretch {
    low: f64,
    high: f64,
    count: u64,
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
    fn ranks_and_deviations_of_few_values() {
        assert_eq!((Sketch::default().ranks(&[1.0]), Sketch::default().deviation()), (None, None));
        let mut sketch = Sketch::default();
        for value in [80.0, 300.0, 364.0, 409.0] {
            sketch.add(value);
        }
        let found = sketch.clone().ranks(&[79.0, 80.0, 190.0, 300.0, 409.0, 500.0]).unwrap();
        // As a real Elasticsearch ranks them.
        let expected = [0.0, 12.5, 25.0, 25.0 + 25.0 * 110.0 / 142.0, 87.5, 100.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(sketch.deviation(), Some(54.5));
        let mut single = Sketch::default();
        single.add(7.0);
        assert_eq!(single.ranks(&[6.0, 7.5]), Some(vec![0.0, 100.0]));
    }

    #[test]
    fn between_values_that_are_far_apart_many_are_near_as_well() {
        let mut sketch = Sketch::default();
        (0..2_997).for_each(|_| sketch.add(1.0));
        for value in [1_000.0, 2_000.0, 4_000.0] {
            sketch.add(value);
        }
        let found = sketch.percentiles(&[50.0, 99.95, 100.0]).unwrap();
        for (found, expected) in found.iter().zip([1.0, 1_500.5, 4_000.0]) {
            assert!((found - expected).abs() < expected * 0.002, "{found} {expected}");
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
        let found = whole.clone().percentiles(&percents).unwrap();
        assert_eq!(parts.percentiles(&percents).as_ref(), Some(&found));
        for (percent, found) in percents.iter().zip(found) {
            let exact = sorted[(percent / 100.0 * (sorted.len() - 1) as f64).round() as usize];
            assert!((found - exact).abs() <= exact.abs() / 256.0 + 0.1, "{percent}: {found} {exact}");
        }
        let limits = [-100.0, 0.0, 1_000.0, 9_999.5, 20_000.0];
        for (limit, found) in limits.iter().zip(whole.clone().ranks(&limits).unwrap()) {
            let exact = 100.0 * sorted.partition_point(|value| value <= limit) as f64 / sorted.len() as f64;
            assert!((found - exact).abs() <= 0.3, "{limit}: {found} {exact}");
        }
        let median = sorted[sorted.len() / 2];
        let mut distances: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let (exact, found) = (distances[distances.len() / 2], whole.deviation().unwrap());
        assert!((found - exact).abs() <= exact / 100.0, "{found} {exact}");
    }
}
