//! Finds a line in a file by its `seq`, by halving: lines lie in the order of their numbers.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memchr;

use crate::line::{self, LINE_BYTES_MAX};

/// A stretch that is read line by line.
const STRETCH_BYTES: u64 = 64 << 10;
/// Bytes that are read at one place to find a whole line.
const PROBE_BYTES: usize = 16 << 10;
/// Most bytes that are searched for one: damage longer than this is not looked behind.
const PROBE_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// Offset and `seq` of a line a little before the line of this `seq`, or that line itself; nothing when none can be told
/// to be, as at the begin of the file. Damage may make it wrong: whoever goes there has to look.
pub(crate) fn shortly_before(file: &File, seq: u64) -> io::Result<Option<(u64, u64)>> {
    let mut before = None;
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high - low > STRETCH_BYTES {
        let middle = low + (high - low) / 2;
        match line_behind(file, middle, high)? {
            Some((offset, found)) if found <= seq => {
                before = Some((offset, found));
                low = offset;
            }
            _ => high = middle,
        }
    }
    Ok(before)
}

/// The first sound line that begins behind `from` and ends before `to`.
fn line_behind(file: &File, from: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
    let length = (to - from).min(PROBE_BYTES_MAX as u64) as usize;
    let mut bytes = Vec::new();
    let (mut filled, mut begin) = (0, None);
    while filled < length {
        bytes.resize((2 * filled).max(PROBE_BYTES).min(length), 0);
        let count = file.read_at(&mut bytes[filled..], from + filled as u64)?;
        if count == 0 {
            break;
        }
        let mut searched = filled;
        filled += count;
        while let Some(at) = memchr(b'\n', &bytes[searched..filled]) {
            let end = searched + at;
            if let Some((seq, _)) = begin.and_then(|begin: usize| line::ends(&bytes[begin..end])) {
                return Ok(begin.map(|begin| (from + begin as u64, seq)));
            }
            begin = Some(end + 1);
            searched = end + 1;
        }
    }
    Ok(None)
}
