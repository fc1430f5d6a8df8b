//! The runs that this engine holds: their leases are prolonged, and who works at one hears when it changed or is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::Shared;
use crate::book::Lease;

/// A lease is prolonged so many times while it lasts.
const BEATS: u32 = 4;

/// The runs that are held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    runs: Mutex<HashMap<String, Arc<Hold>>>,
}

/// One run that is held.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) fence: i64,
    state: Mutex<HoldState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct HoldState {
    is_lost: bool,
    /// Events in the book, as last heard.
    events: i64,
}

impl Held {
    pub(crate) fn take(&self, lease: &Lease) -> Arc<Hold> {
        let hold = Arc::new(Hold { fence: lease.fence, state: Mutex::default(), changed: Notify::new() });
        // Another worker had it in between: who works at it here under an earlier lease does so for nothing.
        if let Some(before) = self.runs().insert(lease.run.clone(), hold.clone()) {
            before.set(true, 0);
        }
        hold
    }

    pub(crate) fn give(&self, lease: &Lease) {
        let mut runs = self.runs();
        if runs.get(&lease.run).is_some_and(|hold| hold.fence == lease.fence) {
            runs.remove(&lease.run);
        }
    }

    /// Takes in what a heartbeat said.
    fn hear(before: &HashMap<String, Arc<Hold>>, beats: &[(String, i64, i64)]) {
        let beats: HashMap<&str, (i64, i64)> =
            beats.iter().map(|(run, fence, events)| (run.as_str(), (*fence, *events))).collect();
        for (run, hold) in before {
            match beats.get(run.as_str()) {
                Some((fence, events)) if *fence == hold.fence => hold.set(false, *events),
                _ => hold.set(true, 0),
            }
        }
    }

    /// The runs that are held now.
    pub(super) fn names(&self) -> Vec<String> {
        self.runs().keys().cloned().collect()
    }

    fn all(&self) -> HashMap<String, Arc<Hold>> {
        self.runs().clone()
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Hold>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Waits until the run is lost, or has more events than the worker knows. Tells whether it is lost.
    pub(crate) async fn changed(&self, known: i64) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.is_lost || state.events > known {
                    return state.is_lost;
                }
            }
            changed.await;
        }
    }

    fn set(&self, is_lost: bool, events: i64) {
        {
            let mut state = self.state();
            state.is_lost |= is_lost;
            state.events = state.events.max(events);
        }
        self.changed.notify_waiters();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, HoldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prolongs the leases. When that has not worked for as long as a lease lasts, everything counts as lost: another worker may have
/// it, and what is done here may be done there too.
pub(super) async fn keep_alive(shared: Arc<Shared>) {
    let lease = shared.options.lease;
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(lease / BEATS).await;
        let held = shared.held.all();
        if held.is_empty() {
            last = Instant::now();
            continue;
        }
        // By the monotonic clock, which no one sets and which goes on while the process is stopped.
        let asked = Instant::now();
        let names: Vec<String> = held.keys().cloned().collect();
        let beat = shared.book.heartbeat(&shared.owner, &names, shared.lease_ms(), shared.now_ms());
        match tokio::time::timeout(lease, beat).await {
            Ok(Ok(beats)) => {
                last = asked;
                Held::hear(&held, &beats);
            }
            Ok(Err(error)) => tracing::warn!(error = tollhouse_units::chain(&error), "cannot prolong task leases"),
            Err(_) => tracing::warn!("prolonging task leases takes too long"),
        }
        if last.elapsed() > lease {
            tracing::warn!(runs = held.len(), "task leases have ended; their runs are given up here");
            for hold in held.values() {
                hold.set(true, 0);
            }
        }
    }
}
