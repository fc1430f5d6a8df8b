//! The task of a source of the systemd journal: a `journalctl` that follows it, begun again where the last kept entry was.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use jiff::Zoned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tollhouse_collect::formats::{self, Format, JournaldEntry};
use tollhouse_config::{Begin, JournaldSource};
use tollhouse_journal::{Level, Record};

use crate::collecting::came::{Came, Form};
use crate::collecting::ledger::{Ended, Ledger, Progress, SAVE_EVERY, Told, about};
use crate::collecting::reading::Base;
use crate::wiring;

/// Where these records come from.
const CALLER: &str = "collect/journald";
/// The program, looked for on the path.
const PROGRAM: &str = "journalctl";
/// Longest entry; a longer one is left out and told.
const ENTRY_BYTES_MAX: usize = 4 << 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// What is kept of what the program says when it fails.
const SAID_BYTES_MAX: u64 = 1 << 10;
const SAID_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a question to the program may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The first and the longest wait before the program is begun again. One that ran so long begins with the first one again.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(60);
const CALM_AFTER: Duration = Duration::from_secs(60);

/// Whether the program can be run at all.
pub(super) async fn check() -> anyhow::Result<()> {
    ask(&["--version"]).await.map(drop).with_context(|| {
        format!("`type: journald` needs `{PROGRAM}` of systemd, which cannot be run here; for files take `type: file`")
    })
}

/// What the program answers to a question.
async fn ask(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ANSWER_TIME_MAX, command.output()).await.context("no answer")??;
    anyhow::ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// The cursor of the last entry that was kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Cursor {
    last: Option<String>,
}

impl Progress for Cursor {
    fn take(&mut self, told: Told) {
        if told.journald_cursor.is_some() {
            self.last = told.journald_cursor;
        }
    }
}

/// A source of the systemd journal, to be read.
pub(super) struct Journald {
    base: Base,
    source: JournaldSource,
    format: Option<Format>,
    /// What went wrong and was told, so that it is told once.
    told: Option<String>,
}

impl Journald {
    pub(super) fn new(base: Base, source: JournaldSource) -> Self {
        let format = wiring::line_format(source.format);
        Self { base, source, format, told: None }
    }

    /// Reads until it is to end.
    pub(super) async fn run(mut self) {
        let Some(_turn) = self.base.turn().await else { return };
        let Some(mut ledger) = Ledger::<Cursor>::open(&mut self.base, CALLER).await else { return };
        let began = self.about(Level::Info, "source started").field("type", "journald");
        let began = began.field("unit", &self.source.unit).field("format", self.source.format.as_str());
        ledger.tell(began.field("begin", self.source.begin.as_str()));
        let mut wait = AGAIN_FIRST;
        loop {
            let began = Instant::now();
            match self.follow(&mut ledger).await {
                Ok(Ended) => break,
                Err(error) => self.tell_failed(&ledger, &error),
            }
            if began.elapsed() > CALM_AFTER {
                wait = AGAIN_FIRST;
            }
            tokio::select! {
                () = sleep(wait) => wait = (2 * wait).min(AGAIN_MAX),
                () = self.base.stop.asked() => break,
            }
        }
        // A journal that takes nothing any more is told by itself.
        let _: Result<(), Ended> = self.tell_left_out(true, &mut ledger).await;
        let stopped = self.about(Level::Info, "source stopped").field("kept", ledger.kept);
        ledger.tell(self.base.shaping.with_counts(stopped));
        ledger.close().await;
    }

    /// Runs the program and keeps what it says, until it ends (an error) or the source is to end.
    async fn follow(&mut self, ledger: &mut Ledger<Cursor>) -> anyhow::Result<Ended> {
        if ledger.kept == 0 && ledger.progress.last.is_none() && self.source.begin == Begin::End {
            // What comes from now on is behind the entry that is the last one now, whenever it is read.
            ledger.progress.last = self.last_cursor().await?;
            ledger.save_now().await.context("writing how far was read")?;
        }
        let mut child = self.begin(ledger.progress.last.as_deref())?;
        let said = tokio::spawn(beginning_of(child.stderr.take()));
        let followed = self.keep_all(&mut child, ledger).await;
        // It has ended, or is not wanted any more.
        let _ = child.start_kill();
        let status = child.wait().await?;
        if let Some(ended) = followed? {
            return Ok(ended);
        }
        // Whatever it has started may hold the other end, and says nothing more.
        let said = timeout(SAID_TIME_MAX, said).await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default();
        anyhow::bail!("{PROGRAM} ended ({status}): {}", String::from_utf8_lossy(&said).trim())
    }

    fn begin(&self, cursor: Option<&str>) -> anyhow::Result<Child> {
        let mut command = Command::new(PROGRAM);
        // Without `--all`, values above 4 KiB are left out.
        command.args(["--output=json", "--follow", "--all", "--no-pager", "--quiet", "--no-tail"]);
        if let Some(unit) = &self.source.unit {
            command.arg(format!("--unit={unit}"));
        }
        if let Some(cursor) = cursor {
            command.arg(format!("--after-cursor={cursor}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().with_context(|| format!("running {PROGRAM}"))
    }

    /// The cursor of the newest entry; none in an empty journal.
    async fn last_cursor(&self) -> anyhow::Result<Option<String>> {
        let answer = ask(&["--output=json", "--lines=1", "--no-pager", "--quiet"]).await;
        let answer = answer.with_context(|| format!("asking {PROGRAM} for the newest entry"))?;
        let line = answer.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        Ok(line.and_then(|line| formats::journald(line, self.format, &Zoned::now()).cursor))
    }

    /// Nothing when the program has no more to say.
    async fn keep_all(&mut self, child: &mut Child, ledger: &mut Ledger<Cursor>) -> anyhow::Result<Option<Ended>> {
        let output = child.stdout.take().context("taking what the program says")?;
        let mut output = BufReader::with_capacity(READ_BYTES, output);
        let mut save = interval(SAVE_EVERY);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stop, mut line) = (self.base.stop.clone(), Entry::default());
        loop {
            let tell = self.base.shaping.due();
            tokio::select! {
                () = stop.asked() => return Ok(Some(Ended)),
                () = sleep_until(tell.unwrap_or_else(Instant::now)), if tell.is_some() => {
                    if let Err(ended) = self.tell_left_out(false, ledger).await {
                        return Ok(Some(ended));
                    }
                }
                is_whole = line.fill(&mut output) => {
                    if !is_whole? {
                        return Ok(None);
                    }
                    if let Err(ended) = self.keep(&mut line, ledger).await {
                        return Ok(Some(ended));
                    }
                }
                _ = save.tick() => ledger.look().await,
            }
        }
    }

    async fn keep(&mut self, line: &mut Entry, ledger: &mut Ledger<Cursor>) -> Result<(), Ended> {
        self.told = None;
        let left_out = std::mem::take(&mut line.left_out);
        let bytes = std::mem::take(&mut line.bytes);
        if left_out > 0 {
            let told = self.about(Level::Warn, "an entry of the journal that was too long was left out");
            ledger.tell(told.field("skipped_bytes", left_out + bytes.len() as u64));
            return Ok(());
        }
        let JournaldEntry { entry, cursor } = formats::journald(&bytes, self.format, &Zoned::now());
        let came = Came { bytes: &bytes, form: Form::Journald };
        let record = self.base.shaping.record(CALLER, entry, Some(&came), &[], |record| match &cursor {
            Some(cursor) => record.field("journald_cursor", cursor),
            None => record,
        });
        if let Some(record) = record {
            ledger.append(record).await?;
        }
        if cursor.is_some() {
            ledger.progress.last = cursor;
        }
        Ok(())
    }

    /// Tells of lines that were left out. The record says how far was read with them too, so that they are counted once.
    async fn tell_left_out(&self, all: bool, ledger: &mut Ledger<Cursor>) -> Result<(), Ended> {
        let Some(record) = self.base.shaping.left_out(CALLER, all) else { return Ok(()) };
        ledger.append(record.field("journald_cursor", &ledger.progress.last)).await
    }

    fn tell_failed(&mut self, ledger: &Ledger<Cursor>, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.told.as_ref() != Some(&error) {
            ledger.tell(self.about(Level::Warn, "the systemd journal cannot be read").field("error", &error));
            self.told = Some(error);
        }
    }

    fn about(&self, level: Level, msg: &'static str) -> Record {
        about(CALLER, &self.base.source, level, msg)
    }
}

/// What the program says first of its troubles; the rest is read too, so that it never waits for us.
async fn beginning_of(errors: Option<ChildStderr>) -> Vec<u8> {
    let mut said = Vec::new();
    let Some(mut errors) = errors else { return said };
    let _ = (&mut errors).take(SAID_BYTES_MAX).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    said
}

/// A line as far as it has come.
#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
    /// Bytes of it that had no room.
    left_out: u64,
}

impl Entry {
    /// Reads on until the line is whole; false at the end. Cancelling loses nothing.
    async fn fill(&mut self, from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<bool> {
        loop {
            let there = from.fill_buf().await?;
            if there.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', there);
            let length = end.unwrap_or(there.len());
            let room = ENTRY_BYTES_MAX.saturating_sub(self.bytes.len()).min(length);
            self.bytes.extend_from_slice(&there[..room]);
            self.left_out += (length - room) as u64;
            from.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn entries_have_a_bound() {
        let long = vec![b'x'; ENTRY_BYTES_MAX + 7];
        let bytes = [&b"one\n"[..], &long, b"\ntwo\nhalf"].concat();
        let mut from = BufReader::with_capacity(1000, &bytes[..]);
        let mut read = Vec::new();
        let mut line = Entry::default();
        while line.fill(&mut from).await.unwrap() {
            read.push((line.bytes.len(), line.left_out));
            line = Entry::default();
        }
        assert_eq!(read, [(3, 0), (ENTRY_BYTES_MAX, 7), (3, 0)]);
    }
}
