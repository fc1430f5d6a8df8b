//! Care for closed files: compression and retention, in a thread of its own so that no line waits for it.
//!
//! The thread keeps no list: each round looks at what is there, so a round that was cut short needs no repair.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::{io, mem};

use crate::disk::FILE_MODE;
use crate::error::JournalError;
use crate::journal::{Clock, Counters};
use crate::names::{Names, Rotated, day_text_before};

/// Zstandard's own default: about a tenth of the size at several hundred MB/s.
const COMPRESSION_LEVEL: i32 = 3;
/// Bytes compressed between two looks at whether the journal is closing.
const CHUNK_BYTES: usize = 128 << 10;

/// What to do with closed files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) compress: bool,
    /// 0: no limit.
    pub(crate) days: u32,
    /// 0: no limit.
    pub(crate) bytes: u64,
}

/// The writer's end of the thread.
pub(crate) struct Keeper {
    rounds: SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn start(names: Names, policy: Policy, clock: Clock, counters: Arc<Counters>) -> io::Result<Self> {
        // One round asked for while one runs is enough: it sees all that is there.
        let (rounds, asked) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let run = move || rounds_when_asked(&asked, &names, policy, &clock, &stopping, &counters);
        let thread = std::thread::Builder::new().name("journal-keep".into()).spawn(run)?;
        Ok(Self { rounds, stop, thread })
    }

    /// Asks for a round.
    pub(crate) fn poke(&self) {
        let _ = self.rounds.try_send(());
    }

    /// Ends the thread; a compression under way is given up and begun again at the next start.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.rounds);
        let _ = self.thread.join();
    }
}

fn rounds_when_asked(
    asked: &Receiver<()>,
    names: &Names,
    policy: Policy,
    clock: &Clock,
    stop: &AtomicBool,
    counters: &Counters,
) {
    while asked.recv().is_ok() && !stop.load(Ordering::Relaxed) {
        let failures = round(names, policy, clock(), stop);
        counters.keep_errors.fetch_add(failures, Ordering::Relaxed);
    }
}

/// One round: what is too old goes, the rest is compressed, and what is then too much goes. Gives the number of failures;
/// one failing file does not keep the others from being cared for.
pub(crate) fn round(names: &Names, policy: Policy, now_ms: i64, stop: &AtomicBool) -> u64 {
    let steps = [
        remove_old(names, policy.days, now_ms),
        if policy.compress { compress_all(names, stop) } else { Ok(0) },
        remove_excess(names, policy.bytes),
    ];
    steps.into_iter().map(|failures| failures.unwrap_or(1)).sum()
}

fn remove_old(names: &Names, days: u32, now_ms: i64) -> Result<u64, JournalError> {
    if days == 0 {
        return Ok(0);
    }
    let oldest_kept = day_text_before(now_ms, days);
    Ok(names.list()?.iter().filter(|file| file.day < oldest_kept && !remove(&names.dir.join(&file.name))).count()
        as u64)
}

/// Deletes oldest first. A file that cannot be sized or removed stays and is not counted.
fn remove_excess(names: &Names, bytes: u64) -> Result<u64, JournalError> {
    if bytes == 0 {
        return Ok(0);
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let closed: Vec<(PathBuf, u64)> =
        names.list()?.iter().map(|file| names.dir.join(&file.name)).map(|path| (path.clone(), size(&path))).collect();
    let mut total = size(&names.current) + closed.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let mut failures = 0;
    for (path, size) in closed {
        if total <= bytes {
            break;
        }
        if remove(&path) {
            total -= size;
        } else {
            failures += 1;
        }
    }
    Ok(failures)
}

/// Whether the file is gone now.
fn remove(path: &Path) -> bool {
    fs::remove_file(path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}

fn compress_all(names: &Names, stop: &AtomicBool) -> Result<u64, JournalError> {
    let plain: Vec<Rotated> = names.list()?.into_iter().filter(|file| !file.packed).collect();
    let mut failures = 0;
    for file in plain {
        let path = names.dir.join(&file.name);
        let temporary = names.dir.join(format!("{}.zst.tmp", file.name));
        match compress(&path, &temporary, &names.dir.join(format!("{}.zst", file.name)), &names.dir, stop) {
            Ok(()) => {}
            Err(error) => {
                // A temporary that stays is removed at the next open.
                remove(&temporary);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // Retention may have been faster, or somebody tidied by hand.
                failures += u64::from(error.kind() != io::ErrorKind::NotFound);
            }
        }
    }
    Ok(failures)
}

/// Only when the compressed form is complete, on the disk and has its name does the original go; after a kill in between
/// both are there, readers take the plain one, and the next round compresses it again.
fn compress(path: &Path, temporary: &Path, packed: &Path, dir: &Path, stop: &AtomicBool) -> io::Result<()> {
    let mut input = File::open(path)?;
    let output = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(temporary)?;
    let mut encoder = zstd::stream::write::Encoder::new(output, COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = input.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        encoder.write_all(&chunk[..count])?;
    }
    encoder.finish()?.sync_all()?;
    mem::drop(input);
    fs::rename(temporary, packed)?;
    File::open(dir)?.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-27.
    const NOW_MS: i64 = 1_769_500_000_000;
    const DAY_MS: i64 = 86_400_000;

    struct Bed {
        _dir: tempfile::TempDir,
        names: Names,
    }

    impl Bed {
        /// Ten closed files of 1000 bytes, one a day, and a current one of 500.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let names = Names::new(&dir.path().join("gateway.log")).unwrap();
            fs::write(&names.current, vec![b'c'; 500]).unwrap();
            for age in 0..10 {
                let name = names.rotated(NOW_MS - age * DAY_MS, 1000 - age as u64);
                fs::write(dir.path().join(name), vec![b'x'; 1000]).unwrap();
            }
            Self { _dir: dir, names }
        }

        fn left(&self, compress: bool, days: u32, bytes: u64) -> Vec<u64> {
            let policy = Policy { compress, days, bytes };
            assert_eq!(round(&self.names, policy, NOW_MS, &AtomicBool::new(false)), 0);
            assert!(self.names.current.exists());
            self.names.list().unwrap().iter().map(|file| file.first_seq).collect()
        }
    }

    #[test]
    fn retention() {
        assert_eq!(Bed::new().left(false, 0, 0).len(), 10);
        assert_eq!(Bed::new().left(false, 3, 0), [997, 998, 999, 1000]);
        assert_eq!(Bed::new().left(false, 0, 2500), [999, 1000]);
        assert_eq!(Bed::new().left(false, 0, 2499), [1000]);
        assert_eq!(Bed::new().left(false, 0, 1), [0; 0]);
        assert_eq!(Bed::new().left(true, 0, 2500).len(), 10, "compressed they are within the budget");
    }

    #[test]
    fn compression_replaces_the_original() {
        let bed = Bed::new();
        bed.left(true, 0, 0);
        let files = bed.names.list().unwrap();
        assert!(files.len() == 10 && files.iter().all(|file| file.packed));
        let packed = fs::read(bed.names.dir.join(&files[0].name)).unwrap();
        assert_eq!(zstd::decode_all(&packed[..]).unwrap(), vec![b'x'; 1000]);
        assert!(bed.names.temporaries().unwrap().is_empty());
    }

    #[test]
    fn closing_gives_up_a_compression() {
        let bed = Bed::new();
        let policy = Policy { compress: true, days: 0, bytes: 0 };
        assert_eq!(round(&bed.names, policy, NOW_MS, &AtomicBool::new(true)), 0);
        assert!(bed.names.list().unwrap().iter().all(|file| !file.packed));
        assert!(bed.names.temporaries().unwrap().is_empty());
    }
}
