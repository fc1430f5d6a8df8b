//! What is known of a destination before anything is sent to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::syslog::SyslogMessage;

/// One place that records are brought to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the configuration, in records and in the name of its cursor.
    pub name: String,
    /// What it has to be.
    pub kind: Kind,
    /// Its nodes, without a slash at the end; the next one is asked when one does not answer. Never empty. Those of syslog begin with
    /// `tcp`, `tls` or `udp`, and have a port.
    pub urls: Vec<String>,
    /// Who we are there.
    pub login: Option<Login>,
    /// PEM file of the authorities that its certificate may come from; the system's when absent.
    pub ca: Option<PathBuf>,
    /// Whether our index template is put there before the first document; clusters only.
    pub template: bool,
    /// So many bytes of closed journal files are held for it against the journal's retention.
    pub buffer_bytes: u64,
}

/// What a destination is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Elasticsearch, 7.8 or later.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
    /// Whatever takes OpenTelemetry's protocol over HTTP.
    Otlp,
    /// A syslog server that reads RFC 5424.
    Syslog(SyslogMessage),
}

/// Who we are there.
#[derive(Clone, Eq, PartialEq)]
pub enum Login {
    /// Name and password (RFC 7617).
    User {
        /// The name, without a colon.
        name: String,
        /// The password.
        password: String,
    },
    /// An API key as the cluster gives it out, in its encoded form.
    ApiKey(String),
    /// A token (RFC 6750).
    Bearer(String),
}

/// How fast is tried again, and for how long is gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A record that came alone waits so long for others.
    pub(crate) gather: Duration,
    /// First and longest pause where waiting is expected to help.
    pub(crate) again: (Duration, Duration),
    /// The same where somebody has to change something first.
    pub(crate) slow: (Duration, Duration),
    /// Failures that pass within this time are counted, and not told.
    pub(crate) tell_after: Duration,
}

impl Kind {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::OpenSearch => "opensearch",
            Self::Otlp => "otlp",
            Self::Syslog(_) => "syslog",
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name, .. } => f.debug_struct("User").field("name", name).finish_non_exhaustive(),
            Self::ApiKey(_) => f.write_str("ApiKey(***)"),
            Self::Bearer(_) => f.write_str("Bearer(***)"),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(250),
            again: (Duration::from_millis(250), Duration::from_secs(10)),
            slow: (Duration::from_secs(5), Duration::from_mins(1)),
            tell_after: Duration::from_secs(1),
        }
    }
}
