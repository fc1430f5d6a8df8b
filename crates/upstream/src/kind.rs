//! What differs between the kinds of servers: paths, bodies, streams and lists.

use serde::Deserialize;
use serde_json::{Map, Value};
use tollhouse_dialect::ollama::OllamaDefaults;
use tollhouse_dialect::{ChatRequest, DecodeError, Event, RequestError, ollama, openai};

use crate::Kind;

/// Most models that one server may list.
const MODELS_MAX: usize = 10_000;

/// The paths of a kind of server, after its URL.
pub(crate) struct Paths {
    pub(crate) chat: &'static str,
    pub(crate) list: &'static str,
    pub(crate) health: &'static str,
}

/// A model that a server lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) created_unix: i64,
    pub(crate) details: Value,
}

impl Kind {
    pub(crate) fn paths(self) -> Paths {
        match self {
            Self::Ollama => Paths { chat: "/api/chat", list: "/api/tags", health: "/api/version" },
            // Servers of this kind have no health address in common; the list is cheap everywhere.
            Self::OpenAi | Self::Demo => Paths { chat: "/chat/completions", list: "/models", health: "/models" },
        }
    }

    /// The request as this kind of server takes it.
    pub(crate) fn write_chat(
        self,
        request: &ChatRequest,
        model: &str,
        defaults: &OllamaDefaults,
    ) -> Result<Vec<u8>, RequestError> {
        match self {
            Self::Ollama => ollama::write_chat(request, model, defaults),
            Self::OpenAi | Self::Demo => Ok(openai::write_chat(request, model)),
        }
    }

    /// An answer that came whole.
    pub(crate) fn parse_completion(self, body: &[u8]) -> Result<Vec<Event>, DecodeError> {
        match self {
            Self::Ollama => ollama::parse_completion(body),
            Self::OpenAi | Self::Demo => openai::parse_completion(body),
        }
    }

    pub(crate) fn decoder(self) -> Decoder {
        match self {
            Self::Ollama => Decoder::Ollama(ollama::Decoder::new()),
            Self::OpenAi | Self::Demo => Decoder::OpenAi(openai::Decoder::new()),
        }
    }

    /// The server's list of models.
    pub(crate) fn parse_list(self, body: &[u8]) -> Result<Vec<Listed>, serde_json::Error> {
        let mut list = match self {
            Self::Ollama => parse_tags(body)?,
            Self::OpenAi | Self::Demo => parse_models(body)?,
        };
        list.truncate(MODELS_MAX);
        Ok(list)
    }

    /// Whether `listed` is what a client means by `asked`. Ollama lists `qwen3:latest` and answers to `qwen3`.
    pub(crate) fn is_name_of(self, asked: &str, listed: &str) -> bool {
        listed == asked || (self == Self::Ollama && listed.strip_suffix(":latest") == Some(asked))
    }
}

fn parse_tags(body: &[u8]) -> Result<Vec<Listed>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tags {
        models: Option<Vec<Map<String, Value>>>,
    }
    let tags: Tags = serde_json::from_slice(body)?;
    let rows = tags.models.unwrap_or_default().into_iter();
    Ok(rows
        .filter_map(|mut row| {
            let Some(Value::String(name)) = row.shift_remove("name") else { return None };
            row.shift_remove("model");
            let modified = row.get("modified_at").and_then(Value::as_str);
            let created = modified.and_then(|time| time.parse::<jiff::Timestamp>().ok());
            Some(Listed {
                name,
                created_unix: created.map_or(0, jiff::Timestamp::as_second),
                details: Value::Object(row),
            })
        })
        .collect())
}

fn parse_models(body: &[u8]) -> Result<Vec<Listed>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
        created: Option<i64>,
    }
    let models: Models = serde_json::from_slice(body)?;
    let listed =
        |model: Model| Listed { name: model.id, created_unix: model.created.unwrap_or_default(), details: Value::Null };
    Ok(models.data.into_iter().map(listed).collect())
}

/// Reads the stream of one kind of server.
#[derive(Debug)]
pub(crate) enum Decoder {
    OpenAi(openai::Decoder),
    Ollama(ollama::Decoder),
}

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self {
            Self::OpenAi(decoder) => decoder.push(bytes, out),
            Self::Ollama(decoder) => decoder.push(bytes, out),
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self {
            Self::OpenAi(decoder) => decoder.finish(out),
            Self::Ollama(decoder) => decoder.finish(out),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::OpenAi(decoder) => decoder.is_done(),
            Self::Ollama(decoder) => decoder.is_done(),
        }
    }
}
