//! The way of a model request, step by step, in order.
//!
//! [`Gateway::pass`] is the list. Each step either lets the request go on or ends it with a [`Refusal`], and the
//! [`OpenRecord`] that was opened first is closed last, whatever happens in between. What only chats do on their way
//! stands in `chat.rs`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ALLOW, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;
use tollhouse_access::secret_in_query;
use tollhouse_content::Contents;
use tollhouse_dialect::{JsonLimits, Shape};
use tollhouse_journal::{Journal, JournalError};
use tollhouse_limits::{Limits, Rules, Sharing};
use tollhouse_telemetry::Telemetry;
use tollhouse_tokens::Overflow;
use tollhouse_units::chain;
use tollhouse_upstream::{Model, Progress, Upstreams};
use tollhouse_web::{Answer, Dropped, Peer, RequestId};

use crate::answer::{Begun, answer_stream};
use crate::counted::Who;
use crate::family::Families;
use crate::guard::Guard;
use crate::later::{Later, Purpose};
use crate::manage::Managed;
use crate::record::OpenRecord;
use crate::refusal::{ErrorStyle, Refusal};
use crate::route::{NoRoute, Route, shape_of};
use crate::{Caller, Door, Health};

/// What stands as `origin` in the records of requests that a probe of the house makes.
pub const PROBE_ORIGIN: &str = "probe";
/// What stands there in the records of requests that a step of a task makes.
pub const TASK_ORIGIN: &str = "task";
/// What stands there in the records of requests that are asked once more.
pub const REPLAY_ORIGIN: &str = "replay";

/// What the gateway is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits of callers; a key's own are in place of these, one by one.
    pub limits: Arc<Rules>,
    /// Who shares one count of them.
    pub by: By,
    /// Who is fair against whom in the queue of a busy server.
    pub fair_by: By,
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
    /// How long the client of a stream hears nothing before it gets a sign of life.
    pub keep_alive: Duration,
    /// What is set for single models, by public name.
    pub models: HashMap<String, ModelSettings>,
    /// Where prompts and answers are kept, if anywhere.
    pub contents: Option<Contents>,
    /// Names the families of prompts in the records, if that is wanted.
    pub families: Option<Families>,
    /// Counts requests, and takes their traces.
    pub telemetry: Telemetry,
    /// Keeps files, batches, and requests that are answered later; without it there are no such things here.
    pub later: Option<Arc<dyn Later>>,
}

/// What the gateway has to know of a configured model.
#[derive(Clone, Debug, Default)]
pub struct ModelSettings {
    /// What happens to a prompt that does not fit into the context.
    pub on_overflow: Overflow,
    /// A `tokenizer.json` that counts its tokens.
    pub tokenizer: Option<PathBuf>,
    /// Models to which such a prompt may go ([`Overflow::Route`]), most preferred first.
    pub fallback: Vec<String>,
}

/// Who shares one count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// All requests of a key.
    Key,
    /// All requests of an end user.
    User,
    /// All requests of a client address; an IPv6 network of 64 bits counts as one.
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
    /// From a probe of the house itself: behind everybody else, counted for nobody, and no content of it is kept.
    Probe(Progress),
    /// From a step of a task: behind everybody else, as a probe does, under the task's name.
    Task {
        /// The task, for whom the request is counted.
        task: String,
        /// Tells where the request is while it is answered.
        progress: Progress,
    },
    /// From the console, which asks a kept request once more: as a probe does.
    Replay {
        /// Id of the request that was kept.
        of: String,
    },
    /// From the house, for somebody who asked earlier and does not wait: as a request of theirs, counted for them and allowed what
    /// they are allowed now, but behind everybody else.
    Deferred {
        /// Who asked; the address stands in [`Peer`].
        caller: Caller,
        /// For which user it is counted.
        user: Option<String>,
        /// What it is a part of.
        purpose: Purpose,
        /// A server has failed at it before: no second one gets it when one fails now.
        is_suspect: bool,
        /// Tells where the request is while it is answered.
        progress: Progress,
    },
    /// From the console, for somebody who is known already and wants to see how far it is.
    Known {
        /// Who asks.
        caller: Caller,
        /// Whose session it is: for that user the request is counted.
        user: Option<String>,
        /// Tells where the request is while it is answered.
        progress: Progress,
    },
}

/// The gateway; clones share everything.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) door: Arc<Door>,
    pub(crate) limits: Limits,
    pub(crate) upstreams: Upstreams,
    pub(crate) guard: Guard,
    journal: Journal,
    /// The last record could not be written. While this is so, nothing is sent to a model before its start is recorded.
    unrecorded: AtomicBool,
}

impl Gateway {
    /// A gateway that lets requests through `door` to `upstreams`, counts them in `limits` and writes them to `journal`.
    pub fn new(settings: Settings, door: Arc<Door>, limits: Limits, upstreams: Upstreams, journal: Journal) -> Self {
        let guard = Guard::new(settings.models.clone(), upstreams.clone());
        let unrecorded = AtomicBool::new(false);
        Self { inner: Arc::new(Inner { settings, door, limits, upstreams, guard, journal, unrecorded }) }
    }

    /// The door that this gateway stands behind.
    pub fn door(&self) -> &Arc<Door> {
        &self.inner.door
    }

    /// The model servers behind it.
    pub fn upstreams(&self) -> &Upstreams {
        &self.inner.upstreams
    }

    /// Whether limits are counted together with other nodes: `local` (they are not meant to be), `shared`, or `away` (the
    /// server between them does not answer, and each node counts for itself).
    pub fn sharing(&self) -> &'static str {
        match self.inner.limits.sharing() {
            Sharing::Local => "local",
            Sharing::Shared => "shared",
            Sharing::Away { .. } => "away",
        }
    }

    /// Whether the journal takes records, as far as the last one showed.
    pub fn records(&self) -> bool {
        !self.inner.unrecorded.load(Ordering::Relaxed)
    }

    /// How the gate is.
    pub fn health(&self) -> Health {
        let upstreams = self.inner.upstreams.status().into_iter();
        let keeps = self.inner.journal.disk().borrow().takes_records();
        Health::of(self.records(), keeps, upstreams.map(|upstream| (upstream.name, upstream.breaker != "open")))
    }

    /// Remembers whether a record could be written. A disk that does not take it is no reason to refuse: the journal counts the
    /// record and tells of it when there is room, and the gate goes on.
    pub(crate) fn recorded(&self, result: Result<(), JournalError>) -> Result<(), Refusal> {
        if matches!(result, Err(JournalError::NotKept { .. } | JournalError::Unsynced)) {
            return Ok(());
        }
        let failed = result.is_err();
        if self.inner.unrecorded.swap(failed, Ordering::Relaxed) != failed {
            match &result {
                Ok(()) => tracing::info!("the journal takes records again"),
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
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let id = RequestId::from_headers(&head.headers);
        let client = self.inner.door.client_address(peer.0.ip(), &head.headers);
        let path = head.uri.path();
        let shape = shape_of(path, head.headers.contains_key("anthropic-version"));
        let telemetry = &self.inner.settings.telemetry;
        let mut open =
            OpenRecord::new(self.inner.journal.clone(), telemetry, head.method.as_str(), path, id.as_str(), client);
        let progress = match &entry {
            Entry::Known { progress, .. }
            | Entry::Deferred { progress, .. }
            | Entry::Probe(progress)
            | Entry::Task { progress, .. } => progress.clone(),
            Entry::Door | Entry::Console | Entry::Replay { .. } => Progress::default(),
        };
        open.progress = Some(progress.clone());
        let mut way = Way {
            head: &head,
            shape,
            id: &id,
            open,
            client,
            peer: peer.0.ip(),
            tokens_most: None,
            progress,
            is_own: matches!(entry, Entry::Probe(_) | Entry::Task { .. } | Entry::Replay { .. }),
            is_last: matches!(entry, Entry::Deferred { .. }),
            is_suspect: matches!(entry, Entry::Deferred { is_suspect: true, .. }),
        };
        let mut answer = match self.pass(&mut way, body, &entry).await {
            Ok(Passed::Streaming(stream)) => answer_stream(*stream, way.open, self.clone()),
            Ok(Passed::Managed(managed)) => managed.answer(way.open, self.clone()),
            // Nothing passes unrecorded: an answer that cannot be recorded is not given out.
            Ok(Passed::Whole(answer)) => match self.recorded(way.open.close(answer.status().as_u16()).await) {
                Ok(()) => answer,
                Err(refusal) => refusal.answer(shape, self.inner.settings.errors, id.as_str()),
            },
            Err(refusal) => {
                // Refused either way; whether that could be recorded is remembered.
                let _: Result<(), Refusal> = self.recorded(way.open.refuse(&refusal).await);
                if matches!(refusal, Refusal::AddressDropped) {
                    return Err(Dropped);
                }
                let mut answer = refusal.answer(shape, self.inner.settings.errors, id.as_str());
                if let Refusal::MethodNotAllowed(methods) = refusal {
                    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
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
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Address first: to a stranger's address not even the answer to a guessed key is given.
        match entry {
            Entry::Probe(_) => way.open.record.origin = Some(PROBE_ORIGIN),
            Entry::Task { .. } => way.open.record.origin = Some(TASK_ORIGIN),
            Entry::Replay { of } => {
                way.open.record.origin = Some(REPLAY_ORIGIN);
                way.open.record.replay_of = Some(of.clone());
            }
            // The address was looked at when they asked.
            Entry::Deferred { purpose, .. } => purpose.tell(&mut way.open.record),
            Entry::Door | Entry::Console | Entry::Known { .. } => self.inner.door.check_address(way.client)?,
        }
        if secret_in_query(&way.head.uri) {
            return Err(Refusal::SecretInAddress);
        }
        let caller = self.identify(way, entry)?;
        way.open.trace = self.inner.settings.telemetry.trace(traceparent(way.head));
        let own_trace = way.open.trace.map(|trace| trace.trace_id_text());
        way.open.record.trace_id = own_trace.or_else(|| trace_id(way.head));
        if let Some(later) = self.keeper_of(way.head.uri.path()) {
            return self.keep(way, body, &caller, &*later).await.map(Passed::Whole);
        }
        let route = Route::of(&way.head.method, way.head.uri.path()).map_err(|none| match none {
            NoRoute::Path => Refusal::UnknownPath,
            NoRoute::Method(methods) => Refusal::MethodNotAllowed(methods),
        })?;
        if !caller.key.as_ref().is_none_or(|key| key.role.may_call_models()) {
            return Err(Refusal::RoleNotAllowed("user"));
        }
        // A list costs little, but nothing is free: what has no body to read first is counted here.
        if matches!(route, Route::Models | Route::Model(_) | Route::Running | Route::Version) {
            self.enter(way, &caller, "").await?;
        }
        way.open.operation = route.operation();
        match route {
            Route::Chat(api) => self.chat(way, body, &caller, api).await,
            Route::Embed(api) => self.embed(way, body, &caller, api).await.map(Passed::Whole),
            Route::CountTokens => self.count_tokens(way, body, &caller).await.map(Passed::Whole),
            Route::Models => self.list_models(way, &caller).await.map(Passed::Whole),
            Route::Model(name) => self.model_entry(way.shape, &name, &caller).await.map(Passed::Whole),
            Route::Show => self.show(way, body, &caller).await.map(Passed::Whole),
            Route::Running => Ok(Passed::Whole(self.running(&caller).await)),
            Route::Version => Ok(Passed::Whole(self.version().await)),
            Route::Manage => self.manage(way, body, &caller).await,
        }
    }

    fn identify(&self, way: &mut Way<'_>, entry: &Entry) -> Result<Caller, Refusal> {
        let caller = match entry {
            Entry::Door => {
                let now_ms = jiff::Timestamp::now().as_millisecond();
                self.inner.door.identify(&way.head.headers, way.client, now_ms)?
            }
            Entry::Console => Caller { key: None, key_id: Some("console".to_owned()) },
            Entry::Known { caller, .. } | Entry::Deferred { caller, .. } => caller.clone(),
            Entry::Probe(_) => Caller::probe(),
            Entry::Task { .. } => Caller::task(),
            Entry::Replay { .. } => Caller::replay(),
        };
        way.open.record.key_id.clone_from(&caller.key_id);
        way.open.record.user_id = match entry {
            Entry::Known { user: Some(user), .. } => Some(user.clone()),
            Entry::Deferred { user, .. } => user.clone(),
            Entry::Task { task, .. } => Some(format!("task:{task}")),
            _ => self.inner.door.user(&caller, &way.head.headers, way.peer),
        };
        Ok(caller)
    }

    /// Nothing is sent to a model that could not be recorded: while the journal is in trouble, the start of a request has
    /// to be in its file first.
    pub(crate) async fn check_recording(&self, way: &mut Way<'_>) -> Result<(), Refusal> {
        if self.records() && self.inner.journal.is_open() {
            return Ok(());
        }
        self.recorded(way.open.started_for_sure().await)
    }

    /// The body, whole. How long it took to come is remembered: that is the client's time.
    pub(crate) async fn read_body<B>(&self, way: &mut Way<'_>, body: B) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let max = self.inner.settings.body_bytes_max;
        if let Some(coding) = coding(&way.head.headers) {
            return Err(Refusal::BodyCoded(coding));
        }
        // Said before: not read for nothing.
        if body.size_hint().lower() > max {
            return Err(Refusal::BodyTooLarge { max });
        }
        let limited = Limited::new(body, usize::try_from(max).unwrap_or(usize::MAX));
        let began = Instant::now();
        // A box of its own: the body lies on the heap only while it is read, not in every waiting request.
        let collected = Box::pin(tokio::time::timeout(self.inner.settings.body_timeout, limited.collect())).await;
        way.open.body = began.elapsed();
        match collected {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { max }),
            Ok(Err(_)) | Err(_) => Err(Refusal::BodyIncomplete),
        }
    }

    /// The model by its name or alias, if this key may call it. What a key may not call, it is not told about either,
    /// unless it names it right.
    pub(crate) async fn find_model(&self, name: &str, caller: &Caller, way: &mut Way<'_>) -> Result<Model, Refusal> {
        let found = self.inner.upstreams.resolve(name).await;
        let shown = found.as_ref().map_or(name, |model| model.name.as_str());
        way.open.record.model = Some(cut_name(shown));
        let allowed = caller.key.as_ref().is_none_or(|key| key.allows_model(name) || key.allows_model(shown));
        match found {
            _ if !allowed => Err(Refusal::ModelNotAllowed),
            Some(model) => {
                way.open.is_model_known = true;
                Ok(model)
            }
            None => Err(Refusal::UnknownModel(cut_name(name))),
        }
    }
}

/// A model's name as records and errors show it: what a client sends can be of any length.
pub(crate) fn cut_name(name: &str) -> String {
    const NAME_CHARS_MAX: usize = 256;
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// What a request has with it on its way.
pub(crate) struct Way<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) shape: Shape,
    pub(crate) id: &'a RequestId,
    pub(crate) open: OpenRecord,
    pub(crate) client: std::net::IpAddr,
    /// The other end of the connection: the client, or a proxy in front of it.
    pub(crate) peer: std::net::IpAddr,
    /// The most tokens that one request may have under the caller's limits.
    pub(crate) tokens_most: Option<u64>,
    /// Where it is among the model servers.
    pub(crate) progress: Progress,
    /// The house asks for itself: it is counted for nobody, and nothing of it is kept.
    pub(crate) is_own: bool,
    /// Nobody waits for it: it comes behind everybody who does.
    pub(crate) is_last: bool,
    /// A server has failed at it before.
    pub(crate) is_suspect: bool,
}

/// How a body says that it is coded, if it does (RFC 9110, section 8.4).
fn coding(headers: &HeaderMap) -> Option<String> {
    let coding = String::from_utf8_lossy(headers.get(CONTENT_ENCODING)?.as_bytes()).trim().to_ascii_lowercase();
    (!coding.is_empty() && coding != "identity").then(|| cut_name(&coding))
}

impl Way<'_> {
    /// For whom it is counted.
    pub(crate) fn who<'a>(&'a self, caller: &'a Caller) -> Who<'a> {
        let record = &self.open.record;
        // What a body says of its user opens no window and no turn of its own.
        let user = record.user_id.as_deref().filter(|_| !record.user_claimed);
        Who { caller, user, client: self.client }
    }

    /// Notes the end user whom the body names, unless a trusted header or the key said who it is.
    pub(crate) fn note_user(&mut self, user: Option<&str>) {
        const USER_CHARS_MAX: usize = 128;
        let record = &mut self.open.record;
        if let (None, Some(user)) = (&record.user_id, user) {
            record.user_id = Some(user.chars().take(USER_CHARS_MAX).collect());
            record.user_claimed = true;
        }
    }
}

/// How a request got through.
pub(crate) enum Passed {
    /// The answer is complete.
    Whole(Answer),
    /// The answer has begun.
    Streaming(Box<Begun>),
    /// A server's own answer is passed on.
    Managed(Box<Managed>),
}

/// Who the client says it is in a trace.
pub(crate) fn traceparent(head: &Parts) -> Option<&str> {
    head.headers.get("traceparent")?.to_str().ok()
}

/// The trace id of a `traceparent` header (W3C Trace Context, section 3.2.2).
fn trace_id(head: &Parts) -> Option<String> {
    let mut parts = traceparent(head)?.split('-');
    let (_version, id) = (parts.next()?, parts.next()?);
    let valid = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (valid && id.bytes().any(|byte| byte != b'0')).then(|| id.to_owned())
}
