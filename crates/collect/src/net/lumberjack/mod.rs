//! Lumberjack, which Beats speak, from bytes to events: a state machine without I/O.
//!
//! A frame is a version byte (`1` or `2`), a kind byte, and what the kind has; all numbers are 32 bits, big endian:
//!
//! ```text
//! W  events                                        the sender waits for an acknowledgement after so many events
//! J  sequence, length, JSON                        an event (version 2)
//! D  sequence, pairs, (length, key, length, value)…  an event (version 1), made into a JSON object here
//! C  length, zlib                                  frames, compressed; no compressed ones among them
//! A  sequence                                      from us: all events up to this one are kept
//! ```
//!
//! A window of any size costs nothing: events are handed over long before it ends, and acknowledged up to there. Sequence
//! numbers are the sender's affair (Beats begin anew in each window, others count on and wrap): they are only repeated in
//! acknowledgements. Where bytes make no sense there is no way to find the next frame, so that the connection ends.

mod frames;
mod packed;

use thiserror::Error;

use super::batch::Sheaf;
use frames::{Found, Frames};
use packed::Packed;

/// Most events that a window may announce.
pub(crate) const WINDOW_EVENTS_MAX: u32 = 1 << 20;

/// Why bytes are not lumberjack.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Broken {
    /// Neither a frame that a sender may send, nor anything else that can be read.
    #[error("unknown frame {} {}", shown(*.version), shown(*.kind))]
    Frame {
        /// Its first byte.
        version: u8,
        /// Its second byte.
        kind: u8,
    },
    /// A length that is not believed.
    #[error("{what} of {bytes} bytes, at most {} are read", frames::FRAME_BYTES_MAX)]
    Length {
        /// Of what.
        what: &'static str,
        /// The length.
        bytes: u32,
    },
    /// An event with more pairs than are read.
    #[error("event of {count} pairs, at most {} are read", frames::PAIRS_MAX)]
    Pairs {
        /// How many pairs.
        count: u32,
    },
    /// A window with more events than are believed.
    #[error("window of {events} events, at most {WINDOW_EVENTS_MAX} are taken")]
    Window {
        /// How many events.
        events: u32,
    },
    /// An event before the first window.
    #[error("event outside of a window")]
    NoWindow,
    /// A compressed frame in a compressed frame.
    #[error("compressed frame inside a compressed frame")]
    Nested,
    /// A compressed frame that becomes larger than is read.
    #[error("compressed frame of more than {bytes_max} bytes")]
    Bomb {
        /// What is read.
        bytes_max: u64,
    },
    /// What should be zlib is not.
    #[error("compressed frame is damaged")]
    Zlib,
    /// The end of a compressed frame is no end of a frame in it.
    #[error("compressed frame ends inside a frame")]
    Torn,
}

fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("0x{byte:02x}") }
}

/// Which lumberjack a frame is of; it is answered in the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    One,
    Two,
}

impl Version {
    /// The acknowledgement of all events up to this one.
    pub(crate) fn acknowledge(self, sequence: u32) -> [u8; 6] {
        let [a, b, c, d] = sequence.to_be_bytes();
        let version = if self == Self::One { b'1' } else { b'2' };
        [version, b'A', a, b, c, d]
    }
}

/// What one step of reading brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Everything was read, and more is needed.
    Hungry,
    /// A bounded piece of work is done, and there is more to read.
    Working,
    /// A window begins.
    Window { version: Version },
    /// An event is complete and closed in the sheaf.
    Event { version: Version, sequence: u32, is_last_of_window: bool },
}

/// Reads one connection.
#[derive(Debug)]
pub(crate) struct Lumberjack {
    frames: Frames,
    packed: Option<Box<Packed>>,
    window: Window,
    unpacked_bytes_max: u64,
}

impl Lumberjack {
    pub(crate) fn new(unpacked_bytes_max: u64) -> Self {
        Self { frames: Frames::default(), packed: None, window: Window::default(), unpacked_bytes_max }
    }

    /// Reads from the front of `input`; with nothing left to read it says that it is hungry.
    pub(crate) fn step(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Result<Step, Broken> {
        let found = match &mut self.packed {
            Some(packed) => match packed.step(input, sheaf)? {
                packed::Turn::Found(found) => found,
                packed::Turn::Working => return Ok(Step::Working),
                packed::Turn::Over => {
                    self.packed = None;
                    return Ok(Step::Working);
                }
            },
            None => self.frames.step(input, sheaf)?,
        };
        match found {
            Found::Hungry => Ok(Step::Hungry),
            Found::Window { version, events } => {
                self.window.begin(events)?;
                Ok(Step::Window { version })
            }
            Found::Event { version, sequence } => {
                let is_last_of_window = self.window.count()?;
                Ok(Step::Event { version, sequence, is_last_of_window })
            }
            Found::Packed { bytes } => {
                self.packed = Some(Box::new(Packed::new(bytes, self.unpacked_bytes_max)));
                Ok(Step::Working)
            }
        }
    }

    /// Whether the sender has begun something and must go on: a frame, or the events of a window.
    pub(crate) fn is_inside(&self) -> bool {
        self.packed.is_some() || self.frames.is_inside() || self.window.is_begun()
    }
}

/// Counts the events of a window.
#[derive(Debug, Default)]
struct Window {
    events: u32,
    left: u32,
}

impl Window {
    fn begin(&mut self, events: u32) -> Result<(), Broken> {
        if events > WINDOW_EVENTS_MAX {
            return Err(Broken::Window { events });
        }
        (self.events, self.left) = (events, events);
        Ok(())
    }

    /// Whether this event is the window's last.
    fn count(&mut self) -> Result<bool, Broken> {
        if self.left == 0 {
            // The first protocol lets a window stand until another is announced.
            self.left = self.events;
        }
        self.left = self.left.checked_sub(1).ok_or(Broken::NoWindow)?;
        Ok(self.left == 0)
    }

    fn is_begun(&self) -> bool {
        self.left > 0 && self.left < self.events
    }
}

#[cfg(test)]
mod tests;
