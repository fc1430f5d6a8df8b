//! The one table of errors: which status, which Elasticsearch type, which body.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use axum::http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;
use tollhouse_query::{ErrorKind, ParseError};
use tollhouse_remote::{RemoteError, ShelfError};
use tollhouse_store::StoreError;

/// An error on its way to an Elasticsearch client.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ElasticError {
    /// The body is no JSON.
    #[error("[{line}:{column}] {reason}")]
    Json {
        /// Line of the body, from 1.
        line: usize,
        /// Column of the line, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The request has the wrong form or wants what is not there.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A parameter of the address is not known, not supported, or has a wrong value.
    #[error("{0}")]
    Parameter(String),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cluster in which documents are found gives no answer.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The key may not use this index.
    #[error("this key may not use the index [{index}]; it is limited to [{allowed}]")]
    Forbidden {
        /// What was named.
        index: String,
        /// The patterns that it is limited to.
        allowed: String,
    },
    /// `Accept` or `Content-Type` asks for another version of the API.
    #[error("Invalid media-type value on headers [{0}]")]
    MediaType(&'static str),
    /// The body is of a type that is not read here.
    #[error("Content-Type header [{0}] is not supported")]
    ContentType(String),
    /// The body is longer than is taken.
    #[error("the request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The body could not be received.
    #[error("the request body could not be read")]
    BodyUnreadable,
    /// No such path.
    #[error("no handler found for uri [{uri}] and method [{method}]")]
    NoHandler {
        /// What was asked for.
        uri: String,
        /// How.
        method: String,
    },
    /// The path is there, but not for this method.
    #[error("Incorrect HTTP method for uri [{uri}] and method [{method}], allowed: {allowed}")]
    Method {
        /// What was asked for.
        uri: String,
        /// How.
        method: String,
        /// How it may be asked for: `[GET, POST]`.
        allowed: String,
    },
    /// Too many searches are running and waiting.
    #[error("rejected execution of search: {running} are running and {waiting} are waiting")]
    Busy {
        /// How many may run at once.
        running: usize,
        /// How many may wait.
        waiting: usize,
    },
    /// A packed body that cannot be unpacked.
    #[error("the request body cannot be unpacked: {0}")]
    Gzip(String),
    /// A request that asks for nothing, or lacks what it needs.
    #[error("Validation Failed: 1: {0};")]
    Validation(&'static str),
    /// No scroll and no point in time of this id is open.
    #[error("No search context found for id [{0}]")]
    ContextMissing(String),
    /// Too many scrolls and points in time are open.
    #[error(
        "Trying to create too many scroll contexts. Must be less than or equal to: [{0}]. This limit can be set by changing the [search.max_open_scroll_context] setting."
    )]
    TooManyContexts(usize),
    /// What was asked for by its name or id is not there.
    #[error("{0}")]
    NotFound(String),
    /// An index of this name is there already.
    #[error("index [{index}/{uuid}] already exists")]
    Exists {
        /// The name.
        index: String,
        /// Its id.
        uuid: String,
    },
    /// A name that no index can have.
    #[error("Invalid index name [{index}], {why}")]
    IndexName {
        /// The name.
        index: String,
        /// Why it cannot.
        why: &'static str,
    },
    /// What a book that is only added to cannot do.
    #[error(
        "documents are records of an append-only book: they cannot be changed or deleted one by one; DELETE /{{index}} takes a whole index out of searching"
    )]
    Unchangeable,
    /// The journal cannot take what is to be written.
    #[error("the journal cannot be written: {0}")]
    Unwritable(String),
    /// Too much is being written at once.
    #[error("rejected execution of bulk: {0} bytes are being written")]
    BulkBusy(usize),
    /// What is written could not be indexed in time.
    #[error("what is written was not indexed within {0} s")]
    NotIndexed(u64),
    /// No index has this other name.
    #[error("alias [{0}] missing")]
    AliasMissing(String),
    /// What is not there is answered with an empty object.
    #[error("nothing of this name")]
    Empty,
    /// The file of what clients defined could not be used.
    #[error("{doing} {}", path.display())]
    Definitions {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A thread of ours panicked.
    #[error("an internal error")]
    Internal,
}

impl ElasticError {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Store(StoreError::IndexNotFound { .. })
            | Self::ContextMissing(_)
            | Self::NotFound(_)
            | Self::AliasMissing(_)
            | Self::Empty => StatusCode::NOT_FOUND,
            Self::Remote(RemoteError::Refused { status, .. }) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::Store(error) if !error.is_callers_fault() => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Json { .. }
            | Self::Parse(_)
            | Self::Parameter(_)
            | Self::Store(_)
            | Self::Remote(RemoteError::Plan(_))
            | Self::MediaType(_)
            | Self::BodyUnreadable
            | Self::Gzip(_)
            | Self::Validation(_)
            | Self::Exists { .. }
            | Self::IndexName { .. }
            | Self::Unchangeable
            | Self::NoHandler { .. } => StatusCode::BAD_REQUEST,
            Self::ContentType(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy { .. } | Self::BulkBusy(_) | Self::TooManyContexts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotIndexed(_) | Self::Unwritable(_) | Self::Remote(RemoteError::Away { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Definitions { .. } | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let status = self.status().as_u16();
        let error = match self {
            // These have no more than their text in Elasticsearch.
            Self::NoHandler { .. } => return json!({ "error": self.to_string() }),
            Self::Empty => return json!({}),
            Self::Method { .. } | Self::ContentType(_) | Self::AliasMissing(_) => self.to_string().into(),
            Self::Json { .. } => simple("x_content_parse_exception", &self.to_string()),
            Self::Parse(error) => parse_error(error),
            Self::Parameter(reason) => simple("illegal_argument_exception", reason),
            Self::Store(error) => store_error(error),
            Self::Remote(RemoteError::Refused { error, .. }) => error.clone(),
            Self::Remote(RemoteError::Plan(error)) => of_all_shards(error.es_type(), &error.to_string()),
            Self::Remote(_) => simple("no_shard_available_action_exception", &self.to_string()),
            Self::Forbidden { .. } => simple("security_exception", &self.to_string()),
            Self::MediaType(_) => simple("media_type_header_exception", &self.to_string()),
            Self::BodyTooLarge(_) => simple("content_too_long_exception", &self.to_string()),
            Self::Busy { .. } | Self::BulkBusy(_) => simple("es_rejected_execution_exception", &self.to_string()),
            Self::BodyUnreadable | Self::Gzip(_) | Self::Unchangeable => {
                simple("illegal_argument_exception", &self.to_string())
            }
            Self::Validation(_) => simple("action_request_validation_exception", &self.to_string()),
            Self::ContextMissing(_) => of_all_shards("search_context_missing_exception", &self.to_string()),
            Self::TooManyContexts(_) => simple("too_many_scroll_contexts_exception", &self.to_string()),
            Self::NotFound(reason) => simple("resource_not_found_exception", reason),
            Self::Exists { index, uuid } => {
                let cause = json!({
                    "type": "resource_already_exists_exception",
                    "reason": self.to_string(),
                    "index_uuid": uuid,
                    "index": index,
                });
                with_itself_as_root(cause)
            }
            Self::IndexName { index, .. } => {
                let cause = json!({
                    "type": "invalid_index_name_exception",
                    "reason": self.to_string(),
                    "index_uuid": "_na_",
                    "index": index,
                });
                with_itself_as_root(cause)
            }
            Self::Unwritable(_) => simple("unavailable_shards_exception", &self.to_string()),
            Self::NotIndexed(_) => simple("process_cluster_event_timeout_exception", &self.to_string()),
            // Paths and the like are for the log.
            Self::Definitions { .. } | Self::Internal => simple("exception", "an internal error"),
        };
        json!({"error": error, "status": status})
    }

    /// Errors of our own go to the log with their causes; the client is not told more than that there was one.
    pub(crate) fn log(&self) {
        if self.status() != StatusCode::INTERNAL_SERVER_ERROR {
            return;
        }
        let mut causes = Vec::new();
        let mut cause = self.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        tracing::error!(error = %self, causes = causes.join(": "), "answering an Elasticsearch request failed");
    }
}

impl From<ShelfError> for ElasticError {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Store(error) => Self::Store(error),
            ShelfError::Remote(error) => Self::Remote(error),
            ShelfError::Internal => Self::Internal,
        }
    }
}

impl From<serde_json::Error> for ElasticError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        // The place is told apart from the reason.
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned();
        Self::Json { line: error.line(), column: error.column(), reason }
    }
}

fn simple(kind: &str, reason: &str) -> Value {
    let cause = json!({"type": kind, "reason": reason});
    json!({"root_cause": [cause], "type": kind, "reason": reason})
}

/// An error that is its own cause.
fn with_itself_as_root(cause: Value) -> Value {
    let mut error = json!({ "root_cause": [cause] });
    if let (Some(error), Value::Object(cause)) = (error.as_object_mut(), cause) {
        error.extend(cause);
    }
    error
}

/// What a shard finds out is told as the failure of all shards.
fn of_all_shards(kind: &str, reason: &str) -> Value {
    let cause = json!({"type": kind, "reason": reason});
    json!({
        "root_cause": [cause],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": true,
        "failed_shards": [{"shard": 0, "reason": cause}],
        "caused_by": cause,
    })
}

/// What is found out when the results of all shards are put together.
fn of_reduction(cause: &Value) -> Value {
    json!({
        "root_cause": [],
        "type": "search_phase_execution_exception",
        "reason": "",
        "phase": "fetch",
        "grouped": true,
        "failed_shards": [],
        "caused_by": cause,
    })
}

fn parse_error(error: &ParseError) -> Value {
    let reason = error.to_string();
    match error.kind {
        ErrorKind::QueryShard => of_all_shards(error.es_type(), &reason),
        ErrorKind::Parsing
        | ErrorKind::IllegalArgument
        | ErrorKind::Aggregation
        | ErrorKind::Validation
        | ErrorKind::Content => simple(error.es_type(), &reason),
    }
}

fn store_error(error: &StoreError) -> Value {
    let reason = error.to_string();
    match error {
        StoreError::IndexNotFound { index } => {
            let cause = json!({
                "type": "index_not_found_exception",
                "reason": reason,
                "resource.type": "index_or_alias",
                "resource.id": index,
                "index_uuid": "_na_",
                "index": index,
            });
            with_itself_as_root(cause)
        }
        StoreError::Query(error) => of_all_shards(error.es_type(), &reason),
        StoreError::Aggregation { .. } => {
            of_reduction(&json!({"type": "aggregation_execution_exception", "reason": reason}))
        }
        StoreError::TooManyBuckets { max } => {
            of_reduction(&json!({"type": "too_many_buckets_exception", "reason": reason, "max_buckets": max}))
        }
        error if error.is_callers_fault() => of_all_shards("illegal_argument_exception", &reason),
        // Paths and the like are for the log.
        _ => simple("exception", "an internal error"),
    }
}
