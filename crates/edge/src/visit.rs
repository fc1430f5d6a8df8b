//! What is told of a request that was not the house's own.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tollhouse_web::{Answer, Body, RequestId};

use crate::spec::Records;

/// Longest path that is told, in bytes.
const PATH_BYTES_MAX: usize = 1_024;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    /// The client's address, as far as trusted proxies in front say it.
    pub address: IpAddr,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The name that it was sent to.
    pub host: String,
    /// Its method.
    pub method: Method,
    /// Its path, without the query, cut at 1 KiB.
    pub path: String,
    /// What was answered; 101 for a WebSocket.
    pub status: StatusCode,
    /// Whose request it was.
    pub address: IpAddr,
    /// Its id, which a server behind got as well.
    pub request_id: String,
    /// The server that answered, if one was asked.
    pub server: Option<String>,
    /// Bytes of the answer's body that were handed on.
    pub bytes_sent: u64,
    /// From its head to the end of its answer, in milliseconds.
    pub duration_ms: f64,
    /// Why it was answered as it was, where something failed.
    pub error: Option<String>,
}

/// Who is told of each request.
pub type Tell = Arc<dyn Fn(&Visit) + Send + Sync>;

/// A request under way, told when it is dropped: with its answer's body, or with whoever waited for it.
pub(crate) struct Open {
    visit: Visit,
    began: Instant,
    tell: Tell,
    records: Records,
}

impl Open {
    pub(crate) fn new(
        (tell, records): (&Tell, Records),
        host: &str,
        method: &Method,
        path: &str,
        visitor: Visitor,
        id: &RequestId,
    ) -> Self {
        let end = (0..=path.len().min(PATH_BYTES_MAX)).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
        let visit = Visit {
            host: host.to_owned(),
            method: method.clone(),
            path: path[..end].to_owned(),
            // Until there is an answer: whoever leaves before gets none (nginx's number for it).
            status: StatusCode::from_u16(499).expect("three digits"),
            address: visitor.address,
            request_id: id.as_str().to_owned(),
            server: None,
            bytes_sent: 0,
            duration_ms: 0.0,
            error: None,
        };
        Self { visit, began: Instant::now(), tell: tell.clone(), records }
    }

    /// The server that is asked now.
    pub(crate) fn ask(&mut self, server: &str) {
        self.visit.server = Some(server.to_owned());
    }

    /// Why it is answered as it is.
    pub(crate) fn fail(&mut self, error: String) {
        self.visit.error = Some(error);
    }

    /// Bytes that went to the client in a tunnel.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.visit.bytes_sent += bytes;
    }

    /// It is answered by this; told once the body has ended.
    pub(crate) fn answer(mut self, mut answer: Answer, id: &RequestId) -> Answer {
        self.answered(answer.status());
        answer.headers_mut().insert("x-request-id", id.header_value());
        answer.map(|body| Told { body, open: self }.boxed_unsync())
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.visit.status = status;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let is_failure = self.visit.error.is_some() || self.visit.status.as_u16() >= 400;
        if self.records == Records::Failures && !is_failure {
            return;
        }
        self.visit.duration_ms = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        (self.tell)(&self.visit);
    }
}

/// A body whose bytes are counted.
struct Told {
    body: Body,
    open: Open,
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.open.sent(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
