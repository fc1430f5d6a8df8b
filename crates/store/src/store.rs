//! The days together: opening, naming, searching, keeping and dropping them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};
use tantivy::schema::Type;
use tokio::sync::watch;
use tollhouse_query::Pattern;
use tollhouse_query::ast::{Query, SearchRequest};
use tollhouse_query::fields::FieldKind;
use tollhouse_shape::{Shaper, catalogue};
use tollhouse_units::chain;

use crate::answer::SearchResponse;
use crate::day::{Day, Entry, Rebuild, Unusable, date_of, folder_bytes, read_name, remove_dir, set_aside};
use crate::error::StoreError;
use crate::filter::Moment;
use crate::indexer::Indexer;
use crate::lock::Lock;
use crate::pass::Memory;
use crate::search;

/// Longest time of one search; what it found until then is answered.
pub const SEARCH_TIME_MAX: Duration = Duration::from_secs(10);

/// On a tight disk days go until they take this part of their budget, and no further.
const TIGHT_BUDGET_PART: u64 = 4;

/// Where and for how long documents are kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Folder of the day indices; made when it is not there.
    pub dir: PathBuf,
    /// First part of the names of the day indices of the house's own records.
    pub service: String,
    /// Days before today that are kept; 0 keeps all.
    pub keep_days: u32,
    /// Bytes of all days together; when there are more, the oldest days are dropped. 0 is without limit. The newest day is
    /// never dropped for its size.
    pub keep_bytes: u64,
}

/// One day index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IndexInfo {
    /// `<service>-2026.01.27`.
    pub name: String,
    /// How many documents it has.
    pub docs: u64,
    /// What it takes on the disk.
    pub bytes: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// What happened in the store since it was opened; for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoreStats {
    /// Days that could not be opened and were set aside.
    pub damaged_days: u64,
    /// Days that were dropped because they were too old or took too much room.
    pub dropped_days: u64,
    /// Records that were already too old when they came.
    pub expired_records: u64,
    /// Rounds of indexing that failed and were repeated.
    pub failed_rounds: u64,
    /// Answers of segments that searches took from memory.
    pub answers_recalled: u64,
    /// Answers of segments that searches had to work out.
    pub answers_collected: u64,
    /// Bytes of the answers that are remembered.
    pub answers_bytes: u64,
}

/// The day indices: of the house's own service, and of those that clients write to by name. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    days: RwLock<BTreeMap<String, Arc<Day>>>,
    /// Held while an index is made.
    creating: Lock<()>,
    pub(crate) rebuild: Lock<Rebuild>,
    /// Last sequence number that can be found.
    pub(crate) indexed: watch::Sender<u64>,
    /// What is written to the journal, once it is followed.
    written: Lock<Option<watch::Receiver<u64>>>,
    is_writable: bool,
    is_followed: AtomicBool,
    pub(crate) counters: Counters,
    /// Bytes that are to be freed.
    room_wanted: AtomicU64,
    dropped_for_room: Lock<Vec<(String, u64)>>,
    /// What was found by searches, for those that come again.
    pub(crate) memory: Memory,
    /// Searches under way for somebody who waits.
    pub(crate) searching: AtomicUsize,
}

#[derive(Default)]
pub(crate) struct Counters {
    damaged_days: AtomicU64,
    dropped_days: AtomicU64,
    pub(crate) expired_records: AtomicU64,
    pub(crate) failed_rounds: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens all days. Those that cannot be opened are set aside and made again once the journal is followed; those that
    /// are too old are removed.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        fs::create_dir_all(&options.dir).map_err(StoreError::io("creating", &options.dir))?;
        let store = Self::new(options, true);
        for (name, entry) in store.inner.entries()? {
            let path = store.inner.options.dir.join(&name);
            match entry {
                Entry::Day(_) => match Day::open(&path, &name) {
                    Ok(day) => store.inner.insert(day),
                    Err(Unusable::OtherVersion) => store.inner.set_aside(&name, "old")?,
                    Err(Unusable::Damaged(error)) => {
                        tracing::error!(index = name, error = chain(&error), "setting aside a damaged day index");
                        store.inner.counters.damaged_days.fetch_add(1, Ordering::Relaxed);
                        store.inner.set_aside(&name, "damaged")?;
                    }
                },
                Entry::Unfinished => remove_dir(&path)?,
                Entry::Aside(_) => {}
            }
        }
        store.inner.drop_old_days(date_of(Timestamp::now().as_millisecond()))?;
        let Options { dir, service } = store.inner.place();
        store.inner.memory.standing.read(dir, service);
        store.inner.indexed.send_replace(store.inner.payload_seq());
        Ok(store)
    }

    /// Opens the days as they are, for searching beside a process that writes them. Those that cannot be opened are left
    /// out.
    pub fn open_read_only(dir: impl Into<PathBuf>, service: impl Into<String>) -> Result<Self, StoreError> {
        let options = StoreOptions { dir: dir.into(), service: service.into(), keep_days: 0, keep_bytes: 0 };
        let store = Self::new(options, false);
        for (name, entry) in store.inner.entries()? {
            let Entry::Day(_) = entry else { continue };
            match Day::open(&store.inner.options.dir.join(&name), &name) {
                Ok(day) => store.inner.insert(day),
                Err(Unusable::OtherVersion) => {
                    tracing::warn!(index = name, "leaving out a day index of another version");
                }
                Err(Unusable::Damaged(error)) => {
                    tracing::warn!(index = name, error = chain(&error), "leaving out a damaged day index");
                }
            }
        }
        store.inner.indexed.send_replace(store.inner.payload_seq());
        Ok(store)
    }

    fn new(options: StoreOptions, is_writable: bool) -> Self {
        let rebuild = if is_writable { Rebuild::read(&options.dir, &options.service) } else { Rebuild::default() };
        Self {
            inner: Arc::new(Inner {
                options,
                days: RwLock::default(),
                creating: Lock::new(()),
                rebuild: Lock::new(rebuild),
                indexed: watch::Sender::new(0),
                written: Lock::new(None),
                is_writable,
                is_followed: AtomicBool::new(false),
                counters: Counters::default(),
                room_wanted: AtomicU64::new(0),
                dropped_for_room: Lock::default(),
                memory: Memory::default(),
                searching: AtomicUsize::new(0),
            }),
        }
    }

    /// Starts the thread that indexes what is written to a journal. `written` tells the last written sequence number,
    /// `synced` the last one that is on the disk for good; no commit goes beyond it.
    pub fn follow(
        &self,
        journal_file: PathBuf,
        written: watch::Receiver<u64>,
        synced: watch::Receiver<u64>,
        shaper: Shaper,
    ) -> Result<Indexer, StoreError> {
        if !self.inner.is_writable {
            return Err(StoreError::NotWritable { state: "opened for reading only" });
        }
        if self.inner.is_followed.swap(true, Ordering::SeqCst) {
            return Err(StoreError::NotWritable { state: "already following a journal" });
        }
        *self.inner.written.lock() = Some(written.clone());
        Indexer::start(Arc::clone(&self.inner), journal_file, written, synced, shaper)
    }

    /// Searches; blocks while it does. `indices` is a list of names and patterns as Elasticsearch takes them.
    pub fn search(&self, indices: &str, request: &SearchRequest) -> Result<SearchResponse, StoreError> {
        let days = self.inner.resolve(indices)?;
        let memory = &self.inner.memory;
        let _searching = self.inner.searching();
        let deadline = Instant::now() + SEARCH_TIME_MAX;
        search::search(&days, request, catalogue(), memory, Moment::now(), deadline, search::Asker::Someone)
    }

    /// Counts the documents that fulfil a query; blocks while it does.
    pub fn count(&self, indices: &str, query: &Query) -> Result<u64, StoreError> {
        search::count(&self.inner.resolve(indices)?, query, catalogue(), &self.inner.memory.filters, Moment::now())
    }

    /// The names that a list of names and patterns stands for; also tells whether a concrete name is missing.
    pub fn resolve(&self, indices: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.inner.resolve(indices)?.iter().map(|day| day.name.clone()).collect())
    }

    /// All days, oldest first.
    pub fn indices(&self) -> Vec<IndexInfo> {
        let info = |day: &Arc<Day>| IndexInfo {
            name: day.name.clone(),
            docs: day.docs(),
            bytes: day.bytes(),
            created_ms: day.created_ms,
        };
        self.inner.days().iter().map(info).collect()
    }

    /// Takes indices off the disk so that they are made again from the journal once it is followed; also those that are
    /// not there. A kill in between forgets none of them.
    pub fn make_again(&self, indices: &[String]) -> Result<(), StoreError> {
        if !self.inner.is_writable || self.inner.is_followed.load(Ordering::SeqCst) {
            return Err(StoreError::NotWritable { state: "not open for making indices again" });
        }
        let Options { dir, service } = self.inner.place();
        // All of them first: what is left without its folder is not known to be missing.
        for name in indices {
            self.inner.rebuild.lock().add(dir, service, name)?;
        }
        for name in indices {
            self.inner.remove(name);
            remove_dir(&dir.join(name))?;
        }
        self.inner.indexed.send_replace(0);
        Ok(())
    }

    /// Folders of indices that were set aside, because they could not be opened or were of another version: their names,
    /// and their bytes. Nothing reads them any more.
    pub fn set_aside(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let entries = self.inner.entries()?.into_iter();
        let aside = entries.filter(|(_, entry)| matches!(entry, Entry::Aside(_)));
        let sized = |name: String| {
            let bytes = folder_bytes(&self.inner.options.dir.join(&name));
            (name, bytes)
        };
        Ok(aside.map(|(name, _)| sized(name)).collect())
    }

    /// `_mapping` as Elasticsearch shows it: the declared fields, their aliases, and the undeclared fields seen that day.
    pub fn mapping(&self, indices: &str) -> Result<Value, StoreError> {
        let mut mapping = Map::new();
        for day in self.inner.resolve(indices)? {
            let mut properties = declared_properties();
            for (name, typ) in day.extra_fields()? {
                let kind = match typ {
                    Type::I64 | Type::U64 => "long",
                    Type::F64 => "double",
                    Type::Bool => "boolean",
                    _ => "keyword",
                };
                insert_property(&mut properties, &name, json!({ "type": kind }));
            }
            mapping.insert(day.name.clone(), json!({"mappings": {"properties": properties}}));
        }
        Ok(mapping.into())
    }

    /// Last sequence number that can be found.
    pub fn indexed_seq(&self) -> u64 {
        *self.inner.indexed.borrow()
    }

    /// Waits until this sequence number can be found; `false` when it took longer than `timeout`.
    pub async fn wait_indexed(&self, seq: u64, timeout: Duration) -> bool {
        let mut indexed = self.inner.indexed.subscribe();
        tokio::time::timeout(timeout, indexed.wait_for(|indexed| *indexed >= seq))
            .await
            .is_ok_and(|result| result.is_ok())
    }

    /// Waits until all that is written to the journal at this moment can be found; `false` when it took longer than
    /// `timeout`.
    pub async fn refresh(&self, timeout: Duration) -> bool {
        let written = self.inner.written.lock().as_ref().map_or(0, |written| *written.borrow());
        self.wait_indexed(written, timeout).await
    }

    /// Asks for this much room on the disk, in bytes: the indexer drops the oldest days soon, though none of the last quarter
    /// of [`StoreOptions::keep_bytes`] and never the newest. Without a budget nothing is dropped.
    pub fn make_room(&self, bytes: u64) {
        self.inner.room_wanted.store(bytes, Ordering::Relaxed);
    }

    /// Days that were dropped for that since this was asked last, each with its size.
    pub fn dropped_for_room(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut *self.inner.dropped_for_room.lock())
    }

    /// What happened since the store was opened.
    pub fn stats(&self) -> StoreStats {
        let counters = &self.inner.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answers = &self.inner.memory.answers;
        let (answers_recalled, answers_collected) = answers.counts();
        StoreStats {
            damaged_days: get(&counters.damaged_days),
            dropped_days: get(&counters.dropped_days),
            expired_records: get(&counters.expired_records),
            failed_rounds: get(&counters.failed_rounds),
            answers_recalled,
            answers_collected,
            answers_bytes: answers.bytes() as u64,
        }
    }
}

impl Inner {
    /// All open days, oldest first.
    pub(crate) fn days(&self) -> Vec<Arc<Day>> {
        self.days.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn day(&self, name: &str) -> Option<Arc<Day>> {
        self.days.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The index of this name, made when there is none.
    pub(crate) fn day_or_create(&self, name: &str) -> Result<Arc<Day>, StoreError> {
        let _one_at_a_time = self.creating.lock();
        if let Some(day) = self.day(name) {
            return Ok(day);
        }
        self.insert(Day::create(&self.options.dir, name)?);
        self.day(name).ok_or_else(|| StoreError::invalid(format!("the index {name} was removed while it was made")))
    }

    fn insert(&self, day: Day) {
        self.days.write().unwrap_or_else(PoisonError::into_inner).insert(day.name.clone(), Arc::new(day));
    }

    fn remove(&self, name: &str) {
        self.days.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Takes a day out of the store so that it is made again from the journal.
    pub(crate) fn set_aside(&self, name: &str, reason: &str) -> Result<(), StoreError> {
        let Options { dir, service } = self.place();
        self.rebuild.lock().add(dir, service, name)?;
        self.remove(name);
        let target = set_aside(&dir.join(name), reason)?;
        tracing::warn!(index = name, to = %target.display(), "set aside a day index; it is made again from the journal");
        Ok(())
    }

    pub(crate) fn finish_rebuild(&self) -> Result<(), StoreError> {
        let Options { dir, service } = self.place();
        self.rebuild.lock().finish(dir, service)
    }

    fn place(&self) -> Options<'_> {
        Options { dir: &self.options.dir, service: &self.options.service }
    }

    /// Somebody searches until what is given here is dropped.
    fn searching(&self) -> Searching<'_> {
        self.searching.fetch_add(1, Ordering::Relaxed);
        Searching(&self.searching)
    }

    /// Records of the journal that cannot be found yet.
    pub(crate) fn behind(&self) -> u64 {
        let written = self.written.lock().as_ref().map_or(0, |written| *written.borrow());
        written.saturating_sub(*self.indexed.borrow())
    }

    /// Writes the standing questions if they have changed.
    pub(crate) fn write_standing(&self) -> Result<(), StoreError> {
        let Options { dir, service } = self.place();
        self.memory.standing.write(dir, service)
    }

    /// The furthest that any index has come.
    pub(crate) fn payload_seq(&self) -> u64 {
        self.days()
            .iter()
            .filter_map(|day| day.payload.lock().as_ref().map(|payload| payload.seq))
            .max()
            .unwrap_or_default()
    }

    /// Our own names in the folder, sorted.
    fn entries(&self) -> Result<Vec<(String, Entry)>, StoreError> {
        let dir = &self.options.dir;
        let doing = "listing";
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(StoreError::io(doing, dir))? {
            let name = entry.map_err(StoreError::io(doing, dir))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some((_, entry)) = read_name(name) {
                entries.push((name.to_owned(), entry));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }

    /// Names and patterns with `*`, separated by commas; `_all` and nothing stand for all. A concrete name must exist.
    fn resolve(&self, indices: &str) -> Result<Vec<Arc<Day>>, StoreError> {
        let days = self.days();
        let mut wanted = vec![false; days.len()];
        for part in indices.split(',').map(str::trim) {
            let (is_excluded, pattern) = match part.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, part),
            };
            let is_concrete = !(pattern.is_empty() || pattern == "_all" || pattern.contains('*'));
            let pattern = Pattern::new(if matches!(pattern, "" | "_all") { "*" } else { pattern });
            let mut found = false;
            for (day, wanted) in days.iter().zip(&mut wanted) {
                // The name of a service stands for all of its days.
                if pattern.is_match(&day.name) || pattern.is_match(day.service()) {
                    found = true;
                    *wanted = !is_excluded;
                }
            }
            if is_concrete && !found {
                return Err(StoreError::IndexNotFound { index: part.to_owned() });
            }
        }
        Ok(days.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(day, _)| day).collect())
    }

    /// Whether a day is kept by its age. Where no calendar goes back as far as is wanted, nothing is too old.
    pub(crate) fn is_kept(&self, date: Date, today: Date) -> bool {
        let keep_days = self.options.keep_days;
        let oldest = Span::new().try_days(keep_days).and_then(|days| today.checked_sub(days));
        keep_days == 0 || oldest.ok().is_none_or(|oldest| date >= oldest)
    }

    /// Removes days that are too old or, oldest first, take too much room; what was set aside goes before any day.
    pub(crate) fn drop_old_days(&self, today: Date) -> Result<(), StoreError> {
        let mut kept = Vec::new();
        for (name, entry) in self.entries()? {
            let (Entry::Day(date) | Entry::Aside(date)) = entry else { continue };
            if self.is_kept(date, today) {
                let bytes = folder_bytes(&self.options.dir.join(&name));
                kept.push((!matches!(entry, Entry::Aside(_)), date, name, bytes));
            } else {
                self.drop_folder(&name)?;
            }
        }
        if self.options.keep_bytes == 0 {
            return Ok(());
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(.., bytes)| *bytes).sum();
        let newest = kept.iter().rposition(|(is_day, ..)| *is_day);
        for (place, (_, _, name, bytes)) in kept.iter().enumerate() {
            if total <= self.options.keep_bytes || Some(place) == newest {
                break;
            }
            self.drop_folder(name)?;
            total -= bytes;
        }
        Ok(())
    }

    /// Whether room is wanted.
    pub(crate) fn wants_room(&self) -> bool {
        self.room_wanted.load(Ordering::Relaxed) > 0
    }

    /// Drops the oldest days until there is as much room as is wanted, within the bounds of [`Store::make_room`].
    pub(crate) fn drop_for_room(&self) -> Result<(), StoreError> {
        let wanted = self.room_wanted.swap(0, Ordering::Relaxed);
        let least = self.options.keep_bytes / TIGHT_BUDGET_PART;
        let mut days = Vec::new();
        for (name, entry) in self.entries()? {
            let (Entry::Day(date) | Entry::Aside(date)) = entry else { continue };
            days.push((!matches!(entry, Entry::Aside(_)), date, folder_bytes(&self.options.dir.join(&name)), name));
        }
        days.sort();
        let newest = days.iter().rposition(|(is_day, ..)| *is_day);
        let mut total: u64 = days.iter().map(|(_, _, bytes, _)| *bytes).sum();
        let mut freed = 0;
        for (place, (_, _, bytes, name)) in days.iter().enumerate() {
            if self.options.keep_bytes == 0 || freed >= wanted || total <= least || Some(place) == newest {
                break;
            }
            self.drop_folder(name)?;
            (freed, total) = (freed + bytes, total - bytes);
            self.dropped_for_room.lock().push((name.clone(), *bytes));
        }
        Ok(())
    }

    pub(crate) fn drop_folder(&self, name: &str) -> Result<(), StoreError> {
        tracing::info!(index = name, "dropping a day index");
        self.remove(name);
        self.counters.dropped_days.fetch_add(1, Ordering::Relaxed);
        remove_dir(&self.options.dir.join(name))
    }
}

/// Stands for a search under way.
struct Searching<'a>(&'a AtomicUsize);

impl Drop for Searching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Options<'a> {
    dir: &'a std::path::Path,
    service: &'a str,
}

fn declared_properties() -> Map<String, Value> {
    let mut properties = Map::new();
    for (name, kind) in catalogue().iter() {
        let kind = match kind {
            FieldKind::Keyword => "keyword",
            FieldKind::Text => "text",
            FieldKind::Long => "long",
            FieldKind::Double => "double",
            FieldKind::Boolean => "boolean",
            FieldKind::Date => "date",
        };
        insert_property(&mut properties, name, json!({ "type": kind }));
    }
    for (alias, name) in catalogue().aliases() {
        insert_property(&mut properties, alias, json!({"type": "alias", "path": name}));
    }
    properties
}

/// Elasticsearch shows `a.b` as the property `b` of the object `a`.
fn insert_property(properties: &mut Map<String, Value>, name: &str, property: Value) {
    let Some((object, rest)) = name.split_once('.') else {
        properties.entry(name).or_insert(property);
        return;
    };
    let object = properties.entry(object).or_insert_with(|| json!({}));
    if let Some(object) = object.as_object_mut() {
        let inner = object.entry("properties").or_insert_with(|| json!({}));
        if let Some(inner) = inner.as_object_mut() {
            insert_property(inner, rest, property);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn nothing_is_too_old_where_no_calendar_goes_back_as_far() {
        for (keep_days, is_kept) in [(0, true), (30, false), (5_000_000, true), (8_000_000, true), (u32::MAX, true)] {
            let dir = tempfile::tempdir().unwrap();
            let options = StoreOptions { dir: dir.path().into(), service: "gate".into(), keep_days, keep_bytes: 0 };
            let store = Store::open(options).unwrap();
            let (old, today) = (date(2020, 1, 1), date(2026, 1, 27));
            assert_eq!(store.inner.is_kept(old, today), is_kept, "{keep_days}");
            assert!(store.inner.is_kept(today, today), "{keep_days}");
        }
    }
}
