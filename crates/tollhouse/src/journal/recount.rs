//! The index against the journal: each record has exactly one document.
//!
//! The index is opened before the journal is read, so it knows nothing that the journal does not. While the house runs, or
//! after a crash, only what is committed in every index for sure is judged; later records may be on their way.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use memchr::memmem;
use serde_json::{Value, json};
use tollhouse_config::Config;
use tollhouse_journal::{Journal, Line};
use tollhouse_query::date::parse_rfc3339;
use tollhouse_shape::Shaper;
use tollhouse_store::{INDEX_DELETED, Store};

use super::ranges::{Ranges, Set, Times};
use crate::{up, wiring};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// An index that is being compared.
pub(super) struct Recount {
    store: Store,
    shaper: Shaper,
    documents: Set,
    documents_total: u64,
    /// Judged for sure.
    settled: u64,
    /// As far as the index has come.
    indexed: u64,
    is_running: bool,
    /// Whether the last record so far says that the house ended in order.
    ended_in_order: bool,
    first_seq: Option<u64>,
    last_seq: u64,
    /// Date of the oldest day that is kept, as names have it.
    oldest_kept: String,
    /// Records without a document, by the index in which they belong.
    missing: BTreeMap<String, Missing>,
    /// Behind what is indexed.
    behind: u64,
    doubled: Ranges,
    /// Of indices that are not kept any more.
    dropped: u64,
}

/// Records of one index without a document.
#[derive(Debug, Default)]
struct Missing {
    settled: Ranges,
    /// Behind what is settled, and not behind what is indexed.
    unsettled: Ranges,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) documents: u64,
    /// The last record that was judged.
    pub(super) judged_to: u64,
    /// Records behind it without a document.
    pub(super) not_yet: u64,
    pub(super) dropped: u64,
    pub(super) missing: Ranges,
    pub(super) doubled: Ranges,
    /// Documents of no record in the journal.
    pub(super) unknown: Ranges,
}

impl Recount {
    /// Opens the index of a configuration, and counts its documents.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let open = || {
            Store::open_read_only(config.data_dir.join("index"), &config.service)
                .context("opening the index; has `tollhouse up` run with this configuration?")
        };
        // Twice: what was settled when the first was opened is in all days of the second.
        let before = open()?;
        let is_running = Journal::owner(&config.journal_file())?.is_some();
        let store = open()?;
        let rebuilding = store.rebuilding();
        if !rebuilding.is_empty() {
            bail!(
                "the index is being made again from the journal ({}); verify again when the house has done that",
                rebuilding.join(", ")
            );
        }
        let mut documents = Set::default();
        let mut documents_total = 0;
        store.each_seq(|seq| {
            documents.insert(seq);
            documents_total += 1;
        })?;
        let options = wiring::store_options(config);
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let keeps_from = if options.keep_days == 0 { 0 } else { now_ms - i64::from(options.keep_days) * DAY_MS };
        let by_age = date_of(&store.day_of(keeps_from)).to_owned();
        let by_room = store.indices().iter().map(|index| date_of(&index.name).to_owned()).min();
        Ok(Self {
            settled: before.settled_seq(),
            indexed: store.indexed_seq(),
            shaper: up::shaper(config)?,
            store,
            documents,
            documents_total,
            is_running,
            ended_in_order: false,
            first_seq: None,
            last_seq: 0,
            oldest_kept: by_room.unwrap_or_default().max(by_age),
            missing: BTreeMap::new(),
            behind: 0,
            doubled: Ranges::default(),
            dropped: 0,
        })
    }

    /// The next line of the journal, the record of this number.
    pub(super) fn take(&mut self, line: &Line, seq: u64) {
        self.first_seq.get_or_insert(seq);
        self.last_seq = self.last_seq.max(seq);
        self.ended_in_order = is_end(&line.bytes);
        match self.documents.take(seq) {
            Times::Once => {}
            Times::More => self.doubled.push(seq),
            Times::Never if seq > self.indexed => self.behind += 1,
            Times::Never => self.misses(line, seq),
        }
        if memmem::find(&line.bytes[..line.bytes.len().min(160)], INDEX_DELETED.as_bytes()).is_some() {
            self.forget_deleted(line);
        }
    }

    /// A record without a document.
    fn misses(&mut self, line: &Line, seq: u64) {
        let index = self.index_of(line);
        if date_of(&index) < self.oldest_kept.as_str() {
            self.dropped += 1;
            return;
        }
        let missing = self.missing.entry(index).or_default();
        if seq > self.settled { &mut missing.unsettled } else { &mut missing.settled }.push(seq);
    }

    /// Records of an index that was taken away later are no longer missing.
    fn forget_deleted(&mut self, line: &Line) {
        let Ok(document) = self.shaper.shape(&line.bytes) else { return };
        for name in Store::deleted_by(&document) {
            let Missing { settled, unsettled } = self.missing.remove(&name).unwrap_or_default();
            self.dropped += settled.numbers + unsettled.numbers;
        }
    }

    /// All of the journal was read.
    pub(super) fn end(self) -> Findings {
        let Self { settled, indexed, missing: by_index, behind, doubled, dropped, documents, .. } = self;
        // A house that ended in order has committed all that it had.
        let is_settled = !self.is_running && self.ended_in_order;
        let judged_to = if is_settled { indexed } else { settled };
        let (mut missing, mut not_yet) = (Ranges::default(), behind);
        for (_, Missing { settled, unsettled }) in by_index {
            missing.merge(settled);
            if is_settled {
                missing.merge(unsettled);
            } else {
                not_yet += unsettled.numbers;
            }
        }
        let mut unknown = Ranges::default();
        let first_seq = self.first_seq.unwrap_or(u64::MAX);
        // Documents of records that the journal does not keep any more are as they should be.
        documents.each(|seq| {
            if seq >= first_seq {
                unknown.push(seq);
            }
        });
        Findings { documents: self.documents_total, judged_to, not_yet, dropped, missing, doubled, unknown }
    }

    /// The index in which the document of a record belongs; of a damaged one, the newest.
    fn index_of(&self, line: &Line) -> String {
        let Ok(document) = self.shaper.shape(&line.bytes) else { return self.store.day_of(i64::MAX) };
        let record: Option<Value> = serde_json::from_slice(&line.bytes).ok();
        let written_ms = record.and_then(|record| parse_rfc3339(record["ts"].as_str()?));
        self.store.index_of(&document, written_ms.unwrap_or(document.timestamp_ms))
    }
}

/// The date at the end of an index's name.
fn date_of(index: &str) -> &str {
    index.len().checked_sub("2026.01.27".len()).and_then(|at| index.get(at..)).unwrap_or_default()
}

impl Findings {
    pub(super) fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty() && self.unknown.is_empty()
    }

    pub(super) fn to_json(&self) -> Value {
        let ranges = |ranges: &Ranges| json!({"records": ranges.numbers, "ranges": ranges.listed});
        json!({
            "documents": self.documents,
            "judged_to_seq": self.judged_to,
            "not_yet_indexed": self.not_yet,
            "dropped_with_their_index": self.dropped,
            "missing": ranges(&self.missing),
            "doubled": ranges(&self.doubled),
            "unknown": ranges(&self.unknown),
        })
    }
}

/// Whether a line is the last record of a house that ended in order.
fn is_end(line: &[u8]) -> bool {
    let is_process = memmem::find(&line[..line.len().min(160)], br#""kind":"process","msg":"stopped""#);
    is_process.is_some()
}
