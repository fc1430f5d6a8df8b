//! The HTTP client: pooled HTTP/1.1 connections, with TLS only where a server needs it.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::SetupError;

/// What one connection buffers while reading, and so the largest head of an answer, in bytes. Of fixed size, so that a
/// thousand fast streams take no more memory than slow ones.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// Most unused connections kept per server.
const POOL_IDLE_MAX: usize = 256;
/// After this time without traffic the system begins to ask whether the other end is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// A client; cheap to clone, all clones share the pool.
#[derive(Clone)]
pub(crate) enum Client {
    Http(legacy::Client<HttpConnector, Full<Bytes>>),
    Https(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Client {
    /// A client without TLS, which is made in no time.
    pub(crate) fn http(connect: Duration) -> Self {
        Self::Http(builder().build(connector(connect)))
    }

    /// A client with TLS; reads the system's trusted certificates.
    pub(crate) fn https(connect: Duration) -> Result<Self, SetupError> {
        let mut connector = connector(connect);
        connector.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(SetupError::Roots)?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self::Https(builder().build(tls)))
    }

    pub(crate) fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Http(client) => client.request(request),
            Self::Https(client) => client.request(request),
        }
    }
}

fn connector(connect: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector
}

fn builder() -> legacy::Builder {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .http1_read_buf_exact_size(READ_BUFFER_BYTES);
    builder
}
