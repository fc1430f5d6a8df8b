//! Records that are appended together: their order, their numbers, and one wait for one sync.

use super::*;
use crate::Appended;

fn records(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

#[test]
fn they_keep_their_order_and_are_told_their_numbers() {
    for sync in [NEVER, Sync::Each] {
        let mut bed = Bed::new();
        // Several parts, and rotations within them.
        (bed.options.rotate_bytes, bed.options.sync) = (40_000, sync);
        let Opened { journal, writer, .. } = bed.open();
        let others = journal.clone();
        let other = std::thread::Builder::new().spawn(move || append(&others, 10_000..10_200)).unwrap();
        let Appended { seqs: told, error, .. } = wait(journal.append_all(records(0..1_000)));
        assert!(error.is_none(), "{error:?}");
        if sync == Sync::Each {
            assert!(*journal.synced().borrow() >= told[999], "it waits for the last one");
        }
        other.join().unwrap();
        writer.close().unwrap();
        let lines = bed.lines();
        let found: Vec<(u64, u64)> =
            lines.iter().map(|line| (line.seq, n_of(line).unwrap())).filter(|(_, n)| *n < 10_000).collect();
        assert_eq!(found, told.into_iter().zip(0..1_000).collect::<Vec<_>>());
        bed.assert_sound();
    }
}

#[test]
fn many_wait_for_few_syncs() {
    let mut bed = Bed::new();
    bed.options.sync = Sync::Each;
    let disk = Arc::new(Counted::default());
    bed.disk = disk.clone();
    let Opened { journal, writer, .. } = bed.open();
    assert_eq!(wait(journal.append_all(records(0..256))).seqs.len(), 256);
    assert!(disk.syncs.load(Ordering::Relaxed) <= 3, "256 records do not wait 256 times");
    writer.close().unwrap();
}

#[test]
fn none_is_none_and_a_closed_journal_takes_none() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    let Appended { seqs, error, .. } = wait(journal.append_all(Vec::new()));
    assert!(seqs.is_empty() && error.is_none());
    writer.close().unwrap();
    let Appended { seqs, error, .. } = wait(journal.append_all(records(0..3)));
    assert!(seqs.is_empty() && matches!(error, Some(JournalError::Closed)), "{error:?}");
}

/// A real disk that counts syncs of files.
#[derive(Debug, Default)]
struct Counted {
    syncs: Arc<std::sync::atomic::AtomicU64>,
}

struct CountedFile {
    syncs: Arc<std::sync::atomic::AtomicU64>,
    file: Arc<dyn crate::disk::DiskFile>,
}

impl Disk for Counted {
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn crate::disk::DiskFile>> {
        Ok(Arc::new(CountedFile { syncs: self.syncs.clone(), file: RealDisk.open(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> std::io::Result<crate::disk::Space> {
        RealDisk.space(dir)
    }
}

impl crate::disk::DiskFile for CountedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync()
    }
}
