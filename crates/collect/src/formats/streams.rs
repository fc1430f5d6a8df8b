//! Lines of several streams, such as files: finds the format of each, and joins lines that belong together.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Zoned;

use super::{Entry, Format, TEXT_BYTES_MAX, Text, Verbatim, plain};

/// Lines after which a stream whose lines show no format is text.
const UNKNOWN_LINES_MAX: u32 = 100;
/// Lines that are joined at most; what comes after them begins anew.
pub const JOINED_LINES_MAX: usize = 1_000;
/// Bytes that are joined at most.
pub const JOINED_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Streams that have lines waiting for those that may follow; of more, the one that waits longest waits no more.
pub const OPEN_MAX: usize = 64;
/// How long a line waits for those that may follow it.
pub const WAIT_MAX: Duration = Duration::from_millis(400);

/// Takes the lines of streams, each known by a key `K`, and gives those that belong together in one [`Read`]. `T` goes with each
/// line, and comes back with the last one.
///
/// A line may wait for others that belong to it; [`Streams::due`] says until when, and [`Streams::end_due`] ends the waiting.
/// What one stream says comes in its order.
#[derive(Debug)]
pub struct Streams<K, T> {
    /// None: found out for each stream.
    format: Option<Format>,
    found: BTreeMap<K, Found>,
    /// The one that waits longest first.
    open: Vec<Open<K, T>>,
}

/// Lines that belong together, or one by itself, to be read in their format.
#[derive(Debug)]
pub struct Read<T> {
    /// As they came.
    pub line: Text,
    /// How they are to be read.
    pub format: Format,
    /// What came with the last of them.
    pub last: T,
    /// How many were joined.
    pub lines: usize,
    /// The format of the stream, where this was the line by which it was found out.
    pub found: Option<Format>,
}

impl<T> Read<T> {
    /// What they say; `now` is the moment in the zone of this machine.
    pub fn entry(&self, now: &Zoned) -> Entry {
        self.format.read(&self.line.text, now)
    }

    /// What they say, as far as it can be told without reading all of it; the same as [`Read::entry`].
    pub fn verbatim(&self) -> Option<Verbatim<'_>> {
        (self.format == Format::Json).then(|| Verbatim::read(&self.line.text)).flatten()
    }
}

/// What is known of the format of a stream.
#[derive(Clone, Copy, Debug)]
enum Found {
    Unknown { lines: u32 },
    Known(Format),
}

/// Lines that wait for those that may follow.
#[derive(Debug)]
struct Open<K, T> {
    key: K,
    format: Format,
    line: Text,
    last: T,
    lines: usize,
    found: Option<Format>,
    until: Duration,
}

impl<K: Clone + Ord, T> Streams<K, T> {
    /// Reads all streams in this format, or finds out the format of each.
    pub fn new(format: Option<Format>) -> Self {
        Self { format, found: BTreeMap::new(), open: Vec::new() }
    }

    /// Takes the next line of a stream. `at` is any clock that does not go back, `now` the moment of it in the zone of this machine.
    pub fn push(&mut self, key: &K, line: impl Into<Text>, of: T, at: Duration, now: &Zoned, out: &mut Vec<Read<T>>) {
        let line: Text = line.into();
        let is_waiting = self.place(key);
        if let Some(open) = is_waiting.map(|place| &mut self.open[place])
            && open.takes(&line.text)
        {
            open.line.join(&line);
            (open.last, open.lines, open.until) = (of, open.lines + 1, at + WAIT_MAX);
            // It now waits the shortest.
            let place = is_waiting.unwrap_or_default();
            self.open[place..].rotate_left(1);
            return;
        }
        self.end(key, out);
        let (format, found) = self.format_of(key, &line.text, now);
        if !format.has_several_lines() {
            return out.push(Read { line, format, last: of, lines: 1, found });
        }
        if self.open.len() == OPEN_MAX {
            out.push(self.open.remove(0).read());
        }
        let open = Open { key: key.clone(), format, line, last: of, lines: 1, found, until: at + WAIT_MAX };
        self.open.push(open);
    }

    /// Ends the waiting of a stream's lines.
    pub fn end(&mut self, key: &K, out: &mut Vec<Read<T>>) {
        out.extend(self.place(key).map(|place| self.open.remove(place).read()));
    }

    /// Forgets a stream, of which no line waits.
    pub fn forget(&mut self, key: &K) {
        self.found.remove(key);
    }

    /// When the waiting of some lines is over.
    pub fn due(&self) -> Option<Duration> {
        self.open.first().map(|open| open.until)
    }

    /// Ends the waiting that is over.
    pub fn end_due(&mut self, at: Duration, out: &mut Vec<Read<T>>) {
        let count = self.open.partition_point(|open| open.until <= at);
        out.extend(self.open.drain(..count).map(Open::read));
    }

    fn place(&self, key: &K) -> Option<usize> {
        self.open.iter().position(|open| open.key == *key)
    }

    /// The format of a line, and whether it is the line by which that of its stream is found out.
    fn format_of(&mut self, key: &K, line: &str, now: &Zoned) -> (Format, Option<Format>) {
        if let Some(format) = self.format {
            return (format, None);
        }
        let found = match self.found.get_mut(key) {
            Some(found) => found,
            None => self.found.entry(key.clone()).or_insert(Found::Unknown { lines: 0 }),
        };
        let lines = match found {
            Found::Known(format) => return (*format, None),
            Found::Unknown { lines } => lines,
        };
        *lines += 1;
        let guess = Format::guess(line, now).or((*lines >= UNKNOWN_LINES_MAX).then_some(Format::Plain));
        if let Some(format) = guess {
            *found = Found::Known(format);
        }
        (guess.unwrap_or(Format::Plain), guess)
    }
}

impl<K, T> Open<K, T> {
    fn takes(&self, line: &str) -> bool {
        self.lines < JOINED_LINES_MAX
            && self.line.text.len() + line.len() < JOINED_BYTES_MAX
            && plain::goes_on(&self.line.text, line)
    }

    fn read(self) -> Read<T> {
        let Self { format, line, last, lines, found, .. } = self;
        Read { line, format, last, lines, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-01-27T10:20:31+08:00[Asia/Shanghai]".parse().unwrap()
    }

    /// The texts of what one stream says, with the numbers of their last lines.
    fn texts(format: Option<Format>, lines: &[&str]) -> Vec<(String, usize)> {
        let (mut streams, mut out) = (Streams::new(format), Vec::new());
        for (number, line) in lines.iter().enumerate() {
            streams.push(&"a", (*line).to_owned(), number, Duration::ZERO, &now(), &mut out);
        }
        streams.end(&"a", &mut out);
        out.into_iter().map(|read| (read.entry(&now()).text, read.last)).collect()
    }

    #[test]
    fn lines_that_belong_together_are_joined() {
        let python = [
            "ERROR x failed",
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1",
            "ValueError: no",
            "INFO on",
        ];
        assert_eq!(texts(Some(Format::Plain), &python), [(python[..4].join("\n"), 3), ("INFO on".to_owned(), 4)]);
        let java = [
            "2026-01-27 10:20:30 ERROR x",
            "java.lang.E: y",
            "\tat a.B.c(D.java:1)",
            "Caused by: z",
            "\t... 1 more",
            "end",
        ];
        let expected = [(java[0].to_owned(), 0), (java[1..5].join("\n"), 4), ("end".to_owned(), 5)];
        assert_eq!(texts(Some(Format::Plain), &java), expected);
        let go =
            ["panic: boom", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:7 +0x1d", "exit status 2", "next"];
        assert_eq!(texts(None, &go), [(go[..5].join("\n"), 4), ("next".to_owned(), 5)]);
        let node = ["Error: x {", "  code: 'E'", "}", "next"];
        assert_eq!(texts(None, &node), [(node[..3].join("\n"), 2), ("next".to_owned(), 3)]);
    }

    #[test]
    fn bytes_come_along() {
        let (mut streams, mut out) = (Streams::new(Some(Format::Plain)), Vec::new());
        for line in [&b"Error: x"[..], b"  at \xe9", b"  at b", b"next"] {
            streams.push(&"a", line, (), Duration::ZERO, &now(), &mut out);
        }
        streams.end(&"a", &mut out);
        let came: Vec<&[u8]> = out.iter().map(|read| read.line.as_came()).collect();
        assert_eq!(came, [&b"Error: x\n  at \xe9\n  at b"[..], b"next"]);
        assert_eq!((out[0].line.text.as_str(), &out[1].line.bytes), ("Error: x\n  at \\xe9\n  at b", &None));
    }

    #[test]
    fn joining_has_bounds() {
        let mut lines = vec!["begin"];
        lines.extend(std::iter::repeat_n(" more", JOINED_LINES_MAX + 10));
        let texts = texts(None, &lines);
        assert_eq!(
            texts.iter().map(|(_, last)| *last).collect::<Vec<_>>(),
            [JOINED_LINES_MAX - 1, JOINED_LINES_MAX + 10]
        );

        let (mut streams, mut out) = (Streams::new(Some(Format::Plain)), Vec::new());
        for key in 0..=OPEN_MAX {
            streams.push(&key, "x".to_owned(), key, Duration::from_millis(key as u64), &now(), &mut out);
        }
        assert_eq!(out.iter().map(|read| read.last).collect::<Vec<_>>(), [0]);
        // One that goes on waits anew.
        streams.push(&1, " y".to_owned(), 1, Duration::from_millis(100), &now(), &mut out);
        assert_eq!(streams.due(), Some(WAIT_MAX + Duration::from_millis(2)));
        streams.end_due(WAIT_MAX + Duration::from_millis(99), &mut out);
        assert_eq!(out.len(), OPEN_MAX);
        streams.end_due(WAIT_MAX + Duration::from_millis(100), &mut out);
        assert_eq!((out.last().unwrap().last, streams.due()), (1, None));
    }

    #[test]
    fn a_format_is_found_by_the_first_line_that_shows_one() {
        let mut streams = Streams::new(None);
        let mut out = Vec::new();
        let lines = [
            ("a", "starting up"),
            ("a", "{\"msg\":\"x\"}"),
            ("a", "not json"),
            ("b", "a=1 b=2"),
            ("b", "{\"msg\":\"x\"}"),
        ];
        for (key, line) in lines {
            streams.push(&key, line.to_owned(), (), Duration::ZERO, &now(), &mut out);
        }
        let read: Vec<_> = out.iter().map(|read| (read.entry(&now()).parse_error.is_some(), read.found)).collect();
        let expected =
            [(false, None), (false, Some(Format::Json)), (true, None), (false, Some(Format::Logfmt)), (true, None)];
        assert_eq!(read, expected);
    }
}
