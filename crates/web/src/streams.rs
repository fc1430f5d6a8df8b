//! The answers of one HTTP/2 connection: how many are on their way, and how fast the client takes them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Instant;

use crate::Body;
use crate::pace::Patience;

/// Bytes given to h2 at once. It asks for more when all of them have found their way into the client's window, so this is
/// also how finely it is measured what a client takes.
const PIECE_BYTES: usize = 16 * 1024;

/// The streams of one HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Streams {
    patience: Duration,
    open: AtomicUsize,
    answers: Mutex<Vec<Weak<Mutex<Reader>>>>,
}

/// The client as the reader of one answer.
#[derive(Debug)]
struct Reader {
    patience: Patience,
    /// Since when bytes lie ready that it has not taken, and how many.
    offered: Option<(Instant, usize)>,
}

impl Streams {
    /// No streams yet. A client may take for `patience` less than the slowest pace of each.
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, open: AtomicUsize::new(0), answers: Mutex::default() }
    }

    pub(crate) fn are_open(&self) -> bool {
        self.open.load(Relaxed) > 0
    }

    /// Whether the client takes one of its answers too slowly, or not at all: it keeps its window shut.
    pub(crate) fn is_one_too_slow(&self) -> bool {
        let now = Instant::now();
        let mut is_too_slow = false;
        self.answers().retain(|reader| {
            let Some(reader) = reader.upgrade() else { return false };
            let reader = lock(&reader);
            is_too_slow |= reader.offered.is_some_and(|(since, _)| now - since >= reader.patience.left());
            true
        });
        is_too_slow
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Weak<Mutex<Reader>>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One open stream.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    streams: Arc<Streams>,
    reader: Arc<Mutex<Reader>>,
}

impl StreamPlace {
    pub(crate) fn take(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Relaxed);
        let reader = Reader { patience: Patience::new(streams.patience), offered: None };
        let place = Self { streams: streams.clone(), reader: Arc::new(Mutex::new(reader)) };
        let mut answers = streams.answers();
        // Ended ones are swept out as often as their number doubles.
        if answers.len() == answers.capacity() {
            answers.retain(|reader| reader.strong_count() > 0);
        }
        answers.push(Arc::downgrade(&place.reader));
        drop(answers);
        place
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.streams.open.fetch_sub(1, Relaxed);
    }
}

/// A body of which is known how fast the client takes it.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Body,
    /// What of the body's last frame has not been given on.
    rest: Bytes,
    place: StreamPlace,
}

impl Stream {
    pub(crate) fn new(body: Body, place: StreamPlace) -> Self {
        Self { body, rest: Bytes::new(), place }
    }

    /// h2 asks for more when the client has taken what it was given.
    fn note_taken(&self) {
        let mut reader = lock(&self.place.reader);
        if let Some((since, bytes)) = reader.offered.take() {
            reader.patience.waited(since.elapsed());
            reader.patience.earn(bytes as u64);
        }
    }

    fn note_offered(&self, bytes: usize) {
        lock(&self.place.reader).offered = Some((Instant::now(), bytes));
    }

    /// The next piece of this frame; the rest is kept.
    fn piece(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) => {
                if data.len() > PIECE_BYTES {
                    self.rest = data.split_off(PIECE_BYTES);
                }
                self.note_offered(data.len());
                Frame::data(data)
            }
            Err(trailers) => trailers,
        }
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        this.note_taken();
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.piece(Frame::data(rest)))));
        }
        Pin::new(&mut this.body).poll_frame(context).map_ok(|frame| this.piece(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let (of_body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = http_body::SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
