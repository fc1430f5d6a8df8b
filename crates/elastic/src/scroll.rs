//! Scrolls: all that was found, page by page, as it was when the scroll began.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tollhouse_query::ast::{DateFormat, Missing, SearchRequest, Sort};
use tollhouse_query::dsl;
use tollhouse_store::SearchResponse;

use crate::asked::{Asked, Names};
use crate::contexts::{Context, Scroll, keep_alive};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::highlight::Highlight;
use crate::search::{Found, Showing, Wanting, marked, still_there};
use crate::slice::Slice;

/// Begins a scroll with its first page.
pub(crate) async fn begin(
    elastic: &Elastic,
    indices: Wanting<'_>,
    mut body: Value,
    time: &str,
    body_bytes: usize,
) -> Result<Found, ElasticError> {
    let keep_alive = keep_alive(time)?;
    if body.get("pit").is_some() {
        return Err(ElasticError::Validation("using [point in time] is not allowed in a scroll context"));
    }
    let (slice, highlight) = (Slice::take(&mut body)?, Highlight::take(&mut body)?);
    let mut request = dsl::parse_search(&body)?;
    check(&request, &body)?;
    if let Some(slice) = slice {
        slice.limit(&mut request);
    }
    let aggs = request.aggs.clone();
    request.track_total_hits = Some(u64::MAX);
    let is_sorted = !request.sort.is_empty();
    order_strictly(&mut request);
    let mut context =
        Context { days: indices.list(elastic).await?, seq_max: elastic.shelf.horizon().await?, scroll: None };
    let mut scroll = Scroll { request, body_bytes, total: None, is_sorted, highlight: highlight.map(Arc::new) };
    let response = page(elastic, &context, &mut scroll).await?;
    context.scroll = Some(scroll);
    let id = elastic.contexts.open(elastic.by.as_deref(), context, keep_alive)?;
    Ok(Found { scroll_id: Some(id), aggs, ..response.into() })
}

/// `GET|POST /_search/scroll[/{name}]`: the next page.
pub(crate) async fn next(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        asked.params.only(&["scroll", "scroll_id", "rest_total_hits_as_int", "typed_keys"])?;
        let body = asked.json()?;
        let asked_for = |name: &str| body[name].as_str().or_else(|| asked.params.get(name));
        let id = asked_for("scroll_id").or(names.name.as_deref());
        let id = id.ok_or(ElasticError::Validation("scrollId is missing"))?;
        let keep_alive = asked_for("scroll").map(keep_alive).transpose()?;
        let mut context = elastic.contexts.get(elastic.by.as_deref(), id, keep_alive)?;
        let Some(mut scroll) = context.scroll.take() else { return Err(ElasticError::ContextMissing(id.to_owned())) };
        let response = page(&elastic, &context, &mut scroll).await?;
        elastic.contexts.go_on(id, scroll);
        let found = Found { scroll_id: Some(id.to_owned()), ..response.into() };
        found.shown(Showing::new(&asked.params))
    };
    asked.answer(found.await)
}

/// `DELETE /_search/scroll[/{name}]`.
pub(crate) async fn close(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let closed = || {
        asked.params.only(&["scroll_id"])?;
        let body = asked.json()?;
        let ids: Vec<&str> = match (&body["scroll_id"], names.name.as_deref().or(asked.params.get("scroll_id"))) {
            (Value::Array(ids), _) => ids.iter().filter_map(Value::as_str).collect(),
            (Value::String(id), _) => vec![id],
            (_, Some(ids)) => ids.split(',').collect(),
            _ => return Err(ElasticError::Validation("no scroll ids specified")),
        };
        let closed = match ids.as_slice() {
            ["_all"] => elastic.contexts.close_all(elastic.by.as_deref(), true),
            ids => elastic.contexts.close(elastic.by.as_deref(), ids.iter().copied()),
        };
        let status = if closed == 0 && ids != ["_all"] { StatusCode::NOT_FOUND } else { StatusCode::OK };
        Ok((status, json!({"succeeded": true, "num_freed": closed})))
    };
    asked.answer_with(closed())
}

/// What makes no sense in a scroll is refused in Elasticsearch's words.
fn check(request: &SearchRequest, body: &Value) -> Result<(), ElasticError> {
    let is_exact = match &body["track_total_hits"] {
        Value::Null | Value::Bool(true) => true,
        Value::Number(limit) => limit.as_i64() == Some(-1),
        Value::String(text) => text == "true",
        _ => false,
    };
    let wrong = [
        (!is_exact, "disabling [track_total_hits] is not allowed in a scroll context"),
        (request.from > 0, "using [from] is not allowed in a scroll context"),
        (request.size == 0, "[size] cannot be [0] in a scroll context"),
        (!request.search_after.is_empty(), "`search_after` cannot be used in a scroll context."),
    ];
    if let Some((_, why)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(ElasticError::Validation(why));
    }
    // The next page begins behind the sort values of a hit: they must not be rounded.
    if request.sort.iter().any(|key| key.format == Some(DateFormat::EpochSecond)) {
        return Err(ElasticError::Parameter(
            "[format] of [epoch_second] in the sort of a scroll is not supported".into(),
        ));
    }
    Ok(())
}

/// Adds keys until no two hits are the same in order; without any, the order is that of other searches: newest first.
fn order_strictly(request: &mut SearchRequest) {
    let key = |field: &str, descending: bool| Sort {
        field: field.to_owned(),
        descending,
        missing: Missing::Last,
        unmapped: None,
        format: None,
    };
    if request.sort.is_empty() {
        request.sort.push(key("@timestamp", true));
    }
    let descending = request.sort.first().is_some_and(|key| key.descending);
    request.sort.push(key("_doc", descending));
}

/// The next page, and the scroll behind it.
async fn page(elastic: &Elastic, context: &Context, scroll: &mut Scroll) -> Result<SearchResponse, ElasticError> {
    let mut request = scroll.request.clone();
    request.query = context.bounded(request.query);
    let days = still_there(elastic, &context.days).await?;
    let highlight = scroll.highlight.clone();
    let mut response = marked(&elastic.shelf, days, request, highlight.as_deref()).await?.response;
    let hits = &mut response.hits;
    if let Some(last) = hits.hits.last() {
        scroll.request.search_after = last.sort.clone().unwrap_or_default();
    }
    // Counted and aggregated once.
    scroll.total = scroll.total.or(hits.total);
    hits.total = scroll.total;
    scroll.request.track_total_hits = None;
    scroll.request.aggs.clear();
    for hit in &mut hits.hits {
        if scroll.is_sorted {
            hit.sort.iter_mut().for_each(|sort| {
                sort.pop();
            });
        } else {
            (hit.sort, hit.score) = (None, Some(1.0));
        }
    }
    hits.max_score = (!scroll.is_sorted && !hits.hits.is_empty()).then_some(1.0);
    Ok(response)
}
