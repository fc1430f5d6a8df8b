//! A request as it was asked: parameters, body, and the form in which the answer is wanted.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Query, RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, HOST, WARNING};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::Serialize;
use serde_json::Value;

use crate::error::ElasticError;
use crate::filter_path::FilterPath;
use crate::gzip;
use crate::media::{TEXT, Wanted, check_content_type};
use crate::pretty::to_pretty;

/// Longest body that is read, unpacked. Bodies of `_bulk` are read apart.
pub(crate) const BODY_BYTES_MAX: usize = 10 << 20;

/// Parameters of every request.
const COMMON: [&str; 6] = ["pretty", "human", "error_trace", "filter_path", "format", "source_content_type"];

/// A request, read as far as all of them are alike.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) params: Params,
    pub(crate) body: Bytes,
    pub(crate) wanted: Wanted,
    /// By which address it came.
    pub(crate) host: Option<String>,
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
        let mut asked = Self::of_head(&parts.method, &parts.uri, &parts.headers)?;
        let is_packed = gzip::is_packed(&parts.headers)?;
        asked.body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
            if error.into_inner().is::<LengthLimitError>() {
                ElasticError::BodyTooLarge(BODY_BYTES_MAX)
            } else {
                ElasticError::BodyUnreadable
            }
        })?;
        if !asked.body.is_empty() {
            check_content_type(&parts.headers)?;
            if is_packed {
                asked.body = gzip::unpack(asked.body, BODY_BYTES_MAX).await?;
            }
        }
        Ok(asked)
    }

    /// A request whose body is not read yet.
    pub(crate) fn of_head(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, ElasticError> {
        let params = Params::read(uri)?;
        if let Some(format) = params.get("format")
            && format != "json"
            && !params.path.starts_with("/_cat")
        {
            return Err(ElasticError::Parameter(format!("[format] of [{format}] is not supported, only [json]")));
        }
        // HTTP/2 names the host in the target.
        let host =
            headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.authority().map(Authority::as_str));
        let host = host.map(str::to_owned);
        Ok(Self { method: method.clone(), params, body: Bytes::new(), wanted: Wanted::read(headers)?, host })
    }

    /// The body as JSON; `null` when there is none.
    pub(crate) fn json(&self) -> Result<Value, ElasticError> {
        read_json(&self.body)
    }

    /// Answers with JSON in the form that is wanted.
    pub(crate) fn answer<T: Serialize>(&self, result: Result<T, ElasticError>) -> Response {
        self.answer_with(result.map(|value| (StatusCode::OK, value)))
    }

    /// The same with another status than 200.
    pub(crate) fn answer_with<T: Serialize>(&self, result: Result<(StatusCode, T), ElasticError>) -> Response {
        let is_pretty = self.params.flag("pretty");
        match result.and_then(|(status, value)| Ok((status, self.write(&value, is_pretty)?))) {
            Ok((status, bytes)) => json_response(status, bytes, self.wanted),
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

/// Says beside an answer what of the request has no effect (RFC 7234, section 5.5), as Elasticsearch does; clients show it.
pub(crate) fn warn(response: &mut Response, warning: &'static str) {
    if let Ok(value) = HeaderValue::try_from(format!("299 tollhouse \"{warning}\"")) {
        response.headers_mut().append(WARNING, value);
    }
}

/// The names in a path: of indices, all when there are none, and of one other thing.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) indices: String,
    pub(crate) name: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| error_response(&ElasticError::Parameter(error.to_string()), Wanted::Any, false))?;
        let find = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
        Ok(Self { indices: find("indices").unwrap_or_else(|| "_all".to_owned()), name: find("name") })
    }
}

impl Names {
    /// The one other thing.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
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
