//! Writes a request for a server that speaks Anthropic's Messages.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::parse::KNOWN;
use super::thinking;
use crate::ability;
use crate::json::{self, Object};
use crate::wire;
use crate::{ChatRequest, Content, Format, Message, Part, RequestError, Role, ServerApi, ServerDefaults, Shape};

/// Most tokens of an answer where neither the client nor the configuration says: Anthropic demands a number.
pub const ANSWER_TOKENS_DEFAULT: u32 = 8192;

/// The body of `POST /v1/messages`, asking the server's own `model`; an error where Anthropic cannot do what is asked.
pub fn write_messages(request: &ChatRequest, model: &str, defaults: &ServerDefaults) -> Result<Vec<u8>, RequestError> {
    ability::check(request, ServerApi::Anthropic)?;
    let sampling = wire::with_defaults(&request.sampling, defaults);
    let asked = thinking::asked(request, model, sampling.limit())?;
    let messages = &request.messages;
    let mut out = Vec::with_capacity(256 + messages.len() * 128);
    let mut body = Object::open(&mut out);
    body.put("model", model);
    write_system(&mut body, messages, request.family)?;
    write_turns(body.key("messages"), messages, request.family)?;
    body.put("stream", &request.stream);
    body.put("max_tokens", &sampling.limit().unwrap_or(ANSWER_TOKENS_DEFAULT + asked.budget));
    body.put_some("temperature", sampling.temperature.as_ref());
    body.put_some("top_p", sampling.top_p.as_ref());
    body.put_some("top_k", sampling.top_k.filter(|k| *k > 0).as_ref());
    if !sampling.stop.is_empty() {
        body.put("stop_sequences", &sampling.stop);
    }
    if let Some(tools) = request.tools.as_ref().and_then(Value::as_array) {
        write_tools(body.key("tools"), tools, request.family)?;
    }
    write_tool_choice(&mut body, request)?;
    if request.family == Shape::Anthropic {
        body.rest(&request.rest, KNOWN);
    } else {
        asked.write(&mut body, request.format.as_ref());
        if let Some(user) = request.user() {
            let mut metadata = Object::open(body.key("metadata"));
            metadata.put("user_id", user);
            metadata.close();
        }
    }
    body.close();
    Ok(out)
}

fn unsupported(what: &str) -> RequestError {
    ability::refused(ServerApi::Anthropic, what)
}

/// Whether a message goes into `system`. Anthropic's own clients know whether the model takes instructions in between.
fn is_system(message: &Message, index: usize, family: Shape) -> bool {
    match message.role {
        Role::System | Role::Developer => index == 0 || family != Shape::Anthropic,
        _ => false,
    }
}

fn write_system(body: &mut Object, messages: &[Message], family: Shape) -> Result<(), RequestError> {
    let mut system =
        messages.iter().enumerate().filter(|(index, message)| is_system(message, *index, family)).peekable();
    let Some((_, first)) = system.next() else { return Ok(()) };
    if let (Content::Text(text), None) = (&first.content, system.peek()) {
        if !text.is_empty() {
            body.text("system", text);
        }
        return Ok(());
    }
    let mut blocks = Blocks::open(body.key("system"), family);
    for (index, message) in std::iter::once((0, first)).chain(system) {
        blocks.content(&message.content, index)?;
    }
    blocks.close();
    Ok(())
}

fn write_turns(out: &mut Vec<u8>, messages: &[Message], family: Shape) -> Result<(), RequestError> {
    let ids = wire::tool_ids(messages);
    let said = |(index, message): &(usize, &Message)| !is_system(message, *index, family) && says_something(message);
    let mut turns = messages.iter().enumerate().filter(said).peekable();
    out.push(b'[');
    let mut first = true;
    while let Some((index, message)) = turns.next() {
        if !first {
            out.push(b',');
        }
        first = false;
        let mut turn = Object::open(out);
        turn.put("role", role(message));
        if let (Content::Text(text), [], false) =
            (&message.content, message.tool_calls.as_slice(), message.role == Role::Tool)
        {
            turn.text("content", text);
        } else {
            let mut blocks = Blocks::open(turn.key("content"), family);
            blocks.message(message, &ids[index], index)?;
            // The results of one turn's calls belong together, and what the user says next stands behind them.
            let mut after_result = message.role == Role::Tool;
            while after_result
                && let Some((index, next)) = turns.next_if(|(_, next)| matches!(next.role, Role::Tool | Role::User))
            {
                blocks.message(next, &ids[index], index)?;
                after_result = next.role == Role::Tool;
            }
            blocks.close();
        }
        if family == Shape::Anthropic && message.role != Role::Tool {
            turn.rest(&message.rest, &["role", "content"]);
        }
        turn.close();
    }
    out.push(b']');
    Ok(())
}

fn role(message: &Message) -> &'static str {
    match message.role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// Anthropic refuses empty messages, which elsewhere are harmless.
fn says_something(message: &Message) -> bool {
    let content = match &message.content {
        Content::Null => false,
        Content::Text(text) => !text.is_empty(),
        Content::Parts(parts) => parts.iter().any(|part| match part {
            Part::Text { text, .. } => !text.is_empty(),
            Part::Thinking(block) => is_signed(block),
            _ => true,
        }),
    };
    content || message.role == Role::Tool || !message.tool_calls.is_empty()
}

/// Thoughts that Anthropic did not sign are not its own (another server had them), and it refuses them.
fn is_signed(block: &Map<String, Value>) -> bool {
    ["signature", "data"].iter().any(|field| block.get(*field).is_some_and(|mark| mark.as_str() != Some("")))
}

/// Writes an array of content blocks.
struct Blocks<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    family: Shape,
}

impl<'a> Blocks<'a> {
    fn open(out: &'a mut Vec<u8>, family: Shape) -> Self {
        out.push(b'[');
        Self { out, empty: true, family }
    }

    fn close(self) {
        self.out.push(b']');
    }

    fn block(&mut self) -> Object<'_> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        Object::open(self.out)
    }

    fn message(&mut self, message: &Message, ids: &[Cow<str>], index: usize) -> Result<(), RequestError> {
        if message.role == Role::Tool {
            return self.result(message, ids, index);
        }
        self.content(&message.content, index)?;
        for (position, (call, id)) in message.tool_calls.iter().zip(ids).enumerate() {
            let input = wire::arguments(&call.arguments, index, position)?;
            let mut block = self.block();
            block.put("type", "tool_use");
            block.put("id", &*clean_id(id));
            block.put("name", &call.name);
            block.put("input", &*input);
            block.close();
        }
        Ok(())
    }

    fn result(&mut self, message: &Message, ids: &[Cow<str>], index: usize) -> Result<(), RequestError> {
        let missing = || RequestError::field(format!("messages[{index}].tool_call_id"), "is missing");
        let id = ids.first().ok_or_else(missing)?;
        let family = self.family;
        let mut block = self.block();
        block.put("type", "tool_result");
        block.put("tool_use_id", &*clean_id(id));
        match &message.content {
            Content::Null => {}
            Content::Text(text) => block.text("content", text),
            content @ Content::Parts(_) => {
                let mut blocks = Blocks::open(block.key("content"), family);
                blocks.content(content, index)?;
                blocks.close();
            }
        }
        if family == Shape::Anthropic {
            block.rest(&message.rest, &[]);
        }
        block.close();
        Ok(())
    }

    fn content(&mut self, content: &Content, index: usize) -> Result<(), RequestError> {
        match content {
            Content::Null => {}
            Content::Text(text) => self.text(text, None),
            Content::Parts(parts) => {
                for (position, part) in parts.iter().enumerate() {
                    self.part(part, &format_args!("messages[{index}].content[{position}]"))?;
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str, rest: Option<&Map<String, Value>>) {
        if text.is_empty() {
            return;
        }
        let family = self.family;
        let mut block = self.block();
        block.put("type", "text");
        block.text("text", text);
        write_rest(&mut block, rest, family);
        block.close();
    }

    fn part(&mut self, part: &Part, at: &dyn std::fmt::Display) -> Result<(), RequestError> {
        let family = self.family;
        match part {
            Part::Text { text, rest } => self.text(text, Some(rest)),
            Part::Image { image, rest, .. } => {
                let mut block = self.block();
                block.put("type", "image");
                let mut source = Object::open(block.key("source"));
                source.put("type", "base64");
                source.put("media_type", image.media_type());
                source.text("data", image.base64());
                source.close();
                write_rest(&mut block, Some(rest), family);
                block.close();
            }
            Part::Thinking(map) if is_signed(map) => {
                let mut block = self.block();
                block.rest(map, &[]);
                block.close();
            }
            Part::Thinking(_) => {}
            Part::Other(map) if family == Shape::Anthropic => {
                let mut block = self.block();
                block.rest(map, &[]);
                block.close();
            }
            Part::Audio { .. } => return Err(unsupported(&format!("{at}: sound"))),
            Part::Other(map) => {
                let kind: String = map.get("type").and_then(Value::as_str).unwrap_or("?").chars().take(40).collect();
                return Err(unsupported(&format!("{at}: a part of type {kind:?}")));
            }
        }
        Ok(())
    }
}

/// Fields beside a part: all of an Anthropic client's; of others the one that clients took over from Anthropic.
fn write_rest(block: &mut Object, rest: Option<&Map<String, Value>>, family: Shape) {
    let Some(rest) = rest else { return };
    if family == Shape::Anthropic {
        block.rest(rest, &[]);
    } else {
        block.put_some("cache_control", rest.get("cache_control"));
    }
}

/// Ids of calls may be made of these letters only; other servers are freer.
fn clean_id(id: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect())
}

fn write_tools(out: &mut Vec<u8>, tools: &[Value], family: Shape) -> Result<(), RequestError> {
    let no_parameters = Value::Object(Map::from_iter([("type".to_owned(), "object".into())]));
    out.push(b'[');
    for (index, tool) in tools.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let function = tool.get("function").filter(|_| tool["type"] == "function");
        let Some(function) = function else {
            if family != Shape::Anthropic {
                return Err(RequestError::field(format!("tools[{index}].type"), "must be \"function\""));
            }
            json::value(out, tool);
            continue;
        };
        let mut body = Object::open(out);
        body.put_some("name", function.get("name"));
        body.put_some("description", function.get("description").filter(|text| !text.is_null()));
        body.put("input_schema", function.get("parameters").filter(|it| it.is_object()).unwrap_or(&no_parameters));
        match tool {
            Value::Object(map) if family == Shape::Anthropic => body.rest(map, &["type", "function"]),
            tool => {
                body.put_some("cache_control", tool.get("cache_control"));
                body.put_some("strict", function.get("strict").filter(|strict| **strict == true));
            }
        }
        body.close();
    }
    out.push(b']');
    Ok(())
}

fn write_tool_choice(body: &mut Object, request: &ChatRequest) -> Result<(), RequestError> {
    let serial = request.parallel_tool_calls.map(|parallel| !parallel).filter(|serial| *serial);
    let (kind, name) = match &request.tool_choice {
        _ if request.tools.is_none() => return Ok(()),
        None if serial.is_none() => return Ok(()),
        None => ("auto", None),
        Some(Value::String(choice)) if choice == "auto" => ("auto", None),
        Some(Value::String(choice)) if choice == "required" => ("any", None),
        Some(Value::String(choice)) if choice == "none" => ("none", None),
        Some(Value::Object(map)) if map.get("type").and_then(Value::as_str) == Some("function") => {
            let name = map.get("function").and_then(|function| function.get("name"));
            ("tool", Some(name.ok_or_else(|| RequestError::field("tool_choice.function.name", "is missing"))?))
        }
        Some(_) => return Err(unsupported("this tool_choice")),
    };
    let mut choice = Object::open(body.key("tool_choice"));
    choice.put("type", kind);
    choice.put_some("name", name);
    choice.put_some("disable_parallel_tool_use", serial.filter(|_| kind != "none").as_ref());
    choice.close();
    Ok(())
}

impl thinking::Asked {
    /// Writes `thinking` and `output_config`.
    fn write(&self, body: &mut Object, format: Option<&Format>) {
        if let Some(kind) = self.kind {
            let mut thinking = Object::open(body.key("thinking"));
            thinking.put("type", kind);
            if self.budget > 0 {
                thinking.put("budget_tokens", &self.budget);
            }
            thinking.close();
        }
        let schema = match format {
            Some(Format::Schema { schema, .. }) => Some(schema),
            _ => None,
        };
        if schema.is_none() && self.effort.is_none() {
            return;
        }
        let mut config = Object::open(body.key("output_config"));
        config.put_some("effort", self.effort.as_ref());
        if let Some(schema) = schema {
            let mut format = Object::open(config.key("format"));
            format.put("type", "json_schema");
            format.put("schema", schema);
            format.close();
        }
        config.close();
    }
}
