//! The accept loop, and an orderly end.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout_at};
use tollhouse_web::Place;

use super::closed::Closed;
use super::connection::{self, Stop, stopped};
use super::counts::Counts;
use super::datagrams;
use super::options::ListenOptions;
use super::received::Received;
use super::shared::Shared;

/// How long the loop rests after the system refused to accept (out of descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The system asks a silent peer whether it is there: after how long, how often, how many times.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// What is listened on; usually both have the same port.
#[derive(Debug)]
pub struct Sockets {
    /// Beats and syslog.
    pub tcp: TcpListener,
    /// Syslog.
    pub udp: Option<UdpSocket>,
}

/// Begins to listen. Batches go to `to`; its bound is the number of batches that wait for the consumer, and when it is full,
/// nothing more is read. `tell` hears why connections were closed, of each reason at most once in ten seconds.
pub fn listen(
    sockets: Sockets,
    options: ListenOptions,
    to: mpsc::Sender<Received>,
    tell: impl Fn(SocketAddr, &Closed) + Send + Sync + 'static,
) -> Listening {
    let shared = Arc::new(Shared::new(options, to, Box::new(tell)));
    let (stop, stopping) = watch::channel(None);
    let accepting = tokio::spawn(accept_all(sockets.tcp, shared.clone(), stopping.clone()));
    let receiving = sockets.udp.map(|udp| tokio::spawn(datagrams::receive(udp, shared.clone(), stopping)));
    Listening { shared, stop, tasks: std::iter::once(accepting).chain(receiving).collect() }
}

/// A listener at work. Dropping it closes it with all its connections.
#[derive(Debug)]
pub struct Listening {
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Instant>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Listening {
    /// What has come so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.get()
    }

    /// Stops accepting at once, ends each connection at the next good place, and returns when all are closed or
    /// [`ListenOptions::drain`] has passed. The consumer must go on until then: what it confirms is still acknowledged.
    pub async fn stop(mut self) -> Counts {
        self.stop.send_replace(Some(Instant::now()));
        for task in &mut self.tasks {
            // An error is a panic of the task, which has been printed; there is nothing left to stop.
            let _: Result<(), JoinError> = task.await;
        }
        self.counts()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &shared) => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        begin(&mut connections, accepted, &shared, &stop);
    }
    // Whose connection the system has taken already would be reset: it is served as well.
    yield_now().await;
    while let Some(accepted) = accept_at_once(&listener, &shared).await {
        begin(&mut connections, accepted, &shared, &stop);
    }
    drop(listener);
    let end = Instant::now() + shared.options.drain;
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whose batch the consumer has not confirmed by now gets no acknowledgement, and sends it again.
    if timeout_at(end, ended).await.is_err() {
        connections.shutdown().await;
    }
}

type Accepted = (TcpStream, SocketAddr, Place);

fn begin(connections: &mut JoinSet<()>, accepted: Accepted, shared: &Arc<Shared>, stop: &Stop) {
    let (stream, peer, mut place) = accepted;
    shared.counters.connections.add(1);
    if !shared.options.admits(peer.ip()) {
        shared.tell(peer, &Closed::NotAllowed);
    } else if shared.places.count(&mut place, peer.ip(), shared.options.per_address_max) {
        connections.spawn(serve(stream, peer, place, shared.clone(), stop.clone()));
    } else {
        shared.tell(peer, &Closed::TooMany);
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, place: Place, shared: Arc<Shared>, stop: Stop) {
    let _open = Open::new(&shared);
    if let Err(closed) = connection::serve(stream, peer, &shared, stop).await {
        shared.tell(peer, &closed);
    }
    drop(place);
}

/// Counts a connection while it is open, however it ends.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.counters.open.add(1);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.counters.open.subtract(1);
    }
}

/// Accepts the next connection when there is a place for it, resting when the system cannot give one.
async fn accept(listener: &TcpListener, shared: &Shared) -> Accepted {
    let place = shared.places.wait().await;
    loop {
        if let Ok((stream, peer)) = listener.accept().await {
            // Without them everything works, only a little worse.
            let _: std::io::Result<()> = stream.set_nodelay(true);
            let _: rustix::io::Result<()> = probe(&stream);
            return (stream, peer, place);
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// A connection that waits now, if there is a place for it.
async fn accept_at_once(listener: &TcpListener, shared: &Shared) -> Option<Accepted> {
    let place = shared.places.at_once()?;
    tokio::select! {
        biased;
        accepted = listener.accept() => accepted.ok().map(|(stream, peer)| (stream, peer, place)),
        () = ready(()) => None,
    }
}

/// Has the system find out when a peer is gone without a word.
fn probe(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)
}
