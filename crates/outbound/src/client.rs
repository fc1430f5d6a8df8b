//! Connections to others, and their answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tollhouse_units::chain;

use crate::trust::{OutboundError, Trust};

/// Opens connections with and without TLS.
pub type Connector<R = GaiResolver> = HttpsConnector<HttpConnector<R>>;

/// A client that speaks HTTP/1.1 with and without TLS.
pub type Client<R = GaiResolver, B = Full<Bytes>> = hyper_util::client::legacy::Client<Connector<R>, B>;

/// Opens connections by `resolver`, each within `connect`. Reads certificates, so it blocks.
pub fn connector<R>(resolver: R, trust: &Trust, connect: Duration) -> Result<Connector<R>, OutboundError> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(trust.tls()?);
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

/// A client for rare questions: no connection is kept for the next one. Reads certificates, so it blocks.
pub fn rare_client<R, B>(resolver: R, trust: &Trust, connect: Duration) -> Result<Client<R, B>, OutboundError>
where
    Connector<R>: hyper_util::client::legacy::connect::Connect + Clone,
    B: Body + Send,
    B::Data: Send,
{
    let connector = connector(resolver, trust, connect)?;
    Ok(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

/// Encrypts a connection to `host`, a name or an address (that of IPv6 with brackets or without), for what does not speak HTTP.
/// `tls` is whom to trust ([`Trust::tls`]). It waits as long as the other side does: the time is the caller's to bound.
pub async fn encrypted(stream: TcpStream, host: &str, tls: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(tls).connect(name, stream).await
}

/// A body, whole; the error says why there is none, or that it is longer than `bytes_max`.
pub async fn whole(body: Incoming, bytes_max: usize) -> Result<Bytes, String> {
    Ok(Limited::new(body, bytes_max).collect().await.map_err(|error| chain(&*error))?.to_bytes())
}

/// How long an answer asks us to wait (RFC 9110, section 10.2.3). Only seconds: the other form, a date, is not used by the
/// servers that we ask and what stands before them.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
