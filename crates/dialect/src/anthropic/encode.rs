//! Writes a streamed answer for an Anthropic client, and the answer to `count_tokens`.

use serde_json::Value;

use super::write_error;
use crate::json::Object;
use crate::sse::{self, event};
use crate::wire::{CALL_TOO_LARGE, HeldCalls, TOOL_ARGUMENTS_BYTES_MAX, is_object};
use crate::{AnswerError, ErrorInfo, Event, FinishReason, Meta, Usage};

/// Writes events as Anthropic's server-sent events: `message_start`, then block after block, each closed before the next
/// begins, then the reason for the end with the counts, then `message_stop`.
///
/// Clients break on an empty block of text before a tool's, on thoughts in a block of text, and on a `stop_reason` other
/// than `tool_use` after a call; none of these is ever written.
#[derive(Debug)]
pub struct StreamEncoder {
    meta: Meta,
    phase: Phase,
    open: Open,
    /// Content blocks begun so far.
    blocks: u32,
    /// Tool calls begun so far: the smallest index that the next one may have.
    calls: u32,
    /// Calls that began before the open one was whole.
    held: HeldCalls,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Fresh,
    Started,
    /// The end marker or an error is written; nothing follows.
    Over,
}

/// The content block that is being written.
#[derive(Debug, PartialEq)]
enum Open {
    None,
    Text,
    /// Thoughts, and whether their signature is written: what comes after it is a block of its own.
    Thinking {
        is_signed: bool,
    },
    /// A tool call: which, and its arguments so far.
    Call {
        index: u32,
        arguments: String,
    },
}

impl StreamEncoder {
    /// An encoder of one answer.
    pub fn new(meta: Meta) -> Self {
        Self {
            meta,
            phase: Phase::Fresh,
            open: Open::None,
            blocks: 0,
            calls: 0,
            held: HeldCalls::default(),
            finish: None,
            usage: None,
        }
    }

    /// Appends the events of the stream for one event, if it has any.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.phase == Phase::Over {
            return;
        }
        match event {
            Event::Start { .. } => self.start(out),
            Event::Text(text) => {
                if self.begin(&Open::Text, out) {
                    self.delta(out, "text_delta", |delta| delta.text("text", text));
                }
            }
            Event::Thinking(text) => {
                if self.begin(&Open::Thinking { is_signed: false }, out) {
                    self.delta(out, "thinking_delta", |delta| delta.text("thinking", text));
                }
            }
            Event::Signature(signature) => {
                if self.begin(&Open::Thinking { is_signed: false }, out) {
                    self.delta(out, "signature_delta", |delta| delta.text("signature", signature));
                    self.open = Open::Thinking { is_signed: true };
                }
            }
            Event::Citation(cited) => {
                if self.begin(&Open::Text, out) {
                    self.delta(out, "citations_delta", |delta| delta.put("citation", cited));
                }
            }
            Event::Block(block) => self.whole_block(block, out),
            Event::ToolCall { index, id, name, arguments } => {
                self.call(*index, id.as_deref(), name.as_deref(), arguments, out);
            }
            Event::Finish(reason) => self.finish = Some(reason.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(message) => self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out),
            Event::Logprobs(_) | Event::Context(_) => {}
        }
    }

    /// Appends the reason for the end, the counts and the end marker; nothing after an error.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Over {
            return;
        }
        self.start(out);
        self.close(out);
        if self.phase == Phase::Over {
            return;
        }
        event(out, "message_delta", |body| {
            let mut delta = Object::open(body.key("delta"));
            write_stop(&mut delta, self.finish.as_ref(), self.calls > 0);
            delta.close();
            write_usage(body.key("usage"), &self.usage.unwrap_or(self.known()));
        });
        event(out, "message_stop", |_| {});
        self.phase = Phase::Over;
    }

    /// Appends an error event, after which nothing more is written.
    pub fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        if self.phase == Phase::Over {
            return;
        }
        self.phase = Phase::Over;
        sse::named(out, "error", &write_error(error));
    }

    /// Appends a `ping`, which stands after the beginning of the message.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.phase < Phase::Over {
            self.start(out);
            event(out, "ping", |_| {});
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.phase != Phase::Fresh {
            return;
        }
        self.phase = Phase::Started;
        event(out, "message_start", |body| {
            let mut message = Object::open(body.key("message"));
            write_head(&mut message, &self.meta);
            message.key("content").extend_from_slice(b"[]");
            message.put("stop_reason", &Value::Null);
            message.put("stop_sequence", &Value::Null);
            write_usage(message.key("usage"), &self.known());
            message.close();
        });
    }

    /// The counts before the server has told them.
    fn known(&self) -> Usage {
        Usage { input_tokens: self.meta.input_tokens, ..Usage::default() }
    }

    /// Makes sure that a block of this kind is open; false when the one before could not be closed.
    fn begin(&mut self, kind: &Open, out: &mut Vec<u8>) -> bool {
        if self.open == *kind {
            return true;
        }
        if !self.next_block(out) {
            return false;
        }
        match kind {
            Open::Text => self.block_start(out, |block| {
                block.put("type", "text");
                block.put("text", "");
            }),
            _ => self.block_start(out, |block| {
                block.put("type", "thinking");
                block.put("thinking", "");
                block.put("signature", "");
            }),
        }
        self.open = match kind {
            Open::Text => Open::Text,
            _ => Open::Thinking { is_signed: false },
        };
        true
    }

    /// Begins the message or closes the block before; false when that was a call that cannot be closed.
    fn next_block(&mut self, out: &mut Vec<u8>) -> bool {
        self.start(out);
        self.close(out);
        self.phase == Phase::Started
    }

    fn block_start(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Object)) {
        event(out, "content_block_start", |body| {
            body.put("index", &self.blocks);
            let mut block = Object::open(body.key("content_block"));
            write(&mut block);
            block.close();
        });
        self.blocks = self.blocks.saturating_add(1);
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, write: impl FnOnce(&mut Object)) {
        event(out, "content_block_delta", |body| {
            body.put("index", &(self.blocks - 1));
            let mut delta = Object::open(body.key("delta"));
            delta.put("type", kind);
            write(&mut delta);
            delta.close();
        });
    }

    /// Closes the open block, and writes the calls that wait for that.
    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_open(out);
        for call in self.held.take() {
            if self.phase == Phase::Started {
                self.call_start(call.index, call.id.as_deref(), &call.name, out);
                self.call_more(&call.arguments, out);
                self.close_open(out);
            }
        }
    }

    /// Closes the open block. A call that is not JSON is an error: clients read it when its block is closed. One that the
    /// token limit cut is left as it is: the reason for the end tells.
    fn close_open(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Call { arguments, .. } if !is_cut(self.finish.as_ref()) && !is_object(&arguments) => {
                self.fail_with(&AnswerError::BadCall.to_string(), out);
            }
            _ => event(out, "content_block_stop", |body| body.put("index", &(self.blocks - 1))),
        }
    }

    fn fail_with(&mut self, message: &str, out: &mut Vec<u8>) {
        self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out);
    }

    fn call(&mut self, index: u32, id: Option<&str>, name: Option<&str>, piece: &str, out: &mut Vec<u8>) {
        match &self.open {
            Open::Call { index: open, .. } if *open == index => {}
            // Blocks stand one after the other, but a server may send the pieces of two calls in turns.
            Open::Call { arguments, .. } if arguments.is_empty() || !is_object(arguments) || !self.held.is_empty() => {
                if !self.held.add(index, id, name, piece) {
                    self.fail_with(CALL_TOO_LARGE, out);
                }
                return;
            }
            _ if index < self.calls => {
                self.fail_with("the model server mixed up the pieces of two tool calls", out);
                return;
            }
            _ => {
                if !self.next_block(out) {
                    return;
                }
                self.call_start(index, id, name.unwrap_or_default(), out);
            }
        }
        self.call_more(piece, out);
    }

    fn call_start(&mut self, index: u32, id: Option<&str>, name: &str, out: &mut Vec<u8>) {
        let id = id.map_or_else(|| call_id(&self.meta.id, index), str::to_owned);
        self.block_start(out, |block| {
            block.put("type", "tool_use");
            block.put("id", &id);
            block.put("name", name);
            block.key("input").extend_from_slice(b"{}");
        });
        self.calls = self.calls.max(index.saturating_add(1));
        self.open = Open::Call { index, arguments: String::new() };
    }

    fn call_more(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Open::Call { arguments, .. } = &mut self.open else { return };
        if piece.is_empty() {
            return;
        }
        if arguments.len() + piece.len() > TOOL_ARGUMENTS_BYTES_MAX {
            self.fail_with(CALL_TOO_LARGE, out);
            return;
        }
        arguments.push_str(piece);
        self.delta(out, "input_json_delta", |delta| delta.text("partial_json", piece));
    }

    /// A block of Anthropic's own. What has an input gets it as a delta, as Anthropic sends it.
    fn whole_block(&mut self, block: &Value, out: &mut Vec<u8>) {
        let Value::Object(map) = block else { return };
        if !self.next_block(out) {
            return;
        }
        let input = map.get("input").filter(|input| input.is_object());
        self.block_start(out, |block| {
            block.rest(map, if input.is_some() { &["input"] } else { &[] });
            if input.is_some() {
                block.key("input").extend_from_slice(b"{}");
            }
        });
        if let Some(input) = input {
            self.delta(out, "input_json_delta", |delta| delta.text("partial_json", &input.to_string()));
        }
        event(out, "content_block_stop", |body| body.put("index", &(self.blocks - 1)));
    }
}

/// The body of the answer to `count_tokens`.
pub fn write_count(input_tokens: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    let mut body = Object::open(&mut out);
    body.put("input_tokens", &input_tokens);
    body.close();
    out
}

/// What every message begins with.
pub(super) fn write_head(message: &mut Object, meta: &Meta) {
    message.put("id", &meta.id);
    message.put("type", "message");
    message.put("role", "assistant");
    if !meta.strip_model {
        message.put("model", &meta.model);
    }
}

/// The reason for the end. After a call it is `tool_use`, whatever the server calls it.
pub(super) fn write_stop(object: &mut Object, finish: Option<&FinishReason>, has_call: bool) {
    let (reason, met) = match finish {
        Some(FinishReason::Length) => ("max_tokens", None),
        Some(FinishReason::WindowFull) => ("model_context_window_exceeded", None),
        Some(FinishReason::ContentFilter) => ("refusal", None),
        Some(FinishReason::Paused) => ("pause_turn", None),
        Some(FinishReason::ToolCalls) => ("tool_use", None),
        _ if has_call => ("tool_use", None),
        Some(FinishReason::StopString(met)) => ("stop_sequence", Some(met)),
        None | Some(FinishReason::Stop | FinishReason::Other(_)) => ("end_turn", None),
    };
    object.put("stop_reason", reason);
    object.put("stop_sequence", &met);
}

/// The counts; Anthropic's number of the prompt leaves out what a cache had or took.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let (cached, written) = (usage.cached_tokens, usage.cache_written_tokens);
    let fresh =
        usage.input_tokens.saturating_sub(cached.unwrap_or_default()).saturating_sub(written.unwrap_or_default());
    let mut body = Object::open(out);
    body.put("input_tokens", &fresh);
    body.put_some("cache_creation_input_tokens", written.as_ref());
    body.put_some("cache_read_input_tokens", cached.as_ref());
    body.put("output_tokens", &usage.output_tokens);
    if let Some(thinking) = &usage.thinking_tokens {
        let mut details = Object::open(body.key("output_tokens_details"));
        details.put("thinking_tokens", thinking);
        details.close();
    }
    body.close();
}

/// The id of a call that the server gave none.
pub(super) fn call_id(message_id: &str, index: u32) -> String {
    format!("toolu_{}_{index}", message_id.strip_prefix("msg_").unwrap_or(message_id))
}

/// Whether the answer ended where a limit was, in the middle of whatever it was saying.
pub(super) fn is_cut(finish: Option<&FinishReason>) -> bool {
    matches!(finish, Some(FinishReason::Length | FinishReason::WindowFull))
}
