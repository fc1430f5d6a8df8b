//! What is to become of a process that ends, and how long everything may take.

use std::time::Duration;

/// How often and how long: the settings of one process's life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Whether it is started again when it has ended by itself.
    pub restart: Restart,
    /// The first wait before that; each further one is twice as long.
    pub delay: Duration,
    /// The longest one, before jitter.
    pub delay_max: Duration,
    /// Exit codes after which it is not started again: what is wrong does not go away by itself.
    pub final_codes: Vec<i32>,
    /// How long it may take until it is ready.
    pub start: Duration,
    /// How long it may take to end after it was asked to; then it is killed.
    pub stop: Duration,
    /// How long a planned restart waits for requests that run.
    pub drain: Duration,
    /// So many failures within this time, and a human is asked.
    pub pause_after: Option<(u32, Duration)>,
    /// Any crash asks a human.
    pub critical: bool,
    /// How often is reminded of that.
    pub remind: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            restart: Restart::Always,
            delay: Duration::from_secs(30),
            delay_max: Duration::from_mins(5),
            final_codes: vec![78],
            start: Duration::from_mins(1),
            stop: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            pause_after: Some((5, Duration::from_mins(10))),
            critical: false,
            remind: Duration::from_hours(1),
        }
    }
}

/// Whether a process that has ended by itself is started again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// However it ended.
    Always,
    /// When it did not end well.
    OnFailure,
    /// Not at all.
    Never,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: it was not our child any more.
    Unknown,
}

impl Exit {
    /// Whether that was as it should be.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "it ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::Unknown => f.write_str("it has ended"),
        }
    }
}
