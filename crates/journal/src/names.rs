//! Names of the journal's files, and which of them are there.

use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::JournalError;
use crate::packing::Packing;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;
/// Ending of a compression under way.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The paths that belong to one journal.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) dir: PathBuf,
    pub(crate) current: PathBuf,
    pub(crate) current_name: String,
    stem: String,
}

/// A closed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub(crate) first_seq: u64,
    /// How it is compressed, if it is.
    pub(crate) packing: Option<Packing>,
    pub(crate) name: String,
    /// As in the name, `2026.01.27`; sorts as time does.
    pub(crate) day: String,
}

impl Names {
    pub(crate) fn new(current: &Path) -> Result<Self, JournalError> {
        let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
        let (Some(current_name), Some(stem)) = (text(current.file_name()), text(current.file_stem())) else {
            return Err(JournalError::Name(current.to_owned()));
        };
        let dir = current.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        if current_name == format!("{stem}.lock") || current_name == format!("{stem}.torn") {
            return Err(JournalError::Name(current.to_owned()));
        }
        Ok(Self { dir, current: current.to_owned(), current_name, stem })
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(format!("{}.lock", self.stem))
    }

    pub(crate) fn torn(&self) -> PathBuf {
        self.dir.join(format!("{}.torn", self.stem))
    }

    /// Name for a file with this first line, whose last line is of `last_ms`.
    pub(crate) fn rotated(&self, last_ms: i64, first_seq: u64) -> String {
        format!("{}-{}-{first_seq:012}.log", self.stem, day_text(last_ms))
    }

    /// Closed files, oldest first; one that is there in both forms comes twice, the plain one first.
    pub(crate) fn list(&self) -> Result<Vec<Rotated>, JournalError> {
        let mut found: Vec<_> = self.in_dir()?.iter().filter_map(|name| self.parse(name)).collect();
        found.sort_by_key(|file| (file.first_seq, file.packing.is_some()));
        Ok(found)
    }

    /// Closed files, oldest first, each once.
    pub(crate) fn list_distinct(&self) -> Result<Vec<Rotated>, JournalError> {
        let mut found = self.list()?;
        found.dedup_by_key(|file| file.first_seq);
        Ok(found)
    }

    /// Compressions that were never finished.
    pub(crate) fn temporaries(&self) -> Result<Vec<PathBuf>, JournalError> {
        let ours = |name: &String| {
            let packed = name.strip_suffix(TEMPORARY).and_then(|packed| self.parse(packed));
            packed.is_some_and(|file| file.packing.is_some())
        };
        Ok(self.in_dir()?.into_iter().filter(ours).map(|name| self.dir.join(name)).collect())
    }

    fn in_dir(&self) -> Result<Vec<String>, JournalError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::io("listing", &self.dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(JournalError::io("listing", &self.dir))?;
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    /// `<stem>-<YYYY.MM.dd>-<first seq, 12 digits or more>.log[.zst|.gz]`
    fn parse(&self, name: &str) -> Option<Rotated> {
        let (plain, packing) = Packing::split(name);
        let middle = plain.strip_prefix(&self.stem)?.strip_prefix('-')?.strip_suffix(".log")?;
        let (day, seq) = middle.split_once('-')?;
        let day_is_sound = day.len() == 10
            && day
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 4 || at == 7 { byte == b'.' } else { byte.is_ascii_digit() });
        if !day_is_sound || seq.len() < 12 || !seq.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Rotated { first_seq: seq.parse().ok()?, packing, name: name.to_owned(), day: day.to_owned() })
    }
}

/// The UTC day of a time, as a number to compare.
pub(crate) fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// The UTC day of a time as file names carry it.
pub(crate) fn day_text(ms: i64) -> String {
    timestamp(ms).to_zoned(TimeZone::UTC).strftime("%Y.%m.%d").to_string()
}

/// The UTC day `days` before that of `ms`.
pub(crate) fn day_text_before(ms: i64, days: u32) -> String {
    day_text(ms.saturating_sub(i64::from(days) * DAY_MS))
}

/// A time that can be printed, also for a clock that has gone mad.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    let latest = if ms < 0 { Timestamp::UNIX_EPOCH } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms.max(0)).unwrap_or(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let names = Names::new(Path::new("x/gateway.log")).unwrap();
        let name = names.rotated(1_769_500_000_000, 7);
        assert_eq!(name, "gateway-2026.01.27-000000000007.log");
        for (ending, packing) in [(".zst", Some(Packing::Zstd)), (".gz", Some(Packing::Gzip)), ("", None)] {
            let parsed = names.parse(&format!("{name}{ending}")).unwrap();
            assert_eq!((parsed.first_seq, parsed.packing, parsed.day.as_str()), (7, packing, "2026.01.27"));
        }
        assert_eq!(names.parse("gateway-2026.01.27-1234567890123.log").unwrap().first_seq, 1_234_567_890_123);
        for other in [
            "gateway.log",
            "gateway-2026.01.27-7.log",
            "gateway-x-2026.01.27-000000000007.log",
            "gateway-2026-01-27-000000000007.log",
            "gateway-2026.01.27-00000000000x.log",
            "gateway-2026.01.27-000000000007.log.zst.tmp",
            "gateway-2026.01.27-000000000007.log.gz.tmp",
            "gateway-2026.01.27-000000000007.log.gz.zst",
            "gateway-2026.01.27-000000000007.log.bz2",
            "gateway-2026.01.27-99999999999999999999999.log",
        ] {
            assert_eq!(names.parse(other), None, "{other}");
        }
    }

    #[test]
    fn unusable_names_are_refused() {
        for path in ["/", "..", "a/gateway.lock", "gateway.torn"] {
            assert!(Names::new(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn days() {
        assert_eq!(day_text(0), "1970.01.01");
        assert_eq!(day_text(i64::MIN), "1970.01.01");
        assert_eq!(day_text(i64::MAX), "9999.12.30");
        assert_eq!(day_text_before(1_769_500_000_000, 30), "2025.12.28");
    }
}
