//! Counts what floods an HTTP/2 connection: frames that cost the server work and the client nothing.
//!
//! h2 itself bounds streams, header lists, CONTINUATION frames, small pieces of bodies, and resets that it has not shown to
//! us yet or that a client makes *it* send (MadeYouReset). What it does not bound is the pace at which a client opens
//! streams and resets them (Rapid Reset, CVE-2023-44487), nor empty and control frames, nor windows that grow a byte at a
//! time. This looks at each frame's nine bytes (RFC 9113, section 4.1) on their way to h2. They also tell how fast bodies
//! come ([`Uploads`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::uploads::Uploads;

/// What HTTP/2 begins with (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Time in which frames are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Streams that a client may reset within [`WINDOW`].
const RESETS_MAX: u32 = 100;
/// Frames without content (PING, SETTINGS, PRIORITY, GOAWAY, unknown ones, empty DATA, windows that nothing calls for) within
/// [`WINDOW`].
const IDLE_FRAMES_MAX: u32 = 1_000;
/// For so many bytes that we send it, a client may open each of its windows once.
const BYTES_OF_AN_UPDATE: usize = 1024;
/// As many of these openings may come later than what they are for.
const UPDATES_DUE_MAX: usize = 10_000;
/// A padded piece of a body that may be nothing but padding (RFC 9113, section 6.1): 255 bytes and their number.
const PADDING_BYTES_MAX: usize = 256;

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const ENHANCE_YOUR_CALM: u8 = 0xB;

/// A client's connection as h2 sees it.
#[derive(Debug)]
pub(crate) struct FrameWatch<S> {
    stream: S,
    /// Bytes read before, not given to h2 yet.
    first: BytesMut,
    sent_by_client: Frames,
    sent_by_us: Frames,
    counted_since: Instant,
    resets: u32,
    idle_frames: u32,
    /// How often the client may still open its windows.
    updates_due: usize,
    last_stream: u32,
    uploads: Arc<Uploads>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> FrameWatch<S> {
    /// Watches `stream`, of which the bytes in `first` were read before.
    pub(crate) fn new(stream: S, first: BytesMut) -> Self {
        Self {
            stream,
            first,
            sent_by_client: Frames { skip: PREFACE.len(), ..Frames::default() },
            sent_by_us: Frames::default(),
            counted_since: Instant::now(),
            resets: 0,
            idle_frames: 0,
            updates_due: 0,
            last_stream: 0,
            uploads: Arc::default(),
        }
    }

    /// The bodies that come on this connection.
    pub(crate) fn uploads(&self) -> Arc<Uploads> {
        self.uploads.clone()
    }

    /// Counts the frames in `bytes`; whether there are too many.
    fn count(&mut self, bytes: &[u8]) -> bool {
        let (mut resets, mut idle_frames, mut last_stream) = (0, 0, self.last_stream);
        let (uploads, updates_due) = (&*self.uploads, &mut self.updates_due);
        self.sent_by_client.each(bytes, |frame| match frame.kind {
            HEADERS => {
                note_headers(uploads, &frame);
                last_stream = last_stream.max(frame.stream);
            }
            RST_STREAM => {
                uploads.end(frame.stream);
                resets += 1;
            }
            DATA => {
                note_data(uploads, &frame);
                idle_frames += u32::from(frame.is_idle());
            }
            WINDOW_UPDATE if *updates_due > 0 => *updates_due -= 1,
            // Bounded by h2 and by what it belongs to.
            CONTINUATION => {}
            _ => idle_frames += 1,
        });
        self.last_stream = last_stream;
        if resets + idle_frames == 0 {
            return false;
        }
        if self.counted_since.elapsed() > WINDOW {
            self.counted_since = Instant::now();
            self.resets = 0;
            self.idle_frames = 0;
        }
        self.resets = self.resets.saturating_add(resets);
        self.idle_frames = self.idle_frames.saturating_add(idle_frames);
        self.resets > RESETS_MAX || self.idle_frames > IDLE_FRAMES_MAX
    }

    /// Notes what we send.
    fn note_sent(&mut self, bytes: &[u8]) {
        let (uploads, updates_due) = (&*self.uploads, &mut self.updates_due);
        self.sent_by_us.each(bytes, |frame| match frame.kind {
            DATA | HEADERS => *updates_due = (*updates_due + frame.updates()).min(UPDATES_DUE_MAX),
            WINDOW_UPDATE => uploads.give_room(frame.stream),
            RST_STREAM => uploads.end(frame.stream),
            _ => {}
        });
    }

    /// Says why the connection ends, if that can be said at this moment.
    fn say_goodbye(&mut self, context: &mut Context<'_>) {
        if !self.sent_by_us.is_between() {
            return;
        }
        let mut frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ENHANCE_YOUR_CALM];
        frame[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&self.last_stream.to_be_bytes());
        // Who floods us and does not read is not waited for.
        let _: Poll<io::Result<usize>> = Pin::new(&mut self.stream).poll_write(context, &frame);
    }
}

/// A request with a body begins, or a body ends with trailers.
fn note_headers(uploads: &Uploads, frame: &Frame) {
    if frame.flags & END_STREAM == 0 {
        uploads.begin(frame.stream);
    } else {
        uploads.end(frame.stream);
    }
}

fn note_data(uploads: &Uploads, frame: &Frame) {
    uploads.came(frame.stream, frame.length);
    if frame.flags & END_STREAM != 0 {
        uploads.end(frame.stream);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameWatch<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.first.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        } else {
            let count = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..count]);
            this.first.advance(count);
        }
        if this.count(&buffer.filled()[before..]) {
            this.say_goodbye(context);
            return Poll::Ready(Err(io::Error::other("the client floods the connection with frames")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FrameWatch<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.note_sent(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        let mut left = count;
        for slice in slices {
            let part = left.min(slice.len());
            self.note_sent(&slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// One direction of a connection, cut into frames.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes that belong to no header.
    skip: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
}

struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    /// Whether it is a piece of a body that brings it no further.
    fn is_idle(&self) -> bool {
        let most = if self.flags & PADDED == 0 { 0 } else { PADDING_BYTES_MAX };
        self.length <= most && self.flags & END_STREAM == 0
    }

    /// How often a client may open its windows for this piece of an answer, the stream's and the connection's.
    fn updates(&self) -> usize {
        2 * self.length.div_ceil(BYTES_OF_AN_UPDATE).max(1)
    }
}

impl Frames {
    /// Whether the last byte was the end of a frame.
    fn is_between(&self) -> bool {
        self.skip == 0 && self.header_bytes == 0
    }

    /// Gives each frame whose header ends in `bytes`.
    fn each(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let count = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + count].copy_from_slice(&bytes[..count]);
            self.header_bytes += count;
            bytes = &bytes[count..];
            if self.header_bytes == HEADER_BYTES {
                let [a, b, c, kind, flags, stream @ ..] = self.header;
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.skip = length;
                self.header_bytes = 0;
                found(Frame { length, kind, flags, stream: u32::from_be_bytes(stream) & 0x7FFF_FFFF });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_are_the_same_however_they_are_cut(lengths in proptest::collection::vec(0_usize..40, 1..20), piece in 1_usize..50) {
            let mut bytes = PREFACE.to_vec();
            for (number, length) in lengths.iter().enumerate() {
                bytes.extend([0, 0, *length as u8, number as u8, 1, 0x80, 0, 0, number as u8]);
                bytes.extend(vec![0xFF; *length]);
            }
            let mut frames = Frames { skip: PREFACE.len(), ..Frames::default() };
            let mut seen = Vec::new();
            for piece in bytes.chunks(piece) {
                frames.each(piece, |frame| {
                    assert_eq!((frame.flags, frame.stream), (1, u32::from(frame.kind)));
                    seen.push(frame.length);
                });
            }
            prop_assert_eq!(seen, lengths);
            prop_assert!(frames.is_between());
        }
    }
}
