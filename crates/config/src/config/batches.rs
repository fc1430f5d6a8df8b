//! What is usable of `batches` and `approvals`: work that nobody waits for, and whose questions to humans are shown here too.

use std::path::PathBuf;
use std::time::Duration;

use tollhouse_units::Bytes;

use crate::secret::Secret;

/// Files, batches and requests that are answered later. Counts are for each key unless they say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchesConfig {
    /// Largest file.
    pub file: Bytes,
    /// Files of a key.
    pub files: u32,
    /// All files of a key together.
    pub bytes: Bytes,
    /// All files of all keys together.
    pub total: Bytes,
    /// Requests in one batch.
    pub lines: u32,
    /// Batches that are not over.
    pub open: u32,
    /// Batches that are worked on at a time, of all keys.
    pub running: u32,
    /// Requests of one batch that are under way at a time.
    pub at_once: u32,
    /// For how many days files are kept, and batches that are over.
    pub keep_days: u32,
    /// Requests that wait for an answer.
    pub later_open: u32,
    /// Such requests that are asked at a time, of all keys.
    pub later_at_once: u32,
    /// How long their answers are kept.
    pub later_keep: Duration,
    /// Who may be told that an answer is there; nobody when absent.
    pub webhooks: Option<WebhooksConfig>,
}

/// Where clients may have themselves told.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhooksConfig {
    /// Hosts, each as it stands in addresses. `*.` in front stands for any name below.
    pub hosts: Vec<String>,
    /// Signs what is told.
    pub secret: Secret,
}

impl Default for BatchesConfig {
    fn default() -> Self {
        Self {
            file: Bytes(200 << 20),
            files: 1_000,
            bytes: Bytes(1 << 30),
            total: Bytes(10 << 30),
            lines: 50_000,
            open: 20,
            running: 2,
            at_once: 4,
            keep_days: 30,
            later_open: 100,
            later_at_once: 8,
            later_keep: Duration::from_hours(24),
            webhooks: None,
        }
    }
}

/// An OpenClaw whose questions for approval are shown among those of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenclawApprovals {
    /// Its gateway, such as `ws://127.0.0.1:18789` or `wss://claw.example.com`.
    pub url: String,
    /// A PEM file with the authority that signed its certificate; those of the system when absent.
    pub ca: Option<PathBuf>,
    /// Its token.
    pub token: Secret,
    /// Channels, users and roles that a question is for; those of `tasks.notify` when none is named.
    pub by: Vec<String>,
}
