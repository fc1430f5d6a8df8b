//! What is usable: every value of a configuration with its type, its unit and its default.

mod alerts;
mod batches;
mod chat;
mod console;
mod default_alerts;
mod edge;
mod probes;
mod rotate;
mod shape;
mod ship;
mod supervise;
mod tasks;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use serde_json::{Map, Value};
use tollhouse_units::Bytes;

pub use self::alerts::{
    AlertConfig, AlertMeasure, AlertOrigin, AlertSeverity, ChannelConfig, ChannelKind, EscalateConfig, QuietConfig,
    ReportConfig, ReportKind, SmtpConfig, SmtpTls,
};
pub use self::batches::{BatchesConfig, OpenclawApprovals, WebhooksConfig};
pub use self::chat::ChatConfig;
pub use self::console::{ConsoleConfig, ConsoleRole, OidcConfig};
pub use self::edge::{
    AcmeChallenge, AcmeConfig, BalanceConfig, EdgeConfig, HeadersConfig, RecordsConfig, RouteConfig, RouteTarget,
    SiteConfig, TlsConfig,
};
pub use self::probes::{
    CertificatePlace, CertificateProbe, ClockProbe, DiskProbe, GpuProbe, HttpProbe, MemoryProbe, ModelProbe,
    ProbesConfig, ProcessProbe, QualityProbe,
};
pub use self::rotate::{FileRotate, KeepFiles, Reopen, ReopenSignal, RotateMethod};
pub use self::shape::{FieldKind, LineCap, OnAbort, ProgramFault, ShapeConfig, Vrl};
pub use self::ship::{ShipConfig, ShipKind, ShipLogin, SyslogMessage};
pub use self::supervise::{ReadyConfig, RestartPolicy, StopSignalConfig, SuperviseConfig, UnitConfig, UnitManager};
pub use self::tasks::{TaskCommand, TaskStore, TasksConfig};
use crate::secret::Secret;

/// A whole configuration. `Config::default()` is what an empty file means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names the records and the day indices. Letters, digits and `.`, `_`, `-`.
    pub service: String,
    /// Where everything is kept that has no place of its own.
    pub data_dir: PathBuf,
    /// Where the model gateway and the console listen, plain HTTP.
    pub listen: Listen,
    /// The address under which users reach the console, without a slash at the end.
    pub public_url: Option<String>,
    /// Host names that are answered besides loopback names and addresses, in lower case.
    pub hosts: Vec<String>,
    /// Model servers, in the order of the file.
    pub upstreams: Vec<UpstreamConfig>,
    /// Models with settings of their own, in the order of the file; others are served as the upstreams list them.
    pub models: Vec<ModelConfig>,
    /// Who may enter, and how often.
    pub access: AccessConfig,
    /// Bounds on one request.
    pub limits: Limits,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// How requests wait for a model server.
    pub queue: Queue,
    /// What several nodes share.
    pub shared: Shared,
    /// The shape of error answers.
    pub errors: ErrorStyle,
    /// The journal.
    pub logging: Logging,
    /// Whose log lines are collected, in the order of the file.
    pub sources: Vec<SourceConfig>,
    /// What becomes of their lines before they are kept; all entries about a source hold, in the order of the file.
    pub shape: Vec<ShapeConfig>,
    /// Tag name and query (Lucene); the defaults first, then those of the file.
    pub tags: Vec<(String, String)>,
    /// Where documents are found.
    pub store: StoreConfig,
    /// Where else they are asked for.
    pub search: SearchConfig,
    /// Processes that the house starts and looks after, in the order of the file.
    pub supervise: Vec<SuperviseConfig>,
    /// Clusters that documents are brought to, in the order of the file.
    pub ship: Vec<ShipConfig>,
    /// Who is told of alerts, in the order of the file.
    pub channels: Vec<ChannelConfig>,
    /// The rules of which is told; the defaults first, then those of the file.
    pub alerts: Vec<AlertConfig>,
    /// What the house tells of itself.
    pub telemetry: TelemetryConfig,
    /// What is told every day; the defaults first, then those of the file.
    pub reports: Vec<ReportConfig>,
    /// The chat page.
    pub chat: ChatConfig,
    /// The console.
    pub console: ConsoleConfig,
    /// Sites with names of their own, through TLS; none without.
    pub edge: Option<EdgeConfig>,
    /// What is looked after, and how often.
    pub probes: ProbesConfig,
    /// Long jobs; none without.
    pub tasks: Option<TasksConfig>,
    /// Files, batches and requests that are answered later; none without.
    pub batches: Option<BatchesConfig>,
    /// An OpenClaw whose questions are shown among those of tasks.
    pub approvals: Option<OpenclawApprovals>,
}

impl Config {
    /// The journal's current file: the configured one, or `journal/gateway.log` in the data directory.
    pub fn journal_file(&self) -> PathBuf {
        self.logging.file.clone().unwrap_or_else(|| self.data_dir.join("journal").join("gateway.log"))
    }

    /// All sources: those that are written as such, and what processes under supervision say.
    pub fn all_sources(&self) -> Vec<SourceConfig> {
        let said = self
            .supervise
            .iter()
            // What a unit says is systemd's, and a source of its own type.
            .filter(|process| process.unit.is_none())
            .map(|process| SourceConfig { name: process.name.clone(), kind: SourceKind::Process(process.format) });
        self.sources.iter().cloned().chain(said).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        let data_dir = PathBuf::from("./tollhouse-data");
        let upstreams = vec![UpstreamConfig {
            name: "local".to_owned(),
            kind: UpstreamKind::Ollama,
            url: "http://127.0.0.1:11434".to_owned(),
            key: None,
            parallel: None,
        }];
        Self {
            probes: ProbesConfig::first(&upstreams, &data_dir),
            service: "tollhouse".to_owned(),
            data_dir,
            listen: Listen::default(),
            public_url: None,
            hosts: Vec::new(),
            upstreams,
            models: Vec::new(),
            access: AccessConfig::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            queue: Queue::default(),
            shared: Shared::default(),
            errors: ErrorStyle::OpenAi,
            logging: Logging::default(),
            sources: Vec::new(),
            shape: Vec::new(),
            tags: vec![
                ("slow_request".to_owned(), "duration_ms:>3000".to_owned()),
                ("error_request".to_owned(), "NOT http_status:[200 TO 299]".to_owned()),
                ("truncated_prompt".to_owned(), "truncated:true".to_owned()),
            ],
            store: StoreConfig::default(),
            search: SearchConfig::default(),
            supervise: Vec::new(),
            tasks: None,
            batches: None,
            approvals: None,
            ship: Vec::new(),
            channels: Vec::new(),
            alerts: AlertConfig::defaults(),
            telemetry: TelemetryConfig::default(),
            reports: ReportConfig::defaults(),
            chat: ChatConfig::default(),
            console: ConsoleConfig::default(),
            edge: None,
        }
    }
}

/// Where is listened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether each connection begins with a PROXY protocol header (version 1 or 2); it is only believed of
    /// [`AccessConfig::trusted_proxies`].
    pub proxy_protocol: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 18789)), proxy_protocol: false }
    }
}

/// One model server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamConfig {
    /// Its name in this configuration, in records and in metrics.
    pub name: String,
    /// Which API it speaks.
    pub kind: UpstreamKind,
    /// Base URL without a slash at the end; empty for [`UpstreamKind::Demo`].
    pub url: String,
    /// Sent to it as `Authorization: Bearer`; as `x-api-key` to [`UpstreamKind::Anthropic`].
    pub key: Option<Secret>,
    /// How many requests it works on at once; what it usually can by its kind when absent.
    pub parallel: Option<u32>,
}

/// Which API a model server speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamKind {
    /// Ollama's own API.
    Ollama,
    /// The OpenAI API (llama.cpp, vLLM and others).
    OpenAi,
    /// The Anthropic API.
    Anthropic,
    /// Built in: answers without any model, to try tollhouse out.
    Demo,
}

/// Settings of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The name that clients use.
    pub name: String,
    /// Names of the upstreams that serve it: tiers, the most preferred first; those of one tier are equal.
    pub tiers: Vec<Vec<String>>,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// Context window in tokens, the same for every client.
    pub context: Option<u32>,
    /// What happens to a prompt that does not fit into the context window.
    pub on_overflow: Overflow,
    /// A `tokenizer.json` that counts its tokens, where the model server does not tell its vocabulary.
    pub tokenizer: Option<PathBuf>,
    /// Models that answer in its place when none of its upstreams can, most preferred first.
    pub fallback: Vec<String>,
    /// How long Ollama keeps it loaded, in Ollama's form: a duration or a number of seconds, `-1` for ever.
    pub keep_alive: Option<String>,
    /// Default values of request options such as `temperature`.
    pub options: Map<String, Value>,
    /// Fields of the response that are hidden or rewritten.
    pub strip: Vec<String>,
}

/// What happens to a prompt that does not fit into its model's context window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overflow {
    /// It is refused, with the tokens counted and allowed.
    Refuse,
    /// The oldest turns are left out, and the answer says so.
    Truncate,
    /// The first of [`ModelConfig::fallback`] into which it fits answers.
    Route,
}

/// Who may enter, and how often.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessConfig {
    /// Whether a key is needed.
    pub auth: Auth,
    /// Name of the header that carries the key, besides `Authorization: Bearer`.
    pub header: String,
    /// Keys known by their hash.
    pub keys: Vec<KeyConfig>,
    /// Networks that may connect; empty means everybody.
    pub allow: Vec<IpNet>,
    /// What happens to those who may not.
    pub deny: Deny,
    /// Networks of the proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Header in which a trusted client names its end user.
    pub user_header: Option<String>,
    /// The general limits.
    pub limits: CallerLimits,
    /// Who shares one count of the general limits.
    pub by: By,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            auth: Auth::Keys,
            header: "X-Api-Key".to_owned(),
            keys: Vec::new(),
            allow: Vec::new(),
            deny: Deny::Drop,
            trusted_proxies: Vec::new(),
            user_header: None,
            limits: CallerLimits::default(),
            by: By::Key,
        }
    }
}

/// Whether a key is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Auth {
    /// Every request needs a key.
    Keys,
    /// Nobody is asked; only when listening on loopback.
    Off,
}

/// One key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyConfig {
    /// Its name in records; not secret.
    pub id: String,
    /// SHA-256 of the key, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Other secrets with which it may be shown, as `sha256`: the old or the new one while clients change over.
    pub also: Vec<String>,
    /// Whose key it is.
    pub user: Option<String>,
    /// Patterns (`*`) of the models it may use; empty means all.
    pub models: Vec<String>,
    /// Patterns (`*`) of the indices it may use, for the roles `logs:read` and `logs:write`; empty means all.
    pub indices: Vec<String>,
    /// What it may do: `user`, `logs:read`, `logs:write`, `metrics:read` or `admin`.
    pub role: &'static str,
    /// Its own bound on the prompt in characters, in place of [`Limits::prompt_chars`].
    pub prompt_chars: Option<usize>,
    /// Its own limits, each in place of the same one of [`AccessConfig::limits`].
    pub limits: CallerLimits,
    /// Whose requests are served first.
    pub priority: Priority,
    /// Its share of a busy model server, from 1 to 100.
    pub weight: u32,
    /// Networks from which it may be used; empty means everywhere.
    pub allow: Vec<IpNet>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// Whose requests are served first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// When nobody else waits.
    Low,
    /// As usual.
    Normal,
    /// Before the others.
    High,
}

/// What happens to a connection from outside the allowed networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deny {
    /// It is closed without a word.
    Drop,
    /// It is answered with status 403.
    Forbid,
}

/// What one caller may use: the keys `rate_limit` and `budgets`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallerLimits {
    /// Requests in a time.
    pub requests: Option<Rate>,
    /// Tokens in a time, those of prompt and answer together.
    pub tokens: Option<Rate>,
    /// Requests at once, at least 1.
    pub concurrent: Option<u32>,
    /// Tokens in a calendar day (UTC), at least 1.
    pub tokens_per_day: Option<u64>,
    /// Tokens in a calendar month (UTC), at least 1.
    pub tokens_per_month: Option<u64>,
}

/// At most so many in any stretch of such a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many, at least 1.
    pub most: u64,
    /// In how long, more than zero.
    pub per: Duration,
}

/// Who shares one count of the general limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// All requests with one key.
    Key,
    /// All requests of one user.
    User,
    /// All requests from one address.
    Address,
    /// All requests for one model.
    Model,
}

/// Bounds on requests and connections; all more than zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Characters in all messages together.
    pub prompt_chars: usize,
    /// Bytes of the body.
    pub body: Bytes,
    /// Number of messages.
    pub messages: usize,
    /// Bytes of request line and headers.
    pub head: Bytes,
    /// How deep the JSON may be nested, at most 128.
    pub json_depth: usize,
    /// Connections held at once from one address (an IPv6 network of 64 bits counts as one).
    pub per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prompt_chars: 32_768,
            body: Bytes(32 << 20),
            messages: 2048,
            head: Bytes(32 << 10),
            json_depth: 64,
            per_address: 256,
        }
    }
}

/// How long is waited for what; all more than zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For a connection to an upstream.
    pub connect: Duration,
    /// For any sign of life of an upstream that was sent a request.
    pub silent: Duration,
    /// For the first byte of an answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// So long all answers of a model may rest whatever their pace, while somebody waits behind them; none means that they are not
    /// judged by their pace.
    pub pause: Option<Duration>,
    /// For a whole request.
    pub total: Duration,
    /// For requests under way when the program is told to end.
    pub drain: Duration,
    /// For a model server that answered a moment ago and now refuses connections: so long its requests wait for it.
    pub restart: Duration,
    /// Between two signs of life to a client whose answer has not begun.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silent: Duration::from_secs(3),
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            pause: Some(Duration::from_secs(10)),
            total: Duration::from_mins(15),
            drain: Duration::from_secs(30),
            restart: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
        }
    }
}

/// How requests wait for a model server that is busy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// How many may wait, at least 1.
    pub depth: usize,
    /// How long one may wait, more than zero.
    pub wait: Duration,
    /// Who is fair against whom: never [`By::Model`].
    pub fair_by: By,
}

impl Default for Queue {
    fn default() -> Self {
        Self { depth: 256, wait: Duration::from_mins(1), fair_by: By::Key }
    }
}

/// What several nodes share.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shared {
    /// URL of the Redis or Valkey server in which limits are counted and revocations told; it may hold a password.
    pub redis: Option<Secret>,
}

/// The shape of error answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorStyle {
    /// Each API's own shape.
    OpenAi,
    /// `{"error": "message"}` on every API.
    Plain,
}

/// The journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Logging {
    /// Least level that is recorded: `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The current file; see [`Config::journal_file`] for the default.
    pub file: Option<PathBuf>,
    /// Whether lines are JSON.
    pub json: bool,
    /// Added to every record. `service` replaces the service name there, `model` is used where a record has no model.
    pub fields: Map<String, Value>,
    /// When a new file is begun.
    pub rotate: Rotate,
    /// What is kept of old files.
    pub keep: Keep,
    /// How old files are compressed.
    pub compress: Compress,
    /// When a line is on the disk for good.
    pub sync: SyncPolicy,
    /// Prompts and answers.
    pub content: Content,
    /// Whether records tell which requests begin with the same instructions, by a keyed hash of them.
    pub families: bool,
}

/// Prompts and answers, which are kept apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Whether they are kept, and how.
    pub mode: ContentMode,
    /// The program that each text goes through before it is kept.
    pub vrl: Option<Vrl>,
    /// For how long.
    pub keep: Keep,
}

/// Whether prompts and answers are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentMode {
    /// They are not.
    Off,
    /// Without keys, addresses of mail, and numbers of telephones, cards and identity papers.
    Redacted,
    /// As they are.
    Full,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            file: None,
            json: true,
            fields: Map::new(),
            rotate: Rotate { every_day: true, size: Bytes(256 << 20) },
            keep: Keep { days: 30, bytes: Bytes(10 << 30) },
            compress: Compress::Zstd,
            sync: SyncPolicy::Within(Duration::from_millis(100)),
            content: Content { mode: ContentMode::Off, vrl: None, keep: Keep { days: 7, bytes: Bytes(5 << 30) } },
            families: true,
        }
    }
}

/// When a new journal file is begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotate {
    /// At the beginning of each UTC day.
    pub every_day: bool,
    /// When the file has reached this size.
    pub size: Bytes,
}

/// What is kept; whichever bound is reached first counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keep {
    /// Age in days, at least 1.
    pub days: u32,
    /// Size of everything together.
    pub bytes: Bytes,
}

/// How old journal files are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compress {
    /// With Zstandard.
    Zstd,
    /// With gzip.
    Gzip,
    /// Not at all.
    None,
}

/// When a journal line is on the disk for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyncPolicy {
    /// Each line before it counts as written.
    Each,
    /// At most this long after it was written.
    Within(Duration),
}

/// Whose log lines are collected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceConfig {
    /// Its name in records.
    pub name: String,
    /// How they come, and what there is to say of it.
    pub kind: SourceKind,
}

/// How log lines come: the key `type`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SourceKind {
    /// Others send them.
    Listen(ListenSource),
    /// Others send them in requests of HTTP.
    Http(HttpSource),
    /// They are read from files that grow and rotate.
    File(FileSource),
    /// They are read from the systemd journal.
    Journald(JournaldSource),
    /// They come by our own standard input.
    Stdin(LineFormat),
    /// A process under `supervise` says them; not among `sources`.
    Process(LineFormat),
}

/// Files whose lines are read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileSource {
    /// Absolute paths with `*`, `?`, `[…]` and `**`; at least one.
    pub paths: Vec<String>,
    /// How their lines are written.
    pub format: LineFormat,
    /// Where reading begins in what is there at the first time.
    pub begin: Begin,
    /// How the house rotates them; somebody else does, when absent.
    pub rotate: Option<FileRotate>,
}

/// What is read of the systemd journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JournaldSource {
    /// Entries of this unit only.
    pub unit: Option<String>,
    /// How their texts are written.
    pub format: LineFormat,
    /// Where reading begins at the first time.
    pub begin: Begin,
}

/// Where reading begins the first time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Begin {
    /// With the oldest that is there.
    #[default]
    Start,
    /// With what comes from now on.
    End,
}

impl Begin {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("start", Self::Start), ("end", Self::End)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LineFormat {
    /// As the lines themselves show.
    #[default]
    Auto,
    /// JSON objects.
    Json,
    /// As OpenClaw and what it was called before write.
    Openclaw,
    /// The same by its older name.
    Clawdbot,
    /// nginx's access and error logs.
    Nginx,
    /// Ollama's server.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// As syslog servers write files.
    Syslog,
    /// Pairs of names and values.
    Logfmt,
    /// Text.
    Plain,
}

impl LineFormat {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("auto", Self::Auto),
        ("json", Self::Json),
        ("openclaw", Self::Openclaw),
        ("clawdbot", Self::Clawdbot),
        ("nginx", Self::Nginx),
        ("ollama", Self::Ollama),
        ("llama.cpp", Self::LlamaCpp),
        ("syslog", Self::Syslog),
        ("logfmt", Self::Logfmt),
        ("plain", Self::Plain),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        word_of(&Self::WORDS, self)
    }
}

fn word_of<T: Copy + PartialEq>(words: &[(&'static str, T)], wanted: T) -> &'static str {
    words.iter().find(|(_, value)| *value == wanted).map_or("", |(word, _)| word)
}

/// An address to which others send: Beats and syslog over TCP, told apart by their first bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenSource {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether syslog is taken over UDP too, at the same address.
    pub udp: bool,
    /// Files for TLS; with them, nothing else is spoken over TCP.
    pub tls: Option<TlsFiles>,
    /// Networks from which may be sent. Empty means everybody who reaches the address; beyond loopback only where
    /// [`TlsFiles::client_ca`] knows who that is.
    pub allow: Vec<IpNet>,
}

/// An address to which others send requests of HTTP: lines, and log records of OpenTelemetry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpSource {
    /// Address and port. Whoever sends shows a key; beyond loopback always.
    pub address: SocketAddr,
    /// Files for TLS; with them, nothing else is spoken.
    pub tls: Option<TlsFiles>,
    /// Networks from which may be sent. Empty means everybody who reaches the address.
    pub allow: Vec<IpNet>,
    /// How lines are written.
    pub format: LineFormat,
}

/// Files for TLS, in PEM form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients' certificates; with them, a client must show one.
    pub client_ca: Option<PathBuf>,
}

/// Where documents are found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreConfig {
    /// What is kept of old day indices of our own.
    pub keep: Keep,
    /// The cluster in which they are found instead, so that there is no index of our own.
    pub remote: Option<RemoteStore>,
}

impl StoreConfig {
    /// The name of the destination by which a cluster in place of our own index gets its documents.
    pub const DESTINATION: &'static str = "store";
}

/// A cluster in place of our own index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteStore {
    /// Where it is, and how documents get there; also one of [`Config::ship`].
    pub cluster: ShipConfig,
    /// Patterns of the day indices that are looked into; at least one.
    pub indices: Vec<String>,
}

/// Where else the book is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SearchConfig {
    /// Address and port at which the Elasticsearch API stands alone, at the root.
    pub listen: Option<SocketAddr>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { keep: Keep { days: 30, bytes: Bytes(20 << 30) }, remote: None }
    }
}

/// What the house tells of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetryConfig {
    /// The path of the metrics; none when they are not told.
    pub metrics: Option<String>,
    /// The receiver of OpenTelemetry that gets traces and metrics.
    pub otlp: Option<OtlpConfig>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { metrics: Some("/metrics".to_owned()), otlp: None }
    }
}

/// A receiver of OpenTelemetry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OtlpConfig {
    /// Its address, without a slash at the end and without `/v1/traces`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<Secret>,
    /// A PEM file of the authorities that its certificate may come from; the system's when absent.
    pub ca: Option<PathBuf>,
}
