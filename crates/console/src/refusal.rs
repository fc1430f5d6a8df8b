//! What a call says when it does not do what is asked.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;
use tollhouse_state::StateError;

/// An answer that says why not, for whoever reads the page.
pub(crate) fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

/// As [`refused`], with a word for it that does not change, so that a page can say it in its reader's language.
pub(crate) fn refused_as(status: StatusCode, code: &'static str, message: &str) -> Response {
    (status, Json(json!({"error": message, "code": code}))).into_response()
}

/// What a call sends, or the answer that says what is wrong with it.
#[expect(clippy::result_large_err, reason = "it is what the call answers")]
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| refused(StatusCode::BAD_REQUEST, &error.to_string()))
}

/// The state store does not give `what` (such as "the keys"): the log has the reason, the answer does not.
pub(crate) fn out_of_reach(what: &str, error: &StateError) -> Response {
    tracing::error!(error = %error, what, "reading or changing what is kept for the console");
    refused(StatusCode::SERVICE_UNAVAILABLE, &format!("{what} cannot be reached right now"))
}
