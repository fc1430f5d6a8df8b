//! Bodies of lines: NDJSON, text, or JSON in one piece, as some senders write it.

use std::time::Duration;

use jiff::Zoned;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::formats::{self, Entry, Format, Read, Streams, Text};

/// Lines of one request; a request with more is refused as a whole.
pub const LINES_MAX: usize = 50_000;
/// Bytes of one line that are kept; the rest of it is left out.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// A line of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it says.
    pub entry: Entry,
    /// As it came.
    pub line: Text,
    /// How it was read.
    pub way: Way,
}

/// How a line of a body is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// By itself, as what it shows; see [`formats::shown`].
    Shown,
    /// In this format, perhaps with others that belong to it.
    Format(Format),
    /// As an event of Beats, which all JSON in one piece is; see [`formats::beats`].
    Event,
}

/// There are more lines than [`LINES_MAX`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("more than {LINES_MAX} lines in one request")]
pub struct TooMany;

/// Reads a body. Each line is by itself what it shows, JSON or text, unless a `format` is given: then lines may belong
/// together. With `is_json`, as its `Content-Type` said, the body may also be one array of objects, or one object over
/// several lines.
pub fn read_lines(body: &[u8], is_json: bool, format: Option<Format>, now: &Zoned) -> Result<Vec<Line>, TooMany> {
    if is_json && let Some(whole) = in_one_piece(body)? {
        return Ok(whole);
    }
    let mut entries = Vec::new();
    let mut streams = format.map(|format| Streams::new(Some(format)));
    let mut read = Vec::new();
    let mut count = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        count += 1;
        if count > LINES_MAX {
            return Err(TooMany);
        }
        let is_cut = line.len() > LINE_BYTES_MAX;
        let line = Text::from(&line[..line.len().min(LINE_BYTES_MAX)]);
        let flaws = Flaws { is_cut, has_bytes: line.bytes.is_some() };
        match &mut streams {
            None => entries.push(flaws.mark(formats::shown(&line.text, now), line, Way::Shown)),
            Some(streams) => {
                // They came in one piece: none waits for what comes later.
                streams.push(&(), line, flaws, Duration::ZERO, now, &mut read);
                entries.extend(read.drain(..).map(|read| line_of(read, now)));
            }
        }
    }
    if let Some(mut streams) = streams {
        streams.end(&(), &mut read);
        entries.extend(read.into_iter().map(|read| line_of(read, now)));
    }
    Ok(entries)
}

/// What is to be said of a line beside what it says.
#[derive(Clone, Copy, Debug)]
struct Flaws {
    is_cut: bool,
    has_bytes: bool,
}

impl Flaws {
    fn mark(self, entry: Entry, line: Text, way: Way) -> Line {
        let entry =
            Entry { is_cut: entry.is_cut || self.is_cut, has_bytes: entry.has_bytes || self.has_bytes, ..entry };
        Line { entry, line, way }
    }
}

fn line_of(read: Read<Flaws>, now: &Zoned) -> Line {
    read.last.mark(read.entry(now), read.line, Way::Format(read.format))
}

/// A body that is one JSON value: an array of lines, or one line. Nothing when it is not, as where each line is one.
fn in_one_piece(body: &[u8]) -> Result<Option<Vec<Line>>, TooMany> {
    let lines: Vec<&RawValue> = match body.trim_ascii_start().first() {
        Some(b'[') => match serde_json::from_slice(body) {
            Ok(lines) => lines,
            Err(_) => return Ok(None),
        },
        Some(b'{') => match serde_json::from_slice(body) {
            Ok(line) => vec![line],
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    if lines.len() > LINES_MAX {
        return Err(TooMany);
    }
    let entry = |line: &&RawValue| {
        let text = line.get();
        let kept = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
        let entry = formats::beats(kept.as_bytes());
        Flaws { is_cut: kept.len() < text.len(), has_bytes: false }.mark(entry, kept.to_owned().into(), Way::Event)
    };
    Ok(Some(lines.iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tollhouse_otlp::Encoding;

    use super::*;

    fn now() -> Zoned {
        "2026-01-27T02:20:30Z".parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::UTC)
    }

    fn texts(body: &str, is_json: bool, format: Option<Format>) -> Vec<(String, bool)> {
        let entries = read_lines(body.as_bytes(), is_json, format, &now()).unwrap();
        entries.into_iter().map(|line| (line.entry.text, line.entry.parse_error.is_none())).collect()
    }

    #[test]
    fn lines_are_what_they_show() {
        let said = |texts: &[&str]| texts.iter().map(|text| ((*text).to_owned(), true)).collect::<Vec<_>>();
        for (body, is_json, expected) in [
            ("{\"msg\":\"a\"}\r\n\nplain\n{\"message\":\"b\"}", false, &["a", "plain", "b"][..]),
            ("{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n", true, &["a", "b"]),
            ("[{\"msg\":\"a\"},\n {\"log\":\"b\"}]", true, &["a", "b"]),
            ("{\n  \"msg\": \"a\"\n}\n", true, &["a"]),
            ("", false, &[]),
            ("\n\n", true, &[]),
            ("[]", true, &[]),
        ] {
            assert_eq!(texts(body, is_json, None), said(expected), "{body:?}");
        }
        assert_eq!(texts("[1]", true, None), [("1".to_owned(), false)]);
        // Not JSON in one piece, so each line by itself; this one was meant to be an object.
        assert_eq!(texts("{\"msg\":", true, None).len(), 1);
    }

    #[test]
    fn with_a_format_lines_belong_together() {
        let body = "Error: x\n  at a\n  at b\nnext\n";
        assert_eq!(texts(body, false, Some(Format::Plain)).len(), 2);
        assert_eq!(texts("no json\n", false, Some(Format::Json)), [("no json".to_owned(), false)]);
    }

    #[test]
    fn lines_have_bounds() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        let entries = read_lines(format!("{long}\nshort").as_bytes(), false, None, &now()).unwrap();
        assert_eq!(entries.iter().map(|line| line.entry.is_cut).collect::<Vec<_>>(), [true, false]);
        let many = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(read_lines(many.as_bytes(), false, None, &now()), Err(TooMany));
        let many = format!("[{}1]", "1,".repeat(LINES_MAX));
        assert_eq!(read_lines(many.as_bytes(), true, None, &now()), Err(TooMany));
        let entries = read_lines(b"a\xffb", false, None, &now()).unwrap();
        assert_eq!((entries[0].entry.text.as_str(), entries[0].entry.has_bytes), ("a\\xffb", true));
        assert_eq!((entries[0].line.as_came(), entries[0].way), (&b"a\xffb"[..], Way::Shown));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_panics(
            bytes in vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'{'), Just(b'"')], 0..300),
            is_json in any::<bool>(),
            format in prop_oneof![Just(None), proptest::sample::select(Format::ALL.to_vec()).prop_map(Some)],
        ) {
            let entries = read_lines(&bytes, is_json, format, &now()).unwrap();
            prop_assert!(entries.len() <= bytes.len());
            let _ = crate::http::read_otlp(&bytes, Encoding::Protobuf);
            let _ = crate::http::read_otlp(&bytes, Encoding::Json);
        }
    }
}
