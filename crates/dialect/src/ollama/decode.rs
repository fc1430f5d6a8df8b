//! Reads the answer of an Ollama server: lines of JSON, or one body, which has the same form as the last line.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::lines::{Lines, ended, excerpt};
use crate::wire::{self, Head};
use crate::{DecodeError, Event, FinishReason, Usage};

/// Turns the bytes of a stream of JSON lines into events, however they are cut into pieces.
///
/// Bounds: a line has at most [`LINE_BYTES_MAX`](crate::LINE_BYTES_MAX) bytes, the last one
/// [`LAST_LINE_BYTES_MAX`](crate::LAST_LINE_BYTES_MAX).
#[derive(Debug)]
pub struct Decoder {
    lines: Lines,
    state: State,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { lines: Lines::of_ollama(), state: State::default() }
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes; events that they complete are appended to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let state = &mut self.state;
        self.lines.feed(bytes, |byte| byte == b'\n', |line| state.line(line, out))
    }

    /// Reads the end of the bytes; an error when the stream ended before its `done` line or an error line.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let last = self.lines.take_last();
        let last = self.state.line(&last, out);
        ended(last, self.state.done)
    }

    /// Whether the stream has said all that it had to say.
    pub fn is_done(&self) -> bool {
        self.state.done
    }
}

/// Reads the body of an answer that came whole.
pub fn parse_answer(body: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut state = State::default();
    let mut events = Vec::with_capacity(4);
    state.line(body, &mut events)?;
    if let Some(Event::Error(message)) = events.pop_if(|event| matches!(event, Event::Error(_))) {
        return Err(DecodeError::Reported(message));
    }
    if state.done { Ok(events) } else { Err(DecodeError::Lacks("\"done\":true")) }
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    calls: u32,
    done: bool,
}

impl State {
    fn line(&mut self, line: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let line = line.trim_ascii();
        if self.done || line.is_empty() {
            return Ok(());
        }
        if line[0] != b'{' {
            return Err(DecodeError::NotAStream(excerpt(line)));
        }
        let piece: Piece = serde_json::from_slice(line).map_err(|error| DecodeError::Json(error.to_string()))?;
        if let Some(error) = piece.error.filter(|error| !error.is_null()) {
            out.push(Event::Error(wire::error_text(&error)));
            self.done = true;
            return Ok(());
        }
        let said = piece.message.is_some() || piece.response.is_some();
        if !said && !piece.done {
            return Err(DecodeError::Lacks("message"));
        }
        if !self.started {
            self.started = true;
            let Event::Start { model, .. } = Head::event(line) else { unreachable!("a head is a start") };
            out.push(Event::Start { id: None, model, created: None });
        }
        if let Some(message) = piece.message {
            self.message(message, out);
        }
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        out.extend(present(piece.thinking).map(Event::Thinking));
        out.extend(present(piece.response).map(Event::Text));
        if let Some(logprobs @ Value::Array(_)) = piece.logprobs {
            out.push(Event::Logprobs(logprobs));
        }
        if piece.done {
            self.done = true;
            let tokens = piece.context.and_then(|tokens| serde_json::from_str(tokens.get()).ok());
            out.extend(tokens.map(Event::Context));
            out.push(Event::Finish(match FinishReason::from_name(piece.done_reason.as_deref().unwrap_or("stop")) {
                FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
                reason => reason,
            }));
            let ms = |nanoseconds: Option<u64>| nanoseconds.map(|nanoseconds| nanoseconds as f64 / 1e6);
            out.push(Event::Usage(Usage {
                input_tokens: piece.prompt_eval_count.unwrap_or_default(),
                output_tokens: piece.eval_count.unwrap_or_default(),
                load_ms: ms(piece.load_duration),
                prefill_ms: ms(piece.prompt_eval_duration),
                decode_ms: ms(piece.eval_duration),
                ..Usage::default()
            }));
        }
        Ok(())
    }

    fn message(&mut self, message: PieceMessage, out: &mut Vec<Event>) {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        out.extend(present(message.thinking).map(Event::Thinking));
        out.extend(present(message.content).map(Event::Text));
        for call in message.tool_calls.unwrap_or_default() {
            // Counted here, because Ollama's own index is 0 in more than one call of an answer.
            let index = self.calls;
            self.calls = self.calls.saturating_add(1);
            out.push(Event::ToolCall {
                index,
                id: present(call.id),
                name: present(call.function.name),
                arguments: call.function.arguments.map_or_else(|| "{}".to_owned(), wire::text_of),
            });
        }
    }
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(default, borrow)]
    message: Option<PieceMessage<'a>>,
    /// What a generate's line has in place of the message.
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    /// Left aside where it is no array of tokens.
    #[serde(default, borrow)]
    context: Option<&'a RawValue>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    load_duration: Option<u64>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    prompt_eval_duration: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
    #[serde(default)]
    eval_duration: Option<u64>,
    #[serde(default)]
    logprobs: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct PieceMessage<'a> {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<PieceCall<'a>>>,
}

#[derive(Deserialize)]
struct PieceCall<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    function: PieceFunction<'a>,
}

#[derive(Deserialize)]
struct PieceFunction<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}
