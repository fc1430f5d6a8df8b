//! A process as it is configured.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use regex::Regex;

use crate::rules::Rules;

/// All that there is to say of a process before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its name here, in records and on the command line.
    pub name: String,
    /// The program and its arguments; at least the program, unless it is a unit.
    pub command: Vec<String>,
    /// The unit of systemd that it is: systemd starts and ends it, and is asked to.
    pub unit: Option<Unit>,
    /// What is added to the environment of the house.
    pub env: Vec<(String, String)>,
    /// Where it works; where the house does, when absent.
    pub directory: Option<PathBuf>,
    /// Whose rights it has; those of the house, when absent. Others need root.
    pub user: Option<String>,
    /// How it shows that it is ready.
    pub ready: Readiness,
    /// How it shows that it is well.
    pub live: Option<Liveness>,
    /// Processes that must be ready before it is started.
    pub needs: Vec<String>,
    /// Upstreams whose requests wait while it is started anew.
    pub upstreams: Vec<String>,
    /// After so long without anything from its upstreams while requests run and others wait, it counts as stuck.
    pub stalled: Option<Duration>,
    /// How much memory it may use.
    pub memory: Memory,
    /// What the system lets it have.
    pub limits: Limits,
    /// By which signal it is asked to end.
    pub stop_signal: StopSignal,
    /// Whether one that a killed house has left is taken over; else it is ended first.
    pub adopt: bool,
    /// How often and how long.
    pub rules: Rules,
}

/// A unit of systemd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit {
    /// Its whole name, such as `ollama.service`.
    pub name: String,
    /// Whether it is one of the user's own manager; else of the system's.
    pub is_of_user: bool,
}

/// How a process shows that it is ready.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// It is as soon as it runs.
    Runs,
    /// This address answers with a status below 400.
    Http(Uri),
    /// This port of the machine takes connections.
    Port(u16),
    /// It writes a line in which this is found.
    Line(Regex),
    /// It says so by the protocol of systemd (`sd_notify(3)`).
    Notify,
}

impl PartialEq for Readiness {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Runs, Self::Runs) | (Self::Notify, Self::Notify) => true,
            (Self::Http(a), Self::Http(b)) => a == b,
            (Self::Port(a), Self::Port(b)) => a == b,
            (Self::Line(a), Self::Line(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// How a process shows that it is well while it runs: what is asked, how often, and how often in vain until it counts as stuck.
#[derive(Clone, Debug, PartialEq)]
pub struct Liveness {
    /// What is asked: an address or a port.
    pub ask: Readiness,
    /// How often.
    pub every: Duration,
    /// So many times in a row in vain.
    pub failures: u32,
}

/// How much memory a process may use, with all that it has started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Memory {
    /// Above it, idle models are unloaded, in bytes.
    pub soft: Option<u64>,
    /// Above it for some time, it is started anew, in bytes.
    pub hard: Option<u64>,
    /// So is it when programs around it wait for memory for more than this share of the time, in percent, and it uses more than
    /// `soft`, if that is said.
    pub pressure: Option<u32>,
}

/// What the system lets a process have (`prlimit(2)`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Most open files.
    pub files: Option<u64>,
    /// Most processes of its user.
    pub processes: Option<u64>,
}

/// By which signal a process is asked to end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StopSignal {
    /// SIGTERM.
    #[default]
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
}
