//! `POST /console/api/v1/reload`: reads the configuration file again and puts it in force, all or nothing.
//!
//! 200 `{"changed": ["models", …]}` names what changed; 400 `{"error": message}` says all that is wrong with the file, and the
//! running configuration stays in force.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Console;

pub(crate) async fn reload(State(console): State<Console>) -> Response {
    match console.inner.keeper.reload().await {
        Some(Ok(changed)) => Json(json!({"changed": changed})).into_response(),
        Some(Err(message)) => (StatusCode::BAD_REQUEST, Json(json!({"error": message}))).into_response(),
        None => {
            let error = "the house is busy or stopping; the records of kind config tell what came of it";
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error}))).into_response()
        }
    }
}
