//! Reads the answer of a server of the OpenAI kind: server-sent events or one body.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::completions::Probabilities;
use crate::lines::{EventLines, Item, ended, excerpt};
use crate::wire::{self, Head};
use crate::{DecodeError, Event, FinishReason, Usage};

/// Turns the bytes of an event stream into events, however they are cut into pieces.
///
/// Bounds: a line and an event have at most [`LINE_BYTES_MAX`](crate::LINE_BYTES_MAX) bytes.
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

    /// Reads the end of the bytes; an error when the stream ended before `[DONE]` or an error event.
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
    let mut state = State::default();
    let mut events = Vec::with_capacity(4);
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::NotAStream(excerpt(body)));
    }
    let chunk = state.chunk(body, &mut events)?;
    if let Some(Event::Error(message)) = events.pop_if(|event| matches!(event, Event::Error(_))) {
        return Err(DecodeError::Reported(message));
    }
    if chunk == 0 {
        return Err(DecodeError::Lacks("choices"));
    }
    state.end(&mut events);
    Ok(events)
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    called: bool,
    usage: Option<Usage>,
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

impl State {
    fn item(&mut self, item: Item, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match item {
            _ if self.phase == Phase::Done => Ok(()),
            Item::Data(b"[DONE]") => {
                self.end(out);
                Ok(())
            }
            Item::Data(json) => self.chunk(json, out).map(drop),
            Item::Bare(line) => {
                if line.starts_with(b"{") {
                    self.chunk(line, out)?;
                }
                if self.phase < Phase::Done { Err(DecodeError::NotAStream(excerpt(line))) } else { Ok(()) }
            }
        }
    }

    /// Reads one chunk, or one whole completion; tells how many choices it had.
    fn chunk(&mut self, json: &[u8], out: &mut Vec<Event>) -> Result<usize, DecodeError> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|error| DecodeError::Json(error.to_string()))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            out.push(Event::Error(wire::error_text(&error)));
            self.phase = Phase::Done;
            return Ok(0);
        }
        if self.phase == Phase::Waiting {
            self.phase = Phase::Started;
            out.push(Head::event(json));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.read());
        }
        if let Some(timings) = chunk.timings {
            let usage = self.usage.get_or_insert_default();
            usage.prefill_ms = timings.prompt_ms.or(usage.prefill_ms);
            usage.decode_ms = timings.predicted_ms.or(usage.decode_ms);
            usage.input_tokens = usage.input_tokens.max(timings.prompt_n.unwrap_or_default());
            usage.output_tokens = usage.output_tokens.max(timings.predicted_n.unwrap_or_default());
        }
        let choices = chunk.choices.unwrap_or_default();
        let count = choices.len();
        // One answer is asked for, so there is one choice.
        for choice in choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice, out);
        }
        Ok(count)
    }

    fn choice(&mut self, choice: Choice, out: &mut Vec<Event>) {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(delta) = choice.delta {
            // A server that fills both fields means the same by them.
            out.extend(present(delta.reasoning).or(present(delta.reasoning_content)).map(Event::Thinking));
            out.extend(present(delta.content).map(Event::Text));
            for (position, call) in delta.tool_calls.unwrap_or_default().into_iter().enumerate() {
                self.called = true;
                let function = call.function.unwrap_or_default();
                out.push(Event::ToolCall {
                    index: call.index.unwrap_or(position as u32),
                    id: present(call.id),
                    name: present(function.name),
                    arguments: function.arguments.map(wire::text_of).unwrap_or_default(),
                });
            }
        }
        out.extend(present(choice.text).map(Event::Text));
        let items = choice.logprobs.map(Probabilities::items).unwrap_or_default();
        if !items.is_empty() {
            out.push(Event::Logprobs(Value::Array(items)));
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty())
            && self.phase < Phase::Finished
        {
            self.phase = Phase::Finished;
            out.push(Event::Finish(match (FinishReason::from_name(&reason), choice.stop_reason) {
                (FinishReason::Stop, _) if self.called => FinishReason::ToolCalls,
                (FinishReason::Stop, Some(Value::String(met))) => FinishReason::StopString(met),
                (reason, _) => reason,
            }));
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        let finished = self.phase >= Phase::Finished;
        self.phase = Phase::Done;
        if !finished {
            // The end marker says that the server is done even where it gave no reason.
            out.push(Event::Finish(if self.called { FinishReason::ToolCalls } else { FinishReason::Stop }));
        }
        out.extend(self.usage.take().map(Event::Usage));
    }
}

/// A chunk of a stream, or a whole completion: they differ in `delta` and `message` only.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    timings: Option<Timings>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(default, borrow, alias = "message")]
    delta: Option<Delta<'a>>,
    /// The text of a completion, which is no chat.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
    /// vLLM's: the stop string that was met.
    #[serde(default)]
    stop_reason: Option<Value>,
    #[serde(default)]
    logprobs: Option<Probabilities>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, borrow)]
    function: Option<FunctionDelta<'a>>,
}

#[derive(Default, Deserialize)]
struct FunctionDelta<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<AnswerDetails>,
}

#[derive(Deserialize)]
struct AnswerDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl WireUsage {
    fn read(self) -> Usage {
        Usage {
            input_tokens: self.prompt_tokens.unwrap_or_default(),
            output_tokens: self.completion_tokens.unwrap_or_default(),
            cached_tokens: self.prompt_tokens_details.and_then(|details| details.cached_tokens),
            thinking_tokens: self.completion_tokens_details.and_then(|details| details.reasoning_tokens),
            ..Usage::default()
        }
    }
}

/// llama.cpp's own measurements.
#[derive(Deserialize)]
struct Timings {
    #[serde(default)]
    prompt_n: Option<u64>,
    #[serde(default)]
    prompt_ms: Option<f64>,
    #[serde(default)]
    predicted_n: Option<u64>,
    #[serde(default)]
    predicted_ms: Option<f64>,
}
