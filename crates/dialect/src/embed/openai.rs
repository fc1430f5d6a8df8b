//! Embeddings as OpenAI has them, for clients and for servers of that kind.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{EMBED_INPUTS_MAX, EmbedMeta, EmbedRequest, Embeddings, Encoding, Inputs, vector};
use crate::json::{self, JsonLimits, Object, refuse_lookalike};
use crate::lines::excerpt;
use crate::{DecodeError, Outgoing, RequestError, ServerApi, Shape, ability, address, wire};

const KNOWN: &[&str] = &["model", "input", "encoding_format", "dimensions"];

/// Reads the body of `POST /v1/embeddings`.
pub(super) fn parse(body: &[u8], limits: &JsonLimits) -> Result<EmbedRequest, RequestError> {
    let mut request = EmbedRequest { truncate: Some(false), family: Shape::OpenAi, ..EmbedRequest::default() };
    let mut model = None;
    let mut inputs = None;
    for (key, value) in json::object(body, limits.depth)? {
        match key.as_str() {
            "model" => model = Some(wire::text(value, "model")?),
            "input" => inputs = Some(read_inputs(value)?),
            "encoding_format" => {
                request.encoding = match wire::text_or_null(value, "encoding_format")?.as_deref() {
                    None | Some("float") => Encoding::Float,
                    Some("base64") => Encoding::Base64,
                    Some(_) => return Err(RequestError::field("encoding_format", "must be \"float\" or \"base64\"")),
                }
            }
            "dimensions" => request.dimensions = super::ollama::read_dimensions(&value)?,
            _ => {
                refuse_lookalike(&key, KNOWN, "")?;
                request.rest.insert(key, value);
            }
        }
    }
    request.model = wire::model(model)?;
    request.inputs = inputs.ok_or_else(|| RequestError::field("input", "is missing"))?;
    Ok(request)
}

fn read_inputs(value: Value) -> Result<Inputs, RequestError> {
    let expected = || RequestError::field("input", "must be a string, an array of strings or tokens of them");
    let inputs = match value {
        Value::String(text) => Inputs::Texts(vec![text]),
        Value::Array(items) => match items.first() {
            Some(Value::String(_)) => {
                let text = |item| if let Value::String(text) = item { Ok(text) } else { Err(expected()) };
                Inputs::Texts(items.into_iter().map(text).collect::<Result<_, _>>()?)
            }
            Some(Value::Array(_)) => {
                let arrays = items.iter().map(|item| item.as_array().and_then(|array| read_tokens(array)));
                Inputs::Tokens(arrays.collect::<Option<_>>().ok_or_else(expected)?)
            }
            Some(_) => Inputs::Tokens(vec![read_tokens(&items).ok_or_else(expected)?]),
            None => return Err(RequestError::field("input", "must not be empty")),
        },
        _ => return Err(expected()),
    };
    let any_empty = match &inputs {
        Inputs::Texts(texts) => texts.iter().any(String::is_empty),
        Inputs::Tokens(arrays) => arrays.iter().any(Vec::is_empty),
    };
    if any_empty {
        return Err(RequestError::field("input", "must not be empty"));
    }
    bounded(inputs)
}

fn read_tokens(items: &[Value]) -> Option<Vec<u32>> {
    items.iter().map(|item| item.as_u64().and_then(|token| u32::try_from(token).ok())).collect()
}

pub(super) fn bounded(inputs: Inputs) -> Result<Inputs, RequestError> {
    if inputs.len() > EMBED_INPUTS_MAX {
        let found = inputs.len();
        return Err(RequestError::field("input", format!("has {found} items, max {EMBED_INPUTS_MAX}")));
    }
    Ok(inputs)
}

/// The request for `POST …/embeddings`.
pub(super) fn write(request: &EmbedRequest, model: &str) -> Result<Outgoing, RequestError> {
    if request.inputs.is_empty() {
        return Err(ability::refused(ServerApi::OpenAi, "an empty input"));
    }
    let mut out = Vec::with_capacity(128 + request.inputs.chars());
    let mut body = Object::open(&mut out);
    body.put("model", model);
    match &request.inputs {
        Inputs::Texts(texts) => body.put("input", texts),
        Inputs::Tokens(arrays) => body.put("input", arrays),
    }
    let encoding = if request.encoding == Encoding::Base64 { "base64" } else { "float" };
    body.put("encoding_format", encoding);
    body.put_some("dimensions", request.dimensions.as_ref());
    if request.family == Shape::OpenAi {
        address::check_fields(&request.rest)?;
        body.rest(&request.rest, KNOWN);
    }
    body.close();
    Ok(Outgoing { path: "/embeddings", body: out })
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default, borrow)]
    data: Option<Vec<Row<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
}

/// Reads the answer of a server of the OpenAI kind; its rows may come in any order.
pub(super) fn parse_embeddings(body: &[u8]) -> Result<Embeddings, DecodeError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::NotAStream(excerpt(body)));
    }
    let list: List = serde_json::from_slice(body).map_err(|error| DecodeError::Json(error.to_string()))?;
    if let Some(error) = list.error.filter(|error| !error.is_null()) {
        return Err(DecodeError::Reported(wire::error_text(&error)));
    }
    let rows = list.data.ok_or(DecodeError::Lacks("data"))?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; rows.len()];
    for (position, row) in rows.iter().enumerate() {
        match vectors.get_mut(row.index.unwrap_or(position)) {
            Some(place @ None) => *place = Some(vector::read(row.embedding)?),
            _ => return Err(DecodeError::Lacks("a vector per input")),
        }
    }
    let input_tokens = list.usage.and_then(|usage| usage.prompt_tokens);
    Ok(Embeddings { vectors: vectors.into_iter().flatten().collect(), input_tokens, ..Embeddings::default() })
}

/// The body of an answer for an OpenAI client.
pub(super) fn write_answer(meta: &EmbedMeta, embeddings: &Embeddings) -> Vec<u8> {
    let numbers: usize = embeddings.vectors.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(256 + 12 * numbers);
    let mut body = Object::open(&mut out);
    body.put("object", "list");
    json::array(body.key("data"), embeddings.vectors.iter().enumerate(), |out, (index, numbers)| {
        let mut row = Object::open(out);
        row.put("object", "embedding");
        row.put("index", &index);
        vector::write(row.key("embedding"), numbers, meta.encoding);
        row.close();
    });
    body.put("model", &meta.model);
    let tokens = embeddings.input_tokens.unwrap_or_default();
    let mut usage = Object::open(body.key("usage"));
    usage.put("prompt_tokens", &tokens);
    usage.put("total_tokens", &tokens);
    usage.close();
    body.close();
    out
}
