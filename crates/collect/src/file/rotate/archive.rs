//! Names of rotated files: the file's own, a dash, and the time (UTC).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How the time is written.
const STAMP: &str = "%Y%m%dT%H%M%S";
/// Files of one name that may be rotated within one second.
const SAME_SECOND_MAX: u32 = 99;
/// Longest name that file systems take.
const NAME_BYTES_MAX: usize = 255;

/// A file that was rotated here, in the order of time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Archive {
    pub(super) at: Timestamp,
    /// Which one of the same second it is.
    number: u32,
    pub(super) path: PathBuf,
}

impl Archive {
    /// The file of which this name was made here, if it was.
    pub(super) fn of(path: &Path) -> Option<(PathBuf, Self)> {
        let name = path.file_name()?.to_str()?;
        let read = |name: &str| {
            let (original, stamp) = name.rsplit_once('-')?;
            let time = DateTime::strptime(STAMP, stamp).ok()?;
            let at = TimeZone::UTC.to_timestamp(time).ok()?;
            (!original.is_empty() && stamp.len() == 15).then(|| (original.to_owned(), at))
        };
        let numbered = || {
            let (name, number) = name.rsplit_once('-')?;
            let number: u32 = number.parse().ok().filter(|number| (1..=SAME_SECOND_MAX).contains(number))?;
            read(name).map(|(original, at)| (original, at, number))
        };
        let (original, at, number) = read(name).map(|(original, at)| (original, at, 0)).or_else(numbered)?;
        Some((path.with_file_name(original), Self { at, number, path: path.to_owned() }))
    }

    /// A name for what is rotated now; none where all are taken.
    pub(super) fn name(path: &Path, now: Timestamp) -> Option<PathBuf> {
        let name = path.file_name()?.to_str()?;
        let stamp = now.to_zoned(TimeZone::UTC).strftime(STAMP).to_string();
        let numbered = (1..=SAME_SECOND_MAX).map(|number| format!("{name}-{stamp}-{number}"));
        let names = std::iter::once(format!("{name}-{stamp}")).chain(numbered);
        let mut free = names.map(|name| path.with_file_name(name)).filter(|path| !path.exists());
        free.next().filter(|path| path.file_name().is_some_and(|name| name.len() <= NAME_BYTES_MAX))
    }
}
