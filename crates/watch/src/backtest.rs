//! What a rule would have told, from the records that are stored: the same question and the same state machine as live.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use tollhouse_remote::Shelf;

use crate::baseline::Usuals;
use crate::error::WatchError;
use crate::round::{Conditions, round};
use crate::rule::{Measure, Rule};

/// Steps by which it goes through time: this part of what the rule looks back over, within these bounds.
const STEPS_WITHIN: i64 = 20;
const STEP_MS_MIN: i64 = 1_000;
const STEP_MS_MAX: i64 = 60_000;
/// Steps of a budget, whose shortest window is as long.
const BURN_STEP_MS: i64 = 300_000;
/// A day in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// Most days that are gone through.
pub(crate) const DAYS_MAX: u32 = 366;

/// A message that would have been told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// `firing` or `resolved`.
    pub state: &'static str,
    /// Its groups, and what was measured of each.
    pub groups: Vec<(String, Option<f64>)>,
}

/// What a rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Backtest {
    /// How often it would have become an alert, told or not.
    pub fired: u64,
    /// The messages, oldest first.
    pub told: Vec<Told>,
    /// How often the records were asked.
    pub looks: u64,
}

/// Goes through `days` days that end at `now_ms`.
pub async fn backtest(rule: &Rule, shelf: &Shelf, now_ms: i64, days: u32) -> Result<Backtest, WatchError> {
    let step_ms = match rule.settings().measure {
        Measure::Burn { .. } => BURN_STEP_MS,
        _ => (rule.within_ms() / STEPS_WITHIN).clamp(STEP_MS_MIN, STEP_MS_MAX),
    };
    let mut result = Backtest::default();
    let (mut conditions, mut usual) = (Conditions::new(), Usuals::default());
    for day in (1..=i64::from(days.min(DAYS_MAX))).rev() {
        let (from, to) = (now_ms - day * DAY_MS, now_ms - (day - 1) * DAY_MS);
        // Where nothing is, nothing has to be asked.
        let busy = busy_steps(rule, shelf, from - rule.within_ms(), to, step_ms).await?;
        let mut at = from + step_ms;
        while at <= to {
            let looks_back = at - rule.within_ms();
            let has_records = busy.range(looks_back - step_ms..=at).next().is_some();
            let has_unrest = conditions.values().any(crate::Condition::is_unrest);
            if has_records || has_unrest || rule.is_timed() {
                look(rule, shelf, (&mut conditions, &mut usual), at, &mut result).await?;
            }
            at += step_ms;
        }
    }
    Ok(result)
}

async fn look(
    rule: &Rule,
    shelf: &Shelf,
    (conditions, usual): (&mut Conditions, &mut Usuals),
    at: i64,
    result: &mut Backtest,
) -> Result<(), WatchError> {
    let findings = rule.found(shelf, at, usual).await?;
    let outcome = round(rule, conditions, &findings, at, rule.is_quiet(at), &format!("{at}"));
    result.looks += 1;
    result.fired += outcome.fired.len() as u64;
    if !outcome.tell_resolved.is_empty() && rule.settings().tells_end {
        let groups = outcome.tell_resolved.into_iter().map(|(change, _)| (change.group, change.value)).collect();
        result.told.push(Told { at_ms: at, state: "resolved", groups });
    }
    if !outcome.tell_firing.is_empty() {
        let groups = outcome.tell_firing.into_iter().map(|change| (change.group, change.value)).collect();
        result.told.push(Told { at_ms: at, state: "firing", groups });
    }
    Ok(())
}

/// The steps in which there are records of the rule, by their beginning.
async fn busy_steps(rule: &Rule, shelf: &Shelf, from: i64, to: i64, step_ms: i64) -> Result<BTreeSet<i64>, WatchError> {
    let mut busy = BTreeSet::new();
    let mut begin = from;
    // A day at a time, so that there are not too many at once.
    while begin < to {
        let end = (begin + DAY_MS).min(to);
        let body = json!({
            "size": 0,
            "query": {"bool": {
                "filter": [
                    {"query_string": {"query": rule.settings().query}},
                    {"range": {"@timestamp": {"gt": begin, "lte": end, "format": "epoch_millis"}}},
                ],
                "must_not": [{"term": {"kind": "alert"}}],
            }},
            "aggs": {"steps": {"date_histogram": {
                "field": "@timestamp", "fixed_interval": format!("{step_ms}ms"), "min_doc_count": 1,
            }}},
        });
        let answer = rule.search(shelf, &body).await?;
        let buckets = answer["aggregations"]["steps"]["buckets"].as_array().cloned().unwrap_or_default();
        busy.extend(buckets.iter().filter_map(|bucket| bucket["key"].as_i64()));
        begin = end;
    }
    Ok(busy)
}
