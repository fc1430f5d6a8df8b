//! `_search` and `_count`: bodies and parameters read into one plan, run where blocking is allowed, only so many at once.

use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tollhouse_query::ast::{Agg, SearchRequest};
use tollhouse_query::{Query, dsl};
use tollhouse_remote::Shelf;
use tollhouse_store::{SearchResponse, Shards, StoreError};

use crate::asked::{Asked, Names, Params, error_response, json_response, read_json};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::gate::GATE;
use crate::highlight::Highlight;
use crate::media::{PRODUCT, Wanted};
use crate::scope::Scope;
use crate::slice::Slice;
use crate::typed::name_types;
use crate::{pit, scroll};

/// A name list that stands for all indices.
pub(crate) const ALL: &str = "_all";

/// Parameters that say what becomes of names that are not there.
pub(crate) const NAMING: [&str; 3] = ["ignore_unavailable", "allow_no_indices", "expand_wildcards"];

/// Parameters of a search that are body members in the address, or change what is answered.
const PARAMETERS: [&str; 27] = [
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
    "typed_keys",
];

/// Answers an Elasticsearch search body over the indices of a list of names and patterns.
pub async fn search_here(shelf: &Shelf, indices: &str, body: &[u8]) -> Response {
    let found = async { searched_here(shelf, indices, &read_json(body)?).await };
    let bytes = found.await.and_then(|found| Ok(serde_json::to_vec(&found)?));
    let mut response = match bytes {
        Ok(bytes) => json_response(axum::http::StatusCode::OK, bytes, Wanted::Any),
        Err(error) => error_response(&error, Wanted::Any, false),
    };
    response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
    response
}

/// The same, before it is written.
pub async fn searched_here(shelf: &Shelf, indices: &str, body: &Value) -> Result<SearchResponse, ElasticError> {
    let request = dsl::parse_search(body)?;
    searched(shelf, days_of(shelf, indices).await?, request).await
}

/// The fields of these indices, as `_mapping` tells them, for callers inside the house.
pub async fn mapping_here(shelf: &Shelf, indices: &str) -> Result<Value, ElasticError> {
    Ok(shelf.mapping(days_of(shelf, indices).await?).await?)
}

/// The days that names and patterns stand for; those of a cluster are in lower case whatever the service is called.
async fn days_of(shelf: &Shelf, indices: &str) -> Result<Vec<String>, ElasticError> {
    let all = shelf.names().await?;
    match shelf {
        Shelf::Own(_) => Scope::default().pick(&all, indices),
        Shelf::Far(_) => Scope::default().pick(&all, &indices.to_lowercase()),
    }
}

/// `GET|POST [/{indices}]/_search`.
pub(crate) async fn search(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        asked.params.only(&PARAMETERS)?;
        let body = with_params(asked.json()?, &asked.params)?;
        let indices = Wanting::new(&names.indices, &asked.params);
        let found = match asked.params.get("scroll") {
            Some(keep_alive) => scroll::begin(&elastic, indices, body, keep_alive, asked.body.len()).await?,
            None => run(&elastic, indices, body).await?,
        };
        found.shown(Showing::new(&asked.params))
    };
    asked.answer(found.await)
}

/// `GET|POST [/{indices}]/_count`.
pub(crate) async fn count(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let answered = async {
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
        let days = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let shards = Shards::all(days.len());
        Ok(json!({"count": counted(&elastic.shelf, days, query).await?, "_shards": shards}))
    };
    asked.answer::<Value>(answered.await)
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
    Slice::refuse(&body)?;
    let highlight = Highlight::take(&mut body)?;
    let request = dsl::parse_search(&body)?;
    let days = indices.list(elastic).await?;
    marked(&elastic.shelf, days, request, highlight.as_ref()).await
}

/// Runs a search when there is room for it.
pub(crate) async fn searched(
    shelf: &Shelf,
    days: Vec<String>,
    request: SearchRequest,
) -> Result<SearchResponse, ElasticError> {
    let running = GATE.enter().await?;
    Ok(shelf.search(days, request, running).await?)
}

/// The same, with the words marked that were looked for.
pub(crate) async fn marked(
    shelf: &Shelf,
    days: Vec<String>,
    request: SearchRequest,
    highlight: Option<&Highlight>,
) -> Result<Found, ElasticError> {
    let aggs = request.aggs.clone();
    let Some(highlight) = highlight else {
        return Ok(Found { aggs, ..searched(shelf, days, request).await?.into() });
    };
    let mut wider = request.clone();
    highlight.ask(&mut wider);
    let mut response = searched(shelf, days, wider).await?;
    highlight.mark(&request, &mut response);
    Ok(Found { aggs, ..response.into() })
}

/// Counts when there is room for it.
pub(crate) async fn counted(shelf: &Shelf, days: Vec<String>, query: Query) -> Result<u64, ElasticError> {
    let running = GATE.enter().await?;
    Ok(shelf.count(days, query, running).await?)
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
    /// What was aggregated, for whoever wants types told.
    #[serde(skip)]
    pub(crate) aggs: Vec<(String, Agg)>,
}

/// In which form a result is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Showing {
    total_as_number: bool,
    typed_keys: bool,
}

impl Showing {
    pub(crate) fn new(params: &Params) -> Self {
        Self { total_as_number: params.flag("rest_total_hits_as_int"), typed_keys: params.flag("typed_keys") }
    }
}

impl From<SearchResponse> for Found {
    fn from(response: SearchResponse) -> Self {
        Self { scroll_id: None, pit_id: None, response, status: None, aggs: Vec::new() }
    }
}

impl Found {
    /// As it is answered: with types before the names of aggregations, and a bare number for the total, where the client
    /// wants it so.
    pub(crate) fn shown(mut self, showing: Showing) -> Result<Shown, ElasticError> {
        if showing.typed_keys
            && let Some(found) = &mut self.response.aggregations
        {
            name_types(&self.aggs, found);
        }
        if !showing.total_as_number {
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

    /// The names of those that there are and that may be used.
    pub(crate) async fn list(self, elastic: &Elastic) -> Result<Vec<String>, ElasticError> {
        let all = elastic.shelf.names().await?;
        let mut names: Vec<&str> = self.names.split(',').collect();
        if self.ignore_unavailable {
            names.retain(|name| elastic.scope.pick(&all, name).is_ok());
        }
        let days = if names.is_empty() { Vec::new() } else { elastic.scope.pick(&all, &names.join(","))? };
        if !self.allow_none && days.is_empty() {
            return Err(StoreError::IndexNotFound { index: self.names.to_owned() }.into());
        }
        Ok(days)
    }
}

/// Of names that were there, those that still are and may still be used.
pub(crate) async fn still_there(elastic: &Elastic, names: &[String]) -> Result<Vec<String>, ElasticError> {
    let all = elastic.shelf.names().await?;
    Ok(names.iter().filter(|name| all.contains(name) && elastic.scope.allows(name)).cloned().collect())
}

/// Runs what takes a while where blocking is allowed.
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
