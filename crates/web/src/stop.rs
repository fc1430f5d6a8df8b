//! Tells all connections of a listener to come to an end.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Said once.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_said: AtomicBool,
    notify: Notify,
}

impl Stop {
    pub(crate) fn say(&self) {
        self.is_said.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// Waits until it is said.
    pub(crate) async fn said(&self) {
        let mut notified = std::pin::pin!(self.notify.notified());
        notified.as_mut().enable();
        if !self.is_said.load(Ordering::SeqCst) {
            notified.await;
        }
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

/// One connection's ear for it: asks for a wake-up once, and then reads a flag.
#[derive(Debug)]
pub(crate) struct Ear<'a, 'b> {
    stop: &'b Stop,
    notified: Pin<&'a mut Notified<'b>>,
    is_listening: bool,
}

impl<'a, 'b> Ear<'a, 'b> {
    pub(crate) fn new(stop: &'b Stop, notified: Pin<&'a mut Notified<'b>>) -> Self {
        Self { stop, notified, is_listening: false }
    }

    /// Whether the end was asked for; if not, the task is woken when it is.
    pub(crate) fn hears(&mut self, context: &mut Context<'_>) -> bool {
        if !self.is_listening {
            self.is_listening = true;
            // Before the flag is read, so that no word falls between the two.
            let _: std::task::Poll<()> = self.notified.as_mut().poll(context);
        }
        self.stop.is_said.load(Ordering::SeqCst)
    }
}
