//! Reads a request of OpenAI's completions.

use serde_json::Value;

use super::super::parse::{include_usage, read_format, read_sampling};
use crate::json::{self, JsonLimits, refuse_lookalike};
use crate::{ChatRequest, Prompt, RequestError, Template, Think, wire};

/// The fields of a request that we act on, and therefore write ourselves.
pub(super) const KNOWN: &[&str] = &[
    "model",
    "prompt",
    "suffix",
    "echo",
    "n",
    "best_of",
    "logprobs",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
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
    "reasoning_effort",
    "response_format",
];

/// Reads the body of `POST /v1/completions`.
pub fn parse(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest::default();
    let mut prompt = Prompt { template: Template::Servers, ..Prompt::default() };
    let mut model = None;
    let mut text = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "prompt" => text = Some(read_prompt(value)?),
            "suffix" => prompt.suffix = wire::text_or_null(value, "suffix")?.filter(|suffix| !suffix.is_empty()),
            "echo" => prompt.echo = wire::flag(&value, "echo")?.unwrap_or_default(),
            "n" | "best_of" => one_only(&value, &key)?,
            "logprobs" => {
                let alternatives = wire::integer(&value, "logprobs", 0, 20)?;
                request.logprobs = alternatives.is_some();
                request.top_logprobs = alternatives.map(|count| count as u8);
            }
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or_default(),
            "stream_options" => request.include_usage = include_usage(&value)?,
            "reasoning_effort" => {
                request.think = wire::text_or_null(value, "reasoning_effort")?.map(Think::from_effort);
            }
            "response_format" => request.format = read_format(value)?,
            _ => {
                if !read_sampling(&mut request.sampling, &key, &value)? {
                    refuse_lookalike(&key, KNOWN, "")?;
                    request.rest.insert(key, value);
                }
            }
        }
    }
    request.model = wire::model(model)?;
    prompt.text = text.ok_or_else(|| RequestError::field("prompt", "is missing"))?;
    request.prompt = Some(prompt);
    Ok(request)
}

/// One text. Tokens are refused because they mean something in one model's vocabulary only, and which model answers is
/// not the client's to know.
fn read_prompt(value: Value) -> Result<String, RequestError> {
    let unsupported = |message: &str| Err(RequestError::Unsupported(message.to_owned()));
    let text = match value {
        Value::String(text) => text,
        Value::Array(mut items) => match (items.pop(), items.is_empty()) {
            (Some(Value::String(text)), true) => text,
            (Some(Value::String(_)), false) => {
                return unsupported(
                    "prompt must be one text: this gateway gives one answer per request, send the request again for \
                     more",
                );
            }
            (Some(Value::Number(_) | Value::Array(_)), _) => {
                return unsupported("prompt must be text: this gateway takes no token arrays, send the text itself");
            }
            _ => return Err(RequestError::field("prompt", "must be a string or an array of one string")),
        },
        _ => return Err(RequestError::field("prompt", "must be a string or an array of one string")),
    };
    if text.is_empty() {
        return Err(RequestError::field("prompt", "must not be empty"));
    }
    Ok(text)
}

fn one_only(value: &Value, field: &str) -> Result<(), RequestError> {
    match wire::integer(value, field, 1, 1024)? {
        Some(2..) => Err(RequestError::Unsupported(format!(
            "{field} must be 1: this gateway gives one answer per request, send the request again for more"
        ))),
        _ => Ok(()),
    }
}
