//! One connection, from its first byte to its end.
//!
//! While a client says nothing, or has not finished a head, only its socket is held and what it has sent. hyper with its
//! buffers comes in when there is a request, and goes when there has been none for a second.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::Answer;
use crate::answer::wire_form;
use crate::clock::{CLOSE_WITHIN, Clock};
use crate::frames::{FrameWatch, PREFACE};
use crate::guard::{Guard, Next};
use crate::places::Place;
use crate::proxy_header;
use crate::refusal::Refusal;
use crate::serve::{Dropped, Inner, Peer, ServeOptions, Settings};
use crate::service::{Http1, Http2};
use crate::shared::{Shared, Wait};
use crate::stop::{Ear, Stop};
use crate::stream::{ServerName, Stream};
use crate::streams::Streams;

/// Bytes taken at first: most requests are smaller.
const FIRST_BYTES: usize = 2 * 1024;
/// How long a connection that has said nothing may still say something when its listener stops: its first request may be
/// on the way.
const LAST_WORD: Duration = Duration::from_millis(500);
/// How often an answer is taken further in one go before other connections have their turn.
const TURNS_MAX: usize = 8;
/// How often an HTTP/2 connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A connection that was just accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
    /// Whether a PROXY header must come first.
    pub(crate) is_proxied: bool,
    pub(crate) at: Instant,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

/// Serves one connection to its end.
pub(crate) async fn serve<H, F>(accepted: Accepted, inner: Arc<Inner<H>>, settings: Arc<Settings>, stop: Arc<Stop>)
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    let notified = pin!(stop.notified());
    let mut ear = Ear::new(&stop, notified);
    let ServeOptions { head_timeout, write_timeout, .. } = settings.options;
    let mut clock = Clock::new(accepted.at, head_timeout, write_timeout);
    let mut deadline = accepted.at + head_timeout;
    let (accepted, protocol, first) = {
        let mut opening = pin!(open(accepted, &inner, &settings));
        let mut is_told = false;
        let opened = poll_fn(|context| {
            if let Poll::Ready(opened) = opening.as_mut().poll(context) {
                return Poll::Ready(opened);
            }
            if !is_told && ear.hears(context) {
                is_told = true;
                deadline = deadline.min(Instant::now() + LAST_WORD);
            }
            clock.poll_until(context, deadline).map(|()| None)
        });
        let Some(opened) = opened.await else { return };
        opened
    };
    let (peer, server_name) = (Peer(accepted.peer), accepted.stream.server_name());
    let mut connection = Connection { inner, settings, peer, server_name, deadline, clock, ear };
    match protocol {
        Protocol::Http1 => {
            let head_bytes_max = connection.settings.options.head_bytes_max;
            let crowd = connection.inner.crowd.clone();
            let guard = Guard::new(accepted.stream, first, head_bytes_max, crowd, accepted.place);
            connection.http1(guard).await;
        }
        Protocol::Http2 => {
            connection.http2(FrameWatch::new(accepted.stream, first)).await;
            drop(accepted.place);
        }
    }
}

/// Reads until it is clear who the client is and what it speaks, and gives the bytes read that are not ours.
///
/// hyper can tell the protocols apart itself, but waits for the bytes without end: a client that sends nothing would hold
/// its place for ever (attack catalogue, 36).
async fn open<H>(
    mut accepted: Accepted,
    inner: &Inner<H>,
    settings: &Settings,
) -> Option<(Accepted, Protocol, BytesMut)> {
    let mut first = BytesMut::new();
    if accepted.is_proxied {
        // What follows a header goes to TLS, which reads for itself: not a byte of it may be taken here.
        let is_exact = settings.options.tls.is_some();
        let client = loop {
            match proxy_header::read(&first) {
                Ok(Some(header)) => {
                    first.advance(header.bytes);
                    break header.client;
                }
                Ok(None) => {
                    let most = if is_exact { proxy_header::missing(&first) } else { FIRST_BYTES };
                    more(&mut accepted.stream, &mut first, most).await?;
                }
                Err(proxy_header::NoProxyHeader) => {
                    inner.complain(accepted.peer, Refusal::malformed("a PROXY header is expected and did not come"));
                    return None;
                }
            }
        };
        if let Some(client) = client {
            accepted.peer = client;
            if !inner.admit(&mut accepted.place, client, settings) {
                return None;
            }
        }
    }
    if let Some(config) = &settings.options.tls {
        // No turn for one who says nothing.
        accepted.stream.readable().await.ok()?;
        accepted.stream = inner.turns.take(accepted.stream.encrypted(config.clone())).await.ok()?;
    }
    // Whoever agreed on a protocol must speak it. A handshake may be all that a client came for, as when an authority looks whether
    // a name is served here (RFC 8737).
    let agreed = match accepted.stream.agreed() {
        None => None,
        Some(b"h2") => Some(Protocol::Http2),
        Some(b"http/1.1") => Some(Protocol::Http1),
        Some(_) => return None,
    };
    loop {
        let common = first.len().min(PREFACE.len());
        if first[..common] != PREFACE[..common] {
            return (agreed != Some(Protocol::Http2)).then_some((accepted, Protocol::Http1, first));
        }
        if common == PREFACE.len() {
            return (agreed != Some(Protocol::Http1)).then_some((accepted, Protocol::Http2, first));
        }
        more(&mut accepted.stream, &mut first, FIRST_BYTES).await?;
    }
}

/// Reads what has come, at most so many bytes; `None` when the client left.
async fn more(stream: &mut Stream, first: &mut BytesMut, most: usize) -> Option<()> {
    // No buffer before there is something to put into it.
    stream.readable().await.ok()?;
    first.reserve(most);
    (stream.take(most as u64).read_buf(first).await.ok()? > 0).then_some(())
}

struct Connection<'a, 'b, H> {
    inner: Arc<Inner<H>>,
    settings: Arc<Settings>,
    peer: Peer,
    server_name: Option<ServerName>,
    /// For the first head.
    deadline: Instant,
    clock: Clock,
    ear: Ear<'a, 'b>,
}

/// How a time with hyper ended.
enum Ended {
    Closed,
    /// The client has not asked for anything for a while.
    Resting,
}

impl<H, F> Connection<'_, '_, H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    async fn http1(&mut self, mut guard: Guard<Stream, Place>) {
        let shared = guard.shared();
        let mut idle_until = None;
        loop {
            if self.next_request(&mut guard, idle_until).await.is_none() {
                return;
            }
            if guard.is_refused() {
                return self.turn_away(guard, &shared).await;
            }
            let (inner, peer, server_name) = (self.inner.clone(), self.peer, self.server_name.clone());
            let service = Http1 { inner, shared: shared.clone(), peer, server_name };
            let connection = self.settings.http1.serve_connection(TokioIo::new(guard), service);
            let mut connection = Box::new(connection.with_upgrades());
            if let Ended::Closed = self.drive(&mut connection, &shared).await {
                return;
            }
            // Nothing can be left of a request that was answered: hyper is given one at a time.
            let Some(parts) = connection.into_parts().filter(|parts| parts.read_buf.is_empty()) else { return };
            guard = parts.io.into_inner();
            idle_until = Some(Instant::now() + self.settings.options.idle_timeout);
        }
    }

    /// Answers a head that is refused without hyper: thousands may be refused at once, and its buffers would be what they cost.
    async fn turn_away(&mut self, mut guard: Guard<Stream, Place>, shared: &Shared) {
        let Some(refusal) = shared.refusal() else { return };
        self.inner.tell(self.peer, refusal);
        let answer = wire_form(self.inner.refused(refusal, self.server_name.as_ref())).await;
        let until = Instant::now() + CLOSE_WITHIN;
        let mut told = pin!(async {
            guard.write_all(&answer).await?;
            guard.shutdown().await
        });
        poll_fn(|context| {
            if let Poll::Ready(told) = told.as_mut().poll(context) {
                log_end(self.peer, told);
                return Poll::Ready(());
            }
            self.clock.poll_until(context, until)
        })
        .await;
    }

    /// Waits for a head; `None` when there will be none.
    async fn next_request(&mut self, guard: &mut Guard<Stream, Place>, idle_until: Option<Instant>) -> Option<()> {
        let head_timeout = self.settings.options.head_timeout;
        let mut head_until = idle_until.is_none().then_some(self.deadline);
        poll_fn(|context| {
            if let Poll::Ready(next) = guard.poll_request(context) {
                return Poll::Ready(matches!(next, Ok(Next::Request)).then_some(()));
            }
            if self.ear.hears(context) {
                return Poll::Ready(None);
            }
            let until = match (guard.has_begun(), idle_until) {
                (false, Some(idle_until)) => idle_until,
                _ => *head_until.get_or_insert_with(|| Instant::now() + head_timeout),
            };
            ready!(self.clock.poll_until(context, until));
            if !guard.has_begun() {
                return Poll::Ready(None);
            }
            guard.refuse(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the head came too slowly"));
            Poll::Ready(Some(()))
        })
        .await
    }

    /// Lets hyper work until the connection ends or rests.
    async fn drive(&mut self, connection: &mut Http1Connection<H>, shared: &Shared) -> Ended
    where
        H: Fn(Request<Incoming>, Peer) -> F,
    {
        let (mut is_told, mut is_expired) = (false, false);
        poll_fn(|context| {
            let mut turns = 0;
            loop {
                if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(context) {
                    log_end(self.peer, ended);
                    return Poll::Ready(Ended::Closed);
                }
                if shared.take_unseen() {
                    continue;
                }
                if shared.take_held_back() {
                    turns += 1;
                    if turns == TURNS_MAX {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    continue;
                }
                if !is_told && self.ear.hears(context) {
                    is_told = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                    continue;
                }
                let wait = shared.wait();
                ready!(self.clock.poll(context, wait));
                match wait {
                    Wait::Ahead => self.clock.again(),
                    Wait::Request => return Poll::Ready(Ended::Resting),
                    Wait::Head | Wait::Body(_) | Wait::Write(_) if !is_expired => {
                        is_expired = true;
                        shared.expire();
                    }
                    _ => return Poll::Ready(Ended::Closed),
                }
            }
        })
        .await
    }

    async fn http2(&mut self, stream: FrameWatch<Stream>) {
        let options = &self.settings.options;
        let streams = Arc::new(Streams::new(options.write_timeout));
        let uploads = stream.uploads();
        let (inner, peer, server_name) = (self.inner.clone(), self.peer, self.server_name.clone());
        let service = Http2 { inner, streams: streams.clone(), peer, server_name };
        let mut connection = Box::pin(self.settings.http2.serve_connection(TokioIo::new(stream), service));
        let (mut is_told, mut until) = (false, self.deadline);
        let mut look_at = Instant::now() + LOOK_EVERY;
        poll_fn(|context| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                    log_end(peer, ended);
                    return Poll::Ready(());
                }
                if !is_told && self.ear.hears(context) {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                ready!(self.clock.poll_until(context, look_at));
                let now = Instant::now();
                look_at = now + LOOK_EVERY;
                if streams.are_open() {
                    until = now + options.idle_timeout;
                }
                if streams.is_one_too_slow() || uploads.is_one_too_slow() || until <= now {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}

type Http1Connection<H> = hyper::server::conn::http1::UpgradeableConnection<TokioIo<Guard<Stream, Place>>, Http1<H>>;

fn log_end<E: std::fmt::Display>(peer: Peer, ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.0, error = %error, "connection ended");
    }
}
