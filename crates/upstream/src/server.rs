//! One model server: sending a chat, watching over its silence, asking for its health and its models.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tollhouse_dialect::ChatRequest;
use tollhouse_dialect::ollama::OllamaDefaults;

use crate::breaker::{Breaker, PROBE_EVERY};
use crate::client::Client;
use crate::error::Cause;
use crate::kind::Listed;
use crate::listing::{Known, Listing};
use crate::stream::{EventStream, Live, chain};
use crate::{Kind, SetupError, Timeouts, UpstreamSpec};

/// How long a health address may take.
pub const HEALTH_LIMIT: Duration = Duration::from_millis(300);
/// Largest answer that may come whole, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a list of models may take.
const LIST_LIMIT: Duration = Duration::from_secs(1);
/// Largest list of models, in bytes.
const LIST_BYTES_MAX: usize = 8 << 20;
/// How much of the body of an error is read, and for how long.
const ERROR_BYTES_MAX: usize = 64 * 1024;
const ERROR_LIMIT: Duration = Duration::from_secs(2);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) breaker: Breaker,
    chat: Uri,
    list: Uri,
    health: Uri,
    headers: HeaderMap,
    client: Client,
    timeouts: Timeouts,
    listing: Listing,
}

/// An answer whose first event is there.
pub(crate) struct Answer {
    pub(crate) connect_ms: f64,
    pub(crate) first_byte_ms: f64,
    pub(crate) events: EventStream,
}

impl Server {
    pub(crate) fn new(spec: &UpstreamSpec, client: Client, timeouts: Timeouts) -> Result<Self, SetupError> {
        let base = base(spec)?;
        let paths = spec.kind.paths();
        let wrong = |problem| SetupError::Url { name: spec.name.clone(), url: spec.url.clone(), problem };
        let at = |path: &str| format!("{base}{path}").parse::<Uri>().map_err(|_| wrong("is not a URL"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Nothing is unpacked here, so nothing packed is asked for.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static("tollhouse"));
        if let Some(key) = spec.key.as_ref().filter(|key| !key.is_empty()) {
            let value = HeaderValue::try_from(format!("Bearer {key}"));
            let mut value = value.map_err(|_| SetupError::Key(spec.name.clone()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            name: spec.name.as_str().into(),
            kind: spec.kind,
            url: base.to_owned(),
            breaker: Breaker::new(),
            chat: at(paths.chat)?,
            list: at(paths.list)?,
            health: at(paths.health)?,
            headers,
            client,
            timeouts,
            listing: Listing::default(),
        })
    }

    /// Sends the chat and waits for the first event of the answer, or for the whole answer where it is not streamed.
    pub(crate) async fn chat(
        self: &Arc<Self>,
        request: &ChatRequest,
        model: &str,
        defaults: &OllamaDefaults,
        traceparent: Option<&str>,
        deadline: Instant,
    ) -> Result<Answer, Cause> {
        if let Some(reason) = self.breaker.reason() {
            return Err(Cause::Open(reason));
        }
        let body = self.kind.write_chat(request, model, defaults)?;
        let mut message = self.message(Method::POST, &self.chat, body.into());
        if let Some(value) = traceparent.and_then(|value| HeaderValue::from_str(value).ok()) {
            message.headers_mut().insert(TRACEPARENT, value);
        }
        let began = Instant::now();
        let (limit, too_late) = if request.stream {
            (self.timeouts.first_byte, Cause::FirstByte(self.timeouts.first_byte))
        } else {
            (self.timeouts.total, Cause::Total(self.timeouts.total))
        };
        let signs = Signs::new(began);
        let opened = self.breaker.watch().opened();
        let result = tokio::select! {
            biased;
            answer = self.exchange(message, request.stream, &signs, deadline) => answer,
            reason = opened => Err(Cause::Opened(reason)),
            () = self.silence(&signs) => Err(Cause::Silent),
            () = sleep_until((began + limit).min(deadline)) => Err(too_late),
        };
        if let Err(cause) = &result {
            self.learn(cause);
        }
        result
    }

    async fn exchange(
        &self,
        mut message: Request<Full<Bytes>>,
        streamed: bool,
        signs: &Signs,
        deadline: Instant,
    ) -> Result<Answer, Cause> {
        let captured = capture_connection(&mut message);
        let mut response = pin!(self.client.request(message));
        let connecting = async {
            let mut captured = captured;
            captured.wait_for_connection_metadata().await;
        };
        let early = tokio::select! {
            biased;
            response = &mut response => Some(response),
            () = connecting => None,
            () = sleep(self.timeouts.connect) => {
                return Err(Cause::Connect(format!("no connection within {:?}", self.timeouts.connect)));
            }
        };
        let connect_ms = signs.elapsed_ms();
        signs.sign();
        let response = match early {
            Some(response) => response,
            None => response.await,
        };
        let response = response.map_err(|error| {
            if error.is_connect() { Cause::Connect(chain(&error)) } else { Cause::Lost(chain(&error)) }
        })?;
        signs.sign();
        self.breaker.succeeded();
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        let first_byte_ms = signs.elapsed_ms();
        let streamed = streamed && !comes_whole(&response, self.kind)?;
        let body = response.into_body();
        if !streamed {
            let whole = read_whole(body, signs).await?;
            let events = EventStream::ready(self.kind.parse_completion(&whole)?);
            return Ok(Answer { connect_ms, first_byte_ms, events });
        }
        let Timeouts { idle, total, .. } = self.timeouts;
        let mut live = Live::new(Arc::clone(&self.name), body, self.kind.decoder(), idle, total, deadline);
        live.begin(|| signs.sign()).await?;
        Ok(Answer { connect_ms, first_byte_ms: signs.elapsed_ms(), events: EventStream::live(live) })
    }

    /// Returns when the server gives no sign of life at all: no byte for `silent`, and none from its health address.
    async fn silence(&self, signs: &Signs) {
        let silent = self.timeouts.silent;
        let mut checked = signs.origin;
        loop {
            let Some(last) = signs.last() else {
                // Not connected yet; that has a limit of its own.
                sleep(silent).await;
                continue;
            };
            let due = last.max(checked) + silent;
            if Instant::now() < due {
                sleep_until(due).await;
                continue;
            }
            let healthy = self.is_healthy().await;
            checked = Instant::now();
            if !healthy && signs.last() == Some(last) {
                return;
            }
        }
    }

    /// Counts a failure, and opens the breaker where it is due.
    fn learn(self: &Arc<Self>, cause: &Cause) {
        let opened = match cause {
            Cause::Silent => self.breaker.open("it does not answer, not even at its health address"),
            Cause::Connect(text) => self.breaker.failed(&format!("no connection: {text}")),
            Cause::Lost(text) => self.breaker.failed(&format!("connection lost before an answer: {text}")),
            Cause::Status { status: 404, .. } => {
                self.listing.expire();
                false
            }
            _ => false,
        };
        if opened {
            tracing::warn!(upstream = &*self.name, reason = %cause, "requests to this upstream are refused until it answers");
            tokio::spawn(probe(Arc::downgrade(self)));
        }
    }

    /// Whether the server answers at its health address within [`HEALTH_LIMIT`]; an error of the server's is no answer.
    pub(crate) async fn is_healthy(&self) -> bool {
        let ask = async {
            let response = self.client.request(self.message(Method::GET, &self.health, Bytes::new())).await.ok()?;
            let healthy = response.status().as_u16() < 500;
            // Read to the end so that the connection can be used again.
            let _ = Limited::new(response.into_body(), LIST_BYTES_MAX).collect().await;
            Some(healthy)
        };
        timeout(HEALTH_LIMIT, ask).await.ok().flatten().unwrap_or(false)
    }

    /// The server's models as last heard.
    pub(crate) fn known_models(&self) -> Known {
        self.listing.known()
    }

    /// The server's models, heard again if that is longer ago than `age_max`.
    pub(crate) async fn models(&self, age_max: Duration) -> Known {
        if self.breaker.reason().is_some() {
            return self.known_models();
        }
        self.listing.fresh(age_max, async { timeout(LIST_LIMIT, self.ask_models()).await.ok().flatten() }).await
    }

    async fn ask_models(&self) -> Option<Vec<Listed>> {
        let response = self.client.request(self.message(Method::GET, &self.list, Bytes::new())).await.ok()?;
        let good = response.status() == StatusCode::OK;
        let body = Limited::new(response.into_body(), LIST_BYTES_MAX).collect().await.ok()?.to_bytes();
        if good { self.kind.parse_list(&body).ok() } else { None }
    }

    fn message(&self, method: Method, uri: &Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut message = Request::new(Full::new(body));
        *message.method_mut() = method;
        *message.uri_mut() = uri.clone();
        message.headers_mut().clone_from(&self.headers);
        message
    }
}

/// Asks a server that does not answer until it does; lives no longer than the server's breaker is open.
async fn probe(server: std::sync::Weak<Server>) {
    loop {
        sleep(PROBE_EVERY).await;
        let Some(server) = server.upgrade() else { return };
        if server.is_healthy().await {
            server.breaker.close();
            tracing::info!(upstream = &*server.name, "this upstream answers again");
            return;
        }
    }
}

fn base(spec: &UpstreamSpec) -> Result<&str, SetupError> {
    let wrong = |problem| SetupError::Url { name: spec.name.clone(), url: spec.url.clone(), problem };
    let base = spec.url.trim_end_matches('/');
    let uri: Uri = base.parse().map_err(|_| wrong("is not a URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("must begin with http:// or https:// and a host"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("must begin with http:// or https://"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong("must not hold a password, use `key`"));
    }
    if uri.query().is_some() {
        return Err(wrong("must not have a query"));
    }
    Ok(base)
}

/// When a request began and when its server last gave a sign of life; shared by the one who reads and the one who watches.
struct Signs {
    origin: Instant,
    /// Microseconds after `origin`; `u64::MAX` before there is a connection.
    last_us: AtomicU64,
}

impl Signs {
    fn new(origin: Instant) -> Self {
        Self { origin, last_us: AtomicU64::new(u64::MAX) }
    }

    fn sign(&self) {
        self.last_us.store(self.origin.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        match self.last_us.load(Ordering::Relaxed) {
            u64::MAX => None,
            us => Some(self.origin + Duration::from_micros(us)),
        }
    }

    fn elapsed_ms(&self) -> f64 {
        self.origin.elapsed().as_secs_f64() * 1e3
    }
}

/// Whether an answer to a request for a stream comes in one piece all the same; an error when it is no answer at all.
fn comes_whole(response: &Response<Incoming>, kind: Kind) -> Result<bool, Cause> {
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(encoding) = header(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(Cause::Read(format!("the answer is encoded as {encoding}, which was not asked for")));
    }
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    Ok(kind == Kind::OpenAi && content_type.starts_with("application/json"))
}

/// Reads an answer that comes whole.
async fn read_whole(mut body: Incoming, signs: &Signs) -> Result<Bytes, Cause> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        signs.sign();
        let frame = frame.map_err(|error| Cause::Read(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(Cause::Read(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// What an answer with another status than 200 says.
async fn refusal(response: Response<Incoming>) -> Cause {
    let status = response.status().as_u16();
    // Seconds only: servers of models do not send the form with a date.
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = timeout(ERROR_LIMIT, Limited::new(response.into_body(), ERROR_BYTES_MAX).collect()).await;
    let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Cause::status(status, &body, retry_after.map(Duration::from_secs))
}
