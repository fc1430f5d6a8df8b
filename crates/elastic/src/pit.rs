//! Points in time: searches that see the book as it was when the point was opened.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tollhouse_query::dsl;
use tollhouse_store::Shards;

use crate::asked::{Asked, Names};
use crate::contexts::{Context, keep_alive};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::fields::with_matches;
use crate::highlight::Highlight;
use crate::search::{Found, Wanting, marked, still_there};
use crate::slice::Slice;

/// Of hits with the same sort values, the one that was written first comes first.
const TIEBREAKER: &str = "_shard_doc";

/// The point in time that a search body names.
pub(crate) struct Pit {
    id: String,
    keep_alive: Option<std::time::Duration>,
}

/// `POST /{indices}/_pit`.
pub(crate) async fn open(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let opened = async {
        let (id, shards) = opened(&elastic, &names.indices, &asked).await?;
        Ok(json!({"id": id, "_shards": shards}))
    };
    asked.answer(opened.await)
}

/// `POST /{indices}/_search/point_in_time`: as OpenSearch has it.
pub(crate) async fn open_opensearch(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let opened = async {
        let (id, shards) = opened(&elastic, &names.indices, &asked).await?;
        Ok(json!({"pit_id": id, "_shards": shards, "creation_time": Timestamp::now().as_millisecond()}))
    };
    asked.answer(opened.await)
}

async fn opened(elastic: &Elastic, indices: &str, asked: &Asked) -> Result<(String, Shards), ElasticError> {
    asked.params.only(&[
        "keep_alive",
        "preference",
        "routing",
        "allow_partial_search_results",
        "allow_partial_pit_creation",
        "max_concurrent_shard_requests",
        "ignore_unavailable",
        "allow_no_indices",
        "expand_wildcards",
    ])?;
    let wanted = asked.params.get("keep_alive");
    let keep_alive = keep_alive(wanted.ok_or(ElasticError::Validation("keep alive not specified"))?)?;
    let indices = Wanting::new(indices, &asked.params).list(elastic).await?;
    let days = with_matches(&elastic.shelf, indices, &asked.json()?).await?;
    let shards = Shards::all(days.len());
    let context = Context { days, seq_max: elastic.shelf.horizon().await?, scroll: None };
    Ok((elastic.contexts.open(elastic.by.as_deref(), context, keep_alive)?, shards))
}

/// `DELETE /_pit`.
pub(crate) async fn close(elastic: Elastic, asked: Asked) -> Response {
    let closed = || {
        asked.params.only(&[])?;
        let body = asked.json()?;
        let id = body["id"].as_str().ok_or(ElasticError::Validation("no point in time id specified"))?;
        let closed = elastic.contexts.close(elastic.by.as_deref(), [id].into_iter());
        let status = if closed == 0 { StatusCode::NOT_FOUND } else { StatusCode::OK };
        Ok((status, json!({"succeeded": true, "num_freed": closed})))
    };
    asked.answer_with(closed())
}

/// `DELETE /_search/point_in_time` and `/_search/point_in_time/_all`: as OpenSearch has it.
pub(crate) async fn close_opensearch(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let closed = || {
        asked.params.only(&[])?;
        if names.name.is_some() {
            elastic.contexts.close_all(elastic.by.as_deref(), false);
            return Ok(json!({"pits": []}));
        }
        let body = asked.json()?;
        let ids = body["pit_id"].as_array().ok_or(ElasticError::Validation("no point in time id specified"))?;
        let closed = ids.iter().filter_map(Value::as_str).map(|id| {
            let closed = elastic.contexts.close(elastic.by.as_deref(), [id].into_iter());
            json!({"successful": closed == 1, "pit_id": id})
        });
        Ok(json!({"pits": closed.collect::<Vec<_>>()}))
    };
    asked.answer::<Value>(closed())
}

/// Takes `pit` out of a search body.
pub(crate) fn take(body: &mut Value) -> Result<Option<Pit>, ElasticError> {
    let Some(pit) = body.as_object_mut().and_then(|body| body.shift_remove("pit")) else { return Ok(None) };
    let id = pit["id"].as_str().ok_or_else(|| ElasticError::Parameter("Required [id]".to_owned()))?;
    Ok(Some(Pit { id: id.to_owned(), keep_alive: pit["keep_alive"].as_str().map(keep_alive).transpose()? }))
}

/// Searches at a point in time.
pub(crate) async fn search(elastic: &Elastic, pit: Pit, mut body: Value) -> Result<Found, ElasticError> {
    let context = elastic.contexts.get(elastic.by.as_deref(), &pit.id, pit.keep_alive)?;
    if context.scroll.is_some() {
        return Err(ElasticError::ContextMissing(pit.id));
    }
    if let Some(body) = body.as_object_mut() {
        break_ties(body);
    }
    let (slice, highlight) = (Slice::take(&mut body)?, Highlight::take(&mut body)?);
    let mut request = dsl::parse_search(&body)?;
    request.query = context.bounded(request.query);
    if let Some(slice) = slice {
        slice.limit(&mut request);
    }
    let days = still_there(elastic, &context.days).await?;
    let found = marked(&elastic.shelf, days, request, highlight.as_ref()).await?;
    Ok(Found { pit_id: Some(pit.id), ..found })
}

/// Adds a last sort key by which no two hits are the same, so that `search_after` passes over none.
fn break_ties(body: &mut Map<String, Value>) {
    let mut keys = match body.get("sort") {
        None | Some(Value::Null) => return,
        Some(Value::Array(keys)) => keys.clone(),
        Some(key) => vec![key.clone()],
    };
    let is_there = |key: &Value| key == TIEBREAKER || key.get(TIEBREAKER).is_some();
    if !keys.iter().any(is_there) {
        keys.push(json!({ TIEBREAKER: "asc" }));
    }
    body.insert("sort".into(), keys.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_once() {
        for (sort, expected) in [
            (json!("a"), json!(["a", {"_shard_doc": "asc"}])),
            (json!({"a": "desc"}), json!([{"a": "desc"}, {"_shard_doc": "asc"}])),
            (json!(["a", {"_shard_doc": "desc"}]), json!(["a", {"_shard_doc": "desc"}])),
            (json!(["_shard_doc"]), json!(["_shard_doc"])),
        ] {
            let mut body = Map::from_iter([("sort".to_owned(), sort)]);
            break_ties(&mut body);
            assert_eq!(body["sort"], expected);
        }
        let mut body = Map::new();
        break_ties(&mut body);
        assert!(body.is_empty(), "hits without an order have none to go on in");
    }
}
