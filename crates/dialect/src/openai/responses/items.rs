//! Reads the input of a request of the Responses API: a text, or items that become the messages of a chat.

use serde_json::{Map, Value};

use super::super::parse::{read_audio, read_image};
use crate::json::JsonLimits;
use crate::middle::THINKING_FIELD;
use crate::{Arguments, Content, Message, Part, RequestError, Role, Thinking, ToolCall, wire};

/// The messages that the input is.
pub(super) fn read(value: Value, limits: &JsonLimits) -> Result<Vec<Message>, RequestError> {
    let items = match value {
        Value::String(text) => return Ok(vec![Message::text(Role::User, text)]),
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(RequestError::field("input", "must be a string or an array of at least one item")),
    };
    if items.len() > limits.messages {
        return Err(RequestError::TooManyMessages { found: items.len(), max: limits.messages });
    }
    let mut reader = Reader::default();
    for (index, item) in items.into_iter().enumerate() {
        reader.item(item, &format!("input[{index}]"))?;
    }
    reader.settle_thoughts();
    Ok(reader.messages)
}

/// What an assistant thought, said and called is one message in a chat and several items here.
#[derive(Default)]
struct Reader {
    messages: Vec<Message>,
    /// What the assistant thought before the message that has not come yet.
    thoughts: String,
}

impl Reader {
    fn item(&mut self, value: Value, at: &str) -> Result<(), RequestError> {
        let mut item = wire::object(value, at)?;
        let kind = item.shift_remove("type").unwrap_or_default();
        let kind = match &kind {
            // The short form of a message has no type.
            Value::Null if item.contains_key("role") => "message",
            kind => kind.as_str().ok_or_else(|| RequestError::field(format!("{at}.type"), "must be a string"))?,
        };
        match kind {
            "message" => self.message(item, at),
            "reasoning" => self.reasoning(&item, at),
            "function_call" => self.call(item, at),
            "function_call_output" => self.output(item, at),
            "item_reference" => Err(RequestError::Unsupported(format!(
                "{at}.type \"item_reference\" is not supported: this gateway stores no items, send the item itself"
            ))),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(RequestError::Unsupported(format!(
                    "{at}.type {shown:?} is not supported, known: message, reasoning, function_call, \
                     function_call_output"
                )))
            }
        }
    }

    fn message(&mut self, mut item: Map<String, Value>, at: &str) -> Result<(), RequestError> {
        let role = item.get("role").and_then(Value::as_str).and_then(Role::from_name);
        let role = role.filter(|role| *role != Role::Tool);
        let known = || RequestError::field(format!("{at}.role"), "must be system, developer, user or assistant");
        let mut message = Message::text(role.ok_or_else(known)?, "");
        message.content = read_content(item.shift_remove("content").unwrap_or_default(), &format!("{at}.content"))?;
        if message.role == Role::Assistant {
            message.thinking = self.take_thoughts();
        } else {
            self.settle_thoughts();
        }
        self.messages.push(message);
        Ok(())
    }

    /// Thoughts in clear, or their summary; encrypted ones are another server's own and nothing to ours.
    fn reasoning(&mut self, item: &Map<String, Value>, at: &str) -> Result<(), RequestError> {
        for field in ["content", "summary"] {
            let parts = match item.get(field) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(parts)) => parts,
                Some(_) => return Err(RequestError::field(format!("{at}.{field}"), "must be an array")),
            };
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            let before = self.thoughts.len();
            for text in texts {
                if !self.thoughts.is_empty() {
                    self.thoughts.push('\n');
                }
                self.thoughts.push_str(text);
            }
            if self.thoughts.len() > before {
                break;
            }
        }
        Ok(())
    }

    fn call(&mut self, mut item: Map<String, Value>, at: &str) -> Result<(), RequestError> {
        let mut text = |field: &str| wire::text(item.shift_remove(field).unwrap_or_default(), format!("{at}.{field}"));
        let call = ToolCall {
            id: Some(text("call_id")?),
            name: text("name")?,
            arguments: Arguments::Text(text("arguments")?),
        };
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant && self.thoughts.is_empty() => last.tool_calls.push(call),
            _ => {
                let mut message = Message::text(Role::Assistant, "");
                message.content = Content::Null;
                message.thinking = self.take_thoughts();
                message.tool_calls.push(call);
                self.messages.push(message);
            }
        }
        Ok(())
    }

    fn output(&mut self, mut item: Map<String, Value>, at: &str) -> Result<(), RequestError> {
        self.settle_thoughts();
        let mut message = Message::text(Role::Tool, "");
        let call = item.shift_remove("call_id").unwrap_or_default();
        message.tool_call_id = Some(wire::text(call, format!("{at}.call_id"))?);
        message.content = read_content(item.shift_remove("output").unwrap_or_default(), &format!("{at}.output"))?;
        self.messages.push(message);
        Ok(())
    }

    fn take_thoughts(&mut self) -> Option<Thinking> {
        let text = std::mem::take(&mut self.thoughts);
        (!text.is_empty()).then_some(Thinking { text, field: THINKING_FIELD })
    }

    /// Thoughts that no words followed are a message of their own.
    fn settle_thoughts(&mut self) {
        if let Some(thinking) = self.take_thoughts() {
            let mut message = Message::text(Role::Assistant, "");
            message.content = Content::Null;
            message.thinking = Some(thinking);
            self.messages.push(message);
        }
    }
}

fn read_content(value: Value, at: &str) -> Result<Content, RequestError> {
    match value {
        Value::String(text) => Ok(Content::Text(text)),
        Value::Array(parts) => {
            let read = |(index, part)| read_part(part, &format!("{at}[{index}]"));
            let mut parts = parts.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
            // Many servers take parts from users only; one text is the same as a string.
            match parts.pop() {
                Some(Part::Text { text, .. }) if parts.is_empty() => Ok(Content::Text(text)),
                last => {
                    parts.extend(last);
                    Ok(Content::Parts(parts))
                }
            }
        }
        _ => Err(RequestError::field(at, "must be a string or an array of parts")),
    }
}

fn read_part(value: Value, at: &str) -> Result<Part, RequestError> {
    let mut part = wire::object(value, at)?;
    let mut take = |field: &str| part.shift_remove(field).unwrap_or_default();
    let place = |field: &str| format!("{at}.{field}");
    let kind = wire::text(take("type"), place("type"))?;
    let text = |value, field: &str| Ok(Part::Text { text: wire::text(value, place(field))?, rest: Map::new() });
    match kind.as_str() {
        "input_text" | "output_text" | "text" => text(take("text"), "text"),
        "refusal" => text(take("refusal"), "refusal"),
        "input_image" => {
            if !take("file_id").is_null() {
                return unsupported(&place("file_id"), "this gateway stores no files, send the picture as a data: URL");
            }
            let image = read_image(wire::text(take("image_url"), place("image_url"))?, &place("image_url"))?;
            let detail = take("detail");
            let options = (!detail.is_null()).then(|| ("detail".to_owned(), detail)).into_iter().collect();
            Ok(Part::Image { image, options, rest: Map::new() })
        }
        "input_audio" => {
            let (base64, options) = read_audio(take("input_audio"), &place("input_audio"))?;
            Ok(Part::Audio { base64, options, rest: Map::new() })
        }
        "input_file" => {
            for (field, advice) in [("file_id", "stores no files"), ("file_url", "fetches no files")] {
                if !take(field).is_null() {
                    return unsupported(&place(field), &format!("this gateway {advice}, send the file as file_data"));
                }
            }
            let file = ["filename", "file_data"].map(|field| (field.to_owned(), take(field)));
            let file: Map<_, _> = file.into_iter().filter(|(_, value)| !value.is_null()).collect();
            let part = [("type".to_owned(), Value::from("file")), ("file".to_owned(), Value::Object(file))];
            Ok(Part::Other(part.into_iter().collect()))
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            unsupported(&place("type"), &format!("{shown:?} is not known"))
        }
    }
}

fn unsupported<T>(field: &str, reason: &str) -> Result<T, RequestError> {
    Err(RequestError::Unsupported(format!("{field} is not supported: {reason}")))
}
