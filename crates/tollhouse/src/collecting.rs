//! Collects log lines: listens and reads where the configuration says, and keeps in the journal what comes.
//!
//! `prepared.rs` does all that can fail before a source begins. A source that listens is in `listener.rs`, with `keeping.rs` as
//! the task that puts messages into the journal; `http.rs` has one that takes requests of HTTP. Those that read are tasks of their own: `following.rs` follows files,
//! `journald.rs` the systemd journal, `piped.rs` the standard input, `said.rs` what processes under supervision say; `ledger.rs` keeps how far they have come, so that each line
//! is kept exactly once over restarts. A changed configuration leaves those sources alone that stay as they are; one
//! that listens and changes but for its address goes on with the same sockets, one that reads goes on where it was.

mod came;
mod following;
mod http;
mod journald;
mod keeping;
mod ledger;
pub(crate) mod letters;
pub(crate) mod lines;
mod listener;
mod piped;
mod prepared;
mod reading;
pub(crate) mod replay;
mod rotating;
mod said;
pub(crate) mod shaping;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tollhouse_config::{Config, SourceConfig};
use tollhouse_journal::{Journal, Record};
use tollhouse_upkeep::Lines;

use crate::collecting::http::HttpListener;
use crate::collecting::listener::Listener;
use crate::collecting::piped::Piped;
pub(crate) use crate::collecting::prepared::Prepared;
use crate::collecting::prepared::{Bound, Files, Ready, Wanted};
pub(crate) use crate::collecting::reading::Shown;
use crate::collecting::reading::{Ground, Reading};
use crate::collecting::replay::Replaying;
use crate::collecting::shaping::Shapes;
use crate::house::Current;

/// All sources at work.
pub(crate) struct Collecting {
    ground: Ground,
    /// Whose keys senders show.
    house: Current,
    shapes: watch::Sender<Arc<Shapes>>,
    running: Vec<Running>,
    replaying: Replaying,
    /// Sources that take nothing more and bring what they have to its end.
    ending: JoinSet<()>,
}

/// One source at work.
struct Running {
    config: SourceConfig,
    work: Work,
}

/// How a source works.
enum Work {
    /// Others send to it.
    Listen(Box<Listener>),
    /// Others send requests of HTTP to it.
    Http(Box<HttpListener>),
    /// It reads.
    Read(Reading),
}

impl Collecting {
    /// Begins what was prepared. `journal_file` is where the journal's lines are; beside them in `directory` stands how far
    /// the sources have read.
    pub(crate) fn new(
        journal: Journal,
        journal_file: PathBuf,
        directory: PathBuf,
        house: Current,
        prepared: Prepared,
    ) -> Self {
        let (shapes, shapes_in_force) = watch::channel(Arc::default());
        let ground = Ground {
            shapes: shapes_in_force,
            journal,
            journal_file,
            directory,
            turns: BTreeMap::new(),
            piped: Arc::new(Mutex::new(Piped::new())),
            shown: Shown::default(),
            lines: Lines::new(),
        };
        let (running, ending, replaying) = (Vec::new(), JoinSet::new(), Replaying::new());
        let mut collecting = Self { ground, house, shapes, running, replaying, ending };
        collecting.adopt(prepared);
        collecting
    }

    /// By which is heard what processes under supervision say.
    pub(crate) fn lines(&self) -> Lines {
        self.ground.lines.clone()
    }

    /// Makes ready what another configuration wants; what stays the same is only named.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        Prepared::new(config, &self.running).await
    }

    /// Paths of the configuration whose files are others than when they were read, as after a certificate was renewed.
    pub(crate) async fn renewed(&self) -> Vec<String> {
        let mut renewed = Vec::new();
        for running in &self.running {
            if let Some(files) = running.files()
                && *files != Files::of(&running.config).await
            {
                renewed.push(format!("sources.{}.tls", running.config.name));
            }
        }
        renewed
    }

    /// Begins what is new and ends what is not wanted any more.
    pub(crate) fn adopt(&mut self, prepared: Prepared) {
        let Prepared { wanted, shapes } = prepared;
        self.shapes.send_replace(Arc::new(shapes));
        let mut before = std::mem::take(&mut self.running);
        for wanted in wanted {
            match wanted {
                Wanted::Same(name) => {
                    let place = before.iter().position(|running| running.config.name == name);
                    self.running.extend(place.map(|place| before.remove(place)));
                }
                Wanted::New(ready) => self.running.push(Running::begin(*ready, &mut self.ground, &self.house)),
            }
        }
        for running in before {
            self.ending.spawn(running.end(self.ground.journal.clone()));
        }
        self.ground.forget_turns();
    }

    /// What became of the lines of all sources, those of later configurations included.
    pub(crate) fn shown(&self) -> Shown {
        self.ground.shown.clone()
    }

    /// Tells of datagrams that were dropped since the last look.
    pub(crate) fn look(&mut self) {
        while self.ending.try_join_next().is_some() {}
        self.replaying.look(&self.ground);
        for running in &mut self.running {
            match &mut running.work {
                Work::Listen(listener) => listener.tell_dropped(&running.config.name, &self.ground.journal),
                Work::Http(listener) => listener.tell_left_out(&self.ground.journal),
                Work::Read(_) => {}
            }
        }
    }

    /// Ends all sources: what came before is kept, and acknowledged as far as its senders wait for that.
    pub(crate) async fn end(mut self) {
        self.replaying.end().await;
        for running in self.running {
            self.ending.spawn(running.end(self.ground.journal.clone()));
        }
        while self.ending.join_next().await.is_some() {}
    }

    /// What is collected where, a line each.
    pub(crate) fn greeting(&self) -> Vec<String> {
        let line = |running: &Running| match &running.work {
            Work::Listen(listener) => format!("{} at {}", running.config.name, listener.greeting()),
            Work::Http(listener) => format!("{} at {}", running.config.name, listener.greeting()),
            Work::Read(reading) => format!("{} from {}", running.config.name, reading.greeting),
        };
        self.running.iter().map(line).collect()
    }
}

impl Running {
    fn begin(ready: Ready, ground: &mut Ground, house: &Current) -> Self {
        match ready {
            Ready::Listen(config, ready) => {
                let listener = Listener::begin(&config.name, *ready, ground);
                Self { config, work: Work::Listen(Box::new(listener)) }
            }
            Ready::Http(config, ready) => {
                let listener = HttpListener::begin(&config.name, *ready, ground, house);
                Self { config, work: Work::Http(Box::new(listener)) }
            }
            Ready::Read(config, way) => {
                let reading = Reading::begin(&config.name, way, ground);
                Self { config, work: Work::Read(reading) }
            }
        }
    }

    /// The sockets of a source that listens.
    fn bound(&self) -> Option<&Bound> {
        match &self.work {
            Work::Listen(listener) => Some(&listener.bound),
            Work::Http(listener) => Some(&listener.bound),
            Work::Read(_) => None,
        }
    }

    /// The files of such a source's TLS.
    fn files(&self) -> Option<&Files> {
        match &self.work {
            Work::Listen(listener) => Some(&listener.files),
            Work::Http(listener) => Some(&listener.files),
            Work::Read(_) => None,
        }
    }

    async fn end(self, journal: Journal) {
        match self.work {
            Work::Listen(listener) => listener.end(&self.config.name, &journal).await,
            Work::Http(listener) => listener.end(&self.config.name, &journal).await,
            Work::Read(reading) => reading.end().await,
        }
    }
}

fn record(journal: &Journal, record: Record) {
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording what became of a source");
    }
}
