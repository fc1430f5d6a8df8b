//! One connection to a server, and the sending of a request on it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, Response};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::framing::{Head, HeadReader};
use super::incoming::Incoming;
use super::{ClientError, Home};

/// Bytes read at once. They lie on the stack: what waits to be read waits in the system.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of most heads.
const HEAD_BYTES: usize = 512;
/// A body of at most so many bytes is sent in one piece with its head.
const SMALL_BODY_BYTES: usize = 16 * 1024;
/// For so long after the sending began the end of a connection may be one that crossed the request on its way. What
/// ends later ended over the request.
const CROSSING_MAX: Duration = Duration::from_millis(500);

/// A connection that one request has for itself. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) io: Io,
    pub(super) home: Home,
    /// It has carried a request before.
    is_used: bool,
    sending: Sending,
}

/// How far the sending of a request is.
#[derive(Debug)]
enum Sending {
    /// What the server has not taken yet.
    Unsent {
        head: Bytes,
        body: Bytes,
    },
    /// It takes no more.
    Refused(io::Error),
    Sent,
}

impl Connection {
    pub(super) fn new(io: Io, home: Home, is_used: bool) -> Self {
        Self { io, home, is_used, sending: Sending::Sent }
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(mut self, request: &Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let mut reader = HeadReader::new(request.method() == Method::HEAD);
        self.sending = Sending::new(request);
        let began = Instant::now();
        let found = poll_fn(|task| self.poll_head(&mut reader, task)).await;
        let (head, rest) = found.map_err(|error| {
            let may_have_crossed = self.is_used && reader.has_nothing() && began.elapsed() <= CROSSING_MAX;
            if may_have_crossed { error.crossed() } else { error }
        })?;
        let mut response = Response::new(Incoming::new(self, head.framing, head.keeps, rest));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response)
    }

    /// Sends, and reads until the head of the answer is there. A server may answer before it has taken the whole request,
    /// also to say that it will not take it.
    fn poll_head(
        &mut self,
        reader: &mut HeadReader,
        task: &mut Context<'_>,
    ) -> Poll<Result<(Head, Bytes), ClientError>> {
        self.send_more(task);
        loop {
            match ready!(self.io.poll_read(task, |bytes| reader.push(bytes))) {
                Ok(Some(Ok(Some(found)))) => return Poll::Ready(Ok(found)),
                Ok(Some(Ok(None))) => {}
                Ok(Some(Err(broken))) => return Poll::Ready(Err(broken.into())),
                Ok(None) => return Poll::Ready(Err(self.lost(ClientError::Closed))),
                Err(error) => return Poll::Ready(Err(self.lost(ClientError::Read(error)))),
            }
        }
    }

    /// Sends as much as the server takes now. What goes wrong with that is told when there is nothing more to read.
    pub(super) fn send_more(&mut self, task: &mut Context<'_>) {
        if let Sending::Unsent { head, body } = &mut self.sending {
            match poll_send(&mut self.io, head, body, task) {
                Poll::Ready(Ok(())) => self.sending = Sending::Sent,
                Poll::Ready(Err(error)) => self.sending = Sending::Refused(error),
                Poll::Pending => {}
            }
        }
    }

    /// Why the connection is of no more use: what went wrong first.
    pub(super) fn lost(&mut self, later: ClientError) -> ClientError {
        match std::mem::replace(&mut self.sending, Sending::Sent) {
            Sending::Refused(error) => ClientError::Send(error),
            Sending::Unsent { .. } | Sending::Sent => later,
        }
    }

    /// Whether the server has taken the whole request.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Sent)
    }
}

impl Sending {
    fn new(request: &Request<Bytes>) -> Self {
        let together = Some(request.body().len()).filter(|length| *length <= SMALL_BODY_BYTES);
        let mut head = Vec::with_capacity(HEAD_BYTES + together.unwrap_or(0));
        write_head(request, &mut head);
        let mut body = request.body().clone();
        if together.is_some() {
            head.extend_from_slice(&std::mem::take(&mut body));
        }
        Self::Unsent { head: head.into(), body }
    }
}

fn poll_send(io: &mut Io, head: &mut Bytes, body: &mut Bytes, task: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !(head.is_empty() && body.is_empty()) {
        let both = [IoSlice::new(head), IoSlice::new(body)];
        let sent = ready!(io.stream().poll_write_vectored(task, &both))?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = sent.min(head.len());
        head.advance(of_head);
        body.advance(sent - of_head);
    }
    io.stream().poll_flush(task)
}

/// Request line and fields (RFC 9112, sections 2 and 3). An address and fields of these types hold nothing that could
/// end a line.
fn write_head(request: &Request<Bytes>, head: &mut Vec<u8>) {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n", HOST.as_str(), ": ", host, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    let length = request.body().len();
    if length > 0 || !matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
        head.extend_from_slice(format!("{CONTENT_LENGTH}: {length}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
}

/// The bytes to a server and back.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsIo>),
}

type TlsIo = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// What both kinds can do.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Io {
    pub(super) fn tls(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self::Tls(Box::new(TokioIo::new(stream)))
    }

    /// Reads what has come and gives it to `take`; `None` when the server has closed.
    pub(super) fn poll_read<T>(
        &mut self,
        task: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<Option<T>>> {
        let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(self.stream().poll_read(task, &mut buffer))?;
        let read = buffer.filled();
        Poll::Ready(Ok((!read.is_empty()).then(|| take(read))))
    }

    /// Whether the server says nothing, not even that it closes: only then the next request may go out here.
    pub(super) fn is_quiet(&mut self) -> bool {
        // Unconstrained, as the runtime tells a task that has read much that there is nothing to read.
        let read = pin!(unconstrained(poll_fn(|task| self.poll_read(task, |_| ()))));
        read.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}
