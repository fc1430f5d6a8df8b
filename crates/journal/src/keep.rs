//! Care for closed files: compression and retention, in a thread of its own so that no line waits for it.
//!
//! The thread keeps no list: each round looks at what is there, so a round that was cut short needs no repair.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, mem};

use memchr::memrchr;
use tokio::sync::mpsc;

use crate::condition::{Condition, TightBound};
use crate::disk::{Disk, FILE_MODE, Space};
use crate::error::JournalError;
use crate::hold::Holds;
use crate::journal::{Clock, Counters, Message};
use crate::names::{Names, Rotated, TEMPORARY, day_text_before};
use crate::packing::{Packer, Packing};
use crate::record::{Level, Record};
use crate::stretches::stretch_bytes;

/// Bytes read on where a stretch has no end of a line yet.
const CHUNK_BYTES: usize = 128 << 10;
/// How often a disk that is not well is looked at, also when no line comes.
const LOOK_AGAIN: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };
/// On a tight disk closed files go until they take this part of their budget, and no further.
const TIGHT_BUDGET_PART: u64 = 4;
/// Removed files that one record names.
const NAMED_MAX: usize = 20;
/// Where these records come from.
const CALLER: &str = "journal/keep.rs";

/// What to do with closed files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) compress: Option<Packing>,
    /// 0: no limit.
    pub(crate) days: u32,
    /// 0: no limit.
    pub(crate) bytes: u64,
    pub(crate) tight: TightBound,
}

/// What the thread works with.
pub(crate) struct Keeping {
    pub(crate) names: Names,
    pub(crate) policy: Policy,
    pub(crate) holds: Holds,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) condition: Arc<Condition>,
    /// Weak: the journal ends with the last one who appends.
    pub(crate) writer: mpsc::WeakSender<Message>,
}

/// The writer's end of the thread.
pub(crate) struct Keeper {
    wake: SyncSender<()>,
    asks: Arc<Asks>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Asks {
    /// A round is wanted, not only a look.
    round: AtomicBool,
    stop: AtomicBool,
}

impl Keeper {
    pub(crate) fn start(keeping: Keeping) -> io::Result<Self> {
        // One call waiting while one is followed is enough: it sees all that is there.
        let (wake, woken) = sync_channel(1);
        let asks = Arc::new(Asks::default());
        let heard = asks.clone();
        let thread =
            std::thread::Builder::new().name("journal-keep".into()).spawn(move || keeping.run(&woken, &heard))?;
        Ok(Self { wake, asks, thread })
    }

    /// Asks for a round over the closed files, and a look at the disk.
    pub(crate) fn keep(&self) {
        self.asks.round.store(true, Ordering::SeqCst);
        self.look();
    }

    /// Asks for a look at the disk.
    pub(crate) fn look(&self) {
        let _ = self.wake.try_send(());
    }

    /// Ends the thread; a compression under way is given up and begun again at the next start.
    pub(crate) fn stop(self) {
        self.asks.stop.store(true, Ordering::Relaxed);
        drop(self.wake);
        let _ = self.thread.join();
    }
}

impl Keeping {
    fn run(&self, woken: &Receiver<()>, asks: &Asks) {
        loop {
            let call = if self.condition.is_calm() {
                woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                woken.recv_timeout(LOOK_AGAIN)
            };
            if call == Err(RecvTimeoutError::Disconnected) || asks.stop.load(Ordering::Relaxed) {
                return;
            }
            if asks.round.swap(false, Ordering::SeqCst) {
                let outcome = round(&self.names, self.policy, &self.holds, (self.clock)(), &asks.stop);
                self.report(&outcome);
            }
            // A file system that does not say how much room it has is not tight.
            if let Ok(space) = self.disk.space(&self.names.dir) {
                if self.policy.tight.is_tight(space, false) {
                    self.report(&make_room(&self.names, self.policy, space));
                }
                self.tell(Message::Looked(space));
            }
        }
    }

    fn report(&self, outcome: &Outcome) {
        self.counters.keep_errors.fetch_add(outcome.failures, Ordering::Relaxed);
        for removed in &outcome.removed {
            self.counters.removed_files.fetch_add(removed.files, Ordering::Relaxed);
            let Removed { reason, files, bytes, .. } = removed;
            tracing::info!(reason, files, bytes, "old files of the journal were removed");
            self.tell(Message::Own(removed.record()));
        }
    }

    /// Waits for a place in the queue; this thread is in nobody's way. Once the journal closes there is none.
    fn tell(&self, message: Message) {
        if let Some(writer) = self.writer.upgrade() {
            let _ = writer.blocking_send(message);
        }
    }
}

/// What a round did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One failing file does not keep the others from being cared for.
    pub(crate) failures: u64,
    pub(crate) removed: Vec<Removed>,
}

/// Closed files that were removed for one reason.
#[derive(Debug)]
pub(crate) struct Removed {
    /// `days`, `bytes` (of the budget) or `tight` (the disk).
    pub(crate) reason: &'static str,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    names: Vec<String>,
    /// `seq` of the first line that is gone.
    first_seq: u64,
    /// `seq` of the first line of the last file that is gone.
    last_file_seq: u64,
}

impl Removed {
    fn record(&self) -> Record {
        let level = if self.reason == "tight" { Level::Warn } else { Level::Info };
        Record::new("resource", level, "old files of the journal were removed")
            .caller(CALLER)
            .field("reason", self.reason)
            .field("files", self.files)
            .field("bytes", self.bytes)
            .field("names", &self.names)
            .field("first_seq", self.first_seq)
            .field("last_file_seq", self.last_file_seq)
    }
}

impl Outcome {
    /// Removes a closed file, and remembers it. Whether it is gone now.
    fn remove(&mut self, names: &Names, file: &Rotated, reason: &'static str) -> bool {
        let path = names.dir.join(&file.name);
        let bytes = size(&path);
        if !remove(&path) {
            self.failures += 1;
            return false;
        }
        if self.removed.last().is_none_or(|removed| removed.reason != reason) {
            let (names, first_seq) = (Vec::new(), file.first_seq);
            self.removed.push(Removed { reason, files: 0, bytes: 0, names, first_seq, last_file_seq: first_seq });
        }
        if let Some(removed) = self.removed.last_mut() {
            removed.files += 1;
            removed.bytes += bytes;
            removed.last_file_seq = file.first_seq;
            if removed.names.len() < NAMED_MAX {
                removed.names.push(file.name.clone());
            }
        }
        true
    }
}

/// One round: what is too old goes, the rest is compressed, and what is then too much goes; but not what is held.
pub(crate) fn round(names: &Names, policy: Policy, holds: &Holds, now_ms: i64, stop: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    let old = remove_old(names, policy.days, now_ms, holds, &mut outcome);
    let compressed = policy.compress.map_or(Ok(0), |packing| compress_all(names, packing, stop));
    let excess = match policy.bytes {
        0 => Ok(()),
        // Sized anew: compressed, more of them may be held.
        bytes => oldest_held(names, holds)
            .and_then(|held| remove_excess(names, bytes, "bytes", held.unwrap_or(u64::MAX), &mut outcome)),
    };
    outcome.failures += compressed.unwrap_or(1) + u64::from(old.is_err()) + u64::from(excess.is_err());
    outcome
}

/// On a tight disk: the oldest closed files go until there is room, as far as their budget allows.
fn make_room(names: &Names, policy: Policy, space: Space) -> Outcome {
    let mut outcome = Outcome::default();
    let wanted = policy.tight.roomy(space).saturating_sub(space.free_bytes);
    if policy.bytes == 0 || wanted == 0 {
        return outcome;
    }
    let made = all_bytes(names).and_then(|all| {
        let budget = all.saturating_sub(wanted).max(policy.bytes / TIGHT_BUDGET_PART);
        remove_excess(names, budget, "tight", u64::MAX, &mut outcome)
    });
    outcome.failures += u64::from(made.is_err());
    outcome
}

/// The first `seq` of the oldest closed file that somebody still has to read.
fn oldest_held(names: &Names, holds: &Holds) -> Result<Option<u64>, JournalError> {
    let closed = names.list_distinct()?;
    let sizes: Vec<(u64, u64)> =
        closed.iter().map(|file| (file.first_seq, size(&names.dir.join(&file.name)))).collect();
    Ok(holds.oldest_held(&sizes))
}

fn remove_old(names: &Names, days: u32, now_ms: i64, holds: &Holds, outcome: &mut Outcome) -> Result<(), JournalError> {
    if days == 0 {
        return Ok(());
    }
    let oldest_kept = day_text_before(now_ms, days);
    let held = oldest_held(names, holds)?.unwrap_or(u64::MAX);
    for file in names.list()?.iter().filter(|file| file.day < oldest_kept && file.first_seq < held) {
        outcome.remove(names, file, "days");
    }
    Ok(())
}

/// Deletes oldest first, up to the file that begins with line `held`. A file that cannot be sized or removed stays and is not
/// counted.
fn remove_excess(
    names: &Names,
    bytes: u64,
    reason: &'static str,
    held: u64,
    outcome: &mut Outcome,
) -> Result<(), JournalError> {
    let mut total = all_bytes(names)?;
    for file in names.list()? {
        if total <= bytes || file.first_seq >= held {
            break;
        }
        let size = size(&names.dir.join(&file.name));
        if outcome.remove(names, &file, reason) {
            total = total.saturating_sub(size);
        }
    }
    Ok(())
}

/// What all files of the journal take.
fn all_bytes(names: &Names) -> Result<u64, JournalError> {
    let closed: u64 = names.list()?.iter().map(|file| size(&names.dir.join(&file.name))).sum();
    Ok(size(&names.current) + closed)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Whether the file is gone now.
fn remove(path: &Path) -> bool {
    fs::remove_file(path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}

fn compress_all(names: &Names, packing: Packing, stop: &AtomicBool) -> Result<u64, JournalError> {
    let plain: Vec<Rotated> = names.list()?.into_iter().filter(|file| file.packing.is_none()).collect();
    let mut failures = 0;
    for file in plain {
        let path = names.dir.join(&file.name);
        // Left by a kill before the plain one went; the configuration names another form now.
        for other in Packing::ALL.into_iter().filter(|other| *other != packing) {
            remove(&names.dir.join(format!("{}{}", file.name, other.ending())));
        }
        let packed = names.dir.join(format!("{}{}", file.name, packing.ending()));
        let temporary = names.dir.join(format!("{}{}{TEMPORARY}", file.name, packing.ending()));
        match compress(&path, packing, &temporary, &packed, &names.dir, stop) {
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
fn compress(
    path: &Path,
    packing: Packing,
    temporary: &Path,
    packed: &Path,
    dir: &Path,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut input = File::open(path)?;
    let output = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(temporary)?;
    let mut packer = Packer::new(packing, output);
    let length = stretch_bytes(input.metadata()?.len());
    let mut plain = Vec::new();
    loop {
        let missing = length.saturating_sub(plain.len()).max(CHUNK_BYTES) as u64;
        let count = input.by_ref().take(missing).read_to_end(&mut plain)?;
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        // A stretch ends with a line; one that no line ends in becomes longer.
        let end = if count == 0 { plain.len() } else { memrchr(b'\n', &plain).map_or(0, |at| at + 1) };
        if end > 0 {
            packer.add(&plain[..end])?;
            plain.drain(..end);
        }
        if count == 0 {
            break;
        }
    }
    packer.finish()?.sync_all()?;
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
        holds: Holds,
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
            Self { _dir: dir, names, holds: Holds::default() }
        }

        fn left(&self, compress: Option<Packing>, days: u32, bytes: u64) -> Vec<u64> {
            let policy = Policy { compress, days, bytes, tight: TightBound { bytes: 0 } };
            assert_eq!(round(&self.names, policy, &self.holds, NOW_MS, &AtomicBool::new(false)).failures, 0);
            self.first_seqs()
        }

        fn first_seqs(&self) -> Vec<u64> {
            assert!(self.names.current.exists());
            self.names.list().unwrap().iter().map(|file| file.first_seq).collect()
        }
    }

    #[test]
    fn retention() {
        assert_eq!(Bed::new().left(None, 0, 0).len(), 10);
        assert_eq!(Bed::new().left(None, 3, 0), [997, 998, 999, 1000]);
        assert_eq!(Bed::new().left(None, 0, 2500), [999, 1000]);
        assert_eq!(Bed::new().left(None, 0, 2499), [1000]);
        assert_eq!(Bed::new().left(None, 0, 1), [0; 0]);
        assert_eq!(Bed::new().left(Some(Packing::Zstd), 0, 2500).len(), 10, "compressed they are within the budget");
    }

    #[test]
    fn what_is_held_stays_as_far_as_its_own_bound_allows() {
        for (from_seq, bytes_max, days, bytes, left) in [
            (996, 20_000, 3, 0, vec![996, 997, 998, 999, 1000]),
            (999, 20_000, 3, 0, vec![997, 998, 999, 1000]),
            (996, 20_000, 0, 1_500, vec![996, 997, 998, 999, 1000]),
            (996, 3_000, 0, 1_500, vec![998, 999, 1000]),
            (996, 900, 0, 1_500, vec![1000]),
        ] {
            let bed = Bed::new();
            bed.holds.hold("es", from_seq, bytes_max);
            assert_eq!(bed.left(None, days, bytes), left, "{from_seq} {bytes_max} {days} {bytes}");
        }
    }

    #[test]
    fn a_tight_disk_takes_the_oldest_files_as_far_as_their_budget_allows() {
        // The files take 10,500 bytes; the disk is tight below 4,000 and roomy from 5,000 on.
        for (free_bytes, budget, left) in [
            (3_000, 20_000, vec![993, 994, 995, 996, 997, 998, 999, 1000]),
            (0, 20_000, vec![996, 997, 998, 999, 1000]),
            (0, 36_000, vec![993, 994, 995, 996, 997, 998, 999, 1000]),
            (0, 0, (991..=1000).collect()),
            (5_000, 100, (991..=1000).collect()),
        ] {
            let bed = Bed::new();
            let policy = Policy { compress: None, days: 0, bytes: budget, tight: TightBound { bytes: 4_000 } };
            let outcome = make_room(&bed.names, policy, Space { free_bytes, total_bytes: 1_000_000 });
            assert_eq!(bed.first_seqs(), left, "{free_bytes} {budget}");
            let removed: u64 = outcome.removed.iter().map(|removed| removed.files).sum();
            assert_eq!((removed, outcome.failures), (10 - left.len() as u64, 0));
            assert!(outcome.removed.iter().all(|removed| removed.reason == "tight" && removed.first_seq == 991));
        }
    }

    #[test]
    fn compression_replaces_the_original() {
        for packing in Packing::ALL {
            let bed = Bed::new();
            // One that a kill left in another form beside the plain one.
            let first = bed.names.list().unwrap().remove(0);
            for other in Packing::ALL {
                fs::write(bed.names.dir.join(format!("{}{}", first.name, other.ending())), "half").unwrap();
            }
            bed.left(Some(packing), 0, 0);
            let files = bed.names.list().unwrap();
            assert!(files.len() == 10 && files.iter().all(|file| file.packing == Some(packing)));
            let mut unpacked = Vec::new();
            let packed = File::open(bed.names.dir.join(&files[0].name)).unwrap();
            packing.unpack(Arc::new(packed), 0).unwrap().read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, vec![b'x'; 1000]);
            assert!(bed.names.temporaries().unwrap().is_empty());
        }
    }

    #[test]
    fn closing_gives_up_a_compression() {
        let bed = Bed::new();
        let policy = Policy { compress: Some(Packing::Zstd), days: 0, bytes: 0, tight: TightBound { bytes: 0 } };
        assert_eq!(round(&bed.names, policy, &bed.holds, NOW_MS, &AtomicBool::new(true)).failures, 0);
        assert!(bed.names.list().unwrap().iter().all(|file| file.packing.is_none()));
        assert!(bed.names.temporaries().unwrap().is_empty());
    }
}
