//! What each kind of model server can do beyond a plain chat, in one place: nothing asked for is lost without a word.
//!
//! What is in none of these tables is either written by every writer or a mere hint (`user`, `metadata`, `service_tier`,
//! `store`, `verbosity`, `parallel_tool_calls` towards Ollama, `cache_control`, `context_management` …), which servers
//! that do not know it are spared. So are `num_ctx`, `keep_alive` and `truncate` of Ollama's clients: other servers hold
//! their model and its window themselves, and refuse what does not fit. `shift` goes to no server: a differing one makes
//! Ollama load the model anew. What depends on more than the field is decided where it is written: `tool_choice` and the
//! effort of thinking in `ollama::write`, parts of a message in each `write`. What no server may be asked, though it
//! could do it, stands in `address`.

use serde_json::Value;

use crate::{ChatRequest, Format, Message, RequestError, ServerApi, Shape};

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
    ("JSON without a schema", |request| request.format == Some(Format::Json), [YES, YES, NO]),
    ("this response_format", |request| matches!(request.format, Some(Format::Other(_))), [NO, YES, NO]),
];

/// What a field says that asks for nothing, beside `null`, `false` and what is empty.
#[derive(Debug, Clone, Copy)]
enum Neutral {
    Empty,
    /// Nothing but `null` and `false`: an empty object is a wish here.
    Null,
    Number(f64),
    True,
    /// `["text"]`: what every answer is.
    Text,
    /// Anything: it only shapes what another field asks for.
    Any,
}

/// Fields that are carried along in [`ChatRequest::rest`], change the answer, and are known to servers of the client's
/// own family only.
const CARRIED: &[(Shape, &str, Neutral)] = &[
    (Shape::OpenAi, "functions", Neutral::Empty),
    (Shape::OpenAi, "function_call", Neutral::Empty),
    (Shape::OpenAi, "logit_bias", Neutral::Empty),
    (Shape::OpenAi, "modalities", Neutral::Text),
    (Shape::OpenAi, "audio", Neutral::Empty),
    (Shape::OpenAi, "prediction", Neutral::Empty),
    (Shape::OpenAi, "web_search_options", Neutral::Null),
    // Ways of vLLM, SGLang and llama.cpp's server to force a form on the answer.
    (Shape::OpenAi, "guided_json", Neutral::Empty),
    (Shape::OpenAi, "guided_regex", Neutral::Empty),
    (Shape::OpenAi, "guided_choice", Neutral::Empty),
    (Shape::OpenAi, "guided_grammar", Neutral::Empty),
    (Shape::OpenAi, "structured_outputs", Neutral::Empty),
    (Shape::OpenAi, "structural_tag", Neutral::Empty),
    (Shape::OpenAi, "json_schema", Neutral::Empty),
    (Shape::OpenAi, "grammar", Neutral::Empty),
    (Shape::OpenAi, "regex", Neutral::Empty),
    (Shape::OpenAi, "ebnf", Neutral::Empty),
    // Their ways to choose tokens and to end an answer.
    (Shape::OpenAi, "min_tokens", Neutral::Number(0.0)),
    (Shape::OpenAi, "ignore_eos", Neutral::Empty),
    (Shape::OpenAi, "stop_token_ids", Neutral::Empty),
    (Shape::OpenAi, "stop_regex", Neutral::Empty),
    (Shape::OpenAi, "include_stop_str_in_output", Neutral::Empty),
    (Shape::OpenAi, "no_stop_trim", Neutral::Empty),
    (Shape::OpenAi, "bad_words", Neutral::Empty),
    (Shape::OpenAi, "allowed_token_ids", Neutral::Empty),
    (Shape::OpenAi, "best_of", Neutral::Number(1.0)),
    (Shape::OpenAi, "use_beam_search", Neutral::Empty),
    (Shape::OpenAi, "length_penalty", Neutral::Number(1.0)),
    (Shape::OpenAi, "early_stopping", Neutral::Empty),
    (Shape::OpenAi, "samplers", Neutral::Empty),
    (Shape::OpenAi, "dynatemp_range", Neutral::Number(0.0)),
    (Shape::OpenAi, "xtc_probability", Neutral::Number(0.0)),
    (Shape::OpenAi, "dry_multiplier", Neutral::Number(0.0)),
    (Shape::OpenAi, "top_n_sigma", Neutral::Number(-1.0)),
    // What they tell beside the text, and how they write it.
    (Shape::OpenAi, "prompt_logprobs", Neutral::Empty),
    (Shape::OpenAi, "n_probs", Neutral::Number(0.0)),
    (Shape::OpenAi, "echo", Neutral::Empty),
    (Shape::OpenAi, "skip_special_tokens", Neutral::True),
    (Shape::OpenAi, "spaces_between_special_tokens", Neutral::True),
    // What they make of the prompt.
    (Shape::OpenAi, "documents", Neutral::Empty),
    (Shape::OpenAi, "truncate_prompt_tokens", Neutral::Empty),
    (Shape::OpenAi, "add_generation_prompt", Neutral::True),
    (Shape::OpenAi, "continue_final_message", Neutral::Empty),
    (Shape::Anthropic, "mcp_servers", Neutral::Empty),
    (Shape::Anthropic, "container", Neutral::Empty),
];

/// The options by Ollama's names that servers of the OpenAI kind get by the same: llama.cpp's server knows them, others
/// say themselves what they refuse. No other option goes there, for it would be read as a field of the request itself.
pub(crate) const SHARED_OPTIONS: [&str; 5] = ["typical_p", "repeat_last_n", "mirostat", "mirostat_tau", "mirostat_eta"];

/// What options say that ask for nothing. Options of other names always ask for something.
const OPTIONS: &[(&str, Neutral)] = &[
    ("typical_p", Neutral::Number(1.0)),
    ("repeat_last_n", Neutral::Number(64.0)),
    ("mirostat", Neutral::Number(0.0)),
    ("mirostat_tau", Neutral::Any),
    ("mirostat_eta", Neutral::Any),
    ("tfs_z", Neutral::Number(1.0)),
    ("penalize_newline", Neutral::True),
    ("num_keep", Neutral::Number(4.0)),
];

/// Fields of an OpenAI client's earlier messages that are more than text.
const CARRIED_IN_MESSAGES: &[(&str, &str)] = &[("function_call", "use tool_calls"), ("audio", "send its text")];

/// Refuses what `server` cannot do.
pub(crate) fn check(request: &ChatRequest, server: ServerApi) -> Result<(), RequestError> {
    let (column, family) = match server {
        ServerApi::Ollama => (0, Shape::Ollama),
        ServerApi::OpenAi => (1, Shape::OpenAi),
        ServerApi::Anthropic => (2, Shape::Anthropic),
    };
    let read = READ.iter().filter(|(_, asked, can)| !can[column] && asked(request)).map(|(name, ..)| *name);
    let options = request.sampling.options.iter().filter(|(name, value)| {
        let neutral = OPTIONS.iter().find(|(known, _)| known == name).map_or(Neutral::Null, |(_, neutral)| *neutral);
        !takes_option(server, name) && asks(value, neutral)
    });
    let carried = CARRIED.iter().filter(|(whose, name, neutral)| {
        let is_lost = *whose == request.family && *whose != family;
        is_lost && request.rest.get(*name).is_some_and(|value| asks(value, *neutral))
    });
    let lost = read.chain(options.map(|(name, _)| name.as_str())).chain(carried.map(|(_, name, _)| *name)).next();
    if let Some(name) = lost {
        return Err(refused(server, &name.chars().take(40).collect::<String>()));
    }
    if request.family == Shape::OpenAi && family != Shape::OpenAi {
        check_tools(request, server)?;
        request.messages.iter().enumerate().try_for_each(|(index, message)| check_message(message, index, server))?;
    }
    Ok(())
}

fn takes_option(server: ServerApi, name: &str) -> bool {
    match server {
        ServerApi::Ollama => true,
        ServerApi::OpenAi => SHARED_OPTIONS.contains(&name),
        ServerApi::Anthropic => false,
    }
}

/// Tools of other types than functions are run by OpenAI's own servers, or have a form that only they know.
fn check_tools(request: &ChatRequest, server: ServerApi) -> Result<(), RequestError> {
    let tools = request.tools.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_function = |tool: &Value| tool.get("type").is_none_or(|kind| kind == "function");
    match tools.iter().position(|tool| !is_function(tool)) {
        None => Ok(()),
        Some(index) => Err(refused(server, &format!("tools[{index}].type other than \"function\""))),
    }
}

fn check_message(message: &Message, index: usize, server: ServerApi) -> Result<(), RequestError> {
    let is_lost =
        |(field, _): &&(&str, &str)| message.rest.get(*field).is_some_and(|value| asks(value, Neutral::Empty));
    match CARRIED_IN_MESSAGES.iter().find(is_lost) {
        None => Ok(()),
        Some((field, advice)) => {
            let refusal = refused(server, &format!("messages[{index}].{field}"));
            Err(RequestError::Unsupported(format!("{refusal}, {advice}")))
        }
    }
}

/// The refusal of something that `server` cannot do; `what` is a field or a noun.
pub(crate) fn refused(server: ServerApi, what: &str) -> RequestError {
    RequestError::Unsupported(format!("{what} is not supported by this model's server ({})", server.name()))
}

/// Whether a field that was sent asks for anything: clients send empty and neutral values too.
fn asks(value: &Value, neutral: Neutral) -> bool {
    match (value, neutral) {
        (_, Neutral::Any) | (Value::Null, _) => false,
        (Value::Bool(flag), Neutral::True) => !flag,
        (Value::Bool(flag), _) => *flag,
        (_, Neutral::Null) => true,
        (Value::Number(number), Neutral::Number(neutral)) => is_set(number.as_f64(), neutral),
        (Value::Array(items), Neutral::Text) => items.iter().any(|item| item != "text"),
        (Value::Array(items), _) => !items.is_empty(),
        (Value::Object(map), _) => !map.is_empty(),
        (Value::String(text), _) => !text.is_empty(),
        (Value::Number(_), _) => true,
    }
}

fn is_set(value: Option<f64>, neutral: f64) -> bool {
    value.is_some_and(|value| (value - neutral).abs() > f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_neutral_value_asks_for_nothing() {
        for (value, neutral, expected) in [
            (json!(null), Neutral::Null, false),
            (json!(false), Neutral::Null, false),
            (json!({}), Neutral::Null, true),
            (json!({}), Neutral::Empty, false),
            (json!(""), Neutral::Empty, false),
            (json!(0), Neutral::Empty, true),
            (json!(0), Neutral::Number(0.0), false),
            (json!(1.0), Neutral::Number(1.0), false),
            (json!("1"), Neutral::Number(1.0), true),
            (json!(0.9), Neutral::Number(1.0), true),
            (json!(true), Neutral::True, false),
            (json!(false), Neutral::True, true),
            (json!(["text"]), Neutral::Text, false),
            (json!(["text", "audio"]), Neutral::Text, true),
            (json!(5), Neutral::Any, false),
        ] {
            assert_eq!(asks(&value, neutral), expected, "{value} {neutral:?}");
        }
    }

    #[test]
    fn every_field_of_the_tables_is_refused_elsewhere_and_only_there() {
        for (family, name, neutral) in CARRIED {
            let asked = if matches!(neutral, Neutral::True) { json!(false) } else { json!(["x"]) };
            let rest = serde_json::Map::from_iter([((*name).to_owned(), asked)]);
            let request = ChatRequest { family: *family, rest, ..ChatRequest::default() };
            for (server, own) in [
                (ServerApi::OpenAi, Shape::OpenAi),
                (ServerApi::Ollama, Shape::Ollama),
                (ServerApi::Anthropic, Shape::Anthropic),
            ] {
                assert_eq!(check(&request, server).is_ok(), *family == own, "{name} {server:?}");
            }
        }
    }
}
