//! Passwords: hashed slowly on purpose, away from the threads that serve.
//!
//! Argon2id with 19 MiB, two passes and one lane, as OWASP's Password Storage Cheat Sheet names them first. The house's
//! pepper goes in as Argon2's secret: a copy of the database alone does not even let a thief begin to guess.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::{Pepper, StateError, WrongSetting};

/// Passwords hashed at once; each takes a core and 19 MiB.
const AT_ONCE_MAX: usize = 2;
/// Callers that hash or wait for it; further ones are turned away.
const WAITING_MAX: usize = 32;
/// Shortest password, in characters.
const CHARS_MIN: usize = 12;
/// Longest password, in characters.
const CHARS_MAX: usize = 256;
/// Different characters that a password has at least.
const DIFFERENT_MIN: usize = 5;

/// Hashes passwords and compares them with hashes; clones share the places.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    pepper: Pepper,
    waiting: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(pepper: Pepper) -> Self {
        let (waiting, at_once) = (Semaphore::new(WAITING_MAX), Semaphore::new(AT_ONCE_MAX));
        Self { pepper, waiting: Arc::new(waiting), at_once: Arc::new(at_once) }
    }

    /// What is kept of a password: a PHC string with a random salt.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, StateError> {
        let password = password.to_owned();
        self.work(move |argon2| argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| StateError::Password(error.to_string()))
    }

    /// Whether this is the password of which `hash` was made. Without a hash the answer is no, after as much work.
    pub(crate) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, StateError> {
        let password = password.to_owned();
        self.work(move |argon2| {
            if let Some(hash) = hash {
                let hash = PasswordHash::new(&hash).map_err(|error| StateError::Password(error.to_string()))?;
                return Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok());
            }
            let made = argon2.hash_password(password.as_bytes());
            made.map(|_| false).map_err(|error| StateError::Password(error.to_string()))
        })
        .await?
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| StateError::Busy)?;
        let turn = self.at_once.clone().acquire_owned().await.map_err(|_| StateError::Busy)?;
        let pepper = self.pepper.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let secret = pepper.bytes();
            let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
            let done = work(&argon2.expect("a secret of 32 bytes is not too long"));
            // Held until here: a caller that leaves does not make room for the next before the work is done.
            drop((place, turn));
            done
        });
        worked.await.map_err(|_| StateError::Password("the work was cut off".to_owned()))
    }
}

/// Whether this may be somebody's password.
///
/// # Errors
/// What it must be like instead.
pub fn check_password(name: &str, password: &str) -> Result<(), WrongSetting> {
    let wrong = |expected: String| Err(WrongSetting { field: "password", expected });
    let chars = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&chars) {
        return wrong(format!("{CHARS_MIN} to {CHARS_MAX} characters long"));
    }
    let different: std::collections::BTreeSet<char> = password.chars().collect();
    if different.len() < DIFFERENT_MIN {
        return wrong(format!("of at least {DIFFERENT_MIN} different characters"));
    }
    if password.to_lowercase().contains(&name.to_lowercase()) {
        return wrong("without the user's name in it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> (tempfile::TempDir, Passwords) {
        let dir = tempfile::tempdir().unwrap();
        let pepper = Pepper::load_or_create(&dir.path().join("pepper")).unwrap();
        (dir, Passwords::new(pepper))
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_its_pepper() {
        let (_dir, passwords) = passwords();
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse battery").await.unwrap(), "each has its own salt");
        assert!(passwords.verify("correct horse battery", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterY", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse battery", None).await.unwrap());
        let (_dir, others) = self::passwords();
        assert!(!others.verify("correct horse battery", Some(hash)).await.unwrap(), "another pepper");
    }

    #[tokio::test]
    async fn whoever_comes_when_all_places_are_taken_is_turned_away() {
        let (_dir, passwords) = passwords();
        let all = passwords.waiting.clone().acquire_many_owned(WAITING_MAX as u32).await.unwrap();
        assert!(matches!(passwords.hash("correct horse battery").await, Err(StateError::Busy)));
        drop(all);
        assert!(passwords.hash("correct horse battery").await.is_ok());
    }

    #[test]
    fn a_password_is_long_and_of_several_characters() {
        assert!(check_password("ann", "correct horse battery").is_ok());
        assert!(check_password("ann", "正确的马电池订书钉正确的马").is_ok());
        for wrong in ["short", "aaaaaaaaaaaaaaaa", "my name is Ann, you know", &"ab cd ef".repeat(40)] {
            assert!(check_password("ann", wrong).is_err(), "{wrong}");
        }
    }
}
