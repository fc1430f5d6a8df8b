//! What is told, whichever way it takes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chart::Chart;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody has to look at it now.
    Critical,
}

impl Severity {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a message says of its alert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It began.
    Firing,
    /// It is over.
    Resolved,
    /// Several messages that waited, told as one.
    Digest,
    /// What is told every day.
    Report,
    /// Somebody tries the channel.
    Test,
}

impl Phase {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Digest => "digest",
            Self::Report => "report",
            Self::Test => "test",
        }
    }
}

/// One thing that is known about what happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Figure {
    /// What it is, such as `duration_ms`.
    pub name: String,
    /// How much, with its unit.
    pub value: String,
}

/// Rows under headings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The headings.
    pub columns: Vec<String>,
    /// The rows, each with a cell for each heading.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table as lines of text, in columns of one width each.
    pub fn text(&self) -> String {
        crate::text::aligned(self)
    }
}

/// One thing that a message says, by a code that does not change: what pages in any language make their words of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Told {
    /// The code, such as `fires`.
    pub code: String,
    /// Its figures; what each is shows in the end of its name: `_percent`, `_s`, else a count or a text.
    pub figures: serde_json::Map<String, serde_json::Value>,
}

/// What is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// Its own; the same whenever it is sent again, so that who gets it twice can see that.
    pub id: String,
    /// Ids of the messages that this one goes on from: what resolves an alert stands below it.
    pub thread: Vec<String>,
    /// Name of the rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it says of the alert.
    pub state: Phase,
    /// One line.
    pub title: String,
    /// The line once more, by codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub title_told: Vec<Told>,
    /// What happened, in a few lines.
    pub text: String,
    /// The lines once more, by codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text_told: Vec<Told>,
    /// What is known about it.
    pub figures: Vec<Figure>,
    /// The worst requests or lines, each as one line.
    pub worst: Vec<String>,
    /// What happened around it, in order, each as one line.
    #[serde(default)]
    pub timeline: Vec<String>,
    /// Tables of a report.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// What was measured, over time.
    #[serde(default)]
    pub chart: Option<Chart>,
    /// Where to look.
    pub link: Option<String>,
    /// Where one says that one has seen it, without signing in.
    #[serde(default)]
    pub acknowledge: Option<String>,
    /// What to do.
    pub runbook: Option<String>,
    /// Whose records these are.
    pub service: String,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
}

impl Message {
    /// A message with nothing in it yet: `rule` is who tells it, `service` whose records it is about, `at_ms` when.
    pub fn bare(id: String, rule: &str, severity: Severity, state: Phase, service: &str, at_ms: i64) -> Self {
        Self {
            id,
            thread: Vec::new(),
            rule: rule.to_owned(),
            severity,
            state,
            title: String::new(),
            title_told: Vec::new(),
            text: String::new(),
            text_told: Vec::new(),
            figures: Vec::new(),
            worst: Vec::new(),
            timeline: Vec::new(),
            tables: Vec::new(),
            chart: None,
            link: None,
            acknowledge: None,
            runbook: None,
            service: service.to_owned(),
            at_ms,
        }
    }

    /// A message that only shows that a channel works.
    pub fn test(channel: &str, service: &str) -> Self {
        let at_ms = Timestamp::now().as_millisecond();
        Self {
            title: format!("{service}: the channel {channel} works"),
            text: "Somebody asked tollhouse to try this channel. There is nothing to do.".to_owned(),
            ..Self::bare(format!("test-{at_ms}"), "test", Severity::Info, Phase::Test, service, at_ms)
        }
    }

    /// When it happened.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The title with what it says of the alert before it.
    pub fn headline(&self) -> String {
        match self.state {
            Phase::Firing => format!("[{}] {}", self.severity.as_str(), self.title),
            Phase::Resolved | Phase::Digest | Phase::Report | Phase::Test => {
                format!("[{}] {}", self.state.as_str(), self.title)
            }
        }
    }
}
