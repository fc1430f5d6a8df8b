//! Random operations on a journal and on a list.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Debug, Clone)]
enum Step {
    /// Appends this many at once, with a text of this length.
    Append {
        count: u8,
        text_bytes: u16,
    },
    Enqueue {
        count: u8,
    },
    /// Moves the clock by hours, also back.
    Time(i8),
    /// Closes and opens, with these bytes after the last line in between.
    Reopen {
        torn: Vec<u8>,
        packing: Option<Packing>,
    },
    /// Reads on from where the follower was.
    Follow,
}

fn step() -> impl Strategy<Value = Step> {
    let torn = prop::collection::vec(any::<u8>().prop_filter("no line end", |byte| *byte != b'\n'), 0..40);
    prop_oneof![
        4 => (1_u8..20, 0_u16..300).prop_map(|(count, text_bytes)| Step::Append { count, text_bytes }),
        1 => (1_u8..20).prop_map(|count| Step::Enqueue { count }),
        1 => any::<i8>().prop_map(Step::Time),
        2 => (torn, select(vec![None, Some(Packing::Zstd), Some(Packing::Gzip)])).prop_map(|(torn, packing)| Step::Reopen { torn, packing }),
        2 => Just(Step::Follow),
    ]
}

fn check(steps: Vec<Step>, rotate_bytes: u64) {
    let mut bed = Bed::new();
    bed.options.rotate_bytes = rotate_bytes;
    let mut opened = bed.open();
    let mut model: Vec<u64> = Vec::new();
    let mut followed = Vec::new();
    let mut follower = Reader::open(bed.file(), None).unwrap();
    for step in steps {
        let next = model.len() as u64 + 1;
        match step {
            Step::Append { count, text_bytes } => {
                let text = "x".repeat(text_bytes.into());
                let batch = next..next + u64::from(count);
                model.extend(batch.clone());
                wait(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for n in batch {
                        let (journal, record) = (opened.journal.clone(), record(n).field("text", &text));
                        tasks.spawn(async move { (n, journal.append(record).await) });
                    }
                    while let Some(answer) = tasks.join_next().await {
                        let (n, seq) = answer.unwrap();
                        assert_eq!(seq.unwrap(), n);
                    }
                });
            }
            Step::Enqueue { count } => {
                for n in next..next + u64::from(count) {
                    opened.journal.enqueue(record(n)).unwrap();
                    model.push(n);
                }
            }
            Step::Time(hours) => drop(bed.now_ms.fetch_add(i64::from(hours) * 3_600_000, Ordering::Relaxed)),
            Step::Reopen { torn, packing } => {
                opened.writer.close().unwrap();
                // Where nothing was ever written, only the begin of a record shows that the file is a journal.
                let begin = &b"{\"ts\":\"2026-01-27T10:00:00.123Z\",\"level\":\"info\",\"kind\":\""[..];
                let begin = if model.is_empty() { begin } else { b"" };
                let torn = [begin, &torn].concat();
                let text = [std::fs::read(bed.file()).unwrap(), torn.clone()].concat();
                std::fs::write(bed.file(), text).unwrap();
                bed.options.compress = packing;
                opened = bed.open();
                assert_eq!(opened.recovery.torn_bytes, torn.len() as u64);
                assert_eq!(opened.recovery.last_seq, model.len() as u64);
            }
            Step::Follow => {
                followed.extend(read_all(&mut follower));
                let from = followed.last().map(|line: &Line| line.next.clone());
                follower = Reader::open(bed.file(), from).unwrap();
            }
        }
    }
    opened.writer.close().unwrap();
    followed.extend(read_all(&mut follower));
    for lines in [bed.lines(), followed] {
        assert_eq!(seqs(&lines), model);
        assert_eq!(numbers(&lines), model);
    }
    bed.assert_sound();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_journal_is_a_list(steps in prop::collection::vec(step(), 1..25), rotate_bytes in 200_u64..6000) {
        check(steps, rotate_bytes);
    }
}
