//! Reports: tables over the records of a time, asked for by hand or told every day.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tollhouse_notify::Table;
use tollhouse_remote::Shelf;

use crate::ask::{group, records, search};
use crate::error::WatchError;

/// Which records are users' requests.
const REQUESTS: &str = "kind:request AND NOT origin:(probe OR replay OR task)";

/// What a report tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportKind {
    /// Who was refused, or failed, how often: 401, 429 and 5xx by client.
    Errors,
    /// The slowest requests, and how long each model takes.
    Slow,
    /// Who had how many tokens, of which model.
    Tokens,
    /// Who asked most, and for what.
    Top,
}

/// From one moment to another, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The first moment.
    pub from_ms: i64,
    /// The first one after it.
    pub to_ms: i64,
}

impl ReportKind {
    /// Its tables, with at most so many rows each; those without a row are left out.
    pub async fn tables(self, shelf: &Shelf, span: Span, rows_max: usize) -> Result<Vec<Table>, WatchError> {
        let asking = Asking { shelf, span, rows_max };
        let tables = match self {
            Self::Errors => errors(&asking).await?,
            Self::Slow => vec![asking.slowest().await?, asking.models_slow().await?],
            Self::Tokens => vec![asking.tokens("user_id", "user").await?, asking.tokens("model_name", "model").await?],
            Self::Top => {
                let mut tables = Vec::new();
                for (field, name) in [("user_id", "user"), ("client_ip", "client"), ("model_name", "model")] {
                    tables.push(asking.requests(field, name).await?);
                }
                tables
            }
        };
        Ok(tables.into_iter().filter(|table| !table.rows.is_empty()).collect())
    }
}

/// A report that is told every day.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// What it tells of the day before.
    pub kind: ReportKind,
    /// When, by the clock on the wall.
    pub at: Time,
    /// Whose clock that is.
    pub zone: TimeZone,
    /// Rows of each table.
    pub rows_max: usize,
    /// The channels; all when absent.
    pub notify: Option<Vec<String>>,
}

impl Report {
    /// When it was due last, by this moment, and the day that it tells of.
    pub fn last_due(&self, now_ms: i64) -> Option<(i64, Span)> {
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(self.zone.clone());
        let mut day = now.date();
        let due = |day: jiff::civil::Date| day.to_datetime(self.at).to_zoned(self.zone.clone()).ok();
        if due(day)?.timestamp() > now.timestamp() {
            day = day.yesterday().ok()?;
        }
        let midnight =
            |day: jiff::civil::Date| Some(day.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond());
        let span = Span { from_ms: midnight(day.yesterday().ok()?)?, to_ms: midnight(day)? };
        Some((due(day)?.timestamp().as_millisecond(), span))
    }

    /// When it is due next, after this moment.
    pub fn next_due(&self, now_ms: i64) -> Option<i64> {
        let (last, _) = self.last_due(now_ms)?;
        let day = Timestamp::from_millisecond(last).ok()?.to_zoned(self.zone.clone()).date();
        let next = day.checked_add(1.day()).ok()?.to_datetime(self.at).to_zoned(self.zone.clone()).ok()?;
        Some(next.timestamp().as_millisecond())
    }
}

async fn errors(asking: &Asking<'_>) -> Result<Vec<Table>, WatchError> {
    let mut tables = Vec::new();
    for (title, query) in [
        ("401: no or a wrong key", "http_status:401"),
        ("429: over a limit", "http_status:429"),
        ("5xx: failed", "http_status:>=500"),
    ] {
        tables.push(asking.clients(title, query).await?);
    }
    Ok(tables)
}

struct Asking<'a> {
    shelf: &'a Shelf,
    span: Span,
    rows_max: usize,
}

impl Asking<'_> {
    async fn ask(&self, query: &str, mut body: Value) -> Result<Value, WatchError> {
        let Span { from_ms, to_ms } = self.span;
        body["query"] = records(&[
            json!({"query_string": {"query": query}}),
            json!({"range": {"@timestamp": {"gte": from_ms, "lt": to_ms, "format": "epoch_millis"}}}),
        ]);
        search(self.shelf, "report", &body).await
    }

    async fn buckets(
        &self,
        query: &str,
        field: &str,
        order: Option<&str>,
        aggs: Value,
    ) -> Result<Vec<Value>, WatchError> {
        let mut terms = json!({"field": field, "size": self.rows_max});
        if let Some(order) = order {
            terms["order"] = json!({order: "desc"});
        }
        let body = json!({"size": 0, "aggs": {"groups": {"terms": terms, "aggs": aggs}}});
        let answer = self.ask(query, body).await?;
        Ok(answer["aggregations"]["groups"]["buckets"].as_array().cloned().unwrap_or_default())
    }

    async fn clients(&self, title: &str, query: &str) -> Result<Table, WatchError> {
        let aggs = json!({
            "user": {"terms": {"field": "user_id", "size": 1}},
            "last": {"max": {"field": "@timestamp"}},
        });
        let query = format!("({query}) AND NOT origin:(probe OR replay OR task)");
        let buckets = self.buckets(&query, "client_ip", None, aggs).await?;
        let row = |bucket: &Value| {
            let user = bucket["user"]["buckets"].as_array().and_then(|users| users.first()).map(group);
            let last = bucket["last"]["value"].as_f64().map_or_else(String::new, |ms| time(ms as i64));
            vec![group(bucket), user.unwrap_or_else(|| "-".to_owned()), count(bucket), last]
        };
        Ok(table(title, &["client", "user", "requests", "last"], buckets.iter().map(row)))
    }

    async fn slowest(&self) -> Result<Table, WatchError> {
        let body = json!({"size": self.rows_max, "sort": [{"duration_ms": {"order": "desc", "missing": "_last"}}]});
        let answer = self.ask(&format!("{REQUESTS} AND duration_ms:*"), body).await?;
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        let row = |hit: &Value| {
            let record = &hit["_source"];
            let text = |name: &str| match &record[name] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let ms = |name: &str| record[name].as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
            let names = ["model_name", "user_id", "http_status", "request_id"];
            let mut row = vec![text("@timestamp"), ms("duration_ms"), ms("ttft_ms"), ms("queue_ms")];
            row.extend(names.map(text));
            row
        };
        let columns = ["time", "ms", "first token ms", "queue ms", "model", "user", "status", "request"];
        Ok(table("slowest requests", &columns, hits.iter().map(row)))
    }

    async fn models_slow(&self) -> Result<Table, WatchError> {
        let aggs = json!({
            "ms": {"percentiles": {"field": "duration_ms", "percents": [50, 95], "keyed": false}},
            "most": {"max": {"field": "duration_ms"}},
        });
        let buckets = self.buckets(REQUESTS, "model_name", None, aggs).await?;
        let row = |bucket: &Value| {
            let percentile = |index: usize| number(&bucket["ms"]["values"][index]["value"]);
            vec![group(bucket), count(bucket), percentile(0), percentile(1), number(&bucket["most"]["value"])]
        };
        Ok(table("models", &["model", "requests", "median ms", "95th ms", "most ms"], buckets.iter().map(row)))
    }

    async fn tokens(&self, field: &str, name: &str) -> Result<Table, WatchError> {
        let aggs = json!({"in": {"sum": {"field": "input_tokens"}}, "out": {"sum": {"field": "output_tokens"}}});
        let buckets = self.buckets(REQUESTS, field, Some("out"), aggs).await?;
        let row = |bucket: &Value| {
            let sum = |name: &str| number(&bucket[name]["value"]);
            vec![group(bucket), count(bucket), sum("in"), sum("out")]
        };
        Ok(table(&format!("tokens by {name}"), &[name, "requests", "input", "output"], buckets.iter().map(row)))
    }

    async fn requests(&self, field: &str, name: &str) -> Result<Table, WatchError> {
        let failed = json!({"failed": {"filter": {"query_string": {"query": "http_status:>=400"}}}});
        let buckets = self.buckets(REQUESTS, field, None, failed).await?;
        let row = |bucket: &Value| vec![group(bucket), count(bucket), count(&bucket["failed"])];
        Ok(table(&format!("requests by {name}"), &[name, "requests", "refused or failed"], buckets.iter().map(row)))
    }
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Table { title: title.to_owned(), columns, rows: rows.collect() }
}

fn count(bucket: &Value) -> String {
    bucket["doc_count"].to_string()
}

fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| format!("{time:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_due_once_a_day_whatever_the_clock_does() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let report = Report {
            name: "r".into(),
            kind: ReportKind::Errors,
            at: "02:30".parse().unwrap(),
            zone: zone.clone(),
            rows_max: 5,
            notify: None,
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        // On 29 March 2026 there is no half past two; on 25 October there are two.
        for begin in ["2026-03-25T00:00:00Z", "2026-10-20T00:00:00Z"] {
            let mut days = std::collections::BTreeSet::new();
            let mut dues = std::collections::BTreeSet::new();
            for minute in 0..10 * 24 * 60 {
                let now = at(begin) + minute * 60_000;
                let (due, span) = report.last_due(now).unwrap();
                assert!(due <= now && now - due <= 25 * 3_600_000, "{due} {now}");
                assert!(report.next_due(now).unwrap() > now);
                let hours = (span.to_ms - span.from_ms) / 3_600_000;
                assert!((23..=25).contains(&hours), "a day of {hours} hours");
                days.insert(span.from_ms);
                dues.insert(due);
            }
            assert_eq!(days.len(), dues.len());
            assert!((10..=11).contains(&days.len()), "{}", days.len());
        }
    }
}
