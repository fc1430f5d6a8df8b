//! The one table of errors: which status, which Elasticsearch type, which body.

use std::error::Error;

use axum::http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;
use tollhouse_query::{ErrorKind, ParseError};
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
    /// What is written could not be indexed in time.
    #[error("what is written was not indexed within {0} s")]
    NotIndexed(u64),
    /// A thread of ours panicked.
    #[error("an internal error")]
    Internal,
}

impl ElasticError {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Store(StoreError::IndexNotFound { .. }) => StatusCode::NOT_FOUND,
            Self::Store(error) if !error.is_callers_fault() => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Json { .. }
            | Self::Parse(_)
            | Self::Parameter(_)
            | Self::Store(_)
            | Self::MediaType(_)
            | Self::BodyUnreadable
            | Self::NoHandler { .. } => StatusCode::BAD_REQUEST,
            Self::ContentType(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotIndexed(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let status = self.status().as_u16();
        let error = match self {
            // These have no more than their text in Elasticsearch.
            Self::NoHandler { .. } => return json!({ "error": self.to_string() }),
            Self::Method { .. } | Self::ContentType(_) => self.to_string().into(),
            Self::Json { .. } => simple("x_content_parse_exception", &self.to_string()),
            Self::Parse(error) => parse_error(error),
            Self::Parameter(reason) => simple("illegal_argument_exception", reason),
            Self::Store(error) => store_error(error),
            Self::MediaType(_) => simple("media_type_header_exception", &self.to_string()),
            Self::BodyTooLarge(_) => simple("content_too_long_exception", &self.to_string()),
            Self::BodyUnreadable => simple("illegal_argument_exception", &self.to_string()),
            Self::Busy { .. } => simple("es_rejected_execution_exception", &self.to_string()),
            Self::NotIndexed(_) => simple("process_cluster_event_timeout_exception", &self.to_string()),
            Self::Internal => simple("exception", &self.to_string()),
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
            let mut error = json!({ "root_cause": [cause] });
            if let (Some(error), Value::Object(cause)) = (error.as_object_mut(), cause) {
                error.extend(cause);
            }
            error
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
