//! Bytes of a file at an offset, whether it is packed or not.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use rustix::fs::OFlags;

use super::known::{Seen, Stat};
use super::positions::HEAD_BYTES;
use super::rotated::Packing;

/// Unpacked bytes that are kept, so that the beginning of a line can be had again: more than the longest line.
const WINDOW_BYTES: usize = 2 << 20;
/// Unpacked at once.
const UNPACK_BYTES: usize = 64 << 10;
/// Largest window that a Zstandard frame may ask for, as a power of two: 128 MiB, what `zstd` itself accepts.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const _: () = assert!(WINDOW_BYTES > super::lines::LINE_BYTES_MAX + UNPACK_BYTES, "a line must be had again whole");

/// An open file.
pub(crate) enum Content {
    /// As it is.
    Plain(File),
    /// Unpacked on the way.
    Packed(Box<Unpacker>),
}

impl Content {
    /// Opens what was seen. Fails with `NotFound` when the name leads to another file by now.
    pub(crate) fn open(seen: &Seen) -> io::Result<Self> {
        let file = open_regular(&seen.path)?;
        let stat = stat_of(&file.metadata()?);
        if (stat.device, stat.inode) != (seen.stat.device, seen.stat.inode) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(match seen.packing {
            None => Self::Plain(file),
            Some(packing) => Self::Packed(Box::new(Unpacker::new(file, packing)?)),
        })
    }

    /// Fills `buffer` from `offset` on, as far as there is something.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => read_at(file, buffer, offset),
            Self::Packed(unpacker) => unpacker.read_at(buffer, offset),
        }
    }

    /// The `length` bytes before `end`, or fewer.
    pub(crate) fn before(&mut self, end: u64, length: usize) -> io::Result<Vec<u8>> {
        let length = length.min(end as usize);
        let mut bytes = vec![0; length];
        let got = self.read_at(&mut bytes, end - length as u64)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// The first bytes, as far as they count.
    pub(crate) fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; HEAD_BYTES];
        let got = match self.read_at(&mut bytes, 0) {
            // A packed file that is being written.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            other => other?,
        };
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Bytes of the file as they lie on the disk.
    pub(crate) fn size(&self) -> io::Result<u64> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Packed(unpacker) => &unpacker.file,
        };
        Ok(file.metadata()?.len())
    }
}

/// What the file system says.
pub(crate) fn stat_of(meta: &Metadata) -> Stat {
    let nanoseconds = |time: io::Result<std::time::SystemTime>| {
        let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_nanos() as u64)
    };
    Stat {
        device: meta.dev(),
        inode: meta.ino(),
        born_ns: nanoseconds(meta.created()),
        size: meta.len(),
        modified_ns: nanoseconds(meta.modified()),
    }
}

/// What the last four bytes of a gzip file say it unpacks to, as far as a number below 4 GiB can.
pub(crate) fn unpacked_bytes(seen: &Seen) -> Option<u64> {
    if seen.packing != Some(Packing::Gzip) {
        return None;
    }
    let file = open_regular(&seen.path).ok()?;
    let mut last = [0; 4];
    file.read_exact_at(&mut last, seen.stat.size.checked_sub(4)?).ok()?;
    Some(u64::from(u32::from_le_bytes(last)))
}

/// Opens a file for reading, and nothing that would make us wait (a FIFO) or never ends (a device).
fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Unpacks from the beginning on, and again from the beginning when older bytes are asked for than are kept.
pub(crate) struct Unpacker {
    file: File,
    packing: Packing,
    decoder: Box<dyn Read + Send>,
    /// The last unpacked bytes; the first of them has the offset `from`.
    window: Vec<u8>,
    from: u64,
}

impl Unpacker {
    fn new(file: File, packing: Packing) -> io::Result<Self> {
        let decoder = decoder(&file, packing)?;
        Ok(Self { file, packing, decoder, window: Vec::new(), from: 0 })
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.from {
            self.decoder = decoder(&self.file, self.packing)?;
            self.window.clear();
            self.from = 0;
        }
        let wanted = offset + buffer.len() as u64;
        let mut failed = None;
        while self.from + (self.window.len() as u64) < wanted {
            match self.unpack(offset) {
                Ok(0) => break,
                Ok(_) => {}
                // What came before the damage is good.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let Some(there) = self.window.get((offset - self.from) as usize..).filter(|there| !there.is_empty()) else {
            return failed.map_or(Ok(0), Err);
        };
        let got = there.len().min(buffer.len());
        buffer[..got].copy_from_slice(&there[..got]);
        Ok(got)
    }

    /// Unpacks some more; what lies far before `offset` is let go.
    fn unpack(&mut self, offset: u64) -> io::Result<usize> {
        if self.window.len() > 2 * WINDOW_BYTES {
            let before_offset = offset.saturating_sub(self.from) as usize;
            let spare = (self.window.len() - WINDOW_BYTES).min(before_offset);
            self.window.drain(..spare);
            self.from += spare as u64;
        }
        let length = self.window.len();
        self.window.resize(length + UNPACK_BYTES, 0);
        let got = loop {
            match self.decoder.read(&mut self.window[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.window.truncate(length + got.as_ref().map_or(0, |got| *got));
        got
    }
}

fn decoder(file: &File, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::new(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::file::pattern::Meant;

    fn seen(path: &Path, packing: Option<Packing>) -> Seen {
        let stat = stat_of(&fs::metadata(path).unwrap());
        Seen { path: path.to_owned(), meant: Meant::Itself, packing, stat }
    }

    #[test]
    fn packed_bytes_are_found_at_their_offsets() {
        let dir = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (0..900_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let gzip = dir.path().join("a.gz");
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(&plain).unwrap();
        fs::write(&gzip, out.finish().unwrap()).unwrap();
        let zstd = dir.path().join("a.zst");
        // Two frames, as when two files were put together.
        let (one, two) = plain.split_at(1000);
        fs::write(&zstd, [zstd::encode_all(one, 1).unwrap(), zstd::encode_all(two, 1).unwrap()].concat()).unwrap();

        assert_eq!(unpacked_bytes(&seen(&gzip, Some(Packing::Gzip))), Some(plain.len() as u64));
        for (path, packing) in [(gzip, Packing::Gzip), (zstd, Packing::Zstd)] {
            let mut content = Content::open(&seen(&path, Some(packing))).unwrap();
            for offset in [0, 999, 5_900_000, 5_000_000, 10, plain.len() - 7, plain.len(), plain.len() + 5] {
                let mut bytes = [0; 100];
                let got = content.read_at(&mut bytes, offset as u64).unwrap();
                let wanted = &plain[offset.min(plain.len())..(offset + 100).min(plain.len())];
                assert_eq!(&bytes[..got], wanted, "{path:?} {offset}");
            }
        }
    }

    #[test]
    fn half_a_packed_file_gives_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zst");
        let packed = zstd::encode_all(&b"one\ntwo\n".repeat(100_000)[..], 1).unwrap();
        fs::write(&path, &packed[..packed.len() - 4]).unwrap();
        let mut content = Content::open(&seen(&path, Some(Packing::Zstd))).unwrap();
        assert_eq!(content.head().unwrap().len(), HEAD_BYTES);
        assert!(
            content.read_at(&mut [0; 10], 800_000).is_err(),
            "the end is missing, which is not the same as the end"
        );
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open_regular(dir.path()).is_err());
        assert!(open_regular(Path::new("/dev/zero")).is_err());
    }
}
