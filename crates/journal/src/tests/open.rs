//! Opening, closing, rotating, recovering.

use super::*;
use crate::recover::Recovery;
use serde_json::json;

const DAY_MS: i64 = 86_400_000;

#[test]
fn lines_go_on_over_restarts() {
    let bed = Bed::new();
    for round in 0..3 {
        let Opened { journal, writer, recovery } = bed.open();
        assert_eq!(
            recovery,
            Recovery { last_seq: round * 3, quarantine: bed.beside("gateway.torn"), ..Recovery::default() }
        );
        assert_eq!(append(&journal, [1, 2, 3]), [round * 3 + 1, round * 3 + 2, round * 3 + 3]);
        assert_eq!((*journal.written().borrow(), journal.stats().lines), (round * 3 + 3, 3));
        writer.close().unwrap();
        assert_eq!(*journal.synced().borrow(), round * 3 + 3);
        assert!(matches!(wait(journal.append(record(0))), Err(JournalError::Closed)));
        assert!(matches!(journal.enqueue(record(0)), Err(JournalError::Closed)));
    }
    assert_eq!(seqs(&bed.lines()), (1..=9).collect::<Vec<_>>());
    bed.assert_sound();
    assert_eq!(bed.listing(), ["gateway.lock", "gateway.log"]);
}

#[test]
fn lines_that_are_long_for_one_field_are_read_found_and_gone_on_from() {
    let bed = Bed::new();
    let long = |n: u64| record(n).field("cut", "y".repeat(300_000)).uncut("whole", &"x".repeat(1_500_000));
    for round in 0..2 {
        let Opened { journal, writer, recovery } = bed.open();
        assert_eq!(
            recovery,
            Recovery { last_seq: round * 13, quarantine: bed.beside("gateway.torn"), ..Recovery::default() }
        );
        for n in 1..=12 {
            wait(journal.append(if n % 2 == 0 { long(n) } else { record(n) })).unwrap();
        }
        // The last line of the file is such a one.
        wait(journal.append(long(13))).unwrap();
        writer.close().unwrap();
    }
    bed.assert_sound();
    let lines = bed.lines();
    assert_eq!(seqs(&lines), (1..=26).collect::<Vec<_>>());
    let is_long = |line: &Line| line.bytes.len() > crate::RECORD_BYTES_MAX && line.bytes.len() < crate::LINE_BYTES_MAX;
    assert_eq!(lines.iter().filter(|line| is_long(line)).count(), 14);
    for seq in [2, 13, 20, 26] {
        let from = Position { file: String::new(), offset: 0, seq };
        assert_eq!(read_all(&mut Reader::open(bed.file(), Some(from)).unwrap())[0].seq, seq);
    }
    // A batch has enough of them before it has many.
    let (mut reader, mut lines) = (Reader::open(bed.file(), None).unwrap(), Vec::new());
    let count = reader.next_batch(100, &mut lines).unwrap();
    assert!((8..16).contains(&count) && reader.has_more(), "{count}");
    while reader.next_batch(100, &mut lines).unwrap() > 0 {}
    assert!(lines.len() == 26 && !reader.has_more());
}

#[test]
fn a_second_opener_learns_who_has_it() {
    let bed = Bed::new();
    let opened = bed.open();
    let error = bed.try_open().unwrap_err();
    assert!(matches!(&error, JournalError::Locked { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
    opened.writer.close().unwrap();
    bed.open().writer.close().unwrap();
}

#[test]
fn enqueued_records_are_written_at_close() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    let sent = (0..500).filter(|n| journal.enqueue(record(*n)).is_ok()).count() as u64;
    writer.close().unwrap();
    assert_eq!(bed.lines().len() as u64, sent);
    assert_eq!(sent + journal.stats().full, 500);
}

#[test]
fn without_close_the_last_journal_ends_the_writer() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    drop(writer);
    append(&journal, [1, 2]);
    let mut written = journal.written();
    drop(journal);
    // The sender goes with the thread.
    wait(async { while written.changed().await.is_ok() {} });
    assert_eq!(numbers(&bed.lines()), [1, 2]);
}

#[test]
fn synced_appends_do_not_wait_for_the_next_append() {
    for sync in [Sync::Each, Sync::Within(Duration::from_millis(5))] {
        let mut bed = Bed::new();
        bed.options.sync = sync;
        let Opened { journal, writer, .. } = bed.open();
        for n in 1..=3 {
            let seq = wait(async {
                if sync == Sync::Each {
                    journal.append(record(n)).await
                } else {
                    journal.append_synced(record(n)).await
                }
            });
            assert_eq!((seq.unwrap(), *journal.synced().borrow()), (n, n));
        }
        writer.close().unwrap();
    }
}

#[test]
fn rotation_by_size_and_by_day() {
    let mut bed = Bed::new();
    bed.options.rotate_bytes = 500;
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=7);
    bed.now_ms.fetch_add(DAY_MS, Ordering::Relaxed);
    append(&journal, [8]);
    // The clock goes back; time in the journal does not, and so no file is begun.
    bed.now_ms.fetch_sub(2 * DAY_MS, Ordering::Relaxed);
    append(&journal, [9]);
    writer.close().unwrap();
    let expected = [
        "gateway-2026.01.27-000000000001.log",
        "gateway-2026.01.27-000000000004.log",
        "gateway-2026.01.27-000000000007.log",
        "gateway.lock",
        "gateway.log",
    ];
    assert_eq!(bed.listing(), expected);
    assert_eq!(numbers(&bed.lines()), (1..=9).collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&bed.lines()[8].bytes).contains("\"ts\":\"2026-01-28T10:00:00.000Z\""));
    bed.assert_sound();

    // The day is remembered over a restart.
    bed.options.rotate_bytes = u64::MAX;
    bed.now_ms.fetch_add(3 * DAY_MS, Ordering::Relaxed);
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, [10]);
    writer.close().unwrap();
    assert_eq!(bed.listing()[3], "gateway-2026.01.28-000000000008.log");
    bed.assert_sound();
}

#[test]
fn a_rotation_cut_short_is_continued() {
    for compress in [false, true] {
        let bed = Bed::new();
        let Opened { journal, writer, .. } = bed.open();
        append(&journal, 1..=3);
        writer.close().unwrap();
        let closed = bed.beside("gateway-2026.01.27-000000000001.log");
        std::fs::rename(bed.file(), &closed).unwrap();
        std::fs::write(closed.with_extension("log.zst.tmp"), "half").unwrap();
        if compress {
            std::fs::write(
                closed.with_extension("log.zst"),
                zstd::encode_all(&*std::fs::read(&closed).unwrap(), 1).unwrap(),
            )
            .unwrap();
            std::fs::remove_file(&closed).unwrap();
        }
        let Opened { journal, writer, recovery } = bed.open();
        assert_eq!(recovery.last_seq, 3);
        assert_eq!(append(&journal, [4]), [4]);
        writer.close().unwrap();
        assert_eq!(numbers(&bed.lines()), [1, 2, 3, 4]);
        bed.assert_sound();
        assert!(!bed.listing().iter().any(|name| ends_with(name, ".tmp")));
    }
}

#[test]
fn closed_files_are_compressed_and_kept_in_budget() {
    let mut bed = Bed::new();
    (bed.options.compress, bed.options.rotate_bytes, bed.options.keep_bytes) = (Some(Packing::Zstd), 4000, 6000);
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=200);
    // The last rotation has asked for a round, and that finds too much.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    // Read at once: the file that tells it may itself be removed by a later round.
    let told = loop {
        if let Some(told) = of_kind(&bed.lines(), "resource").first() {
            break told.clone();
        }
        assert!(std::time::Instant::now() < deadline, "no removal is told");
        std::thread::yield_now();
    };
    writer.close().unwrap();
    // What the closing interrupted is done at the next open; that its thread is through shows in the directory.
    let Opened { writer, .. } = bed.open();
    while bed.listing().iter().any(|name| name.starts_with("gateway-") && !ends_with(name, ".zst")) {
        std::thread::yield_now();
    }
    writer.close().unwrap();
    let lines = bed.lines();
    let first = lines[0].seq;
    assert!(first > 1, "the oldest are deleted");
    assert_eq!(seqs(&lines), (first..first + lines.len() as u64).collect::<Vec<_>>());
    let numbers = numbers(&lines);
    assert_eq!(numbers, (numbers[0]..=200).collect::<Vec<_>>());
    assert_eq!(told["reason"], "bytes");
    assert!(told["files"].as_u64() >= Some(1) && told["names"][0].as_str().is_some(), "{told}");
    bed.assert_sound();
}

#[test]
fn torn_tails_go_to_quarantine() {
    let cases: [&[u8]; 4] = [b"{\"ts\":\"2026", b"\0\0\0\0\0", b"x", b"{\"a\":1,\"seq\":4,\"prev\":\"0\"}"];
    let bed = Bed::new();
    let mut expected = Vec::new();
    for (round, torn) in cases.iter().enumerate() {
        let Opened { journal, writer, recovery } = bed.open();
        assert_eq!(recovery.torn_bytes, if round == 0 { 0 } else { cases[round - 1].len() as u64 });
        assert_eq!(append(&journal, [round as u64]), [round as u64 + 1]);
        writer.close().unwrap();
        let text = [std::fs::read(bed.file()).unwrap(), torn.to_vec()].concat();
        std::fs::write(bed.file(), text).unwrap();
        expected.extend_from_slice(torn);
        expected.push(b'\n');
    }
    bed.open().writer.close().unwrap();
    assert_eq!(numbers(&bed.lines()), [0, 1, 2, 3]);
    assert_eq!(std::fs::read(bed.beside("gateway.torn")).unwrap(), expected);
    bed.assert_sound();
}

#[test]
fn the_quarantine_is_bounded() {
    let bed = Bed::new();
    let torn =
        [&b"{\"ts\":\"2026-01-27T10:00:00.123Z\",\"level\":\"info\",\"kind\":\""[..], &vec![b'x'; 9_000_000]].concat();
    let mut dropped = Vec::new();
    for _ in 0..3 {
        std::fs::create_dir_all(bed.beside("")).unwrap();
        std::fs::write(bed.file(), &torn).unwrap();
        let Opened { writer, recovery, .. } = bed.open();
        writer.close().unwrap();
        assert_eq!(recovery.torn_bytes, torn.len() as u64);
        dropped.push(recovery.dropped_bytes);
    }
    let (kept, length) = (std::fs::metadata(bed.beside("gateway.torn")).unwrap().len(), torn.len() as u64);
    assert!(kept <= 16 << 20, "{kept}");
    // Each torn end that is kept gets a line feed.
    assert_eq!(dropped, [0, 2 * length - (kept - 2), length]);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let random = |bytes: usize| {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        (0..bytes).map(|_| next()).filter(|byte| *byte != b'\n').collect::<Vec<u8>>()
    };
    let foreign: Vec<Vec<u8>> = vec![
        random(5_000_000),
        b"Dear diary,\nno line feed at the end".to_vec(),
        b"one line".to_vec(),
        b"\n\n".to_vec(),
        b"{\n  \"ts\": \"2026-01-27\"\n}\n".to_vec(),
        b"{\"ts\":\"2026-01-27T10:00:00.123Z\",\"level\":\"info\",\"msg\":\"another program\"}\n".to_vec(),
        [vec![0; 5_000_000], b"a disk".to_vec()].concat(),
    ];
    for bytes in foreign {
        let bed = Bed::new();
        std::fs::create_dir_all(bed.beside("")).unwrap();
        std::fs::write(bed.file(), &bytes).unwrap();
        let error = bed.try_open().unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, JournalError::Foreign(_)), "{told}");
        assert!(
            told.contains("gateway.log") && told.contains("not changed") && told.contains("logging.file"),
            "{told}"
        );
        assert!(std::fs::read(bed.file()).unwrap() == bytes);
        assert_eq!(bed.listing(), ["gateway.log"], "nothing is made beside it");
    }
}

#[test]
fn a_journal_opens_however_it_is_torn_or_damaged() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=2);
    writer.close().unwrap();
    let whole = std::fs::read(bed.file()).unwrap();
    let first = whole.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let opens = |bytes: &[u8], torn_bytes: usize| {
        std::fs::write(bed.file(), bytes).unwrap();
        let Opened { writer, recovery, .. } = bed.open();
        writer.close().unwrap();
        assert_eq!(recovery.torn_bytes, torn_bytes as u64, "{:?}", String::from_utf8_lossy(bytes));
    };
    for cut in 1..first.len() {
        opens(&first[..cut], cut);
        opens(&[&first[..cut], &[0; 100]].concat(), cut + 100);
    }
    opens(&[0; 5000], 5000);
    opens(&[b"garbage\n\xff\n", &whole[..]].concat(), 0);
    opens(&[&whole[..], b"garbage\n", b"and more"].concat(), 8);
    // One line whose begin, or end, is gone.
    opens(&[b"#####", &first[5..]].concat(), 0);
    opens(&[&first[..first.len() - 9], b"\n"].concat(), 0);

    // A closed file shows that it is a journal.
    std::fs::write(bed.beside("gateway-2026.01.27-000000000001.log"), &whole).unwrap();
    opens(b"garbage", 7);
}

#[test]
fn damaged_lines_keep_their_place() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=5);
    writer.close().unwrap();
    let text = std::fs::read_to_string(bed.file()).unwrap();
    std::fs::write(bed.file(), text.replace("\"seq\":5,\"prev\"", "\"seq\":5;\"prev\"")).unwrap();
    let Opened { journal, writer, recovery } = bed.open();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (5, 0));
    assert_eq!(append(&journal, [6]), [6]);
    writer.close().unwrap();
    assert_eq!(seqs(&bed.lines()), [1, 2, 3, 4, 5, 6]);
    let report = crate::verify(bed.file()).unwrap();
    assert_eq!((report.breaks_total, report.breaks[0].seq, report.gaps_total), (1, None, 1));
}

#[test]
fn lines_that_are_no_records_are_told() {
    let mut bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=5);
    writer.close().unwrap();
    let whole = std::fs::read(bed.file()).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let huge = [vec![b'x'; 5 << 20], b"\n".to_vec()].concat();
    let pieces =
        [&b"plain text\n"[..], lines[0], lines[1], b"a\n\xff\xfe\n", &lines[2..].concat(), &huge, b"half a li"];
    std::fs::write(bed.file(), pieces.concat()).unwrap();
    let file = "gateway.log".to_owned();
    let strays = |after, lines| crate::Strays { file: file.clone(), after, lines };
    let report = crate::verify(bed.file()).unwrap();
    assert_eq!(report.strays, [strays(None, 1), strays(Some(2), 2), strays(Some(5), 1)]);
    assert_eq!((report.lines, report.strays_total, report.breaks_total, report.gaps_total), (5, 4, 0, 0));
    assert_eq!(report.half_line, Some(crate::HalfLine { file: file.clone(), bytes: 9 }));
    assert!(!report.is_sound());

    // A half last line is what a crash leaves.
    std::fs::write(bed.file(), [&whole[..], b"{\"ts\""].concat()).unwrap();
    let report = crate::verify(bed.file()).unwrap();
    assert_eq!((report.half_line.as_ref().map(|half| half.bytes), report.strays_total), (Some(5), 0));
    assert!(report.is_sound());

    // A closed file has none, packed or not.
    std::fs::write(bed.file(), &whole).unwrap();
    bed.options.rotate_bytes = 1;
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, [6]);
    writer.close().unwrap();
    let closed = bed.beside("gateway-2026.01.27-000000000001.log");
    let text = [std::fs::read(&closed).unwrap(), b"half".to_vec()].concat();
    std::fs::write(&closed, &text).unwrap();
    let told = Some((closed.file_name().unwrap().to_str().unwrap().to_owned(), Some(5), 1));
    let first = |report: &crate::Report| report.strays.first().map(|at| (at.file.clone(), at.after, at.lines));
    assert_eq!(first(&crate::verify(bed.file()).unwrap()), told);
    std::fs::write(closed.with_extension("log.zst"), zstd::encode_all(&text[..], 1).unwrap()).unwrap();
    std::fs::remove_file(&closed).unwrap();
    let report = crate::verify(bed.file()).unwrap();
    assert_eq!(first(&report).map(|(_, after, lines)| (after, lines)), Some((Some(5), 1)));
    assert_eq!((report.lines, report.strays_total, report.half_line), (6, 1, None));
}

#[test]
fn unfinished_requests_are_told_after_an_unclean_end() {
    let process = |msg: &'static str| Record::new("process", Level::Info, msg);
    let start =
        |id: &str| Record::new("request.start", Level::Info, "begun").field("request_id", id).field("path", "/v1");
    let end = |id: &str| Record::new("request", Level::Info, "done \"request_id\":\"b\"").field("request_id", id);
    let cases: [(&[Record], &[&str]); 6] = [
        (&[process("started"), start("a"), start("b"), end("a"), start("c")], &["b", "c"]),
        (&[process("started"), start("a"), process("stopped")], &[]),
        (&[start("a"), process("started"), start("b"), end("b")], &[]),
        (&[start("a"), process("stopped"), process("started"), start("\"b\"\n"), start("d")], &["\"b\"\n", "d"]),
        (&[start("a"), start("b"), end("b")], &["a"]),
        (&[], &[]),
    ];
    for (records, expected) in cases {
        let bed = Bed::new();
        let Opened { journal, writer, .. } = bed.open();
        for record in records {
            wait(journal.append(record.clone())).unwrap();
        }
        writer.close().unwrap();
        let unfinished = bed.open().recovery.unfinished;
        let ids: Vec<_> = unfinished.iter().map(|record| record["request_id"].clone()).collect();
        assert_eq!(json!(ids), json!(expected), "{records:?}");
        assert!(unfinished.iter().all(|record| record["path"] == "/v1" && record["kind"] == "request.start"));
    }
}

#[test]
fn unfinished_requests_are_found_in_the_file_before() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    wait(async {
        journal.append(Record::new("process", Level::Info, "started")).await.unwrap();
        for id in ["a", "b"] {
            journal.append(Record::new("request.start", Level::Info, "").field("request_id", id)).await.unwrap();
        }
        bed.now_ms.fetch_add(DAY_MS, Ordering::Relaxed);
        journal.append(Record::new("request", Level::Info, "").field("request_id", "a")).await.unwrap();
    });
    writer.close().unwrap();
    assert_eq!(bed.listing().len(), 3);
    let unfinished = bed.open().recovery.unfinished;
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0]["request_id"], "b");
}

#[test]
fn unusable_places_are_refused() {
    let mut bed = Bed::new();
    std::fs::create_dir_all(bed.file()).unwrap();
    assert!(bed.try_open().is_err());
    bed.options.file = "/proc/nothing/here/gateway.log".into();
    let error = bed.try_open().unwrap_err();
    assert_eq!(error.to_string(), "creating /proc/nothing/here");
}
