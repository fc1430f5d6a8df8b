//! What a look found: the words that records, the console and exit codes share.

use std::fmt;

use serde_json::{Map, Value};
use tollhouse_units::sentence;

use crate::said::Said;

/// What is looked at.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A program: its process, its port, what it says of itself.
    Process,
    /// An address.
    Http,
    /// Whether a model answers.
    Model,
    /// Whether it answers as well as before.
    Quality,
    /// A file system.
    Disk,
    /// A certificate.
    Certificate,
    /// Graphics cards.
    Gpu,
    /// Memory.
    Memory,
    /// The clock.
    Clock,
}

impl Kind {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Http => "http",
            Self::Model => "model",
            Self::Quality => "quality",
            Self::Disk => "disk",
            Self::Certificate => "certificate",
            Self::Gpu => "gpu",
            Self::Memory => "memory",
            Self::Clock => "clock",
        }
    }

    /// Where it stands among the layers.
    pub fn layer(self) -> Layer {
        match self {
            Self::Process | Self::Http => Layer::Process,
            Self::Model => Layer::Answer,
            Self::Quality => Layer::Quality,
            Self::Disk | Self::Certificate | Self::Gpu | Self::Memory | Self::Clock => Layer::Resource,
        }
    }

    /// Whether a model server works for it.
    pub fn asks_models(self) -> bool {
        matches!(self, Self::Model | Self::Quality)
    }
}

/// The layers of a model that serves: each stands on the one before it, but for the last, on which all stand.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Layer {
    /// Programs run and can be reached.
    Process,
    /// Models answer.
    Answer,
    /// They answer as well as before.
    Quality,
    /// Disks, memory, graphics cards, certificates, the clock.
    Resource,
}

impl Layer {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Process, Self::Answer, Self::Quality, Self::Resource];

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Answer => "answer",
            Self::Quality => "quality",
            Self::Resource => "resource",
        }
    }
}

/// How something is, from well to not.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It was not looked at: users went first.
    Skipped,
    /// It is well.
    Ok,
    /// Somebody should look when there is time.
    Warn,
    /// It does not work.
    Fault,
}

impl Outcome {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fault => "fault",
        }
    }

    /// The outcome of this word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Skipped, Self::Ok, Self::Warn, Self::Fault].into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// Whether somebody has to do something.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Warn | Self::Fault)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a look found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How it is.
    pub outcome: Outcome,
    /// What was seen, one thing after the other.
    pub said: Vec<Said>,
    /// The figures, by the names that records have.
    pub fields: Map<String, Value>,
}

impl Finding {
    /// That it is so.
    pub fn new(outcome: Outcome, said: Said) -> Self {
        Self::of(outcome, vec![said])
    }

    /// That all this is so.
    pub fn of(outcome: Outcome, said: Vec<Said>) -> Self {
        Self { outcome, said, fields: Map::new() }
    }

    /// That it is well.
    pub fn ok(said: Said) -> Self {
        Self::new(Outcome::Ok, said)
    }

    /// That somebody should look.
    pub fn warn(said: Said) -> Self {
        Self::new(Outcome::Warn, said)
    }

    /// That it does not work.
    pub fn fault(said: Said) -> Self {
        Self::new(Outcome::Fault, said)
    }

    /// What was seen, in one sentence without a full stop.
    pub fn found(&self) -> String {
        sentence(&self.said)
    }

    /// Adds a figure; nothing where there is none.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }

    /// Takes over all these figures.
    #[must_use]
    pub fn fields(mut self, fields: Map<String, Value>) -> Self {
        self.fields.extend(fields);
        self
    }
}

/// All that one run found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// In short.
    pub summary: Finding,
    /// What becomes records of their own, in place of the summary; empty where that is all there is.
    pub parts: Vec<Finding>,
    /// What is to be kept until the next run, in the probe's own form.
    pub keep: Option<Value>,
}

impl From<Finding> for Ran {
    fn from(summary: Finding) -> Self {
        Self { summary, parts: Vec::new(), keep: None }
    }
}

/// One decimal, as percentages and temperatures are told.
pub(crate) fn round1(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Three decimals, as scores and times are told.
pub(crate) fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// At most so many characters, in one line.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
