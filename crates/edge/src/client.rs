//! Asking servers behind routes: the client's side of HTTP/1.1 (RFC 9112), one request at a time on each connection.
//!
//! A request is written, and its answer read, in the task of whoever asks, and only when asked for: no task and no channel stands
//! between, no byte of an answer is read before it is wanted, and a connection that waits for a slow client or for its next
//! request holds no buffer. What a server answers is held to the rules of framing ([`framing`]); what could be read in two ways is
//! no answer.

mod connection;
mod framing;
mod head;
mod idle;
mod incoming;
mod upload;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::TokioIo;
use tollhouse_outbound::{Connector, Trust, connector};
use tower::ServiceExt;

pub(crate) use self::connection::Connection;
pub(crate) use self::idle::Idle;
pub(crate) use self::incoming::Incoming;

use self::framing::Decoder;
use self::head::{Answered, Length};
use self::upload::Upload;
use crate::balance::Server;
use crate::error::EdgeError;

/// How long a connection to a server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interim answers (RFC 9110, section 15.2) that are read over before the one that counts.
const INTERIM_MAX: usize = 16;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request's body on its way.
pub(crate) type Sent = UnsyncBoxBody<Bytes, BoxError>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nothing was sent.
    #[error("connecting to the server")]
    Connect(#[source] BoxError),
    /// The request's own body failed: it is the client's fault.
    #[error("taking the body from the client")]
    Body(#[source] BoxError),
    /// The server may have begun to work on it.
    #[error("asking the server")]
    Broken(#[source] io::Error),
    /// Its answer breaks the rules.
    #[error("the server's answer is malformed: {0}")]
    Malformed(&'static str),
}

/// A request's body: held, so that it can be sent again, or on its way.
pub(crate) enum Outgoing {
    Held(Bytes),
    Passing(Option<Sent>),
}

/// What is asked, apart from its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    /// Path and query, or `*`.
    pub(crate) target: &'a str,
    /// Without what frames a message: that is the client's to say.
    pub(crate) headers: &'a HeaderMap,
    /// Whether the answer may be a tunnel.
    pub(crate) wants_tunnel: bool,
}

/// What a server answers.
pub(crate) enum Reply {
    /// As always.
    Content(Response<Incoming>),
    /// It switches to another protocol on this connection.
    Tunnel(Response<()>, Connection),
}

/// How servers are reached. Connections that can be used again lie with their server ([`Idle`]).
#[derive(Clone, Debug)]
pub(crate) struct ServerClient {
    connector: Connector<GaiResolver>,
}

impl ServerClient {
    /// Reads the authorities of this machine where one of the servers is behind TLS, so it may block.
    pub(crate) fn new(is_encrypted: bool) -> Result<Self, EdgeError> {
        let trust = if is_encrypted { Trust::System } else { Trust::Nobody };
        Ok(Self { connector: connector(GaiResolver::new(), &trust, CONNECT_TIMEOUT)? })
    }

    /// Asks a server, on a connection that was kept if there is one. Where that turns out to be closed before an answer began, a
    /// request that may be sent twice (RFC 9110, section 9.2.2) is sent again on a new one.
    pub(crate) async fn ask(
        &self,
        server: &Arc<Server>,
        question: Question<'_>,
        outgoing: &mut Outgoing,
    ) -> Result<Reply, Failure> {
        let may_repeat = is_safe(question.method) && matches!(outgoing, Outgoing::Held(_));
        if let Some(kept) = server.idle.take() {
            match exchange(kept, server, question, outgoing).await {
                Err(Stopped { failure: Failure::Broken(_), has_begun: false }) if may_repeat => {}
                Err(stopped) => return Err(stopped.failure),
                Ok(answer) => return Ok(answer),
            }
        }
        let fresh = self.connect(&server.base).await?;
        exchange(fresh, server, question, outgoing).await.map_err(|stopped| stopped.failure)
    }

    async fn connect(&self, to: &Uri) -> Result<Connection, Failure> {
        let stream = self.connector.clone().oneshot(to.clone()).await.map_err(Failure::Connect)?;
        Ok(Connection::new(TokioIo::new(stream)))
    }
}

/// Methods that change nothing, and so can be asked twice.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// An exchange that came to nothing.
struct Stopped {
    failure: Failure,
    /// Whether bytes of an answer have come.
    has_begun: bool,
}

/// Sends a request on this connection and reads the head of its answer, both at once: a server may answer before it has
/// the whole body.
async fn exchange(
    mut connection: Connection,
    server: &Arc<Server>,
    question: Question<'_>,
    outgoing: &mut Outgoing,
) -> Result<Reply, Stopped> {
    let (length, body) = outgoing.take(question);
    let prefix = if question.target == "*" { "" } else { server.base.path().trim_end_matches('/') };
    let mut upload = Some(Upload::new(head::write(question, prefix, length), length, body));
    let mut refused: Option<io::Error> = None;
    let mut interim = 0;
    let answered = poll_fn(|context| {
        if let Some(sending) = &mut upload {
            match sending.poll(&mut connection, context) {
                Poll::Ready(Ok(())) => upload = None,
                // It may have answered before it stopped listening.
                Poll::Ready(Err(Failure::Broken(error))) => (upload, refused) = (None, Some(error)),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {}
            }
        }
        loop {
            let answered = std::task::ready!(connection.poll_head(context))?;
            if answered.status.is_informational() && answered.status != StatusCode::SWITCHING_PROTOCOLS {
                interim += 1;
                if interim > INTERIM_MAX {
                    return Poll::Ready(Err(Failure::Malformed("there is no end to interim answers")));
                }
                continue;
            }
            return Poll::Ready(Ok(answered));
        }
    });
    let answered = match answered.await {
        Ok(answered) => answered,
        Err(failure) => {
            let has_begun = connection.has_answered();
            let failure = match (failure, refused) {
                (Failure::Broken(_), Some(error)) => Failure::Broken(error),
                (failure, _) => failure,
            };
            return Err(Stopped { failure, has_begun });
        }
    };
    let stopped = |failure| Stopped { failure, has_begun: true };
    let Answered { status, version, mut headers } = answered;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        if !question.wants_tunnel || upload.is_some() {
            return Err(stopped(Failure::Malformed("it switches protocols, and nobody asked for that")));
        }
        let mut answer = Response::new(());
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        return Ok(Reply::Tunnel(answer, connection));
    }
    let (decoder, may_stay) = Decoder::new(question.method, status, version, &mut headers).map_err(stopped)?;
    let may_stay = may_stay && refused.is_none();
    let mut answer = Response::new(Incoming::new(connection, decoder, upload, may_stay.then(|| server.clone())));
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(Reply::Content(answer))
}

impl Outgoing {
    /// Whether there is still something to be sent with a request.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Passing(None))
    }

    /// How long the body is said to be, and the body.
    fn take(&mut self, question: Question<'_>) -> (Length, Source) {
        match self {
            Self::Held(bytes) if bytes.is_empty() => (Length::none(question), Source::Held(Bytes::new())),
            Self::Held(bytes) => (Length::Exact(bytes.len() as u64), Source::Held(bytes.clone())),
            Self::Passing(body) => match body.take() {
                Some(body) => (body.size_hint().exact().map_or(Length::Chunked, Length::Exact), Source::Passing(body)),
                None => (Length::none(question), Source::Held(Bytes::new())),
            },
        }
    }
}

/// Where the bytes of a request's body come from.
enum Source {
    Held(Bytes),
    Passing(Sent),
}

#[cfg(test)]
mod tests;
