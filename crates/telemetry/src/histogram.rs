//! Histograms that many threads add to without a lock, with the last request that fell into each bucket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Which request a value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its id.
    pub request_id: Arc<str>,
    /// Its trace, where it is part of one.
    pub trace_id: Option<[u8; 16]>,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// The value.
    pub value: f64,
}

/// A histogram that is counted.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: the last is for what is larger than all.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
    exemplars: Box<[Mutex<Option<Exemplar>>]>,
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Upper bounds of the buckets, each included in its bucket.
    pub bounds: &'static [f64],
    /// How many values each bucket has, not those below it; one more than bounds.
    pub counts: Vec<u64>,
    /// All values together.
    pub sum: f64,
    /// A request for each bucket, where one is known; empty, or one more than bounds.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl Histogram {
    /// An empty one with these bounds, which grow.
    pub fn new(bounds: &'static [f64]) -> Self {
        debug_assert!(bounds.is_sorted(), "bounds grow");
        let buckets = bounds.len() + 1;
        Self {
            bounds,
            counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            exemplars: (0..buckets).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Adds a value. Values that are no number are left out.
    pub fn observe(&self, value: f64, of: Option<&Exemplar>) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |bits: u64| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        // Whoever finds it held lets it be: any request will do.
        if let Some(of) = of
            && let Ok(mut exemplar) = self.exemplars[bucket].try_lock()
        {
            *exemplar = Some(Exemplar { value, ..of.clone() });
        }
    }

    /// As it is now.
    pub fn measured(&self) -> Measured {
        Measured {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
            exemplars: self
                .exemplars
                .iter()
                .map(|exemplar| exemplar.lock().unwrap_or_else(PoisonError::into_inner).clone())
                .collect(),
        }
    }
}

impl Measured {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds those of another one with the same bounds.
    pub(crate) fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds, "histograms of one metric have the same bounds");
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: [f64; 3] = [0.1, 1.0, 10.0];

    #[test]
    fn a_value_at_a_bound_is_within_it() {
        let histogram = Histogram::new(&BOUNDS);
        let exemplar = Exemplar { request_id: "r".into(), trace_id: None, at_ms: 7, value: 0.0 };
        for value in [0.0, 0.1, 0.100_001, 1.0, 11.0, f64::NAN, f64::INFINITY, -1.0] {
            histogram.observe(value, Some(&exemplar));
        }
        let measured = histogram.measured();
        assert_eq!((&measured.counts[..], measured.count()), (&[2, 2, 0, 1][..], 5));
        assert!((measured.sum - 12.200_001).abs() < 1e-9);
        let values: Vec<Option<f64>> =
            measured.exemplars.iter().map(|exemplar| exemplar.as_ref().map(|of| of.value)).collect();
        assert_eq!(values, [Some(0.1), Some(1.0), None, Some(11.0)]);
    }

    #[test]
    fn threads_lose_nothing() {
        let histogram = Histogram::new(&BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| histogram.observe(0.5, None)));
            }
        });
        let measured = histogram.measured();
        assert_eq!((measured.count(), measured.sum), (4_000, 2_000.0));
    }
}
