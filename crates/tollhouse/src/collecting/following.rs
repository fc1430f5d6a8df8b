//! The task of a source of files: each line becomes a record that says where the next one begins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use tokio::task::coop::consume_budget;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tollhouse_collect::file::{Batch, Event, FileId, Flaw, Flaws, Line, Mark, Note, Options, Positions, Tail, Tailer};
use tollhouse_collect::formats::{self, Format, Streams, Text};
use tollhouse_config::FileSource;
use tollhouse_journal::{Level, Record};

use crate::collecting::came::{Came, Form};
use crate::collecting::ledger::{Ended, Ledger, Progress, SAVE_EVERY, Told, about};
use crate::collecting::reading::Base;
use crate::collecting::rotating::Rotating;
use crate::wiring;

/// Where these records come from.
const CALLER: &str = "collect/file";
/// How long it waits before it begins again when the reading broke off.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Lines that are kept together.
const LINES_AT_ONCE: usize = 1_024;
/// Files of which it is to be told how far they were read with lines that were left out; of more, all are told at once.
const PASSED_MAX: usize = 64;
/// Files whose format was told; of more, some are told again.
const TOLD_MAX: usize = 256;

impl Progress for Positions {
    fn take(&mut self, told: Told) {
        if let Some(note) = told.file_note.and_then(|note| serde_json::from_str(&note).ok()) {
            self.apply(&note);
        }
        for mark in told.file_mark.iter().chain(told.file_marks.iter().flatten()) {
            self.advance(mark);
        }
    }
}

/// A source of files, to be read.
pub(super) struct Following {
    base: Base,
    options: Options,
    source: FileSource,
    /// Lines that wait for those that belong to them, by file.
    streams: Streams<FileId, Origin>,
    /// How far files were read with lines that were left out, and that no record says yet.
    passed: BTreeMap<FileId, Mark>,
    /// By path: files whose format was told.
    told: BTreeMap<PathBuf, Format>,
    began: Instant,
    rotating: Option<Rotating>,
}

/// Where a line comes from.
struct Origin {
    mark: Mark,
    path: Arc<Path>,
    flaws: Flaws,
}

/// Why the reading ended.
enum Left {
    /// It was asked to.
    Asked,
    /// The thread that reads is gone.
    Broken,
}

impl Following {
    pub(super) fn new(base: Base, options: Options, source: FileSource) -> Self {
        let streams = Streams::new(wiring::line_format(source.format));
        let rotating = source.rotate.as_ref().and_then(|rotate| Rotating::new(rotate, &source.paths));
        let (passed, told, began) = (BTreeMap::new(), BTreeMap::new(), Instant::now());
        Self { base, options, source, streams, passed, told, began, rotating }
    }

    /// Reads until it is to end.
    pub(super) async fn run(mut self) {
        let Some(_turn) = self.base.turn().await else { return };
        let Some(mut ledger) = Ledger::<Positions>::open(&mut self.base, CALLER).await else { return };
        let began = self.about(Level::Info, "source started").field("type", "file").field("paths", &self.source.paths);
        let began = began.field("format", self.source.format.as_str()).field("begin", self.source.begin.as_str());
        ledger.tell(began.field("known_files", ledger.progress.files().count()));
        loop {
            match self.read(&mut ledger).await {
                Left::Asked => break,
                Left::Broken => {
                    ledger.tell(self.about(Level::Error, "the reading of files broke off and begins again"));
                    // What waited was not kept, so it is read again.
                    self.streams = Streams::new(wiring::line_format(self.source.format));
                    tokio::select! {
                        () = sleep(AGAIN_AFTER) => {}
                        () = self.base.stop.asked() => break,
                    }
                }
            }
        }
        // A journal that takes nothing any more is told by itself.
        let _: Result<(), Ended> = self.tell_left_out(true, &mut ledger).await;
        let stopped = self.about(Level::Info, "source stopped").field("kept", ledger.kept);
        ledger.tell(self.base.shaping.with_counts(stopped));
        ledger.close().await;
    }

    async fn read(&mut self, ledger: &mut Ledger<Positions>) -> Left {
        let tailer = Tailer::new(self.options.clone(), ledger.progress.clone());
        let name: String = format!("tail-{}", self.base.source).chars().take(15).collect();
        let mut tail = match Tail::start(&name, tailer) {
            Ok(tail) => tail,
            Err(error) => {
                ledger.tell(self.about(Level::Error, "files cannot be read").field("error", error.to_string()));
                return Left::Broken;
            }
        };
        let mut save = interval(SAVE_EVERY);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.base.stop.clone();
        let left = loop {
            let due = self.streams.due().map(|due| self.began + due);
            let tell = self.base.shaping.due();
            let kept = tokio::select! {
                () = stop.asked() => break Left::Asked,
                batch = tail.next() => match batch {
                    Some(batch) => self.keep(batch, ledger).await,
                    None => break Left::Broken,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.end_due(ledger).await,
                () = sleep_until(tell.unwrap_or_else(Instant::now)), if tell.is_some() => {
                    self.tell_left_out(false, ledger).await
                }
                _ = save.tick() => {
                    ledger.look().await;
                    Ok(())
                }
                told = rotated(&mut self.rotating, &ledger.progress) => {
                    for record in told {
                        ledger.tell(record.field("source", &self.base.source));
                    }
                    Ok(())
                }
            };
            if let Err(Ended) = kept {
                break Left::Asked;
            }
        };
        // It may be in the middle of a read, which takes a moment.
        if let Err(error) = spawn_blocking(|| tail.stop()).await {
            tracing::error!(error = %error, "ending the reading of files");
        }
        left
    }

    /// Keeps what a step of the tailer has found: notes before the lines that need them.
    async fn keep(&mut self, batch: Batch, ledger: &mut Ledger<Positions>) -> Result<(), Ended> {
        for event in batch.events {
            ledger.tell(self.told_of(event));
        }
        let now = Zoned::now();
        let mut read = Vec::new();
        if !batch.notes.is_empty() {
            // A note says how far files were read, perhaps that of another name: the lines before it are kept before it.
            self.streams.end_due(Duration::MAX, &mut read);
            self.keep_lines(&mut read, &now, ledger).await?;
            if !self.passed.is_empty() {
                // A note may say that a file begins anew: no position of before may come behind it.
                self.tell_left_out(true, ledger).await?;
            }
        }
        for note in batch.notes {
            if let Note::Forgotten(id) = &note {
                self.streams.forget(id);
            }
            ledger.append(self.noted(&note)).await?;
            ledger.progress.apply(&note);
        }
        for line in batch.lines {
            // Thousands of lines may be there at once: others have their turn in between.
            consume_budget().await;
            if self.base.stop.is_asked() {
                return Err(Ended);
            }
            let Line { text, bytes, mark, path, flaws } = line;
            let at = self.began.elapsed();
            self.streams.push(&mark.file, Text { text, bytes }, Origin { mark, path, flaws }, at, &now, &mut read);
            if read.len() >= LINES_AT_ONCE {
                self.keep_lines(&mut read, &now, ledger).await?;
            }
        }
        self.keep_lines(&mut read, &now, ledger).await
    }

    async fn end_due(&mut self, ledger: &mut Ledger<Positions>) -> Result<(), Ended> {
        let mut read = Vec::new();
        self.streams.end_due(self.began.elapsed(), &mut read);
        self.keep_lines(&mut read, &Zoned::now(), ledger).await
    }

    async fn keep_lines(
        &mut self,
        read: &mut Vec<formats::Read<Origin>>,
        now: &Zoned,
        ledger: &mut Ledger<Positions>,
    ) -> Result<(), Ended> {
        // With the place of the record before which, or with which, each was read.
        let mut marks = Vec::with_capacity(read.len());
        let mut records = Vec::with_capacity(read.len());
        let takes_verbatim = self.base.shaping.takes_verbatim();
        for read in read.drain(..) {
            let mark = read.last.mark;
            if let Some(format) = read.found {
                self.tell_format(&read.last.path, format, ledger);
            }
            let record = self.record(&read, takes_verbatim, now);
            marks.push((records.len(), mark));
            if let Some(record) = record {
                self.passed.remove(&mark.file);
                records.push(record);
            } else {
                self.passed.insert(mark.file, mark);
            }
        }
        let mut marks = marks.into_iter().peekable();
        ledger
            .append_all(records, |progress, place| {
                while let Some((_, mark)) = marks.next_if(|(before, _)| *before <= place) {
                    progress.advance(&mark);
                }
            })
            .await?;
        // Behind the last record: lines that were left out.
        marks.for_each(|(_, mark)| ledger.progress.advance(&mark));
        if self.passed.len() > PASSED_MAX || self.base.shaping.due().is_some_and(|due| due <= Instant::now()) {
            self.tell_left_out(self.passed.len() > PASSED_MAX, ledger).await?;
        }
        Ok(())
    }

    /// The record of a line; nothing when it is left out.
    fn record(&self, read: &formats::Read<Origin>, takes_verbatim: bool, now: &Zoned) -> Option<Record> {
        let formats::Read { line, format, last: Origin { mark, path, flaws }, lines, .. } = read;
        let file = path.to_string_lossy();
        let came = Came { bytes: line.as_came(), form: Form::Format(*format) };
        let given = [("file", &*file)];
        let beside = |mut record: Record| {
            record = record.field("file", &file).field("file_mark", mark);
            if *lines > 1 {
                record = record.field("lines_joined", lines);
            }
            let flaws: Vec<&str> =
                [Flaw::Unfinished, Flaw::Rest].into_iter().filter(|flaw| flaws.has(*flaw)).map(Flaw::as_str).collect();
            if flaws.is_empty() { record } else { record.field("line_flaws", flaws) }
        };
        let (is_cut, has_bytes) = (flaws.has(Flaw::Cut), flaws.has(Flaw::Bytes));
        if takes_verbatim
            && !(is_cut || has_bytes)
            && let Some(line) = read.verbatim()
        {
            return self.base.shaping.record_of_verbatim(CALLER, line, Some(&came), &given, beside);
        }
        let mut entry = read.entry(now);
        entry.is_cut |= is_cut;
        entry.has_bytes |= has_bytes;
        self.base.shaping.record(CALLER, entry, Some(&came), &given, beside)
    }

    /// Tells of lines that were left out. The record says how far was read with them too, so that they are counted once.
    async fn tell_left_out(&mut self, all: bool, ledger: &mut Ledger<Positions>) -> Result<(), Ended> {
        let Some(record) = self.base.shaping.left_out(CALLER, all) else { return Ok(()) };
        let marks: Vec<Mark> = std::mem::take(&mut self.passed).into_values().collect();
        ledger.append(record.field("file_marks", marks)).await
    }

    fn noted(&self, note: &Note) -> Record {
        let (msg, path) = match note {
            Note::Begun => ("files are looked for", None),
            Note::File(file) => ("file known", Some(file.path.to_string_lossy())),
            Note::Forgotten(_) => ("file forgotten", None),
        };
        let mut record = self.about(Level::Debug, msg);
        if let Some(path) = path {
            record = record.field("file", path);
        }
        // Plain data with names for keys; it always has a JSON form.
        record.field("file_note", serde_json::to_string(note).unwrap_or_default())
    }

    fn tell_format(&mut self, path: &Path, format: Format, ledger: &Ledger<Positions>) {
        if self.told.get(path) == Some(&format) {
            return;
        }
        if self.told.len() == TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(path.to_owned(), format);
        let found = self.about(Level::Info, "format of a file found out by its lines");
        ledger.tell(found.field("file", path.to_string_lossy()).field("format", format.as_str()));
    }

    fn told_of(&self, event: Event) -> Record {
        let (level, msg) = match &event {
            Event::Trouble { .. } => (Level::Warn, "files cannot be read"),
            Event::Solved { .. } => (Level::Info, "files can be read again"),
            Event::Truncated { .. } => (Level::Warn, "a file was truncated or written anew"),
            Event::Vanished { .. } => (Level::Warn, "a file went away before it was read to its end"),
            Event::Skipped { .. } => (Level::Warn, "the rest of a line that was too long was left out"),
            Event::TooMany { .. } => (Level::Warn, "a file is not read because there are too many"),
        };
        let record = self.about(level, msg);
        match event {
            Event::Trouble { path, why } => record.field("file", path.to_string_lossy()).field("error", why),
            Event::Solved { path } => record.field("file", path.to_string_lossy()),
            Event::Truncated { path, unread_bytes } | Event::Vanished { path, unread_bytes } => {
                record.field("file", path.to_string_lossy()).field("unread_bytes", unread_bytes)
            }
            Event::Skipped { path, bytes } => {
                record.field("file", path.to_string_lossy()).field("skipped_bytes", bytes)
            }
            Event::TooMany { path, files_max } => {
                record.field("file", path.to_string_lossy()).field("files_max", files_max)
            }
        }
    }

    fn about(&self, level: Level, msg: &'static str) -> Record {
        about(CALLER, &self.base.source, level, msg)
    }
}

/// Waits until the files were looked at that the house rotates; for ever where it rotates none.
async fn rotated(rotating: &mut Option<Rotating>, positions: &Positions) -> Vec<Record> {
    match rotating {
        Some(rotating) => rotating.look(positions).await,
        None => std::future::pending().await,
    }
}
