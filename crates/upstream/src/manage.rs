//! Ollama's calls that change which models there are, passed on for an operator.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};
use tollhouse_units::chain;

use crate::backend::Backend;
use crate::client::Incoming;
use crate::error::Cause;
use crate::server::Server;
use crate::{Kind, UpstreamError, Upstreams};

/// The calls that are passed on; blobs beside them, by their digest.
const CALLS: &[(Method, &str)] = &[
    (Method::POST, "/api/pull"),
    (Method::POST, "/api/push"),
    (Method::POST, "/api/create"),
    (Method::POST, "/api/copy"),
    (Method::DELETE, "/api/delete"),
];
/// Where blobs are; Ollama takes both spellings of a digest.
const BLOBS: [&str; 2] = ["/api/blobs/sha256:", "/api/blobs/sha256-"];

impl Upstreams {
    /// Passes a management call on to an Ollama server and gives its answer back as it comes: the one of this name, or
    /// the only one. Whoever calls this has checked that the caller may. Dropping the answer ends the call.
    pub async fn manage(
        &self,
        upstream: Option<&str>,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<ManageBody>, UpstreamError> {
        let refuse = |message: String| UpstreamError::new(Cause::Unsupported { message });
        if !is_call(&method, path) {
            return Err(refuse(format!("{method} is not a call to manage models at this path")));
        }
        let server = self.manager(upstream).map_err(refuse)?;
        let fail = |cause| UpstreamError::of(cause, &server.name);
        let response = server.call(method, path, body).await.map_err(fail)?;
        let (head, body) = response.into_parts();
        let body = ManageBody { idle: Box::pin(sleep_until(Instant::now() + server.timeouts.idle)), body, server };
        let mut answer = Response::new(body);
        *answer.status_mut() = head.status;
        if let Some(value) = head.headers.get(CONTENT_TYPE) {
            answer.headers_mut().insert(CONTENT_TYPE, value.clone());
        }
        Ok(answer)
    }

    fn manager(&self, upstream: Option<&str>) -> Result<Arc<Server>, String> {
        let servers = self.inner.backends.iter().filter_map(Backend::server);
        let managers: Vec<&Arc<Server>> = servers.filter(|server| server.kind == Kind::Ollama).collect();
        let found = match (upstream, &managers[..]) {
            (Some(name), all) => all.iter().find(|server| *server.name == *name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        found.map(|server| Arc::clone(server)).ok_or_else(|| {
            let names: Vec<&str> = managers.iter().map(|server| &*server.name).collect();
            format!("name the Ollama server whose models are to be managed, one of: {}", names.join(", "))
        })
    }
}

fn is_call(method: &Method, path: &str) -> bool {
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_blob = BLOBS.iter().any(|blobs| path.strip_prefix(blobs).is_some_and(is_digest));
    CALLS.iter().any(|call| *call == (method.clone(), path))
        || (is_blob && (method == Method::POST || method == Method::HEAD))
}

/// The answer to a management call, as the server sends it; ends with an error when nothing comes for
/// [`Timeouts::idle`](crate::Timeouts::idle).
pub struct ManageBody {
    body: Incoming,
    idle: Pin<Box<Sleep>>,
    server: Arc<Server>,
}

impl Body for ManageBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let Self { body, idle, server } = &mut *self;
        match Pin::new(body).poll_frame(task) {
            Poll::Ready(frame) => {
                idle.as_mut().reset(Instant::now() + server.timeouts.idle);
                let fail = |error| UpstreamError::of(Cause::Read(chain(&error)), &server.name);
                Poll::Ready(frame.map(|frame| frame.map_err(fail)))
            }
            Poll::Pending if idle.as_mut().poll(task).is_ready() => {
                Poll::Ready(Some(Err(UpstreamError::of(Cause::Idle(server.timeouts.idle), &server.name))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl ManageBody {
    /// The server that answers.
    pub fn upstream(&self) -> &str {
        &self.server.name
    }
}

impl Drop for ManageBody {
    fn drop(&mut self) {
        // Whatever came of it, the models may be others now.
        self.server.expire_models();
    }
}

impl std::fmt::Debug for ManageBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ManageBody").field("server", &self.server.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_management_calls_are_passed_on() {
        assert!(is_call(&Method::POST, "/api/pull") && is_call(&Method::DELETE, "/api/delete"));
        for blobs in BLOBS {
            let blob = format!("{blobs}{}", "a0".repeat(32));
            assert!(is_call(&Method::HEAD, &blob) && is_call(&Method::POST, &blob), "{blob}");
            assert!(!is_call(&Method::DELETE, &blob) && !is_call(&Method::POST, &format!("{blob}a")), "{blob}");
        }
        for path in ["/api/chat", "/api/pull/", "/api/../api/pull", "/api/blobs/sha256:../x", "/api/blobs/", ""] {
            assert!(!is_call(&Method::POST, path), "{path}");
        }
        assert!(!is_call(&Method::GET, "/api/pull"));
    }
}
