//! The edge: which host names are served through TLS, and what stands behind each path.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tollhouse_units::Bytes;

/// The edge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeConfig {
    /// Where plain HTTP is answered, only to lead to the encrypted address.
    pub http: Option<SocketAddr>,
    /// Where TLS is spoken.
    pub https: SocketAddr,
    /// At least one, each with another host name.
    pub sites: Vec<SiteConfig>,
}

/// What is served under one host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteConfig {
    /// Its name, in small letters.
    pub host: String,
    /// The certificate and those that lead to its authority (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// What stands behind its paths; at least one, each with another path.
    pub routes: Vec<RouteConfig>,
    /// Which headers its answers get.
    pub headers: HeadersConfig,
}

/// What stands behind a path and all paths below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteConfig {
    /// Begins with `/`.
    pub path: String,
    /// Who answers.
    pub to: RouteTarget,
    /// Which of several servers is asked.
    pub balance: BalanceConfig,
    /// Bytes of a request's body to a server.
    pub body: Bytes,
    /// From a request to the head of the server's answer.
    pub timeout: Duration,
    /// How long an answer or a WebSocket may say nothing.
    pub idle: Duration,
}

impl RouteConfig {
    /// A route with the defaults.
    pub fn new(path: &str, to: RouteTarget) -> Self {
        Self {
            path: path.to_owned(),
            to,
            balance: BalanceConfig::default(),
            body: Bytes(32 << 20),
            timeout: Duration::from_mins(1),
            idle: Duration::from_hours(1),
        }
    }
}

/// Who answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteTarget {
    /// The model APIs of this house.
    Gateway,
    /// Its console, chat page and whatever else it answers.
    Console,
    /// Files of a directory, by an absolute path.
    Files(PathBuf),
    /// Another address, to which the path is added.
    Redirect(String),
    /// Servers, by `http://` or `https://`, without a slash at the end.
    Servers(Vec<String>),
}

impl RouteTarget {
    /// As it is written; several servers as a list.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Gateway => vec!["gateway".to_owned()],
            Self::Console => vec!["console".to_owned()],
            Self::Files(dir) => vec![format!("dir:{}", dir.to_string_lossy())],
            Self::Redirect(url) => vec![format!("redirect:{url}")],
            Self::Servers(urls) => urls.clone(),
        }
    }
}

/// Which of several servers is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BalanceConfig {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    Least,
    /// The same for the same client address.
    Address,
}

impl BalanceConfig {
    /// As it is written.
    pub const WORDS: [(&'static str, Self); 3] =
        [("round_robin", Self::RoundRobin), ("least", Self::Least), ("address", Self::Address)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
}

/// Which headers the answers of a site get.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HeadersConfig {
    /// Today's practice.
    #[default]
    Current,
    /// The five that many guides list, as they list them, and HSTS.
    Tutorial,
    /// None.
    Off,
}

impl HeadersConfig {
    /// As it is written.
    pub const WORDS: [(&'static str, Self); 3] =
        [("current", Self::Current), ("tutorial", Self::Tutorial), ("off", Self::Off)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
}
