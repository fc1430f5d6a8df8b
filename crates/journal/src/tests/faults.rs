//! Every operation of the writer on the disk fails once, in every way, and what was acknowledged is there all the same.

use super::*;
use crate::Appended;
use crate::disk::{DiskFile, Space};
use std::io;
use std::sync::Mutex;

/// What a failing operation does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing is done.
    Full,
    /// A write writes a part, and the rest of the write fails.
    Short,
    /// A write writes a part and does not tell.
    Broken,
    /// Interrupted by a signal; not an error.
    Interrupted,
}

/// A real disk on which some operations fail, and where a failed fsync loses what was not synced, as kernels do.
struct Faulty {
    state: Arc<Mutex<State>>,
}

struct State {
    fault: Fault,
    /// Operations from the first to before the second of these numbers fail.
    failing: std::ops::Range<u64>,
    count: u64,
    short: bool,
    /// Where in which file there are unsynced bytes.
    unsynced: Vec<(PathBuf, u64, usize)>,
}

struct FaultyFile {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    file: std::fs::File,
}

impl State {
    /// Counts an operation; says whether it fails.
    fn fails(&mut self) -> bool {
        self.count += 1;
        self.failing.contains(&self.count)
    }

    fn error(&self) -> io::Error {
        match self.fault {
            Fault::Full | Fault::Short => io::ErrorKind::StorageFull.into(),
            Fault::Broken => io::Error::from_raw_os_error(5),
            Fault::Interrupted => io::ErrorKind::Interrupted.into(),
        }
    }

    fn run<T>(&mut self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        // Only writes are interrupted: the standard library hides it in the others.
        if self.fails() && self.fault != Fault::Interrupted { Err(self.error()) } else { operation() }
    }
}

impl Disk for Faulty {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.state.lock().unwrap().run(|| {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            Ok(Arc::new(FaultyFile { state: self.state.clone(), path: path.to_owned(), file }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().unwrap().run(|| std::fs::rename(from, to))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.state.lock().unwrap().run(|| Ok(()))
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { free_bytes: 1 << 40, total_bytes: 1 << 40 })
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let part = &bytes[..bytes.len() * 2 / 3];
        if std::mem::take(&mut state.short) {
            return Err(state.error());
        }
        let (fails, written) = (state.fails(), state.fault);
        let written = match (fails, written) {
            (false, _) => bytes,
            (true, Fault::Full | Fault::Interrupted) => return Err(state.error()),
            (true, Fault::Short | Fault::Broken) => part,
        };
        state.short = fails && state.fault == Fault::Short;
        state.unsynced.push((self.path.clone(), offset, written.len()));
        DiskFile::write_at(&self.file, written, offset)?;
        if fails && state.fault == Fault::Broken { Err(state.error()) } else { Ok(written.len()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().unwrap().run(|| DiskFile::set_len(&self.file, len))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let unsynced = std::mem::take(&mut state.unsynced);
        let result = state.run(|| Ok(()));
        if result.is_err() {
            for (path, offset, length) in unsynced {
                if path == self.path && offset < self.file.metadata()?.len() {
                    let end = self.file.metadata()?.len().min(offset + length as u64);
                    DiskFile::write_at(&self.file, &vec![0; (end - offset) as usize], offset)?;
                }
            }
        }
        result
    }
}

/// How records are appended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// One by one, by whoever appends them where that is possible.
    Itself,
    /// One by one, by the thread.
    Queued,
    /// Those of a round together.
    Together,
}

/// One life of a journal, during which the given operations fail; gives the number of operations.
fn check(fault: Fault, failing: std::ops::Range<u64>, sync: Sync, way: Way) -> u64 {
    let mut bed = Bed::new();
    let case = format!("{fault:?} {failing:?} {sync:?} {way:?}");
    (bed.options.rotate_bytes, bed.options.sync) = (900, sync);
    let state = State { fault, failing: failing.clone(), count: 0, short: false, unsynced: Vec::new() };
    let state = Arc::new(Mutex::new(state));
    bed.disk = Arc::new(Faulty { state: state.clone() });

    let mut acknowledged = Vec::new();
    let (mut refused, mut not_kept) = (0, 0);
    if let Ok(Opened { journal, writer, .. }) = bed.try_open() {
        if way == Way::Queued {
            journal.always_queues();
        }
        wait(async {
            for round in 0..4 {
                if way == Way::Together {
                    let numbers = round * 4..round * 4 + 4;
                    let Appended { seqs, error, left } =
                        journal.append_all(numbers.clone().map(record).collect()).await;
                    let others = 4 - seqs.len() as u64;
                    assert_eq!(left.len() as u64, others, "{case}: what is not written comes back");
                    match error {
                        None => assert_eq!(others, 0, "{case}"),
                        Some(JournalError::Unsynced) => {
                            refused += 1;
                            assert_eq!(others, 0, "{case}");
                        }
                        Some(_) => (refused, not_kept) = (refused + others, not_kept + others),
                    }
                    acknowledged.extend(seqs.into_iter().zip(numbers));
                    continue;
                }
                // Several at once, so that a batch has lines on both sides of where a write stops.
                let mut tasks = tokio::task::JoinSet::new();
                for n in round * 4..round * 4 + 4 {
                    let journal = journal.clone();
                    let synced = n % 4 == 3 && sync != NEVER;
                    tasks.spawn(async move {
                        (
                            n,
                            if synced {
                                journal.append_synced(record(n)).await
                            } else {
                                journal.append(record(n)).await
                            },
                        )
                    });
                }
                while let Some(answer) = tasks.join_next().await {
                    match answer.unwrap() {
                        (n, Ok(seq)) => acknowledged.push((seq, n)),
                        (_, Err(error)) => {
                            refused += 1;
                            not_kept += u64::from(matches!(error, JournalError::NotKept { .. }));
                        }
                    }
                }
            }
        });
        // Whatever failed before: when the disk works again, so does the journal.
        state.lock().unwrap().failing = 0..0;
        let seq = wait(journal.append(record(100))).unwrap_or_else(|error| panic!("{case}: {error}"));
        acknowledged.push((seq, 100));
        writer.close().unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(*journal.synced().borrow() >= seq, "{case}");
        assert!(journal.disk().borrow().takes_records(), "{case}");
    }
    if fault == Fault::Interrupted {
        assert_eq!(refused, 0, "{case}");
    }

    let count = state.lock().unwrap().count;
    state.lock().unwrap().failing = 0..0;
    let found = bed.lines();
    for (seq, n) in acknowledged {
        let there = found.iter().filter(|line| n_of(line) == Some(n)).map(|line| line.seq).collect::<Vec<_>>();
        assert_eq!(there, [seq], "{case}: record {n}");
    }
    assert_eq!(seqs(&found), (1..=found.len() as u64).collect::<Vec<_>>(), "{case}");
    assert_eq!(told_missing(&found), not_kept, "{case}: every record that was not kept is told");
    bed.assert_sound();
    let kept = numbers(&found);
    let is_prefix = |round: u64| {
        let of_round: Vec<u64> = kept.iter().copied().filter(|n| n / 4 == round).collect();
        of_round == (round * 4..round * 4 + of_round.len() as u64).collect::<Vec<_>>()
    };
    assert!(way != Way::Together || (0..4).all(is_prefix), "{case}: {kept:?}");
    let Opened { journal, writer, recovery } = bed.open();
    assert_eq!((recovery.torn_bytes, recovery.last_seq), (0, found.len() as u64), "{case}");
    append(&journal, [200]);
    writer.close().unwrap();
    bed.assert_sound();
    count
}

#[test]
fn each_operation_fails_once() {
    let ways = [
        (NEVER, Way::Itself),
        (NEVER, Way::Queued),
        (NEVER, Way::Together),
        (Sync::Each, Way::Queued),
        (Sync::Each, Way::Together),
    ];
    for (sync, way) in ways {
        for fault in [Fault::Full, Fault::Short, Fault::Broken, Fault::Interrupted] {
            let mut nth = 1;
            while check(fault, nth..nth + 1, sync, way) >= nth {
                nth += 1;
            }
            assert!(nth > 15, "there is more to do than {nth} operations");
        }
    }
}

#[test]
fn each_operation_and_the_next_ones_fail() {
    for fault in [Fault::Full, Fault::Short, Fault::Broken] {
        for failures in [2, 3, 7, 1000] {
            // The journal is opened by the first operation, so that there is one.
            for way in [Way::Queued, Way::Together] {
                let mut nth = 2;
                while check(fault, nth..nth + failures, Sync::Each, way) >= nth {
                    nth += 1;
                }
            }
        }
    }
}
