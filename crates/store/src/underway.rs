//! Bounds the rows that are on their way to a writer: what is handed over waits in memory until the writer's thread takes it in.
//!
//! Tantivy bounds the batches that wait, but in batches, which may be large; here their bytes are counted. A batch is on its way until the
//! last of its rows is dropped, which the writer's thread does when the row is in its segment.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of rows that are on their way to one writer at most, beside one batch.
const BYTES_MAX: usize = 2 << 20;
/// Who waits goes on when no more than these are left: each time costs waking a thread.
const BYTES_LEFT: usize = BYTES_MAX / 2;
/// How long a batch waits for the ones before it. A writer that takes in nothing for so long has a trouble that the next call of it
/// tells.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What is on its way to one writer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    bytes: Mutex<usize>,
    fewer: Condvar,
}

/// A batch that is on its way, for as long as this is not dropped.
#[derive(Debug)]
pub(crate) struct Batch {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Underway {
    /// Begins the way of so many bytes, as soon as few enough are on it.
    pub(crate) fn begin(&self, bytes: usize) -> Batch {
        let shared = &self.0;
        let mut underway = shared.lock();
        if *underway >= BYTES_MAX {
            let waited = shared.fewer.wait_timeout_while(underway, WAIT_MAX, |bytes| *bytes > BYTES_LEFT);
            (underway, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        *underway += bytes;
        drop(underway);
        Batch { shared: Arc::clone(shared), bytes }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut underway = self.shared.lock();
        *underway -= self.bytes;
        if *underway <= BYTES_LEFT {
            self.shared.fewer.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number is whole whoever panicked.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_batch_waits_for_the_bytes_before_it() {
        let underway = Underway::default();
        let (first, second) = (underway.begin(BYTES_LEFT + 1), underway.begin(BYTES_LEFT));
        let (begun, is_begun) = mpsc::sync_channel(1);
        let others = underway.clone();
        let wait = move || {
            let third = others.begin(7);
            begun.send(()).unwrap();
            third
        };
        let waiting = thread::Builder::new().spawn(wait).unwrap();
        drop(second);
        assert!(is_begun.try_recv().is_err(), "as long as too many are on their way");
        drop(first);
        is_begun.recv_timeout(WAIT_MAX).unwrap();
        drop(waiting.join().unwrap());
        assert_eq!(*underway.0.lock(), 0);
    }
}
