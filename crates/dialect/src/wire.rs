//! Pieces that both dialects need: typed access to JSON fields, tool calls put together from their deltas, model names.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Event, FinishReason, JsonLimits, Message, RequestError, Usage};

/// Most bytes of one tool call's arguments that a stream's encoder holds until the call is whole.
pub const TOOL_ARGUMENTS_BYTES_MAX: usize = 1 << 20;
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

/// A finished answer, gathered from its events for clients that want it whole.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) calls: Vec<WholeCall>,
    pub(crate) logprobs: Vec<Value>,
    pub(crate) context: Option<Value>,
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
