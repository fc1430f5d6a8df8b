//! What each kind of model server can do beyond a plain chat, in one table: nothing asked for is lost without a word.
//!
//! What is in neither table is either written by every writer or a mere hint (`user`, `metadata`, `service_tier`,
//! `store`, `verbosity`, `parallel_tool_calls` towards Ollama, `cache_control` …), which servers that do not know it are
//! spared. So are `num_ctx`, `keep_alive` and `truncate` of Ollama's clients: other servers hold their model and its window
//! themselves, and refuse what does not fit. `shift` goes to no server: a differing one makes Ollama load the model anew.
//! What depends on more than the field is decided where it is written: `tool_choice` and the effort of thinking
//! in `ollama::write`, parts of a message in each `write`.

use serde_json::Value;

use crate::{ChatRequest, Format, RequestError, Sampling, ServerApi, Shape};

const YES: bool = true;
const NO: bool = false;

/// Who can do it: Ollama, servers of the OpenAI kind, Anthropic.
type Can = [bool; 3];

/// Whether a request asks for something.
type IsAsked = fn(&ChatRequest) -> bool;

/// Fields that we read: their name, whether they are asked for, who can do them.
const READ: &[(&str, IsAsked, Can)] = &[
    ("logprobs", |request| request.logprobs, [YES, YES, NO]),
    ("seed", |request| request.sampling.seed.is_some(), [YES, YES, NO]),
    ("a temperature above 1", |request| request.sampling.temperature.is_some_and(|t| t > 1.0), [YES, YES, NO]),
    ("presence_penalty", |request| is_set(request.sampling.presence_penalty, 0.0), [YES, YES, NO]),
    ("frequency_penalty", |request| is_set(request.sampling.frequency_penalty, 0.0), [YES, YES, NO]),
    ("min_p", |request| is_set(request.sampling.min_p, 0.0), [YES, YES, NO]),
    ("repeat_penalty", |request| is_set(request.sampling.repeat_penalty, 1.0), [YES, YES, NO]),
    // llama.cpp's server knows these by Ollama's names; other servers of the kind say themselves what they refuse.
    ("typical_p", |request| has_option(&request.sampling, "typical_p"), [YES, YES, NO]),
    ("repeat_last_n", |request| has_option(&request.sampling, "repeat_last_n"), [YES, YES, NO]),
    ("mirostat", |request| has_option(&request.sampling, "mirostat"), [YES, YES, NO]),
    ("JSON without a schema", |request| request.format == Some(Format::Json), [YES, YES, NO]),
    ("this response_format", |request| matches!(request.format, Some(Format::Other(_))), [NO, YES, NO]),
];

/// Fields that are carried along in [`ChatRequest::rest`] and change the answer: whose word it is, who can do it.
const CARRIED: &[(Shape, &str, Can)] = &[
    (Shape::OpenAi, "functions", [NO, YES, NO]),
    (Shape::OpenAi, "function_call", [NO, YES, NO]),
    (Shape::OpenAi, "logit_bias", [NO, YES, NO]),
    (Shape::OpenAi, "modalities", [NO, YES, NO]),
    (Shape::OpenAi, "audio", [NO, YES, NO]),
    (Shape::OpenAi, "web_search_options", [NO, YES, NO]),
    // Ways of vLLM, SGLang and llama.cpp's server to force a form on the answer.
    (Shape::OpenAi, "guided_json", [NO, YES, NO]),
    (Shape::OpenAi, "guided_regex", [NO, YES, NO]),
    (Shape::OpenAi, "guided_choice", [NO, YES, NO]),
    (Shape::OpenAi, "guided_grammar", [NO, YES, NO]),
    (Shape::OpenAi, "structured_outputs", [NO, YES, NO]),
    (Shape::OpenAi, "json_schema", [NO, YES, NO]),
    (Shape::OpenAi, "grammar", [NO, YES, NO]),
    (Shape::OpenAi, "regex", [NO, YES, NO]),
    (Shape::OpenAi, "ebnf", [NO, YES, NO]),
    (Shape::Anthropic, "mcp_servers", [NO, NO, YES]),
    (Shape::Anthropic, "container", [NO, NO, YES]),
];

/// The options of an Ollama client that servers of the OpenAI kind get by the same names. No other: the rest would be
/// read as fields of the request itself.
pub(crate) const SHARED_OPTIONS: [&str; 5] = ["typical_p", "repeat_last_n", "mirostat", "mirostat_tau", "mirostat_eta"];

/// Refuses what `server` cannot do.
pub(crate) fn check(request: &ChatRequest, server: ServerApi) -> Result<(), RequestError> {
    let column = match server {
        ServerApi::Ollama => 0,
        ServerApi::OpenAi => 1,
        ServerApi::Anthropic => 2,
    };
    let read = READ.iter().filter(|(_, asked, can)| !can[column] && asked(request)).map(|(name, ..)| name);
    let carried = CARRIED.iter().filter(|(family, name, can)| {
        !can[column] && *family == request.family && request.rest.get(*name).is_some_and(|value| says(name, value))
    });
    match read.chain(carried.map(|(_, name, _)| name)).next() {
        None => Ok(()),
        Some(name) => Err(refused(server, name)),
    }
}

/// The refusal of something that `server` cannot do; `what` is a field or a noun.
pub(crate) fn refused(server: ServerApi, what: &str) -> RequestError {
    RequestError::Unsupported(format!("{what} is not supported by this model's server ({})", server.name()))
}

/// Whether a field that was sent asks for anything: clients send empty and neutral values too.
fn says(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(map) => !map.is_empty() || name == "web_search_options",
        Value::Array(items) if name == "modalities" => items.iter().any(|item| item != "text"),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn is_set(value: Option<f64>, neutral: f64) -> bool {
    value.is_some_and(|value| (value - neutral).abs() > f64::EPSILON)
}

fn has_option(sampling: &Sampling, name: &str) -> bool {
    sampling.options.contains_key(name)
}
