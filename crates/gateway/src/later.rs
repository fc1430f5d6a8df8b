//! What is not answered while its client waits: files, batches of requests, and single requests that are answered later.
//!
//! The gate knows who asks and whether a request is good; a [`Later`] keeps what is to be done, and does it. Its calls pass the
//! same door as all others, count as requests, and leave the same records.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tollhouse_dialect::{Api, ChatRequest, RequestError};
use tollhouse_web::Answer;

use crate::refusal::Refusal;
use crate::stack::Way;
use crate::{Caller, Gateway, RequestRecord};

/// Below these paths is what is kept. What stands there alone is a path of its own.
const COLLECTIONS: [&str; 2] = ["/v1/files", "/v1/batches"];
/// Below these paths stand requests that were taken.
const TAKEN: [&str; 2] = ["/v1/responses/", "/v1/chat/completions/"];
/// Where a client wishes to be told that its answer is there.
const WEBHOOK: &str = "x-tollhouse-webhook";

/// Something that is being done.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// A body on its way in.
pub type LaterBody<'a> = Pin<Box<dyn http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'a>>;

/// Keeps what is answered later.
pub trait Later: fmt::Debug + Send + Sync {
    /// Whether there are such things at all. Where not, their paths are no paths.
    fn is_on(&self) -> bool;

    /// Answers a call about something that is kept.
    fn serve<'a>(&'a self, asked: Asked<'a>) -> Doing<'a>;

    /// Takes a request that was found good, and tells where its answer will be (202).
    fn take(&self, wanted: Wanted) -> Doing<'_>;
}

/// A call about something that is kept.
pub struct Asked<'a> {
    /// Who calls.
    pub owner: Owner,
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, of any length.
    pub body: LaterBody<'a>,
}

/// Whose something is, and as whom it is asked for later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The key's public id; `None` where no key is asked for.
    pub key_id: Option<String>,
    /// The user whom requests are counted for.
    pub user: Option<String>,
    /// The client's address.
    pub client: IpAddr,
}

/// What a request is asked for whose client does not wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// It is a line of a batch.
    Line {
        /// Id of the batch.
        batch: String,
        /// The line of its file, counted from 1.
        line: u64,
    },
    /// It was taken to be answered later.
    Later {
        /// The id by which its answer is fetched.
        id: String,
    },
}

impl Purpose {
    /// Says in the record what the request is a part of.
    pub(crate) fn tell(&self, record: &mut RequestRecord) {
        let (origin, batch, line) = match self {
            Self::Line { batch, line } => ("batch", batch, Some(*line)),
            Self::Later { id } => ("later", id, None),
        };
        record.origin = Some(origin);
        record.batch = Some(batch.clone());
        record.batch_line = line;
    }
}

/// A request that is to be answered later.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who asks.
    pub owner: Owner,
    /// By which API.
    pub api: Api,
    /// The model, by its public name.
    pub model: String,
    /// The request as it came.
    pub body: Bytes,
    /// Where the client wishes to be told.
    pub webhook: Option<String>,
}

impl Gateway {
    /// Who answers for a path, if anybody does.
    pub(crate) fn keeper_of(&self, path: &str) -> Option<Arc<dyn Later>> {
        let is_below = |of: &&str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_meant = COLLECTIONS.iter().any(is_below) || TAKEN.iter().any(|of| path.starts_with(of));
        self.inner.settings.later.clone().filter(|later| is_meant && later.is_on())
    }

    /// Passes a call on.
    pub(crate) async fn keep<B>(
        &self,
        way: &mut Way<'_>,
        body: B,
        caller: &Caller,
        later: &dyn Later,
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !caller.key.as_ref().is_none_or(|key| key.role.may_call_models()) {
            return Err(Refusal::RoleNotAllowed("user"));
        }
        self.enter(way, caller, "").await?;
        let (head, owner) = (way.head, owner(way, caller));
        later
            .serve(Asked {
                owner,
                method: &head.method,
                path: head.uri.path(),
                query: head.uri.query(),
                headers: &head.headers,
                body: Box::pin(body.map_err(|error| std::io::Error::other(error.into()))),
            })
            .await
    }

    /// Whether a request is to be answered later; then its model is looked for first, and nothing is sent.
    pub(crate) fn deferral(
        &self,
        way: &Way<'_>,
        api: Api,
        request: &ChatRequest,
        body: Bytes,
    ) -> Result<Option<Deferral>, Refusal> {
        let is_taken = matches!(api, Api::OpenAiChat | Api::OpenAiResponses) && !way.is_own && !way.is_last;
        let later = self.inner.settings.later.clone().filter(|later| is_taken && later.is_on());
        let Some(later) = later else {
            if request.background {
                let text = "background is not supported: this gateway answers while the client waits, leave it out";
                return Err(Refusal::BadRequest(RequestError::Unsupported(text.to_owned())));
            }
            // A preference may be left aside (RFC 7240, section 2).
            return Ok(None);
        };
        if !request.background && !prefers_async(&way.head.headers) {
            return Ok(None);
        }
        if request.stream {
            let message = "an answer that comes later is not streamed: leave out `stream`".to_owned();
            let (status, code) = (StatusCode::BAD_REQUEST, "stream_not_supported");
            return Err(Refusal::Later { status, message, code, param: Some("stream") });
        }
        let webhook = way.head.headers.get(WEBHOOK);
        let webhook = webhook.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Some(Deferral { later, api, body, webhook }))
    }
}

/// A request that will be handed over once its model is known.
pub(crate) struct Deferral {
    later: Arc<dyn Later>,
    api: Api,
    body: Bytes,
    webhook: Option<String>,
}

impl Deferral {
    pub(crate) async fn hand_over(self, way: &Way<'_>, caller: &Caller, model: String) -> Result<Answer, Refusal> {
        let Self { later, api, body, webhook } = self;
        later.take(Wanted { owner: owner(way, caller), api, model, body, webhook }).await
    }
}

fn owner(way: &Way<'_>, caller: &Caller) -> Owner {
    let record = &way.open.record;
    let user = record.user_id.clone().filter(|_| !record.user_claimed);
    Owner { key_id: caller.key_id.clone(), user, client: way.client }
}

/// Whether `Prefer` holds `respond-async` (RFC 7240, section 4.1). Names know no case; parameters and further preferences may
/// stand behind it.
fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut wishes = values.flat_map(|value| value.split(','));
    wishes.any(|wish| wish.split([';', '=']).next().unwrap_or_default().trim().eq_ignore_ascii_case("respond-async"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", http::HeaderValue::from_static(value));
            }
            prefers_async(&headers)
        };
        for wanted in [&["respond-async"][..], &["wait=10, Respond-Async"], &["return=minimal", "respond-async; x=1"]] {
            assert!(of(wanted), "{wanted:?}");
        }
        for not in [&[][..], &["wait=10"], &["respond-asynchronously"], &["return=respond-async"]] {
            assert!(!of(not), "{not:?}");
        }
    }
}
