//! Packed bodies: how they are packed, and what is in them, up to a bound.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use thiserror::Error;

/// Largest window that a Zstandard frame may ask for, as a power of two: 8 MiB, what RFC 9659 demands of clients.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Unpacked at once.
const PIECE_BYTES: usize = 64 << 10;

/// How a body is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// It is not.
    None,
    /// gzip (RFC 1952), also several members.
    Gzip,
    /// What HTTP calls deflate: zlib (RFC 1950), or without its frame, as some send it.
    Deflate,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// Why a body cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It becomes larger than it may.
    #[error("the body has more than {0} bytes when it is unpacked")]
    TooLarge(usize),
    /// It is not packed as its head says.
    #[error("unpacking the body: {0}")]
    Broken(#[source] io::Error),
}

impl Packing {
    /// The one that a `Content-Encoding` names; nothing for others, also for several at once.
    pub fn of(value: Option<&str>) -> Option<Self> {
        match value.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::None),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What is in a body. `grow` is asked before so many more bytes are kept; nothing comes back when it says no, because
    /// there is no memory for them now.
    pub fn unpack(
        self,
        body: &[u8],
        bytes_max: usize,
        mut grow: impl FnMut(usize) -> bool,
    ) -> Result<Option<Vec<u8>>, UnpackError> {
        let mut reader: Box<dyn Read + '_> = match self {
            Self::None => Box::new(body),
            Self::Gzip => Box::new(MultiGzDecoder::new(body)),
            Self::Deflate if is_zlib(body) => Box::new(ZlibDecoder::new(body)),
            Self::Deflate => Box::new(DeflateDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(body).map_err(UnpackError::Broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(UnpackError::Broken)?;
                Box::new(decoder)
            }
        };
        let mut unpacked = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = reader.read(&mut piece).map_err(UnpackError::Broken)?;
            if read == 0 {
                return Ok(Some(unpacked));
            }
            if unpacked.len() + read > bytes_max {
                return Err(UnpackError::TooLarge(bytes_max));
            }
            if !grow(read) {
                return Ok(None);
            }
            unpacked.extend_from_slice(&piece[..read]);
        }
    }
}

/// Whether it begins with zlib's two bytes, which are a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Packing; 4] = [Packing::None, Packing::Gzip, Packing::Deflate, Packing::Zstd];

    fn packed(packing: Packing, bytes: &[u8]) -> Vec<u8> {
        let level = Compression::fast();
        match packing {
            Packing::None => bytes.to_vec(),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    #[test]
    fn each_packing_is_undone_up_to_the_bound() {
        let bytes = b"a line of a log\n".repeat(10_000);
        for packing in ALL {
            let body = packed(packing, &bytes);
            assert_eq!(packing.unpack(&body, bytes.len(), |_| true).unwrap().unwrap(), bytes, "{packing:?}");
            let larger = packing.unpack(&body, bytes.len() - 1, |_| true);
            assert!(matches!(larger, Err(UnpackError::TooLarge(_))), "{packing:?}");
            let mut left = 100_000;
            let grow = |more| {
                left -= more as i64;
                left >= 0
            };
            assert!(packing.unpack(&body, bytes.len(), grow).unwrap().is_none(), "{packing:?}");
            if packing != Packing::None {
                let torn = packing.unpack(&body[..body.len() - 9], bytes.len(), |_| true);
                assert!(torn.is_err(), "{packing:?}");
            }
        }
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&bytes).unwrap();
        let raw = raw.finish().unwrap();
        assert_eq!(Packing::Deflate.unpack(&raw, bytes.len(), |_| true).unwrap().unwrap(), bytes);
    }

    #[test]
    fn packings_have_names() {
        for (value, packing) in [
            (None, Some(Packing::None)),
            (Some("identity"), Some(Packing::None)),
            (Some(" GZIP "), Some(Packing::Gzip)),
            (Some("deflate"), Some(Packing::Deflate)),
            (Some("zstd"), Some(Packing::Zstd)),
            (Some("br"), None),
            (Some("gzip, gzip"), None),
        ] {
            assert_eq!(Packing::of(value), packing, "{value:?}");
        }
    }

    #[test]
    fn a_window_that_would_take_the_memory_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(Packing::Zstd.unpack(&body, 2 << 20, |_| true), Err(UnpackError::Broken(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), which in 0..ALL.len(), bound in 0..4096_usize) {
            if let Ok(Some(unpacked)) = ALL[which].unpack(&bytes, bound, |_| true) {
                prop_assert!(unpacked.len() <= bound);
            }
        }
    }
}
