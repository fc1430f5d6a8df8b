//! Writes an answer for an Ollama client: lines of JSON or one body, and the bodies of errors.

use serde_json::value::RawValue;

use crate::json::{self, Object};
use crate::wire::{CALL_TOO_LARGE, HeldCalls, Whole, WholeCall};
use crate::{AnswerError, ErrorInfo, Event, FinishReason, Meta, Usage};

/// Writes events as lines of JSON, ended by the `done` line with the counts (durations in ns).
///
/// Ollama sends a tool call whole, so the pieces of one are held until it is complete.
#[derive(Debug)]
pub struct StreamEncoder {
    /// Everything in a line up to the message, the same in all lines.
    head: Vec<u8>,
    calls: HeldCalls,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// The last line or an error is written; nothing follows.
    over: bool,
}

impl StreamEncoder {
    /// An encoder of one answer.
    #[expect(clippy::needless_pass_by_value, reason = "both dialects' encoders are made alike")]
    pub fn new(meta: Meta) -> Self {
        let mut head = Vec::with_capacity(128);
        let mut object = Object::open(&mut head);
        write_meta(&mut object, &meta);
        object.key("message");
        Self { head, calls: HeldCalls::default(), finish: None, usage: None, over: false }
    }

    /// Appends the line for one event, if it has one.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::ToolCall { index, id, name, arguments } => {
                if self.calls.are_over(*index) {
                    self.flush_calls(out);
                }
                if !self.calls.add(*index, id.as_deref(), name.as_deref(), arguments) {
                    self.fail_with(CALL_TOO_LARGE, out);
                }
                return;
            }
            Event::Finish(reason) => {
                self.finish = Some(reason.clone());
                self.flush_calls(out);
            }
            Event::Thinking(_) | Event::Text(_) => self.flush_calls(out),
            _ => {}
        }
        match event {
            Event::Thinking(text) => self.line(out, |message| {
                message.put("content", "");
                message.text("thinking", text);
            }),
            Event::Text(text) => self.line(out, |message| message.text("content", text)),
            Event::Logprobs(items) => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(br#"{"role":"assistant","content":""},"logprobs":"#);
                json::value(out, items);
                out.extend_from_slice(b",\"done\":false}\n");
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(message) => self.fail_with(message, out),
            _ => {}
        }
    }

    /// Appends the `done` line; nothing after an error.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.flush_calls(out);
        if self.over {
            return;
        }
        self.over = true;
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"{"role":"assistant","content":""}"#);
        write_done(out, self.finish.as_ref(), self.usage.as_ref());
        out.extend_from_slice(b"}\n");
    }

    /// Appends an error line, after which nothing more is written.
    pub fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        self.fail_with(error.message, out);
    }

    /// Appends a line that says nothing: clients parse each one, so it must be a whole one.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.line(out, |message| message.put("content", ""));
    }

    fn fail_with(&mut self, message: &str, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        out.extend_from_slice(&error_body(message));
        out.push(b'\n');
    }

    fn line(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object)) {
        if self.over {
            return;
        }
        out.extend_from_slice(&self.head);
        let mut message = Object::open(out);
        message.put("role", "assistant");
        write(&mut message);
        message.close();
        out.extend_from_slice(b",\"done\":false}\n");
    }

    fn flush_calls(&mut self, out: &mut Vec<u8>) {
        let mut calls = self.calls.take();
        if let Err(error) = check(&mut calls, self.finish.as_ref()) {
            self.fail_with(&error.to_string(), out);
        } else if !calls.is_empty() {
            self.line(out, |message| {
                message.put("content", "");
                json::array(message.key("tool_calls"), &calls, write_call);
            });
        }
    }
}

/// Refuses calls that are not JSON. A last one that the token limit cut is left out: the reason for the end tells.
fn check(calls: &mut Vec<WholeCall>, finish: Option<&FinishReason>) -> Result<(), AnswerError> {
    let is_cut = matches!(finish, Some(FinishReason::Length | FinishReason::WindowFull));
    calls.pop_if(|call| is_cut && arguments(call).is_none());
    if calls.iter().all(|call| arguments(call).is_some()) { Ok(()) } else { Err(AnswerError::BadCall) }
}

/// The body of an answer that is sent whole; an error where a tool call is not JSON.
pub fn write_answer(meta: &Meta, events: &[Event]) -> Result<Vec<u8>, AnswerError> {
    let mut whole = Whole::of(events);
    check(&mut whole.calls, whole.finish.as_ref())?;
    let mut out = Vec::with_capacity(512 + whole.text.len() + whole.thinking.len());
    let mut body = Object::open(&mut out);
    write_meta(&mut body, meta);
    let mut message = Object::open(body.key("message"));
    message.put("role", "assistant");
    message.text("content", &whole.text);
    if !whole.thinking.is_empty() {
        message.text("thinking", &whole.thinking);
    }
    if !whole.calls.is_empty() {
        json::array(message.key("tool_calls"), &whole.calls, write_call);
    }
    message.close();
    if !whole.logprobs.is_empty() {
        body.put("logprobs", &whole.logprobs);
    }
    write_done(&mut out, whole.finish.as_ref(), whole.usage.as_ref());
    out.push(b'}');
    Ok(out)
}

/// The body of an error: `{"error":"…"}`.
pub(crate) fn error_body(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + message.len());
    let mut body = Object::open(&mut out);
    body.put("error", message);
    body.close();
    out
}

pub(super) fn write_meta(object: &mut Object, meta: &Meta) {
    if !meta.strip_model {
        object.put("model", &meta.model);
    }
    if !meta.strip_created {
        let time = jiff::Timestamp::from_second(meta.created_unix).unwrap_or_default();
        object.put("created_at", &time.to_string());
    }
}

/// The arguments as JSON on one line; Ollama's form needs an object.
fn arguments(call: &WholeCall) -> Option<Box<RawValue>> {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    // In valid JSON these stand between tokens only; left in place they would end the line.
    let one_line = text.replace(['\n', '\r'], " ");
    RawValue::from_string(one_line).ok().filter(|json| json.get().starts_with('{'))
}

fn write_call(out: &mut Vec<u8>, call: &WholeCall) {
    let mut body = Object::open(out);
    body.put_some("id", call.id.as_ref());
    let mut function = Object::open(body.key("function"));
    function.put("index", &call.index);
    function.put("name", &call.name);
    function.put_some("arguments", arguments(call).as_ref());
    function.close();
    body.close();
}

/// The fields of the last line after its message. Ollama leaves out what is zero.
pub(super) fn write_done(out: &mut Vec<u8>, finish: Option<&FinishReason>, usage: Option<&Usage>) {
    out.extend_from_slice(br#","done":true,"done_reason":"#);
    json::value(
        out,
        match finish {
            // A call of a tool is a plain stop in Ollama's words.
            None | Some(FinishReason::ToolCalls) => "stop",
            Some(reason) => reason.name(),
        },
    );
    let Some(usage) = usage else { return };
    let ns = |ms: Option<f64>| (ms.unwrap_or_default() * 1e6).round() as u64;
    let (load, prefill, decode) = (ns(usage.load_ms), ns(usage.prefill_ms), ns(usage.decode_ms));
    for (name, number) in [
        ("total_duration", load.saturating_add(prefill).saturating_add(decode)),
        ("load_duration", load),
        ("prompt_eval_count", usage.input_tokens),
        ("prompt_eval_duration", prefill),
        ("eval_count", usage.output_tokens),
        ("eval_duration", decode),
    ] {
        if number > 0 {
            out.extend_from_slice(format!(",\"{name}\":{number}").as_bytes());
        }
    }
}
