//! The head of one HTTP/1.x request, checked line by line.
//!
//! The grammar is that of RFC 9112 (request line: section 3, fields: section 5, body length: section 6) and RFC 9110
//! (Host: 7.2, Expect: 10.1.1), without what they allow for the sake of old software: no bare LF, no folded lines, no
//! space before a colon, no list of lengths, no transfer coding but `chunked`. What two servers could read in two ways is
//! refused, whichever way were right (request smuggling).

use std::ops::Range;

use http::StatusCode;

use crate::refusal::Refusal;
use crate::target::{self, CLASS, TOKEN, VALUE, all_are};

/// Fields of a head.
pub(crate) const FIELDS_MAX: usize = 100;
/// Bytes of a request line.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a method.
const METHOD_BYTES_MAX: usize = 24;
/// Digits of a length: more would be no number of 64 bits.
const LENGTH_DIGITS_MAX: usize = 19;

/// What follows a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// So many bytes, perhaps none.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked,
}

/// What the lines of a head have said so far. Ranges are offsets into the head.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a line has said or not")]
pub(crate) struct Head {
    has_request_line: bool,
    is_http10: bool,
    /// Whether the method is one that sends something.
    sends: bool,
    fields: usize,
    authority: Option<Range<usize>>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    is_chunked: bool,
    has_expectation: bool,
    /// A refusal that a breach of the grammar further on outweighs.
    later: Option<Refusal>,
}

impl Head {
    /// Takes the next line, which lies at `line` of `head`, without its line end. An empty one never comes here.
    pub(crate) fn line(&mut self, head: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        if self.has_request_line {
            return self.field(head, line);
        }
        self.has_request_line = true;
        self.request_line(head, line)
    }

    /// What follows, now that the empty line has come.
    pub(crate) fn end(&self, head: &[u8]) -> Result<Body, Refusal> {
        if !self.has_request_line {
            return Err(Refusal::malformed("the request line is missing"));
        }
        self.check_host(head)?;
        let body = match (self.is_chunked, self.length) {
            (true, Some(_)) => {
                return Err(Refusal::malformed("content-length and transfer-encoding exclude each other"));
            }
            (true, None) if self.is_http10 => {
                return Err(Refusal::malformed("HTTP/1.0 has no transfer-encoding"));
            }
            (true, None) => Body::Chunked,
            (false, None) if self.is_http10 && self.sends => {
                return Err(Refusal::malformed("a body must not end with the connection: content-length is missing"));
            }
            (false, length) => Body::Length(length.unwrap_or(0)),
        };
        match self.later {
            Some(refusal) => Err(refusal),
            None => Ok(body),
        }
    }

    /// `request-line = method SP request-target SP HTTP-version`
    fn request_line(&mut self, head: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let bytes = &head[line.clone()];
        let parts = memchr::memchr(b' ', bytes).zip(memchr::memrchr(b' ', bytes));
        let (first, last) =
            parts.filter(|(first, last)| first < last).ok_or(Refusal::malformed("the request line is malformed"))?;
        let method = &bytes[..first];
        self.method(method)?;
        self.version(&bytes[last + 1..])?;
        self.target(method, head, line.start + first + 1..line.start + last)
    }

    fn method(&mut self, method: &[u8]) -> Result<(), Refusal> {
        match method {
            b"GET" | b"HEAD" | b"DELETE" | b"OPTIONS" => {}
            b"POST" | b"PUT" | b"PATCH" => self.sends = true,
            b"PRI" => return Err(Refusal::malformed("the HTTP/2 preface is malformed")),
            b"TRACE" | b"CONNECT" => {
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here");
                self.later.get_or_insert(refusal);
            }
            _ if method.is_empty() || method.len() > METHOD_BYTES_MAX || !all_are(method, TOKEN) => {
                return Err(Refusal::malformed("the method is malformed"));
            }
            _ if !method.iter().all(u8::is_ascii_uppercase) => {
                self.later.get_or_insert(Refusal::new(StatusCode::NOT_IMPLEMENTED, "this method is not known"));
            }
            // A token like any other (RFC 9110, section 9.1): whether it is allowed depends on the path.
            _ => {}
        }
        Ok(())
    }

    fn version(&mut self, version: &[u8]) -> Result<(), Refusal> {
        match version {
            b"HTTP/1.1" => Ok(()),
            b"HTTP/1.0" => {
                self.is_http10 = true;
                Ok(())
            }
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this version of HTTP is not spoken here"))
            }
            _ => Err(Refusal::malformed("the request line is malformed")),
        }
    }

    /// `origin-form`, `absolute-form`, or `*` for `OPTIONS` (RFC 9112, section 3.2).
    fn target(&mut self, method: &[u8], head: &[u8], at: Range<usize>) -> Result<(), Refusal> {
        let target = &head[at.clone()];
        if target.first() == Some(&b'/') {
            return target::check_path_and_query(target);
        }
        match method {
            // Refused for its method in any case.
            b"CONNECT" => return Ok(()),
            b"OPTIONS" if target == b"*" => return Ok(()),
            _ => {}
        }
        let scheme = if starts_with_ignoring_case(target, b"http://") {
            7
        } else if starts_with_ignoring_case(target, b"https://") {
            8
        } else {
            return Err(Refusal::malformed("the request target is malformed"));
        };
        let rest = &target[scheme..];
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        self.authority = Some(at.start + scheme..at.start + scheme + end);
        match rest.get(end) {
            None => Ok(()),
            Some(b'/') => target::check_path_and_query(&rest[end..]),
            // An empty path with a query: legal, and read in different ways.
            Some(_) => Err(Refusal::malformed("the request target is malformed")),
        }
    }

    /// `field-line = field-name ":" OWS field-value OWS`
    fn field(&mut self, head: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head has more than 100 fields"));
        }
        let bytes = &head[line.clone()];
        let colon = bytes.iter().position(|byte| CLASS[usize::from(*byte)] & TOKEN == 0);
        let colon = colon
            .filter(|at| *at > 0 && bytes[*at] == b':')
            .ok_or(Refusal::malformed("a field name is malformed (no underscore, space or folded line is allowed)"))?;
        let (name, value) = (&bytes[..colon], &bytes[colon + 1..]);
        if !all_are(value, VALUE) {
            return Err(Refusal::malformed("a field value has a control character"));
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let value = plain(value);
                let second = self.host.replace(line.end - value.len()..line.end).is_some();
                if second || !target::is_host(value) {
                    return Err(Refusal::malformed("the host is malformed"));
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => self.expect(plain(value))?,
            10 if self.is_http10 && name.eq_ignore_ascii_case(b"connection") => {
                // A proxy of that age passes it on without knowing what it promises (RFC 9112, appendix C.2.2).
                let mut options = value.split(|byte| *byte == b',');
                if options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"keep-alive")) {
                    return Err(Refusal::malformed("HTTP/1.0 has no keep-alive here"));
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = length(plain(value)).ok_or(Refusal::malformed("the content-length is malformed"))?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::malformed("there is more than one content-length"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(plain(value))?,
            _ => {}
        }
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.has_expectation, true) {
            return Err(Refusal::malformed("there is more than one expectation"));
        }
        if !value.eq_ignore_ascii_case(b"100-continue") {
            let refusal = Refusal::new(StatusCode::EXPECTATION_FAILED, "this expectation cannot be met");
            self.later.get_or_insert(refusal);
        }
        Ok(())
    }

    /// `chunked` alone is known. Another coding is not implemented; a list that makes no sense is malformed.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.is_chunked, true) {
            return Err(Refusal::malformed("there is more than one transfer-encoding"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            return Ok(());
        }
        let mut foreign = false;
        for coding in value.split(|byte| *byte == b',') {
            let coding = coding.strip_prefix(b" ").unwrap_or(coding);
            if coding.is_empty() || !all_are(coding, TOKEN) {
                return Err(Refusal::malformed("the transfer-encoding is malformed"));
            }
            foreign |= !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity");
        }
        if !foreign {
            return Err(Refusal::malformed("the transfer-encoding is malformed"));
        }
        self.later.get_or_insert(Refusal::new(StatusCode::NOT_IMPLEMENTED, "this transfer-encoding is not known"));
        Ok(())
    }

    /// Exactly one host, and no other in the target (RFC 9112, section 3.2.2). HTTP/1.0 may come without one.
    fn check_host(&self, head: &[u8]) -> Result<(), Refusal> {
        let host = self.host.clone().map(|at| &head[at]);
        let authority = self.authority.clone().map(|at| &head[at]);
        match (host, authority) {
            (None, _) if !self.is_http10 => Err(Refusal::malformed("the host is missing")),
            (None, Some(authority)) if !target::is_host(authority) => Err(Refusal::malformed("the host is malformed")),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                Err(Refusal::malformed("the host is not that of the request target"))
            }
            _ => Ok(()),
        }
    }
}

/// A value on which the framing depends: behind the colon one space at most, and nothing else is trimmed.
fn plain(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// `1*DIGIT`, of a length that a number of 64 bits can hold.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, digit| length.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn starts_with_ignoring_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
