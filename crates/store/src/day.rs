//! One day's index: a folder of its own, opened, created, or set aside when it is damaged.
//!
//! ```text
//! <dir>/<service>-2026.01.27/            the index: Tantivy's files
//!                            tollhouse.json   version of its form, when it was made
//! <dir>/<service>-2026.01.27.damaged-1/  set aside: could not be opened
//! <dir>/<service>-2026.01.27.old-1/      set aside: of another version
//! <dir>/<service>-2026.01.27.ahead-1/    set aside: knew records that the journal does not
//! <dir>/<service>-2026.01.27.new/        not yet complete; removed at the next start
//! <dir>/<service>.rebuild.json           days that are being made again from the journal
//! ```

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::lock::Lock;
use jiff::civil::Date;
use jiff::{Timestamp, tz};
use serde::{Deserialize, Serialize};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy};
use tollhouse_journal::Position;

use crate::error::StoreError;
use crate::field::EXTRA;
use crate::schema::{VERSION, layout};

/// Beside the index: what it is.
const LABEL_FILE: &str = "tollhouse.json";

/// Compressed together in the stored sources: larger blocks are smaller on the disk, by a tenth beside those of a quarter, and
/// slower to read one hit from.
const SOURCE_BLOCK_BYTES: usize = 128 << 10;
/// The fastest of the usual levels: the journal beside it is compressed better.
const SOURCE_ZSTD_LEVEL: i32 = 1;

/// An open day index.
pub(crate) struct Day {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) created_ms: i64,
    pub(crate) index: Index,
    pub(crate) reader: IndexReader,
    /// Of the last commit.
    pub(crate) payload: Lock<Option<Payload>>,
}

/// What a commit knows about the journal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Payload {
    /// Where the round began that this commit belongs to; all before it is committed in every index. `None` is the start
    /// of the journal.
    pub(crate) from: Option<Position>,
    /// Last record that the round reached.
    pub(crate) seq: u64,
}

#[derive(Deserialize, Serialize)]
struct Label {
    version: u32,
    created_ms: i64,
}

/// Why a day could not be opened.
pub(crate) enum Unusable {
    /// Written by another version.
    OtherVersion,
    /// Not readable.
    Damaged(StoreError),
}

impl Day {
    pub(crate) fn open(path: &Path, name: &str) -> Result<Self, Unusable> {
        let label = read_label(path).map_err(Unusable::Damaged)?;
        if label.version != VERSION {
            return Err(Unusable::OtherVersion);
        }
        let open = || {
            let index = Index::open_in_dir(path).map_err(StoreError::tantivy("opening a day index"))?;
            if index.schema() != layout().schema {
                return Ok(None);
            }
            Self::with_index(path, name, label.created_ms, index).map(Some)
        };
        match open() {
            Ok(Some(day)) => Ok(day),
            Ok(None) => Err(Unusable::OtherVersion),
            Err(error) => Err(Unusable::Damaged(error)),
        }
    }

    /// Makes an empty index; the folder appears complete or not at all.
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self, StoreError> {
        let unfinished = dir.join(format!("{name}.new"));
        let path = dir.join(name);
        let doing = "creating the day index";
        remove_dir(&unfinished)?;
        fs::create_dir_all(&unfinished).map_err(StoreError::io(doing, &unfinished))?;
        let settings = IndexSettings {
            docstore_blocksize: SOURCE_BLOCK_BYTES,
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(SOURCE_ZSTD_LEVEL) }),
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let builder = Index::builder().schema(layout().schema.clone()).settings(settings);
        builder.create_in_dir(&unfinished).map_err(StoreError::tantivy(doing))?;
        let label = Label { version: VERSION, created_ms: Timestamp::now().as_millisecond() };
        write_json(&unfinished.join(LABEL_FILE), &label)?;
        fs::rename(&unfinished, &path).map_err(StoreError::io(doing, &path))?;
        sync_dir(dir)?;
        let index = Index::open_in_dir(&path).map_err(StoreError::tantivy(doing))?;
        Self::with_index(&path, name, label.created_ms, index)
    }

    fn with_index(path: &Path, name: &str, created_ms: i64, index: Index) -> Result<Self, StoreError> {
        let doing = "opening a day index";
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
        let payload = index.load_metas().map_err(StoreError::tantivy(doing))?.payload;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            created_ms,
            reader: reader.map_err(StoreError::tantivy(doing))?,
            index,
            payload: Lock::new(payload.and_then(|payload| serde_json::from_str(&payload).ok())),
        })
    }

    /// Whose day it is.
    pub(crate) fn service(&self) -> &str {
        dated(&self.name).map_or(&self.name, |(service, _)| service)
    }

    pub(crate) fn docs(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    pub(crate) fn bytes(&self) -> u64 {
        folder_bytes(&self.path)
    }

    /// Undeclared fields with a column, and of which types.
    pub(crate) fn extra_fields(&self) -> Result<Vec<(String, tantivy::schema::Type)>, StoreError> {
        let doing = "listing the columns of a day index";
        let fields = self.index.fields_metadata().map_err(StoreError::tantivy(doing))?;
        let extra = fields.into_iter().filter_map(|field| {
            let name = field.field_name.strip_prefix(EXTRA)?.strip_prefix('.')?;
            Some((name.to_owned(), field.typ))
        });
        Ok(extra.collect())
    }

    pub(crate) fn extra_field_names(&self) -> Result<HashSet<String>, StoreError> {
        Ok(self.extra_fields()?.into_iter().map(|(name, _)| name).collect())
    }
}

/// The folder name of a day.
pub(crate) fn day_name(service: &str, date: Date) -> String {
    format!("{service}-{:04}.{:02}.{:02}", date.year(), date.month(), date.day())
}

/// The UTC day of a moment.
pub(crate) fn date_of(ms: i64) -> Date {
    let nearest = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    tz::TimeZone::UTC.to_datetime(Timestamp::from_millisecond(ms).unwrap_or(nearest)).date()
}

/// What a name in the store's folder is.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    Day(Date),
    /// Set aside.
    Aside(Date),
    /// Left over from an interrupted creation.
    Unfinished,
}

/// The service that a name in the store's folder belongs to, and what it is.
pub(crate) fn read_name(name: &str) -> Option<(&str, Entry)> {
    if let Some((service, date)) = dated(name) {
        return Some((service, Entry::Day(date)));
    }
    let (day, suffix) = name.rsplit_once('.')?;
    let (service, date) = dated(day)?;
    if suffix == "new" {
        return Some((service, Entry::Unfinished));
    }
    let (reason, _) = suffix.split_once('-')?;
    ["damaged", "old", "ahead"].contains(&reason).then_some((service, Entry::Aside(date)))
}

/// `<service>-2026.01.27` in its two parts.
fn dated(name: &str) -> Option<(&str, Date)> {
    let (service, date) = name.split_at_checked(name.len().checked_sub("-2026.01.27".len())?)?;
    let date = Date::strptime("%Y.%m.%d", date.strip_prefix('-')?).ok()?;
    (!service.is_empty() && !service.starts_with('.') && !service.contains(['/', '\\'])).then_some((service, date))
}

/// Renames a day's folder so that it is no index any more, and gives its new name.
pub(crate) fn set_aside(path: &Path, reason: &str) -> Result<PathBuf, StoreError> {
    /// More folders of one day set aside than anybody has seen.
    const NUMBERS_MAX: u32 = 10_000;
    let free = (1..NUMBERS_MAX).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{reason}-{number}"));
        PathBuf::from(name)
    });
    let doing = "setting aside the day index";
    let exhausted = || StoreError::io(doing, path)(std::io::ErrorKind::AlreadyExists.into());
    let target = free.into_iter().find(|target| !target.exists()).ok_or_else(exhausted)?;
    fs::rename(path, &target).map_err(StoreError::io(doing, path))?;
    if let Some(dir) = path.parent() {
        sync_dir(dir)?;
    }
    Ok(target)
}

/// Bytes of the files of a folder; those that vanish meanwhile count nothing.
pub(crate) fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// Removes a folder if it is there.
pub(crate) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Days that are being made again from the journal: each must be read from the record after its own payload on, from
/// the start of the journal when it has none.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Rebuild {
    pub(crate) days: Vec<String>,
}

impl Rebuild {
    fn path(dir: &Path, service: &str) -> PathBuf {
        dir.join(format!("{service}.rebuild.json"))
    }

    pub(crate) fn read(dir: &Path, service: &str) -> Self {
        // Unreadable means incomplete: it is renamed into place before any day is touched.
        fs::read(Self::path(dir, service))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Written before the day is set aside, so that a crash between the two cannot forget it.
    pub(crate) fn add(&mut self, dir: &Path, service: &str, day: &str) -> Result<(), StoreError> {
        if !self.days.iter().any(|known| known == day) {
            self.days.push(day.to_owned());
        }
        write_json(&Self::path(dir, service), self)
    }

    pub(crate) fn finish(&mut self, dir: &Path, service: &str) -> Result<(), StoreError> {
        self.days.clear();
        let path = Self::path(dir, service);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("removing", path)(error)),
            _ => Ok(()),
        }
    }
}

fn read_label(path: &Path) -> Result<Label, StoreError> {
    let file = path.join(LABEL_FILE);
    let doing = "reading the label of a day index";
    let bytes = fs::read(&file).map_err(StoreError::io(doing, &file))?;
    serde_json::from_slice(&bytes).map_err(|error| StoreError::io(doing, &file)(error.into()))
}

/// Writes a small file that is there whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let write = || tollhouse_files::replace(path, &serde_json::to_vec(value)?, 0o666);
    write().map_err(StoreError::io("writing", path))
}

fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("syncing", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn names_of_folders() {
        let day = date(2026, 1, 27);
        assert_eq!(day_name("gate-1", day), "gate-1-2026.01.27");
        for (name, expected) in [
            ("gate-1-2026.01.27", Some(("gate-1", Entry::Day(day)))),
            ("gate-1-2026.01.27.damaged-1", Some(("gate-1", Entry::Aside(day)))),
            ("gate-1-2026.01.27.old-12", Some(("gate-1", Entry::Aside(day)))),
            ("gate-1-2026.01.27.new", Some(("gate-1", Entry::Unfinished))),
            ("gate-1-2026.01.27.bak", None),
            ("gate-1-2026.13.27", None),
            ("gate-1.rebuild.json", None),
            ("other-2026.01.27", Some(("other", Entry::Day(day)))),
            // Whatever a service is called: a day ends in its date.
            ("a-2026.01.26.damaged-1-2026.01.27", Some(("a-2026.01.26.damaged-1", Entry::Day(day)))),
            ("-2026.01.27", None),
            ("../a-2026.01.27", None),
            ("2026.01.27", None),
        ] {
            assert_eq!(read_name(name), expected, "{name}");
        }
        assert_eq!(date_of(-1), date(1969, 12, 31));
        assert_eq!(date_of(i64::MAX).year(), 9999);
    }

    #[test]
    fn a_created_day_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let created = Day::create(dir.path(), "gate-2026.01.27").unwrap();
        assert_eq!(created.docs(), 0);
        let path = created.path.clone();
        drop(created);
        assert!(Day::open(&path, "gate-2026.01.27").is_ok());

        // The same version, but other fields than are declared now.
        let other = dir.path().join("gate-2026.01.26");
        fs::create_dir(&other).unwrap();
        let mut fields = tantivy::schema::Schema::builder();
        fields.add_f64_field("ttft_ms", tantivy::schema::FAST);
        Index::create_in_dir(&other, fields.build()).unwrap();
        write_json(&other.join(LABEL_FILE), &Label { version: VERSION, created_ms: 0 }).unwrap();
        assert!(matches!(Day::open(&other, "gate-2026.01.26"), Err(Unusable::OtherVersion)));

        fs::write(path.join(LABEL_FILE), r#"{"version":999,"created_ms":0}"#).unwrap();
        assert!(matches!(Day::open(&path, "gate-2026.01.27"), Err(Unusable::OtherVersion)));
        fs::write(path.join("meta.json"), "{").unwrap();
        write_json(&path.join(LABEL_FILE), &Label { version: VERSION, created_ms: 0 }).unwrap();
        assert!(matches!(Day::open(&path, "gate-2026.01.27"), Err(Unusable::Damaged(_))));

        let aside = set_aside(&path, "damaged").unwrap();
        assert!(aside.ends_with("gate-2026.01.27.damaged-1"));
        Day::create(dir.path(), "gate-2026.01.27").unwrap();
        assert!(set_aside(&path, "damaged").unwrap().ends_with("gate-2026.01.27.damaged-2"));
    }
}
