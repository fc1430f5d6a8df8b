//! Tests that need the seams of the crate: a clock that can be set and a disk that can fail.

mod desk;
mod disk;
mod faults;
mod follow;
mod model;
mod open;
mod together;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::disk::{Disk, RealDisk};
use crate::journal::Clock;
use crate::{Journal, JournalError, Level, Line, Opened, Options, Packing, Position, Reader, Record, Sync};

/// 2026-01-27T10:00:00Z.
const NOW_MS: i64 = 1_769_508_000_000;
/// Long enough that nothing is synced unless somebody waits for it.
const NEVER: Sync = Sync::Within(Duration::from_hours(1));

/// A directory, a clock and options for a journal in it.
struct Bed {
    dir: TempDir,
    now_ms: Arc<AtomicI64>,
    options: Options,
    disk: Arc<dyn Disk>,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().join("journal").join("gateway.log"), "house");
        (options.compress, options.sync, options.tight_bytes) = (None, NEVER, 0);
        Self { dir, now_ms: Arc::new(AtomicI64::new(NOW_MS)), options, disk: Arc::new(RealDisk) }
    }

    fn file(&self) -> &Path {
        &self.options.file
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join("journal").join(name)
    }

    fn try_open(&self) -> Result<Opened, JournalError> {
        let now_ms = self.now_ms.clone();
        let clock: Clock = Arc::new(move || now_ms.load(Ordering::Relaxed));
        Journal::open_on(self.disk.clone(), clock, &self.options)
    }

    fn open(&self) -> Opened {
        self.try_open().unwrap()
    }

    /// All lines, read afresh.
    fn lines(&self) -> Vec<Line> {
        read_all(&mut Reader::open(self.file(), None).unwrap())
    }

    fn assert_sound(&self) {
        let report = crate::verify(self.file()).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }

    /// Names of what is in the journal's directory, sorted.
    fn listing(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.beside("")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn read_all(reader: &mut Reader) -> Vec<Line> {
    let mut lines = Vec::new();
    while reader.next_batch(7, &mut lines).unwrap() > 0 {}
    lines
}

fn record(n: u64) -> Record {
    Record::new("log", Level::Info, "a line").caller("tests.rs").field("n", n)
}

/// Nothing for a line that the journal wrote of itself.
fn n_of(line: &Line) -> Option<u64> {
    serde_json::from_slice::<Value>(&line.bytes).unwrap()["n"].as_u64()
}

fn numbers(lines: &[Line]) -> Vec<u64> {
    lines.iter().filter_map(n_of).collect()
}

/// The records of a kind.
fn of_kind(lines: &[Line], kind: &str) -> Vec<Value> {
    let records = lines.iter().map(|line| serde_json::from_slice::<Value>(&line.bytes).unwrap());
    records.filter(|record| record["kind"] == kind).collect()
}

/// How many test records all gap records together say were not kept.
fn told_missing(lines: &[Line]) -> u64 {
    of_kind(lines, "gap").iter().filter_map(|gap| gap["not_kept_by_kind"]["log"].as_u64()).sum()
}

fn seqs(lines: &[Line]) -> Vec<u64> {
    lines.iter().map(|line| line.seq).collect()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Appends one after another, each waited for.
fn append(journal: &Journal, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    wait(async {
        let mut seqs = Vec::new();
        for n in numbers {
            seqs.push(journal.append(record(n)).await.unwrap());
        }
        seqs
    })
}

fn ends_with(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending).is_some()
}
