//! The chat page, and what is kept of its chats.

use std::time::Duration;

use tollhouse_units::Bytes;

use super::Keep;

/// The chat page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChatConfig {
    /// Its name; the service's when there is none.
    pub title: Option<String>,
    /// What stands below it before the first question.
    pub description: Option<String>,
    /// The model that is chosen at first.
    pub model: Option<String>,
    /// Whether chats may be kept here at all; each user may still keep none.
    pub history: bool,
    /// For how long those are kept.
    pub keep: Keep,
    /// How long an answer to a kept chat goes on while nobody watches it.
    pub unwatched: Duration,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            title: None,
            description: None,
            model: None,
            history: true,
            keep: Keep { days: 90, bytes: Bytes(1 << 30) },
            unwatched: Duration::from_mins(2),
        }
    }
}
