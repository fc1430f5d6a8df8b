//! Syslog over a stream, from bytes to messages: RFC 6587, a state machine without I/O that takes any bytes.
//!
//! A connection whose first byte is `<` has one message a line (section 3.4.2; LF or NUL ends it, and CR before it goes).
//! One that begins with a digit has octet counts (section 3.4.1: `MSG-LEN SP MSG`). Where such a connection has no count, or
//! one that cannot be, everything up to the next line break is one message, and counts are looked for again behind it.

use super::batch::Sheaf;

/// Largest count that is believed. What a message has beyond the length of a message is read and left out.
pub(crate) const COUNT_MAX: u64 = 64 << 20;
/// Digits of a count.
const DIGITS_MAX: usize = 8;

/// What one step of reading brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Everything was read, and more is needed.
    Hungry,
    /// A message is complete and closed in the sheaf.
    Message,
}

/// Reads one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    is_counted: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between two messages.
    Between,
    Count {
        digits: [u8; DIGITS_MAX],
        have: usize,
    },
    Counted {
        left: u64,
    },
    Line,
}

impl Framing {
    /// One message a line.
    pub(crate) fn lines() -> Self {
        Self { is_counted: false, state: State::Between }
    }

    /// Octet counts.
    pub(crate) fn counted() -> Self {
        Self { is_counted: true, state: State::Between }
    }

    /// Reads from the front of `input` to the end of the next message.
    pub(crate) fn step(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Step {
        while let Some(&first) = input.first() {
            match &mut self.state {
                State::Between => match first {
                    b'\n' | b'\r' | 0 => *input = &input[1..],
                    b'1'..=b'9' if self.is_counted => self.state = State::Count { digits: [0; DIGITS_MAX], have: 0 },
                    _ => self.state = State::Line,
                },
                State::Count { digits, have } => match first {
                    b'0'..=b'9' if *have < DIGITS_MAX => {
                        digits[*have] = first;
                        *have += 1;
                        *input = &input[1..];
                    }
                    _ => {
                        let count = value(&digits[..*have]);
                        if first == b' ' && count <= COUNT_MAX {
                            *input = &input[1..];
                            self.state = State::Counted { left: count };
                        } else {
                            sheaf.push(&digits[..*have]);
                            self.state = State::Line;
                        }
                    }
                },
                State::Counted { left } => {
                    let take = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let (front, rest) = input.split_at(take);
                    sheaf.push(front);
                    *input = rest;
                    *left -= take as u64;
                    if *left == 0 && self.end(sheaf) {
                        return Step::Message;
                    }
                }
                State::Line => {
                    let end = memchr::memchr2(b'\n', 0, input);
                    let (front, rest) = input.split_at(end.unwrap_or(input.len()));
                    sheaf.push(front);
                    *input = rest.get(1..).unwrap_or_default();
                    if end.is_some() && self.end(sheaf) {
                        return Step::Message;
                    }
                }
            }
        }
        Step::Hungry
    }

    /// Whether a message has begun and not ended.
    pub(crate) fn is_inside(&self) -> bool {
        !matches!(self.state, State::Between)
    }

    /// The sender has closed the connection. A last line without its end is a message; a message that has not as many bytes as
    /// were counted is none. Returns whether something was lost.
    pub(crate) fn finish(&mut self, sheaf: &mut Sheaf) -> bool {
        match self.state {
            State::Between => false,
            State::Line => {
                self.end(sheaf);
                false
            }
            State::Count { .. } | State::Counted { .. } => {
                sheaf.abandon();
                self.state = State::Between;
                true
            }
        }
    }

    fn end(&mut self, sheaf: &mut Sheaf) -> bool {
        self.state = State::Between;
        sheaf.close_line()
    }
}

fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::batch::Bounds;

    const BOUNDS: Bounds = Bounds { message_bytes_max: 20, messages_max: 1_000, bytes_max: 1 << 20 };

    /// What is read from `bytes`, given in pieces of `size`; `…` marks a cut message, `!` a loss at the end.
    fn read(mut framing: Framing, bytes: &[u8], size: usize) -> Vec<String> {
        let mut sheaf = Sheaf::new(BOUNDS, ([127, 0, 0, 1], 1).into());
        for mut piece in bytes.chunks(size) {
            while framing.step(&mut piece, &mut sheaf) == Step::Message {}
            assert!(piece.is_empty());
        }
        let is_lost = framing.finish(&mut sheaf);
        assert!(!framing.is_inside());
        let batch = sheaf.take();
        assert_eq!(sheaf.held_bytes(), 0);
        let shown = batch.messages().map(|message| {
            let mark = if message.left_out_bytes > 0 { "…" } else { "" };
            String::from_utf8_lossy(message.bytes).into_owned() + mark
        });
        shown.chain(is_lost.then(|| "!".to_owned())).collect()
    }

    #[test]
    fn each_stream_is_read_as_its_messages_in_pieces_of_any_size() {
        let lines: &[(&str, &[&str])] = &[
            ("<1>a\n<1>b\n", &["<1>a", "<1>b"]),
            ("<1>a\r\n<1>b\0<1>c", &["<1>a", "<1>b", "<1>c"]),
            ("\n\n<1>a\n\r\n\n", &["<1>a"]),
            ("<1>a\n  at b\n5 <1>c\n", &["<1>a", "  at b", "5 <1>c"]),
            ("<1>0123456789abcdefghijkl\n<1>b\n", &["<1>0123456789abcdefg…", "<1>b"]),
            ("", &[]),
        ];
        let counted: &[(&str, &[&str])] = &[
            ("4 <1>a5 <1>bc", &["<1>a", "<1>bc"]),
            ("5 <1>a\n4 <1>b\n4 <1>c", &["<1>a", "<1>b", "<1>c"]),
            ("6 <1>a\n\n7 <1>a\nbc", &["<1>a\n", "<1>a\nbc"]),
            ("4 <1>a<1>b\n4 <1>c", &["<1>a", "<1>b", "<1>c"]),
            ("4 <1>a04 <1>b\n4 <1>c", &["<1>a", "04 <1>b", "<1>c"]),
            ("99999999 <1>a\n4 <1>c", &["99999999 <1>a", "<1>c"]),
            ("123456789 <1>a\n4 <1>c", &["123456789 <1>a", "<1>c"]),
            ("12x4 <1>a\n4 <1>c", &["12x4 <1>a", "<1>c"]),
            ("26 <1>0123456789abcdefghijklm4 <1>c", &["<1>0123456789abcdefg…", "<1>c"]),
            ("4 <1>a9 <1>b", &["<1>a", "!"]),
            ("4 <1>a12", &["<1>a", "!"]),
            ("1 \n2 \r\n4 <1>a", &["<1>a"]),
        ];
        for size in [1, 2, 3, 5, 1_000] {
            for (stream, messages) in lines {
                assert_eq!(read(Framing::lines(), stream.as_bytes(), size), *messages, "{stream:?} by {size}");
            }
            for (stream, messages) in counted {
                assert_eq!(read(Framing::counted(), stream.as_bytes(), size), *messages, "{stream:?} by {size}");
            }
        }
    }
}
