//! Revoked keys, told to all nodes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, watch};

/// Revoked keys remembered for other nodes; past it the oldest are forgotten. Each node's own store keeps its own for ever.
pub(crate) const REVOKED_MAX: usize = 100_000;

/// The ids of keys that were revoked, here or on another node. Cheap to clone; all clones are one.
///
/// With shared limits a revocation reaches every node within a second, and when Redis was away, as soon as it is back.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ids: watch::Sender<Arc<BTreeSet<String>>>,
    order: Mutex<Order>,
    /// Told when something is to be published.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Order {
    /// The ids as they came.
    all: VecDeque<String>,
    /// Those that other nodes have not been told.
    unpublished: BTreeSet<String>,
}

impl Revocations {
    /// Tells all nodes that the key with this public id is revoked.
    pub fn publish(&self, key_id: &str) {
        let mut order = self.order();
        if !self.known.ids.borrow().contains(key_id) {
            order.unpublished.insert(key_id.to_owned());
            self.add(&mut order, vec![key_id.to_owned()]);
            self.known.wanted.notify_one();
        }
    }

    /// The ids known now.
    pub fn ids(&self) -> Arc<BTreeSet<String>> {
        self.known.ids.borrow().clone()
    }

    /// The ids as they become known.
    pub fn watch(&self) -> watch::Receiver<Arc<BTreeSet<String>>> {
        self.known.ids.subscribe()
    }

    /// Takes over what another node has published.
    pub(crate) fn learn(&self, ids: Vec<String>) {
        let mut order = self.order();
        let new: Vec<_> = {
            let known = self.known.ids.borrow();
            ids.into_iter().filter(|id| !known.contains(id)).collect()
        };
        if !new.is_empty() {
            self.add(&mut order, new);
        }
    }

    /// Resolves when something is to be published.
    pub(crate) async fn wants_publishing(&self) {
        self.known.wanted.notified().await;
    }

    /// What other nodes have not been told.
    pub(crate) fn unpublished(&self) -> Vec<String> {
        self.order().unpublished.iter().cloned().collect()
    }

    pub(crate) fn published(&self, ids: &[String]) {
        let mut order = self.order();
        for id in ids {
            order.unpublished.remove(id);
        }
    }

    /// Redis has lost its memory: everything known has to be told again.
    pub(crate) fn publish_all_again(&self) {
        let mut order = self.order();
        order.unpublished = order.all.iter().cloned().collect();
    }

    fn add(&self, order: &mut Order, new: Vec<String>) {
        self.known.ids.send_modify(|ids| {
            let ids = Arc::make_mut(ids);
            for id in new {
                order.all.push_back(id.clone());
                ids.insert(id);
                if order.all.len() > REVOKED_MAX
                    && let Some(oldest) = order.all.pop_front()
                {
                    ids.remove(&oldest);
                    order.unpublished.remove(&oldest);
                }
            }
        });
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.known.order.lock().expect("no panic while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_told_once_and_again_when_it_was_lost() {
        let revocations = Revocations::default();
        let mut watch = revocations.watch();
        revocations.publish("a");
        revocations.publish("a");
        assert!(watch.has_changed().unwrap() && watch.borrow_and_update().contains("a"));
        assert_eq!(revocations.unpublished(), ["a"]);
        revocations.published(&["a".to_owned()]);
        revocations.learn(vec!["a".to_owned(), "b".to_owned()]);
        assert!(revocations.unpublished().is_empty() && revocations.ids().contains("b"));
        revocations.publish_all_again();
        assert_eq!(revocations.unpublished(), ["a", "b"]);
    }

    #[test]
    fn the_oldest_are_forgotten_past_the_bound() {
        let revocations = Revocations::default();
        revocations.learn((0..=REVOKED_MAX).map(|index| format!("{index:06}")).collect());
        let ids = revocations.ids();
        assert_eq!((ids.len(), ids.first().unwrap().as_str()), (REVOKED_MAX, "000001"));
    }
}
