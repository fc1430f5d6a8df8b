//! Who has a file open for writing, as the kernel tells (`proc_pid_fd(5)`, `proc_pid_fdinfo(5)`); of other users, root alone sees it.

use std::fs;
use std::path::{Path, PathBuf};

/// `O_ACCMODE`, `O_RDONLY` and `O_APPEND` of Linux, as `flags` in fdinfo has them.
const ACCESS: u32 = 0o3;
const READ_ONLY: u32 = 0;
const APPEND: u32 = 0o2000;

/// How those write who have a file open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Writers {
    /// All at its end.
    AtEnd,
    /// One where it likes.
    Anywhere,
}

/// Those who write a file; nobody, as far as can be seen, when absent.
pub(super) fn of(path: &Path) -> Option<Writers> {
    let flags: Vec<u32> = open(path).into_iter().map(|(_, (flags, _))| flags).collect();
    let all_append = flags.iter().all(|flags| flags & APPEND != 0);
    (!flags.is_empty()).then_some(if all_append { Writers::AtEnd } else { Writers::Anywhere })
}

/// Descriptors by which others append to a file, to be asked at once when that matters.
pub(super) fn appending(path: &Path) -> Vec<PathBuf> {
    open(path).into_iter().filter(|(_, (flags, _))| flags & APPEND != 0).map(|(info, _)| info).collect()
}

/// How far the one of these who has come furthest has come in the file.
pub(super) fn furthest(descriptors: &[PathBuf]) -> Option<u64> {
    descriptors.iter().filter_map(|info| Some(read(&fs::read_to_string(info).ok()?)?.1)).max()
}

/// Descriptors by which others write a file, with their flags and places.
fn open(path: &Path) -> Vec<(PathBuf, (u32, u64))> {
    let Ok(wanted) = fs::canonicalize(path) else { return Vec::new() };
    let own = std::process::id();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found = Vec::new();
    for pid in pids.filter(|pid| *pid != own) {
        for fd in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            if fs::read_link(fd.path()).is_ok_and(|link| link == wanted) {
                let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(fd.file_name());
                let known = fs::read_to_string(&info).ok().and_then(|text| read(&text));
                found.extend(known.map(|known| (info, known)));
            }
        }
    }
    found
}

/// `flags:` and `pos:` of one descriptor, if it can be written by it.
fn read(info: &str) -> Option<(u32, u64)> {
    let value = |name: &str| info.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
    let flags = u32::from_str_radix(value("flags:")?, 8).ok()?;
    (flags & ACCESS != READ_ONLY).then_some((flags, value("pos:")?.parse().ok()?))
}
