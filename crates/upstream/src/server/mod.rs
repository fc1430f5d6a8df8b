//! One model server: where it is, how it is, and what it has told about itself.

mod exchange;
mod ollama;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, sleep, timeout};

pub use self::exchange::ANSWER_BYTES_MAX;
pub(crate) use self::exchange::{AnswerBody, Outbound};
pub use self::ollama::{NUM_CTX_MAX, NUM_CTX_MIN, VOCABULARY_BYTES_MAX};
pub(crate) use self::ollama::{RUNNING_AGE_MAX, Running};
use crate::breaker::{Breaker, Failure, PROBE_EVERY, State};
use crate::client::{Client, Incoming};
use crate::error::Cause;
use crate::flow::Flow;
use crate::kept::{Kept, Known};
use crate::kind::Listed;
use crate::loads::Loads;
use crate::scheduler::{Gate, Lane};
use crate::{Kind, Settings, SetupError, Timeouts, UpstreamSpec};

/// How long a health address may take.
pub const HEALTH_LIMIT: Duration = Duration::from_millis(300);
/// How long a list of models, or of what is loaded, may take.
const LIST_LIMIT: Duration = Duration::from_secs(1);
/// Largest list of models, in bytes.
const LIST_BYTES_MAX: usize = 8 << 20;

/// A server as it is configured, and what is known of it.
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) state: Arc<ServerState>,
    restart: Duration,
    /// Somebody starts it anew when it says nothing any more.
    is_kept: bool,
    health: Uri,
    list: Uri,
    /// The addresses that requests go to, by their paths.
    work: Vec<(&'static str, Uri)>,
    headers: HeaderMap,
    client: Client,
}

/// What is known of a server; outlives a change of the configuration.
pub(crate) struct ServerState {
    pub(crate) lane: Lane,
    pub(crate) breaker: Breaker,
    pub(crate) loads: Loads,
    pub(crate) flow: Flow,
    listing: Arc<Kept<[Listed]>>,
    ollama: ollama::Memory,
    /// Held while the lane is told what the breaker says, so that what it was told last is what is so.
    gate: Mutex<()>,
    watch: Mutex<Watch>,
}

/// Who asks a server that does not answer until it does.
#[derive(Default)]
struct Watch {
    /// The server as it was configured last.
    server: Weak<Server>,
    /// Whether it is asked: by one task, however many requests fail.
    runs: bool,
}

impl ServerState {
    pub(crate) fn new(lane: Lane) -> Arc<Self> {
        let (breaker, loads, listing) = (Breaker::new(), Loads::default(), Arc::default());
        let flow = Flow::default();
        let (ollama, gate, watch) = (ollama::Memory::default(), Mutex::new(()), Mutex::default());
        Arc::new(Self { lane, breaker, loads, flow, listing, ollama, gate, watch })
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants_watching(&self) -> bool {
        matches!(self.breaker.state(), State::Open(_) | State::Held(_))
    }
}

impl Server {
    pub(crate) fn new(
        spec: &UpstreamSpec,
        client: Client,
        settings: &Settings,
        state: Arc<ServerState>,
    ) -> Result<Self, SetupError> {
        let base = base(spec)?;
        let paths = spec.kind.paths();
        let wrong = |problem| SetupError::Url { name: spec.name.clone(), url: spec.url.clone(), problem };
        let at = |path: &str| format!("{base}{path}").parse::<Uri>().map_err(|_| wrong("is not a URL"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Nothing is unpacked here, so nothing packed is asked for.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static("tollhouse"));
        let key = spec.key.as_deref().filter(|key| !key.is_empty());
        spec.kind.show_key(key, &mut headers).map_err(|_| SetupError::Key(spec.name.clone()))?;
        Ok(Self {
            name: spec.name.as_str().into(),
            kind: spec.kind,
            url: base.to_owned(),
            timeouts: settings.timeouts,
            state,
            restart: settings.restart,
            is_kept: settings.kept.contains(&spec.name),
            health: at(paths.health)?,
            list: at(paths.list)?,
            work: paths.work.iter().map(|path| Ok((*path, at(path)?))).collect::<Result<_, SetupError>>()?,
            headers,
            client,
        })
    }

    /// Whether the requests of this server wait for it, because it may be restarting.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.state.breaker.state(), State::Held(_))
    }

    /// Whether somebody waits behind the answers that it writes: in the queue, or sent and without an answer.
    pub(crate) fn is_waited_for(&self) -> bool {
        let seen = self.state.lane.seen();
        seen.waiting > 0 || seen.running > self.state.flow.begun()
    }

    /// Counts a failure, and holds or opens the breaker where it is due.
    fn learn(self: &Arc<Self>, cause: &Cause) {
        let fail = |failure, reason: String| self.state.breaker.failed(failure, &reason, Instant::now());
        let changed = match cause {
            Cause::Silent => {
                let failure = if self.is_kept { Failure::Stuck } else { Failure::Silent };
                fail(failure, "it does not answer, not even at its health address".to_owned())
            }
            Cause::Connect(text) | Cause::Gone(text) => fail(Failure::Unreachable, format!("no connection: {text}")),
            Cause::Lost(text) => fail(Failure::Lost, format!("connection lost before an answer: {text}")),
            Cause::Status { status: 404, .. } => {
                self.state.listing.expire();
                None
            }
            Cause::Status { status: 429 | 503, retry_after: Some(wait), .. } => {
                self.state.lane.rest((*wait).min(crate::error::RETRY_MAX));
                None
            }
            _ => None,
        };
        let Some(state) = changed else { return };
        match &state {
            State::Held(_) => {
                tracing::warn!(upstream = &*self.name, reason = %cause, "requests to this upstream wait: it may be restarting");
            }
            _ => {
                tracing::warn!(upstream = &*self.name, reason = %cause, "requests to this upstream are refused until it answers");
            }
        }
        self.pass_as_breaker_says();
        self.watch_until_well();
    }

    /// The server answered a request.
    fn answered(&self) {
        if self.state.breaker.answered().is_some() {
            tracing::info!(upstream = &*self.name, "this upstream answers again");
            self.pass_as_breaker_says();
        }
    }

    pub(crate) fn pass_as_breaker_says(&self) {
        let _one = self.state.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lane.set_gate(match self.state.breaker.state() {
            State::Closed => Gate::Open,
            State::HalfOpen(_) => Gate::Trial,
            State::Held(_) => Gate::Held,
            State::Open(_) => Gate::Shut,
        });
    }

    /// Makes this the one that is asked from now on when the server is not well: its configuration is in force.
    pub(crate) fn takes_over(self: &Arc<Self>) {
        self.state.watch().server = Arc::downgrade(self);
    }

    /// Has the health address asked until the breaker is neither open nor held, unless that is so or somebody does.
    pub(crate) fn watch_until_well(&self) {
        let mut watch = self.state.watch();
        if !watch.runs && self.state.wants_watching() {
            watch.runs = true;
            tokio::spawn(probe(Arc::clone(&self.state)));
        }
    }

    /// Whether the server answers at its health address within [`HEALTH_LIMIT`]; an error of the server's is no answer.
    pub(crate) async fn is_healthy(&self) -> bool {
        let ask = async {
            let response = self.client.ask(&self.message(Method::GET, &self.health, Bytes::new())).await.ok()?;
            let healthy = response.status().as_u16() < 500;
            // Read to the end so that the connection can be used again.
            let _ = Limited::new(response.into_body(), LIST_BYTES_MAX).collect().await;
            Some(healthy)
        };
        timeout(HEALTH_LIMIT, ask).await.ok().flatten().unwrap_or(false)
    }

    /// The server's models as last heard.
    fn known_models(&self) -> Known<[Listed]> {
        self.state.listing.known()
    }

    /// The server's models, heard again if that is longer ago than `age_max`.
    pub(crate) async fn models(&self, age_max: Duration) -> Known<[Listed]> {
        if self.state.breaker.refuses().is_some() {
            return self.known_models();
        }
        self.state.listing.fresh(age_max, self.ask_models()).await
    }

    /// The server's models as last heard, heard again in the background if that is longer ago than `age_max`.
    pub(crate) fn models_now(self: &Arc<Self>, age_max: Duration) -> Known<[Listed]> {
        if self.state.breaker.refuses().is_some() {
            return self.known_models();
        }
        let server = Arc::clone(self);
        self.state.listing.now(age_max, || async move { server.ask_models().await })
    }

    /// The same, but waited for a moment where what is known cannot be believed.
    pub(crate) async fn models_soon(self: &Arc<Self>, age_max: Duration) -> Known<[Listed]> {
        if self.state.breaker.refuses().is_some() {
            return self.known_models();
        }
        let server = Arc::clone(self);
        self.state.listing.soon(age_max, || async move { server.ask_models().await }).await
    }

    /// The server may have other models now, or others under the same names.
    pub(crate) fn expire_models(&self) {
        self.state.listing.expire();
        self.state.ollama.expire();
    }

    async fn ask_models(&self) -> Option<Arc<[Listed]>> {
        let body = self.ask(Method::GET, &self.list, Bytes::new(), LIST_LIMIT, LIST_BYTES_MAX).await?;
        Some(self.kind.parse_list(&body).ok()?.into())
    }

    /// Asks the server for something about itself; `None` for anything but a good answer in time.
    async fn ask(&self, method: Method, uri: &Uri, body: Bytes, limit: Duration, bytes_max: usize) -> Option<Bytes> {
        let ask = async {
            let response = self.client.ask(&self.message(method, uri, body)).await.ok()?;
            let good = response.status() == StatusCode::OK;
            let body = Limited::new(response.into_body(), bytes_max).collect().await.ok()?.to_bytes();
            good.then_some(body)
        };
        timeout(limit, ask).await.ok().flatten()
    }

    /// Passes a call on and waits for the head of the answer.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Cause> {
        if let Some(reason) = self.state.breaker.refuses() {
            return Err(Cause::Open(reason));
        }
        let message = self.message(method, &self.uri(path)?, body);
        let limit = self.timeouts.first_byte;
        // Never twice: it changes something.
        let send = async { self.client.connection(message.uri()).await?.send(&message).await };
        timeout(limit, send).await.map_err(|_| Cause::FirstByte(limit))?.map_err(|error| Cause::no_answer(&error))
    }

    fn message(&self, method: Method, uri: &Uri, body: Bytes) -> Request<Bytes> {
        let mut message = Request::new(body);
        *message.method_mut() = method;
        *message.uri_mut() = uri.clone();
        message.headers_mut().clone_from(&self.headers);
        message
    }

    /// The address of a path; those that requests go to are at hand.
    fn uri(&self, path: &str) -> Result<Uri, Cause> {
        if let Some((_, uri)) = self.work.iter().find(|(known, _)| *known == path) {
            return Ok(uri.clone());
        }
        let uri = format!("{}{path}", self.url).parse::<Uri>();
        uri.map_err(|error| Cause::Unsupported { message: format!("the path {path:?}: {error}") })
    }
}

/// Asks a server that does not answer until it does; lives no longer than its breaker is open or held, and than somebody
/// has the server configured.
async fn probe(state: Arc<ServerState>) {
    while let Some(server) = watched(&state) {
        let healthy = server.is_healthy().await;
        if state.breaker.probed(healthy, server.restart, Instant::now()).is_some() {
            server.pass_as_breaker_says();
            match state.breaker.state() {
                State::Open(reason) => {
                    tracing::warn!(upstream = &*server.name, %reason, "this upstream did not come back; its requests are refused");
                }
                state => {
                    tracing::info!(
                        upstream = &*server.name,
                        breaker = state.name(),
                        "this upstream answers at its health address"
                    );
                }
            }
        }
        drop(server);
        if state.wants_watching() {
            sleep(PROBE_EVERY).await;
        }
    }
}

/// The server to ask, while there is one that has to be asked. Decided under the lock, so that one that fails just when
/// the watch over it ends is watched again.
fn watched(state: &ServerState) -> Option<Arc<Server>> {
    let mut watch = state.watch();
    let server = watch.server.upgrade().filter(|_| state.wants_watching());
    watch.runs = server.is_some();
    server
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Upstreams;

    #[tokio::test]
    async fn one_task_watches_a_server_however_often_it_fails() {
        let spec = UpstreamSpec {
            name: "a".to_owned(),
            kind: Kind::Ollama,
            url: "http://127.0.0.1:9".to_owned(),
            key: None,
            parallel: None,
        };
        let new = || Upstreams::new(vec![spec.clone()], Vec::new(), Settings::default()).expect("set up");
        let first = new();
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let server = |upstreams: &Upstreams| Arc::clone(upstreams.inner.backends[0].server().expect("a server"));
        for _ in 0..5 {
            server(&first).learn(&Cause::Silent);
            server(&first).watch_until_well();
        }
        assert_eq!(tasks(), 1);
        // Nor does another one by a change of the configuration, and the new server is the one that is asked.
        let second = first.reconfigured(vec![spec.clone()], Vec::new(), Settings::default()).expect("set up");
        let old = server(&first);
        drop(first);
        old.learn(&Cause::Silent);
        assert_eq!(tasks(), 1);
        drop(old);
        let state = Arc::clone(&server(&second).state);
        let asked = watched(&state).expect("still watched");
        assert!(Arc::ptr_eq(&asked, &server(&second)));
        drop((asked, second));
        assert!(watched(&state).is_none(), "nobody has it configured any more");
    }
}
