//! The way of a model request, step by step, in order.
//!
//! [`Gateway::pass`] is the list. Each step either lets the request go on or ends it with a [`Refusal`], and the
//! [`OpenRecord`] that was opened first is closed last, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use tollhouse_access::{Decision, RateLimit, RateLimiter};
use tollhouse_dialect::{ChatRequest, JsonLimits, RequestError, ollama, openai};
use tollhouse_journal::{Journal, JournalError};
use tollhouse_upstream::{Context, Model, Upstreams};
use tollhouse_web::{Answer, Dropped, Peer, RequestId, json as json_answer};

use crate::answer::{Reading, answer_stream, answer_whole};
use crate::record::{OpenRecord, round3};
use crate::refusal::{ErrorStyle, Refusal, rate_headers};
use crate::route::{Dialect, NoRoute, Route};
use crate::{Caller, Door, Health};

/// What the gateway is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rate limit for callers whose key has none of its own.
    pub rate_limit: Option<RateLimit>,
    /// Who shares one window.
    pub rate_by: RateBy,
    /// Characters of a prompt, for keys without a limit of their own.
    pub prompt_chars_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: u64,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Bounds on the JSON of a body.
    pub json: JsonLimits,
    /// How errors are shaped.
    pub errors: ErrorStyle,
}

/// Who shares one window of the rate limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateBy {
    /// All requests of a key.
    Key,
    /// All requests of an end user.
    User,
    /// All requests of a client address.
    Address,
    /// All requests for a model.
    Model,
}

/// By which way a request came in.
#[derive(Clone, Debug)]
pub enum Entry {
    /// From outside: it has to show a key.
    Door,
    /// From a signed-in console, which has shown its session.
    Console,
}

/// The gateway; clones share everything.
#[derive(Clone, Debug)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    door: Arc<Door>,
    limiter: RateLimiter,
    upstreams: Upstreams,
    journal: Journal,
    /// The last record could not be written. While this is so, nothing is sent to a model before its start is recorded.
    unrecorded: AtomicBool,
}

impl Gateway {
    /// A gateway that lets requests through `door` to `upstreams` and writes them to `journal`.
    pub fn new(settings: Settings, door: Arc<Door>, upstreams: Upstreams, journal: Journal) -> Self {
        let (limiter, unrecorded) = (RateLimiter::default(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { settings, door, limiter, upstreams, journal, unrecorded }) }
    }

    /// The door that this gateway stands behind.
    pub fn door(&self) -> &Arc<Door> {
        &self.inner.door
    }

    /// The model servers behind it.
    pub fn upstreams(&self) -> &Upstreams {
        &self.inner.upstreams
    }

    /// Whether the journal takes records, as far as the last one showed.
    pub fn records(&self) -> bool {
        !self.inner.unrecorded.load(Ordering::Relaxed)
    }

    /// How the gate is.
    pub fn health(&self) -> Health {
        let upstreams = self.inner.upstreams.status().into_iter();
        Health::of(self.records(), upstreams.map(|upstream| (upstream.name, upstream.breaker != "open")))
    }

    /// Remembers whether a record could be written.
    pub(crate) fn recorded<T>(&self, result: Result<T, JournalError>) -> Result<T, Refusal> {
        let failed = result.is_err();
        if self.inner.unrecorded.swap(failed, Ordering::Relaxed) != failed {
            match &result {
                Ok(_) => tracing::info!("the journal takes records again"),
                Err(error) => {
                    tracing::error!(error = chain(error), "the journal takes no records; requests are refused");
                }
            }
        }
        result.map_err(|_| Refusal::Unrecorded)
    }

    /// Serves one request for a model API, and records it.
    ///
    /// # Errors
    /// [`Dropped`] when the client is to get no answer at all.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer, entry: Entry) -> Result<Answer, Dropped>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let id = RequestId::from_headers(&head.headers);
        let client = self.inner.door.client_address(peer.0.ip(), &head.headers);
        let path = head.uri.path();
        let dialect = Dialect::of(path);
        let open = OpenRecord::new(self.inner.journal.clone(), head.method.as_str(), path, id.as_str(), client);
        let mut way = Way { head: &head, dialect, id: &id, open, client };
        let mut answer = match self.pass(&mut way, body, &entry).await {
            Ok(Passed::Streaming(stream)) => {
                let Way { open, .. } = way;
                answer_stream(*stream, open, self.clone())
            }
            // Nothing passes unrecorded: an answer that cannot be recorded is not given out.
            Ok(Passed::Whole(answer)) => match self.recorded(way.open.close(answer.status().as_u16()).await) {
                Ok(()) => answer,
                Err(refusal) => refusal.answer(dialect, self.inner.settings.errors),
            },
            Err(refusal) => {
                // Refused either way; whether that could be recorded is remembered.
                let _: Result<(), Refusal> = self.recorded(way.open.refuse(&refusal).await);
                if matches!(refusal, Refusal::AddressDropped) {
                    return Err(Dropped);
                }
                let mut answer = refusal.answer(dialect, self.inner.settings.errors);
                if matches!(refusal, Refusal::MethodNotAllowed) {
                    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                }
                answer
            }
        };
        answer.headers_mut().insert(HeaderName::from_static("x-request-id"), id.header_value());
        Ok(answer)
    }

    /// The way itself.
    async fn pass<B>(&self, way: &mut Way<'_>, body: B, entry: &Entry) -> Result<Passed, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Address first: to a stranger's address not even the answer to a guessed key is given.
        self.inner.door.check_address(way.client)?;
        let caller = self.identify(way, entry)?;
        way.open.record.trace_id = trace_id(way.head);
        let route = Route::of(&way.head.method, way.head.uri.path()).map_err(|none| match none {
            NoRoute::Path => Refusal::UnknownPath,
            NoRoute::Method => Refusal::MethodNotAllowed,
        })?;
        if !caller.key.as_ref().is_none_or(|key| key.role.may_call_models()) {
            return Err(Refusal::RoleNotAllowed("user"));
        }
        match route {
            Route::Models => Ok(Passed::Whole(self.list_models(way.dialect, &caller).await)),
            Route::Model(name) => Ok(Passed::Whole(self.show_model(&name, &caller).await?)),
            Route::Chat => self.chat(way, body, &caller).await,
        }
    }

    fn identify(&self, way: &mut Way<'_>, entry: &Entry) -> Result<Caller, Refusal> {
        let caller = match entry {
            Entry::Door => self.inner.door.identify(&way.head.headers, jiff::Timestamp::now().as_millisecond())?,
            Entry::Console => Caller { key: None, key_id: Some("console".to_owned()) },
        };
        way.open.record.key_id.clone_from(&caller.key_id);
        way.open.record.user_id = self.inner.door.user(&caller, &way.head.headers);
        Ok(caller)
    }

    /// A chat: limits → body → parsed → prompt limits → model → sent → answered.
    async fn chat<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller) -> Result<Passed, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let settings = &self.inner.settings;
        // Limits come before the body is read: a flood costs no memory. Only a limit by model has to wait for it.
        let mut rate = None;
        if settings.rate_by != RateBy::Model {
            rate = self.check_rate(way, caller, None)?;
        }
        let body = self.read_body(body).await?;
        let mut request = parse(way.dialect, &body, &settings.json)?;
        drop(body);

        way.open.record.stream = request.stream;
        let chars = request.prompt_chars();
        way.open.record.prompt_chars = Some(chars);
        if way.open.record.user_id.is_none() {
            way.open.record.user_id = request.user().map(|user| user.chars().take(128).collect());
        }
        let max = caller.key.as_ref().and_then(|key| key.prompt_chars).unwrap_or(settings.prompt_chars_max);
        if chars > max {
            way.open.record.model = Some(request.model.chars().take(256).collect());
            return Err(Refusal::PromptTooLong { max });
        }

        let model = self.find_model(&request.model, caller, way).await?;
        if settings.rate_by == RateBy::Model {
            rate = self.check_rate(way, caller, Some(&model.name))?;
        }

        if self.records() {
            way.open.started().map_err(|_| Refusal::Unrecorded)?;
        } else {
            self.recorded(way.open.started_for_sure().await)?;
        }
        request.model.clone_from(&model.name);
        let context = Context {
            traceparent: way.head.headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned),
            ..Context::default()
        };
        let request = Arc::new(request);
        let reply = self.inner.upstreams.chat(Arc::clone(&request), context).await.map_err(|error| {
            way.open.record.attempts = error.attempts();
            way.open.record.upstream = error.upstream().map(str::to_owned);
            Refusal::Upstream(error)
        })?;
        way.open.record.upstream = Some(reply.upstream.clone());
        way.open.record.attempts = reply.attempts;
        way.open.record.queue_ms = Some(round3(reply.queue_ms));
        way.open.record.connect_ms = Some(round3(reply.connect_ms));

        let reading = Reading::new(way.dialect, &request, &model, way.id, reply, caller.key.clone());
        let mut passed = if request.stream {
            Passed::Streaming(Box::new(reading.first_piece(&mut way.open).await?))
        } else {
            Passed::Whole(answer_whole(reading, &mut way.open).await?)
        };
        if let Some((limit, remaining, reset)) = rate {
            rate_headers(passed.answer_mut(), limit, remaining, reset);
        }
        Ok(passed)
    }

    /// Counts the request; what is returned is told to the client in headers.
    fn check_rate(
        &self,
        way: &Way<'_>,
        caller: &Caller,
        model: Option<&str>,
    ) -> Result<Option<(RateLimit, u32, Duration)>, Refusal> {
        let own = caller.key.as_ref().and_then(|key| key.rate_limit);
        let Some(limit) = own.or(self.inner.settings.rate_limit) else { return Ok(None) };
        let record = &way.open.record;
        let by = if own.is_some() { RateBy::Key } else { self.inner.settings.rate_by };
        // The kind stands before the name: a user called like an address must not share its window.
        let window = match (by, record.key_id.as_deref(), record.user_id.as_deref()) {
            (RateBy::Key, Some(key), _) => format!("key {key}"),
            (RateBy::User, _, Some(user)) => format!("user {user}"),
            (RateBy::Model, ..) => format!("model {}", model.unwrap_or_default()),
            _ => format!("address {}", way.client),
        };
        match self.inner.limiter.check(&window, limit, Instant::now()) {
            Decision::Pass { remaining, reset } => Ok(Some((limit, remaining, reset))),
            Decision::Refuse { retry_after } => Err(Refusal::TooManyRequests { limit, retry_after }),
        }
    }

    async fn read_body<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let max = self.inner.settings.body_bytes_max;
        let limited = Limited::new(body, usize::try_from(max).unwrap_or(usize::MAX));
        // A box of its own: the body lies on the heap only while it is read, not in every waiting request.
        let collected = Box::pin(tokio::time::timeout(self.inner.settings.body_timeout, limited.collect())).await;
        match collected {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { max }),
            Ok(Err(_)) | Err(_) => Err(Refusal::BodyIncomplete),
        }
    }

    /// The model by its name or alias, if this key may call it. What a key may not call, it is not told about either,
    /// unless it names it right.
    async fn find_model(&self, name: &str, caller: &Caller, way: &mut Way<'_>) -> Result<Model, Refusal> {
        let found = self.inner.upstreams.resolve(name).await;
        let shown = found.as_ref().map_or(name, |model| model.name.as_str());
        way.open.record.model = Some(shown.chars().take(256).collect());
        let allowed = caller.key.as_ref().is_none_or(|key| key.allows_model(name) || key.allows_model(shown));
        match found {
            _ if !allowed => Err(Refusal::ModelNotAllowed),
            Some(model) => Ok(model),
            None => Err(Refusal::UnknownModel(name.chars().take(256).collect())),
        }
    }

    async fn models_for(&self, caller: &Caller) -> Vec<Model> {
        let mut models = self.inner.upstreams.models().await;
        models.retain(|model| caller.key.as_ref().is_none_or(|key| key.allows_model(&model.name)));
        models
    }

    async fn list_models(&self, dialect: Dialect, caller: &Caller) -> Answer {
        let models = self.models_for(caller).await;
        let body = match dialect {
            Dialect::OpenAi => {
                json!({"object": "list", "data": models.iter().map(openai_model).collect::<Vec<_>>()})
            }
            Dialect::Ollama => json!({"models": models.iter().map(ollama_model).collect::<Vec<_>>()}),
        };
        json_answer(StatusCode::OK, body.to_string())
    }

    async fn show_model(&self, name: &str, caller: &Caller) -> Result<Answer, Refusal> {
        let models = self.models_for(caller).await;
        let model = models.iter().find(|model| model.name == name);
        let model = model.ok_or_else(|| Refusal::UnknownModel(name.chars().take(256).collect()))?;
        Ok(json_answer(StatusCode::OK, openai_model(model).to_string()))
    }
}

/// An error with its causes: the system's own words come last.
fn chain(error: &JournalError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// What a request has with it on its way.
struct Way<'a> {
    head: &'a Parts,
    dialect: Dialect,
    id: &'a RequestId,
    open: OpenRecord,
    client: std::net::IpAddr,
}

/// How a request got through.
pub(crate) enum Passed {
    /// The answer is complete.
    Whole(Answer),
    /// The answer has begun.
    Streaming(Box<crate::answer::Begun>),
}

impl Passed {
    fn answer_mut(&mut self) -> &mut Answer {
        match self {
            Self::Whole(answer) => answer,
            Self::Streaming(begun) => &mut begun.head,
        }
    }
}

fn parse(dialect: Dialect, body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, Refusal> {
    match dialect {
        Dialect::OpenAi => openai::parse_chat(body, limits),
        Dialect::Ollama => ollama::parse_chat(body, limits),
    }
    .map_err(|error: RequestError| Refusal::BadRequest { message: error.to_string() })
}

fn openai_model(model: &Model) -> serde_json::Value {
    json!({"id": model.name, "object": "model", "created": model.created_unix, "owned_by": "tollhouse"})
}

/// An entry of `/api/tags`; what only the server itself knows is passed on as it told it.
fn ollama_model(model: &Model) -> serde_json::Value {
    let mut entry = json!({"name": model.name, "model": model.name});
    if let (Some(entry), Some(details)) = (entry.as_object_mut(), model.details.as_object()) {
        for (name, value) in details {
            entry.entry(name.as_str()).or_insert_with(|| value.clone());
        }
    }
    entry
}

/// The trace id of a `traceparent` header (W3C Trace Context, section 3.2.2).
fn trace_id(head: &Parts) -> Option<String> {
    let mut parts = head.headers.get("traceparent")?.to_str().ok()?.split('-');
    let (_version, id) = (parts.next()?, parts.next()?);
    let valid = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (valid && id.bytes().any(|byte| byte != b'0')).then(|| id.to_owned())
}
