//! What can be wrong with a channel's settings, and why a message was not taken.

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no channel with such settings. No text here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Not an address that can be sent to.
    #[error("the address is not one that messages can be sent to: {0}")]
    Address(String),
    /// A mail address cannot be read.
    #[error("`{text}` is not a mail address")]
    Mailbox {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        #[source]
        source: lettre::address::AddressError,
    },
    /// A password over a connection that everybody on the way can read.
    #[error("a password is not sent without encryption beyond this machine")]
    Exposed,
    /// A template names something that a message does not have.
    #[error("a message has no `{name}`; it has: {}", known.join(", "))]
    Placeholder {
        /// The name.
        name: String,
        /// All that there are.
        known: Vec<&'static str>,
    },
    /// A secret that no header can hold.
    #[error("a secret holds a space, a line break or another unusual character")]
    Secret,
    /// The file of authorities is of no use.
    #[error("reading the authorities in {path}: {why}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up for HTTP.
    #[error(transparent)]
    Outbound(#[from] tollhouse_outbound::OutboundError),
    /// TLS cannot be set up for mail.
    #[error("preparing TLS")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// That the other side took a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Delivered {
    /// Receivers that were refused while others got it, each with the reason.
    pub refused: Vec<String>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// What went wrong, without a secret.
    pub text: String,
    /// Whether the same message may be taken later.
    pub is_retryable: bool,
    /// So long the other side wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// What may be over later.
    pub(crate) fn passing(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_retryable: true, retry_after: None }
    }

    /// What stays the same however often it is tried.
    pub(crate) fn lasting(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_retryable: false, retry_after: None }
    }
}
