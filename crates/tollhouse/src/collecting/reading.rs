//! A source that reads, at work: a task of its own, and how it is begun and ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::{JoinError, JoinHandle};
use tollhouse_collect::file;
use tollhouse_config::{Begin, FileSource, JournaldSource, LineFormat};
use tollhouse_journal::Journal;
use tollhouse_upkeep::Lines;

use crate::collecting::following::Following;
use crate::collecting::journald::Journald;
use crate::collecting::piped::{self, Piped};
use crate::collecting::said;
use crate::collecting::shaping::{Shapes, Shaping};

/// By name of the source: what became of its lines.
pub(crate) type Shown = Arc<std::sync::Mutex<BTreeMap<String, Weak<Shaping>>>>;

/// What all sources that read have in common.
pub(super) struct Ground {
    pub(super) journal: Journal,
    pub(super) journal_file: PathBuf,
    /// Where it stands how far they have read.
    pub(super) directory: PathBuf,
    /// By name: only one source of a name reads at a time. The next one begins where the last one ended.
    pub(super) turns: BTreeMap<String, Arc<Mutex<()>>>,
    pub(super) piped: Arc<Mutex<Piped>>,
    /// What becomes of lines, by the configuration in force.
    pub(super) shapes: watch::Receiver<Arc<Shapes>>,
    /// What became of lines, for whoever asks.
    pub(super) shown: Shown,
    /// Hears what processes say.
    pub(super) lines: Lines,
}

impl Ground {
    /// Forgets whose turn it is where nobody reads or waits to.
    pub(super) fn forget_turns(&mut self) {
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    /// The shaping of a source.
    pub(super) fn shaping(&self, name: &str) -> Arc<Shaping> {
        let shaping = Arc::new(Shaping::new(name, self.shapes.clone()));
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|_, shaping| shaping.strong_count() > 0);
        shown.insert(name.to_owned(), Arc::downgrade(&shaping));
        drop(shown);
        shaping
    }

    fn base(&mut self, name: &str, stop: watch::Receiver<bool>) -> Base {
        Base {
            source: name.to_owned(),
            shaping: self.shaping(name),
            journal: self.journal.clone(),
            journal_file: self.journal_file.clone(),
            snapshot: self.directory.join(format!("{name}.json")),
            turn: self.turns.entry(name.to_owned()).or_default().clone(),
            stop: Stop(stop),
        }
    }
}

/// What is read, and how.
pub(super) enum Way {
    Files { options: file::Options, source: FileSource },
    Journald(JournaldSource),
    Stdin(LineFormat),
    Process { format: LineFormat, pipe: PathBuf },
}

/// What the task of a source works with.
pub(super) struct Base {
    pub(super) source: String,
    pub(super) shaping: Arc<Shaping>,
    pub(super) journal: Journal,
    pub(super) journal_file: PathBuf,
    /// The file in which it stands how far the source has read.
    pub(super) snapshot: PathBuf,
    turn: Arc<Mutex<()>>,
    pub(super) stop: Stop,
}

impl Base {
    /// Waits until no other source of this name reads; nothing when it is to stop before that.
    pub(super) async fn turn(&mut self) -> Option<OwnedMutexGuard<()>> {
        tokio::select! {
            turn = self.turn.clone().lock_owned() => Some(turn),
            () = self.stop.asked() => None,
        }
    }
}

/// Tells a task that it is to end.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn new(asked: watch::Receiver<bool>) -> Self {
        Self(asked)
    }

    /// Whether it is to end.
    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is to end.
    pub(super) async fn asked(&mut self) {
        // An error says that nobody is left who could ask.
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}

/// A source that reads.
pub(super) struct Reading {
    /// What it reads, for people.
    pub(super) greeting: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reading {
    pub(super) fn begin(name: &str, way: Way, ground: &mut Ground) -> Self {
        let (stop, stopped) = watch::channel(false);
        let base = ground.base(name, stopped);
        let (greeting, task) = match way {
            Way::Files { options, source } => {
                let greeting =
                    format!("{}  ({}{})", source.paths.join(", "), source.format.as_str(), since(source.begin));
                (greeting, tokio::spawn(Following::new(base, options, source).run()))
            }
            Way::Journald(source) => {
                let unit = source.unit.as_deref().unwrap_or("all units");
                let greeting = format!("journald, {unit}  ({}{})", source.format.as_str(), since(source.begin));
                (greeting, tokio::spawn(Journald::new(base, source).run()))
            }
            Way::Stdin(format) => {
                let greeting = format!("standard input  ({})", format.as_str());
                (greeting, tokio::spawn(piped::read(base, format, ground.piped.clone())))
            }
            Way::Process { format, pipe } => {
                let greeting = format!("its process  ({})", format.as_str());
                (greeting, tokio::spawn(said::read(base, format, pipe, ground.lines.clone())))
            }
        };
        Self { greeting, stop, task }
    }

    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        // An error is a panic, which has been printed; what it had not kept is read again.
        let _: Result<(), JoinError> = self.task.await;
    }
}

fn since(begin: Begin) -> &'static str {
    match begin {
        Begin::Start => "",
        Begin::End => ", from the end on",
    }
}
