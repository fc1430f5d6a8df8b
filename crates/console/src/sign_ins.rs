//! What outlives a change of the configuration: who tried in vain to sign in, and which streams go on while their session does.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use tollhouse_limits::Failures;
use tollhouse_state::State;

use crate::oidc::Waiting;

/// How often a stream looks whether its session goes on.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What was seen is good for so long: many streams ask the state store once.
const SEEN_FOR: Duration = Duration::from_millis(400);

/// Who signs in; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SignIns {
    failures: Failures,
    waiting: Waiting,
    /// When was looked whether sessions were ended, and what was found.
    version: Arc<Mutex<Option<(Instant, i64)>>>,
}

impl SignIns {
    /// Wrong tokens and passwords, by address.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Attempts that wait for a provider's answer.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// The same answer, which ends within a second when the session does: a stream would otherwise go on without it.
    pub(crate) fn bind(&self, state: &State, session_id: &str, body: Body) -> Body {
        if body.size_hint().exact().is_some() {
            return body;
        }
        let (sign_ins, state, id) = (self.clone(), state.clone(), session_id.to_owned());
        let ended = Box::pin(async move { sign_ins.ended(&state, &id).await });
        Body::new(Bound { body, ended })
    }

    /// Returns when the session has ended.
    async fn ended(&self, state: &State, id: &str) {
        let mut seen = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let version = self.version(state).await;
            if version.is_some() && version == seen {
                continue;
            }
            match state.session_goes_on(id).await {
                Ok(true) => seen = version,
                Ok(false) => return,
                Err(error) => tracing::error!(error = %error, "looking whether a session goes on"),
            }
        }
    }

    async fn version(&self, state: &State) -> Option<i64> {
        let known = *self.version.lock().expect("no panic while the lock is held");
        if let Some((at, version)) = known
            && at.elapsed() < SEEN_FOR
        {
            return Some(version);
        }
        let version = match state.sessions_version().await {
            Ok(version) => version,
            Err(error) => {
                tracing::error!(error = %error, "looking for ended sessions");
                return None;
            }
        };
        *self.version.lock().expect("no panic while the lock is held") = Some((Instant::now(), version));
        Some(version)
    }
}

/// A body that is cut when its session ends.
struct Bound {
    body: Body,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HttpBody for Bound {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(SessionEnded))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}

/// Why a stream was cut.
#[derive(Debug, thiserror::Error)]
#[error("the session of this stream has ended")]
struct SessionEnded;
