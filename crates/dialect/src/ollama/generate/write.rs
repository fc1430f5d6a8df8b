//! Writes a prompt for an Ollama server, and says what it is to servers of other kinds.

use super::super::write::{keep_alive_seconds, unsupported, write_settings};
use crate::json::Object;
use crate::{
    ChatRequest, Content, Event, FinishReason, Image, Message, Part, Prompt, RequestError, Role, ServerApi,
    ServerDefaults, Template, Think, ability,
};

/// The body of `POST /api/generate`, asking the server's own `model`; an error where Ollama cannot do what is asked.
///
/// OpenAI's completions go through the model's template too, as Ollama's own `/v1/completions` has it.
pub fn write(
    request: &ChatRequest,
    prompt: &Prompt,
    model: &str,
    defaults: &ServerDefaults,
) -> Result<Vec<u8>, RequestError> {
    ability::check(request, ServerApi::Ollama)?;
    if prompt.echo && request.logprobs {
        return Err(ability::refused(ServerApi::Ollama, "echo with logprobs"));
    }
    if is_unload(request, prompt) {
        return unsupported(
            "keep_alive 0 without a prompt: a client cannot unload a model, for others may be using it",
        );
    }
    let images: Vec<&str> = prompt.images.iter().map(Image::base64).collect();
    let media: usize = images.iter().map(|image| image.len()).sum();
    let mut out = Vec::with_capacity(256 + prompt.text.len() + media);
    let mut body = Object::open(&mut out);
    body.put("model", model);
    body.put("prompt", &prompt.text);
    body.put_some("suffix", prompt.suffix.as_ref());
    body.put_some("system", prompt.system.as_ref());
    body.put_some("template", prompt.own_template.as_ref());
    body.put_some("context", prompt.context.as_ref());
    if prompt.template == Template::Raw {
        body.put("raw", &true);
    }
    if !images.is_empty() {
        body.put("images", &images);
    }
    body.put("stream", &request.stream);
    // Thoughts have no place in a text completion, so the model shall not spend its tokens on them.
    let silent = (prompt.template == Template::Servers).then_some(&Think::Off);
    write_settings(&mut body, request, request.think.as_ref().or(silent), defaults)?;
    body.close();
    Ok(out)
}

/// Whether the request wants no text, only the model loaded (or unloaded, which nobody may).
fn is_load(prompt: &Prompt) -> bool {
    prompt.text.is_empty() && prompt.template != Template::Servers
}

fn is_unload(request: &ChatRequest, prompt: &Prompt) -> bool {
    is_load(prompt) && request.keep_alive.as_ref().and_then(keep_alive_seconds) == Some(0.0)
}

/// The answer to a request that wants no text but a model loaded, from a server that holds its models always; nothing
/// where the server has something to do. That it unload one is refused when the request is written.
pub fn at_once(request: &ChatRequest) -> Option<[Event; 2]> {
    let prompt = request.prompt.as_ref().filter(|prompt| is_load(prompt) && !is_unload(request, prompt))?;
    debug_assert!(prompt.text.is_empty());
    let start = Event::Start { id: None, model: None, created: None };
    Some([start, Event::Finish(FinishReason::Other("load".to_owned()))])
}

/// The chat that asks the same, for servers that have no generate: instructions, then the prompt with its pictures as
/// what the user says.
pub fn as_chat(request: &ChatRequest) -> Result<ChatRequest, RequestError> {
    let mut chat = request.clone();
    let Some(prompt) = chat.prompt.take() else { return Ok(chat) };
    if is_load(&prompt) {
        return unsupported("this model's server holds its model always: it can be neither loaded nor unloaded");
    }
    for (what, given) in [
        ("a text completion", prompt.template == Template::Servers),
        ("raw", prompt.template == Template::Raw),
        ("suffix", prompt.suffix.is_some()),
        ("context", prompt.context.is_some()),
        ("template", prompt.own_template.is_some()),
    ] {
        if given {
            return unsupported(format!("{what} is not supported by this model's server, which has chats only"));
        }
    }
    chat.messages.extend(prompt.system.map(|system| Message::text(Role::System, system)));
    let mut message = Message::text(Role::User, prompt.text);
    if !prompt.images.is_empty() {
        let Content::Text(text) = message.content else { unreachable!("it was made of a text") };
        let mut parts = vec![Part::Text { text, rest: serde_json::Map::new() }];
        parts.extend(prompt.images.into_iter().map(|image| Part::Image {
            image,
            options: serde_json::Map::new(),
            rest: serde_json::Map::new(),
        }));
        message.content = Content::Parts(parts);
    }
    chat.messages.push(message);
    Ok(chat)
}
