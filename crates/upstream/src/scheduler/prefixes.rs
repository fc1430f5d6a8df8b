//! Remembers which server worked on which conversation last: it may still have the beginning in its cache.

use std::collections::HashMap;

use super::ServerId;

/// Most conversations that are remembered.
pub(crate) const PREFIXES_MAX: usize = 8192;

/// Two halves: what is used is in the young one; when that is full, the old one is forgotten and the young one becomes it.
/// So what was used among the last 4096 is always there, at no bookkeeping.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    young: HashMap<u64, ServerId>,
    old: HashMap<u64, ServerId>,
}

impl Prefixes {
    pub(crate) fn get(&self, prefix: u64) -> Option<ServerId> {
        self.young.get(&prefix).or_else(|| self.old.get(&prefix)).copied()
    }

    pub(crate) fn put(&mut self, prefix: u64, server: ServerId) {
        if self.young.len() >= PREFIXES_MAX / 2 && !self.young.contains_key(&prefix) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(prefix, server);
    }

    /// Forgets a server, so that its number can be given to another.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        self.young.retain(|_, known| *known != server);
        self.old.retain(|_, known| *known != server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_within_the_bound() {
        let mut prefixes = Prefixes::default();
        for prefix in 0..3 * PREFIXES_MAX as u64 {
            prefixes.put(prefix, prefix as usize % 7);
            assert!(prefixes.young.len() + prefixes.old.len() <= PREFIXES_MAX);
        }
        let last = 3 * PREFIXES_MAX as u64;
        assert!((last - PREFIXES_MAX as u64 / 2..last).all(|prefix| prefixes.get(prefix) == Some(prefix as usize % 7)));
        assert_eq!(prefixes.get(0), None);
        prefixes.forget_server(last as usize % 7);
        assert_eq!(prefixes.get(last - 7), None);
    }
}
