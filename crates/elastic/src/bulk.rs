//! Writing: `_bulk`, and documents one by one.
//!
//! A document becomes a record of the journal and is acknowledged when the journal has it on the disk. The book is only
//! added to: the first document of an id stays, a second one is told that it is there already (409), so that whoever sends
//! the same again after an answer was lost doubles nothing. Changing and deleting single documents is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tollhouse_query::date::parse_date;

use crate::asked::{Asked, Names, Params, error_response, read_json};
use crate::book::{Book, NewDocument};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::indices::REFRESH_S_MAX;
use crate::media::Wanted;
use crate::names::Target;
use crate::room::{Room, read_body};

/// Items that are written together.
const BATCH_ITEMS: usize = 512;
/// Longest id; Elasticsearch's.
const ID_BYTES_MAX: usize = 512;
/// Longest document: with what the house adds it fits into a line of the journal.
const DOCUMENT_BYTES_MAX: usize = 192 << 10;
/// Members of the line before a document. Those without a use here change nothing of what is written.
const ACTION: [&str; 8] = [
    "_index",
    "_id",
    "routing",
    "require_alias",
    "list_executed_pipelines",
    "_type",
    "require_data_stream",
    "dynamic_templates",
];
const PARAMETERS: [&str; 12] = [
    "refresh",
    "timeout",
    "wait_for_active_shards",
    "routing",
    "require_alias",
    "require_data_stream",
    "pipeline",
    "op_type",
    "_source",
    "_source_includes",
    "_source_excludes",
    "list_executed_pipelines",
];

#[derive(Serialize)]
struct Answer {
    errors: bool,
    took: u64,
    items: Vec<Value>,
}

/// What came of one document.
struct Outcome {
    action: &'static str,
    index: String,
    id: Option<String>,
    result: Result<u64, ItemError>,
}

/// Why one document was not written.
struct ItemError {
    status: StatusCode,
    kind: &'static str,
    reason: String,
}

impl ItemError {
    fn illegal(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "illegal_argument_exception", reason: reason.into() }
    }

    fn unreadable(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "document_parsing_exception", reason: reason.into() }
    }

    fn conflict(id: &str) -> Self {
        let reason = format!("[{id}]: version conflict, document already exists (the first one of an id stays)");
        Self { status: StatusCode::CONFLICT, kind: "version_conflict_engine_exception", reason }
    }

    fn unavailable(error: &ElasticError) -> Self {
        Self { status: error.status(), kind: "unavailable_shards_exception", reason: error.to_string() }
    }
}

impl From<ElasticError> for ItemError {
    fn from(error: ElasticError) -> Self {
        let kind = match &error {
            ElasticError::IndexName { .. } => "invalid_index_name_exception",
            ElasticError::Unwritable(_) | ElasticError::Remote(_) => "unavailable_shards_exception",
            ElasticError::Forbidden { .. } => "security_exception",
            ElasticError::BulkBusy(_) | ElasticError::Busy { .. } => "es_rejected_execution_exception",
            _ => "illegal_argument_exception",
        };
        Self { status: error.status(), kind, reason: error.to_string() }
    }
}

/// What is to be done with one document.
struct Item {
    action: &'static str,
    index: String,
    id: Option<String>,
    source: Result<Bytes, ItemError>,
}

/// `POST|PUT [/{indices}]/_bulk`. Goes on when the client has left: what it sent is complete.
pub(crate) async fn bulk(elastic: Elastic, path: Option<Path<String>>, request: Request) -> Response {
    let began = Instant::now();
    let (asked, room) = match read(request).await {
        Ok(read) => read,
        Err(error) => return error_response(&error, Wanted::Any, false),
    };
    let asked = Arc::new(asked);
    let request = asked.clone();
    let written = tokio::spawn(async move {
        let _held = room;
        check_params(&request.params)?;
        let mut written = Written::new(elastic)?;
        let default_index = path.map(|Path(index)| index);
        let mut items = Items { lines: Lines(request.body.clone()), default_index, has_any: false };
        loop {
            let batch = items.next_batch()?;
            if batch.is_empty() {
                break;
            }
            written.batch(batch).await;
        }
        let outcomes = written.finish(&request.params).await?;
        Ok(Answer {
            errors: outcomes.iter().any(|outcome| outcome.result.is_err()),
            took: began.elapsed().as_millis() as u64,
            items: outcomes.iter().map(|outcome| outcome.item(&request.params)).collect(),
        })
    });
    asked.answer(written.await.unwrap_or(Err(ElasticError::Internal)))
}

/// `POST /{indices}/_doc`, `PUT|POST /{indices}/_doc/{name}`.
pub(crate) async fn index(elastic: Elastic, names: Names, request: Request) -> Response {
    one(elastic, names, request, "index").await
}

/// `PUT|POST /{indices}/_create/{name}`.
pub(crate) async fn create(elastic: Elastic, names: Names, request: Request) -> Response {
    one(elastic, names, request, "create").await
}

async fn one(elastic: Elastic, names: Names, request: Request, action: &'static str) -> Response {
    let (asked, room) = match read(request).await {
        Ok(read) => read,
        Err(error) => return error_response(&error, Wanted::Any, false),
    };
    let asked = Arc::new(asked);
    let request = asked.clone();
    let written = tokio::spawn(async move {
        let _held = room;
        check_params(&request.params)?;
        if request.body.is_empty() {
            return Err(ElasticError::Validation("source is missing"));
        }
        let mut written = Written::new(elastic)?;
        let (index, id) = (names.indices, names.name);
        written.batch(vec![Item { action, index, id, source: Ok(request.body.clone()) }]).await;
        let mut outcomes = written.finish(&request.params).await?;
        let outcome = outcomes.pop().ok_or(ElasticError::Internal)?;
        let status = outcome.status();
        Ok((status, if outcome.result.is_ok() { outcome.shown(&request.params) } else { outcome.refused() }))
    });
    asked.answer_with(written.await.unwrap_or(Err(ElasticError::Internal)))
}

fn check_params(params: &Params) -> Result<(), ElasticError> {
    params.only(&PARAMETERS)?;
    if let Some(pipeline) = params.get("pipeline").filter(|pipeline| !matches!(*pipeline, "" | "_none")) {
        return Err(ElasticError::Parameter(format!("pipeline with id [{pipeline}] does not exist")));
    }
    match params.get("refresh") {
        None | Some("" | "true" | "false" | "wait_for") => Ok(()),
        Some(other) => Err(ElasticError::Parameter(format!("Unknown value for refresh: [{other}]."))),
    }
}

/// Reads head and body, as long as there is room for it.
async fn read(request: Request) -> Result<(Asked, Room), ElasticError> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked::of_head(&parts.method, &parts.uri, &parts.headers)?;
    let (bytes, room) = read_body(&parts.headers, body).await?;
    asked.body = bytes;
    Ok((asked, room))
}

/// The lines of a body that are left.
struct Lines(Bytes);

impl Lines {
    fn next(&mut self) -> Option<Bytes> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', &self.0);
        let line = self.0.split_to(end.map_or(self.0.len(), |end| end + 1));
        Some(line.slice(..end.unwrap_or(line.len())))
    }
}

struct Items {
    lines: Lines,
    default_index: Option<String>,
    has_any: bool,
}

impl Items {
    /// The next documents. A line about one that cannot be read refuses the rest of the request, as in Elasticsearch: what
    /// follows cannot be told apart any more.
    fn next_batch(&mut self) -> Result<Vec<Item>, ElasticError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_ITEMS {
            let Some(line) = self.lines.next() else { break };
            if line.trim_ascii().is_empty() {
                continue;
            }
            batch.push(self.item(&line)?);
            self.has_any = true;
        }
        if !self.has_any {
            return Err(ElasticError::Validation("no requests added"));
        }
        Ok(batch)
    }

    fn item(&mut self, line: &[u8]) -> Result<Item, ElasticError> {
        let malformed = |what: String| ElasticError::Parameter(format!("Malformed action/metadata line: {what}"));
        let Value::Object(action) = read_json(line)? else {
            return Err(malformed("expected an object".to_owned()));
        };
        let Some((name, Value::Object(options))) = action.into_iter().next() else {
            return Err(malformed("expected one action with an object".to_owned()));
        };
        let action = match name.as_str() {
            "index" => "index",
            "create" => "create",
            "update" => "update",
            "delete" => "delete",
            other => {
                return Err(malformed(format!("expected one of [create, delete, index, update] but found [{other}]")));
            }
        };
        let text = |name: &str| match options.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let index = text("_index").or_else(|| self.default_index.clone());
        let index = index.ok_or(ElasticError::Validation("index is missing"))?;
        let source = match action {
            "delete" => Err(ElasticError::Unchangeable.into()),
            _ => match self.lines.next() {
                None => return Err(ElasticError::Validation("source is missing")),
                Some(_) if action == "update" => Err(ElasticError::Unchangeable.into()),
                Some(source) => check_options(&options).map(|()| source),
            },
        };
        Ok(Item { action, index, id: text("_id").filter(|id| !id.is_empty()), source })
    }
}

fn check_options(options: &Map<String, Value>) -> Result<(), ItemError> {
    match options.iter().find(|(name, value)| !ACTION.contains(&name.as_str()) && !value.is_null()) {
        Some((name, value)) if name == "pipeline" && value != "_none" => {
            Err(ItemError::illegal(format!("pipeline with id [{value}] does not exist")))
        }
        Some((name, _)) if name == "pipeline" => Ok(()),
        Some((name, _)) => Err(ItemError::illegal(format!("[{name}] of a document is not supported"))),
        None => Ok(()),
    }
}

/// Documents on their way to the book, and what came of those before.
struct Written {
    elastic: Elastic,
    book: Arc<dyn Book>,
    outcomes: Vec<Outcome>,
    last_seq: u64,
}

impl Written {
    fn new(elastic: Elastic) -> Result<Self, ElasticError> {
        Ok(Self { book: elastic.book()?, elastic, outcomes: Vec::new(), last_seq: 0 })
    }

    /// Writes documents, in order; each is refused by itself.
    async fn batch(&mut self, items: Vec<Item>) {
        let now_ms = Timestamp::now().as_millisecond();
        let mut ready = Vec::new();
        for Item { action, index, id, source } in items {
            let place = self.outcomes.len();
            let document = match source {
                Ok(source) => self.document(&index, id.as_deref(), source, now_ms).await,
                Err(error) => Err(error),
            };
            let (index, result) = match document {
                Ok(document) => {
                    let index = document.index.clone();
                    ready.push((place, document));
                    (index, Ok(0))
                }
                Err(error) => (index, Err(error)),
            };
            self.outcomes.push(Outcome { action, index, id, result });
        }
        self.refuse_known(&mut ready).await;
        let (places, documents): (Vec<usize>, Vec<NewDocument>) = ready.into_iter().unzip();
        let claims: Vec<Option<(String, String)>> =
            documents.iter().map(|document| document.id.clone().map(|id| (document.index.clone(), id))).collect();
        let written = self.book.append(documents).await;
        debug_assert_eq!(written.len(), places.len(), "one result for each document");
        for ((place, result), claim) in places.into_iter().zip(written).zip(claims) {
            match (&result, claim) {
                (Ok(seq), claim) => {
                    self.last_seq = self.last_seq.max(*seq);
                    if let Some(claim) = claim {
                        self.elastic.claims.settle(claim, *seq);
                    }
                }
                (Err(error), claim) => {
                    tracing::warn!(error = %error, "writing a document of a client");
                    if let Some(claim) = &claim {
                        self.elastic.claims.give_up(claim);
                    }
                }
            }
            self.outcomes[place].result = result.map_err(ItemError::from);
        }
    }

    async fn document(
        &self,
        index: &str,
        id: Option<&str>,
        source: Bytes,
        now_ms: i64,
    ) -> Result<NewDocument, ItemError> {
        if source.len() > DOCUMENT_BYTES_MAX {
            return Err(ItemError {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                kind: "content_too_long_exception",
                reason: format!("a document of {} bytes is longer than {DOCUMENT_BYTES_MAX}", source.len()),
            });
        }
        if let Some(id) = id.filter(|id| id.len() > ID_BYTES_MAX) {
            return Err(ItemError::illegal(format!(
                "id [{}...] is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {}",
                &id[..id.floor_char_boundary(32)],
                id.len()
            )));
        }
        let time = time_of(&source, now_ms)?;
        let target = Target::parse(index)?;
        let index = self.elastic.place(&target, time, now_ms).await?;
        Ok(NewDocument { index, id: id.map(str::to_owned), source })
    }

    /// Refuses the documents whose ids there are already, in the index or on the way to it.
    async fn refuse_known(&mut self, ready: &mut Vec<(usize, NewDocument)>) {
        let mut by_index: HashMap<String, Vec<String>> = HashMap::new();
        let mut refused: HashMap<usize, ItemError> = HashMap::new();
        self.elastic.claims.forget(self.elastic.shelf.indexed_seq());
        for (place, document) in ready.iter() {
            let Some(id) = &document.id else { continue };
            match self.elastic.claims.claim(&document.index, id) {
                Ok(true) => by_index.entry(document.index.clone()).or_default().push(id.clone()),
                Ok(false) => {
                    refused.insert(*place, ItemError::conflict(id));
                }
                Err(error) => {
                    refused.insert(*place, error.into());
                }
            }
        }
        for (index, ids) in by_index {
            let known = match self.elastic.catch_up().await {
                Ok(()) => self.elastic.shelf.known_ids(index.clone(), ids.clone()).await.map_err(ElasticError::from),
                Err(error) => Err(error),
            };
            let error_of = |id: &str| match &known {
                Ok(known) if known.contains(id) => Some(ItemError::conflict(id)),
                Ok(_) => None,
                Err(error) => Some(ItemError::unavailable(error)),
            };
            for (place, document) in ready.iter().filter(|(_, document)| document.index == index) {
                let Some(id) = document.id.as_deref().filter(|_| !refused.contains_key(place)) else { continue };
                if let Some(error) = error_of(id) {
                    self.elastic.claims.give_up(&(index.clone(), id.to_owned()));
                    refused.insert(*place, error);
                }
            }
        }
        ready.retain(|(place, _)| !refused.contains_key(place));
        for (place, error) in refused {
            self.outcomes[place].result = Err(error);
        }
    }

    /// Waits until all is on the disk, and in the index where the request wants that.
    async fn finish(self, params: &Params) -> Result<Vec<Outcome>, ElasticError> {
        if self.last_seq == 0 {
            return Ok(self.outcomes);
        }
        self.book.synced(self.last_seq).await?;
        if matches!(params.get("refresh"), Some("" | "true" | "wait_for")) {
            // Where that takes too long, what is written is written: an error would have it sent again.
            self.elastic.shelf.wait(self.last_seq, Duration::from_secs(REFRESH_S_MAX)).await;
        }
        Ok(self.outcomes)
    }
}

impl Outcome {
    fn status(&self) -> StatusCode {
        self.result.as_ref().err().map_or(StatusCode::CREATED, |error| error.status)
    }

    fn shown(&self, params: &Params) -> Value {
        let Ok(seq) = &self.result else { return self.refused() };
        let id = self.id.clone().unwrap_or_else(|| seq.to_string());
        let mut shown = json!({
            "_index": self.index,
            "_id": id,
            "_version": 1,
            "result": "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": seq,
            "_primary_term": 1,
        });
        if matches!(params.get("refresh"), Some("" | "true")) {
            shown["forced_refresh"] = true.into();
        }
        shown
    }

    fn error(&self) -> Value {
        match &self.result {
            Ok(_) => Value::Null,
            Err(error) => json!({"type": error.kind, "reason": error.reason, "index": self.index}),
        }
    }

    /// As the answer to a request about this document alone.
    fn refused(&self) -> Value {
        let cause = self.error();
        let mut error = json!({ "root_cause": [cause] });
        if let (Some(error), Value::Object(cause)) = (error.as_object_mut(), cause) {
            error.extend(cause);
        }
        json!({"error": error, "status": self.status().as_u16()})
    }

    /// As one of the items of a bulk's answer.
    fn item(&self, params: &Params) -> Value {
        let mut shown = match &self.result {
            Ok(_) => self.shown(params),
            Err(_) => json!({"_index": self.index, "_id": self.id, "error": self.error()}),
        };
        shown["status"] = self.status().as_u16().into();
        json!({ self.action: shown })
    }
}

/// The document's own time, if it has one; it must be an object.
fn time_of(source: &[u8], now_ms: i64) -> Result<Option<i64>, ItemError> {
    let object: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(source).map_err(|error| ItemError::unreadable(format!("failed to parse: {error}")))?;
    let Some(time) = object.get("@timestamp") else { return Ok(None) };
    let time: Value = serde_json::from_str(time.get()).unwrap_or_default();
    if time.is_null() {
        return Ok(None);
    }
    let read = parse_date(&time, false, now_ms, None);
    read.map(Some).map_err(|error| ItemError::unreadable(format!("failed to parse field [@timestamp]: {error}")))
}

#[cfg(test)]
mod fuzz {
    //! Bodies that are broken at random: nothing panics, every document is a line of the body, and none is read twice.
    //! For longer: `PROPTEST_CASES=1000000 cargo test --release -p tollhouse-elastic fuzz`.

    use std::sync::LazyLock;

    use proptest::prelude::*;
    use tollhouse_testkit::{broken, fuzz_rounds};

    use super::*;

    const ROUNDS: u32 = 400;
    const TOKENS: [&str; 16] = [
        "\n",
        "\r\n",
        "\n\n",
        "{",
        "}",
        "[]",
        "null",
        "{}",
        "{\"index\":",
        "{\"delete\":{}}",
        "\"_id\":\"\"",
        "\"_id\":1e999",
        "\"pipeline\":\"_none\"",
        "\"_index\":\"\\ud800\"",
        "\0",
        "é模",
    ];
    static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let bodies = [
            "{\"index\":{\"_index\":\"logs-2026.01.27\",\"_id\":\"1\"}}\n{\"a\":1}\n{\"create\":{}}\n{\"msg\":\"x\"}\n",
            "{\"delete\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"update\":{\"_id\":2,\"retry_on_conflict\":3}}\n{\"doc\":{\"a\":2}}\n",
            "\n\n{\"index\":{\"routing\":\"r\",\"pipeline\":\"_none\"}}\r\n{\"@timestamp\":\"2026-01-27T10:00:00Z\",\"deep\":{\"a\":[1,{}]}}\r\n",
        ];
        bodies.map(|body| body.as_bytes().to_vec()).to_vec()
    });

    proptest! {
        #![proptest_config(fuzz_rounds(ROUNDS, concat!(env!("CARGO_MANIFEST_DIR"), "/src/bulk.proptest-regressions")))]

        #[test]
        fn bodies(body in broken(&BODIES, &TOKENS), has_default: bool) {
            let body = Bytes::from(body);
            let all_lines = body.split(|byte| *byte == b'\n').count();
            let default_index = has_default.then(|| "logs".to_owned());
            let mut items = Items { lines: Lines(body.clone()), default_index, has_any: false };
            let (mut documents, mut end) = (0, body.as_ptr() as usize);
            while let Ok(batch) = items.next_batch() {
                if batch.is_empty() {
                    break;
                }
                for item in batch {
                    prop_assert!(item.id.is_none_or(|id| !id.is_empty()));
                    documents += 1;
                    if let Ok(source) = item.source {
                        let begin = source.as_ptr() as usize;
                        prop_assert!(begin >= end && begin + source.len() <= body.as_ptr() as usize + body.len());
                        end = begin + source.len();
                    }
                }
            }
            prop_assert!(documents <= all_lines);
        }
    }
}
