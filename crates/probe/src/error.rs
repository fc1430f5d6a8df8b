//! Why probes could not be set up.

/// Why probes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Encryption could not be set up.
    #[error(transparent)]
    Outbound(#[from] tollhouse_outbound::OutboundError),
    /// A file of quality tests cannot be used.
    #[error("reading the quality tests {path}: {what}")]
    Tests {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        what: String,
    },
}
