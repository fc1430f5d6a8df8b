//! Saved searches in the console: listed, kept, changed, removed.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/saved` | | `{"saved": […]}`, by name |
//! | `POST /console/api/v1/saved` | [`SavedSearch`] | 201, the search with its `id` |
//! | `PUT /console/api/v1/saved/{id}` | [`SavedSearch`] | the search as it is now |
//! | `DELETE /console/api/v1/saved/{id}` | | 204 |
//!
//! Errors are `{"error": message}`: 400 for what makes no sense, 404 for an unknown id, 409 for a name that is taken and
//! when no more are kept.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use tollhouse_state::{SAVED_MAX, SavedSearch};

use crate::Console;
use crate::named::Named;
use crate::refusal::refused;
use crate::session::Session;

const SAVED: Named = Named { one: "saved search", many: "searches", all: "the saved searches", max: SAVED_MAX };

pub(crate) async fn list(State(console): State<Console>) -> Response {
    match console.inner.state.saved().await {
        Ok(saved) => Json(json!({"saved": saved})).into_response(),
        Err(error) => SAVED.failed(&error),
    }
}

pub(crate) async fn create(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    body: Bytes,
) -> Response {
    match read(&body) {
        Ok(search) => SAVED.answer(StatusCode::CREATED, console.inner.state.save_search(&search, session.name()).await),
        Err(message) => refused(StatusCode::BAD_REQUEST, &message),
    }
}

pub(crate) async fn change(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    match read(&body) {
        Ok(search) => {
            SAVED.answer(StatusCode::OK, console.inner.state.change_saved(&id, &search, session.name()).await)
        }
        Err(message) => refused(StatusCode::BAD_REQUEST, &message),
    }
}

pub(crate) async fn remove(State(console): State<Console>, Path(id): Path<String>) -> Response {
    SAVED.removed(console.inner.state.remove_saved(&id).await)
}

fn read(body: &[u8]) -> Result<SavedSearch, String> {
    let mut search: SavedSearch = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    search.name = search.name.trim().to_owned();
    search.check()?;
    Ok(search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read_and_checked() {
        let search = read(br#"{"name": " slow ", "language": "kql", "from": "now-1h", "to": "now"}"#).unwrap();
        assert_eq!((search.name.as_str(), search.query.as_str(), search.columns.len()), ("slow", "", 0));
        for (body, words) in [
            ("{}", "missing field"),
            (r#"{"name": "a", "language": "sql", "from": "now-1h", "to": "now"}"#, "`language`"),
            (r#"{"name": "a", "language": "kql", "from": "now-1h", "to": "now", "owner": "me"}"#, "unknown field"),
        ] {
            assert!(read(body.as_bytes()).unwrap_err().contains(words), "{body}");
        }
    }
}
