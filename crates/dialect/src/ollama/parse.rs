//! Reads an Ollama chat request.

use serde_json::{Map, Value};

use crate::json::{self, JsonLimits, refuse_lookalike};
use crate::middle::THINKING_FIELD;
use crate::wire;
use crate::{
    Arguments, ChatRequest, Content, Format, Image, Message, Part, RequestError, Role, Sampling, Shape, Think,
    Thinking, ToolCall,
};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "format",
    "keep_alive",
    "tools",
    "options",
    "think",
    "truncate",
    "shift",
    "logprobs",
    "top_logprobs",
];

pub(super) const KNOWN_IN_MESSAGE: &[&str] =
    &["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];

/// Options that configure the runner and not the answer: a client that sets one makes the server load the model anew
/// for everybody, so these belong to the configuration alone.
pub(crate) const RUNNER_OPTIONS: &[&str] = &[
    "num_batch",
    "num_gpu",
    "main_gpu",
    "use_mmap",
    "num_thread",
    "draft_num_predict",
    "use_mlock",
    "low_vram",
    "numa",
    "f16_kv",
    "vocab_only",
    "logits_all",
    "embedding_only",
];

/// Largest context that a client may ask for, in tokens.
pub(crate) const NUM_CTX_MAX: i64 = 1 << 22;

/// Reads the body of `POST /api/chat`. A stream is the default here.
pub fn parse_chat(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest { stream: true, family: Shape::Ollama, ..ChatRequest::default() };
    let mut model = None;
    let mut messages = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "messages" => messages = Some(wire::messages(value, limits, read_message)?),
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or(true),
            "format" => request.format = read_format(value)?,
            "keep_alive" => request.keep_alive = read_keep_alive(value)?,
            "tools" => request.tools = wire::tools(value)?,
            "options" if value.is_null() => {}
            "options" => request.sampling = read_options(wire::object(value, "options")?)?,
            "think" => request.think = read_think(value)?,
            "truncate" => request.truncate = wire::flag(&value, "truncate")?,
            // It configures the runner: Ollama loads the model anew for everybody where it differs.
            "shift" => drop(wire::flag(&value, "shift")?),
            "logprobs" => request.logprobs = wire::flag(&value, "logprobs")?.unwrap_or_default(),
            "top_logprobs" => request.top_logprobs = wire::integer(&value, "top_logprobs", 0, 20)?.map(|n| n as u8),
            _ => {
                refuse_lookalike(&key, KNOWN, "")?;
                request.rest.insert(key, value);
            }
        }
    }
    request.model = wire::model(model)?;
    request.messages = messages.ok_or_else(|| RequestError::field("messages", "is missing"))?;
    Ok(request)
}

pub(super) fn read_format(value: Value) -> Result<Option<Format>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::String(name) if name.is_empty() => Ok(None),
        Value::String(name) if name == "json" => Ok(Some(Format::Json)),
        schema @ Value::Object(_) => Ok(Some(Format::Schema { schema, rest: Map::new() })),
        _ => Err(RequestError::field("format", "must be \"json\" or a JSON schema")),
    }
}

pub(crate) fn read_keep_alive(value: Value) -> Result<Option<Value>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(_) | Value::String(_) => Ok(Some(value)),
        _ => Err(RequestError::field("keep_alive", "must be a number of seconds or a duration such as \"5m\"")),
    }
}

pub(crate) fn read_think(value: Value) -> Result<Option<Think>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(true) => Ok(Some(Think::On)),
        Value::Bool(false) => Ok(Some(Think::Off)),
        Value::String(effort) => Ok(Some(Think::Effort(effort))),
        _ => Err(RequestError::field("think", "must be true, false or an effort such as \"low\"")),
    }
}

pub(crate) fn read_options(options: Map<String, Value>) -> Result<Sampling, RequestError> {
    let mut sampling = Sampling::default();
    for (key, value) in options {
        let at = format!("options.{key}");
        match key.as_str() {
            "temperature" => sampling.temperature = wire::number(&value, &at)?,
            "top_p" => sampling.top_p = wire::number(&value, &at)?,
            "min_p" => sampling.min_p = wire::number(&value, &at)?,
            "presence_penalty" => sampling.presence_penalty = wire::number(&value, &at)?,
            "frequency_penalty" => sampling.frequency_penalty = wire::number(&value, &at)?,
            "repeat_penalty" => sampling.repeat_penalty = wire::number(&value, &at)?,
            "top_k" => sampling.top_k = wire::integer(&value, &at, -1, i64::from(i32::MAX))?,
            "seed" => sampling.seed = wire::integer(&value, &at, i64::MIN, i64::MAX)?,
            "stop" => sampling.stop = wire::stops(value, &at)?,
            "num_ctx" => sampling.num_ctx = wire::integer(&value, &at, 1, NUM_CTX_MAX)?.map(|n| n as u32),
            "num_predict" => {
                // Zero and below mean no limit of the client's own, which is the same as none.
                let limit = wire::integer(&value, &at, i64::from(i32::MIN), wire::TOKENS_MAX)?;
                sampling.max_tokens = limit.filter(|limit| *limit > 0).map(|limit| limit as u32);
            }
            name if RUNNER_OPTIONS.contains(&name) => {}
            _ => {
                sampling.options.insert(key, value);
            }
        }
    }
    Ok(sampling)
}

fn read_message(value: Value, index: usize) -> Result<Message, RequestError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let mut role = None;
    let mut images = Vec::new();
    let mut message = Message::text(Role::User, "");
    for (key, value) in wire::object(value, format!("messages[{index}]"))? {
        match key.as_str() {
            "role" => {
                let name = value.as_str().and_then(Role::from_name);
                let known = || RequestError::field(at("role"), "must be system, user, assistant or tool");
                role = Some(name.ok_or_else(known)?);
            }
            "content" => {
                let text = wire::text_or_null(value, at("content"))?;
                message.content = text.map_or(Content::Null, Content::Text);
            }
            "thinking" => {
                let text = wire::text_or_null(value, at("thinking"))?.filter(|text| !text.is_empty());
                message.thinking = text.map(|text| Thinking { text, field: THINKING_FIELD });
            }
            "images" | "tool_calls" if value.is_null() => {}
            "images" => images = read_images(value, &at("images"))?,
            "tool_calls" => {
                let calls = wire::list(value, at("tool_calls"))?;
                message.tool_calls = calls
                    .into_iter()
                    .enumerate()
                    .map(|(call, value)| read_tool_call(value, &format!("messages[{index}].tool_calls[{call}]")))
                    .collect::<Result<_, _>>()?;
            }
            "tool_name" => message.name = wire::text_or_null(value, at("tool_name"))?,
            "tool_call_id" => message.tool_call_id = wire::text_or_null(value, at("tool_call_id"))?,
            _ => {
                refuse_lookalike(&key, KNOWN_IN_MESSAGE, &at(""))?;
                message.rest.insert(key, value);
            }
        }
    }
    message.role = role.ok_or_else(|| RequestError::field(at("role"), "is missing"))?;
    if !images.is_empty() {
        let mut parts = Vec::with_capacity(images.len() + 1);
        if let Content::Text(text) = std::mem::replace(&mut message.content, Content::Null)
            && !text.is_empty()
        {
            parts.push(Part::Text { text, rest: Map::new() });
        }
        parts.extend(images.into_iter().map(|image| Part::Image { image, options: Map::new(), rest: Map::new() }));
        message.content = Content::Parts(parts);
    }
    Ok(message)
}

pub(super) fn read_images(value: Value, at: &str) -> Result<Vec<Image>, RequestError> {
    let items = wire::list(value, at)?;
    let read = |(index, item)| {
        let data = wire::text(item, format!("{at}[{index}]"))?;
        // Checked because it becomes part of a URL for servers of the OpenAI kind.
        if !wire::is_base64(&data) {
            return Err(RequestError::field(format!("{at}[{index}]"), "must be base64 without a data: prefix"));
        }
        Ok(Image::Base64(data))
    };
    items.into_iter().enumerate().map(read).collect()
}

fn read_tool_call(value: Value, at: &str) -> Result<ToolCall, RequestError> {
    let mut call = wire::object(value, at)?;
    let id = wire::text_or_null(call.shift_remove("id").unwrap_or_default(), format!("{at}.id"))?;
    let function = call.shift_remove("function").unwrap_or_default();
    let mut function = wire::object(function, format!("{at}.function"))?;
    let name = wire::text(function.shift_remove("name").unwrap_or_default(), format!("{at}.function.name"))?;
    let arguments = match function.shift_remove("arguments").unwrap_or_default() {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err(RequestError::field(format!("{at}.function.arguments"), "must be an object")),
    };
    Ok(ToolCall { id: id.filter(|id| !id.is_empty()), name, arguments: Arguments::Object(arguments) })
}
