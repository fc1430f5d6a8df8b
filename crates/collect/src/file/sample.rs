//! A look at what patterns mean now, and at the first lines of it, that leaves no trace: nothing is remembered, nothing written.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::content::Content;
use super::known::Seen;
use super::pattern::{Meant, Pattern};
use super::watch::Watch;
use crate::formats;

/// Bytes at the beginning of a file in which lines are looked for.
const SAMPLE_BYTES: usize = 256 << 10;

/// What patterns mean at this moment.
#[derive(Debug)]
pub struct Sight {
    /// Files that are meant themselves, then those that rotation made of such.
    pub files: Vec<Sighted>,
    /// Directories and files that cannot be looked at, with the reason.
    pub troubles: Vec<(PathBuf, String)>,
}

/// A file that is meant.
#[derive(Debug)]
pub struct Sighted {
    seen: Seen,
}

impl Sight {
    /// Looks. Blocks.
    pub fn of(patterns: Vec<Pattern>) -> Self {
        let look = Watch::new(patterns).look(Duration::ZERO, true);
        let files = look.seen.into_iter().map(|seen| Sighted { seen }).collect();
        Self { files, troubles: look.troubles.into_iter().collect() }
    }
}

impl Sighted {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.seen.path
    }

    /// Whether it is meant only as what rotation made of a file.
    pub fn is_rotated(&self) -> bool {
        self.seen.meant == Meant::Rotated
    }

    /// Its first lines, at most so many; packed ones are unpacked. A line that goes beyond the bytes that are looked at is left
    /// out. Blocks.
    pub fn first_lines(&self, count: usize) -> io::Result<Vec<String>> {
        let mut bytes = vec![0; SAMPLE_BYTES];
        let mut content = Content::open(&self.seen)?;
        let mut length = 0;
        while length < bytes.len() {
            match content.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        let is_whole = length < bytes.len();
        let mut lines: Vec<&[u8]> = bytes[..length].split(|byte| *byte == b'\n').collect();
        // What stands behind the last line end: nothing, or a line without one.
        let last = lines.pop().filter(|last| is_whole && !last.is_empty());
        let lines = lines.into_iter().chain(last).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let lines = lines.filter(|line| !line.is_empty()).take(count);
        Ok(lines.map(|line| formats::text(line).0.into_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_seen_with_their_first_lines() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        fs::write(dir.join("app.log"), "one\r\n\ntwo\nthr").unwrap();
        fs::write(dir.join("app.log.1.zst"), zstd::encode_all(&b"packed\nlines\n"[..], 1).unwrap()).unwrap();
        fs::write(dir.join("long.log"), format!("short\n{}", "x".repeat(SAMPLE_BYTES))).unwrap();
        let pattern = |name: &str| Pattern::new(&dir.join(name).to_string_lossy()).unwrap();
        let sight = Sight::of(vec![pattern("*.log"), pattern("missing/*.log")]);
        let seen: Vec<(String, bool, Vec<String>)> = sight
            .files
            .iter()
            .map(|file| {
                let name = file.path().file_name().unwrap().to_string_lossy().into_owned();
                (name, file.is_rotated(), file.first_lines(2).unwrap())
            })
            .collect();
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("app.log".to_owned(), false, lines(&["one", "two"])),
                ("long.log".to_owned(), false, lines(&["short"])),
                ("app.log.1.zst".to_owned(), true, lines(&["packed", "lines"])),
            ]
        );
        assert_eq!(sight.files[0].first_lines(9).unwrap(), ["one", "two", "thr"]);
        assert_eq!(sight.troubles, [(dir.join("missing"), "it does not exist".to_owned())]);
    }
}
