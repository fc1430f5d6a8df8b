//! Cuts a stream of bytes into lines and server-sent events, whatever the pieces it arrives in.

use crate::DecodeError;

/// Longest line, and longest single server-sent event, that is accepted from a model server.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest last line of an Ollama server: after `/api/generate` it repeats the tokens of the whole conversation.
pub const LAST_LINE_BYTES_MAX: usize = 8 << 20;

/// What the last line of an Ollama server has near its beginning, before all that is long. It cannot stand in a text of
/// the line, where the quotation marks would be escaped.
const LAST_LINE_MARK: &[u8] = br#""done":true"#;
/// How far from its beginning the mark stands at most: the model's name and the time come first.
const LAST_LINE_HEAD_BYTES: usize = 4096;

/// Holds the bytes of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// Whether a line with [`LAST_LINE_MARK`] may be longer than others.
    has_long_end: bool,
}

impl Lines {
    /// Lines of JSON as Ollama's servers send them.
    pub(crate) fn of_ollama() -> Self {
        Self { has_long_end: true, ..Self::default() }
    }

    /// Calls `line` for each line that `bytes` completes, without its terminator.
    ///
    /// Whole lines are handed over in place; only an unfinished one is copied.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        is_end: fn(u8) -> bool,
        mut line: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        while let Some(end) = bytes.iter().position(|byte| is_end(*byte)) {
            let (head, tail) = (&bytes[..end], &bytes[end + 1..]);
            self.check(head)?;
            if self.partial.is_empty() {
                line(head)?;
            } else {
                self.partial.extend_from_slice(head);
                let whole = std::mem::take(&mut self.partial);
                line(&whole)?;
                self.partial = whole;
                self.partial.clear();
            }
            bytes = tail;
        }
        self.check(bytes)?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// Refuses a line that is too long with `more` of it.
    fn check(&self, more: &[u8]) -> Result<(), DecodeError> {
        let length = self.partial.len() + more.len();
        if length <= LINE_BYTES_MAX || !self.has_long_end {
            return check(length, LINE_BYTES_MAX);
        }
        let head = self.partial.iter().chain(more).copied().take(LAST_LINE_HEAD_BYTES).collect::<Vec<u8>>();
        let is_last = head.windows(LAST_LINE_MARK.len()).any(|window| window == LAST_LINE_MARK);
        check(length, if is_last { LAST_LINE_BYTES_MAX } else { LINE_BYTES_MAX })
    }

    /// The last line, when the stream ended without a terminator.
    pub(crate) fn take_last(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }
}

fn check(length: usize, max: usize) -> Result<(), DecodeError> {
    if length > max { Err(DecodeError::LineTooLong { max }) } else { Ok(()) }
}

/// What stands in a stream of server-sent events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    /// The data of one event.
    Data(&'a [u8]),
    /// A line that is no part of an event: servers answer an error as bare JSON, or a page, although a stream was asked
    /// for and the status is 200.
    Bare(&'a [u8]),
}

/// Cuts a stream of bytes into server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
///
/// The name of an event is not handed over: the dialects repeat it in the data.
#[derive(Debug, Default)]
pub(crate) struct EventLines {
    lines: Lines,
    /// The `data` lines of the event whose blank line has not come yet.
    data: Vec<u8>,
}

impl EventLines {
    /// Calls `item` for each event that `bytes` complete.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut item: impl FnMut(Item) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let data = &mut self.data;
        // A line ends at CR, LF or both; the empty line between both changes nothing.
        self.lines.feed(bytes, |byte| byte == b'\n' || byte == b'\r', |line| event_line(data, line, &mut item))
    }

    /// Hands over the last event, when the stream ended without its blank line.
    pub(crate) fn finish(&mut self, mut item: impl FnMut(Item) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        let last = self.lines.take_last();
        event_line(&mut self.data, &last, &mut item)?;
        event_line(&mut self.data, b"", &mut item)
    }
}

fn event_line(
    data: &mut Vec<u8>,
    line: &[u8],
    item: &mut impl FnMut(Item) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if line.is_empty() {
        if data.is_empty() {
            return Ok(());
        }
        let handed = item(Item::Data(data));
        data.clear();
        return handed;
    }
    if let Some(more) = line.strip_prefix(b"data:") {
        let more = more.strip_prefix(b" ").unwrap_or(more);
        check(data.len() + more.len(), LINE_BYTES_MAX)?;
        if !data.is_empty() {
            data.push(b'\n');
        }
        data.extend_from_slice(more);
        return Ok(());
    }
    match line.first() {
        Some(b'{' | b'<') => item(Item::Bare(line)),
        // Comments, and the fields `event`, `id` and `retry`.
        _ => Ok(()),
    }
}

/// How a stream ended after `last`, what its last line or event was: before its end marker half a line is the mark of a
/// cut, not of bad JSON.
pub(crate) fn ended(last: Result<(), DecodeError>, is_done: bool) -> Result<(), DecodeError> {
    match last {
        Ok(()) if is_done => Ok(()),
        Ok(()) | Err(DecodeError::Json(_)) => Err(DecodeError::Truncated),
        Err(error) => Err(error),
    }
}

/// The first bytes of something that was not understood, for the record.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
