//! What each store of the house takes on its disk, beside its budget: measured now and then, kept as records, and shown with
//! the day on which the budget, and the disk, will be used up if it goes on so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};
use tollhouse_config::{Config, ContentMode, TaskStore};
use tollhouse_elastic::searched_here;
use tollhouse_journal::{Journal, Level, Record, tight_below};
use tollhouse_probe::full_in_ms;
use tollhouse_remote::Shelf;

/// How often is measured.
const EVERY: Duration = Duration::from_mins(15);
/// How often is looked whether room gets short.
const ROOM_EVERY: Duration = Duration::from_secs(10);
/// What goes first when room gets short, each below so many quarters of the room below which the journal's own closed files go:
/// what has been collected already, then what can be made again from the journal.
const ROTATED_QUARTERS: u64 = 8;
const INDEX_QUARTERS: u64 = 6;
/// So much more than that is made free, in quarters.
const MORE_QUARTERS: u64 = 1;
/// Files and folders that are looked at for one store; what is beyond is not counted, and that is said.
const ENTRIES_MAX: usize = 100_000;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 8;
/// Points of the past that a trend is made of, and how far apart: two weeks.
const POINT_EVERY: &str = "6h";
const POINTS_MAX: usize = 56;
const DAY_MS: f64 = 86_400_000.0;
/// Where these records come from.
const CALLER: &str = "tollhouse/stores.rs";

/// The stores of one configuration.
#[derive(Clone, Debug, PartialEq)]
struct Store {
    /// `journal`, `index`, `content`, `state`, `batches`, `tasks`, `collect`, `ship`, `supervise`.
    name: &'static str,
    place: Place,
    /// Its budget in bytes, where it has one: beyond it, the oldest goes, or nothing further is taken.
    limit: Option<u64>,
}

/// Which files are a store's.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// All below a folder.
    Folder(PathBuf),
    /// Those of a folder whose names begin so: a file with those that it has left behind.
    Beginning(PathBuf, String),
}

/// What a store takes.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    store: Store,
    bytes: u64,
    files: u64,
    is_cut: bool,
    disk: Option<Disk>,
}

/// The file system that a store is on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Disk {
    id: u64,
    total: u64,
    free: u64,
}

/// Measures, and knows what was measured last.
#[derive(Debug)]
pub(crate) struct Stores {
    all: Vec<Store>,
    shown: Arc<Mutex<Value>>,
    task: JoinHandle<()>,
}

impl Stores {
    pub(crate) fn new(config: &Config, journal: Journal, shelf: Shelf) -> Self {
        let shown = Arc::new(Mutex::new(json!({"stores": [], "disks": []})));
        let all = stores(config);
        let task = tokio::spawn(watch(all.clone(), journal, shelf, Arc::clone(&shown)));
        Self { all, shown, task }
    }

    /// Whether these are the stores of a configuration, so that it needs no others.
    pub(crate) fn are_of(&self, config: &Config) -> bool {
        self.all == stores(config)
    }

    /// What was measured last, for people.
    pub(crate) fn list(&self) -> Value {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(stores: Vec<Store>, journal: Journal, shelf: Shelf, shown: Arc<Mutex<Value>>) {
    let mut every = tokio::time::interval(EVERY);
    let mut room = tokio::time::interval(ROOM_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = room.tick() => {
                make_room(&stores, &shelf, &journal);
                continue;
            }
        }
        let stores = stores.clone();
        let Ok(measured) = spawn_blocking(move || stores.iter().map(Store::measure).collect::<Vec<_>>()).await else {
            continue;
        };
        let past = past(&shelf).await;
        let now = Timestamp::now();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = told(&measured, &past, now);
        for measured in &measured {
            if let Err(error) = journal.enqueue(measured.record()) {
                tracing::error!(error = %error, "recording what a store takes");
            }
        }
    }
}

/// Whether less than so many quarters of the room are left below which the journal lets its own files go; how much is
/// missing then, in bytes, and a little more.
fn missing(place: &Path, quarters: u64) -> Option<u64> {
    let disk = disk(place)?;
    let quarter = tight_below(disk.total) / 4;
    let wanted = quarter * (quarters + MORE_QUARTERS);
    (disk.free < quarter * quarters).then(|| wanted.saturating_sub(disk.free))
}

/// Whether the disk of a folder gets so short of room that rotated files of other programs go.
pub(crate) fn is_short(place: &Path) -> bool {
    missing(place, ROTATED_QUARTERS).is_some()
}

/// Lets days of the index go where room gets short, before anything of the journal has to; tells of those that went.
fn make_room(stores: &[Store], shelf: &Shelf, journal: &Journal) {
    let Shelf::Own(index) = shelf else { return };
    for (name, bytes) in index.dropped_for_room() {
        let record =
            Record::new("resource", Level::Warn, "a day of the index was dropped: its disk gets full").caller(CALLER);
        let record = record.field("store", "index").field("reason", "tight").field("index", name).field("bytes", bytes);
        if let Err(error) = journal.enqueue(record) {
            tracing::error!(error = %error, "recording that a day of the index was dropped");
        }
    }
    let place = stores.iter().find(|store| store.name == "index").map(|store| &store.place);
    if let Some(Place::Folder(place)) = place
        && let Some(bytes) = missing(place, INDEX_QUARTERS)
    {
        index.make_room(bytes);
    }
}

/// Those that there are by the configuration.
fn stores(config: &Config) -> Vec<Store> {
    let (data, journal) = (&config.data_dir, config.journal_file());
    let limit = |bytes: u64| (bytes > 0).then_some(bytes);
    let folder = |name: &'static str, limit| Store { name, place: Place::Folder(data.join(name)), limit };
    let beginning = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Place::Beginning(path.parent().unwrap_or(Path::new(".")).to_owned(), stem)
    };
    let mut stores =
        vec![Store { name: "journal", place: beginning(&journal), limit: limit(config.logging.keep.bytes.0) }];
    if config.store.remote.is_none() {
        stores.push(folder("index", limit(config.store.keep.bytes.0)));
    }
    if config.logging.content.mode != ContentMode::Off {
        stores.push(folder("content", limit(config.logging.content.keep.bytes.0)));
    }
    stores.push(folder("state", None));
    if let Some(batches) = &config.batches {
        stores.push(folder("batches", limit(batches.total.0)));
    }
    for (name, is_there) in [
        ("tasks", config.tasks.as_ref().is_some_and(|tasks| tasks.store == TaskStore::Sqlite)),
        ("collect", !config.sources.is_empty()),
        ("ship", !config.ship.is_empty()),
        ("supervise", !config.supervise.is_empty()),
    ] {
        stores.extend(is_there.then(|| folder(name, None)));
    }
    stores
}

impl Store {
    /// Blocks.
    fn measure(&self) -> Measured {
        let mut sum = Sum::default();
        let folder = match &self.place {
            Place::Folder(folder) => {
                sum.folder(folder, DEPTH_MAX);
                folder
            }
            Place::Beginning(folder, stem) => {
                sum.beginning(folder, stem);
                folder
            }
        };
        let disk = disk(folder).or_else(|| disk(folder.parent()?));
        Measured { store: self.clone(), bytes: sum.bytes, files: sum.files, is_cut: sum.is_cut, disk }
    }
}

/// Adds up what files take on the disk; blocks of a file that are in it are counted, holes are not.
#[derive(Default)]
struct Sum {
    bytes: u64,
    files: u64,
    seen: usize,
    is_cut: bool,
}

impl Sum {
    fn folder(&mut self, folder: &Path, depth: usize) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Nothing is followed: a link is as large as itself.
            let Ok(about) = entry.metadata() else { continue };
            if !self.is_room() {
                return;
            }
            match about.is_dir() {
                true if depth > 0 => self.folder(&entry.path(), depth - 1),
                true => self.is_cut = true,
                false => self.add(&about),
            }
        }
    }

    fn beginning(&mut self, folder: &Path, stem: &str) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(stem));
            let is_own = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']));
            let Some(about) = entry.metadata().ok().filter(|about| is_own && about.is_file()) else { continue };
            if !self.is_room() {
                return;
            }
            self.add(&about);
        }
    }

    fn is_room(&mut self) -> bool {
        self.seen += 1;
        self.is_cut |= self.seen > ENTRIES_MAX;
        self.seen <= ENTRIES_MAX
    }

    fn add(&mut self, about: &fs::Metadata) {
        /// What `st_blocks` counts in (stat(2)).
        const BLOCK: u64 = 512;
        self.bytes += about.blocks() * BLOCK;
        self.files += 1;
    }
}

fn disk(path: &Path) -> Option<Disk> {
    let id = fs::metadata(path).ok()?.dev();
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Disk { id, total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
}

impl Measured {
    fn record(&self) -> Record {
        let name = self.store.name;
        let record = Record::new("resource", Level::Debug, format!("the store {name} was measured"));
        let record = record.caller(CALLER).field("store", name).field("store_bytes", self.bytes);
        let record = match self.store.limit {
            Some(limit) => record.field("store_limit_bytes", limit),
            None => record,
        };
        match self.disk {
            Some(disk) => record.field("free_bytes", disk.free),
            None => record,
        }
    }
}

/// What was measured when: bytes of the store and of its disk's free room, oldest first.
type Past = BTreeMap<String, Vec<(i64, u64, Option<u64>)>>;

/// What the records of the last two weeks say. Where they cannot be asked, nothing is foretold.
async fn past(shelf: &Shelf) -> Past {
    let average = |field: &str| json!({"avg": {"field": field}});
    let search = json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": [
            {"term": {"kind": "resource"}}, {"exists": {"field": "store"}}, {"range": {"@timestamp": {"gte": "now-14d"}}},
        ]}},
        "aggs": {"stores": {"terms": {"field": "store", "size": 16}, "aggs": {"times": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": POINT_EVERY, "min_doc_count": 1},
            "aggs": {"bytes": average("store_bytes"), "free": average("free_bytes")},
        }}}},
    });
    let Ok(answer) = searched_here(shelf, "*", &search).await else { return Past::new() };
    let Ok(answer) = serde_json::to_value(answer) else { return Past::new() };
    let buckets = |of: &Value| of["buckets"].as_array().cloned().unwrap_or_default();
    let point = |bucket: &Value| {
        let whole = |value: &Value| value["value"].as_f64().map(|value| value as u64);
        Some((bucket["key"].as_i64()?, whole(&bucket["bytes"])?, whole(&bucket["free"])))
    };
    let named = buckets(&answer["aggregations"]["stores"]).into_iter().filter_map(|bucket| {
        let points = buckets(&bucket["times"]).iter().filter_map(point).take(POINTS_MAX).collect();
        Some((bucket["key"].as_str()?.to_owned(), points))
    });
    named.collect()
}

fn told(all: &[Measured], past: &Past, now: Timestamp) -> Value {
    let now_ms = now.as_millisecond();
    let points = |name: &str| past.get(name).map_or(&[][..], Vec::as_slice);
    let stores: Vec<Value> = all
        .iter()
        .map(|measured| {
            let Measured { store, bytes, files, is_cut, disk } = measured;
            let grown: Vec<(i64, u64)> = points(store.name).iter().map(|(at, bytes, _)| (*at, *bytes)).collect();
            let left = store.limit.map(|limit| limit.saturating_sub(*bytes));
            let days = left.and_then(|left| full_in_ms(&with(grown, now_ms, *bytes), left)).map(days);
            json!({
                "name": store.name, "path": store.place.shown(), "bytes": bytes, "files": files, "cut": is_cut,
                "limit_bytes": store.limit, "limit_in_days": days, "disk": disk.map(|disk| disk.id.to_string()),
            })
        })
        .collect();
    let mut disks: Vec<Disk> = all.iter().filter_map(|measured| measured.disk).collect();
    disks.sort_by_key(|disk| disk.id);
    disks.dedup_by_key(|disk| disk.id);
    let disks: Vec<Value> = disks.iter().map(|disk| told_disk(disk, all, past, now_ms)).collect();
    json!({"at": now.to_string(), "stores": stores, "disks": disks})
}

/// A file system with what our stores take of it, what they may still take, and when it is full.
fn told_disk(disk: &Disk, all: &[Measured], past: &Past, now_ms: i64) -> Value {
    let ours: Vec<&Measured> = all.iter().filter(|measured| measured.disk.is_some_and(|of| of.id == disk.id)).collect();
    let bytes: u64 = ours.iter().map(|measured| measured.bytes).sum();
    let left = |measured: &&Measured| Some(measured.store.limit?.saturating_sub(measured.bytes));
    let may_grow: u64 = ours.iter().filter_map(left).sum();
    // All that is used of the disk, by whomever.
    let used: Vec<(i64, u64)> = ours
        .iter()
        .filter_map(|measured| past.get(measured.store.name))
        .max_by_key(|points| points.len())
        .into_iter()
        .flatten()
        .filter_map(|(at, _, free)| Some((*at, disk.total.saturating_sub((*free)?))))
        .collect();
    let days = full_in_ms(&with(used, now_ms, disk.total.saturating_sub(disk.free)), disk.free).map(days);
    json!({
        "id": disk.id.to_string(), "total_bytes": disk.total, "free_bytes": disk.free, "store_bytes": bytes,
        "may_grow_bytes": may_grow, "fits": may_grow <= disk.free, "full_in_days": days,
    })
}

/// The past with this moment.
fn with(mut points: Vec<(i64, u64)>, now_ms: i64, value: u64) -> Vec<(i64, u64)> {
    points.retain(|(at, _)| *at < now_ms);
    points.push((now_ms, value));
    points
}

fn days(ms: f64) -> f64 {
    (ms / DAY_MS * 10.0).round() / 10.0
}

impl Place {
    fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Beginning(folder, stem) => folder.join(format!("{stem}*")).display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_its_own_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["gateway.log", "gateway-2026.01.27-000000000001.log.zst", "gateway.lock", "gatewayish.log"] {
            fs::write(at(name), vec![1; 4096]).unwrap();
        }
        fs::create_dir_all(at("index/deep/deeper")).unwrap();
        fs::write(at("index/deep/deeper/a"), vec![1; 8192]).unwrap();
        std::os::unix::fs::symlink(dir.path(), at("index/circle")).unwrap();
        let store = |name, place| Store { name, place, limit: Some(10) };
        let journal = store("journal", Place::Beginning(dir.path().to_owned(), "gateway".to_owned())).measure();
        assert_eq!((journal.files, journal.is_cut), (3, false));
        let index = store("index", Place::Folder(at("index"))).measure();
        assert_eq!(index.files, 2, "a link is a file, and is not followed");
        assert!(index.bytes >= 8192 && index.disk.is_some_and(|disk| disk.free <= disk.total));
        // One that is not there yet is on the disk that it will be on.
        let later = store("content", Place::Folder(at("content"))).measure();
        assert_eq!((later.bytes, later.disk.map(|disk| disk.id)), (0, index.disk.map(|disk| disk.id)));
    }

    #[test]
    fn budgets_are_seen_together_with_the_day_on_which_they_are_used_up() {
        const HOUR: i64 = 3_600_000;
        let disk = Some(Disk { id: 7, total: 10_000, free: 1_000 });
        let measured = |name, bytes, limit| Measured {
            store: Store { name, place: Place::Folder("x".into()), limit },
            bytes,
            files: 1,
            is_cut: false,
            disk,
        };
        let all =
            [measured("journal", 800, Some(1_000)), measured("index", 100, Some(2_000)), measured("state", 5, None)];
        // Ten bytes in six hours.
        let points = (0..9).map(|at| (at * 6 * HOUR, 710 + at as u64 * 10, Some(1_090 - at as u64 * 10))).collect();
        let past = Past::from([("journal".to_owned(), points)]);
        let told = told(&all, &past, Timestamp::from_millisecond(54 * HOUR).unwrap());
        assert_eq!(told["stores"][0]["limit_in_days"], 5.0, "{told:#}");
        assert_eq!(told["stores"][1]["limit_in_days"], Value::Null, "without a past nothing is foretold");
        let disk = &told["disks"][0];
        assert_eq!((&disk["store_bytes"], &disk["may_grow_bytes"]), (&json!(905), &json!(2_100)));
        assert_eq!((&disk["fits"], &disk["full_in_days"]), (&json!(false), &json!(25.0)));
    }
}
