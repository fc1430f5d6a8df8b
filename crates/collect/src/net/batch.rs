//! Messages as they came, many of them in one piece of memory.

use std::net::SocketAddr;

use tokio::sync::OwnedSemaphorePermit;

/// Messages that came together. Their bytes are what the sender wrote, without framing; nothing was parsed.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    peers: Vec<SocketAddr>,
    /// A large batch holds a share of the memory that all have together, for as long as it lives.
    share: Option<OwnedSemaphorePermit>,
}

/// One message of a [`Batch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// A Beats event is a JSON object; a syslog message begins with its `<PRI>`, if the sender gave it one.
    pub bytes: &'a [u8],
    /// How many bytes more it had than [`ListenOptions`](super::ListenOptions) lets in. Then `bytes` is its beginning, and
    /// may end inside a UTF-8 character.
    pub left_out_bytes: u64,
    /// Who sent it.
    pub peer: SocketAddr,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug)]
struct Mark {
    end: usize,
    left_out_bytes: u64,
    /// Index into the peers.
    peer: usize,
}

impl Batch {
    /// How many messages there are; at least one in a batch that was handed over.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes of all messages together.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The messages, in the order in which they came.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let mut from = 0;
        self.marks.iter().map(move |mark| {
            let bytes = &self.bytes[from..mark.end];
            from = mark.end;
            Message { bytes, left_out_bytes: mark.left_out_bytes, peer: self.peers[mark.peer] }
        })
    }

    /// How many of the messages were cut.
    pub(super) fn cut(&self) -> usize {
        self.marks.iter().filter(|mark| mark.left_out_bytes > 0).count()
    }
}

/// How large a message and a batch become.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "a bound says of what it is the most")]
pub(super) struct Bounds {
    pub(super) message_bytes_max: usize,
    /// A batch is handed over with this many messages …
    pub(super) messages_max: usize,
    /// … or as soon as it has this many bytes: the message that reaches it is still in it.
    pub(super) bytes_max: usize,
}

/// A batch that grows, and at its end the message that is just being read.
#[derive(Debug)]
pub(super) struct Sheaf {
    bounds: Bounds,
    batch: Batch,
    /// Where the open message begins.
    open_from: usize,
    /// Bytes of the open message that had no room.
    left_out_bytes: u64,
}

impl Sheaf {
    pub(super) fn new(bounds: Bounds, peer: SocketAddr) -> Self {
        let batch = Batch { peers: vec![peer], ..Batch::default() };
        Self { bounds, batch, open_from: 0, left_out_bytes: 0 }
    }

    /// Adds to the open message.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let room = self.bounds.message_bytes_max.saturating_sub(self.open_bytes());
        let kept = piece.len().min(room);
        self.batch.bytes.extend_from_slice(&piece[..kept]);
        self.left_out_bytes += (piece.len() - kept) as u64;
    }

    /// Counts bytes of the open message that are not even pushed.
    pub(super) fn leave_out(&mut self, bytes: usize) {
        self.left_out_bytes += bytes as u64;
    }

    pub(super) fn message_bytes_max(&self) -> usize {
        self.bounds.message_bytes_max
    }

    /// Ends the open message.
    pub(super) fn close(&mut self) {
        self.open_from = self.batch.bytes.len();
        let left_out_bytes = std::mem::take(&mut self.left_out_bytes);
        let peer = self.batch.peers.len().saturating_sub(1);
        self.batch.marks.push(Mark { end: self.open_from, left_out_bytes, peer });
    }

    /// Ends the open message without the line break at its end; `false` when there is nothing else in it.
    pub(super) fn close_line(&mut self) -> bool {
        for end in [b'\n', b'\r'] {
            if self.left_out_bytes == 0 && self.open_bytes() > 0 && self.batch.bytes.last() == Some(&end) {
                self.batch.bytes.pop();
            }
        }
        let has_some = self.open_bytes() > 0;
        if has_some {
            self.close();
        }
        has_some
    }

    /// Forgets the open message; `false` when there was nothing of it.
    pub(super) fn abandon(&mut self) -> bool {
        let had_some = self.open_bytes() > 0;
        self.batch.bytes.truncate(self.open_from);
        self.left_out_bytes = 0;
        had_some
    }

    /// A whole message of this peer.
    pub(super) fn add(&mut self, message: &[u8], peer: SocketAddr) -> bool {
        if self.batch.peers.last() != Some(&peer) {
            self.batch.peers.push(peer);
        }
        self.push(message);
        self.close_line()
    }

    /// Whether there is no whole message.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Whether it is time to hand it over.
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= self.bounds.messages_max || self.open_from >= self.bounds.bytes_max
    }

    /// Bytes in memory, the open message included.
    pub(super) fn held_bytes(&self) -> usize {
        self.batch.bytes.len()
    }

    pub(super) fn has_share(&self) -> bool {
        self.batch.share.is_some()
    }

    pub(super) fn take_share(&mut self, share: OwnedSemaphorePermit) {
        self.batch.share = Some(share);
    }

    /// The whole messages; the open one stays.
    pub(super) fn take(&mut self) -> Batch {
        let open = self.batch.bytes.split_off(self.open_from);
        let peers = self.batch.peers.last().map(|peer| vec![*peer]).unwrap_or_default();
        self.open_from = 0;
        std::mem::replace(&mut self.batch, Batch { bytes: open, peers, ..Batch::default() })
    }

    fn open_bytes(&self) -> usize {
        self.batch.bytes.len() - self.open_from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { message_bytes_max: 4, messages_max: 3, bytes_max: 8 };

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn shown(batch: &Batch) -> Vec<(String, u64, u16)> {
        let message = |message: Message<'_>| {
            (String::from_utf8_lossy(message.bytes).into_owned(), message.left_out_bytes, message.peer.port())
        };
        batch.messages().map(message).collect()
    }

    #[test]
    fn a_long_message_is_cut_and_the_next_is_whole() {
        let mut sheaf = Sheaf::new(BOUNDS, peer(1));
        for piece in ["ab", "cdef", "g"] {
            sheaf.push(piece.as_bytes());
        }
        sheaf.close();
        sheaf.push(b"h");
        let batch = sheaf.take();
        assert_eq!(shown(&batch), [("abcd".to_owned(), 3, 1)]);
        assert_eq!((batch.cut(), batch.bytes_len()), (1, 4));
        sheaf.push(b"i");
        sheaf.close();
        assert_eq!(shown(&sheaf.take()), [("hi".to_owned(), 0, 1)]);
        assert!(sheaf.is_empty() && sheaf.held_bytes() == 0);
    }

    #[test]
    fn line_breaks_at_the_end_are_no_part_of_a_line() {
        for (line, left) in [("ab\r\n", "ab"), ("ab\n", "ab"), ("a\r", "a"), ("a\n\n", "a\n"), ("\r\n", ""), ("", "")] {
            let mut sheaf = Sheaf::new(BOUNDS, peer(1));
            sheaf.push(line.as_bytes());
            assert_eq!(sheaf.close_line(), !left.is_empty(), "{line:?}");
            assert_eq!(sheaf.take().bytes, left.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn each_message_knows_its_peer() {
        let mut sheaf = Sheaf::new(BOUNDS, peer(1));
        for (message, port) in [("a", 1), ("b", 2), ("c", 2)] {
            assert!(!sheaf.is_full());
            assert!(sheaf.add(message.as_bytes(), peer(port)));
        }
        assert!(sheaf.is_full());
        assert_eq!(shown(&sheaf.take()), [("a".to_owned(), 0, 1), ("b".to_owned(), 0, 2), ("c".to_owned(), 0, 2)]);
        assert!(sheaf.add(b"d", peer(3)));
        assert_eq!(shown(&sheaf.take()), [("d".to_owned(), 0, 3)]);
    }

    #[test]
    fn what_is_abandoned_leaves_no_trace() {
        let mut sheaf = Sheaf::new(BOUNDS, peer(1));
        sheaf.push(b"abcdefgh");
        assert!(sheaf.abandon() && !sheaf.abandon());
        sheaf.push(b"x");
        sheaf.close();
        assert_eq!(shown(&sheaf.take()), [("x".to_owned(), 0, 1)]);
    }
}
