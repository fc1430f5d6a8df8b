//! Ends what has lasted too long, whether or not anybody looks at it.
//!
//! A client that takes nothing of its answer does not ask for more of it either, so the answer cannot look at the clock
//! itself. One task for all does, and only while there is something to end: an answer costs an entry in a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What can be ended.
pub(crate) trait End: Send + Sync {
    /// Its time is over.
    fn end(&self);
}

/// When each thing has to end; as many as there are places at servers.
#[derive(Default)]
pub(crate) struct Deadlines {
    inner: Mutex<Inner>,
    /// There is one that is due before all others.
    sooner: Notify,
}

/// A deadline by its time, and counted, as many share one time.
type Key = (Instant, u64);

#[derive(Default)]
struct Inner {
    due: BTreeMap<Key, Weak<dyn End>>,
    count: u64,
    /// Whether the task runs that looks at the clock.
    runs: bool,
}

/// Something that has to end at its time; dropping this forgets the time.
pub(crate) struct Deadline {
    deadlines: Arc<Deadlines>,
    key: Key,
}

impl Deadlines {
    /// Ends this at the time, if it is still there.
    pub(crate) fn add<T: End + 'static>(self: &Arc<Self>, at: Instant, what: &Arc<T>) -> Deadline {
        let what = Arc::downgrade(what);
        let mut inner = self.inner();
        let key = (at, inner.count);
        inner.count += 1;
        inner.due.insert(key, what);
        if !inner.runs {
            inner.runs = true;
            tokio::spawn(run(Arc::clone(self)));
        } else if inner.due.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.sooner.notify_one();
        }
        Deadline { deadlines: Arc::clone(self), key }
    }

    /// Ends what is due; when the next is. Without any the task has to end, and a new one is started for the next.
    fn end_due(&self) -> Option<Instant> {
        loop {
            let mut inner = self.inner();
            let Some(first) = inner.due.first_entry() else {
                inner.runs = false;
                return None;
            };
            let at = first.key().0;
            if at > Instant::now() {
                return Some(at);
            }
            let what = first.remove().upgrade();
            // What ends may let others begin, who come here too.
            drop(inner);
            what.inspect(|what| what.end());
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(deadlines: Arc<Deadlines>) {
    while let Some(next) = deadlines.end_due() {
        tokio::select! {
            () = sleep_until(next) => {}
            () = deadlines.sooner.notified() => {}
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.deadlines.inner().due.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Notes when it was ended.
    #[derive(Default)]
    struct Noted(Mutex<Option<Instant>>);

    impl End for Noted {
        fn end(&self) {
            *self.0.lock().expect("no panic") = Some(Instant::now());
        }
    }

    fn ended(noted: &Noted) -> Option<Instant> {
        *noted.0.lock().expect("no panic")
    }

    fn alive() -> usize {
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    }

    #[tokio::test(start_paused = true)]
    async fn each_ends_at_its_time_and_one_task_sees_to_all() {
        let (deadlines, now) = (Arc::new(Deadlines::default()), Instant::now());
        let after = |secs| now + Duration::from_secs(secs);
        // Later ones first: the task has to be told of one that is sooner.
        let mut kept: Vec<(Arc<Noted>, Deadline, Instant)> = Vec::new();
        for secs in [9, 5, 5, 1, 7] {
            let noted = Arc::new(Noted::default());
            let deadline = deadlines.add(after(secs), &noted);
            kept.push((noted, deadline, after(secs)));
            tokio::task::yield_now().await;
        }
        assert_eq!(alive(), 1);
        let (never, forgotten, _) = kept.pop().expect("five");
        drop(forgotten);
        tokio::time::sleep_until(after(10)).await;
        for (noted, _, at) in &kept {
            let late = ended(noted).expect("ended").duration_since(*at);
            assert!(late <= Duration::from_millis(2), "{late:?}");
        }
        assert!(ended(&never).is_none());
        assert_eq!((alive(), deadlines.inner().due.len()), (0, 0), "nothing is left");
        let again = Arc::new(Noted::default());
        let _deadline = deadlines.add(Instant::now(), &again);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(ended(&again).is_some());
    }
}
