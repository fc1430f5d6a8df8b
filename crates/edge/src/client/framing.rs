//! Where the body of an answer ends, and which of a connection's bytes are its content (RFC 9112, sections 6 and 7).
//!
//! What is not clear is refused: two lengths that differ, a length beside chunks, codings that nobody here takes apart, chunks that
//! are not written as they should be. Whoever reads such an answer in another way than its server would take the rest for the
//! answer to somebody else.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::client::Failure;
use crate::client::head::{FIELDS_MAX, HEAD_BYTES_MAX, end, headers};
use crate::headers::says;

/// Bytes of the line before a chunk, its extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// Hex digits of a chunk's length.
const CHUNK_DIGITS_MAX: usize = 15;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decoder {
    /// So many bytes.
    Length(u64),
    /// Everything up to the end of the connection.
    UntilClose,
    /// The line that says how long the next chunk is.
    ChunkLine,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The end of a chunk's line.
    ChunkEnd,
    /// Fields behind the last chunk, and the empty line.
    Trailers,
}

/// What can be taken out of the bytes that have come.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Content.
    Content(Bytes),
    /// Fields behind it; nothing follows.
    Trailers(HeaderMap),
    /// Nothing yet.
    More,
    /// Nothing any more.
    End,
}

impl Decoder {
    /// How the body of this answer is framed, and whether its connection can be used again behind it (RFC 9112, sections 6.3 and
    /// 9.3). Leaves one length in the fields at most.
    pub(super) fn new(
        method: &Method,
        status: StatusCode,
        version: Version,
        headers: &mut HeaderMap,
    ) -> Result<(Self, bool), Failure> {
        let may_stay = match version {
            Version::HTTP_10 => says(headers, CONNECTION, "keep-alive"),
            _ => !says(headers, CONNECTION, "close"),
        };
        let length = length(headers)?;
        let has_none = *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_chunked = is_chunked(headers)?;
        if has_none {
            return Ok((Self::Length(0), may_stay));
        }
        if is_chunked {
            if version == Version::HTTP_10 || length.is_some() {
                return Err(Failure::Malformed("its length is said in two ways"));
            }
            return Ok((Self::ChunkLine, may_stay));
        }
        match length {
            Some(length) => Ok((Self::Length(length), may_stay)),
            None => Ok((Self::UntilClose, false)),
        }
    }

    /// Whether nothing is to come.
    pub(super) fn is_over(self) -> bool {
        self == Self::Length(0)
    }

    /// Bytes of content that are still to come, where that is known.
    pub(super) fn left(self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(left),
            _ => None,
        }
    }

    /// Takes the next part out of what has come.
    pub(super) fn take(&mut self, came: &mut BytesMut) -> Result<Step, Failure> {
        loop {
            if self.is_over() {
                return Ok(Step::End);
            }
            if came.is_empty() {
                return Ok(Step::More);
            }
            match *self {
                Self::UntilClose => return Ok(Step::Content(came.split().freeze())),
                Self::Length(left) => {
                    let content = content(came, left);
                    *self = Self::Length(left - content.len() as u64);
                    return Ok(Step::Content(content));
                }
                Self::Chunk(left) => {
                    let content = content(came, left);
                    let left = left - content.len() as u64;
                    *self = if left == 0 { Self::ChunkEnd } else { Self::Chunk(left) };
                    return Ok(Step::Content(content));
                }
                Self::ChunkLine => match chunk_line(came)? {
                    None => return Ok(Step::More),
                    Some(0) => *self = Self::Trailers,
                    Some(length) => *self = Self::Chunk(length),
                },
                Self::ChunkEnd => match &came[..] {
                    [b'\r', b'\n', ..] => {
                        came.advance(2);
                        *self = Self::ChunkLine;
                    }
                    [b'\r'] => return Ok(Step::More),
                    _ => return Err(Failure::Malformed("a chunk does not end where it should")),
                },
                Self::Trailers => {
                    let Some(trailers) = trailers(came)? else { return Ok(Step::More) };
                    *self = Self::Length(0);
                    return Ok(if trailers.is_empty() { Step::End } else { Step::Trailers(trailers) });
                }
            }
        }
    }

    /// The connection has come to its end: whether the body has, too.
    pub(super) fn close(&mut self) -> Result<(), Failure> {
        match self {
            Self::UntilClose | Self::Length(0) => {
                *self = Self::Length(0);
                Ok(())
            }
            _ => Err(Failure::Malformed("it is cut short")),
        }
    }
}

fn content(came: &mut BytesMut, left: u64) -> Bytes {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(came.len());
    came.split_to(count).freeze()
}

/// The length of the next chunk, when its line is there; extensions mean nothing here.
fn chunk_line(came: &mut BytesMut) -> Result<Option<u64>, Failure> {
    let malformed = Failure::Malformed("the length of a chunk is none");
    let Some(feed) = memchr::memchr(b'\n', came) else {
        return if came.len() >= CHUNK_LINE_BYTES_MAX { Err(malformed) } else { Ok(None) };
    };
    let Some(line) = came[..feed].strip_suffix(b"\r").filter(|line| line.len() < CHUNK_LINE_BYTES_MAX) else {
        return Err(malformed);
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let is_extended = rest.trim_ascii_start().first().is_none_or(|byte| *byte == b';');
    let is_clean = rest.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    if digits.len() > CHUNK_DIGITS_MAX || !is_extended || !is_clean {
        return Err(malformed);
    }
    let length = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let length = length.ok_or(malformed)?;
    came.advance(feed + 1);
    Ok(Some(length))
}

/// The fields behind the last chunk, when their end is there.
fn trailers(came: &mut BytesMut) -> Result<Option<HeaderMap>, Failure> {
    let malformed = Failure::Malformed("the fields behind it are none");
    let length = match &came[..] {
        [b'\r', b'\n', ..] => {
            came.advance(2);
            return Ok(Some(HeaderMap::new()));
        }
        bytes => end(bytes),
    };
    let Some(length) = length.filter(|length| *length <= HEAD_BYTES_MAX) else {
        return if came.len() >= HEAD_BYTES_MAX { Err(malformed) } else { Ok(None) };
    };
    let bytes = came.split_to(length).freeze();
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(&bytes, &mut fields) {
        Ok(httparse::Status::Complete((end, fields))) if end == length => headers(fields, &bytes).map(Some),
        _ => Err(malformed),
    }
}

/// The one length that the fields say, which is left in them as one.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, Failure> {
    let malformed = || Failure::Malformed("its length is none");
    let mut found = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.to_str().map_err(|_| malformed())?.split(',') {
            let part = part.trim_matches([' ', '\t']);
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            let length: u64 = part.parse().map_err(|_| malformed())?;
            if found.is_some_and(|found| found != length) {
                return Err(Failure::Malformed("it has two lengths"));
            }
            found = Some(length);
        }
    }
    if let Some(length) = found {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(found)
}

/// Whether it comes in chunks. No other coding is asked for, so none may be used (RFC 9112, section 6.1).
fn is_chunked(headers: &HeaderMap) -> Result<bool, Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Failure::Malformed("it is coded for the transfer in a way that nobody asked for")),
    }
}
