//! The HTTP client of the probes, and what an answer says of whoever gave it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use serde_json::Value;
use tollhouse_outbound::{Client, Trust, rare_client};
use tollhouse_units::chain;

use crate::ProbeError;
use crate::finding::cut;
use crate::said::Said;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer that is read; what is behind it is not looked at.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Characters of another program's words that a finding repeats.
pub(crate) const TOLD_CHARS_MAX: usize = 200;
/// A loop that comes to its next event later than this is told of.
const LOOP_DELAY_WARN_MS: f64 = 1_000.0;
/// Words by which programs say that they are not well.
const BAD_WORDS: [&str; 17] = [
    "error",
    "fail",
    "failed",
    "failing",
    "fault",
    "down",
    "dead",
    "unhealthy",
    "unavailable",
    "not ready",
    "starting",
    "stopping",
    "draining",
    "loading",
    "loading model",
    "critical",
    "red",
];
/// Words by which they say that something is not as it should be.
const DOUBTFUL_WORDS: [&str; 5] = ["degraded", "warn", "warning", "yellow", "no slot available"];

/// A client without kept connections: probes are rare, and each shall see that a new one is taken.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<GaiResolver, Empty<Bytes>>);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) date: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

/// What an answer says of whoever gave it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Health {
    /// It is well; the delay of its event loop in ms, where it tells one.
    Well(Option<f64>),
    /// It works, but not as it should.
    Doubtful(Said, Option<f64>),
    /// It does not work.
    Unwell(Said),
}

impl Http {
    /// Reads the system's certificates, so it blocks.
    pub(crate) fn new() -> Result<Self, ProbeError> {
        Ok(Self(rare_client(GaiResolver::new(), &Trust::SystemIfAny, CONNECT_TIME_MAX)?))
    }

    /// Asks for something that changes nothing; redirects are not followed. The error says why there was no answer.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, String> {
        let request = Request::get(url)
            .header(USER_AGENT, "tollhouse-probe")
            .header(ACCEPT, "application/json, */*;q=0.5")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let began = Instant::now();
        let answer = self.0.request(request).await.map_err(|error| cut(&chain(&error), TOLD_CHARS_MAX))?;
        let took = began.elapsed();
        let (head, body) = answer.into_parts();
        let text = |name| head.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let (content_type, date) = (text(CONTENT_TYPE).unwrap_or_default().to_owned(), text(DATE).map(str::to_owned));
        // A stream without an end is cut there; what came before is judged.
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
        Ok(Answer { status: head.status, content_type, date, body: body.unwrap_or_default(), took })
    }

    /// The JSON of an answer with a good status.
    pub(crate) async fn json(&self, url: &str) -> Option<Value> {
        let answer = self.get(url).await.ok()?;
        answer.status.is_success().then(|| serde_json::from_slice(&answer.body).ok())?
    }
}

impl Answer {
    /// Whether it is a page for people: what a server with a catch-all route gives for every address that it does not know.
    pub(crate) fn is_page(&self) -> bool {
        let start: Vec<u8> = self
            .body
            .iter()
            .skip_while(|byte| byte.is_ascii_whitespace())
            .take(15)
            .map(u8::to_ascii_lowercase)
            .collect();
        self.content_type.to_ascii_lowercase().starts_with("text/html")
            || start.starts_with(b"<!doctype html")
            || start.starts_with(b"<html")
    }

    /// What it says as an answer of an address made for that question, whose path is told with it.
    pub(crate) fn health(&self, path: &str) -> Health {
        let (path, status) = (path.to_owned(), self.status.as_u16());
        let json: Option<Value> = serde_json::from_slice(&self.body).ok();
        if !self.status.is_success() {
            return Health::Unwell(match json.as_ref().and_then(failing) {
                Some(error) => Said::SaysStatusWhy { path, status, error },
                None => Said::SaysStatus { path, status },
            });
        }
        if self.is_page() {
            return Health::Unwell(Said::SaysPage { path, status });
        }
        let Some(json) = json else { return Health::Well(None) };
        let delay = loop_delay_ms(&json);
        let is_false = |name: &str| json.get(name).and_then(Value::as_bool) == Some(false);
        if let Some(name) =
            ["ok", "ready", "healthy", "alive", "live", "success"].into_iter().find(|name| is_false(name))
        {
            let name = name.to_owned();
            return Health::Unwell(match failing(&json) {
                Some(error) => Said::SaysFalseWhy { path, name, error },
                None => Said::SaysFalse { path, name },
            });
        }
        let word = json.get("status").or_else(|| json.get("state")).and_then(Value::as_str);
        let word = word.unwrap_or_default().to_ascii_lowercase();
        if BAD_WORDS.contains(&word.as_str()) {
            return Health::Unwell(Said::SaysWord { path, word });
        }
        let is_degraded = json.pointer("/eventLoop/degraded").and_then(Value::as_bool) == Some(true);
        match delay {
            Some(delay_ms) if delay_ms > LOOP_DELAY_WARN_MS || is_degraded => {
                Health::Doubtful(Said::LoopLate { path, delay_ms }, delay)
            }
            _ if is_degraded => Health::Doubtful(Said::LoopDegraded { path }, delay),
            _ if DOUBTFUL_WORDS.contains(&word.as_str()) => Health::Doubtful(Said::SaysWord { path, word }, delay),
            _ => Health::Well(delay),
        }
    }
}

/// The part of a URL behind its host, without its query.
pub(crate) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or(path)
}

/// What fails, as far as the answer tells it.
fn failing(json: &Value) -> Option<String> {
    let text = match json.get("failing").or_else(|| json.get("error")).or_else(|| json.get("message"))? {
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(error) => plain(error.get("message")?),
        Value::Null => return None,
        other => plain(other),
    };
    Some(cut(&text, TOLD_CHARS_MAX))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How late an event loop comes to its events: OpenClaw's `eventLoop`, and plainer ways to say it.
fn loop_delay_ms(json: &Value) -> Option<f64> {
    ["/eventLoop/delayP99Ms", "/eventLoop/delayMs", "/event_loop_delay_ms", "/eventLoopDelayMs"]
        .into_iter()
        .find_map(|path| json.pointer(path)?.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: content_type.to_owned(),
            date: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn answers_say_how_their_givers_are() {
        // The first ones are as a real OpenClaw gives them.
        let json = "application/json";
        let well = [
            (json, r#"{"ok":true,"status":"live"}"#, None),
            (json, r#"{"ready":true,"failing":[],"eventLoop":{"degraded":false,"delayP99Ms":22.3}}"#, Some(22.3)),
            (json, r#"{"version":"0.12.3"}"#, None),
            ("text/plain", "ok\n", None),
            ("", "Ollama is running", None),
        ];
        for (kind, body, delay) in well {
            assert_eq!(answer(200, kind, body).health("/health"), Health::Well(delay), "{body}");
        }
        for (status, kind, body, part) in [
            (503, json, r#"{"ready":false,"failing":["model","disk"]}"#, "answers 503: model, disk"),
            (503, json, r#"{"error":{"code":503,"message":"Loading model"}}"#, "answers 503: Loading model"),
            (404, "text/plain", "no", "answers 404"),
            (302, "", "", "answers 302"),
            (200, "text/html; charset=utf-8", "<!doctype html><title>UI</title>", "catch-all"),
            (200, "", "\n <HTML><body>", "catch-all"),
            (200, json, r#"{"ok":false}"#, "says ok: false"),
            (200, json, r#"{"status":"unhealthy"}"#, "says \"unhealthy\""),
        ] {
            let Health::Unwell(why) = answer(status, kind, body).health("/health") else { panic!("{body}") };
            assert!(why.to_string().contains(part), "{why}");
        }
        for (body, part) in [
            (r#"{"ready":true,"eventLoop":{"degraded":true,"delayP99Ms":15000}}"#, "15000 ms late"),
            (r#"{"status":"degraded"}"#, "degraded"),
        ] {
            let Health::Doubtful(why, _) = answer(200, json, body).health("/health") else { panic!("{body}") };
            assert!(why.to_string().contains(part), "{why}");
        }
    }
}
