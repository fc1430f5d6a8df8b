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
    /// Whether it is on.
    pub on: bool,
    /// Which records (Lucene).
    pub query: String,
    /// What is measured of them.
    pub measure: AlertMeasure,
    /// When that is one to tell of: `>= 5`, `> 20%`.
    pub limit: String,
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
    /// Names of channels; all when absent.
    pub notify: Option<Vec<String>>,
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
    /// A rule that says nothing yet.
    pub(crate) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            on: true,
            query: String::new(),
            measure: AlertMeasure::Count,
            limit: String::new(),
            samples: 1,
            within: Duration::from_secs(5 * 60),
            group_by: None,
            hold: Duration::ZERO,
            severity: AlertSeverity::Warning,
            cooldown: Duration::from_secs(30 * 60),
            resolve: Some(Duration::from_secs(60)),
            quiet: None,
            notify: None,
            runbook: None,
        }
    }

    /// Those that everybody has: a model that became slow, many failures, and the errors that applications around a model
    /// write into their logs.
    pub(crate) fn defaults() -> Vec<Self> {
        vec![
            Self {
                query: "kind:request AND duration_ms:>5000".to_owned(),
                limit: ">= 5".to_owned(),
                group_by: Some("model_name".to_owned()),
                runbook: Some(
                    "Open the link and look at the phases of the slowest requests, or run `tollhouse why` with an id of \
                     theirs: it says whether they waited for a place, for the model to load, or for the model itself."
                        .to_owned(),
                ),
                ..Self::empty("slow-model")
            },
            Self {
                query: "kind:request".to_owned(),
                measure: AlertMeasure::Ratio("http_status:>=500".to_owned()),
                limit: "> 20".to_owned(),
                samples: 10,
                severity: AlertSeverity::Critical,
                runbook: Some("See whether the model server answers (/health tells), and what its log says.".to_owned()),
                ..Self::empty("failing-requests")
            },
            Self {
                query: "kind:log AND msg:(OutOfMemoryError OR ModelNotResponding OR InvalidAPIResponse OR \"out of memory\")"
                    .to_owned(),
                limit: ">= 1".to_owned(),
                group_by: Some("source".to_owned()),
                within: Duration::from_secs(10 * 60),
                runbook: Some(
                    "The worst lines say which program wrote them; the link shows what stands around them.".to_owned(),
                ),
                ..Self::empty("error-patterns")
            },
        ]
    }
}
