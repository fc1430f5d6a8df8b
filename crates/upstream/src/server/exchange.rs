//! One request to one server: sent, watched over while the server is silent, and answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tollhouse_dialect::Outgoing;
use tollhouse_units::chain;

use super::Server;
use crate::client::Incoming;
use crate::error::Cause;
use crate::flow::Flow;
use crate::live::Live;
use crate::pace::Pace;
use crate::{Kind, Phase, Progress, Timeouts};

/// Largest answer that may come whole, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How much of the body of an error is read, and for how long.
const ERROR_BYTES_MAX: usize = 64 * 1024;
const ERROR_LIMIT: Duration = Duration::from_secs(2);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request as it is sent.
pub(crate) struct Outbound<'a> {
    pub(crate) outgoing: Outgoing,
    /// The server's name of the model.
    pub(crate) model: &'a Arc<str>,
    /// Whether the model has to be loaded first, as far as is known.
    pub(crate) loads: bool,
    /// Whether the server may keep parts of the answer back until they are whole.
    pub(crate) keeps_back: bool,
    /// Whether the answer is to come piece by piece.
    pub(crate) streamed: bool,
    pub(crate) traceparent: Option<&'a str>,
    /// When the whole answer has to be there.
    pub(crate) deadline: Instant,
    pub(crate) progress: &'a Progress,
}

/// An answer that has begun.
pub(crate) struct Answer {
    pub(crate) connect_ms: f64,
    /// Until this answer was handed over, connecting included.
    pub(crate) exchange_ms: f64,
    pub(crate) body: AnswerBody,
}

pub(crate) enum AnswerBody {
    /// Its first event is there.
    Live(Box<Live>),
    /// All of it is there.
    Whole(Bytes),
}

impl Server {
    /// Sends a request and waits for the first event of the answer, or for the whole answer where it is not streamed.
    pub(crate) async fn send(self: &Arc<Self>, outbound: Outbound<'_>) -> Result<Answer, Cause> {
        let Outbound { outgoing, model, loads, keeps_back, streamed, traceparent, deadline, progress } = outbound;
        let mut message = self.message(Method::POST, &self.uri(outgoing.path)?, outgoing.body.into());
        if let Some(value) = traceparent.and_then(|value| HeaderValue::from_str(value).ok()) {
            message.headers_mut().insert(TRACEPARENT, value);
        }
        let began = Instant::now();
        let (limit, too_late) = if streamed {
            (self.timeouts.first_byte, Cause::FirstByte(self.timeouts.first_byte))
        } else {
            (self.timeouts.total, Cause::Total(self.timeouts.total))
        };
        let pace = self.state.flow.pace(model);
        let asked = Asked { streamed, keeps_back, pace, signs: Signs::new(began), progress };
        let opened = self.state.breaker.watch().opened();
        let recalled = self.state.flow.recalled();
        let _whole = (!streamed).then(|| self.state.flow.whole());
        let _load = loads.then(|| self.state.flow.load());
        let result = tokio::select! {
            biased;
            answer = self.exchange(message, &asked) => answer,
            reason = opened => Err(Cause::Opened(reason)),
            reason = recalled => Err(Cause::Recalled(reason)),
            cause = self.silence(&asked) => Err(cause),
            () = sleep_until((began + limit).min(deadline)) => Err(too_late),
        };
        if let Err(cause) = &result {
            if cause.tells_lost_runner() {
                asked.pace.lost(Instant::now());
            }
            self.learn(cause);
        }
        result
    }

    async fn exchange(self: &Arc<Self>, message: Request<Bytes>, asked: &Asked<'_>) -> Result<Answer, Cause> {
        let Asked { signs, progress, .. } = asked;
        let connection = self.client.connection(message.uri()).await;
        let connection = connection.map_err(|error| Cause::no_answer(&error))?;
        let connect_ms = signs.elapsed_ms();
        signs.sign();
        progress.enter(Phase::Waiting);
        let response = self.client.send(connection, &message).await.map_err(|error| Cause::no_answer(&error))?;
        drop(message);
        signs.sign();
        self.state.flow.piece();
        self.answered();
        if response.status() != StatusCode::OK {
            return Err(Box::pin(refusal(response)).await);
        }
        check_encoding(&response)?;
        let streamed = asked.streamed && !comes_whole(&response, self.kind);
        let Some(api) = self.kind.api().filter(|_| streamed) else {
            let whole = read_whole(response.into_body(), signs, &self.state.flow).await?;
            return Ok(Answer { connect_ms, exchange_ms: signs.elapsed_ms(), body: AnswerBody::Whole(whole) });
        };
        let (server, pace) = (Arc::clone(self), Arc::clone(&asked.pace));
        let mut live = Box::new(Live::new(server, response.into_body(), api.decoder(), pace, asked.keeps_back));
        live.begin(|| signs.sign()).await?;
        Ok(Answer { connect_ms, exchange_ms: signs.elapsed_ms(), body: AnswerBody::Live(live) })
    }

    /// Returns when the server gives no sign of life at all, no byte for `silent` and none from its health address, or when what
    /// would have answered is over.
    async fn silence(&self, asked: &Asked<'_>) -> Cause {
        let Asked { signs, pace, .. } = asked;
        let Timeouts { silent, .. } = self.timeouts;
        let mut checked = signs.origin;
        loop {
            let Some(last) = signs.last() else {
                // Not connected yet; that has a limit of its own.
                sleep(silent).await;
                continue;
            };
            let due = last.max(checked) + silent;
            if Instant::now() < due {
                sleep_until(due).await;
                continue;
            }
            // In a box: few requests ever get here, and all would have to hold it.
            let healthy = Box::pin(self.is_healthy()).await;
            checked = Instant::now();
            if healthy {
                // It works on the request, so one on trial has shown what it was to show.
                self.answered();
                if let Some(reason) = pace.leaves_hanging(signs.origin, checked) {
                    return Cause::Hung(reason);
                }
            } else if signs.last() == Some(last) {
                return Cause::Silent;
            }
        }
    }
}

/// A request that was sent, for those who watch over it.
struct Asked<'a> {
    streamed: bool,
    keeps_back: bool,
    /// How the answers of its model come.
    pace: Arc<Pace>,
    signs: Signs,
    progress: &'a Progress,
}

/// When a request began and when its server last gave a sign of life; shared by the one who reads and the one who watches.
struct Signs {
    origin: Instant,
    /// Microseconds after `origin`; `u64::MAX` before there is a connection.
    last_us: AtomicU64,
}

impl Signs {
    fn new(origin: Instant) -> Self {
        Self { origin, last_us: AtomicU64::new(u64::MAX) }
    }

    fn sign(&self) {
        self.last_us.store(self.origin.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        match self.last_us.load(Ordering::Relaxed) {
            u64::MAX => None,
            us => Some(self.origin + Duration::from_micros(us)),
        }
    }

    fn elapsed_ms(&self) -> f64 {
        self.origin.elapsed().as_secs_f64() * 1e3
    }
}

/// An answer that is packed is none: it was asked for unpacked.
fn check_encoding(response: &Response<Incoming>) -> Result<(), Cause> {
    match header(response, &CONTENT_ENCODING) {
        "" | "identity" => Ok(()),
        other => Err(Cause::Read(format!("the answer is encoded as {other}, which was not asked for"))),
    }
}

/// Whether an answer to a request for a stream comes in one piece all the same.
fn comes_whole(response: &Response<Incoming>, kind: Kind) -> bool {
    kind != Kind::Ollama && header(response, &CONTENT_TYPE).starts_with("application/json")
}

fn header<'a>(response: &'a Response<Incoming>, name: &HeaderName) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Reads an answer that comes whole.
async fn read_whole(mut body: Incoming, signs: &Signs, flow: &Flow) -> Result<Bytes, Cause> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        signs.sign();
        flow.piece();
        let frame = frame.map_err(|error| Cause::Read(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(Cause::Read(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// What an answer with another status than 200 says.
async fn refusal(response: Response<Incoming>) -> Cause {
    let status = response.status().as_u16();
    // Seconds only: servers of models do not send the form with a date.
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = timeout(ERROR_LIMIT, Limited::new(response.into_body(), ERROR_BYTES_MAX).collect()).await;
    let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Cause::status(status, &body, retry_after.map(Duration::from_secs))
}
