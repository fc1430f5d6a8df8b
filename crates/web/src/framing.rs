//! Where one HTTP/1.x request ends and the next begins (RFC 9112, sections 2.2, 6 and 7.1).
//!
//! A pure state machine over the bytes of a connection, in one pass: each byte of a head is looked at once to find its
//! line and once to check it; of a body with a length only the count is. Its verdict does not depend on how the bytes are
//! cut into pieces.

use http::StatusCode;

use crate::head::{Body, FIELDS_MAX, Head, LINE_BYTES_MAX};
use crate::refusal::Refusal;
use crate::target::{CLASS, TOKEN, VALUE};

/// Digits of a chunk's size: 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;
/// Bytes of all chunk extensions of a body. Nobody is known to use any.
const EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a body's trailer section.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// The framing of a connection's requests.
#[derive(Debug)]
pub(crate) struct Framing {
    head_bytes_max: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Behind a breach nothing can be told apart any more.
    Refused(Refusal),
    Head(Unfinished),
    /// So many bytes of a body are to come.
    Length(u64),
    Chunked(Chunks),
}

/// A head that has not come to its end.
#[derive(Debug, Default)]
struct Unfinished {
    head: Head,
    /// Where the line begins that is looked for.
    line: usize,
    /// How far no line end was found.
    scanned: usize,
}

impl Framing {
    pub(crate) fn new(head_bytes_max: usize) -> Self {
        Self { head_bytes_max, state: State::Head(Unfinished::default()) }
    }

    /// Whether bytes of a body are to come.
    pub(crate) fn is_in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_))
    }

    /// Looks at `bytes`, which begin with a head: all of it that has come, also what was looked at before. The length of
    /// the head when it is complete; [`Self::body`] is then asked about what follows.
    pub(crate) fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let unfinished = match &mut self.state {
            State::Head(unfinished) => unfinished,
            State::Refused(refusal) => return Err(*refusal),
            State::Length(_) | State::Chunked(_) => return Ok(Some(0)),
        };
        match unfinished.look(bytes, self.head_bytes_max) {
            Ok(None) => Ok(None),
            Ok(Some((length, body))) => {
                self.state = match body {
                    Body::Length(0) => State::Head(Unfinished::default()),
                    Body::Length(length) => State::Length(length),
                    Body::Chunked => State::Chunked(Chunks::default()),
                };
                Ok(Some(length))
            }
            Err(refusal) => {
                self.state = State::Refused(refusal);
                Err(refusal)
            }
        }
    }

    /// Looks at the bytes that follow those seen last; how many of them belong to the body.
    pub(crate) fn body(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let (count, ended) = match &mut self.state {
            State::Refused(refusal) => return Err(*refusal),
            State::Head(_) => return Ok(0),
            State::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                (count, *left == 0)
            }
            State::Chunked(chunks) => match chunks.take(bytes) {
                Ok(taken) => taken,
                Err(refusal) => {
                    self.state = State::Refused(refusal);
                    return Err(refusal);
                }
            },
        };
        if ended {
            self.state = State::Head(Unfinished::default());
        }
        Ok(count)
    }
}

/// One empty line may come before a request (RFC 9112, section 2.2). Whether the request itself has begun.
fn skip_empty_line(unfinished: &mut Unfinished, bytes: &[u8]) -> Result<bool, Refusal> {
    match bytes {
        [] | [b'\r'] => return Ok(false),
        [b'\r', b'\n', ..] => {
            unfinished.line = 2;
            unfinished.scanned = 2;
        }
        // Not even a method: another protocol, such as TLS. It may never send a line end.
        [byte, ..] if CLASS[usize::from(*byte)] & TOKEN == 0 => {
            return Err(Refusal::malformed("this is not HTTP"));
        }
        _ => {}
    }
    Ok(true)
}

impl Unfinished {
    /// The length of the head and what follows it, once it is complete.
    fn look(&mut self, bytes: &[u8], head_bytes_max: usize) -> Result<Option<(usize, Body)>, Refusal> {
        if self.line == 0 && !skip_empty_line(self, bytes)? {
            return Ok(None);
        }
        let Some(length) = self.lines(bytes, head_bytes_max)? else { return Ok(None) };
        Ok(Some((length, self.head.end(&bytes[..length])?)))
    }

    /// Takes all complete lines; the length of the head once its last one is there.
    fn lines(&mut self, bytes: &[u8], head_bytes_max: usize) -> Result<Option<usize>, Refusal> {
        loop {
            let is_first = self.line <= 2;
            let bound = if is_first { head_bytes_max.min(LINE_BYTES_MAX + 2) } else { head_bytes_max };
            // A line end beyond the bound is not looked for: the verdict is the same whether it has come or not.
            let within = &bytes[..bytes.len().min(bound)];
            let Some(end) = memchr::memchr(b'\n', &within[self.scanned.min(within.len())..]) else {
                self.scanned = within.len();
                return if bytes.len() < bound { Ok(None) } else { Err(too_large(is_first)) };
            };
            let end = self.scanned + end;
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(Refusal::malformed("a line does not end with CR LF"));
            }
            let line = self.line..end - 1;
            self.line = end + 1;
            self.scanned = end + 1;
            if line.is_empty() {
                return Ok(Some(end + 1));
            }
            self.head.line(bytes, line)?;
        }
    }
}

fn too_large(is_first: bool) -> Refusal {
    if is_first {
        Refusal::new(StatusCode::URI_TOO_LONG, "the request line is too long")
    } else {
        Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large")
    }
}

/// Chunks of a body (RFC 9112, section 7.1):
///
/// ```text
/// chunked-body = *chunk last-chunk trailer-section CRLF
/// chunk        = 1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF
/// ```
#[derive(Debug, Default)]
struct Chunks {
    at: At,
    /// The size read so far, then the bytes of data that are left.
    left: u64,
    digits: u8,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum At {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a line behind the last chunk.
    Line,
    Name,
    Value,
    LineLf,
    LastLf,
    End,
}

impl Chunks {
    /// How many of `bytes` belong to the body, and whether it ends with them.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if self.at == At::Data {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += count;
                self.left -= count as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            self.at = self.next(bytes[at])?;
            at += 1;
            if self.at == At::End {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn next(&mut self, byte: u8) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => Ok(At::SizeLf),
            (At::Size, b';') if self.digits > 0 => Ok(At::Extension),
            (At::Size, _) => self.size_digit(byte),
            (At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Extension, _) => self.extension_byte(byte),
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { At::Line } else { At::Data })
            }
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size),
            (At::Line, b'\r') => Ok(At::LastLf),
            (At::LastLf, b'\n') => Ok(At::End),
            (At::Line | At::Name | At::Value | At::LineLf, _) => self.trailer_byte(byte),
            _ => Err(Refusal::malformed("a chunk does not end with CR LF")),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<At, Refusal> {
        let digit = char::from(byte).to_digit(16).filter(|_| self.digits < SIZE_DIGITS_MAX);
        let digit = digit.ok_or(Refusal::malformed("a chunk size is malformed"))?;
        self.left = self.left << 4 | u64::from(digit);
        self.digits += 1;
        Ok(At::Size)
    }

    fn extension_byte(&mut self, byte: u8) -> Result<At, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX || CLASS[usize::from(byte)] & VALUE == 0 {
            return Err(Refusal::malformed("a chunk extension is malformed or too long"));
        }
        Ok(At::Extension)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<At, Refusal> {
        self.trailer_bytes += 1;
        let is = |class| CLASS[usize::from(byte)] & class != 0;
        let next = match (self.at, byte) {
            (At::Line, _) if is(TOKEN) => {
                self.trailer_fields += 1;
                At::Name
            }
            (At::Name, b':') => At::Value,
            (At::Name, _) if is(TOKEN) => At::Name,
            (At::Value, b'\r') => At::LineLf,
            (At::Value, _) if is(VALUE) => At::Value,
            (At::LineLf, b'\n') => At::Line,
            _ => return Err(Refusal::malformed("a trailer field is malformed")),
        };
        if self.trailer_bytes > TRAILER_BYTES_MAX || self.trailer_fields > FIELDS_MAX {
            return Err(Refusal::malformed("the trailer section is too large"));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
