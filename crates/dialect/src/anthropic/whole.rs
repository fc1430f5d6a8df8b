//! Writes the answer for an Anthropic client that is sent whole.

use serde_json::Value;
use serde_json::value::RawValue;

use super::encode::{call_id, is_cut, write_head, write_stop, write_usage};
use crate::json::{self, Object};
use crate::wire::{self, WholeCall};
use crate::{AnswerError, Event, Meta, Usage};

/// The body of an answer that is sent whole; an error where a tool call is not JSON.
pub fn write_answer(meta: &Meta, events: &[Event]) -> Result<Vec<u8>, AnswerError> {
    let mut content = Content::default();
    let (mut finish, mut usage) = (None, None);
    for event in events {
        match event {
            Event::Finish(reason) => finish = Some(reason),
            Event::Usage(told) => usage = Some(*told),
            event => content.add(event),
        }
    }
    content.check_calls(is_cut(finish))?;
    let mut out = Vec::with_capacity(512);
    let mut body = Object::open(&mut out);
    write_head(&mut body, meta);
    json::array(body.key("content"), content.blocks.iter(), |out, block| content.write(out, block, meta));
    write_stop(&mut body, finish, !content.calls.is_empty());
    let known = Usage { input_tokens: meta.input_tokens, ..Usage::default() };
    write_usage(body.key("usage"), &usage.unwrap_or(known));
    body.close();
    Ok(out)
}

/// The blocks of an answer, in order.
#[derive(Default)]
struct Content<'a> {
    blocks: Vec<Block<'a>>,
    calls: Vec<WholeCall>,
}

enum Block<'a> {
    Text {
        text: String,
        citations: Vec<&'a Value>,
    },
    Thinking {
        text: String,
        signature: Option<&'a str>,
    },
    /// The call of this index.
    Call(u32),
    Verbatim(&'a Value),
}

impl<'a> Content<'a> {
    fn add(&mut self, event: &'a Event) {
        match event {
            Event::Text(more) => self.text().0.push_str(more),
            Event::Citation(cited) => self.text().1.push(cited),
            Event::Thinking(more) => self.thinking().0.push_str(more),
            Event::Signature(mark) => *self.thinking().1 = Some(mark),
            Event::Block(block) => self.blocks.push(Block::Verbatim(block)),
            Event::ToolCall { index, id, name, arguments } => {
                if self.calls.iter().all(|call| call.index != *index) {
                    self.blocks.push(Block::Call(*index));
                }
                wire::gather(&mut self.calls, *index, id.as_deref(), name.as_deref(), arguments);
            }
            _ => {}
        }
    }

    /// The block of text that goes on, or a new one.
    fn text(&mut self) -> (&mut String, &mut Vec<&'a Value>) {
        if !matches!(self.blocks.last(), Some(Block::Text { .. })) {
            self.blocks.push(Block::Text { text: String::new(), citations: Vec::new() });
        }
        match self.blocks.last_mut() {
            Some(Block::Text { text, citations }) => (text, citations),
            _ => unreachable!("a block of text stands last"),
        }
    }

    /// The block of thoughts that goes on, or a new one: what comes after a signature is signed by itself.
    fn thinking(&mut self) -> (&mut String, &mut Option<&'a str>) {
        if !matches!(self.blocks.last(), Some(Block::Thinking { signature: None, .. })) {
            self.blocks.push(Block::Thinking { text: String::new(), signature: None });
        }
        match self.blocks.last_mut() {
            Some(Block::Thinking { text, signature }) => (text, signature),
            _ => unreachable!("a block of thoughts stands last"),
        }
    }

    /// Refuses calls that are not JSON. One that the token limit cut is left out: the reason for the end tells.
    fn check_calls(&mut self, is_cut: bool) -> Result<(), AnswerError> {
        let Some(bad) = self.calls.iter().position(|call| !wire::is_object(&call.arguments)) else { return Ok(()) };
        if !is_cut || bad + 1 < self.calls.len() {
            return Err(AnswerError::BadCall);
        }
        let cut = self.calls.remove(bad).index;
        self.blocks.retain(|block| !matches!(block, Block::Call(index) if *index == cut));
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>, block: &Block, meta: &Meta) {
        let mut body = Object::open(out);
        match block {
            Block::Text { text, citations } => {
                body.put("type", "text");
                body.text("text", text);
                if !citations.is_empty() {
                    body.put("citations", citations);
                }
            }
            Block::Thinking { text, signature } => {
                body.put("type", "thinking");
                body.text("thinking", text);
                body.put("signature", signature.unwrap_or_default());
            }
            Block::Call(index) => {
                let Some(call) = self.calls.iter().find(|call| call.index == *index) else { return body.close() };
                body.put("type", "tool_use");
                match &call.id {
                    Some(id) => body.put("id", id),
                    None => body.put("id", &call_id(&meta.id, *index)),
                }
                body.put("name", &call.name);
                let input = RawValue::from_string(call.arguments.clone());
                match input.ok().filter(|input| input.get().starts_with('{')) {
                    Some(input) => body.put("input", &input),
                    None => body.key("input").extend_from_slice(b"{}"),
                }
            }
            Block::Verbatim(Value::Object(map)) => body.rest(map, &[]),
            Block::Verbatim(_) => {}
        }
        body.close();
    }
}
