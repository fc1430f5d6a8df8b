//! Bounds the rows that are on their way to a writer: what is handed over waits in memory until the writer's thread takes it in.
//!
//! Tantivy bounds the batches that wait, but in batches, which may be large; here the rows are counted. A batch is on its way until the
//! last of its rows is dropped, which the writer's thread does when the row is in its segment.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rows that are on their way to one writer at most, beside one batch: about 4 MiB.
const ROWS_MAX: usize = 2_048;
/// How long a batch waits for the ones before it. A writer that takes in nothing for so long has a trouble that the next call of it
/// tells.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What is on its way to one writer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Underway(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    rows: Mutex<usize>,
    fewer: Condvar,
}

/// A batch that is on its way; each of its rows holds it.
#[derive(Debug)]
pub(crate) struct Batch {
    shared: Arc<Shared>,
    rows: usize,
}

impl Underway {
    /// Begins the way of so many rows, as soon as few enough are on it.
    pub(crate) fn begin(&self, rows: usize) -> Arc<Batch> {
        let shared = &self.0;
        let is_full = |rows: &mut usize| *rows >= ROWS_MAX;
        let waited = shared.fewer.wait_timeout_while(shared.lock(), WAIT_MAX, is_full);
        let (mut underway, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *underway += rows;
        drop(underway);
        Arc::new(Batch { shared: Arc::clone(shared), rows })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        *self.shared.lock() -= self.rows;
        self.shared.fewer.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number is whole whoever panicked.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_batch_waits_for_the_rows_before_it() {
        let underway = Underway::default();
        let first = underway.begin(ROWS_MAX);
        let (begun, is_begun) = mpsc::sync_channel(1);
        let others = underway.clone();
        let wait = move || {
            let second = others.begin(7);
            begun.send(()).unwrap();
            second
        };
        let waiting = thread::Builder::new().spawn(wait).unwrap();
        // Its rows hold it: the last of them lets the next batch go.
        let last_row = Arc::clone(&first);
        drop(first);
        assert!(is_begun.try_recv().is_err(), "as long as a row is on its way");
        drop(last_row);
        is_begun.recv_timeout(WAIT_MAX).unwrap();
        drop(waiting.join().unwrap());
        assert_eq!(*underway.0.lock(), 0);
    }
}
