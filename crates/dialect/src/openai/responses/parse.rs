//! Reads a request of the Responses API.

use serde_json::{Map, Value};

use super::super::parse::read_sampling;
use super::{items, tools};
use crate::json::{self, JsonLimits, refuse_lookalike};
use crate::{ChatRequest, Format, Message, RequestError, Role, Think, wire};

/// The fields of a request that we act on.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "max_output_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "include",
    "top_logprobs",
    "store",
    "truncation",
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
    "context_management",
    "moderation",
    "max_tool_calls",
    "prompt_cache_options",
];

/// What is refused wherever it is more than a stated default, and why.
const REFUSED: &[(&str, &str)] = &[
    ("previous_response_id", "this gateway stores no responses, send the whole conversation as input"),
    ("conversation", "this gateway stores no conversations, send the whole conversation as input"),
    ("prompt", "this gateway stores no prompt templates, send the text as instructions and input"),
    ("context_management", "this gateway compacts no conversations, leave it out"),
    ("moderation", "this gateway offers no moderation models, leave it out"),
];

/// What the answer repeats of its request, with what it says where the request does not.
const REPEATED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// Reads the body of `POST /v1/responses`.
pub fn parse(body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
    let fields = json::object(body, limits.depth)?;
    let mut request = ChatRequest { repeated: repeated(&fields), ..ChatRequest::default() };
    let mut model = None;
    let mut input = None;
    let mut instructions = None;
    let mut allowed = None;
    for (key, value) in fields {
        if let Some((_, reason)) = REFUSED.iter().find(|(field, _)| *field == key) {
            refuse(&key, &value, reason)?;
            continue;
        }
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "input" => input = Some(items::read(value, limits)?),
            "instructions" => instructions = wire::text_or_null(value, "instructions")?,
            "stream" => request.stream = wire::flag(&value, "stream")?.unwrap_or_default(),
            "background" => request.background = wire::flag(&value, "background")?.unwrap_or_default(),
            "max_output_tokens" => {
                let tokens = wire::integer(&value, "max_output_tokens", 1, wire::TOKENS_MAX)?;
                request.sampling.max_completion_tokens = tokens.map(|tokens| tokens as u32);
            }
            "tools" => request.tools = tools::read(value)?,
            "tool_choice" => (request.tool_choice, allowed) = tools::read_choice(value)?,
            "parallel_tool_calls" => request.parallel_tool_calls = wire::flag(&value, "parallel_tool_calls")?,
            "text" | "reasoning" if value.is_null() => {}
            "text" => read_text(wire::object(value, "text")?, &mut request)?,
            "reasoning" => read_reasoning(&wire::object(value, "reasoning")?, &mut request)?,
            "include" => {
                let wanted = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                request.logprobs |= wanted.into_iter().any(|name| name == "message.output_text.logprobs");
            }
            "top_logprobs" => {
                request.top_logprobs = wire::integer(&value, "top_logprobs", 0, 20)?.map(|count| count as u8);
                request.logprobs |= request.top_logprobs.is_some_and(|count| count > 0);
            }
            "truncation" => request.truncate = read_truncation(&value)?,
            // Nothing is stored whatever the client wishes, and the answer says so. The others concern OpenAI's own
            // machines: how they hide lengths, count the tools that they run, and keep prompts.
            "store" | "stream_options" | "max_tool_calls" | "prompt_cache_options" => {}
            _ => {
                if !read_sampling(&mut request.sampling, &key, &value)? {
                    refuse_lookalike(&key, KNOWN, "")?;
                    request.rest.insert(key, value);
                }
            }
        }
    }
    request.model = wire::model(model)?;
    request.messages.extend(instructions.map(|text| Message::text(Role::System, text)));
    request.messages.extend(input.ok_or_else(|| RequestError::field("input", "is missing"))?);
    if let Some(allowed) = allowed {
        tools::keep(&mut request.tools, &allowed);
    }
    Ok(request)
}

/// The JSON of the fields that the answer repeats, once for all the events that carry them.
fn repeated(fields: &Map<String, Value>) -> String {
    let mut out = Vec::new();
    for (field, default) in REPEATED {
        out.extend_from_slice(format!(",\"{field}\":").as_bytes());
        match fields.get(*field).filter(|value| !value.is_null()) {
            Some(value) => json::value(&mut out, value),
            None => out.extend_from_slice(default.as_bytes()),
        }
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn refuse(field: &str, value: &Value, reason: &str) -> Result<(), RequestError> {
    match value {
        Value::Null | Value::Bool(false) => Ok(()),
        Value::Array(items) if items.is_empty() => Ok(()),
        _ => Err(RequestError::Unsupported(format!("{field} is not supported: {reason}"))),
    }
}

fn read_text(mut text: Map<String, Value>, request: &mut ChatRequest) -> Result<(), RequestError> {
    if let Some(verbosity) = text.shift_remove("verbosity").filter(|verbosity| !verbosity.is_null()) {
        request.rest.insert("verbosity".to_owned(), verbosity);
    }
    let format = text.shift_remove("format").unwrap_or_default();
    if format.is_null() {
        return Ok(());
    }
    // The chat's form without the wrapper around the schema.
    let mut format = wire::object(format, "text.format")?;
    request.format =
        Some(match wire::text(format.shift_remove("type").unwrap_or_default(), "text.format.type")?.as_str() {
            "text" => Format::Text,
            "json_object" => Format::Json,
            "json_schema" => {
                let schema = format.shift_remove("schema").filter(Value::is_object);
                format.retain(|_, value| !value.is_null());
                let missing = || RequestError::field("text.format.schema", "must be an object");
                Format::Schema { schema: schema.ok_or_else(missing)?, rest: format }
            }
            _ => {
                let known = "must be \"text\", \"json_object\" or \"json_schema\"";
                return Err(RequestError::field("text.format.type", known));
            }
        });
    Ok(())
}

fn read_reasoning(reasoning: &Map<String, Value>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let text = |field: &str, at| wire::text_or_null(reasoning.get(field).cloned().unwrap_or_default(), at);
    if let Some(effort) = text("effort", "reasoning.effort")? {
        request.think = Some(Think::from_effort(effort));
    }
    let summary = text("summary", "reasoning.summary")?;
    let older = text("generate_summary", "reasoning.generate_summary")?;
    request.thinking_summary = summary.is_some() || older.is_some();
    Ok(())
}

fn read_truncation(value: &Value) -> Result<Option<bool>, RequestError> {
    match value {
        Value::Null => Ok(None),
        Value::String(name) if name == "auto" => Ok(Some(true)),
        Value::String(name) if name == "disabled" => Ok(Some(false)),
        _ => Err(RequestError::field("truncation", "must be \"auto\" or \"disabled\"")),
    }
}
