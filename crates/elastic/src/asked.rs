//! A request as it was asked: parameters, body, and the form in which the answer is wanted.

use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::Serialize;
use serde_json::{Map, Value};
use tollhouse_query::Pattern;

use crate::error::ElasticError;
use crate::media::{TEXT, Wanted, check_content_type};
use crate::pretty::to_pretty;

/// Longest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 10 << 20;

/// Parameters of every request.
const COMMON: [&str; 6] = ["pretty", "human", "error_trace", "filter_path", "format", "source_content_type"];

/// A request, read as far as all of them are alike.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) params: Params,
    pub(crate) body: Bytes,
    pub(crate) wanted: Wanted,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        Self::read(request).await.map_err(|error| error_response(&error, Wanted::Any, false))
    }
}

impl Asked {
    async fn read(request: Request) -> Result<Self, ElasticError> {
        let (parts, body) = request.into_parts();
        let wanted = Wanted::read(&parts.headers)?;
        let params = Params::read(&parts.uri)?;
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
            if error.into_inner().is::<LengthLimitError>() {
                ElasticError::BodyTooLarge(BODY_BYTES_MAX)
            } else {
                ElasticError::BodyUnreadable
            }
        })?;
        if !body.is_empty() {
            check_content_type(&parts.headers)?;
        }
        Ok(Self { params, body, wanted })
    }

    /// The body as JSON; `null` when there is none.
    pub(crate) fn json(&self) -> Result<Value, ElasticError> {
        read_json(&self.body)
    }

    /// Answers with JSON in the form that is wanted.
    pub(crate) fn answer<T: Serialize>(&self, result: Result<T, ElasticError>) -> Response {
        let is_pretty = self.params.flag("pretty");
        match result.and_then(|value| self.write(&value, is_pretty)) {
            Ok(bytes) => json_response(StatusCode::OK, bytes, self.wanted),
            Err(error) => error_response(&error, self.wanted, is_pretty),
        }
    }

    /// Answers with a table.
    pub(crate) fn answer_text(&self, result: Result<String, ElasticError>) -> Response {
        match result {
            Ok(text) => respond(StatusCode::OK, text.into_bytes(), TEXT),
            Err(error) => error_response(&error, self.wanted, self.params.flag("pretty")),
        }
    }

    fn write<T: Serialize>(&self, value: &T, is_pretty: bool) -> Result<Vec<u8>, ElasticError> {
        let filter = self.params.get("filter_path").filter(|filter| !filter.is_empty());
        if filter.is_none() && !is_pretty {
            return Ok(serde_json::to_vec(value)?);
        }
        let mut value = serde_json::to_value(value)?;
        if let Some(filter) = filter {
            value = FilterPath::new(filter).apply(value);
        }
        Ok(if is_pretty { to_pretty(&value) } else { serde_json::to_vec(&value)? })
    }
}

/// The body as JSON; `null` when there is none.
pub(crate) fn read_json(body: &[u8]) -> Result<Value, ElasticError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(body)?)
}

pub(crate) fn error_response(error: &ElasticError, wanted: Wanted, is_pretty: bool) -> Response {
    error.log();
    let body = error.body();
    let bytes = if is_pretty { to_pretty(&body) } else { body.to_string().into_bytes() };
    json_response(error.status(), bytes, wanted)
}

pub(crate) fn json_response(status: StatusCode, bytes: Vec<u8>, wanted: Wanted) -> Response {
    respond(status, bytes, wanted.json())
}

fn respond(status: StatusCode, bytes: Vec<u8>, content_type: HeaderValue) -> Response {
    (status, [(CONTENT_TYPE, content_type)], Body::from(bytes)).into_response()
}

/// What was asked for, as the client wrote it.
pub(crate) fn uri_of(request: &Request) -> String {
    let original = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
    original.path_and_query().map_or_else(|| original.path().to_owned(), ToString::to_string)
}

/// The parameters of an address.
#[derive(Debug)]
pub(crate) struct Params {
    path: String,
    list: Vec<(String, String)>,
}

impl Params {
    fn read(uri: &Uri) -> Result<Self, ElasticError> {
        let Query(list) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ElasticError::Parameter(format!("request [{}]: {error}", uri.path())))?;
        Ok(Self { path: uri.path().to_owned(), list })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is there, and not `false`, is on.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "false")
    }

    /// Refuses parameters that are not known: what they ask for would silently not happen.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ElasticError> {
        let is_known = |name: &str| known.contains(&name) || COMMON.contains(&name);
        let unknown: Vec<String> =
            self.list.iter().filter(|(name, _)| !is_known(name)).map(|(name, _)| format!("[{name}]")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let noun = if unknown.len() == 1 { "parameter" } else { "parameters" };
        Err(ElasticError::Parameter(format!(
            "request [{}] contains unrecognized {noun}: {}",
            self.path,
            unknown.join(", ")
        )))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ElasticError> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                ElasticError::Parameter(format!("Failed to parse int parameter [{name}] with value [{value}]"))
            })
        };
        self.get(name).map(parse).transpose()
    }
}

/// `filter_path`: which parts of an answer are sent. `*` is any name, `**` any number of levels, `-` in front leaves out.
struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    fn new(text: &str) -> Self {
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let (excludes, includes): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.starts_with('-'));
        Self {
            includes: includes.into_iter().map(path).collect(),
            excludes: excludes.into_iter().map(|part| path(&part[1..])).collect(),
        }
    }

    fn apply(&self, value: Value) -> Value {
        let states = |paths: &'_ [Vec<String>]| -> Vec<Vec<String>> { paths.to_vec() };
        let value = if self.excludes.is_empty() { value } else { without(value, &states(&self.excludes)) };
        if self.includes.is_empty() {
            return value;
        }
        only(value, &states(&self.includes)).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// Which paths lead on from a name, and whether one ends there.
fn step(paths: &[Vec<String>], name: &str) -> (bool, Vec<Vec<String>>) {
    let mut next = Vec::new();
    let mut ends = false;
    for path in paths {
        let mut rest = path.as_slice();
        // `**` stands for this level too, or for none.
        while let [first, more @ ..] = rest {
            if first == "**" {
                ends |= more.is_empty();
                next.push(rest.to_vec());
                rest = more;
                continue;
            }
            if Pattern::new(first).is_match(name) {
                ends |= more.is_empty();
                if !more.is_empty() {
                    next.push(more.to_vec());
                }
            }
            break;
        }
    }
    (ends, next)
}

fn only(value: Value, paths: &[Vec<String>]) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let mut kept = Map::new();
            for (name, value) in object {
                let (ends, next) = step(paths, &name);
                let value = if ends { Some(value) } else { only(value, &next) };
                if let Some(value) = value {
                    kept.insert(name, value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items.into_iter().filter_map(|item| only(item, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn without(value: Value, paths: &[Vec<String>]) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(name, value)| {
                let (ends, next) = step(paths, &name);
                (!ends).then(|| (name, without(value, &next)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| without(item, paths)).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filter_paths() {
        let value = json!({"took": 1, "hits": {"total": {"value": 2}, "hits": [{"_id": "1", "_source": {"a": 1, "b": 2}}, {"_id": "2"}]}});
        for (filter, expected) in [
            ("took", json!({"took": 1})),
            ("hits.total", json!({"hits": {"total": {"value": 2}}})),
            ("hits.hits._id", json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}})),
            ("hits.hits._source.a", json!({"hits": {"hits": [{"_source": {"a": 1}}]}})),
            ("**.value", json!({"hits": {"total": {"value": 2}}})),
            ("t*,hits.*.value", json!({"took": 1, "hits": {"total": {"value": 2}}})),
            ("-hits", json!({"took": 1})),
            ("hits,-hits.hits", json!({"hits": {"total": {"value": 2}}})),
            ("nothing", json!({})),
        ] {
            assert_eq!(FilterPath::new(filter).apply(value.clone()), expected, "{filter}");
        }
    }
}
