//! The compressed forms of closed files.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Zstandard's own default: about a tenth of the size at several hundred MB/s.
const ZSTD_LEVEL: i32 = 3;
/// gzip's own default: about as small, at a tenth of that speed.
const GZIP_LEVEL: u32 = 6;

/// How closed files are compressed. All forms are read, whichever one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// With Zstandard (RFC 8878), one frame with a checksum.
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

    /// Reads such a file.
    pub(crate) fn unpack(self, file: File) -> io::Result<Unpacker> {
        Ok(match self {
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        })
    }

    /// Writes such a file.
    pub(crate) fn pack(self, file: File) -> io::Result<Packer> {
        Ok(match self {
            Self::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
            Self::Gzip => Packer::Gzip(GzEncoder::new(file, Compression::new(GZIP_LEVEL))),
        })
    }
}

/// What reads a compressed file.
pub(crate) type Unpacker = Box<dyn Read + Send + Sync>;

/// What writes a compressed file.
pub(crate) enum Packer {
    Zstd(zstd::stream::write::Encoder<'static, File>),
    Gzip(GzEncoder<File>),
}

impl Packer {
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// Writes what is left, and gives the file back.
    pub(crate) fn finish(self) -> io::Result<File> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}
