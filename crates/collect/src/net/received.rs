//! What is handed to the consumer, and how the consumer says that it is kept.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::batch::Batch;
use super::counts::Counters;

/// Messages, how they came, and the duty to say what became of them.
#[derive(Debug)]
pub struct Received {
    /// How they came.
    pub transport: Arc<Transport>,
    /// The messages; at least one.
    pub batch: Batch,
    /// To be answered when they are on disk.
    pub receipt: Receipt,
}

/// How messages came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transport {
    /// What was spoken.
    pub wire: Wire,
    /// Whether through TLS.
    pub is_encrypted: bool,
    /// SHA-256 of the certificate that the client showed, if it had to show one: 64 hexadecimal digits.
    pub certificate_sha256: Option<String>,
}

/// What a sender speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wire {
    /// Lumberjack, version 1 or 2: messages are JSON objects.
    Beats,
    /// Syslog over TCP.
    SyslogTcp,
    /// Syslog over UDP (RFC 5426): who it says has sent it may be anybody.
    SyslogUdp,
}

impl Wire {
    /// A word for records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beats => "beats",
            Self::SyslogTcp => "syslog_tcp",
            Self::SyslogUdp => "syslog_udp",
        }
    }
}

/// The right to acknowledge one batch. Dropping it refuses the batch.
#[derive(Debug)]
pub struct Receipt {
    counters: Arc<Counters>,
    messages: u64,
    /// Whoever waits for the answer; taken when it is given.
    waiting: Option<oneshot::Sender<Result<(), String>>>,
}

impl Receipt {
    pub(super) fn new(counters: Arc<Counters>, messages: u64, waiting: oneshot::Sender<Result<(), String>>) -> Self {
        Self { counters, messages, waiting: Some(waiting) }
    }

    /// All messages of the batch will survive a loss of power: only now may it be said. Beats get their acknowledgement.
    pub fn confirm(mut self) {
        self.answer(Ok(()));
    }

    /// The batch is not kept, for this reason. Nothing is acknowledged, and the connection is closed: Beats send again what was
    /// not acknowledged; syslog has no word for it, so that its messages are lost and counted as refused.
    pub fn refuse(mut self, reason: impl Into<String>) {
        self.answer(Err(reason.into()));
    }

    fn answer(&mut self, answer: Result<(), String>) {
        let Some(waiting) = self.waiting.take() else { return };
        let counter = if answer.is_ok() { &self.counters.confirmed } else { &self.counters.refused };
        counter.add(self.messages);
        // An error is a connection that has ended meanwhile: its sender will repeat what was not acknowledged.
        let _: Result<(), Result<(), String>> = waiting.send(answer);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.answer(Err("nobody took them".to_owned()));
    }
}
