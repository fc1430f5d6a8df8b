//! Results of aggregations that are not finished: of one segment, of one day, of all so far. They only ever grow by merging.

use std::cmp::Ordering;
use std::collections::HashMap;

use tollhouse_query::ast::Metric;

use super::distinct::Distinct;
use super::key::Key;
use super::plan::{AggPlan, Kind, Member, Order, OrderBy};
use super::sketch::Sketch;
use super::stats::Stats;
use crate::sort::{Found, keep_best};

/// So many different keys of one `terms` are carried on from one segment to the next. With more, those that are last in
/// the order asked for are dropped and told in `doc_count_error_upper_bound`, as Elasticsearch's shards do.
pub(crate) const KEYS_MAX: usize = 65_536;

/// The unfinished result of one aggregation in one bucket.
#[derive(Clone, Debug)]
pub(crate) enum Partial {
    Keyed(Keyed),
    Fixed(Vec<Bucket>),
    Stats(Stats),
    Sketch(Sketch),
    Distinct(Distinct),
    Top(Top),
}

/// Buckets by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyed {
    pub(crate) buckets: HashMap<Key, Bucket>,
    /// Documents of keys that were dropped.
    pub(crate) dropped_docs: u64,
    /// By how much a count can be too small, because its key was dropped in a segment.
    pub(crate) error: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) count: u64,
    pub(crate) subs: Vec<Partial>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Top {
    pub(crate) total: u64,
    pub(crate) hits: Vec<Found>,
}

impl Partial {
    /// The result over no document.
    pub(crate) fn empty(plan: &AggPlan) -> Self {
        match &plan.kind {
            Kind::DateHistogram { .. } | Kind::Histogram { .. } | Kind::Terms { .. } => {
                Partial::Keyed(Keyed::default())
            }
            Kind::Filters { filters, .. } => Partial::Fixed(vec![Bucket::empty(plan); filters.len()]),
            Kind::Range { ranges, .. } => Partial::Fixed(vec![Bucket::empty(plan); ranges.len()]),
            Kind::Filter(_) | Kind::Missing(_) => Partial::Fixed(vec![Bucket::empty(plan)]),
            Kind::Metric { .. } => Partial::Stats(Stats::default()),
            Kind::Percentiles { .. } => Partial::Sketch(Sketch::default()),
            Kind::Cardinality(_) => Partial::Distinct(Distinct::default()),
            Kind::TopHits { .. } => Partial::Top(Top::default()),
        }
    }

    /// Both are results of `plan`.
    pub(crate) fn merge(&mut self, other: Partial, plan: &AggPlan) {
        match (self, other) {
            (Partial::Keyed(ours), Partial::Keyed(theirs)) => ours.merge(theirs, plan),
            (Partial::Fixed(ours), Partial::Fixed(theirs)) => {
                for (our, their) in ours.iter_mut().zip(theirs) {
                    our.merge(their, plan);
                }
            }
            (Partial::Stats(ours), Partial::Stats(theirs)) => ours.merge(&theirs),
            (Partial::Sketch(ours), Partial::Sketch(theirs)) => ours.merge(theirs),
            (Partial::Distinct(ours), Partial::Distinct(theirs)) => ours.merge(theirs),
            (Partial::Top(ours), Partial::Top(theirs)) => {
                if let Kind::TopHits { size, sort, .. } = &plan.kind {
                    ours.total += theirs.total;
                    ours.hits.extend(theirs.hits);
                    keep_best(sort, &mut ours.hits, *size);
                }
            }
            (ours, theirs) => unreachable!("{} has results of two kinds: {ours:?} {theirs:?}", plan.name),
        }
    }

    /// The number that buckets are ordered by; `None` sorts last.
    fn number(&self, member: Member, plan: &AggPlan) -> Option<f64> {
        match (self, member) {
            (Partial::Stats(stats), Member::Avg) => stats.mean(),
            (Partial::Stats(stats), Member::Sum) => Some(stats.sum()),
            (Partial::Stats(stats), Member::Count) => Some(stats.count as f64),
            (Partial::Stats(stats), Member::Min) => (stats.count > 0).then_some(stats.min),
            (Partial::Stats(stats), Member::Max) => (stats.count > 0).then_some(stats.max),
            (Partial::Distinct(distinct), _) => Some(distinct.count() as f64),
            (Partial::Sketch(sketch), Member::Percent(percent)) => {
                sketch.clone().percentiles(&[percent]).and_then(|found| found.first().copied())
            }
            (Partial::Fixed(buckets), _) => {
                debug_assert!(matches!(plan.kind, Kind::Filter(_) | Kind::Missing(_)));
                buckets.first().map(|bucket| bucket.count as f64)
            }
            _ => None,
        }
    }
}

impl Keyed {
    fn merge(&mut self, other: Keyed, plan: &AggPlan) {
        self.dropped_docs += other.dropped_docs;
        self.error += other.error;
        if self.buckets.is_empty() {
            self.buckets = other.buckets;
            return;
        }
        for (key, bucket) in other.buckets {
            match self.buckets.get_mut(&key) {
                Some(ours) => ours.merge(bucket, plan),
                None => {
                    self.buckets.insert(key, bucket);
                }
            }
        }
        // Twice the bound, so that the work of dropping is spread over many merges.
        if self.buckets.len() > 2 * KEYS_MAX
            && let Kind::Terms { .. } = plan.kind
        {
            self.drop_last(plan);
        }
    }

    fn drop_last(&mut self, plan: &AggPlan) {
        let mut buckets = sorted(std::mem::take(&mut self.buckets), plan);
        let rest = buckets.split_off(KEYS_MAX.min(buckets.len()));
        self.dropped_docs += rest.iter().map(|(_, bucket)| bucket.count).sum::<u64>();
        self.error += rest.iter().map(|(_, bucket)| bucket.count).max().unwrap_or_default();
        self.buckets = buckets.into_iter().collect();
    }
}

/// The buckets of a `terms` in the order asked for.
pub(crate) fn sorted(buckets: HashMap<Key, Bucket>, plan: &AggPlan) -> Vec<(Key, Bucket)> {
    let Kind::Terms { order, .. } = &plan.kind else { unreachable!("only terms are ordered") };
    let mut numbered: Vec<(Vec<Option<f64>>, Key, Bucket)> = buckets
        .into_iter()
        .map(|(key, bucket)| (order.iter().map(|order| order_number(order, &bucket, plan)).collect(), key, bucket))
        .collect();
    numbered.sort_unstable_by(|(numbers_a, key_a, bucket_a), (numbers_b, key_b, bucket_b)| {
        for (order, (a, b)) in order.iter().zip(numbers_a.iter().zip(numbers_b)) {
            let found = match order.by {
                OrderBy::Count => bucket_a.count.cmp(&bucket_b.count),
                OrderBy::Key => key_a.cmp(key_b),
                // Buckets without a value come last whatever the direction is.
                OrderBy::Metric(..) => match (a, b) {
                    (None, None) => Ordering::Equal,
                    (None, Some(_)) => return Ordering::Greater,
                    (Some(_), None) => return Ordering::Less,
                    (Some(a), Some(b)) => a.total_cmp(b),
                },
            };
            let found = if order.descending { found.reverse() } else { found };
            if found != Ordering::Equal {
                return found;
            }
        }
        key_a.cmp(key_b)
    });
    numbered.into_iter().map(|(_, key, bucket)| (key, bucket)).collect()
}

fn order_number(order: &Order, bucket: &Bucket, plan: &AggPlan) -> Option<f64> {
    let OrderBy::Metric(place, member) = order.by else { return None };
    bucket.subs.get(place)?.number(member, &plan.subs[place])
}

impl Bucket {
    /// The bucket of `plan` without documents.
    pub(crate) fn empty(plan: &AggPlan) -> Self {
        Self { count: 0, subs: plan.subs.iter().map(Partial::empty).collect() }
    }

    pub(super) fn merge(&mut self, other: Bucket, plan: &AggPlan) {
        self.count += other.count;
        for ((ours, theirs), plan) in self.subs.iter_mut().zip(other.subs).zip(&plan.subs) {
            ours.merge(theirs, plan);
        }
    }
}

/// The single number of a metric.
pub(crate) fn metric_value(metric: Metric, stats: &Stats) -> Option<f64> {
    match metric {
        Metric::Avg => stats.mean(),
        Metric::Sum => Some(stats.sum()),
        Metric::Min => (stats.count > 0).then_some(stats.min),
        Metric::Max => (stats.count > 0).then_some(stats.max),
        Metric::ValueCount | Metric::Stats => Some(stats.count as f64),
    }
}
