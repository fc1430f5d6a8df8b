//! What has come and what has gone wrong, in numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::closed::Closed;
use super::received::Wire;

/// Numbers since the listener began; all but `open` only grow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Beats events handed over.
    pub beats: u64,
    /// Syslog messages over TCP handed over.
    pub syslog_tcp: u64,
    /// Syslog messages over UDP handed over.
    pub syslog_udp: u64,
    /// Bytes of the messages handed over, without framing.
    pub bytes: u64,
    /// Messages of which the end was left out.
    pub cut: u64,
    /// Syslog messages of which a connection that broke off has left only a part; they are not handed over.
    pub unfinished: u64,
    /// Datagrams that found no room while the consumer was behind.
    pub dropped: u64,
    /// Datagrams that the system had no room for before we saw them. Known on Linux only, up to ten seconds late.
    pub dropped_by_system: u64,
    /// Messages that the consumer has confirmed.
    pub confirmed: u64,
    /// Messages that the consumer has refused. Beats send theirs again.
    pub refused: u64,
    /// Acknowledgements sent, signs of life included.
    pub acknowledgements: u64,
    /// Connections by the reason for which they ended, those that ended well left out; datagrams from addresses that may not
    /// send are among them.
    pub closed: BTreeMap<&'static str, u64>,
}

/// A number that many tasks add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Takes over a number that somebody else counts.
    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The numbers while they are counted; see [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) open: Counter,
    beats: Counter,
    syslog_tcp: Counter,
    syslog_udp: Counter,
    pub(super) bytes: Counter,
    pub(super) cut: Counter,
    pub(super) unfinished: Counter,
    pub(super) dropped: Counter,
    pub(super) dropped_by_system: Counter,
    pub(super) confirmed: Counter,
    pub(super) refused: Counter,
    pub(super) acknowledgements: Counter,
    closed: [Counter; Closed::NAMES.len()],
}

impl Counters {
    pub(super) fn messages(&self, wire: Wire) -> &Counter {
        match wire {
            Wire::Beats => &self.beats,
            Wire::SyslogTcp => &self.syslog_tcp,
            Wire::SyslogUdp => &self.syslog_udp,
        }
    }

    pub(super) fn closed(&self, closed: &Closed) -> &Counter {
        &self.closed[closed.index()]
    }

    pub(super) fn get(&self) -> Counts {
        Counts {
            connections: self.connections.get(),
            open: self.open.get(),
            beats: self.beats.get(),
            syslog_tcp: self.syslog_tcp.get(),
            syslog_udp: self.syslog_udp.get(),
            bytes: self.bytes.get(),
            cut: self.cut.get(),
            unfinished: self.unfinished.get(),
            dropped: self.dropped.get(),
            dropped_by_system: self.dropped_by_system.get(),
            confirmed: self.confirmed.get(),
            refused: self.refused.get(),
            acknowledgements: self.acknowledgements.get(),
            closed: Closed::NAMES.into_iter().zip(self.closed.iter().map(Counter::get)).collect(),
        }
    }
}
