//! The record of one request: opened with its head, filled on its way, closed exactly once.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tollhouse_content::{Owner, Talk};
use tollhouse_dialect::{Embeddings, Event, Usage};
use tollhouse_journal::{Journal, JournalError, Level, Record};
use tollhouse_limits::Entered;
use tollhouse_telemetry::{Running, Telemetry, TraceContext};
use tollhouse_tokens::Count;
use tollhouse_upstream::{Progress, Reply, UpstreamError};

use crate::Refusal;

/// Longest path kept in a record, in characters; longer ones are cut.
const PATH_CHARS_MAX: usize = 256;
/// Longest other text that comes from outside, in characters (attack catalogue, 103: logs are read by programs).
const TEXT_CHARS_MAX: usize = 1024;
/// Where in the program these records come from.
const CALLER: &str = "gateway/stack.rs";

/// What the journal says of one request (design, section 7). Times are milliseconds with three decimals.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a line in the journal, as they are written")]
pub struct RequestRecord {
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Status told, or 499 when the client left before there was one.
    pub status: u16,
    /// From the complete head to the last byte.
    pub duration_ms: f64,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// For whom it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Only the body says so: a name for people to search for, which no limit goes by.
    #[serde(skip_serializing_if = "is_false")]
    pub user_claimed: bool,
    /// Public name of the model that answered, or was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model that was asked for, where another one answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_model: Option<String>,
    /// Names this request everywhere.
    pub request_id: String,
    /// Trace id of the W3C `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Public id of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// `probe` for a request that the house itself made to see whether a model answers, `task` for a step of a task, `replay` for
    /// one that was asked once more in the console, `batch` and `later` for one whose client does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'static str>,
    /// Id of the request that is asked once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Id of the batch that it is a line of, or by which its answer is fetched later; the batch's own records have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Which line of the batch's file it is, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_line: Option<u64>,
    /// Address of the client.
    pub client_ip: String,
    /// Name of the model server that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How many model servers were tried.
    pub attempts: u32,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// What went wrong, with what only the operator may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From the parsed body to the sending: waiting for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<f64>,
    /// Place in the queue at first, from 1; absent when it had not to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u32>,
    /// Until a connection to the model server was there; near 0 for one that was open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// The gateway's own part: from the complete head until the model server's reply was handed over (the first events
    /// of a stream, a whole answer otherwise), without the wait for its turn, without the exchange with that server,
    /// and without the coming of the request's body, which is the client's time. Only where one server was asked: the
    /// time that went to others is nobody's. Asking the server what its model is, when that is not known yet, is in it.
    /// How long the server's bytes lay before this process came to read them cannot be told from within and is in the
    /// exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_ms: Option<f64>,
    /// Loading the model, as the server tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_ms: Option<f64>,
    /// Reading the prompt, as the server tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_ms: Option<f64>,
    /// From the complete head to the first token given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// Writing the answer: as the server tells it, else from the first token to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_ms: Option<f64>,
    /// Output tokens per second of decoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Characters of all messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_chars: Option<usize>,
    /// Which requests begin with the same instructions or words: a keyed hash of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_family: Option<String>,
    /// Tokens of the prompt, as they were counted before it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_counted: Option<u64>,
    /// `tokenizer` or `estimate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_by: Option<&'static str>,
    /// Tokens of the model's context, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_limit: Option<u32>,
    /// The context length that the server was asked for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<u32>,
    /// A part of the prompt was left out.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// Who left it out: `gateway` or `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_by: Option<&'static str>,
    /// Tokens of the prompt that a cache of the server had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Which of an assistant's agents asks, as it says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_agent: Option<String>,
    /// Which conversation it is, as the assistant says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_session: Option<String>,
    /// Which run of the conversation it is, as the assistant says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_session_id: Option<String>,
    /// The client left before the end.
    pub cancelled: bool,
    /// `upstream` or `estimated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<&'static str>,
    /// Where prompts and answers are kept: `kept`, or `lost` when too much waited to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A request's record while the request runs.
///
/// [`OpenRecord::close`] writes it. When it is dropped instead, the client has left: the future or the body that held it
/// was dropped by the connection, and that is what gets recorded. Nothing else can be done at that moment, so the line
/// is handed over without waiting.
pub(crate) struct OpenRecord {
    journal: Journal,
    pub(crate) began: Instant,
    pub(crate) telemetry: Telemetry,
    _running: Running,
    /// Its place in a trace, where traces are told.
    pub(crate) trace: Option<TraceContext>,
    /// What a model is to do.
    pub(crate) operation: Option<&'static str>,
    /// The record's model is one that there is, not only a word of the client.
    pub(crate) is_model_known: bool,
    /// Why it was refused, failed or broke off, and the limit that stood in its way.
    pub(crate) why: Option<(&'static str, Option<&'static str>)>,
    /// When a server began to answer, and how long the exchange with it had taken by then.
    pub(crate) replied: Option<(Duration, f64)>,
    /// Where it is among the model servers.
    pub(crate) progress: Option<Progress>,
    /// How long the body took to come.
    pub(crate) body: Duration,
    /// What is known so far.
    pub(crate) record: RequestRecord,
    /// What the request is counted as; settled when the record is closed.
    pub(crate) entered: Option<Entered>,
    /// The prompt's tokens as they were counted before it was sent.
    pub(crate) counted: Option<Count>,
    /// The prompt's tokens as well as they are known before it is sent.
    pub(crate) prompt_tokens: u64,
    /// Its start is in the journal.
    start_written: bool,
    tally: Option<Tally>,
    /// What is said, where that is kept.
    pub(crate) talk: Option<Box<Talk>>,
    closed: bool,
}

impl OpenRecord {
    pub(crate) fn new(
        journal: Journal,
        telemetry: &Telemetry,
        method: &str,
        path: &str,
        request_id: &str,
        client: IpAddr,
    ) -> Self {
        let record = RequestRecord {
            method: cut(method, 32),
            path: cut(path, PATH_CHARS_MAX),
            request_id: request_id.to_owned(),
            client_ip: client.to_string(),
            ..RequestRecord::default()
        };
        Self {
            journal,
            began: Instant::now(),
            _running: telemetry.begin(),
            telemetry: telemetry.clone(),
            trace: None,
            operation: None,
            is_model_known: false,
            why: None,
            replied: None,
            progress: None,
            body: Duration::ZERO,
            record,
            entered: None,
            counted: None,
            prompt_tokens: 0,
            start_written: false,
            tally: None,
            talk: None,
            closed: false,
        }
    }

    /// How long ago the head was complete.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts what the model server sent.
    pub(crate) fn count(&mut self, events: &[Event]) {
        let now = self.elapsed();
        let tally = self.tally.get_or_insert_default();
        tally.count(events, now);
        if let Some(talk) = &mut self.talk {
            talk.note(events);
        }
        // What a long answer has beyond its reservation counts while it is written, not only at its end.
        if let Some(entered) = &mut self.entered {
            entered.note(self.prompt_tokens + estimate(tally.answer_chars));
        }
    }

    /// An estimate of the usage, where the server told none.
    pub(crate) fn missing_usage(&self) -> Option<Usage> {
        let tally = self.tally.as_ref()?;
        tally.usage.is_none().then(|| tally.usage(self.record.prompt_chars.unwrap_or(0)))
    }

    /// A server began to answer.
    pub(crate) fn replied<A>(&mut self, reply: &Reply<A>) {
        let gateway_ms = self.own_part_ms(reply.attempts, reply.queue_ms + reply.exchange_ms);
        self.replied = Some((self.elapsed(), reply.exchange_ms));
        let record = &mut self.record;
        record.upstream = Some(reply.upstream.clone());
        if record.model.as_ref() != Some(&reply.model) {
            record.asked_model = record.model.replace(reply.model.clone());
        }
        record.attempts = reply.attempts;
        record.queue_ms = Some(round3(reply.queue_ms));
        record.queue_position = reply.queue_position;
        record.connect_ms = Some(round3(reply.connect_ms));
        record.gateway_ms = gateway_ms;
        record.num_ctx = reply.num_ctx;
    }

    /// Embeddings came.
    pub(crate) fn embedded(&mut self, reply: &Reply<Embeddings>) {
        self.replied(reply);
        let record = &mut self.record;
        record.load_ms = reply.answer.load_ms.map(round3);
        let told = reply.answer.input_tokens;
        record.usage_source = Some(if told.is_some() { "upstream" } else { "estimated" });
        record.input_tokens = told.or_else(|| record.prompt_chars.map(estimate));
    }

    /// What of the time until now was neither the client's nor went elsewhere.
    fn own_part_ms(&self, attempts: u32, elsewhere_ms: f64) -> Option<f64> {
        let spent_ms = self.elapsed().saturating_sub(self.body).as_secs_f64() * 1e3;
        // All by one clock: below nothing is only what rounding makes of nothing.
        (attempts == 1).then(|| round3((spent_ms - elsewhere_ms).max(0.0)))
    }

    /// No server answered.
    pub(crate) fn not_replied(&mut self, error: &UpstreamError) {
        self.record.attempts = error.attempts();
        self.record.upstream = error.upstream().map(str::to_owned);
    }

    /// What was counted before the prompt was sent.
    pub(crate) fn counted(&mut self, count: Count) {
        self.record.prompt_tokens_counted = Some(count.tokens);
        self.record.counted_by = Some(count.source.name());
        self.counted = Some(count);
    }

    /// Whether the server read less than it was sent, as far as its own figures show.
    pub(crate) fn is_truncated_by_server(&self) -> bool {
        let told = self.tally.as_ref().and_then(|tally| tally.usage);
        let pair = self.counted.as_ref().zip(told);
        pair.is_some_and(|(counted, usage)| counted.is_truncated_by_server(usage.input_tokens))
    }

    /// Tells the journal that the request is on its way to a model, so that a crash leaves a trace of it. What cannot be
    /// written now is told by the record of the end.
    pub(crate) fn started(&mut self) {
        if std::mem::replace(&mut self.start_written, true) {
            return;
        }
        if let Err(error) = self.journal.enqueue(self.start_line()) {
            tracing::warn!(error = %error, request_id = %self.record.request_id, "recording the start of a request");
        }
    }

    /// Whether its start is in the journal, or on the way there.
    pub(crate) fn has_started(&self) -> bool {
        self.start_written
    }

    /// The same, and waits until the line is in the journal file.
    pub(crate) async fn started_for_sure(&mut self) -> Result<(), JournalError> {
        self.start_written = true;
        self.journal.append(self.start_line()).await.map(|_| ())
    }

    fn start_line(&self) -> Record {
        #[derive(Serialize)]
        struct Start<'a> {
            method: &'a str,
            path: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            user_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            model: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            key_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            trace_id: Option<&'a str>,
            client_ip: &'a str,
            stream: bool,
        }
        let r = &self.record;
        let start = Start {
            method: &r.method,
            path: &r.path,
            request_id: &r.request_id,
            user_id: r.user_id.as_deref(),
            model: r.model.as_deref(),
            key_id: r.key_id.as_deref(),
            trace_id: r.trace_id.as_deref(),
            client_ip: &r.client_ip,
            stream: r.stream,
        };
        Record::with("request.start", Level::Info, "request started", &start).caller(CALLER)
    }

    /// Writes the record of an answered request; resolves when its line is in the journal file.
    pub(crate) async fn close(&mut self, status: u16) -> Result<(), JournalError> {
        self.record.status = status;
        let failed = self.record.error.is_some();
        let line = self.line(if failed { Level::Error } else { Level::Info });
        self.closed = true;
        self.journal.append(line).await.map(|_| ())
    }

    /// What went wrong after the status was told.
    pub(crate) fn broke_off(&mut self, refusal: &Refusal) {
        self.why = Some((refusal.reason(), refusal.limit()));
        self.record.error = Some(cut(&refusal.to_string(), TEXT_CHARS_MAX));
    }

    /// Writes the record of a refused request.
    pub(crate) async fn refuse(&mut self, refusal: &Refusal) -> Result<(), JournalError> {
        self.why = Some((refusal.reason(), refusal.limit()));
        self.record.status = refusal.status().as_u16();
        self.record.error = Some(cut(&refusal.to_string(), TEXT_CHARS_MAX));
        let line = self.line(refusal.level());
        self.closed = true;
        self.journal.append(line).await.map(|_| ())
    }

    fn line(&mut self, level: Level) -> Record {
        self.record.duration_ms = millis(self.elapsed());
        if self.is_truncated_by_server() {
            self.record.truncated = true;
            self.record.truncated_by = Some("server");
        }
        if let Some(tally) = &self.tally {
            tally.settle(&mut self.record);
        }
        if let Some(entered) = self.entered.take() {
            let used = [self.record.input_tokens, self.record.output_tokens];
            entered.settle(used.into_iter().flatten().sum());
        }
        self.keep_content();
        self.tell();
        let msg = match (&self.record.error, self.record.cancelled) {
            (_, true) => "request cancelled by the client",
            (Some(_), _) if self.record.status < 400 => "request broke off",
            (Some(_), _) if self.record.status >= 500 => "request failed",
            (Some(_), _) => "request refused",
            (None, _) => "request completed",
        };
        Record::with("request", level, msg, &self.record).caller(CALLER)
    }
}

impl OpenRecord {
    /// Hands over what was said, where that is kept. Nothing waits for it.
    fn keep_content(&mut self) {
        let Some(talk) = self.talk.take() else { return };
        let RequestRecord { user_id, key_id, request_id, model, .. } = &self.record;
        let owner = match (user_id, key_id) {
            (Some(user), _) => Owner::User(user.clone()),
            (None, Some(key)) => Owner::Key(key.clone()),
            (None, None) => Owner::Nobody,
        };
        let is_kept = talk.keep(request_id, owner, model.as_deref());
        self.record.content = Some(if is_kept { "kept" } else { "lost" });
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        self.record.cancelled = true;
        if self.record.status == 0 {
            // nginx's word for it; no status was sent.
            self.record.status = 499;
        }
        let line = self.line(Level::Info);
        if let Err(error) = self.journal.enqueue(line) {
            tracing::error!(error = %error, request_id = %self.record.request_id, "recording a request that the client left");
        }
    }
}

/// What the record learns from the events.
#[derive(Debug, Default)]
struct Tally {
    answer_chars: usize,
    first_token: Option<Duration>,
    last_token: Option<Duration>,
    finish: Option<String>,
    usage: Option<Usage>,
}

impl Tally {
    fn count(&mut self, events: &[Event], now: Duration) {
        for event in events {
            match event {
                Event::Text(text) | Event::Thinking(text) => self.token(text, now),
                Event::ToolCall { arguments, .. } => self.token(arguments, now),
                Event::Finish(reason) => self.finish = Some(reason.name().to_owned()),
                Event::Usage(usage) => self.usage = Some(*usage),
                _ => {}
            }
        }
    }

    fn token(&mut self, text: &str, now: Duration) {
        self.answer_chars += text.chars().count();
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
    }

    /// The server's own figures; where it told none, an estimate: four characters a token, rounded up.
    fn usage(&self, prompt_chars: usize) -> Usage {
        self.usage.unwrap_or(Usage {
            input_tokens: estimate(prompt_chars),
            output_tokens: estimate(self.answer_chars),
            ..Usage::default()
        })
    }

    /// Writes what is known into the record.
    fn settle(&self, record: &mut RequestRecord) {
        let usage = self.usage(record.prompt_chars.unwrap_or(0));
        record.input_tokens = Some(usage.input_tokens);
        record.output_tokens = Some(usage.output_tokens);
        record.usage_source = Some(if self.usage.is_some() { "upstream" } else { "estimated" });
        record.cached_tokens = usage.cached_tokens;
        record.finish_reason.clone_from(&self.finish);
        record.load_ms = usage.load_ms.map(round3);
        record.prefill_ms = usage.prefill_ms.map(round3);
        record.ttft_ms = self.first_token.map(millis);
        let seen = self.first_token.zip(self.last_token).map(|(first, last)| millis(last.saturating_sub(first)));
        record.decode_ms = usage.decode_ms.map(round3).or(seen.filter(|ms| *ms > 0.0));
        record.tokens_per_second = record
            .decode_ms
            .filter(|ms| *ms > 0.0 && usage.output_tokens > 0)
            .map(|ms| round3(usage.output_tokens as f64 * 1000.0 / ms));
    }
}

fn estimate(chars: usize) -> u64 {
    (chars as u64).div_ceil(4)
}

/// Milliseconds with three decimals.
pub(crate) fn millis(duration: Duration) -> f64 {
    round3(duration.as_secs_f64() * 1000.0)
}

/// Three decimals.
pub(crate) fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// At most so many characters, with a mark where something is left out.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
