//! A key: who holds it, what it may do and how much of it.

use std::sync::Arc;

use tokio::sync::watch;
use tollhouse_limits::Rules;

use crate::{AddressList, Digest};

/// What the holder of a key may do besides calling models.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Calls models.
    User,
    /// Reads the book (`/es`); calls no models.
    LogsRead,
    /// Writes documents into the book (`/es/_bulk`); reads none of it and calls no models.
    LogsWrite,
    /// Reads the house's own figures (`/metrics`), and nothing else.
    MetricsRead,
    /// Everything.
    Admin,
}

impl Role {
    /// The role by its name in configuration and command line: `user`, `logs:read`, `logs:write`, `metrics:read`, `admin`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::User),
            "logs:read" => Some(Self::LogsRead),
            "logs:write" => Some(Self::LogsWrite),
            "metrics:read" => Some(Self::MetricsRead),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// May requests be sent to models with it?
    pub fn may_call_models(self) -> bool {
        matches!(self, Self::User | Self::Admin)
    }

    /// May it change which models there are?
    pub fn may_manage(self) -> bool {
        self == Self::Admin
    }

    /// May the book be read with it?
    pub fn may_read_logs(self) -> bool {
        matches!(self, Self::LogsRead | Self::Admin)
    }

    /// May the house's own figures be read with it? Who reads the book learns them from there anyway.
    pub fn may_read_metrics(self) -> bool {
        matches!(self, Self::MetricsRead | Self::LogsRead | Self::Admin)
    }

    /// May documents be written into the book with it?
    pub fn may_write_logs(self) -> bool {
        matches!(self, Self::LogsWrite | Self::Admin)
    }
}

/// How urgent the requests of a key are beside those of others.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// After the others, such as nightly work.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Before the others.
    High,
}

impl Priority {
    /// The priority by its name in configuration and command line: `low`, `normal`, `high`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "low" => Some(Self::Low),
            "normal" => Some(Self::Normal),
            "high" => Some(Self::High),
            _ => None,
        }
    }
}

/// A further secret of a key: after a rotation the one before goes on for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtherSecret {
    /// Its hash, of the same kind as that of the key's first secret.
    pub digest: Digest,
    /// When it ends, in milliseconds since 1970; absent, it does not.
    pub until_ms: Option<i64>,
}

/// A key without its secret.
#[derive(Debug)]
pub struct Key {
    /// Public id: names the key in records and limits, and stays the same over rotations and changed settings.
    pub id: String,
    /// Whom its requests are counted for.
    pub user: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Patterns (`*` stands for any characters) of the models it may call; empty means every model.
    pub models: Vec<String>,
    /// Patterns of the indices it may use (`/es`); empty means every index.
    pub indices: Vec<String>,
    /// Its own limits, each in place of the general one of its kind ([`Rules::or`]).
    pub rules: Rules,
    /// Its own limit on the length of a prompt, in characters.
    pub prompt_chars: Option<usize>,
    /// How urgent its requests are.
    pub priority: Priority,
    /// Its share of a busy model server beside other keys, from 1 to 100.
    pub weight: u32,
    /// Where it may be used from; empty means anywhere.
    pub allow: AddressList,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// Other secrets that open the same door.
    pub also: Vec<OtherSecret>,
    /// Whether it has ended; shared with the keys that take this one's place when settings change.
    pub(crate) ended: Arc<watch::Sender<bool>>,
}

impl Key {
    /// A key with no limits of its own. An unknown `role` gives the smallest right.
    pub fn new(id: impl Into<String>, role: &str) -> Self {
        Self {
            id: id.into(),
            user: None,
            role: Role::parse(role).unwrap_or(Role::User),
            models: Vec::new(),
            indices: Vec::new(),
            rules: Rules::default(),
            prompt_chars: None,
            priority: Priority::Normal,
            weight: 1,
            allow: AddressList::default(),
            expires_ms: None,
            also: Vec::new(),
            ended: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Whether the key may call this model.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| fits(pattern, model))
    }

    /// Resolves when the key has been revoked or has left the ring, at once where it has already: a request can find a key
    /// a moment before its end. A stream waits on it beside its next chunk.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.subscribe();
        async move {
            // An error means that nobody holds the key any more, which ends it too.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    pub(crate) fn revoke(&self) {
        self.ended.send_replace(true);
    }

    /// Takes the place of an older form of the same key: whoever waits for its end waits for this one's.
    pub(crate) fn succeed(&mut self, older: &Self) {
        self.ended = older.ended.clone();
    }

    /// Whether the other form of this key says the same, other secrets apart.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            id,
            user,
            role,
            models,
            indices,
            rules,
            prompt_chars,
            priority,
            weight,
            allow,
            expires_ms,
            also: _,
            ended: _,
        } = self;
        *id == other.id
            && *user == other.user
            && *role == other.role
            && *models == other.models
            && *indices == other.indices
            && *rules == other.rules
            && *prompt_chars == other.prompt_chars
            && *priority == other.priority
            && *weight == other.weight
            && *allow == other.allow
            && *expires_ms == other.expires_ms
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters, none included.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(inner) = last.replace(part) {
            let Some(at) = rest.find(inner) else { return false };
            rest = &rest[at + inner.len()..];
        }
    }
    match last {
        Some(end) => rest.ends_with(end),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("qwen3:32b", "qwen3:32b", true),
            ("qwen3:32b", "qwen3:32", false),
            ("qwen3:*", "qwen3:32b", true),
            ("qwen3:*", "qwen3:", true),
            ("qwen3:*", "llama3:8b", false),
            ("*", "", true),
            ("*b", "qwen3:32b", true),
            ("q*3*b", "qwen3:32b", true),
            ("q*b*b", "qwen3:32b", false),
            ("", "x", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
