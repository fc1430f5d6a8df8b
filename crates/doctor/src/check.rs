//! One thing that was looked at: what was found, and how it is mended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sentence::Sentence;

/// How something is, from not known to not working.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was not looked at: there is nothing of the kind here, or a step before it explains it.
    #[default]
    Skipped,
    /// It is well.
    Ok,
    /// It works, and somebody should look when there is time.
    Warn,
    /// It does not work.
    Fault,
}

impl Status {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fault => "fault",
        }
    }
}

/// Where a step stands in the chart, in its order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Area {
    /// The configuration file.
    Configuration,
    /// What stands before the gate: name, proxy, certificate.
    Edge,
    /// tollhouse itself.
    Gate,
    /// The model servers.
    Server,
    /// What the model servers wrote.
    ServerLog,
    /// Graphics cards.
    Gpu,
    /// The machine: memory, disk, clock, ports, permissions.
    Machine,
    /// OpenClaw's settings.
    Assistant,
    /// Journal and index.
    Book,
    /// Who is told of alerts.
    Channels,
    /// Layer 1 of the defence: what can be reached from other machines.
    Network,
    /// Layer 2: encryption.
    Transport,
    /// Layer 3: who may enter.
    Entry,
    /// Layer 4: what stands behind.
    Behind,
}

impl Area {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Edge => "edge",
            Self::Gate => "gate",
            Self::Server => "server",
            Self::ServerLog => "server_log",
            Self::Gpu => "gpu",
            Self::Machine => "machine",
            Self::Assistant => "openclaw",
            Self::Book => "book",
            Self::Channels => "channels",
            Self::Network => "network",
            Self::Transport => "tls",
            Self::Entry => "entry",
            Self::Behind => "behind",
        }
    }
}

/// A mending that cannot hurt, for `doctor --fix`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Makes a folder that is not there.
    MakeFolder(PathBuf),
    /// Takes rights away from others: the mode of a file or folder.
    Mode(PathBuf, u32),
}

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MakeFolder(path) => write!(f, "mkdir -p {}", path.display()),
            Self::Mode(path, mode) => write!(f, "chmod {mode:o} {}", path.display()),
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// A stable word, listed in `docs/doctor.md`.
    pub id: &'static str,
    /// Where it stands.
    pub area: Area,
    /// Which one of several: a model server, a file, a channel.
    pub subject: Option<String>,
    /// How it is.
    pub status: Status,
    /// A stable word for what was found; `ok` where it is well.
    pub code: &'static str,
    /// What was looked at.
    pub looked: Sentence,
    /// What was found there.
    pub found: Sentence,
    /// How it is mended.
    pub fix: Option<Sentence>,
    /// What `--fix` can do about it.
    pub repair: Option<Repair>,
}

impl Check {
    /// The form for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "area": self.area.as_str(), "subject": self.subject, "status": self.status.as_str(), "code": self.code,
            "looked": self.looked.text(), "looked_said": self.looked.said(),
            "found": self.found.text(), "found_said": self.found.said(),
            "fix": self.fix.as_ref().map(Sentence::text), "fix_said": self.fix.as_ref().map_or(&[][..], Sentence::said),
            "repair": self.repair.as_ref().map(ToString::to_string),
        })
    }

    /// With what `--fix` can do about it.
    pub(crate) fn mended_by(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }
}

/// A step that is being judged.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    id: &'static str,
    area: Area,
    subject: Option<String>,
    looked: Sentence,
}

impl Step {
    pub(crate) fn new(area: Area, id: &'static str, looked: impl Into<Sentence>) -> Self {
        Self { id, area, subject: None, looked: looked.into() }
    }

    pub(crate) fn of(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub(crate) fn ok(self, found: impl Into<Sentence>) -> Check {
        self.end(Status::Ok, "ok", found.into(), None)
    }

    pub(crate) fn skipped(self, why: impl Into<Sentence>) -> Check {
        self.end(Status::Skipped, "skipped", why.into(), None)
    }

    pub(crate) fn warn(self, code: &'static str, found: impl Into<Sentence>, fix: impl Into<Sentence>) -> Check {
        self.end(Status::Warn, code, found.into(), Some(fix.into()))
    }

    pub(crate) fn fault(self, code: &'static str, found: impl Into<Sentence>, fix: impl Into<Sentence>) -> Check {
        self.end(Status::Fault, code, found.into(), Some(fix.into()))
    }

    fn end(self, status: Status, code: &'static str, found: Sentence, fix: Option<Sentence>) -> Check {
        let Self { id, area, subject, looked } = self;
        Check { id, area, subject, status, code, looked, found, fix, repair: None }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings(pub Vec<Check>);

impl Findings {
    /// The worst of all; what was skipped is no trouble.
    pub fn status(&self) -> Status {
        self.0.iter().map(|check| check.status).max().unwrap_or_default().max(Status::Ok)
    }

    /// 0 healthy, 1 warnings, 2 faults.
    pub fn exit_status(&self) -> u8 {
        match self.status() {
            Status::Skipped | Status::Ok => 0,
            Status::Warn => 1,
            Status::Fault => 2,
        }
    }

    /// What is not well.
    pub fn troubles(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|check| check.status >= Status::Warn)
    }

    /// The form for programs.
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self.0.iter().map(Check::to_json).collect();
        json!({"status": self.status().as_str(), "checks": checks})
    }
}
