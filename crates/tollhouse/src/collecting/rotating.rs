//! Rotates the files of a source where nobody else does, and tells what came of it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tollhouse_collect::file::{KeepRotated, Method, Pattern, Positions, Rotated, Rotation, Rotator};
use tollhouse_config::{FileRotate, KeepFiles, Reopen, ReopenSignal, RotateMethod};
use tollhouse_journal::{Level, Record};

use crate::stores;

/// Where these records come from.
const CALLER: &str = "collect/rotate";
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// While a program is to open its file anew.
const LOOK_SOON: Duration = Duration::from_millis(250);
/// How long a command that tells a program may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
const COMMAND_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Rotated files of which it is to be told that they were read to their end; of more it is not told.
const UNREAD_MAX: usize = 64;
/// After so long it is told that one was not.
const UNREAD_TIME_MAX: Duration = Duration::from_mins(5);

/// Device and inode of a file, and how far it was read.
type Reads = HashMap<(u64, u64), u64>;

/// The files of one source that are rotated.
pub(super) struct Rotating {
    /// While nobody looks.
    rotator: Option<Rotator>,
    looking: Option<JoinHandle<(Rotator, Vec<Rotated>)>>,
    next: Instant,
    reopen: Option<Reopen>,
    unread: Vec<Unread>,
}

/// A rotated file that was not read to its end yet.
struct Unread {
    path: PathBuf,
    place: (u64, u64),
    bytes: u64,
    since: Instant,
}

impl Rotating {
    /// None where the paths are no patterns, which is told when they are read.
    pub(super) fn new(rotate: &FileRotate, paths: &[String]) -> Option<Self> {
        let patterns = paths.iter().map(|path| Pattern::new(path)).collect::<Result<Vec<_>, _>>().ok()?;
        let KeepFiles { bytes, days, count } = rotate.keep;
        let rotation = Rotation {
            patterns,
            size: rotate.size.map(|size| size.0),
            is_daily: rotate.every_day,
            method: match rotate.method {
                RotateMethod::Rename => Method::Rename,
                RotateMethod::CopyTruncate => Method::CopyTruncate,
            },
            keep: KeepRotated { bytes: Some(bytes.0), days: Some(days), count },
        };
        Some(Self {
            rotator: Some(Rotator::new(rotation)),
            looking: None,
            next: Instant::now(),
            reopen: rotate.reopen.clone(),
            unread: Vec::new(),
        })
    }

    /// Waits for the next look, and gives what is to be told of it. Cancelling loses nothing.
    pub(super) async fn look(&mut self, positions: &Positions) -> Vec<Record> {
        if self.looking.is_none() {
            sleep_until(self.next).await;
            let Some(rotator) = self.rotator.take() else { return std::future::pending().await };
            let reads = positions.files().map(|file| ((file.device, file.inode), file.read)).collect();
            let reopen = self.reopen.clone();
            self.looking = Some(spawn_blocking(move || looked(rotator, &reads, reopen.as_ref())));
        }
        let Some(looking) = &mut self.looking else { return Vec::new() };
        let looked = looking.await;
        self.looking = None;
        let (rotator, rotated) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(error = %error, "rotating files of other programs");
                return Vec::new();
            }
        };
        self.next = Instant::now() + if rotator.is_waiting() { LOOK_SOON } else { LOOK_EVERY };
        self.rotator = Some(rotator);
        let mut told: Vec<Record> = rotated.iter().map(record).collect();
        for rotated in &rotated {
            self.await_reading(rotated);
        }
        told.extend(self.read_to_the_end(positions));
        told
    }

    /// What was renamed is read on under its new name.
    fn await_reading(&mut self, rotated: &Rotated) {
        if let Rotated::Done { to, bytes, .. } = rotated
            && let Ok(meta) = fs::metadata(to)
            && self.unread.len() < UNREAD_MAX
        {
            let (path, place) = (to.clone(), (meta.dev(), meta.ino()));
            self.unread.push(Unread { path, place, bytes: *bytes, since: Instant::now() });
        }
    }

    fn read_to_the_end(&mut self, positions: &Positions) -> Vec<Record> {
        let reads: Reads = positions.files().map(|file| ((file.device, file.inode), file.read)).collect();
        let mut told = Vec::new();
        self.unread.retain(|unread| {
            // A copy is none that is read, unless something of it was not read before.
            let Some(read) = reads.get(&unread.place) else { return unread.since.elapsed() < UNREAD_TIME_MAX };
            let is_read = *read >= unread.bytes;
            if is_read {
                told.push(about(Level::Info, "all of a rotated file is in the journal", &unread.path));
            } else if unread.since.elapsed() >= UNREAD_TIME_MAX {
                let record = about(Level::Warn, "a rotated file was not read to its end", &unread.path);
                told.push(record.field("unread_bytes", unread.bytes - read));
            } else {
                return true;
            }
            false
        });
        told
    }
}

impl Drop for Rotating {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            // What has begun ends by itself; what has not does not begin.
            looking.abort();
        }
    }
}

fn looked(mut rotator: Rotator, reads: &Reads, reopen: Option<&Reopen>) -> (Rotator, Vec<Rotated>) {
    let is_read = |device, inode, size| reads.get(&(device, inode)).is_none_or(|read| *read >= size);
    let told = rotator.look(Timestamp::now(), &is_read, &stores::is_short, &|| reopen.map_or(Ok(()), tell));
    (rotator, told)
}

/// Tells programs to open their files anew. Blocks.
fn tell(reopen: &Reopen) -> Result<(), String> {
    match reopen {
        Reopen::Signal(signal, file) => {
            let text = fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))?;
            let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| format!("no number of a process stands in {}", file.display()))?;
            let signal = match signal {
                ReopenSignal::Hup => Signal::HUP,
                ReopenSignal::Usr1 => Signal::USR1,
                ReopenSignal::Usr2 => Signal::USR2,
            };
            let what = |error| format!("telling process {}: {error}", pid.as_raw_nonzero());
            kill_process(pid, signal).map_err(what)
        }
        Reopen::Command(command) => run(command),
    }
}

fn run(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no command is given")?;
    let what = |error: std::io::Error| format!("running {program}: {error}");
    let quiet = || Stdio::null();
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn().map_err(what)?;
    let until = std::time::Instant::now() + COMMAND_TIME_MAX;
    loop {
        match child.try_wait().map_err(what)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("{program} ended with {status}")),
            None if std::time::Instant::now() >= until => {
                // It is ours, so it can be ended and buried.
                child.kill().and_then(|()| child.wait()).map_err(what)?;
                return Err(format!("{program} did not end within {} s", COMMAND_TIME_MAX.as_secs()));
            }
            None => std::thread::sleep(COMMAND_LOOK_EVERY),
        }
    }
}

fn record(rotated: &Rotated) -> Record {
    match rotated {
        Rotated::Done { path, to, bytes, lost_bytes } => {
            let (level, what) = match lost_bytes {
                0 => (Level::Info, "a file was rotated"),
                _ => (Level::Error, "a file was rotated, and what was written while it was emptied is lost"),
            };
            let record = about(level, what, path).field("rotated_to", to.to_string_lossy()).field("bytes", *bytes);
            if *lost_bytes > 0 { record.field("lost_bytes", *lost_bytes) } else { record }
        }
        Rotated::NotReopened { path, why } => {
            let what = "a file was not rotated: its program goes on in the old one, which has its name again";
            about(Level::Warn, what, path).field("error", why)
        }
        Rotated::Failed { path, why } => about(Level::Warn, "a file cannot be rotated", path).field("error", why),
        Rotated::Removed { path, bytes, why } => {
            let level = if *why == "tight" { Level::Warn } else { Level::Info };
            about(level, "a rotated file was removed", path).field("bytes", *bytes).field("reason", *why)
        }
    }
}

fn about(level: Level, what: &'static str, path: &Path) -> Record {
    Record::new("process", level, what).caller(CALLER).field("file", path.to_string_lossy())
}
