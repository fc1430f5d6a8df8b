//! What is wrong with a whole request or answer.

use prost::DecodeError;

use crate::LINES_MAX;

/// Why a body as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// It is no protobuf, or ends too early.
    #[error("reading protobuf: {0}")]
    Protobuf(#[from] DecodeError),
    /// A length in it points behind its end.
    #[error("reading protobuf: a message ends too early")]
    Torn,
    /// It is no JSON, or has other types in it.
    #[error("reading JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It has more records than are taken at once.
    #[error("more than {LINES_MAX} records in one request")]
    TooMany,
}
