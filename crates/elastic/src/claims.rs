//! Ids that are on their way into the index: a second document of one must not pass while it cannot be found there yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::ElasticError;

/// Ids on the way at once: those of a second or two of writing.
const CLAIMS_MAX: usize = 200_000;
/// Not in the journal yet.
const PENDING: u64 = u64::MAX;

/// By index and id, the number of the record.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashMap<(String, String), u64>>);

impl Claims {
    /// Takes an id; `false` when another document has it.
    pub(crate) fn claim(&self, index: &str, id: &str) -> Result<bool, ElasticError> {
        let mut claims = self.lock();
        let claim = (index.to_owned(), id.to_owned());
        if claims.contains_key(&claim) {
            return Ok(false);
        }
        if claims.len() >= CLAIMS_MAX {
            return Err(ElasticError::BulkBusy(claims.len()));
        }
        claims.insert(claim, PENDING);
        Ok(true)
    }

    /// The document is in the journal.
    pub(crate) fn settle(&self, claim: (String, String), seq: u64) {
        self.lock().insert(claim, seq);
    }

    /// The document was not written.
    pub(crate) fn give_up(&self, claim: &(String, String)) {
        self.lock().remove(claim);
    }

    /// The number of the record, while it cannot be found in the index.
    pub(crate) fn seq(&self, id: &str) -> Option<u64> {
        let claims = self.lock();
        claims.iter().filter(|((_, claimed), _)| claimed == id).map(|(_, seq)| *seq).filter(|seq| *seq != PENDING).max()
    }

    /// Forgets those that can be found up to this record.
    pub(crate) fn forget(&self, indexed: u64) {
        self.lock().retain(|_, seq| *seq > indexed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_once() {
        let claims = Claims::default();
        let claim = || ("a".to_owned(), "1".to_owned());
        assert!(claims.claim("a", "1").unwrap());
        assert!(!claims.claim("a", "1").unwrap() && claims.claim("b", "1").unwrap());
        claims.forget(100);
        assert!(!claims.claim("a", "1").unwrap(), "what is not written yet is not forgotten");
        claims.settle(claim(), 7);
        assert_eq!(claims.seq("1"), Some(7));
        claims.forget(7);
        assert!(claims.claim("a", "1").unwrap(), "from here on the index knows it");
        claims.give_up(&claim());
        assert!(claims.claim("a", "1").unwrap());
    }
}
