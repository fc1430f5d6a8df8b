//! Reads and writes files for steps: only below the folders that the configuration names, and a file whole or not at all.
//!
//! A path is followed part by part from its folder, and no symbolic link on the way is: whoever may write below an allowed folder
//! cannot lead a task out of it, at no moment.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, mkdirat, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tollhouse_tasks::StepError;
use tollhouse_units::hex;

/// Largest file that a step reads or writes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Longest path.
const PATH_BYTES_MAX: usize = 4096;

/// Where steps may read and write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Folders {
    /// Relative paths begin here; reading and writing is allowed.
    pub(super) files: PathBuf,
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
}

impl Folders {
    /// A file's text. It blocks.
    pub(super) fn read(&self, path: &str) -> Result<String, StepError> {
        let (root, parts) = self.place(path, false)?;
        let failed = |error: Errno| trouble(path, "reading", error);
        let (name, folders) = parts.split_last().ok_or_else(|| no_file(path))?;
        let folder = descend(root, folders, false).map_err(failed)?;
        // Not blocking: it may turn out to be a pipe to which nobody writes.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, *name, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(no_file(path));
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| StepError::passing(format!("reading {path}: {error}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(StepError::lasting(format!("{path} is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Puts a file in place, with the folders above it. Whoever looks sees the old file or the whole new one, also after a
    /// power loss. `key` names the unfinished file: a second attempt takes the place of the first. It blocks.
    pub(super) fn write(&self, path: &str, text: &str, key: &str) -> Result<(), StepError> {
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(StepError::lasting(format!("the text for {path} is larger than {FILE_BYTES_MAX} bytes")));
        }
        let (root, parts) = self.place(path, true)?;
        let (name, folders) = parts.split_last().ok_or_else(|| no_file(path))?;
        let failed = |error: Errno| trouble(path, "writing", error);
        let folder = descend(root, folders, true).map_err(failed)?;
        let unfinished = format!(".task-{:.16}.unfinished", hex(&Sha256::digest(key)));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let mut file = File::from(openat(&folder, &unfinished, flags, mode).map_err(failed)?);
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| Ok(renameat(&folder, &unfinished, &folder, *name)?));
        if let Err(error) = placed {
            // It would only take room.
            let _ = unlinkat(&folder, &unfinished, AtFlags::empty());
            return Err(StepError::passing(format!("writing {path}: {error}")));
        }
        rustix::fs::fsync(&folder).map_err(failed)
    }

    /// The folder, opened, below which a path is allowed, and the parts of the path from there.
    fn place<'p>(&self, path: &'p str, is_written: bool) -> Result<(OwnedFd, Vec<&'p OsStr>), StepError> {
        if path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0') {
            return Err(StepError::lasting("the path is empty, too long, or no path"));
        }
        let whole = Path::new(path);
        let (root, rest) = if whole.is_absolute() {
            let readable = self.read.iter().filter(|_| !is_written);
            let roots = [&self.files].into_iter().chain(&self.write).chain(readable);
            let of = |root: &PathBuf| {
                let root = std::path::absolute(root).ok()?;
                Some((root.clone(), whole.strip_prefix(root).ok()?))
            };
            let mut roots = roots.filter_map(of);
            roots.next().ok_or_else(|| outside(path, is_written))?
        } else {
            (self.files.clone(), whole)
        };
        let mut parts = Vec::new();
        for part in rest.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                _ => return Err(outside(path, is_written)),
            }
        }
        if is_written {
            std::fs::create_dir_all(&root)
                .map_err(|error| StepError::passing(format!("making the folder {}: {error}", root.display())))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(&root, flags, Mode::empty()).map_err(|error| trouble(path, "reaching", error))?;
        Ok((root, parts))
    }
}

/// Goes down, part by part; makes what is missing if it is to be written.
fn descend(mut folder: OwnedFd, parts: &[&OsStr], is_made: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for part in parts {
        if is_made {
            match mkdirat(&folder, *part, Mode::RWXU | Mode::RGRP | Mode::XGRP) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        folder = openat(&folder, *part, flags, Mode::empty())?;
    }
    Ok(folder)
}

fn no_file(path: &str) -> StepError {
    StepError::lasting(format!("{path} is no file"))
}

fn outside(path: &str, is_written: bool) -> StepError {
    let (what, key) = if is_written { ("write", "tasks.write") } else { ("read", "tasks.read") };
    StepError::lasting(format!("tasks may not {what} {path}: no folder of `tasks.files` or `{key}` holds it"))
}

fn trouble(path: &str, doing: &str, error: Errno) -> StepError {
    let message = match error {
        Errno::LOOP | Errno::NOTDIR => format!("{doing} {path}: a symbolic link or no folder stands on the way"),
        error => format!("{doing} {path}: {}", std::io::Error::from(error)),
    };
    StepError::passing(message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folders(dir: &Path) -> Folders {
        fs::create_dir_all(dir.join("logs")).unwrap();
        fs::write(dir.join("logs/app.log"), "line").unwrap();
        fs::write(dir.join("secret"), "hidden").unwrap();
        Folders { files: dir.join("files"), read: vec![dir.join("logs")], write: vec![dir.join("out")] }
    }

    #[test]
    fn a_file_is_written_whole_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        folders.write("reports/2026/a.md", "one", "run.step").unwrap();
        folders.write("reports/2026/a.md", "two", "run.step").unwrap();
        assert_eq!(folders.read("reports/2026/a.md").unwrap(), "two");
        let out = dir.path().join("out/b.txt");
        folders.write(out.to_str().unwrap(), "three", "k").unwrap();
        assert_eq!(fs::read_to_string(out).unwrap(), "three");
        let left: Vec<_> = fs::read_dir(dir.path().join("files/reports/2026")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing unfinished is left: {left:?}");
        assert_eq!(folders.read(dir.path().join("logs/app.log").to_str().unwrap()).unwrap(), "line");
    }

    #[test]
    fn nothing_leads_out_of_the_allowed_folders() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        folders.write("a", "x", "k").unwrap();
        let absolute = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        symlink(dir.path(), dir.path().join("files/up")).unwrap();
        symlink(dir.path().join("secret"), dir.path().join("files/link")).unwrap();
        let ways = ["../secret", "up/secret", "link", "a/../../secret", "", "/etc/passwd", "/"];
        for path in ways.map(str::to_owned).into_iter().chain([absolute("secret"), absolute("logs/../secret")]) {
            assert!(folders.read(&path).is_err(), "{path}");
        }
        for path in ["../new", "up/new", "/tmp/new-of-a-task", "."].map(str::to_owned) {
            assert!(folders.write(&path, "x", "k").is_err(), "{path}");
        }
        assert!(folders.write(&absolute("logs/new"), "x", "k").is_err(), "that folder is for reading");
        assert!(!dir.path().join("new").exists());
        // The name itself may be a link: it is replaced, not followed.
        folders.write("link", "mine", "k").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "hidden");
    }

    #[test]
    fn a_pipe_is_no_file_to_wait_for() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        fs::create_dir_all(&folders.files).unwrap();
        let pipe = folders.files.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(folders.read("pipe").is_err());
    }
}
