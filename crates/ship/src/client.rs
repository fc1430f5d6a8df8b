//! The HTTP client of one cluster: its nodes in turn, our login, and a bound on each answer.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use tollhouse_outbound::{Trust, connector, retry_after, whole};
use tollhouse_units::chain;

use crate::error::ShipError;
use crate::settings::Login;
use crate::trouble::{State, Trouble};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a request may take, from connecting to the last byte of the answer: longer than a cluster waits for a shard.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);
/// Largest answer, in bytes: that to a full batch of which every document was refused, or a page of ids.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// After this time without a request a connection is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// Asks one cluster.
#[derive(Debug)]
pub struct Client {
    http: tollhouse_outbound::Client,
    urls: Vec<String>,
    /// Which of them is asked.
    turn: AtomicUsize,
    authorization: Option<HeaderValue>,
}

/// The body of a request.
#[derive(Debug)]
pub enum Body {
    /// None at all.
    None,
    /// One JSON value.
    Json(Bytes),
    /// JSON lines.
    Lines(Bytes),
    /// JSON lines, compressed with gzip.
    PackedLines(Bytes),
    /// A message of protocol buffers, compressed with gzip; an answer in the same form is asked for.
    PackedProtobuf(Bytes),
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
    /// Its body; at most 32 MiB.
    pub body: Bytes,
}

impl Client {
    /// A client of the cluster that is called `name` in the configuration. `urls` are its nodes, at least one, without a
    /// slash at the end; `ca` is a PEM file of the authorities that its certificate may come from, the system's when
    /// absent. Reads files of certificates, so it blocks.
    pub fn new(name: &str, urls: &[String], login: Option<&Login>, ca: Option<&Path>) -> Result<Self, ShipError> {
        for url in urls {
            let is_address = url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some());
            if !is_address {
                return Err(ShipError::Address(url.clone()));
            }
        }
        let is_encrypted = urls.iter().any(|url| url.starts_with("https:"));
        let connector = connector(GaiResolver::new(), &Trust::of(ca, is_encrypted), CONNECT_TIME_MAX)?;
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(1)
            .build(connector);
        let authorization = login.map(authorization).transpose();
        let authorization = authorization.map_err(|_| ShipError::Login(name.to_owned()))?;
        Ok(Self { http, urls: urls.to_vec(), turn: AtomicUsize::new(0), authorization })
    }

    /// The node that is asked now.
    pub fn url(&self) -> &str {
        &self.urls[self.turn.load(Ordering::Relaxed) % self.urls.len()]
    }

    /// From now on the next node is asked.
    pub fn turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks, and gives the whole answer whatever its status is.
    pub async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Answer, Trouble> {
        let url = self.url();
        let unreachable = |text: String| Trouble::new(State::Unreachable, format!("{url}: {text}"));
        let request = self.request(method, path, body).map_err(|error| unreachable(error.to_string()))?;
        let asking = async {
            let (head, body) = self.http.request(request).await.map_err(|error| chain(&error))?.into_parts();
            let body = whole(body, ANSWER_BYTES_MAX).await?;
            Ok(Answer { status: head.status, retry_after: retry_after(&head.headers), body })
        };
        match timeout(ANSWER_TIME_MAX, asking).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(unreachable(format!("no answer within {ANSWER_TIME_MAX:?}"))),
        }
    }

    /// Asks, and takes anything but success for trouble.
    pub async fn ask_well(&self, method: Method, path: &str, body: Body) -> Result<Bytes, Trouble> {
        let Answer { status, retry_after, body } = self.ask(method, path, body).await?;
        if status.is_success() { Ok(body) } else { Err(Trouble::of_answer(status, &body, retry_after)) }
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Full<Bytes>>, http::Error> {
        let accepted =
            if matches!(body, Body::PackedProtobuf(_)) { "application/x-protobuf" } else { "application/json" };
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.url())).header(ACCEPT, accepted);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match body {
            Body::None => request.body(Full::default()),
            Body::Json(json) => request.header(CONTENT_TYPE, "application/json").body(Full::new(json)),
            Body::Lines(lines) => request.header(CONTENT_TYPE, "application/x-ndjson").body(Full::new(lines)),
            Body::PackedLines(lines) => request
                .header(CONTENT_TYPE, "application/x-ndjson")
                .header(CONTENT_ENCODING, "gzip")
                .body(Full::new(lines)),
            Body::PackedProtobuf(message) => request
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header(CONTENT_ENCODING, "gzip")
                .body(Full::new(message)),
        }
    }
}

fn authorization(login: &Login) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let text = match login {
        Login::User { name, password } => format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))),
        Login::ApiKey(key) => format!("ApiKey {key}"),
        Login::Bearer(token) => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}
