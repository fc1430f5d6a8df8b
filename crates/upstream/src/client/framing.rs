//! Where an answer of HTTP/1.1 begins and ends, and which of its bytes are its body (RFC 9112, sections 4, 6 and 7).
//!
//! Knows no socket: bytes go in as they come, cut anywhere.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Largest head of an answer, in bytes; also the longest trailer.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most fields in a head.
const FIELDS_MAX: usize = 100;
/// Most heads before the one of the answer (`103 Early Hints` and its like).
const INTERIM_MAX: u32 = 8;
/// Hexadecimal digits of a chunk's size: more would not fit into 64 bits.
const SIZE_DIGITS_MAX: u32 = 16;
/// What anybody here looks at; all other fields of an answer are read over.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, RETRY_AFTER];

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Broken {
    #[error("its head is malformed")]
    Head(#[from] httparse::Error),
    #[error("its head is longer than {HEAD_BYTES_MAX} bytes")]
    HeadLength,
    #[error("the server sends one interim answer after another")]
    Interim,
    #[error("the server switches to another protocol")]
    Switching,
    #[error("the length of its body is not clear")]
    Length,
    #[error("its transfer coding is not known")]
    Coding,
    #[error("a chunk is malformed")]
    Chunk,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// Content-Type, Content-Encoding and Retry-After, as far as they were there.
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again afterwards.
    pub(crate) keeps: bool,
}

/// Waits for a head.
#[derive(Debug)]
pub(crate) struct HeadReader {
    /// What has come of it.
    partial: Vec<u8>,
    interim: u32,
    /// The answer to a `HEAD` request has no body, whatever its head says.
    bodiless: bool,
}

impl HeadReader {
    pub(crate) fn new(bodiless: bool) -> Self {
        Self { partial: Vec::new(), interim: 0, bodiless }
    }

    /// Whether not a byte has come.
    pub(crate) fn has_nothing(&self) -> bool {
        self.partial.is_empty() && self.interim == 0
    }

    /// Takes what came; gives the head when it is complete, and what came after it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<(Head, Bytes)>, Broken> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        loop {
            let Some((head, end)) = parse(bytes, self.bodiless)? else {
                if bytes.len() >= HEAD_BYTES_MAX {
                    return Err(Broken::HeadLength);
                }
                self.partial = bytes.to_vec();
                return Ok(None);
            };
            if end > HEAD_BYTES_MAX {
                return Err(Broken::HeadLength);
            }
            bytes = &bytes[end..];
            if !head.status.is_informational() {
                return Ok(Some((head, Bytes::copy_from_slice(bytes))));
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(Broken::Switching);
            }
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(Broken::Interim);
            }
        }
    }
}

/// The head that these bytes begin with, and where it ends.
fn parse(bytes: &[u8], bodiless: bool) -> Result<Option<(Head, usize)>, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Broken::Head(httparse::Error::Status))?;
    let mut headers = HeaderMap::new();
    let mut keeps = response.version == Some(1);
    let (mut length, mut codings) = (None, Vec::new());
    for field in response.headers.iter() {
        let is = |name: &HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
        if is(&CONTENT_LENGTH) {
            let told = parse_length(field.value)?;
            if length.replace(told).is_some_and(|other| other != told) {
                return Err(Broken::Length);
            }
        } else if is(&TRANSFER_ENCODING) {
            codings.extend(tokens(field.value));
        } else if is(&CONNECTION) {
            keeps &= !tokens(field.value).any(|token| token.eq_ignore_ascii_case(b"close"));
        } else if let Some(name) = KEPT.into_iter().find(is) {
            let value = HeaderValue::from_bytes(field.value);
            headers.append(name, value.map_err(|_| Broken::Head(httparse::Error::HeaderValue))?);
        }
    }
    let has_body = !(bodiless || status.is_informational() || matches!(status.as_u16(), 204 | 304));
    let framing = match (&codings[..], length) {
        _ if !has_body => Framing::Length(0),
        // Whoever says both may mean either: what follows on the connection is not believed.
        ([coding], told) if coding.eq_ignore_ascii_case(b"chunked") => {
            keeps &= told.is_none();
            Framing::Chunked(Chunk::Size { size: 0, digits: 0 })
        }
        ([], Some(length)) => Framing::Length(length),
        ([], None) => Framing::UntilClosed,
        _ => return Err(Broken::Coding),
    };
    keeps &= !matches!(framing, Framing::UntilClosed);
    Ok(Some((Head { status, headers, framing, keeps }, end)))
}

fn parse_length(value: &[u8]) -> Result<u64, Broken> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    text.and_then(|text| text.parse().ok()).ok_or(Broken::Length)
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// How the end of a body is told, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
    /// Only the end of the connection ends it.
    UntilClosed,
}

/// What comes next in a body of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size {
        size: u64,
        digits: u32,
    },
    /// After the size: to the end of its line, which may have extensions.
    Extension {
        size: u64,
        bytes: usize,
    },
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    /// After the last chunk. Bytes so far, and whether a line of it has begun.
    Trailer {
        bytes: usize,
        in_line: bool,
    },
    TrailerLineFeed {
        bytes: usize,
        is_last: bool,
    },
    End,
}

impl Framing {
    /// Whether the body is complete.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Whether it is the end of the connection that ends the body.
    pub(crate) fn is_ended_by_closing(&self) -> bool {
        *self == Self::UntilClosed
    }

    /// Takes what came, and appends to `body` what of it belongs to the body. Gives how many bytes were taken: fewer than
    /// came only where the body ends among them.
    pub(crate) fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, Broken> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                body.extend_from_slice(&bytes[..taken]);
                *left -= taken as u64;
                Ok(taken)
            }
            Self::UntilClosed => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Self::Chunked(chunk) => chunk.take(bytes, body),
        }
    }
}

impl Chunk {
    fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::End {
            if let Self::Data(left) = self {
                let data = &bytes[at..];
                let data = &data[..usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()))];
                body.extend_from_slice(data);
                at += data.len();
                *left -= data.len() as u64;
                if *left == 0 {
                    *self = Self::DataReturn;
                }
            } else {
                *self = self.next(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// What comes after this byte, which is none of the data.
    fn next(self, byte: u8) -> Result<Self, Broken> {
        Ok(match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Self::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. } | Self::Extension { size, .. }, b'\r') => Self::SizeLineFeed(size),
            (Self::Size { size, digits: 1.. }, b' ' | b'\t' | b';') => Self::Extension { size, bytes: 0 },
            // A line feed alone is no end of a line here: others would read the chunks otherwise.
            (Self::Extension { size, bytes }, _) if byte != b'\n' && bytes < HEAD_BYTES_MAX => {
                Self::Extension { size, bytes: bytes + 1 }
            }
            (Self::SizeLineFeed(0), b'\n') => Self::Trailer { bytes: 0, in_line: false },
            (Self::SizeLineFeed(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataLineFeed,
            (Self::DataLineFeed, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailer { bytes, in_line }, b'\r') => Self::TrailerLineFeed { bytes, is_last: !in_line },
            (Self::Trailer { bytes, .. }, _) if byte != b'\n' && bytes < HEAD_BYTES_MAX => {
                Self::Trailer { bytes: bytes + 1, in_line: true }
            }
            (Self::TrailerLineFeed { is_last: true, .. }, b'\n') => Self::End,
            (Self::TrailerLineFeed { bytes, .. }, b'\n') => Self::Trailer { bytes, in_line: false },
            _ => return Err(Broken::Chunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Status, body, bytes left over, whether the connection keeps, whether it is complete.
    type Read<Text> = (u16, Text, usize, bool, bool);

    fn read(pieces: &[&[u8]], bodiless: bool) -> Result<Option<Read<String>>, Broken> {
        let mut reader = HeadReader::new(bodiless);
        let mut pieces = pieces.iter();
        let (mut head, rest) = loop {
            let Some(piece) = pieces.next() else { return Ok(None) };
            if let Some(found) = reader.push(piece)? {
                break found;
            }
        };
        let (mut body, mut left) = (Vec::new(), 0);
        for piece in std::iter::once(&rest[..]).chain(pieces.copied()) {
            left += piece.len() - head.framing.take(piece, &mut body)?;
        }
        let body = String::from_utf8(body).expect("text");
        Ok(Some((head.status.as_u16(), body, left, head.keeps, head.framing.is_done())))
    }

    /// What comes, and what is made of it: status, body, bytes left over, kept, complete.
    const READABLE: &[(&str, Read<&str>)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", 0, true, true)),
        ("HTTP/1.1 200\r\ncontent-length:2\r\n\r\nhi!", (200, "hi", 1, true, true)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nh", (200, "h", 0, true, false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, "hi", 0, false, true)),
        ("HTTP/1.1 200 OK\r\nConnection: Keep-Alive, CLOSE\r\nContent-Length: 0\r\n\r\n", (200, "", 0, false, true)),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", (200, "to the end", 0, false, false)),
        ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", (204, "", 0, true, true)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\n.",
            (404, ".", 0, true, true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n00A; a=\"b\"\r\n0123456789\r\n0\r\n\r\n+",
            (200, "hi0123456789", 1, true, true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\n!\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n",
            (200, "!", 0, true, true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\n!\r\n0\r\n\r\n",
            (200, "!", 0, false, true),
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", (200, "hel", 0, true, false)),
    ];

    const BROKEN: &[(&str, Broken)] = &[
        ("SSH-2.0-x\r\n", Broken::Head(httparse::Error::Version)),
        ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", Broken::Head(httparse::Error::HeaderName)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", Broken::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", Broken::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n", Broken::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Broken::Length),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Broken::Coding),
        ("HTTP/1.1 101 Switching\r\n\r\n", Broken::Switching),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", Broken::Chunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", Broken::Chunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\n!\r\n", Broken::Chunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!!\r\n", Broken::Chunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\n!\r\n", Broken::Chunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\n\r\n!\r\n", Broken::Chunk),
    ];

    #[test]
    fn a_body_ends_where_its_head_says() {
        for (text, (status, body, left, keeps, done)) in READABLE {
            let expected = Ok(Some((*status, (*body).to_owned(), *left, *keeps, *done)));
            assert_eq!(read(&[text.as_bytes()], false), expected, "{text}");
        }
        let told = read(&[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], true);
        assert_eq!(told, Ok(Some((200, String::new(), 0, true, true))));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for (text, broken) in BROKEN {
            assert_eq!(read(&[text.as_bytes()], false).as_ref(), Err(broken), "{text}");
        }
    }

    #[test]
    fn heads_have_bounds() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&[long.as_bytes()], false), Err(Broken::HeadLength));
        let whole = format!("{long}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(read(&[whole.as_bytes()], false), Err(Broken::HeadLength), "also when it comes in one piece");
        let endless = "HTTP/1.1 102 Wait\r\n\r\n".repeat(INTERIM_MAX as usize + 1);
        assert_eq!(read(&[endless.as_bytes()], false), Err(Broken::Interim));
        for begun in ["1\r\n!\r\n0\r\nA: ", "1;"] {
            let long = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{begun}{}", "x".repeat(9000));
            assert_eq!(read(&[long.as_bytes()], false), Err(Broken::Chunk), "{begun}");
        }
    }

    #[test]
    fn only_fields_that_are_looked_at_are_kept() {
        let text =
            b"HTTP/1.1 429 No\r\nServer: x\r\nRetry-After: 3\r\ncontent-type: text/plain\r\nContent-Length: 0\r\n\r\n";
        let (head, _) = HeadReader::new(false).push(text).expect("read").expect("complete");
        assert_eq!(head.headers.len(), 2);
        assert_eq!(
            (&head.headers[RETRY_AFTER], &head.headers[CONTENT_TYPE]),
            (&"3".parse().unwrap(), &"text/plain".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(which in 0..READABLE.len() + BROKEN.len(), cuts in prop::collection::vec(0usize..200, 0..6)) {
            let text = READABLE.get(which).map_or_else(|| BROKEN[which - READABLE.len()].0, |(text, _)| *text).as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces, false), read(&[text], false));
        }

        #[test]
        fn no_bytes_make_it_panic(head in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[b"HTTP/1.1 200 OK\r\n", head.as_bytes(), &body], false);
            let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &body], false);
        }
    }
}
