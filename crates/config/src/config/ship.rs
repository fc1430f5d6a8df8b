//! What is usable of `ship`: where the records are brought to.

use std::path::PathBuf;

use tollhouse_units::Bytes;

use crate::secret::Secret;

/// One place that all records are brought to: a cluster, a collector of OpenTelemetry, a syslog server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShipConfig {
    /// Its name in this configuration, in records and in the name of its cursor.
    pub name: String,
    /// What it is.
    pub kind: ShipKind,
    /// Base URLs of its nodes, without a slash at the end; at least one. Those of syslog begin with `tcp`, `tls` or `udp`, and
    /// have a port.
    pub urls: Vec<String>,
    /// Who we are there.
    pub login: Option<ShipLogin>,
    /// File of the authorities that its certificate may come from (PEM); the system's when absent.
    pub ca: Option<PathBuf>,
    /// Whether our index template is put there; clusters only.
    pub template: bool,
    /// So much of the journal is kept for it beyond the journal's own retention.
    pub buffer: Bytes,
}

/// What records are brought to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShipKind {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
    /// Whatever takes OpenTelemetry's protocol over HTTP.
    Otlp,
    /// A syslog server that reads RFC 5424.
    Syslog(SyslogMessage),
}

impl ShipKind {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::OpenSearch => "opensearch",
            Self::Otlp => "otlp",
            Self::Syslog(_) => "syslog",
        }
    }

    /// Whether it is a cluster that keeps documents by their ids.
    pub fn is_cluster(self) -> bool {
        matches!(self, Self::Elasticsearch | Self::OpenSearch)
    }
}

/// What stands in the message of a record that goes out by syslog.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyslogMessage {
    /// The whole document, as JSON.
    #[default]
    Json,
    /// The record's `msg`; its other fields are structured data.
    Fields,
}

impl SyslogMessage {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("json", Self::Json), ("fields", Self::Fields)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        super::word_of(&Self::WORDS, self)
    }
}

/// Who we are there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShipLogin {
    /// Name and password.
    User {
        /// The name, without a colon.
        name: String,
        /// The password.
        password: Secret,
    },
    /// An API key in the encoded form in which the cluster gives it out.
    ApiKey(Secret),
}
