//! What happened around an alert: the measured values over time, and the time line of other records.

use serde_json::{Value, json};
use tollhouse_notify::Chart;
use tollhouse_remote::Shelf;

use crate::ask::{line, records};
use crate::error::WatchError;
use crate::round::Change;
use crate::rule::{Measure, Rule};

/// Points of a chart: so many times of the rule's `within`.
const POINTS: i64 = 24;
/// A point stands for at least so long.
const POINT_MS_MIN: i64 = 1_000;
/// Records of a time line, of each sort.
const LINES_MAX: usize = 8;
/// How far back the records of an alert are looked for.
const LOOKBACK_MS_MAX: i64 = 3_600_000;

/// What else is worth knowing about a moment at which something broke: what was refused or failed, what processes and the
/// machine did, what probes found. One sort after the other, so that no sort fills the line alone.
const SORTS: [&str; 4] = [
    "kind:log AND level:(error OR warn)",
    "kind:request AND (http_status:>=500 OR cancelled:true)",
    "kind:resource",
    "kind:process OR (kind:probe AND outcome:(warn OR fault))",
];

impl Rule {
    /// What was measured of one group over time, until now.
    pub(crate) async fn chart(&self, shelf: &Shelf, now_ms: i64, change: &Change) -> Result<Option<Chart>, WatchError> {
        if !self.has_chart() {
            return Ok(None);
        }
        let settings = self.settings();
        let step_ms = self.within_ms().max(POINT_MS_MIN);
        let from_ms = now_ms.saturating_sub(step_ms.saturating_mul(POINTS));
        let mut filter = self.filter_between(from_ms, now_ms);
        if let Some(field) = &settings.group_by {
            filter.push(json!({"term": {field: change.group}}));
        }
        // Steps end now: the last one is what the rule looked at.
        let offset_ms = now_ms.rem_euclid(step_ms);
        let mut steps = json!({"date_histogram": {
            "field": "@timestamp", "fixed_interval": format!("{step_ms}ms"), "min_doc_count": 1,
        }});
        if offset_ms > 0 {
            steps["date_histogram"]["offset"] = format!("{offset_ms}ms").into();
        }
        steps["aggs"] = self.measured().into();
        let body = json!({"size": 0, "query": records(&filter), "aggs": {"steps": steps}});
        let answer = self.search(shelf, &body).await?;
        let buckets = answer["aggregations"]["steps"]["buckets"].as_array().cloned().unwrap_or_default();
        let found = |begin_ms: i64| {
            let bucket = buckets.iter().find(|bucket| bucket["key"].as_i64() == Some(begin_ms));
            let samples = bucket.map_or(0, |bucket| bucket["doc_count"].as_u64().unwrap_or_default());
            self.value(bucket.unwrap_or(&Value::Null), samples, begin_ms)
        };
        let points = (0..POINTS).map(|n| from_ms + n * step_ms).map(|begin| (begin + step_ms, found(begin))).collect();
        let of = if change.group.is_empty() { String::new() } else { format!(" ({})", change.group) };
        let limit = match (&settings.measure, settings.baseline, change.usual) {
            (Measure::Burn { goal, .. }, ..) => Some(100.0 - goal),
            (_, None, _) => Some(settings.limit.value()),
            (_, Some(_), Some(usual)) => Some(usual * (1.0 + settings.limit.value() / 100.0)),
            (_, Some(_), None) => None,
        };
        let named = match &settings.measure {
            Measure::Burn { bad, .. } => Measure::Ratio(bad.clone()).named(),
            measure => measure.named(),
        };
        Ok(Some(Chart { title: format!("{named}{of}"), points, limit, usual: change.usual }))
    }

    /// What happened around the records of an alert, in order.
    pub(crate) async fn timeline(&self, shelf: &Shelf, now_ms: i64) -> Result<Vec<String>, WatchError> {
        let Some(around) = self.settings().around else { return Ok(Vec::new()) };
        let around_ms = i64::try_from(around.as_millis()).unwrap_or(i64::MAX);
        let begin = now_ms.saturating_sub(self.within_ms().min(LOOKBACK_MS_MAX));
        let own = json!({
            "size": LINES_MAX,
            "query": records(&self.filter_between(begin, now_ms)),
            "sort": [{"@timestamp": "asc"}, {"seq": "asc"}],
        });
        let own = self.hits(shelf, &own).await?;
        let moments: Vec<i64> = own.iter().filter_map(moment).collect();
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return Ok(Vec::new()) };
        let middle = first + (last - first) / 2;
        let (from, to) = (first.saturating_sub(around_ms), last.saturating_add(around_ms));
        let mut told = own;
        for sort in SORTS {
            let filter = [
                json!({"query_string": {"query": sort}}),
                json!({"range": {"@timestamp": {"gte": from, "lte": to, "format": "epoch_millis"}}}),
            ];
            // The nearest ones: half from before the middle, half from after it.
            for (order, side) in [("desc", json!({"lte": middle})), ("asc", json!({"gt": middle}))] {
                let mut side = side;
                side["format"] = "epoch_millis".into();
                let mut filter = filter.to_vec();
                filter.push(json!({"range": {"@timestamp": side}}));
                let body = json!({
                    "size": LINES_MAX / 2, "query": records(&filter),
                    "sort": [{"@timestamp": order}, {"seq": order}],
                });
                told.extend(self.hits(shelf, &body).await?);
            }
        }
        told.sort_by_key(|record| (moment(record), record["seq"].as_u64()));
        told.dedup_by_key(|record| record["seq"].as_u64());
        Ok(told.iter().map(line).collect())
    }

    async fn hits(&self, shelf: &Shelf, body: &Value) -> Result<Vec<Value>, WatchError> {
        let answer = self.search(shelf, body).await?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        Ok(hits.into_iter().map(|hit| hit["_source"].clone()).collect())
    }
}

/// The group that is worst off: the one that a chart is of.
pub(crate) fn worst_of(changes: &[Change], below: bool) -> Option<&Change> {
    let size = |change: &&Change| {
        let value = change.value.unwrap_or_default();
        if below { -value } else { value }
    };
    changes.iter().max_by(|a, b| size(a).total_cmp(&size(b)))
}

fn moment(record: &Value) -> Option<i64> {
    record["@timestamp"].as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_group_is_the_one_that_is_farthest_out() {
        let change = |group: &str, value| Change { group: group.into(), value: Some(value), usual: None, window: None };
        let changes = [change("a", 3.0), change("b", 9.0), change("c", 1.0)];
        assert_eq!(worst_of(&changes, false).unwrap().group, "b");
        assert_eq!(worst_of(&changes, true).unwrap().group, "c");
        assert_eq!(worst_of(&[], false), None);
    }
}
