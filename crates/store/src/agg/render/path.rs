//! Following a path through results to a number.

use serde_json::{Map, Value};
use tollhouse_query::ast::{BucketsPath, GapPolicy, PathStep};

use super::{Body, Done, DoneBucket};
use crate::error::StoreError;

/// What a path leads to in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    Number(f64),
    /// A metric without a number: there was nothing to compute it of.
    Nothing,
    /// There is no such bucket, or no such aggregation in this one.
    Absent,
}

impl DoneBucket {
    /// The number at a path, as a gap policy wants it, NaN for a gap; `None` where the path leads nowhere.
    pub(super) fn number(&self, path: &BucketsPath, gap: GapPolicy) -> Result<Option<f64>, StoreError> {
        let steps = &path.steps;
        // A count is never missing.
        if steps.len() == 1 && steps[0].text == "_count" && self.find(&steps[0]).is_none() {
            return Ok(Some(self.count as f64));
        }
        let value = match self.follow(path, steps)? {
            Found::Absent => return Ok(None),
            Found::Number(value) if value.is_finite() => value,
            Found::Number(_) | Found::Nothing => f64::NAN,
        };
        Ok(Some(match gap {
            GapPolicy::Skip if self.count == 0 => f64::NAN,
            GapPolicy::InsertZeros if self.count == 0 || value.is_nan() => 0.0,
            GapPolicy::Skip | GapPolicy::InsertZeros | GapPolicy::KeepValues => value,
        }))
    }

    /// The same, `None` for a gap too.
    pub(super) fn number_if_any(&self, path: &BucketsPath, gap: GapPolicy) -> Result<Option<f64>, StoreError> {
        Ok(self.number(path, gap)?.filter(|number| !number.is_nan()))
    }

    fn follow(&self, path: &BucketsPath, steps: &[PathStep]) -> Result<Found, StoreError> {
        let Some((step, rest)) = steps.split_first() else {
            return Err(bad(path, "it ends at a bucket"));
        };
        if let Some((done, member)) = self.find(step) {
            return done.follow(path, member, rest);
        }
        match step.text.as_str() {
            "_count" if rest.is_empty() => Ok(Found::Number(self.count as f64)),
            "_key" if rest.is_empty() => Ok(match self.head.get("key").and_then(Value::as_f64) {
                Some(key) => Found::Number(key),
                None => return Err(bad(path, "the keys are no numbers")),
            }),
            // It may have been left out of this bucket, for want of numbers.
            _ => Ok(Found::Absent),
        }
    }

    fn find<'a>(&self, step: &'a PathStep) -> Option<(&Done, Option<&'a str>)> {
        find(&self.subs, step)
    }
}

/// The aggregation that a step names, and what of it.
pub(super) fn find<'a, 'd>(level: &'d [Done], step: &'a PathStep) -> Option<(&'d Done, Option<&'a str>)> {
    level.iter().find_map(|done| {
        let rest = step.text.strip_prefix(done.name.as_str())?;
        match rest.strip_prefix('.') {
            Some(member) => Some((done, Some(member))),
            None if rest.is_empty() => Some((done, step.key.as_deref())),
            None => None,
        }
    })
}

impl Done {
    fn follow(&self, path: &BucketsPath, member: Option<&str>, rest: &[PathStep]) -> Result<Found, StoreError> {
        match &self.body {
            Body::Plain(members) if rest.is_empty() => self.metric(path, members, member),
            Body::Plain(_) => Err(bad(path, &format!("[{}] has no buckets", self.name))),
            Body::One(bucket) => match (member, rest) {
                (None | Some("_count"), []) => Ok(Found::Number(bucket.count as f64)),
                (None, rest) => bucket.follow(path, rest),
                (Some(member), _) => Err(bad(path, &format!("[{}] has no [{member}]", self.name))),
            },
            Body::Many(many) => match (member, rest) {
                (Some("_bucket_count"), []) => Ok(Found::Number(many.list.len() as f64)),
                (None, [step]) if step.text == "_bucket_count" => Ok(Found::Number(many.list.len() as f64)),
                (Some(key), rest) => match many.list.iter().find(|bucket| bucket.name == key) {
                    Some(bucket) if rest.is_empty() => Ok(Found::Number(bucket.count as f64)),
                    Some(bucket) => bucket.follow(path, rest),
                    None => Ok(Found::Absent),
                },
                (None, _) => Err(bad(
                    path,
                    &format!(
                        "buckets_path must reference either a number value or a single value numeric metric \
                              aggregation, but [{}] has many buckets",
                        self.name
                    ),
                )),
            },
        }
    }

    fn metric(
        &self,
        path: &BucketsPath,
        members: &Map<String, Value>,
        member: Option<&str>,
    ) -> Result<Found, StoreError> {
        let several = || {
            bad(
                path,
                &format!(
                    "buckets_path must reference either a number value or a single value numeric metric aggregation, but \
                     [{}] contains multiple values. Please specify which to use.",
                    self.name
                ),
            )
        };
        let value = match member {
            None => members.get("value").ok_or_else(several)?,
            Some(member) => {
                let unknown = || bad(path, &format!("[{}] has no [{member}]", self.name));
                member_of(members, member).ok_or_else(unknown)?
            }
        };
        Ok(value.as_f64().map_or(Found::Nothing, Found::Number))
    }
}

/// One of several numbers by its name: `avg`, `95`, `std_upper`.
fn member_of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = members.get(name) {
        return Some(value);
    }
    if let Some(bound) = name.strip_prefix("std_") {
        return members.get("std_deviation_bounds")?.get(bound);
    }
    if let Some(first) = members.get("top").and_then(|top| top.get(0)) {
        return first.get("metrics")?.get(name);
    }
    let asked: f64 = name.parse().ok()?;
    match members.get("values")? {
        Value::Object(values) => values.get(&format!("{asked:?}")),
        Value::Array(values) => {
            values.iter().find(|entry| entry["key"].as_f64() == Some(asked)).and_then(|entry| entry.get("value"))
        }
        _ => None,
    }
}

pub(super) fn bad(path: &BucketsPath, why: &str) -> StoreError {
    StoreError::Aggregation { reason: format!("cannot follow [buckets_path] [{}]: {why}", path.text) }
}
