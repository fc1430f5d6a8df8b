//! Changes of which models an Ollama server has: passed on for administrators, refused to everybody else.

use bytes::Bytes;
use http::Response;
use http::header::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use tollhouse_web::{Answer, end_on_error};

use crate::refusal::Refusal;
use crate::stack::Way;
use crate::{Caller, Gateway};

/// Names the server where there are several.
const UPSTREAM: HeaderName = HeaderName::from_static("x-tollhouse-upstream");

impl Gateway {
    /// Whoever may load models may fill a disk or run somebody else's file: only administrators do, and each call leaves
    /// its record.
    pub(crate) async fn manage<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Where no key is asked for there is nobody who could be told from others.
        if !caller.key.as_ref().is_some_and(|key| key.role.may_manage()) {
            return Err(Refusal::RoleNotAllowed("admin"));
        }
        self.enter(way, caller, "").await?;
        let body = self.read_body(body).await?;
        let head = way.head;
        let named = head.headers.get(UPSTREAM).and_then(|value| value.to_str().ok());
        let managed = self.inner.upstreams.manage(named, head.method.clone(), head.uri.path(), body).await;
        let response = managed.map_err(|error| {
            way.open.not_replied(&error);
            Refusal::Upstream(error)
        })?;
        let (parts, body) = response.into_parts();
        let mut answer = Response::from_parts(parts, end_on_error(body).boxed_unsync());
        answer.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(answer)
    }
}
