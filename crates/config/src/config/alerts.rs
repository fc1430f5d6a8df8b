//! What is usable of `channels` and `alerts`: who is told, and of what.

use std::{path::PathBuf, time::Duration};

use jiff::civil::Time;
use serde_json::Value;

use super::word_of;
use crate::secret::Secret;

/// A way that messages take.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// Its name in this configuration and in records.
    pub name: String,
    /// Which way it is.
    pub kind: ChannelKind,
}

/// Which way messages take. The addresses are secrets: whoever knows them can write there.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelKind {
    /// Mail.
    Smtp(SmtpConfig),
    /// JSON to any address, signed with the secret; `body` is its form.
    Webhook {
        /// Where to.
        url: Secret,
        /// Signs the body.
        secret: Option<Secret>,
        /// Its form; the message as it is when absent.
        body: Option<Value>,
    },
    /// Slack.
    Slack {
        /// The hook.
        url: Secret,
    },
    /// DingTalk.
    DingTalk {
        /// The robot.
        url: Secret,
        /// Signs each request.
        secret: Option<Secret>,
    },
    /// Feishu.
    Feishu {
        /// The robot.
        url: Secret,
        /// Signs each request.
        secret: Option<Secret>,
    },
    /// WeCom.
    WeCom {
        /// The robot.
        url: Secret,
    },
    /// Telegram.
    Telegram {
        /// The Bot API's server.
        url: String,
        /// The bot's token.
        token: Secret,
        /// The chat.
        chat: String,
    },
    /// ntfy.
    Ntfy {
        /// The topic.
        url: Secret,
        /// An access token.
        token: Option<Secret>,
    },
}

impl ChannelKind {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::DingTalk { .. } => "dingtalk",
            Self::Feishu { .. } => "feishu",
            Self::WeCom { .. } => "wecom",
            Self::Telegram { .. } => "telegram",
            Self::Ntfy { .. } => "ntfy",
        }
    }
}

/// A mail server, and who gets mail by it.
#[derive(Clone, Debug, PartialEq)]
pub struct SmtpConfig {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether what is said can be read on the way.
    pub tls: SmtpTls,
    /// Who we are there.
    pub login: Option<(String, Secret)>,
    /// File of the authorities that its certificate may come from (PEM); the system's when absent.
    pub ca: Option<PathBuf>,
    /// Who sends.
    pub from: String,
    /// Who gets it; at least one.
    pub to: Vec<String>,
}

/// Whether what is said to a mail server can be read on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SmtpTls {
    /// TLS from the first byte.
    Implicit,
    /// Asked for, and without it nothing is said.
    StartTls,
    /// None.
    Off,
}

impl SmtpTls {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("implicit", Self::Implicit), ("starttls", Self::StartTls), ("off", Self::Off)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// A rule: of which records what is told, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertConfig {
    /// Its name in this configuration, in records and messages.
    pub name: String,
    /// Who says what it is.
    pub origin: AlertOrigin,
    /// Whether it is on.
    pub on: bool,
    /// Which records (Lucene).
    pub query: String,
    /// What is measured of them.
    pub measure: AlertMeasure,
    /// When that is one to tell of: `>= 5`, `> 20%`; with a baseline, the deviation from what is usual, in percent.
    pub limit: String,
    /// So far back is looked for what is usual; without it, the value itself is compared.
    pub baseline: Option<Duration>,
    /// Of fewer records nothing is concluded; not for counts.
    pub samples: u64,
    /// How far back is looked.
    pub within: Duration,
    /// Each value of this field by itself.
    pub group_by: Option<String>,
    /// So long it must have been so; zero is at once (`for`).
    pub hold: Duration,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// So long the next one is not told.
    pub cooldown: Duration,
    /// So long it must be otherwise before it is over, which is then told; without it, the end is not told.
    pub resolve: Option<Duration>,
    /// When nothing is told.
    pub quiet: Option<QuietConfig>,
    /// Rules while one of which fires nothing is told of this one.
    pub needs: Vec<String>,
    /// Names of channels; all when absent.
    pub notify: Option<Vec<String>>,
    /// Who else is told when nobody acknowledges it, and when.
    pub escalate: Option<EscalateConfig>,
    /// So far around the records is looked for what else happened; without it, no time line is told.
    pub around: Option<Duration>,
    /// What to do.
    pub runbook: Option<String>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertMeasure {
    /// The number of records.
    Count,
    /// The sum of a field.
    Sum(String),
    /// The mean of a field.
    Average(String),
    /// A percentile of a field.
    Percentile {
        /// The field.
        field: String,
        /// Which one.
        percent: f64,
    },
    /// The share of the records that fulfil this query too, in percent.
    Ratio(String),
    /// How long ago the last record was.
    Absence,
    /// Whether the newest record fulfils this query too.
    Latest(String),
    /// How fast the budget of an objective is used up.
    Burn {
        /// Records that fulfil this query, too, are bad.
        bad: String,
        /// Percent that have to be good.
        goal: f64,
        /// Of so long.
        over: Duration,
    },
}

impl AlertMeasure {
    /// Of how many records a rule concludes something that measures this and says nothing of it.
    pub(crate) fn samples(&self) -> u64 {
        match self {
            Self::Burn { .. } => 10,
            _ => 1,
        }
    }

    /// How far back a rule looks that measures this and says nothing of it.
    pub(crate) fn within(&self) -> Duration {
        match self {
            Self::Burn { .. } => Duration::from_secs(3600),
            _ => Duration::from_secs(5 * 60),
        }
    }
}

/// Who says what a rule is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AlertOrigin {
    /// Everybody has it.
    BuiltIn,
    /// The configuration's file: all of it, or what is to be otherwise.
    File,
    /// Somebody has saved it in the console.
    Console,
}

impl AlertOrigin {
    /// Words for it.
    pub const WORDS: [(&'static str, Self); 3] =
        [("built-in", Self::BuiltIn), ("file", Self::File), ("console", Self::Console)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AlertSeverity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody has to look now.
    Critical,
}

impl AlertSeverity {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// Who else is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EscalateConfig {
    /// When nobody has acknowledged it for so long.
    pub after: Duration,
    /// Names of channels.
    pub notify: Vec<String>,
}

/// A message that comes every day.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportConfig {
    /// Its name in this configuration and in records.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
    /// What it tells of the day before.
    pub report: ReportKind,
    /// When, by the clock on the wall.
    pub at: Time,
    /// IANA name of the zone; the system's when absent.
    pub zone: Option<String>,
    /// Rows of each of its tables.
    pub top: usize,
    /// Names of channels; all when absent.
    pub notify: Option<Vec<String>>,
}

/// What a report tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReportKind {
    /// Who was refused, or failed, how often.
    Errors,
    /// The slowest requests, and how long each model takes.
    Slow,
    /// Who had how many tokens.
    Tokens,
    /// Who asked most, and for what.
    Top,
}

impl ReportKind {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 4] =
        [("errors", Self::Errors), ("slow", Self::Slow), ("tokens", Self::Tokens), ("top", Self::Top)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

impl ReportConfig {
    /// A report that says nothing yet.
    pub(crate) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            on: true,
            report: ReportKind::Errors,
            at: Time::constant(8, 0, 0, 0),
            zone: None,
            top: 5,
            notify: None,
        }
    }

    /// The one that everybody has: who was refused or failed yesterday.
    pub(crate) fn defaults() -> Vec<Self> {
        vec![Self::empty("errors-daily")]
    }
}

/// Hours of each day, by the clock on the wall.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietConfig {
    /// From this time on.
    pub from: Time,
    /// To this one, perhaps of the next day.
    pub to: Time,
    /// IANA name of the zone; the system's when absent.
    pub zone: Option<String>,
}

impl AlertConfig {
    /// A rule that is off and says nothing: the name is all that is known.
    pub fn nothing(name: &str) -> Self {
        Self { on: false, origin: AlertOrigin::Console, ..Self::empty(name) }
    }

    /// A rule that says nothing yet.
    pub(crate) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            origin: AlertOrigin::File,
            on: true,
            query: String::new(),
            measure: AlertMeasure::Count,
            limit: String::new(),
            baseline: None,
            samples: AlertMeasure::Count.samples(),
            within: AlertMeasure::Count.within(),
            group_by: None,
            hold: Duration::ZERO,
            severity: AlertSeverity::Warning,
            cooldown: Duration::from_secs(30 * 60),
            resolve: Some(Duration::from_secs(60)),
            quiet: None,
            needs: Vec::new(),
            notify: None,
            escalate: None,
            around: None,
            runbook: None,
        }
    }
}
