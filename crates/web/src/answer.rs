//! Answers that are made in one piece, and the one body type that all handlers return.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of any answer: whole or streamed. It never fails: a stream that breaks says so in its own dialect.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer on its way out.
pub type Answer = Response<Body>;

/// A body that is there as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).boxed_unsync()
}

/// A plain-text answer.
pub fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    with_type(status, HeaderValue::from_static("text/plain; charset=utf-8"), text.into())
}

/// A JSON answer from bytes that are JSON already.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, HeaderValue::from_static("application/json"), body)
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
