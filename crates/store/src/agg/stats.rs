//! Count, sum, smallest and largest of numbers.

/// One pass over a column; the sum is compensated, so that its last digits hardly depend on the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) count: u64,
    sum: f64,
    /// What the sum lost by rounding (Neumaier 1974).
    lost: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, lost: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Stats {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.add_to_sum(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub(crate) fn merge(&mut self, other: &Stats) {
        self.count += other.count;
        self.add_to_sum(other.sum);
        self.lost += other.lost;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum + self.lost
    }

    /// `None` without values.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum() / self.count as f64)
    }

    fn add_to_sum(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }
}
