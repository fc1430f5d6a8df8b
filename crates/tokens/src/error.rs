//! What can be wrong with a vocabulary.

use std::path::PathBuf;

/// Why a vocabulary cannot be counted with. Whoever gets it counts with [`Counter::estimate`](crate::Counter::estimate).
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("reading the tokenizer {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than [`FILE_BYTES_MAX`](crate::FILE_BYTES_MAX).
    #[error("reading the tokenizer {}: it has {bytes} bytes, at most {} are read", path.display(), crate::FILE_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is not JSON of the expected form.
    #[error("reading the tokenizer's JSON")]
    Json(#[from] serde_json::Error),
    /// A part that the vocabulary must have is absent or of another type.
    #[error("reading the vocabulary: `{0}` is missing or of the wrong type")]
    Missing(&'static str),
    /// The vocabulary contradicts itself or passes a bound.
    #[error("reading the vocabulary: {0}")]
    Invalid(String),
    /// A kind of tokenizer that is not counted here exactly.
    #[error("reading the vocabulary: {what} `{name}` is not supported")]
    Unsupported {
        /// Which part of it.
        what: &'static str,
        /// As it is called in the vocabulary.
        name: String,
    },
}

impl TokensError {
    pub(crate) fn unsupported(what: &'static str, name: impl Into<String>) -> Self {
        Self::Unsupported { what, name: name.into() }
    }
}
