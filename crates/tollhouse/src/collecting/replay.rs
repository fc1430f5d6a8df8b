//! Replays dead letters: their lines go through what is configured now, and what comes of that is appended.
//!
//! `tollhouse dead replay` asks for it by a file; the house, which alone writes the journal, does it and answers by another one:
//!
//! ```text
//! <data_dir>/collect/_replay.request   {"id": …, "source": …, "seqs": […]}   by the command, under another name first
//!                    _replay.running   the same file while it is worked on; found at a start, it is worked on again
//!                    _replay.done      {"id": …, "replayed": …, …}           by the house
//! ```
//!
//! Invariant: the record that a line becomes says by `replay_of` of which dead letter it is. So to be appended and to be done with is the
//! same, whenever the house is killed; a dead letter that such a record names is not replayed again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use tollhouse_collect::formats::Entry;
use tollhouse_journal::{Journal, Level, Record};

use crate::collecting::came::{self, LINE, LINE_BASE64, LINE_FORM};
use crate::collecting::letters::{self, Found, REPLAY_OF};
use crate::collecting::lines;
use crate::collecting::reading::{Ground, Stop};
use crate::collecting::shaping::{Shaped, Shapes};

/// Where these records come from.
pub(crate) const CALLER: &str = "collect/replay";
/// Dead letters of one replay; the next one takes the others.
const LETTERS_MAX: usize = 1_000_000;
/// Dead letters that are read ahead.
const AHEAD: usize = 16;
/// How long it waits after one that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the end waits for the disk.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);
/// What of a dead letter is no field of its line's record: what the journal gives, and what says how far was read.
const OF_THE_LETTER: [&str; 19] = [
    "ts",
    "level",
    "kind",
    "msg",
    "caller",
    "service",
    "seq",
    "prev",
    "fields_dropped",
    "source",
    "reason",
    "program",
    "event",
    LINE,
    LINE_BASE64,
    LINE_FORM,
    "file_mark",
    "journald_cursor",
    "time",
];

/// Which dead letters are to be replayed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Request {
    /// To know the answer by.
    pub(crate) id: String,
    /// Those of this source only.
    pub(crate) source: Option<String>,
    /// Those of these numbers only; empty means all.
    pub(crate) seqs: BTreeSet<u64>,
}

/// What became of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// See [`Request`].
    pub(crate) id: String,
    /// They are lines now.
    pub(crate) replayed: u64,
    /// Their programs said that they are not wanted.
    pub(crate) dropped: u64,
    /// Their programs failed again: they stay dead letters.
    pub(crate) failed: u64,
    /// They were done with before.
    pub(crate) done_before: u64,
    /// So many were left for the next replay.
    pub(crate) left: u64,
    /// Of the first that failed, why.
    pub(crate) reason: Option<String>,
    /// Why it ended early.
    pub(crate) error: Option<String>,
}

/// The three files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) request: PathBuf,
    pub(crate) running: PathBuf,
    pub(crate) done: PathBuf,
}

impl Files {
    pub(crate) fn new(directory: &Path) -> Self {
        let file = |name: &str| directory.join(format!("_replay.{name}"));
        Self { request: file("request"), running: file("running"), done: file("done") }
    }
}

/// Looks for requests, and works on one at a time.
pub(super) struct Replaying {
    task: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    not_before: Option<Instant>,
}

impl Replaying {
    pub(super) fn new() -> Self {
        Self { task: None, stop: watch::channel(false).0, not_before: None }
    }

    /// Begins what is asked for; to be called now and then.
    pub(super) fn look(&mut self, ground: &Ground) {
        if self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if self.task.take().is_some() {
            self.not_before = Some(Instant::now() + AGAIN_AFTER);
        }
        let files = Files::new(&ground.directory);
        let is_new = files.request.exists();
        let goes_on = files.running.exists() && self.not_before.is_none_or(|moment| moment <= Instant::now());
        if !is_new && !goes_on {
            return;
        }
        let replay = Replay {
            files,
            journal: ground.journal.clone(),
            journal_file: ground.journal_file.clone(),
            shapes: ground.shapes.borrow().clone(),
            stop: Stop::new(self.stop.subscribe()),
        };
        self.task = Some(tokio::spawn(replay.run()));
    }

    /// Ends; what was begun goes on at the next start.
    pub(super) async fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // An error is a panic, which has been printed.
            let _ = task.await;
        }
    }
}

/// One replay.
struct Replay {
    files: Files,
    journal: Journal,
    journal_file: PathBuf,
    shapes: Arc<Shapes>,
    stop: Stop,
}

impl Replay {
    async fn run(self) {
        if let Err(error) = self.try_run().await {
            tracing::error!("replaying dead letters: {error:#}");
        }
    }

    async fn try_run(&self) -> anyhow::Result<()> {
        let files = self.files.clone();
        let request = spawn_blocking(move || claim(&files)).await??;
        let mut outcome = Outcome { id: request.id.clone(), ..Outcome::default() };
        match self.replay(&request, &mut outcome).await {
            Ok(true) => {}
            // The file stays: the next start goes on.
            Ok(false) => return Ok(()),
            Err(error) => outcome.error = Some(format!("{error:#}")),
        }
        let ended = Record::with("process", Level::Info, "dead letters replayed", &outcome).caller(CALLER);
        super::record(&self.journal, ended);
        let files = self.files.clone();
        spawn_blocking(move || answer(&files, &outcome)).await?
    }

    /// Whether it came to its end; not when the house is to end.
    async fn replay(&self, request: &Request, outcome: &mut Outcome) -> anyhow::Result<bool> {
        let last_seq = *self.journal.written().borrow();
        let (file, wanted) = (self.journal_file.clone(), request.clone());
        let pending = spawn_blocking(move || pending(&file, last_seq, &wanted)).await??;
        (outcome.done_before, outcome.left) = (pending.done, pending.left);
        let (to, mut from) = mpsc::channel(AHEAD);
        let (file, seqs) = (self.journal_file.clone(), pending.seqs);
        let reading = spawn_blocking(move || {
            letters::scan(&file, last_seq, |found| match found {
                Found::Letter(seq, letter) if seqs.contains(&seq) => to.blocking_send((seq, letter)).is_ok(),
                _ => true,
            })
        });
        let mut last = 0;
        while let Some((seq, letter)) = from.recv().await {
            if self.stop.is_asked() {
                return Ok(false);
            }
            if let Some(record) = self.again(seq, letter, outcome) {
                last = self.journal.append(record.comes_again()).await.context("appending a line")?;
            }
        }
        reading.await?.context("reading dead letters")?;
        let mut synced = self.journal.synced();
        timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= last)).await.context("waiting for the disk")??;
        Ok(true)
    }

    /// The line of a dead letter read anew; without it, what was read of it then.
    fn read_anew(&self, source: &str, letter: &mut Map<String, Value>) -> Result<Entry, String> {
        let text = |name: &str| letter.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some((line, form)) = came::kept(letter) {
            // Formats without a year or a zone mean those of the moment at which the line came.
            let came = text("ts").parse::<Timestamp>().unwrap_or_else(|_| Timestamp::now());
            let now = came.to_zoned(TimeZone::system());
            let mut entry = form.read(&line, self.shapes.format_of(source), &now);
            // The letter says it.
            entry.is_cut &= !letter.contains_key("cut");
            entry.has_bytes = false;
            return Ok(entry);
        }
        match letter.remove("event") {
            Some(Value::Object(event)) => Entry::of_event(event).map_err(|error| error.to_string()),
            _ => Err("it was too long for the journal, which has cut it".to_owned()),
        }
    }

    /// What the line of a dead letter becomes now; nothing when it fails again.
    fn again(&self, seq: u64, mut letter: Map<String, Value>, outcome: &mut Outcome) -> Option<Record> {
        let text = |name: &str| letter.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (source, ts) = (text("source"), text("ts"));
        let mut entry = match self.read_anew(&source, &mut letter) {
            Ok(entry) => entry,
            Err(why) => {
                outcome.fail(&why);
                return None;
            }
        };
        // It belongs to the day on which it came.
        entry.time = entry.time.or_else(|| ts.parse().ok());
        letter.retain(|name, _| !OF_THE_LETTER.contains(&name.as_str()));
        let mut given = vec![("source", source.as_str())];
        given.extend(["file", "peer"].iter().filter_map(|name| Some((*name, letter.get(*name)?.as_str()?))));
        match self.shapes.of(&source).shape(entry, &given) {
            Shaped::Line(entry, problems) => {
                outcome.replayed += 1;
                let record = lines::record(CALLER, &source, *entry, |record| {
                    let record = record.field(REPLAY_OF, seq);
                    letter.iter().fold(record, |record, (name, value)| record.field(name, value))
                });
                Some(match problems {
                    Some(problems) => record.field("ingest_error", problems),
                    None => record,
                })
            }
            Shaped::Dropped => {
                outcome.dropped += 1;
                let dropped = Record::new("process", Level::Info, "a dead letter was dropped by its program");
                Some(dropped.caller(CALLER).field("source", source).field(REPLAY_OF, seq))
            }
            Shaped::Dead(death) => {
                outcome.fail(death.reason());
                None
            }
        }
    }
}

impl Outcome {
    fn fail(&mut self, reason: &str) {
        self.failed += 1;
        self.reason.get_or_insert_with(|| reason.to_owned());
    }
}

/// What a replay has to do.
struct Pending {
    seqs: BTreeSet<u64>,
    done: u64,
    left: u64,
}

fn pending(journal_file: &Path, last_seq: u64, request: &Request) -> anyhow::Result<Pending> {
    let mut pending = Pending { seqs: BTreeSet::new(), done: 0, left: 0 };
    letters::scan(journal_file, last_seq, |found| {
        match found {
            Found::Letter(seq, letter) => {
                let is_wanted = letters::is_of_a_line(&letter)
                    && (request.seqs.is_empty() || request.seqs.contains(&seq))
                    && request.source.as_ref().is_none_or(|source| letter.get("source").is_some_and(|is| is == source));
                if is_wanted && pending.seqs.len() < LETTERS_MAX {
                    pending.seqs.insert(seq);
                } else if is_wanted {
                    pending.left += 1;
                }
            }
            Found::Replayed(seq) => pending.done += u64::from(pending.seqs.remove(&seq)),
        }
        true
    })
    .context("looking for dead letters")?;
    Ok(pending)
}

/// The request that is worked on, or the next one.
fn claim(files: &Files) -> anyhow::Result<Request> {
    if !files.running.exists() {
        std::fs::rename(&files.request, &files.running).context("taking the request")?;
    }
    let bytes = std::fs::read(&files.running).context("reading the request")?;
    serde_json::from_slice(&bytes).or_else(|error| {
        // Nobody can work on it: it must not be found again.
        std::fs::remove_file(&files.running)?;
        Err(error).context("reading the request")
    })
}

fn answer(files: &Files, outcome: &Outcome) -> anyhow::Result<()> {
    put(&files.done, outcome)?;
    std::fs::remove_file(&files.running).context("ending the request")
}

/// Writes a file that is there whole or not at all.
pub(crate) fn put(path: &Path, content: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_vec(content)?;
    tollhouse_files::replace(path, &json, 0o640).with_context(|| format!("writing {}", path.display()))
}
