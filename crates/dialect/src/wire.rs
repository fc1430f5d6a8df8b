//! Pieces that several dialects need: typed access to JSON fields, tool calls put together from their deltas, model names.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::json::{self, Object};
use crate::{
    Arguments, Event, FinishReason, JsonLimits, Message, RequestError, Role, Sampling, ServerDefaults, Usage, ollama,
};

/// Most bytes of one tool call's arguments, and of all calls together that a stream's encoder holds until they are whole.
pub const TOOL_ARGUMENTS_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a tool call's arguments.
const ARGUMENTS_DEPTH_MAX: usize = 64;
/// Longest model name in bytes.
pub(crate) const MODEL_BYTES_MAX: usize = 256;
/// Most tokens that a client may ask for.
pub(crate) const TOKENS_MAX: i64 = i32::MAX as i64;

/// Where an expected type is missing: `field` is asked for only when it is.
fn wrong<T>(field: impl Into<String>, expected: &str) -> Result<T, RequestError> {
    Err(RequestError::field(field, format!("must be {expected}")))
}

pub(crate) fn text(value: Value, field: impl Into<String>) -> Result<String, RequestError> {
    match value {
        Value::String(text) => Ok(text),
        _ => wrong(field, "a string"),
    }
}

pub(crate) fn text_or_null(value: Value, field: impl Into<String>) -> Result<Option<String>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => wrong(field, "a string"),
    }
}

pub(crate) fn flag(value: &Value, field: &str) -> Result<Option<bool>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        _ => wrong(field, "true or false"),
    }
}

pub(crate) fn number(value: &Value, field: &str) -> Result<Option<f64>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        _ => wrong(field, "a number"),
    }
}

pub(crate) fn integer(value: &Value, field: &str, min: i64, max: i64) -> Result<Option<i64>, RequestError> {
    if value.is_null() {
        return Ok(None);
    }
    // Some clients write 4096.0; beyond 2^53 a float is no count any more.
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    let found = value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(whole));
    match found {
        Some(found) if (min..=max).contains(&found) => Ok(Some(found)),
        _ => wrong(field, &format!("a whole number from {min} to {max}")),
    }
}

pub(crate) fn object(value: Value, field: impl Into<String>) -> Result<Map<String, Value>, RequestError> {
    match value {
        Value::Object(map) => Ok(map),
        _ => wrong(field, "an object"),
    }
}

pub(crate) fn list(value: Value, field: impl Into<String>) -> Result<Vec<Value>, RequestError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => wrong(field, "an array"),
    }
}

/// `stop`: one string or several.
pub(crate) fn stops(value: Value, field: &str) -> Result<Vec<String>, RequestError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(stop) => Ok(vec![stop]),
        Value::Array(items) => items.into_iter().map(|item| text(item, field)).collect(),
        _ => wrong(field, "a string or an array of strings"),
    }
}

pub(crate) fn tools(value: Value) -> Result<Option<Value>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) if items.is_empty() => Ok(None),
        Value::Array(items) if items.iter().all(Value::is_object) => Ok(Some(Value::Array(items))),
        _ => wrong("tools", "an array of objects"),
    }
}

/// The client's choice of tokens, with what the configuration says where the client says nothing. What configures the
/// runner of an Ollama server is not among it.
pub(crate) fn with_defaults<'a>(sampling: &'a Sampling, defaults: &ServerDefaults) -> Cow<'a, Sampling> {
    if defaults.options.is_empty() {
        return Cow::Borrowed(sampling);
    }
    // The configuration is checked where it is read; what is wrong in it all the same says nothing.
    let Ok(configured) = ollama::read_options(defaults.options.clone()) else { return Cow::Borrowed(sampling) };
    let mut merged = sampling.clone();
    merged.fill(configured);
    Cow::Owned(merged)
}

/// A model's name: present, short, printable.
pub(crate) fn model(name: Option<String>) -> Result<String, RequestError> {
    match name {
        None => Err(RequestError::field("model", "is missing")),
        Some(name) if name.is_empty() || name.len() > MODEL_BYTES_MAX || name.chars().any(char::is_control) => {
            wrong("model", &format!("a name of 1 to {MODEL_BYTES_MAX} printable bytes"))
        }
        Some(name) => Ok(name),
    }
}

/// An Anthropic client's tools without what other servers do not know; an error where its server was to run one itself.
pub(crate) fn write_functions(out: &mut Vec<u8>, tools: &Value) -> Result<(), RequestError> {
    let tools = tools.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(foreign) = tools.iter().position(|tool| tool["type"] != "function") {
        let kind: String = tools[foreign]["type"].as_str().unwrap_or_default().chars().take(40).collect();
        let problem = format!("{kind:?} is run by Anthropic itself, this model's server has no such tool");
        return Err(RequestError::Unsupported(format!("tools[{foreign}].type {problem}")));
    }
    json::array(out, tools, |out, tool| {
        let mut body = Object::open(out);
        body.put("type", "function");
        body.put("function", &tool["function"]);
        body.close();
    });
    Ok(())
}

/// Whether `text` is base64 that may become part of a URL.
pub(crate) fn is_base64(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    !text.is_empty() && text.bytes().all(fits)
}

/// The arguments of a tool call as an object; `message` and `call` tell where they stand.
pub(crate) fn arguments(
    arguments: &Arguments,
    message: usize,
    call: usize,
) -> Result<Cow<'_, Map<String, Value>>, RequestError> {
    match arguments {
        Arguments::Object(map) => Ok(Cow::Borrowed(map)),
        Arguments::Text(text) if text.trim().is_empty() => Ok(Cow::Owned(Map::new())),
        Arguments::Text(text) => json::object(text.as_bytes(), ARGUMENTS_DEPTH_MAX).map(Cow::Owned).map_err(|error| {
            let at = format!("messages[{message}].tool_calls[{call}].function.arguments");
            RequestError::field(at, format!("must be a JSON object: {error}"))
        }),
    }
}

/// The ids that each message needs: one per tool call, or the one that a tool's result answers.
///
/// Ollama lets calls and results go without ids, the others do not: the missing ones are numbered, and a result without
/// one answers the first unanswered call of its tool.
pub(crate) fn tool_ids(messages: &[Message]) -> Vec<Vec<Cow<'_, str>>> {
    let mut next = 0;
    let mut open: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        let mut ids = Vec::new();
        for call in &message.tool_calls {
            let id = call.id.as_deref().map_or_else(|| Cow::Owned(format!("call_{next}")), Cow::Borrowed);
            next += 1;
            open.push((&call.name, id.clone()));
            ids.push(id);
        }
        if message.role == Role::Tool {
            let told = message.tool_call_id.as_deref();
            let answers = |(name, id): &(&str, Cow<str>)| match told {
                Some(told) => told == id,
                None => message.name.as_deref().is_none_or(|wanted| wanted == *name),
            };
            let answered = open.iter().position(answers).map(|found| open.remove(found).1);
            ids.extend(told.map(Cow::Borrowed).or(answered));
        }
        all.push(ids);
    }
    all
}

/// The text of a JSON string, or the JSON itself where a lax server sends an object instead of a string of JSON.
pub(crate) fn text_of(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| match raw.get() {
        "null" => String::new(),
        json => json.to_owned(),
    })
}

/// What a server says in an `error` field: a string, or an object with a `message`.
pub(crate) fn error_text(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Object(map) => match map.get("message") {
            Some(Value::String(text)) => text.clone(),
            _ => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// Whether the arguments of a call are a JSON object; none at all stand for an empty one.
pub(crate) fn is_object(arguments: &str) -> bool {
    let arguments = arguments.trim();
    arguments.is_empty() || (arguments.starts_with('{') && serde_json::from_str::<IgnoredAny>(arguments).is_ok())
}

/// One tool call put together from its pieces.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WholeCall {
    pub(crate) index: u32,
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Adds one piece to the call that it belongs to.
pub(crate) fn gather(calls: &mut Vec<WholeCall>, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) {
    let Some(call) = calls.iter_mut().find(|call| call.index == index) else {
        calls.push(WholeCall {
            index,
            id: id.map(str::to_owned),
            name: name.unwrap_or_default().to_owned(),
            arguments: arguments.to_owned(),
        });
        return;
    };
    call.arguments.push_str(arguments);
    if call.id.is_none() {
        call.id = id.map(str::to_owned);
    }
    if call.name.is_empty() {
        name.unwrap_or_default().clone_into(&mut call.name);
    }
}

/// What a client is told when a model's tool calls exceed [`TOOL_ARGUMENTS_BYTES_MAX`].
pub(crate) const CALL_TOO_LARGE: &str = "the model made a tool call that is too large";

/// Tool calls that a stream's encoder holds back until they are whole.
#[derive(Debug, Default)]
pub(crate) struct HeldCalls {
    calls: Vec<WholeCall>,
    bytes: usize,
}

impl HeldCalls {
    /// Adds a piece to its call; false where that is more than may be held.
    pub(crate) fn add(&mut self, index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> bool {
        let overhead = if self.calls.iter().any(|call| call.index == index) { 0 } else { size_of::<WholeCall>() };
        self.bytes += overhead + id.map_or(0, str::len) + name.map_or(0, str::len) + arguments.len();
        if self.bytes > TOOL_ARGUMENTS_BYTES_MAX {
            return false;
        }
        gather(&mut self.calls, index, id, name, arguments);
        true
    }

    /// Whether a piece of call `index` begins another call than those that are held, and these are all whole.
    pub(crate) fn are_over(&self, index: u32) -> bool {
        let is_over =
            |call: &WholeCall| call.index != index && !call.arguments.is_empty() && is_object(&call.arguments);
        !self.calls.is_empty() && self.calls.iter().all(is_over)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<WholeCall> {
        self.bytes = 0;
        std::mem::take(&mut self.calls)
    }
}

/// A finished answer, gathered from its events for clients that want it whole.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) calls: Vec<WholeCall>,
    pub(crate) logprobs: Vec<Value>,
    pub(crate) context: Option<Vec<u32>>,
    pub(crate) finish: Option<FinishReason>,
    pub(crate) usage: Option<Usage>,
}

impl Whole {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut whole = Self::default();
        for event in events {
            match event {
                Event::Text(text) => whole.text.push_str(text),
                Event::Thinking(text) => whole.thinking.push_str(text),
                Event::Logprobs(Value::Array(items)) => whole.logprobs.extend_from_slice(items),
                Event::ToolCall { index, id, name, arguments } => {
                    gather(&mut whole.calls, *index, id.as_deref(), name.as_deref(), arguments);
                }
                Event::Context(tokens) => whole.context = Some(tokens.clone()),
                Event::Finish(reason) => whole.finish = Some(reason.clone()),
                Event::Usage(usage) => whole.usage = Some(*usage),
                _ => {}
            }
        }
        whole
    }
}

/// What the first piece of an answer says about the server; read once per answer, skipped afterwards.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Head {
    pub(crate) id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) created: Option<i64>,
}

impl Head {
    pub(crate) fn event(json: &[u8]) -> Event {
        let head: Self = serde_json::from_slice(json).unwrap_or_default();
        Event::Start { id: head.id, model: head.model, created: head.created }
    }
}
/// The `messages` of a request, each read by its dialect; at least one, and no more than allowed.
pub(crate) fn messages(
    value: Value,
    limits: &JsonLimits,
    read: fn(Value, usize) -> Result<Message, RequestError>,
) -> Result<Vec<Message>, RequestError> {
    let items = list(value, "messages")?;
    if items.is_empty() {
        return Err(RequestError::field("messages", "must have at least one message"));
    }
    if items.len() > limits.messages {
        return Err(RequestError::TooManyMessages { found: items.len(), max: limits.messages });
    }
    items.into_iter().enumerate().map(|(index, item)| read(item, index)).collect()
}
