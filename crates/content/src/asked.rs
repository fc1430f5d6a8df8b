//! What was said, in a form that lasts: no dialect, no pictures, bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollhouse_dialect::{Arguments, ChatRequest, Content, Event, Message, Part};

/// Bytes of an answer that are kept: about 50,000 words.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Tool calls of one answer that are kept.
const CALLS_MAX: usize = 128;

/// One request: what was asked and what was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Public name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Older messages that were left out so that the newer ones fit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out_messages: usize,
    /// The conversation, oldest first.
    pub asked: Vec<Said>,
    /// What the model said; as far as it came when the client left or the server failed.
    pub answer: Said,
    /// A text was cut at its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// How many values of which kind were taken out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, usize>,
    /// How many texts are not kept at all, by the word for why ([`crate::Withheld`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld: BTreeMap<String, usize>,
}

/// What one side said at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// `system`, `developer`, `user`, `assistant`, `tool`.
    pub role: String,
    /// The text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What was thought before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// Tools that were called: name and arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<(String, String)>,
    /// Pictures, sounds and files, which are not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub media: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Transcript {
    /// The newest messages of `request` that together take at most `bytes_max`, and `answer`, of which as much is kept.
    pub(crate) fn new(request: &ChatRequest, answer: &Said, bytes_max: usize) -> Self {
        let mut cut = false;
        let mut room = bytes_max;
        let mut asked = Vec::new();
        let all = request.prompt.iter().map(said_prompt).chain(request.messages.iter().map(said));
        for mut said in all.rev() {
            if room == 0 {
                break;
            }
            cut |= said.fit(&mut room);
            asked.push(said);
        }
        asked.reverse();
        let mut answer = answer.clone();
        cut |= answer.fit(&mut bytes_max.min(ANSWER_BYTES_MAX));
        let left_out_messages = request.messages.len() + usize::from(request.prompt.is_some()) - asked.len();
        Self { left_out_messages, asked, answer, cut, ..Self::default() }
    }

    /// All that was said, the newest first.
    pub(crate) fn newest_first(&mut self) -> impl Iterator<Item = &mut Said> {
        [&mut self.answer].into_iter().chain(self.asked.iter_mut().rev())
    }

    /// Every text of it, to be changed.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.asked.iter_mut().chain([&mut self.answer]).flat_map(|said| {
            let Said { text, thinking, calls, .. } = said;
            [text, thinking].into_iter().chain(calls.iter_mut().map(|(_, arguments)| arguments))
        })
    }
}

impl Said {
    /// Nothing yet, of the model.
    pub(crate) fn answer() -> Self {
        Self { role: "assistant".to_owned(), ..Self::default() }
    }

    /// Adds what the model said.
    pub(crate) fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Text(text) => add(&mut self.text, text),
                Event::Thinking(text) => add(&mut self.thinking, text),
                Event::ToolCall { index, name, arguments, .. } => self.note_call(*index, name.as_deref(), arguments),
                _ => {}
            }
        }
    }

    fn note_call(&mut self, index: u32, name: Option<&str>, more: &str) {
        let index = index as usize;
        if index >= CALLS_MAX {
            return;
        }
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Default::default);
        }
        let (called, arguments) = &mut self.calls[index];
        if let Some(name) = name {
            name.clone_into(called);
        }
        add(arguments, more);
    }

    /// Cuts what has no room; says whether something was.
    fn fit(&mut self, room: &mut usize) -> bool {
        let mut cut = false;
        let arguments = self.calls.iter_mut().map(|(_, arguments)| arguments);
        for text in [&mut self.text, &mut self.thinking].into_iter().chain(arguments) {
            if text.len() > *room {
                text.truncate(text.floor_char_boundary(*room));
                cut = true;
                *room = 0;
            }
            *room -= text.len().min(*room);
        }
        cut
    }
}

/// Adds as much as there is room for.
fn add(to: &mut String, more: &str) {
    let room = ANSWER_BYTES_MAX.saturating_sub(to.len());
    to.push_str(&more[..more.floor_char_boundary(room)]);
}

fn said_prompt(prompt: &tollhouse_dialect::Prompt) -> Said {
    let texts = [prompt.system.as_deref(), Some(prompt.text.as_str()), prompt.suffix.as_deref()];
    Said {
        role: "user".to_owned(),
        text: texts.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        media: prompt.images.len(),
        ..Said::default()
    }
}

fn said(message: &Message) -> Said {
    let media = match &message.content {
        Content::Parts(parts) => parts.iter().filter(|part| is_medium(part)).count(),
        Content::Null | Content::Text(_) => 0,
    };
    let calls = message.tool_calls.iter().map(|call| {
        let arguments = match &call.arguments {
            Arguments::Text(text) => text.clone(),
            Arguments::Object(map) => serde_json::to_string(map).unwrap_or_default(),
        };
        (call.name.clone(), arguments)
    });
    Said {
        role: message.role.name().to_owned(),
        text: message.content.text().into_owned(),
        thinking: message.thoughts().map(|(thoughts, _)| thoughts.into_owned()).unwrap_or_default(),
        calls: calls.collect(),
        media,
    }
}

fn is_medium(part: &Part) -> bool {
    matches!(part, Part::Image { .. } | Part::Audio { .. } | Part::Other(_))
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::{Api, JsonLimits};

    use super::*;

    fn request(body: &str) -> ChatRequest {
        Api::OpenAiChat.parse(body.as_bytes(), &JsonLimits::default()).unwrap()
    }

    #[test]
    fn the_newest_messages_are_kept() {
        let request = request(
            r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"12345678"},
            {"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"text","text":"中文字"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBOR"}}]}]}"#,
        );
        let answer = Said { text: "an answer".to_owned(), ..Said::answer() };
        let whole = Transcript::new(&request, &answer, 1000);
        assert_eq!((whole.asked.len(), whole.left_out_messages, whole.cut), (4, 0, false));
        assert_eq!((whole.asked[3].text.as_str(), whole.asked[3].media), ("中文字", 1));
        let part = Transcript::new(&request, &answer, 14);
        let texts: Vec<&str> = part.asked.iter().map(|said| said.text.as_str()).collect();
        assert_eq!((texts, part.left_out_messages, part.cut), (vec!["123", "ok", "中文字"], 1, true));
        assert_eq!(part.answer.text, "an answer");
        let cut = Transcript::new(&request, &answer, 4);
        assert_eq!((cut.asked[0].text.as_str(), cut.answer.text.as_str(), cut.cut), ("中", "an a", true));
    }

    #[test]
    fn an_answer_is_put_together_from_its_pieces_and_bounded() {
        let mut answer = Said::answer();
        let call = |index, name: Option<&str>, arguments: &str| Event::ToolCall {
            index,
            id: None,
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        };
        answer.note(&[Event::Thinking("hm".to_owned()), Event::Text("a".to_owned()), call(1, Some("f"), "{\"x\"")]);
        answer.note(&[Event::Text("b".to_owned()), call(1, None, ":1}"), call(u32::MAX, Some("g"), "{}")]);
        assert_eq!((answer.text.as_str(), answer.thinking.as_str()), ("ab", "hm"));
        assert_eq!(answer.calls, [(String::new(), String::new()), ("f".to_owned(), "{\"x\":1}".to_owned())]);
        answer.note(&[Event::Text("中".repeat(ANSWER_BYTES_MAX))]);
        assert!(answer.text.len() <= ANSWER_BYTES_MAX);
    }
}
