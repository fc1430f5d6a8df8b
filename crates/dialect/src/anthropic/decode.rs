//! Reads the answer of a server that speaks Anthropic's Messages: server-sent events or one body.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::lines::{EventLines, Item, ended, excerpt};
use crate::wire;
use crate::{DecodeError, Event, FinishReason, Usage};

/// Turns the bytes of an event stream into events, however they are cut into pieces.
///
/// Bounds: a line and an event have at most [`LINE_BYTES_MAX`](crate::LINE_BYTES_MAX) bytes, and so has what is held of
/// a block of Anthropic's own.
#[derive(Debug, Default)]
pub struct Decoder {
    lines: EventLines,
    state: State,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes; events that they complete are appended to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let state = &mut self.state;
        self.lines.feed(bytes, |item| state.item(item, out))
    }

    /// Reads the end of the bytes; an error when the stream ended before `message_stop` or an error event.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        // A last event without its blank line counts when it is whole.
        let state = &mut self.state;
        let last = self.lines.finish(|item| state.item(item, out));
        ended(last, self.is_done())
    }

    /// Whether the stream has said all that it had to say.
    pub fn is_done(&self) -> bool {
        self.state.phase == Phase::Done
    }
}

/// Reads the body of an answer that came whole.
pub fn parse_answer(body: &[u8]) -> Result<Vec<Event>, DecodeError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::NotAStream(excerpt(body)));
    }
    let answer: Answer = read(body)?;
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(DecodeError::Reported(wire::error_text(&error)));
    }
    let mut events = vec![Event::Start { id: answer.id, model: answer.model, created: None }];
    let mut state = State::default();
    for block in answer.content.ok_or(DecodeError::Lacks("content"))? {
        state.block_start(block, &mut events)?;
        state.block_stop(&mut events);
    }
    state.delta(answer.stop, &mut events);
    state.count(answer.usage);
    state.end(&mut events);
    Ok(events)
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(json).map_err(|error| DecodeError::Json(error.to_string()))
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    open: Open,
    /// Tool calls begun so far.
    calls: u32,
    usage: Usage,
    is_counted: bool,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Waiting,
    Started,
    /// The reason for the end has come.
    Finished,
    /// The end marker or an error has come.
    Done,
}

/// The content block that is being sent.
#[derive(Debug, Default)]
enum Open {
    /// None, or one that needs no memory of it.
    #[default]
    Plain,
    /// A call of a tool, and whether any of its input has come.
    Call { has_input: bool },
    /// A block that is handed on whole: what it began with, and the JSON of its input.
    Whole { block: Map<String, Value>, input: String },
}

impl State {
    fn item(&mut self, item: Item, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match item {
            _ if self.phase == Phase::Done => Ok(()),
            Item::Data(json) => self.event(json, out),
            Item::Bare(line) => {
                if line.starts_with(b"{") {
                    self.event(line, out)?;
                }
                if self.phase < Phase::Done { Err(DecodeError::NotAStream(excerpt(line))) } else { Ok(()) }
            }
        }
    }

    fn event(&mut self, json: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let event: WireEvent = read(json)?;
        if let Some(error) = event.error.filter(|error| !error.is_null()) {
            out.push(Event::Error(wire::error_text(&error)));
            self.phase = Phase::Done;
            return Ok(());
        }
        match event.kind.as_deref() {
            Some("message_start") => {
                let head = event.message.unwrap_or_default();
                self.count(head.usage);
                self.start(head.id, head.model, out);
            }
            Some("content_block_start") => {
                self.start(None, None, out);
                let block = event.content_block.ok_or(DecodeError::Lacks("content_block"))?;
                self.block_start(block, out)?;
            }
            Some("content_block_delta") => {
                let delta = event.delta.ok_or(DecodeError::Lacks("delta"))?;
                self.block_delta(read(delta.get().as_bytes())?, out)?;
            }
            Some("content_block_stop") => self.block_stop(out),
            Some("message_delta") => {
                self.count(event.usage);
                if let Some(delta) = event.delta {
                    self.delta(read(delta.get().as_bytes())?, out);
                }
            }
            Some("message_stop") => self.end(out),
            // `ping`, and events that are newer than we are.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<Event>) {
        if self.phase == Phase::Waiting {
            self.phase = Phase::Started;
            out.push(Event::Start { id, model, created: None });
        }
    }

    /// Reads a block as far as it is there: in a stream mostly empty, else whole.
    fn block_start(&mut self, block: &RawValue, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let mut map: Map<String, Value> = read(block.get().as_bytes())?;
        let kind = map.get("type").and_then(Value::as_str).map(str::to_owned);
        let mut text = |field: &str| match map.shift_remove(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        self.open = Open::Plain;
        match kind.as_deref() {
            Some("text") => {
                out.extend(text("text").map(Event::Text));
                if let Some(Value::Array(cited)) = map.shift_remove("citations") {
                    out.extend(cited.into_iter().map(Event::Citation));
                }
            }
            Some("thinking") => {
                out.extend(text("thinking").map(Event::Thinking));
                out.extend(text("signature").map(Event::Signature));
            }
            Some("tool_use") => {
                let (id, name) = (text("id"), text("name"));
                let input =
                    map.shift_remove("input").filter(|input| input.as_object().is_some_and(|it| !it.is_empty()));
                let arguments = input.map(|input| input.to_string()).unwrap_or_default();
                self.open = Open::Call { has_input: !arguments.is_empty() };
                self.calls = self.calls.saturating_add(1);
                out.push(Event::ToolCall { index: self.calls - 1, id, name, arguments });
            }
            _ => self.open = Open::Whole { block: map, input: String::new() },
        }
        Ok(())
    }

    fn block_delta(&mut self, delta: Delta, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        match delta.kind.as_deref() {
            Some("text_delta") => out.extend(present(delta.text).map(Event::Text)),
            Some("thinking_delta") => out.extend(present(delta.thinking).map(Event::Thinking)),
            Some("signature_delta") => out.extend(present(delta.signature).map(Event::Signature)),
            Some("citations_delta") => out.extend(delta.citation.map(Event::Citation)),
            Some("input_json_delta") => {
                let Some(piece) = present(delta.partial_json) else { return Ok(()) };
                match &mut self.open {
                    Open::Plain => {}
                    Open::Call { has_input } => {
                        *has_input = true;
                        let index = self.calls - 1;
                        out.push(Event::ToolCall { index, id: None, name: None, arguments: piece });
                    }
                    Open::Whole { input, .. } => {
                        if input.len() + piece.len() > crate::LINE_BYTES_MAX {
                            return Err(DecodeError::LineTooLong { max: crate::LINE_BYTES_MAX });
                        }
                        input.push_str(&piece);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, out: &mut Vec<Event>) {
        match std::mem::take(&mut self.open) {
            Open::Plain | Open::Call { has_input: true } => {}
            Open::Call { has_input: false } => {
                // A call without arguments has an empty object, not nothing.
                let index = self.calls - 1;
                out.push(Event::ToolCall { index, id: None, name: None, arguments: "{}".to_owned() });
            }
            Open::Whole { mut block, input } => {
                if let Ok(input @ Value::Object(_)) = serde_json::from_str(&input) {
                    block.insert("input".to_owned(), input);
                }
                out.push(Event::Block(Value::Object(block)));
            }
        }
    }

    fn delta(&mut self, stop: Stop, out: &mut Vec<Event>) {
        let Some(reason) = stop.stop_reason.filter(|_| self.phase < Phase::Finished) else { return };
        self.phase = Phase::Finished;
        out.push(Event::Finish(match (reason.as_str(), stop.stop_sequence) {
            ("end_turn" | "stop_sequence", _) if self.calls > 0 => FinishReason::ToolCalls,
            ("stop_sequence", Some(met)) => FinishReason::StopString(met),
            ("end_turn" | "stop_sequence", _) => FinishReason::Stop,
            ("max_tokens", _) => FinishReason::Length,
            ("model_context_window_exceeded", _) => FinishReason::WindowFull,
            ("tool_use", _) => FinishReason::ToolCalls,
            ("pause_turn", _) => FinishReason::Paused,
            ("refusal", _) => FinishReason::ContentFilter,
            _ => FinishReason::Other(reason),
        }));
    }

    /// Takes over the counts that are told; later ones are of the whole answer so far.
    fn count(&mut self, told: Option<WireUsage>) {
        let Some(told) = told else { return };
        self.is_counted = true;
        let usage = &mut self.usage;
        let (cached, written) = (told.cache_read_input_tokens, told.cache_creation_input_tokens);
        let (had_cached, had_written) = (usage.cached_tokens, usage.cache_written_tokens);
        let fresh_before = usage
            .input_tokens
            .saturating_sub(had_cached.unwrap_or_default())
            .saturating_sub(had_written.unwrap_or_default());
        usage.cached_tokens = cached.or(had_cached);
        usage.cache_written_tokens = written.or(had_written);
        // Anthropic's number leaves out what a cache had or took.
        usage.input_tokens = (told.input_tokens.unwrap_or(fresh_before))
            .saturating_add(usage.cached_tokens.unwrap_or_default())
            .saturating_add(usage.cache_written_tokens.unwrap_or_default());
        usage.output_tokens = told.output_tokens.unwrap_or(usage.output_tokens);
        let thinking = told.output_tokens_details.and_then(|details| details.thinking_tokens);
        usage.thinking_tokens = thinking.or(usage.thinking_tokens);
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if self.phase < Phase::Finished {
            // The end marker says that the server is done even where it gave no reason.
            out.push(Event::Finish(if self.calls > 0 { FinishReason::ToolCalls } else { FinishReason::Stop }));
        }
        self.phase = Phase::Done;
        if self.is_counted {
            out.push(Event::Usage(self.usage));
        }
    }
}

/// One server-sent event; which fields it has depends on its type.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: Option<Head>,
    #[serde(default, borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    citation: Option<Value>,
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

/// An answer that came whole.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default, borrow)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(flatten)]
    stop: Stop,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}
