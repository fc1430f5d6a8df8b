//! An old log file: packed or not, known by its content, and cut into lines.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use memchr::memchr;
use sha2::{Digest, Sha256};
use tollhouse_collect::file::LINE_BYTES_MAX;
use tollhouse_collect::formats::{self, Format};

/// Bytes read at once.
const READ_BYTES: usize = 128 << 10;
/// Lines that are looked at to find out the format.
const GUESS_LINES_MAX: usize = 100;
/// Hex digits of the content's SHA-256 by which a file is known.
const ID_DIGITS: usize = 32;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A file that is to be imported, read once from begin to end.
#[derive(Debug)]
pub(super) struct OldFile {
    pub(super) path: PathBuf,
    /// Of its unpacked content.
    pub(super) id: String,
    /// Unpacked.
    pub(super) bytes: u64,
    pub(super) format: Format,
    /// When it was last written: lines that tell no year are of the one before that.
    pub(super) written: Zoned,
}

/// Bytes of files on the disk that were read so far, by whoever reads them.
#[derive(Clone, Debug, Default)]
pub(super) struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl OldFile {
    /// Reads all of a file, and calls `tick` now and then; what cannot be unpacked to its end is not taken.
    pub(super) fn examine(
        path: &Path,
        format: Option<Format>,
        read: &BytesRead,
        mut tick: impl FnMut(),
    ) -> anyhow::Result<Self> {
        let (mut input, found) = open(path, read).with_context(|| format!("opening {}", path.display()))?;
        ensure!(found.is_file(), "{} is no file", path.display());
        let reading = || format!("reading {}; nothing of it was imported", path.display());
        let written = found.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let written = written.unwrap_or_else(Timestamp::now).to_zoned(TimeZone::system());
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = input.read(&mut buffer).with_context(reading)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            bytes += count as u64;
            tick();
        }
        let format = match format {
            Some(format) => format,
            None => {
                guess(&mut Lines::open(path, u64::MAX, 0, &BytesRead::default())?, &written).with_context(reading)?
            }
        };
        let id: String = digest.finalize().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
        Ok(Self { path: path.to_owned(), id: id[..ID_DIGITS].to_owned(), bytes, format, written })
    }

    /// Its lines from an offset on; what was added to it since it was examined is left out.
    pub(super) fn lines(&self, offset: u64, read: &BytesRead) -> anyhow::Result<Lines> {
        Lines::open(&self.path, self.bytes, offset, read)
    }
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// The format that one of the first lines shows; else text.
fn guess(lines: &mut Lines, now: &Zoned) -> io::Result<Format> {
    for _ in 0..GUESS_LINES_MAX {
        let Some(line) = lines.next()? else { break };
        if let Some(format) = Format::guess(&line.text, now) {
            return Ok(format);
        }
    }
    Ok(Format::Plain)
}

/// Opens a file, and unpacks it if its first bytes say that it is packed.
fn open(path: &Path, read: &BytesRead) -> io::Result<(Box<dyn Read + Send>, Metadata)> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    let mut magic = Vec::with_capacity(ZSTD.len());
    if found.is_file() {
        (&mut file).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
        file.rewind()?;
    }
    let counted = BufReader::with_capacity(READ_BYTES, Counted { file, read: read.clone() });
    let input: Box<dyn Read + Send> = if magic.starts_with(&GZIP) {
        // Several packed parts one after another are one file.
        Box::new(flate2::bufread::MultiGzDecoder::new(counted))
    } else if magic == ZSTD {
        Box::new(zstd::stream::read::Decoder::with_buffer(counted)?)
    } else {
        Box::new(counted)
    };
    Ok((input, found))
}

struct Counted {
    file: File,
    read: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.0.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Lines of an old file. Empty ones are passed over.
pub(super) struct Lines {
    input: BufReader<io::Take<Box<dyn Read + Send>>>,
    /// Behind the last line, unpacked.
    offset: u64,
    line: Vec<u8>,
}

/// A line of an old file.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct OldLine {
    /// Without its end. Bytes that are no UTF-8 stand as `\xNN`.
    pub(super) text: String,
    /// It was longer than 1 MiB; this is its beginning.
    pub(super) is_cut: bool,
    pub(super) has_bytes: bool,
    /// Where the next one begins, unpacked.
    pub(super) end: u64,
}

impl Lines {
    fn open(path: &Path, bytes: u64, offset: u64, read: &BytesRead) -> anyhow::Result<Self> {
        let failed = || format!("opening {}", path.display());
        let (input, _) = open(path, read).with_context(failed)?;
        let mut input = input.take(bytes);
        let skipped = io::copy(&mut (&mut input).take(offset), &mut io::sink()).with_context(failed)?;
        ensure!(skipped == offset, "{} is shorter than it was when it was first imported", path.display());
        Ok(Self { input: BufReader::with_capacity(READ_BYTES, input), offset, line: Vec::new() })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<OldLine>> {
        loop {
            let is_first = self.offset == 0;
            let Some(is_cut) = self.read()? else { return Ok(None) };
            let mut line = &self.line[..];
            line = line.strip_suffix(b"\r").unwrap_or(line);
            if is_first {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            if !line.is_empty() {
                let (text, has_bytes) = formats::text(line);
                return Ok(Some(OldLine { text: text.into_owned(), is_cut, has_bytes, end: self.offset }));
            }
        }
    }

    /// Reads a line without its LF; whether something had to be left out. None at the end.
    fn read(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut is_cut, mut is_begun) = (false, false);
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(is_begun.then_some(is_cut));
            }
            is_begun = true;
            let end = memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let kept = part.len().min(LINE_BYTES_MAX - self.line.len());
            self.line.extend_from_slice(&part[..kept]);
            is_cut |= kept < part.len();
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.offset += used as u64;
            if end.is_some() {
                return Ok(Some(is_cut));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn read_all(path: &Path, offset: u64) -> Vec<OldLine> {
        let file = OldFile::examine(path, Some(Format::Plain), &BytesRead::default(), || ()).unwrap();
        let mut lines = file.lines(offset, &BytesRead::default()).unwrap();
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn packed_files_are_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let text = b"\xEF\xBB\xBFone\r\n\n\r\ntwo \xff\nlast";
        let plain = dir.path().join("a.log");
        std::fs::write(&plain, text).unwrap();
        let gzip = dir.path().join("b");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&text[..9]).unwrap();
        let mut packed = packer.finish().unwrap();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&text[9..]).unwrap();
        packed.extend(packer.finish().unwrap());
        std::fs::write(&gzip, packed).unwrap();
        let zstd = dir.path().join("c.old");
        std::fs::write(&zstd, zstd::encode_all(&text[..], 1).unwrap()).unwrap();

        let examine = |path: &Path| OldFile::examine(path, None, &BytesRead::default(), || ()).unwrap();
        let id = examine(&plain).id;
        for path in [&plain, &gzip, &zstd] {
            assert_eq!((examine(path).id.as_str(), examine(path).bytes), (id.as_str(), text.len() as u64));
            let lines = read_all(path, 0);
            let found: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.has_bytes, line.end)).collect();
            assert_eq!(found, [("one", false, 8), ("two \\xff", true, 17), ("last", false, 21)], "{}", path.display());
            assert_eq!(read_all(path, 8)[0].text, "two \\xff");
        }
    }

    #[test]
    fn half_a_packed_file_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("half.zst");
        let packed = zstd::encode_all(&b"a line\n".repeat(100_000)[..], 1).unwrap();
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let error = OldFile::examine(&path, None, &BytesRead::default(), || ()).unwrap_err();
        assert!(error.to_string().contains("half.zst; nothing of it was imported"), "{error:#}");
        assert!(OldFile::examine(dir.path(), None, &BytesRead::default(), || ()).is_err());
    }

    #[test]
    fn long_lines_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.log");
        std::fs::write(&path, [vec![b'x'; LINE_BYTES_MAX + 5], b"\nshort\n".to_vec()].concat()).unwrap();
        let lines = read_all(&path, 0);
        assert_eq!((lines[0].text.len(), lines[0].is_cut), (LINE_BYTES_MAX, true));
        assert_eq!((lines[1].text.as_str(), lines[1].is_cut), ("short", false));
        assert_eq!(lines[1].end, LINE_BYTES_MAX as u64 + 12);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn reading_goes_on_behind_any_line(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("any.log");
            // Not taken for a packed file.
            std::fs::write(&path, [b"a\n", &bytes[..]].concat()).unwrap();
            let lines = read_all(&path, 0);
            let again: Vec<OldLine> = lines.iter().map_while(|line| read_all(&path, line.end).into_iter().next()).collect();
            prop_assert_eq!(&again[..], &lines[1..]);
        }
    }
}
