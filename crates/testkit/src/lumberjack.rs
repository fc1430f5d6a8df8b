//! Lumberjack version 2 as Beats send it: windows of events, byte for byte.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use crate::PATIENCE;

/// How the events of a window are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// All of them in one compressed frame, as Filebeat does.
    Compressed,
}

/// The bytes of one window: its announcement, and its events numbered from 1.
pub fn lumberjack_window(events: &[impl AsRef<[u8]>], packing: Packing) -> Vec<u8> {
    let mut frames = Vec::new();
    for (sequence, event) in (1_u32..).zip(events) {
        let event = event.as_ref();
        frames.extend_from_slice(b"2J");
        frames.extend_from_slice(&sequence.to_be_bytes());
        frames.extend_from_slice(&length(event));
        frames.extend_from_slice(event);
    }
    let mut window = b"2W".to_vec();
    window.extend_from_slice(&u32::try_from(events.len()).expect("a window of at most 2^32 events").to_be_bytes());
    match packing {
        Packing::Plain => window.extend_from_slice(&frames),
        Packing::Compressed => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(3));
            encoder.write_all(&frames).expect("writing into memory");
            let packed = encoder.finish().expect("writing into memory");
            window.extend_from_slice(b"2C");
            window.extend_from_slice(&length(&packed));
            window.extend_from_slice(&packed);
        }
    }
    window
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a frame of at most 2^32 bytes").to_be_bytes()
}

/// A sender of windows.
#[derive(Debug)]
pub struct LumberjackClient<S = TcpStream> {
    stream: S,
}

impl LumberjackClient {
    /// Connects.
    pub async fn connect(address: impl ToSocketAddrs) -> Self {
        let stream =
            timeout(PATIENCE, TcpStream::connect(address)).await.expect("connecting in time").expect("connecting");
        stream.set_nodelay(true).expect("a socket without delay");
        Self { stream }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> LumberjackClient<S> {
    /// Sends over a stream that is there, such as one of TLS.
    pub fn over(stream: S) -> Self {
        Self { stream }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, sent).await.expect("sending in time")
    }

    /// The sequence number of the next acknowledgement; an error when the connection has ended.
    pub async fn acknowledgement(&mut self) -> io::Result<u32> {
        let mut frame = [0; 6];
        timeout(PATIENCE, self.stream.read_exact(&mut frame)).await.expect("an acknowledgement in time")?;
        assert_eq!(&frame[..2], b"2A", "an acknowledgement of version 2");
        Ok(u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]))
    }

    /// Waits until a window of so many events is acknowledged. When the connection ends before, how many were.
    pub async fn acknowledged(&mut self, events: usize) -> Result<(), usize> {
        let mut acknowledged = 0;
        while acknowledged < events {
            match self.acknowledgement().await {
                Ok(sequence) => acknowledged = acknowledged.max(sequence as usize),
                Err(_) => return Err(acknowledged),
            }
        }
        assert_eq!(acknowledged, events, "no more is acknowledged than was sent");
        Ok(())
    }

    /// Closes our side, and waits for the other to close its own; what comes meanwhile is returned.
    pub async fn close(mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        let closed = async {
            self.stream.shutdown().await?;
            self.stream.read_to_end(&mut rest).await
        };
        timeout(PATIENCE, closed).await.expect("closing in time")?;
        Ok(rest)
    }

    /// The stream, for whatever else is to be done to it.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_these_bytes() {
        let plain = lumberjack_window(&["{}", "x"], Packing::Plain);
        let expected = b"2W\0\0\0\x022J\0\0\0\x01\0\0\0\x02{}2J\0\0\0\x02\0\0\0\x01x";
        assert_eq!(plain, expected);
        let packed = lumberjack_window(&["{}", "x"], Packing::Compressed);
        assert_eq!(&packed[..8], b"2W\0\0\0\x022C");
        assert_eq!(packed[8..12], u32::try_from(packed.len() - 12).unwrap().to_be_bytes());
        let mut frames = Vec::new();
        let mut decoder = flate2::write::ZlibDecoder::new(&mut frames);
        decoder.write_all(&packed[12..]).unwrap();
        decoder.finish().unwrap();
        assert_eq!(frames, expected[6..]);
    }
}
