//! The PROXY protocol: a trusted proxy says in front of a connection whose it is.
//!
//! Versions 1 and 2 of the specification in HAProxy's `doc/proxy-protocol.txt`. A listener that expects it takes no
//! connection without it, and only from trusted peers; there is no way back to the socket's own address but the one the
//! specification has (`UNKNOWN`, `LOCAL`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a line of version 1, line end included.
const LINE_BYTES_MAX: usize = 107;
/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest of all headers: `PROXY UNKNOWN`, CR LF.
const SHORTEST_BYTES: usize = 15;
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// Bytes of addresses and additions (TLVs) in version 2. The largest addition known, a client certificate's name, fits.
const VARIABLE_BYTES_MAX: usize = 2048;

/// A complete header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ProxyHeader {
    /// The client; none when the proxy speaks for itself.
    pub(crate) client: Option<SocketAddr>,
    /// How many bytes it took.
    pub(crate) bytes: usize,
}

/// The bytes are no such header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NoProxyHeader;

/// Reads the header at the beginning of `bytes`; `None` while it is not complete.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    if begins_alike(bytes, b"PROXY ") {
        return version1(bytes);
    }
    if begins_alike(bytes, SIGNATURE) {
        return version2(bytes);
    }
    Err(NoProxyHeader)
}

/// How many bytes belong to the header for certain beside these, which are not all of it: whoever reads no more than that takes
/// nothing of what follows.
pub(crate) fn missing(bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return SHORTEST_BYTES;
    }
    if !begins_alike(bytes, SIGNATURE) {
        // A line: only its end says where it ends.
        return 1;
    }
    let length = bytes.get(14..FIXED_BYTES).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    (FIXED_BYTES + length).saturating_sub(bytes.len()).max(1)
}

/// Whether what has come could be the beginning of `whole`, or has it as its own.
fn begins_alike(bytes: &[u8], whole: &[u8]) -> bool {
    let common = bytes.len().min(whole.len());
    bytes[..common] == whole[..common]
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443` and CR LF.
fn version1(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(NoProxyHeader) };
    };
    let line = bytes[..end].strip_suffix(b"\r").and_then(|line| line.strip_prefix(b"PROXY "));
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or(NoProxyHeader)?;
    let header = |client| Ok(Some(ProxyHeader { client, bytes: end + 1 }));
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return header(None);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = words[..] else { return Err(NoProxyHeader) };
    let is_of_family = |address: IpAddr| match family {
        "TCP4" => address.is_ipv4(),
        "TCP6" => address.is_ipv6(),
        _ => false,
    };
    let address = |text: &str| text.parse().ok().filter(|address| is_of_family(*address)).ok_or(NoProxyHeader);
    let (source, _) = (address(source)?, address(destination)?);
    let (source_port, _) = (port(source_port)?, port(destination_port)?);
    header(Some(SocketAddr::new(source, source_port)))
}

/// Decimal, without sign or leading zero.
fn port(text: &str) -> Result<u16, NoProxyHeader> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(NoProxyHeader)
}

/// ```text
/// signature (12) | 2, command | family, transport | length of the rest (2) | addresses | additions
/// ```
fn version2(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let Some(fixed) = bytes.get(..FIXED_BYTES) else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > VARIABLE_BYTES_MAX {
        return Err(NoProxyHeader);
    }
    let Some(variable) = bytes.get(FIXED_BYTES..FIXED_BYTES + length) else { return Ok(None) };
    let client = match (fixed[12], fixed[13]) {
        // LOCAL: the proxy's own connection, for its health checks. What follows has no meaning.
        (0x20, _) => None,
        // PROXY of TCP over IPv4, over IPv6. Other families have no address that could be checked.
        (0x21, 0x11) => {
            let [a, b, c, d, _, _, _, _, high, low, _, _, additions @ ..] = variable else { return Err(NoProxyHeader) };
            check_additions(additions)?;
            Some(SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), u16::from_be_bytes([*high, *low])))
        }
        (0x21, 0x21) => {
            let (addresses, additions) = variable.split_at_checked(36).ok_or(NoProxyHeader)?;
            check_additions(additions)?;
            let source: [u8; 16] = addresses[..16].try_into().map_err(|_| NoProxyHeader)?;
            Some(SocketAddr::new(Ipv6Addr::from(source).into(), u16::from_be_bytes([addresses[32], addresses[33]])))
        }
        _ => return Err(NoProxyHeader),
    };
    Ok(Some(ProxyHeader { client, bytes: FIXED_BYTES + length }))
}

/// Additions are of no use here, but a length that leads out of the header is a sign of an attempt.
fn check_additions(mut additions: &[u8]) -> Result<(), NoProxyHeader> {
    while let [_kind, high, low, rest @ ..] = additions {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        additions = rest.get(length..).ok_or(NoProxyHeader)?;
    }
    if additions.is_empty() { Ok(()) } else { Err(NoProxyHeader) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version2_of(command: u8, family: u8, variable: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend((variable.len() as u16).to_be_bytes());
        header.extend(variable);
        header
    }

    fn client(bytes: &[u8]) -> Option<SocketAddr> {
        read(bytes).unwrap().unwrap().client
    }

    #[test]
    fn lines_of_version_1() {
        assert_eq!(client(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET"), "192.0.2.1:56324".parse().ok());
        assert_eq!(client(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1".parse().ok());
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(client(b"PROXY UNKNOWN ffff::1 x y\r\n"), None);
        for bad in [
            "GET / HTTP/1.1\r\n",
            "PROXY\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 9\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 56324 443\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 443\r\n",
            "PROXY TCP4 1.2.3 192.0.2.2 1 443\r\n",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 443\r\n",
            &format!("PROXY UNKNOWN {}\r\n", "x".repeat(107)),
        ] {
            assert_eq!(read(bad.as_bytes()), Err(NoProxyHeader), "{bad}");
        }
    }

    #[test]
    fn headers_of_version_2() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 1, 187];
        assert_eq!(client(&version2_of(0x21, 0x11, &v4)), "192.0.2.1:4660".parse().ok());
        let with_addition = [&v4[..], &[0x20, 0, 3, 0, 0, 0]].concat();
        assert_eq!(client(&version2_of(0x21, 0x11, &with_addition)), "192.0.2.1:4660".parse().ok());
        let mut v6 = Ipv6Addr::LOCALHOST.octets().to_vec();
        v6.extend([0; 16]);
        v6.extend([0, 80, 1, 187]);
        assert_eq!(client(&version2_of(0x21, 0x21, &v6)), "[::1]:80".parse().ok());
        assert_eq!(client(&version2_of(0x20, 0x00, &[])), None);
        let cut_addition = [&v4[..], &[0x20, 0, 4, 0, 0, 0]].concat();
        for bad in [
            version2_of(0x21, 0x11, &v4[..11]),
            version2_of(0x21, 0x21, &v4),
            version2_of(0x21, 0x12, &v4),
            version2_of(0x21, 0x31, &[0; 216]),
            version2_of(0x21, 0x00, &[]),
            version2_of(0x11, 0x11, &v4),
            version2_of(0x22, 0x11, &v4),
            version2_of(0x21, 0x11, &cut_addition),
            version2_of(0x20, 0x00, &[0; 2049]),
        ] {
            assert_eq!(read(&bad), Err(NoProxyHeader), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_of_a_header_asks_for_more(cut in 0_usize..28, source: u32, port: u16) {
            let mut variable = source.to_be_bytes().to_vec();
            variable.extend([0; 4]);
            variable.extend(port.to_be_bytes());
            variable.extend([0; 2]);
            let header = version2_of(0x21, 0x11, &variable);
            prop_assert_eq!(read(&header[..cut]), Ok(None));
            let expected = SocketAddr::new(Ipv4Addr::from_bits(source).into(), port);
            prop_assert_eq!(read(&header), Ok(Some(ProxyHeader { client: Some(expected), bytes: 28 })));
            let line = format!("PROXY TCP4 {} 192.0.2.1 {port} 443\r\n", Ipv4Addr::from_bits(source));
            prop_assert_eq!(read(&line.as_bytes()[..cut]), Ok(None));
            // Whoever reads no more than what is missing takes nothing of what follows.
            for whole in [&header[..], line.as_bytes()] {
                let mut taken = 0;
                while read(&whole[..taken]) == Ok(None) {
                    taken += missing(&whole[..taken]);
                }
                prop_assert_eq!(taken, whole.len());
            }
            prop_assert_eq!(client(line.as_bytes()), Some(expected));
        }

        #[test]
        fn any_bytes_are_decided_within_the_bound(bytes in proptest::collection::vec(any::<u8>(), 0..64), seed: u8) {
            let starts: [&[u8]; 3] = [b"", b"PROXY ", SIGNATURE];
            let mut all = starts[usize::from(seed % 3)].to_vec();
            all.extend(bytes);
            let decided = read(&all);
            all.resize(all.len().max(FIXED_BYTES + VARIABLE_BYTES_MAX), 0);
            prop_assert!(read(&all) != Ok(None));
            if let Ok(Some(header)) = decided {
                prop_assert_eq!(read(&all), Ok(Some(header)));
            }
        }
    }
}
