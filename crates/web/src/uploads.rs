//! The pace at which bodies come over one HTTP/2 connection.
//!
//! hyper does not tell who waits for a body. The frames do: while a client has sent less than half a window since it was
//! last given room, it has room for more, and what does not come is waited for. h2 gives room anew when half a window has
//! been read; so a body that nobody reads is soon not waited for, and never counted against the client.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pace::Patience;
use crate::serve::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, STREAMS_MAX};

/// How long a body may come more slowly than the slowest pace.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The bodies that have not come to their end.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By stream; [`STREAMS_MAX`] at most.
    open: HashMap<u32, Upload>,
    /// Bytes since the connection was given room.
    bytes: u32,
}

#[derive(Debug)]
struct Upload {
    /// Bytes since the stream was given room.
    bytes: u32,
    patience: Patience,
    /// When it was last looked at.
    since: Instant,
}

impl Uploads {
    /// The client has begun a request whose body follows.
    pub(crate) fn begin(&self, stream: u32) {
        let mut state = self.state();
        // More streams than that are refused by h2.
        if state.open.len() < STREAMS_MAX as usize {
            let upload = Upload { bytes: 0, patience: Patience::new(PATIENCE), since: Instant::now() };
            state.open.entry(stream).or_insert(upload);
        }
    }

    /// The client has sent so much of a body.
    pub(crate) fn came(&self, stream: u32, bytes: usize) {
        let mut state = self.state();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let is_awaited = state.has_room();
        state.bytes = state.bytes.saturating_add(bytes);
        if let Some(upload) = state.open.get_mut(&stream) {
            upload.look(Instant::now(), is_awaited);
            upload.bytes = upload.bytes.saturating_add(bytes);
            upload.patience.earn(u64::from(bytes));
        }
    }

    /// The body has ended, or its stream.
    pub(crate) fn end(&self, stream: u32) {
        self.state().open.remove(&stream);
    }

    /// The stream, or with 0 the connection, is given room.
    pub(crate) fn give_room(&self, stream: u32) {
        let mut state = self.state();
        let (now, is_awaited) = (Instant::now(), state.has_room());
        if stream == 0 {
            state.open.values_mut().for_each(|upload| upload.look(now, is_awaited));
            state.bytes = 0;
        } else if let Some(upload) = state.open.get_mut(&stream) {
            upload.look(now, is_awaited);
            upload.bytes = 0;
        }
    }

    /// Whether a body comes too slowly.
    pub(crate) fn is_one_too_slow(&self) -> bool {
        let mut state = self.state();
        let (now, is_awaited) = (Instant::now(), state.has_room());
        state.open.values_mut().any(|upload| {
            upload.look(now, is_awaited);
            upload.patience.left().is_zero()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.bytes < CONNECTION_WINDOW_BYTES / 2
    }
}

impl Upload {
    /// Counts the time since the last look, if the client was waited for.
    fn look(&mut self, now: Instant, connection_has_room: bool) {
        if connection_has_room && self.bytes < STREAM_WINDOW_BYTES / 2 {
            self.patience.waited(now - self.since);
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn only_a_body_that_is_waited_for_is_too_slow() {
        let uploads = Uploads::default();
        for stream in [1, 3] {
            uploads.begin(stream);
        }
        // A thousand seconds at the slowest pace; the other one is not read, and so not waited for.
        uploads.came(3, STREAM_WINDOW_BYTES as usize / 2);
        for second in 0..1000 {
            tokio::time::advance(SECOND).await;
            uploads.came(1, 1024);
            if second % 32 == 31 {
                uploads.give_room(1);
                uploads.give_room(0);
            }
            assert!(!uploads.is_one_too_slow(), "{second}");
        }
        uploads.end(1);
        uploads.give_room(3);
        tokio::time::advance(SECOND * 9).await;
        assert!(!uploads.is_one_too_slow());
        tokio::time::advance(SECOND).await;
        assert!(uploads.is_one_too_slow());
        uploads.end(3);
        assert!(!uploads.is_one_too_slow());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_while_the_connection_has_no_room() {
        let uploads = Uploads::default();
        for stream in (0..40).map(|number| 1 + 2 * number) {
            uploads.begin(stream);
            uploads.came(stream, STREAM_WINDOW_BYTES as usize / 2 - 1);
        }
        tokio::time::advance(PATIENCE * 10).await;
        assert!(!uploads.is_one_too_slow());
        uploads.give_room(0);
        tokio::time::advance(PATIENCE).await;
        assert!(uploads.is_one_too_slow());
    }

    #[test]
    fn no_more_are_remembered_than_there_may_be() {
        let uploads = Uploads::default();
        for stream in 0..1000 {
            uploads.begin(stream);
        }
        assert_eq!(uploads.state().open.len(), STREAMS_MAX as usize);
    }
}
