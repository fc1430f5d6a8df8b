//! A cluster as a store: its day indices, and searches over them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, watch};
use tollhouse_query::ast::{Query, SearchRequest, SourceFilter};
use tollhouse_query::{dsl, validate};
use tollhouse_shape::catalogue;
use tollhouse_ship::{Client, State, Trouble};
use tollhouse_store::{Hits, IndexInfo, SearchResponse, Shards, Total};

use crate::cluster::Cluster;
use crate::error::RemoteError;
use crate::reply::Replies;

/// For so long it is taken for granted which indices there are: as long as our own index takes to know of a new one.
const LIST_TIME: Duration = Duration::from_secs(1);
/// How often is looked whether something was delivered.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far documents were shipped to the cluster.
#[derive(Clone)]
pub struct Delivery {
    /// Number of the last record in the journal.
    pub written: watch::Receiver<u64>,
    /// Tells the number of the last record that is delivered.
    pub delivered: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("written", &*self.written.borrow()).finish_non_exhaustive()
    }
}

/// A cluster that documents are found in. Cheap to clone; clones share what they know of it.
#[derive(Clone, Debug)]
pub struct Remote {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    /// Patterns of the indices that may be looked into, as a path names them.
    patterns: String,
    delivery: Option<Delivery>,
    list: Mutex<Option<(Instant, Vec<IndexInfo>)>>,
}

/// A row of `_cat/indices`.
#[derive(Deserialize)]
struct Row {
    index: String,
    #[serde(rename = "docs.count")]
    docs: Option<String>,
    #[serde(rename = "store.size")]
    bytes: Option<String>,
    #[serde(rename = "creation.date")]
    created_ms: Option<String>,
}

impl Remote {
    /// The day indices of a cluster that fit these patterns. Without `delivery` nothing is waited for.
    pub fn new(client: Client, patterns: &[String], delivery: Option<Delivery>) -> Self {
        let patterns = patterns.join(",").to_lowercase();
        Self { inner: Arc::new(Inner { cluster: Cluster::new(client), patterns, delivery, list: Mutex::default() }) }
    }

    /// Asks the cluster by this client from now on, as after a change of the password; what is under way ends as it began.
    pub fn renew(&self, client: Client) {
        self.inner.cluster.renew(client);
    }

    /// All day indices, oldest first.
    pub async fn indices(&self) -> Result<Vec<IndexInfo>, RemoteError> {
        let mut list = self.inner.list.lock().await;
        if let Some((at, known)) = &*list
            && at.elapsed() < LIST_TIME
        {
            return Ok(known.clone());
        }
        let path = format!(
            "/_cat/indices/{}?format=json&bytes=b&expand_wildcards=open&h=index,docs.count,store.size,creation.date",
            self.inner.patterns
        );
        let rows: Vec<Row> = match self.inner.cluster.ask(Method::GET, &path, None).await {
            Err(RemoteError::Refused { status: 404, .. }) => Vec::new(),
            rows => rows?,
        };
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        let mut found: Vec<IndexInfo> = rows
            .into_iter()
            .filter(|row| service_of(&row.index).is_some())
            .map(|row| IndexInfo {
                name: row.index,
                docs: number(row.docs),
                bytes: number(row.bytes),
                created_ms: i64::try_from(number(row.created_ms)).unwrap_or_default(),
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        *list = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Searches these indices.
    pub async fn search(&self, days: &[String], request: &SearchRequest) -> Result<SearchResponse, RemoteError> {
        if days.is_empty() {
            return Ok(nothing(request));
        }
        // In the words of our own index, and before a cluster could understand it otherwise.
        let now_ms = Timestamp::now().as_millisecond();
        validate(&request.query, catalogue(), now_ms)?;
        if let Some(filter) = &request.post_filter {
            validate(filter, catalogue(), now_ms)?;
        }
        let header = json!({"index": days, "ignore_unavailable": true, "allow_partial_search_results": false});
        let lines = format!("{header}\n{}\n", dsl::write_search(request, catalogue())?);
        let cluster = &self.inner.cluster;
        let replies: Replies = cluster.ask(Method::POST, "/_msearch", Some(Bytes::from(lines))).await?;
        let [reply]: [_; 1] = replies.responses.try_into().map_err(|_| {
            cluster.away(Trouble::new(State::Unreachable, "it does not answer one search with one answer"))
        })?;
        if let Some(status) = reply.status.filter(|status| *status >= 400) {
            return Err(cluster.refused(status, reply.error));
        }
        if reply.is_partial() {
            return Err(cluster.away(Trouble::new(State::Busy, "some of its shards did not answer")));
        }
        Ok(reply.into_response(request, days.len()))
    }

    /// Counts the documents of these indices that fulfil a query.
    pub async fn count(&self, days: &[String], query: Query) -> Result<u64, RemoteError> {
        let request =
            SearchRequest { query, size: 0, track_total_hits: Some(u64::MAX), ..dsl::parse_search(&Value::Null)? };
        let found = self.search(days, &request).await?;
        Ok(found.hits.total.map_or(0, |total| total.value))
    }

    /// Which of these ids documents of an index have.
    pub async fn known_ids(&self, index: &str, ids: &[String]) -> Result<HashSet<String>, RemoteError> {
        let days: Vec<String> = self.indices().await?.into_iter().map(|info| info.name).collect();
        if !days.iter().any(|day| day == index) {
            return Ok(HashSet::new());
        }
        let request = SearchRequest {
            query: Query::Ids(ids.to_vec()),
            size: ids.len(),
            source: SourceFilter { off: true, ..SourceFilter::default() },
            track_total_hits: None,
            ..dsl::parse_search(&Value::Null)?
        };
        let found = self.search(&[index.to_owned()], &request).await?;
        Ok(found.hits.hits.into_iter().map(|hit| hit.id).collect())
    }

    /// `_mapping` of these indices: their fields, and nothing else of it.
    pub async fn mapping(&self, days: &[String]) -> Result<Value, RemoteError> {
        let path = format!("/{}/_mapping?ignore_unavailable=true&allow_no_indices=true", self.inner.patterns);
        let mut all: Map<String, Value> = self.inner.cluster.ask(Method::GET, &path, None).await?;
        let shown = days.iter().filter_map(|day| {
            let properties = all.get_mut(day)?["mappings"]["properties"].take();
            Some((day.clone(), json!({"mappings": {"properties": without_options(properties)}})))
        });
        Ok(Value::Object(shown.collect()))
    }

    /// Makes an empty index.
    pub async fn create(&self, name: &str) -> Result<(), RemoteError> {
        match self.inner.cluster.bytes(Method::PUT, &format!("/{name}"), None).await {
            // It came meanwhile with a first document.
            Err(RemoteError::Refused { error, .. }) if error["type"] == "resource_already_exists_exception" => {}
            made => {
                made?;
            }
        }
        *self.inner.list.lock().await = None;
        Ok(())
    }

    /// The number of the last record that is delivered; 0 where that is not known.
    pub fn delivered(&self) -> u64 {
        self.inner.delivery.as_ref().map_or(0, |delivery| (delivery.delivered)())
    }

    /// The number of the last record whose document can be found at this moment.
    pub async fn horizon(&self) -> Result<u64, RemoteError> {
        self.make_findable().await?;
        let days: Vec<String> = self.indices().await?.into_iter().map(|info| info.name).collect();
        let request = dsl::parse_search(&json!({"size": 1, "sort": [{"seq": "desc"}], "_source": false}))?;
        let found = self.search(&days, &request).await?;
        let seq = found.hits.hits.first().and_then(|hit| hit.sort.as_ref()?.first()?.as_u64());
        Ok(seq.unwrap_or_default())
    }

    /// Waits until the document of this record can be found; `false` when that took longer.
    pub async fn wait(&self, seq: u64, most: Duration) -> bool {
        let Some(delivery) = self.inner.delivery.clone() else { return true };
        let delivered = async {
            while (delivery.delivered)() < seq {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.make_findable().await
        };
        matches!(tokio::time::timeout(most, delivered).await, Ok(Ok(())))
    }

    /// The same of all that is in the journal at this moment.
    pub async fn refresh(&self, most: Duration) -> bool {
        let written = self.inner.delivery.as_ref().map_or(0, |delivery| *delivery.written.borrow());
        self.wait(written, most).await
    }

    async fn make_findable(&self) -> Result<(), RemoteError> {
        let path = format!("/{}/_refresh?ignore_unavailable=true&allow_no_indices=true", self.inner.patterns);
        self.inner.cluster.bytes(Method::POST, &path, None).await?;
        *self.inner.list.lock().await = None;
        Ok(())
    }
}

/// The service in the name of a day's index; nothing where it is no such name.
pub(crate) fn service_of(index: &str) -> Option<&str> {
    let (service, date) = index.rsplit_once('-')?;
    let is_day = date.len() == "2026.01.27".len() && Date::strptime("%Y.%m.%d", date).is_ok();
    (is_day && !service.is_empty() && !service.starts_with('.')).then_some(service)
}

/// Types of fields without what a cluster knows of them beyond.
fn without_options(properties: Value) -> Value {
    let Value::Object(properties) = properties else { return json!({}) };
    let shown = properties.into_iter().map(|(name, mut property)| {
        let mut shown = Map::new();
        for key in ["type", "path"] {
            if let Some(value) = property.get(key) {
                shown.insert(key.into(), value.clone());
            }
        }
        if property["properties"].is_object() {
            shown.insert("properties".into(), without_options(property["properties"].take()));
        }
        (name, shown.into())
    });
    Value::Object(shown.collect())
}

/// The answer of no index at all.
fn nothing(request: &SearchRequest) -> SearchResponse {
    SearchResponse {
        took: 0,
        timed_out: false,
        shards: Shards::all(0),
        hits: Hits {
            total: request.track_total_hits.map(|_| Total { value: 0, relation: "eq" }),
            max_score: None,
            hits: Vec::new(),
        },
        aggregations: None,
    }
}
