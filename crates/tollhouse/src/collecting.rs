//! Collects log lines: listens where the configuration says, and keeps in the journal what comes.
//!
//! `prepared.rs` does all that can fail before a source begins, `keeping.rs` is the task that puts messages into the journal.
//! A changed configuration leaves those sources alone that stay as they are; one that changes but for its address goes on
//! with the same sockets, and nobody is turned away.

mod keeping;
mod prepared;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tollhouse_collect::net::{self, Closed, Counts};
use tollhouse_config::{Config, SourceConfig, SourceKind};
use tollhouse_journal::{Journal, Level, Record};

use crate::collecting::keeping::{CALLER, Keeping};
pub(crate) use crate::collecting::prepared::Prepared;
use crate::collecting::prepared::{Bound, Files, Ready, Wanted};

/// Batches that wait for the task of their source.
const BATCHES_MAX: usize = 16;
/// How often dropped datagrams are told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// All sources at work.
pub(crate) struct Collecting {
    journal: Journal,
    running: Vec<Running>,
    /// Sources that take nothing more and bring what they have to its end.
    ending: JoinSet<()>,
}

/// One source at work.
struct Running {
    config: SourceConfig,
    files: Files,
    bound: Bound,
    listening: net::Listening,
    keeping: JoinHandle<()>,
    /// Dropped datagrams that were told, and when.
    told: (u64, Instant),
}

impl Collecting {
    /// Begins what was prepared.
    pub(crate) fn new(journal: Journal, prepared: Prepared) -> Self {
        let mut collecting = Self { journal, running: Vec::new(), ending: JoinSet::new() };
        collecting.adopt(prepared);
        collecting
    }

    /// Makes ready what another configuration wants; what stays the same is only named.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        Prepared::new(config, &self.running).await
    }

    /// Paths of the configuration whose files are others than when they were read, as after a certificate was renewed.
    pub(crate) async fn renewed(&self) -> Vec<String> {
        let mut renewed = Vec::new();
        for running in &self.running {
            if running.files != Files::of(&running.config).await {
                renewed.push(format!("sources.{}.tls", running.config.name));
            }
        }
        renewed
    }

    /// Begins what is new and ends what is not wanted any more.
    pub(crate) fn adopt(&mut self, prepared: Prepared) {
        let mut before = std::mem::take(&mut self.running);
        for wanted in prepared.0 {
            match wanted {
                Wanted::Same(name) => {
                    let place = before.iter().position(|running| running.config.name == name);
                    self.running.extend(place.map(|place| before.remove(place)));
                }
                Wanted::New(ready) => self.running.push(Running::begin(*ready, &self.journal)),
            }
        }
        for running in before {
            self.ending.spawn(running.end(self.journal.clone()));
        }
    }

    /// Tells of datagrams that were dropped since the last look.
    pub(crate) fn look(&mut self) {
        while self.ending.try_join_next().is_some() {}
        for running in &mut self.running {
            running.tell_dropped(&self.journal);
        }
    }

    /// Ends all sources: what came before is kept and acknowledged as far as its senders wait for that.
    pub(crate) async fn end(mut self) {
        for running in self.running {
            self.ending.spawn(running.end(self.journal.clone()));
        }
        while self.ending.join_next().await.is_some() {}
    }

    /// What is collected where, a line each.
    pub(crate) fn greeting(&self) -> Vec<String> {
        let line = |running: &Running| {
            let SourceKind::Listen(listen) = &running.config.kind;
            let tls = if listen.tls.is_some() { " in TLS" } else { "" };
            let udp = if listen.udp { ", syslog over UDP" } else { "" };
            format!("{} at {}  (Beats and syslog over TCP{tls}{udp})", running.config.name, running.bound.address)
        };
        self.running.iter().map(line).collect()
    }
}

impl Running {
    fn begin(ready: Ready, journal: &Journal) -> Self {
        let Ready { config, files, bound, sockets, options } = ready;
        let (to, from) = mpsc::channel(BATCHES_MAX);
        let tell = {
            let (journal, source) = (journal.clone(), config.name.clone());
            move |peer, closed: &Closed| record_closed(&journal, &source, peer, closed)
        };
        let SourceKind::Listen(listen) = &config.kind;
        let began = Record::new("process", Level::Info, "source started")
            .caller(CALLER)
            .field("source", &config.name)
            .field("address", bound.address.to_string())
            .field("udp", listen.udp)
            .field("tls", listen.tls.is_some());
        record(journal, began);
        let listening = net::listen(sockets, options, to, tell);
        let keeping = tokio::spawn(Keeping::new(config.name.clone(), journal.clone(), from).run());
        Self { config, files, bound, listening, keeping, told: (0, Instant::now()) }
    }

    async fn end(self, journal: Journal) {
        let Self { config, bound, listening, keeping, .. } = self;
        // Only who listens has the sockets now, and closes them.
        drop(bound);
        let counts = listening.stop().await;
        // An error is a panic, which has been printed; its batches were refused.
        let _: Result<(), JoinError> = keeping.await;
        let ended = Record::new("process", Level::Info, "source stopped").caller(CALLER).field("source", &config.name);
        record(&journal, with_counts(ended, &counts));
    }

    fn tell_dropped(&mut self, journal: &Journal) {
        let Counts { dropped, dropped_by_system, .. } = self.listening.counts();
        let (told, at) = self.told;
        let now = dropped + dropped_by_system;
        if now <= told || at.elapsed() < TELL_EVERY {
            return;
        }
        self.told = (now, Instant::now());
        let lost =
            Record::new("process", Level::Warn, "datagrams were dropped: they came faster than they could be kept");
        record(journal, lost.caller(CALLER).field("source", &self.config.name).field("dropped", now - told));
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

fn record(journal: &Journal, record: Record) {
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording what became of a source");
    }
}
