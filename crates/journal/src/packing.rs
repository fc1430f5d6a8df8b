//! The compressed forms of closed files: stretches that can be unpacked one by one, and a table of them at the end.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use crate::stretches::Table;

/// Zstandard's own default: about a tenth of the size at several hundred MB/s.
const ZSTD_LEVEL: i32 = 3;
/// gzip's own default: about as small, at a tenth of that speed.
const GZIP_LEVEL: u32 = 6;

/// How closed files are compressed. All forms are read, whichever one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// With Zstandard (RFC 8878), frames with checksums.
    Zstd,
    /// With gzip (RFC 1952), which every other program reads.
    Gzip,
}

impl Packing {
    /// All forms.
    pub(crate) const ALL: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// What names of such files have behind that of the plain one.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// The name without the ending, and which form that tells.
    pub(crate) fn split(name: &str) -> (&str, Option<Self>) {
        let packed = |packing: Self| Some((name.strip_suffix(packing.ending())?, Some(packing)));
        Self::ALL.into_iter().find_map(packed).unwrap_or((name, None))
    }

    /// Reads such a file from this byte on, at which a stretch begins.
    pub(crate) fn unpack(self, file: Arc<File>, from: u64) -> io::Result<Unpacker> {
        let packed = From { file, at: from };
        Ok(match self {
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(packed)?),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(packed))),
        })
    }

    /// One stretch, packed.
    fn stretch(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                compressor.include_checksum(true)?;
                compressor.compress(plain)
            }
            Self::Gzip => {
                let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(GZIP_LEVEL));
                encoder.write_all(plain)?;
                encoder.finish()
            }
        }
    }
}

/// What reads a compressed file.
pub(crate) type Unpacker = Box<dyn Read + Send + Sync>;

/// The bytes of a file from one on; several may read the same file.
struct From {
    file: Arc<File>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// What writes a compressed file.
pub(crate) struct Packer {
    packing: Packing,
    output: File,
    table: Table,
}

impl Packer {
    pub(crate) fn new(packing: Packing, output: File) -> Self {
        Self { packing, output, table: Table::default() }
    }

    /// Adds a stretch, which begins where a line does.
    pub(crate) fn add(&mut self, plain: &[u8]) -> io::Result<()> {
        let packed = self.packing.stretch(plain)?;
        self.output.write_all(&packed)?;
        self.table.add(packed.len(), plain.len());
        Ok(())
    }

    /// Writes what is left, and gives the file back.
    pub(crate) fn finish(mut self) -> io::Result<File> {
        self.output.write_all(&self.table.packed(self.packing)?)?;
        Ok(self.output)
    }
}
