//! Keeps the beginning of an answer that is still coming, so that a human sees how far it got when the house went down.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::book::{Book, Lease};

/// At most so often something is written.
const PAUSE: Duration = Duration::from_secs(1);
/// At most so much of an answer is kept, in bytes.
pub(crate) const PARTIAL_BYTES_MAX: usize = 64 * 1024;

/// The place for one answer; clones are the same place.
#[derive(Clone, Debug)]
pub struct Partial {
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    book: Book,
    lease: Lease,
    step: String,
    item: i64,
    last: Mutex<Option<Instant>>,
}

impl Partial {
    /// A place that forgets everything, for tests of hands.
    pub fn nowhere() -> Self {
        Self { place: None }
    }

    pub(crate) fn new(book: Book, lease: Lease, step: String, item: Option<u32>) -> Self {
        let item = item.map_or(-1, i64::from);
        Self { place: Some(Arc::new(Place { book, lease, step, item, last: Mutex::default() })) }
    }

    /// Keeps the answer's text so far; its first 64 KiB, and at most once a second. It is no harm when it cannot be kept.
    pub async fn keep(&self, text: &str) {
        let Some(place) = &self.place else { return };
        {
            let mut last = place.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < PAUSE) {
                return;
            }
            *last = Some(Instant::now());
        }
        let end = text.floor_char_boundary(PARTIAL_BYTES_MAX);
        if let Err(error) = place.book.keep_partial(&place.lease, &place.step, place.item, &text[..end]).await {
            tracing::debug!(run = place.lease.run, step = place.step, %error, "keeping a part of an answer");
        }
    }
}
