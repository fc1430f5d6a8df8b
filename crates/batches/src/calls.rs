//! The HTTP calls: which one is meant, what it takes, and how its answer is written.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tollhouse_gateway::LaterBody;
use tollhouse_web::Answer;

use crate::deferred::Kind;
use crate::error::BatchError;
use crate::files::{KeptFile, Part};

/// Bytes of a body that is no upload.
const BODY_BYTES_MAX: usize = 64 << 10;
/// How long it may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Entries of one list.
const LIST_MAX: u32 = 1_000;
/// Bytes of a file that are in memory while it is sent.
const PIECE_BYTES: usize = 64 << 10;
/// The window of a batch: OpenAI's API has `24h` alone.
const WINDOW_MAX: Duration = Duration::from_hours(7 * 24);
/// A batch's own entries, as OpenAI's API bounds them.
const METADATA_MAX: usize = 16;
const METADATA_NAME_CHARS_MAX: usize = 64;
const METADATA_VALUE_CHARS_MAX: usize = 512;
/// Where lines of a batch can go.
const ENDPOINTS: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"];

/// A call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route<'a> {
    Upload,
    Files,
    File(&'a str),
    RemoveFile(&'a str),
    Content(&'a str),
    CreateBatch,
    Batches,
    Batch(&'a str),
    CancelBatch(&'a str),
    Deferred(Kind, &'a str),
    ForgetDeferred(Kind, &'a str),
    CancelDeferred(Kind, &'a str),
}

impl<'a> Route<'a> {
    /// The call that a method and a path mean.
    pub(crate) fn of(method: &Method, path: &'a str) -> Result<Self, BatchError> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let routes: Vec<(&'static str, Self)> = match parts[..] {
            ["v1", "files"] => vec![("GET", Self::Files), ("POST", Self::Upload)],
            ["v1", "files", id] => vec![("GET", Self::File(id)), ("DELETE", Self::RemoveFile(id))],
            ["v1", "files", id, "content"] => vec![("GET", Self::Content(id))],
            ["v1", "batches"] => vec![("GET", Self::Batches), ("POST", Self::CreateBatch)],
            ["v1", "batches", id] => vec![("GET", Self::Batch(id))],
            ["v1", "batches", id, "cancel"] => vec![("POST", Self::CancelBatch(id))],
            ["v1", "responses", id] => Self::deferred(Kind::Response, id),
            ["v1", "responses", id, "cancel"] => vec![("POST", Self::CancelDeferred(Kind::Response, id))],
            ["v1", "chat", "completions", id] => Self::deferred(Kind::Chat, id),
            ["v1", "chat", "completions", id, "cancel"] => vec![("POST", Self::CancelDeferred(Kind::Chat, id))],
            _ => return Err(BatchError::Path),
        };
        let methods = match routes[..] {
            [(only, _)] => only,
            [_, ("POST", _)] => "GET, POST",
            _ => "DELETE, GET",
        };
        let meant = routes.into_iter().find(|(wanted, _)| *wanted == method.as_str());
        meant.map(|(_, route)| route).ok_or(BatchError::Method(methods))
    }

    fn deferred(kind: Kind, id: &'a str) -> Vec<(&'static str, Self)> {
        vec![("GET", Self::Deferred(kind, id)), ("DELETE", Self::ForgetDeferred(kind, id))]
    }
}

/// What a list is asked for by.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) part: Part,
    pub(crate) purpose: Option<String>,
}

impl Query {
    /// Reads what stands behind `?`. What is not known is left aside, as OpenAI's API does.
    pub(crate) fn read(query: Option<&str>, default_limit: u32) -> Result<Self, BatchError> {
        let part = Part { after: None, limit: default_limit, is_newest_first: true };
        let mut read = Self { part, purpose: None };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "after" => read.part.after = Some(value),
                "purpose" => read.purpose = Some(value),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    let limit: u32 =
                        limit.ok_or_else(|| BatchError::wrong("limit has to be a number from 1", "limit"))?;
                    read.part.limit = limit.min(LIST_MAX);
                }
                "order" => match value.as_str() {
                    "asc" => read.part.is_newest_first = false,
                    "desc" => read.part.is_newest_first = true,
                    _ => return Err(BatchError::wrong("order has to be asc or desc", "order")),
                },
                _ => {}
            }
        }
        Ok(read)
    }
}

/// A batch that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewBatch {
    pub(crate) input_file_id: String,
    pub(crate) endpoint: String,
    pub(crate) completion_window: String,
    pub(crate) window: Duration,
    pub(crate) metadata: Option<Map<String, Value>>,
}

impl NewBatch {
    /// Reads the body of a call.
    pub(crate) fn read(body: &[u8]) -> Result<Self, BatchError> {
        #[derive(Deserialize)]
        struct Body {
            input_file_id: String,
            endpoint: String,
            completion_window: String,
            #[serde(default)]
            metadata: Option<Map<String, Value>>,
        }
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| BatchError::Wrong { message: format!("the body: {error}"), param: None })?;
        if !ENDPOINTS.contains(&body.endpoint.as_str()) {
            let message = format!("endpoint has to be one of {}", ENDPOINTS.join(", "));
            return Err(BatchError::wrong(message, "endpoint"));
        }
        let window = tollhouse_units::parse_duration(&body.completion_window).ok();
        let window = window.filter(|window| *window >= Duration::from_secs(1) && *window <= WINDOW_MAX);
        let window = window.ok_or_else(|| {
            BatchError::wrong("completion_window has to be 24h, or another time from 1s to 168h", "completion_window")
        })?;
        if let Some(metadata) = &body.metadata {
            let is_short = |(name, value): (&String, &Value)| {
                let value = value.as_str().map(|value| value.chars().count());
                name.chars().count() <= METADATA_NAME_CHARS_MAX
                    && value.is_some_and(|chars| chars <= METADATA_VALUE_CHARS_MAX)
            };
            if metadata.len() > METADATA_MAX || !metadata.iter().all(is_short) {
                let message = format!(
                    "metadata may have {METADATA_MAX} texts of {METADATA_VALUE_CHARS_MAX} characters, with names of \
                     {METADATA_NAME_CHARS_MAX}"
                );
                return Err(BatchError::wrong(message, "metadata"));
            }
        }
        Ok(Self {
            input_file_id: body.input_file_id,
            endpoint: body.endpoint,
            completion_window: body.completion_window,
            window,
            metadata: body.metadata,
        })
    }
}

/// A body that is no upload, whole.
pub(crate) async fn whole(body: LaterBody<'_>) -> Result<Bytes, BatchError> {
    let wrong = |message: &str| BatchError::Wrong { message: message.to_owned(), param: None };
    let read = timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let read = read.map_err(|_| wrong("the body did not arrive in time"))?;
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(BatchError::TooLarge(format!("the body may have {BODY_BYTES_MAX} bytes")))
        }
        Err(_) => Err(wrong("the body did not arrive in full")),
    }
}

/// JSON.
pub(crate) fn json_answer(status: u16, body: &Value) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    tollhouse_web::json(status, body.to_string())
}

/// A page of a list.
pub(crate) fn list(entries: &[Value], has_more: bool) -> Answer {
    let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone()).unwrap_or_default();
    let (first, last) = (id(entries.first()), id(entries.last()));
    let list = json!({"object": "list", "data": entries, "first_id": first, "last_id": last, "has_more": has_more});
    json_answer(200, &list)
}

/// A file's content, read as it is sent.
pub(crate) async fn content(kept: &KeptFile, path: &std::path::Path) -> Result<Answer, BatchError> {
    let file = File::open(path).await.map_err(BatchError::file(path))?;
    let pieces = stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Frame::data(Bytes::from(piece))), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut answer = Response::new(tollhouse_web::end_on_error(StreamBody::new(pieces)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(kept.bytes));
    // It is shown nowhere, whatever is in it.
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}.jsonl\"", kept.id)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        let of = |method: &str, path: &'static str| Route::of(&method.parse().unwrap(), path);
        assert_eq!(of("POST", "/v1/files").unwrap(), Route::Upload);
        assert_eq!(of("GET", "/v1/files/x/content").unwrap(), Route::Content("x"));
        assert_eq!(of("GET", "/v1/files/..%2fbatches.db/content").unwrap(), Route::Content("..%2fbatches.db"));
        assert_eq!(of("DELETE", "/v1/responses/r").unwrap(), Route::ForgetDeferred(Kind::Response, "r"));
        assert_eq!(of("GET", "/v1/chat/completions/c").unwrap(), Route::Deferred(Kind::Chat, "c"));
        assert!(matches!(of("PUT", "/v1/files/x"), Err(BatchError::Method("DELETE, GET"))));
        assert!(matches!(of("DELETE", "/v1/batches"), Err(BatchError::Method("GET, POST"))));
        assert!(matches!(of("GET", "/v1/batches/x/cancel"), Err(BatchError::Method("POST"))));
        assert!(matches!(of("GET", "/v1/files/../x/y/z"), Err(BatchError::Path)));
    }

    #[test]
    fn a_new_batch_is_read_with_its_bounds() {
        let of = |change: fn(&mut Value)| {
            let mut body = json!({
                "input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": "b"},
            });
            change(&mut body);
            NewBatch::read(body.to_string().as_bytes())
        };
        assert_eq!(of(|_| ()).unwrap().window, Duration::from_hours(24));
        let param = |change: fn(&mut Value)| match of(change) {
            Err(BatchError::Wrong { param, .. }) => param,
            other => panic!("{other:?}"),
        };
        assert_eq!(param(|body| body["endpoint"] = "/v1/models".into()), Some("endpoint"));
        assert_eq!(param(|body| body["completion_window"] = "0s".into()), Some("completion_window"));
        assert_eq!(param(|body| body["completion_window"] = "9000h".into()), Some("completion_window"));
        assert_eq!(param(|body| body["metadata"]["a"] = 7.into()), Some("metadata"));
        assert_eq!(param(|body| body["input_file_id"] = Value::Null), None);
    }

    #[test]
    fn a_list_is_asked_for_in_parts() {
        let query = Query::read(Some("limit=5&after=file-a&order=asc&purpose=batch&x=y"), 20).unwrap();
        assert_eq!((query.part.limit, query.part.is_newest_first), (5, false));
        assert_eq!((query.part.after.as_deref(), query.purpose.as_deref()), (Some("file-a"), Some("batch")));
        assert_eq!(Query::read(Some("limit=99999"), 20).unwrap().part.limit, LIST_MAX);
        for wrong in ["limit=0", "limit=x", "order=up"] {
            assert!(Query::read(Some(wrong), 20).is_err(), "{wrong}");
        }
    }
}
