//! What the configuration says about servers and models, in this crate's own words.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// The kind of a model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ollama's native API; the URL is the server's root.
    Ollama,
    /// OpenAI's API (vLLM, llama.cpp, SGLang, …); the URL ends where `/chat/completions` begins.
    OpenAi,
    /// Anthropic's API; the URL ends where `/v1/messages` begins.
    Anthropic,
    /// The built-in talker, which needs no server.
    Demo,
}

impl Kind {
    /// Its name in the configuration and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Demo => "demo",
        }
    }

    /// How many requests a server of this kind is given at once where the configuration does not say.
    pub fn parallel(self) -> u32 {
        match self {
            Self::Ollama => 4,
            Self::OpenAi | Self::Anthropic | Self::Demo => 64,
        }
    }
}

/// One model server.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// Its name in records and headers.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Where it is, without a slash at the end; empty for the demo.
    pub url: String,
    /// The key that it asks for, sent as `Authorization: Bearer`, to Anthropic as `x-api-key`.
    pub key: Option<String>,
    /// How many requests it works on at once; `None` means [`Kind::parallel`].
    pub parallel: Option<u32>,
}

impl fmt::Debug for UpstreamSpec {
    /// Never shows the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|_| "***");
        formatter
            .debug_struct("UpstreamSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .field("key", &key)
            .field("parallel", &self.parallel)
            .finish()
    }
}

/// One public model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelSpec {
    /// Its public name, which is also the name that its servers know.
    pub name: String,
    /// The servers that have it, in tiers: those of a tier are equal, and a later tier is asked when none of an earlier
    /// one can take a request now. Empty means all, each a tier of its own, in their own order.
    pub tiers: Vec<Vec<String>>,
    /// Other public names of it.
    pub aliases: Vec<String>,
    /// The one context length for everybody, in tokens (Ollama only).
    pub context: Option<u32>,
    /// How long it stays loaded, such as `30m` or a number of seconds (Ollama only).
    pub keep_alive: Option<String>,
    /// Options that hold where a client says nothing (Ollama only).
    pub options: Map<String, Value>,
    /// Fields of answers that are hidden; the gateway does that.
    pub strip: Vec<String>,
    /// Models to ask in place of it, in order, when all its servers have failed.
    pub fallback: Vec<String>,
}

/// How requests are waited for and queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a server is waited for.
    pub timeouts: Timeouts,
    /// How requests queue.
    pub queue: QueueSpec,
    /// How long the requests of a server that was well wait while it does not take connections: it may be restarting.
    pub restart: Duration,
    /// Servers that somebody starts anew when they say nothing any more: their requests wait for that as for one that takes no
    /// connections, instead of failing at once.
    pub kept: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let restart = Duration::from_secs(10);
        Self { timeouts: Timeouts::default(), queue: QueueSpec::default(), restart, kept: Vec::new() }
    }
}

/// How requests queue for a server that is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSpec {
    /// Most requests that wait for one server.
    pub depth: usize,
    /// Longest time that a request waits for its turn.
    pub wait: Duration,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self { depth: 256, wait: Duration::from_mins(1) }
    }
}

/// How long a server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// After this time without a byte the server's health is asked for.
    pub silent: Duration,
    /// For the first event of a stream. An answer that comes whole has until `total`.
    pub first_byte: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// All streams of a model may rest for so long whatever their pace, while somebody waits behind them; then their pace tells
    /// whether they have ceased. Without it only `idle` does.
    pub pause: Option<Duration>,
    /// For the whole answer, from the first time that a server is asked.
    pub total: Duration,
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
        }
    }
}
