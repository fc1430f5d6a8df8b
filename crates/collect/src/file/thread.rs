//! Runs a tailer in a thread of its own, a bounded number of batches ahead of who takes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::sync::mpsc;

use super::tailer::{Batch, FileStatus, LOOK_EVERY, Tailer};
use crate::error::CollectError;

/// Batches that wait to be taken. Together with the one being read and the one being stored: at most four of about 1 MiB.
const BATCHES_AHEAD: usize = 2;

/// A tailer at work.
pub struct Tail {
    batches: mpsc::Receiver<Batch>,
    status: Arc<Mutex<Vec<FileStatus>>>,
    thread: JoinHandle<()>,
}

impl Tail {
    /// Starts. `name` names the thread.
    pub fn start(name: &str, mut tailer: Tailer) -> Result<Self, CollectError> {
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let status = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&status);
        let work = move || {
            let start = Instant::now();
            let mut status_at = start;
            while !sender.is_closed() {
                let batch = tailer.step(start.elapsed());
                if Instant::now() >= status_at {
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = tailer.status();
                    status_at = Instant::now() + LOOK_EVERY;
                }
                let is_idle = !batch.has_more;
                if !batch.is_empty() && sender.blocking_send(batch).is_err() {
                    return;
                }
                if is_idle {
                    thread::park_timeout(LOOK_EVERY);
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work).map_err(CollectError::Thread)?;
        Ok(Self { batches, status, thread })
    }

    /// The next batch. While none is taken no more is read. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How far each file is read, a quarter of a second old at most while batches are taken.
    pub fn status(&self) -> Vec<FileStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the reading and waits for the thread, which takes a moment: call it where blocking is allowed.
    pub fn stop(self) {
        drop(self.batches);
        self.thread.thread().unpark();
        // A thread that panicked has said so; there is nothing to save.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::file::{Options, Pattern, Positions};

    #[tokio::test]
    async fn lines_come_while_the_file_grows() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        let pattern = Pattern::new(file.to_str().unwrap()).unwrap();
        let mut tail = Tail::start("tail-a", Tailer::new(Options::new(vec![pattern]), Positions::new())).unwrap();
        let mut out = fs::File::create(&file).unwrap();
        for number in 0..5 {
            writeln!(out, "line {number}").unwrap();
            let line = loop {
                let batch = tail.next().await.unwrap();
                if let Some(line) = batch.lines.into_iter().next() {
                    break line;
                }
            };
            assert_eq!(line.text, format!("line {number}"));
        }
        assert_eq!(tail.status().len(), 1);
        tokio::task::spawn_blocking(|| tail.stop()).await.unwrap();
    }
}
