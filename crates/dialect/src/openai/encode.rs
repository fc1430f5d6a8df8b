//! Writes an answer for an OpenAI client: server-sent events or one body, and the bodies of errors.

use serde_json::Value;

use super::chunks::{Chunks, Phase};
use crate::json::{self, Object};
use crate::wire::{Whole, WholeCall};
use crate::{ChatRequest, ErrorInfo, Event, FinishReason, Meta, Usage};

/// What the model's thoughts are called where the client has shown no habit of its own.
const THINKING_FIELD: &str = "reasoning";

/// Writes events as server-sent events in the order that strict clients expect: the role in the first chunk only,
/// thinking and text never together, a chunk of its own for the finish reason, then the usage if it was asked for, then
/// `[DONE]`. One id and one time for the whole stream.
#[derive(Debug)]
pub struct StreamEncoder {
    chunks: Chunks,
    call_prefix: String,
    /// What the client calls the model's thoughts.
    thinking_field: &'static str,
    /// How many tool calls have begun: their ids are made up where the server gave none.
    calls_begun: u32,
}

impl StreamEncoder {
    /// An encoder of the answer to `request`.
    #[expect(clippy::needless_pass_by_value, reason = "the meta belongs to this one answer")]
    pub fn new(meta: Meta, request: &ChatRequest) -> Self {
        Self {
            chunks: Chunks::new(&meta, "chat.completion.chunk", "delta"),
            call_prefix: call_prefix(&meta.id),
            thinking_field: thinking_field(request),
            calls_begun: 0,
        }
    }

    /// Appends the chunk for one event, if it has one.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.chunks.phase == Phase::Over {
            return;
        }
        let field = self.thinking_field;
        match event {
            Event::Thinking(text) => self.chunk(out, None, None, |delta| delta.text(field, text)),
            Event::Text(text) => self.chunk(out, None, None, |delta| delta.text("content", text)),
            Event::Logprobs(items) => self.chunk(out, None, Some(items), |delta| delta.put("content", "")),
            Event::ToolCall { index, id, name, arguments } => {
                self.call(out, *index, id.as_deref(), name.as_deref(), arguments);
            }
            Event::Finish(reason) => self.finish(out, reason),
            Event::Usage(usage) => self.chunks.usage(usage, out),
            Event::Error(message) => self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out),
            _ => {}
        }
    }

    /// Appends the terminal marker; nothing after an error, so that clients can tell.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.chunks.phase == Phase::Over {
            return;
        }
        if self.chunks.phase < Phase::Finished {
            self.finish(out, &FinishReason::Stop);
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

    fn chunk(
        &mut self,
        out: &mut Vec<u8>,
        finish: Option<&FinishReason>,
        logprobs: Option<&Value>,
        write: impl FnOnce(&mut Object),
    ) {
        let is_first = self.chunks.phase == Phase::Fresh;
        self.chunks.phase = self.chunks.phase.max(Phase::Started);
        self.chunks.chunk(out, |out| {
            let mut delta = Object::open(out);
            if is_first {
                delta.put("role", "assistant");
            }
            write(&mut delta);
            delta.close();
            if let Some(items) = logprobs {
                out.extend_from_slice(br#","logprobs":{"content":"#);
                json::value(out, items);
                out.push(b'}');
            }
            out.extend_from_slice(br#","finish_reason":"#);
            json::value(out, &finish.map(FinishReason::name));
        });
    }

    fn finish(&mut self, out: &mut Vec<u8>, reason: &FinishReason) {
        if self.chunks.phase == Phase::Fresh {
            self.chunk(out, None, None, |delta| delta.put("content", ""));
        }
        self.chunk(out, Some(reason), None, |_| {});
        self.chunks.phase = Phase::Finished;
    }

    fn call(&mut self, out: &mut Vec<u8>, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) {
        let begins = index >= self.calls_begun;
        let made_up;
        let id = match id {
            None if begins => {
                made_up = format!("{}{index}", self.call_prefix);
                Some(made_up.as_str())
            }
            id => id,
        };
        if begins {
            self.calls_begun = index.saturating_add(1);
        }
        self.chunk(out, None, None, |delta| {
            json::array(delta.key("tool_calls"), [()], |out, ()| {
                let mut call = Object::open(out);
                call.put("index", &index);
                if let Some(id) = id {
                    call.put("id", id);
                    call.put("type", "function");
                }
                let mut function = Object::open(call.key("function"));
                if let Some(name) = name {
                    function.put("name", name);
                }
                function.text("arguments", arguments);
                function.close();
                call.close();
            });
        });
    }
}

/// Servers and their clients are split over the name of the thoughts: one that sends them back shows which it reads.
fn thinking_field(request: &ChatRequest) -> &'static str {
    let habit = request.messages.iter().find_map(|message| message.thinking.as_ref());
    habit.map_or(THINKING_FIELD, |thinking| thinking.field)
}

/// The body of the answer to `request` that is sent whole.
pub fn write_answer(meta: &Meta, request: &ChatRequest, events: &[Event]) -> Vec<u8> {
    let thinking_field = thinking_field(request);
    let whole = Whole::of(events);
    let mut out = Vec::with_capacity(512 + whole.text.len() + whole.thinking.len());
    let mut body = Object::open(&mut out);
    write_meta(&mut body, meta, "chat.completion");
    json::array(body.key("choices"), [&whole], |out, whole| write_choice(out, meta, thinking_field, whole));
    if let Some(usage) = &whole.usage {
        write_usage(body.key("usage"), usage);
    }
    body.close();
    out
}

/// The body of an error: `{"error":{"message","type","param","code"}}`.
pub(crate) fn write_error(told: &ErrorInfo) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + told.message.len());
    let mut body = Object::open(&mut out);
    let mut error = Object::open(body.key("error"));
    error.put("message", told.message);
    error.put("type", told.kind);
    error.put("param", &told.param);
    error.put("code", &told.code);
    error.close();
    body.close();
    out
}

pub(super) fn write_meta(object: &mut Object, meta: &Meta, kind: &'static str) {
    object.put("id", &meta.id);
    object.put("object", kind);
    if !meta.strip_created {
        object.put("created", &meta.created_unix);
    }
    if !meta.strip_model {
        object.put("model", &meta.model);
    }
}

fn call_prefix(id: &str) -> String {
    format!("call_{}_", id.strip_prefix("chatcmpl-").unwrap_or(id))
}

fn write_choice(out: &mut Vec<u8>, meta: &Meta, thinking_field: &'static str, whole: &Whole) {
    let mut choice = Object::open(out);
    choice.put("index", &0);
    let mut message = Object::open(choice.key("message"));
    message.put("role", "assistant");
    if whole.text.is_empty() && !whole.calls.is_empty() {
        message.put("content", &Value::Null);
    } else {
        message.text("content", &whole.text);
    }
    if !whole.thinking.is_empty() {
        message.text(thinking_field, &whole.thinking);
    }
    if !whole.calls.is_empty() {
        let prefix = call_prefix(&meta.id);
        json::array(message.key("tool_calls"), &whole.calls, |out, call| write_call(out, call, &prefix));
    }
    message.close();
    if !whole.logprobs.is_empty() {
        let mut logprobs = Object::open(choice.key("logprobs"));
        logprobs.put("content", &whole.logprobs);
        logprobs.close();
    }
    choice.put("finish_reason", whole.finish.as_ref().unwrap_or(&FinishReason::Stop).name());
    choice.close();
}

fn write_call(out: &mut Vec<u8>, call: &WholeCall, prefix: &str) {
    let mut body = Object::open(out);
    match &call.id {
        Some(id) => body.put("id", id),
        None => body.put("id", &format!("{prefix}{}", call.index)),
    }
    body.put("type", "function");
    let mut function = Object::open(body.key("function"));
    function.put("name", &call.name);
    function.put("arguments", &call.arguments);
    function.close();
    body.close();
}

pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut body = Object::open(out);
    body.put("prompt_tokens", &usage.input_tokens);
    body.put("completion_tokens", &usage.output_tokens);
    body.put("total_tokens", &usage.input_tokens.saturating_add(usage.output_tokens));
    if let Some(cached) = &usage.cached_tokens {
        let mut details = Object::open(body.key("prompt_tokens_details"));
        details.put("cached_tokens", cached);
        details.close();
    }
    if let Some(thinking) = &usage.thinking_tokens {
        let mut details = Object::open(body.key("completion_tokens_details"));
        details.put("reasoning_tokens", thinking);
        details.close();
    }
    body.close();
}
