//! Which records of the journal have a document: to be compared with the journal itself.

use tollhouse_shape::Shaped;

use crate::day::{Rebuild, date_of, day_name};
use crate::error::StoreError;
use crate::field::SEQ;
use crate::indexer::{FUTURE_MS_MAX, deleted_by, named_by};
use crate::store::Store;

impl Store {
    /// Gives the record number of every document, in no order; of a record that is there twice, twice. Blocks meanwhile.
    pub fn each_seq(&self, mut each: impl FnMut(u64)) -> Result<(), StoreError> {
        for day in self.inner.days() {
            for segment in day.reader.searcher().segment_readers() {
                let doing = StoreError::tantivy("opening a column");
                let seqs = segment.fast_fields().u64(SEQ).map_err(doing)?;
                segment.doc_ids_alive().filter_map(|doc| seqs.first(doc)).for_each(&mut each);
            }
        }
        Ok(())
    }

    /// Every record up to this number is committed, in whichever index it belongs to; later ones may be on their way. A store
    /// opened for reading may have looked at one index before a commit and at the next one after it: open it again after
    /// asking.
    pub fn settled_seq(&self) -> u64 {
        let days = self.inner.days();
        let payloads = days.iter().filter_map(|day| day.payload.lock().clone());
        let furthest = payloads.max_by_key(|payload| payload.seq);
        furthest.and_then(|payload| payload.from).map_or(0, |from| from.seq.saturating_sub(1))
    }

    /// How many documents an index has of records before this number. Blocks meanwhile.
    pub fn docs_before(&self, index: &str, seq: u64) -> Result<u64, StoreError> {
        let Some(day) = self.inner.day(index) else { return Ok(0) };
        let mut docs = 0;
        for segment in day.reader.searcher().segment_readers() {
            let seqs = segment.fast_fields().u64(SEQ).map_err(StoreError::tantivy("opening a column"))?;
            let is_before = |doc: &u32| seqs.first(*doc).is_some_and(|own| own < seq);
            docs += segment.doc_ids_alive().filter(is_before).count() as u64;
        }
        Ok(docs)
    }

    /// Names of the indices that are being made again from the journal.
    pub fn rebuilding(&self) -> Vec<String> {
        Rebuild::read(&self.inner.options.dir, &self.inner.options.service).days
    }

    /// Name of the index in which a document belongs whose record was written then, in milliseconds since 1970.
    pub fn index_of(&self, document: &Shaped<'_>, written_ms: i64) -> String {
        if let Some((name, _)) = named_by(document) {
            return name;
        }
        let is_from_future = document.timestamp_ms.saturating_sub(written_ms) > FUTURE_MS_MAX;
        self.day_of(if is_from_future { written_ms } else { document.timestamp_ms })
    }

    /// Name of the index of a day of this service, by a moment in milliseconds since 1970.
    pub fn day_of(&self, ms: i64) -> String {
        day_name(&self.inner.options.service, date_of(ms))
    }

    /// Names of the indices that are taken away because this record says so.
    pub fn deleted_by(document: &Shaped<'_>) -> Vec<String> {
        deleted_by(document)
    }
}
