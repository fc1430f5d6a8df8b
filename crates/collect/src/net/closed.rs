//! Why a connection is closed by us, or broke off.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::lumberjack::Broken;

/// Why a connection ended other than by its sender's wish between two messages.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Closed {
    /// The address may not send here. Datagrams from such addresses are told in the same way.
    #[error("address not allowed")]
    NotAllowed,
    /// The address holds as many connections as it may.
    #[error("too many connections from this address")]
    TooMany,
    /// Nothing, or not enough to tell what it is, was said in time.
    #[error("nothing was said within {0:?}")]
    Silent(Duration),
    /// It began with what is neither Beats nor syslog.
    #[error("neither Beats nor syslog, but {0}")]
    Unknown(&'static str),
    /// No TLS where it is demanded.
    #[error("not encrypted, and this address speaks TLS only")]
    Unencrypted,
    /// The TLS handshake failed, or took too long.
    #[error("TLS handshake: {0}")]
    Handshake(#[source] io::Error),
    /// What should be lumberjack is not.
    #[error("lumberjack: {0}")]
    Broken(#[from] Broken),
    /// A message or a window was begun and went on too slowly.
    #[error("fewer than {0} bytes a second of a message that was begun")]
    Slow(u64),
    /// Nothing was said for so long.
    #[error("nothing was said for {0:?}")]
    Idle(Duration),
    /// The consumer did not keep a batch.
    #[error("messages were not kept: {0}")]
    Refused(String),
    /// The consumer is gone.
    #[error("nobody takes messages any more")]
    Over,
    /// The sender does not take its acknowledgements.
    #[error("acknowledging: {0}")]
    Unacknowledged(#[source] io::Error),
    /// The connection broke.
    #[error("reading: {0}")]
    Cut(#[source] io::Error),
}

impl Closed {
    /// All names, in the order of the counters.
    pub(super) const NAMES: [&'static str; 13] = [
        "too_many",
        "silent",
        "unknown",
        "unencrypted",
        "handshake",
        "broken",
        "slow",
        "idle",
        "refused",
        "over",
        "unacknowledged",
        "cut",
        "not_allowed",
    ];

    /// A word for metrics.
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    pub(super) fn index(&self) -> usize {
        match self {
            Self::TooMany => 0,
            Self::Silent(_) => 1,
            Self::Unknown(_) => 2,
            Self::Unencrypted => 3,
            Self::Handshake(_) => 4,
            Self::Broken(_) => 5,
            Self::Slow(_) => 6,
            Self::Idle(_) => 7,
            Self::Refused(_) => 8,
            Self::Over => 9,
            Self::Unacknowledged(_) => 10,
            Self::Cut(_) => 11,
            Self::NotAllowed => 12,
        }
    }
}
