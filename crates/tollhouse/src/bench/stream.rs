//! Reads a streamed answer of the OpenAI API as it comes, in pieces of any size.

use memchr::memchr;
use serde::Deserialize;

/// Longest line of a stream, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What a line of the stream says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// Something that the model wrote: text, a thought, a part of a call.
    Written,
    /// How many tokens the answer has.
    Tokens(u64),
    /// What went wrong after the answer had begun.
    Failed(String),
    /// The answer is complete.
    Done,
}

/// A line is longer than any answer's.
#[derive(Debug, thiserror::Error)]
#[error("a line of the answer is longer than {LINE_BYTES_MAX} bytes")]
pub(crate) struct TooLong;

/// Finds the lines in what comes.
#[derive(Debug, Default)]
pub(crate) struct StreamReader {
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
}

impl StreamReader {
    /// Takes the next bytes, and hands what they complete to `pieces`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], pieces: &mut Vec<Piece>) -> Result<(), TooLong> {
        while let Some(end) = memchr(b'\n', bytes) {
            self.keep(&bytes[..end])?;
            pieces.extend(piece(&self.begun));
            self.begun.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.begun.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(TooLong);
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: Option<u64>,
}

/// What a whole line says. Signs of life (comments), empty lines and other fields say nothing (WHATWG HTML, 9.2.6).
fn piece(line: &[u8]) -> Option<Piece> {
    let data = line.strip_prefix(b"data:")?.trim_ascii();
    if data == b"[DONE]" {
        return Some(Piece::Done);
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
        return Some(Piece::Failed("a piece of the answer is not what the OpenAI API sends".to_owned()));
    };
    if let Some(error) = chunk.error {
        let message = error["message"].as_str().or(error.as_str()).unwrap_or("the answer broke off");
        return Some(Piece::Failed(message.to_owned()));
    }
    if chunk.choices.iter().filter_map(|choice| choice.delta.as_ref()).any(is_written) {
        return Some(Piece::Written);
    }
    chunk.usage.and_then(|usage| usage.completion_tokens).map(Piece::Tokens)
}

fn is_written(delta: &Delta) -> bool {
    let texts = [&delta.content, &delta.reasoning_content];
    texts.into_iter().flatten().any(|text| !text.is_empty())
        || delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = concat!(
        ": keep-alive\n\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"巴黎 🙂\"},\"finish_reason\":null}]}\r\n\r\n",
        "data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":[{\"index\":0}]}}]}\n\n",
        "event: other\nid: 7\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );

    fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Piece> {
        let (mut reader, mut pieces) = (StreamReader::default(), Vec::new());
        for part in parts {
            reader.push(part, &mut pieces).unwrap();
        }
        pieces
    }

    #[test]
    fn what_is_written_counts_and_signs_of_life_do_not() {
        let expected = [Piece::Written, Piece::Written, Piece::Written, Piece::Tokens(3), Piece::Done];
        assert_eq!(read([ANSWER.as_bytes()]), expected);
    }

    #[test]
    fn what_broke_off_is_told() {
        let failed = |line: &str| read([format!("data: {line}\n").as_bytes()]);
        assert_eq!(failed(r#"{"error":{"message":"the model left"}}"#), [Piece::Failed("the model left".to_owned())]);
        assert_eq!(failed(r#"{"error":"plain"}"#), [Piece::Failed("plain".to_owned())]);
        assert!(matches!(failed("<html>")[..], [Piece::Failed(_)]));
    }

    #[test]
    fn an_endless_line_is_refused() {
        let (mut reader, mut pieces) = (StreamReader::default(), Vec::new());
        let part = vec![b'x'; LINE_BYTES_MAX];
        reader.push(&part, &mut pieces).unwrap();
        assert!(reader.push(b"x", &mut pieces).is_err());
    }

    proptest! {
        #[test]
        fn how_it_is_cut_into_pieces_makes_no_difference(mut cuts in prop::collection::vec(0..=ANSWER.len(), 0..40)) {
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([ANSWER.len()]);
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let parts = begins.zip(ends).map(|(begin, end)| &ANSWER.as_bytes()[begin..end]);
            prop_assert_eq!(read(parts), read([ANSWER.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_read(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            read(parts.iter().map(Vec::as_slice));
        }
    }
}
