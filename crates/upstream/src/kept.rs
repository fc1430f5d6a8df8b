//! What a server once told, kept for a while.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was last learnt.
#[derive(Debug)]
pub(crate) struct Known<T: ?Sized> {
    /// When the server was last asked, whether or not it answered.
    asked: Option<Instant>,
    /// What it said; `None` when it has never answered.
    pub(crate) told: Option<Arc<T>>,
}

impl<T: ?Sized> Known<T> {
    fn is_fresh(&self, age_max: Duration) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() <= age_max)
    }
}

impl<T: ?Sized> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { asked: self.asked, told: self.told.clone() }
    }
}

#[derive(Debug)]
pub(crate) struct Kept<T: ?Sized> {
    known: RwLock<Known<T>>,
    /// Held while asking, so that many who want to know ask once.
    asking: Mutex<()>,
}

impl<T: ?Sized> Default for Kept<T> {
    fn default() -> Self {
        Self { known: RwLock::new(Known { asked: None, told: None }), asking: Mutex::default() }
    }
}

impl<T: ?Sized> Kept<T> {
    /// What is known, without asking.
    pub(crate) fn known(&self) -> Known<T> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether somebody should ask: it is older than `age_max`, and nobody asks right now.
    pub(crate) fn wants_asking(&self, age_max: Duration) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        !known.is_fresh(age_max) && self.asking.try_lock().is_ok()
    }

    /// What is known, after asking by `ask` if the last time is longer ago than `age_max`. A failure keeps what was
    /// known before.
    pub(crate) async fn fresh(&self, age_max: Duration, ask: impl Future<Output = Option<Arc<T>>>) -> Known<T> {
        let known = self.known();
        if known.is_fresh(age_max) {
            return known;
        }
        let _asking = self.asking.lock().await;
        let known = self.known();
        if known.is_fresh(age_max) {
            return known;
        }
        let told = ask.await.or(known.told);
        let known = Known { asked: Some(Instant::now()), told };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        known
    }

    /// Makes the next one who wants to know ask again: what is known has proved to be out of date.
    pub(crate) fn expire(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).asked = None;
    }
}
