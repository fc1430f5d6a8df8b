//! Where the reading of each file has come to, in the form in which it is kept beside the lines.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rotated::Packing;

/// Bytes of a file's beginning that tell it from others.
pub(crate) const HEAD_BYTES: usize = 1024;
/// Most bytes before a position that are compared to see whether the file is still the one that was read.
pub(crate) const TAIL_BYTES: usize = 256;

/// The number of a file within its source. It is never given twice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FileId(pub u64);

/// Where the line after a given line begins. Stored in the same record as the line, it makes the reading exactly once.
///
/// Serialised as `[file, end, length, check, cut]`, the last only when it is 1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Mark {
    /// The file of the line.
    pub file: FileId,
    /// Offset behind the line and its line end, in bytes of the unpacked file.
    pub end: u64,
    /// What stands before `end`.
    pub tail: BytesBefore,
    /// The line was longer than a line may be, and what follows `end` up to a line end is its rest, to be skipped.
    pub is_cut: bool,
}

/// The last bytes before a position, by length and CRC-32: a file that has others there is another file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct BytesBefore {
    /// How many bytes, at most 256.
    pub length: u32,
    /// Their CRC-32.
    pub check: u32,
}

impl BytesBefore {
    /// Of the last bytes of `before`.
    pub(crate) fn of(before: &[u8]) -> Self {
        let last = &before[before.len().saturating_sub(TAIL_BYTES)..];
        Self { length: last.len() as u32, check: crc32fast::hash(last) }
    }
}

/// The first bytes of a file, by hashes. It grows with the file up to 1024 bytes.
///
/// There is a hash of each power of two of them from 16 on, so that a copy made when the file was shorter is known too. The
/// bytes themselves are not kept: they may be what somebody wants erased.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// How many bytes; 0 says nothing about the file.
    pub length: u32,
    /// The first eight bytes of the SHA-256 of the first 16, 32, 64, … and last of all `length` bytes.
    pub hashes: Vec<u64>,
}

impl Head {
    /// Of these first bytes, as far as they count.
    pub(crate) fn of(first: &[u8]) -> Self {
        let first = &first[..first.len().min(HEAD_BYTES)];
        let hashes = Self::lengths(first.len()).map(|length| hash(&first[..length])).collect();
        Self { length: first.len() as u32, hashes }
    }

    /// How many first bytes are known to be those that this head was made of; 0 when they are others, or too few to know.
    pub(crate) fn proof(&self, first: &mut First<'_>) -> usize {
        let lengths = Self::lengths(self.length as usize).zip(&self.hashes);
        let longest = lengths.take_while(|(length, _)| *length <= first.bytes.len()).last();
        longest.filter(|(length, hash)| first.hash(*length) == **hash).map_or(0, |(length, _)| length)
    }

    /// The lengths that are hashed of a head of this length.
    fn lengths(length: usize) -> impl Iterator<Item = usize> {
        let powers = (4..).map(|power| 1_usize << power).take_while(move |power| *power < length);
        powers.chain((length > 0).then_some(length))
    }
}

/// First bytes that are compared with many heads: each length of them is hashed once.
pub(crate) struct First<'a> {
    pub(crate) bytes: &'a [u8],
    hashes: HashMap<usize, u64>,
}

impl<'a> First<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, hashes: HashMap::new() }
    }

    fn hash(&mut self, length: usize) -> u64 {
        *self.hashes.entry(length).or_insert_with(|| hash(&self.bytes[..length]))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// What is known of a file: stored when it is first seen, when it gets another name or form and when its head grows. Its
/// numbers take all of their 64 bits: where numbers are rounded it is stored as text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FileNote {
    /// Its number.
    pub id: FileId,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// When the inode came to be, in nanoseconds since 1970; 0 where the file system does not tell.
    #[serde(default)]
    pub born_ns: u64,
    /// Its beginning, unpacked.
    pub head: Head,
    /// Where it was last seen.
    pub path: PathBuf,
    /// How it is packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packing: Option<Packing>,
    /// Nothing in it will be read any more; for packed files, whose size does not say so.
    #[serde(default)]
    pub is_done: bool,
    /// Offset of the next line, in bytes of the unpacked file.
    pub read: u64,
    /// What stands before `read`.
    pub tail: BytesBefore,
    /// See [`Mark::is_cut`].
    #[serde(default)]
    pub is_cut: bool,
}

/// A change of what is known, to be stored before the lines it comes with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The source has been looked at for the first time: files that appear from now on are new.
    Begun,
    /// A file, or a newer state of one.
    File(FileNote),
    /// A file that can be forgotten.
    Forgotten(FileId),
}

/// All positions of one source: what a reader starts from. Folded from the notes and marks that were stored.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Positions {
    /// Whether the source was looked at before.
    pub(crate) is_begun: bool,
    /// Number of the next file.
    pub(crate) next: u64,
    #[serde(with = "as_list")]
    pub(crate) files: BTreeMap<FileId, FileNote>,
}

impl Positions {
    /// Before a source was ever looked at.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a stored note in, in the order in which they were stored.
    pub fn apply(&mut self, note: &Note) {
        match note {
            Note::Begun => self.is_begun = true,
            Note::File(file) => {
                self.next = self.next.max(file.id.0 + 1);
                self.files.insert(file.id, file.clone());
            }
            Note::Forgotten(id) => {
                self.files.remove(id);
            }
        }
    }

    /// Takes the mark of a stored line in, in the order in which they were stored.
    pub fn advance(&mut self, mark: &Mark) {
        if let Some(file) = self.files.get_mut(&mark.file) {
            (file.read, file.tail, file.is_cut) = (mark.end, mark.tail, mark.is_cut);
        }
    }

    /// The files that are known.
    pub fn files(&self) -> impl Iterator<Item = &FileNote> {
        self.files.values()
    }
}

/// The compact form of a mark.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Packed {
    Whole(u64, u64, u32, u32),
    Cut(u64, u64, u32, u32, u8),
}

impl From<Mark> for Packed {
    fn from(mark: Mark) -> Self {
        let (id, BytesBefore { length, check }) = (mark.file.0, mark.tail);
        if mark.is_cut { Self::Cut(id, mark.end, length, check, 1) } else { Self::Whole(id, mark.end, length, check) }
    }
}

impl From<Packed> for Mark {
    fn from(packed: Packed) -> Self {
        let (id, end, length, check, cut) = match packed {
            Packed::Whole(id, end, length, check) => (id, end, length, check, 0),
            Packed::Cut(id, end, length, check, cut) => (id, end, length, check, cut),
        };
        Self { file: FileId(id), end, tail: BytesBefore { length, check }, is_cut: cut != 0 }
    }
}

/// Files as a list: each one knows its number.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{FileId, FileNote};

    pub(super) fn serialize<S: Serializer>(files: &BTreeMap<FileId, FileNote>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(files.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<FileId, FileNote>, D::Error> {
        let files = Vec::<FileNote>::deserialize(input)?;
        Ok(files.into_iter().map(|file| (file.id, file)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(id: u64) -> FileNote {
        let (head, tail) = (Head::of(b"first"), BytesBefore::default());
        let path = PathBuf::from("/var/log/app.log");
        let id = FileId(id);
        FileNote {
            id,
            device: 1,
            inode: 2,
            born_ns: 3,
            head,
            path,
            packing: None,
            is_done: false,
            read: 0,
            tail,
            is_cut: false,
        }
    }

    #[test]
    fn positions_are_what_was_stored() {
        let mut positions = Positions::new();
        let mark = Mark { file: FileId(7), end: 42, tail: BytesBefore::of(b"last line\n"), is_cut: false };
        positions.apply(&Note::Begun);
        positions.apply(&Note::File(note(7)));
        positions.advance(&mark);
        positions.advance(&Mark { file: FileId(9), ..mark });
        assert_eq!(positions.files().map(|file| (file.id.0, file.read)).collect::<Vec<_>>(), [(7, 42)]);

        let text = serde_json::to_string(&positions).unwrap();
        assert_eq!(serde_json::from_str::<Positions>(&text).unwrap(), positions);
        positions.apply(&Note::Forgotten(FileId(7)));
        assert_eq!((positions.files().count(), positions.next), (0, 8));
    }

    #[test]
    fn a_head_proves_what_is_there() {
        let bytes: Vec<u8> = (0..2000_u32).flat_map(u32::to_be_bytes).collect();
        let proof = |head: usize, first: &[u8]| Head::of(&bytes[..head]).proof(&mut First::new(first));
        for (head, first, wanted) in [
            (5000, 5000, 1024),
            (1024, 700, 512),
            (700, 700, 700),
            (700, 1024, 700),
            (700, 699, 512),
            (10, 9, 0),
            (20, 19, 16),
            (0, 9, 0),
        ] {
            assert_eq!(proof(head, &bytes[..first]), wanted, "{head} {first}");
        }
        let mut others = bytes.clone();
        others[600] = 7;
        assert_eq!((proof(1024, &others), proof(1024, &others[..600])), (0, 512));
    }

    #[test]
    fn a_mark_is_a_short_list() {
        let mark = Mark { file: FileId(7), end: 42, tail: BytesBefore { length: 5, check: 9 }, is_cut: false };
        for (mark, text) in [(mark, "[7,42,5,9]"), (Mark { is_cut: true, ..mark }, "[7,42,5,9,1]")] {
            assert_eq!(serde_json::to_string(&mark).unwrap(), text);
            assert_eq!(serde_json::from_str::<Mark>(text).unwrap(), mark);
        }
    }
}
