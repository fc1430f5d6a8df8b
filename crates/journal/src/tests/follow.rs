//! The reader: positions, files that change under it, damage.

use super::*;

/// Forty lines in files of four, the oldest ones compressed, and the current one.
fn long_journal() -> Bed {
    let mut bed = Bed::new();
    bed.options.rotate_bytes = 700;
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=40);
    writer.close().unwrap();
    pack(&bed, 5);
    bed
}

/// Compresses the oldest `count` closed files.
fn pack(bed: &Bed, count: usize) {
    let closed: Vec<_> =
        bed.listing().into_iter().filter(|name| name.starts_with("gateway-") && ends_with(name, ".log")).collect();
    for name in closed.iter().take(count) {
        let path = bed.beside(name);
        std::fs::write(
            bed.beside(&format!("{name}.zst")),
            zstd::encode_all(&*std::fs::read(&path).unwrap(), 1).unwrap(),
        )
        .unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn every_position_is_found_again() {
    let bed = long_journal();
    let lines = bed.lines();
    assert_eq!(seqs(&lines), (1..=40).collect::<Vec<_>>());
    assert!(ends_with(&lines[0].next.file, ".zst") && lines[39].next.file == "gateway.log");
    pack(&bed, 2);
    for line in &lines {
        let text = serde_json::to_string(&line.next).unwrap();
        let mut reader = Reader::open(bed.file(), Some(serde_json::from_str(&text).unwrap())).unwrap();
        assert_eq!(seqs(&read_all(&mut reader)), (line.seq + 1..=40).collect::<Vec<_>>());
    }
}

#[test]
fn impossible_positions_begin_at_the_oldest() {
    let bed = long_journal();
    let at = |file: &str, offset, seq| Some(Position { file: file.into(), offset, seq });
    for (position, first) in [
        (at("gateway.log", 0, 0), 1),
        (at("gateway.log", 100, 1000), 1),
        (at("gateway.log", u64::MAX, u64::MAX), 1),
        // A wrong offset is corrected by the seq.
        (at("gateway.log", 3, 40), 40),
        (at("", 99_999, 6), 6),
    ] {
        let mut reader = Reader::open(bed.file(), position.clone()).unwrap();
        assert_eq!(read_all(&mut reader)[0].seq, first, "{position:?}");
    }
    // Retention took the files with the position.
    let gone = Some(bed.lines()[2].next.clone());
    for name in &bed.listing()[..3] {
        std::fs::remove_file(bed.beside(name)).unwrap();
    }
    let first = bed.lines()[0].seq;
    assert!(first > 4);
    assert_eq!(read_all(&mut Reader::open(bed.file(), gone).unwrap())[0].seq, first);
}

#[test]
fn a_bare_number_is_found_in_a_long_file() {
    const LINES: u64 = 6_000;
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    let numbered = |n: u64| record(n).field("text", "x".repeat(n as usize % 300));
    assert_eq!(wait(journal.append_all((1..=LINES).map(numbered).collect())).seqs.len(), LINES as usize);
    writer.close().unwrap();
    let whole = std::fs::read_to_string(bed.file()).unwrap();
    assert!(whole.len() > 1 << 20, "so long that it is halved");
    let first_of = |seq: u64| {
        let position = Position { file: String::new(), offset: 0, seq };
        let mut lines = Vec::new();
        Reader::open(bed.file(), Some(position)).unwrap().next_batch(1, &mut lines).unwrap();
        lines.first().map(|line| line.seq)
    };
    for seq in (1..=LINES).step_by(97).chain([2, LINES - 1, LINES]) {
        assert_eq!(first_of(seq), Some(seq));
    }
    assert_eq!(first_of(LINES + 1), None, "the next one is yet to come");
    // Lines that say wrong numbers, and one end that is gone, mislead nobody.
    let mut damaged = whole.clone();
    for (seq, wrong) in [(LINES / 2 + 1, 7), (LINES / 4 + 1, LINES - 3), (LINES / 8, 5_555_555)] {
        damaged = damaged.replacen(&format!("\"seq\":{seq},"), &format!("\"seq\":{wrong},"), 1);
    }
    std::fs::write(bed.file(), damaged).unwrap();
    for seq in (1..=LINES).step_by(97).chain([2, LINES / 2, LINES / 2 + 2, LINES]) {
        assert_eq!(first_of(seq), Some(seq));
    }
}

#[test]
fn a_bare_number_is_found_in_packed_files() {
    for packing in [Packing::Zstd, Packing::Gzip] {
        let mut bed = Bed::new();
        (bed.options.rotate_bytes, bed.options.compress) = (40_000, Some(packing));
        let Opened { journal, writer, .. } = bed.open();
        append(&journal, 1..=1_000);
        writer.close().unwrap();
        bed.open().writer.close().unwrap();
        let lines = bed.lines();
        let packed = lines.iter().filter(|line| line.next.file.ends_with(packing.ending())).count();
        assert!(packed > 400, "{packed} lines of packed files with stretches of 4 KiB");
        for line in lines.iter().step_by(7) {
            for offset in [0, line.next.offset, 777] {
                let from = Position { file: String::new(), offset, seq: line.seq + 1 };
                let read = read_all(&mut Reader::open(bed.file(), Some(from)).unwrap());
                assert_eq!(read.first().map(|line| line.seq), (line.seq < 1_000).then_some(line.seq + 1), "{offset}");
                assert_eq!(read.len() as u64, 1_000 - line.seq);
            }
        }
    }
}

#[test]
fn a_reader_may_come_before_the_journal() {
    let bed = Bed::new();
    let mut reader = Reader::open(bed.file(), None).unwrap();
    assert!(read_all(&mut reader).is_empty());
    let Opened { journal, writer, .. } = bed.open();
    assert!(read_all(&mut reader).is_empty());
    append(&journal, [1]);
    assert_eq!(seqs(&read_all(&mut reader)), [1]);
    writer.close().unwrap();
}

#[test]
fn half_a_line_is_not_given() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, [1, 2]);
    writer.close().unwrap();
    let whole = std::fs::read(bed.file()).unwrap();
    let cut = whole.len() - 10;
    std::fs::write(bed.file(), &whole[..cut]).unwrap();
    let mut reader = Reader::open(bed.file(), None).unwrap();
    assert_eq!(seqs(&read_all(&mut reader)), [1]);
    // The piece is taken back and another line comes in its place.
    std::fs::write(bed.file(), &whole).unwrap();
    assert_eq!(numbers(&read_all(&mut reader)), [2]);
}

#[test]
fn damage_costs_the_damaged_lines_only() {
    let bed = Bed::new();
    let Opened { journal, writer, .. } = bed.open();
    append(&journal, 1..=6);
    writer.close().unwrap();
    let whole = std::fs::read_to_string(bed.file()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let huge = "\0".repeat(2 << 20);
    let cases: Vec<(String, Vec<u64>)> = vec![
        // A line end became another byte: two lines are one, which keeps the first place.
        (whole.replacen(&format!("{}\n", lines[1]), lines[1], 1), vec![1, 2, 4, 5, 6]),
        // A byte became a line end: the second piece is no line.
        (whole.replacen("\"n\":3", "\"n\"\n3", 1), vec![1, 2, 3, 4, 5, 6]),
        // Another number.
        (whole.replacen("\"seq\":3,", "\"seq\":9,", 1), vec![1, 2, 3, 4, 5, 6]),
        (whole.replacen("\"seq\":3,", "\"seq\":1,", 1), vec![1, 2, 3, 4, 5, 6]),
        // A hole. The line after it takes the place of the lost one, until the next two agree.
        (whole.replacen(lines[2], &huge, 1), vec![1, 2, 3, 5, 6]),
    ];
    for (text, expected) in cases {
        std::fs::write(bed.file(), &text).unwrap();
        let mut reader = Reader::open(bed.file(), None).unwrap();
        assert_eq!(seqs(&read_all(&mut reader)), expected);
        assert!(reader.damaged() > 0);
    }
}

#[test]
fn a_damaged_compressed_file_is_told_and_passed() {
    let bed = long_journal();
    let name = bed.listing()[1].clone();
    let mut packed = std::fs::read(bed.beside(&name)).unwrap();
    // Before the checksum of its only frame, and the table of 25 bytes.
    let last = packed.len() - 31;
    packed[last] ^= 0x55;
    std::fs::write(bed.beside(&name), packed).unwrap();
    let mut reader = Reader::open(bed.file(), None).unwrap();
    let mut lines = Vec::new();
    let error = loop {
        match reader.next_batch(100, &mut lines) {
            Ok(count) => assert!(count > 0, "the damage must be told"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, JournalError::Damaged { file, .. } if file.ends_with(&name)), "{error}");
    lines.extend(read_all(&mut reader));
    assert!(lines.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(lines.last().unwrap().seq, 40);
    assert_eq!(crate::verify(bed.file()).unwrap().unreadable.len(), 1);
    // Positions in it do not keep a reader from opening, and from them it is told too.
    for seq in 5..10 {
        let from = Position { file: String::new(), offset: 150 * (seq - 4), seq };
        let mut reader = Reader::open(bed.file(), Some(from)).unwrap();
        assert!(matches!(reader.next_batch(100, &mut lines), Err(JournalError::Damaged { .. })), "{seq}");
        assert_eq!(read_all(&mut reader).last().unwrap().seq, 40);
    }
}

#[test]
fn followers_see_every_line_once_while_files_rotate_and_are_compressed() {
    const LINES: u64 = 1500;
    let mut bed = Bed::new();
    (bed.options.rotate_bytes, bed.options.compress) = (600, Some(Packing::Gzip));
    bed.options.sync = Sync::Within(Duration::from_millis(1));
    let Opened { journal, writer, .. } = bed.open();
    // One reader stays open, one is opened anew for every batch from the position it reached.
    std::thread::scope(|scope| {
        for reopen in [false, true] {
            let (mut written, file) = (journal.written(), bed.file());
            scope.spawn(move || {
                let mut reader = Reader::open(file, None).unwrap();
                let mut seen = 0;
                let mut lines = Vec::new();
                while seen < LINES {
                    lines.clear();
                    if reader.next_batch(97, &mut lines).unwrap() == 0 {
                        wait(written.wait_for(|seq| *seq > seen)).unwrap();
                    }
                    for line in &lines {
                        assert_eq!((line.seq, n_of(line)), (seen + 1, Some(seen + 1)));
                        seen = line.seq;
                    }
                    if let (true, Some(last)) = (reopen, lines.last()) {
                        reader = Reader::open(file, Some(last.next.clone())).unwrap();
                    }
                }
                assert_eq!(reader.next_batch(1, &mut lines).unwrap(), 0);
            });
        }
        append(&journal, 1..=LINES);
    });
    writer.close().unwrap();
    assert!(journal.stats().rotations > 300);
    assert_eq!(journal.stats().keep_errors, 0);
    bed.assert_sound();
}
