//! The few requests to a cluster: asked of its nodes in turn, each within a time.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use tollhouse_ship::{Body, Client, State, Trouble};

use crate::error::RemoteError;

/// Longest time that a cluster is waited for: three times what our own index may take.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A cluster, as this crate asks it.
#[derive(Debug)]
pub(crate) struct Cluster(RwLock<Arc<Client>>);

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self(RwLock::new(Arc::new(client)))
    }

    /// From now on it is asked by this client; what is under way ends with the one before.
    pub(crate) fn renew(&self, client: Client) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
    }

    fn client(&self) -> Arc<Client> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks, and reads the answer. The next node is asked once when one cannot be reached.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, RemoteError> {
        let bytes = self.bytes(method, path, body).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.away(Trouble::new(State::Unreachable, format!("its answer cannot be read: {error}"))))
    }

    /// The same, of an answer as it is.
    pub(crate) async fn bytes(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Bytes, RemoteError> {
        match self.once(&method, path, body.clone()).await {
            Err(RemoteError::Away { trouble, .. }) if trouble.state == State::Unreachable => {
                self.client().turn();
                self.once(&method, path, body).await
            }
            answered => answered,
        }
    }

    async fn once(&self, method: &Method, path: &str, body: Option<Bytes>) -> Result<Bytes, RemoteError> {
        let body = match body {
            None => Body::None,
            Some(lines) if path.starts_with("/_msearch") => Body::Lines(lines),
            Some(json) => Body::Json(json),
        };
        let client = self.client();
        let answer = timeout(ANSWER_TIME_MAX, client.ask(method.clone(), path, body)).await;
        let answer = match answer {
            Ok(answer) => answer.map_err(|trouble| self.away(trouble))?,
            // Asked a second time it would take as long again.
            Err(_) => return Err(self.away(Trouble::new(State::Busy, format!("no answer within {ANSWER_TIME_MAX:?}")))),
        };
        match answer.status {
            status if status.is_success() => Ok(answer.body),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                Err(RemoteError::Refused { status: answer.status.as_u16(), error: told["error"].clone() })
            }
            status => Err(self.away(Trouble::of_answer(status, &answer.body, answer.retry_after))),
        }
    }

    /// What one of several searches was answered with instead of hits.
    pub(crate) fn refused(&self, status: u16, error: Value) -> RemoteError {
        match status {
            400 | 404 => RemoteError::Refused { status, error },
            status => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let body = serde_json::json!({ "error": error }).to_string();
                self.away(Trouble::of_answer(status, body.as_bytes(), None))
            }
        }
    }

    pub(crate) fn away(&self, trouble: Trouble) -> RemoteError {
        RemoteError::Away { url: self.client().url().to_owned(), trouble }
    }
}
