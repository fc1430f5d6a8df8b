//! What a request needs the right to: told by its method and path, before it is read.

use axum::http::Method;

/// What the holder of a key must be allowed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Right {
    /// To read or to write: what whoever does either asks about the server first. Nothing of the book is in the answer.
    Any,
    /// To read the book.
    Read,
    /// To write documents into it.
    Write,
    /// To take indices away.
    Manage,
}

impl Right {
    /// The right that a request needs; `path` is relative to where the API is mounted.
    pub fn of(method: &Method, path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_asking = matches!(*method, Method::GET | Method::HEAD);
        let (first, second) = (parts.first().copied().unwrap_or_default(), parts.get(1).copied().unwrap_or_default());
        if matches!(
            first,
            "" | "_cluster"
                | "_nodes"
                | "_license"
                | "_xpack"
                | "_ilm"
                | "_data_stream"
                | "_index_template"
                | "_component_template"
                | "_template"
                | "_refresh"
        ) {
            return Self::Any;
        }
        if matches!(first, "_bulk" | "_reindex") {
            return Self::Write;
        }
        match second {
            "_refresh" => Self::Any,
            "health" if first == "_cat" => Self::Any,
            "_bulk" | "_create" | "_update" => Self::Write,
            "_doc" if !is_asking => Self::Write,
            "_delete_by_query" | "_update_by_query" => Self::Manage,
            // HEAD of an index tells a writer whether it is there.
            "" if *method == Method::HEAD => Self::Any,
            "" if *method == Method::DELETE && !first.starts_with('_') => Self::Manage,
            "" if *method == Method::PUT && !first.starts_with('_') => Self::Write,
            _ => Self::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights() {
        for (method, path, expected) in [
            (Method::GET, "/", Right::Any),
            (Method::GET, "/_cluster/health", Right::Any),
            (Method::PUT, "/_index_template/x", Right::Any),
            (Method::GET, "/_cat/health", Right::Any),
            (Method::HEAD, "/logs", Right::Any),
            (Method::GET, "/_cat/indices", Right::Read),
            (Method::GET, "/logs", Right::Read),
            (Method::GET, "/_search", Right::Read),
            (Method::POST, "/logs/_search", Right::Read),
            (Method::POST, "/_msearch", Right::Read),
            (Method::DELETE, "/_search/scroll", Right::Read),
            (Method::DELETE, "/_pit", Right::Read),
            (Method::POST, "/logs/_pit", Right::Read),
            (Method::GET, "/logs/_doc/1", Right::Read),
            (Method::PUT, "/logs/_doc/1", Right::Write),
            (Method::POST, "/logs/_doc", Right::Write),
            (Method::DELETE, "/logs/_doc/1", Right::Write),
            (Method::POST, "/_bulk", Right::Write),
            (Method::PUT, "//logs//_bulk", Right::Write),
            (Method::PUT, "/logs", Right::Write),
            (Method::DELETE, "/logs", Right::Manage),
            (Method::POST, "/logs/_delete_by_query", Right::Manage),
            (Method::DELETE, "/_all", Right::Read),
        ] {
            assert_eq!(Right::of(&method, path), expected, "{method} {path}");
        }
    }
}
