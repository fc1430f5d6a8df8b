//! A source to which others send, at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tollhouse_collect::net::{self, Closed, Counts};
use tollhouse_config::ListenSource;
use tollhouse_journal::{Journal, Level, Record};

use crate::collecting::keeping::{CALLER, Keeping};
use crate::collecting::prepared::{Bound, Files, ReadyListener};
use crate::collecting::reading::Ground;
use crate::collecting::record;
use crate::collecting::shaping::Shaping;

/// Batches that wait for the task of their source.
const BATCHES_MAX: usize = 16;
/// How often dropped datagrams are told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A source that listens.
pub(super) struct Listener {
    pub(super) files: Files,
    pub(super) bound: Bound,
    listen: ListenSource,
    listening: net::Listening,
    keeping: JoinHandle<()>,
    shaping: Arc<Shaping>,
    /// Dropped datagrams that were told, and when.
    told: (u64, Instant),
}

impl Listener {
    pub(super) fn begin(name: &str, ready: ReadyListener, ground: &Ground) -> Self {
        let (journal, shaping) = (&ground.journal, ground.shaping(name));
        let ReadyListener { listen, files, bound, sockets, options } = ready;
        let (to, from) = mpsc::channel(BATCHES_MAX);
        let tell = {
            let (journal, source) = (journal.clone(), name.to_owned());
            move |peer, closed: &Closed| record_closed(&journal, &source, peer, closed)
        };
        let began = Record::new("process", Level::Info, "source started")
            .caller(CALLER)
            .field("source", name)
            .field("type", "listen")
            .field("address", bound.address.to_string())
            .field("udp", listen.udp)
            .field("tls", listen.tls.is_some());
        record(journal, began);
        let listening = net::listen(sockets, options, to, tell);
        let keeping = tokio::spawn(Keeping::new(shaping.clone(), journal.clone(), from).run());
        Self { files, bound, listen, listening, keeping, shaping, told: (0, Instant::now()) }
    }

    /// Where it listens, and to what.
    pub(super) fn greeting(&self) -> String {
        let tls = if self.listen.tls.is_some() { " in TLS" } else { "" };
        let udp = if self.listen.udp { ", syslog over UDP" } else { "" };
        format!("{}  (Beats and syslog over TCP{tls}{udp})", self.bound.address)
    }

    pub(super) async fn end(self, name: &str, journal: &Journal) {
        let Self { bound, listening, keeping, shaping, .. } = self;
        // Only who listens has the sockets now, and closes them.
        drop(bound);
        let counts = listening.stop().await;
        // An error is a panic, which has been printed; its batches were refused.
        let _: Result<(), JoinError> = keeping.await;
        let ended = Record::new("process", Level::Info, "source stopped").caller(CALLER).field("source", name);
        record(journal, shaping.with_counts(with_counts(ended, &counts)));
    }

    pub(super) fn tell_dropped(&mut self, name: &str, journal: &Journal) {
        let Counts { dropped, dropped_by_system, .. } = self.listening.counts();
        let (told, at) = self.told;
        let now = dropped + dropped_by_system;
        if now <= told || at.elapsed() < TELL_EVERY {
            return;
        }
        self.told = (now, Instant::now());
        let lost =
            Record::new("process", Level::Warn, "datagrams were dropped: they came faster than they could be kept");
        record(journal, lost.caller(CALLER).field("source", name).field("dropped", now - told));
    }
}

fn with_counts(record: Record, counts: &Counts) -> Record {
    let closed: serde_json::Map<_, _> = counts
        .closed
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| ((*name).to_owned(), serde_json::Value::from(*count)))
        .collect();
    record
        .field("connections", counts.connections)
        .field("beats", counts.beats)
        .field("syslog_tcp", counts.syslog_tcp)
        .field("syslog_udp", counts.syslog_udp)
        .field("confirmed", counts.confirmed)
        .field("refused", counts.refused)
        .field("unfinished", counts.unfinished)
        .field("dropped", counts.dropped + counts.dropped_by_system)
        .field("closed", closed)
}

/// Who was turned away, and whose connection broke off.
fn record_closed(journal: &Journal, source: &str, peer: SocketAddr, closed: &Closed) {
    let level = match closed {
        Closed::Refused(_) | Closed::Over => Level::Error,
        Closed::Silent(_) | Closed::Idle(_) | Closed::Cut(_) | Closed::Unacknowledged(_) => Level::Info,
        _ => Level::Warn,
    };
    let ended = Record::new("access", level, "connection of a log sender closed")
        .caller(CALLER)
        .field("source", source)
        .field("client_ip", peer.ip().to_canonical().to_string())
        .field("reason", closed.name())
        .field("error", closed.to_string());
    record(journal, ended);
}
