//! What a reader asks, and what the model is told of it.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollhouse_state::{ChatMessage, ChatSettings};
use utoipa::ToSchema;

/// Attachments of one question.
const ATTACHMENTS_MAX: usize = 8;
/// All attachments of one question together, as they are sent.
pub(crate) const ATTACHMENTS_BYTES_MAX: usize = 12 * 1024 * 1024;
/// A picture, as a data URL.
const IMAGE_BYTES_MAX: usize = 6 * 1024 * 1024;
/// A file of text.
const FILE_BYTES_MAX: usize = 256 * 1024;
/// A question.
const TEXT_BYTES_MAX: usize = 512 * 1024;
/// What the model is told before everything else.
const SYSTEM_BYTES_MAX: usize = 64 * 1024;
/// Names of chats, models and files.
const NAME_CHARS_MAX: usize = 200;
/// Characters of a title that is made of a question.
const TITLE_CHARS_MAX: usize = 60;
/// Pictures that every kind of model server reads.
const IMAGE_TYPES: [&str; 4] = ["png", "jpeg", "webp", "gif"];
/// Parameters that a chat may have.
const OPTIONS: [&str; 6] = ["temperature", "top_p", "max_tokens", "seed", "reasoning_effort", "presence_penalty"];

/// A question, or with neither text nor attachments the wish to have `parent` answered again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The message that it follows; none at the beginning of a chat.
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) attachments: Vec<Attachment>,
    /// Another model than the chat's.
    pub(crate) model: Option<String>,
}

/// A picture or a file of text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    name: String,
    /// `data:image/png;base64,…`
    image: Option<String>,
    text: Option<String>,
}

impl Asked {
    /// Whether it stays within the bounds; says which it does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        demand(self.text.len() <= TEXT_BYTES_MAX, "a question must not be longer than 512 KiB")?;
        demand(self.attachments.len() <= ATTACHMENTS_MAX, "a question has at most 8 attachments")?;
        let is_name = |name: &String| name.chars().count() <= NAME_CHARS_MAX;
        demand(self.model.as_ref().is_none_or(is_name), "`model` must not be longer than 200 characters")?;
        let mut bytes = 0;
        for attachment in &self.attachments {
            demand(is_name(&attachment.name), "the name of an attachment is too long")?;
            match (&attachment.image, &attachment.text) {
                (Some(image), None) => {
                    bytes += image.len();
                    demand(is_image(image), "a picture must be a PNG, JPEG, WebP or GIF as a base64 data URL")?;
                    demand(image.len() <= IMAGE_BYTES_MAX, "a picture must not be larger than 4 MiB")?;
                }
                (None, Some(text)) => {
                    bytes += text.len();
                    demand(text.len() <= FILE_BYTES_MAX, "a file of text must not be larger than 256 KiB")?;
                }
                _ => return Err("an attachment is either `image` or `text`".to_owned()),
            }
        }
        demand(bytes <= ATTACHMENTS_BYTES_MAX, "all attachments together must not be larger than 8 MiB")
    }

    /// Nothing new is asked.
    pub(crate) fn again(&self) -> bool {
        self.text.trim().is_empty() && self.attachments.is_empty()
    }

    /// The question as it is kept.
    pub(crate) fn question(&self) -> ChatMessage {
        let attachments = self.attachments.iter().map(|one| match &one.image {
            Some(image) => json!({"name": one.name, "image": image}),
            None => json!({"name": one.name, "text": one.text}),
        });
        ChatMessage {
            text: self.text.clone(),
            attachments: attachments.collect(),
            ..ChatMessage::new(self.parent.clone(), "user", "done")
        }
    }
}

fn is_image(url: &str) -> bool {
    let rest = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    let is_base64 = |data: &str| data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    rest.is_some_and(|(kind, data)| IMAGE_TYPES.contains(&kind) && !data.is_empty() && is_base64(data))
}

/// Whether a chat can be set so; says what is wrong.
pub(crate) fn check_settings(settings: &ChatSettings) -> Result<(), String> {
    let names = [Some(&settings.title), Some(&settings.model), settings.head.as_ref()];
    let fits = names.into_iter().flatten().all(|name| name.chars().count() <= NAME_CHARS_MAX);
    demand(fits, "`title`, `model` and `head` must not be longer than 200 characters")?;
    demand(settings.system.len() <= SYSTEM_BYTES_MAX, "`system` must not be longer than 64 KiB")?;
    for (name, value) in &settings.options {
        demand(OPTIONS.contains(&name.as_str()), &format!("`options` may have: {}", OPTIONS.join(", ")))?;
        let fits = value.is_number() || value.as_str().is_some_and(|text| text.len() <= 20);
        demand(fits, "each of `options` is a number or a short word")?;
    }
    Ok(())
}

fn demand(fits: bool, words: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(words.to_owned()) }
}

/// A title made of a question: its first line.
pub(crate) fn title_of(question: &str) -> String {
    let line = question.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut title: String = line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX).collect();
    if line.chars().count() > TITLE_CHARS_MAX {
        title.push('…');
    }
    title
}

/// The request that has the branch up to `last` answered, in the form of OpenAI's API.
pub(crate) fn messages_of(settings: &ChatSettings, model: &str, kept: &[ChatMessage], last: &ChatMessage) -> Value {
    let mut branch = vec![last];
    // A message cannot come before itself: a branch has at most as many messages as there are.
    while let Some(parent) = branch.last().and_then(|message| message.parent.as_ref())
        && branch.len() <= kept.len()
        && let Some(message) = kept.iter().find(|message| message.id == *parent)
    {
        branch.push(message);
    }
    let mut messages = Vec::with_capacity(branch.len() + 1);
    if !settings.system.trim().is_empty() {
        messages.push(json!({"role": "system", "content": settings.system}));
    }
    // Thoughts are not told again, and an answer without a word is not part of the talk.
    let spoken = branch.iter().rev().filter(|message| message.role == "user" || !message.text.trim().is_empty());
    messages.extend(spoken.map(|message| match message.role.as_str() {
        "user" => json!({"role": "user", "content": content_of(message)}),
        _ => json!({"role": "assistant", "content": without_thoughts(&message.text)}),
    }));
    let mut body: Map<String, Value> = settings.options.clone();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    Value::Object(body)
}

/// Files stand before the question, each with its name; pictures are parts of their own.
fn content_of(message: &ChatMessage) -> Value {
    let mut text = String::new();
    let mut images = Vec::new();
    for attachment in &message.attachments {
        let name = attachment["name"].as_str().unwrap_or_default();
        if let Some(image) = attachment["image"].as_str() {
            images.push(json!({"type": "image_url", "image_url": {"url": image}}));
        } else if let Some(file) = attachment["text"].as_str() {
            text.extend(["[", name, "]\n", file, "\n\n"]);
        }
    }
    text.push_str(&message.text);
    if images.is_empty() {
        return text.into();
    }
    let mut parts = vec![json!({"type": "text", "text": text})];
    parts.append(&mut images);
    parts.into()
}

/// Some models write their thoughts between tags at the beginning of the answer.
fn without_thoughts(text: &str) -> &str {
    let body = text.trim_start();
    let thoughts = body.strip_prefix("<think>").and_then(|rest| rest.split_once("</think>"));
    thoughts.map_or(text, |(_, answer)| answer.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, parent: Option<&str>, role: &str, text: &str) -> ChatMessage {
        let message = ChatMessage::new(parent.map(str::to_owned), role, "done");
        ChatMessage { id: id.into(), text: text.into(), ..message }
    }

    #[test]
    fn the_model_is_told_one_branch() {
        let mut kept = vec![
            said("q1", None, "user", "one"),
            said("a1", Some("q1"), "assistant", "<think>hm</think>\n1"),
            said("a2", Some("q1"), "assistant", "other"),
            said("q2", Some("a1"), "user", "two"),
        ];
        kept[3].attachments = vec![
            json!({"name": "a.txt", "text": "in it"}),
            json!({"name": "b", "image": "data:image/png;base64,AA=="}),
        ];
        let options = serde_json::from_value(json!({"temperature": 0.5})).unwrap();
        let settings = ChatSettings { system: "brief".into(), options, ..ChatSettings::default() };
        let body = messages_of(&settings, "m", &kept, &kept[3]);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "brief"},
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "1"},
                {"role": "user", "content": [
                    {"type": "text", "text": "[a.txt]\nin it\n\ntwo"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ]},
            ])
        );
        assert_eq!((&body["temperature"], &body["stream"]), (&json!(0.5), &json!(true)));
        // A circle, which nobody can make here, ends all the same.
        kept[0].parent = Some("q2".into());
        messages_of(&settings, "m", &kept, &kept[3]);
    }

    #[test]
    fn what_is_too_large_is_said() {
        let asked = |value: Value| serde_json::from_value::<Asked>(value).unwrap().check();
        let image = |bytes: usize| format!("data:image/png;base64,{}", "A".repeat(bytes));
        asked(json!({"parent": null, "text": "hi", "attachments": [{"name": "a", "image": image(8)}]})).unwrap();
        for (attachments, words) in [
            (json!([{"name": "a", "image": image(IMAGE_BYTES_MAX)}]), "larger than 4 MiB"),
            (json!([{"name": "a", "text": "x".repeat(FILE_BYTES_MAX + 1)}]), "larger than 256 KiB"),
            (json!([{"name": "a", "image": "https://example.com/a.png"}]), "as a base64 data URL"),
            (json!([{"name": "a", "image": "data:image/svg+xml;base64,AA=="}]), "PNG, JPEG"),
            (json!([{"name": "a"}]), "either"),
            (json!(vec![json!({"name": "a", "text": ""}); 9]), "at most 8"),
        ] {
            let wrong = asked(json!({"parent": null, "text": "hi", "attachments": attachments})).unwrap_err();
            assert!(wrong.contains(words), "{wrong}");
        }
    }

    #[test]
    fn titles_are_the_first_line() {
        assert_eq!(title_of("\n  Why is\tthe sky blue?\nReally"), "Why isthe sky blue?");
        assert_eq!(title_of(&"long ".repeat(50)).chars().count(), TITLE_CHARS_MAX + 1);
    }
}
