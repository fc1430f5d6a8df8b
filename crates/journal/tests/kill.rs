//! A process that appends is killed again and again: what it acknowledged is there exactly once, and the chain is whole.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tollhouse_journal::{Journal, Level, Opened, Options, Reader, Record, Sync, verify};

const FILE: &str = "TOLLHOUSE_TEST_JOURNAL";
const ROUND: &str = "TOLLHOUSE_TEST_ROUND";
const KILLS: u64 = 30;
const TASKS: u64 = 8;

fn options(file: &Path) -> Options {
    let mut options = Options::new(file, "killed");
    options.rotate_bytes = 8 << 10;
    options.sync = Sync::Within(Duration::from_millis(1));
    options
}

/// Not a test but what the test starts: appends until it is killed, and prints what was acknowledged.
#[test]
fn helper() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let round = std::env::var(ROUND).unwrap();
    let Opened { journal, .. } = Journal::open(options(Path::new(&file))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (journal, round) = (journal.clone(), round.clone());
            tasks.spawn(async move {
                for n in 0.. {
                    let id = format!("{round}-{task}-{n}");
                    let record = Record::new("log", Level::Info, "a line").field("id", &id);
                    let seq =
                        if n % 5 == 0 { journal.append_synced(record).await } else { journal.append(record).await };
                    println!("\nacknowledged {} {id}", seq.unwrap());
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn nothing_acknowledged_is_lost_by_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.log");
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    // A fixed sequence of "random" moments: the same one fails again.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines_before_kill = (random >> 33) % 600;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper", "--nocapture"])
            .env(FILE, &file)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut count = 0;
        while output.read_line(&mut line).unwrap() > 0 {
            // The last line of a killed process may be half a line.
            if let Some((seq, id)) =
                line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('\n')?.split_once(' '))
            {
                let earlier = acknowledged.insert(seq.parse().unwrap(), id.to_owned());
                assert_eq!(earlier, None, "seq {seq} acknowledged twice");
                count += 1;
                if count == lines_before_kill.max(1) {
                    child.kill().unwrap();
                }
            }
            line.clear();
        }
        child.wait().unwrap();
        assert!(count > 0, "the helper must have begun");
    }

    // The next opener repairs what the last kill left.
    let Opened { writer, recovery, .. } = Journal::open(options(&file)).unwrap();
    writer.close().unwrap();
    let report = verify(&file).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.first_seq, report.last_seq), (Some(1), Some(recovery.last_seq)));

    let mut lines = Vec::new();
    let mut reader = Reader::open(&file, None).unwrap();
    while reader.next_batch(1000, &mut lines).unwrap() > 0 {}
    let mut ids = HashSet::new();
    for line in &lines {
        let value: Value = serde_json::from_slice(&line.bytes).unwrap();
        let id = value["id"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        if let Some(expected) = acknowledged.remove(&line.seq) {
            assert_eq!(id, expected, "seq {}", line.seq);
        }
    }
    assert!(acknowledged.is_empty(), "lost: {acknowledged:?}");
}
