//! The one table from "why not" to status, text, level and headers (design, section 6).

use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tollhouse_access::RateLimit;
use tollhouse_dialect as dialect;
use tollhouse_journal::Level;
use tollhouse_upstream::UpstreamError;
use tollhouse_web::{Answer, json};

use crate::route::Dialect;

/// How errors are shaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorStyle {
    /// As the dialect of the request has them.
    Dialect,
    /// `{"error": "message"}` on every API.
    Plain,
}

/// Why a request is not served.
#[derive(Debug)]
pub enum Refusal {
    /// No key, a wrong, expired or revoked one, or two that differ.
    InvalidKey,
    /// The key's role does not allow this; the role that would.
    RoleNotAllowed(&'static str),
    /// The client's address is not in the list, and is told so.
    AddressNotAllowed,
    /// The client's address is not in the list, and the connection is closed without a word.
    AddressDropped,
    /// The model is not among the key's.
    ModelNotAllowed,
    /// Too many requests in the window.
    TooManyRequests {
        /// The limit.
        limit: RateLimit,
        /// After which a request passes.
        retry_after: Duration,
    },
    /// The prompt has too many characters.
    PromptTooLong {
        /// Characters allowed.
        max: usize,
    },
    /// The body has too many bytes.
    BodyTooLarge {
        /// Bytes allowed.
        max: u64,
    },
    /// The body did not come in time, or broke off.
    BodyIncomplete,
    /// The request is not what its API takes.
    BadRequest {
        /// What is wrong and where.
        message: String,
    },
    /// No such model.
    UnknownModel(String),
    /// No such path.
    UnknownPath,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The model server's fault, or what it said of the request.
    Upstream(UpstreamError),
    /// The journal cannot be written: nothing passes unrecorded.
    Unrecorded,
}

/// One row of the table.
struct Row {
    status: StatusCode,
    message: String,
    kind: &'static str,
    code: Option<&'static str>,
    level: Level,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn row(&self) -> Row {
        use StatusCode as S;
        let row = |status, message: &str, kind, code, level| Row {
            status,
            message: message.to_owned(),
            kind,
            code,
            level,
            retry_after: None,
        };
        match self {
            Self::InvalidKey => {
                row(S::UNAUTHORIZED, "invalid api key", "authentication_error", Some("invalid_api_key"), Level::Warn)
            }
            Self::RoleNotAllowed(role) => {
                let message = format!("this key may not do that: role {role} or admin is needed");
                row(S::FORBIDDEN, &message, "permission_error", None, Level::Warn)
            }
            Self::AddressNotAllowed | Self::AddressDropped => {
                row(S::FORBIDDEN, "address not allowed", "permission_error", None, Level::Warn)
            }
            Self::ModelNotAllowed => {
                row(S::FORBIDDEN, "model not allowed for this key", "permission_error", None, Level::Warn)
            }
            Self::TooManyRequests { limit, retry_after } => {
                let per = seconds_text(limit.per);
                let message = format!("rate limit exceeded: {} requests per {per}", limit.requests);
                Row {
                    retry_after: Some(*retry_after),
                    ..row(S::TOO_MANY_REQUESTS, &message, "rate_limit_error", Some("rate_limit_exceeded"), Level::Warn)
                }
            }
            Self::PromptTooLong { max } => {
                let message = format!("prompt too long, max {max} chars");
                row(S::BAD_REQUEST, &message, "invalid_request_error", Some("context_length_exceeded"), Level::Warn)
            }
            Self::BodyTooLarge { max } => {
                let message = format!("body too large, max {max} bytes");
                row(S::PAYLOAD_TOO_LARGE, &message, "invalid_request_error", None, Level::Warn)
            }
            Self::BodyIncomplete => {
                let message = "the request's body did not arrive in full";
                row(S::REQUEST_TIMEOUT, message, "invalid_request_error", None, Level::Warn)
            }
            Self::BadRequest { message } => row(S::BAD_REQUEST, message, "invalid_request_error", None, Level::Warn),
            Self::UnknownModel(model) => {
                let message = format!("model '{model}' not found");
                row(S::NOT_FOUND, &message, "not_found_error", Some("model_not_found"), Level::Warn)
            }
            Self::UnknownPath => row(S::NOT_FOUND, "no such path", "not_found_error", None, Level::Warn),
            Self::MethodNotAllowed => {
                row(S::METHOD_NOT_ALLOWED, "method not allowed here", "invalid_request_error", None, Level::Warn)
            }
            Self::Upstream(error) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(S::SERVICE_UNAVAILABLE);
                let kind = match status.as_u16() {
                    404 => "not_found_error",
                    400..=499 => "invalid_request_error",
                    _ => "server_error",
                };
                let level = if status.is_server_error() { Level::Error } else { Level::Warn };
                Row { retry_after: error.retry_after(), ..row(status, error.public_message(), kind, None, level) }
            }
            Self::Unrecorded => {
                let message = "the service cannot keep its records right now, please try again shortly";
                Row {
                    retry_after: Some(Duration::from_secs(5)),
                    ..row(S::SERVICE_UNAVAILABLE, message, "server_error", None, Level::Error)
                }
            }
        }
    }

    /// Status that the client is told, also kept in the record of a connection that is dropped.
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// How loud the record is.
    pub(crate) fn level(&self) -> Level {
        self.row().level
    }

    /// The answer in the client's dialect.
    pub(crate) fn answer(&self, client: Dialect, style: ErrorStyle) -> Answer {
        let row = self.row();
        let body = match (style, client) {
            (ErrorStyle::Dialect, Dialect::OpenAi) => dialect::openai::error_body(&row.message, row.kind, row.code),
            (ErrorStyle::Dialect, Dialect::Ollama) | (ErrorStyle::Plain, _) => {
                dialect::ollama::error_body(&row.message)
            }
        };
        let mut answer = json(row.status, body);
        if let Some(wait) = row.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds_up(wait)));
        }
        if let Self::TooManyRequests { limit, retry_after } = self {
            rate_headers(&mut answer, *limit, 0, *retry_after);
        }
        answer
    }

    /// What a stream that has begun says in place of a status.
    pub(crate) fn stream_message(&self) -> String {
        self.row().message
    }
}

/// What records say: the public text, and what only the operator may know.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => error.fmt(f),
            other => f.write_str(&other.row().message),
        }
    }
}

/// Tells the client how much of its window is left, as OpenAI's API does.
pub(crate) fn rate_headers(answer: &mut Answer, limit: RateLimit, remaining: u32, reset: Duration) {
    let headers = answer.headers_mut();
    headers.insert("x-ratelimit-limit-requests", HeaderValue::from(limit.requests.get()));
    headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(remaining));
    let reset = format!("{}s", whole_seconds_up(reset));
    headers.insert("x-ratelimit-reset-requests", HeaderValue::from_str(&reset).expect("digits and a letter"));
}

/// Whole seconds that are never less than the duration, and never 0: `Retry-After` has no fractions (RFC 9110, 10.2.3).
fn whole_seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn seconds_text(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn waiting_is_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60), (60_000, 60)] {
            assert_eq!(whole_seconds_up(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }

    #[test]
    fn texts_of_the_table() {
        let limit = RateLimit { requests: NonZeroU32::new(30).unwrap(), per: Duration::from_secs(60) };
        let cases: [(Refusal, u16, &str); 5] = [
            (Refusal::InvalidKey, 401, "invalid api key"),
            (Refusal::ModelNotAllowed, 403, "model not allowed for this key"),
            (
                Refusal::TooManyRequests { limit, retry_after: Duration::from_secs(1) },
                429,
                "rate limit exceeded: 30 requests per 60 s",
            ),
            (Refusal::PromptTooLong { max: 32768 }, 400, "prompt too long, max 32768 chars"),
            (Refusal::AddressNotAllowed, 403, "address not allowed"),
        ];
        for (refusal, status, message) in cases {
            assert_eq!(refusal.status().as_u16(), status);
            assert_eq!(refusal.row().message, message);
        }
    }
}
