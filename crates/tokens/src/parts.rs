//! What of a request the model reads, part by part.

use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};
use tollhouse_dialect::{Arguments, ChatRequest, Content, Format, Message, Part, Prompt, Template};

/// A part of what the model reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'r> {
    /// What somebody says: it is certainly in the prompt.
    Said(&'r str),
    /// Text that a chat template may leave out, such as earlier thoughts.
    Text(&'r str),
    /// JSON that the template writes.
    Json(&'r Value),
    /// The same of an object.
    Object(&'r Map<String, Value>),
    /// A picture or a sound.
    Media,
}

/// The parts of one message.
pub(crate) fn of_message<'r>(message: &'r Message, each: &mut dyn FnMut(Piece<'r>)) {
    match &message.content {
        Content::Null => {}
        Content::Text(text) => each(Piece::Said(text)),
        Content::Parts(parts) => parts.iter().for_each(|part| match part {
            Part::Text { text, .. } => each(Piece::Said(text)),
            Part::Image { .. } | Part::Audio { .. } => each(Piece::Media),
            // What it is signed with and what is hidden in it is no text.
            Part::Thinking(block) => {
                if let Some(Value::String(thoughts)) = block.get("thinking") {
                    each(Piece::Text(thoughts));
                }
            }
            Part::Other(map) => of_unknown(map, each),
        }),
    }
    if let Some(thinking) = &message.thinking {
        each(Piece::Text(&thinking.text));
    }
    if let Some(name) = &message.name {
        each(Piece::Text(name));
    }
    for call in &message.tool_calls {
        each(Piece::Text(&call.name));
        match &call.arguments {
            Arguments::Text(text) => each(Piece::Text(text)),
            Arguments::Object(map) => each(Piece::Object(map)),
        }
    }
}

/// The parts of a request beside its messages. Most servers make a grammar of the answer's schema, but some write it into
/// the prompt too (Anthropic, templates of llama.cpp's server), so it counts.
pub(crate) fn of_rest<'r>(request: &'r ChatRequest, each: &mut dyn FnMut(Piece<'r>)) {
    if let Some(prompt) = &request.prompt {
        of_prompt(prompt, each);
    }
    if let Some(tools) = &request.tools {
        each(Piece::Json(tools));
    }
    if let Some(Format::Schema { schema, .. }) = &request.format {
        each(Piece::Json(schema));
    }
}

/// Whether a chat template stands between the request and the model.
pub(crate) fn has_template(request: &ChatRequest) -> bool {
    !request.messages.is_empty() || request.prompt.as_ref().is_none_or(|prompt| prompt.template == Template::Model)
}

fn of_prompt<'r>(prompt: &'r Prompt, each: &mut dyn FnMut(Piece<'r>)) {
    each(Piece::Said(&prompt.text));
    let beside = [&prompt.suffix, &prompt.system, &prompt.own_template];
    beside.into_iter().flatten().for_each(|text| each(Piece::Text(text)));
    prompt.images.iter().for_each(|_| each(Piece::Media));
    if let Some(context) = &prompt.context {
        each(Piece::Json(context));
    }
}

/// A part of a kind that we do not know: a file or a sound, or text in fields of its own.
fn of_unknown<'r>(map: &'r Map<String, Value>, each: &mut dyn FnMut(Piece<'r>)) {
    for (name, value) in map {
        match value {
            _ if Part::is_medium(map, name) => each(Piece::Media),
            Value::String(text) => each(Piece::Text(text)),
            Value::Object(map) => of_unknown(map, each),
            other => each(Piece::Json(other)),
        }
    }
}

/// JSON as chat templates write it (Jinja's `tojson`): with a space behind each comma and colon.
pub(crate) fn spaced_json(value: &impl serde::Serialize) -> String {
    let mut text = Vec::new();
    // Values of JSON can always be written to memory.
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)).is_ok();
    String::from_utf8(text).ok().filter(|_| written).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_has_spaces() {
        let value = serde_json::json!({"a": [1, 2, {"b": "c"}], "d": {}});
        assert_eq!(super::spaced_json(&value), r#"{"a": [1, 2, {"b": "c"}], "d": {}}"#);
    }
}
