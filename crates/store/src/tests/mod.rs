//! The whole store against a journal in a temporary folder.

mod oracle;
mod remembering;
mod restart;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tollhouse_query::date::Zone;
use tollhouse_query::dsl;
use tollhouse_shape::Shaper;

use crate::{Indexer, SearchResponse, Store, StoreOptions};

/// Longest wait for something that must happen; never reached when all is well.
pub(super) const WAIT: Duration = Duration::from_secs(60);

pub(super) const SERVICE: &str = "gate";
/// 2026-01-27T00:00:00Z.
pub(super) const DAY_MS: i64 = 86_400_000;
pub(super) const START_MS: i64 = 1_769_472_000_000;

/// A journal written by hand, so that records can have any time.
pub(super) struct Journal {
    pub(super) file: PathBuf,
    pub(super) seq: u64,
    written: watch::Sender<u64>,
}

impl Journal {
    pub(super) fn new(dir: &Path) -> Self {
        Self { file: dir.join("gateway.log"), seq: 0, written: watch::Sender::new(0) }
    }

    pub(super) fn append(&mut self, ts_ms: i64, fields: &Map<String, Value>) -> Vec<u8> {
        self.seq += 1;
        let mut line = format!("{{\"ts\":\"{}\"", Zone::utc().format(ts_ms));
        for (key, value) in fields {
            write!(line, ",{}:{value}", Value::from(key.as_str())).unwrap();
        }
        writeln!(line, ",\"seq\":{},\"prev\":\"{:032x}\"}}", self.seq, self.seq).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        self.written.send_replace(self.seq);
        line.into_bytes()
    }

    /// Takes all lines after the first `count` away, as a power loss does.
    pub(super) fn truncate(&mut self, count: u64) {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let kept: Vec<&str> = text.split_inclusive('\n').take(count as usize).collect();
        std::fs::write(&self.file, kept.concat()).unwrap();
        self.set_seq(count);
    }

    /// As a journal tells it that was opened again.
    pub(super) fn set_seq(&mut self, seq: u64) {
        self.seq = seq;
        self.written.send_replace(seq);
    }

    pub(super) fn follow(&self, store: &Store) -> Indexer {
        let tags = [("slow".to_owned(), "duration_ms:>500".to_owned())];
        store
            .follow(self.file.clone(), self.written.subscribe(), self.written.subscribe(), Shaper::new(&tags).unwrap())
            .unwrap()
    }
}

pub(super) fn options(dir: &Path) -> StoreOptions {
    StoreOptions { dir: dir.join("index"), service: SERVICE.into(), keep_days: 0, keep_bytes: 0 }
}

pub(super) fn wait(store: &Store, seq: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(store.wait_indexed(seq, WAIT)), "record {seq} was not indexed in time");
}

pub(super) fn search(store: &Store, body: &Value) -> SearchResponse {
    let request = dsl::parse_search(body).unwrap_or_else(|error| panic!("{body}: {error}"));
    store.search("_all", &request).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// The `_id`s of all documents, in the order they are stored.
pub(super) fn all_ids(store: &Store) -> Vec<u64> {
    let found = search(store, &json!({"size": 10_000, "sort": ["_doc"], "_source": false}));
    found.hits.hits.iter().map(|hit| hit.id.parse().unwrap()).collect()
}
