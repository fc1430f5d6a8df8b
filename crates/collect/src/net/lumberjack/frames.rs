//! The frames of lumberjack, one after the other.

use super::{Broken, Version};
use crate::net::batch::Sheaf;

/// Longest payload of a frame. What an event has beyond the length of a message is read and left out; a sender that
/// announces more than this is not believed.
pub(crate) const FRAME_BYTES_MAX: u32 = 64 << 20;
/// Pairs of an event of version 1.
pub(crate) const PAIRS_MAX: u32 = 4_096;
/// Bytes of the longest fixed part of a frame: version, kind, sequence, length.
const HEAD_BYTES_MAX: usize = 10;
/// A text of a pair larger than this gives its memory back.
const TEXT_BYTES_KEPT: usize = 64 << 10;

/// What was found in the bytes.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// Everything was read, and more is needed.
    Hungry,
    /// The sender will wait for an acknowledgement after so many events.
    Window { version: Version, events: u32 },
    /// An event is complete and has been closed in the sheaf.
    Event { version: Version, sequence: u32 },
    /// So many bytes of zlib follow.
    Packed { bytes: u32 },
}

/// Reads frames from pieces of any size. The payload of an event goes to the sheaf as it comes.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Json { sequence: u32, left: u32 },
    Pairs(Pairs),
}

impl Default for Frames {
    fn default() -> Self {
        Self { state: State::Head(Head::default()) }
    }
}

impl Frames {
    /// Reads from the front of `input` up to the end of the next frame.
    pub(super) fn step(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Result<Found, Broken> {
        loop {
            let found = match &mut self.state {
                State::Head(head) => match head.read(input)? {
                    None => return Ok(Found::Hungry),
                    Some(Begun::Window { version, events }) => Found::Window { version, events },
                    Some(Begun::Packed { bytes }) => Found::Packed { bytes },
                    Some(Begun::Json { sequence, bytes }) => {
                        self.state = State::Json { sequence, left: bytes };
                        continue;
                    }
                    Some(Begun::Pairs { version, sequence, count }) => {
                        sheaf.push(b"{");
                        self.state = State::Pairs(Pairs::new(version, sequence, count));
                        continue;
                    }
                },
                State::Json { sequence, left } => {
                    sheaf.push(split_front(input, left));
                    if *left > 0 {
                        return Ok(Found::Hungry);
                    }
                    sheaf.close();
                    Found::Event { version: Version::Two, sequence: *sequence }
                }
                State::Pairs(pairs) => {
                    if !pairs.read(input, sheaf)? {
                        return Ok(Found::Hungry);
                    }
                    sheaf.push(b"}");
                    sheaf.close();
                    Found::Event { version: pairs.version, sequence: pairs.sequence }
                }
            };
            self.state = State::Head(Head::default());
            return Ok(found);
        }
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        !matches!(&self.state, State::Head(head) if head.have == 0)
    }
}

/// Takes at most `left` bytes from the front of `input`.
fn split_front<'a>(input: &mut &'a [u8], left: &mut u32) -> &'a [u8] {
    let take = input.len().min(*left as usize);
    let (front, rest) = input.split_at(take);
    *input = rest;
    *left -= take as u32;
    front
}

/// The fixed part of a frame, as far as it has come.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    have: usize,
}

/// A frame by its fixed part.
#[derive(Debug)]
enum Begun {
    Window { version: Version, events: u32 },
    Packed { bytes: u32 },
    Json { sequence: u32, bytes: u32 },
    Pairs { version: Version, sequence: u32, count: u32 },
}

impl Head {
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<Begun>, Broken> {
        if !self.fill(2, input) {
            return Ok(None);
        }
        let version = match self.bytes[0] {
            b'1' => Version::One,
            b'2' => Version::Two,
            _ => return Err(self.unknown()),
        };
        let length = match (version, self.bytes[1]) {
            (_, b'W' | b'C') => 6,
            (_, b'D') | (Version::Two, b'J') => 10,
            _ => return Err(self.unknown()),
        };
        if !self.fill(length, input) {
            return Ok(None);
        }
        let [first, second] = [2, 6].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte])));
        let begun = match self.bytes[1] {
            b'W' => Begun::Window { version, events: first },
            b'C' => Begun::Packed { bytes: bounded("compressed frame", first)? },
            b'J' => Begun::Json { sequence: first, bytes: bounded("event", second)? },
            _ if second > PAIRS_MAX => return Err(Broken::Pairs { count: second }),
            _ => Begun::Pairs { version, sequence: first, count: second },
        };
        Ok(Some(begun))
    }

    /// Whether there are `length` bytes now.
    fn fill(&mut self, length: usize, input: &mut &[u8]) -> bool {
        let take = length.saturating_sub(self.have).min(input.len());
        let (front, rest) = input.split_at(take);
        self.bytes[self.have..self.have + take].copy_from_slice(front);
        self.have += take;
        *input = rest;
        self.have >= length
    }

    fn unknown(&self) -> Broken {
        Broken::Frame { version: self.bytes[0], kind: self.bytes[1] }
    }
}

fn bounded(what: &'static str, bytes: u32) -> Result<u32, Broken> {
    if bytes > FRAME_BYTES_MAX { Err(Broken::Length { what, bytes }) } else { Ok(bytes) }
}

/// An event of version 1: texts in pairs, which are written as one JSON object.
#[derive(Debug)]
struct Pairs {
    version: Version,
    sequence: u32,
    /// Texts that are still to come: two for each pair.
    left: u32,
    part: Part,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Part {
    Length { bytes: [u8; 4], have: usize },
    Text { left: u32 },
}

impl Part {
    const START: Self = Self::Length { bytes: [0; 4], have: 0 };
}

impl Pairs {
    fn new(version: Version, sequence: u32, count: u32) -> Self {
        Self { version, sequence, left: count * 2, part: Part::START, text: Vec::new() }
    }

    /// Whether the last pair is complete.
    fn read(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Result<bool, Broken> {
        while self.left > 0 {
            match &mut self.part {
                Part::Length { bytes, have } => {
                    let Some((first, rest)) = input.split_first() else { return Ok(false) };
                    bytes[*have] = *first;
                    *have += 1;
                    *input = rest;
                    if *have == bytes.len() {
                        self.part = Part::Text { left: bounded("text of a pair", u32::from_be_bytes(*bytes))? };
                    }
                }
                Part::Text { left } => {
                    let piece = split_front(input, left);
                    let room = sheaf.message_bytes_max().saturating_sub(self.text.len());
                    self.text.extend_from_slice(&piece[..piece.len().min(room)]);
                    sheaf.leave_out(piece.len().saturating_sub(room));
                    if *left > 0 {
                        return Ok(false);
                    }
                    self.write(sheaf);
                }
            }
        }
        Ok(true)
    }

    /// Writes the text that is complete as a key or as a value.
    fn write(&mut self, sheaf: &mut Sheaf) {
        let is_key = self.left.is_multiple_of(2);
        let text = serde_json::Value::String(String::from_utf8_lossy(&self.text).into_owned()).to_string();
        sheaf.push(text.as_bytes());
        self.left -= 1;
        if is_key {
            sheaf.push(b":");
        } else if self.left > 0 {
            sheaf.push(b",");
        }
        self.text.clear();
        if self.text.capacity() > TEXT_BYTES_KEPT {
            self.text = Vec::new();
        }
        self.part = Part::START;
    }
}
