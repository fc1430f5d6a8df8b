//! What a sender is answered, and the one table of what each answer means.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;
use tollhouse_collect::http::UnpackError;
use tollhouse_otlp::{Encoding, OtlpError, Rejected, failure};
use tollhouse_web::{Answer, full};

/// When a sender may come again that was turned away for a moment.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// In which words a sender is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speech {
    /// JSON of our own.
    Lines,
    /// As OpenTelemetry's protocol has it.
    Otlp(Encoding),
}

/// Why a request is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("there is nothing here; lines go to / or /lines, OpenTelemetry's log records to /v1/logs")]
    NoSuchPath,
    #[error("only POST is taken here")]
    Method,
    #[error("the key is missing or wrong, or may not write logs (Authorization: Bearer …)")]
    Key,
    #[error("too many wrong keys came from this address")]
    Guessing,
    #[error("the role of this key may not write logs")]
    Role,
    #[error("requests of web pages, or under other names than `hosts` has, are not taken where no key is asked for")]
    Page,
    #[error("the address may not send here")]
    Address,
    #[error("Content-Type has to be application/x-protobuf or application/json")]
    Media,
    #[error("Content-Encoding has to be gzip, deflate, zstd or identity")]
    Packing,
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    TooMany(String),
    #[error("the body did not arrive in full")]
    Incomplete,
    #[error("{0}")]
    Unreadable(String),
    #[error("more is being written than there is memory for")]
    Busy,
    #[error("the lines could not be kept: {0}")]
    Unkept(String),
}

impl From<UnpackError> for Trouble {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::TooLarge(bytes_max) => Self::TooLarge(bytes_max),
            UnpackError::Broken(_) => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<OtlpError> for Trouble {
    fn from(error: OtlpError) -> Self {
        match error {
            OtlpError::TooMany => Self::TooMany(error.to_string()),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl Trouble {
    /// Its status, and the code that gRPC has for it. Of these, senders repeat 429 and 503 only (OTLP 1.x, "Failures").
    pub(super) fn status(&self) -> (StatusCode, i32) {
        const INVALID: i32 = 3;
        const DENIED: i32 = 7;
        const EXHAUSTED: i32 = 8;
        const UNAVAILABLE: i32 = 14;
        const UNKNOWN_CALLER: i32 = 16;
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, 12),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, 12),
            Self::Key => (StatusCode::UNAUTHORIZED, UNKNOWN_CALLER),
            Self::Role | Self::Page | Self::Address => (StatusCode::FORBIDDEN, DENIED),
            Self::Media | Self::Packing => (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID),
            Self::TooLarge(_) | Self::TooMany(_) => (StatusCode::PAYLOAD_TOO_LARGE, INVALID),
            Self::Incomplete => (StatusCode::REQUEST_TIMEOUT, INVALID),
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, INVALID),
            Self::Busy | Self::Guessing => (StatusCode::TOO_MANY_REQUESTS, EXHAUSTED),
            Self::Unkept(_) => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
        }
    }

    pub(super) fn answer(&self, speech: Speech) -> Answer {
        let (status, code) = self.status();
        let body = match speech {
            Speech::Lines => json!({"error": self.to_string(), "status": status.as_u16()}).to_string().into_bytes(),
            Speech::Otlp(encoding) => failure(encoding, code, &self.to_string()),
        };
        let mut answer = answer(status, speech, body);
        let headers = answer.headers_mut();
        match self {
            Self::Busy | Self::Guessing | Self::Unkept(_) => {
                drop(headers.insert(RETRY_AFTER, AGAIN_AFTER.as_secs().into()));
            }
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
            Self::Key => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"logs\""))),
            _ => {}
        }
        answer
    }
}

/// All lines but those rejected are on the disk.
pub(super) fn kept(lines: usize, rejected: &Rejected, speech: Speech) -> Answer {
    let body = match speech {
        Speech::Lines => json!({"lines": lines}).to_string().into_bytes(),
        Speech::Otlp(encoding) => rejected.answer(encoding),
    };
    answer(StatusCode::OK, speech, body)
}

fn answer(status: StatusCode, speech: Speech, body: Vec<u8>) -> Answer {
    let media = match speech {
        Speech::Lines => "application/json",
        Speech::Otlp(encoding) => encoding.content_type(),
    };
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    answer
}
