//! What differs between the kinds of servers besides the bodies of requests and answers: addresses, headers and lists.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Map, Value};
use tollhouse_dialect::ServerApi;

use crate::Kind;

/// Most models that one server may list.
const MODELS_MAX: usize = 10_000;
/// The version of Anthropic's API that is spoken.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The addresses of a kind of server, after its URL.
pub(crate) struct Paths {
    pub(crate) list: &'static str,
    pub(crate) health: &'static str,
    /// Where requests go.
    pub(crate) work: &'static [&'static str],
}

/// A model that a server lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) created_unix: i64,
    /// How many tokens fit, where the list tells.
    pub(crate) window: Option<u32>,
    pub(crate) details: Value,
}

impl Kind {
    /// What servers of this kind speak; `None` is no server.
    pub(crate) fn api(self) -> Option<ServerApi> {
        match self {
            Self::Ollama => Some(ServerApi::Ollama),
            Self::OpenAi => Some(ServerApi::OpenAi),
            Self::Anthropic => Some(ServerApi::Anthropic),
            Self::Demo => None,
        }
    }

    pub(crate) fn paths(self) -> Paths {
        match self {
            Self::Ollama => Paths {
                list: "/api/tags",
                health: "/api/version",
                work: &["/api/chat", "/api/generate", "/api/embed", "/api/ps", "/api/show"],
            },
            // Servers of these kinds have no health address in common; the list is cheap everywhere.
            Self::OpenAi | Self::Demo => Paths {
                list: "/models",
                health: "/models",
                work: &["/chat/completions", "/completions", "/embeddings"],
            },
            Self::Anthropic => Paths { list: "/v1/models", health: "/v1/models", work: &["/v1/messages"] },
        }
    }

    /// Whether servers of this kind load and throw out models on demand.
    pub(crate) fn swaps(self) -> bool {
        self == Self::Ollama
    }

    /// Adds the headers by which servers of this kind are shown a key; an error when it cannot be in one.
    pub(crate) fn show_key(self, key: Option<&str>, headers: &mut HeaderMap) -> Result<(), http::Error> {
        if self == Self::Anthropic {
            headers.insert(HeaderName::from_static("anthropic-version"), ANTHROPIC_VERSION);
        }
        let Some(key) = key else { return Ok(()) };
        let (name, value) = match self {
            Self::Anthropic => (HeaderName::from_static("x-api-key"), HeaderValue::try_from(key)),
            Self::Ollama | Self::OpenAi | Self::Demo => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))),
        };
        let mut value = value?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }

    /// The server's list of models.
    pub(crate) fn parse_list(self, body: &[u8]) -> Result<Vec<Listed>, serde_json::Error> {
        let mut list = match self {
            Self::Ollama => parse_tags(body)?,
            Self::OpenAi | Self::Anthropic | Self::Demo => parse_models(body)?,
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
                window: None,
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
        /// vLLM and SGLang.
        max_model_len: Option<u32>,
        /// llama.cpp's server.
        meta: Option<Meta>,
    }
    #[derive(Deserialize)]
    struct Meta {
        n_ctx: Option<u32>,
    }
    let models: Models = serde_json::from_slice(body)?;
    let listed = |model: Model| Listed {
        name: model.id,
        created_unix: model.created.unwrap_or_default(),
        window: model.max_model_len.or(model.meta.and_then(|meta| meta.n_ctx)),
        details: Value::Null,
    };
    Ok(models.data.into_iter().map(listed).collect())
}
