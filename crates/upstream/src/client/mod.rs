//! The HTTP client: HTTP/1.1 over connections that are kept, with TLS only where a server needs it.
//!
//! A request has its connection for itself from the sending to the end of the answer. No task, queue or buffer lies between
//! them, so a stream that waits for the next token holds a socket and little else, and a request that is dropped closes
//! its connection.

mod connection;
mod framing;
mod incoming;
mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
use hyper::service::Service;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;

pub(crate) use self::connection::Connection;
use self::connection::Io;
use self::framing::Broken;
pub(crate) use self::incoming::Incoming;
use self::pool::Pool;
use crate::SetupError;

/// After this time without traffic the system begins to ask whether the other end is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no connection within {0:?}")]
    Late(Duration),
    #[error("no connection")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the address has no host")]
    NoHost,
    #[error("sending the request")]
    Send(#[source] std::io::Error),
    #[error("the connection broke")]
    Read(#[source] std::io::Error),
    #[error("the connection was closed before the end of the answer")]
    Closed,
    /// The same of a connection that was kept, when the request may have crossed its end: it was not even begun then.
    #[error("the server closed the connection that was kept")]
    Crossed,
    /// Then there was no new connection either: the server went away when it got the request.
    #[error("the server closed the connection that was kept, and there is no other")]
    Gone(#[source] Box<ClientError>),
    #[error("the answer is not HTTP/1.1")]
    Broken(#[from] Broken),
}

impl ClientError {
    /// What this means where it may be the end of a connection that was kept.
    fn crossed(self) -> Self {
        match self {
            Self::Send(_) | Self::Read(_) | Self::Closed => Self::Crossed,
            other => other,
        }
    }
}

/// A client; cheap to clone, all clones share the connections that are kept.
#[derive(Clone)]
pub(crate) struct Client {
    connector: Connector,
    connect: Duration,
    pool: Arc<Pool>,
}

#[derive(Clone)]
enum Connector {
    Http(TowerToHyperService<HttpConnector>),
    Https(TowerToHyperService<HttpsConnector<HttpConnector>>),
}

impl Client {
    /// A client without TLS, which is made in no time. `connect`: how long a connection may take to be there.
    pub(crate) fn http(connect: Duration) -> Self {
        Self::new(Connector::Http(TowerToHyperService::new(connector(connect))), connect)
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
        Ok(Self::new(Connector::Https(TowerToHyperService::new(tls)), connect))
    }

    fn new(connector: Connector, connect: Duration) -> Self {
        Self { connector, connect, pool: Arc::default() }
    }

    /// A connection to the server of this address: one that was kept, or a new one.
    pub(crate) async fn connection(&self, uri: &Uri) -> Result<Connection, ClientError> {
        match self.kept(uri)? {
            Some(kept) => Ok(kept),
            // In a box: few requests need a new one, and all would have to hold what it takes.
            None => Box::pin(self.new_connection(uri)).await,
        }
    }

    /// Sends a request and waits for the head of the answer. It goes out once more, on a new connection, where the server
    /// closed the one that was kept just then: servers close what is unused for some seconds, and say so to nobody. Only
    /// for what may be done twice (RFC 9112, section 9.3.1).
    pub(crate) async fn send(
        &self,
        connection: Connection,
        request: &Request<Bytes>,
    ) -> Result<Response<Incoming>, ClientError> {
        match connection.send(request).await {
            // In a box: few requests get here, and all would have to hold it.
            Err(ClientError::Crossed) => Box::pin(self.send_anew(request)).await,
            answer => answer,
        }
    }

    /// Asks for something that changes nothing.
    pub(crate) async fn ask(&self, request: &Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        self.send(self.connection(request.uri()).await?, request).await
    }

    async fn send_anew(&self, request: &Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let connection = self.new_connection(request.uri()).await;
        connection.map_err(|error| ClientError::Gone(Box::new(error)))?.send(request).await
    }

    fn kept(&self, uri: &Uri) -> Result<Option<Connection>, ClientError> {
        let authority = uri.authority().ok_or(ClientError::NoHost)?;
        Ok(self.pool.take(authority).map(|io| Connection::new(io, self.home(authority), true)))
    }

    async fn new_connection(&self, uri: &Uri) -> Result<Connection, ClientError> {
        let authority = uri.authority().ok_or(ClientError::NoHost)?;
        Ok(Connection::new(self.connect(uri).await?, self.home(authority), false))
    }

    fn home(&self, authority: &Authority) -> Home {
        Home { authority: authority.clone(), pool: Arc::clone(&self.pool) }
    }

    async fn connect(&self, uri: &Uri) -> Result<Io, ClientError> {
        let io = async {
            match &self.connector {
                Connector::Http(connector) => match connector.call(uri.clone()).await {
                    Ok(stream) => Ok(Io::Plain(stream.into_inner())),
                    Err(error) => Err(ClientError::Connect(error.into())),
                },
                Connector::Https(connector) => match connector.call(uri.clone()).await {
                    Ok(stream) => Ok(Io::tls(stream)),
                    Err(error) => Err(ClientError::Connect(error)),
                },
            }
        };
        timeout(self.connect, io).await.unwrap_or(Err(ClientError::Late(self.connect)))
    }
}

/// Where a connection is kept when its answer was read to the end.
#[derive(Debug)]
struct Home {
    authority: Authority,
    pool: Arc<Pool>,
}

fn connector(connect: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    connector
}
