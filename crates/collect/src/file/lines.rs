//! Cuts bytes into lines.
//!
//! A line ends with LF; a CR before it belongs to the line end. Empty lines are passed over. Zero bytes before a line are
//! left out: a program that does not append (`O_APPEND`) writes behind a hole after its file was truncated.

use std::path::Path;
use std::sync::Arc;

use super::positions::{BytesBefore, FileId, Mark};
use crate::formats::Text;

/// Longest line, in bytes without its line end.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const MARK_BYTES: usize = BYTE_ORDER_MARK.len();

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its text without the line end. Bytes that are no UTF-8 are written as `\xNN`.
    pub text: String,
    /// As it stands in the file, where some of its bytes are no UTF-8.
    pub bytes: Option<Box<[u8]>>,
    /// To be stored in the same record.
    pub mark: Mark,
    /// Where its file was when it was read.
    pub path: Arc<Path>,
    /// What is not as it should be.
    pub flaws: Flaws,
}

/// Something about a line that its reader should know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Flaw {
    /// It was longer than 1 MiB; this is its beginning.
    Cut = 1,
    /// It had bytes that are no UTF-8, now written as `\xNN`.
    Bytes = 2,
    /// It had no line end when it was taken.
    Unfinished = 4,
    /// It continues an unfinished line.
    Rest = 8,
}

impl Flaw {
    const ALL: [Self; 4] = [Self::Cut, Self::Bytes, Self::Unfinished, Self::Rest];

    /// The word for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Bytes => "bytes",
            Self::Unfinished => "unfinished",
            Self::Rest => "rest",
        }
    }
}

/// A set of flaws.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flaws(u8);

impl Flaws {
    /// Whether the line has this one.
    pub fn has(self, flaw: Flaw) -> bool {
        self.0 & flaw as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Flaw> {
        Flaw::ALL.into_iter().filter(move |flaw| self.has(*flaw))
    }

    /// With one more, if `is_there`.
    #[must_use]
    pub(crate) fn with(self, flaw: Flaw, is_there: bool) -> Self {
        if is_there { Self(self.0 | flaw as u8) } else { self }
    }
}

/// Where the cutting of a file has come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cursor {
    /// Offset of the next byte.
    pub(crate) read: u64,
    /// What stands before it.
    pub(crate) tail: BytesBefore,
    /// Within a line that was cut: skip to its end.
    pub(crate) is_cut: bool,
    /// What comes continues an unfinished line.
    pub(crate) is_rest: bool,
    /// Bytes skipped of the line that was cut.
    pub(crate) skipped: u64,
}

/// What is known of the bytes behind those at hand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Behind {
    /// There are more.
    More,
    /// There are none now; the last line may go on.
    NoneYet,
    /// There are none, and none are waited for: the last line is given without its end.
    Never,
}

/// Cuts lines off `bytes`, which stand at the cursor, and moves it. Returns the bytes skipped of lines that were too long
/// and came to their end. Stops after `lines_max` lines.
pub(crate) fn cut(
    cursor: &mut Cursor,
    bytes: &[u8],
    behind: Behind,
    file: (FileId, &Arc<Path>),
    lines_max: usize,
    lines: &mut Vec<Line>,
) -> u64 {
    let (mut at, mut skipped, enough) = (0, 0, lines.len() + lines_max);
    while at < bytes.len() && lines.len() < enough {
        let rest = &bytes[at..];
        let end = memchr::memchr(b'\n', rest);
        if cursor.is_cut {
            let length = end.map_or(rest.len(), |end| end + 1);
            cursor.skipped += length as u64;
            at += length;
            cursor.step(&bytes[..at], length);
            if end.is_some() {
                cursor.is_cut = false;
                skipped += std::mem::take(&mut cursor.skipped);
            }
            continue;
        }
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros == rest.len() {
            // At the end of a file they may be room that is filled later.
            if behind == Behind::NoneYet {
                break;
            }
            cursor.step(bytes, rest.len());
            break;
        }
        if zeros > 0 {
            at += zeros;
            cursor.step(&bytes[..at], zeros);
            continue;
        }
        let (length, behind_text) = match end {
            Some(end) => (end + 1, end),
            None if rest.len() > LINE_BYTES_MAX + MARK_BYTES || behind == Behind::Never => (rest.len(), rest.len()),
            None => break,
        };
        let mut text = &rest[..behind_text];
        if cursor.read == 0 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        if end.is_some() {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        let is_long = text.len() > LINE_BYTES_MAX;
        let mut length = length;
        if is_long {
            let kept = boundary(text, LINE_BYTES_MAX);
            let left_out = text.len() - kept;
            text = &text[..kept];
            if end.is_some() {
                skipped += left_out as u64;
            } else {
                // Its end is not here yet: the position is behind what is given, and the rest is skipped as it comes.
                length -= left_out;
            }
        }
        let flaws = Flaws::default()
            .with(Flaw::Cut, is_long)
            .with(Flaw::Unfinished, end.is_none() && !is_long)
            .with(Flaw::Rest, cursor.is_rest);
        at += length;
        cursor.step(&bytes[..at], length);
        cursor.is_cut = is_long && end.is_none();
        cursor.is_rest = flaws.has(Flaw::Unfinished);
        if text.is_empty() {
            continue;
        }
        let Text { text, bytes: raw } = text.into();
        let mark = Mark { file: file.0, end: cursor.read, tail: cursor.tail, is_cut: cursor.is_cut };
        let flaws = flaws.with(Flaw::Bytes, raw.is_some());
        lines.push(Line { text, bytes: raw, mark, path: Arc::clone(file.1), flaws });
    }
    skipped
}

impl Cursor {
    /// Moves over the last `length` of these bytes.
    fn step(&mut self, bytes: &[u8], length: usize) {
        self.read += length as u64;
        self.tail = BytesBefore::of(bytes);
    }
}

/// The last place up to `max` that is not inside a UTF-8 character.
fn boundary(text: &[u8], max: usize) -> usize {
    let is_inside = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (max.saturating_sub(3)..=max).rev().find(|at| !is_inside(at)).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Cuts with the bytes coming in pieces that end at `ends`, as a reader does it: what is left comes again.
    fn all(bytes: &[u8], ends: &[usize]) -> (Vec<Line>, u64, Cursor) {
        let path: Arc<Path> = Path::new("/a.log").into();
        let (mut cursor, mut lines, mut skipped) = (Cursor::default(), Vec::new(), 0);
        for end in ends.iter().copied().chain([bytes.len()]) {
            loop {
                let before = cursor.read;
                let there = &bytes[before as usize..end.max(before as usize)];
                skipped += cut(&mut cursor, there, Behind::NoneYet, (FileId(1), &path), 3, &mut lines);
                if cursor.read == before {
                    break;
                }
            }
        }
        let there = &bytes[cursor.read as usize..];
        skipped += cut(&mut cursor, there, Behind::Never, (FileId(1), &path), usize::MAX >> 1, &mut lines);
        (lines, skipped, cursor)
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        all(bytes, &[]).0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn line_ends_zeros_and_marks_are_no_text() {
        assert_eq!(texts(b"\xEF\xBB\xBFone\r\n\n\ntwo\nthree"), ["one", "two", "three"]);
        assert_eq!(texts(b"one\n\0\0\0\0two\n\0\0"), ["one", "two"]);
        assert_eq!(texts(b"a\0b\n"), ["a\0b"]);
        let (lines, _, _) = all(b"caf\xE9 \xFF\nnext", &[]);
        assert_eq!((lines[0].text.as_str(), lines[0].flaws.has(Flaw::Bytes)), ("caf\\xe9 \\xff", true));
        assert_eq!((lines[0].bytes.as_deref(), &lines[1].bytes), (Some(&b"caf\xE9 \xFF"[..]), &None));
        assert!(lines[1].flaws.has(Flaw::Unfinished));
        assert_eq!(lines[1].flaws.iter().map(Flaw::as_str).collect::<Vec<_>>(), ["unfinished"]);
    }

    #[test]
    fn a_long_line_is_cut_and_its_rest_counted() {
        let mut bytes = b"before\n".to_vec();
        bytes.extend(std::iter::repeat_n("é", 700_000).flat_map(str::bytes));
        bytes.extend_from_slice(b"\nbehind\n");
        for ends in [vec![], vec![1_100_000, 1_300_000]] {
            let (lines, skipped, _) = all(&bytes, &ends);
            assert_eq!(lines.len(), 3);
            assert!(lines[1].flaws.has(Flaw::Cut) && !lines[1].flaws.has(Flaw::Bytes));
            assert_eq!(lines[1].text.len(), LINE_BYTES_MAX);
            assert_eq!(lines[2].text, "behind");
            assert!(skipped as usize >= 1_400_000 - LINE_BYTES_MAX);
        }
    }

    #[test]
    fn the_rest_of_an_unfinished_line_says_so() {
        let path: Arc<Path> = Path::new("/a.log").into();
        let (mut cursor, mut lines) = (Cursor::default(), Vec::new());
        for (bytes, behind) in [(&b"half"[..], Behind::Never), (b" line\nnext\n", Behind::NoneYet)] {
            cut(&mut cursor, bytes, behind, (FileId(1), &path), 10, &mut lines);
        }
        let is_rest: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.flaws.has(Flaw::Rest))).collect();
        assert_eq!(is_rest, [("half", false), (" line", true), ("next", false)]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in vec(prop_oneof![4 => any::<u8>(), 2 => Just(b'\n'), 1 => Just(0_u8), 3 => Just(b'a')], 0..300),
            mut ends in vec(0_usize..300, 0..6),
        ) {
            for end in &mut ends {
                *end = (*end).min(bytes.len());
            }
            ends.sort_unstable();
            let (whole, _, cursor) = all(&bytes, &[]);
            let (pieces, _, _) = all(&bytes, &ends);
            prop_assert_eq!(cursor.read as usize, bytes.len());
            // How far back the bytes before a position are compared depends on what was at hand.
            let parts = |line: &Line| (line.text.clone(), line.mark.end, line.flaws);
            prop_assert_eq!(whole.iter().map(parts).collect::<Vec<_>>(), pieces.iter().map(parts).collect::<Vec<_>>());
            for line in &whole {
                let before = &bytes[..line.mark.end as usize];
                prop_assert_eq!(line.mark.tail, BytesBefore::of(&before[before.len() - line.mark.tail.length as usize..]));
            }
        }
    }
}
