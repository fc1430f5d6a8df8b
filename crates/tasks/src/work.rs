//! What a step is asked to do, once its templates are filled in: plain data, as it is kept in the history of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One step's work, ready to be done.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// A model is asked.
    Ask(Ask),
    /// Facts are fetched.
    Collect(Collect),
    /// A command is run.
    Run(Command),
    /// A file is written.
    Write(File),
    /// A message is sent.
    Send(Message),
    /// A human is asked.
    Approve(Question),
    /// Time passes, or something comes to be.
    Wait(Wait),
    /// Another task is run.
    Task(Subtask),
}

/// A request to a model.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The model, as clients name it.
    pub model: String,
    /// The prompt.
    pub prompt: String,
    /// What the model is told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// How freely the model chooses its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The JSON schema that the answer has to follow. The engine checks the answer; the model server may be bound by it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// Where facts come from: exactly one of `search`, `report`, `forecast`, `file` and `url` leads; `report` may narrow `search`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// A Lucene query over the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// How far back records are looked at.
    #[serde(default, with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// The tables of a report (`slow`, `errors`, `tokens`, `top`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What is to be expected of the next day: `requests` or `tokens` by the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<String>,
    /// A file to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// An address to be fetched over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Most records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A command that is run without a shell.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads from its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Further variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether running it twice is the same as running it once, as the writer of the task says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
}

/// A file that is written as a whole.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is, below the folder that tasks may write to.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// A message to a channel.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The channel, as the configuration names it.
    pub channel: String,
    /// What it is about.
    #[serde(default)]
    pub subject: String,
    /// What is said.
    pub text: String,
}

/// What is asked of a human.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The names or roles of those who may answer; empty for everybody who may approve tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// What is asked.
    #[serde(default)]
    pub text: String,
    /// After so long the question answers itself.
    #[serde(default, with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Duration>,
    /// How it answers itself.
    #[serde(default)]
    pub default: ByDefault,
    /// How often it is told again while nobody answers.
    #[serde(default, with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub remind: Option<Duration>,
}

/// How a question answers itself when nobody did.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ByDefault {
    /// As if somebody had said no.
    #[default]
    Reject,
    /// As if somebody had said yes.
    Approve,
}

/// Time to pass, or something that is looked for until it is there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// So long; with `collect`, at most so long.
    #[serde(default, rename = "for", with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// Until a time, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// So long before that time.
    #[serde(default, with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub before: Option<Duration>,
    /// What is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<Collect>,
    /// How often it is looked at.
    #[serde(default, with = "maybe_duration", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
}

/// Another task to be run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Subtask {
    /// Its name.
    pub name: String,
    /// What it is given.
    #[serde(default)]
    pub input: Map<String, Value>,
}

impl Work {
    /// The key of a step that names this kind of work.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ask(_) => Kind::Ask,
            Self::Collect(_) => Kind::Collect,
            Self::Run(_) => Kind::Run,
            Self::Write(_) => Kind::Write,
            Self::Send(_) => Kind::Send,
            Self::Approve(_) => Kind::Approve,
            Self::Wait(_) => Kind::Wait,
            Self::Task(_) => Kind::Task,
        }
    }

    /// Whether doing it a second time may be felt outside, unless the receiver knows the key of the call.
    pub fn is_felt_twice(&self) -> bool {
        match self {
            Self::Send(_) => true,
            Self::Run(command) => !command.idempotent,
            _ => false,
        }
    }
}

/// The kinds of work.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = StepKind)]
pub enum Kind {
    /// See [`Ask`].
    Ask,
    /// See [`Collect`].
    Collect,
    /// See [`Command`].
    Run,
    /// See [`File`].
    Write,
    /// See [`Message`].
    Send,
    /// See [`Question`].
    Approve,
    /// See [`Wait`].
    Wait,
    /// See [`Subtask`].
    Task,
}

impl Kind {
    /// All of them, by their keys.
    pub const ALL: [(&'static str, Self); 8] = [
        ("ask", Self::Ask),
        ("collect", Self::Collect),
        ("run", Self::Run),
        ("write", Self::Write),
        ("send", Self::Send),
        ("approve", Self::Approve),
        ("wait", Self::Wait),
        ("task", Self::Task),
    ];

    /// The key of a step.
    pub fn key(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// Durations as people write them.
mod maybe_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_str(&tollhouse_units::format_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| tollhouse_units::parse_duration(&text).map_err(D::Error::custom)).transpose()
    }
}
