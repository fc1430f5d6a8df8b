//! An answer in OpenAI's stream, put together again, with its times.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use tollhouse_probe::Spoken;

/// Longest line of a stream.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest answer that is kept.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Calls of tools in one answer.
const CALLS_MAX: usize = 64;

/// An answer that is coming.
#[derive(Debug)]
pub(crate) struct Speech {
    began: Instant,
    line: Vec<u8>,
    spoken: Spoken,
    /// By the number of the call: name, and arguments as text.
    calls: BTreeMap<u64, (String, String)>,
    first: Option<Instant>,
    last: Option<Instant>,
    input_tokens: u64,
}

impl Speech {
    pub(crate) fn new() -> Self {
        let (line, spoken, calls) = (Vec::new(), Spoken::default(), BTreeMap::new());
        Self { began: Instant::now(), line, spoken, calls, first: None, last: None, input_tokens: 0 }
    }

    /// Takes more of the stream. The error is what the server says, or that this is no stream.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.event(&line)?;
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            }
        }
        Ok(())
    }

    /// The text so far.
    pub(crate) fn text(&self) -> &str {
        &self.spoken.text
    }

    /// Tokens of the prompt and of the answer together, once they were told.
    pub(crate) fn tokens(&self) -> u64 {
        self.input_tokens + self.spoken.output_tokens.unwrap_or_default()
    }

    /// The whole answer.
    pub(crate) fn end(mut self) -> Result<Spoken, String> {
        let line = std::mem::take(&mut self.line);
        self.event(&line)?;
        let Self { began, mut spoken, calls, first, last, .. } = self;
        let call = |(name, arguments): (String, String)| {
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
            (name, arguments)
        };
        spoken.calls = calls.into_values().map(call).collect();
        spoken.ttft = first.map(|first| first - began);
        // The first token is there when the time begins.
        let span = first.zip(last).map(|(first, last)| (last - first).as_secs_f64());
        spoken.tokens_per_second = span
            .zip(spoken.output_tokens)
            .filter(|(span, tokens)| *span > 0.0 && *tokens > 1)
            .map(|(span, tokens)| (tokens - 1) as f64 / span);
        Ok(spoken)
    }

    fn event(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(data) = line.trim_ascii().strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return Ok(()) };
        if data == b"[DONE]" {
            return Ok(());
        }
        let chunk: Value = serde_json::from_slice(data).map_err(|error| format!("the answer is no stream: {error}"))?;
        if let Some(error) = chunk.get("error") {
            let message = error.get("message").unwrap_or(error);
            return Err(message.as_str().map_or_else(|| message.to_string(), str::to_owned));
        }
        if let Some(tokens) = chunk.pointer("/usage/completion_tokens").and_then(Value::as_u64) {
            self.spoken.output_tokens = Some(tokens);
        }
        if let Some(tokens) = chunk.pointer("/usage/prompt_tokens").and_then(Value::as_u64) {
            self.input_tokens = tokens;
        }
        let Some(delta) = chunk.pointer("/choices/0/delta") else { return Ok(()) };
        let text = |name: &str| delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut is_token = false;
        if ["reasoning_content", "reasoning", "thinking"].into_iter().any(|name| text(name).is_some()) {
            (self.spoken.thought, is_token) = (true, true);
        }
        if let Some(text) = text("content") {
            is_token = true;
            if self.spoken.text.len() + text.len() <= TEXT_BYTES_MAX {
                self.spoken.text.push_str(text);
            }
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            is_token = true;
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(0);
            if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&index) {
                continue;
            }
            let (name, arguments) = self.calls.entry(index).or_default();
            let part = |path: &str| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
            if arguments.len() + name.len() < TEXT_BYTES_MAX {
                name.push_str(part("/function/name"));
                arguments.push_str(part("/function/arguments"));
            }
        }
        if is_token {
            let now = Instant::now();
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_put_together_wherever_it_was_cut() {
        let stream = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n: keep-alive\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"2 好\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\"}}]}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"Paris\\\"}\"}}]}}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
        for size in [1, 7, stream.len()] {
            let mut speech = Speech::new();
            for part in stream.as_bytes().chunks(size) {
                speech.take(part).unwrap();
            }
            assert_eq!((speech.text(), speech.tokens()), ("42 好", 8));
            let spoken = speech.end().unwrap();
            assert_eq!((spoken.text.as_str(), spoken.thought, spoken.output_tokens), ("42 好", true, Some(5)));
            assert_eq!(spoken.calls, [("weather".to_owned(), json!({"city": "Paris"}))]);
            assert!(spoken.ttft.is_some());
        }
    }

    #[test]
    fn an_error_inside_of_a_stream_is_one() {
        let mut speech = Speech::new();
        let error = speech.take(b"data: {\"error\":{\"message\":\"the model is not answering\"}}\n");
        assert_eq!(error.unwrap_err(), "the model is not answering");
        assert!(Speech::new().take(b"data: nonsense\n").is_err());
    }
}
