//! Who speaks, by the first two bytes of a connection.

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Speech {
    Lumberjack,
    SyslogLines,
    SyslogCounted,
}

/// What is known after some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sniffed {
    /// Not enough yet.
    Nothing,
    Known(Speech),
    /// Nothing that is served here; with a guess at what it is.
    Unknown(&'static str),
}

/// First byte of a TLS connection: a handshake record (RFC 8446, section 5.1).
pub(crate) const TLS_FIRST_BYTE: u8 = 0x16;

/// Tells from the first bytes, of which there may be more than two.
///
/// A lumberjack frame begins with its version, `1` or `2`, and a letter; an octet count is digits and a space. Everything
/// else is refused and not taken for a line: a browser can be made to send a form here, and its lines would be believed.
pub(crate) fn sniff(first: &[u8]) -> Sniffed {
    match first {
        [] | [b'1'..=b'9'] => Sniffed::Nothing,
        [b'<', ..] => Sniffed::Known(Speech::SyslogLines),
        [b'1' | b'2', b'A'..=b'Z', ..] => Sniffed::Known(Speech::Lumberjack),
        [b'1'..=b'9', b'0'..=b'9' | b' ', ..] => Sniffed::Known(Speech::SyslogCounted),
        [TLS_FIRST_BYTE, ..] => Sniffed::Unknown("TLS"),
        [b'{', ..] => Sniffed::Unknown("JSON"),
        [b'A'..=b'Z', ..] => Sniffed::Unknown("HTTP"),
        _ => Sniffed::Unknown("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bytes_are_enough() {
        for (first, sniffed) in [
            ("", Sniffed::Nothing),
            ("1", Sniffed::Nothing),
            ("2", Sniffed::Nothing),
            ("9", Sniffed::Nothing),
            ("<", Sniffed::Known(Speech::SyslogLines)),
            ("2W", Sniffed::Known(Speech::Lumberjack)),
            ("1W\0", Sniffed::Known(Speech::Lumberjack)),
            ("2C", Sniffed::Known(Speech::Lumberjack)),
            ("1 ", Sniffed::Known(Speech::SyslogCounted)),
            ("29", Sniffed::Known(Speech::SyslogCounted)),
            ("0", Sniffed::Unknown("something else")),
            ("1x", Sniffed::Unknown("something else")),
            ("GET / HTTP/1.1", Sniffed::Unknown("HTTP")),
            ("\u{16}\u{3}\u{1}", Sniffed::Unknown("TLS")),
            ("{", Sniffed::Unknown("JSON")),
            ("\n<1>", Sniffed::Unknown("something else")),
        ] {
            assert_eq!(sniff(first.as_bytes()), sniffed, "{first:?}");
        }
    }
}
