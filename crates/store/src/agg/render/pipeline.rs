//! Aggregations over the results of others.
//!
//! Sources: the reference pages of the pipeline aggregations and Elasticsearch's `BucketHelpers`, `MovingFunctions`.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use tollhouse_query::Expression;
use tollhouse_query::ast::{BucketMetric, BucketsPath, GapPolicy, MovingFunction, PathStep, PipelineKind};

use super::super::plan::{AggPlan, LevelPlan, PipelinePlan};
use super::super::stats::Spread;
use super::path::{bad, find};
use super::{Body, Done, DoneBucket, Many, metrics};
use crate::error::StoreError;

/// Runs what stands inside of buckets, over all of them, and what stands beside others in each of them.
pub(super) fn run_inside(plan: &AggPlan, many: &mut Many) -> Result<(), StoreError> {
    for pipeline in &plan.subs.pipelines {
        if let PipelineKind::Bucket { path, metric } = &pipeline.pipeline.kind {
            for bucket in &mut many.list {
                let done = over_buckets(pipeline, path, metric, &bucket.subs)?;
                bucket.subs.push(done);
            }
        } else {
            over_all(pipeline, &mut many.list)?;
        }
    }
    Ok(())
}

/// Runs what stands beside others in one bucket, or at the top.
pub(super) fn run_siblings(plan: &LevelPlan, level: &mut Vec<Done>) -> Result<(), StoreError> {
    for pipeline in &plan.pipelines {
        if let PipelineKind::Bucket { path, metric } = &pipeline.pipeline.kind {
            let done = over_buckets(pipeline, path, metric, level)?;
            level.push(done);
        }
    }
    Ok(())
}

impl DoneBucket {
    fn push(&mut self, pipeline: &PipelinePlan, members: Map<String, Value>) {
        self.subs.push(Done { name: pipeline.name.clone(), meta: pipeline.meta.clone(), body: Body::Plain(members) });
    }

    fn push_value(&mut self, pipeline: &PipelinePlan, value: f64) {
        self.push(pipeline, one_value(value));
    }
}

fn one_value(value: f64) -> Map<String, Value> {
    let mut members = Map::new();
    // Numbers that are none are null.
    members.insert("value".into(), value.into());
    members
}

fn over_all(pipeline: &PipelinePlan, list: &mut Vec<DoneBucket>) -> Result<(), StoreError> {
    let gap = pipeline.pipeline.gap;
    match &pipeline.pipeline.kind {
        PipelineKind::Derivative { path, unit_ms } => derivative(pipeline, path, *unit_ms, list)?,
        PipelineKind::CumulativeSum { path } => {
            let mut sum = 0.0;
            for bucket in list {
                // Gaps add nothing, and have the sum nevertheless.
                sum += bucket.number_if_any(path, gap)?.unwrap_or_default();
                bucket.push_value(pipeline, sum);
            }
        }
        PipelineKind::SerialDiff { path, lag } => {
            let numbers = numbers(list, path, gap)?;
            for (place, bucket) in list.iter_mut().enumerate().skip(*lag) {
                if let (Some(now), Some(then)) = (numbers[place], numbers[place - lag]) {
                    bucket.push_value(pipeline, now - then);
                }
            }
        }
        PipelineKind::MovingFn { path, window, shift, function } => {
            let numbers = numbers(list, path, gap)?;
            for (place, bucket) in list.iter_mut().enumerate() {
                // A gap has no value and is no part of later windows.
                if numbers[place].is_none() {
                    continue;
                }
                let before: Vec<f64> = window_at(&numbers, place, *window, *shift);
                bucket.push_value(pipeline, function_of(*function, &before));
            }
        }
        PipelineKind::BucketScript { paths, script } => {
            for bucket in list {
                let Some(numbers) = script_numbers(bucket, paths, gap)? else { continue };
                let value = compute(pipeline, script, &numbers)?;
                bucket.push_value(pipeline, value);
            }
        }
        PipelineKind::BucketSelector { paths, script } => {
            let mut kept = Vec::with_capacity(list.len());
            for bucket in std::mem::take(list) {
                let numbers = paths.iter().map(|(_, path)| Ok(bucket.number(path, gap)?.unwrap_or(f64::NAN)));
                let numbers: Vec<f64> = numbers.collect::<Result<_, StoreError>>()?;
                let value = script.value(&numbers).ok_or_else(|| overflow(pipeline))?;
                if value.is_true() && !value.as_f64().is_nan() {
                    kept.push(bucket);
                }
            }
            *list = kept;
        }
        PipelineKind::BucketSort { sort, from, size } => bucket_sort(sort, *from, *size, gap, list)?,
        PipelineKind::Bucket { .. } => unreachable!("these stand beside buckets"),
    }
    Ok(())
}

fn numbers(list: &[DoneBucket], path: &BucketsPath, gap: GapPolicy) -> Result<Vec<Option<f64>>, StoreError> {
    list.iter().map(|bucket| bucket.number_if_any(path, gap)).collect()
}

fn derivative(
    pipeline: &PipelinePlan,
    path: &BucketsPath,
    unit_ms: Option<u64>,
    list: &mut [DoneBucket],
) -> Result<(), StoreError> {
    let mut before: Option<(f64, f64)> = None;
    for bucket in list {
        let key = bucket.head.get("key").and_then(Value::as_f64).unwrap_or(f64::NAN);
        // The difference to a gap is no number, which is told as null.
        let number = bucket.number(path, pipeline.pipeline.gap)?;
        if let (Some((last, last_key)), Some(number)) = (before, number) {
            let mut members = one_value(number - last);
            if let Some(unit_ms) = unit_ms {
                let units = (key - last_key) / unit_ms as f64;
                members.insert("normalized_value".into(), ((number - last) / units).into());
            }
            bucket.push(pipeline, members);
        }
        before = number.map(|number| (number, key));
    }
    Ok(())
}

/// The numbers of the window before a bucket, moved by `shift`; gaps are left out.
fn window_at(numbers: &[Option<f64>], place: usize, window: usize, shift: i64) -> Vec<f64> {
    // Places among the numbers that are there, as Elasticsearch counts them.
    let there: Vec<f64> = numbers.iter().copied().flatten().collect();
    let own = numbers[..place].iter().flatten().count() as i64;
    let clamp = |place: i64| place.clamp(0, there.len() as i64) as usize;
    let (from, to) = (clamp(own - window as i64 + shift), clamp(own + shift));
    there[from.min(to)..to].to_vec()
}

fn function_of(function: MovingFunction, values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if values.is_empty() {
        return if function == MovingFunction::Sum { 0.0 } else { f64::NAN };
    }
    match function {
        MovingFunction::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        MovingFunction::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        MovingFunction::Sum => values.iter().sum(),
        MovingFunction::UnweightedAvg => values.iter().sum::<f64>() / count,
        MovingFunction::LinearWeightedAvg => {
            let (mut sum, mut weights) = (0.0, 1.0);
            for (place, value) in values.iter().enumerate() {
                sum += (place + 1) as f64 * value;
                weights += (place + 1) as f64;
            }
            sum / weights
        }
        MovingFunction::Ewma(alpha) => {
            values.iter().copied().reduce(|average, value| value * alpha + average * (1.0 - alpha)).unwrap_or(f64::NAN)
        }
    }
}

/// `None` for a bucket with a gap.
fn script_numbers(
    bucket: &DoneBucket,
    paths: &[(String, BucketsPath)],
    gap: GapPolicy,
) -> Result<Option<Vec<f64>>, StoreError> {
    let mut numbers = Vec::with_capacity(paths.len());
    for (_, path) in paths {
        let number = bucket.number(path, gap)?.unwrap_or(f64::NAN);
        if gap == GapPolicy::Skip && number.is_nan() {
            return Ok(None);
        }
        numbers.push(number);
    }
    Ok(Some(numbers))
}

fn compute(pipeline: &PipelinePlan, script: &Expression, numbers: &[f64]) -> Result<f64, StoreError> {
    script.value(numbers).map(tollhouse_query::Number::as_f64).ok_or_else(|| overflow(pipeline))
}

fn overflow(pipeline: &PipelinePlan) -> StoreError {
    StoreError::Aggregation {
        reason: format!(
            "runtime error in the script of [{}]: a whole number is divided by zero or too large",
            pipeline.name
        ),
    }
}

fn bucket_sort(
    sort: &[(BucketsPath, bool)],
    from: usize,
    size: Option<usize>,
    gap: GapPolicy,
    list: &mut Vec<DoneBucket>,
) -> Result<(), StoreError> {
    if !sort.is_empty() {
        let mut keyed = Vec::with_capacity(list.len());
        for bucket in std::mem::take(list) {
            let keys = sort.iter().map(|(path, _)| sort_key(&bucket, path, gap)).collect::<Result<Vec<_>, _>>()?;
            // A bucket with none of the numbers is left out.
            if keys.iter().any(|key| *key != SortKey::Absent) {
                keyed.push((keys, bucket));
            }
        }
        keyed.sort_by(|(a, _), (b, _)| {
            let orders = sort.iter().zip(a.iter().zip(b)).map(|((_, descending), (a, b))| match (a, b) {
                (SortKey::Absent, SortKey::Absent) => Ordering::Equal,
                (SortKey::Absent, _) => Ordering::Greater,
                (_, SortKey::Absent) => Ordering::Less,
                (a, b) if *descending => b.compare(a),
                (a, b) => a.compare(b),
            });
            orders.into_iter().find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        *list = keyed.into_iter().map(|(_, bucket)| bucket).collect();
    }
    list.drain(..from.min(list.len()));
    list.truncate(size.unwrap_or(usize::MAX));
    Ok(())
}

#[derive(Debug, PartialEq)]
enum SortKey {
    Absent,
    Number(f64),
    Text(String),
}

impl SortKey {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
            (SortKey::Text(_), _) => Ordering::Greater,
            (_, SortKey::Text(_)) => Ordering::Less,
            _ => Ordering::Equal,
        }
    }
}

fn sort_key(bucket: &DoneBucket, path: &BucketsPath, gap: GapPolicy) -> Result<SortKey, StoreError> {
    if path.text == "_key"
        && let Some(Value::String(key)) = bucket.head.get("key")
    {
        return Ok(SortKey::Text(key.clone()));
    }
    Ok(bucket.number_if_any(path, gap)?.map_or(SortKey::Absent, SortKey::Number))
}

/// Numbers over the buckets of an aggregation of the same level.
fn over_buckets(
    pipeline: &PipelinePlan,
    path: &BucketsPath,
    metric: &BucketMetric,
    level: &[Done],
) -> Result<Done, StoreError> {
    let mut found: Vec<(String, f64)> = Vec::new();
    gather(path, &path.steps, pipeline.pipeline.gap, level, &mut found)?;
    let body = match metric {
        BucketMetric::Max | BucketMetric::Min => extreme(&found, *metric == BucketMetric::Max),
        BucketMetric::Percentiles { percents, keyed } => percentiles(found, percents, *keyed),
        _ => {
            let mut spread = Spread::default();
            for (_, value) in &found {
                spread.add(*value);
            }
            let stats = &spread.stats;
            match metric {
                BucketMetric::Avg => one_value(stats.mean().unwrap_or(f64::NAN)),
                BucketMetric::Sum => one_value(stats.sum()),
                BucketMetric::ExtendedStats { sigma } => metrics::plain_extended(&spread, *sigma),
                _ => metrics::plain_stats(stats),
            }
        }
    };
    Ok(Done { name: pipeline.name.clone(), meta: pipeline.meta.clone(), body: Body::Plain(body) })
}

/// Follows single buckets to an aggregation with many, and reads the number of each of these.
fn gather(
    path: &BucketsPath,
    steps: &[PathStep],
    gap: GapPolicy,
    level: &[Done],
    found: &mut Vec<(String, f64)>,
) -> Result<(), StoreError> {
    let Some((step, rest)) = steps.split_first() else { return Err(bad(path, "it leads to no buckets")) };
    let Some((done, member)) = find(level, step) else {
        return Err(bad(path, &format!("there is no aggregation [{}]", step.text)));
    };
    match &done.body {
        Body::One(bucket) if member.is_none() => gather(path, rest, gap, &bucket.subs, found),
        Body::Many(many) => {
            // `a._count` and `a>_count` are the same; `a['key']>b` is about one bucket.
            let (key, rest) = match member {
                Some("_count") => (None, vec![PathStep { text: "_count".to_owned(), key: None }]),
                Some(key) => (Some(key), rest.to_vec()),
                None => (None, rest.to_vec()),
            };
            let inner = BucketsPath { text: path.text.clone(), steps: rest };
            if inner.steps.is_empty() {
                return Err(bad(path, "it ends at buckets instead of a number of them"));
            }
            for bucket in many.list.iter().filter(|bucket| key.is_none_or(|key| bucket.name == key)) {
                if let Some(number) = bucket.number_if_any(&inner, gap)? {
                    found.push((bucket.name.clone(), number));
                }
            }
            Ok(())
        }
        _ => Err(bad(path, &format!("[{}] has no buckets", done.name))),
    }
}

fn extreme(found: &[(String, f64)], is_max: bool) -> Map<String, Value> {
    let numbers = found.iter().map(|(_, number)| *number);
    let best = if is_max { numbers.reduce(f64::max) } else { numbers.reduce(f64::min) };
    let keys: Vec<&str> =
        found.iter().filter(|(_, number)| Some(*number) == best).map(|(key, _)| key.as_str()).collect();
    let mut members = one_value(best.unwrap_or(f64::NAN));
    members.insert("keys".into(), json!(keys));
    members
}

/// The nearest number that there is.
fn percentiles(found: Vec<(String, f64)>, percents: &[f64], keyed: bool) -> Map<String, Value> {
    let mut numbers: Vec<f64> = found.into_iter().map(|(_, number)| number).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let at = |percent: f64| {
        let place = (percent / 100.0 * (numbers.len() as f64 - 1.0)).round().max(0.0) as usize;
        numbers.get(place).copied()
    };
    let values: Value = if keyed {
        percents.iter().map(|percent| (format!("{percent:?}"), at(*percent).into())).collect::<Map<_, _>>().into()
    } else {
        percents.iter().map(|percent| json!({"key": percent, "value": at(*percent)})).collect()
    };
    let mut members = Map::new();
    members.insert("values".into(), values);
    members
}
