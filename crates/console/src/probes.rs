//! Probes in the console: what each found last, the light of them all, and running one now.
//!
//! | call | answer |
//! |---|---|
//! | `GET /console/api/v1/probes` | `{"light": …, "probes": […], "resources": […]}` |
//! | `POST /console/api/v1/probes/{id}/run` | the probe: 200 when its run ended in time, 202 while it goes on; 404 |

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::Console;

/// How long the end of a run is waited for; it goes on without whoever asked.
const RUN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Whoever runs the probes.
pub trait Probes: fmt::Debug + Send + Sync {
    /// All probes with what was found last, the light of them, the latest samples.
    fn board(&self) -> Value;

    /// Runs one now and waits so long for its end: what is known of it then; `None` when there is no such probe.
    fn run<'a>(&'a self, id: &'a str, wait: Duration) -> Pin<Box<dyn Future<Output = Option<Value>> + Send + 'a>>;
}

/// By which the console reaches them.
pub type ProbesKeeper = Arc<dyn Probes>;

/// All that is known.
pub(crate) async fn list(State(console): State<Console>) -> Json<Value> {
    Json(console.inner.settings.probes.board())
}

/// Runs one now.
pub(crate) async fn run(State(console): State<Console>, Path(id): Path<String>) -> Response {
    match console.inner.settings.probes.run(&id, RUN_WAIT_MAX).await {
        Some(probe) if probe["running"] == true => (StatusCode::ACCEPTED, Json(probe)).into_response(),
        Some(probe) => Json(probe).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "there is no such probe"}))).into_response(),
    }
}
