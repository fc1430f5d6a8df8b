//! Why something could not be delivered now, and the one table of what each answer means.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

/// Longest piece of an answer or error that is told, in characters.
const TOLD_CHARS_MAX: usize = 512;

/// How a destination is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// It was not heard yet.
    Starting,
    /// It takes what it is given.
    Connected,
    /// It asks us to wait.
    Busy,
    /// It does not answer, or nothing that can be understood, or says that it is broken.
    Unreachable,
    /// It does not let us; somebody has to change something.
    Rejected,
}

/// Why nothing, or not all, could be delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// What that makes of the destination.
    pub state: State,
    /// In words.
    pub text: String,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
}

impl State {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Connected => "connected",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
        }
    }
}

impl Trouble {
    /// This state, and why.
    pub fn new(state: State, text: impl AsRef<str>) -> Self {
        Self { state, text: shortened(text.as_ref()), retry_after: None }
    }

    /// What an answer to a whole request means that is no success.
    pub fn of_answer(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Self {
        let state = match status.as_u16() {
            429 => State::Busy,
            408 | 500.. => State::Unreachable,
            _ => State::Rejected,
        };
        let advice = match status.as_u16() {
            401 => " (is the login of this destination right?)",
            403 => " (may this login create indices, write into them, and put index templates?)",
            _ => "",
        };
        let text = format!("it answers {}: {}{advice}", status.as_u16(), reason(body));
        Self { retry_after, ..Self::new(state, text) }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the body of an error says: type and reason of Elasticsearch's, else its begin.
fn reason(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    match parsed.as_ref().map(|body| &body["error"]) {
        Some(error @ Value::Object(_)) => error_text(error),
        Some(Value::String(error)) => error.clone(),
        // A page of a proxy has many lines.
        _ => {
            let text = String::from_utf8_lossy(&body[..body.len().min(TOLD_CHARS_MAX)]);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

/// Type, reason and first cause of an error object.
pub(crate) fn error_text(error: &Value) -> String {
    let word = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let mut text = format!("{}: {}", word(error, "type"), word(error, "reason"));
    let cause = word(&error["caused_by"], "reason");
    if !cause.is_empty() && !text.contains(&cause) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}

pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_table_says() {
        let error =
            br#"{"error":{"type":"security_exception","reason":"no","caused_by":{"reason":"why"}},"status":403}"#;
        for (status, body, state, part) in [
            (401, &b""[..], State::Rejected, "is the login"),
            (403, error, State::Rejected, "403: security_exception: no: why (may"),
            (404, b"{\"error\":\"no handler\"}", State::Rejected, "404: no handler"),
            (400, b"<html>", State::Rejected, "400: <html>"),
            (301, b"", State::Rejected, "301"),
            (429, b"{}", State::Busy, "429"),
            (408, b"", State::Unreachable, "408"),
            (503, b"\xff", State::Unreachable, "503"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let trouble = Trouble::of_answer(status, body, None);
            assert_eq!(trouble.state, state, "{status}");
            assert!(trouble.text.contains(part), "{trouble}");
        }
        assert_eq!(shortened(&"é".repeat(600)).chars().count(), TOLD_CHARS_MAX + 1);
    }
}
