//! Embeddings as Ollama has them, in both of its APIs, for clients and for servers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{EmbedMeta, EmbedRequest, Embeddings, Encoding, Inputs, openai, vector};
use crate::json::{self, JsonLimits, Object, refuse_lookalike};
use crate::lines::excerpt;
use crate::ollama::{bounded_keep_alive, options, read_keep_alive, read_options};
use crate::{DecodeError, Outgoing, RequestError, ServerApi, ServerDefaults, Shape, ability, wire};

const KNOWN: &[&str] = &["model", "input", "truncate", "dimensions", "options", "keep_alive"];
const KNOWN_IN_SINGLE: &[&str] = &["model", "prompt", "options", "keep_alive"];

/// Most numbers of a vector that a client may ask for.
const DIMENSIONS_MAX: i64 = 1 << 20;

pub(super) fn read_dimensions(value: &Value) -> Result<Option<u32>, RequestError> {
    Ok(wire::integer(value, "dimensions", 1, DIMENSIONS_MAX)?.map(|count| count as u32))
}

/// Reads the body of `POST /api/embed`.
pub(super) fn parse(body: &[u8], limits: &JsonLimits) -> Result<EmbedRequest, RequestError> {
    let mut request = EmbedRequest { family: Shape::Ollama, ..EmbedRequest::default() };
    let mut model = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "input" => request.inputs = openai::bounded(read_inputs(value)?)?,
            "truncate" => request.truncate = wire::flag(&value, "truncate")?,
            // Ollama takes 0 for no wish.
            "dimensions" if value == 0 => {}
            "dimensions" => request.dimensions = read_dimensions(&value)?,
            _ => read_shared(&mut request, key, value, KNOWN)?,
        }
    }
    request.model = wire::model(model)?;
    Ok(request)
}

/// Reads the body of `POST /api/embeddings`.
pub(super) fn parse_single(body: &[u8], limits: &JsonLimits) -> Result<EmbedRequest, RequestError> {
    let mut request = EmbedRequest { family: Shape::Ollama, single: true, ..EmbedRequest::default() };
    let mut model = None;
    let mut prompt = String::new();
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "prompt" => prompt = wire::text_or_null(value, "prompt")?.unwrap_or_default(),
            _ => read_shared(&mut request, key, value, KNOWN_IN_SINGLE)?,
        }
    }
    request.model = wire::model(model)?;
    if !prompt.is_empty() {
        request.inputs = Inputs::Texts(vec![prompt]);
    }
    Ok(request)
}

fn read_shared(request: &mut EmbedRequest, key: String, value: Value, known: &[&str]) -> Result<(), RequestError> {
    match key.as_str() {
        "options" if value.is_null() => {}
        "options" => request.sampling = read_options(wire::object(value, "options")?)?,
        "keep_alive" => request.keep_alive = read_keep_alive(value)?,
        _ => {
            refuse_lookalike(&key, known, "")?;
            request.rest.insert(key, value);
        }
    }
    Ok(())
}

/// An empty text is none: it asks for the model to be loaded. One among others cannot be embedded.
fn read_inputs(value: Value) -> Result<Inputs, RequestError> {
    let expected = || RequestError::field("input", "must be a string or an array of strings");
    match value {
        Value::Null => Ok(Inputs::default()),
        Value::String(text) if text.is_empty() => Ok(Inputs::default()),
        Value::String(text) => Ok(Inputs::Texts(vec![text])),
        Value::Array(items) => {
            let text = |(index, item)| match item {
                Value::String(text) if text.is_empty() => {
                    Err(RequestError::field(format!("input[{index}]"), "must not be empty"))
                }
                Value::String(text) => Ok(text),
                _ => Err(expected()),
            };
            Ok(Inputs::Texts(items.into_iter().enumerate().map(text).collect::<Result<_, _>>()?))
        }
        _ => Err(expected()),
    }
}

/// The request for `POST /api/embed`, or for the older API where the client used that: its vectors have other lengths,
/// and whoever has stored some must go on getting such.
pub(super) fn write(request: &EmbedRequest, model: &str, defaults: &ServerDefaults) -> Result<Outgoing, RequestError> {
    let Inputs::Texts(texts) = &request.inputs else {
        return Err(ability::refused(ServerApi::Ollama, "an input of tokens"));
    };
    let mut out = Vec::with_capacity(128 + request.inputs.chars());
    let mut body = Object::open(&mut out);
    body.put("model", model);
    let path = if request.single {
        body.put("prompt", texts.first().map_or("", String::as_str));
        "/api/embeddings"
    } else {
        body.put("input", texts);
        body.put_some("truncate", request.truncate.as_ref());
        body.put_some("dimensions", request.dimensions.as_ref());
        "/api/embed"
    };
    let keep_alive = match &defaults.keep_alive {
        Some(fixed) => Some(Cow::Borrowed(fixed)),
        None => request.keep_alive.as_ref().map(bounded_keep_alive).transpose()?,
    };
    body.put_some("keep_alive", keep_alive.as_deref().as_ref());
    let options = options(&request.sampling, defaults);
    if !options.is_empty() {
        body.put("options", &options);
    }
    if request.family == Shape::Ollama {
        body.rest(&request.rest, if request.single { KNOWN_IN_SINGLE } else { KNOWN });
    }
    body.close();
    Ok(Outgoing { path, body: out })
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default, borrow)]
    embeddings: Option<Vec<&'a RawValue>>,
    /// The older API's one vector.
    #[serde(default, borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    load_duration: Option<u64>,
    #[serde(default)]
    total_duration: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads the answer of an Ollama server, of either API.
pub(super) fn parse_embeddings(body: &[u8]) -> Result<Embeddings, DecodeError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::NotAStream(excerpt(body)));
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| DecodeError::Json(error.to_string()))?;
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(DecodeError::Reported(wire::error_text(&error)));
    }
    let vectors = match (answer.embeddings, answer.embedding) {
        (Some(rows), _) => rows.into_iter().map(vector::read).collect::<Result<_, _>>()?,
        // An empty one says that the model is loaded.
        (None, Some(row)) => [vector::read(row)?].into_iter().filter(|vector| !vector.is_empty()).collect(),
        (None, None) => return Err(DecodeError::Lacks("embeddings")),
    };
    let ms = |nanoseconds: Option<u64>| nanoseconds.map(|nanoseconds| nanoseconds as f64 / 1e6);
    Ok(Embeddings {
        vectors,
        input_tokens: answer.prompt_eval_count,
        load_ms: ms(answer.load_duration),
        total_ms: ms(answer.total_duration),
    })
}

/// The body of an answer for a client of `/api/embed`. Ollama leaves out what is zero.
pub(super) fn write_answer(meta: &EmbedMeta, embeddings: &Embeddings) -> Vec<u8> {
    let numbers: usize = embeddings.vectors.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(256 + 12 * numbers);
    let mut body = Object::open(&mut out);
    body.put("model", &meta.model);
    json::array(body.key("embeddings"), &embeddings.vectors, |out, numbers| {
        vector::write(out, numbers, Encoding::Float);
    });
    let ns = |ms: Option<f64>| ms.map(|ms| (ms * 1e6).round() as u64).filter(|ns| *ns > 0);
    body.put_some("total_duration", ns(embeddings.total_ms).as_ref());
    body.put_some("load_duration", ns(embeddings.load_ms).as_ref());
    body.put_some("prompt_eval_count", embeddings.input_tokens.filter(|count| *count > 0).as_ref());
    body.close();
    out
}

/// The body of an answer for a client of `/api/embeddings`. Ollama widens the numbers here, so the digits are more.
pub(super) fn write_single(embeddings: &Embeddings) -> Vec<u8> {
    let vector = embeddings.vectors.first().map_or(&[][..], Vec::as_slice);
    let wide: Vec<f64> = vector.iter().copied().map(f64::from).collect();
    let mut out = Vec::with_capacity(64 + 20 * wide.len());
    let mut body = Object::open(&mut out);
    body.put("embedding", &wide);
    body.close();
    out
}
