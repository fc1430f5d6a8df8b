//! What is usable of `probes`: what is looked after, and how often.

use std::{path::PathBuf, time::Duration};

use super::{UpstreamConfig, UpstreamKind};

/// How often is looked where nothing is said.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// What is looked after.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbesConfig {
    /// Whether anything is.
    pub on: bool,
    /// How often, where a probe does not say otherwise.
    pub every: Duration,
    /// Programs.
    pub processes: Vec<ProcessProbe>,
    /// Whether models answer.
    pub models: Vec<ModelProbe>,
    /// Whether they answer as well as before.
    pub quality: Option<QualityProbe>,
    /// File systems.
    pub disks: Vec<DiskProbe>,
    /// Addresses.
    pub http: Vec<HttpProbe>,
    /// Certificates.
    pub certificates: Vec<CertificateProbe>,
    /// Graphics cards, where there are some.
    pub gpu: Option<GpuProbe>,
    /// Memory of this machine, or of the control group.
    pub memory: Option<MemoryProbe>,
    /// Whether the clock is right.
    pub clock: Option<ClockProbe>,
}

/// A program: its process, its port, and what it says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessProbe {
    /// Name of the probe.
    pub name: String,
    /// Name of the process; not looked for when absent.
    pub process: Option<String>,
    /// Where it listens.
    pub host: String,
    /// Its port; not connected to when absent.
    pub port: Option<u16>,
    /// URL that tells whether it is alive.
    pub health: Option<String>,
    /// URL that tells whether it takes work.
    pub ready: Option<String>,
    /// How often.
    pub every: Duration,
    /// How long an answer may take.
    pub within: Duration,
}

/// Whether a model answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelProbe {
    /// Its public name.
    pub model: String,
    /// What it is asked.
    pub prompt: String,
    /// Words of which its answer has to have one; any answer will do when empty.
    pub expect: Vec<String>,
    /// A first token that comes later is told of.
    pub ttft_above: Option<Duration>,
    /// How often.
    pub every: Duration,
    /// How long the answer may take.
    pub within: Duration,
}

/// Whether models answer as well as before.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityProbe {
    /// The tests.
    pub file: PathBuf,
    /// Who is tested; the first of the probed models when absent.
    pub model: Option<String>,
    /// Who judges answers, where a test asks for it; the model itself when absent.
    pub judge: Option<String>,
    /// How often each test is asked in a run.
    pub samples: u32,
    /// Runs of which the baseline is made.
    pub baseline: u32,
    /// How often.
    pub every: Duration,
    /// How long one answer may take.
    pub within: Duration,
}

/// A file system.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskProbe {
    /// Any path on it.
    pub path: PathBuf,
    /// Percent of its space that may be used.
    pub above: f64,
    /// Percent of its inodes that may be used.
    pub inodes_above: f64,
    /// It is told of when it will be full within this time, by its trend.
    pub full_within: Duration,
    /// How often.
    pub every: Duration,
}

/// An address.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    /// Name of the probe.
    pub name: String,
    /// The address.
    pub url: String,
    /// A text that its answer has to have.
    pub expect: Option<String>,
    /// The status that is right; any of 200 to 299 when absent.
    pub status: Option<u16>,
    /// How often.
    pub every: Duration,
    /// How long the answer may take.
    pub within: Duration,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateProbe {
    /// Name of the probe.
    pub name: String,
    /// Where it is.
    pub place: CertificatePlace,
    /// Authorities that it may come from, beside the system's (PEM).
    pub ca: Option<PathBuf>,
    /// It is told of so long before its end.
    pub before: Duration,
    /// How often.
    pub every: Duration,
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq)]
pub enum CertificatePlace {
    /// Served there.
    Served {
        /// Name or address that is connected to.
        host: String,
        /// Its port.
        port: u16,
        /// The name that it has to be for; the host when absent.
        server_name: Option<String>,
    },
    /// In this file (PEM).
    File(PathBuf),
}

/// Graphics cards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuProbe {
    /// Percent of a card's memory that may be used.
    pub memory_above: f64,
    /// Degrees Celsius that it may have.
    pub temperature_above: f64,
    /// Percent of its time at which models are not asked by probes.
    pub busy_above: f64,
    /// How often.
    pub every: Duration,
}

/// Memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryProbe {
    /// Percent that may be used.
    pub above: f64,
    /// Percent of the last minute in which programs may have waited for memory.
    pub psi_above: f64,
    /// How often.
    pub every: Duration,
}

/// Whether the clock is right.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockProbe {
    /// Addresses whose `Date` tells the time; what keeps this machine's clock is asked in any case, where there is such a program.
    pub urls: Vec<String>,
    /// How far from it this clock may be.
    pub above: Duration,
    /// How often.
    pub every: Duration,
}

impl ProbesConfig {
    /// What a careful operator looks after: whether the model servers can be reached, the disk of the data, memory, and
    /// graphics cards. No model is asked anything.
    pub(crate) fn defaults(every: Duration, upstreams: &[UpstreamConfig], data_dir: &std::path::Path) -> Self {
        Self {
            on: true,
            every,
            processes: upstreams.iter().filter_map(|upstream| ProcessProbe::of_upstream(upstream, every)).collect(),
            models: Vec::new(),
            quality: None,
            disks: vec![DiskProbe::new(data_dir.to_owned(), every)],
            http: Vec::new(),
            certificates: Vec::new(),
            gpu: Some(GpuProbe::new(every)),
            memory: Some(MemoryProbe::new(every)),
            clock: None,
        }
    }

    /// The defaults of an empty file.
    pub(crate) fn first(upstreams: &[UpstreamConfig], data_dir: &std::path::Path) -> Self {
        Self::defaults(EVERY, upstreams, data_dir)
    }
}

impl ProcessProbe {
    /// How long an answer may take.
    pub(crate) const WITHIN: Duration = Duration::from_secs(10);

    /// Whether a model server can be reached; the built-in demo always can.
    fn of_upstream(upstream: &UpstreamConfig, every: Duration) -> Option<Self> {
        let uri: http::Uri = upstream.url.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        // The others have no address that tells without a key.
        let health = (upstream.kind == UpstreamKind::Ollama).then(|| format!("{}/api/version", upstream.url));
        let (name, within) = (upstream.name.clone(), Self::WITHIN);
        Some(Self { name, process: None, host, port: Some(port), health, ready: None, every, within })
    }
}

impl GpuProbe {
    /// With the limits that everybody has.
    pub(crate) fn new(every: Duration) -> Self {
        Self { memory_above: 90.0, temperature_above: 85.0, busy_above: 95.0, every }
    }
}

impl MemoryProbe {
    /// With the limits that everybody has.
    pub(crate) fn new(every: Duration) -> Self {
        Self { above: 92.0, psi_above: 20.0, every }
    }
}

impl DiskProbe {
    /// With the limits that everybody has.
    pub(crate) fn new(path: PathBuf, every: Duration) -> Self {
        let full_within = Duration::from_secs(2 * 24 * 3600);
        Self { path, above: 90.0, inodes_above: 90.0, full_within, every }
    }
}
