//! The users: each asks, reads the answer to its end, and asks again, all of them at once.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::args::{Amount, Plan};
use super::line::{Failed, Line, REQUEST_ID, Target, last_cause};
use super::stream::{Piece, StreamReader};

/// Most requests of a bench whose figures are kept; with more of them it ends.
pub(crate) const SAMPLES_MAX: usize = 1_000_000;
/// Samples on their way to where they are kept.
const SAMPLES_WAITING_MAX: usize = 1024;
/// Longest answer; the house's own limits (`queue.wait`, `timeouts.total`) end it before, as they are by default.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(20);
/// How much of an error's body is read, in bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Longest message of an error that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;
/// How long a user who was turned away waits before it asks again: as told, within these.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often the progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// One request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) user: u32,
    /// The id that it is recorded under.
    pub(crate) request_id: String,
    /// From sending to the first token, the connection included where it had to be opened.
    pub(crate) ttft: Option<Duration>,
    /// From sending to the end.
    pub(crate) total: Duration,
    /// From the first token to the last.
    pub(crate) writing: Duration,
    /// Pieces that the answer came in.
    pub(crate) pieces: u64,
    /// Its tokens, where the answer says so.
    pub(crate) tokens: Option<u64>,
    /// How long it waited for its turn, as the answer says.
    pub(crate) queue_ms: Option<f64>,
    /// Why there was no whole answer.
    pub(crate) fault: Option<Fault>,
}

/// Why there was no whole answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fault {
    /// The answer's status; none where no answer came.
    pub(crate) status: Option<u16>,
    /// The error's code, or a word for what failed on the way.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after_s: Option<u64>,
}

/// What came of the load.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) samples: Vec<Sample>,
    pub(crate) lasted: Duration,
    /// Ended by Ctrl-C.
    pub(crate) interrupted: bool,
}

/// Lets all users ask `model` until they have asked enough, or Ctrl-C.
pub(crate) async fn load(plan: &Plan, target: &Target, model: &str) -> Load {
    raise_open_files();
    let began = Instant::now();
    let script = Arc::new(Script {
        plan: plan.clone(),
        model: model.to_owned(),
        run: format!("bench-{:x}", jiff::Timestamp::now().as_microsecond()),
        number: AtomicU32::new(0),
        began,
        end: match plan.amount {
            Amount::Requests(_) => None,
            Amount::Lasts(time) | Amount::Paced { lasts: time, .. } => Some(began + time),
        },
    });
    let (stop, stopped) = watch::channel(false);
    let (sender, mut samples) = mpsc::channel(SAMPLES_WAITING_MAX);
    let mut users = JoinSet::new();
    for number in 0..plan.users {
        let user = User { number, line: target.line(), script: script.clone(), samples: sender.clone() };
        users.spawn(user.ask_until(stopped.clone()));
    }
    drop(sender);

    let mut load = Load::default();
    let mut progress = Progress::new(plan, began);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            sample = samples.recv() => match sample {
                Some(sample) => load.samples.push(sample),
                None => break,
            },
            _ = &mut interrupt, if !load.interrupted => {
                load.interrupted = true;
                stop.send_replace(true);
            }
            _ = ticks.tick() => progress.show(&load.samples),
        }
        if load.samples.len() >= SAMPLES_MAX {
            stop.send_replace(true);
        }
    }
    progress.clear();
    load.lasted = began.elapsed();
    load
}

/// A connection for each user needs a file for each: the soft limit is often 1,024.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it cannot be raised, connections fail and are counted as that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// What all users have in common.
struct Script {
    plan: Plan,
    model: String,
    /// How the ids of this bench's requests begin.
    run: String,
    /// Requests begun.
    number: AtomicU32,
    began: Instant,
    end: Option<Instant>,
}

impl Script {
    fn body(&self, number: u32) -> Bytes {
        let prompt = self.plan.prompt.replace("%n", &number.to_string());
        let body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": self.plan.tokens_max,
        });
        body.to_string().into()
    }

    /// Whether a user who has asked so often has asked enough.
    fn is_over(&self, asked: u32) -> bool {
        match (self.plan.amount, self.end) {
            (Amount::Requests(most), _) => asked >= most,
            // Each asks once at least.
            (Amount::Lasts(_), end) => asked > 0 && end.is_some_and(|end| Instant::now() >= end),
            // Whether it is, the number of the next request says.
            (Amount::Paced { .. }, _) => false,
        }
    }

    /// When the request of this number is due; nothing when none is any more.
    fn due(&self, number: u32) -> Option<Instant> {
        match self.plan.amount {
            Amount::Paced { every, .. } => {
                let due = self.began + every.saturating_mul(number);
                self.end.is_some_and(|end| due < end).then_some(due)
            }
            Amount::Requests(_) | Amount::Lasts(_) => Some(Instant::now()),
        }
    }
}

struct User {
    number: u32,
    line: Line,
    script: Arc<Script>,
    samples: mpsc::Sender<Sample>,
}

impl User {
    async fn ask_until(self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => {}
            () = self.ask_all() => {}
        }
    }

    async fn ask_all(&self) {
        let mut asked = 0;
        while !self.script.is_over(asked) {
            let number = self.script.number.fetch_add(1, Ordering::Relaxed);
            let Some(due) = self.script.due(number) else { return };
            tokio::time::sleep_until(due.into()).await;
            let sample = self.ask(number, due).await;
            asked += 1;
            let is_paced = matches!(self.script.plan.amount, Amount::Paced { .. });
            let pause = sample.fault.as_ref().filter(|_| !is_paced).map(|fault| pause(fault.retry_after_s));
            if self.samples.send(sample).await.is_err() {
                return;
            }
            if let Some(pause) = pause.filter(|_| !self.script.is_over(asked)) {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One request. It is measured from when it was due: one that had to wait for this program has waited.
    async fn ask(&self, number: u32, due: Instant) -> Sample {
        let id = format!("{}-{number}", self.script.run);
        let mut hearing = Hearing::new(self.number, id, due);
        let heard = tokio::time::timeout(ANSWER_TIME_MAX, self.hear(number, &mut hearing)).await;
        let late = || Fault::of("timeout", &format!("no whole answer within {} s", ANSWER_TIME_MAX.as_secs()));
        hearing.sample.fault = heard.map_or_else(|_| Some(late()), Result::err);
        hearing.sample.total = hearing.began.elapsed();
        hearing.sample
    }

    async fn hear(&self, number: u32, hearing: &mut Hearing) -> Result<(), Fault> {
        let id = HeaderValue::try_from(&hearing.sample.request_id).ok();
        let asking = self.line.send(Method::POST, "/v1/chat/completions", self.script.body(number), id.as_ref());
        let (head, body) = asking.await.map_err(Fault::from)?.into_parts();
        hearing.head(&head.headers);
        if head.status != StatusCode::OK {
            return Err(refused(head.status, &head.headers, body).await);
        }
        hearing.read(body).await
    }
}

/// How long a user who was turned away waits.
fn pause(retry_after_s: Option<u64>) -> Duration {
    Duration::from_secs(retry_after_s.unwrap_or_default()).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// An answer while it is heard.
struct Hearing {
    began: Instant,
    sample: Sample,
}

impl Hearing {
    fn new(user: u32, request_id: String, began: Instant) -> Self {
        let sample = Sample {
            user,
            request_id,
            ttft: None,
            total: Duration::ZERO,
            writing: Duration::ZERO,
            pieces: 0,
            tokens: None,
            queue_ms: None,
            fault: None,
        };
        Self { began, sample }
    }

    fn head(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        self.sample.queue_ms = text("x-tollhouse-queue-ms").and_then(|ms| ms.parse().ok());
        // A proxy in front may have given it another id.
        if let Some(id) = text(REQUEST_ID.as_str()) {
            id.clone_into(&mut self.sample.request_id);
        }
    }

    async fn read(&mut self, mut body: Incoming) -> Result<(), Fault> {
        let (mut reader, mut pieces, mut is_done) = (StreamReader::default(), Vec::new(), false);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Fault::of("broke off", &last_cause(&error)))?;
            let Ok(bytes) = frame.into_data() else { continue };
            let now = self.began.elapsed();
            reader.push(&bytes, &mut pieces).map_err(|error| Fault::of("broke off", &error.to_string()))?;
            for piece in pieces.drain(..) {
                match piece {
                    Piece::Written => self.written(now),
                    Piece::Tokens(tokens) => self.sample.tokens = Some(tokens),
                    Piece::Failed(message) => return Err(Fault::of("broke off", &message)),
                    Piece::Done => is_done = true,
                }
            }
        }
        if !is_done {
            return Err(Fault::of("broke off", "the answer ended before it was complete"));
        }
        if self.sample.ttft.is_none() {
            return Err(Fault::of("empty", "the model wrote nothing"));
        }
        Ok(())
    }

    fn written(&mut self, now: Duration) {
        let first = *self.sample.ttft.get_or_insert(now);
        self.sample.writing = now.saturating_sub(first);
        self.sample.pieces += 1;
    }
}

impl Fault {
    pub(crate) fn of(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: shortened(message), ..Self::default() }
    }

    /// What an answer with this status and body says.
    pub(crate) fn told(status: StatusCode, headers: &HeaderMap, body: &Value) -> Self {
        let error = &body["error"];
        let message = error["message"].as_str().or(error.as_str());
        let code = error["code"].as_str().or(error["type"].as_str()).unwrap_or_default();
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            status: Some(status.as_u16()),
            code: shortened(code),
            message: shortened(message.or(status.canonical_reason()).unwrap_or("no reason told")),
            retry_after_s: retry_after,
        }
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        Self::of(if failed.unconnected { "no connection" } else { "closed" }, &failed.message)
    }
}

async fn refused(status: StatusCode, headers: &HeaderMap, body: Incoming) -> Fault {
    let body = Limited::new(body, ERROR_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Fault::told(status, headers, &serde_json::from_slice(&body).unwrap_or_default())
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// How far it is, on a terminal.
struct Progress {
    is_shown: bool,
    began: Instant,
    of: String,
}

impl Progress {
    fn new(plan: &Plan, began: Instant) -> Self {
        let of = match plan.amount {
            Amount::Requests(each) => format!("of {}", u64::from(plan.users) * u64::from(each)),
            Amount::Lasts(time) | Amount::Paced { lasts: time, .. } => {
                format!("within {}", tollhouse_units::format_duration(time))
            }
        };
        Self { is_shown: std::io::stderr().is_terminal(), began, of }
    }

    fn show(&self, samples: &[Sample]) {
        if !self.is_shown {
            return;
        }
        let failed = samples.iter().filter(|sample| sample.fault.is_some()).count();
        let (seconds, answered) = (self.began.elapsed().as_secs(), samples.len() - failed);
        let errors = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        let mut out = std::io::stderr();
        let _ = write!(out, "\r\x1b[K{seconds:>4} s  {answered} {} answered{errors}  (Ctrl-C ends it)", self.of);
        let _ = out.flush();
    }

    fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_its_code_message_and_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("17"));
        let body =
            json!({"error": {"message": "rate limit exceeded: 30 requests per 60 s", "code": "rate_limit_exceeded"}});
        let fault = Fault::told(StatusCode::TOO_MANY_REQUESTS, &headers, &body);
        assert_eq!(
            (fault.status, fault.code.as_str(), fault.retry_after_s),
            (Some(429), "rate_limit_exceeded", Some(17))
        );
        let plain = Fault::told(StatusCode::BAD_GATEWAY, &HeaderMap::new(), &json!({"error": "away"}));
        assert_eq!((plain.message.as_str(), plain.code.as_str()), ("away", ""));
        let page = Fault::told(StatusCode::BAD_GATEWAY, &HeaderMap::new(), &Value::Null);
        assert_eq!(page.message, "Bad Gateway");
    }

    #[test]
    fn who_is_turned_away_waits_as_told_but_not_for_ever() {
        assert_eq!(pause(None), PAUSE_MIN);
        assert_eq!(pause(Some(2)), Duration::from_secs(2));
        assert_eq!(pause(Some(3600)), PAUSE_MAX);
    }
}
