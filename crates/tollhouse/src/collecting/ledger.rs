//! Keeps the records of a source that reads, and with them how far it has read: each line exactly once.
//!
//! How far is said by the records themselves: whoever has kept a line has kept that it was read (`Progress::take` folds what they
//! say). So that not the whole journal needs to be read at the start, what was folded is written to a file now and then, with the
//! `seq` up to which it holds:
//!
//! ```text
//! <data_dir>/collect/<source>.json    {"seq": 4711, "progress": …}     written anew under another name, synced, renamed
//! start: progress of the file, then of each record of this source behind its seq; without a file, a source begins anew
//! ```
//!
//! 1. Records are appended in order. One that the journal does not take is tried again until it does, and nothing behind it
//!    before: so what is in the journal is a prefix of what was read.
//! 2. A progress is written only when the journal is on the disk up to its `seq`: after a power failure no line is missing that the
//!    progress says was read.
//! 3. A file that cannot be read is replaced by all that the journal says.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tollhouse_collect::file::Mark;
use tollhouse_journal::{Appended, Journal, JournalError, Level, Position, Reader, Record};

use crate::collecting::reading::{Base, Stop};

/// How often a progress is kept, while records are written by anybody.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(5);
/// The first and the longest wait before an append or the opening is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long the opening and the end wait for the disk; at the end so that the next start has little to read.
const SYNC_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest file of a progress that is read.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 20;

/// How far a source has read.
pub(super) trait Progress: Clone + Default + DeserializeOwned + Serialize + Send + Sync + 'static {
    /// Takes in what a record of the source says.
    fn take(&mut self, told: Told);
}

/// What records say of how far their source has read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    caller: String,
    source: String,
    pub(super) file_mark: Option<Mark>,
    /// Of lines that were left out.
    pub(super) file_marks: Option<Vec<Mark>>,
    /// A note as JSON: its numbers take all of their 64 bits, which not every reader of the journal has.
    pub(super) file_note: Option<String>,
    pub(super) journald_cursor: Option<String>,
}

/// The source is to end, or the journal is closed.
#[derive(Debug)]
pub(super) struct Ended;

/// Keeps the records of one source.
pub(super) struct Ledger<P> {
    pub(super) journal: Journal,
    pub(super) progress: P,
    stop: Stop,
    synced: watch::Receiver<u64>,
    snapshot: PathBuf,
    /// To be written once the disk has come to its `seq`.
    waiting: Option<Snapshot<P>>,
    /// `seq` of the last one that was made.
    made: u64,
    is_failing: bool,
    /// Records kept since the start.
    pub(super) kept: u64,
}

/// What stands in the file.
#[derive(Debug, Deserialize, Serialize)]
struct Snapshot<P> {
    /// The progress is that after the journal's record of this number.
    seq: u64,
    progress: P,
}

impl Ledger<()> {
    /// For a source of which it is not kept how far it has read.
    pub(super) fn without_progress(base: &Base) -> Self {
        Self::at((), base, 0)
    }
}

impl<P> Ledger<P> {
    fn at(progress: P, base: &Base, made: u64) -> Self {
        Self {
            journal: base.journal.clone(),
            progress,
            stop: base.stop.clone(),
            synced: base.journal.synced(),
            snapshot: base.snapshot.clone(),
            waiting: None,
            made,
            is_failing: false,
            kept: 0,
        }
    }

    /// Appends a record, however long that takes, unless the source is to end meanwhile. The caller then changes the progress as
    /// the record says.
    pub(super) async fn append(&mut self, record: Record) -> Result<(), Ended> {
        self.append_all(vec![record], |_, _| {}).await
    }

    /// Appends records in their order, however long that takes, unless the source is to end meanwhile. `kept` is called for each
    /// that is kept, by its place, and changes the progress as that record says.
    pub(super) async fn append_all(
        &mut self,
        records: Vec<Record>,
        mut kept: impl FnMut(&mut P, usize),
    ) -> Result<(), Ended> {
        // Tried until they are kept: no refusal on the way is a loss.
        let mut records: Vec<Record> = records.into_iter().map(Record::comes_again).collect();
        let mut place = 0;
        let mut wait = RETRY_FIRST;
        loop {
            let Appended { seqs, error, left } = self.journal.append_all(records).await;
            self.kept += seqs.len() as u64;
            (place..place + seqs.len()).for_each(|place| kept(&mut self.progress, place));
            place += seqs.len();
            records = left;
            match error {
                // They are in the file; if the disk loses them, it loses with them that they were read.
                None | Some(JournalError::Unsynced) => break,
                Some(JournalError::Closed) => return Err(Ended),
                Some(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!(error = %error, "keeping collected lines, which wait where they are");
                    }
                    tokio::select! {
                        () = sleep(wait) => wait = (2 * wait).min(RETRY_MAX),
                        () = self.stop.asked() => return Err(Ended),
                    }
                }
            }
        }
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("collected lines are kept again");
        }
        Ok(())
    }

    /// Appends a record that says nothing of how far was read, if that is possible now.
    pub(super) fn tell(&self, record: Record) {
        super::record(&self.journal, record);
    }
}

impl<P: Progress> Ledger<P> {
    /// Finds out how far the source `base` has read. Tries again when that fails, until the source is to end.
    pub(super) async fn open(base: &mut Base, caller: &'static str) -> Option<Self> {
        let mut wait = RETRY_FIRST;
        loop {
            match Self::try_open(base, caller).await {
                Ok(ledger) => return Some(ledger),
                Err(error) => {
                    tracing::error!(source = base.source, "finding out how far was read: {error:#}");
                    tokio::select! {
                        () = sleep(wait) => wait = (2 * wait).min(RETRY_MAX),
                        () = base.stop.asked() => return None,
                    }
                }
            }
        }
    }

    async fn try_open(base: &Base, caller: &'static str) -> anyhow::Result<Self> {
        let (file, source, snapshot) = (base.journal_file.clone(), base.source.clone(), base.snapshot.clone());
        let last_seq = *base.journal.written().borrow();
        let mut synced = base.journal.synced();
        timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= last_seq))
            .await
            .context("waiting for the disk")??;
        let fold = move || fold::<P>(&snapshot, &file, last_seq, caller, &source);
        let progress = spawn_blocking(fold).await.context("reading how far was read")??;
        let mut ledger = Self::at(progress, base, last_seq);
        // Before the first record: so that the next start knows that there was a first time.
        ledger.save_now().await.context("writing how far was read")?;
        Ok(ledger)
    }

    /// Keeps the progress at once, as long as no record was kept.
    pub(super) async fn save_now(&mut self) -> anyhow::Result<()> {
        debug_assert!(self.kept == 0, "the disk may not have what was kept");
        self.save(Snapshot { seq: self.made, progress: self.progress.clone() }).await
    }

    /// Keeps the progress; to be called every [`SAVE_EVERY`], between two records.
    pub(super) async fn look(&mut self) {
        if let Some(snapshot) = self.waiting.take_if(|snapshot| snapshot.seq <= *self.synced.borrow())
            && let Err(error) = self.save(snapshot).await
        {
            tracing::error!(file = %self.snapshot.display(), "writing how far was read: {error:#}");
        }
        let written = *self.journal.written().borrow();
        if self.waiting.is_none() && written > self.made {
            // All records of this source up to there are in the progress: nobody else writes them.
            self.waiting = Some(Snapshot { seq: written, progress: self.progress.clone() });
            self.made = written;
        }
    }

    /// Keeps the progress once more.
    pub(super) async fn close(mut self) {
        let written = *self.journal.written().borrow();
        let mut synced = self.synced.clone();
        let on_disk = timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= written));
        if !matches!(on_disk.await, Ok(Ok(_))) {
            return;
        }
        let snapshot = Snapshot { seq: written, progress: self.progress.clone() };
        if let Err(error) = self.save(snapshot).await {
            tracing::error!(file = %self.snapshot.display(), "writing how far was read: {error:#}");
        }
    }

    async fn save(&mut self, snapshot: Snapshot<P>) -> anyhow::Result<()> {
        let path = self.snapshot.clone();
        spawn_blocking(move || write(&path, &serde_json::to_vec(&snapshot)?)).await??;
        Ok(())
    }
}

/// The record with which a source says what became of it.
pub(super) fn about(caller: &'static str, source: &str, level: Level, msg: &'static str) -> Record {
    Record::new("process", level, msg).caller(caller).field("source", source)
}

/// The progress by the file and the records behind it, up to `last_seq`.
fn fold<P: Progress>(
    snapshot: &Path,
    journal_file: &Path,
    last_seq: u64,
    caller: &str,
    source: &str,
) -> anyhow::Result<P> {
    let (mut progress, from) = match read::<Snapshot<P>>(snapshot) {
        Ok(Some(Snapshot { seq, progress })) if seq <= last_seq => (progress, seq + 1),
        // The journal was begun anew since then.
        Ok(Some(Snapshot { progress, .. })) => (progress, 1),
        Ok(None) => return Ok(P::default()),
        Err(error) => {
            tracing::error!(file = %snapshot.display(), "reading how far was read, so the whole journal is read: {error:#}");
            (P::default(), 1)
        }
    };
    if from > last_seq {
        return Ok(progress);
    }
    let from = Position { file: String::new(), offset: 0, seq: from };
    let mut reader = Reader::open(journal_file, Some(from.clone()))?;
    // A reader that does not find its place begins at the oldest line.
    reader.take_until(last_seq, |line| {
        if line.seq >= from.seq
            && let Ok(told) = serde_json::from_slice::<Told>(&line.bytes)
            && told.caller == caller
            && told.source == source
        {
            progress.take(told);
        }
        ControlFlow::Continue(())
    })?;
    Ok(progress)
}

/// Reads a file of ours; nothing when there is none.
fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(SNAPSHOT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Puts bytes into a file in such a way that it is there whole or as it was before.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().context("a file in a folder")?;
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    tollhouse_files::replace(path, bytes, 0o640).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollhouse_journal::{Opened, Options, Writer};

    use super::*;

    /// Counts its records, as `journald_cursor`.
    #[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
    struct Counted(Vec<String>);

    impl Progress for Counted {
        fn take(&mut self, told: Told) {
            self.0.extend(told.journald_cursor);
        }
    }

    async fn journal(file: &Path, numbers: std::ops::Range<u32>) -> (Journal, Writer) {
        let Opened { journal, writer, .. } = Journal::open(Options::new(file, "s")).unwrap();
        for number in numbers {
            for (caller, source) in [("c", "a"), ("c", "b"), ("d", "a")] {
                let record = Record::new("log", Level::Info, "m").caller(caller).field("source", source);
                journal.append(record.field("journald_cursor", format!("{caller}{source}{number}"))).await.unwrap();
            }
        }
        (journal, writer)
    }

    fn numbers(numbers: std::ops::Range<u32>) -> Counted {
        Counted(numbers.map(|number| format!("ca{number}")).collect())
    }

    #[tokio::test]
    async fn progress_is_that_of_the_file_and_of_the_records_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, snapshot) = (dir.path().join("gateway.log"), dir.path().join("collect/a.json"));
        let (journal, writer) = journal(&file, 0..4).await;
        let folded = || fold::<Counted>(&snapshot, &file, 12, "c", "a").unwrap();
        assert_eq!(folded(), Counted::default(), "a source that never read begins anew");
        let keep =
            |seq: u64, progress: Counted| write(&snapshot, &serde_json::to_vec(&Snapshot { seq, progress }).unwrap());
        for (seq, progress) in [(0, numbers(0..0)), (3, numbers(0..1)), (6, numbers(0..2)), (12, numbers(0..4))] {
            keep(seq, progress).unwrap();
            assert_eq!(folded(), numbers(0..4), "{seq}");
        }
        // A journal that is younger than the file.
        keep(1000, Counted(vec!["before".to_owned()])).unwrap();
        assert_eq!(folded().0.len(), 5);
        fs::write(&snapshot, "{").unwrap();
        assert_eq!(folded(), numbers(0..4), "what the journal says stands for a damaged file");
        drop(journal);
        spawn_blocking(move || writer.close()).await.unwrap().unwrap();
    }

    #[test]
    fn what_records_say_is_found_among_their_fields() {
        let line = json!({"caller": "c", "source": "a", "file_mark": [7, 42, 5, 9], "status": 200, "x": {"y": [null]}});
        let told: Told = serde_json::from_value(line).unwrap();
        assert_eq!((told.file_mark.unwrap().end, told.caller.as_str()), (42, "c"));
    }
}
