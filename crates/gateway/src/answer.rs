//! From a model server's events to the client's bytes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tollhouse_dialect::{Api, ChatRequest, Encoder, Event, Meta};
use tollhouse_web::{Answer, full, json};

use crate::Gateway;
use crate::record::{OpenRecord, round3};
use crate::refusal::Refusal;
use crate::talk::{Step, Talk, Told};

/// A chat that has been sent, and how its answer is to be written.
pub(crate) struct Sent {
    pub(crate) api: Api,
    pub(crate) meta: Meta,
    pub(crate) request: Arc<ChatRequest>,
    pub(crate) talk: Talk,
    /// Headers that were decided before there was an answer.
    pub(crate) headers: HeaderMap,
}

/// A streamed answer whose first piece is there: from here on the status is told.
pub(crate) struct Begun {
    head: Answer,
    encoder: Encoder,
    talk: Talk,
    first: Vec<u8>,
    request_id: String,
}

impl Sent {
    /// Waits for the first piece, so that a server that fails before it is still told by a status. A server that takes
    /// its time gets the answer begun with a sign of life; what fails after that is told inside the stream.
    pub(crate) async fn begin(mut self, open: &mut OpenRecord, request_id: &str) -> Result<Begun, Refusal> {
        let mut encoder = self.api.encoder(self.meta.clone(), &self.request);
        let mut first = Vec::new();
        while first.is_empty() {
            match self.talk.next(open).await {
                Step::Events(events) => encoder.encode_all(&events, &mut first),
                Step::Quiet => encoder.keep_alive(&mut first),
                Step::Failed(refusal) => return Err(refusal),
                Step::End => break,
            }
        }
        let mut head = Response::new(full(Bytes::new()));
        let headers = head.headers_mut();
        headers.extend(self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.api.stream_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx in front of us must not hold the pieces back.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        tell_all(headers, self.talk.told.as_ref());
        Ok(Begun { head, encoder, talk: self.talk, first, request_id: request_id.to_owned() })
    }

    /// The whole answer in one piece.
    pub(crate) async fn whole(mut self, open: &mut OpenRecord) -> Result<Answer, Refusal> {
        let mut events = Vec::new();
        loop {
            match self.talk.next(open).await {
                Step::Events(more) if events.is_empty() => events = more,
                Step::Events(more) => events.extend(more),
                Step::Quiet => {}
                Step::Failed(refusal) => return Err(refusal),
                Step::End => break,
            }
        }
        if let Some(estimate) = open.missing_usage() {
            events.push(Event::Usage(estimate));
        }
        let body = self.api.write_answer(&self.meta, &self.request, &events).map_err(Refusal::Answer)?;
        let mut answer = json(StatusCode::OK, body);
        let headers = answer.headers_mut();
        headers.extend(self.headers);
        tell_all(headers, self.talk.told.as_ref());
        if open.is_truncated_by_server() {
            headers.insert(TRUNCATED, HeaderValue::from_static("server"));
        }
        Ok(answer)
    }
}

/// Says who left out a part of the prompt.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("x-tollhouse-truncated");
/// Says which server answered.
pub(crate) const UPSTREAM: HeaderName = HeaderName::from_static("x-tollhouse-upstream");
const MODEL: HeaderName = HeaderName::from_static("x-tollhouse-model");
const QUEUE_MS: HeaderName = HeaderName::from_static("x-tollhouse-queue-ms");
const QUEUE_POSITION: HeaderName = HeaderName::from_static("x-tollhouse-queue-position");

/// Tells who answered, as which model, and how long the request waited.
pub(crate) fn tell(headers: &mut HeaderMap, upstream: &str, model: &str, queue_ms: f64, queue_position: Option<u32>) {
    // A name that cannot stand in a header is left out.
    let mut put = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    put(UPSTREAM, upstream);
    put(MODEL, model);
    put(QUEUE_MS, &round3(queue_ms).to_string());
    if let Some(position) = queue_position {
        put(QUEUE_POSITION, &position.to_string());
    }
}

/// The same of an answer that may not have begun.
fn tell_all(headers: &mut HeaderMap, told: Option<&Told>) {
    if let Some(Told { upstream, model, queue_ms, queue_position }) = told {
        tell(headers, upstream, model, *queue_ms, *queue_position);
    }
}

/// The answer whose body is pulled by the connection: it goes no faster than the client reads, and when the client
/// leaves it is dropped, and the upstream request with it.
pub(crate) fn answer_stream(begun: Begun, mut open: OpenRecord, gateway: Gateway) -> Answer {
    let Begun { head, encoder, talk, first, request_id } = begun;
    open.record.status = head.status().as_u16();
    // On the heap: the stream is moved in and out of the future of each piece.
    let state = Box::new(Stream { talk, encoder, open, gateway, first, request_id });
    let pieces = futures_util::stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        let (piece, is_last) = state.next_piece().await;
        Some((Ok(Frame::data(Bytes::from(piece))), (!is_last).then_some(state)))
    });
    let (parts, _) = head.into_parts();
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

struct Stream {
    talk: Talk,
    encoder: Encoder,
    open: OpenRecord,
    gateway: Gateway,
    first: Vec<u8>,
    request_id: String,
}

impl Stream {
    /// The next piece for the client, and whether it is the last. The record is in the journal before the last piece is
    /// given out.
    async fn next_piece(&mut self) -> (Vec<u8>, bool) {
        let mut piece = std::mem::take(&mut self.first);
        if !piece.is_empty() {
            return (piece, false);
        }
        let failure = loop {
            match self.talk.next(&mut self.open).await {
                Step::Events(events) => self.encoder.encode_all(&events, &mut piece),
                Step::Quiet => self.encoder.keep_alive(&mut piece),
                Step::Failed(refusal) => break Some(refusal),
                Step::End => break None,
            }
            if !piece.is_empty() {
                return (piece, false);
            }
        };
        if let Some(refusal) = &failure {
            self.open.broke_off(refusal);
        }
        // What ends the stream is only written once the record is in the journal.
        let status = self.open.record.status;
        let estimate = self.open.missing_usage();
        let recorded = self.gateway.recorded(self.open.close(status).await);
        if let Some(refusal) = failure.or(recorded.err()) {
            refusal.end_stream(&mut self.encoder, &self.request_id, &mut piece);
        } else {
            if let Some(estimate) = estimate {
                self.encoder.encode(&Event::Usage(estimate), &mut piece);
            }
            self.encoder.end(&mut piece);
        }
        (piece, true)
    }
}
