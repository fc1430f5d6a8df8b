//! Writes a chat request for a server of the OpenAI kind.

use std::borrow::Cow;

use serde_json::Value;

use super::parse::KNOWN;
use crate::json::{self, Object};
use crate::{
    Arguments, ChatRequest, Content, Format, Image, Message, Part, RequestError, Role, Sampling, ServerApi,
    ServerDefaults, Shape, Think, ToolCall, ability, address, wire,
};

/// The body of `POST …/chat/completions`, asking the server's own `model`; an error where servers of this kind cannot do
/// what is asked.
///
/// A stream always asks for its usage: the gateway counts tokens whether or not the client wants to see them.
pub fn write_chat(request: &ChatRequest, model: &str, defaults: &ServerDefaults) -> Result<Vec<u8>, RequestError> {
    ability::check(request, ServerApi::OpenAi)?;
    address::check(request)?;
    let mut out = Vec::with_capacity(256 + request.messages.len() * 128);
    let mut body = Object::open(&mut out);
    body.put("model", model);
    write_messages(body.key("messages"), &request.messages, request.family)?;
    body.put("stream", &request.stream);
    if request.stream {
        body.key("stream_options").extend_from_slice(br#"{"include_usage":true}"#);
    }
    write_sampling(&mut body, &wire::with_defaults(&request.sampling, defaults));
    if let Some(tools) = &request.tools {
        match request.family {
            Shape::Anthropic => wire::write_functions(body.key("tools"), tools)?,
            Shape::OpenAi | Shape::Ollama => body.put("tools", tools),
        }
    }
    body.put_some("tool_choice", request.tool_choice.as_ref());
    // OpenAI itself refuses the word where there are no tools.
    let parallel = request.parallel_tool_calls.filter(|_| request.tools.is_some() || request.family == Shape::OpenAi);
    body.put_some("parallel_tool_calls", parallel.as_ref());
    if let Some(format) = &request.format {
        write_format(body.key("response_format"), format);
    }
    // Where the client has said it in words of its own, those are carried along.
    if !["reasoning", "chat_template_kwargs"].iter().any(|field| request.rest.contains_key(*field))
        && let Some(think) = &request.think
    {
        body.put("reasoning_effort", effort(think));
    }
    if request.logprobs {
        body.put("logprobs", &true);
    }
    body.put_some("top_logprobs", request.top_logprobs.as_ref());
    write_rest(&mut body, request);
    body.close();
    Ok(out)
}

/// What is carried along: an OpenAI client's fields. Those of other clients meant something else, or nothing, and must
/// not mean something here.
pub(super) fn write_rest(body: &mut Object, request: &ChatRequest) {
    match request.family {
        Shape::OpenAi => body.rest(&request.rest, KNOWN),
        Shape::Anthropic | Shape::Ollama => body.put_some("user", request.user().as_ref()),
    }
}

/// The fields that choose tokens, in chats and completions alike.
pub(super) fn write_sampling(body: &mut Object, sampling: &Sampling) {
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
    // llama.cpp's server and LM Studio know the one name, vLLM and SGLang the other.
    body.put_some("repeat_penalty", sampling.repeat_penalty.as_ref());
    body.put_some("repetition_penalty", sampling.repeat_penalty.as_ref());
    for name in ability::SHARED_OPTIONS {
        body.put_some(name, sampling.options.get(name));
    }
}

pub(super) fn effort(think: &Think) -> &str {
    match think {
        Think::Off => "none",
        // Ollama's `true` names no effort; this is OpenAI's default.
        Think::On => "medium",
        Think::Effort(effort) if effort == "max" => "xhigh",
        Think::Effort(effort) => effort,
    }
}

pub(super) fn write_format(out: &mut Vec<u8>, format: &Format) {
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

fn write_messages(out: &mut Vec<u8>, messages: &[Message], family: Shape) -> Result<(), RequestError> {
    let ids = wire::tool_ids(messages);
    let mut shown = Vec::new();
    out.push(b'[');
    for (index, (message, ids)) in messages.iter().zip(&ids).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_message(out, message, ids, index, family)?;
        if family == Shape::OpenAi {
            continue;
        }
        // A tool's result is text here. What it shows is shown by the user, after the last result of the turn.
        if message.role == Role::Tool {
            shown.extend(pictures(&message.content));
        }
        if !shown.is_empty() && messages.get(index + 1).is_none_or(|next| next.role != Role::Tool) {
            out.extend_from_slice(br#",{"role":"user","content":"#);
            json::array(out, shown.drain(..), |out, part| write_part(out, part, family));
            out.push(b'}');
        }
    }
    out.push(b']');
    Ok(())
}

fn pictures(content: &Content) -> impl Iterator<Item = &Part> {
    let parts = match content {
        Content::Parts(parts) => parts.as_slice(),
        _ => &[],
    };
    parts.iter().filter(|part| matches!(part, Part::Image { .. }))
}

fn write_message(
    out: &mut Vec<u8>,
    message: &Message,
    ids: &[Cow<str>],
    index: usize,
    family: Shape,
) -> Result<(), RequestError> {
    let mut body = Object::open(out);
    // `developer` is a word that few servers know, and only clients that know theirs say it.
    body.put("role", message.role.name());
    write_content(&mut body, message, index, family)?;
    if let Some((thoughts, field)) = message.thoughts() {
        body.text(field, &thoughts);
    }
    if !message.tool_calls.is_empty() {
        json::array(body.key("tool_calls"), message.tool_calls.iter().zip(ids), write_call);
    }
    let id = match message.role {
        Role::Tool => ids.first().map(|id| &**id),
        _ => message.tool_call_id.as_deref(),
    };
    body.put_some("tool_call_id", id.as_ref());
    body.put_some("name", message.name.as_ref());
    if family == Shape::OpenAi {
        // Thoughts are among the rest where they are no text, and are not written above then.
        body.rest(&message.rest, &[]);
    }
    body.close();
    Ok(())
}

fn write_content(body: &mut Object, message: &Message, index: usize, family: Shape) -> Result<(), RequestError> {
    let parts = match &message.content {
        Content::Null => {
            body.put("content", &Value::Null);
            return Ok(());
        }
        Content::Text(text) => {
            body.text("content", text);
            return Ok(());
        }
        Content::Parts(parts) => parts,
    };
    if family == Shape::OpenAi {
        json::array(body.key("content"), parts, |out, part| write_part(out, part, family));
        return Ok(());
    }
    if let Some((position, kind)) = parts.iter().enumerate().find_map(foreign) {
        let what = format!("messages[{index}].content[{position}]: a part of type {kind:?}");
        return Err(ability::refused(ServerApi::OpenAi, &what));
    }
    let is_text = message.role == Role::Tool || pictures(&message.content).next().is_none();
    if is_text {
        // Servers whose templates take strings only are many.
        match message.content.text() {
            text if text.is_empty() && !message.tool_calls.is_empty() => body.put("content", &Value::Null),
            text => body.text("content", &text),
        }
        return Ok(());
    }
    let parts = parts.iter().filter(|part| !matches!(part, Part::Thinking(_)));
    json::array(body.key("content"), parts, |out, part| write_part(out, part, family));
    Ok(())
}

/// A part that only servers of the client's own family know.
fn foreign((position, part): (usize, &Part)) -> Option<(usize, String)> {
    let Part::Other(map) = part else { return None };
    let kind = map.get("type").and_then(Value::as_str).unwrap_or("?");
    Some((position, kind.chars().take(40).collect()))
}

fn write_call(out: &mut Vec<u8>, (call, id): (&ToolCall, &Cow<str>)) {
    let mut body = Object::open(out);
    body.put("id", id);
    body.put("type", "function");
    let mut function = Object::open(body.key("function"));
    function.put("name", &call.name);
    match &call.arguments {
        Arguments::Text(text) => function.text("arguments", text),
        Arguments::Object(map) => {
            let mut text = Vec::new();
            json::value(&mut text, map);
            function.text("arguments", &String::from_utf8_lossy(&text));
        }
    }
    function.close();
    body.close();
}

fn write_part(out: &mut Vec<u8>, part: &Part, family: Shape) {
    let mut body = Object::open(out);
    let write_rest = |body: &mut Object, rest| {
        if family == Shape::OpenAi {
            body.rest(rest, &[]);
        }
    };
    match part {
        Part::Text { text, rest } => {
            body.put("type", "text");
            body.text("text", text);
            write_rest(&mut body, rest);
        }
        Part::Image { image, options, rest } => {
            body.put("type", "image_url");
            let mut inner = Object::open(body.key("image_url"));
            match image {
                Image::DataUrl { url, .. } => inner.text("url", url),
                _ => inner.text("url", &format!("data:{};base64,{}", image.media_type(), image.base64())),
            }
            inner.rest(options, &[]);
            inner.close();
            write_rest(&mut body, rest);
        }
        Part::Audio { base64, options, rest } => {
            body.put("type", "input_audio");
            let mut inner = Object::open(body.key("input_audio"));
            inner.text("data", base64);
            inner.rest(options, &[]);
            inner.close();
            write_rest(&mut body, rest);
        }
        Part::Thinking(_) => {}
        Part::Other(map) => body.rest(map, &[]),
    }
    body.close();
}
