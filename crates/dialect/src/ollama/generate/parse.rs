//! Reads a request of Ollama's generate.

use serde_json::Value;

use super::super::parse::{read_format, read_images, read_keep_alive, read_options, read_think};
use crate::json::{self, JsonLimits, refuse_lookalike};
use crate::{ChatRequest, Prompt, RequestError, Shape, Template, wire};

const KNOWN: &[&str] = &[
    "model",
    "prompt",
    "suffix",
    "system",
    "template",
    "raw",
    "images",
    "context",
    "stream",
    "format",
    "think",
    "options",
    "keep_alive",
    "truncate",
    "shift",
    "logprobs",
    "top_logprobs",
];

/// Reads the body of `POST /api/generate`. A stream is the default here.
pub fn parse(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest { stream: true, family: Shape::Ollama, ..ChatRequest::default() };
    let mut prompt = Prompt { template: Template::Model, ..Prompt::default() };
    let mut model = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "prompt" => prompt.text = wire::text_or_null(value, "prompt")?.unwrap_or_default(),
            "suffix" => prompt.suffix = some_text(value, "suffix")?,
            "system" => prompt.system = some_text(value, "system")?,
            "template" => prompt.own_template = some_text(value, "template")?,
            "raw" => {
                if wire::flag(&value, "raw")? == Some(true) {
                    prompt.template = Template::Raw;
                }
            }
            "images" | "options" if value.is_null() => {}
            "images" => prompt.images = read_images(value, "images")?,
            "context" => prompt.context = read_context(value)?,
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or(true),
            "format" => request.format = read_format(value)?,
            "think" => request.think = read_think(value)?,
            "options" => request.sampling = read_options(wire::object(value, "options")?)?,
            "keep_alive" => request.keep_alive = read_keep_alive(value)?,
            "truncate" => request.truncate = wire::flag(&value, "truncate")?,
            // It configures the runner, as in a chat.
            "shift" => drop(wire::flag(&value, "shift")?),
            "logprobs" => request.logprobs = wire::flag(&value, "logprobs")?.unwrap_or_default(),
            "top_logprobs" => request.top_logprobs = wire::integer(&value, "top_logprobs", 0, 20)?.map(|n| n as u8),
            _ => {
                refuse_lookalike(&key, KNOWN, "")?;
                request.rest.insert(key, value);
            }
        }
    }
    let shaped = prompt.system.is_some() || prompt.own_template.is_some() || prompt.context.is_some();
    if prompt.template == Template::Raw && shaped {
        return Err(RequestError::field("raw", "cannot be used with system, template or context"));
    }
    request.model = wire::model(model)?;
    request.prompt = Some(prompt);
    Ok(request)
}

/// A text, or nothing: Ollama takes an empty one for none.
fn some_text(value: Value, field: &str) -> Result<Option<String>, RequestError> {
    Ok(wire::text_or_null(value, field)?.filter(|text| !text.is_empty()))
}

fn read_context(value: Value) -> Result<Option<Value>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::Array(tokens) if tokens.is_empty() => Ok(None),
        Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Ok(Some(Value::Array(tokens))),
        _ => Err(RequestError::field("context", "must be an array of tokens, as an earlier answer had it")),
    }
}
