//! Keeps the keys in force: what the command line, the console and other nodes change is in force within a second.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use tollhouse_access::{Digest, Key};
use tollhouse_gateway::Door;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_state::{State, Versions};

use crate::wiring;

/// Where these records come from.
const CALLER: &str = "tollhouse/ring.rs";

/// What of the keys has been seen and put in force.
#[derive(Default)]
pub(crate) struct Ring {
    version: Option<i64>,
    seen: Versions,
    /// The hash of each stored key's newest secret, by id; revoked ones left out.
    stored: BTreeMap<String, Digest>,
    /// Every id that was ever revoked.
    revoked: BTreeSet<String>,
}

impl Ring {
    /// Looks whether keys were changed, puts the change in force and records it. Gives the ids that were revoked since
    /// the last look; at the first one, which records nothing, all that ever were.
    pub(crate) async fn look(
        &mut self,
        state: &State,
        door: &Door,
        journal: &Journal,
    ) -> anyhow::Result<BTreeSet<String>> {
        // Before the keys themselves: what changes in between is seen at the next look.
        self.seen = state.versions().await.context("looking for changed keys")?;
        let version = self.seen.keys;
        if self.version == Some(version) {
            return Ok(BTreeSet::new());
        }
        let mut keys = state.keys().await.context("reading changed keys")?;
        let revoked = state.revoked_ids().await.context("reading revoked keys")?;
        keys.retain(|key| key.revoked_ms.is_none());
        let stored: BTreeMap<String, Digest> = keys.iter().map(|key| (key.id.clone(), key.hash)).collect();
        let ring = door.keyring().with_stored(keys.into_iter().map(wiring::stored_key)).without(&revoked);
        door.replace_keyring(ring);
        let newly_revoked: BTreeSet<String> = revoked.difference(&self.revoked).cloned().collect();
        if self.version.is_some() {
            record_changes(journal, &self.stored, &stored, &newly_revoked);
        }
        (self.version, self.stored, self.revoked) = (Some(version), stored, revoked);
        Ok(newly_revoked)
    }

    /// What the last look found: one question tells of keys and all else.
    pub(crate) fn seen(&self) -> Versions {
        self.seen
    }

    /// Those of `ids` that are not known to be revoked here.
    pub(crate) fn unknown(&self, ids: &BTreeSet<String>) -> Vec<String> {
        ids.difference(&self.revoked).cloned().collect()
    }

    /// Puts the keys of a configuration in force, but for those that were revoked.
    pub(crate) fn configure(&self, door: &Door, mut keys: Vec<(Digest, Key)>) {
        keys.retain(|(_, key)| !self.revoked.contains(&key.id));
        door.replace_keyring(door.keyring().with_configured(keys));
    }
}

fn record_changes(
    journal: &Journal,
    before: &BTreeMap<String, Digest>,
    after: &BTreeMap<String, Digest>,
    revoked: &BTreeSet<String>,
) {
    let made = after.iter().filter_map(|(id, hash)| match before.get(id) {
        None => Some((id, "key created")),
        Some(old) if old != hash => Some((id, "key rotated")),
        Some(_) => None,
    });
    for (id, what) in made.chain(revoked.iter().map(|id| (id, "key revoked"))) {
        let record = Record::new("audit", Level::Info, what).caller(CALLER).field("key_id", id);
        if let Err(error) = journal.enqueue(record) {
            tracing::error!(error = %error, key_id = %id, "recording a change of keys");
        }
    }
}
