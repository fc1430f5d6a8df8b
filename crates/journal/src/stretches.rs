//! The table of a compressed file: where its stretches begin, so that a line is found without unpacking all before it.
//!
//! ```text
//! .log.zst    frame, frame, …, skippable frame (magic 0x184D2A5E, length) of the table
//! .log.gz     member, member, …, an empty member with the table as its subfield "TH" of extra data
//!
//! table       for each stretch: packed bytes u32, plain bytes u32; then the number of stretches u32, 0 u8, 0x8F92EAB1 u32
//! ```
//!
//! All numbers are little-endian. For Zstandard this is its "seekable format" (contrib/seekable_format of its repository, without
//! checksums); for gzip it is ours. Both are read from their start by every program that reads files of several frames or members.
//!
//! A stretch is about [`STRETCH_BYTES`] long and begins where a line does. The table is believed when its sizes add up to that
//! of the file; a file without one, as they were written before there were tables, is read from its start.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::{Compression, GzBuilder};

use crate::line::{self, LINE_BYTES_MAX};
use crate::packing::Packing;

/// Plain bytes of a stretch, up to the end of a line; more in files for which a table would be too large for gzip.
const STRETCH_BYTES: u64 = if cfg!(test) { 4 << 10 } else { 2 << 20 };
/// Stretches that a table of gzip has room for, since its extra data has at most 65,535 bytes.
const GZIP_STRETCHES_MAX: u64 = 8_000;
/// Most stretches that are read of a table, so that a damaged one asks for no memory.
const STRETCHES_MAX: usize = 1 << 20;
/// Bytes of a stretch in the table, and of what ends the table.
const ROW_BYTES: usize = 8;
const FOOTER_BYTES: usize = 9;
const FOOTER_MAGIC: [u8; 4] = 0x8F92_EAB1_u32.to_le_bytes();
/// Zstandard: what begins a skippable frame; its length follows.
const SKIPPABLE_MAGIC: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();
const SKIPPABLE_HEAD_BYTES: usize = 8;
/// gzip: name and length before the table in the extra data, and the empty data, checksum and size behind it.
const SUBFIELD: &[u8; 2] = b"TH";
const SUBFIELD_HEAD_BYTES: usize = 4;
const MEMBER_HEAD_BYTES: usize = 12;
const EMPTY_DATA: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// How long the stretches of a file of this length are.
pub(crate) fn stretch_bytes(file_bytes: u64) -> usize {
    STRETCH_BYTES.max(file_bytes / GZIP_STRETCHES_MAX + 1) as usize
}

/// The stretches of a file, while it is written or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Packed and plain bytes of each.
    rows: Vec<(u32, u32)>,
    /// One was too long to be told.
    is_broken: bool,
}

/// Where a stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Among the bytes of the file.
    pub(crate) packed: u64,
    /// Among those that it is the compressed form of.
    pub(crate) plain: u64,
}

impl Table {
    /// Adds a stretch.
    pub(crate) fn add(&mut self, packed: usize, plain: usize) {
        match (u32::try_from(packed), u32::try_from(plain)) {
            (Ok(packed), Ok(plain)) => self.rows.push((packed, plain)),
            _ => self.is_broken = true,
        }
    }

    /// What stands at the end of the file; nothing where there is no room for it.
    pub(crate) fn packed(&self, packing: Packing) -> io::Result<Vec<u8>> {
        if self.is_broken || self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut bytes = Vec::with_capacity(self.rows.len() * ROW_BYTES + FOOTER_BYTES + 32);
        match packing {
            Packing::Zstd => bytes.extend([SKIPPABLE_MAGIC, length_of(self.rows.len())?].concat()),
            Packing::Gzip => {
                let Ok(length) = u16::try_from(self.bytes()) else { return Ok(Vec::new()) };
                bytes.extend(SUBFIELD);
                bytes.extend(length.to_le_bytes());
            }
        }
        for (packed, plain) in &self.rows {
            bytes.extend(packed.to_le_bytes());
            bytes.extend(plain.to_le_bytes());
        }
        bytes.extend((self.rows.len() as u32).to_le_bytes());
        bytes.push(0);
        bytes.extend(FOOTER_MAGIC);
        match packing {
            Packing::Zstd => Ok(bytes),
            Packing::Gzip => GzBuilder::new().extra(bytes).write(Vec::new(), Compression::default()).finish(),
        }
    }

    /// The table of a file; nothing when it has none that fits.
    pub(crate) fn of(file: &File, packing: Packing) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let behind = match packing {
            Packing::Zstd => 0,
            Packing::Gzip => EMPTY_DATA.len(),
        };
        let mut footer = [0; FOOTER_BYTES];
        let Some(at) = length.checked_sub((FOOTER_BYTES + behind) as u64) else { return Ok(None) };
        file.read_exact_at(&mut footer, at)?;
        let [a, b, c, d, 0, magic @ ..] = footer else { return Ok(None) };
        let count = u32::from_le_bytes([a, b, c, d]) as usize;
        if magic != FOOTER_MAGIC || count > STRETCHES_MAX {
            return Ok(None);
        }
        let Some(begin) = at.checked_sub((count * ROW_BYTES) as u64) else { return Ok(None) };
        let mut bytes = vec![0; count * ROW_BYTES];
        file.read_exact_at(&mut bytes, begin)?;
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        let rows = bytes.chunks_exact(ROW_BYTES).map(|row| (number(&row[..4]), number(&row[4..]))).collect();
        let table = Self { rows, is_broken: false };
        let head = match packing {
            Packing::Zstd => SKIPPABLE_HEAD_BYTES,
            Packing::Gzip => MEMBER_HEAD_BYTES + SUBFIELD_HEAD_BYTES,
        };
        let stretches: u64 = table.rows.iter().map(|(packed, _)| u64::from(*packed)).sum();
        Ok((stretches + head as u64 == begin).then_some(table))
    }

    /// Where the stretch begins that has this byte of the plain file.
    pub(crate) fn holding(&self, offset: u64) -> Option<Begin> {
        let mut begin = Begin { packed: 0, plain: 0 };
        for (packed, plain) in &self.rows {
            if offset < begin.plain + u64::from(*plain) {
                return Some(begin);
            }
            begin.packed += u64::from(*packed);
            begin.plain += u64::from(*plain);
        }
        None
    }

    /// Where the last stretch begins whose first line is the line of this `seq`, or one before it, and the `seq` of that line; nothing
    /// when none can be told to be.
    pub(crate) fn shortly_before(
        &self,
        file: &Arc<File>,
        packing: Packing,
        seq: u64,
    ) -> io::Result<Option<(Begin, u64)>> {
        let begins: Vec<Begin> = self
            .rows
            .iter()
            .scan(Begin { packed: 0, plain: 0 }, |next, (packed, plain)| {
                let begin = *next;
                *next = Begin { packed: next.packed + u64::from(*packed), plain: next.plain + u64::from(*plain) };
                Some(begin)
            })
            .collect();
        let (mut low, mut high, mut before) = (0, begins.len(), None);
        while low < high {
            let middle = low + (high - low) / 2;
            match first_seq(file, packing, begins[middle])? {
                Some(found) if found <= seq => {
                    before = Some((begins[middle], found));
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        Ok(before)
    }

    /// Of the table itself.
    fn bytes(&self) -> usize {
        self.rows.len() * ROW_BYTES + FOOTER_BYTES
    }
}

/// Length of a table of so many rows, as a skippable frame says it.
fn length_of(rows: usize) -> io::Result<[u8; 4]> {
    u32::try_from(rows * ROW_BYTES + FOOTER_BYTES).map(u32::to_le_bytes).map_err(io::Error::other)
}

/// The `seq` of the first line of a stretch; nothing when that line is damaged.
fn first_seq(file: &Arc<File>, packing: Packing, begin: Begin) -> io::Result<Option<u64>> {
    let mut unpacked = packing.unpack(file.clone(), begin.packed)?.take(LINE_BYTES_MAX as u64 + 1);
    let (mut bytes, mut piece) = (Vec::new(), [0; 4 << 10]);
    loop {
        let count = match unpacked.read(&mut piece) {
            Ok(0) | Err(_) => return Ok(None),
            Ok(count) => count,
        };
        let end = memchr::memchr(b'\n', &piece[..count]);
        bytes.extend_from_slice(&piece[..end.unwrap_or(count)]);
        if end.is_some() {
            return Ok(line::ends(&bytes).map(|(seq, _)| seq));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::line::{Form, Head};
    use crate::packing::Packer;
    use crate::{Level, Record};

    /// Lines from number 1 on, and where each begins.
    fn lines(count: usize) -> (Vec<u8>, Vec<usize>) {
        let mut form = Form::new("house", &serde_json::Map::new()).unwrap();
        let (mut head, mut bytes, mut begins) = (Head::START, Vec::new(), Vec::new());
        for number in 0..count {
            begins.push(bytes.len());
            let record = Record::new("log", Level::Info, "x".repeat(number % 300));
            form.write(&mut bytes, &record, &mut head, 0);
        }
        (bytes, begins)
    }

    fn pack(packing: Packing, stretches: &[&[u8]]) -> Arc<File> {
        let mut packer = Packer::new(packing, tempfile::tempfile().unwrap());
        for stretch in stretches {
            packer.add(stretch).unwrap();
        }
        Arc::new(packer.finish().unwrap())
    }

    fn unpacked(packing: Packing, file: &Arc<File>, from: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        packing.unpack(file.clone(), from).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_line_is_found_from_its_stretch_on(count in 1_usize..200, per in 1_usize..40) {
            let (plain, begins) = lines(count);
            let cuts: Vec<usize> = begins.iter().copied().step_by(per).chain([plain.len()]).collect();
            let stretches: Vec<&[u8]> = cuts.windows(2).map(|cut| &plain[cut[0]..cut[1]]).collect();
            for packing in Packing::ALL {
                let file = pack(packing, &stretches);
                prop_assert_eq!(&unpacked(packing, &file, 0), &plain);
                let table = Table::of(&file, packing).unwrap().unwrap();
                for (at, begin) in begins.iter().enumerate() {
                    let stretch = at / per * per;
                    let found = table.holding(*begin as u64).unwrap();
                    prop_assert_eq!(found.plain, begins[stretch] as u64);
                    prop_assert_eq!(&unpacked(packing, &file, found.packed), &plain[begins[stretch]..]);
                    let before = table.shortly_before(&file, packing, at as u64 + 1).unwrap();
                    prop_assert_eq!(before, Some((found, stretch as u64 + 1)));
                }
                prop_assert_eq!(table.holding(plain.len() as u64), None);
                prop_assert_eq!(table.shortly_before(&file, packing, 0).unwrap(), None);
            }
        }

        #[test]
        fn a_file_of_any_bytes_has_no_table_that_misleads(mut bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0_u32..9) {
            bytes.extend(count.to_le_bytes());
            bytes.push(0);
            bytes.extend(FOOTER_MAGIC);
            for packing in Packing::ALL {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                if packing == Packing::Gzip {
                    file.write_all(&EMPTY_DATA).unwrap();
                }
                let length = file.metadata().unwrap().len();
                let file = Arc::new(file);
                if let Some(table) = Table::of(&file, packing).unwrap() {
                    prop_assert!(table.rows.iter().map(|(packed, _)| u64::from(*packed)).sum::<u64>() < length);
                    let _ = table.shortly_before(&file, packing, 7);
                }
            }
        }
    }

    #[test]
    fn files_of_before_have_no_table() {
        let (plain, _) = lines(50);
        let zstd = zstd::stream::encode_all(plain.as_slice(), 3).unwrap();
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
        gzip.write_all(&plain).unwrap();
        for (packing, bytes) in [(Packing::Zstd, zstd), (Packing::Gzip, gzip.finish().unwrap())] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let file = Arc::new(file);
            assert_eq!(Table::of(&file, packing).unwrap(), None);
            assert_eq!(unpacked(packing, &file, 0), plain);
        }
    }

    #[test]
    fn large_files_have_longer_stretches() {
        assert_eq!(stretch_bytes(0) as u64, STRETCH_BYTES);
        for length in [1_u64 << 30, 100 << 30] {
            assert!(length / stretch_bytes(length) as u64 <= GZIP_STRETCHES_MAX);
        }
    }
}
