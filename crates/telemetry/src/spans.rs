//! A request as a tree of spans.
//!
//! ```text
//! chat qwen3:32b                    SERVER    the whole request, below the client's span
//!  ├─ queue                         INTERNAL  waiting for its turn
//!  ├─ attempt second                CLIENT    a server that was asked in vain
//!  └─ attempt local                 CLIENT    the server that answered
//!      ├─ connect                   INTERNAL
//!      ├─ load                      INTERNAL  loading the model, as the server tells it
//!      ├─ prefill                   INTERNAL  reading the prompt, as the server tells it
//!      └─ decode                    INTERNAL  writing the answer
//! ```
//!
//! No prompt and no answer is in it. Where a server tells only how long a stretch took, it is put where it must have been: decoding
//! after the first token of a stream, before the one piece of a whole answer; reading before that, loading before reading.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};

use crate::TraceContext;
use crate::finished::{Attempt, Finished, Outcome};
use crate::genai;

/// The parent is known, and it is in another process (OTLP, `SpanFlags`).
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
const SAMPLED: u32 = 0x01;
/// Shorter stretches are left out: connecting over an open connection is none.
const STRETCH_MS_MIN: f64 = 0.01;

/// What is kept of a request until its spans are made. Copying it is all that a request waits for.
#[derive(Debug)]
pub(crate) struct Trace {
    context: TraceContext,
    /// When it ended, since 1970.
    ended: Duration,
    request_id: String,
    method: String,
    path: String,
    operation: Option<&'static str>,
    status: u16,
    outcome: Outcome,
    reason: Option<&'static str>,
    is_probe: bool,
    model: Option<String>,
    asked_model: Option<String>,
    upstream: Option<String>,
    key_id: Option<String>,
    client_ip: String,
    is_stream: bool,
    finish_reason: Option<String>,
    attempts: u32,
    failed: Vec<Attempt>,
    duration_ms: f64,
    replied_ms: Option<f64>,
    exchange_ms: Option<f64>,
    queue_ms: Option<f64>,
    connect_ms: Option<f64>,
    load_ms: Option<f64>,
    prefill_ms: Option<f64>,
    ttft_ms: Option<f64>,
    decode_ms: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
}

/// A stretch of a request's time, in milliseconds from its head on.
type Stretch = (f64, f64);

impl Trace {
    pub(crate) fn of(request: &Finished<'_>, context: TraceContext, ended: Duration) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            context,
            ended,
            request_id: request.request_id.to_owned(),
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            operation: request.operation,
            status: request.status,
            outcome: request.outcome,
            reason: request.reason,
            is_probe: request.is_probe,
            model: own(request.model),
            asked_model: own(request.asked_model),
            upstream: own(request.upstream),
            key_id: own(request.key_id),
            client_ip: request.client_ip.to_owned(),
            is_stream: request.is_stream,
            finish_reason: own(request.finish_reason),
            attempts: request.attempts,
            failed: request.failed.clone(),
            duration_ms: request.duration_ms,
            replied_ms: request.replied_ms,
            exchange_ms: request.exchange_ms,
            queue_ms: request.queue_ms,
            connect_ms: request.connect_ms,
            load_ms: request.load_ms,
            prefill_ms: request.prefill_ms,
            ttft_ms: request.ttft_ms,
            decode_ms: request.decode_ms,
            input_tokens: request.input_tokens,
            output_tokens: request.output_tokens,
            cached_tokens: request.cached_tokens,
        }
    }

    /// Its spans, the root first. Ids of the inner ones come from `random`, so that each has its own.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans = vec![self.root()];
        let mut ids = Ids(u64::from_be_bytes(self.context.span_id));
        for failed in &self.failed {
            let stretch = (failed.began.as_secs_f64() * 1e3, failed.ended.as_secs_f64() * 1e3);
            let mut span = self.child(&mut ids, self.context.span_id, &format!("attempt {}", failed.upstream), stretch);
            span.kind = SpanKind::Client as i32;
            span.attributes =
                vec![text("tollhouse.upstream", &failed.upstream), text(genai::ERROR_TYPE, failed.reason)];
            span.status = Some(failure(failed.reason));
            spans.push(span);
        }
        let began_ms = self.answer_began_ms();
        if let Some(wait) = self.queue_stretch(began_ms) {
            spans.push(self.child(&mut ids, self.context.span_id, "queue", wait));
        }
        let (Some(began_ms), Some(upstream)) = (began_ms, &self.upstream) else { return spans };
        let mut answer =
            self.child(&mut ids, self.context.span_id, &format!("attempt {upstream}"), (began_ms, self.duration_ms));
        answer.kind = SpanKind::Client as i32;
        answer.attributes = vec![text("tollhouse.upstream", upstream)];
        if let Some(model) = &self.model {
            answer.attributes.push(text(genai::RESPONSE_MODEL, model));
        }
        if self.outcome == Outcome::Failed {
            answer.status = Some(failure(self.reason.unwrap_or("failed")));
        }
        let parent: [u8; 8] = answer.span_id.as_slice().try_into().unwrap_or_default();
        spans.push(answer);
        for (name, stretch) in self.phases(began_ms) {
            spans.push(self.child(&mut ids, parent, name, stretch));
        }
        spans
    }

    fn root(&self) -> Span {
        let model = self.asked_model.as_ref().or(self.model.as_ref());
        let name = match (self.operation, model) {
            (Some(operation), Some(model)) => format!("{operation} {model}"),
            (Some(operation), None) => operation.to_owned(),
            // A path may hold the name of a model, or anything: names of spans are few.
            (None, _) => self.method.clone(),
        };
        let remote = if self.context.parent_id.is_some() { IS_REMOTE } else { 0 };
        let mut span = self.span(self.context.span_id, &name, (0.0, self.duration_ms));
        span.parent_span_id = self.context.parent_id.map(|id| id.to_vec()).unwrap_or_default();
        span.flags = SAMPLED | HAS_IS_REMOTE | remote;
        span.kind = SpanKind::Server as i32;
        span.attributes = self.attributes();
        if self.outcome == Outcome::Failed {
            span.status = Some(failure(self.reason.unwrap_or("failed")));
        }
        span
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = vec![
            text("http.request.method", &self.method),
            text("url.path", &self.path),
            number("http.response.status_code", u64::from(self.status)),
            text("client.address", &self.client_ip),
            text("tollhouse.request_id", &self.request_id),
            text("tollhouse.outcome", self.outcome.as_str()),
            number("tollhouse.attempts", u64::from(self.attempts)),
        ];
        let mut add = |name: &'static str, value: Option<&str>| all.extend(value.map(|value| text(name, value)));
        add("tollhouse.key_id", self.key_id.as_deref());
        add("tollhouse.upstream", self.upstream.as_deref());
        add("tollhouse.origin", self.is_probe.then_some("probe"));
        add(genai::ERROR_TYPE, self.reason);
        if let Some(operation) = self.operation {
            add(genai::OPERATION, Some(operation));
            add(genai::PROVIDER, Some(genai::PROVIDER_IS));
            add(genai::REQUEST_MODEL, self.asked_model.as_deref().or(self.model.as_deref()));
            add(genai::RESPONSE_MODEL, self.model.as_deref().filter(|_| self.replied_ms.is_some()));
            all.push(pair("tollhouse.stream", Value::BoolValue(self.is_stream)));
        }
        if let Some(reason) = &self.finish_reason {
            let values = vec![AnyValue { value: Some(Value::StringValue(reason.clone())) }];
            all.push(pair(genai::FINISH_REASONS, Value::ArrayValue(ArrayValue { values })));
        }
        for (name, tokens) in [
            (genai::INPUT_TOKENS, self.input_tokens),
            (genai::OUTPUT_TOKENS, self.output_tokens),
            ("tollhouse.cached_tokens", self.cached_tokens),
        ] {
            all.extend(tokens.map(|tokens| number(name, tokens)));
        }
        all.extend(self.ttft_ms.map(|ms| pair("tollhouse.time_to_first_token_ms", Value::DoubleValue(ms))));
        all
    }

    /// When the server was asked that answered.
    fn answer_began_ms(&self) -> Option<f64> {
        Some((self.replied_ms? - self.exchange_ms?).max(0.0))
    }

    /// Its waiting: right before the first server was asked. Who never got a place waited to the end.
    fn queue_stretch(&self, answer_began_ms: Option<f64>) -> Option<Stretch> {
        let first = self.failed.first().map(|failed| failed.began.as_secs_f64() * 1e3);
        let until = first.or(answer_began_ms).unwrap_or(self.duration_ms);
        let wait = self.queue_ms.filter(|ms| *ms >= STRETCH_MS_MIN)?;
        Some(((until - wait).max(0.0), until))
    }

    fn phases(&self, began_ms: f64) -> Vec<(&'static str, Stretch)> {
        let long = |ms: Option<f64>| ms.unwrap_or(0.0).max(0.0);
        let connected = (began_ms + long(self.connect_ms)).min(self.duration_ms);
        let mut phases = vec![("connect", (began_ms, connected))];
        if let Some(first) = self.ttft_ms.or(self.replied_ms) {
            // A whole answer comes when all of it is written.
            let decode = long(self.decode_ms);
            let (from, to) = if self.is_stream {
                (first, (first + decode).min(self.duration_ms))
            } else {
                ((first - decode).max(connected), first)
            };
            let read_from = (from - long(self.prefill_ms)).max(connected);
            let load_from = (read_from - long(self.load_ms)).max(connected);
            phases.extend([("load", (load_from, read_from)), ("prefill", (read_from, from)), ("decode", (from, to))]);
        }
        phases.retain(|(_, (from, to))| to - from >= STRETCH_MS_MIN);
        phases
    }

    fn child(&self, ids: &mut Ids, parent: [u8; 8], name: &str, stretch: Stretch) -> Span {
        let mut span = self.span(ids.next(), name, stretch);
        span.parent_span_id = parent.to_vec();
        span.flags = SAMPLED | HAS_IS_REMOTE;
        span.kind = SpanKind::Internal as i32;
        span
    }

    fn span(&self, id: [u8; 8], name: &str, (from_ms, to_ms): Stretch) -> Span {
        let ended = self.ended.as_nanos() as u64;
        let began = ended.saturating_sub((self.duration_ms * 1e6) as u64);
        let at = |ms: f64| began + (ms.clamp(0.0, self.duration_ms) * 1e6) as u64;
        Span {
            trace_id: self.context.trace_id.to_vec(),
            span_id: id.to_vec(),
            name: name.to_owned(),
            start_time_unix_nano: at(from_ms),
            end_time_unix_nano: at(to_ms.max(from_ms)),
            ..Span::default()
        }
    }
}

/// Ids of the inner spans, made from that of the root, which is random (splitmix64: a bijection, so that none comes twice).
struct Ids(u64);

impl Ids {
    fn next(&mut self) -> [u8; 8] {
        loop {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            if mixed != 0 {
                return mixed.to_be_bytes();
            }
        }
    }
}

fn failure(reason: &str) -> Status {
    Status { message: reason.to_owned(), code: StatusCode::Error as i32 }
}

pub(crate) fn text(name: &str, value: &str) -> KeyValue {
    pair(name, Value::StringValue(value.to_owned()))
}

fn number(name: &str, value: u64) -> KeyValue {
    pair(name, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: Duration = Duration::from_secs(1_769_508_000);

    fn told(request: &Finished<'_>) -> Vec<(String, String, u64, u64)> {
        let context = TraceContext::below(None).unwrap();
        let spans = Trace::of(request, context, ENDED).spans();
        let began = ENDED.as_nanos() as u64 - (request.duration_ms * 1e6) as u64;
        let name = |id: &[u8]| spans.iter().find(|span| span.span_id == id).map_or("", |span| &span.name).to_owned();
        let ids: std::collections::BTreeSet<&Vec<u8>> = spans.iter().map(|span| &span.span_id).collect();
        assert_eq!(ids.len(), spans.len(), "each span has an id of its own");
        spans
            .iter()
            .map(|span| {
                let ms = |at: u64| (at - began) / 1_000_000;
                (
                    span.name.clone(),
                    name(&span.parent_span_id),
                    ms(span.start_time_unix_nano),
                    ms(span.end_time_unix_nano),
                )
            })
            .collect()
    }

    fn answered() -> Finished<'static> {
        Finished {
            operation: Some("chat"),
            model: Some("m"),
            upstream: Some("local"),
            status: 200,
            is_stream: true,
            attempts: 1,
            duration_ms: 1_000.0,
            replied_ms: Some(400.0),
            exchange_ms: Some(300.0),
            queue_ms: Some(80.0),
            connect_ms: Some(10.0),
            load_ms: Some(200.0),
            prefill_ms: Some(50.0),
            ttft_ms: Some(400.0),
            decode_ms: Some(550.0),
            ..Finished::default()
        }
    }

    fn row(name: &str, parent: &str, from: u64, to: u64) -> (String, String, u64, u64) {
        (name.to_owned(), parent.to_owned(), from, to)
    }

    #[test]
    fn a_stream_is_cut_into_its_phases() {
        assert_eq!(
            told(&answered()),
            [
                row("chat m", "", 0, 1000),
                row("queue", "chat m", 20, 100),
                row("attempt local", "chat m", 100, 1000),
                row("connect", "attempt local", 100, 110),
                row("load", "attempt local", 150, 350),
                row("prefill", "attempt local", 350, 400),
                row("decode", "attempt local", 400, 950),
            ]
        );
    }

    #[test]
    fn a_whole_answer_was_written_before_it_came() {
        let whole = Finished {
            is_stream: false,
            ttft_ms: Some(990.0),
            replied_ms: Some(990.0),
            exchange_ms: Some(890.0),
            ..answered()
        };
        let told = told(&whole);
        assert_eq!(
            told[3..],
            [
                row("connect", "attempt local", 100, 110),
                row("load", "attempt local", 190, 390),
                row("prefill", "attempt local", 390, 440),
                row("decode", "attempt local", 440, 990),
            ]
        );
    }

    #[test]
    fn servers_asked_in_vain_are_there_with_the_reason() {
        let ms = Duration::from_millis;
        let failed = vec![Attempt { upstream: "second".into(), began: ms(90), ended: ms(95), reason: "connect" }];
        let request = Finished { failed, attempts: 2, ..answered() };
        let told = told(&request);
        assert_eq!(told[1], row("attempt second", "chat m", 90, 95));
        assert_eq!(told[2], row("queue", "chat m", 10, 90));
        assert_eq!(told[3], row("attempt local", "chat m", 100, 1000));
    }

    #[test]
    fn figures_that_contradict_each_other_stay_within_the_request() {
        let odd = Finished {
            load_ms: Some(1e9),
            decode_ms: Some(1e9),
            queue_ms: Some(1e9),
            connect_ms: Some(1e9),
            ..answered()
        };
        for (name, _, from, to) in told(&odd) {
            assert!(from <= to && to <= 1_000, "{name} {from} {to}");
        }
        assert_eq!(told(&Finished { method: "GET", duration_ms: 3.0, ..Finished::default() }), [row("GET", "", 0, 3)]);
    }

    #[test]
    fn the_root_hangs_below_the_clients_span() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::below(Some(parent)).unwrap();
        let request = Finished { outcome: Outcome::Failed, reason: Some("silent"), ..answered() };
        let root = Trace::of(&request, context, ENDED).spans().remove(0);
        assert_eq!(tollhouse_units::hex(&root.parent_span_id), "b7ad6b7169203331");
        assert_eq!((root.kind, root.flags), (SpanKind::Server as i32, 0x301));
        assert_eq!(root.status.unwrap().message, "silent");
        assert!(root.attributes.contains(&text("error.type", "silent")));
    }
}
