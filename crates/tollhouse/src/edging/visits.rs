//! Records of visits on their way to the journal: gathered for a moment, so that one write serves many of them, and whoever
//! follows the journal is woken once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tollhouse_journal::{Journal, Record};

use super::enqueue;

/// How long a record is gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Records gathered at most; further ones go to the journal's own queue.
const GATHERED_MAX: usize = 1_024;

/// Visits that are over and not in the journal yet. Nobody waits for them: the visitor has the answer.
pub(crate) struct Visits {
    journal: Journal,
    gathered: Mutex<Gathered>,
    has_begun: Notify,
}

#[derive(Default)]
struct Gathered {
    records: Vec<Record>,
    /// Nobody gathers any more.
    is_over: bool,
}

impl Visits {
    pub(crate) fn new(journal: Journal) -> Arc<Self> {
        Arc::new(Self { journal, gathered: Mutex::default(), has_begun: Notify::new() })
    }

    /// Takes the record of a visit.
    pub(crate) fn tell(&self, record: Record) {
        let mut gathered = self.gathered();
        if gathered.is_over || gathered.records.len() == GATHERED_MAX {
            drop(gathered);
            enqueue(&self.journal, record);
            return;
        }
        gathered.records.push(record);
        if gathered.records.len() == 1 {
            self.has_begun.notify_one();
        }
    }

    /// Brings them to the journal, up to [`Self::end`].
    pub(crate) async fn bring(self: Arc<Self>) {
        let mut is_over = false;
        while !is_over {
            self.has_begun.notified().await;
            tokio::time::sleep(GATHER).await;
            is_over = self.gathered().is_over;
            self.write().await;
        }
    }

    /// Lets the last ones be brought; later ones go their own way.
    pub(crate) fn end(&self) {
        self.gathered().is_over = true;
        self.has_begun.notify_one();
    }

    async fn write(&self) {
        let records = std::mem::take(&mut self.gathered().records);
        if let Some(error) = self.journal.append_all(records).await.error {
            tracing::error!(error = %error, "recording what happened at the edge");
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_journal::{Level, Opened, Options};

    use super::*;

    fn record(number: usize) -> Record {
        Record::new("access", Level::Info, "site visited").field("number", number)
    }

    #[tokio::test]
    async fn all_come_to_the_journal_in_their_order_and_the_last_ones_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollhouse.ndjson");
        let Opened { journal, writer, .. } = Journal::open(Options::new(&file, "house")).unwrap();
        let visits = Visits::new(journal.clone());
        let bringing = tokio::spawn(visits.clone().bring());
        (0..100).for_each(|number| visits.tell(record(number)));
        let mut written = journal.written();
        written.wait_for(|seq| *seq == 100).await.unwrap();
        (100..110).for_each(|number| visits.tell(record(number)));
        visits.end();
        bringing.await.unwrap();
        visits.tell(record(110));
        written.wait_for(|seq| *seq == 111).await.unwrap();
        tokio::task::spawn_blocking(|| writer.close()).await.unwrap().unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let numbers =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["number"].as_u64());
        assert_eq!(numbers.collect::<Option<Vec<_>>>().unwrap(), (0..111).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn no_more_are_held_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let Opened { journal, .. } = Journal::open(Options::new(folder.path().join("t.ndjson"), "house")).unwrap();
        let visits = Visits::new(journal.clone());
        (0..GATHERED_MAX + 3).for_each(|number| visits.tell(record(number)));
        journal.written().wait_for(|seq| *seq == 3).await.unwrap();
        assert_eq!(visits.gathered().records.len(), GATHERED_MAX);
    }
}
