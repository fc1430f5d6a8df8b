//! `_search` and `_count`: bodies and parameters read into one plan, run where blocking is allowed, only so many at once.

use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tollhouse_query::dsl;
use tollhouse_store::{SEARCH_TIME_MAX, SearchResponse, Shards, Store};

use crate::asked::{Asked, Params, error_response, json_response, read_json};
use crate::error::ElasticError;
use crate::media::{PRODUCT, Wanted};

/// Searches that run at once; each keeps one core busy.
const RUNNING_MAX: usize = 4;
/// Searches that wait for one of these to end.
const WAITING_MAX: usize = 64;

/// One for the whole process, however many routers there are: it stands for the machine.
static GATE: Gate = Gate::new(RUNNING_MAX, WAITING_MAX);

/// Parameters of a search that are body members in the address, or change what is answered.
const PARAMETERS: [&str; 25] = [
    "q",
    "df",
    "default_operator",
    "analyze_wildcard",
    "size",
    "from",
    "sort",
    "_source",
    "_source_includes",
    "_source_excludes",
    "track_total_hits",
    "rest_total_hits_as_int",
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    // These change neither hits nor aggregations here.
    "timeout",
    "preference",
    "request_cache",
    "search_type",
    "allow_partial_search_results",
    "batched_reduce_size",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "ccs_minimize_roundtrips",
    "track_scores",
];

/// Answers an Elasticsearch search body over the indices of a list of names and patterns.
pub async fn search(store: &Store, indices: &str, body: &[u8]) -> Response {
    let found = async {
        let body = read_json(body)?;
        run(store, indices.to_owned(), body).await
    };
    let bytes = found.await.and_then(|found| Ok(serde_json::to_vec(&found)?));
    let mut response = match bytes {
        Ok(bytes) => json_response(axum::http::StatusCode::OK, bytes, Wanted::Any),
        Err(error) => error_response(&error, Wanted::Any, false),
    };
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

pub(crate) async fn answer_search(store: &Store, indices: &str, asked: &Asked) -> Response {
    let found = async {
        asked.params.only(&PARAMETERS)?;
        let body = with_params(asked.json()?, &asked.params)?;
        let indices = indices_of(store, indices, &asked.params)?;
        let found = run(store, indices, body).await?;
        if !asked.params.flag("rest_total_hits_as_int") {
            return Ok(Found::Plain(found));
        }
        let mut found = serde_json::to_value(found)?;
        if let Some(total) = found.pointer_mut("/hits/total") {
            *total = total["value"].take();
        }
        Ok(Found::Changed(found))
    };
    asked.answer(found.await)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Plain(SearchResponse),
    Changed(Value),
}

async fn run(store: &Store, indices: String, body: Value) -> Result<SearchResponse, ElasticError> {
    let request = dsl::parse_search(&body)?;
    let store = store.clone();
    GATE.run(move || Ok(store.search(&indices, &request)?)).await
}

pub(crate) async fn answer_count(store: &Store, indices: &str, asked: &Asked) -> Response {
    let counted = async {
        asked.params.only(&[
            "q",
            "df",
            "default_operator",
            "analyze_wildcard",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
            "preference",
        ])?;
        let query = dsl::parse_count(&with_params(asked.json()?, &asked.params)?)?;
        let indices = indices_of(store, indices, &asked.params)?;
        let store = store.clone();
        GATE.run(move || {
            let shards = Shards::all(store.resolve(&indices)?.len());
            Ok(json!({"count": store.count(&indices, &query)?, "_shards": shards}))
        })
        .await
    };
    asked.answer(counted.await)
}

/// Lets so many searches run and so many wait.
struct Gate {
    running: Semaphore,
    admitted: Semaphore,
    running_max: usize,
    waiting_max: usize,
}

impl Gate {
    const fn new(running_max: usize, waiting_max: usize) -> Self {
        Self {
            running: Semaphore::const_new(running_max),
            admitted: Semaphore::const_new(running_max + waiting_max),
            running_max,
            waiting_max,
        }
    }

    /// Runs a search where blocking is allowed, as soon as there is room for it.
    async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> Result<T, ElasticError> + Send + 'static,
    ) -> Result<T, ElasticError> {
        let busy = || ElasticError::Busy { running: self.running_max, waiting: self.waiting_max };
        let admitted = self.admitted.try_acquire().map_err(|_| busy())?;
        let running = tokio::time::timeout(SEARCH_TIME_MAX, self.running.acquire()).await;
        let running = running.map_err(|_| busy())?.map_err(|_| ElasticError::Internal)?;
        blocking(move || {
            // Held by the search itself: it goes on when the client has left.
            let _held = (admitted, running);
            work()
        })
        .await
    }
}

/// Runs what reads files where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ElasticError> + Send + 'static,
) -> Result<T, ElasticError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ElasticError::Internal))
}

/// The names asked for; with `ignore_unavailable` without those that are not there.
pub(crate) fn indices_of(store: &Store, indices: &str, params: &Params) -> Result<String, ElasticError> {
    let mut names: Vec<&str> = indices.split(',').collect();
    if params.flag("ignore_unavailable") {
        names.retain(|name| store.resolve(name).is_ok());
        if names.is_empty() {
            // An empty list would mean all.
            names.push("-*");
        }
    }
    let names = names.join(",");
    if params.get("allow_no_indices") == Some("false") && store.resolve(&names)?.is_empty() {
        return Err(tollhouse_store::StoreError::IndexNotFound { index: indices.to_owned() }.into());
    }
    Ok(names)
}

/// Parameters of the address that stand for members of the body; they win, as in Elasticsearch.
fn with_params(body: Value, params: &Params) -> Result<Value, ElasticError> {
    let mut body = match body {
        Value::Null => Map::new(),
        Value::Object(body) => body,
        // The reader of bodies says what is wrong with it.
        other => return Ok(other),
    };
    if let Some(text) = params.get("q") {
        let mut query = json!({ "query": text });
        for (param, option) in [
            ("df", "default_field"),
            ("default_operator", "default_operator"),
            ("analyze_wildcard", "analyze_wildcard"),
        ] {
            if let Some(value) = params.get(param) {
                query[option] = if param == "analyze_wildcard" { json!(params.flag(param)) } else { json!(value) };
            }
        }
        body.insert("query".into(), json!({ "query_string": query }));
    }
    for name in ["size", "from"] {
        if let Some(number) = params.number::<u64>(name)? {
            body.insert(name.into(), number.into());
        }
    }
    if let Some(sort) = params.get("sort") {
        let keys = sort.split(',').map(|key| match key.rsplit_once(':') {
            Some((field, order)) => json!({ field: order }),
            None => json!(key),
        });
        body.insert("sort".into(), keys.collect());
    }
    if let Some(limit) = params.get("track_total_hits") {
        let limit = match limit {
            "true" | "" => json!(true),
            "false" => json!(false),
            _ => params.number::<i64>("track_total_hits")?.into(),
        };
        body.insert("track_total_hits".into(), limit);
    }
    let list = |name: &str| params.get(name).map(|text| text.split(',').map(Value::from).collect::<Value>());
    match params.get("_source") {
        Some("true" | "") => {
            body.insert("_source".into(), true.into());
        }
        Some("false") => {
            body.insert("_source".into(), false.into());
        }
        Some(_) => {
            body.insert("_source".into(), list("_source").unwrap_or_default());
        }
        None => {}
    }
    let (includes, excludes) = (list("_source_includes"), list("_source_excludes"));
    if includes.is_some() || excludes.is_some() {
        let empty = || json!([]);
        let filter = json!({"includes": includes.unwrap_or_else(empty), "excludes": excludes.unwrap_or_else(empty)});
        body.insert("_source".into(), filter);
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn refuses_when_too_many_run_and_wait() {
        static GATE: Gate = Gate::new(1, 1);
        let (release, held) = mpsc::sync_channel::<()>(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let first = tokio::spawn(GATE.run(move || {
            let _ = started.send(());
            let _ = held.recv();
            Ok(1)
        }));
        has_started.await.unwrap();
        let mut second = Box::pin(GATE.run(|| Ok(2)));
        assert!(poll_once(&mut second).await.is_none());
        assert!(matches!(GATE.run(|| Ok(3)).await, Err(ElasticError::Busy { running: 1, waiting: 1 })));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap(), 2);
        assert_eq!(GATE.run(|| Ok(4)).await.unwrap(), 4);
    }

    /// Polls once: takes the future's place in the queue.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let found: Result<(), _> = blocking(|| panic!("on purpose")).await;
        assert!(matches!(found, Err(ElasticError::Internal)));
    }
}
