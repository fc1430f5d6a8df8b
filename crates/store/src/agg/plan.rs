//! Aggregations of a request, checked and resolved once for all segments.

use tollhouse_query::ast::{Agg, AggKind, Interval, Metric, SourceFilter};
use tollhouse_query::date::Zone;
use tollhouse_query::dsl::{AGGS_DEPTH_MAX as DEPTH_MAX, AGGS_MAX};
use tollhouse_query::fields::{FieldKind, Fields};

use super::key::Key;
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::filter::{Filter, Moment};
use crate::sort::SortPlan;

/// Hits of one `top_hits` (Elasticsearch's `index.max_inner_result_window`).
pub(crate) const TOP_HITS_MAX: usize = 100;
/// Narrowest bucket of a histogram.
const HISTOGRAM_INTERVAL_MIN: f64 = 1e-6;

/// One aggregation, ready to run.
#[derive(Debug)]
pub(crate) struct AggPlan {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) subs: Vec<AggPlan>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    DateHistogram { field: FieldRef, rounding: Rounding, min_doc_count: u64, bounds: Option<(i64, i64)> },
    Histogram { field: FieldRef, interval: f64, min_doc_count: u64 },
    Terms { field: FieldRef, size: usize, order: Vec<Order>, min_doc_count: u64, missing: Option<Key> },
    Filters { names: Vec<String>, filters: Vec<Filter> },
    Filter(Filter),
    Range { field: FieldRef, ranges: Vec<(Option<String>, Option<f64>, Option<f64>)> },
    Missing(FieldRef),
    Metric { metric: Metric, field: FieldRef, missing: Option<f64> },
    Percentiles { field: FieldRef, percents: Vec<f64>, keyed: bool },
    Cardinality(FieldRef),
    TopHits { size: usize, sort: SortPlan, source: SourceFilter },
}

/// How moments are put into buckets.
#[derive(Clone, Debug)]
pub(crate) struct Rounding {
    zone: Zone,
    interval: Interval,
    offset_ms: i64,
}

impl Rounding {
    pub(crate) fn floor(&self, ms: i64) -> i64 {
        self.zone.floor(ms, self.interval, self.offset_ms)
    }

    /// The start of the bucket after the one that starts at `start`; always later.
    pub(crate) fn next(&self, start: i64) -> i64 {
        self.zone.next(start, self.interval, self.offset_ms)
    }

    pub(crate) fn format(&self, ms: i64) -> String {
        self.zone.format(ms)
    }
}

/// What buckets of `terms` are ordered by.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) by: OrderBy,
    pub(crate) descending: bool,
}

#[derive(Debug)]
pub(crate) enum OrderBy {
    Count,
    Key,
    /// A nested metric, by its place among the nested aggregations, and which of its numbers.
    Metric(usize, Member),
}

/// Which number of a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member {
    Value,
    Count,
    Min,
    Max,
    Avg,
    Sum,
    Percent(f64),
}

/// Checks and resolves the aggregations of a request.
pub(crate) fn plan(aggs: &[(String, Agg)], fields: &Fields, moment: Moment) -> Result<Vec<AggPlan>, StoreError> {
    let mut planner = Planner { fields, moment, left: AGGS_MAX };
    planner.level(aggs, 1)
}

struct Planner<'a> {
    fields: &'a Fields,
    moment: Moment,
    left: usize,
}

impl Planner<'_> {
    fn level(&mut self, aggs: &[(String, Agg)], depth: usize) -> Result<Vec<AggPlan>, StoreError> {
        if !aggs.is_empty() && depth > DEPTH_MAX {
            return Err(StoreError::invalid(format!("aggregations are nested deeper than {DEPTH_MAX} levels")));
        }
        aggs.iter().map(|(name, agg)| self.one(name, agg, depth)).collect()
    }

    fn one(&mut self, name: &str, agg: &Agg, depth: usize) -> Result<AggPlan, StoreError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| StoreError::invalid(format!("a request has more than {AGGS_MAX} aggregations")))?;
        let subs = self.level(&agg.aggs, depth + 1)?;
        let kind = self.kind(name, &agg.kind, &subs)?;
        if !subs.is_empty() && !kind.has_buckets() {
            return Err(StoreError::Aggregation {
                reason: format!("Aggregator [{name}] cannot accept sub-aggregations"),
            });
        }
        Ok(AggPlan { name: name.to_owned(), kind, subs })
    }

    fn kind(&self, name: &str, kind: &AggKind, subs: &[AggPlan]) -> Result<Kind, StoreError> {
        Ok(match kind {
            AggKind::DateHistogram { field, interval, offset_ms, time_zone, min_doc_count, extended_bounds } => {
                let zone = match time_zone {
                    Some(text) => Zone::parse(text)?,
                    None => Zone::utc(),
                };
                let bounds = match extended_bounds {
                    Some((min, max)) => {
                        let now_ms = self.moment.now_ms;
                        Some((zone.parse_date(min, false, now_ms)?, zone.parse_date(max, false, now_ms)?))
                    }
                    None => None,
                };
                if let Some((min, max)) = bounds
                    && min > max
                {
                    return Err(StoreError::invalid(format!(
                        "[extended_bounds.min][{min}] cannot be greater than [extended_bounds.max][{max}] for histogram aggregation [{name}]"
                    )));
                }
                Kind::DateHistogram {
                    field: self.number_field(field, "date_histogram")?,
                    rounding: Rounding { zone, interval: *interval, offset_ms: *offset_ms },
                    min_doc_count: *min_doc_count,
                    bounds,
                }
            }
            AggKind::Histogram { field, interval, min_doc_count } => {
                if !(interval.is_finite() && *interval > 0.0) {
                    return Err(StoreError::invalid("[interval] must be >0 for histogram aggregation"));
                }
                // Steps are counted in whole numbers; the values of records leave those only below this width.
                if *interval < HISTOGRAM_INTERVAL_MIN {
                    return Err(StoreError::invalid("[interval] must be at least 0.000001 for histogram aggregation"));
                }
                Kind::Histogram {
                    field: self.number_field(field, "histogram")?,
                    interval: *interval,
                    min_doc_count: *min_doc_count,
                }
            }
            AggKind::Terms { field, size, order, min_doc_count, missing } => {
                if *size == 0 {
                    return Err(StoreError::invalid("[size] must be greater than 0. Found [0] in [terms]"));
                }
                let field = self.value_field(field)?;
                let missing = missing.as_ref().map(|value| missing_key(value, &field)).transpose()?;
                Kind::Terms {
                    missing,
                    field,
                    size: *size,
                    order: order.iter().map(|(by, desc)| order_of(by, *desc, name, subs)).collect::<Result<_, _>>()?,
                    min_doc_count: *min_doc_count,
                }
            }
            AggKind::Filters(filters) => {
                let mut names = Vec::with_capacity(filters.len());
                let mut plans = Vec::with_capacity(filters.len());
                for (name, query) in filters {
                    names.push(name.clone());
                    plans.push(Filter::plan(query, self.fields, self.moment)?);
                }
                Kind::Filters { names, filters: plans }
            }
            AggKind::Filter(query) => Kind::Filter(Filter::plan(query, self.fields, self.moment)?),
            AggKind::Range { field, ranges } => {
                let mut ranges = ranges.clone();
                // As Elasticsearch answers them: by their start, then by their end.
                ranges.sort_by(|a, b| {
                    let (from_a, from_b) = (a.1.unwrap_or(f64::NEG_INFINITY), b.1.unwrap_or(f64::NEG_INFINITY));
                    let (to_a, to_b) = (a.2.unwrap_or(f64::INFINITY), b.2.unwrap_or(f64::INFINITY));
                    from_a.total_cmp(&from_b).then(to_a.total_cmp(&to_b))
                });
                Kind::Range { field: self.number_field(field, "range")?, ranges }
            }
            AggKind::Missing { field } => Kind::Missing(self.value_field(field)?),
            AggKind::Metric { metric: Metric::ValueCount, field, missing } => {
                Kind::Metric { metric: Metric::ValueCount, field: self.value_field(field)?, missing: *missing }
            }
            AggKind::Metric { metric, field, missing } => {
                let field = self.number_field(field, metric_name(*metric))?;
                Kind::Metric { metric: *metric, field, missing: *missing }
            }
            AggKind::Percentiles { field, percents, keyed } => {
                if let Some(wrong) = percents.iter().find(|percent| !(0.0..=100.0).contains(*percent)) {
                    return Err(StoreError::invalid(format!("percent must be in [0,100], got [{wrong:?}]: [{name}]")));
                }
                let mut percents = percents.clone();
                percents.sort_by(f64::total_cmp);
                Kind::Percentiles { field: self.number_field(field, "percentiles")?, percents, keyed: *keyed }
            }
            AggKind::Cardinality { field } => Kind::Cardinality(self.value_field(field)?),
            AggKind::TopHits { size, sort, source } => {
                if *size > TOP_HITS_MAX {
                    return Err(StoreError::invalid(format!(
                        "Top hits result window is too large, the top hits aggregator [{name}]'s from + size must be less than or equal to: [{TOP_HITS_MAX}] but was [{size}]. This limit can be set by changing the [index.max_inner_result_window] index level setting."
                    )));
                }
                Kind::TopHits {
                    size: *size,
                    sort: SortPlan::new(sort, self.fields, self.moment)?,
                    source: source.clone(),
                }
            }
        })
    }

    /// A field whose values can be told apart.
    fn value_field(&self, name: &str) -> Result<FieldRef, StoreError> {
        let field = FieldRef::resolve(name, self.fields);
        if field.kind == Some(FieldKind::Text) {
            return Err(StoreError::text_has_no_values(&field.name));
        }
        Ok(field)
    }

    /// A field that one can calculate with.
    fn number_field(&self, name: &str, agg: &str) -> Result<FieldRef, StoreError> {
        let field = self.value_field(name)?;
        if field.kind == Some(FieldKind::Keyword) {
            return Err(StoreError::invalid(format!(
                "Field [{}] of type [keyword] is not supported for aggregation [{agg}]",
                field.name
            )));
        }
        Ok(field)
    }
}

impl Kind {
    fn has_buckets(&self) -> bool {
        !matches!(self, Kind::Metric { .. } | Kind::Percentiles { .. } | Kind::Cardinality(_) | Kind::TopHits { .. })
    }
}

fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Avg => "avg",
        Metric::Sum => "sum",
        Metric::Min => "min",
        Metric::Max => "max",
        Metric::ValueCount => "value_count",
        Metric::Stats => "stats",
    }
}

fn missing_key(value: &serde_json::Value, field: &FieldRef) -> Result<Key, StoreError> {
    use serde_json::Value;
    let bad = || StoreError::invalid(format!("[missing] value [{value}] does not fit the field [{}]", field.name));
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Ok(match field.kind {
        Some(FieldKind::Keyword | FieldKind::Text) => Key::Text(text),
        Some(FieldKind::Long) => Key::Whole(text.parse().map_err(|_| bad())?),
        Some(FieldKind::Double) => Key::Fraction(text.parse().map_err(|_| bad())?),
        Some(FieldKind::Boolean) => Key::Whole(match text.as_str() {
            "true" | "1" => 1,
            "false" | "0" => 0,
            _ => return Err(bad()),
        }),
        Some(FieldKind::Date) => Key::Whole(Zone::utc().parse_date(value, false, 0)?),
        None => match value {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Key::Whole(whole),
                None => Key::Fraction(number.as_f64().unwrap_or(f64::NAN)),
            },
            _ => Key::Text(text),
        },
    })
}

/// `_count`, `_key`, a nested metric's name, or `name.member` (`stats.avg`, `percentiles.95`).
fn order_of(by: &str, descending: bool, agg: &str, subs: &[AggPlan]) -> Result<Order, StoreError> {
    let by = match by {
        "_count" => OrderBy::Count,
        "_key" | "_term" => OrderBy::Key,
        path => {
            let bad = || StoreError::Aggregation {
                reason: format!(
                    "Invalid aggregation order path [{path}]. The provided aggregation [{path}] either does not exist, or is a pipeline aggregation and cannot be used to sort the buckets of [{agg}]."
                ),
            };
            let find = |name: &str| subs.iter().position(|sub| sub.name == name);
            let (place, member) = if let Some(place) = find(path) {
                (place, None)
            } else {
                let inside = path.strip_suffix(']').and_then(|path| path.split_once('['));
                let (name, member) = inside.or_else(|| path.split_once('.')).ok_or_else(bad)?;
                (find(name).ok_or_else(bad)?, Some(member))
            };
            OrderBy::Metric(place, member_of(&subs[place].kind, member).ok_or_else(bad)?)
        }
    };
    Ok(Order { by, descending })
}

fn member_of(kind: &Kind, member: Option<&str>) -> Option<Member> {
    match (kind, member) {
        (Kind::Metric { metric: Metric::Stats, .. }, Some(member)) => Some(match member {
            "count" => Member::Count,
            "min" => Member::Min,
            "max" => Member::Max,
            "avg" => Member::Avg,
            "sum" => Member::Sum,
            _ => return None,
        }),
        (Kind::Metric { metric: Metric::Stats, .. }, None) => None,
        (Kind::Metric { metric, .. }, None | Some("value")) => Some(match metric {
            Metric::Avg => Member::Avg,
            Metric::Sum => Member::Sum,
            Metric::Min => Member::Min,
            Metric::Max => Member::Max,
            Metric::ValueCount | Metric::Stats => Member::Count,
        }),
        (Kind::Cardinality(_), None | Some("value")) => Some(Member::Value),
        (Kind::Percentiles { .. }, Some(percent)) => percent.parse().ok().map(Member::Percent),
        (kind, None | Some("_count" | "doc_count")) if kind.has_single_bucket() => Some(Member::Value),
        _ => None,
    }
}

impl Kind {
    fn has_single_bucket(&self) -> bool {
        matches!(self, Kind::Filter(_) | Kind::Missing(_))
    }
}
