//! Results of aggregations that are not finished: of one segment, of one day, of all so far. They only ever grow by merging.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::buckets::Buckets;
use super::collect::{BUCKETS_MAX, pairs};
use super::distinct::Distinct;
use super::key::Key;
use super::plan::{AggPlan, AutoDate, Composite, Kind, Member, Order, OrderBy};
use super::sketch::Sketch;
use super::stats::{Spread, Stats, Weighted};
use crate::error::StoreError;
use crate::sort::{Found, SortPlan, keep_best};

/// So many different keys of one `terms` are carried on from one segment to the next. With more, those that are last in
/// the order asked for are dropped and told in `doc_count_error_upper_bound`, as Elasticsearch's shards do.
pub(crate) const KEYS_MAX: usize = 65_536;

/// So many buckets of an aggregation that needs all may there be before those with too few documents are left out.
const BETWEEN_MAX: usize = 16 * BUCKETS_MAX;

/// The unfinished result of one aggregation in one bucket.
#[derive(Clone, Debug)]
pub(crate) enum Partial {
    Keyed(Keyed),
    Auto(AutoBuckets),
    Fixed(Vec<Bucket>),
    Stats(Stats),
    Spread(Spread),
    Weighted(Weighted),
    Sketch(Sketch),
    Distinct(Distinct),
    Top(Top),
    TopValues(Vec<TopValues>),
}

/// Buckets by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyed {
    pub(crate) buckets: Buckets,
    /// Documents of keys that were dropped.
    pub(crate) dropped_docs: u64,
    /// By how much a count can be too small, because its key was dropped in a segment.
    pub(crate) error: u64,
    /// For `significant_terms`: all documents, with and without a key.
    pub(crate) found_docs: u64,
}

/// Buckets by start, of one of the widths of an `auto_date_histogram`.
#[derive(Clone, Debug, Default)]
pub(crate) struct AutoBuckets {
    pub(crate) step: usize,
    pub(crate) buckets: BTreeMap<i64, Bucket>,
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

/// One of the first documents with some of its values.
#[derive(Clone, Debug)]
pub(crate) struct TopValues {
    pub(crate) found: Found,
    pub(crate) values: Vec<Option<Key>>,
}

impl Partial {
    /// The result over no document.
    pub(crate) fn empty(plan: &AggPlan) -> Self {
        let fixed = |number: usize| Partial::Fixed(vec![Bucket::empty(plan); number]);
        match &plan.kind {
            Kind::DateHistogram(_) | Kind::Histogram(_) | Kind::Terms(_) | Kind::MultiTerms(_) | Kind::Composite(_) => {
                Partial::Keyed(Keyed::default())
            }
            Kind::AutoDate(_) => Partial::Auto(AutoBuckets::default()),
            Kind::Filters { filters, other, .. } => fixed(filters.len() + usize::from(other.is_some())),
            Kind::Adjacency { filters, .. } => fixed(pairs(filters.len())),
            Kind::Range(ranges) => fixed(ranges.list.len()),
            Kind::Filter(_) | Kind::Global | Kind::Missing(_) => fixed(1),
            Kind::Metric { metric: tollhouse_query::ast::Metric::ExtendedStats { .. }, .. } => {
                Partial::Spread(Spread::default())
            }
            Kind::Metric { .. } => Partial::Stats(Stats::default()),
            Kind::WeightedAvg { .. } => Partial::Weighted(Weighted::default()),
            Kind::Percentiles { .. } | Kind::Ranks { .. } | Kind::Deviation(_) => Partial::Sketch(Sketch::default()),
            Kind::Cardinality { .. } => Partial::Distinct(Distinct::default()),
            Kind::TopHits { .. } => Partial::Top(Top::default()),
            Kind::TopMetrics { .. } => Partial::TopValues(Vec::new()),
        }
    }

    /// Both are results of `plan`.
    pub(crate) fn merge(&mut self, other: Partial, plan: &AggPlan) -> Result<(), StoreError> {
        match (self, other) {
            (Partial::Keyed(ours), Partial::Keyed(theirs)) => ours.merge(theirs, plan)?,
            (Partial::Auto(ours), Partial::Auto(theirs)) => {
                if let Kind::AutoDate(auto) = &plan.kind {
                    ours.merge(theirs, auto, &plan.subs.aggs)?;
                }
            }
            (Partial::Fixed(ours), Partial::Fixed(theirs)) => {
                for (our, their) in ours.iter_mut().zip(theirs) {
                    our.merge(their, &plan.subs.aggs)?;
                }
            }
            (Partial::Stats(ours), Partial::Stats(theirs)) => ours.merge(&theirs),
            (Partial::Spread(ours), Partial::Spread(theirs)) => ours.merge(&theirs),
            (Partial::Weighted(ours), Partial::Weighted(theirs)) => ours.merge(theirs),
            (Partial::Sketch(ours), Partial::Sketch(theirs)) => ours.merge(theirs),
            (Partial::Distinct(ours), Partial::Distinct(theirs)) => ours.merge(theirs),
            (Partial::Top(ours), Partial::Top(theirs)) => {
                if let Kind::TopHits { from, size, sort, .. } = &plan.kind {
                    ours.total += theirs.total;
                    ours.hits.extend(theirs.hits);
                    keep_best(sort, &mut ours.hits, from + size);
                }
            }
            (Partial::TopValues(ours), Partial::TopValues(theirs)) => {
                if let Kind::TopMetrics { size, sort, .. } = &plan.kind {
                    ours.extend(theirs);
                    keep_best_values(sort, ours, *size);
                }
            }
            (ours, theirs) => unreachable!("{} has results of two kinds: {ours:?} {theirs:?}", plan.name),
        }
        Ok(())
    }

    /// The number that buckets are ordered by; `None` sorts last.
    fn number(&self, member: Member) -> Option<f64> {
        match (self, member) {
            (Partial::Stats(stats), member) => stats_number(stats, member),
            (Partial::Spread(spread), member) => match member {
                Member::SumOfSquares => Some(spread.squares()),
                Member::Variance => spread.variance(false),
                Member::VarianceSampling => spread.variance(true),
                Member::Deviation => spread.deviation(false),
                Member::DeviationSampling => spread.deviation(true),
                Member::Bound(sigma) => spread.bound(sigma, false),
                Member::BoundSampling(sigma) => spread.bound(sigma, true),
                member => stats_number(&spread.stats, member),
            },
            (Partial::Weighted(weighted), _) => weighted.mean(),
            (Partial::Distinct(distinct), _) => Some(distinct.count() as f64),
            (Partial::Sketch(sketch), Member::Percent(percent)) => {
                sketch.clone().percentiles(&[percent]).and_then(|found| found.first().copied())
            }
            (Partial::Sketch(sketch), Member::Rank(value)) => {
                sketch.clone().ranks(&[value]).and_then(|found| found.first().copied())
            }
            (Partial::Sketch(sketch), Member::Value) => sketch.clone().deviation(),
            (Partial::Fixed(buckets), _) => buckets.first().map(|bucket| bucket.count as f64),
            (Partial::TopValues(top), Member::Place(place)) => {
                top.first().and_then(|top| top.values.get(place)?.as_ref().map(Key::as_f64))
            }
            _ => None,
        }
    }
}

fn stats_number(stats: &Stats, member: Member) -> Option<f64> {
    match member {
        Member::Avg => stats.mean(),
        Member::Sum => Some(stats.sum()),
        Member::Count => Some(stats.count as f64),
        Member::Min => (stats.count > 0).then_some(stats.min),
        Member::Max => (stats.count > 0).then_some(stats.max),
        _ => None,
    }
}

fn keep_best_values(sort: &SortPlan, top: &mut Vec<TopValues>, limit: usize) {
    top.sort_unstable_by(|a, b| sort.compare(&a.found, &b.found));
    top.truncate(limit);
}

impl Keyed {
    fn merge(&mut self, other: Keyed, plan: &AggPlan) -> Result<(), StoreError> {
        self.dropped_docs += other.dropped_docs;
        self.error += other.error;
        self.found_docs += other.found_docs;
        self.buckets.merge(other.buckets, &plan.subs.aggs)?;
        // Twice the bound, so that the work of dropping is spread over many merges.
        match (&plan.kind, plan.kind.droppable()) {
            (_, Some(order)) if self.buckets.len() > 2 * KEYS_MAX => self.drop_last(order, plan),
            (Kind::Composite(composite), _) if self.buckets.len() > 2 * composite.size => self.keep_page(composite),
            _ if self.buckets.len() > BETWEEN_MAX => return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX }),
            _ => {}
        }
        Ok(())
    }

    fn drop_last(&mut self, order: &[Order], plan: &AggPlan) {
        let mut buckets = sorted(std::mem::take(&mut self.buckets), order, plan);
        let rest = buckets.split_off(KEYS_MAX.min(buckets.len()));
        self.dropped_docs += rest.iter().map(|(_, bucket)| bucket.count).sum::<u64>();
        self.error += rest.iter().map(|(_, bucket)| bucket.count).max().unwrap_or_default();
        self.buckets = Buckets::of_each(buckets);
    }

    fn keep_page(&mut self, composite: &Composite) {
        self.buckets = Buckets::of_each(page(composite, std::mem::take(&mut self.buckets)));
    }
}

/// The first buckets of a `composite`, in order.
pub(crate) fn page(composite: &Composite, buckets: Buckets) -> Vec<(Key, Bucket)> {
    let mut buckets: Vec<(Key, Bucket)> = buckets.into_iter().collect();
    buckets.sort_unstable_by(|(a, _), (b, _)| match (a, b) {
        (Key::Many(a), Key::Many(b)) => composite.compare(a, b),
        (a, b) => a.cmp(b),
    });
    buckets.truncate(composite.size);
    buckets
}

impl AutoBuckets {
    pub(super) fn add(&mut self, start: i64, bucket: Bucket, subs: &[AggPlan]) -> Result<(), StoreError> {
        match self.buckets.get_mut(&start) {
            Some(ours) => ours.merge(bucket, subs)?,
            None => {
                self.buckets.insert(start, bucket);
            }
        }
        Ok(())
    }

    fn merge(&mut self, mut other: AutoBuckets, auto: &AutoDate, subs: &[AggPlan]) -> Result<(), StoreError> {
        let step = self.step.max(other.step);
        self.widen(step, auto, subs)?;
        other.widen(step, auto, subs)?;
        for (start, bucket) in other.buckets {
            self.add(start, bucket, subs)?;
        }
        while self.step + 1 < auto.steps.len() && self.buckets.len() > auto.buckets_max(self.step) {
            self.widen(self.step + 1, auto, subs)?;
        }
        Ok(())
    }

    /// Puts together what lies in one bucket of another width.
    pub(super) fn widen(&mut self, step: usize, auto: &AutoDate, subs: &[AggPlan]) -> Result<(), StoreError> {
        if step == self.step {
            return Ok(());
        }
        self.step = step;
        for (start, bucket) in std::mem::take(&mut self.buckets) {
            self.add(auto.steps[step].rounding.floor(start), bucket, subs)?;
        }
        Ok(())
    }
}

/// The buckets in the order asked for; equal ones by key.
pub(crate) fn sorted(
    buckets: impl IntoIterator<Item = (Key, Bucket)>,
    order: &[Order],
    plan: &AggPlan,
) -> Vec<(Key, Bucket)> {
    first(buckets, order, plan, usize::MAX).0
}

/// The first buckets in the order asked for, equal ones by key; and how many documents are in the others.
pub(crate) fn first(
    buckets: impl IntoIterator<Item = (Key, Bucket)>,
    order: &[Order],
    plan: &AggPlan,
    size: usize,
) -> (Vec<(Key, Bucket)>, u64) {
    // Numbers of metrics are worked out once for each bucket; most orders have none.
    let metrics = || order.iter().filter(|order| matches!(order.by, OrderBy::Metric(..)));
    let numbers = |bucket: &Bucket| metrics().map(|order| order_number(order, bucket, &plan.subs.aggs)).collect();
    let mut numbered: Vec<Numbered> =
        buckets.into_iter().map(|(key, bucket)| (numbers(&bucket), key, bucket)).collect();
    let mut others = 0;
    if size == 0 {
        others = numbered.drain(..).map(|(.., bucket)| bucket.count).sum();
    } else if numbered.len() > size {
        // A dashboard wants ten of thousands: the others need no order.
        numbered.select_nth_unstable_by(size - 1, |a, b| compare(order, a, b));
        others = numbered.drain(size..).map(|(.., bucket)| bucket.count).sum();
    }
    numbered.sort_unstable_by(|a, b| compare(order, a, b));
    (numbered.into_iter().map(|(_, key, bucket)| (key, bucket)).collect(), others)
}

/// A bucket with the numbers of the metrics that it is ordered by.
type Numbered = (Vec<Option<f64>>, Key, Bucket);

fn compare(
    order: &[Order],
    (numbers_a, key_a, bucket_a): &Numbered,
    (numbers_b, key_b, bucket_b): &Numbered,
) -> Ordering {
    let mut numbers = numbers_a.iter().zip(numbers_b);
    for order in order {
        let found = match order.by {
            OrderBy::Count => bucket_a.count.cmp(&bucket_b.count),
            OrderBy::Key => key_a.cmp(key_b),
            // Buckets without a value come last whatever the direction is.
            OrderBy::Metric(..) => match numbers.next() {
                None | Some((None, None)) => Ordering::Equal,
                Some((None, Some(_))) => return Ordering::Greater,
                Some((Some(_), None)) => return Ordering::Less,
                Some((Some(a), Some(b))) => a.total_cmp(b),
            },
        };
        let found = if order.descending { found.reverse() } else { found };
        if found != Ordering::Equal {
            return found;
        }
    }
    key_a.cmp(key_b)
}

fn order_number(order: &Order, bucket: &Bucket, subs: &[AggPlan]) -> Option<f64> {
    let OrderBy::Metric(places, member) = &order.by else { return None };
    let (last, through) = places.split_last()?;
    let (mut bucket, mut subs) = (bucket, subs);
    for place in through {
        let Partial::Fixed(inner) = bucket.subs.get(*place)? else { return None };
        bucket = inner.first()?;
        subs = &subs[*place].subs.aggs;
    }
    debug_assert!(*last < subs.len());
    bucket.subs.get(*last)?.number(*member).filter(|number| !number.is_nan())
}

impl Bucket {
    /// The bucket of `plan` without documents.
    pub(crate) fn empty(plan: &AggPlan) -> Self {
        Self { count: 0, subs: plan.subs.aggs.iter().map(Partial::empty).collect() }
    }

    pub(super) fn merge(&mut self, other: Bucket, subs: &[AggPlan]) -> Result<(), StoreError> {
        self.count += other.count;
        for ((ours, theirs), plan) in self.subs.iter_mut().zip(other.subs).zip(subs) {
            ours.merge(theirs, plan)?;
        }
        Ok(())
    }
}
