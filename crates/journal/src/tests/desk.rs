//! Who writes a line: its appender, or the thread; and that their lines keep their order.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::disk::{DiskFile, Space};

/// A real disk that is slow on demand, and remembers which threads wrote.
#[derive(Default)]
struct Watched {
    is_slow: AtomicBool,
    writers: Mutex<Vec<String>>,
}

struct WatchedFile {
    disk: Arc<Watched>,
    file: Arc<dyn DiskFile>,
}

struct WatchedDisk(Arc<Watched>);

impl Disk for WatchedDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(WatchedFile { disk: self.0.clone(), file: RealDisk.open(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        RealDisk.space(dir)
    }
}

impl DiskFile for WatchedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.disk.writers.lock().unwrap().push(name);
        if self.disk.is_slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn watched() -> (Bed, Arc<Watched>) {
    let (mut bed, disk) = (Bed::new(), Arc::new(Watched::default()));
    bed.disk = Arc::new(WatchedDisk(disk.clone()));
    bed.options.sync = Sync::Within(Duration::from_millis(10));
    (bed, disk)
}

#[test]
fn whoever_appends_writes_unless_the_disk_is_slow_or_the_line_is_to_be_synced() {
    let (bed, disk) = watched();
    let Opened { journal, writer, .. } = bed.open();
    let own = std::thread::current().name().unwrap_or_default().to_owned();
    let wrote_it = |n| {
        append(&journal, [n]);
        disk.writers.lock().unwrap().pop().expect("somebody wrote")
    };
    // A machine that stops this thread inside of a write makes the disk look slow, for a second.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let mut n = 1;
    while wrote_it(n) != own {
        n += 1;
        assert!(std::time::Instant::now() < deadline, "the appender never writes");
    }
    disk.is_slow.store(true, Ordering::Relaxed);
    while wrote_it(n) != own {
        assert!(std::time::Instant::now() < deadline, "the appender never writes again");
    }
    for n in 0..3 {
        assert_eq!(wrote_it(n), "journal-write", "the disk is slow");
    }
    disk.is_slow.store(false, Ordering::Relaxed);
    wait(journal.append_synced(record(9))).unwrap();
    assert_eq!(disk.writers.lock().unwrap().pop().as_deref(), Some("journal-write"));
    writer.close().unwrap();
    bed.assert_sound();
}

#[test]
fn lines_of_one_appender_keep_their_order_whoever_writes_them() {
    const LINES: u64 = 400;
    let mut bed = Bed::new();
    bed.options.rotate_bytes = 20_000;
    let Opened { journal, writer, .. } = bed.open();
    std::thread::scope(|scope| {
        for appender in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                for n in appender * LINES..(appender + 1) * LINES {
                    match n % 3 {
                        0 => journal.enqueue(record(n)).unwrap(),
                        1 => drop(wait(journal.append(record(n))).unwrap()),
                        _ => drop(append(&journal, [n])),
                    }
                }
            });
        }
    });
    let seq = wait(journal.append(record(u64::MAX))).unwrap();
    assert_eq!(seq, 4 * LINES + 1, "none is doubled or left out");
    writer.close().unwrap();
    let numbers = numbers(&bed.lines());
    for appender in 0..4 {
        let range = appender * LINES..(appender + 1) * LINES;
        let own: Vec<u64> = numbers.iter().copied().filter(|n| range.contains(n)).collect();
        assert_eq!(own, range.collect::<Vec<_>>());
    }
    bed.assert_sound();
}

#[test]
fn a_closed_journal_takes_nothing_by_either_way() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, [1]);
    writer.close().unwrap();
    assert!(matches!(wait(journal.append(record(2))), Err(JournalError::Closed)));
    assert!(matches!(journal.enqueue(record(3)), Err(JournalError::Closed)));
    // Its file is let go of, while a handle is still there.
    bed.open().writer.close().unwrap();
    assert_eq!(numbers(&bed.lines()), [1]);
}
