//! Writes an answer for a client of OpenAI's completions: server-sent events or one body.

use serde_json::Value;

use super::super::chunks::{Chunks, Phase};
use super::super::encode::{write_meta, write_usage};
use super::{echoed, logprobs};
use crate::json::{self, Object};
use crate::wire::Whole;
use crate::{ChatRequest, ErrorInfo, Event, FinishReason, Meta};

const KIND: &str = "text_completion";

/// Writes events as chunks of a text completion, a chunk of its own for the finish reason, the usage if it was asked
/// for, and `[DONE]`. Thoughts are left out: this API has no place for them.
#[derive(Debug)]
pub struct StreamEncoder {
    chunks: Chunks,
    /// The prompt, where the first chunk is to carry it.
    echo: Option<String>,
    /// Where the next token with a probability begins, in characters.
    offset: usize,
}

impl StreamEncoder {
    /// An encoder of the answer to `request`.
    #[expect(clippy::needless_pass_by_value, reason = "the meta belongs to this one answer")]
    pub fn new(meta: Meta, request: &ChatRequest) -> Self {
        Self { chunks: Chunks::new(&meta, KIND, "text"), echo: echoed(request).map(str::to_owned), offset: 0 }
    }

    /// Appends the chunk for one event, if it has one.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.chunks.phase == Phase::Over {
            return;
        }
        match event {
            Event::Text(text) => self.chunk(text, None, None, out),
            Event::Logprobs(Value::Array(items)) => self.chunk("", Some(items), None, out),
            Event::Finish(reason) => self.finish(reason, out),
            Event::Usage(usage) => self.chunks.usage(usage, out),
            Event::Error(message) => self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out),
            // A completion has no tools, so there are no calls of any.
            _ => {}
        }
    }

    /// Appends the terminal marker; nothing after an error, so that clients can tell.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.chunks.phase == Phase::Over {
            return;
        }
        if self.chunks.phase < Phase::Finished {
            self.finish(&FinishReason::Stop, out);
        }
        self.chunks.end(out);
    }

    /// Appends an error event, after which nothing more is written.
    pub fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        self.chunks.fail(error, out);
    }

    /// Appends a comment, which every reader of event streams skips.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.chunks.keep_alive(out);
    }

    fn chunk(&mut self, text: &str, probabilities: Option<&[Value]>, finish: Option<&str>, out: &mut Vec<u8>) {
        if self.chunks.phase == Phase::Fresh {
            self.chunks.phase = Phase::Started;
            if let Some(prompt) = self.echo.take() {
                self.chunk(&prompt, None, None, out);
            }
        }
        let Self { chunks, offset, .. } = self;
        chunks.chunk(out, |out| {
            json::value(out, text);
            out.extend_from_slice(br#","logprobs":"#);
            match probabilities {
                Some(items) => logprobs::write(out, items, offset),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(br#","finish_reason":"#);
            json::value(out, &finish);
        });
    }

    fn finish(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        self.chunk("", None, Some(reason_name(reason)), out);
        self.chunks.phase = Phase::Finished;
    }
}

fn reason_name(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::ToolCalls => "stop",
        reason => reason.name(),
    }
}

/// The body of an answer that is sent whole.
pub fn write_answer(meta: &Meta, request: &ChatRequest, events: &[Event]) -> Vec<u8> {
    let whole = Whole::of(events);
    let echo = echoed(request).unwrap_or_default();
    let mut out = Vec::with_capacity(512 + echo.len() + whole.text.len());
    let mut body = Object::open(&mut out);
    write_meta(&mut body, meta, KIND);
    json::array(body.key("choices"), [&whole], |out, whole| {
        let mut choice = Object::open(out);
        choice.put("index", &0);
        choice.put("text", &format!("{echo}{}", whole.text));
        if whole.logprobs.is_empty() {
            choice.put("logprobs", &Value::Null);
        } else {
            logprobs::write(choice.key("logprobs"), &whole.logprobs, &mut 0);
        }
        choice.put("finish_reason", reason_name(whole.finish.as_ref().unwrap_or(&FinishReason::Stop)));
        choice.close();
    });
    if let Some(usage) = &whole.usage {
        write_usage(body.key("usage"), usage);
    }
    body.close();
    out
}
