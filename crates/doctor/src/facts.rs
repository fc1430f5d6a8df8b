//! What was gathered of an installation, before anything is judged. Everything is optional: what could not be learned is not known,
//! and no check guesses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::check::Status;
use crate::sentence::Sentence;

/// All that is known of an installation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Version of the program that looks.
    pub version: String,
    /// The configuration file.
    pub config: ConfigFacts,
    /// What stands before the gate.
    pub edge: EdgeFacts,
    /// The gate.
    pub gate: GateFacts,
    /// The model servers, in the order of the configuration.
    pub servers: Vec<ServerFacts>,
    /// Lines of the last hour that model servers and the kernel wrote.
    pub lines: Vec<LineFacts>,
    /// Whether lines of model servers could be read at all.
    pub lines_read: bool,
    /// What the probes of cards, memory, disks and the clock found.
    pub probed: Vec<ProbedFacts>,
    /// Files and folders that are needed.
    pub places: Vec<PlaceFacts>,
    /// Addresses that are to be listened on, besides the gate's.
    pub ports: Vec<PortFacts>,
    /// What the stores may take together, and what there is for them.
    pub budget: Option<BudgetFacts>,
    /// OpenClaw's settings, where there are some.
    pub openclaw: Option<OpenClawFacts>,
    /// Journal and index.
    pub book: BookFacts,
    /// Mail servers of channels.
    pub mail: Vec<MailFacts>,
    /// What can be reached, and by whom.
    pub defence: DefenceFacts,
}

/// How an address answered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Reach {
    /// It was not asked.
    #[default]
    NotAsked,
    /// Its name has no address.
    NoName {
        /// Why.
        error: String,
    },
    /// No connection could be made.
    Refused {
        /// Why.
        error: String,
    },
    /// Nothing answered in this time, not even the connection's first packet.
    Unreachable {
        /// How long was waited.
        seconds: f64,
    },
    /// The connection was accepted, and then nothing was said.
    Silent {
        /// How long was waited.
        seconds: f64,
    },
    /// What was said is not HTTP, or not by TLS as it has to be.
    Broken {
        /// Why.
        error: String,
    },
    /// It answered.
    Answered {
        /// Status of HTTP.
        status: u16,
        /// How long it took.
        ms: f64,
        /// The body, where it is JSON.
        #[serde(default)]
        body: Value,
        /// Headers by their names in lower case.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
}

impl Reach {
    /// Status, time and body of an answer.
    pub fn answer(&self) -> Option<(u16, f64, &Value)> {
        if let Self::Answered { status, ms, body, .. } = self { Some((*status, *ms, body)) } else { None }
    }

    /// The body of a good answer.
    pub fn body(&self) -> Option<&Value> {
        self.answer().filter(|(status, ..)| (200..300).contains(status)).map(|(_, _, body)| body)
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        if let Self::Answered { headers, .. } = self { headers.get(name).map(String::as_str) } else { None }
    }
}

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFacts {
    /// Its path; `None` where there is none and defaults hold.
    pub file: Option<String>,
    /// Why it cannot be used, whole.
    pub problem: Option<String>,
}

/// What stands before the gate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeFacts {
    /// The address for users.
    pub public_url: Option<String>,
    /// How it answers, asked for `/healthz`.
    pub answer: Reach,
    /// Its certificate.
    pub certificate: Option<ProbedFacts>,
    /// Who renews it: a timer, a job; an empty text where a renewal is configured and nothing runs it.
    pub renewal: Option<String>,
    /// The certificates that the house renews itself.
    pub acme: Vec<AcmeFacts>,
    /// Where nginx passes requests on to the gate.
    pub nginx: Vec<NginxFacts>,
    /// Whether the gate believes proxies on this machine.
    pub trusts_loopback: bool,
}

/// A certificate that the house renews itself, and whether that would work now.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeFacts {
    /// The site.
    pub host: String,
    /// How long the certificate in force lasts, in days; `None` where there is none yet.
    pub days_left: Option<f64>,
    /// Why the last order failed, and how often in a row.
    pub failed: Option<(String, u32)>,
    /// Why the authority cannot be asked now.
    pub unreachable: Option<String>,
    /// The directory of the authority.
    pub directory: String,
    /// Whether it knows the account of the house; none is made before the first order.
    pub has_account: bool,
    /// Whether it tells when it wants certificates to be renewed.
    pub tells_windows: bool,
    /// Where the authority looks whether the name is ours.
    pub way: String,
    /// How that answers from here, by the name as everybody resolves it.
    pub answer: Reach,
}

/// A place in nginx' configuration from which requests go to the gate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct NginxFacts {
    /// The file.
    pub file: String,
    /// `proxy_read_timeout` in seconds; nginx' own default is 60.
    pub read_timeout_s: Option<f64>,
    /// Whether answers are held back until there is enough of them.
    pub buffers: bool,
    /// Whether it names the client's address to the gate.
    pub forwards_address: bool,
    /// `ssl_protocols`.
    pub protocols: Vec<String>,
}

/// The gate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct GateFacts {
    /// Where it listens.
    pub listen: String,
    /// How it answers, asked for `/health`.
    pub answer: Reach,
    /// The program that has its port, as far as the system tells.
    pub holder: Option<String>,
    /// Whether keys are needed.
    pub needs_keys: bool,
    /// Keys that are good now.
    pub keys: Option<u64>,
    /// Why the running house refused the last change of its configuration.
    pub refused_config: Option<String>,
    /// The longest time until the first byte of an answer, in seconds.
    pub first_byte_s: f64,
    /// Requests of the last 15 minutes.
    pub recent: Option<RecentFacts>,
}

/// Requests of the last 15 minutes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RecentFacts {
    /// All.
    pub requests: u64,
    /// Ended with a status of 500 or more, or an error behind the gate.
    pub failed: u64,
    /// Took more than three seconds.
    pub slow: u64,
    /// The id of one that failed, else of the slowest.
    pub worst: Option<String>,
}

/// A model server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ServerFacts {
    /// Its name in the configuration.
    pub name: String,
    /// `ollama`, `openai`, `anthropic` or `demo`.
    pub kind: String,
    /// Its address.
    pub url: String,
    /// Whether it is on this machine.
    pub is_here: bool,
    /// Whether it is sent a key.
    pub has_key: bool,
    /// How many requests it is given at once, where the configuration says so.
    pub parallel: Option<u32>,
    /// Its first sign of life: `/api/version`, or its list of models.
    pub version: Reach,
    /// Its models.
    pub models: Reach,
    /// Models in its memory (Ollama).
    pub loaded: Reach,
    /// How a model answered.
    pub spoke: Option<SpokeFacts>,
    /// `OLLAMA_…` of its environment, where that could be read.
    pub environment: Option<BTreeMap<String, String>>,
    /// Addresses that it listens on, on this machine.
    pub listens: Vec<String>,
    /// Models that the configuration wants of it.
    pub wanted: Vec<WantedFacts>,
}

impl ServerFacts {
    /// Whether it is an Ollama.
    pub fn is_ollama(&self) -> bool {
        self.kind == "ollama"
    }

    /// Its version, where it tells one.
    pub fn version(&self) -> Option<&str> {
        self.version.body()?["version"].as_str()
    }
}

/// How a model answered a small question.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SpokeFacts {
    /// Its name.
    pub model: String,
    /// Whether it was in memory before.
    pub was_loaded: bool,
    /// The answer.
    pub answer: Reach,
}

/// A model that the configuration wants of a server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct WantedFacts {
    /// Its name.
    pub name: String,
    /// The context that it is given.
    pub context: Option<u32>,
    /// The longest context that it was made for.
    pub context_max: Option<u64>,
}

/// A line that a model server or the kernel wrote.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LineFacts {
    /// Whose it is.
    pub source: String,
    /// When, as it says.
    pub at: String,
    /// Its text.
    pub text: String,
}

/// What a probe found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ProbedFacts {
    /// `gpu`, `memory`, `disk`, `clock`, `certificate`.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// The same by the probe's codes.
    pub said: Vec<Value>,
}

impl ProbedFacts {
    pub(crate) fn sentence(&self) -> Sentence {
        Sentence::by(&self.found, self.said.clone())
    }
}

/// A file or folder that is needed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PlaceFacts {
    /// What it is to the house: `data`, `journal`, `config`, `state`, `source NAME`.
    pub what: String,
    /// Its path.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Why it cannot be used as it has to be.
    pub problem: Option<String>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// Whether secrets are in it.
    pub is_secret: bool,
}

/// An address that is to be listened on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PortFacts {
    /// What for.
    pub what: String,
    /// The address.
    pub address: String,
    /// Whether somebody listens there.
    pub taken: bool,
    /// Who, as far as the system tells.
    pub holder: Option<String>,
    /// Why it cannot be listened on, other than that it is taken.
    pub problem: Option<String>,
}

/// What the stores may take together.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetFacts {
    /// The folder.
    pub path: String,
    /// Bytes that journal, index, kept texts and buffers may take together.
    pub allowed: u64,
    /// Bytes that they take now.
    pub used: u64,
    /// Bytes that are free there.
    pub free: u64,
}

/// OpenClaw's settings.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct OpenClawFacts {
    /// Their file.
    pub file: String,
    /// Why they cannot be read.
    pub problem: Option<String>,
    /// What they say.
    pub settings: Value,
}

/// Journal and index.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct BookFacts {
    /// Number of the newest record, and when it was written.
    pub newest: Option<(u64, i64)>,
    /// Why the journal cannot be read, or what is damaged in its last part.
    pub journal_problem: Option<String>,
    /// The newest record that is in the index.
    pub indexed: Option<u64>,
    /// Why the index cannot be opened.
    pub index_problem: Option<String>,
    /// Whether documents are found in a cluster instead.
    pub is_remote: bool,
    /// What could not be shaped or delivered and waits.
    pub dead: u64,
}

/// The mail server of a channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MailFacts {
    /// Name of the channel.
    pub channel: String,
    /// Address of the server.
    pub server: String,
    /// How it greeted: a status of SMTP where it did.
    pub greeting: Reach,
}

/// What can be reached, and by whom.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DefenceFacts {
    /// Programs that listen where other machines reach them, as far as this machine tells.
    pub open: Vec<ListenerFacts>,
    /// The rules of the firewall (`nft list ruleset`); `None` where they may not be read.
    pub firewall: Option<String>,
    /// How the console's page answers, at the public address where there is one.
    pub page: Reach,
    /// Whether that page was asked for by TLS.
    pub page_by_tls: bool,
    /// Whether the gate listens beyond this machine.
    pub listens_beyond: bool,
    /// Keys that are good now.
    pub keys: Vec<KeyFacts>,
    /// Networks that may come in; empty means everybody.
    pub allow: Vec<String>,
    /// Networks of proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// How `systemd-analyze security` rates our unit, from 0 (closed) to 10 (open).
    pub exposure: Option<f64>,
    /// Whether prompts are kept as they are.
    pub keeps_prompts_whole: bool,
}

/// A program that listens beyond this machine.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerFacts {
    /// Address and port.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Its program, as far as the system tells.
    pub program: Option<String>,
    /// What of the configuration it is: `gate`, `search`, `source NAME`, `server NAME`.
    pub what: Option<String>,
}

/// A key that is good now.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct KeyFacts {
    /// Its id.
    pub id: String,
    /// Its role.
    pub role: String,
    /// Days since it was made or changed.
    pub age_days: Option<f64>,
    /// Whether it ends by itself.
    pub expires: bool,
    /// Whether only some addresses may use it.
    pub is_bound: bool,
    /// A secret of tutorials and examples that it equals.
    pub is_default: bool,
}
