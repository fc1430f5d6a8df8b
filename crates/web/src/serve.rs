//! The accept loop: connections in, requests to one function, an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::Answer;

/// How often the loop says that the system cannot give it connections.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
/// While the first bytes of a connection could still become either protocol, they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What HTTP/2 begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the loop rests after the system refused to accept (out of descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub SocketAddr);

/// Said by a handler in place of an answer: close the connection without a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dropped;

/// Bounds of one listener.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections held at once; further ones wait in the system's backlog.
    pub connections_max: usize,
    /// From accepting to the first bytes, from those (or from the answer before) to a complete head.
    pub head_timeout: Duration,
    /// Bytes of a head, request line included.
    pub head_bytes_max: usize,
    /// How long running requests may go on after the stop signal.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            head_timeout: Duration::from_secs(10),
            head_bytes_max: 32 * 1024,
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) on `listener` until `stop` turns true, then lets running requests end.
///
/// Returns when the last connection is closed or [`ServeOptions::drain`] has passed.
pub async fn serve<H, F>(listener: TcpListener, options: ServeOptions, mut stop: watch::Receiver<bool>, handler: H)
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(options.connections_max));
    let graceful = GracefulShutdown::new();
    let servers = Arc::new(Servers::new(&options));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let (servers, handler, watcher) = (servers.clone(), handler.clone(), graceful.watcher());
        let (head_timeout, mut stopping) = (options.head_timeout, stop.clone());
        connections.spawn(async move {
            let protocol = tokio::select! {
                protocol = protocol_of(&stream, head_timeout) => protocol,
                _ = stopping.wait_for(|stop| *stop) => None,
            };
            let Some(protocol) = protocol else { return };
            let service = service_fn(move |request| {
                let answer = handler(request, Peer(peer));
                // An error of the service closes the connection without an answer, which is what `Dropped` means.
                async move { answer.await.map_err(|Dropped| DroppedError) }
            });
            let server = servers.of(protocol);
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%peer, error = %error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain = ?options.drain, "requests were still running at the end of the drain time");
    }
    // What still runs is ended here and not left behind: each request records its end while the journal is open.
    connections.shutdown().await;
}

/// Accepts the next connection, resting when the system cannot give one.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small chunks of a stream must leave at once.
                let _: Result<(), std::io::Error> = stream.set_nodelay(true);
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

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

/// Looks at the first bytes without taking them. `None` when none came in time, or the client left.
///
/// hyper can tell the two apart itself, but waits for the bytes without end: a client that sends nothing would hold its
/// place for ever (attack catalogue, 36).
async fn protocol_of(stream: &TcpStream, time: Duration) -> Option<Protocol> {
    let look = async {
        let mut first = [0; HTTP2_PREFACE.len()];
        loop {
            let count = stream.peek(&mut first).await.ok()?;
            if count == 0 {
                return None;
            }
            if first[..count] != HTTP2_PREFACE[..count] {
                return Some(Protocol::Http1);
            }
            if count == HTTP2_PREFACE.len() {
                return Some(Protocol::Http2);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(time, look).await.ok().flatten()
}

/// One server for each protocol.
struct Servers {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Servers {
    fn new(options: &ServeOptions) -> Self {
        Self { http1: connection_builder(options).http1_only(), http2: connection_builder(options).http2_only() }
    }

    fn of(&self, protocol: Protocol) -> &auto::Builder<TokioExecutor> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }
}

fn connection_builder(options: &ServeOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        // hyper's smallest buffer is 8 KiB.
        .max_buf_size(options.head_bytes_max.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(100)
        .keep_alive_interval(Duration::from_secs(20));
    builder
}

#[derive(Debug)]
struct DroppedError;

impl std::fmt::Display for DroppedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for DroppedError {}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::text;

    async fn exchange(request: &str, handler_drops: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(listener, ServeOptions::default(), stopped, move |_, _| async move {
            if handler_drops { Err(Dropped) } else { Ok(text(StatusCode::OK, "hello")) }
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        stop.send(true).unwrap();
        server.await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_answered() {
        let answer = exchange("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", false).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_dropped_request_gets_no_byte() {
        assert_eq!(exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true).await, "");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = watch::channel(false);
        let options = ServeOptions { head_timeout: Duration::from_millis(100), ..ServeOptions::default() };
        tokio::spawn(serve(listener, options, stopped, |_, _| async { Ok(text(StatusCode::OK, "hello")) }));
        for said in ["", "P", "PRI * HTTP/2.0\r\n"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut answer)).await;
            // With bytes of its own unread the close is a reset.
            assert!(closed.is_ok() && answer.is_empty(), "{said:?}: {closed:?}");
        }
    }

    #[tokio::test]
    async fn what_still_runs_after_the_drain_time_is_ended_before_serving_returns() {
        struct Guard(std::sync::mpsc::SyncSender<()>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.try_send(()).unwrap();
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (began, mut begun) = tokio::sync::mpsc::channel(1);
        let (ended, end) = std::sync::mpsc::sync_channel(1);
        let options = ServeOptions { drain: Duration::from_millis(50), ..ServeOptions::default() };
        let server = tokio::spawn(serve(listener, options, stopped, move |_, _| {
            let (began, guard) = (began.clone(), Guard(ended.clone()));
            async move {
                began.send(()).await.unwrap();
                std::future::pending::<()>().await;
                drop(guard);
                Ok(text(StatusCode::OK, "never"))
            }
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        begun.recv().await.unwrap();
        stop.send(true).unwrap();
        server.await.unwrap();
        end.try_recv().expect("the request was dropped before serve returned");
    }

    #[tokio::test]
    async fn a_head_with_two_lengths_is_refused() {
        let answer =
            exchange("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", false)
                .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}
