//! Why one request went as it did: its story over all sources, as `tollhouse why --json` gives it out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tollhouse_doctor::{Telling, not_found};

use crate::Console;

/// Longest id that is looked for, in bytes.
const ID_BYTES_MAX: usize = 256;

/// The story of the request with this id; `found` is false when no record names it.
pub(crate) async fn story(State(console): State<Console>, Path(id): Path<String>) -> Response {
    if id.len() > ID_BYTES_MAX {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "the id is too long"}))).into_response();
    }
    let indices = format!("{}-*", console.inner.settings.service);
    let mut telling = Telling::new(&id, &console.inner.settings.server_sources);
    while let Some(search) = telling.next_search() {
        let found = tollhouse_elastic::searched_here(&console.inner.shelf, &indices, &search).await;
        let answer = found.map_err(|error| error.to_string());
        match answer.and_then(|found| serde_json::to_value(found).map_err(|error| error.to_string())) {
            Ok(answer) => telling.take(answer),
            Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error}))).into_response(),
        }
    }
    Json(telling.story().map_or_else(|| not_found(&id), |story| story.to_json())).into_response()
}
