//! Fetches facts for steps: records of the book, a report, the forecast, a file, or an address that the configuration allows.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tollhouse_elastic::searched_here;
use tollhouse_outbound::{Client, GuardedResolver, Trust, is_forbidden, rare_client, whole};
use tollhouse_remote::Shelf;
use tollhouse_state::State;
use tollhouse_tasks::{Collect, Outcome, Saying, StepError};
use tollhouse_units::{chain, format_duration};
use tollhouse_watch::{FORECAST_MEMORY, ReportKind, Span};

use super::files::Folders;

/// Records where a step does not say how many.
const RECORDS: u64 = 50;
/// Most records.
const RECORDS_MAX: u64 = 1_000;
/// How far back is looked where a step does not say.
const WITHIN: Duration = Duration::from_hours(24);
/// Rows of each table of a report.
const ROWS_MAX: usize = 20;
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Where facts are.
pub(super) struct Sources<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) state: &'a State,
    pub(super) service: &'a str,
    pub(super) folders: &'a Folders,
    pub(super) hosts: &'a [String],
}

pub(super) async fn collect(sources: &Sources<'_>, wanted: Collect) -> Result<Outcome, StepError> {
    let value = if let Some(path) = wanted.file {
        let folders = sources.folders.clone();
        let read = spawn_blocking(move || folders.read(&path)).await;
        read.map_err(|error| StepError::passing(error.to_string()))??.into()
    } else if let Some(url) = &wanted.url {
        fetched(sources.hosts, url).await?
    } else if let Some(series) = &wanted.forecast {
        forecast(sources.state, series).await?
    } else {
        let span = span(wanted.within.unwrap_or(WITHIN));
        match &wanted.report {
            Some(report) => reported(sources, report, wanted.search.as_deref(), span).await?,
            None => found(sources, wanted.search.as_deref().unwrap_or("*"), span, wanted.limit).await?,
        }
    };
    Ok(Outcome { value, is_surely_once: true, ..Outcome::default() })
}

fn span(within: Duration) -> Span {
    let to_ms = Timestamp::now().as_millisecond();
    Span { from_ms: to_ms - i64::try_from(within.as_millis()).unwrap_or(i64::MAX).min(to_ms), to_ms }
}

/// `{total, records}`: the newest first.
async fn found(sources: &Sources<'_>, query: &str, span: Span, limit: Option<u64>) -> Result<Value, StepError> {
    let answer = searched(sources, query, span, limit.unwrap_or(RECORDS).min(RECORDS_MAX)).await?;
    let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
    let records: Vec<Value> = hits.into_iter().map(|mut hit| hit["_source"].take()).collect();
    Ok(json!({"total": answer["hits"]["total"]["value"], "records": records}))
}

/// The tables of a report as text, as people and models read it; first how many records a query finds, where there is one.
async fn reported(sources: &Sources<'_>, report: &str, query: Option<&str>, span: Span) -> Result<Value, StepError> {
    let no_report = || StepError::lasting(Saying::NoReport { name: report.to_owned() }.to_string());
    let kind = report_kind(report).ok_or_else(no_report)?;
    let mut parts = Vec::new();
    if let Some(query) = query {
        let answer = searched(sources, query, span, 0).await?;
        let time = format_duration(Duration::from_millis((span.to_ms - span.from_ms).unsigned_abs()));
        parts.push(format!("{} records of {query} within {time}", answer["hits"]["total"]["value"]));
    }
    let tables = kind.tables(sources.shelf, span, ROWS_MAX).await;
    let tables = tables.map_err(|error| StepError::passing(format!("asking the records: {}", chain(&error))))?;
    parts.extend(tables.iter().map(tollhouse_notify::Table::text));
    if tables.is_empty() {
        parts.push(format!("nothing for the report {report}"));
    }
    Ok(parts.join("\n\n").into())
}

/// What is to be expected of the next day, as it was last foretold: `{told, why, peak: {at, value, high}, hours}`. `told` is false,
/// and there is no peak, while there is too little to go by.
async fn forecast(state: &State, series: &str) -> Result<Value, StepError> {
    if !is_forecast(series) {
        return Err(StepError::lasting(Saying::NoForecast { name: series.to_owned() }.to_string()));
    }
    let kept = state.alert_memory(FORECAST_MEMORY).await;
    let kept = kept.map_err(|error| StepError::passing(format!("reading the forecast: {}", chain(&error))))?;
    let kept: Value = kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default();
    let found = kept["series"].as_array().into_iter().flatten().find(|found| found["name"] == series);
    let Some(found) = found else {
        return Ok(json!({"told": false, "why": "no forecast has been made yet", "peak": null, "hours": []}));
    };
    Ok(json!({"told": found["told"], "why": found["why"], "peak": found["peak"], "hours": found["forecast"]}))
}

/// Whether there is a forecast of this name.
pub(super) fn is_forecast(series: &str) -> bool {
    matches!(series, "requests" | "tokens")
}

/// The report of a name.
pub(super) fn report_kind(name: &str) -> Option<ReportKind> {
    match name {
        "errors" => Some(ReportKind::Errors),
        "slow" => Some(ReportKind::Slow),
        "tokens" => Some(ReportKind::Tokens),
        "top" => Some(ReportKind::Top),
        _ => None,
    }
}

async fn searched(sources: &Sources<'_>, query: &str, span: Span, size: u64) -> Result<Value, StepError> {
    let time = json!({"gte": span.from_ms, "lt": span.to_ms, "format": "epoch_millis"});
    let body = json!({
        "query": {"bool": {"filter": [{"query_string": {"query": query}}, {"range": {"@timestamp": time}}]}},
        "sort": [{"@timestamp": "desc"}],
        "size": size,
        "track_total_hits": true,
    });
    let answer = searched_here(sources.shelf, &format!("{}-*", sources.service), &body).await;
    let answer = answer.map_err(|error| StepError::passing(format!("asking the records: {}", chain(&error))))?;
    serde_json::to_value(answer).map_err(|error| StepError::passing(error.to_string()))
}

/// What stands at an address: JSON as such, else the text.
async fn fetched(hosts: &[String], url: &str) -> Result<Value, StepError> {
    let uri: Uri = url.parse().map_err(|error| StepError::lasting(format!("`{url}` is no address: {error}")))?;
    check_address(hosts, &uri)?;
    let shown = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    let trust = Trust::of(None, uri.scheme_str() == Some("https"));
    let client = spawn_blocking(move || rare_client(GuardedResolver, &trust, CONNECT_TIME_MAX)).await;
    let client: Client<GuardedResolver> = client
        .map_err(|error| StepError::passing(error.to_string()))?
        .map_err(|error| StepError::lasting(format!("preparing to ask {shown}: {}", chain(&error))))?;
    let request = Request::get(uri).header(USER_AGENT, "tollhouse").header(ACCEPT, "*/*");
    let request = request.body(Full::<Bytes>::default()).map_err(|error| StepError::lasting(error.to_string()))?;
    let asked = async {
        let (head, body) = client.request(request).await.map_err(|error| chain(&error))?.into_parts();
        Ok::<_, String>((head.status, whole(body, ANSWER_BYTES_MAX).await?))
    };
    let answer = timeout(ANSWER_TIME_MAX, asked).await;
    let answer = answer.map_err(|_| StepError::passing(format!("{shown}: no answer within {ANSWER_TIME_MAX:?}")))?;
    let (status, body) = answer.map_err(|error| StepError::passing(format!("{shown}: {error}")))?;
    if !status.is_success() {
        // Nothing is followed: another address may be one that nobody has allowed.
        let message = format!("{shown} answered {status}");
        let may_retry = status.is_server_error() || status.as_u16() == 429;
        return Err(StepError { message, may_retry, retry_after: None });
    }
    Ok(serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
}

/// Whether steps may ask there: `tasks.hosts` names it, and it is none of the addresses that nothing is ever sent to.
pub(crate) fn check_address(hosts: &[String], uri: &Uri) -> Result<(), StepError> {
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(StepError::lasting("an address begins with http:// or https://"));
    }
    let authority = uri.authority().ok_or_else(|| StepError::lasting("the address has no host"))?;
    let place = authority.as_str().to_ascii_lowercase();
    let is_allowed = hosts.iter().any(|host| match host.strip_prefix("*.") {
        Some(domain) => place.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
        None => *host == place,
    });
    if place.contains('@') || !is_allowed {
        let allowed = if hosts.is_empty() { "nobody".to_owned() } else { hosts.join(", ") };
        return Err(StepError::lasting(format!(
            "steps may not ask {place}; `tasks.hosts` of the configuration allows {allowed}"
        )));
    }
    let literal = authority.host().trim_start_matches('[').trim_end_matches(']').parse();
    if literal.is_ok_and(is_forbidden) {
        return Err(StepError::lasting(format!("{place} is link-local or a metadata service: nothing is sent there")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_are_asked() {
        let hosts = ["status.example.com", "*.example.org", "127.0.0.1:9100", "169.254.169.254", "[::1]:80"];
        let hosts = hosts.map(str::to_owned);
        for (url, is_allowed) in [
            ("https://status.example.com/x?y=1", true),
            ("https://STATUS.example.com/", true),
            ("http://a.example.org/", true),
            ("http://127.0.0.1:9100/metrics", true),
            ("http://[::1]:80/", true),
            ("http://example.org/", false),
            ("http://.example.org/", false),
            ("http://evilexample.org/", false),
            ("http://status.example.com:8080/", false),
            ("http://status.example.com@evil.example/", false),
            ("http://evil@status.example.com/", false),
            ("http://127.0.0.1/", false),
            ("http://169.254.169.254/latest/meta-data", false),
            ("ftp://status.example.com/", false),
        ] {
            let allowed = url.parse().is_ok_and(|uri| check_address(&hosts, &uri).is_ok());
            assert_eq!(allowed, is_allowed, "{url}");
        }
    }
}
