//! What can go wrong with a model server, and the one table from that to what a client is told.

use std::sync::Arc;
use std::time::Duration;

use tollhouse_dialect::{DecodeError, RequestError};
use tollhouse_units::chain;

use crate::client::ClientError;
use crate::pace::Ceased;

/// What clients are told of every fault that is not theirs.
const NOT_ANSWERING: &str = "the model is not answering right now, please try again shortly";
/// When a client may try again after a fault that usually passes by itself: a closed breaker is noticed in less.
const RETRY_SOON: Duration = Duration::from_secs(2);
/// Longest wait that a server may ask of our clients.
pub(crate) const RETRY_MAX: Duration = Duration::from_mins(1);
/// Most characters of a server's own words that a client is shown.
const MESSAGE_CHARS_MAX: usize = 500;

/// Servers or models that cannot be set up as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A server's URL cannot be used.
    #[error("the url {url:?} of upstream {name:?} {problem}")]
    Url {
        /// The server.
        name: String,
        /// Its URL.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key has characters that no header can carry.
    #[error("the key of upstream {0:?} has characters that cannot be sent")]
    Key(String),
    /// Two servers, or two models or aliases, share a name.
    #[error("the name {0:?} is used twice")]
    Duplicate(String),
    /// A model names a server that is not there.
    #[error("model {model:?} names the unknown upstream {upstream:?}")]
    UnknownUpstream {
        /// The model.
        model: String,
        /// What it names.
        upstream: String,
    },
    /// The system's trusted certificates cannot be read.
    #[error("reading the system's trusted certificates for https upstreams")]
    Roots(#[source] std::io::Error),
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client asked for something that cannot be done.
    Caller,
    /// The model server failed.
    Upstream,
    /// This installation is set up wrongly, for example with a key that the server does not take.
    Own,
}

/// A chat that failed. Its `Display` is for the record; clients get [`UpstreamError::public_message`].
#[derive(Debug, Clone)]
pub struct UpstreamError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    cause: Cause,
    upstream: Option<Arc<str>>,
    attempts: u32,
    /// The size of the prompt in tokens, when no fallback model had room for it.
    no_room: Option<u64>,
}

impl UpstreamError {
    pub(crate) fn new(cause: Cause) -> Self {
        Self { inner: Box::new(Inner { cause, upstream: None, attempts: 0, no_room: None }) }
    }

    pub(crate) fn of(cause: Cause, upstream: &Arc<str>) -> Self {
        let upstream = Some(Arc::clone(upstream));
        Self { inner: Box::new(Inner { cause, upstream, attempts: 0, no_room: None }) }
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        self
    }

    /// Another model would have been asked, but none had room for so many tokens.
    pub(crate) fn with_no_room(mut self, tokens: u64) -> Self {
        self.inner.no_room = Some(tokens);
        self
    }

    pub(crate) fn cause(&self) -> &Cause {
        &self.inner.cause
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.inner.cause.row().fault
    }

    /// The HTTP status for the client, where it can still be told.
    pub fn status(&self) -> u16 {
        self.inner.cause.row().status
    }

    /// The sentence for the client. It shows a server's own words only where the client is at fault.
    pub fn public_message(&self) -> &str {
        match &self.inner.cause {
            Cause::Unsupported { message } | Cause::Status { shown: message, .. } => message,
            Cause::UnknownModel { shown, .. } | Cause::Busy { shown, .. } => shown,
            _ => NOT_ANSWERING,
        }
    }

    /// The `type` of the error in OpenAI's dialect.
    pub fn kind(&self) -> &'static str {
        match self.status() {
            404 => "not_found_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// The `code` of the error in OpenAI's dialect.
    pub fn code(&self) -> Option<&'static str> {
        (self.status() == 404).then_some("model_not_found")
    }

    /// What happened, by a stable word: `unsupported`, `unknown_model`, `queue`, `breaker_open`, `connect`, `silent`, `lost`,
    /// `first_byte_timeout`, `idle_timeout`, `fell_silent`, `total_timeout`, `broken_answer` or `upstream_error`.
    pub fn reason(&self) -> &'static str {
        self.inner.cause.reason()
    }

    /// Whether a server had the request when it failed. One that was away, full, or asked to be left alone had not.
    pub fn was_under_way(&self) -> bool {
        self.inner.cause.was_under_way()
    }

    /// When trying again makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.cause.row().retry_after
    }

    /// The server that was tried last.
    pub fn upstream(&self) -> Option<&str> {
        self.inner.upstream.as_deref()
    }

    /// How many servers were asked.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }
}

impl std::fmt::Display for UpstreamError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.inner.upstream {
            Some(upstream) => write!(formatter, "upstream {upstream}: {}", self.inner.cause)?,
            None => self.inner.cause.fmt(formatter)?,
        }
        match self.inner.no_room {
            Some(tokens) => write!(formatter, "; no fallback model has room for a prompt of {tokens} tokens"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UpstreamError {}

/// What happened, with all that the record may know.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("the request cannot be done here: {message}")]
    Unsupported { message: String },
    #[error("no upstream has the model {name:?}")]
    UnknownModel { name: String, shown: String },
    #[error("refused at once, the breaker is open: {0}")]
    Open(Arc<str>),
    #[error("given up while waiting for an answer, the breaker opened: {0}")]
    Opened(Arc<str>),
    #[error("{why}")]
    Busy { why: String, shown: String, retry_after: Duration },
    #[error("connecting: {0}")]
    Connect(String),
    #[error("gone with the request: {0}")]
    Gone(String),
    #[error("not a byte of an answer, and the health address is silent too")]
    Silent,
    #[error("connection lost before an answer: {0}")]
    Lost(String),
    #[error("left hanging by the server before an answer: {0}")]
    Hung(&'static str),
    #[error("taken back from the server before an answer: {0}")]
    Recalled(Arc<str>),
    #[error("no first byte within {0:?}")]
    FirstByte(Duration),
    #[error("no byte for {0:?} in the middle of the answer")]
    Idle(Duration),
    #[error("{0}")]
    Ceased(Ceased),
    #[error("the answer took longer than {0:?}")]
    Total(Duration),
    #[error("reading the answer: {0}")]
    Read(String),
    #[error(transparent)]
    Decode(DecodeError),
    #[error("the server reported: {0}")]
    Reported(String),
    #[error("status {status}: {text}")]
    Status { status: u16, text: String, shown: String, retry_after: Option<Duration> },
}

struct Row {
    fault: Fault,
    status: u16,
    retry_after: Option<Duration>,
}

impl Cause {
    /// The table: cause → whose fault, status, when to try again.
    fn row(&self) -> Row {
        use Fault::{Caller, Own, Upstream};
        let soon = Some(RETRY_SOON);
        let (fault, status, retry_after) = match self {
            Self::Unsupported { .. } => (Caller, 400, None),
            Self::UnknownModel { .. } => (Caller, 404, None),
            Self::Open(_)
            | Self::Opened(_)
            | Self::Connect(_)
            | Self::Gone(_)
            | Self::Silent
            | Self::Lost(_)
            | Self::Hung(_)
            | Self::Recalled(_)
            | Self::Reported(_) => (Upstream, 503, soon),
            Self::FirstByte(_) | Self::Idle(_) | Self::Ceased(_) | Self::Total(_) => (Upstream, 503, None),
            Self::Busy { retry_after, .. } => (Upstream, 503, Some(*retry_after)),
            Self::Read(_) | Self::Decode(_) => (Upstream, 502, None),
            Self::Status { status, text, retry_after, .. } => match status {
                404 if is_about_a_model(text) => (Caller, 404, None),
                400 | 413 | 422 => (Caller, if *status == 413 { 413 } else { 400 }, None),
                429 | 503 => (Upstream, 503, retry_after.map(|wait| wait.min(RETRY_MAX)).or(soon)),
                499..=599 => (Upstream, 503, soon),
                // A wrong key or a wrong URL of ours, mostly.
                _ => (Own, 502, None),
            },
        };
        Row { fault, status, retry_after }
    }

    /// The stable word for it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "unsupported",
            Self::UnknownModel { .. } => "unknown_model",
            Self::Open(_) | Self::Opened(_) => "breaker_open",
            Self::Busy { .. } => "queue",
            Self::Connect(_) => "connect",
            Self::Silent => "silent",
            Self::Gone(_) | Self::Lost(_) | Self::Hung(_) => "lost",
            Self::Recalled(_) => "recalled",
            Self::FirstByte(_) => "first_byte_timeout",
            Self::Idle(_) => "idle_timeout",
            Self::Ceased(_) => "fell_silent",
            Self::Total(_) => "total_timeout",
            Self::Read(_) | Self::Decode(_) => "broken_answer",
            Self::Reported(_) | Self::Status { .. } => "upstream_error",
        }
    }

    fn was_under_way(&self) -> bool {
        match self {
            Self::Unsupported { .. }
            | Self::UnknownModel { .. }
            | Self::Open(_)
            | Self::Busy { .. }
            | Self::Connect(_)
            | Self::Recalled(_)
            | Self::Status { status: 429 | 503, .. } => false,
            Self::Status { .. } => self.row().fault != Fault::Caller,
            Self::Opened(_)
            | Self::Gone(_)
            | Self::Silent
            | Self::Lost(_)
            | Self::Hung(_)
            | Self::FirstByte(_)
            | Self::Idle(_)
            | Self::Ceased(_)
            | Self::Total(_)
            | Self::Read(_)
            | Self::Decode(_)
            | Self::Reported(_) => true,
        }
    }

    /// Whether another server may do better.
    pub(crate) fn try_next(&self) -> bool {
        match self {
            // The time that a client is ready to wait is spent.
            Self::FirstByte(_) | Self::Idle(_) | Self::Ceased(_) | Self::Total(_) => false,
            // Another server may have the model.
            Self::Status { status: 404, .. } => true,
            _ => self.row().fault != Fault::Caller,
        }
    }

    /// Whether the server lost the process that works on its model: it starts another one.
    pub(crate) fn is_lost_runner(&self) -> bool {
        matches!(self, Self::Hung(_)) || self.tells_lost_runner()
    }

    /// Whether it says so itself, as Ollama does.
    pub(crate) fn tells_lost_runner(&self) -> bool {
        const WORDS: [&str; 6] = [
            "runner has unexpectedly stopped",
            "runner process",
            "encountered while running the model",
            "connection refused",
            "connection reset",
            "EOF",
        ];
        match self {
            Self::Status { status: 500, text, .. } | Self::Reported(text) => {
                WORDS.iter().any(|words| text.contains(words))
            }
            _ => false,
        }
    }

    /// Whether another model may do better. Not when the queue is full or the wait too long: the models share a server.
    pub(crate) fn falls_back(&self) -> bool {
        self.try_next() && !matches!(self, Self::Busy { .. })
    }

    /// A server to which there was no connection, or no answer over it.
    pub(crate) fn no_answer(error: &ClientError) -> Self {
        let text = chain(error);
        match error {
            ClientError::Late(_) | ClientError::Connect(_) | ClientError::NoHost => Self::Connect(text),
            ClientError::Gone(_) => Self::Gone(text),
            ClientError::Send(_) | ClientError::Read(_) | ClientError::Closed | ClientError::Crossed => {
                Self::Lost(text)
            }
            // It has worked on the request, and would say the same again.
            ClientError::Broken(_) => Self::Read(text),
        }
    }

    /// A request that found no room or no turn; `wait` is how long it would take, as far as was measured.
    pub(crate) fn busy(why: String, wait: Option<Duration>) -> Self {
        let retry_after = wait.unwrap_or(RETRY_SOON).clamp(Duration::from_secs(1), RETRY_MAX);
        Self::Busy { why, shown: busy(retry_after), retry_after }
    }

    /// An answer with a status that is not success.
    pub(crate) fn status(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let text = error_text(body);
        let mut cause = Self::Status { status, text, shown: String::new(), retry_after };
        let row = cause.row();
        if let Self::Status { status, text, shown, .. } = &mut cause {
            *shown = match (row.fault, &*status) {
                (Fault::Caller, _) if text.is_empty() => "the model server refused the request".to_owned(),
                (Fault::Caller, _) => text.clone(),
                (_, 429 | 503) => busy(row.retry_after.unwrap_or(RETRY_SOON)),
                _ => NOT_ANSWERING.to_owned(),
            };
        }
        cause
    }

    pub(crate) fn unknown_model(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        Self::UnknownModel { name: shown.clone(), shown: format!("model '{shown}' not found") }
    }
}

/// What a client is told when it is worth coming back.
fn busy(wait: Duration) -> String {
    format!("the model is busy, please try again in {} s", wait.as_secs_f64().ceil().max(1.0))
}

impl From<RequestError> for Cause {
    fn from(error: RequestError) -> Self {
        Self::Unsupported { message: error.to_string() }
    }
}

impl From<DecodeError> for Cause {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Reported(text) => Self::Reported(text),
            error => Self::Decode(error),
        }
    }
}

fn is_about_a_model(text: &str) -> bool {
    text.to_ascii_lowercase().contains("model")
}

/// What an error body says: `error` as a string or with a `message`, or vLLM's bare `message`; empty for anything else.
fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Said {
        Text(String),
        Object { message: String },
    }
    #[derive(serde::Deserialize)]
    struct Body {
        error: Option<Said>,
        message: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return String::new() };
    let text = match body.error {
        Some(Said::Text(text) | Said::Object { message: text }) => text,
        None => body.message.unwrap_or_default(),
    };
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Status, body and Retry-After of the server; status, message and wait told to the client.
    type Case = (u16, &'static str, Option<Duration>, u16, &'static str, Option<Duration>);

    #[test]
    fn a_server_that_takes_nothing_has_not_failed_at_a_request() {
        let was_under_way = |cause| UpstreamError::new(cause).was_under_way();
        assert!(was_under_way(Cause::Lost("reset".to_owned())));
        assert!(was_under_way(Cause::Gone("refused".to_owned())));
        assert!(was_under_way(Cause::Opened("silent".into())));
        assert!(was_under_way(Cause::status(500, b"CUDA error", None)));
        assert!(!was_under_way(Cause::status(503, b"server busy", None)));
        assert!(!was_under_way(Cause::status(400, b"too long", None)));
        assert!(!was_under_way(Cause::Open("refused".into())));
        assert!(!was_under_way(Cause::Connect("refused".to_owned())));
        assert!(!was_under_way(Cause::busy("the queue is full".to_owned(), None)));
    }

    #[test]
    fn statuses_are_told_by_one_table() {
        let secs = Duration::from_secs;
        let cases: &[Case] = &[
            (404, r#"{"error":"model 'x' not found"}"#, None, 404, "model 'x' not found", None),
            (404, "<html>", None, 502, NOT_ANSWERING, None),
            (
                400,
                r#"{"error":{"message":"the prompt is too long\nby 5"}}"#,
                None,
                400,
                "the prompt is too long by 5",
                None,
            ),
            (422, "", None, 400, "the model server refused the request", None),
            (503, r#"{"error":"server busy"}"#, None, 503, "the model is busy, please try again in 2 s", Some(secs(2))),
            (429, "", Some(secs(7)), 503, "the model is busy, please try again in 7 s", Some(secs(7))),
            (503, "", Some(secs(900)), 503, "the model is busy, please try again in 60 s", Some(secs(60))),
            (500, r#"{"error":"CUDA error at /home/x"}"#, None, 503, NOT_ANSWERING, Some(secs(2))),
            (401, r#"{"error":"bad key sk-1"}"#, None, 502, NOT_ANSWERING, None),
            (302, "", None, 502, NOT_ANSWERING, None),
        ];
        for (status, body, retry_after, told, message, retry) in cases {
            let error = UpstreamError::new(Cause::status(*status, body.as_bytes(), *retry_after));
            assert_eq!(
                (error.status(), error.public_message(), error.retry_after()),
                (*told, *message, *retry),
                "{status} {body}"
            );
        }
    }
}
