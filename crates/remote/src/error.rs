//! Why documents could not be looked for.

use serde_json::Value;
use tollhouse_query::ParseError;
use tollhouse_ship::Trouble;
use tollhouse_store::StoreError;

/// Why a cluster gave no answer that can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It does not answer, or does not let us.
    #[error("the cluster at {url}, where the documents are, does not answer: {trouble}")]
    Away {
        /// The node that was asked.
        url: String,
        /// What it said or did.
        trouble: Trouble,
    },
    /// What was asked is wrong; in its words.
    #[error("the cluster refuses the search: {}", reason(error))]
    Refused {
        /// 400 or 404.
        status: u16,
        /// Its `error` member.
        error: Value,
    },
    /// The plan cannot be asked of a cluster.
    #[error(transparent)]
    Plan(#[from] ParseError),
}

fn reason(error: &Value) -> &str {
    error["reason"].as_str().or(error.as_str()).unwrap_or("it does not say why")
}

/// Why documents could not be looked for, wherever they are.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Our own index.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cluster.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A thread of ours panicked.
    #[error("an internal error")]
    Internal,
}
