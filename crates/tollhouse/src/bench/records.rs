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
    /// Where the time of whole answers went, in the order in which it passes.
    pub(crate) phases: Vec<Phase>,
}

/// A part of the time of answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    /// Its name in JSON.
    pub(crate) name: &'static str,
    pub(crate) ms: Spread,
    /// The mean over all answers, those without it included.
    pub(crate) mean_ms: f64,
    /// Answers of which it is known.
    pub(crate) requests: usize,
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
    queue_ms: Option<f64>,
    load_ms: Option<f64>,
    prefill_ms: Option<f64>,
    decode_ms: Option<f64>,
    duration_ms: Option<f64>,
}

/// Parts of an answer's time, and where they stand in its record.
type Part = fn(&Record) -> Option<f64>;
const PARTS: [(&str, Part); 5] = [
    ("own", |record| record.gateway_ms),
    ("queue", |record| record.queue_ms),
    ("load", |record| record.load_ms),
    ("prefill", |record| record.prefill_ms),
    ("decode", |record| record.decode_ms),
];

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
        phases: phases(&found.values().collect::<Vec<_>>()),
    }
}

/// Where the time went; what no part claims is called so.
fn phases(records: &[&Record]) -> Vec<Phase> {
    let phase = |name, part: Part| {
        let known: Vec<f64> = records.iter().filter_map(|record| part(record)).collect();
        let (requests, sum) = (known.len(), known.iter().sum::<f64>());
        Some(Phase { name, ms: Spread::of(known)?, mean_ms: sum / records.len() as f64, requests })
    };
    let rest: Part = |record| {
        let claimed: f64 = PARTS.iter().filter_map(|(_, part)| part(record)).sum();
        Some((record.duration_ms? - claimed).max(0.0))
    };
    PARTS.into_iter().chain([("rest", rest)]).filter_map(|(name, part)| phase(name, part)).collect()
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
    fn the_time_is_shared_out_among_its_parts() {
        let parts =
            json!({"gateway_ms": 2.0, "queue_ms": 8.0, "prefill_ms": 40.0, "decode_ms": 40.0, "duration_ms": 100.0});
        let records = [record("a", &parts), record("b", &json!({"gateway_ms": 4.0, "duration_ms": 4.0}))];
        let told: Vec<(&str, f64, usize)> = phases(&records.iter().collect::<Vec<_>>())
            .iter()
            .map(|phase| (phase.name, phase.mean_ms, phase.requests))
            .collect();
        assert_eq!(
            told,
            [("own", 3.0, 2), ("queue", 4.0, 1), ("prefill", 20.0, 1), ("decode", 20.0, 1), ("rest", 5.0, 2)]
        );
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
        let phase = |name: &str| told.phases.iter().find(|phase| phase.name == name).map(|phase| phase.mean_ms);
        assert_eq!((phase("own"), phase("queue")), (Some(1.0), None));
        let without = json!({"ttft_ms": 10.0});
        let none = [record("a", &without), record("b", &without)].map(|record| (record.request_id.clone(), record));
        assert!(matches!(tell(&seen, &none.into()).own, Own::Unknown(why) if why.contains("do not tell")));
    }
}
