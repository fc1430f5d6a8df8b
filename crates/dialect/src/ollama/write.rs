//! Writes a chat request for an Ollama server.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::parse::KNOWN_IN_MESSAGE;
use crate::json::{self, Object};
use crate::{
    ChatRequest, Content, Format, Message, Part, RequestError, Role, Sampling, ServerApi, ServerDefaults, Shape, Think,
    ability, wire,
};

/// Shortest time that a client may let a model stay loaded, in seconds: Ollama's own default. Shorter wishes are raised
/// to it, for whoever comes next would wait for the model to be loaded anew.
pub const KEEP_ALIVE_SECONDS_MIN: u64 = 5 * 60;
/// Longest time that a client may make a model stay loaded, in seconds; longer wishes, and "for ever", are cut to it.
pub const KEEP_ALIVE_SECONDS_MAX: u64 = 24 * 60 * 60;

/// The body of `POST /api/chat`, asking the server's own `model`; an error where Ollama cannot do what is asked.
pub fn write_chat(request: &ChatRequest, model: &str, defaults: &ServerDefaults) -> Result<Vec<u8>, RequestError> {
    ability::check(request, ServerApi::Ollama)?;
    let with_tools = tools_wanted(request)?;
    let mut out = Vec::with_capacity(256 + request.messages.len() * 128);
    let mut body = Object::open(&mut out);
    body.put("model", model);
    write_messages(body.key("messages"), request)?;
    body.put("stream", &request.stream);
    if with_tools && let Some(tools) = &request.tools {
        match request.family {
            Shape::Anthropic => wire::write_functions(body.key("tools"), tools)?,
            Shape::OpenAi | Shape::Ollama => body.put("tools", tools),
        }
    }
    write_settings(&mut body, request, request.think.as_ref(), defaults)?;
    body.close();
    Ok(out)
}

/// The fields of a chat or a prompt that are written from what was read of them, whatever the client's other words.
const WRITTEN: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "suffix",
    "system",
    "template",
    "context",
    "raw",
    "images",
    "stream",
    "tools",
    "format",
    "think",
    "keep_alive",
    "options",
    "truncate",
    "shift",
    "logprobs",
    "top_logprobs",
];

/// The fields that a chat and a prompt have alike.
pub(super) fn write_settings(
    body: &mut Object,
    request: &ChatRequest,
    think: Option<&Think>,
    defaults: &ServerDefaults,
) -> Result<(), RequestError> {
    match &request.format {
        None | Some(Format::Text) => {}
        Some(Format::Json) => body.put("format", "json"),
        Some(Format::Schema { schema, .. }) => body.put("format", schema),
        Some(Format::Other(_)) => return Err(ability::refused(ServerApi::Ollama, "this response_format")),
    }
    if let Some(think) = think {
        write_think(body, think)?;
    }
    let keep_alive = match &defaults.keep_alive {
        Some(fixed) => Some(Cow::Borrowed(fixed)),
        None => request.keep_alive.as_ref().map(bounded_keep_alive).transpose()?,
    };
    body.put_some("keep_alive", keep_alive.as_deref().as_ref());
    let options = options(&request.sampling, defaults);
    if !options.is_empty() {
        body.put("options", &options);
    }
    body.put_some("truncate", request.truncate.as_ref());
    if request.logprobs {
        body.put("logprobs", &true);
        body.put_some("top_logprobs", request.top_logprobs.as_ref());
    }
    if request.family == Shape::Ollama {
        body.rest(&request.rest, WRITTEN);
    }
    Ok(())
}

pub(super) fn unsupported<T>(message: impl Into<String>) -> Result<T, RequestError> {
    Err(RequestError::Unsupported(message.into()))
}

fn tools_wanted(request: &ChatRequest) -> Result<bool, RequestError> {
    match &request.tool_choice {
        None => Ok(true),
        Some(Value::String(choice)) if choice == "auto" => Ok(true),
        Some(Value::String(choice)) if choice == "none" => Ok(false),
        Some(_) => unsupported(
            "tool_choice must be \"auto\" or \"none\": this model's server (Ollama) cannot be made to call a tool",
        ),
    }
}

fn write_think(body: &mut Object, think: &Think) -> Result<(), RequestError> {
    let level = match think {
        Think::Off => {
            return {
                body.put("think", &false);
                Ok(())
            };
        }
        Think::On => {
            return {
                body.put("think", &true);
                Ok(())
            };
        }
        Think::Effort(effort) => effort.as_str(),
    };
    let level = match level {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "high" => "high",
        "max" | "xhigh" | "ultra" => "max",
        other => {
            let shown: String = other.chars().take(40).collect();
            return unsupported(format!(
                "unknown reasoning effort {shown:?}, known: none, minimal, low, medium, high, xhigh, max"
            ));
        }
    };
    body.put("think", level);
    Ok(())
}

/// A client may neither pin a model in memory for ever nor take it from the others.
pub(crate) fn bounded_keep_alive(wish: &Value) -> Result<Cow<'_, Value>, RequestError> {
    let (min, max) = (KEEP_ALIVE_SECONDS_MIN as f64, KEEP_ALIVE_SECONDS_MAX as f64);
    match keep_alive_seconds(wish) {
        Some(seconds) if (min..=max).contains(&seconds) => Ok(Cow::Borrowed(wish)),
        Some(seconds) if (0.0..min).contains(&seconds) => Ok(Cow::Owned(Value::from(KEEP_ALIVE_SECONDS_MIN))),
        Some(_) => Ok(Cow::Owned(Value::from(KEEP_ALIVE_SECONDS_MAX))),
        None => Err(RequestError::field("keep_alive", "must be a number of seconds or a duration such as \"5m\"")),
    }
}

/// The wish in seconds; below zero means for ever.
pub(super) fn keep_alive_seconds(wish: &Value) -> Option<f64> {
    match wish {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => go_duration_seconds(text),
        _ => None,
    }
}

/// Reads a duration as Go writes it: `1h30m`, `-5s`, `1.5h`, and a bare number as seconds, which Ollama takes too.
fn go_duration_seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        seconds += amount
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(sign * seconds)
}

pub(crate) fn options(sampling: &Sampling, defaults: &ServerDefaults) -> Map<String, Value> {
    fn set<T: Into<Value>>(options: &mut Map<String, Value>, key: &str, value: Option<T>) {
        if let Some(value) = value {
            options.insert(key.to_owned(), value.into());
        }
    }
    let mut options = defaults.options.clone();
    for (key, value) in &sampling.options {
        options.insert(key.clone(), value.clone());
    }
    set(&mut options, "temperature", sampling.temperature);
    set(&mut options, "top_p", sampling.top_p);
    set(&mut options, "top_k", sampling.top_k);
    set(&mut options, "min_p", sampling.min_p);
    set(&mut options, "repeat_penalty", sampling.repeat_penalty);
    set(&mut options, "presence_penalty", sampling.presence_penalty);
    set(&mut options, "frequency_penalty", sampling.frequency_penalty);
    set(&mut options, "seed", sampling.seed);
    set(&mut options, "num_predict", sampling.limit());
    if !sampling.stop.is_empty() {
        set(&mut options, "stop", Some(sampling.stop.clone()));
    }
    if !defaults.options.contains_key("num_ctx") {
        set(&mut options, "num_ctx", sampling.num_ctx);
    }
    set(&mut options, "num_ctx", defaults.num_ctx);
    options
}

fn write_messages(out: &mut Vec<u8>, request: &ChatRequest) -> Result<(), RequestError> {
    out.push(b'[');
    for index in 0..request.messages.len() {
        if index > 0 {
            out.push(b',');
        }
        write_message(out, request, index)?;
    }
    out.push(b']');
    Ok(())
}

fn write_message(out: &mut Vec<u8>, request: &ChatRequest, index: usize) -> Result<(), RequestError> {
    let (message, earlier) = (&request.messages[index], &request.messages[..index]);
    let mut body = Object::open(out);
    body.put("role", if message.role == Role::Developer { "system" } else { message.role.name() });
    body.text("content", &message.content.text());
    if let Some((thoughts, _)) = message.thoughts() {
        body.text("thinking", &thoughts);
    }
    if let Content::Parts(parts) = &message.content {
        let media = media(parts, index)?;
        if !media.is_empty() {
            json::array(body.key("images"), media, json::text);
        }
    }
    if !message.tool_calls.is_empty() {
        let out = body.key("tool_calls");
        out.push(b'[');
        for (position, call) in message.tool_calls.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            let mut object = Object::open(out);
            object.put_some("id", call.id.as_ref());
            let mut function = Object::open(object.key("function"));
            function.put("name", &call.name);
            function.put("arguments", &*wire::arguments(&call.arguments, index, position)?);
            function.close();
            object.close();
        }
        out.push(b']');
    }
    if message.role == Role::Tool {
        body.put_some("tool_name", tool_name(message, earlier).as_ref());
        body.put_some("tool_call_id", message.tool_call_id.as_ref());
    }
    if request.family == Shape::Ollama {
        body.rest(&message.rest, KNOWN_IN_MESSAGE);
    }
    body.close();
    Ok(())
}

/// Pictures and sounds: Ollama takes both in one list, beside the text.
fn media(parts: &[Part], index: usize) -> Result<Vec<&str>, RequestError> {
    let mut media = Vec::new();
    for (position, part) in parts.iter().enumerate() {
        match part {
            Part::Text { .. } | Part::Thinking(_) => {}
            Part::Audio { base64, .. } => media.push(base64.as_str()),
            Part::Image { image, .. } => media.push(image.base64()),
            Part::Other(map) => {
                let kind: String = map.get("type").and_then(Value::as_str).unwrap_or("?").chars().take(40).collect();
                return unsupported(format!(
                    "messages[{index}].content[{position}]: parts of type {kind:?} are not supported by this model's \
                     server (Ollama)"
                ));
            }
        }
    }
    Ok(media)
}

/// The tool whose result this is: named by the message, else by the call that it answers.
fn tool_name<'a>(message: &'a Message, earlier: &'a [Message]) -> Option<&'a String> {
    message.name.as_ref().or_else(|| {
        let id = message.tool_call_id.as_ref()?;
        let mut calls = earlier.iter().rev().flat_map(|message| &message.tool_calls);
        calls.find(|call| call.id.as_ref() == Some(id)).map(|call| &call.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("5m", Some(300.0)),
            ("1h30m", Some(5400.0)),
            ("-1s", Some(-1.0)),
            ("1.5h", Some(5400.0)),
            ("250ms", Some(0.25)),
            ("0", Some(0.0)),
            ("-1", Some(-1.0)),
            ("", None),
            ("5", Some(5.0)),
            ("5x", None),
            ("m", None),
            ("1h5", None),
            ("inf", None),
        ];
        for (text, expected) in cases {
            assert_eq!(go_duration_seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nobody_pins_a_model_for_ever_or_unloads_it() {
        for (wish, expected) in [
            (Value::from(-1), Value::from(86_400)),
            (Value::from("-1m"), Value::from(86_400)),
            (Value::from("1000h"), Value::from(86_400)),
            (Value::from("30m"), Value::from("30m")),
            (Value::from("5m"), Value::from("5m")),
            (Value::from("299s"), Value::from(300)),
            (Value::from(0.5), Value::from(300)),
            (Value::from(0), Value::from(300)),
        ] {
            assert_eq!(*bounded_keep_alive(&wish).expect("valid"), expected);
        }
        assert!(bounded_keep_alive(&Value::from("soon")).is_err());
    }
}
