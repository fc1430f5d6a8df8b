//! The accept loop: connections in, requests to one function, an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;

use crate::Answer;
use crate::ahead::Crowd;
use crate::connection::{self, Accepted};
use crate::places::{Place, Places};
use crate::refusal::Refusal;
use crate::stop::Stop;
use crate::stream::{ServerName, Stream};
use crate::turns::Turns;

/// How often the loop says that the system cannot give it connections, or that some are turned away.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// How long the loop rests after the system refused to accept (out of descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes that the system takes from us beyond what it has sent: how much is on its way is not bounded by it.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// hyper's buffers: room for a head, and what is written ahead of a slow reader.
const BUFFER_BYTES_MIN: usize = 16 * 1024;
/// HTTP/2: streams of a connection, and how much a client may send ahead, in a stream and in all.
pub(crate) const STREAMS_MAX: u32 = 100;
pub(crate) const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// HTTP/2: bytes of a stream's answer kept for a slow reader.
const STREAM_SEND_BYTES: usize = 16 * 1024;
/// HTTP/2: streams that a client reset before we saw them, and that it made us reset.
const RESETS_MAX: usize = 100;

/// Who is at the other end of a connection: as its socket says, or the PROXY header of a trusted proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub SocketAddr);

/// Said by a handler in place of an answer: close the connection without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dropped;

/// Bounds of what is listened to.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections held at once by all listeners; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// Connections held at once by one address (IPv4) or network of 64 bits (IPv6); further ones are closed. 0 = any
    /// number. Peers in `trusted` are not counted.
    pub per_address_max: usize,
    /// Proxies: their connections are of many clients, and their PROXY headers are believed.
    pub trusted: Vec<IpNet>,
    /// TLS: with it, nothing else is spoken, but for a PROXY header in front of it.
    pub tls: Option<Arc<ServerConfig>>,
    /// From accepting to a complete first head, a TLS handshake included, and from the first byte of a further head to its last.
    pub head_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// Bytes of a head, request line included.
    pub head_bytes_max: usize,
    /// How long a client may take less than 1 KiB/s of what lies ready for it.
    pub write_timeout: Duration,
    /// How long running requests may go on after the stop signal.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            per_address_max: 256,
            trusted: Vec::new(),
            tls: None,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            head_bytes_max: 32 * 1024,
            write_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) on `listener` until `stop` turns true or its sender is gone, then lets running requests end.
///
/// Returns when the last connection is closed or [`ServeOptions::drain`] has passed. With more than one listener, use
/// [`Server`].
pub async fn serve<H, F>(listener: TcpListener, options: ServeOptions, mut stop: watch::Receiver<bool>, handler: H)
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    let listening = Server::new(options, handler).listen(listener, Proxied::No);
    // An error is a sender that is gone, and with it whoever wanted to be served.
    let _: Result<_, watch::error::RecvError> = stop.wait_for(|stop| *stop).await;
    listening.stop().await;
}

/// Whether the connections of a listener begin with a PROXY header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proxied {
    /// They do not; one that comes is refused as malformed HTTP.
    No,
    /// They do, from peers in [`ServeOptions::trusted`]; all others are closed.
    Yes,
}

/// One handler and its bounds, for any number of listeners that come and go.
#[derive(Debug)]
pub struct Server<H> {
    inner: Arc<Inner<H>>,
}

impl<H> Clone for Server<H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

/// What all connections share.
pub(crate) struct Inner<H> {
    pub(crate) handler: H,
    settings: RwLock<Arc<Settings>>,
    places: Places,
    pub(crate) turns: Turns,
    pub(crate) crowd: Crowd,
    told: Option<Box<Tell>>,
    dress: Option<Box<Dress>>,
    complained: Mutex<Option<Instant>>,
}

type Tell = dyn Fn(Peer, Refusal) + Send + Sync;
type Dress = dyn Fn(Option<&ServerName>, &mut HeaderMap) + Send + Sync;

impl<H> std::fmt::Debug for Inner<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Options, and what is built from them once.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) options: ServeOptions,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
}

impl<H> Inner<H> {
    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a connection for its address; `false` when it is one too many.
    pub(crate) fn admit(&self, place: &mut Place, peer: SocketAddr, settings: &Settings) -> bool {
        let is_admitted = self.places.count(place, peer.ip(), settings.options.per_address_max);
        if !is_admitted {
            let status = http::StatusCode::TOO_MANY_REQUESTS;
            self.complain(peer, Refusal::new(status, "too many connections from this address"));
        }
        is_admitted
    }

    /// Tells of a refused request.
    pub(crate) fn tell(&self, peer: Peer, refusal: Refusal) {
        tracing::debug!(peer = %peer.0, %refusal, "request refused");
        if let Some(told) = &self.told {
            told(peer, refusal);
        }
    }

    /// The answer to a refused request that came through TLS for this name.
    pub(crate) fn refused(&self, refusal: Refusal, name: Option<&ServerName>) -> Answer {
        let mut answer = refusal.answer();
        if let Some(dress) = &self.dress {
            dress(name, answer.headers_mut());
        }
        answer
    }

    /// Tells of a connection that is closed without a word: now and then, since there may be thousands.
    pub(crate) fn complain(&self, peer: SocketAddr, refusal: Refusal) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            *complained = Some(Instant::now());
            drop(complained);
            self.tell(Peer(peer), refusal);
        }
    }
}

impl<H, F> Server<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    /// A server that listens to nothing yet.
    pub fn new(options: ServeOptions, handler: H) -> Self {
        Self::telling(options, handler, None, None)
    }

    /// Like [`Self::new`]; `told` hears of each request that is refused before the handler sees it; one whose body breaks off
    /// later has been the handler's. Of connections that are
    /// closed without an answer (too many of an address, no PROXY header) it hears at most once in ten seconds.
    pub fn with_refusals_told(
        options: ServeOptions,
        handler: H,
        told: impl Fn(Peer, Refusal) + Send + Sync + 'static,
    ) -> Self {
        Self::telling(options, handler, Some(Box::new(told)), None)
    }

    /// Like [`Self::with_refusals_told`]; `dress` adds headers to what such a request is answered, by the name that TLS was spoken
    /// for.
    pub fn with_refusals_dressed(
        options: ServeOptions,
        handler: H,
        told: impl Fn(Peer, Refusal) + Send + Sync + 'static,
        dress: impl Fn(Option<&ServerName>, &mut HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        Self::telling(options, handler, Some(Box::new(told)), Some(Box::new(dress)))
    }

    fn telling(options: ServeOptions, handler: H, told: Option<Box<Tell>>, dress: Option<Box<Dress>>) -> Self {
        let places = Places::new(options.connections_max);
        let settings = RwLock::new(Arc::new(Settings::new(options)));
        let (turns, crowd, complained) = (Turns::new(), Crowd::default(), Mutex::default());
        Self { inner: Arc::new(Inner { handler, settings, places, turns, crowd, told, dress, complained }) }
    }

    /// Takes other options for connections accepted from now on. [`ServeOptions::connections_max`] stays as it was.
    pub fn set_options(&self, options: ServeOptions) {
        let settings = Arc::new(Settings::new(options));
        *self.inner.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Begins to serve a listener, beside those that are served already. It ends when what is returned is stopped or
    /// dropped.
    pub fn listen(&self, listener: TcpListener, proxied: Proxied) -> Listening {
        let stop = Arc::new(Stop::default());
        let task = tokio::spawn(accept_all(self.inner.clone(), listener, proxied, stop.clone()));
        Listening { stop, task }
    }
}

/// A listener that is being served. Dropping it closes it with all its connections.
#[derive(Debug)]
pub struct Listening {
    stop: Arc<Stop>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Stops accepting at once and returns when the last connection is closed or [`ServeOptions::drain`] has passed.
    pub async fn stop(mut self) {
        self.stop.say();
        // An error is a panic of the accept loop, which has been printed; there is nothing left to stop.
        let _: Result<(), tokio::task::JoinError> = (&mut self.task).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_all<H, F>(inner: Arc<Inner<H>>, listener: TcpListener, proxied: Proxied, stop: Arc<Stop>)
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    let is_proxied = proxied == Proxied::Yes;
    let mut connections = JoinSet::new();
    let begin = |connections: &mut JoinSet<()>, stream, peer, place| {
        let settings = inner.settings();
        let mut accepted = Accepted { stream: Stream::Plain(stream), peer, place, is_proxied, at: Instant::now() };
        if is_admitted(&mut accepted, &inner, &settings) {
            connections.spawn(connection::serve(accepted, inner.clone(), settings, stop.clone()));
        }
    };
    {
        let mut stopping = std::pin::pin!(stop.said());
        loop {
            let place = tokio::select! {
                place = inner.places.wait() => place,
                () = &mut stopping => break,
            };
            let (stream, peer) = tokio::select! {
                accepted = accept(&listener) => accepted,
                () = &mut stopping => break,
            };
            while connections.try_join_next().is_some() {}
            begin(&mut connections, stream, peer, place);
        }
    }
    // Whose connection the system has taken already would be reset: it is served as well.
    tokio::task::yield_now().await;
    while let Some(place) = inner.places.at_once()
        && let Some(Ok((stream, peer))) = listener.accept().now_or_never()
    {
        begin(&mut connections, stream, peer, place);
    }
    drop(listener);
    let drain = inner.settings().options.drain;
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tracing::warn!(?drain, "requests were still running at the end of the drain time");
    }
    // What still runs is ended here and not left behind: each request records its end while the journal is open.
    connections.shutdown().await;
}

/// Whether this connection is served at all.
fn is_admitted<H>(accepted: &mut Accepted, inner: &Inner<H>, settings: &Settings) -> bool {
    let address = accepted.peer.ip().to_canonical();
    let is_trusted = settings.options.trusted.iter().any(|network| network.contains(&address));
    if accepted.is_proxied && !is_trusted {
        inner.complain(accepted.peer, Refusal::malformed("a PROXY header of this peer is not believed"));
        return false;
    }
    is_trusted || inner.admit(&mut accepted.place, accepted.peer, settings)
}

/// Accepts the next connection, resting when the system cannot give one.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small chunks of a stream must leave at once.
                let _: Result<(), std::io::Error> = stream.set_nodelay(true);
                // Some megabytes would lie in the system for each client that does not read, and be made ready for it.
                let _: Result<(), std::io::Error> = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
                return (stream, peer);
            }
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    tracing::warn!(error = %error, "accepting a connection");
                    complained = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Settings {
    fn new(options: ServeOptions) -> Self {
        let mut http1 = http1::Builder::new();
        // No timer: hyper would set one anew for each request. The connection's own clock covers all waits.
        http1.max_buf_size(options.head_bytes_max.saturating_add(BUFFER_BYTES_MIN));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(STREAM_SEND_BYTES)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_local_error_reset_streams(RESETS_MAX)
            .keep_alive_interval(Duration::from_secs(20));
        Self { options, http1, http2 }
    }
}
