//! Why a process is where it is: a word that does not change, figures, and a sentence.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tollhouse_units::{Bytes, format_duration};

use crate::rules::Exit;

/// Why a process failed, ends, or is started anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// It has ended by itself.
    Ended(Exit),
    /// It has ended in a way after which it is not to be started again.
    Final(Exit),
    /// It could not be started.
    NotStarted(String),
    /// What it would be asked at is answered before it is started: one that somebody else has started.
    Occupied(String),
    /// It was not ready within this time.
    NotReady(Duration),
    /// It does not answer: asked so often in a row, this came last.
    Silent {
        /// How often it was asked.
        times: u32,
        /// What came instead of an answer.
        error: String,
    },
    /// Requests run on it, and nothing has come for so long.
    Stalled(Duration),
    /// It uses too much memory, in bytes.
    Memory {
        /// What it uses.
        used: u64,
        /// What it may use.
        limit: u64,
    },
    /// Programs wait for memory for too much of the time, in percent.
    Pressure {
        /// Of the last ten seconds.
        percent: u32,
        /// What may be.
        limit: u32,
        /// Those of its control group; else all of the machine.
        is_group: bool,
    },
    /// A human wants it to restart.
    OrderedRestart,
    /// A human wants it to stop.
    OrderedStop,
    /// Nothing runs on it any more that would have to end before.
    Drained,
    /// What runs on it did not end within this time.
    Undrained(Duration),
}

/// Why a human is asked beside that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// It is critical.
    Critical,
    /// It failed so often within this time.
    Often(u32, Duration),
}

impl Why {
    /// A word that does not change, for programs and for other languages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ended(Exit::Code(_)) => "exit",
            Self::Ended(Exit::Signal(_)) => "signal",
            Self::Ended(Exit::Unknown) => "ended",
            Self::Final(_) => "final",
            Self::NotStarted(_) => "not_started",
            Self::Occupied(_) => "occupied",
            Self::NotReady(_) => "not_ready",
            Self::Silent { .. } => "silent",
            Self::Stalled(_) => "stalled",
            Self::Memory { .. } => "memory",
            Self::Pressure { is_group: true, .. } => "pressure_group",
            Self::Pressure { .. } => "pressure",
            Self::OrderedRestart => "ordered_restart",
            Self::OrderedStop => "ordered_stop",
            Self::Drained => "drained",
            Self::Undrained(_) => "undrained",
        }
    }

    /// The word with its figures: `code`, and of `exit`, `signal`, `times`, `error`, `place`, `ms`, `bytes`, `limit_bytes`, `percent`,
    /// `limit_percent` those that there are.
    pub fn figures(&self) -> Value {
        let code = self.code();
        match self {
            Self::Ended(Exit::Code(exit)) | Self::Final(Exit::Code(exit)) => json!({"code": code, "exit": exit}),
            Self::Ended(Exit::Signal(signal)) | Self::Final(Exit::Signal(signal)) => {
                json!({"code": code, "signal": signal})
            }
            Self::NotStarted(error) => json!({"code": code, "error": error}),
            Self::Occupied(place) => json!({"code": code, "place": place}),
            Self::NotReady(time) | Self::Stalled(time) | Self::Undrained(time) => {
                json!({"code": code, "ms": time.as_millis() as u64})
            }
            Self::Silent { times, error } => json!({"code": code, "times": times, "error": error}),
            Self::Memory { used, limit } => json!({"code": code, "bytes": used, "limit_bytes": limit}),
            Self::Pressure { percent, limit, .. } => {
                json!({"code": code, "percent": percent, "limit_percent": limit})
            }
            _ => json!({"code": code}),
        }
    }
}

impl Asked {
    /// A word that does not change, with its figures: `{"code": "critical"}`, `{"code": "often", "times", "ms"}`.
    pub fn figures(self) -> Value {
        match self {
            Self::Critical => json!({"code": "critical"}),
            Self::Often(times, within) => json!({"code": "often", "times": times, "ms": within.as_millis() as u64}),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(exit) => exit.fmt(f),
            Self::Final(exit) => write!(f, "{exit}, after which it is not to be started again"),
            Self::NotStarted(error) => f.write_str(error),
            Self::Occupied(place) => {
                write!(f, "one that was not started here answers at {place} already, and is left alone")
            }
            Self::NotReady(time) => write!(f, "it was not ready within {}", format_duration(*time)),
            Self::Silent { times: 1, error } => write!(f, "it is stuck: asked once, {error}"),
            Self::Silent { times, error } => write!(f, "it is stuck: asked {times} times, {error}"),
            Self::Stalled(time) => {
                write!(f, "it is stuck: requests run on it, and nothing has come for {}", format_duration(*time))
            }
            Self::Memory { used, limit } => {
                write!(f, "it uses {} of memory, and {} are the limit", Bytes(*used), Bytes(*limit))
            }
            Self::Pressure { percent, limit, is_group } => {
                let whose = if *is_group { "of its control group" } else { "of this machine" };
                write!(f, "programs {whose} waited for memory {percent}% of the time, and {limit}% are the limit")
            }
            Self::OrderedRestart => f.write_str("it was asked to restart"),
            Self::OrderedStop => f.write_str("it was asked to stop"),
            Self::Drained => f.write_str("nothing runs on it any more"),
            Self::Undrained(time) => write!(f, "what runs on it did not end within {}", format_duration(*time)),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Critical => f.write_str("it is critical"),
            Self::Often(times, within) => write!(f, "that was failure {times} within {}", format_duration(*within)),
        }
    }
}
