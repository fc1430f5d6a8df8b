//! Keys and the ring that finds one by its secret.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::RateLimit;

/// A hash of a secret: plain SHA-256 for keys from the configuration file, a keyed hash for those of the state store.
pub type Digest = [u8; 32];

/// What the holder of a key may do besides calling models.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Calls models.
    User,
    /// Reads the book (`/es`); calls no models.
    LogsRead,
    /// Everything.
    Admin,
}

impl Role {
    /// The role by its name in configuration and command line: `user`, `logs:read`, `admin`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "user" => Some(Self::User),
            "logs:read" => Some(Self::LogsRead),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// May requests be sent to models with it?
    pub fn may_call_models(self) -> bool {
        matches!(self, Self::User | Self::Admin)
    }

    /// May the book be read with it?
    pub fn may_read_logs(self) -> bool {
        matches!(self, Self::LogsRead | Self::Admin)
    }
}

/// A key without its secret.
#[derive(Debug)]
pub struct Key {
    /// Public id: names the key in records and limits.
    pub id: String,
    /// Whom its requests are counted for.
    pub user: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Patterns (`*` stands for any characters) of the models it may call; empty means every model.
    pub models: Vec<String>,
    /// Its own rate limit in place of the general one.
    pub rate_limit: Option<RateLimit>,
    /// Its own limit on the length of a prompt, in characters.
    pub prompt_chars: Option<usize>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
    alive: watch::Sender<()>,
}

impl Key {
    /// A key with no limits of its own. An unknown `role` gives the smallest right.
    pub fn new(id: impl Into<String>, role: &str) -> Self {
        Self {
            id: id.into(),
            user: None,
            role: Role::parse(role).unwrap_or(Role::User),
            models: Vec::new(),
            rate_limit: None,
            prompt_chars: None,
            expires_ms: None,
            alive: watch::Sender::new(()),
        }
    }

    /// Whether the key may call this model.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| fits(pattern, model))
    }

    /// Resolves when the key has been revoked or has left the ring. A stream waits on it beside its next chunk.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut alive = self.alive.subscribe();
        async move {
            // The only message ever sent is the end.
            let _: Result<(), watch::error::RecvError> = alive.changed().await;
        }
    }

    fn revoke(&self) {
        self.alive.send_replace(());
    }
}

/// All keys in force. Found by hash: neither the time nor the answer tells how near a wrong secret was.
pub struct Keyring {
    configured: HashMap<Digest, Arc<Key>>,
    stored: HashMap<Digest, Arc<Key>>,
    keyed_hash: Arc<dyn Fn(&str) -> Digest + Send + Sync>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} configured, {} stored)", self.configured.len(), self.stored.len())
    }
}

impl Keyring {
    /// A ring of keys from the configuration (by plain SHA-256) and from the state store (by `keyed_hash`).
    pub fn new(
        configured: impl IntoIterator<Item = (Digest, Arc<Key>)>,
        stored: impl IntoIterator<Item = (Digest, Arc<Key>)>,
        keyed_hash: Arc<dyn Fn(&str) -> Digest + Send + Sync>,
    ) -> Self {
        Self { configured: configured.into_iter().collect(), stored: stored.into_iter().collect(), keyed_hash }
    }

    /// The key behind `secret`, unless it has ended at `now_ms`.
    pub fn find(&self, secret: &str, now_ms: i64) -> Option<&Arc<Key>> {
        let key = self.stored.get(&(self.keyed_hash)(secret)).or_else(|| self.configured.get(&sha256(secret)))?;
        key.expires_ms.is_none_or(|end| now_ms < end).then_some(key)
    }

    /// Takes over the stored keys that stand in both rings as they were (so that their running streams go on), and ends
    /// those that are gone.
    #[must_use]
    pub fn with_stored(&self, stored: impl IntoIterator<Item = (Digest, Key)>) -> Self {
        let stored: HashMap<Digest, Arc<Key>> = stored
            .into_iter()
            .map(|(hash, key)| (hash, self.stored.get(&hash).cloned().unwrap_or_else(|| Arc::new(key))))
            .collect();
        for (hash, key) in &self.stored {
            if !stored.contains_key(hash) {
                key.revoke();
            }
        }
        Self { configured: self.configured.clone(), stored, keyed_hash: self.keyed_hash.clone() }
    }

    /// Public ids of the keys from the state store.
    pub fn stored_ids(&self) -> BTreeSet<&str> {
        self.stored.values().map(|key| key.id.as_str()).collect()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.configured.is_empty() && self.stored.is_empty()
    }
}

/// Plain SHA-256 of a secret, as `access.keys[].sha256` holds it.
pub fn sha256(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
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

    #[test]
    fn an_expired_key_is_no_key() {
        let key = Key { expires_ms: Some(1000), ..Key::new("a", "user") };
        let ring = Keyring::new([(sha256("s"), Arc::new(key))], [], Arc::new(sha256));
        assert!(ring.find("s", 999).is_some());
        assert!(ring.find("s", 1000).is_none());
    }

    #[tokio::test]
    async fn a_key_that_leaves_the_ring_tells_its_streams_and_the_others_stay() {
        let ring = Keyring::new([], [], Arc::new(sha256));
        let ring = ring.with_stored([(sha256("a"), Key::new("a", "user")), (sha256("b"), Key::new("b", "user"))]);
        let (a, b) = (ring.find("a", 0).unwrap().clone(), ring.find("b", 0).unwrap().clone());
        let (a_ends, b_ends) = (a.revoked(), b.revoked());
        let ring = ring.with_stored([(sha256("b"), Key::new("b", "user"))]);
        a_ends.await;
        assert!(ring.find("a", 0).is_none());
        assert!(Arc::ptr_eq(ring.find("b", 0).unwrap(), &b));
        tokio::select! {
            biased;
            () = b_ends => panic!("b is still in force"),
            () = tokio::task::yield_now() => {}
        }
    }
}
