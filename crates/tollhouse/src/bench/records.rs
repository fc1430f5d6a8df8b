//! What the house's own records tell of the very requests of a bench: from the index on this machine, or by the
//! Elasticsearch API.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tollhouse_query::dsl;
use tollhouse_store::Store;

use super::figures::{Spread, millis};
use super::line::{Line, Target};
use super::users::Sample;

/// Requests whose records are looked for.
const RECORDS_MAX: usize = 10_000;
/// Records asked for at once.
const PAGE: usize = 1000;
/// How long a record may take until it can be found. Within a second is promised.
const INDEXED_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether the rest is there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The records that were found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// Requests whose records were looked for.
    pub(crate) asked: usize,
    pub(crate) found: usize,
    /// Time to first token by the house's clock.
    pub(crate) ttft_ms: Option<Spread>,
    /// What the users saw beyond that: the way there and back, and this program.
    pub(crate) way_ms: Option<Spread>,
    pub(crate) own: Own,
}

/// The house's own part of the time to first token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Own {
    /// It was this for all of the requests.
    Measured { ms: Spread, requests: usize },
    /// And why not.
    Unknown(String),
}

/// Where records can be read.
pub(crate) enum Book {
    /// The index of the house on this machine.
    Index { dir: PathBuf, service: String },
    /// `/es` of the installation.
    Api(Box<Line>),
}

impl Book {
    pub(crate) fn api(target: &Target) -> Self {
        Self::Api(Box::new(target.line()))
    }

    /// Finds the records of these requests.
    async fn search(&self, ids: &[&str]) -> Result<Vec<Record>, String> {
        let query = json!({
            "query": {"bool": {"filter": [{"term": {"kind": "request"}}, {"terms": {"request_id": ids}}]}},
            "size": ids.len(),
        });
        let mut answer = match self {
            Self::Index { dir, service } => search_index(dir.clone(), service.clone(), query).await?,
            Self::Api(line) => search_api(line, &query).await?,
        };
        let hits = answer["hits"]["hits"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(hits.into_iter().filter_map(|mut hit| serde_json::from_value(hit["_source"].take()).ok()).collect())
    }
}

async fn search_index(dir: PathBuf, service: String, query: Value) -> Result<Value, String> {
    let search = move || -> anyhow::Result<Value> {
        let request = dsl::parse_search(&query).map_err(|error| anyhow::anyhow!("{error}"))?;
        let store = Store::open_read_only(dir, service)?;
        Ok(serde_json::to_value(store.search("*", &request)?)?)
    };
    let searched = tokio::task::spawn_blocking(search).await.map_err(|error| error.to_string())?;
    searched.map_err(|error| format!("the index on this machine cannot be read: {error:#}"))
}

async fn search_api(line: &Line, query: &Value) -> Result<Value, String> {
    let asked = line.json(Method::POST, "/es/_search", query.to_string().into()).await;
    let answer = asked.map_err(|failed| format!("/es cannot be read: {}", failed.message))?;
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err("this key may not read the records (role logs:read or admin is needed)".to_owned())
        }
        status => Err(format!("/es answers with {status}")),
    }
}

/// What is looked at in a record (`gateway/src/record.rs`), times in ms.
#[derive(Clone, Debug, Default, Deserialize)]
struct Record {
    request_id: String,
    ttft_ms: Option<f64>,
    gateway_ms: Option<f64>,
}

/// Reads the records of the answered requests from the first book that has them, as soon as they are there.
///
/// # Errors
/// Why they cannot be read, in words.
pub(crate) async fn read(samples: &[Sample], books: &[Book]) -> Result<Told, String> {
    let answered = samples.iter().filter(|sample| sample.fault.is_none()).take(RECORDS_MAX);
    let seen: HashMap<&str, f64> =
        answered.filter_map(|sample| Some((sample.request_id.as_str(), millis(sample.ttft?)))).collect();
    if seen.is_empty() {
        return Err("no request was answered".to_owned());
    }
    let mut why = String::new();
    for book in books {
        match find(book, &seen).await {
            Ok(found) if !found.is_empty() => return Ok(tell(&seen, &found)),
            Ok(_) => why = format!("the records were not there within {} s", INDEXED_WITHIN.as_secs()),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

async fn find(book: &Book, seen: &HashMap<&str, f64>) -> Result<HashMap<String, Record>, String> {
    let end = Instant::now() + INDEXED_WITHIN;
    let mut found: HashMap<String, Record> = HashMap::new();
    loop {
        let missing: Vec<&str> = seen.keys().copied().filter(|id| !found.contains_key(*id)).collect();
        for page in missing.chunks(PAGE) {
            let records = book.search(page).await?;
            found.extend(records.into_iter().map(|record| (record.request_id.clone(), record)));
        }
        if found.len() >= seen.len() || Instant::now() >= end {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell(seen: &HashMap<&str, f64>, found: &HashMap<String, Record>) -> Told {
    let way = |record: &Record| Some(seen.get(record.request_id.as_str())? - record.ttft_ms?);
    let own: Vec<f64> = found.values().filter_map(|record| record.gateway_ms).collect();
    let requests = own.len();
    let own = match Spread::of(own) {
        // Those of which it is not known may be the slow ones.
        Some(ms) if requests == seen.len() => Own::Measured { ms, requests },
        Some(_) => Own::Unknown(format!(
            "it is known of {requests} of {} requests only: of others the record was not found, or more than one model \
             server was asked",
            seen.len()
        )),
        None => Own::Unknown("the records do not tell it".to_owned()),
    };
    Told {
        asked: seen.len(),
        found: found.len(),
        ttft_ms: Spread::of(found.values().filter_map(|record| record.ttft_ms)),
        way_ms: Spread::of(found.values().filter_map(way)),
        own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, fields: &Value) -> Record {
        let mut record = json!({"request_id": id, "attempts": 1, "http_status": 200});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn it_is_told_of_all_or_of_none() {
        let seen = HashMap::from([("a", 12.0), ("b", 13.0)]);
        let known = json!({"ttft_ms": 10.0, "gateway_ms": 2.0});
        let found = |second: &Value| {
            [record("a", &known), record("b", second)].map(|record| (record.request_id.clone(), record)).into()
        };
        let told = tell(&seen, &found(&known));
        assert!(matches!(told.own, Own::Measured { requests: 2, ms } if ms.max == 2.0), "{told:?}");
        assert_eq!(told.way_ms.map(|way| (way.p50, way.max)), Some((2.0, 3.0)));
        let told = tell(&seen, &found(&json!({"ttft_ms": 10.0, "attempts": 2})));
        assert!(matches!(&told.own, Own::Unknown(why) if why.contains("1 of 2")), "{told:?}");
        let one = [("a".to_owned(), record("a", &known))].into();
        assert!(matches!(tell(&seen, &one).own, Own::Unknown(_)), "the record of the other is missing");
        let without = json!({"ttft_ms": 10.0});
        let none = [record("a", &without), record("b", &without)].map(|record| (record.request_id.clone(), record));
        assert!(matches!(tell(&seen, &none.into()).own, Own::Unknown(why) if why.contains("do not tell")));
    }
}
