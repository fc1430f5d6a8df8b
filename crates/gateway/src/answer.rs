//! From a model server's events to the client's bytes, and what the record learns on the way.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tollhouse_access::Key;
use tollhouse_dialect::{ChatRequest, Event, Meta, ollama, openai};
use tollhouse_upstream::{EventStream, Model, Reply};
use tollhouse_web::{Answer, RequestId, full, json};

use crate::Gateway;
use crate::record::OpenRecord;
use crate::refusal::Refusal;
use crate::route::Dialect;

/// A model server's answer that is being read for one client.
pub(crate) struct Reading {
    dialect: Dialect,
    meta: Meta,
    upstream: String,
    events: EventStream,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A streamed answer whose first piece is there: from here on the status is told.
pub(crate) struct Begun {
    /// Status and headers.
    pub(crate) head: Answer,
    reading: Reading,
    encoder: Encoder,
    first: Vec<u8>,
}

impl Reading {
    pub(crate) fn new(
        dialect: Dialect,
        request: &ChatRequest,
        model: &Model,
        id: &RequestId,
        reply: Reply,
        key: Option<Arc<Key>>,
    ) -> Self {
        let meta = Meta {
            id: format!("chatcmpl-{}", id.as_str()),
            model: model.name.clone(),
            created_unix: jiff::Timestamp::now().as_second(),
            include_usage: request.include_usage,
            strip_model: model.strip.iter().any(|field| field == "model"),
            strip_created: model.strip.iter().any(|field| field == "created"),
            ..Meta::default()
        };
        let revoked: Pin<Box<dyn Future<Output = ()> + Send>> = match key {
            Some(key) => Box::pin(key.revoked()),
            None => Box::pin(std::future::pending()),
        };
        Self { dialect, meta, upstream: reply.upstream, events: reply.events, revoked }
    }

    /// Waits for the first piece, so that a server that fails before it is still told by a status.
    pub(crate) async fn first_piece(mut self, open: &mut OpenRecord) -> Result<Begun, Refusal> {
        let mut encoder = Encoder::new(self.dialect, self.meta.clone());
        let mut first = Vec::new();
        match self.next(open).await {
            Some(Ok(events)) => encoder.encode_all(&events, &mut first),
            Some(Err(refusal)) => return Err(refusal),
            None => {}
        }
        let head = self.stream_head();
        Ok(Begun { head, reading: self, encoder, first })
    }

    /// The next events, or why there are none. `None` is the orderly end.
    async fn next(&mut self, open: &mut OpenRecord) -> Option<Result<Vec<Event>, Refusal>> {
        let next = tokio::select! {
            biased;
            () = &mut self.revoked => return Some(Err(Refusal::InvalidKey)),
            next = self.events.next() => next?,
        };
        Some(match next {
            Ok(events) => {
                open.count(&events);
                Ok(events)
            }
            Err(error) => Err(Refusal::Upstream(error)),
        })
    }

    fn stream_head(&self) -> Answer {
        let content_type = match self.dialect {
            Dialect::OpenAi => "text/event-stream",
            Dialect::Ollama => "application/x-ndjson",
        };
        let mut head = Response::new(full(Bytes::new()));
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        head.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // nginx in front of us must not hold the pieces back.
        head.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        name_upstream(&mut head, &self.upstream);
        head
    }
}

/// The whole answer in one piece.
pub(crate) async fn answer_whole(mut reading: Reading, open: &mut OpenRecord) -> Result<Answer, Refusal> {
    let mut events = Vec::new();
    while let Some(next) = reading.next(open).await {
        events.extend(next?);
    }
    if let Some(estimate) = open.missing_usage() {
        events.push(Event::Usage(estimate));
    }
    let body = match reading.dialect {
        Dialect::OpenAi => openai::write_completion(&reading.meta, &events),
        Dialect::Ollama => ollama::write_completion(&reading.meta, &events),
    };
    let mut answer = json(StatusCode::OK, body);
    name_upstream(&mut answer, &reading.upstream);
    Ok(answer)
}

/// The answer whose body is pulled by the connection: it goes no faster than the client reads, and when the client
/// leaves it is dropped, and the upstream request with it.
pub(crate) fn answer_stream(begun: Begun, mut open: OpenRecord, gateway: Gateway) -> Answer {
    let Begun { head, reading, encoder, first } = begun;
    open.record.status = head.status().as_u16();
    let state = Stream { reading, encoder, open, gateway, first: Some(first) };
    let pieces = futures_util::stream::unfold(Some(state), |state| async move {
        let (piece, rest) = state?.next_piece().await;
        Some((Ok(Frame::data(Bytes::from(piece))), rest))
    });
    let (parts, _) = head.into_parts();
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

struct Stream {
    reading: Reading,
    encoder: Encoder,
    open: OpenRecord,
    gateway: Gateway,
    first: Option<Vec<u8>>,
}

impl Stream {
    /// The next piece for the client, and the rest of the stream unless this was the last piece. The record is in the
    /// journal before the last piece is given out.
    async fn next_piece(mut self) -> (Vec<u8>, Option<Self>) {
        let mut piece = self.first.take().unwrap_or_default();
        if !piece.is_empty() {
            return (piece, Some(self));
        }
        // What ends the stream is kept apart: it is only given out once the record is in the journal.
        let mut end = Vec::new();
        loop {
            match self.reading.next(&mut self.open).await {
                Some(Ok(events)) => {
                    self.encoder.encode_all(&events, &mut piece);
                    if !piece.is_empty() {
                        return (piece, Some(self));
                    }
                }
                Some(Err(refusal)) => {
                    self.encoder.error(&refusal.stream_message(), &mut end);
                    self.open.record.error = Some(refusal.to_string());
                    break;
                }
                None => {
                    if let Some(estimate) = self.open.missing_usage() {
                        self.encoder.encode(&Event::Usage(estimate), &mut end);
                    }
                    self.encoder.end(&mut end);
                    break;
                }
            }
        }
        let status = self.open.record.status;
        match self.gateway.recorded(self.open.close(status).await) {
            Ok(()) => piece.append(&mut end),
            Err(refusal) => self.encoder.error(&refusal.stream_message(), &mut piece),
        }
        (piece, None)
    }
}

/// The client's dialect of a stream.
enum Encoder {
    OpenAi(openai::StreamEncoder),
    Ollama(ollama::StreamEncoder),
}

impl Encoder {
    fn new(dialect: Dialect, meta: Meta) -> Self {
        match dialect {
            Dialect::OpenAi => Self::OpenAi(openai::StreamEncoder::new(meta)),
            Dialect::Ollama => Self::Ollama(ollama::StreamEncoder::new(meta)),
        }
    }

    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(encoder) => encoder.encode(event, out),
            Self::Ollama(encoder) => encoder.encode(event, out),
        }
    }

    fn encode_all(&mut self, events: &[Event], out: &mut Vec<u8>) {
        for event in events {
            self.encode(event, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(encoder) => encoder.end(out),
            Self::Ollama(encoder) => encoder.end(out),
        }
    }

    fn error(&mut self, message: &str, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(encoder) => encoder.error(message, out),
            Self::Ollama(encoder) => encoder.error(message, out),
        }
    }
}

/// Tells which model server answered, where its name can stand in a header.
fn name_upstream(answer: &mut Answer, upstream: &str) {
    if let Ok(value) = HeaderValue::from_str(upstream) {
        answer.headers_mut().insert(HeaderName::from_static("x-tollhouse-upstream"), value);
    }
}
