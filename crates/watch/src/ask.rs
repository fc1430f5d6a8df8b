//! What a rule asks of the documents, and what the answer says.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tollhouse_query::dsl;
use tollhouse_remote::Shelf;

use crate::baseline::Usuals;
use crate::burn::Budget;
use crate::error::WatchError;
use crate::rule::{Measure, Rule};

/// Most groups of a rule that are looked at: those with the most records.
pub(crate) const GROUPS_MAX: usize = 500;
/// Records that are told as the worst.
const WORST_MAX: usize = 3;
/// So much of a record's text is told.
const MSG_CHARS_MAX: usize = 200;

/// Fields that are told of a record, beside its time and its text.
const LINE_FIELDS: [&str; 13] = [
    "http_status",
    "model_name",
    "user_id",
    "source",
    "probe",
    "outcome",
    "found",
    "gpu",
    "gpu_memory_used_percent",
    "gpu_memory_used_bytes",
    "disk",
    "request_id",
    "error",
];

/// What was measured of one group of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The value that is grouped by; empty where nothing is grouped.
    pub group: String,
    /// What was measured; none where no record has the field.
    pub value: Option<f64>,
    /// Of how many records.
    pub samples: u64,
    /// What is usual at this hour, where the rule has a baseline and enough is known.
    pub usual: Option<f64>,
    /// How far that is from what is usual, in percent, where it is more than chance.
    pub deviation: Option<f64>,
    /// The window in which too much of an objective's budget goes.
    pub window: Option<Duration>,
}

impl Finding {
    /// A finding that is compared with nothing.
    pub(crate) fn plain(group: String, value: Option<f64>, samples: u64) -> Self {
        Self { group, value, samples, usual: None, deviation: None, window: None }
    }
}

impl Rule {
    /// What is so of the records until a moment (milliseconds since 1970 UTC), by group.
    pub async fn found(&self, shelf: &Shelf, now_ms: i64, usual: &mut Usuals) -> Result<Vec<Finding>, WatchError> {
        if let Some(budget) = Budget::of(self) {
            return usual.burns.found(self, budget, shelf, now_ms).await;
        }
        let answer = self.search(shelf, &self.question(now_ms)).await?;
        let mut findings = self.findings(&answer, now_ms);
        if let Some(baseline) = self.settings().baseline {
            usual.compare(self, baseline, shelf, now_ms, &mut findings).await?;
        }
        Ok(findings)
    }

    /// Whether what was found is one to tell of.
    pub fn is_met(&self, finding: &Finding) -> bool {
        let settings = self.settings();
        if let Measure::Burn { .. } = settings.measure {
            return finding.window.is_some();
        }
        let is_enough = settings.measure == Measure::Count || finding.samples >= settings.samples;
        let compared = if settings.baseline.is_some() { finding.deviation } else { finding.value };
        is_enough && compared.is_some_and(|value| settings.limit.is_met(value))
    }

    /// The records of some groups that took longest; the newest ones of a rule about newest records, or where nothing took time.
    pub(crate) async fn worst(
        &self,
        shelf: &Shelf,
        (from_ms, to_ms): (i64, i64),
        groups: &[&str],
    ) -> Result<Vec<Value>, WatchError> {
        let mut filter = self.filter_between(from_ms, to_ms);
        if let Some(field) = &self.settings().group_by {
            filter.push(json!({"terms": {field: groups}}));
        }
        if let Some(query) = self.settings().measure.query() {
            filter.push(json!({"query_string": {"query": query}}));
        }
        let sort = match self.settings().measure {
            Measure::Latest(_) => json!([{"@timestamp": "desc"}]),
            _ => json!([{"duration_ms": {"order": "desc", "missing": "_last"}}, {"@timestamp": "desc"}]),
        };
        let body = json!({"size": WORST_MAX, "query": records(&filter), "sort": sort});
        let mut answer = self.search(shelf, &body).await?;
        let hits = answer["hits"]["hits"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(hits.into_iter().map(|mut hit| hit["_source"].take()).collect())
    }

    fn question(&self, now_ms: i64) -> Value {
        let settings = self.settings();
        let mut aggs = self.measured();
        if let Some(field) = &settings.group_by {
            let mut groups = json!({"terms": {"field": field, "size": GROUPS_MAX}});
            if !aggs.is_empty() {
                groups["aggs"] = aggs.into();
            }
            aggs = Map::from_iter([("groups".to_owned(), groups)]);
        }
        let mut body = json!({"size": 0, "track_total_hits": true, "query": records(&self.filter(now_ms))});
        if !aggs.is_empty() {
            body["aggs"] = aggs.into();
        }
        body
    }

    /// What measures the records of a group.
    pub(crate) fn measured(&self) -> Map<String, Value> {
        let value = match &self.settings().measure {
            Measure::Count => return Map::new(),
            Measure::Sum(field) => json!({"sum": {"field": field}}),
            Measure::Average(field) => json!({"avg": {"field": field}}),
            Measure::Percentile { field, percent } => {
                json!({"percentiles": {"field": field, "percents": [percent], "keyed": false}})
            }
            Measure::Ratio(query) | Measure::Burn { bad: query, .. } => {
                json!({"filter": {"query_string": {"query": query}}})
            }
            Measure::Absence => json!({"max": {"field": "@timestamp"}}),
            // In the order of the journal: records of one moment have one, too.
            Measure::Latest(query) => {
                let last = json!({"max": {"field": "seq"}});
                let such = json!({"filter": {"query_string": {"query": query}}, "aggs": {"last": last}});
                return Map::from_iter([("value".to_owned(), such), ("last".to_owned(), last)]);
            }
        };
        Map::from_iter([("value".to_owned(), value)])
    }

    /// The query and the time.
    fn filter(&self, now_ms: i64) -> Vec<Value> {
        self.filter_between(now_ms.saturating_sub(self.within_ms()), now_ms)
    }

    /// The query, and the time after one moment until another.
    pub(crate) fn filter_between(&self, from_ms: i64, to_ms: i64) -> Vec<Value> {
        vec![
            json!({"query_string": {"query": self.settings().query}}),
            json!({"range": {"@timestamp": {"gt": from_ms, "lte": to_ms, "format": "epoch_millis"}}}),
        ]
    }

    pub(crate) async fn search(&self, shelf: &Shelf, body: &Value) -> Result<Value, WatchError> {
        search(shelf, self.name(), body).await
    }

    fn findings(&self, answer: &Value, now_ms: i64) -> Vec<Finding> {
        if self.settings().group_by.is_none() {
            let samples = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
            let value = self.value(&answer["aggregations"], samples, now_ms);
            return vec![Finding::plain(String::new(), value, samples)];
        }
        let buckets = answer["aggregations"]["groups"]["buckets"].as_array().cloned().unwrap_or_default();
        let finding = |bucket: &Value| {
            let samples = bucket["doc_count"].as_u64().unwrap_or_default();
            Finding::plain(group(bucket), self.value(bucket, samples, now_ms), samples)
        };
        buckets.iter().map(finding).collect()
    }

    /// What was measured, from the part of an answer that [`Self::measured`] asked for.
    pub(crate) fn value(&self, aggregations: &Value, samples: u64, now_ms: i64) -> Option<f64> {
        let value = &aggregations["value"];
        match &self.settings().measure {
            Measure::Count => Some(samples as f64),
            _ if samples == 0 => None,
            Measure::Sum(_) | Measure::Average(_) => value["value"].as_f64(),
            Measure::Percentile { .. } => value["values"][0]["value"].as_f64(),
            Measure::Ratio(_) | Measure::Burn { .. } => Some(value["doc_count"].as_f64()? / samples as f64 * 100.0),
            Measure::Absence => Some((now_ms as f64 - value["value"].as_f64()?).max(0.0) / 1000.0),
            Measure::Latest(_) => {
                let last = aggregations["last"]["value"].as_f64()?;
                Some(if value["last"]["value"].as_f64() == Some(last) { 1.0 } else { 0.0 })
            }
        }
    }
}

/// Asks for documents of all days, for a rule or a report of this name.
pub(crate) async fn search(shelf: &Shelf, name: &str, body: &Value) -> Result<Value, WatchError> {
    let request = dsl::parse_search(body).map_err(|error| WatchError::Query {
        rule: name.to_owned(),
        which: "query",
        why: error.to_string(),
    })?;
    let wrong = |source| WatchError::Search { rule: name.to_owned(), source };
    let days = shelf.names().await.map_err(wrong)?;
    let answer = shelf.search(days, request, ()).await.map_err(wrong)?;
    if answer.timed_out {
        return Err(WatchError::Slow(name.to_owned()));
    }
    Ok(serde_json::to_value(answer).unwrap_or_default())
}

/// The value that a bucket is about.
pub(crate) fn group(bucket: &Value) -> String {
    let key = bucket.get("key_as_string").unwrap_or(&bucket["key"]);
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// Records of alerts are left out: a rule on errors would else tell of its own messages that were not taken.
pub(crate) fn records(filter: &[Value]) -> Value {
    json!({"bool": {"filter": filter, "must_not": [{"term": {"kind": "alert"}}]}})
}

/// A record as one line for people.
pub(crate) fn line(record: &Value) -> String {
    let mut parts = vec![record["@timestamp"].as_str().unwrap_or_default().to_owned()];
    if let Some(ms) = record["duration_ms"].as_f64() {
        parts.push(format!("{ms:.0} ms"));
    }
    for name in LINE_FIELDS {
        match &record[name] {
            Value::Null => {}
            Value::String(text) => parts.push(text.clone()),
            other => parts.push(other.to_string()),
        }
    }
    if record["kind"] != "request"
        && let Some(msg) = record["msg"].as_str()
    {
        parts.push(one_line(msg));
    }
    parts.join(" · ")
}

/// What a record says, cut and without line breaks.
pub(crate) fn one_line(msg: &str) -> String {
    msg.chars().take(MSG_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
