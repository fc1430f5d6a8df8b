//! A model server that answers as scripted and watches its clients.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::in_time;
use crate::message::{self, Framing, Head};
use crate::script::{Body, Script};

/// A request as it came, and what became of its connection.
#[derive(Clone, Debug)]
pub struct Request {
    /// As in the first line.
    pub method: String,
    /// As in the first line, query included.
    pub path: String,
    /// Fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The number of the connection on which it came, from 0.
    pub connection: usize,
    /// When its last byte had come.
    pub came: Instant,
    /// When the answer's last byte was handed to the system; none while it is not finished, or when it never was.
    pub answered: Option<Instant>,
    /// When the client was seen to close or reset the connection.
    pub left: Option<Instant>,
}

impl Request {
    /// The first value of a field, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A listening server; it ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    book: Arc<Book>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Book {
    pages: Mutex<Pages>,
    /// Turned at each change, so that whoever waits looks again.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Pages {
    scripts: HashMap<String, Vec<Script>>,
    requests: Vec<Request>,
    opened: usize,
    open: usize,
}

impl Book {
    fn write<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        let done = change(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        done
    }

    fn read<T>(&self, look: impl FnOnce(&Pages) -> T) -> T {
        look(&self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ModelServer {
    /// Listens on a free port of this machine. What is not scripted is answered 404.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Listens where another one did before: a server that comes back.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener =
            TcpListener::bind(address).await.unwrap_or_else(|error| panic!("listening on {address}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let book = Arc::new(Book { pages: Mutex::default(), changed: watch::Sender::new(()) });
        let accepting = tokio::spawn(accept(listener, book.clone()));
        Self { address, book, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL with nothing behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers `path` (without query) with this script, from now on.
    pub fn on(&self, path: &str, script: Script) {
        self.on_each(path, vec![script]);
    }

    /// Answers `path` with these scripts in turn; the last one stays.
    pub fn on_each(&self, path: &str, scripts: Vec<Script>) {
        assert!(!scripts.is_empty(), "a path needs a script");
        self.book.write(|pages| pages.scripts.insert(path.to_owned(), scripts));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.book.read(|pages| pages.requests.clone())
    }

    /// Requests so far to `path` (without query).
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| without_query(&request.path) == path).collect()
    }

    /// Connections taken so far.
    pub fn opened(&self) -> usize {
        self.book.read(|pages| pages.opened)
    }

    /// Connections that have not ended.
    pub fn open(&self) -> usize {
        self.book.read(|pages| pages.open)
    }

    /// Waits until `met` holds for the requests and the number of open connections; panics when it does not in time.
    pub async fn until(&self, what: &str, met: impl Fn(&[Request], usize) -> bool) {
        let mut changed = self.book.changed.subscribe();
        in_time(what, async {
            while !self.book.read(|pages| met(&pages.requests, pages.open)) {
                changed.changed().await.expect("the book lives as long as the server");
            }
        })
        .await;
    }

    /// Waits until so many requests have come.
    pub async fn until_asked(&self, requests: usize) {
        self.until("requests", |seen, _| seen.len() >= requests).await;
    }

    /// Waits until every unanswered request's client has left; the longest time from `since` to a leave.
    pub async fn until_left(&self, since: Instant) -> Duration {
        self.until("clients to leave", |seen, _| {
            seen.iter().all(|request| request.answered.is_some() || request.left.is_some())
        })
        .await;
        let leaves = self.requests().into_iter().filter_map(|request| request.left);
        leaves.map(|left| left.saturating_duration_since(since)).max().unwrap_or_default()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    // Dropped, and thereby ended, with this task.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = book.write(|pages| {
            pages.open += 1;
            pages.opened += 1;
            pages.opened - 1
        });
        let book = book.clone();
        connections.spawn(async move {
            // An error is a client that left.
            let _: std::io::Result<()> = connection(stream, number, &book).await;
            book.write(|pages| pages.open -= 1);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, number: usize, book: &Book) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.into_split();
    let mut unread = Vec::new();
    while let Some(request) = next_request(&mut from, &mut to, &mut unread, number).await? {
        let path = without_query(&request.path).to_owned();
        let (index, script) = book.write(|pages| {
            pages.requests.push(request);
            (pages.requests.len() - 1, next_script(pages, &path))
        });
        let close = script.close || matches!(script.body, Body::Cut(_) | Body::Raw(_));
        let left = {
            let (mut saying, mut leaving) =
                (std::pin::pin!(say(&mut to, &script)), std::pin::pin!(leave(&mut from, &mut unread)));
            tokio::select! {
                said = &mut saying => said.is_err(),
                () = &mut leaving => true,
            }
        };
        book.write(|pages| {
            let request = &mut pages.requests[index];
            let end = if left { &mut request.left } else { &mut request.answered };
            *end = Some(Instant::now());
        });
        if left || close {
            return Ok(());
        }
    }
    Ok(())
}

fn next_script(pages: &mut Pages, path: &str) -> Script {
    match pages.scripts.get_mut(path) {
        None => Script::json(404, r#"{"error":"not scripted"}"#),
        Some(scripts) if scripts.len() > 1 => scripts.remove(0),
        Some(scripts) => scripts[0].clone(),
    }
}

async fn next_request(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    unread: &mut Vec<u8>,
    connection: usize,
) -> std::io::Result<Option<Request>> {
    let malformed = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
    let mut invited = false;
    loop {
        if let Some(head) = Head::read(unread).map_err(malformed)? {
            if !invited && head.header("expect").is_some() {
                to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                invited = true;
            }
            let framing = head.framing(Framing::None).map_err(malformed)?;
            let part = message::body(&unread[head.bytes..], framing).map_err(malformed)?;
            if part.complete {
                unread.drain(..head.bytes + part.taken);
                let mut words = head.first.split(' ').map(str::to_owned);
                let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let (headers, body) = (head.headers, part.body);
                let came = Instant::now();
                return Ok(Some(Request { method, path, headers, body, connection, came, answered: None, left: None }));
            }
        }
        if from.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

/// Returns when the client closes or resets. What it sends meanwhile is kept: the next request.
async fn leave(from: &mut OwnedReadHalf, unread: &mut Vec<u8>) {
    while matches!(from.read_buf(unread).await, Ok(1..)) {}
}

async fn say(to: &mut OwnedWriteHalf, script: &Script) -> std::io::Result<()> {
    tokio::time::sleep(script.before).await;
    match &script.body {
        Body::Never => std::future::pending().await,
        Body::Raw(bytes) => return to.write_all(bytes).await,
        _ => to.write_all(&script.head()).await?,
    }
    match &script.body {
        Body::Never | Body::Raw(_) => Ok(()),
        Body::Whole(body) => to.write_all(body).await,
        Body::Pieces(pieces, pause) => {
            chunks(to, pieces, *pause).await?;
            to.write_all(b"0\r\n\r\n").await
        }
        Body::Cut(pieces) => chunks(to, pieces, Duration::ZERO).await,
        Body::Stalled(pieces) => {
            chunks(to, pieces, Duration::ZERO).await?;
            std::future::pending().await
        }
        Body::Endless(pieces, pause) => {
            chunks(to, pieces, *pause).await?;
            let Some(last) = pieces.last() else { return std::future::pending().await };
            loop {
                tokio::time::sleep(*pause).await;
                chunks(to, std::slice::from_ref(last), *pause).await?;
            }
        }
    }
}

async fn chunks(to: &mut OwnedWriteHalf, pieces: &[Vec<u8>], pause: Duration) -> std::io::Result<()> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(pause).await;
        }
        // An empty chunk would be the end of the body.
        if !piece.is_empty() {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            to.write_all(&chunk).await?;
        }
    }
    Ok(())
}
