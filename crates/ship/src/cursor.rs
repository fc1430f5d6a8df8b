//! How far a destination has come: one small file, written after what it tells of was acknowledged.
//!
//! ```text
//! <dir>/<name>.json        the cursor
//! <dir>/<name>.json.new    one being written; the rename makes it the cursor
//! ```
//!
//! Invariant: all records before `next` were delivered, refused with a dead letter, or told as missed. After a crash the
//! cursor may be older than that, never newer; what is then sent again has the same ids and is there once.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollhouse_journal::Position;

use crate::error::ShipError;

/// Bytes of a line's hash that the chain carries.
const HASH_BYTES: usize = 16;
/// `"prev":"` before the hash, which is the last value of a line.
const PREV: &[u8] = b"\"prev\":\"";

/// How far a destination has come, and how it was when that was written.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cursor {
    /// Where the next record begins; absent before the first one.
    pub next: Option<Position>,
    /// Hash of the record before, as the next one carries it: it tells another journal of the same name apart.
    pub after: String,
    /// Documents that are there.
    pub delivered: u64,
    /// Documents that the cluster refused.
    pub dead_letters: u64,
    /// Records that were gone from the journal before they were shipped.
    pub missed: u64,
    /// How the destination was.
    pub state: String,
    /// What it said last that was no success.
    pub last_error: Option<String>,
    /// When this was written, in milliseconds since 1970.
    pub saved_ms: i64,
}

impl Cursor {
    /// Before the first record.
    pub(crate) fn start() -> Self {
        Self {
            next: None,
            after: String::new(),
            delivered: 0,
            dead_letters: 0,
            missed: 0,
            state: "starting".to_owned(),
            last_error: None,
            saved_ms: 0,
        }
    }

    /// The file of a destination's cursor.
    pub fn path(dir: &Path, name: &str) -> PathBuf {
        dir.join(format!("{name}.json"))
    }

    /// Reads a cursor; nothing when none was written yet. Blocks.
    pub fn load(path: &Path) -> Result<Option<Self>, ShipError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ShipError::cursor("reading", path)(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| ShipError::cursor("reading", path)(error.into()))
    }

    /// Writes it, whole or not at all, and on the disk. Blocks.
    pub(crate) fn save(&self, path: &Path) -> Result<(), ShipError> {
        let failed = || ShipError::cursor("writing", path);
        let dir = path.parent().unwrap_or(Path::new("."));
        let json = serde_json::to_vec(self).map_err(|error| failed()(error.into()))?;
        fs::create_dir_all(dir).and_then(|()| tollhouse_files::replace(path, &json, 0o640)).map_err(failed())
    }

    /// `seq` of the next record.
    pub fn next_seq(&self) -> u64 {
        self.next.as_ref().map_or(1, |next| next.seq)
    }
}

/// The hash of a line, in the form in which the next one carries it.
pub(crate) fn hash(line: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(line);
    let digits = digest.iter().take(HASH_BYTES).flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The hash that a line carries of the one before it.
pub(crate) fn hash_before(line: &[u8]) -> Option<&str> {
    let rest = line.strip_suffix(b"\"}")?;
    let at = rest.len().checked_sub(2 * HASH_BYTES)?;
    rest[..at].ends_with(PREV).then(|| std::str::from_utf8(&rest[at..]).ok())?
}

/// The id of a record's document: its number for people, and its hash, which no other record of any journal has. So the
/// same record has the same id whenever and from wherever it is sent.
pub(crate) fn document_id(seq: u64, hash: &str) -> String {
    format!("{seq}-{}", &hash[..HASH_BYTES])
}

#[cfg(test)]
mod tests {
    use tollhouse_journal::{Journal, Level, Opened, Options, Reader, Record};

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = Cursor::path(&dir.path().join("ship"), "es");
        assert_eq!(Cursor::load(&path).unwrap(), None);
        let next = Position { file: "gateway.log".to_owned(), offset: 77, seq: 9 };
        let cursor = Cursor { next: Some(next), after: "ab".repeat(16), delivered: 8, ..Cursor::start() };
        for _ in 0..2 {
            cursor.save(&path).unwrap();
            assert_eq!(Cursor::load(&path).unwrap().as_ref(), Some(&cursor));
        }
        assert_eq!((cursor.next_seq(), Cursor::start().next_seq()), (9, 1));
        fs::write(&path, "{").unwrap();
        assert!(Cursor::load(&path).unwrap_err().to_string().starts_with("reading the cursor "));
    }

    #[tokio::test]
    async fn hashes_are_those_of_the_chain() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateway.log");
        let Opened { journal, writer, .. } = Journal::open(Options::new(&file, "s")).unwrap();
        for msg in ["one", "two", "three"] {
            journal.append(Record::new("log", Level::Info, msg).field("prev", "x")).await.unwrap();
        }
        tokio::task::spawn_blocking(move || writer.close()).await.unwrap().unwrap();
        let mut lines = Vec::new();
        Reader::open(&file, None).unwrap().next_batch(10, &mut lines).unwrap();
        for pair in lines.windows(2) {
            assert_eq!(hash_before(&pair[1].bytes), Some(hash(&pair[0].bytes).as_str()));
        }
        assert_eq!(hash_before(b"{}"), None);
        assert_eq!(hash_before(b"\"}"), None);
        assert_eq!(document_id(7, &"0123456789abcdef".repeat(2)), "7-0123456789abcdef");
    }
}
