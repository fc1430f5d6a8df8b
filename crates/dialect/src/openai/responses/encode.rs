//! Writes an answer for a client of the Responses API as server-sent events, in the order of the real API.
//!
//! ```text
//! response.created, response.in_progress,
//! per item:  response.output_item.added,
//!            thoughts: response.content_part.added,           response.reasoning_text.{delta…, done},         response.content_part.done
//!            summary:  response.reasoning_summary_part.added, response.reasoning_summary_text.{delta…, done}, response.reasoning_summary_part.done
//!            message:  response.content_part.added,           response.output_text.{delta…, done},            response.content_part.done
//!            call:     response.function_call_arguments.{delta…, done}
//!            response.output_item.done
//! response.completed | response.incomplete | response.failed
//! ```
//!
//! One item is open at a time, and `sequence_number` counts all events from 0.

use serde_json::Value;

use super::answer::{Frame, Said, Status, complete, error_code, write_logprobs, write_text, write_thoughts};
use crate::json::{self, Object};
use crate::{ChatRequest, ErrorInfo, Event, FinishReason, Meta, Usage, sse};

/// Most bytes of an answer: the last event repeats all of it, so it is held until then.
pub const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Started,
    /// The last event is written; nothing follows.
    Over,
}

/// Writes events of the Responses API.
#[derive(Debug)]
pub struct StreamEncoder {
    frame: Frame,
    phase: Phase,
    sequence: u64,
    /// The items that are done, in JSON, with commas between them.
    output: Vec<u8>,
    /// How many items have begun.
    items: u32,
    open: Option<Open>,
    /// How many calls have begun.
    calls: u32,
    /// Bytes of texts, thoughts and arguments so far.
    held: usize,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

/// The item that is being written.
#[derive(Debug)]
struct Open {
    said: Said,
    id: String,
    /// The value of `item_id` and the fields after it that all events of the item have.
    place: Vec<u8>,
    index: u32,
}

impl StreamEncoder {
    /// An encoder of the answer to `request`.
    #[expect(clippy::needless_pass_by_value, reason = "the meta belongs to this one answer")]
    pub fn new(meta: Meta, request: &ChatRequest) -> Self {
        Self {
            frame: Frame::new(&meta, request),
            phase: Phase::Fresh,
            sequence: 0,
            output: Vec::new(),
            items: 0,
            open: None,
            calls: 0,
            held: 0,
            finish: None,
            usage: None,
        }
    }

    /// Appends what one event is; many are several here.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.phase == Phase::Over {
            return;
        }
        self.start(out);
        match event {
            Event::Thinking(text) => self.thoughts(text, out),
            Event::Text(text) => self.text(text, out),
            Event::Logprobs(Value::Array(items)) => self.logprobs(items, out),
            Event::ToolCall { index, id, name, arguments } => {
                self.call(*index, id.as_deref(), name.as_deref(), arguments, out);
            }
            Event::Finish(reason) => self.finish = Some(reason.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(message) => self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out),
            _ => {}
        }
    }

    /// Appends the last events; nothing after an error.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Over {
            return;
        }
        self.start(out);
        if self.items == 0 {
            // Clients take an answer to have a message, be it empty.
            self.begin(Said::Text { text: String::new(), logprobs: Vec::new() }, out);
        }
        let finish = self.finish.take();
        let status = Status::of(finish.as_ref());
        self.close(status.of_item(), out);
        let kind = if matches!(status, Status::Completed) { "response.completed" } else { "response.incomplete" };
        self.response(kind, status, out);
        self.phase = Phase::Over;
    }

    /// Appends the event of an error, after which nothing more is written: that the response failed, or, where none has
    /// begun, what the error is.
    pub fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        match self.phase {
            Phase::Over => return,
            Phase::Fresh => event(&mut self.sequence, "error", out, |body| {
                body.put("code", error.code.unwrap_or(error_code(error)));
                body.put("message", error.message);
                body.put("param", &error.param);
            }),
            Phase::Started => {
                // The item that was being written stays without its end: it has none.
                if let Some(open) = self.open.take() {
                    self.keep(&open, "incomplete");
                }
                self.response("response.failed", Status::Failed(error), out);
            }
        }
        self.phase = Phase::Over;
    }

    /// Appends a comment, which every reader of event streams skips.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.phase != Phase::Over {
            out.extend_from_slice(sse::KEEP_ALIVE);
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Fresh {
            self.phase = Phase::Started;
            self.response("response.created", Status::InProgress, out);
            self.response("response.in_progress", Status::InProgress, out);
        }
    }

    /// An event with the whole response as it is now.
    fn response(&mut self, kind: &'static str, status: Status, out: &mut Vec<u8>) {
        let Self { frame, sequence, output, usage, .. } = self;
        event(sequence, kind, out, |body| frame.write(body.key("response"), status, output, usage.as_ref()));
    }

    fn thoughts(&mut self, more: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open { said: Said::Thoughts(_), .. })) {
            self.begin(Said::Thoughts(String::new()), out);
        }
        let summary = self.frame.tells_summary();
        let Some(Open { said: Said::Thoughts(text), place, .. }) = &mut self.open else { return };
        text.push_str(more);
        let kind = if summary { Kinds::SUMMARY.delta } else { Kinds::THOUGHTS.delta };
        event(&mut self.sequence, kind, out, |body| {
            body.key("item_id").extend_from_slice(place);
            body.put("delta", more);
        });
        self.hold(more, out);
    }

    fn text(&mut self, more: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open { said: Said::Text { .. }, .. })) {
            self.begin(Said::Text { text: String::new(), logprobs: Vec::new() }, out);
        }
        let Some(Open { said: Said::Text { text, .. }, place, .. }) = &mut self.open else { return };
        text.push_str(more);
        event(&mut self.sequence, Kinds::TEXT.delta, out, |body| {
            body.key("item_id").extend_from_slice(place);
            body.put("delta", more);
            body.key("logprobs").extend_from_slice(b"[]");
        });
        self.hold(more, out);
    }

    /// Probabilities come after their text: a piece without text carries them. Those of thoughts have no place here.
    fn logprobs(&mut self, items: &[Value], out: &mut Vec<u8>) {
        let Some(Open { said: Said::Text { logprobs, .. }, place, .. }) = &mut self.open else { return };
        logprobs.extend_from_slice(items);
        event(&mut self.sequence, Kinds::TEXT.delta, out, |body| {
            body.key("item_id").extend_from_slice(place);
            body.put("delta", "");
            write_logprobs(body.key("logprobs"), items);
        });
    }

    fn call(&mut self, call: u32, id: Option<&str>, tool: Option<&str>, more: &str, out: &mut Vec<u8>) {
        let is_open = |open: &Open| matches!(open.said, Said::Call { index, .. } if index == call);
        if !self.open.as_ref().is_some_and(is_open) {
            if call < self.calls {
                // Its item is done and clients have acted on it.
                self.fail(&ErrorInfo { message: "the model mixed up its tool calls", ..ErrorInfo::SERVER }, out);
                return;
            }
            self.calls = call.saturating_add(1);
            let call_id = id.map_or_else(|| self.frame.call_id(call), str::to_owned);
            let name = tool.unwrap_or_default().to_owned();
            self.begin(Said::Call { index: call, call_id, name, arguments: String::new() }, out);
        }
        let Some(Open { said: Said::Call { arguments, .. }, place, .. }) = &mut self.open else { return };
        if more.is_empty() {
            return;
        }
        arguments.push_str(more);
        arguments_delta(&mut self.sequence, place, more, out);
        self.hold(more, out);
    }

    /// Ends the item that is open and begins another.
    fn begin(&mut self, said: Said, out: &mut Vec<u8>) {
        self.close("completed", out);
        let index = self.items;
        self.items += 1;
        let summary = self.frame.tells_summary();
        let id = self.frame.item_id(&said, index);
        let kinds = Kinds::of(&said, summary);
        let place = format!("{},\"output_index\":{index}{}", Value::from(id.as_str()), kinds.part_index).into_bytes();
        let Self { frame, sequence, .. } = self;
        event(sequence, "response.output_item.added", out, |body| {
            body.put("output_index", &index);
            frame.write_item(body.key("item"), &said, &id, "in_progress");
        });
        if let Some(kind) = kinds.part_added {
            event(sequence, kind, out, |body| {
                body.key("item_id").extend_from_slice(&place);
                write_part(body.key("part"), &said, summary);
            });
        }
        self.open = Some(Open { said, id, place, index });
    }

    /// Ends the item that is open.
    fn close(&mut self, status: &'static str, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        let Self { frame, sequence, .. } = self;
        let summary = frame.tells_summary();
        if let Some(more) = complete(&mut open.said) {
            arguments_delta(sequence, &open.place, more, out);
        }
        let kinds = Kinds::of(&open.said, summary);
        event(sequence, kinds.done, out, |body| {
            body.key("item_id").extend_from_slice(&open.place);
            match &open.said {
                Said::Thoughts(text) => body.put("text", text),
                Said::Text { text, logprobs } => {
                    body.put("text", text);
                    write_logprobs(body.key("logprobs"), logprobs);
                }
                Said::Call { arguments, .. } => body.put("arguments", arguments),
            }
        });
        if let Some(kind) = kinds.part_done {
            event(sequence, kind, out, |body| {
                body.key("item_id").extend_from_slice(&open.place);
                write_part(body.key("part"), &open.said, summary);
            });
        }
        let item = self.keep(&open, status);
        let Self { output, sequence, .. } = self;
        event(sequence, "response.output_item.done", out, |body| {
            body.put("output_index", &open.index);
            body.key("item").extend_from_slice(&output[item..]);
        });
    }

    /// Puts an item into the output; tells where it begins there.
    fn keep(&mut self, open: &Open, status: &'static str) -> usize {
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        let begin = self.output.len();
        self.frame.write_item(&mut self.output, &open.said, &open.id, status);
        begin
    }

    fn hold(&mut self, more: &str, out: &mut Vec<u8>) {
        self.held = self.held.saturating_add(more.len());
        if self.held > RESPONSE_BYTES_MAX {
            self.fail(&ErrorInfo { message: "the model's answer is too large", ..ErrorInfo::SERVER }, out);
        }
    }
}

/// What the events of one kind of item are called.
struct Kinds {
    part_added: Option<&'static str>,
    delta: &'static str,
    done: &'static str,
    part_done: Option<&'static str>,
    /// The field that tells which part of the item it is; there is one.
    part_index: &'static str,
}

impl Kinds {
    const TEXT: Self = Self {
        part_added: Some("response.content_part.added"),
        delta: "response.output_text.delta",
        done: "response.output_text.done",
        part_done: Some("response.content_part.done"),
        part_index: ",\"content_index\":0",
    };
    const THOUGHTS: Self =
        Self { delta: "response.reasoning_text.delta", done: "response.reasoning_text.done", ..Self::TEXT };
    const SUMMARY: Self = Self {
        part_added: Some("response.reasoning_summary_part.added"),
        delta: "response.reasoning_summary_text.delta",
        done: "response.reasoning_summary_text.done",
        part_done: Some("response.reasoning_summary_part.done"),
        part_index: ",\"summary_index\":0",
    };
    const CALL: Self = Self {
        part_added: None,
        delta: "response.function_call_arguments.delta",
        done: "response.function_call_arguments.done",
        part_done: None,
        part_index: "",
    };

    fn of(said: &Said, summary: bool) -> Self {
        match said {
            Said::Thoughts(_) if summary => Self::SUMMARY,
            Said::Thoughts(_) => Self::THOUGHTS,
            Said::Text { .. } => Self::TEXT,
            Said::Call { .. } => Self::CALL,
        }
    }
}

/// One event, numbered.
fn event(sequence: &mut u64, kind: &'static str, out: &mut Vec<u8>, write: impl FnOnce(&mut Object)) {
    sse::event(out, kind, |body| {
        body.put("sequence_number", sequence);
        write(body);
    });
    *sequence += 1;
}

fn arguments_delta(sequence: &mut u64, place: &[u8], more: &str, out: &mut Vec<u8>) {
    event(sequence, Kinds::CALL.delta, out, |body| {
        body.key("item_id").extend_from_slice(place);
        body.put("delta", more);
    });
}

fn write_part(out: &mut Vec<u8>, said: &Said, summary: bool) {
    match said {
        Said::Thoughts(text) => write_thoughts(out, text, summary),
        Said::Text { text, logprobs } => write_text(out, text, logprobs),
        Said::Call { .. } => json::value(out, &Value::Null),
    }
}
