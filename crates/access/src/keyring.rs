//! All keys in force, and how one is found by its secret.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Key;

/// A hash of a secret: plain SHA-256 for keys from the configuration file, a keyed hash for those of the state store.
pub type Digest = [u8; 32];

/// All keys in force. Found by hash: neither the time nor the answer tells how near a wrong secret was.
#[derive(Clone)]
pub struct Keyring {
    configured: Ring,
    stored: Ring,
    keyed_hash: Arc<dyn Fn(&str) -> Digest + Send + Sync>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} configured, {} stored)", self.configured.keys.len(), self.stored.keys.len())
    }
}

impl Keyring {
    /// A ring of keys from the configuration (by plain SHA-256) and from the state store (by `keyed_hash`).
    pub fn new(
        configured: impl IntoIterator<Item = (Digest, Arc<Key>)>,
        stored: impl IntoIterator<Item = (Digest, Arc<Key>)>,
        keyed_hash: Arc<dyn Fn(&str) -> Digest + Send + Sync>,
    ) -> Self {
        Self { configured: Ring::new(configured), stored: Ring::new(stored), keyed_hash }
    }

    /// The key behind `secret`, unless the key or this secret of it has ended at `now_ms`.
    pub fn find(&self, secret: &str, now_ms: i64) -> Option<&Arc<Key>> {
        let (stored, configured) =
            (self.stored.find(&(self.keyed_hash)(secret), now_ms), self.configured.find(&sha256(secret), now_ms));
        stored.or(configured)
    }

    /// Puts other keys in place of the stored ones. A key is the same by its id: one that says what it said before goes
    /// on, one with other settings has them from the next request on while its running streams go on, and one that is
    /// gone ends, its streams too.
    #[must_use]
    pub fn with_stored(&self, stored: impl IntoIterator<Item = (Digest, Key)>) -> Self {
        Self { stored: self.stored.replaced(stored), ..self.clone() }
    }

    /// Puts other keys in place of those from the configuration, as [`Self::with_stored`] does.
    #[must_use]
    pub fn with_configured(&self, configured: impl IntoIterator<Item = (Digest, Key)>) -> Self {
        Self { configured: self.configured.replaced(configured), ..self.clone() }
    }

    /// Ends the keys with these ids, their streams too, wherever they came from.
    #[must_use]
    pub fn without(&self, ids: &BTreeSet<String>) -> Self {
        Self { configured: self.configured.without(ids), stored: self.stored.without(ids), ..self.clone() }
    }

    /// The key with this public id, wherever it came from; of two, the one that lasts longer.
    pub fn get(&self, id: &str) -> Option<&Arc<Key>> {
        let end = |key: &Key| key.expires_ms.unwrap_or(i64::MAX);
        let keys = self.stored.keys.iter().chain(&self.configured.keys);
        let keys = keys.map(|(_, key)| key).filter(|key| key.id == id);
        keys.reduce(|first, other| if end(other) > end(first) { other } else { first })
    }

    /// The keys from the configuration.
    pub fn configured(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.configured.keys.iter().map(|(_, key)| key)
    }

    /// Public ids of the keys from the state store.
    pub fn stored_ids(&self) -> BTreeSet<&str> {
        self.stored.keys.iter().map(|(_, key)| key.id.as_str()).collect()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.configured.keys.is_empty() && self.stored.keys.is_empty()
    }
}

/// Plain SHA-256 of a secret, as `access.keys[].sha256` holds it.
pub fn sha256(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// The keys of one origin.
#[derive(Clone, Default)]
struct Ring {
    keys: Vec<(Digest, Arc<Key>)>,
    /// By the first eight bytes of a secret's digest: what decides is the comparison of all of it.
    secrets: HashMap<[u8; 8], Vec<Secret>>,
}

#[derive(Clone)]
struct Secret {
    digest: Digest,
    until_ms: Option<i64>,
    key: Arc<Key>,
}

impl Ring {
    fn new(keys: impl IntoIterator<Item = (Digest, Arc<Key>)>) -> Self {
        let mut ring = Self::default();
        for (digest, key) in keys {
            ring.add(digest, None, &key);
            for other in &key.also {
                ring.add(other.digest, other.until_ms, &key);
            }
            ring.keys.push((digest, key));
        }
        ring
    }

    fn add(&mut self, digest: Digest, until_ms: Option<i64>, key: &Arc<Key>) {
        self.secrets.entry(prefix(&digest)).or_default().push(Secret { digest, until_ms, key: key.clone() });
    }

    fn find(&self, digest: &Digest, now_ms: i64) -> Option<&Arc<Key>> {
        let near = self.secrets.get(&prefix(digest))?;
        near.iter()
            .find(|secret| {
                // One that has ended hides no other with the same secret.
                let ends = [secret.until_ms, secret.key.expires_ms];
                bool::from(secret.digest.ct_eq(digest)) && ends.into_iter().flatten().all(|end| now_ms < end)
            })
            .map(|secret| &secret.key)
    }

    fn replaced(&self, keys: impl IntoIterator<Item = (Digest, Key)>) -> Self {
        let older: HashMap<&str, &Arc<Key>> = self.keys.iter().map(|(_, key)| (key.id.as_str(), key)).collect();
        let keys = keys.into_iter().map(|(digest, mut key)| match older.get(key.id.as_str()) {
            Some(older) if older.says_the_same(&key) && older.also == key.also => (digest, Arc::clone(older)),
            Some(older) => {
                key.succeed(older);
                (digest, Arc::new(key))
            }
            None => (digest, Arc::new(key)),
        });
        let ring = Self::new(keys);
        let ids: BTreeSet<&str> = ring.keys.iter().map(|(_, key)| key.id.as_str()).collect();
        for (_, key) in &self.keys {
            if !ids.contains(key.id.as_str()) {
                key.revoke();
            }
        }
        ring
    }

    fn without(&self, ids: &BTreeSet<String>) -> Self {
        let (gone, kept): (Vec<_>, Vec<_>) = self.keys.iter().cloned().partition(|(_, key)| ids.contains(&key.id));
        for (_, key) in gone {
            key.revoke();
        }
        Self::new(kept)
    }
}

fn prefix(digest: &Digest) -> [u8; 8] {
    *digest.first_chunk().expect("a digest is longer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OtherSecret, Priority};

    /// Whether a stream under the key would end now.
    async fn ended(end: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = end => true,
            () = tokio::task::yield_now() => false,
        }
    }

    fn ring() -> Keyring {
        Keyring::new([], [], Arc::new(sha256))
    }

    #[test]
    fn an_expired_key_is_no_key() {
        let key = Key { expires_ms: Some(1000), ..Key::new("a", "user") };
        let ring = Keyring::new([(sha256("s"), Arc::new(key))], [], Arc::new(sha256));
        assert!(ring.find("s", 999).is_some());
        assert!(ring.find("s", 1000).is_none());
    }

    #[test]
    fn a_key_that_has_ended_hides_no_other_with_its_secret() {
        let ended = || Arc::new(Key { expires_ms: Some(1000), ..Key::new("a", "user") });
        let lasting = || Arc::new(Key { weight: 7, ..Key::new("a", "user") });
        let ring = Keyring::new([(sha256("s"), lasting())], [(sha256("s"), ended())], Arc::new(sha256));
        assert_eq!(ring.find("s", 999).unwrap().weight, ended().weight, "the stored one while it lasts");
        assert_eq!(ring.find("s", 1000).unwrap().weight, 7);
        assert_eq!(ring.get("a").unwrap().weight, 7);
        let ring = Keyring::new([(sha256("s"), ended()), (sha256("s"), lasting())], [], Arc::new(sha256));
        assert_eq!(ring.find("s", 1000).unwrap().weight, 7);
    }

    #[test]
    fn the_whole_digest_decides() {
        let digest = sha256("s");
        let mut near = digest;
        near[31] ^= 1;
        let keys = [(near, Arc::new(Key::new("near", "user"))), (digest, Arc::new(Key::new("right", "user")))];
        assert_eq!(Keyring::new(keys.clone(), [], Arc::new(sha256)).find("s", 0).unwrap().id, "right");
        let [near, _] = keys;
        assert!(Keyring::new([near], [], Arc::new(sha256)).find("s", 0).is_none());
    }

    #[tokio::test]
    async fn a_key_that_leaves_the_ring_tells_its_streams_and_the_others_stay() {
        let ring = ring().with_stored([(sha256("a"), Key::new("a", "user")), (sha256("b"), Key::new("b", "user"))]);
        let (a, b) = (ring.find("a", 0).unwrap().clone(), ring.find("b", 0).unwrap().clone());
        let (a_ends, b_ends) = (a.revoked(), b.revoked());
        let ring = ring.with_stored([(sha256("b"), Key::new("b", "user"))]);
        assert!(ended(a_ends).await && !ended(b_ends).await);
        assert!(ended(a.revoked()).await, "a request that found the key just before asks late");
        assert!(ring.find("a", 0).is_none());
        assert!(Arc::ptr_eq(ring.find("b", 0).unwrap(), &b));
    }

    #[tokio::test]
    async fn changed_settings_are_in_force_and_running_streams_go_on_until_the_key_ends() {
        let ring = ring().with_stored([(sha256("a"), Key::new("a", "user"))]);
        let first = ring.find("a", 0).unwrap().revoked();
        let changed = || Key { weight: 7, priority: Priority::High, ..Key::new("a", "user") };
        let ring = ring.with_stored([(sha256("a"), changed())]);
        assert_eq!(ring.find("a", 0).unwrap().weight, 7);
        let second = ring.find("a", 0).unwrap().revoked();
        assert!(!ended(ring.find("a", 0).unwrap().revoked()).await);
        let ring = ring.with_stored([]);
        assert!(ring.is_empty() && ended(first).await && ended(second).await);
    }

    #[tokio::test]
    async fn a_rotated_key_has_two_secrets_until_the_overlap_ends() {
        let ring = ring().with_stored([(sha256("old"), Key::new("a", "user"))]);
        let running = ring.find("old", 0).unwrap().revoked();
        let also = vec![OtherSecret { digest: sha256("old"), until_ms: Some(1000) }];
        let ring = ring.with_stored([(sha256("new"), Key { also, ..Key::new("a", "user") })]);
        assert_eq!(ring.find("old", 999).unwrap().id, "a");
        assert!(ring.find("old", 1000).is_none());
        assert_eq!(ring.find("new", 1000).unwrap().id, "a");
        assert!(!ended(running).await);
    }

    #[tokio::test]
    async fn keys_revoked_elsewhere_end_whether_configured_or_stored() {
        let ring = ring()
            .with_configured([(sha256("c"), Key::new("c", "user")), (sha256("d"), Key::new("d", "user"))])
            .with_stored([(sha256("s"), Key::new("s", "user"))]);
        let ends = ["c", "s", "d"].map(|secret| ring.find(secret, 0).unwrap().revoked());
        let ring = ring.without(&BTreeSet::from(["c".to_owned(), "s".to_owned()]));
        let [c, s, d] = ends;
        assert!(ended(c).await && ended(s).await && !ended(d).await);
        assert!(ring.find("c", 0).is_none() && ring.find("s", 0).is_none() && ring.find("d", 0).is_some());
    }
}
