//! `_search` and `_count`: bodies and parameters read into one plan, run where blocking is allowed, only so many at once.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tollhouse_query::ast::SearchRequest;
use tollhouse_query::dsl;
use tollhouse_store::{SearchResponse, Shards, Store, StoreError};

use crate::asked::{Asked, Names, Params, error_response, json_response, read_json, warn};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::gate::GATE;
use crate::media::{PRODUCT, Wanted};
use crate::{pit, scroll};

/// A name list that stands for all indices.
pub(crate) const ALL: &str = "_all";
/// What is said when hits were to be marked.
pub(crate) const NO_HIGHLIGHT: &str = "[highlight] has no effect: words are not marked in hits";

/// Parameters that say what becomes of names that are not there.
pub(crate) const NAMING: [&str; 3] = ["ignore_unavailable", "allow_no_indices", "expand_wildcards"];

/// Parameters of a search that are body members in the address, or change what is answered.
const PARAMETERS: [&str; 26] = [
    "q",
    "df",
    "default_operator",
    "analyze_wildcard",
    "size",
    "from",
    "sort",
    "scroll",
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
pub async fn search_here(store: &Store, indices: &str, body: &[u8]) -> Response {
    let found = async {
        let request = dsl::parse_search(&read_json(body)?)?;
        searched(store, indices.to_owned(), request).await
    };
    let bytes = found.await.and_then(|found| Ok(serde_json::to_vec(&found)?));
    let mut response = match bytes {
        Ok(bytes) => json_response(axum::http::StatusCode::OK, bytes, Wanted::Any),
        Err(error) => error_response(&error, Wanted::Any, false),
    };
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

/// `GET|POST [/{indices}]/_search`.
pub(crate) async fn search(State(elastic): State<Elastic>, names: Names, asked: Asked) -> Response {
    let mut has_highlight = false;
    let found = async {
        asked.params.only(&PARAMETERS)?;
        let mut body = with_params(asked.json()?, &asked.params)?;
        has_highlight = take_highlight(&mut body);
        let indices = Wanting::new(&names.indices, &asked.params);
        let found = match asked.params.get("scroll") {
            Some(keep_alive) => scroll::begin(&elastic, indices, &body, keep_alive, asked.body.len()).await?,
            None => run(&elastic, indices, body).await?,
        };
        found.shown(asked.params.flag("rest_total_hits_as_int"))
    };
    let mut response = asked.answer(found.await);
    if has_highlight {
        warn(&mut response, NO_HIGHLIGHT);
    }
    response
}

/// `GET|POST [/{indices}]/_count`.
pub(crate) async fn count(State(elastic): State<Elastic>, names: Names, asked: Asked) -> Response {
    let counted = async {
        asked.params.only(&[
            "q",
            "df",
            "default_operator",
            "analyze_wildcard",
            "preference",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
        ])?;
        let query = dsl::parse_count(&with_params(asked.json()?, &asked.params)?)?;
        let store = elastic.store.clone();
        let indices = Wanting::new(&names.indices, &asked.params).resolve(&store)?;
        GATE.run(move || {
            let shards = Shards::all(store.resolve(&indices)?.len());
            Ok(json!({"count": store.count(&indices, &query)?, "_shards": shards}))
        })
        .await
    };
    asked.answer(counted.await)
}

/// Runs a search body over these indices, or over those of the point in time that it names.
pub(crate) async fn run(elastic: &Elastic, indices: Wanting<'_>, mut body: Value) -> Result<Found, ElasticError> {
    if let Some(pit) = pit::take(&mut body)? {
        if indices.names != ALL {
            return Err(ElasticError::Validation(
                "[indices] cannot be used with point in time. Do not specify any index with point in time.",
            ));
        }
        return pit::search(elastic, pit, body).await;
    }
    let request = dsl::parse_search(&body)?;
    let indices = indices.resolve(&elastic.store)?;
    Ok(searched(&elastic.store, indices, request).await?.into())
}

/// Runs a search when there is room for it.
pub(crate) async fn searched(
    store: &Store,
    indices: String,
    request: SearchRequest,
) -> Result<SearchResponse, ElasticError> {
    let store = store.clone();
    GATE.run(move || Ok(store.search(&indices, &request)?)).await
}

/// What was found, and how to go on.
#[derive(Serialize)]
pub(crate) struct Found {
    #[serde(rename = "_scroll_id", skip_serializing_if = "Option::is_none")]
    pub(crate) scroll_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pit_id: Option<String>,
    #[serde(flatten)]
    pub(crate) response: SearchResponse,
    /// Told of each of several searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
}

impl From<SearchResponse> for Found {
    fn from(response: SearchResponse) -> Self {
        Self { scroll_id: None, pit_id: None, response, status: None }
    }
}

impl Found {
    /// As it is answered; the total is a bare number where the client wants it so.
    pub(crate) fn shown(self, total_as_number: bool) -> Result<Shown, ElasticError> {
        if !total_as_number {
            return Ok(Shown::Plain(Box::new(self)));
        }
        let mut found = serde_json::to_value(self)?;
        if let Some(total) = found.pointer_mut("/hits/total") {
            *total = total["value"].take();
        }
        Ok(Shown::Changed(found))
    }
}

/// What was found, in one of its two forms.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Plain(Box<Found>),
    Changed(Value),
}

/// Takes out what would mark the words found in hits.
pub(crate) fn take_highlight(body: &mut Value) -> bool {
    let highlight = body.as_object_mut().and_then(|body| body.shift_remove("highlight"));
    highlight.is_some_and(|highlight| !highlight.is_null())
}

/// The indices asked for, and what becomes of names that are not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanting<'a> {
    pub(crate) names: &'a str,
    pub(crate) ignore_unavailable: bool,
    pub(crate) allow_none: bool,
}

impl<'a> Wanting<'a> {
    pub(crate) fn new(names: &'a str, params: &Params) -> Self {
        let allow_none = params.get("allow_no_indices") != Some("false");
        Self { names, ignore_unavailable: params.flag("ignore_unavailable"), allow_none }
    }

    /// As the store takes them: with `ignore_unavailable` without those that are not there.
    pub(crate) fn resolve(self, store: &Store) -> Result<String, ElasticError> {
        let mut names: Vec<&str> = self.names.split(',').collect();
        if self.ignore_unavailable {
            names.retain(|name| store.resolve(name).is_ok());
            if names.is_empty() {
                names.push(NONE);
            }
        }
        let names = names.join(",");
        if !self.allow_none && store.resolve(&names)?.is_empty() {
            return Err(StoreError::IndexNotFound { index: self.names.to_owned() }.into());
        }
        Ok(names)
    }

    /// The names of those that there are.
    pub(crate) fn list(self, store: &Store) -> Result<Vec<String>, ElasticError> {
        Ok(store.resolve(&self.resolve(store)?)?)
    }
}

/// Stands for no index: an empty list would mean all.
const NONE: &str = "-*";

/// Of names that were there, those that still are.
pub(crate) fn still_there(store: &Store, names: &str) -> String {
    let names: Vec<&str> = names.split(',').filter(|name| store.resolve(name).is_ok()).collect();
    if names.is_empty() { NONE.to_owned() } else { names.join(",") }
}

/// Runs what reads files where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ElasticError> + Send + 'static,
) -> Result<T, ElasticError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ElasticError::Internal))
}

/// Parameters of the address that stand for members of the body; they win, as in Elasticsearch.
pub(crate) fn with_params(body: Value, params: &Params) -> Result<Value, ElasticError> {
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
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let found: Result<(), _> = blocking(|| panic!("on purpose")).await;
        assert!(matches!(found, Err(ElasticError::Internal)));
    }
}
