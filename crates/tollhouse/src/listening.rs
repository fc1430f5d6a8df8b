//! One address that is listened on, and how it gives way to another without turning anybody away.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tollhouse_config::Config;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_web::{Answer, Dropped, Peer, Proxied, Refusal, ServeOptions, Server, ServerName};

use crate::house::{self, Current};
use crate::{edging, handed, wiring};

/// Serves the house in force on any number of listeners; the bounds on connections are those of all together.
#[derive(Clone)]
pub(crate) struct Serving(Arc<dyn Serve>);

impl Serving {
    /// A server that listens to nothing yet. What it refuses before the house sees it is recorded.
    pub(crate) fn new(config: &Config, current: Current, journal: Journal) -> Self {
        let handler = move |request, peer| house::answer(current.get(), request, peer);
        let told = move |peer, refusal| record_refusal(&journal, peer, refusal);
        Self(Arc::new(Server::with_refusals_told(wiring::serve_options(config), handler, told)))
    }

    /// The same for the address of the Elasticsearch API alone, with a share of the connections of its own.
    pub(crate) fn search(config: &Config, current: Current, journal: Journal) -> Self {
        let handler = move |request, peer| house::answer_search(current.get(), request, peer);
        let told = move |peer, refusal| record_refusal(&journal, peer, refusal);
        Self(Arc::new(Server::with_refusals_told(wiring::search_options(config), handler, told)))
    }

    /// The same for the sites of the edge, with TLS in these options, and connections of their own.
    pub(crate) fn edge(options: ServeOptions, current: Current, journal: Journal) -> Self {
        let in_force = current.clone();
        let handler = move |request, peer| edging::answer(current.get(), request, peer);
        let told = move |peer, refusal| record_refusal(&journal, peer, refusal);
        let dress = move |name: Option<&ServerName>, answer: &mut HeaderMap| {
            if let Some(edge) = &in_force.get().edge {
                edge.dress(name, answer);
            }
        };
        Self(Arc::new(Server::with_refusals_dressed(options, handler, told, dress)))
    }

    /// The same for those who come to the edge without TLS.
    pub(crate) fn plain(config: &Config, current: Current, journal: Journal) -> Self {
        let handler = move |request, peer| {
            let answer = edging::answer_plain(&current.get(), &request, peer);
            async move { answer }
        };
        let told = move |peer, refusal| record_refusal(&journal, peer, refusal);
        Self(Arc::new(Server::with_refusals_told(wiring::search_options(config), handler, told)))
    }

    /// Takes these bounds for connections accepted from now on.
    pub(crate) fn configure(&self, options: ServeOptions) {
        self.0.set_options(options);
    }
}

/// A [`Server`] whatever its handler is.
trait Serve: Send + Sync {
    fn listen(&self, listener: TcpListener, proxied: Proxied) -> tollhouse_web::Listening;
    fn set_options(&self, options: ServeOptions);
}

impl<H, F> Serve for Server<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    fn listen(&self, listener: TcpListener, proxied: Proxied) -> tollhouse_web::Listening {
        self.listen(listener, proxied)
    }

    fn set_options(&self, options: ServeOptions) {
        self.set_options(options);
    }
}

/// Whoever sends what is no request leaves a record too.
fn record_refusal(journal: &Journal, peer: Peer, refusal: Refusal) {
    let record = Record::new("access", Level::Warn, "not a request")
        .caller("tollhouse/listening.rs")
        .field("status", refusal.status().as_u16())
        .field("client_ip", peer.0.ip().to_canonical().to_string())
        .field("error", refusal.reason());
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording what is no request");
    }
}

/// A bound socket that is not served yet.
pub(crate) struct Bound {
    socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Binds the address that the configuration names.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Self> {
        Self::at(config.listen.address, "listen").await
    }

    /// Binds the address of the Elasticsearch API alone, where the configuration names one.
    pub(crate) async fn search(config: &Config) -> anyhow::Result<Option<Self>> {
        match config.search.listen {
            Some(wanted) => Self::at(wanted, "search.listen").await.map(Some),
            None => Ok(None),
        }
    }

    /// Binds what stands under this key, or takes the socket that was handed over for it.
    pub(crate) async fn at(wanted: SocketAddr, key: &str) -> anyhow::Result<Self> {
        if let Some(socket) = handed::socket(wanted)? {
            return Ok(Self { socket, address: wanted });
        }
        let listener = TcpListener::bind(wanted).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::AddrInUse if key == "listen" => {
                    "; is a tollhouse or OpenClaw running there? `listen` chooses another port".to_owned()
                }
                ErrorKind::AddrInUse => format!("; does something listen there? `{key}` chooses another port"),
                ErrorKind::PermissionDenied => {
                    format!("; ports below 1024 need the right to bind them: choose another in `{key}`")
                }
                ErrorKind::AddrNotAvailable => format!("; this machine does not have that address: see `{key}`"),
                _ => String::new(),
            };
            anyhow::Error::new(error).context(format!("listening on {wanted}{hint}"))
        })?;
        let address = listener.local_addr().context("asking for the address listened on")?;
        let socket = listener.into_std().context("taking the socket listened on")?;
        Ok(Self { socket, address })
    }

    /// Serves it.
    pub(crate) fn serve(self, config: &Config, serving: &Serving) -> anyhow::Result<Listening> {
        let proxied = if config.listen.proxy_protocol { Proxied::Yes } else { Proxied::No };
        self.serve_as(proxied, serving)
    }

    /// Serves it to whoever comes themselves.
    pub(crate) fn serve_directly(self, serving: &Serving) -> anyhow::Result<Listening> {
        self.serve_as(Proxied::No, serving)
    }

    /// Serves it, to clients of proxies or to whoever comes themselves.
    pub(crate) fn serve_as(self, proxied: Proxied, serving: &Serving) -> anyhow::Result<Listening> {
        let Self { socket, address } = self;
        let served = socket.try_clone().context("sharing the socket listened on")?;
        let listener = TcpListener::from_std(served).context("listening")?;
        Ok(Listening { socket, address, served: serving.0.listen(listener, proxied) })
    }
}

/// An address that is served.
pub(crate) struct Listening {
    /// Kept so that it can be served anew: who waits in its backlog waits for whoever serves it then.
    socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
    served: tollhouse_web::Listening,
}

impl Listening {
    /// The same socket, to be served anew.
    pub(crate) fn again(&self) -> anyhow::Result<Bound> {
        let socket = self.socket.try_clone().context("sharing the socket listened on")?;
        Ok(Bound { socket, address: self.address })
    }

    /// Takes no more connections, and returns when running requests have ended or their time to do so has passed.
    pub(crate) async fn end(self) {
        drop(self.socket);
        self.served.stop().await;
    }
}
