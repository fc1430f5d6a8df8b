//! The HTTP client of all channels but mail: guarded addresses, bounds on time and size, no redirects, no secret in an error.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::timeout;
use tollhouse_outbound::{GuardedResolver, Trust, rare_client, retry_after, whole};
use tollhouse_units::chain;

use crate::error::{NotifyError, Trouble};
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
    http: tollhouse_outbound::Client<GuardedResolver>,
    /// Scheme and host, for errors.
    shown: String,
    /// What never stands in an error.
    secrets: Vec<String>,
}

impl Client {
    /// Reads the system's certificates where something is encrypted, so it blocks.
    pub(crate) fn new(url: &Url, secrets: Vec<String>) -> Result<Self, NotifyError> {
        let trust = Trust::of(None, url.expose().starts_with("https:"));
        let http = rare_client(GuardedResolver, &trust, CONNECT_TIME_MAX)?;
        let path = url.expose().splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let secrets = secrets.into_iter().chain([path]).filter(|secret| !secret.is_empty()).collect();
        Ok(Self { http, shown: url.shown(), secrets })
    }

    /// Sends, and gives the answer whatever its status is.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer, Trouble> {
        let request = request(outgoing).map_err(|error| Trouble::lasting(self.masked(&error.to_string())))?;
        let sending = async {
            let (head, body) = self.http.request(request).await.map_err(|error| chain(&error))?.into_parts();
            let body = whole(body, ANSWER_BYTES_MAX).await?;
            Ok::<_, String>(Answer { status: head.status, retry_after: retry_after(&head.headers), body })
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
