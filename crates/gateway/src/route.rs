//! Which request is meant: one match from method and path, made once.

use http::Method;
use percent_encoding::percent_decode_str;

/// The API that a path belongs to; decides the shape of answers and errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    OpenAi,
    Ollama,
}

impl Dialect {
    /// By the path's beginning, also for paths that do not exist: their error has a shape too.
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/api/") { Self::Ollama } else { Self::OpenAi }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    Chat,
    Models,
    Model(String),
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoRoute {
    Path,
    Method,
}

impl Route {
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let (wanted, route) = match path {
            "/v1/chat/completions" | "/api/chat" => (&[Method::POST][..], Self::Chat),
            "/v1/models" | "/api/tags" => (&[Method::GET, Method::HEAD][..], Self::Models),
            other => match other.strip_prefix("/v1/models/") {
                // A model's name may hold `:` and `/`, and clients encode them or not (RFC 3986, section 2.1).
                Some(name) if !name.is_empty() => {
                    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
                    (&[Method::GET][..], Self::Model(name))
                }
                _ => return Err(NoRoute::Path),
            },
        };
        if wanted.contains(method) { Ok(route) } else { Err(NoRoute::Method) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let cases = [
            ("POST", "/v1/chat/completions", Ok(Route::Chat)),
            ("POST", "/api/chat", Ok(Route::Chat)),
            ("GET", "/v1/chat/completions", Err(NoRoute::Method)),
            ("GET", "/v1/models", Ok(Route::Models)),
            ("GET", "/api/tags", Ok(Route::Models)),
            ("GET", "/v1/models/qwen3%3A32b", Ok(Route::Model("qwen3:32b".into()))),
            ("GET", "/v1/models/org/model", Ok(Route::Model("org/model".into()))),
            ("GET", "/v1/models/", Err(NoRoute::Path)),
            ("GET", "/v1/../admin", Err(NoRoute::Path)),
            ("POST", "/api/pull", Err(NoRoute::Path)),
            ("POST", "//api/chat", Err(NoRoute::Path)),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Route::of(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }
}
