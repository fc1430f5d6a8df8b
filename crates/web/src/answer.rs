//! Answers that are made in one piece, and the one body type that all handlers return.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Collected};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// The body of any answer: whole or streamed. It never fails: a stream that breaks says so in its own dialect.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer on its way out.
pub type Answer = Response<Body>;

/// A body that is there as a whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).boxed_unsync()
}

/// A body that ends where `body` fails, since its head has been sent: the client sees that it is cut short.
pub fn end_on_error<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Send + 'static,
{
    EndOnError { body: Box::pin(body), failed: false }.boxed_unsync()
}

struct EndOnError<B> {
    body: Pin<Box<B>>,
    failed: bool,
}

impl<B> http_body::Body for EndOnError<B>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Display>,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        self.body.as_mut().poll_frame(context).map(|frame| match frame? {
            Ok(frame) => Some(Ok(frame)),
            Err(error) => {
                tracing::error!(error = %error, "sending an answer");
                self.failed = true;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A short answer as the bytes of HTTP/1.1, where hyper is not there to write it.
pub(crate) async fn wire_form(answer: Answer) -> Vec<u8> {
    let (mut head, body) = answer.into_parts();
    let Ok(body) = body.collect().await.map(Collected::to_bytes);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let now = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
    if let Some(now) = now.ok().and_then(|now| HeaderValue::try_from(now).ok()) {
        head.headers.insert(DATE, now);
    }
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_answer_in_its_wire_form() {
        let mut answer = text(StatusCode::REQUEST_TIMEOUT, "late\n");
        answer.headers_mut().insert("x-own", HeaderValue::from_static("1"));
        let form = String::from_utf8(wire_form(answer).await).unwrap();
        let (head, body) = form.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<&str> = head.split("\r\n").collect();
        let date = lines.pop().unwrap();
        assert_eq!(
            lines,
            [
                "HTTP/1.1 408 Request Timeout",
                "content-type: text/plain; charset=utf-8",
                "x-own: 1",
                "content-length: 5"
            ]
        );
        assert!(date.starts_with("date: ") && date.ends_with(" GMT"), "{date}");
        assert_eq!(body, "late\n");
    }
}
