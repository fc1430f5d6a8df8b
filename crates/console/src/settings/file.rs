//! The configuration file: read with a version, and replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tollhouse_units::hex;

/// A file's text and what tells it from another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileText {
    pub(crate) text: String,
    /// Changes whenever the text does.
    pub(crate) version: String,
}

/// Why a file was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not the one that was read.
    #[error("the file was changed on the disk meanwhile")]
    Changed,
    /// The system does not allow it.
    #[error("{what} {path}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Names what was being done with a file.
fn doing(what: &'static str, path: &Path) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::System { what, path: path.to_owned(), source }
}

/// Reads a file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<FileText, FileError> {
    let failed = doing("reading", path);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)).map_err(&failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")));
    }
    let version = version(&bytes);
    let text =
        String::from_utf8(bytes).map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    Ok(FileText { text, version })
}

fn version(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..16])
}

/// Whether the file could be replaced; says why not.
pub(crate) fn check_writable(path: &Path) -> Result<(), FileError> {
    let path = real(path)?;
    // Opened, not only looked at: access lists, read-only mounts and capabilities have their say too.
    OpenOptions::new().write(true).open(&path).map_err(doing("writing", &path))?;
    let directory = parent(&path);
    let probe = beside(&path);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
    made.map_err(doing("making a file in", directory))?;
    fs::remove_file(&probe).map_err(doing("removing", &probe))
}

/// Puts `text` in the place of the file with this version, with the same mode and owner. Whoever reads it meanwhile finds either
/// text, never a part of one; after a crash too.
pub(crate) fn replace(path: &Path, version: &str, text: &str, bytes_max: u64) -> Result<FileText, FileError> {
    // A link goes on to lead to the file.
    let path = &real(path)?;
    let metadata = fs::metadata(path).map_err(doing("reading", path))?;
    OpenOptions::new().write(true).open(path).map_err(doing("writing", path))?;
    let new = beside(path);
    let written = write(&new, &metadata, text).and_then(|()| {
        // As late as possible: whoever edits the file at the same time is not overwritten.
        if read(path, bytes_max)?.version != version {
            return Err(FileError::Changed);
        }
        fs::rename(&new, path).map_err(doing("replacing", path))
    });
    if let Err(error) = written {
        let _: io::Result<()> = fs::remove_file(&new);
        return Err(error);
    }
    let directory = parent(path);
    File::open(directory).and_then(|file| file.sync_all()).map_err(doing("writing", directory))?;
    read(path, bytes_max)
}

fn write(new: &Path, like: &fs::Metadata, text: &str) -> Result<(), FileError> {
    let failed = doing("writing", new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new).map_err(&failed)?;
    let made = file.metadata().map_err(&failed)?;
    if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid())).map_err(doing("keeping the owner of", new))?;
    }
    file.set_permissions(Permissions::from_mode(like.mode() & 0o7777)).map_err(&failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(&failed)
}

fn real(path: &Path) -> Result<PathBuf, FileError> {
    fs::canonicalize(path).map_err(doing("reading", path))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A file that nothing else is called.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.{}.new", tollhouse_state::random_token(8)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MAX: u64 = 1024;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let before = read(&link, MAX).unwrap();
        check_writable(&link).unwrap();
        let after = replace(&link, &before.version, "two", MAX).unwrap();
        assert_eq!((after.text.as_str(), fs::read_to_string(&path).unwrap().as_str()), ("two", "two"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_became_another_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "one").unwrap();
        let before = read(&path, MAX).unwrap();
        fs::write(&path, "by hand").unwrap();
        assert!(matches!(replace(&path, &before.version, "two", MAX), Err(FileError::Changed)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "by hand");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace(&dir.path().join("none"), "", "two", MAX).is_err());
        fs::write(&path, vec![b'a'; MAX as usize + 1]).unwrap();
        assert!(read(&path, MAX).unwrap_err().to_string().contains("too large"));
    }
}
