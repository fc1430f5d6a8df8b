//! What can be wrong with what the edge is told to serve.

use std::path::PathBuf;

use tokio_rustls::rustls;
use tollhouse_web::pem::PemError;

/// What can be wrong with what the edge is told to serve.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A file could not be read, or is none of its kind.
    #[error("reading {}: {why}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("using {} with {}: {why}", cert.display(), key.display())]
    Unfit {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        why: rustls::Error,
    },
    /// No directory.
    #[error("serving files of {}: {why}", path.display())]
    NoDirectory {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No address.
    #[error("using {url} as a server: {why}")]
    Url {
        /// Which one.
        url: String,
        /// Why.
        why: String,
    },
    /// TLS could not be prepared.
    #[error("preparing TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Nobody could be trusted, for servers behind TLS and authorities of certificates.
    #[error(transparent)]
    Outbound(#[from] tollhouse_outbound::OutboundError),
}

impl From<PemError> for EdgeError {
    fn from(error: PemError) -> Self {
        Self::Unreadable { path: error.path, why: error.why }
    }
}
