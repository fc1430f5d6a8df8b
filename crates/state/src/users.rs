//! Users of the console: what each may do.

use serde::{Deserialize, Serialize};

/// What somebody may do in the console; each may do what the ones before it may.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read, search, chat.
    Viewer,
    /// And act on what happens: silence, acknowledge, run probes, replay, save what all share.
    Operator,
    /// And decide: keys, users, settings, reload.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its word, in records, on the command line and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
