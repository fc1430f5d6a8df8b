//! Which request is meant: one match from method and path, made once.

use http::Method;
use percent_encoding::percent_decode_str;
use tollhouse_dialect::{Api, EmbedApi, Shape};

/// The family of APIs that a path belongs to: it decides the shape of errors, also for paths that do not exist.
pub(crate) fn shape_of(path: &str, is_anthropic: bool) -> Shape {
    if path.starts_with("/api/") {
        Shape::Ollama
    } else if is_anthropic || path.starts_with("/v1/messages") {
        Shape::Anthropic
    } else {
        Shape::OpenAi
    }
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// Something that a model answers.
    Chat(Api),
    /// Vectors of texts.
    Embed(EmbedApi),
    /// How many tokens a request of Anthropic's has.
    CountTokens,
    /// All models.
    Models,
    /// One model.
    Model(String),
    /// What an Ollama server tells of a model.
    Show,
    /// The models that are loaded.
    Running,
    /// The version of the Ollama server.
    Version,
    /// Changes which models an Ollama server has.
    Manage,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoRoute {
    /// There is no such path.
    Path,
    /// The path takes these methods.
    Method(&'static str),
}

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

impl Route {
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let (methods, route) = Self::of_path(path).ok_or(NoRoute::Path)?;
        if methods.split(", ").any(|wanted| wanted == method.as_str()) {
            Ok(route)
        } else {
            Err(NoRoute::Method(methods))
        }
    }

    /// What a model is to do, in the words of OpenTelemetry's conventions for generative models.
    pub(crate) fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Chat(Api::OpenAiCompletions | Api::OllamaGenerate) => Some("text_completion"),
            Self::Chat(_) => Some("chat"),
            Self::Embed(_) => Some("embeddings"),
            _ => None,
        }
    }

    fn of_path(path: &str) -> Option<(&'static str, Self)> {
        Some(match path {
            "/v1/chat/completions" => (POST, Self::Chat(Api::OpenAiChat)),
            "/v1/completions" => (POST, Self::Chat(Api::OpenAiCompletions)),
            "/v1/responses" => (POST, Self::Chat(Api::OpenAiResponses)),
            "/v1/embeddings" => (POST, Self::Embed(EmbedApi::OpenAi)),
            "/v1/models" | "/api/tags" => (GET, Self::Models),
            "/v1/messages" => (POST, Self::Chat(Api::AnthropicMessages)),
            "/v1/messages/count_tokens" => (POST, Self::CountTokens),
            "/api/chat" => (POST, Self::Chat(Api::OllamaChat)),
            "/api/generate" => (POST, Self::Chat(Api::OllamaGenerate)),
            "/api/embed" => (POST, Self::Embed(EmbedApi::Ollama)),
            "/api/embeddings" => (POST, Self::Embed(EmbedApi::OllamaSingle)),
            "/api/show" => (POST, Self::Show),
            "/api/ps" => (GET, Self::Running),
            "/api/version" => (GET, Self::Version),
            "/api/pull" | "/api/push" | "/api/create" | "/api/copy" => (POST, Self::Manage),
            "/api/delete" => ("DELETE", Self::Manage),
            other => {
                if let Some(digest) = other.strip_prefix("/api/blobs/") {
                    return is_digest(digest).then_some(("HEAD, POST", Self::Manage));
                }
                // A model's name may hold `:` and `/`, and clients encode them or not (RFC 3986, section 2.1).
                let name = other.strip_prefix("/v1/models/").filter(|name| !name.is_empty())?;
                (GET, Self::Model(percent_decode_str(name).decode_utf8_lossy().into_owned()))
            }
        })
    }
}

/// Whether this is the name of a blob of Ollama's: `sha256:` or `sha256-` and 64 hexadecimal digits.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256").and_then(|rest| rest.strip_prefix([':', '-']));
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let blob = format!("/api/blobs/sha256:{}", "a".repeat(64));
        let cases = [
            ("POST", "/v1/chat/completions", Ok(Route::Chat(Api::OpenAiChat))),
            ("POST", "/api/chat", Ok(Route::Chat(Api::OllamaChat))),
            ("POST", "/v1/messages", Ok(Route::Chat(Api::AnthropicMessages))),
            ("POST", "/v1/messages/count_tokens", Ok(Route::CountTokens)),
            ("GET", "/v1/chat/completions", Err(NoRoute::Method("POST"))),
            ("GET", "/v1/models", Ok(Route::Models)),
            ("HEAD", "/api/tags", Ok(Route::Models)),
            ("POST", "/api/tags", Err(NoRoute::Method("GET, HEAD"))),
            ("GET", "/v1/models/qwen3%3A32b", Ok(Route::Model("qwen3:32b".into()))),
            ("GET", "/v1/models/org/model", Ok(Route::Model("org/model".into()))),
            ("GET", "/v1/models/", Err(NoRoute::Path)),
            ("GET", "/v1/../admin", Err(NoRoute::Path)),
            ("POST", "/api/pull", Ok(Route::Manage)),
            ("DELETE", "/api/delete", Ok(Route::Manage)),
            ("POST", blob.as_str(), Ok(Route::Manage)),
            ("POST", "/api/blobs/../../etc/passwd", Err(NoRoute::Path)),
            ("POST", "//api/chat", Err(NoRoute::Path)),
            ("POST", "/V1/chat/completions", Err(NoRoute::Path)),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Route::of(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }
}
