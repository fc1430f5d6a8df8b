//! What a call says when it does not do what is asked.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tollhouse_state::StateError;

/// An answer that says why not, for whoever reads the page.
pub(crate) fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

/// The state store does not give `what` (such as "the keys"): the log has the reason, the answer does not.
pub(crate) fn out_of_reach(what: &str, error: &StateError) -> Response {
    tracing::error!(error = %error, what, "reading or changing what is kept for the console");
    refused(StatusCode::SERVICE_UNAVAILABLE, &format!("{what} cannot be reached right now"))
}
