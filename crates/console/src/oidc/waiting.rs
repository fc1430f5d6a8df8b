//! Attempts to sign in that wait for the provider's answer: each good once, for the browser that began it, for ten minutes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tollhouse_state::random_token;

/// Attempts that wait, of all browsers.
const WAITING_MAX: usize = 4096;
/// Of one address; a further one takes the place of its oldest.
const WAITING_OF_ONE_MAX: usize = 32;
/// Characters of all random values: 256 bits.
const CHARS: usize = 43;

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Comes back by the address.
    pub(crate) state: String,
    /// Comes back in the ID token.
    pub(crate) nonce: String,
    /// Shows at the token endpoint that whoever began asks (PKCE).
    pub(crate) verifier: String,
    /// Where the browser goes on.
    pub(crate) to: String,
    /// Hash of what the browser keeps as a cookie.
    browser: [u8; 32],
    client: IpAddr,
    began: Instant,
}

impl Attempt {
    /// A new attempt, and the secret for the browser's cookie.
    pub(crate) fn new(to: String, client: IpAddr) -> (Self, String) {
        let secret = random_token(CHARS);
        let attempt = Self {
            state: random_token(CHARS),
            nonce: random_token(CHARS),
            verifier: random_token(CHARS),
            to,
            browser: hash(&secret),
            client,
            began: Instant::now(),
        };
        (attempt, secret)
    }
}

/// All attempts; clones share them, also over a change of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<Mutex<HashMap<String, Attempt>>>);

impl Waiting {
    /// How long an attempt waits.
    pub(crate) const TIME_MAX: Duration = Duration::from_mins(10);

    /// Lets an attempt wait.
    pub(crate) fn add(&self, attempt: Attempt) {
        let mut waiting = self.0.lock().expect("no panic while the lock is held");
        waiting.retain(|_, other| other.began.elapsed() < Self::TIME_MAX);
        let own = waiting.values().filter(|other| other.client == attempt.client).count();
        let oldest = |of_client: Option<IpAddr>| {
            let candidates = waiting.values().filter(|other| of_client.is_none_or(|client| other.client == client));
            candidates.min_by_key(|other| other.began).map(|other| other.state.clone())
        };
        let leaves = match (own >= WAITING_OF_ONE_MAX, waiting.len() >= WAITING_MAX) {
            (true, _) => oldest(Some(attempt.client)),
            (false, true) => oldest(None),
            (false, false) => None,
        };
        if let Some(state) = leaves {
            waiting.remove(&state);
        }
        waiting.insert(attempt.state.clone(), attempt);
    }

    /// Takes out the attempt of this state, if this browser began it in time.
    pub(crate) fn take(&self, state: &str, secret: &str) -> Option<Attempt> {
        let mut waiting = self.0.lock().expect("no panic while the lock is held");
        // Another browser's answer does not use it up: whoever was tricked into it harms only themselves.
        let is_own = waiting.get(state).is_some_and(|attempt| attempt.browser == hash(secret));
        let attempt = is_own.then(|| waiting.remove(state)).flatten()?;
        (attempt.began.elapsed() < Self::TIME_MAX).then_some(attempt)
    }
}

/// Compared instead of the secret itself: how long it takes tells nothing of it.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_attempt_is_good_once_and_for_its_browser_alone() {
        let waiting = Waiting::default();
        let (attempt, secret) = Attempt::new("/".into(), address(1));
        let state = attempt.state.clone();
        waiting.add(attempt);
        assert!(waiting.take(&state, "another browser").is_none());
        assert!(waiting.take("another state", &secret).is_none());
        assert!(waiting.take(&state, &secret).is_some());
        assert!(waiting.take(&state, &secret).is_none());
    }

    #[test]
    fn one_address_does_not_push_out_others() {
        let waiting = Waiting::default();
        let (attempt, secret) = Attempt::new("/".into(), address(1));
        let state = attempt.state.clone();
        waiting.add(attempt);
        for _ in 0..WAITING_MAX + 10 {
            waiting.add(Attempt::new("/".into(), address(2)).0);
        }
        assert_eq!(waiting.0.lock().unwrap().len(), WAITING_OF_ONE_MAX + 1);
        assert!(waiting.take(&state, &secret).is_some());
    }
}
