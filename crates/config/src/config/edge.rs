//! The edge: which host names are served through TLS, and what stands behind each path.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tollhouse_units::Bytes;

use crate::secret::Secret;

/// The edge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeConfig {
    /// Where plain HTTP is answered, only to lead to the encrypted address.
    pub http: Option<SocketAddr>,
    /// Where TLS is spoken.
    pub https: SocketAddr,
    /// Whether connections to both begin with a PROXY header, which is believed of `access.trusted_proxies`.
    pub proxy_protocol: bool,
    /// Who signs the certificates of sites that have none of their own.
    pub acme: Option<AcmeConfig>,
    /// At least one, each with another host name.
    pub sites: Vec<SiteConfig>,
}

/// What is served under one host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteConfig {
    /// Its name, in small letters.
    pub host: String,
    /// Further names under which the same is served.
    pub aliases: Vec<String>,
    /// Where its certificate comes from.
    pub tls: TlsConfig,
    /// What stands behind its paths; at least one, each with another path.
    pub routes: Vec<RouteConfig>,
    /// Which headers its answers get.
    pub headers: HeadersConfig,
    /// Which visits of what is not the house's own are recorded.
    pub records: RecordsConfig,
}

impl SiteConfig {
    /// All its names, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.host).chain(&self.aliases)
    }
}

/// Where a site's certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsConfig {
    /// From files that somebody else writes.
    Files {
        /// The certificate and those that lead to its authority (PEM).
        cert: PathBuf,
        /// Its private key (PEM).
        key: PathBuf,
    },
    /// From the authority of the edge (RFC 8555).
    Acme,
}

/// An authority that signs certificates by ACME (RFC 8555).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcmeConfig {
    /// The address of its directory (section 7.1.1).
    pub directory: String,
    /// Who signed the authority's own certificate (PEM); without it, whoever this machine trusts.
    pub ca: Option<PathBuf>,
    /// Mail addresses that it may write to.
    pub contacts: Vec<String>,
    /// The kind of certificate, where it offers several.
    pub profile: Option<String>,
    /// How it is shown that the names are ours.
    pub challenge: AcmeChallenge,
    /// How long after a first failure it is asked again.
    pub retry: Duration,
    /// The account that one has there already (section 7.3.4): its id, and the key for it (base64url).
    pub binding: Option<(String, Secret)>,
}

impl AcmeConfig {
    /// Authorities that are known by a word.
    pub const DIRECTORIES: [(&'static str, &'static str); 2] = [
        ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
        ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
    ];

    /// How long after a first failure it is asked again, unless something else is said.
    pub const RETRY: Duration = Duration::from_mins(5);
}

/// How it is shown that names are ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AcmeChallenge {
    /// By an answer at the plain address (RFC 8555, section 8.3).
    Http,
    /// By a certificate at the encrypted address (RFC 8737).
    Tls,
}

impl AcmeChallenge {
    /// As it is written.
    pub const WORDS: [(&'static str, Self); 2] = [("http-01", Self::Http), ("tls-alpn-01", Self::Tls)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
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
    /// What is asked of servers again and again, to see whether they are well.
    pub health: Option<String>,
    /// How often that is asked.
    pub every: Duration,
    /// Over how long a server that comes back gets more and more of its share.
    pub slow_start: Option<Duration>,
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
            health: None,
            every: Duration::from_secs(5),
            slow_start: None,
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
    /// Nobody: it is answered with 403.
    Refuse,
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
            Self::Refuse => vec!["refuse".to_owned()],
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
    /// The same for the same path and query.
    Path,
}

impl BalanceConfig {
    /// As it is written.
    pub const WORDS: [(&'static str, Self); 4] =
        [("round_robin", Self::RoundRobin), ("least", Self::Least), ("address", Self::Address), ("path", Self::Path)];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
}

/// Which visits of a site are recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RecordsConfig {
    /// Each.
    #[default]
    All,
    /// Those that failed, or were answered with a status of 400 or more.
    Failures,
}

impl RecordsConfig {
    /// As it is written.
    pub const WORDS: [(&'static str, Self); 2] = [("all", Self::All), ("failures", Self::Failures)];
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
