//! Reads an OpenAI chat request.

use serde_json::{Map, Value};

use crate::json::{self, JsonLimits, refuse_lookalike};
use crate::wire;
use crate::{
    Arguments, ChatRequest, Content, Format, Image, Message, Part, RequestError, Role, Sampling, Think, Thinking,
    ToolCall, ability, ollama,
};

/// The fields of a request that we act on, and therefore write ourselves.
pub(super) const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repeat_penalty",
    "repetition_penalty",
    "typical_p",
    "repeat_last_n",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "logprobs",
    "top_logprobs",
];

/// The fields of a message that we act on.
const KNOWN_IN_MESSAGE: &[&str] =
    &["role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content"];

/// Reads the body of `POST /v1/chat/completions`.
pub fn parse_chat(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest::default();
    let mut model = None;
    let mut messages = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "messages" => messages = Some(wire::messages(value, limits, read_message)?),
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or_default(),
            "stream_options" => request.include_usage = include_usage(&value)?,
            "tools" => request.tools = wire::tools(value)?,
            "tool_choice" => request.tool_choice = Some(value).filter(|value| !value.is_null()),
            "parallel_tool_calls" => request.parallel_tool_calls = wire::flag(&value, "parallel_tool_calls")?,
            "response_format" => request.format = read_format(value)?,
            "reasoning_effort" => {
                request.think = wire::text_or_null(value, "reasoning_effort")?.map(Think::from_effort);
            }
            "reasoning" => {
                // The newer place of the effort; kept whole for servers that know it.
                let effort = value.get("effort").and_then(Value::as_str);
                if let (None, Some(effort)) = (&request.think, effort) {
                    request.think = Some(Think::from_effort(effort.to_owned()));
                }
                request.rest.insert(key, value);
            }
            "logprobs" => request.logprobs = wire::flag(&value, "logprobs")?.unwrap_or_default(),
            "top_logprobs" => request.top_logprobs = wire::integer(&value, "top_logprobs", 0, 20)?.map(|n| n as u8),
            "n" => {
                if wire::integer(&value, "n", 1, 1024)?.is_some_and(|choices| choices > 1) {
                    return Err(RequestError::Unsupported(
                        "n must be 1: this gateway gives one answer per request, send the request again for more"
                            .to_owned(),
                    ));
                }
            }
            _ => {
                if !read_sampling(&mut request.sampling, &key, &value)?
                    && !read_servers_own(&mut request, &key, &value)?
                {
                    refuse_lookalike(&key, KNOWN, "")?;
                    request.rest.insert(key, value);
                }
            }
        }
    }
    request.model = wire::model(model)?;
    request.messages = messages.ok_or_else(|| RequestError::field("messages", "is missing"))?;
    Ok(request)
}

impl Think {
    pub(super) fn from_effort(effort: String) -> Self {
        if effort == "none" { Self::Off } else { Self::Effort(effort) }
    }
}

/// Takes the field if it is a model server's own word for something that is read elsewhere, or that the configuration
/// alone decides: clients write Ollama's in OpenAI's bodies, where Ollama itself reads none of them.
pub(super) fn read_servers_own(request: &mut ChatRequest, key: &str, value: &Value) -> Result<bool, RequestError> {
    match key {
        "options" if value.is_null() => {}
        "options" => request.sampling.fill(ollama::read_options(wire::object(value.clone(), "options")?)?),
        "num_ctx" => {
            let asked = wire::integer(value, "num_ctx", 1, ollama::NUM_CTX_MAX)?;
            request.sampling.num_ctx = asked.map(|tokens| tokens as u32);
        }
        "keep_alive" => request.keep_alive = ollama::read_keep_alive(value.clone())?,
        "think" => request.think = request.think.take().or(ollama::read_think(value.clone())?),
        "chat_template" if !value.is_null() => {
            return Err(RequestError::field("chat_template", "is not accepted: the template belongs to the model"));
        }
        "chat_template" => {}
        "chat_template_kwargs" => {
            // The switch of vLLM's and SGLang's templates, for servers that have another one.
            let switch = ["enable_thinking", "thinking"].iter().find_map(|name| value.get(name)?.as_bool());
            if let (None, Some(on)) = (&request.think, switch) {
                request.think = Some(if on { Think::On } else { Think::Off });
            }
            return Ok(false);
        }
        name => return Ok(ollama::RUNNER_OPTIONS.contains(&name)),
    }
    Ok(true)
}

/// Takes the field if it is one of the sampling ones.
pub(super) fn read_sampling(sampling: &mut Sampling, key: &str, value: &Value) -> Result<bool, RequestError> {
    let tokens = |value| wire::integer(value, key, 1, wire::TOKENS_MAX).map(|n| n.map(|n| n as u32));
    match key {
        "temperature" => sampling.temperature = wire::number(value, key)?,
        "top_p" => sampling.top_p = wire::number(value, key)?,
        "max_tokens" => sampling.max_tokens = tokens(value)?,
        "max_completion_tokens" => sampling.max_completion_tokens = tokens(value)?,
        "seed" => sampling.seed = wire::integer(value, key, i64::MIN, i64::MAX)?,
        "stop" => sampling.stop = wire::stops(value.clone(), key)?,
        "presence_penalty" => sampling.presence_penalty = wire::number(value, key)?,
        "frequency_penalty" => sampling.frequency_penalty = wire::number(value, key)?,
        "top_k" => sampling.top_k = wire::integer(value, key, -1, i64::from(i32::MAX))?,
        "min_p" => sampling.min_p = wire::number(value, key)?,
        "repeat_penalty" | "repetition_penalty" => {
            sampling.repeat_penalty = wire::number(value, key)?.or(sampling.repeat_penalty);
        }
        name if ability::SHARED_OPTIONS.contains(&name) => {
            if wire::number(value, key)?.is_some() {
                sampling.options.insert(name.to_owned(), value.clone());
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn include_usage(options: &Value) -> Result<bool, RequestError> {
    match options {
        Value::Null => Ok(false),
        Value::Object(map) => {
            let asked = map.get("include_usage").unwrap_or(&Value::Null);
            Ok(wire::flag(asked, "stream_options.include_usage")?.unwrap_or_default())
        }
        _ => Err(RequestError::field("stream_options", "must be an object")),
    }
}

pub(super) fn read_format(value: Value) -> Result<Option<Format>, RequestError> {
    if value.is_null() {
        return Ok(None);
    }
    let mut map = wire::object(value, "response_format")?;
    Ok(Some(match map.get("type").and_then(Value::as_str) {
        Some("text") => Format::Text,
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            let wrapper = map.shift_remove("json_schema").unwrap_or_default();
            let mut rest = wire::object(wrapper, "response_format.json_schema")?;
            let schema = rest.shift_remove("schema").filter(Value::is_object);
            let missing = || RequestError::field("response_format.json_schema.schema", "must be an object");
            Format::Schema { schema: schema.ok_or_else(missing)?, rest }
        }
        Some(_) => Format::Other(Value::Object(map)),
        None => return Err(RequestError::field("response_format.type", "must be a string")),
    }))
}

fn read_message(value: Value, index: usize) -> Result<Message, RequestError> {
    let at = |field: &str| format!("messages[{index}].{field}");
    let mut role = None;
    let mut message = Message::text(Role::User, "");
    message.content = Content::Null;
    for (key, value) in wire::object(value, format!("messages[{index}]"))? {
        match key.as_str() {
            "role" => {
                let name = value.as_str().and_then(Role::from_name);
                let known = || RequestError::field(at("role"), "must be system, developer, user, assistant or tool");
                role = Some(name.ok_or_else(known)?);
            }
            "content" => message.content = read_content(value, index)?,
            "name" => message.name = wire::text_or_null(value, at("name"))?,
            "tool_call_id" => message.tool_call_id = wire::text_or_null(value, at("tool_call_id"))?,
            "tool_calls" if value.is_null() => {}
            "tool_calls" => {
                let calls = wire::list(value, at("tool_calls"))?;
                message.tool_calls = calls
                    .into_iter()
                    .enumerate()
                    .map(|(call, value)| read_tool_call(value, &format!("messages[{index}].tool_calls[{call}]")))
                    .collect::<Result<_, _>>()?;
            }
            "reasoning" | "reasoning_content" if value.is_string() || value.is_null() => {
                let field = if key == "reasoning" { "reasoning" } else { "reasoning_content" };
                if let Some(text) = wire::text_or_null(value, at(field))?.filter(|text| !text.is_empty()) {
                    message.thinking = Some(Thinking { text, field });
                }
            }
            // Some servers write an object there, and their clients send back what they got.
            "reasoning" | "reasoning_content" => {
                message.rest.insert(key, value);
            }
            _ => {
                refuse_lookalike(&key, KNOWN_IN_MESSAGE, &at(""))?;
                message.rest.insert(key, value);
            }
        }
    }
    message.role = role.ok_or_else(|| RequestError::field(at("role"), "is missing"))?;
    Ok(message)
}

fn read_content(value: Value, index: usize) -> Result<Content, RequestError> {
    let at = || format!("messages[{index}].content");
    match value {
        Value::Null => Ok(Content::Null),
        Value::String(text) => Ok(Content::Text(text)),
        Value::Array(parts) => {
            let read = |(part, value)| read_part(value, &format!("messages[{index}].content[{part}]"));
            Ok(Content::Parts(parts.into_iter().enumerate().map(read).collect::<Result<_, _>>()?))
        }
        _ => Err(RequestError::field(at(), "must be a string, an array of parts or null")),
    }
}

fn read_part(value: Value, at: &str) -> Result<Part, RequestError> {
    let mut rest = wire::object(value, at)?;
    let mut take = |field: &str| (rest.shift_remove(field).unwrap_or_default(), format!("{at}.{field}"));
    let (kind, place) = take("type");
    let kind = wire::text(kind, place)?;
    match kind.as_str() {
        "text" => {
            let (text, place) = take("text");
            Ok(Part::Text { text: wire::text(text, place)?, rest })
        }
        "image_url" => {
            let (value, place) = take("image_url");
            // Some clients write the URL itself where the object should be.
            let (url, options) = match value {
                Value::String(url) => (url, Map::new()),
                value => {
                    let mut options = wire::object(value, place.as_str())?;
                    let url = options.shift_remove("url").unwrap_or_default();
                    (wire::text(url, format!("{place}.url"))?, options)
                }
            };
            Ok(Part::Image { image: read_image(url, &format!("{place}.url"))?, options, rest })
        }
        "input_audio" => {
            let (value, place) = take("input_audio");
            let (base64, options) = read_audio(value, &place)?;
            Ok(Part::Audio { base64, options, rest })
        }
        _ => {
            rest.insert("type".to_owned(), Value::String(kind));
            Ok(Part::Other(rest))
        }
    }
}

pub(super) fn read_image(url: String, at: &str) -> Result<Image, RequestError> {
    const MARK: &str = ";base64,";
    // An address would have to be fetched by the model server, from wherever that stands: a way into its network.
    let Some(data) = url.strip_prefix("data:") else {
        let problem = "must be a data: URL; pictures at other addresses are not fetched, send the picture itself";
        return Err(RequestError::field(at, problem));
    };
    let head = &data.as_bytes()[..data.len().min(100)];
    let mark = head.windows(MARK.len()).position(|window| window == MARK.as_bytes());
    match mark {
        Some(mark) => Ok(Image::DataUrl { base64_at: "data:".len() + mark + MARK.len(), url }),
        None => Err(RequestError::field(at, "must be a base64 data URL (data:image/png;base64,…)")),
    }
}

/// The sound and what is said about it.
pub(super) fn read_audio(value: Value, at: &str) -> Result<(String, Map<String, Value>), RequestError> {
    let mut options = wire::object(value, at)?;
    let base64 = wire::text(options.shift_remove("data").unwrap_or_default(), format!("{at}.data"))?;
    // Some servers take an address in its place, and would fetch it.
    if !wire::is_base64(&base64) {
        return Err(RequestError::field(format!("{at}.data"), "must be base64 without a data: prefix"));
    }
    Ok((base64, options))
}

fn read_tool_call(value: Value, at: &str) -> Result<ToolCall, RequestError> {
    let mut call = wire::object(value, at)?;
    let kind = call.get("type").and_then(Value::as_str).unwrap_or("function");
    if kind != "function" {
        return Err(RequestError::field(format!("{at}.type"), "must be \"function\""));
    }
    let id = wire::text_or_null(call.shift_remove("id").unwrap_or_default(), format!("{at}.id"))?;
    let function = call.shift_remove("function").unwrap_or_default();
    let mut function = wire::object(function, format!("{at}.function"))?;
    let name = wire::text(function.shift_remove("name").unwrap_or_default(), format!("{at}.function.name"))?;
    let arguments = match function.shift_remove("arguments").unwrap_or_default() {
        Value::Null => Arguments::Text(String::new()),
        Value::String(text) => Arguments::Text(text),
        Value::Object(map) => Arguments::Object(map),
        _ => return Err(RequestError::field(format!("{at}.function.arguments"), "must be a string of JSON")),
    };
    Ok(ToolCall { id, name, arguments })
}
