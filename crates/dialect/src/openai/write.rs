//! Writes a chat request for a server of the OpenAI kind.

use serde_json::Value;

use super::parse::{KNOWN, KNOWN_IN_MESSAGE};
use crate::json::{self, Object};
use crate::{Arguments, ChatRequest, Content, Format, Image, Message, Part, Role, Think};

/// The body of `POST …/chat/completions`, asking the server's own `model`.
///
/// A stream always asks for its usage: the gateway counts tokens whether or not the client wants to see them.
pub fn write_chat(request: &ChatRequest, model: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + request.messages.len() * 128);
    let mut body = Object::open(&mut out);
    body.put("model", model);
    let ids = tool_ids(&request.messages);
    json::array(body.key("messages"), request.messages.iter().zip(&ids), |out, (message, ids)| {
        write_message(out, message, ids);
    });
    body.put("stream", &request.stream);
    if request.stream {
        body.key("stream_options").extend_from_slice(br#"{"include_usage":true}"#);
    }
    let sampling = &request.sampling;
    body.put_some("temperature", sampling.temperature.as_ref());
    body.put_some("top_p", sampling.top_p.as_ref());
    body.put_some("max_tokens", sampling.max_tokens.as_ref());
    body.put_some("max_completion_tokens", sampling.max_completion_tokens.as_ref());
    body.put_some("seed", sampling.seed.as_ref());
    if !sampling.stop.is_empty() {
        body.put("stop", &sampling.stop);
    }
    body.put_some("presence_penalty", sampling.presence_penalty.as_ref());
    body.put_some("frequency_penalty", sampling.frequency_penalty.as_ref());
    body.put_some("top_k", sampling.top_k.as_ref());
    body.put_some("min_p", sampling.min_p.as_ref());
    body.put_some("repeat_penalty", sampling.repeat_penalty.as_ref());
    body.put_some("tools", request.tools.as_ref());
    body.put_some("tool_choice", request.tool_choice.as_ref());
    if let Some(format) = &request.format {
        write_format(body.key("response_format"), format);
    }
    if !request.rest.contains_key("reasoning")
        && let Some(think) = &request.think
    {
        body.put("reasoning_effort", effort(think));
    }
    if request.logprobs {
        body.put("logprobs", &true);
    }
    body.put_some("top_logprobs", request.top_logprobs.as_ref());
    // An Ollama client may carry along fields of these names; they meant nothing there and must not mean something here.
    body.rest(&request.rest, KNOWN);
    body.close();
    out
}

fn effort(think: &Think) -> &str {
    match think {
        Think::Off => "none",
        // Ollama's `true` names no effort; this is OpenAI's default.
        Think::On => "medium",
        Think::Effort(effort) if effort == "max" => "xhigh",
        Think::Effort(effort) => effort,
    }
}

fn write_format(out: &mut Vec<u8>, format: &Format) {
    match format {
        Format::Text => out.extend_from_slice(br#"{"type":"text"}"#),
        Format::Json => out.extend_from_slice(br#"{"type":"json_object"}"#),
        Format::Other(value) => json::value(out, value),
        Format::Schema { schema, rest } => {
            let mut body = Object::open(out);
            body.put("type", "json_schema");
            let mut inner = Object::open(body.key("json_schema"));
            if !rest.contains_key("name") {
                inner.put("name", "answer");
            }
            inner.rest(rest, &[]);
            inner.put("schema", schema);
            inner.close();
            body.close();
        }
    }
}

/// The ids that a message needs: one per tool call, or the one that a tool's result answers.
type Ids = Vec<String>;

/// Ollama lets calls and results go without ids, OpenAI does not: the missing ones are numbered, and a result without
/// one answers the first unanswered call of its tool.
fn tool_ids(messages: &[Message]) -> Vec<Ids> {
    let mut next = 0;
    let mut open: Vec<(&str, String)> = Vec::new();
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        let mut ids = Ids::new();
        for call in &message.tool_calls {
            let id = call.id.clone().unwrap_or_else(|| format!("call_{next}"));
            next += 1;
            open.push((&call.name, id.clone()));
            ids.push(id);
        }
        if message.role == Role::Tool {
            let by_id = |(_, id): &(&str, String)| message.tool_call_id.as_ref() == Some(id);
            let by_name = |(name, _): &(&str, String)| message.name.as_deref().is_none_or(|wanted| wanted == *name);
            let found = match message.tool_call_id {
                Some(_) => open.iter().position(by_id),
                None => open.iter().position(by_name),
            };
            let answered = found.map(|found| open.remove(found).1);
            ids.extend(message.tool_call_id.clone().or(answered));
        }
        all.push(ids);
    }
    all
}

fn write_message(out: &mut Vec<u8>, message: &Message, ids: &Ids) {
    let mut body = Object::open(out);
    body.put("role", message.role.name());
    match &message.content {
        Content::Null => body.put("content", &Value::Null),
        Content::Text(text) => body.put("content", text),
        Content::Parts(parts) => json::array(body.key("content"), parts, write_part),
    }
    if let Some(thinking) = &message.thinking {
        body.put(thinking.field, &thinking.text);
    }
    if !message.tool_calls.is_empty() {
        json::array(body.key("tool_calls"), message.tool_calls.iter().zip(ids), |out, (call, id)| {
            let mut body = Object::open(out);
            body.put("id", id);
            body.put("type", "function");
            let mut function = Object::open(body.key("function"));
            function.put("name", &call.name);
            match &call.arguments {
                Arguments::Text(text) => function.put("arguments", text),
                Arguments::Object(map) => {
                    let mut text = Vec::new();
                    json::value(&mut text, map);
                    function.put("arguments", &String::from_utf8_lossy(&text));
                }
            }
            function.close();
            body.close();
        });
    }
    if message.role == Role::Tool {
        body.put_some("tool_call_id", ids.first());
    } else {
        body.put_some("tool_call_id", message.tool_call_id.as_ref());
    }
    body.put_some("name", message.name.as_ref());
    body.rest(&message.rest, KNOWN_IN_MESSAGE);
    body.close();
}

fn write_part(out: &mut Vec<u8>, part: &Part) {
    let mut body = Object::open(out);
    match part {
        Part::Text { text, rest } => {
            body.put("type", "text");
            body.put("text", text);
            body.rest(rest, &[]);
        }
        Part::Image { image, options, rest } => {
            body.put("type", "image_url");
            let mut inner = Object::open(body.key("image_url"));
            match image {
                Image::DataUrl { url, .. } => inner.put("url", url),
                _ => inner.put("url", &format!("data:{};base64,{}", image.media_type(), image.base64())),
            }
            inner.rest(options, &[]);
            inner.close();
            body.rest(rest, &[]);
        }
        Part::Audio { base64, options, rest } => {
            body.put("type", "input_audio");
            let mut inner = Object::open(body.key("input_audio"));
            inner.put("data", base64);
            inner.rest(options, &[]);
            inner.close();
            body.rest(rest, &[]);
        }
        Part::Thinking(_) => {}
        Part::Other(map) => body.rest(map, &[]),
    }
    body.close();
}
