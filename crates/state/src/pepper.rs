//! Random secrets, and the keyed hash under which they are kept.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::StateError;

/// HMAC-SHA-256 of a secret.
pub type Digest = [u8; 32];

/// The house's own key for hashing secrets: full-entropy secrets need no slow hash, only one that a thief of the
/// database cannot recompute.
#[derive(Clone)]
pub struct Pepper(Arc<[u8; 32]>);

impl Pepper {
    /// Reads the pepper; nothing where there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, StateError> {
        let failed = |source| StateError::File { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::with_capacity(32);
        file.read_to_end(&mut bytes).map_err(failed)?;
        let found = bytes.len();
        let bytes = bytes.try_into().map_err(|_| StateError::Pepper { path: path.to_owned(), found })?;
        Ok(Some(Self(Arc::new(bytes))))
    }

    /// Reads the pepper, or makes one on the first start.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, StateError> {
        if let Some(pepper) = Self::load(path)? {
            return Ok(pepper);
        }
        let failed = |source| StateError::File { path: path.to_owned(), source };
        let bytes: [u8; 32] = random();
        // Written aside and linked into place: two first starts at once end with one pepper, never half a file.
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o400).open(&aside).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        let linked = std::fs::hard_link(&aside, path);
        std::fs::remove_file(&aside).map_err(failed)?;
        match linked {
            Ok(()) => Ok(Self(Arc::new(bytes))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load_or_create(path),
            Err(error) => Err(failed(error)),
        }
    }

    /// The key itself.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash under which `secret` is looked up.
    pub fn digest(&self, secret: &str) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// `length` characters of `0-9A-Za-z`, each with equal chance: 43 of them carry 256 bits.
pub fn random_token(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut token = String::with_capacity(length);
    while token.len() < length {
        // 248 = 4 × 62: larger bytes would make the first letters likelier.
        let fair = random::<64>().into_iter().filter(|byte| *byte < 248);
        token.extend(fair.take(length - token.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    token
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pepper_stays_the_same_and_changes_every_hash() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pepper::load_or_create(&dir.path().join("a")).unwrap();
        let again = Pepper::load_or_create(&dir.path().join("a")).unwrap();
        let other = Pepper::load_or_create(&dir.path().join("b")).unwrap();
        assert_eq!(first.digest("secret"), again.digest("secret"));
        assert_ne!(first.digest("secret"), other.digest("secret"));
        assert_ne!(first.digest("secret"), first.digest("Secret"));
    }

    #[test]
    fn a_pepper_of_the_wrong_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), b"short").unwrap();
        let error = Pepper::load_or_create(&dir.path().join("a")).unwrap_err();
        assert!(error.to_string().contains("5 bytes instead of 32"), "{error}");
    }

    #[test]
    fn tokens_have_their_length_and_differ() {
        let (a, b) = (random_token(43), random_token(43));
        assert_eq!(a.len(), 43);
        assert!(a.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(a, b);
    }
}
