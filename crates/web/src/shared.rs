//! What the two ends of one HTTP/1.x connection tell each other: the guard below hyper, the service above it, and the
//! loop around both.
//!
//! All three run in one task, so the atomics are never contended; they only make the type shareable.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::refusal::Refusal;

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wait {
    /// For us: a handler is at work, or a head has been handed over.
    Nothing,
    /// For the first byte of a request.
    Request,
    /// For the rest of a head.
    Head,
    /// For more of a body, of which so many bytes have come.
    Body(u64),
    /// For the client to take what was written; it has taken so many bytes.
    Write(u64),
    /// For a handler, while the client has sent ahead as much as it may: whether it leaves has to be looked for.
    Ahead,
    /// For the client to notice that the connection is ended.
    Close,
}

/// State of one connection.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    refusal: OnceLock<Refusal>,
    reading: AtomicU8,
    body_bytes: AtomicU64,
    is_write_blocked: AtomicBool,
    written_bytes: AtomicU64,
    /// Bytes of an answer's body that hyper was given and the client's socket has not taken.
    waiting_bytes: AtomicUsize,
    is_held_back: AtomicBool,
    /// How many may be.
    room: AtomicUsize,
    is_answering: AtomicBool,
    has_unseen: AtomicBool,
    is_ahead_full: AtomicBool,
    is_tunnel: AtomicBool,
    is_expired: AtomicBool,
}

/// What the guard is doing with the bytes that come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// Nothing is asked of the client.
    Nothing,
    Request,
    Head,
    /// hyper wants more of a body, and none is there.
    Body,
    /// A body has not come to its end, and nobody waits for it.
    BodyLater,
    Close,
}

const READINGS: [Reading; 6] =
    [Reading::Nothing, Reading::Request, Reading::Head, Reading::Body, Reading::BodyLater, Reading::Close];

impl Shared {
    /// Refuses what comes on this connection; the first refusal stays.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        // A second one would be about bytes behind the first.
        let _: Result<(), Refusal> = self.refusal.set(refusal);
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    pub(crate) fn set_reading(&self, reading: Reading) {
        self.reading.store(reading as u8, Relaxed);
    }

    pub(crate) fn reading(&self) -> Reading {
        READINGS[usize::from(self.reading.load(Relaxed))]
    }

    /// Whether bytes of a request's body are still to come.
    pub(crate) fn is_in_body(&self) -> bool {
        matches!(self.reading(), Reading::Body | Reading::BodyLater)
    }

    pub(crate) fn count_body(&self, bytes: usize) {
        self.body_bytes.store(self.body_bytes.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }

    pub(crate) fn written(&self, bytes: usize) {
        self.is_write_blocked.store(false, Relaxed);
        self.written_bytes.store(self.written_bytes.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }

    pub(crate) fn write_blocked(&self) {
        self.is_write_blocked.store(true, Relaxed);
    }

    /// hyper was given so many bytes of an answer's body.
    pub(crate) fn gave(&self, bytes: usize) {
        self.waiting_bytes.store(self.waiting_bytes.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    /// The client's socket has taken all that hyper was given.
    pub(crate) fn flushed(&self) {
        self.waiting_bytes.store(0, Relaxed);
        self.is_write_blocked.store(false, Relaxed);
    }

    /// So many bytes of the answer may wait for the client; whether that is another number than before.
    pub(crate) fn set_room(&self, bytes: usize) -> bool {
        self.room.swap(bytes, Relaxed) != bytes
    }

    /// Whether hyper has to write before it is given more; if so, it is to be asked again when it has.
    pub(crate) fn holds_back(&self) -> bool {
        let holds_back = self.waiting_bytes.load(Relaxed) >= self.room.load(Relaxed);
        if holds_back {
            self.is_held_back.store(true, Relaxed);
        }
        holds_back
    }

    /// Whether hyper should be asked again, since it has written and can be given more; says so once.
    pub(crate) fn take_held_back(&self) -> bool {
        self.is_held_back.load(Relaxed)
            && self.waiting_bytes.load(Relaxed) == 0
            && self.is_held_back.swap(false, Relaxed)
    }

    /// A request has been handed over; its answer is not finished.
    pub(crate) fn begin_answer(&self) {
        self.is_answering.store(true, Relaxed);
    }

    pub(crate) fn end_answer(&self) {
        self.is_answering.store(false, Relaxed);
    }

    pub(crate) fn is_answering(&self) -> bool {
        self.is_answering.load(Relaxed)
    }

    /// Bytes of a further request have come while one is being answered.
    pub(crate) fn set_unseen(&self, unseen: bool) {
        self.has_unseen.store(unseen, Relaxed);
    }

    /// Whether hyper should be asked again, since the guard can now give it the next request; says so once.
    pub(crate) fn take_unseen(&self) -> bool {
        !self.is_answering() && self.has_unseen.load(Relaxed) && self.has_unseen.swap(false, Relaxed)
    }

    /// Whether the client has sent ahead as much as it may.
    pub(crate) fn set_ahead_full(&self, full: bool) {
        self.is_ahead_full.store(full, Relaxed);
    }

    /// From now on all bytes pass: the connection was given to another protocol.
    pub(crate) fn become_tunnel(&self) {
        self.is_tunnel.store(true, Relaxed);
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.is_tunnel.load(Relaxed)
    }

    /// The client took too long for what [`Self::wait`] says.
    pub(crate) fn expire(&self) {
        self.is_expired.store(true, Relaxed);
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.is_expired.load(Relaxed)
    }

    /// What stands between this connection and its next step.
    pub(crate) fn wait(&self) -> Wait {
        if self.is_write_blocked.load(Relaxed) {
            return Wait::Write(self.written_bytes.load(Relaxed));
        }
        match self.reading() {
            Reading::Close => Wait::Close,
            Reading::Body => Wait::Body(self.body_bytes.load(Relaxed)),
            _ if self.is_answering() && self.is_ahead_full.load(Relaxed) => Wait::Ahead,
            _ if self.is_answering() => Wait::Nothing,
            Reading::Request | Reading::Nothing => Wait::Request,
            Reading::Head => Wait::Head,
            // The answer is finished, the body is not: hyper ends the connection.
            Reading::BodyLater => Wait::Close,
        }
    }
}
