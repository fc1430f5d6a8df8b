//! Cuts a stream of bytes into lines and server-sent events, whatever the pieces it arrives in.

use crate::DecodeError;

/// Longest line, and longest single server-sent event, that is accepted from a model server.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Holds the bytes of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
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
            check(self.partial.len() + head.len())?;
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
        check(self.partial.len() + bytes.len())?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The last line, when the stream ended without a terminator.
    pub(crate) fn take_last(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }
}

fn check(length: usize) -> Result<(), DecodeError> {
    if length > LINE_BYTES_MAX { Err(DecodeError::LineTooLong { max: LINE_BYTES_MAX }) } else { Ok(()) }
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
        check(data.len() + more.len())?;
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

/// The first bytes of something that was not understood, for the record.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
