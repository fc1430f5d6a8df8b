//! The one table from "why not" to status, text, level and headers (design, section 6).

use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollhouse_dialect::{AnswerError, Encoder, ErrorInfo, RequestError, Shape};
use tollhouse_journal::Level;
use tollhouse_limits::{Denied, Left, Period, Told};
use tollhouse_tokens::{Count, Source};
use tollhouse_upstream::UpstreamError;
use tollhouse_web::{Answer, json};

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
    /// A key stands in the address, where it would be kept by everything that keeps addresses.
    SecretInAddress,
    /// Too many wrong keys came from this address.
    TooManyFailures {
        /// When it may try again.
        retry_after: Duration,
    },
    /// A rate limit, the number of requests at once or a budget.
    Denied(Denied),
    /// The prompt has too many characters.
    PromptTooLong {
        /// Characters allowed.
        max: usize,
    },
    /// The prompt has more tokens than the model's context has room for.
    ContextTooSmall {
        /// The prompt's tokens.
        count: Count,
        /// Tokens allowed for it.
        allowed: u64,
        /// The model's context, prompt and answer together.
        window: u64,
    },
    /// The body has too many bytes.
    BodyTooLarge {
        /// Bytes allowed.
        max: u64,
    },
    /// The body is coded, and codings of requests are not taken apart here; this one.
    BodyCoded(String),
    /// The body did not come in time, or broke off.
    BodyIncomplete,
    /// The request is not what its API takes.
    BadRequest(RequestError),
    /// No such model.
    UnknownModel(String),
    /// No such path.
    UnknownPath,
    /// The path does not take this method; those that it takes.
    MethodNotAllowed(&'static str),
    /// The model server's fault, or what it said of the request.
    Upstream(UpstreamError),
    /// The model's answer cannot be written in the client's API.
    Answer(AnswerError),
    /// The journal cannot be written: nothing passes unrecorded.
    Unrecorded,
    /// Something is not right with a file, a batch, or a request that is answered later.
    Later {
        /// What the client is told.
        status: StatusCode,
        /// What is wrong, for people.
        message: String,
        /// The same for programs.
        code: &'static str,
        /// The field that is at fault.
        param: Option<&'static str>,
    },
}

/// Goes with the answer to a request that a model server had when it failed, for callers inside the house. Their status alone
/// does not tell such a failure from a server that is away or full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerFailed {
    /// How it failed, by a stable word of [`tollhouse_telemetry::REASONS`].
    pub reason: &'static str,
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
            Self::RoleNotAllowed(role) => row(S::FORBIDDEN, &role_needed(role), "permission_error", None, Level::Warn),
            Self::AddressNotAllowed | Self::AddressDropped => {
                row(S::FORBIDDEN, "address not allowed", "permission_error", None, Level::Warn)
            }
            Self::ModelNotAllowed => {
                row(S::FORBIDDEN, "model not allowed for this key", "permission_error", None, Level::Warn)
            }
            Self::SecretInAddress => {
                let message = "a key in the address is not taken, since addresses are logged everywhere: send it as \
                               `Authorization: Bearer …` or `x-api-key`";
                row(S::BAD_REQUEST, message, "invalid_request_error", None, Level::Warn)
            }
            Self::TooManyFailures { retry_after } => Row {
                retry_after: Some(*retry_after),
                ..row(
                    S::TOO_MANY_REQUESTS,
                    "too many wrong api keys from this address",
                    "rate_limit_error",
                    Some("rate_limit_exceeded"),
                    Level::Warn,
                )
            },
            Self::Denied(denied) => denied_row(denied),
            Self::PromptTooLong { max } => {
                let message = format!("prompt too long, max {max} chars");
                row(S::BAD_REQUEST, &message, "invalid_request_error", Some("context_length_exceeded"), Level::Warn)
            }
            Self::ContextTooSmall { count, allowed, window } => {
                let about = match count.source {
                    Source::Tokenizer => "",
                    Source::Estimate => "about ",
                };
                let message = format!(
                    "the prompt has {about}{} tokens, and this model's context of {window} tokens has room for {allowed}",
                    count.tokens
                );
                row(S::BAD_REQUEST, &message, "invalid_request_error", Some("context_length_exceeded"), Level::Warn)
            }
            Self::BodyTooLarge { max } => {
                let message = format!("body too large, max {max} bytes");
                row(S::PAYLOAD_TOO_LARGE, &message, "invalid_request_error", None, Level::Warn)
            }
            Self::BodyCoded(coding) => {
                let message =
                    format!("a body with content-encoding {coding} is not taken: send it as it is, without one");
                row(S::UNSUPPORTED_MEDIA_TYPE, &message, "invalid_request_error", None, Level::Warn)
            }
            Self::BodyIncomplete => {
                let message = "the request's body did not arrive in full";
                row(S::REQUEST_TIMEOUT, message, "invalid_request_error", None, Level::Warn)
            }
            Self::BadRequest(error) => {
                row(S::BAD_REQUEST, &error.to_string(), "invalid_request_error", None, Level::Warn)
            }
            Self::Answer(error) => row(S::BAD_GATEWAY, &error.to_string(), "server_error", None, Level::Error),
            Self::UnknownModel(model) => {
                let message = format!("model '{model}' not found");
                row(S::NOT_FOUND, &message, "not_found_error", Some("model_not_found"), Level::Warn)
            }
            Self::UnknownPath => row(S::NOT_FOUND, "no such path", "not_found_error", None, Level::Warn),
            Self::MethodNotAllowed(_) => {
                row(S::METHOD_NOT_ALLOWED, "method not allowed here", "invalid_request_error", None, Level::Warn)
            }
            Self::Upstream(error) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(S::SERVICE_UNAVAILABLE);
                let level = if status.is_server_error() { Level::Error } else { Level::Warn };
                Row {
                    retry_after: error.retry_after(),
                    ..row(status, error.public_message(), error.kind(), error.code(), level)
                }
            }
            Self::Later { status, message, code, .. } => {
                let (kind, level) = match *status {
                    S::NOT_FOUND => ("not_found_error", Level::Warn),
                    S::TOO_MANY_REQUESTS => ("rate_limit_error", Level::Warn),
                    status if status.is_server_error() => ("server_error", Level::Error),
                    _ => ("invalid_request_error", Level::Warn),
                };
                row(*status, message, kind, Some(code), level)
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

    /// What it is, by a stable word of [`tollhouse_telemetry::REASONS`].
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::RoleNotAllowed(_) => "role_not_allowed",
            Self::AddressNotAllowed | Self::AddressDropped => "address_not_allowed",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::SecretInAddress => "secret_in_address",
            Self::TooManyFailures { .. } => "too_many_wrong_keys",
            Self::Denied(denied) => match denied {
                Denied::Requests { .. } | Denied::Tokens { .. } | Denied::Concurrent { .. } => "rate_limit",
                Denied::Budget { .. } | Denied::TooLarge { .. } => "budget",
                Denied::Crowded { .. } => "overloaded",
            },
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::ContextTooSmall { .. } => "context_too_small",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::BadRequest(_) | Self::BodyCoded(_) | Self::Later { .. } => "bad_request",
            Self::UnknownModel(_) => "unknown_model",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Upstream(error) => error.reason(),
            Self::Answer(_) => "unwritable_answer",
            Self::Unrecorded => "unrecorded",
        }
    }

    /// The limit that stood in the way, by its word of [`tollhouse_telemetry::LIMITS`].
    pub(crate) fn limit(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooManyFailures { .. } => "wrong_keys",
            Self::Denied(Denied::Requests { .. }) => "requests",
            Self::Denied(Denied::Tokens { .. } | Denied::TooLarge { .. }) => "tokens",
            Self::Denied(Denied::Concurrent { .. }) => "concurrent",
            Self::Denied(Denied::Budget { .. }) => "budget",
            Self::Denied(Denied::Crowded { .. }) => "callers",
            Self::PromptTooLong { .. } => "prompt_chars",
            Self::ContextTooSmall { .. } => "context",
            Self::BodyTooLarge { .. } => "body",
            Self::Upstream(error) if error.reason() == "queue" => "queue",
            _ => return None,
        })
    }

    /// Status that the client is told, also kept in the record of a connection that is dropped.
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// How loud the record is.
    pub(crate) fn level(&self) -> Level {
        self.row().level
    }

    /// The answer in the form of the client's API.
    pub(crate) fn answer(&self, shape: Shape, style: ErrorStyle, request_id: &str) -> Answer {
        let row = self.row();
        let shape = if style == ErrorStyle::Plain { Shape::Ollama } else { shape };
        let mut answer = json(row.status, shape.error_body(&row.info(self.param(), request_id)));
        if let Some(wait) = row.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds_up(wait)));
        }
        if let Self::Upstream(error) = self
            && error.was_under_way()
        {
            answer.extensions_mut().insert(ServerFailed { reason: error.reason() });
        }
        if let Self::Denied(denied) = self {
            rate_headers(answer.headers_mut(), &spent(denied));
        }
        answer
    }

    /// Ends a stream that has begun, where a status can no longer be told.
    pub(crate) fn end_stream(&self, encoder: &mut Encoder, request_id: &str, out: &mut Vec<u8>) {
        encoder.error(&self.row().info(self.param(), request_id), out);
    }

    /// The path of the field that is at fault.
    fn param(&self) -> Option<&str> {
        match self {
            Self::BadRequest(error) => error.param(),
            Self::Later { param, .. } => *param,
            _ => None,
        }
    }
}

impl Row {
    fn info<'a>(&'a self, param: Option<&'a str>, request_id: &'a str) -> ErrorInfo<'a> {
        let Self { status, message, kind, code, .. } = self;
        ErrorInfo { status: status.as_u16(), kind, code: *code, param, message, request_id }
    }
}

/// What is missing where a key's role does not allow something.
pub fn role_needed(role: &str) -> String {
    let wanted = if role == "admin" { "role admin".to_owned() } else { format!("role {role} or admin") };
    format!("this key may not do that: {wanted} is needed")
}

fn denied_row(denied: &Denied) -> Row {
    let (status, kind, code, message) = match denied {
        Denied::Requests { most, per, .. } => {
            let message = format!("rate limit exceeded: {most} requests per {}", seconds_text(*per));
            (429, "rate_limit_error", "rate_limit_exceeded", message)
        }
        Denied::Tokens { most, per, .. } => {
            let message = format!("rate limit exceeded: {most} tokens per {}", seconds_text(*per));
            (429, "rate_limit_error", "rate_limit_exceeded", message)
        }
        Denied::Concurrent { most, .. } => {
            let message = format!("rate limit exceeded: {most} requests at the same time");
            (429, "rate_limit_error", "rate_limit_exceeded", message)
        }
        Denied::Budget { tokens, period, opens_at_ms, .. } => {
            let period = match period {
                Period::Day => "day",
                Period::Month => "month",
            };
            let opens = jiff::Timestamp::from_millisecond(*opens_at_ms).unwrap_or_default();
            let message = format!("token budget spent: {tokens} tokens per {period}; it opens again at {opens:.0}");
            // 402 and `insufficient_quota` make OpenClaw lock its whole provider for ten minutes.
            (400, "invalid_request_error", "budget_exceeded", message)
        }
        Denied::TooLarge { most, asked, .. } => {
            let message =
                format!("the request needs about {asked} tokens, more than the {most} that are allowed at all");
            (400, "invalid_request_error", "context_length_exceeded", message)
        }
        Denied::Crowded { .. } => {
            let message = "too many callers at the same time, please try again shortly".to_owned();
            (503, "server_error", "overloaded", message)
        }
    };
    Row {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::TOO_MANY_REQUESTS),
        message,
        kind,
        code: Some(code),
        level: Level::Warn,
        retry_after: denied.retry_after(),
    }
}

/// What a refusal tells of the window that is full.
fn spent(denied: &Denied) -> Told {
    let left = |most, per, reset| Some(Left { most, per, remaining: 0, reset });
    match *denied {
        Denied::Requests { most, per, retry_after, .. } => {
            Told { requests: left(most, per, retry_after), tokens: None }
        }
        Denied::Tokens { most, per, retry_after, .. } => Told { requests: None, tokens: left(most, per, retry_after) },
        _ => Told::default(),
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

const REQUESTS_LEFT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS_LEFT: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Tells the client how much of its windows is left, as OpenAI's API does.
pub(crate) fn rate_headers(headers: &mut HeaderMap, told: &Told) {
    let mut put = |[limit, remaining, reset]: [HeaderName; 3], left: Option<Left>| {
        let Some(left) = left else { return };
        headers.insert(limit, HeaderValue::from(left.most));
        headers.insert(remaining, HeaderValue::from(left.remaining));
        let seconds = format!("{}s", whole_seconds_up(left.reset));
        headers.insert(reset, HeaderValue::from_str(&seconds).expect("digits and a letter"));
    };
    put(REQUESTS_LEFT, told.requests);
    put(TOKENS_LEFT, told.tokens);
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
    use super::*;

    #[test]
    fn waiting_is_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60), (60_000, 60)] {
            assert_eq!(whole_seconds_up(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }

    #[test]
    fn texts_of_the_table() {
        let (scope, per) = (std::sync::Arc::from("key k"), Duration::from_secs(60));
        let requests = Denied::Requests { scope, most: 30, per, retry_after: Duration::from_secs(1) };
        let (scope, day) = (std::sync::Arc::from("key k"), Period::Day);
        let budget = Denied::Budget { scope, tokens: 2_000_000, period: day, opens_at_ms: 1_795_219_200_000 };
        let cases: [(Refusal, u16, &str); 6] = [
            (Refusal::InvalidKey, 401, "invalid api key"),
            (Refusal::ModelNotAllowed, 403, "model not allowed for this key"),
            (Refusal::Denied(requests), 429, "rate limit exceeded: 30 requests per 60 s"),
            (
                Refusal::Denied(budget),
                400,
                "token budget spent: 2000000 tokens per day; it opens again at 2026-11-21T00:00:00Z",
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
