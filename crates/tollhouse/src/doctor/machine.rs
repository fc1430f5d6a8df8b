//! Gathers what everything stands on: probes of cards, memory, disks and the clock; files, ports, room; the firewall.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use regex::Regex;
use rustix::fs::{Access, access, statvfs};
use serde_json::{Map, Value};
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tollhouse_collect::file::{Pattern, Sight};
use tollhouse_config::{Config, ContentMode, SourceKind};
use tollhouse_doctor::{BudgetFacts, PlaceFacts, PortFacts, ProbedFacts, Status};
use tollhouse_probe::{
    About, Boxed, Kind, Look, Models, Outcome, Prepared, Question, Report, Said, Spec, Spoken, Unasked,
};

use super::asker::side_by_side;
use super::sockets::Listening;
use crate::probing;

/// How long a look may take.
const LOOK_TIME_MAX: Duration = Duration::from_millis(3500);
/// How long another program may take that is asked.
const PROGRAM_TIME_MAX: Duration = Duration::from_secs(2);
/// Files of one source that are looked at.
const FILES_MAX: usize = 20;
/// Files below the data directory that are counted.
const COUNTED_MAX: usize = 100_000;

/// No model is asked by these probes, and nothing is kept.
#[derive(Debug)]
struct Nothing;

impl Models for Nothing {
    fn ask<'a>(&'a self, _: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>> {
        Box::pin(async { Err(Unasked::GaveWay(Said::Words { error: "no model is asked here".to_owned() })) })
    }

    fn about<'a>(&'a self, _: &'a str) -> Boxed<'a, About> {
        Box::pin(async { About::default() })
    }
}

impl tollhouse_probe::Book for Nothing {
    fn tell<'a>(&'a self, _: &'a [Report]) -> Boxed<'a, ()> {
        Box::pin(async {})
    }

    fn sample<'a>(&'a self, _: &'a Map<String, Value>) -> Boxed<'a, ()> {
        Box::pin(async {})
    }

    fn keep<'a>(&'a self, _: &'a str, _: &'a Value) -> Boxed<'a, ()> {
        Box::pin(async {})
    }

    fn kept<'a>(&'a self, _: &'a str) -> Boxed<'a, Option<Value>> {
        Box::pin(async { None })
    }
}

/// What the probes of resources find, side by side; those that the configuration has, with its limits.
pub(super) async fn resources(config: &Config) -> Vec<ProbedFacts> {
    let is_resource = |spec: &Spec| matches!(spec.look.kind(), Kind::Gpu | Kind::Memory | Kind::Disk | Kind::Clock);
    let specs: Vec<Spec> = probing::specs(&config.probes).into_iter().filter(is_resource).collect();
    let asked = specs.into_iter().map(|spec| async move {
        let kind = spec.look.kind().as_str();
        probed(&spec.name, kind, spec.look).await
    });
    side_by_side(asked).await.into_iter().flatten().collect()
}

/// What one probe finds; nothing where it cannot be prepared.
pub(super) async fn probed(name: &str, kind: &str, look: Look) -> Option<ProbedFacts> {
    let spec = Spec { name: name.to_owned(), every: LOOK_TIME_MAX, within: LOOK_TIME_MAX, look };
    let prepared = spawn_blocking(move || Prepared::new(vec![spec])).await.ok()?.ok()?;
    let mut found = None;
    prepared.run_once(&Nothing, &Nothing, |_| true, |report| found = Some(report.finding.clone())).await;
    let finding = found?;
    let status = match finding.outcome {
        // No card is nothing that could be well.
        Outcome::Ok if kind == "gpu" && finding.said == [Said::NoCard {}] => Status::Skipped,
        Outcome::Skipped => Status::Skipped,
        Outcome::Ok => Status::Ok,
        Outcome::Warn => Status::Warn,
        Outcome::Fault => Status::Fault,
    };
    let said = finding.said.iter().map(Said::to_json).collect();
    Some(ProbedFacts { kind: kind.to_owned(), name: name.to_owned(), status, found: finding.found(), said })
}

/// Files and folders that the house needs. Reads them, so it blocks.
pub(super) fn places(config: &Config, file: Option<&Path>) -> Vec<PlaceFacts> {
    let mut places = Vec::new();
    if let Some(file) = file {
        let mut place = place("config", file, false, Access::READ_OK);
        place.is_secret = fs::read_to_string(file).is_ok_and(|text| has_secret(&text));
        places.push(place);
    }
    let mut data = place("data", &config.data_dir, true, Access::WRITE_OK | Access::EXEC_OK);
    data.is_secret = true;
    places.push(data);
    if let Some(folder) = config.journal_file().parent().filter(|folder| !folder.starts_with(&config.data_dir)) {
        places.push(place("journal", folder, true, Access::WRITE_OK | Access::EXEC_OK));
    }
    let state = config.data_dir.join("state/state.db");
    if state.exists() {
        let mut state = place("state", &state, false, Access::READ_OK | Access::WRITE_OK);
        state.is_secret = true;
        places.push(state);
    }
    for source in &config.sources {
        let SourceKind::File(files) = &source.kind else { continue };
        let patterns: Result<Vec<Pattern>, _> = files.paths.iter().map(|path| Pattern::new(path)).collect();
        let Ok(patterns) = patterns else { continue };
        let what = format!("source {}", source.name);
        let Sight { files, troubles } = Sight::of(patterns);
        places.extend(files.iter().take(FILES_MAX).map(|file| place(&what, file.path(), false, Access::READ_OK)));
        places.extend(troubles.iter().take(FILES_MAX).map(|(path, why)| PlaceFacts {
            problem: Some(why.clone()),
            ..self::place(&what, path, true, Access::READ_OK)
        }));
    }
    places
}

fn place(what: &str, path: &Path, is_folder: bool, wanted: Access) -> PlaceFacts {
    let meta = fs::metadata(path);
    let problem = match &meta {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
        Ok(meta) if meta.is_dir() != is_folder => Some(
            if is_folder {
                "there is a file where a folder has to be"
            } else {
                "there is a folder where a file has to be"
            }
            .to_owned(),
        ),
        Ok(_) => access(path, wanted).err().map(|error| error.to_string()),
    };
    PlaceFacts {
        what: what.to_owned(),
        path: path.display().to_string(),
        exists: meta.is_ok(),
        is_folder,
        problem,
        mode: meta.ok().map(|meta| meta.permissions().mode()),
        is_secret: false,
    }
}

/// Whether a secret stands in a configuration as it is, not as `${NAME}` or `file:`.
fn has_secret(text: &str) -> bool {
    let secret = r#"(?im)^[^#\n]*\b(key|password|secret|token|sha256)"?\s*:\s*"?[^\s"'$\[{][^\n]{5,}"#;
    let Ok(secret) = Regex::new(secret) else { return false };
    secret.find_iter(text).any(|found| !found.as_str().contains("file:"))
}

/// Addresses that the configuration wants to be listened on, besides the gate's.
pub(super) fn ports(config: &Config, listening: &[Listening]) -> Vec<PortFacts> {
    let mut wanted: Vec<(String, SocketAddr)> = Vec::new();
    for source in &config.sources {
        match &source.kind {
            SourceKind::Listen(listen) => wanted.push((format!("source {}", source.name), listen.address)),
            SourceKind::Http(http) => wanted.push((format!("source {}", source.name), http.address)),
            SourceKind::File(_) | SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => {}
        }
    }
    wanted.extend(config.search.listen.map(|address| ("search".to_owned(), address)));
    let port = |(what, address): (String, SocketAddr)| {
        let holder = listening.iter().find(|socket| socket.takes(address));
        let problem =
            if holder.is_some() { None } else { TcpListener::bind(address).err().map(|error| error.to_string()) };
        PortFacts {
            what,
            address: address.to_string(),
            taken: holder.is_some(),
            holder: holder.and_then(Listening::holder_text),
            problem,
        }
    };
    wanted.into_iter().map(port).collect()
}

/// What the stores may take together. Walks through the data directory, so it blocks.
pub(super) fn budget(config: &Config) -> Option<BudgetFacts> {
    let at = config.data_dir.ancestors().find(|path| path.exists() && path.components().count() > 0)?.to_owned();
    let at = if at.as_os_str().is_empty() { PathBuf::from(".") } else { at };
    let system = statvfs(&at).ok()?;
    let content = if config.logging.content.mode == ContentMode::Off { 0 } else { config.logging.content.keep.bytes.0 };
    let index = if config.store.remote.is_some() { 0 } else { config.store.keep.bytes.0 };
    let buffers: u64 = config.ship.iter().map(|ship| ship.buffer.0).sum();
    Some(BudgetFacts {
        path: at.display().to_string(),
        allowed: config.logging.keep.bytes.0.saturating_add(content).saturating_add(index).saturating_add(buffers),
        used: size(&config.data_dir),
        free: system.f_bavail.saturating_mul(system.f_frsize),
    })
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let (mut bytes, mut counted) = (0u64, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            counted += 1;
            if counted > COUNTED_MAX {
                return bytes;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(meta.len());
            }
        }
    }
    bytes
}

/// The rules of the firewall, where they may be read.
pub(super) async fn firewall() -> Option<String> {
    let path = "/usr/sbin:/sbin:/usr/bin:/bin";
    output(Command::new("nft").args(["list", "ruleset"]).env("PATH", path)).await
}

/// How systemd rates our unit, where there is one.
pub(super) async fn exposure(root: &Path) -> Option<f64> {
    const UNITS: [&str; 2] = ["etc/systemd/system/tollhouse.service", "lib/systemd/system/tollhouse.service"];
    UNITS.iter().find(|unit| root.join(unit).exists())?;
    let told = output(Command::new("systemd-analyze").args(["--no-pager", "security", "tollhouse.service"])).await?;
    let line = told.lines().find(|line| line.contains("Overall exposure level"))?;
    line.rsplit(':').next()?.split_whitespace().next()?.parse().ok()
}

/// What a program says when it ends well in time.
async fn output(command: &mut Command) -> Option<String> {
    let run = command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PROGRAM_TIME_MAX, run).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_stand_in_a_text_are_seen() {
        for (text, is_secret) in [
            ("upstreams: {a: {key: sk-123456789}}", true),
            (" \"password\": \"hunter2hunter2\",", true),
            ("key: \"${VLLM_KEY:-}\"", false),
            ("key: file:/etc/secret.key", false),
            ("# password: hunter2hunter2", false),
            ("keys:\n  - {id: a, sha256: \"0123456789\"}", true),
            ("service: x", false),
        ] {
            assert_eq!(has_secret(text), is_secret, "{text}");
        }
    }
}
