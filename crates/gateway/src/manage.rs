//! Changes of which models an Ollama server has: passed on for administrators, refused to everybody else.

use std::pin::Pin;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tollhouse_upstream::ManageBody;
use tollhouse_web::Answer;

use crate::answer::UPSTREAM;
use crate::record::OpenRecord;
use crate::refusal::Refusal;
use crate::stack::{Passed, Way};
use crate::{Caller, Gateway};

/// A server's answer to a management call, as it comes.
pub(crate) struct Managed {
    head: response::Parts,
    body: ManageBody,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Gateway {
    /// Whoever may load models may fill a disk or run somebody else's file: only administrators do, and each call leaves
    /// its record.
    pub(crate) async fn manage<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller) -> Result<Passed, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Where no key is asked for there is nobody who could be told from others.
        let Some(key) = caller.key.as_ref().filter(|key| key.role.may_manage()) else {
            return Err(Refusal::RoleNotAllowed("admin"));
        };
        self.enter(way, caller, "").await?;
        let body = self.read_body(way, body).await?;
        self.check_recording(way).await?;
        let named = way.head.headers.get(UPSTREAM).and_then(|value| value.to_str().ok());
        let (method, path) = (way.head.method.clone(), way.head.uri.path());
        let managed = self.inner.upstreams.manage(named, method, path, body).await.map_err(|error| {
            way.open.not_replied(&error);
            Refusal::Upstream(error)
        })?;
        way.open.record.attempts = 1;
        way.open.record.upstream = Some(managed.body().upstream().to_owned());
        // Loading a model may take an hour: its start is told at once.
        way.open.started();
        let (mut head, body) = managed.into_parts();
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(Passed::Managed(Box::new(Managed { head, body, revoked: Box::pin(key.revoked()) })))
    }
}

impl Managed {
    /// The answer, whose record is closed with its last byte. It ends when the key does.
    pub(crate) fn answer(self, open: OpenRecord, gateway: Gateway) -> Answer {
        let Self { head, body, revoked } = self;
        let status = head.status.as_u16();
        let state = Box::new((body, revoked, open, gateway));
        let pieces = futures_util::stream::unfold(Some(state), move |state| async move {
            let mut state = state?;
            let (body, revoked, open, gateway) = &mut *state;
            let next = tokio::select! {
                biased;
                () = revoked => Some(Err("the key was revoked".to_owned())),
                frame = body.frame() => frame.map(|frame| frame.map_err(|error| error.to_string())),
            };
            match next {
                Some(Ok(frame)) => return Some((Ok(Frame::data(frame.into_data().unwrap_or_default())), Some(state))),
                Some(Err(error)) => open.record.error = Some(error),
                None => {}
            }
            let _: Result<(), Refusal> = gateway.recorded(open.close(status).await);
            None
        });
        Response::from_parts(head, StreamBody::new(pieces).boxed_unsync())
    }
}
