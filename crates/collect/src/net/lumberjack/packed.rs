//! A compressed frame, unpacked while it comes: neither its bytes nor what they become is ever held as a whole.

use flate2::{Decompress, FlushDecompress, Status};

use super::Broken;
use super::frames::{Found, Frames};
use crate::net::batch::Sheaf;

/// Bytes that are unpacked at once.
const PIECE_BYTES: usize = 16 << 10;

/// What one step brought.
#[derive(Debug)]
pub(super) enum Turn {
    /// Something that was packed; never anything packed again.
    Found(Found),
    /// A piece was unpacked.
    Working,
    /// The frame has ended.
    Over,
}

/// Where in a compressed frame we are.
#[derive(Debug)]
pub(super) struct Packed {
    zlib: Decompress,
    /// Bytes of the frame that are still to come.
    left: u32,
    /// zlib has said that it is at its end; what follows in the frame is passed over.
    is_at_end: bool,
    piece: Vec<u8>,
    /// How much of the piece was read.
    read: usize,
    unpacked_bytes: u64,
    unpacked_bytes_max: u64,
    frames: Frames,
}

impl Packed {
    pub(super) fn new(bytes: u32, unpacked_bytes_max: u64) -> Self {
        Self {
            zlib: Decompress::new(true),
            left: bytes,
            is_at_end: false,
            piece: Vec::with_capacity(PIECE_BYTES),
            read: 0,
            unpacked_bytes: 0,
            unpacked_bytes_max,
            frames: Frames::default(),
        }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], sheaf: &mut Sheaf) -> Result<Turn, Broken> {
        if self.read < self.piece.len() {
            let mut rest = &self.piece[self.read..];
            let found = self.frames.step(&mut rest, sheaf)?;
            self.read = self.piece.len() - rest.len();
            return match found {
                Found::Packed { .. } => Err(Broken::Nested),
                Found::Hungry => Ok(Turn::Working),
                found => Ok(Turn::Found(found)),
            };
        }
        let has_more = !self.is_at_end && self.unpack(input)?;
        if has_more {
            return Ok(Turn::Working);
        }
        if self.is_at_end {
            let passed = input.len().min(self.left as usize);
            *input = &input[passed..];
            self.left -= passed as u32;
        }
        if self.left > 0 {
            return Ok(Turn::Found(Found::Hungry));
        }
        if self.frames.is_inside() { Err(Broken::Torn) } else { Ok(Turn::Over) }
    }

    /// Unpacks the next piece; `false` when there is none, for want of bytes or because the end was reached.
    fn unpack(&mut self, input: &mut &[u8]) -> Result<bool, Broken> {
        let offered = &input[..input.len().min(self.left as usize)];
        let before = (self.zlib.total_in(), self.zlib.total_out());
        self.piece.clear();
        self.read = 0;
        let status = self.zlib.decompress_vec(offered, &mut self.piece, FlushDecompress::None);
        let status = status.map_err(|_| Broken::Zlib)?;
        let taken = (self.zlib.total_in() - before.0) as usize;
        let made = self.zlib.total_out() - before.1;
        self.is_at_end = status == Status::StreamEnd;
        if taken == 0 && made == 0 && !offered.is_empty() && !self.is_at_end {
            // Bytes and room were there, and nothing was done with them.
            return Err(Broken::Zlib);
        }
        *input = &input[taken..];
        self.left -= taken as u32;
        self.unpacked_bytes += made;
        if self.unpacked_bytes > self.unpacked_bytes_max {
            return Err(Broken::Bomb { bytes_max: self.unpacked_bytes_max });
        }
        Ok(made > 0 || (taken > 0 && !input.is_empty() && self.left > 0))
    }
}
