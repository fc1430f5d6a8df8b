//! What buckets are ordered by.

use tollhouse_query::ast::{BucketOrder, Metric};

use super::{AggPlan, Kind};
use crate::error::StoreError;

#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) by: OrderBy,
    pub(crate) descending: bool,
}

#[derive(Debug)]
pub(crate) enum OrderBy {
    Count,
    Key,
    /// A nested metric, by its places among the nested aggregations of each level, and which of its numbers.
    Metric(Vec<usize>, Member),
}

/// Which number of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Member {
    /// The only one, or the count of a single bucket.
    Value,
    Count,
    Min,
    Max,
    Avg,
    Sum,
    SumOfSquares,
    Variance,
    VarianceSampling,
    Deviation,
    DeviationSampling,
    /// So many standard deviations above the mean.
    Bound(f64),
    BoundSampling(f64),
    Percent(f64),
    Rank(f64),
    /// Of several values of documents, by place.
    Place(usize),
}

pub(super) fn orders(keys: &[BucketOrder], agg: &str, subs: &[AggPlan]) -> Result<Vec<Order>, StoreError> {
    keys.iter().map(|key| order_of(&key.by, key.descending, agg, subs)).collect()
}

/// `_count`, `_key`, or the path of a metric: `name`, `name.member`, `name[member]`, `filter>name.member`.
fn order_of(by: &str, descending: bool, agg: &str, subs: &[AggPlan]) -> Result<Order, StoreError> {
    let by = match by {
        "_count" => OrderBy::Count,
        "_key" => OrderBy::Key,
        path => metric(path, agg, subs)?,
    };
    Ok(Order { by, descending })
}

fn metric(path: &str, agg: &str, subs: &[AggPlan]) -> Result<OrderBy, StoreError> {
    let bad = |why: &str| StoreError::invalid(format!("Invalid aggregation order path [{path}] of [{agg}]. {why}"));
    let mut places = Vec::new();
    let mut level = subs;
    let mut steps = path.split('>').peekable();
    while let Some(step) = steps.next() {
        let (place, member) =
            find(step, level).ok_or_else(|| bad(&format!("Cannot find aggregation named [{step}]")))?;
        places.push(place);
        let found = &level[place];
        if steps.peek().is_some() {
            if !found.kind.has_single_bucket() || member.is_some() {
                return Err(bad(&format!("[{step}] is not a single-bucket aggregation")));
            }
            level = &found.subs.aggs;
            continue;
        }
        let member = member_of(&found.kind, member)
            .ok_or_else(|| bad(&format!("[{step}] has not one number that buckets can be ordered by")))?;
        return Ok(OrderBy::Metric(places, member));
    }
    Err(bad("it is empty"))
}

/// The aggregation that a step names, and what of it.
fn find<'a>(step: &'a str, level: &[AggPlan]) -> Option<(usize, Option<&'a str>)> {
    level.iter().enumerate().find_map(|(place, sub)| {
        let rest = step.strip_prefix(sub.name.as_str())?;
        let member = match rest.strip_prefix('.') {
            Some(member) => Some(member),
            None if rest.is_empty() => None,
            None => Some(rest.strip_prefix('[')?.strip_suffix(']')?),
        };
        Some((place, member))
    })
}

fn member_of(kind: &Kind, member: Option<&str>) -> Option<Member> {
    match (kind, member) {
        (Kind::Metric { metric: Metric::Stats, .. }, Some(member)) => stats_member(member),
        (Kind::Metric { metric: Metric::ExtendedStats { sigma }, .. }, Some(member)) => {
            stats_member(member).or(match member {
                "sum_of_squares" => Some(Member::SumOfSquares),
                "variance" | "variance_population" => Some(Member::Variance),
                "variance_sampling" => Some(Member::VarianceSampling),
                "std_deviation" | "std_deviation_population" => Some(Member::Deviation),
                "std_deviation_sampling" => Some(Member::DeviationSampling),
                "std_upper" | "std_upper_population" => Some(Member::Bound(*sigma)),
                "std_lower" | "std_lower_population" => Some(Member::Bound(-sigma)),
                "std_upper_sampling" => Some(Member::BoundSampling(*sigma)),
                "std_lower_sampling" => Some(Member::BoundSampling(-sigma)),
                _ => None,
            })
        }
        (Kind::Metric { metric, .. }, None | Some("value")) => match metric {
            Metric::Avg => Some(Member::Avg),
            Metric::Sum => Some(Member::Sum),
            Metric::Min => Some(Member::Min),
            Metric::Max => Some(Member::Max),
            Metric::ValueCount => Some(Member::Count),
            Metric::Stats | Metric::ExtendedStats { .. } => None,
        },
        (Kind::Cardinality { .. } | Kind::WeightedAvg { .. } | Kind::Deviation(_), None | Some("value")) => {
            Some(Member::Value)
        }
        (Kind::Percentiles { .. }, Some(percent)) => percent.parse().ok().map(Member::Percent),
        (Kind::Ranks { .. }, Some(value)) => value.parse().ok().map(Member::Rank),
        (Kind::TopMetrics { metrics, .. }, member) => {
            let place = match member {
                Some(member) => metrics.iter().position(|(name, _)| name == member)?,
                None if metrics.len() == 1 => 0,
                None => return None,
            };
            Some(Member::Place(place))
        }
        (kind, None | Some("_count" | "doc_count")) if kind.has_single_bucket() => Some(Member::Value),
        _ => None,
    }
}

fn stats_member(member: &str) -> Option<Member> {
    Some(match member {
        "count" => Member::Count,
        "min" => Member::Min,
        "max" => Member::Max,
        "avg" => Member::Avg,
        "sum" => Member::Sum,
        _ => return None,
    })
}

impl Kind {
    pub(crate) fn has_single_bucket(&self) -> bool {
        matches!(self, Kind::Filter(_) | Kind::Global | Kind::Missing(_))
    }
}
