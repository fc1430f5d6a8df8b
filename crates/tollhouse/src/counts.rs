//! Keeps what was used of the limits over a restart: a snapshot in the state every few seconds, and after a crash the journal
//! lines that came after it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tollhouse_gateway::Gateway;
use tollhouse_journal::{Journal, JournalError, Position, Reader};
use tollhouse_limits::Limits;
use tollhouse_state::{LimitsSnapshot, State};

use crate::ground::Ground;

/// How often a snapshot is taken while requests come.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// What counts, and where it is kept.
pub(crate) struct Counts {
    limits: Limits,
    state: State,
    journal: Journal,
    /// The last journal line that the last snapshot reaches to.
    saved_seq: Option<u64>,
}

impl Counts {
    /// Keeps the limits of this ground.
    pub(crate) fn new(ground: &Ground) -> Self {
        let Ground { limits, state, journal, .. } = ground;
        Self { limits: limits.clone(), state: state.clone(), journal: journal.clone(), saved_seq: None }
    }

    /// Puts back what was used before the start: the snapshot, and the requests that ended after it was taken. To be done
    /// before the first request.
    pub(crate) async fn restore(&mut self, journal_file: PathBuf, gateway: Gateway) -> anyhow::Result<()> {
        if let Some(LimitsSnapshot { seq, bytes }) = self.state.load_limits().await? {
            let now_ms = jiff::Timestamp::now().as_millisecond();
            // What cannot be read counts from zero; it must not keep the house from starting.
            if let Err(error) = self.limits.restore(&bytes, now_ms) {
                tracing::warn!(error = %error, "what was used of the limits before is not known");
            }
            let last_seq = *self.journal.written().borrow();
            let replay = move || replay(&journal_file, seq + 1, last_seq, |record| gateway.recount(record));
            tokio::task::spawn_blocking(replay).await?.context("counting the requests since the last snapshot")?;
        }
        self.save().await
    }

    /// Takes snapshots until it is told to stop, and a last one then.
    pub(crate) async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(SAVE_EVERY) => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            if let Err(error) = self.save().await {
                tracing::error!(error = format!("{error:#}"), "keeping what was used of the limits");
            }
            if stopping {
                return;
            }
        }
    }

    async fn save(&mut self) -> anyhow::Result<()> {
        // Read first: a request that ends in between is in the snapshot and is counted once more after a crash. The other
        // way round it would not be counted at all.
        let seq = *self.journal.written().borrow();
        if self.saved_seq == Some(seq) {
            return Ok(());
        }
        let limits = self.limits.clone();
        let bytes = tokio::task::spawn_blocking(move || limits.snapshot()).await.context("taking the snapshot")?;
        self.state.save_limits(&LimitsSnapshot { seq, bytes }).await.context("keeping the snapshot of the limits")?;
        self.saved_seq = Some(seq);
        Ok(())
    }
}

/// Gives every request's record from line `from_seq` to `last_seq` to `count`.
fn replay(
    journal_file: &Path,
    from_seq: u64,
    last_seq: u64,
    mut count: impl FnMut(&Map<String, Value>),
) -> Result<(), JournalError> {
    // A reader that does not find its place begins at the oldest line.
    if from_seq > last_seq {
        return Ok(());
    }
    let mut reader = Reader::open(journal_file, Some(Position { file: String::new(), offset: 0, seq: from_seq }))?;
    reader.take_until(last_seq, |line| {
        if line.seq >= from_seq
            && let Ok(record) = serde_json::from_slice::<Map<String, Value>>(&line.bytes)
            && record.get("kind").is_some_and(|kind| kind == "request")
        {
            count(&record);
        }
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod tests {
    use tollhouse_journal::{Level, Opened, Options, Record};

    use super::*;

    #[tokio::test]
    async fn only_requests_after_the_snapshot_are_counted_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        let Opened { journal, writer, .. } = Journal::open(Options::new(&file, "s")).unwrap();
        for n in 1..=6_u64 {
            let kind = if n % 2 == 0 { "request" } else { "audit" };
            journal.append(Record::new(kind, Level::Info, "m").field("n", n)).await.unwrap();
        }
        let counted = |from, to| {
            let mut seen = Vec::new();
            replay(&file, from, to, |record| seen.push(record["n"].as_u64().unwrap())).unwrap();
            seen
        };
        assert_eq!(counted(1, 6), [2, 4, 6]);
        assert_eq!(counted(3, 6), [4, 6]);
        assert_eq!(counted(3, 5), [4]);
        assert_eq!(counted(7, 6), [0; 0], "nothing came after it");
        tokio::task::spawn_blocking(move || writer.close()).await.unwrap().unwrap();
    }
}
