//! What is usable of `supervise`: processes that the house starts and looks after.

use std::{path::PathBuf, time::Duration};

use tollhouse_units::Bytes;

use super::{LineFormat, word_of};
use crate::secret::Secret;

/// A process that the house starts and looks after.
#[derive(Clone, Debug, PartialEq)]
pub struct SuperviseConfig {
    /// Its name here, in records and on the command line; what it says is a source of this name.
    pub name: String,
    /// The program and its arguments; at least the program, unless it is a unit.
    pub command: Vec<String>,
    /// The unit of systemd that it is.
    pub unit: Option<UnitConfig>,
    /// What is added to the environment of the house. Values may be secrets.
    pub env: Vec<(String, Secret)>,
    /// Where it works.
    pub directory: Option<PathBuf>,
    /// Whose rights it has.
    pub user: Option<String>,
    /// Whether it is started again when it has ended by itself.
    pub restart: RestartPolicy,
    /// The first wait before that; each further one is twice as long.
    pub delay: Duration,
    /// The longest one.
    pub delay_max: Duration,
    /// Exit codes after which it is not started again (`no_restart`).
    pub final_codes: Vec<u8>,
    /// How it shows that it is ready.
    pub ready: ReadyConfig,
    /// How long that may take.
    pub start: Duration,
    /// How often it is asked whether it is well, and how often in vain in a row until it counts as stuck; for those that are
    /// asked whether they are ready.
    pub live: Option<(Duration, u32)>,
    /// How long it may take to end when it is asked to.
    pub stop: Duration,
    /// By which signal it is asked to.
    pub signal: StopSignalConfig,
    /// How long a planned restart waits for requests that run.
    pub drain: Duration,
    /// So many failures within this time, and a human is asked.
    pub pause_after: Option<(u32, Duration)>,
    /// Any crash asks a human.
    pub critical: bool,
    /// How often is reminded of that.
    pub remind: Duration,
    /// Processes that must be ready before it is started.
    pub needs: Vec<String>,
    /// Upstreams whose requests wait while it is started anew.
    pub upstreams: Vec<String>,
    /// Above this much memory, idle models are unloaded.
    pub memory_soft: Option<Bytes>,
    /// Above this much memory for some time, it is started anew.
    pub memory_hard: Option<Bytes>,
    /// So is it while programs wait for memory for more than this share of the time, in percent.
    pub memory_pressure: Option<u32>,
    /// After so long without anything from its upstreams while requests run and others wait, it counts as stuck.
    pub stalled: Option<Duration>,
    /// Most open files.
    pub files_max: Option<u64>,
    /// Most processes of its user.
    pub processes_max: Option<u64>,
    /// How the lines are written that it says.
    pub format: LineFormat,
    /// Whether one that a killed house has left is taken over; else it is ended first.
    pub adopt: bool,
}

impl SuperviseConfig {
    /// One of which only the command is said, or nothing where it is a unit.
    pub fn new(name: &str, command: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            command,
            unit: None,
            env: Vec::new(),
            directory: None,
            user: None,
            restart: RestartPolicy::Always,
            delay: Duration::from_secs(30),
            delay_max: Duration::from_mins(5),
            final_codes: vec![78],
            ready: ReadyConfig::Runs,
            start: Duration::from_mins(1),
            live: Some((Duration::from_secs(10), 3)),
            stop: Duration::from_secs(10),
            signal: StopSignalConfig::Term,
            drain: Duration::from_secs(30),
            pause_after: Some((5, Duration::from_mins(10))),
            critical: false,
            remind: Duration::from_hours(1),
            needs: Vec::new(),
            upstreams: Vec::new(),
            memory_soft: None,
            memory_hard: None,
            memory_pressure: None,
            stalled: Some(Duration::from_mins(5)),
            files_max: None,
            processes_max: None,
            format: LineFormat::Auto,
            adopt: true,
        }
    }
}

/// A unit of systemd, which is asked to start and to end it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnitConfig {
    /// Its whole name, such as `ollama.service`.
    pub name: String,
    /// Whose units it is one of.
    pub manager: UnitManager,
}

/// Whose units are meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UnitManager {
    /// Those of the system.
    #[default]
    System,
    /// Those of the user as whom the house runs.
    User,
}

impl UnitManager {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("system", Self::System), ("user", Self::User)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// Whether a process that has ended by itself is started again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// When it did not end well.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("always", Self::Always), ("on-failure", Self::OnFailure), ("never", Self::Never)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// By which signal a process is asked to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopSignalConfig {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
}

impl StopSignalConfig {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 4] =
        [("TERM", Self::Term), ("INT", Self::Int), ("QUIT", Self::Quit), ("HUP", Self::Hup)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// How a process shows that it is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReadyConfig {
    /// It is as soon as it runs (`runs`).
    Runs,
    /// This address answers well (`http://…`).
    Http(String),
    /// This port of the machine takes connections (`port 8080`).
    Port(u16),
    /// It writes a line in which this expression is found (`line …`).
    Line(String),
    /// It says so by systemd's protocol (`notify`).
    Notify,
}

impl ReadyConfig {
    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Self::Runs => "runs".to_owned(),
            Self::Http(url) => url.clone(),
            Self::Port(port) => format!("port {port}"),
            Self::Line(expression) => format!("line {expression}"),
            Self::Notify => "notify".to_owned(),
        }
    }

    /// Whether it can be asked again and again.
    pub fn is_asked(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Port(_))
    }
}
