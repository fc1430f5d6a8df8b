//! What a model's streamed answer says, read from the chunks of OpenAI's API.

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tollhouse_web::Body;

/// A line longer than this is no chunk of ours.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of an error in place of an answer.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// An answer as far as it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thinking: String,
    /// What else is known: tokens, the reason of the end, an error.
    pub(crate) told: Map<String, Value>,
    /// The stream was closed in good order.
    pub(crate) whole: bool,
}

impl Said {
    /// Bytes of text and thoughts together.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.thinking.len()
    }

    fn take(&mut self, data: &str) {
        if data == "[DONE]" {
            self.whole = true;
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { return };
        if let Some(message) = error_of(&chunk) {
            self.told.insert("error".into(), message.into());
        }
        let delta = &chunk["choices"][0]["delta"];
        let thought = ["reasoning_content", "reasoning", "thinking"].iter().find_map(|name| delta[name].as_str());
        self.thinking.push_str(thought.unwrap_or_default());
        self.text.push_str(delta["content"].as_str().unwrap_or_default());
        if let Some(reason) = chunk["choices"][0]["finish_reason"].as_str() {
            self.told.insert("finish".into(), reason.into());
        }
        for (name, from) in [("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")] {
            if let Some(tokens) = chunk["usage"][from].as_u64() {
                self.told.insert(name.into(), json!(tokens));
            }
        }
    }
}

/// How reading an answer ended.
pub(crate) enum End {
    /// Its body came to its end.
    Whole,
    /// No more of it was wanted.
    Enough,
    /// It was none: why.
    Refused(String),
}

/// Reads an answer of the gate. `hear` puts each piece into what is said, by the lines given to it, and says whether it goes on.
pub(crate) async fn read_answer(
    status: StatusCode,
    mut body: Body,
    mut hear: impl FnMut(&mut Lines, &[u8]) -> bool,
) -> End {
    let (mut lines, mut error) = (Lines::default(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame;
        let Ok(data) = frame.into_data() else { continue };
        if !status.is_success() {
            error.extend_from_slice(&data[..data.len().min(ERROR_BYTES_MAX.saturating_sub(error.len()))]);
        } else if !hear(&mut lines, &data) {
            return End::Enough;
        }
    }
    if status.is_success() {
        return End::Whole;
    }
    let error = serde_json::from_slice(&error).unwrap_or(Value::Null);
    End::Refused(error_of(&error).unwrap_or_else(|| status.to_string()))
}

/// The message of an error in any of the shapes that the gate gives out.
fn error_of(body: &Value) -> Option<String> {
    let error = &body["error"];
    error["message"].as_str().or(error.as_str()).map(str::to_owned)
}

/// Cuts a stream of server-sent events into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes; `false` when a line has no end.
    pub(crate) fn push(&mut self, bytes: &[u8], said: &mut Said) -> bool {
        self.rest.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(end) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[from..from + end];
            if let Some(data) = std::str::from_utf8(line).ok().and_then(|line| line.trim_end().strip_prefix("data:")) {
                said.take(data.trim_start());
            }
            from += end + 1;
        }
        self.rest.drain(..from);
        self.rest.len() <= LINE_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let stream = concat!(
            ": sign of life\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning\":\"let me\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"你\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"好\"},\"finish_reason\":\"stop\"}]}\r\n\r\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"
        );
        for size in [1, 2, 7, 1000] {
            let (mut lines, mut said) = (Lines::default(), Said::default());
            assert!(stream.as_bytes().chunks(size).all(|piece| lines.push(piece, &mut said)));
            assert_eq!((said.text.as_str(), said.thinking.as_str(), said.whole), ("你好", "let me", true));
            assert_eq!(Value::Object(said.told), json!({"finish": "stop", "input_tokens": 3, "output_tokens": 2}));
        }
    }

    #[test]
    fn errors_and_lines_without_end_are_noticed() {
        let (mut lines, mut said) = (Lines::default(), Said::default());
        assert!(lines.push(b"data: {\"error\":{\"message\":\"the model is busy\"}}\n", &mut said));
        assert_eq!(said.told["error"], "the model is busy");
        assert!(!said.whole);
        assert!(!lines.push(&vec![b'x'; LINE_BYTES_MAX + 1], &mut said));
    }
}
