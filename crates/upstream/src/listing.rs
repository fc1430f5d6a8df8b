//! A server's list of models, kept for a while.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::kind::Listed;

/// What was last learnt of a server's models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// When it was last asked, whether or not it answered.
    asked: Option<Instant>,
    /// Its models; `None` when it has never answered.
    pub(crate) models: Option<Arc<[Listed]>>,
}

#[derive(Debug, Default)]
pub(crate) struct Listing {
    known: RwLock<Known>,
    /// Held while asking, so that many who want to know ask once.
    asking: Mutex<()>,
}

impl Listing {
    /// What is known, without asking.
    pub(crate) fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known, after asking by `ask` if the last time is longer ago than `age_max`. A failure keeps what was
    /// known before.
    pub(crate) async fn fresh(&self, age_max: Duration, ask: impl Future<Output = Option<Vec<Listed>>>) -> Known {
        let is_fresh = |known: &Known| known.asked.is_some_and(|asked| asked.elapsed() <= age_max);
        let known = self.known();
        if is_fresh(&known) {
            return known;
        }
        let _asking = self.asking.lock().await;
        let known = self.known();
        if is_fresh(&known) {
            return known;
        }
        let models = ask.await.map(Arc::from).or(known.models);
        let known = Known { asked: Some(Instant::now()), models };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        known
    }

    /// Makes the next one who wants to know ask again: the list has proved to be out of date.
    pub(crate) fn expire(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).asked = None;
    }
}
