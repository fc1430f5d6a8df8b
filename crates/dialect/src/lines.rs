//! Cuts a stream of bytes into lines, whatever the pieces it arrives in.

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

/// The first bytes of something that was not understood, for the record.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}
