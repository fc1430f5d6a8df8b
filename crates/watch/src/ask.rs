//! What a rule asks of the documents, and what the answer says.

use serde_json::{Map, Value, json};
use tollhouse_query::dsl;
use tollhouse_remote::Shelf;

use crate::error::WatchError;
use crate::rule::{Measure, Rule};

/// Most groups of a rule that are looked at: those with the most records.
pub(crate) const GROUPS_MAX: usize = 500;
/// Records that are told as the worst.
const WORST_MAX: usize = 3;
/// So much of a record's text is told.
const MSG_CHARS_MAX: usize = 200;

/// What was measured of one group of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The value that is grouped by; empty where nothing is grouped.
    pub group: String,
    /// What was measured; none where no record has the field.
    pub value: Option<f64>,
    /// Of how many records.
    pub samples: u64,
}

impl Rule {
    /// What is so of the records until a moment (milliseconds since 1970 UTC), by group.
    pub async fn found(&self, shelf: &Shelf, now_ms: i64) -> Result<Vec<Finding>, WatchError> {
        let answer = self.search(shelf, &self.question(now_ms)).await?;
        Ok(self.findings(&answer))
    }

    /// Whether what was found is one to tell of.
    pub fn is_met(&self, finding: &Finding) -> bool {
        let settings = self.settings();
        let is_enough = settings.measure == Measure::Count || finding.samples >= settings.samples;
        is_enough && finding.value.is_some_and(|value| settings.limit.is_met(value))
    }

    /// The records of some groups that took longest, or else the newest ones, each as one line.
    pub(crate) async fn worst(&self, shelf: &Shelf, now_ms: i64, groups: &[&str]) -> Result<Vec<String>, WatchError> {
        let mut filter = self.filter(now_ms);
        if let Some(field) = &self.settings().group_by {
            filter.push(json!({"terms": {field: groups}}));
        }
        if let Measure::Ratio(query) = &self.settings().measure {
            filter.push(json!({"query_string": {"query": query}}));
        }
        let body = json!({
            "size": WORST_MAX,
            "query": records(&filter),
            "sort": [{"duration_ms": {"order": "desc", "missing": "_last"}}, {"@timestamp": "desc"}],
        });
        let answer = self.search(shelf, &body).await?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        Ok(hits.iter().map(|hit| line(&hit["_source"])).collect())
    }

    fn question(&self, now_ms: i64) -> Value {
        let settings = self.settings();
        let mut aggs = Map::new();
        match &settings.measure {
            Measure::Count => {}
            Measure::Sum(field) => _ = aggs.insert("value".into(), json!({"sum": {"field": field}})),
            Measure::Average(field) => _ = aggs.insert("value".into(), json!({"avg": {"field": field}})),
            Measure::Percentile { field, percent } => {
                let percentiles = json!({"field": field, "percents": [percent], "keyed": false});
                aggs.insert("value".into(), json!({"percentiles": percentiles}));
            }
            Measure::Ratio(query) => {
                aggs.insert("value".into(), json!({"filter": {"query_string": {"query": query}}}));
            }
        }
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

    /// The query and the time.
    fn filter(&self, now_ms: i64) -> Vec<Value> {
        let from = now_ms.saturating_sub(self.within_ms());
        vec![
            json!({"query_string": {"query": self.settings().query}}),
            json!({"range": {"@timestamp": {"gt": from, "lte": now_ms, "format": "epoch_millis"}}}),
        ]
    }

    pub(crate) async fn search(&self, shelf: &Shelf, body: &Value) -> Result<Value, WatchError> {
        let request = dsl::parse_search(body).map_err(|error| WatchError::Query {
            rule: self.name().to_owned(),
            which: "query",
            why: error.to_string(),
        })?;
        let wrong = |source| WatchError::Search { rule: self.name().to_owned(), source };
        let days = shelf.names().await.map_err(wrong)?;
        let answer = shelf.search(days, request, ()).await.map_err(wrong)?;
        if answer.timed_out {
            return Err(WatchError::Slow(self.name().to_owned()));
        }
        Ok(serde_json::to_value(answer).unwrap_or_default())
    }

    fn findings(&self, answer: &Value) -> Vec<Finding> {
        if self.settings().group_by.is_none() {
            let samples = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
            let value = self.value(&answer["aggregations"], samples);
            return vec![Finding { group: String::new(), value, samples }];
        }
        let buckets = answer["aggregations"]["groups"]["buckets"].as_array().cloned().unwrap_or_default();
        let finding = |bucket: &Value| {
            let samples = bucket["doc_count"].as_u64().unwrap_or_default();
            let key = bucket.get("key_as_string").unwrap_or(&bucket["key"]);
            let group = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            Finding { group, value: self.value(bucket, samples), samples }
        };
        buckets.iter().map(finding).collect()
    }

    fn value(&self, aggregations: &Value, samples: u64) -> Option<f64> {
        let value = &aggregations["value"];
        match &self.settings().measure {
            Measure::Count => Some(samples as f64),
            Measure::Sum(_) | Measure::Average(_) => value["value"].as_f64(),
            Measure::Percentile { .. } => value["values"][0]["value"].as_f64(),
            Measure::Ratio(_) if samples == 0 => None,
            Measure::Ratio(_) => Some(value["doc_count"].as_f64()? / samples as f64 * 100.0),
        }
    }
}

/// Records of alerts are left out: a rule on errors would else tell of its own messages that were not taken.
fn records(filter: &[Value]) -> Value {
    json!({"bool": {"filter": filter, "must_not": [{"term": {"kind": "alert"}}]}})
}

/// A record as one line for people.
fn line(record: &Value) -> String {
    let mut parts = vec![record["@timestamp"].as_str().unwrap_or_default().to_owned()];
    if let Some(ms) = record["duration_ms"].as_f64() {
        parts.push(format!("{ms:.0} ms"));
    }
    for name in ["http_status", "model_name", "user_id", "source", "request_id", "error"] {
        match &record[name] {
            Value::Null => {}
            Value::String(text) => parts.push(text.clone()),
            other => parts.push(other.to_string()),
        }
    }
    if record["kind"] != "request"
        && let Some(msg) = record["msg"].as_str()
    {
        parts.push(msg.chars().take(MSG_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect());
    }
    parts.join(" · ")
}
