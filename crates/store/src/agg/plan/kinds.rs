//! What each kind of aggregation needs to know when it runs.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::Value;
use tollhouse_query::ast::{Interval, Metric, MissingOrder, SourceFilter};
use tollhouse_query::date::Zone;
use tollhouse_query::{Regexp, TimeFormat};

use super::super::key::Key;
use super::order::Order;
use crate::column::Number;
use crate::field::FieldRef;
use crate::filter::Filter;
use crate::sort::SortPlan;

#[derive(Debug)]
pub(crate) enum Kind {
    DateHistogram(DateHistogram),
    AutoDate(AutoDate),
    Histogram(Histogram),
    Terms(Box<TermsPlan>),
    MultiTerms(MultiTerms),
    Composite(Composite),
    Filters { names: Vec<Option<String>>, filters: Vec<Filter>, other: Option<String>, keyed: bool },
    Adjacency { names: Vec<String>, filters: Vec<Filter>, separator: String },
    Filter(Filter),
    Global,
    Range(Ranges),
    Missing(FieldRef),
    Metric { metric: Metric, values: ValuesOf, format: Option<TimeFormat> },
    WeightedAvg { value: ValuesOf, weight: ValuesOf },
    Percentiles { values: ValuesOf, percents: Vec<f64>, keyed: bool },
    Ranks { values: ValuesOf, limits: Vec<f64>, keyed: bool },
    Deviation(ValuesOf),
    Cardinality { field: FieldRef, missing: Option<Key> },
    TopHits { from: usize, size: usize, sort: SortPlan, source: SourceFilter },
    TopMetrics { metrics: Vec<(String, FieldRef)>, size: usize, sort: SortPlan, sort_field: Option<FieldRef> },
}

impl Kind {
    /// The order of buckets of which the last may be dropped, since only the first are answered.
    pub(crate) fn droppable(&self) -> Option<&[Order]> {
        match self {
            Kind::Terms(terms) if matches!(terms.answer, TermsAnswer::Frequent { .. }) => Some(&terms.order),
            Kind::MultiTerms(multi) => Some(&multi.order),
            _ => None,
        }
    }
}

/// The numbers of a field, and what stands for it where it is missing.
#[derive(Debug)]
pub(crate) struct ValuesOf {
    pub(crate) field: FieldRef,
    pub(crate) missing: Option<f64>,
}

#[derive(Debug)]
pub(crate) struct DateHistogram {
    pub(crate) field: FieldRef,
    pub(crate) rounding: Rounding,
    pub(crate) format: Option<TimeFormat>,
    pub(crate) min_doc_count: u64,
    /// Starts of the first and the last bucket that there are at least.
    pub(crate) bounds: (Option<i64>, Option<i64>),
    /// Start of the first bucket that may be, and of the first that may not be any more.
    pub(crate) hard_bounds: (Option<i64>, Option<i64>),
    pub(crate) keyed: bool,
    pub(crate) order: Vec<Order>,
    pub(crate) missing: Option<i64>,
}

/// How moments are put into buckets.
#[derive(Clone, Debug)]
pub(crate) struct Rounding {
    pub(super) zone: Zone,
    pub(super) interval: Interval,
    pub(super) offset_ms: i64,
}

impl Rounding {
    pub(crate) fn new(zone: Zone, interval: Interval, offset_ms: i64) -> Self {
        Self { zone, interval, offset_ms }
    }

    pub(crate) fn floor(&self, ms: i64) -> i64 {
        self.zone.floor(ms, self.interval, self.offset_ms)
    }

    /// The start of the bucket after the one that starts at `start`; always later.
    pub(crate) fn next(&self, start: i64) -> i64 {
        self.zone.next(start, self.interval, self.offset_ms)
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }
}

#[derive(Debug)]
pub(crate) struct AutoDate {
    pub(crate) field: FieldRef,
    pub(crate) zone: Zone,
    pub(crate) format: Option<TimeFormat>,
    /// How many buckets are wanted at most.
    pub(crate) target: usize,
    /// The widths that may be taken, the narrowest first.
    pub(crate) steps: Vec<Steps>,
    pub(crate) missing: Option<i64>,
}

impl AutoDate {
    /// So many buckets of a width can be put together to those that are wanted.
    pub(crate) fn buckets_max(&self, step: usize) -> usize {
        self.target * self.steps[step].multiples.last().copied().unwrap_or(1)
    }
}

/// A width of time of which several can be put together.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub(crate) rounding: Rounding,
    /// About how long one is.
    pub(crate) length_ms: i64,
    /// How many can be put together.
    pub(crate) multiples: &'static [usize],
    /// What it is called in the answer.
    pub(crate) unit: &'static str,
}

#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) field: FieldRef,
    pub(crate) interval: f64,
    pub(crate) offset: f64,
    pub(crate) min_doc_count: u64,
    /// First and last step that there are at least.
    pub(crate) bounds: (Option<i64>, Option<i64>),
    pub(crate) hard_bounds: (Option<f64>, Option<f64>),
    pub(crate) keyed: bool,
    pub(crate) order: Vec<Order>,
    pub(crate) missing: Option<f64>,
}

impl Histogram {
    /// The number of the bucket that a value lies in, unless it lies outside of the bounds.
    pub(crate) fn step(&self, value: f64) -> Option<i64> {
        let step = ((value - self.offset) / self.interval).floor();
        let border = step * self.interval;
        let (min, max) = self.hard_bounds;
        let is_outside = min.is_some_and(|min| border < min) || max.is_some_and(|max| border > max);
        (!is_outside).then_some(step as i64)
    }

    /// The lower border of a bucket.
    pub(crate) fn border(&self, step: i64) -> f64 {
        step as f64 * self.interval + self.offset
    }
}

/// `terms`, and what is made of them.
#[derive(Debug)]
pub(crate) struct TermsPlan {
    pub(crate) field: FieldRef,
    pub(crate) order: Vec<Order>,
    pub(crate) missing: Option<Key>,
    pub(crate) select: Select,
    pub(crate) answer: TermsAnswer,
}

#[derive(Debug)]
pub(crate) enum TermsAnswer {
    Frequent {
        size: usize,
        min_doc_count: u64,
        show_error: bool,
        /// With `min_doc_count` 0: all keys, also those that no document found has.
        universe: Vec<Key>,
    },
    Rare {
        max_doc_count: u64,
    },
    Significant {
        size: usize,
        min_doc_count: u64,
        background: Background,
    },
}

/// What the documents found are compared with.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) filter: Box<Filter>,
    /// How many documents there are.
    pub(crate) docs: u64,
    /// In how many of them the keys are.
    pub(crate) counts: HashMap<Key, u64>,
}

/// Which values have a bucket.
#[derive(Debug, Default)]
pub(crate) struct Select {
    pub(crate) include: Option<Chosen>,
    pub(crate) exclude: Option<Chosen>,
}

impl Select {
    pub(crate) fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Whether a bucket of this key may be.
    pub(crate) fn allows(&self, key: &Key) -> bool {
        self.include.as_ref().is_none_or(|chosen| chosen.contains(key))
            && !self.exclude.as_ref().is_some_and(|chosen| chosen.contains(key))
    }
}

#[derive(Debug)]
pub(crate) enum Chosen {
    Fitting(Regexp),
    List { texts: Vec<String>, numbers: Vec<Number> },
}

impl Chosen {
    fn contains(&self, key: &Key) -> bool {
        match (self, key) {
            (Chosen::Fitting(regexp), Key::Text(text)) => regexp.is_match(text),
            (Chosen::List { texts, .. }, Key::Text(text)) => texts.contains(text),
            (Chosen::List { numbers, .. }, key) => numbers.iter().any(|number| number.as_f64() == key.as_f64()),
            (Chosen::Fitting(_), _) => false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct MultiTerms {
    pub(crate) fields: Vec<(FieldRef, Option<Key>)>,
    pub(crate) size: usize,
    pub(crate) order: Vec<Order>,
    pub(crate) min_doc_count: u64,
    pub(crate) show_error: bool,
}

#[derive(Debug)]
pub(crate) struct Composite {
    pub(crate) sources: Vec<Source>,
    pub(crate) size: usize,
    /// The last bucket of the page before.
    pub(crate) after: Option<Vec<Key>>,
}

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) field: FieldRef,
    pub(crate) bucketing: Bucketing,
    pub(crate) descending: bool,
    pub(crate) missing: Option<MissingOrder>,
}

/// What of a value counts.
#[derive(Debug)]
pub(crate) enum Bucketing {
    Value,
    Histogram(f64),
    Date(Rounding, Option<TimeFormat>),
}

impl Composite {
    /// The order of two keys that have a part for each source.
    pub(crate) fn compare(&self, a: &[Key], b: &[Key]) -> Ordering {
        for (source, (a, b)) in self.sources.iter().zip(a.iter().zip(b)) {
            let order = source.compare(a, b);
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    /// Whether a key is on a later page.
    pub(crate) fn is_ahead(&self, key: &[Key]) -> bool {
        self.after.as_ref().is_none_or(|after| self.compare(key, after) == Ordering::Greater)
    }
}

impl Source {
    fn compare(&self, a: &Key, b: &Key) -> Ordering {
        let fixed = match self.missing {
            Some(MissingOrder::First) => Some(Ordering::Less),
            Some(MissingOrder::Last) => Some(Ordering::Greater),
            Some(MissingOrder::Smallest) | None => None,
        };
        match (a, b, fixed) {
            (Key::Missing, Key::Missing, _) => Ordering::Equal,
            (Key::Missing, _, Some(order)) => order,
            (_, Key::Missing, Some(order)) => order.reverse(),
            // Missing is the smallest of keys.
            _ if self.descending => b.cmp(a),
            _ => a.cmp(b),
        }
    }
}

/// `range` and `date_range`.
#[derive(Debug)]
pub(crate) struct Ranges {
    pub(crate) field: FieldRef,
    pub(crate) list: Vec<RangeLimits>,
    pub(crate) keyed: bool,
    pub(crate) missing: Option<f64>,
}

/// One of several ranges, as far as it is told.
#[derive(Clone, Debug)]
pub(crate) struct RangeLimits {
    pub(crate) key: String,
    pub(crate) from: Option<f64>,
    pub(crate) to: Option<f64>,
    /// The limits as dates or booleans.
    pub(crate) from_text: Option<Value>,
    pub(crate) to_text: Option<Value>,
}

impl RangeLimits {
    pub(crate) fn contains(&self, value: f64) -> bool {
        self.from.is_none_or(|from| value >= from) && self.to.is_none_or(|to| value < to)
    }
}
