//! Media types: what may be sent, what is answered, and the header by which clients know Elasticsearch.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::ElasticError;

/// Clients refuse a server without it.
pub(crate) const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const COMPATIBLE_8: HeaderValue = HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=8");
const COMPATIBLE_9: HeaderValue = HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=9");
/// Of tables.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// How an answer is to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// Nothing special was asked for.
    Any,
    /// `text/plain`.
    Text,
    /// `application/json`.
    Json,
    /// Elasticsearch's own type with this version.
    Compatible(u8),
}

impl Wanted {
    /// Reads `Accept`; the first type that we have counts.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, ElasticError> {
        let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for one in accept.flat_map(|value| value.split(',')) {
            match Media::read(one) {
                Media::Any => return Ok(Self::Any),
                Media::Text => return Ok(Self::Text),
                Media::Json => return Ok(Self::Json),
                Media::Compatible(Some(version)) => return Ok(Self::Compatible(version)),
                Media::Compatible(None) => return Err(ElasticError::MediaType("Accept")),
                Media::Other => {}
            }
        }
        Ok(Self::Any)
    }

    /// The type of a JSON answer.
    pub(crate) fn json(self) -> HeaderValue {
        match self {
            Self::Compatible(9) => COMPATIBLE_9,
            Self::Compatible(_) => COMPATIBLE_8,
            Self::Any | Self::Text | Self::Json => JSON,
        }
    }
}

/// Checks the type of a body that is not empty.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), ElasticError> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Media::read(text) {
        Media::Json | Media::Compatible(Some(_)) => Ok(()),
        Media::Compatible(None) => Err(ElasticError::MediaType("Content-Type")),
        Media::Any | Media::Text | Media::Other => Err(ElasticError::ContentType(text.to_owned())),
    }
}

enum Media {
    Any,
    Text,
    Json,
    /// `None`: a version that we do not speak.
    Compatible(Option<u8>),
    Other,
}

impl Media {
    fn read(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "*/*" | "application/*" => Media::Any,
            "text/plain" | "text/*" => Media::Text,
            "application/json" | "application/x-ndjson" => Media::Json,
            "application/vnd.elasticsearch+json" | "application/vnd.elasticsearch+x-ndjson" => {
                let version = parts.find_map(|part| part.strip_prefix("compatible-with="));
                Media::Compatible(match version {
                    Some("8") => Some(8),
                    Some("9") => Some(9),
                    _ => None,
                })
            }
            _ => Media::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_types() {
        for (accept, expected) in [
            ("", Some(Wanted::Any)),
            ("*/*", Some(Wanted::Any)),
            ("application/json", Some(Wanted::Json)),
            ("text/html, application/json;q=0.9", Some(Wanted::Json)),
            ("text/plain", Some(Wanted::Text)),
            ("application/vnd.elasticsearch+json; compatible-with=8", Some(Wanted::Compatible(8))),
            ("application/vnd.elasticsearch+json;compatible-with=9", Some(Wanted::Compatible(9))),
            ("application/vnd.elasticsearch+json;compatible-with=7", None),
            ("application/vnd.elasticsearch+json", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Wanted::read(&headers).ok(), expected, "{accept}");
        }
    }

    #[test]
    fn types_of_bodies() {
        for (content_type, is_read) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("application/x-ndjson", true),
            ("application/vnd.elasticsearch+json; compatible-with=9", true),
            ("application/vnd.elasticsearch+json; compatible-with=7", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(check_content_type(&headers).is_ok(), is_read, "{content_type}");
        }
    }
}
