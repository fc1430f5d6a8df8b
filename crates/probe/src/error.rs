//! Why probes could not be set up.

/// Why probes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Encryption could not be set up.
    #[error("setting up TLS for probes: {0}")]
    Tls(String),
    /// A file of authorities cannot be used.
    #[error("reading the authorities of a certificate: {0}")]
    Authorities(String),
    /// A file of quality tests cannot be used.
    #[error("reading the quality tests {path}: {what}")]
    Tests {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        what: String,
    },
}
