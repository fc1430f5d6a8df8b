//! What a server once told, kept for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// How long a request waits for what a server tells about itself; then it goes on with what is known.
pub const KNOWN_WAIT_MAX: Duration = Duration::from_millis(300);
/// A server that did not tell is asked again in the background after so long.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);
/// What is older than so many times the age at which it is asked for again is waited for.
const AGES_BELIEVED: u32 = 12;

/// What was last learnt.
#[derive(Debug)]
pub(crate) struct Known<T: ?Sized> {
    /// When the server was last heard, whether or not it answered; `None` when never, or when what it said has proved to
    /// be out of date.
    heard: Option<Instant>,
    /// Whether it did not answer then.
    failed: bool,
    /// How often it has proved to be out of date.
    expiries: u64,
    /// What it said; `None` when it has never answered.
    pub(crate) told: Option<Arc<T>>,
}

impl<T: ?Sized> Known<T> {
    /// What never changes.
    pub(crate) fn for_ever(told: Arc<T>) -> Self {
        Self { heard: Some(Instant::now()), failed: false, expiries: 0, told: Some(told) }
    }

    /// Whether it has proved to be out of date.
    pub(crate) fn is_expired(&self) -> bool {
        self.heard.is_none() && self.told.is_some()
    }

    fn is_fresh(&self, age_max: Duration) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() <= age_max)
    }

    fn wants_asking(&self, age_max: Duration) -> bool {
        !self.is_fresh(if self.failed { age_max.min(FAILURE_AGE_MAX) } else { age_max })
    }

    fn is_believed(&self, age_max: Duration) -> bool {
        self.is_fresh(age_max * AGES_BELIEVED)
    }
}

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Self { heard: None, failed: false, expiries: 0, told: None }
    }
}

impl<T: ?Sized> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { told: self.told.clone(), ..*self }
    }
}

#[derive(Debug)]
pub(crate) struct Kept<T: ?Sized> {
    known: watch::Sender<Known<T>>,
    /// Held while asking, so that many who want to know ask once.
    asking: Arc<Mutex<()>>,
}

impl<T: ?Sized> Default for Kept<T> {
    fn default() -> Self {
        Self { known: watch::Sender::default(), asking: Arc::default() }
    }
}

impl<T: ?Sized + Send + Sync + 'static> Kept<T> {
    /// What is known, without asking.
    pub(crate) fn known(&self) -> Known<T> {
        self.known.borrow().clone()
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
        self.learn(known.expiries, ask.await);
        self.known()
    }

    /// What is known; if it is older than `age_max`, it is asked for in the background.
    pub(crate) fn now<F>(self: &Arc<Self>, age_max: Duration, ask: impl FnOnce() -> F) -> Known<T>
    where
        F: Future<Output = Option<Arc<T>>> + Send + 'static,
    {
        let known = self.known();
        if !known.wants_asking(age_max) {
            return known;
        }
        let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else { return known };
        // Another one may have heard just now.
        let known = self.known();
        if known.wants_asking(age_max) {
            let (kept, ask, expiries) = (Arc::clone(self), ask(), known.expiries);
            tokio::spawn(async move {
                kept.learn(expiries, ask.await);
                drop(asking);
            });
        }
        known
    }

    /// The same, but where nothing is known that could be believed, the answer is waited for up to [`KNOWN_WAIT_MAX`].
    pub(crate) async fn soon<F>(self: &Arc<Self>, age_max: Duration, ask: impl FnOnce() -> F) -> Known<T>
    where
        F: Future<Output = Option<Arc<T>>> + Send + 'static,
    {
        let known = self.now(age_max, ask);
        if known.is_believed(age_max) {
            return known;
        }
        // In a box: few requests ever get here, and all would have to hold it.
        Box::pin(async {
            let mut heard = self.known.subscribe();
            let waiting = heard.wait_for(|known| known.is_believed(age_max));
            // In time or not, what is known now is the best there is.
            let _in_time = timeout(KNOWN_WAIT_MAX, waiting).await.is_ok();
            self.known()
        })
        .await
    }

    /// What is known has proved to be out of date: it is asked for again.
    pub(crate) fn expire(&self) {
        self.known.send_modify(|known| {
            known.heard = None;
            known.expiries += 1;
        });
    }

    /// What a server said that was asked when this had expired so often.
    fn learn(&self, expiries: u64, told: Option<Arc<T>>) {
        self.known.send_modify(|known| {
            // What expired while it was on its way has to be asked for once more.
            known.heard = (known.expiries == expiries).then(Instant::now);
            known.failed = told.is_none();
            if told.is_some() {
                known.told = told;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const AGE: Duration = Duration::from_secs(5);

    /// A server that tells how often it was asked.
    #[derive(Default)]
    struct Server(AtomicU32);

    impl Server {
        fn asked(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }

        fn tells(&self) -> std::future::Ready<Option<Arc<u32>>> {
            ready(Some(Arc::new(self.0.fetch_add(1, Ordering::Relaxed) + 1)))
        }

        fn fails(&self) -> std::future::Ready<Option<Arc<u32>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            ready(None)
        }
    }

    async fn background() {
        tokio::task::yield_now().await;
    }

    async fn after(time: Duration) {
        tokio::time::advance(time).await;
    }

    fn told(known: &Known<u32>) -> Option<u32> {
        known.told.as_deref().copied()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_serves_while_it_is_asked_for_again() {
        let (kept, server) = (Arc::new(Kept::<u32>::default()), Server::default());
        assert_eq!(told(&kept.soon(AGE, || server.tells()).await), Some(1), "waited for at first");
        for _ in 0..3 {
            assert_eq!(told(&kept.now(AGE, || server.tells())), Some(1));
        }
        after(2 * AGE).await;
        for _ in 0..3 {
            assert_eq!(told(&kept.soon(AGE, || server.tells()).await), Some(1), "old, but not too old");
        }
        background().await;
        assert_eq!((told(&kept.now(AGE, || server.tells())), server.asked()), (Some(2), 2));
        after(AGE * AGES_BELIEVED * 2).await;
        assert_eq!(told(&kept.soon(AGE, || server.tells()).await), Some(3), "too old");
        kept.expire();
        assert!(kept.known().is_expired());
        assert_eq!(told(&kept.soon(AGE, || server.tells()).await), Some(4), "expired");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_delays_nobody_for_long() {
        let (kept, began) = (Arc::new(Kept::<u32>::default()), Instant::now());
        let asked = AtomicU32::new(0);
        for turn in 1..=3 {
            let known = kept.soon(AGE, || {
                asked.fetch_add(1, Ordering::Relaxed);
                pending()
            });
            assert!(known.await.told.is_none());
            let waited = began.elapsed();
            assert!(waited <= KNOWN_WAIT_MAX * turn + Duration::from_millis(2) * turn, "{waited:?}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "asked once, however many want to know");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_believed_for_a_short_time_and_keeps_what_was_known() {
        let (kept, server) = (Arc::new(Kept::<u32>::default()), Server::default());
        kept.soon(AGE, || server.tells()).await;
        after(AGE * 2).await;
        kept.now(AGE, || server.fails());
        background().await;
        assert_eq!((told(&kept.now(AGE, || server.tells())), server.asked()), (Some(1), 2));
        after(FAILURE_AGE_MAX * 2).await;
        kept.now(AGE, || server.tells());
        background().await;
        assert_eq!((told(&kept.known()), server.asked()), (Some(3), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_expires_on_its_way_is_asked_for_once_more() {
        let (kept, server) = (Arc::new(Kept::<u32>::default()), Server::default());
        kept.fresh(AGE, async {
            kept.expire();
            server.tells().await
        })
        .await;
        assert!(kept.known().is_expired());
        assert_eq!(told(&kept.fresh(AGE, server.tells()).await), Some(2));
    }
}
