//! Count, sum, smallest and largest of numbers, and how far they are spread.

/// A compensated sum (Neumaier 1974), so that its last digits hardly depend on the order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    /// What the sum lost by rounding.
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    pub(crate) fn merge(&mut self, other: Sum) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.lost
    }
}

/// One pass over a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) count: u64,
    sum: Sum,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { count: 0, sum: Sum::default(), min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Stats {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Stats) {
        self.count += other.count;
        self.sum.merge(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// `None` without values.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum() / self.count as f64)
    }
}

/// The same with the sum of squares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) stats: Stats,
    squares: Sum,
}

impl Spread {
    pub(crate) fn add(&mut self, value: f64) {
        self.stats.add(value);
        self.squares.add(value * value);
    }

    pub(crate) fn merge(&mut self, other: &Spread) {
        self.stats.merge(&other.stats);
        self.squares.merge(other.squares);
    }

    pub(crate) fn squares(&self) -> f64 {
        self.squares.value()
    }

    /// Of the values themselves, or, when `is_sample`, of what they are a sample of. `None` without values, NaN for a
    /// sample of one.
    pub(crate) fn variance(&self, is_sample: bool) -> Option<f64> {
        let (count, sum) = (self.stats.count as f64, self.stats.sum());
        let divisor = if is_sample { count - 1.0 } else { count };
        let variance = (self.squares() - sum * sum / count) / divisor;
        // Rounding may bring it below zero.
        (self.stats.count > 0).then_some(if variance < 0.0 { 0.0 } else { variance })
    }

    pub(crate) fn deviation(&self, is_sample: bool) -> Option<f64> {
        self.variance(is_sample).map(f64::sqrt)
    }

    /// The number so many standard deviations above the mean.
    pub(crate) fn bound(&self, sigma: f64, is_sample: bool) -> Option<f64> {
        Some(self.stats.mean()? + sigma * self.deviation(is_sample)?)
    }
}

/// Values with weights.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weighted {
    values: Sum,
    weights: Sum,
}

impl Weighted {
    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        self.values.add(value * weight);
        self.weights.add(weight);
    }

    pub(crate) fn merge(&mut self, other: Weighted) {
        self.values.merge(other.values);
        self.weights.merge(other.weights);
    }

    /// `None` without weights.
    pub(crate) fn mean(self) -> Option<f64> {
        let weights = self.weights.value();
        (weights != 0.0).then(|| self.values.value() / weights)
    }
}
