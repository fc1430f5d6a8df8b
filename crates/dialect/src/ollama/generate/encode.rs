//! Writes an answer for a client of Ollama's generate: lines of JSON or one body.

use super::super::encode::{error_body, write_done, write_meta};
use crate::json::{self, Object};
use crate::wire::Whole;
use crate::{ErrorInfo, Event, FinishReason, Meta, Usage};

/// Writes events as lines of JSON, ended by the `done` line with the counts (durations in ns).
#[derive(Debug)]
pub struct StreamEncoder {
    /// Everything in a line up to the text, the same in all lines.
    head: Vec<u8>,
    context: Option<Vec<u32>>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// The last line or an error is written; nothing follows.
    over: bool,
}

impl StreamEncoder {
    /// An encoder of one answer.
    #[expect(clippy::needless_pass_by_value, reason = "all encoders are made alike")]
    pub fn new(meta: Meta) -> Self {
        let mut head = Vec::with_capacity(128);
        let mut object = Object::open(&mut head);
        write_meta(&mut object, &meta);
        object.key("response");
        Self { head, context: None, finish: None, usage: None, over: false }
    }

    /// Appends the line for one event, if it has one.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Text(text) => self.line(text, "", out),
            Event::Thinking(text) => self.line("", text, out),
            Event::Logprobs(items) => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(br#""","done":false,"logprobs":"#);
                json::value(out, items);
                out.extend_from_slice(b"}\n");
            }
            Event::Context(tokens) => self.context = Some(tokens.clone()),
            Event::Finish(reason) => self.finish = Some(reason.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(message) => self.fail(&ErrorInfo { message, ..ErrorInfo::SERVER }, out),
            // A prompt comes without tools, so there are no calls of any.
            _ => {}
        }
    }

    /// Appends the `done` line; nothing after an error.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#""""#);
        write_done(out, self.finish.as_ref(), self.usage.as_ref());
        write_context(out, self.context.as_ref());
        out.extend_from_slice(b"}\n");
    }

    /// Appends an error line, after which nothing more is written.
    pub fn fail(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        self.over = true;
        out.extend_from_slice(&error_body(error.message));
        out.push(b'\n');
    }

    /// Appends a line that says nothing: clients parse each one, so it must be a whole one.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            self.line("", "", out);
        }
    }

    fn line(&self, text: &str, thinking: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        json::value(out, text);
        if !thinking.is_empty() {
            out.extend_from_slice(br#","thinking":"#);
            json::value(out, thinking);
        }
        out.extend_from_slice(b",\"done\":false}\n");
    }
}

/// The body of an answer that is sent whole.
pub fn write_answer(meta: &Meta, events: &[Event]) -> Vec<u8> {
    let whole = Whole::of(events);
    let mut out = Vec::with_capacity(512 + whole.text.len() + whole.thinking.len());
    let mut body = Object::open(&mut out);
    write_meta(&mut body, meta);
    body.put("response", &whole.text);
    if !whole.thinking.is_empty() {
        body.put("thinking", &whole.thinking);
    }
    if !whole.logprobs.is_empty() {
        body.put("logprobs", &whole.logprobs);
    }
    write_done(&mut out, whole.finish.as_ref(), whole.usage.as_ref());
    write_context(&mut out, whole.context.as_ref());
    out.push(b'}');
    out
}

fn write_context(out: &mut Vec<u8>, context: Option<&Vec<u32>>) {
    if let Some(tokens) = context {
        out.extend_from_slice(br#","context":"#);
        json::value(out, tokens);
    }
}
