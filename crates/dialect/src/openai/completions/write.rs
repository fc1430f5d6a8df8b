//! Writes a text to go on from for a server of the OpenAI kind.

use super::super::write::{effort, write_format, write_sampling};
use super::parse::KNOWN;
use crate::json::Object;
use crate::{ChatRequest, Prompt, RequestError, ServerApi, ServerDefaults, Shape, Think, ability, address, wire};

/// The body of `POST …/completions`, asking the server's own `model`; an error where such servers cannot do what is
/// asked.
pub fn write(
    request: &ChatRequest,
    prompt: &Prompt,
    model: &str,
    defaults: &ServerDefaults,
) -> Result<Vec<u8>, RequestError> {
    ability::check(request, ServerApi::OpenAi)?;
    address::check(request)?;
    refuse_what_is_ollamas(request, prompt)?;
    let mut out = Vec::with_capacity(256 + prompt.text.len());
    let mut body = Object::open(&mut out);
    body.put("model", model);
    body.put("prompt", &prompt.text);
    body.put_some("suffix", prompt.suffix.as_ref());
    body.put("stream", &request.stream);
    if request.stream {
        body.key("stream_options").extend_from_slice(br#"{"include_usage":true}"#);
    }
    // Completions never had the chat's newer name of the limit.
    let mut sampling = wire::with_defaults(&request.sampling, defaults).into_owned();
    sampling.max_tokens = sampling.limit();
    sampling.max_completion_tokens = None;
    write_sampling(&mut body, &sampling);
    if let Some(format) = &request.format {
        write_format(body.key("response_format"), format);
    }
    if request.logprobs {
        body.put("logprobs", &request.top_logprobs.unwrap_or_default());
        if prompt.echo {
            body.put("echo", &true);
        }
    }
    match request.family {
        Shape::OpenAi => {
            body.put_some("reasoning_effort", request.think.as_ref().map(effort).as_ref());
            body.rest(&request.rest, KNOWN);
        }
        Shape::Anthropic | Shape::Ollama => body.put_some("user", request.user().as_ref()),
    }
    body.close();
    Ok(out)
}

/// Parts of a prompt that only an Ollama server has a place for.
fn refuse_what_is_ollamas(request: &ChatRequest, prompt: &Prompt) -> Result<(), RequestError> {
    let thinks = request.family == Shape::Ollama && request.think.as_ref().is_some_and(|think| *think != Think::Off);
    let given = [
        ("thinking", thinks),
        ("system", prompt.system.is_some()),
        ("a picture", !prompt.images.is_empty()),
        ("context", prompt.context.is_some()),
        ("template", prompt.own_template.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((what, _)) => Err(ability::refused(ServerApi::OpenAi, &format!("{what} beside raw or suffix"))),
        None => Ok(()),
    }
}
