//! Between hyper and the handler: refusals are answered, answers are watched to their end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::service::Service;

use crate::head::FIELDS_MAX;
use crate::refusal::{Refusal, check_method};
use crate::serve::{Dropped, Inner, Peer};
use crate::shared::Shared;
use crate::stream::ServerName;
use crate::streams::{Stream, StreamPlace, Streams};
use crate::{Answer, Body, target};

/// An answer on its way. Boxed for each request, so that the handler's state is not kept while its answer streams.
type Answering<B> = Pin<Box<dyn Future<Output = Result<Response<B>, DroppedError>> + Send>>;

/// Answers the requests of one HTTP/1.x connection.
#[derive(Debug)]
pub(crate) struct Http1<H> {
    pub(crate) inner: Arc<Inner<H>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) server_name: Option<ServerName>,
}

impl<H, F> Service<Request<Incoming>> for Http1<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    type Response = Response<Watched>;
    type Error = DroppedError;
    type Future = Answering<Watched>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let watch = Watch(self.shared.clone());
        // The guard's stand-in for a head that it refused; no client's `TRACE` gets here.
        if request.method() == Method::TRACE {
            let refusal = self.shared.refusal().unwrap_or(Refusal::malformed("the request is malformed"));
            self.inner.tell(self.peer, refusal);
            let answer = self.inner.refused(refusal, self.server_name.as_ref());
            return Box::pin(std::future::ready(Ok(answer.map(|body| Watched { body, watch }))));
        }
        tell_name(&mut request, self.server_name.as_ref());
        // In a box of its own: a future that is moved into another one is held twice, and copied as often as it is moved.
        let answer = Box::pin((self.inner.handler)(request, self.peer));
        let (inner, server_name) = (self.inner.clone(), self.server_name.clone());
        Box::pin(async move {
            let mut answer = answer.await.map_err(|Dropped| DroppedError)?;
            let shared = &watch.0;
            // The request's own body broke off or broke the rules: whatever the handler made of that, this is why.
            if let Some(refusal) = shared.refusal() {
                answer = inner.refused(refusal, server_name.as_ref());
            }
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                shared.become_tunnel();
            } else if shared.is_in_body() {
                // An answer before the body's end: what follows on the connection is not worth telling apart.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer.map(|body| Watched { body, watch }))
        })
    }
}

/// Says that an answer is finished, however it ends.
#[derive(Debug)]
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.end_answer();
    }
}

/// A body whose end is noticed, and of which no more is taken ahead than the client has room for, and a piece.
#[derive(Debug)]
pub(crate) struct Watched {
    body: Body,
    watch: Watch,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.watch.0.holds_back() {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.watch.0.gave(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Answers the requests of one HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2<H> {
    pub(crate) inner: Arc<Inner<H>>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) peer: Peer,
    pub(crate) server_name: Option<ServerName>,
}

impl<H, F> Service<Request<Incoming>> for Http2<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Answer, Dropped>> + Send + 'static,
{
    type Response = Response<Stream>;
    type Error = DroppedError;
    type Future = Answering<Stream>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let place = StreamPlace::take(&self.streams);
        if let Err(refusal) = check(&request) {
            self.inner.tell(self.peer, refusal);
            let mut answer = self.inner.refused(refusal, self.server_name.as_ref());
            // A field of HTTP/1.x; here each request stands alone.
            answer.headers_mut().remove(CONNECTION);
            return Box::pin(std::future::ready(Ok(answer.map(|body| Stream::new(body, place)))));
        }
        tell_name(&mut request, self.server_name.as_ref());
        let answer = Box::pin((self.inner.handler)(request, self.peer));
        Box::pin(async move {
            let answer = answer.await.map_err(|Dropped| DroppedError)?;
            Ok(answer.map(|body| Stream::new(body, place)))
        })
    }
}

fn tell_name(request: &mut Request<Incoming>, name: Option<&ServerName>) {
    if let Some(name) = name {
        request.extensions_mut().insert(name.clone());
    }
}

/// What [`crate::head::Head`] checks, as far as h2 has not done it: its framing is not made of text.
fn check(request: &Request<Incoming>) -> Result<(), Refusal> {
    check_method(request.method())?;
    if request.headers().len() > FIELDS_MAX {
        let reason = "the head has more than 100 fields";
        return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason));
    }
    if request.headers().keys().any(|name| name.as_str().contains('_')) {
        return Err(Refusal::malformed("a field name has an underscore"));
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
    let host = authority.or_else(|| hosts.next());
    if !host.is_some_and(target::is_host)
        || hosts.any(|other| host.is_none_or(|host| !host.eq_ignore_ascii_case(other)))
    {
        return Err(Refusal::malformed("the host is missing or malformed"));
    }
    match request.uri().path_and_query() {
        Some(target) if target.as_str() == "*" && request.method() == Method::OPTIONS => Ok(()),
        Some(target) => target::check_path_and_query(target.as_str().as_bytes()),
        None => Err(Refusal::malformed("the path is missing")),
    }
}

/// Makes hyper close the connection (or reset the stream) without an answer.
#[derive(Debug)]
pub(crate) struct DroppedError;

impl std::fmt::Display for DroppedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for DroppedError {}
