//! Reads an Anthropic request: messages to answer or to count.

use serde_json::{Map, Value, json};

use super::thinking::effort_of;
use crate::json::{self as strict, JsonLimits, refuse_lookalike};
use crate::wire;
use crate::{
    Arguments, ChatRequest, Content, Format, Image, Message, Part, RequestError, Role, Shape, Think, ToolCall,
};

/// The fields of a request that we act on, and therefore write ourselves. `thinking`, `output_config` and `metadata` are
/// read and kept: a server of this family gets them as they came.
pub(super) const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
];

/// The fields of a message that we act on.
const KNOWN_IN_MESSAGE: &[&str] = &["role", "content"];

/// Reads the body of `POST /v1/messages`.
pub fn parse_messages(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let request = parse_count(body, limits)?;
    match request.sampling.max_tokens {
        Some(_) => Ok(request),
        None => Err(RequestError::field("max_tokens", "is missing")),
    }
}

/// Reads the body of `POST /v1/messages/count_tokens`: the same, but nothing is asked to be said.
pub fn parse_count(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest { family: Shape::Anthropic, ..ChatRequest::default() };
    let mut model = None;
    let mut system = None;
    let mut messages = None;
    for (key, value) in strict::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "system" => system = read_system(value)?,
            "messages" => messages = Some(read_messages(value, limits)?),
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or_default(),
            "max_tokens" => {
                request.sampling.max_tokens =
                    wire::integer(&value, "max_tokens", 1, wire::TOKENS_MAX)?.map(|n| n as u32);
            }
            "temperature" => request.sampling.temperature = wire::number(&value, "temperature")?,
            "top_p" => request.sampling.top_p = wire::number(&value, "top_p")?,
            "top_k" => request.sampling.top_k = wire::integer(&value, "top_k", -1, i64::from(i32::MAX))?,
            "stop_sequences" => request.sampling.stop = wire::stops(value, "stop_sequences")?,
            "tools" => request.tools = read_tools(value)?,
            "tool_choice" => {
                let (choice, parallel) = read_tool_choice(value)?;
                (request.tool_choice, request.parallel_tool_calls) = (choice, parallel);
            }
            "thinking" | "output_config" if value.is_null() => {}
            "thinking" => {
                request.think = Some(read_thinking(&value, request.think.take())?);
                request.rest.insert(key, value);
            }
            "output_config" => {
                read_output_config(&mut request, &value)?;
                request.rest.insert(key, value);
            }
            "output_format" => {
                // The name of `output_config.format` before it left its trial.
                request.format = read_format(&value, "output_format")?;
                request.rest.insert(key, value);
            }
            _ => {
                refuse_lookalike(&key, KNOWN, "")?;
                request.rest.insert(key, value);
            }
        }
    }
    request.model = wire::model(model)?;
    let mut messages = messages.ok_or_else(|| RequestError::field("messages", "is missing"))?;
    if let Some(system) = system {
        messages.insert(0, system);
    }
    request.messages = messages;
    Ok(request)
}

fn read_system(value: Value) -> Result<Option<Message>, RequestError> {
    let content = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => Content::Text(text),
        Value::Array(blocks) if blocks.is_empty() => return Ok(None),
        Value::Array(blocks) => {
            let read = |(index, block)| match read_block(block, &format!("system[{index}]"))? {
                Block::Part(part @ Part::Text { .. }) => Ok(part),
                _ => Err(RequestError::field(format!("system[{index}].type"), "must be \"text\"")),
            };
            Content::Parts(blocks.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        _ => return Err(RequestError::field("system", "must be a string or an array of text blocks")),
    };
    Ok(Some(Message { content, ..Message::text(Role::System, "") }))
}

fn read_messages(value: Value, limits: &JsonLimits) -> Result<Vec<Message>, RequestError> {
    let items = wire::list(value, "messages")?;
    if items.is_empty() {
        return Err(RequestError::field("messages", "must have at least one message"));
    }
    let mut messages = Vec::with_capacity(items.len() + 1);
    for (index, item) in items.into_iter().enumerate() {
        read_message(item, index, &mut messages)?;
        // Counted after the results of tools have become messages of their own.
        if messages.len() > limits.messages {
            return Err(RequestError::TooManyMessages { found: messages.len(), max: limits.messages });
        }
    }
    Ok(messages)
}

fn read_message(value: Value, index: usize, out: &mut Vec<Message>) -> Result<(), RequestError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let before = out.len();
    let mut role = None;
    let mut content = None;
    let mut rest = Map::new();
    for (key, value) in wire::object(value, format!("messages[{index}]"))? {
        match key.as_str() {
            "role" => {
                let name = value.as_str().filter(|name| matches!(*name, "user" | "assistant" | "system"));
                let known = || RequestError::field(at("role"), "must be user, assistant or system");
                role = Some(name.and_then(Role::from_name).ok_or_else(known)?);
            }
            "content" => content = Some(value),
            _ => {
                refuse_lookalike(&key, KNOWN_IN_MESSAGE, &at(""))?;
                rest.insert(key, value);
            }
        }
    }
    let role = role.ok_or_else(|| RequestError::field(at("role"), "is missing"))?;
    let mut message = Message { rest, content: Content::Null, ..Message::text(role, "") };
    match content {
        Some(Value::String(text)) => message.content = Content::Text(text),
        Some(Value::Array(blocks)) => {
            let mut parts = Vec::with_capacity(blocks.len());
            for (position, block) in blocks.into_iter().enumerate() {
                let at = format!("messages[{index}].content[{position}]");
                match (read_block(block, &at)?, role) {
                    (Block::Call(call), Role::Assistant) => message.tool_calls.push(call),
                    // Each result is a message of its own, before what the user says beside them.
                    (Block::Result(result), Role::User) => out.push(*result),
                    (Block::Call(_), _) => return Err(misplaced(&at, "tool_use", "assistant")),
                    (Block::Result(_), _) => return Err(misplaced(&at, "tool_result", "user")),
                    (Block::Part(part), _) => parts.push(part),
                }
            }
            let has_only_results = parts.is_empty() && role == Role::User && out.len() > before;
            if has_only_results {
                return Ok(());
            }
            if !parts.is_empty() {
                message.content = Content::Parts(parts);
            }
        }
        _ => return Err(RequestError::field(at("content"), "must be a string or an array of blocks")),
    }
    out.push(message);
    Ok(())
}

fn misplaced(at: &str, kind: &str, role: &str) -> RequestError {
    RequestError::field(format!("{at}.type"), format!("{kind:?} belongs into messages of the {role}"))
}

/// What a content block becomes.
enum Block {
    Part(Part),
    Call(ToolCall),
    Result(Box<Message>),
}

fn read_block(value: Value, at: &str) -> Result<Block, RequestError> {
    let mut block = wire::object(value, at)?;
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == "image" && source_is_file(&block) {
        return Ok(Block::Part(Part::Other(block)));
    }
    let mut take = |field: &str| (block.shift_remove(field).unwrap_or_default(), format!("{at}.{field}"));
    Ok(match kind.as_str() {
        "" => return Err(RequestError::field(format!("{at}.type"), "must be a string")),
        "text" => {
            let (text, place) = take("text");
            let text = wire::text(text, place)?;
            block.shift_remove("type");
            Block::Part(Part::Text { text, rest: block })
        }
        "image" => {
            let (source, place) = take("source");
            let image = read_image(source, &place)?;
            block.shift_remove("type");
            Block::Part(Part::Image { image, options: Map::new(), rest: block })
        }
        "thinking" | "redacted_thinking" => Block::Part(Part::Thinking(block)),
        "tool_use" => {
            let (id, place) = take("id");
            let id = wire::text(id, place)?;
            let (name, place) = take("name");
            let name = wire::text(name, place)?;
            let (input, place) = take("input");
            let input = if input.is_null() { Map::new() } else { wire::object(input, place)? };
            Block::Call(ToolCall { id: Some(id), name, arguments: Arguments::Object(input) })
        }
        "tool_result" => {
            let (id, place) = take("tool_use_id");
            let id = wire::text(id, place)?;
            let (content, place) = take("content");
            let content = read_result(content, &place)?;
            block.shift_remove("type");
            let tool_call_id = Some(id);
            Block::Result(Box::new(Message { content, tool_call_id, rest: block, ..Message::text(Role::Tool, "") }))
        }
        _ => {
            if has_address(&block) {
                let problem = "must not be at an address; documents are not fetched, send the document itself";
                return Err(RequestError::field(format!("{at}.source"), problem));
            }
            Block::Part(Part::Other(block))
        }
    })
}

/// Whether a source in the block, at any depth, is one that the server would have to fetch. Addresses that a search
/// found, or that a tool was called with, stand in blocks as well and are mere text.
fn has_address(block: &Map<String, Value>) -> bool {
    fn is_inside(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(is_inside),
            Value::Object(map) => has_address(map),
            _ => false,
        }
    }
    let is_address = block.get("type").is_some_and(|kind| kind == "url");
    is_address || block.get("source").is_some_and(|it| it.get("url").is_some()) || block.values().any(is_inside)
}

fn read_result(value: Value, at: &str) -> Result<Content, RequestError> {
    match value {
        Value::Null => Ok(Content::Text(String::new())),
        Value::String(text) => Ok(Content::Text(text)),
        Value::Array(blocks) => {
            let read = |(index, block)| {
                let at = format!("{at}[{index}]");
                match read_block(block, &at)? {
                    Block::Part(part) => Ok(part),
                    _ => Err(RequestError::field(format!("{at}.type"), "cannot stand in the result of a tool")),
                }
            };
            Ok(Content::Parts(blocks.into_iter().enumerate().map(read).collect::<Result<_, _>>()?))
        }
        _ => Err(RequestError::field(at, "must be a string or an array of blocks")),
    }
}

/// A picture that was uploaded to the server before: only that server knows it.
fn source_is_file(block: &Map<String, Value>) -> bool {
    block.get("source").and_then(|source| source.get("type")).and_then(Value::as_str) == Some("file")
}

fn read_image(value: Value, at: &str) -> Result<Image, RequestError> {
    let mut source = wire::object(value, at)?;
    let mut take = |field: &str| (source.shift_remove(field).unwrap_or_default(), format!("{at}.{field}"));
    let (kind, place) = take("type");
    match kind.as_str() {
        Some("base64") => {}
        // An address would have to be fetched by the model server, from wherever that stands: a way into its network.
        Some("url") => {
            let problem = "must be \"base64\"; pictures at other addresses are not fetched, send the picture itself";
            return Err(RequestError::field(place, problem));
        }
        _ => return Err(RequestError::field(place, "must be \"base64\"")),
    }
    let (media_type, place) = take("media_type");
    let media_type = wire::text(media_type, place.as_str())?;
    // Checked because both become parts of a URL for servers of the OpenAI kind.
    if !media_type.strip_prefix("image/").is_some_and(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return Err(RequestError::field(place, "must be the type of an image, such as \"image/png\""));
    }
    let (data, place) = take("data");
    let base64 = wire::text(data, place.as_str())?;
    if !wire::is_base64(&base64) {
        return Err(RequestError::field(place, "must be base64"));
    }
    Ok(Image::Typed { media_type, base64 })
}

/// Puts each tool into OpenAI's form; those that Anthropic runs by itself stay as they are.
fn read_tools(value: Value) -> Result<Option<Value>, RequestError> {
    let Some(Value::Array(tools)) = wire::tools(value)? else { return Ok(None) };
    let read = |(index, tool)| {
        let Value::Object(mut tool) = tool else { return Ok(tool) };
        if tool.get("type").is_some_and(|kind| !matches!(kind.as_str(), None | Some("custom"))) {
            return Ok(Value::Object(tool));
        }
        tool.shift_remove("type");
        let name = tool.shift_remove("name").unwrap_or_default();
        let name = wire::text(name, format!("tools[{index}].name"))?;
        let schema = tool.shift_remove("input_schema").unwrap_or_default();
        let schema = wire::object(schema, format!("tools[{index}].input_schema"))?;
        let mut function = Map::with_capacity(3);
        function.insert("name".to_owned(), Value::String(name));
        if let Some(description) = tool.shift_remove("description") {
            function.insert("description".to_owned(), description);
        }
        function.insert("parameters".to_owned(), Value::Object(schema));
        let mut whole = Map::with_capacity(tool.len() + 2);
        whole.insert("type".to_owned(), "function".into());
        whole.insert("function".to_owned(), Value::Object(function));
        whole.extend(tool);
        Ok(Value::Object(whole))
    };
    let tools = tools.into_iter().enumerate().map(read).collect::<Result<_, RequestError>>()?;
    Ok(Some(Value::Array(tools)))
}

/// The choice in OpenAI's form, and whether several tools may be called at once.
fn read_tool_choice(value: Value) -> Result<(Option<Value>, Option<bool>), RequestError> {
    if value.is_null() {
        return Ok((None, None));
    }
    let choice = wire::object(value, "tool_choice")?;
    let serial = choice.get("disable_parallel_tool_use").unwrap_or(&Value::Null);
    let serial = wire::flag(serial, "tool_choice.disable_parallel_tool_use")?;
    let wanted = match choice.get("type").and_then(Value::as_str) {
        Some("auto") => Value::from("auto"),
        Some("any") => Value::from("required"),
        Some("none") => Value::from("none"),
        Some("tool") => {
            let name = choice.get("name").cloned().unwrap_or_default();
            json!({"type": "function", "function": {"name": wire::text(name, "tool_choice.name")?}})
        }
        _ => return Err(RequestError::field("tool_choice.type", "must be auto, any, tool or none")),
    };
    Ok((Some(wanted), serial.map(|serial| !serial)))
}

/// `effort` is what `output_config` said already.
fn read_thinking(value: &Value, effort: Option<Think>) -> Result<Think, RequestError> {
    match value.get("type").and_then(Value::as_str) {
        Some("disabled") => Ok(Think::Off),
        Some("adaptive") => Ok(effort.unwrap_or(Think::On)),
        Some("enabled") => {
            let budget = value.get("budget_tokens").unwrap_or(&Value::Null);
            let budget = wire::integer(budget, "thinking.budget_tokens", 1, wire::TOKENS_MAX)?;
            Ok(budget.map_or(Think::On, |budget| Think::Effort(effort_of(budget).to_owned())))
        }
        _ => Err(RequestError::field("thinking.type", "must be enabled, adaptive or disabled")),
    }
}

fn read_output_config(request: &mut ChatRequest, value: &Value) -> Result<(), RequestError> {
    let config = value.as_object().ok_or_else(|| RequestError::field("output_config", "must be an object"))?;
    if let Some(format) = config.get("format") {
        request.format = read_format(format, "output_config.format")?;
    }
    let effort = wire::text_or_null(config.get("effort").cloned().unwrap_or_default(), "output_config.effort")?;
    // The effort alone does not ask for thoughts; it tells how hard to think where they are asked for.
    if let (Some(effort), Some(Think::On) | None) = (effort, &request.think) {
        request.think = Some(Think::Effort(effort));
    }
    Ok(())
}

fn read_format(value: &Value, at: &str) -> Result<Option<Format>, RequestError> {
    if value.is_null() {
        return Ok(None);
    }
    if value.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(RequestError::field(format!("{at}.type"), "must be \"json_schema\""));
    }
    let schema = value.get("schema").filter(|schema| schema.is_object()).cloned();
    let missing = || RequestError::field(format!("{at}.schema"), "must be an object");
    Ok(Some(Format::Schema { schema: schema.ok_or_else(missing)?, rest: Map::new() }))
}
