//! The figures of one moment, gathered before they are written in any form.

use std::collections::BTreeMap;

use crate::histogram::Measured;
use crate::metric::{Kind, Metric};

/// Sets of label values that a metric has at most; further ones are added up under `other`.
pub const LABEL_SETS_MAX: usize = 1_000;
/// Longest value of a label, in characters; the rest is cut.
const LABEL_CHARS_MAX: usize = 128;
/// The value of all labels of what is folded together.
pub(crate) const OTHER: &str = "other";

/// Gathers figures.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<&'static str, Family>,
}

/// The values of one metric.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) metric: &'static Metric,
    pub(crate) samples: Vec<Sample>,
}

/// One value.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Values of the metric's labels, in their order.
    pub(crate) labels: Vec<String>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Number(f64),
    Histogram(Measured),
}

impl Exposition {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value of a counter or gauge. `labels` are the values of its labels, in their order.
    pub fn number(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        debug_assert!(metric.kind != Kind::Histogram, "{} is a histogram", metric.name);
        self.add(metric, labels, Value::Number(value));
    }

    /// The same for a whole number.
    pub fn count(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.number(metric, labels, value as f64);
    }

    /// 1 for the state that something is in, 0 for the others of `states`. `labels` are those before the last, which has
    /// the state.
    pub fn state(&mut self, metric: &'static Metric, labels: &[&str], states: &[&str], now: &str) {
        for state in states {
            let labels: Vec<&str> = labels.iter().copied().chain([*state]).collect();
            self.number(metric, &labels, f64::from(u8::from(*state == now)));
        }
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, metric: &'static Metric, labels: &[&str], measured: Measured) {
        debug_assert!(metric.kind == Kind::Histogram, "{} is no histogram", metric.name);
        self.add(metric, labels, Value::Histogram(measured));
    }

    /// All that has values, in the order of [`crate::names::ALL`].
    pub(crate) fn families(&self) -> impl Iterator<Item = &Family> {
        crate::names::ALL.iter().filter_map(|metric| self.families.get(metric.name))
    }

    fn add(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let family = self.families.entry(metric.name).or_insert_with(|| Family { metric, samples: Vec::new() });
        let labels: Vec<String> = if family.samples.len() < LABEL_SETS_MAX {
            labels.iter().map(|label| cut(label)).collect()
        } else {
            labels.iter().map(|_| OTHER.to_owned()).collect()
        };
        match family.samples.iter_mut().rev().find(|sample| sample.labels == labels) {
            Some(Sample { value: Value::Number(number), .. }) => {
                if let Value::Number(more) = value {
                    *number += more;
                }
            }
            Some(Sample { value: Value::Histogram(histogram), .. }) => {
                if let Value::Histogram(more) = &value {
                    histogram.add(more);
                }
            }
            None => family.samples.push(Sample { labels, value }),
        }
    }
}

/// A label's value, never longer than [`LABEL_CHARS_MAX`].
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(LABEL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn more_sets_than_the_bound_are_added_up() {
        let mut figures = Exposition::new();
        for number in 0..LABEL_SETS_MAX + 5 {
            figures.number(&names::UPSTREAM_SLOTS, &[&number.to_string()], 2.0);
        }
        let family = figures.families().next().unwrap();
        let last = family.samples.last().unwrap();
        assert_eq!((family.samples.len(), &last.labels[0][..]), (LABEL_SETS_MAX + 1, OTHER));
        assert!(matches!(last.value, Value::Number(10.0)));
    }

    #[test]
    fn long_values_are_cut() {
        let mut figures = Exposition::new();
        figures.number(&names::UPSTREAM_SLOTS, &[&"ü".repeat(500)], 1.0);
        assert_eq!(figures.families().next().unwrap().samples[0].labels[0].chars().count(), LABEL_CHARS_MAX);
    }
}
