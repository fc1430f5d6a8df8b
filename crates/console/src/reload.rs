//! `POST /console/api/v1/reload`: reads the configuration file again and puts it in force, all or nothing.
//!
//! 200 `{"changed": ["models", …]}` names what changed; 400 `{"error": message}` says all that is wrong with the file, and the
//! running configuration stays in force.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::Console;

/// How long a caller is kept waiting; the change goes on without it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Callers that may wait for their turn.
const ASKS_MAX: usize = 8;

/// Asks whoever keeps the house to read its configuration again; clones ask the same one.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<ReloadAsk>);

/// One such question.
#[derive(Debug)]
pub struct ReloadAsk {
    /// Takes what changed, or all that is wrong.
    pub answer: oneshot::Sender<Result<Vec<String>, String>>,
}

impl Reload {
    /// The asking end, and the one that hears it.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadAsk>) {
        let (sender, receiver) = mpsc::channel(ASKS_MAX);
        (Self(sender), receiver)
    }

    async fn ask(&self) -> Option<Result<Vec<String>, String>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(ReloadAsk { answer }).await.ok()?;
        answered.await.ok()
    }
}

pub(crate) async fn reload(State(console): State<Console>) -> Response {
    let asked = tokio::time::timeout(ANSWER_TIME_MAX, console.inner.reload.ask()).await;
    match asked {
        Ok(Some(Ok(changed))) => Json(json!({"changed": changed})).into_response(),
        Ok(Some(Err(message))) => (StatusCode::BAD_REQUEST, Json(json!({"error": message}))).into_response(),
        Ok(None) | Err(_) => {
            let error = "the house is busy or stopping; see the records of kind config for what came of it";
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": error}))).into_response()
        }
    }
}
