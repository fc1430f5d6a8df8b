//! Small files that are replaced as a whole: whoever reads one finds the old bytes or the new ones, after a crash too.
//!
//! [`replace`] writes beside the file, waits until that is on the disk, renames it into place, and waits until the folder knows
//! it. That is the only order in which a loss of power leaves one of the two (rename(2), fsync(2)).
//!
//! What this crate never does: make folders, keep what is written for later, or let two write the same file at once. Whoever
//! has several writers gives them a lock.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("cursor.json");
//! tollhouse_files::replace(&file, b"{}", 0o600)?;
//! assert_eq!(std::fs::read(&file)?, b"{}");
//! # Ok(())
//! # }
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the name of the unfinished file ends with.
const UNFINISHED: &str = ".new";

/// Puts `bytes` in the place of the file at `path`, or makes it, with the rights of `mode` less what the process's umask takes
/// away. Its folder has to be there. It blocks, for as long as the disk takes.
///
/// # Errors
/// What the system says. The file is as it was before then, and nothing is left beside it, unless the file is in its place already
/// and only its folder could not be synced.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let unfinished = beside(path)?;
    // Of a process that was killed, perhaps; opened as it is, it would keep its own rights, or be a link to another place.
    remove(&unfinished)?;
    let written = write(&unfinished, bytes, mode).and_then(|()| fs::rename(&unfinished, path));
    if let Err(error) = written {
        // It would only take room; why it could not be written is what is told.
        let _: io::Result<()> = remove(&unfinished);
        return Err(error);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut name =
        path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no file's name"))?.to_owned();
    name.push(UNFINISHED);
    Ok(path.with_file_name(name))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_with_its_rights_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        for text in ["first", "second, which is longer", ""] {
            replace(&file, text.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn whoever_has_it_open_goes_on_to_read_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        replace(&file, b"old", 0o600).unwrap();
        let old = File::open(&file).unwrap();
        replace(&file, b"new", 0o600).unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), "old");
    }

    #[test]
    fn what_a_killed_writer_has_left_is_in_nobodys_way_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a"), folder.path().join("other"));
        fs::write(&other, "other").unwrap();
        symlink(&other, folder.path().join("a.new")).unwrap();
        replace(&file, b"whole", 0o640).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert_eq!(names(folder.path()), ["a", "other"]);
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
    }

    #[test]
    fn where_it_fails_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        replace(&file, b"old", 0o600).unwrap();
        // In its way: nobody removes a folder as if it was a file.
        fs::create_dir(folder.path().join("a.new")).unwrap();
        assert!(replace(&file, b"new", 0o600).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        // A folder cannot be replaced by a file: what was written for it is taken away.
        let place = folder.path().join("place");
        fs::create_dir(&place).unwrap();
        assert!(replace(&place, b"new", 0o600).is_err());
        assert_eq!(names(folder.path()), ["a", "a.new", "place"]);
        assert!(replace(&folder.path().join("none/a"), b"new", 0o600).is_err(), "folders are made by others");
        assert!(replace(Path::new("/"), b"new", 0o600).is_err());
    }
}
