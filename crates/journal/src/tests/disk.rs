//! A disk that gets tight, full, and well again: each state is told, and so is what was not kept.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};

use serde_json::json;

use super::*;
use crate::DiskState;
use crate::disk::{DiskFile, Space};

const TOTAL_BYTES: u64 = 1 << 40;

/// A real disk that says what a test wants about its room, and takes no line while it is full.
struct Small {
    free_bytes: AtomicU64,
    is_full: AtomicBool,
}

struct SmallDisk(Arc<Small>);

struct SmallFile(Arc<Small>, Arc<dyn DiskFile>);

impl Disk for SmallDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SmallFile(self.0.clone(), RealDisk.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { free_bytes: self.0.free_bytes.load(Ordering::Relaxed), total_bytes: TOTAL_BYTES })
    }
}

impl DiskFile for SmallFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.0.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
}

fn small() -> (Bed, Arc<Small>) {
    let mut bed = Bed::new();
    let disk = Arc::new(Small { free_bytes: AtomicU64::new(TOTAL_BYTES), is_full: AtomicBool::new(false) });
    bed.disk = Arc::new(SmallDisk(disk.clone()));
    bed.options.tight_bytes = 1_000_000;
    (bed, disk)
}

/// Waits for a state, but not for ever.
fn becomes(journal: &Journal, state: DiskState) {
    let mut disk = journal.disk();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let found = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), disk.wait_for(|found| *found == state)).await.is_ok()
    });
    assert!(found, "never {state}");
}

#[test]
fn what_a_full_disk_does_not_take_is_counted_and_told_when_it_takes_lines_again() {
    for queued in [false, true] {
        let (bed, disk) = small();
        let Opened { journal, writer, .. } = bed.open();
        if queued {
            journal.always_queues();
        }
        append(&journal, [1, 2]);
        assert_eq!(*journal.disk().borrow(), DiskState::Ok);

        disk.is_full.store(true, Ordering::Relaxed);
        for n in 3..=5 {
            let error = wait(journal.append(record(n))).unwrap_err();
            assert!(matches!(error, JournalError::NotKept { .. }), "{error}");
        }
        wait(journal.append(record(7).comes_again())).unwrap_err();
        bed.now_ms.fetch_add(1_500, Ordering::Relaxed);
        let error = wait(journal.append(Record::new("request", Level::Info, "m"))).unwrap_err();
        assert!(matches!(error, JournalError::NotKept { .. }), "{error}");
        assert_eq!(*journal.disk().borrow(), DiskState::Full);

        disk.is_full.store(false, Ordering::Relaxed);
        append(&journal, [6]);
        becomes(&journal, DiskState::Ok);
        writer.close().unwrap();

        let lines = bed.lines();
        // After the gap the record and the state come in any order: the journal also looks at its disk by itself.
        assert_eq!((numbers(&lines), seqs(&lines)), (vec![1, 2, 6], vec![1, 2, 3, 4, 5]));
        let [gap] = &of_kind(&lines, "gap")[..] else { panic!("one gap record") };
        assert_eq!((&gap["seq"], &gap["level"], &gap["reason"]), (&json!(3), &json!("error"), &json!("disk")));
        assert_eq!(gap["not_kept"], 4);
        assert_eq!(gap["not_kept_by_kind"], json!({"log": 3, "request": 1}));
        assert_eq!(
            (&gap["from"], &gap["to"]),
            (&json!("2026-01-27T10:00:00.000Z"), &json!("2026-01-27T10:00:01.500Z"))
        );
        assert_eq!(of_kind(&lines, "resource")[0]["disk"], "ok");
        bed.assert_sound();
    }
}

#[test]
fn a_disk_that_was_full_to_the_end_is_told_at_the_end_if_it_takes_lines_again() {
    let (bed, disk) = small();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, [1]);
    disk.is_full.store(true, Ordering::Relaxed);
    wait(journal.append(record(2))).unwrap_err();
    disk.is_full.store(false, Ordering::Relaxed);
    writer.close().unwrap();
    assert_eq!(told_missing(&bed.lines()), 1);
    bed.assert_sound();
}

#[test]
fn an_idle_journal_notices_that_its_disk_has_room_again() {
    let (bed, disk) = small();
    let Opened { journal, writer, .. } = bed.open();
    disk.is_full.store(true, Ordering::Relaxed);
    wait(journal.append(record(1))).unwrap_err();
    disk.is_full.store(false, Ordering::Relaxed);
    becomes(&journal, DiskState::Ok);
    writer.close().unwrap();
    assert_eq!(told_missing(&bed.lines()), 1);
}

#[test]
fn a_disk_that_only_refused_what_comes_again_is_well_again_by_itself() {
    let (bed, disk) = small();
    let Opened { journal, writer, .. } = bed.open();
    disk.is_full.store(true, Ordering::Relaxed);
    wait(journal.append(record(1).comes_again())).unwrap_err();
    let lost = journal.stats().lost;
    becomes(&journal, DiskState::Full);
    // It is tried now and then, which is no loss.
    let tried = journal.stats().write_errors;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while journal.stats().write_errors == tried {
        assert!(std::time::Instant::now() < deadline, "the disk is never tried again");
        std::thread::yield_now();
    }
    assert_eq!((journal.stats().lost, *journal.disk().borrow()), (lost, DiskState::Full));
    disk.is_full.store(false, Ordering::Relaxed);
    becomes(&journal, DiskState::Ok);
    writer.close().unwrap();
    let lines = bed.lines();
    let told: Vec<Value> = of_kind(&lines, "resource").iter().map(|record| record["disk"].clone()).collect();
    assert_eq!((told, told_missing(&lines)), (vec![json!("recovering"), json!("ok")], 0));
    bed.assert_sound();
}

#[test]
fn a_tight_disk_is_told_and_takes_the_oldest_files() {
    let (mut bed, disk) = small();
    (bed.options.rotate_bytes, bed.options.keep_bytes) = (700, 2_000_000);
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=40);
    writer.close().unwrap();
    bed.assert_sound();
    let closed = |bed: &Bed| bed.listing().iter().filter(|name| name.starts_with("gateway-")).count();
    assert!(closed(&bed) >= 4);

    // The files take less than a quarter of the budget: none of them goes, but the state is told.
    disk.free_bytes.store(10, Ordering::Relaxed);
    let before = closed(&bed);
    let Opened { journal, writer, .. } = bed.open();
    becomes(&journal, DiskState::Tight);
    append(&journal, [41]);
    writer.close().unwrap();
    assert!(closed(&bed) >= before);

    bed.options.keep_bytes = 8_000;
    let Opened { journal, writer, .. } = bed.open();
    becomes(&journal, DiskState::Tight);
    disk.free_bytes.store(TOTAL_BYTES, Ordering::Relaxed);
    becomes(&journal, DiskState::Ok);
    writer.close().unwrap();
    let lines = bed.lines();
    let told: Vec<Value> = of_kind(&lines, "resource");
    let states: Vec<&Value> = told.iter().map(|record| &record["disk"]).filter(|disk| !disk.is_null()).collect();
    assert_eq!(states.last(), Some(&&json!("ok")), "{told:?}");
    let removed = told.iter().find(|record| record["reason"] == "tight").expect("a removal is told");
    assert_eq!((&removed["first_seq"], &removed["level"]), (&json!(1), &json!("warn")));
    assert!(lines[0].seq > 1);
    bed.assert_sound();
}

#[test]
fn what_a_full_queue_refuses_is_told() {
    let mut bed = Bed::new();
    bed.options.queue = 1;
    let Opened { journal, writer, .. } = bed.open();
    let refused = (0..500).filter(|n| journal.enqueue(record(*n)).is_err()).count() as u64;
    wait(journal.append(record(1_000))).unwrap();
    writer.close().unwrap();
    assert_eq!(told_missing(&bed.lines()), refused);
    bed.assert_sound();
}
