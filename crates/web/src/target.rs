//! Request targets and hosts: which characters they may have, and which spellings of a path nobody needs.
//!
//! RFC 3986, sections 3.2 to 3.4 and 2.1; RFC 9112, section 3.2; RFC 9110, section 7.2. Stricter than those: an encoded
//! slash, backslash or control character, a dot segment in any spelling, and a path that does not decode to UTF-8 are
//! refused, so that no later part of the house, and no server behind it, reads another path than was checked. One place
//! is different: what follows `/v1/models/` is one name, and names of models have slashes, which clients encode.

use std::borrow::Cow;

use crate::refusal::Refusal;

/// Bits of [`CLASS`].
pub(crate) const TOKEN: u8 = 1;
pub(crate) const PATH: u8 = 2;
pub(crate) const QUERY: u8 = 4;
pub(crate) const HOST: u8 = 8;
pub(crate) const VALUE: u8 = 16;

/// What each byte may be part of.
pub(crate) static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        let mut class = 0;
        // token, without the underscore: names with one merge with names that have a hyphen in too many servers.
        if byte.is_ascii_alphanumeric() || in_set(byte, b"!#$%&'*+-.^`|~") {
            class |= TOKEN;
        }
        // pchar and "/"; a percent sign is looked at apart.
        if byte.is_ascii_alphanumeric() || in_set(byte, b"-._~!$&'()*+,;=:@/%") {
            class |= PATH;
        }
        // Looser than RFC 3986: filters and search expressions come unencoded from many clients.
        if byte.is_ascii_graphic() && !in_set(byte, b"#\"<>") {
            class |= QUERY;
        }
        if byte.is_ascii_alphanumeric() || in_set(byte, b"-._") {
            class |= HOST;
        }
        // field-vchar, SP, HTAB; obs-text is data.
        if byte == b'\t' || (byte >= b' ' && byte != 0x7F) {
            class |= VALUE;
        }
        classes[index] = class;
        index += 1;
    }
    classes
}

const fn in_set(byte: u8, set: &[u8]) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether all `bytes` are of this class.
pub(crate) fn all_are(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| CLASS[usize::from(*byte)] & class != 0)
}

/// Checks path and query as they stand in a request.
pub(crate) fn check_path_and_query(target: &[u8]) -> Result<(), Refusal> {
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[][..]),
    };
    if path.first() != Some(&b'/') || !all_are(path, PATH) || !all_are(query, QUERY) {
        return Err(Refusal::malformed("the request target is malformed"));
    }
    match memchr::memchr2(b'%', b'.', path) {
        Some(_) => check_spelling(path),
        None => Ok(()),
    }
}

/// What follows it is one name up to the end of the path.
const NAME_AFTER: &[u8] = b"/v1/models/";

/// Decodes once and looks at what comes out.
fn check_spelling(path: &[u8]) -> Result<(), Refusal> {
    let decoded = decode(path).ok_or(Refusal::malformed("the path has a malformed percent-encoding"))?;
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Refusal::malformed("the path does not decode to UTF-8"));
    }
    if decoded.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
        return Err(Refusal::malformed("the path has a dot segment"));
    }
    Ok(())
}

/// The path with its percent-encodings decoded; `None` when one is malformed or hides what only plain characters may be.
fn decode(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr(b'%', path) else { return Some(Cow::Borrowed(path)) };
    let mut decoded = path[..first].to_vec();
    let mut rest = &path[first..];
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let byte = hex(digits[0])? << 4 | hex(digits[1])?;
        let is_slash_of_a_name = byte == b'/' && path.starts_with(NAME_AFTER);
        if byte < b' ' || matches!(byte, b'\\' | 0x7F) || (byte == b'/' && !is_slash_of_a_name) {
            return None;
        }
        decoded.push(byte);
        rest = behind;
    }
    Some(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Whether this is `uri-host [":" port]` with a name or an address that can be meant.
pub(crate) fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.first() {
        Some(b'[') => {
            let Some(end) = memchr::memchr(b']', host) else { return false };
            let address = &host[1..end];
            let plain = std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            if !plain {
                return false;
            }
            (address, &host[end + 1..])
        }
        _ => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    let is_name = !name.is_empty() && (host[0] == b'[' || all_are(name, HOST));
    is_name && is_port(port)
}

/// Nothing, or a colon and at most five digits.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_encoded_paths_pass() {
        for target in [
            "/",
            "/v1/models",
            "/v1/models/qwen3:32b",
            "/v1/models/qwen3.5",
            "/v1/models/Qwen%2FQwen3-32B",
            "/a.b/..c/d..",
            "/%E4%BD%A0%E5%A5%BD",
            "/a%20b?q=a\\:b|[c]^`{}&x=100%",
            "/a//b",
            "/;x=1",
            "/%252e%252e/",
        ] {
            assert_eq!(check_path_and_query(target.as_bytes()), Ok(()), "{target}");
        }
    }

    #[test]
    fn spellings_that_hide_something_do_not() {
        for target in [
            "",
            "v1",
            "/a b",
            "/a#b",
            "/a?b#c",
            "/a\\b",
            "/\u{e9}",
            "/..",
            "/v1/../admin",
            "/v1/./admin",
            "/v1/%2e%2e/admin",
            "/v1/.%2E",
            "/%2e",
            "/a%2fb",
            "/v1%2Fmodels/a%2fb",
            "/v1/models/%2e%2e%2fadmin",
            "/v1/models/a%2F..%2Fb",
            "/a%5Cb",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/%",
            "/%4",
            "/%zz",
            "/%c0%ae%c0%ae/",
            "/%ff",
        ] {
            assert!(check_path_and_query(target.as_bytes()).is_err(), "{target}");
        }
    }

    #[test]
    fn hosts() {
        for host in ["localhost", "localhost:80", "a_b.c-d:65535", "127.0.0.1", "[::1]", "[::1]:8080", "a:", "x."] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a b", "a\tb", "user@a", "a/", "a?", "a#", "a\\b", "a:b", "a:123456", "[::1", "[::1]x", "[]",
            "a,b", "%61", "[zz]",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
