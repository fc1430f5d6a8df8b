//! Connections to the installation: one for each user, kept open between its requests.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tollhouse_outbound::{Connector, Trust, connector};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long an answer that comes whole may take.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(15);
/// Largest answer that comes whole, in bytes: a page of records.
const WHOLE_BYTES_MAX: usize = 32 << 20;
/// The id of a request, ours on the way there, the one it is recorded under on the way back.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where an installation is and with which key it is entered.
#[derive(Clone)]
pub(crate) struct Target {
    /// Without a slash at the end, and without `/v1`.
    base: String,
    key: Option<HeaderValue>,
    connector: Connector,
}

/// A connection of one's own.
pub(crate) struct Line {
    target: Target,
    client: tollhouse_outbound::Client,
}

impl Target {
    pub(crate) fn new(url: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let uri: Uri = base.parse().with_context(|| format!("{url} is no address"))?;
        let key = key.map(|key| HeaderValue::try_from(format!("Bearer {key}")));
        let mut key = key.transpose().context("the key has characters in it that no key has")?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        let trust = match uri.scheme_str() {
            Some("http") => Trust::Nobody,
            Some("https") => Trust::System,
            _ => bail!("{url} is no address: it begins with http:// or https://"),
        };
        let connector = connector(GaiResolver::new(), &trust, CONNECT_TIME_MAX)?;
        Ok(Self { base, key, connector })
    }

    /// The address, as it is shown.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A connection that nobody else uses; it is opened by its first request.
    pub(crate) fn line(&self) -> Line {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(1);
        Line { target: self.clone(), client: builder.build(self.connector.clone()) }
    }
}

impl Line {
    /// Sends a request; resolves with the head of its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        id: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.target.base).parse().map_err(|_| Failed::other("no address"))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.target.key.clone().map(|key| (AUTHORIZATION, key)));
        headers.extend(id.cloned().map(|id| (REQUEST_ID, id)));
        self.client.request(request).await.map_err(|error| Failed::of(&error))
    }

    /// Asks for JSON that comes whole; the body is null when it is none.
    pub(crate) async fn json(&self, method: Method, path: &str, body: Bytes) -> Result<Whole, Failed> {
        let asked = async {
            let (head, body) = self.send(method, path, body, None).await?.into_parts();
            let body = Limited::new(body, WHOLE_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Failed::other(&error.to_string()))?.to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            Ok(Whole { status: head.status, headers: head.headers, body })
        };
        let late = || Failed::other(&format!("no answer within {} s", WHOLE_TIME_MAX.as_secs()));
        tokio::time::timeout(WHOLE_TIME_MAX, asked).await.map_err(|_| late())?
    }
}

/// An answer that came whole.
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Why there was no answer at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    /// There was not even a connection.
    pub(crate) unconnected: bool,
    pub(crate) message: String,
}

impl Failed {
    fn of(error: &Error) -> Self {
        Self { unconnected: error.is_connect(), message: last_cause(error) }
    }

    pub(crate) fn other(message: &str) -> Self {
        Self { unconnected: false, message: message.to_owned() }
    }
}

/// The innermost cause: what the system says, without the layers that passed it on.
pub(crate) fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (url, base) in [
            ("http://127.0.0.1:18789", "http://127.0.0.1:18789"),
            ("http://127.0.0.1:18789/", "http://127.0.0.1:18789"),
            ("http://house:80/v1", "http://house:80"),
            ("http://[::1]:18789/v1/", "http://[::1]:18789"),
            ("http://house/llm/v1", "http://house/llm"),
        ] {
            assert_eq!(Target::new(url, None).map(|target| target.base).ok().as_deref(), Some(base), "{url}");
        }
        for wrong in ["", "127.0.0.1:18789", "ftp://house", "http://a b"] {
            assert!(Target::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(Target::new("http://house", Some("a\nb")).is_err());
    }
}
