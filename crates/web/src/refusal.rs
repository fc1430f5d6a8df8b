//! Why a request is refused before any handler sees it, and the answer that says so.

use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::{Method, StatusCode};

use crate::{Answer, RequestId, request_id, text};

/// A breach of HTTP's grammar, or of a bound on what a client may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    status: StatusCode,
    reason: &'static str,
}

impl Refusal {
    /// 400: what was sent is not HTTP as RFC 9110 and RFC 9112 have it.
    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason }
    }

    pub(crate) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        self.status
    }

    /// What was wrong, in words of our own: nothing of the request is repeated.
    pub fn reason(self) -> &'static str {
        self.reason
    }

    /// The answer. It ends the connection: what follows on it can no longer be told apart from a request.
    pub(crate) fn answer(self) -> Answer {
        let mut answer = text(self.status, format!("{}\n", self.reason));
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(request_id::HEADER, RequestId::random().header_value());
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        answer
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.reason)
    }
}

/// Methods that no handler is asked for: `TRACE` shows a client's secrets to scripts, `CONNECT` would make a tunnel.
pub(crate) fn check_method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::TRACE | Method::CONNECT => {
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here"))
        }
        _ => Ok(()),
    }
}
