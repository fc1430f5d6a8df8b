//! The heads of messages: those of requests written, those of answers read.

use std::mem::MaybeUninit;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::client::{Failure, Question};

/// Bytes of a head that a server may answer with.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Fields of it.
pub(super) const FIELDS_MAX: usize = 100;
/// Room for the line of a request and for what frames its body, beside its target.
const LINE_BYTES: usize = 96;

/// How long a request's body is said to be (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Length {
    /// Nothing is said: there is none.
    None,
    /// So many bytes.
    Exact(u64),
    /// In chunks, up to the last.
    Chunked,
}

impl Length {
    /// Of a request without a body: said to be empty where its method or its client leads a server to expect one (RFC 9110, section
    /// 8.6).
    pub(super) fn none(question: Question<'_>) -> Self {
        let has_meaning = matches!(*question.method, Method::POST | Method::PUT | Method::PATCH);
        if has_meaning || question.headers.contains_key(CONTENT_LENGTH) { Self::Exact(0) } else { Self::None }
    }
}

/// The head of a request; `prefix` stands before its target.
pub(super) fn write(question: Question<'_>, prefix: &str, length: Length) -> BytesMut {
    let Question { method, target, headers, .. } = question;
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let mut out = BytesMut::with_capacity(LINE_BYTES + prefix.len() + target.len() + fields);
    for part in [method.as_str(), " ", prefix, target, " HTTP/1.1\r\n"] {
        out.put_slice(part.as_bytes());
    }
    for (name, value) in headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.put_slice(part);
        }
    }
    match length {
        Length::None => {}
        Length::Exact(bytes) => out.put_slice(format!("content-length: {bytes}\r\n").as_bytes()),
        Length::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.put_slice(b"\r\n");
    out
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

impl Answered {
    /// Takes the head that has come, if it is there as a whole.
    pub(super) fn take(came: &mut BytesMut) -> Result<Option<Self>, Failure> {
        let Some(end) = end(came) else { return Ok(None) };
        Self::read(&came.split_to(end).freeze()).map(Some)
    }

    fn read(head: &Bytes) -> Result<Self, Failure> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut read = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut read, head, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => 0,
            Err(httparse::Error::TooManyHeaders) => return Err(Failure::Malformed("its head has too many fields")),
            Err(_) => return Err(Failure::Malformed("its head is none of HTTP/1.1")),
        };
        if length != head.len() {
            return Err(Failure::Malformed("its head ends where it should not"));
        }
        let status = read.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Failure::Malformed("its status is none"))?;
        let version = if read.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        Ok(Self { status, version, headers: headers(read.headers, head)? })
    }
}

/// Fields as they stand in these bytes, of which their values are parts.
pub(super) fn headers(fields: &[httparse::Header<'_>], bytes: &Bytes) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok();
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok();
        let (Some(name), Some(value)) = (name, value) else {
            return Err(Failure::Malformed("a field of it is none"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Where fields end: behind the first empty line that follows another one.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(feed) = memchr::memchr(b'\n', &bytes[from..]) {
        from += feed + 1;
        match &bytes[from..] {
            [b'\n', ..] => return Some(from + 1),
            [b'\r', b'\n', ..] => return Some(from + 2),
            _ => {}
        }
    }
    None
}
