//! No record is lost or doubled, whatever the indices look like at the start.

use std::fs;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::tempdir;
use tollhouse_query::date::Zone;

use super::{DAY_MS, Journal, START_MS, all_ids, options, search, wait};
use crate::day::Payload;
use crate::{Store, StoreError};

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("not an object: {other}"),
    }
}

/// Appends `count` records, spread in turn over `days` days.
fn append(journal: &mut Journal, count: u64, days: u64) {
    for _ in 0..count {
        let ts = START_MS + ((journal.seq % days) as i64) * DAY_MS + journal.seq as i64;
        let ts = Zone::utc().format(ts);
        journal.append(START_MS + 10 * DAY_MS, &fields(json!({"kind": "log", "msg": "x", "@timestamp": ts})));
    }
}

fn ids_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

fn set_payload(store: &Store, name: &str, payload: &Payload) {
    let day = store.inner.day(name).unwrap();
    let mut writer = day.index.writer_with_num_threads::<tantivy::TantivyDocument>(1, 15_000_000).unwrap();
    let mut commit = writer.prepare_commit().unwrap();
    commit.set_payload(&serde_json::to_string(payload).unwrap());
    commit.commit().unwrap();
}

#[test]
fn goes_on_after_a_clean_end() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    for round in 1..=3 {
        let store = Store::open(options(dir.path())).unwrap();
        let indexer = journal.follow(&store);
        append(&mut journal, 50, 3);
        indexer.close().unwrap();
        assert_eq!(all_ids(&store), ids_to(50 * round));
        assert_eq!(store.indexed_seq(), 50 * round);
        assert_eq!(store.indices().iter().map(|info| info.docs).sum::<u64>(), 50 * round);
    }
    let names: Vec<String> = Store::open_read_only(dir.path().join("index"), "gate")
        .unwrap()
        .indices()
        .into_iter()
        .map(|info| info.name)
        .collect();
    assert_eq!(names, ["gate-2026.01.27", "gate-2026.01.28", "gate-2026.01.29"]);
}

/// A kill between two commits of one round: some indices have the round, others not, some not even a folder.
#[test]
fn goes_on_after_a_kill_between_the_commits_of_a_round() {
    // So many days are written at once, else there would be more than one round.
    const { assert!(crate::indexer::WRITERS_MAX >= 3) };
    for killed_after in 0..=3 {
        let dir = tempdir().unwrap();
        let mut journal = Journal::new(dir.path());
        append(&mut journal, 30, 2);
        let store = Store::open(options(dir.path())).unwrap();
        journal.follow(&store).close().unwrap();
        drop(store);
        // The second round goes to a copy; of it only the first so many indices are taken over.
        let copy = tempdir().unwrap();
        copy_dir(&dir.path().join("index"), &copy.path().join("index"));
        append(&mut journal, 30, 3);
        let store = Store::open(options(copy.path())).unwrap();
        journal.follow(&store).close().unwrap();
        drop(store);
        for day in
            ["gate-2026.01.27", "gate-2026.01.28", "gate-2026.01.29", "gate-2026.01.30"].iter().take(killed_after)
        {
            let target = dir.path().join("index").join(day);
            let _ = fs::remove_dir_all(&target);
            copy_dir(&copy.path().join("index").join(day), &target);
        }
        let store = Store::open(options(dir.path())).unwrap();
        journal.follow(&store).close().unwrap();
        assert_eq!(all_ids(&store), ids_to(60), "killed after {killed_after} commits");
    }
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn makes_damaged_days_and_those_of_another_version_again() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 90, 3);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    drop(store);
    let index = dir.path().join("index");
    fs::write(index.join("gate-2026.01.27/meta.json"), "{ not json").unwrap();
    fs::write(index.join("gate-2026.01.28/tollhouse.json"), r#"{"version":0,"created_ms":0}"#).unwrap();

    let store = Store::open(options(dir.path())).unwrap();
    assert_eq!(store.stats().damaged_days, 1);
    assert_eq!(store.indices().len(), 1);
    append(&mut journal, 3, 3);
    // A kill in the middle of making them again must not leave them half full: the list of days outlives the process.
    drop(store);
    assert!(index.join("gate.rebuild.json").exists());
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), ids_to(93));
    assert!(!index.join("gate.rebuild.json").exists());
    assert!(index.join("gate-2026.01.27.damaged-1").exists());
    assert!(index.join("gate-2026.01.28.old-1").exists());
}

/// Half of a rebuilt day is committed when the process is killed.
#[test]
fn goes_on_with_a_rebuild_that_was_interrupted() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 60, 2);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    store.inner.set_aside("gate-2026.01.27", "damaged").unwrap();
    drop(store);

    // A journal that ends early makes a day that is half full.
    let half = tempdir().unwrap();
    let mut short = Journal::new(half.path());
    fs::copy(&journal.file, &short.file).unwrap();
    short.truncate(30);
    let store = Store::open(options(half.path())).unwrap();
    short.follow(&store).close().unwrap();
    drop(store);
    copy_dir(&half.path().join("index/gate-2026.01.27"), &dir.path().join("index/gate-2026.01.27"));

    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), ids_to(60));
}

#[test]
fn sets_aside_days_that_know_more_than_the_journal() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 20, 1);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    drop(store);
    // After a power loss the last lines are gone, and their numbers are given to others.
    journal.truncate(15);
    let store = Store::open(options(dir.path())).unwrap();
    let indexer = journal.follow(&store);
    wait(&store, 15);
    journal.append(START_MS, &fields(json!({"kind": "log", "msg": "other"})));
    indexer.close().unwrap();
    assert_eq!(all_ids(&store), ids_to(16));
    let found = search(&store, &json!({"query": {"ids": {"values": ["16"]}}}));
    assert!(found.hits.hits[0].source.as_ref().unwrap().get().contains("other"));
}

#[test]
fn an_empty_payload_means_the_start_of_the_journal() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 10, 1);
    let store = Store::open(options(dir.path())).unwrap();
    // Created, then killed before the first commit.
    store.create("gate", crate::day::date_of(START_MS)).unwrap();
    drop(store);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), ids_to(10));
}

/// The position in the furthest commit rules; an index that is not part of a round keeps its own.
#[test]
fn an_index_skips_what_its_own_commit_reached() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 10, 1);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    // As if the round had begun at the start of the journal.
    set_payload(&store, "gate-2026.01.27", &Payload { from: None, seq: 10 });
    drop(store);
    append(&mut journal, 5, 1);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), ids_to(15));
}

#[test]
fn follows_while_it_is_written_and_tells_what_can_be_found() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    let store = Store::open(options(dir.path())).unwrap();
    let indexer = journal.follow(&store);
    for last in [1, 2, 30] {
        let missing = last - journal.seq;
        append(&mut journal, missing, 2);
        wait(&store, last);
        assert_eq!(all_ids(&store), ids_to(last));
    }
    let again = store.follow(
        journal.file.clone(),
        tokio::sync::watch::channel(0).1,
        tokio::sync::watch::channel(0).1,
        tollhouse_shape::Shaper::new(&[]).unwrap(),
    );
    assert!(matches!(again, Err(StoreError::NotWritable { .. })));
    indexer.close().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(store.refresh(Duration::ZERO)));
    assert!(!runtime.block_on(store.wait_indexed(31, Duration::ZERO)));
}

#[test]
fn nothing_is_committed_that_a_power_loss_could_take() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 3, 1);
    let store = Store::open(options(dir.path())).unwrap();
    let (synced, synced_receiver) = tokio::sync::watch::channel(2);
    let shaper = tollhouse_shape::Shaper::new(&[]).unwrap();
    let indexer = store.follow(journal.file.clone(), journal.written.subscribe(), synced_receiver, shaper).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(!runtime.block_on(store.wait_indexed(1, Duration::from_millis(700))), "record 3 is not synced yet");
    synced.send_replace(3);
    wait(&store, 3);
    assert_eq!(all_ids(&store), ids_to(3));
    indexer.close().unwrap();
}

#[test]
fn every_line_has_a_document_even_one_that_is_no_record() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    journal.append(START_MS, &fields(json!({"kind": "log", "msg": "good"})));
    let mut file = fs::OpenOptions::new().append(true).open(&journal.file).unwrap();
    std::io::Write::write_all(&mut file, b"{\"ts\":\"2026-01-27T10:00:00.000Z\",\"kind\":\"log\",\"ms\n").unwrap();
    journal.set_seq(2);
    journal.append(START_MS, &fields(json!({"kind": "log", "msg": "good again", "http_status": "not a number"})));
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), ids_to(3));
    let found = search(&store, &json!({"query": {"term": {"tags": "ingest_error"}}, "sort": ["_doc"]}));
    assert_eq!(found.hits.hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["2", "3"]);
}

#[test]
fn old_days_and_days_beyond_the_room_are_dropped() {
    let dir = tempdir().unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let mut journal = Journal::new(dir.path());
    for age in [9, 5, 2, 1, 0] {
        let when = Zone::utc().format(now - age * DAY_MS);
        journal.append(now, &fields(json!({"kind": "log", "msg": format!("{age} days old"), "@timestamp": when})));
    }
    // From the future, by its own clock: kept under the day it was written.
    let future = Zone::utc().format(now + 300 * DAY_MS);
    journal.append(now, &fields(json!({"kind": "log", "msg": "from the future", "@timestamp": future})));

    let keep = |keep_days, keep_bytes| crate::StoreOptions { keep_days, keep_bytes, ..options(dir.path()) };
    let store = Store::open(keep(7, 0)).unwrap();
    journal.follow(&store).close().unwrap();
    assert_eq!(all_ids(&store), [2, 3, 4, 5, 6]);
    assert_eq!(store.stats().expired_records, 1);
    drop(store);
    // The folder of an index that was set aside goes first.
    fs::create_dir(dir.path().join("index").join("gate-2026.01.27.damaged-1")).unwrap();

    let store = Store::open(keep(3, 0)).unwrap();
    assert_eq!(all_ids(&store), [3, 4, 5, 6]);
    let bytes: Vec<u64> = store.indices().iter().map(|info| info.bytes).collect();
    drop(store);
    let store = Store::open(keep(0, bytes[1] + bytes[2])).unwrap();
    assert_eq!(all_ids(&store), [4, 5, 6]);
    drop(store);
    let store = Store::open(keep(0, 1)).unwrap();
    assert_eq!(store.indices().len(), 1, "the newest day stays");
}

#[test]
fn where_room_is_wanted_the_oldest_days_go_down_to_a_quarter_of_their_budget() {
    let dir = tempdir().unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let mut journal = Journal::new(dir.path());
    for age in [4, 3, 2, 1, 0] {
        let when = Zone::utc().format(now - age * DAY_MS);
        journal.append(now, &fields(json!({"kind": "log", "msg": format!("{age} days old"), "@timestamp": when})));
    }
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    let total: u64 = store.indices().iter().map(|info| info.bytes).sum();
    drop(store);
    let all = 1 << 40;
    for (budget, wanted, left) in [(0, all, 5), (4 * total, all, 5), (total, 0, 5), (total, 1, 4), (total, all, 1)] {
        let store = Store::open(crate::StoreOptions { keep_bytes: budget, ..options(dir.path()) }).unwrap();
        let before = store.indices().len();
        store.make_room(wanted);
        store.inner.drop_for_room().unwrap();
        assert_eq!(store.indices().len(), left, "{budget} {wanted}");
        assert_eq!(store.dropped_for_room().len(), before - left);
    }
}

#[test]
fn names_and_patterns_of_indices() {
    let dir = tempdir().unwrap();
    let mut journal = Journal::new(dir.path());
    append(&mut journal, 3, 3);
    let store = Store::open(options(dir.path())).unwrap();
    journal.follow(&store).close().unwrap();
    let [a, b, c] = ["gate-2026.01.27", "gate-2026.01.28", "gate-2026.01.29"];
    for (pattern, expected) in [
        ("", Some(vec![a, b, c])),
        ("_all", Some(vec![a, b, c])),
        ("*", Some(vec![a, b, c])),
        ("gate-*", Some(vec![a, b, c])),
        ("gate-2026.01.28", Some(vec![b])),
        ("gate-2026.01.29,gate-*27", Some(vec![a, c])),
        ("gate-*,-*28", Some(vec![a, c])),
        ("other-*", Some(vec![])),
        ("other", None),
        ("gate-*,gate-2020.01.01", None),
    ] {
        match (store.resolve(pattern), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{pattern}"),
            (Err(StoreError::IndexNotFound { .. }), None) => {}
            (found, expected) => panic!("{pattern}: {found:?}, expected {expected:?}"),
        }
    }
}
