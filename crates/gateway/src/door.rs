//! Who may pass: the client's address and the key, decided once for every API.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, RwLock};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollhouse_access::{AddressList, Credential, Key, Keyring, Priority, Role, client_address, credential};
use tollhouse_limits::Failures;
use tollhouse_web::host_name;

use crate::Refusal;

/// How the door is set.
#[derive(Debug)]
pub struct DoorSettings {
    /// Whether a key is asked for at all.
    pub keys_asked: bool,
    /// Header that may carry the key besides `Authorization` and `x-api-key`.
    pub header: HeaderName,
    /// Addresses that may come in; empty means all.
    pub allow: AddressList,
    /// Whether others are dropped without a word instead of told.
    pub drop_others: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: AddressList,
    /// Names under which this house is reached by encrypted connections alone.
    pub encrypted_hosts: Vec<String>,
    /// Header by which a client says who its end user is.
    pub user_header: Option<HeaderName>,
}

/// Decides on addresses and keys. Keys can be replaced while requests run.
#[derive(Debug)]
pub struct Door {
    settings: DoorSettings,
    keyring: RwLock<Arc<Keyring>>,
    failures: Failures,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key; `None` where none is asked for, and for the console.
    pub key: Option<Arc<Key>>,
    /// What records name in place of a key's id.
    pub key_id: Option<String>,
}

impl Caller {
    /// A probe of the house itself: it waits until nobody else does.
    pub(crate) fn probe() -> Self {
        // For ever: a key that nobody holds any more has ended.
        static KEY: LazyLock<Arc<Key>> = LazyLock::new(|| low_key("tollhouse-probe"));
        Self::own(&KEY)
    }

    /// A step of a task: it waits like a probe.
    pub(crate) fn task() -> Self {
        static KEY: LazyLock<Arc<Key>> = LazyLock::new(|| low_key("tollhouse-task"));
        Self::own(&KEY)
    }

    /// A request that is asked once more in the console: it waits like a probe.
    pub(crate) fn replay() -> Self {
        static KEY: LazyLock<Arc<Key>> = LazyLock::new(|| low_key("tollhouse-replay"));
        Self::own(&KEY)
    }

    fn own(key: &Arc<Key>) -> Self {
        Self { key: Some(key.clone()), key_id: Some(key.id.clone()) }
    }
}

fn low_key(id: &str) -> Arc<Key> {
    let mut key = Key::new(id, "user");
    key.priority = Priority::Low;
    Arc::new(key)
}

impl Door {
    /// A door with its first keys. `failures` counts wrong keys; clones of it count together.
    pub fn new(settings: DoorSettings, keyring: Keyring, failures: Failures) -> Self {
        Self { settings, keyring: RwLock::new(Arc::new(keyring)), failures }
    }

    /// Whether a key is asked for at all.
    pub fn asks_for_keys(&self) -> bool {
        self.settings.keys_asked
    }

    /// The client behind a connection's peer and its head.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        client_address(peer, headers, &self.settings.trusted_proxies)
    }

    /// Whether this address may come in at all.
    pub fn check_address(&self, client: IpAddr) -> Result<(), Refusal> {
        if self.settings.allow.admits(client) {
            return Ok(());
        }
        Err(if self.settings.drop_others { Refusal::AddressDropped } else { Refusal::AddressNotAllowed })
    }

    /// Who sends this, by its key. Whoever shows wrong keys again and again has to wait before the next try, wherever it
    /// comes from; the owner of the key that was guessed at does not.
    pub fn identify(&self, headers: &HeaderMap, client: IpAddr, now_ms: i64) -> Result<Caller, Refusal> {
        if !self.settings.keys_asked {
            return Ok(Caller { key: None, key_id: None });
        }
        let secret = match credential(headers, &self.settings.header) {
            Credential::Secret(secret) => secret,
            // Nothing was guessed.
            Credential::None => return Err(Refusal::InvalidKey),
            Credential::Contradictory => "",
        };
        let keyring = self.keyring();
        self.failures.check(client).map_err(|retry_after| Refusal::TooManyFailures { retry_after })?;
        let Some(key) = keyring.find(secret, now_ms) else {
            self.failures.failed(client, secret);
            return Err(Refusal::InvalidKey);
        };
        if !key.allow.admits(client) {
            return Err(Refusal::AddressNotAllowed);
        }
        Ok(Caller { key: Some(key.clone()), key_id: Some(key.id.clone()) })
    }

    /// Who sends this, if the key's role `may` do what is asked; `role` names one that may.
    pub fn check_role(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
        now_ms: i64,
        may: fn(Role) -> bool,
        role: &'static str,
    ) -> Result<Caller, Refusal> {
        let caller = self.identify(headers, client, now_ms)?;
        match &caller.key {
            Some(key) if !may(key.role) => Err(Refusal::RoleNotAllowed(role)),
            _ => Ok(caller),
        }
    }

    /// Whether the client's connection is encrypted: it was made to a name that is reached in no other way, or a trusted proxy in
    /// front says so (`X-Forwarded-Proto`).
    pub fn came_encrypted(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let is_https = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"https");
        let host = headers.get(HOST).and_then(|host| host_name(host.to_str().ok()?));
        host.is_some_and(|host| self.settings.encrypted_hosts.contains(&host))
            || (self.settings.trusted_proxies.holds(peer.to_canonical())
                && headers.get("x-forwarded-proto").is_some_and(is_https))
    }

    /// The header that may carry a key besides the usual ones.
    pub fn key_header(&self) -> &HeaderName {
        &self.settings.header
    }

    /// For whom the request is counted: what a trusted client's header says, else the key's user. Where trusted proxies are
    /// named, only they are believed; else whoever holds a key is, for a user is counted behind the key.
    pub fn user(&self, caller: &Caller, headers: &HeaderMap, peer: IpAddr) -> Option<String> {
        const USER_CHARS_MAX: usize = 128;
        let trusted = &self.settings.trusted_proxies;
        let header = self.settings.user_header.as_ref().filter(|_| trusted.is_empty() || trusted.holds(peer));
        let claimed = header.and_then(|name| std::str::from_utf8(headers.get(name)?.as_bytes()).ok());
        claimed
            .map(|user| user.trim().chars().take(USER_CHARS_MAX).collect())
            .filter(|user: &String| !user.is_empty())
            .or_else(|| caller.key.as_ref()?.user.clone())
    }

    /// The keys in force.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.keyring.read().expect("no panic while the lock is held").clone()
    }

    /// Puts other keys in force, for the next request on.
    pub fn replace_keyring(&self, keyring: Keyring) {
        *self.keyring.write().expect("no panic while the lock is held") = Arc::new(keyring);
    }
}
