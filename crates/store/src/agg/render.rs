//! Merged results as the `aggregations` of an answer, member for member as Elasticsearch writes them.

use serde_json::{Map, Value, json};
use tollhouse_query::ast::{Metric, SourceFilter};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::FieldKind;

use super::collect::BUCKETS_MAX;
use super::key::Key;
use super::partial::{Bucket, Keyed, Partial, Top, metric_value, sorted};
use super::plan::{AggPlan, Kind, Rounding};
use super::sketch::Sketch;
use super::stats::Stats;
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::sort::{Found, SortPlan};

/// Makes the `hits` list of a `top_hits`.
pub(crate) type FetchHits<'a> = dyn FnMut(&SortPlan, &SourceFilter, &[Found]) -> Result<Vec<Value>, StoreError> + 'a;

/// Writes results; counts the buckets of the whole answer.
pub(crate) struct Renderer<'a> {
    fetch: &'a mut FetchHits<'a>,
    buckets: usize,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(fetch: &'a mut FetchHits<'a>) -> Self {
        Self { fetch, buckets: 0 }
    }

    /// The results of one level by name.
    pub(crate) fn level(&mut self, plans: &[AggPlan], results: Vec<Partial>) -> Result<Map<String, Value>, StoreError> {
        let mut level = Map::new();
        self.level_into(&mut level, plans, results)?;
        Ok(level)
    }

    fn level_into(
        &mut self,
        level: &mut Map<String, Value>,
        plans: &[AggPlan],
        results: Vec<Partial>,
    ) -> Result<(), StoreError> {
        for (plan, result) in plans.iter().zip(results) {
            level.insert(plan.name.clone(), self.one(plan, result)?);
        }
        Ok(())
    }

    fn one(&mut self, plan: &AggPlan, result: Partial) -> Result<Value, StoreError> {
        match (&plan.kind, result) {
            (Kind::DateHistogram { rounding, min_doc_count, bounds, .. }, Partial::Keyed(keyed)) => {
                self.date_histogram(plan, rounding, *min_doc_count, *bounds, keyed)
            }
            (Kind::Histogram { interval, min_doc_count, .. }, Partial::Keyed(keyed)) => {
                self.histogram(plan, *interval, *min_doc_count, keyed)
            }
            (Kind::Terms { field, size, min_doc_count, .. }, Partial::Keyed(keyed)) => {
                self.terms(plan, field, *size, *min_doc_count, keyed)
            }
            (Kind::Filters { names, .. }, Partial::Fixed(buckets)) => {
                let mut named = Map::new();
                for (name, bucket) in names.iter().zip(buckets) {
                    named.insert(name.clone(), self.bucket(plan, Map::new(), bucket)?.into());
                }
                Ok(json!({ "buckets": named }))
            }
            (Kind::Filter(_) | Kind::Missing(_), Partial::Fixed(buckets)) => {
                let bucket = buckets.into_iter().next().unwrap_or_else(|| Bucket::empty(plan));
                Ok(self.bucket(plan, Map::new(), bucket)?.into())
            }
            (Kind::Range { ranges, .. }, Partial::Fixed(buckets)) => self.ranges(plan, ranges, buckets),
            (Kind::Metric { metric, field, .. }, Partial::Stats(stats)) => Ok(metric_json(*metric, field, &stats)),
            (Kind::Percentiles { percents, keyed, .. }, Partial::Sketch(sketch)) => {
                Ok(percentiles(percents, *keyed, sketch))
            }
            (Kind::Cardinality(_), Partial::Distinct(distinct)) => Ok(json!({ "value": distinct.count() })),
            (Kind::TopHits { sort, source, .. }, Partial::Top(top)) => self.top_hits(sort, source, &top),
            (kind, result) => unreachable!("{kind:?} never has {result:?}"),
        }
    }

    /// `doc_count` and the nested results, after what tells the bucket apart.
    fn bucket(
        &mut self,
        plan: &AggPlan,
        mut head: Map<String, Value>,
        bucket: Bucket,
    ) -> Result<Map<String, Value>, StoreError> {
        self.buckets += 1;
        if self.buckets > BUCKETS_MAX {
            return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX });
        }
        head.insert("doc_count".into(), bucket.count.into());
        self.level_into(&mut head, &plan.subs, bucket.subs)?;
        Ok(head)
    }

    fn date_histogram(
        &mut self,
        plan: &AggPlan,
        rounding: &Rounding,
        min_doc_count: u64,
        bounds: Option<(i64, i64)>,
        keyed: Keyed,
    ) -> Result<Value, StoreError> {
        let mut found: Vec<(i64, Bucket)> =
            keyed.buckets.into_iter().map(|(key, bucket)| (whole(&key), bucket)).collect();
        found.sort_unstable_by_key(|(start, _)| *start);
        if min_doc_count == 0 {
            let bounds = bounds.map(|(min, max)| (rounding.floor(min), rounding.floor(max)));
            found = with_gaps(plan, found, bounds, |start| rounding.next(start))?;
        }
        let mut buckets = Vec::with_capacity(found.len());
        for (start, bucket) in found {
            if bucket.count < min_doc_count {
                continue;
            }
            let mut head = Map::new();
            head.insert("key_as_string".into(), rounding.format(start).into());
            head.insert("key".into(), start.into());
            buckets.push(Value::from(self.bucket(plan, head, bucket)?));
        }
        Ok(json!({ "buckets": buckets }))
    }

    fn histogram(
        &mut self,
        plan: &AggPlan,
        interval: f64,
        min_doc_count: u64,
        keyed: Keyed,
    ) -> Result<Value, StoreError> {
        let mut found: Vec<(i64, Bucket)> =
            keyed.buckets.into_iter().map(|(key, bucket)| (whole(&key), bucket)).collect();
        found.sort_unstable_by_key(|(step, _)| *step);
        if min_doc_count == 0 {
            found = with_gaps(plan, found, None, |step| step.saturating_add(1))?;
        }
        let mut buckets = Vec::with_capacity(found.len());
        for (step, bucket) in found {
            if bucket.count < min_doc_count {
                continue;
            }
            let mut head = Map::new();
            head.insert("key".into(), (step as f64 * interval).into());
            buckets.push(Value::from(self.bucket(plan, head, bucket)?));
        }
        Ok(json!({ "buckets": buckets }))
    }

    fn terms(
        &mut self,
        plan: &AggPlan,
        field: &FieldRef,
        size: usize,
        min_doc_count: u64,
        keyed: Keyed,
    ) -> Result<Value, StoreError> {
        let mut other = keyed.dropped_docs;
        let mut buckets = Vec::new();
        for (key, bucket) in sorted(keyed.buckets, plan) {
            if bucket.count < min_doc_count {
                continue;
            }
            if buckets.len() >= size {
                other += bucket.count;
            } else {
                let mut head = Map::new();
                key_json(&mut head, &key, field);
                buckets.push(Value::from(self.bucket(plan, head, bucket)?));
            }
        }
        Ok(json!({
            "doc_count_error_upper_bound": keyed.error,
            "sum_other_doc_count": other,
            "buckets": buckets,
        }))
    }

    fn ranges(
        &mut self,
        plan: &AggPlan,
        ranges: &[(Option<String>, Option<f64>, Option<f64>)],
        found: Vec<Bucket>,
    ) -> Result<Value, StoreError> {
        let limit = |limit: Option<f64>| limit.map_or("*".to_owned(), |limit| format!("{limit:?}"));
        let mut buckets = Vec::with_capacity(found.len());
        for ((key, from, to), bucket) in ranges.iter().zip(found) {
            let mut head = Map::new();
            let key = key.clone().unwrap_or_else(|| format!("{}-{}", limit(*from), limit(*to)));
            head.insert("key".into(), key.into());
            if let Some(from) = from {
                head.insert("from".into(), (*from).into());
            }
            if let Some(to) = to {
                head.insert("to".into(), (*to).into());
            }
            buckets.push(Value::from(self.bucket(plan, head, bucket)?));
        }
        Ok(json!({ "buckets": buckets }))
    }

    fn top_hits(&mut self, sort: &SortPlan, source: &SourceFilter, top: &Top) -> Result<Value, StoreError> {
        let hits = (self.fetch)(sort, source, &top.hits)?;
        let max_score = if sort.is_explicit || hits.is_empty() { Value::Null } else { 1.0.into() };
        Ok(json!({
            "hits": {"total": {"value": top.total, "relation": "eq"}, "max_score": max_score, "hits": hits}
        }))
    }
}

/// Puts empty buckets between (and, with `bounds`, around) those found.
fn with_gaps(
    plan: &AggPlan,
    found: Vec<(i64, Bucket)>,
    bounds: Option<(i64, i64)>,
    next: impl Fn(i64) -> i64,
) -> Result<Vec<(i64, Bucket)>, StoreError> {
    let first = found.first().map(|(start, _)| *start);
    let last = found.last().map(|(start, _)| *start);
    let (Some(first), Some(last)) = (
        first.into_iter().chain(bounds.map(|(min, _)| min)).min(),
        last.into_iter().chain(bounds.map(|(_, max)| max)).max(),
    ) else {
        return Ok(found);
    };
    let mut filled = Vec::with_capacity(found.len());
    let mut found = found.into_iter().peekable();
    let mut at = first;
    while at <= last {
        if filled.len() > BUCKETS_MAX {
            return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX });
        }
        match found.next_if(|(start, _)| *start <= at) {
            // Where clocks change, rounding may know a start that stepping does not meet.
            Some((start, bucket)) => {
                filled.push((start, bucket));
                if start < at {
                    continue;
                }
            }
            None => filled.push((at, Bucket::empty(plan))),
        }
        at = next(at);
    }
    filled.extend(found);
    Ok(filled)
}

fn whole(key: &Key) -> i64 {
    match key {
        Key::Whole(value) => *value,
        Key::Fraction(_) | Key::Text(_) => unreachable!("histograms have whole keys"),
    }
}

fn key_json(head: &mut Map<String, Value>, key: &Key, field: &FieldRef) {
    let value: Value = match key {
        Key::Whole(value) => (*value).into(),
        Key::Fraction(value) => (*value).into(),
        Key::Text(text) => text.clone().into(),
    };
    head.insert("key".into(), value);
    match (field.kind, key) {
        (Some(FieldKind::Boolean), Key::Whole(value)) => {
            head.insert("key_as_string".into(), (*value != 0).to_string().into());
        }
        (Some(FieldKind::Date), Key::Whole(ms)) => {
            head.insert("key_as_string".into(), Zone::utc().format(*ms).into());
        }
        _ => {}
    }
}

fn metric_json(metric: Metric, field: &FieldRef, stats: &Stats) -> Value {
    let is_date = field.kind == Some(FieldKind::Date);
    let date = |value: Option<f64>| value.map(|ms| Zone::utc().format(ms as i64));
    match metric {
        Metric::ValueCount => json!({ "value": stats.count }),
        Metric::Stats => {
            let has_values = stats.count > 0;
            let mut all = Map::new();
            all.insert("count".into(), stats.count.into());
            all.insert("min".into(), has_values.then_some(stats.min).into());
            all.insert("max".into(), has_values.then_some(stats.max).into());
            all.insert("avg".into(), stats.mean().into());
            all.insert("sum".into(), stats.sum().into());
            if is_date && has_values {
                all.insert("min_as_string".into(), date(Some(stats.min)).into());
                all.insert("max_as_string".into(), date(Some(stats.max)).into());
                all.insert("avg_as_string".into(), date(stats.mean()).into());
                all.insert("sum_as_string".into(), date(Some(stats.sum())).into());
            }
            all.into()
        }
        Metric::Avg | Metric::Sum | Metric::Min | Metric::Max => {
            let value = metric_value(metric, stats);
            let mut one = Map::new();
            one.insert("value".into(), value.into());
            if is_date && value.is_some() {
                one.insert("value_as_string".into(), date(value).into());
            }
            one.into()
        }
    }
}

fn percentiles(percents: &[f64], keyed: bool, sketch: Sketch) -> Value {
    let found = sketch.percentiles(percents);
    let values = percents
        .iter()
        .enumerate()
        .map(|(place, percent)| (percent, found.as_ref().and_then(|found| found.get(place).copied())));
    if keyed {
        let values: Map<String, Value> =
            values.map(|(percent, value)| (format!("{percent:?}"), value.into())).collect();
        return json!({ "values": values });
    }
    let values: Vec<Value> = values.map(|(percent, value)| json!({"key": percent, "value": value})).collect();
    json!({ "values": values })
}
