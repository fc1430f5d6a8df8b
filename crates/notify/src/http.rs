//! The HTTP client of all channels but mail: guarded addresses, bounds on time and size, no redirects, no secret in an error.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tollhouse_units::chain;

use crate::error::{NotifyError, Trouble};
use crate::guard::GuardedResolver;
use crate::settings::Url;
use crate::text::shortened;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a request may take, from connecting to the last byte of the answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// So much of an answer is told in an error.
const TOLD_BYTES_MAX: usize = 300;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Sends to one host.
#[derive(Debug)]
pub(crate) struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>,
    /// Scheme and host, for errors.
    shown: String,
    /// What never stands in an error.
    secrets: Vec<String>,
}

impl Client {
    /// Reads the system's certificates where something is encrypted, so it blocks.
    pub(crate) fn new(url: &Url, secrets: Vec<String>) -> Result<Self, NotifyError> {
        let mut connector = HttpConnector::new_with_resolver(GuardedResolver);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(url.expose().starts_with("https:"))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // Messages are rare: no connection is kept for the next one.
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let path = url.expose().splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let secrets = secrets.into_iter().chain([path]).filter(|secret| !secret.is_empty()).collect();
        Ok(Self { http, shown: url.shown(), secrets })
    }

    /// Sends, and gives the answer whatever its status is.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer, Trouble> {
        let request = request(outgoing).map_err(|error| Trouble::lasting(self.masked(&error.to_string())))?;
        let sending = async {
            let answer = self.http.request(request).await.map_err(|error| chain(&error))?;
            whole(answer).await
        };
        match timeout(ANSWER_TIME_MAX, sending).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(text)) => Err(Trouble::passing(self.masked(&format!("{}: {text}", self.shown)))),
            Err(_) => Err(Trouble::passing(format!("{}: no answer within {ANSWER_TIME_MAX:?}", self.shown))),
        }
    }

    /// Trouble by the status of an answer.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), Trouble> {
        if answer.status.is_success() {
            return Ok(());
        }
        let is_retryable = answer.status.is_server_error()
            || matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        Err(Trouble { is_retryable, retry_after: answer.retry_after, ..self.refused(answer, answer.status.as_str()) })
    }

    /// That the other side does not take it, in its own words.
    pub(crate) fn refused(&self, answer: &Answer, what: &str) -> Trouble {
        let told = String::from_utf8_lossy(&answer.body);
        let told = self.masked(&shortened(told.trim(), TOLD_BYTES_MAX));
        Trouble::lasting(format!("{} answered {what}: {told}", self.shown))
    }

    fn masked(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

fn request(outgoing: Outgoing) -> Result<Request<Full<Bytes>>, http::Error> {
    let Outgoing { url, headers, body } = outgoing;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(USER_AGENT, "tollhouse")
        .header(CONTENT_TYPE, "application/json; charset=utf-8");
    for (name, value) in headers {
        let mut value = HeaderValue::try_from(value)?;
        value.set_sensitive(true);
        request = request.header(HeaderName::from_static(name), value);
    }
    request.body(Full::new(body.into()))
}

async fn whole(answer: Response<Incoming>) -> Result<Answer, String> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?.to_bytes();
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Answer { status: head.status, retry_after: retry_after.map(Duration::from_secs), body })
}

fn tls(is_encrypted: bool) -> Result<ClientConfig, NotifyError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NotifyError::Tls(error.into()))?;
    let builder = if is_encrypted {
        builder.with_native_roots().map_err(NotifyError::Roots)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
