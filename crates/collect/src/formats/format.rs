//! The formats by name: how a line of each is read, and how one is known by its lines.

use jiff::Zoned;

use super::json::{self, Draft};
use super::{Entry, logfmt, nginx, openclaw, plain, servers, syslog};

/// How a program writes its lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// JSON objects, under the names that loggers have.
    Json,
    /// OpenClaw's and Clawdbot's: tslog's JSON, old and new.
    Openclaw,
    /// nginx's access and error logs, and JSON with nginx's names.
    Nginx,
    /// Ollama's server: slog, gin, and the text of its runners.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// What syslog servers write, with or without priority.
    Syslog,
    /// Pairs of names and values.
    Logfmt,
    /// Text, over several lines where they are indented or tell of an exception.
    Plain,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Json,
        Self::Openclaw,
        Self::Nginx,
        Self::Ollama,
        Self::LlamaCpp,
        Self::Syslog,
        Self::Logfmt,
        Self::Plain,
    ];

    /// The word in configurations and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Openclaw => "openclaw",
            Self::Nginx => "nginx",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::Syslog => "syslog",
            Self::Logfmt => "logfmt",
            Self::Plain => "plain",
        }
    }

    /// The format of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Reads a line, or several that belong together. `now` is when it came, in the zone of this machine, which is the zone of
    /// what tells none. A line that is not of this format is read as text, with the reason in [`Entry::parse_error`].
    pub fn read(self, line: &str, now: &Zoned) -> Entry {
        self.draft(line, now).finish()
    }

    /// The format that a line shows by itself; none for text.
    pub fn guess(line: &str, now: &Zoned) -> Option<Self> {
        if json::is_meant(line) {
            let object = json::parse(line).ok()?;
            return Some(match () {
                () if openclaw::is_meant(&object) => Self::Openclaw,
                () if nginx::is_meant(&object) => Self::Nginx,
                () => Self::Json,
            });
        }
        if servers::is_ollama(line) {
            return Some(Self::Ollama);
        }
        if servers::is_llama_cpp(line) {
            return Some(Self::LlamaCpp);
        }
        if logfmt::pairs(line).is_some() {
            return Some(Self::Logfmt);
        }
        if nginx::access(line).is_some() || nginx::error(line, now).is_some() {
            return Some(Self::Nginx);
        }
        syslog::line(line, now).is_some().then_some(Self::Syslog)
    }

    /// Whether what is told may go over several lines.
    pub(super) fn has_several_lines(self) -> bool {
        matches!(self, Self::Plain | Self::Ollama | Self::LlamaCpp)
    }

    pub(super) fn draft(self, line: &str, now: &Zoned) -> Draft {
        let draft = match self {
            Self::Json => json_draft(line),
            Self::Openclaw => openclaw::read(line, now),
            Self::Nginx => nginx::read(line, now),
            Self::Ollama => Ok(servers::ollama(line, now)),
            Self::LlamaCpp => Ok(servers::llama_cpp(line, now)),
            Self::Syslog => syslog::line(line, now).ok_or_else(|| "not as syslog has it".to_owned()),
            Self::Logfmt => logfmt::read(line).ok_or_else(|| "not pairs of names and values".to_owned()),
            Self::Plain => Ok(plain::read(line, now)),
        };
        draft.unwrap_or_else(|why| Draft { parse_error: Some(why), ..plain::read(line, now) })
    }
}

fn json_draft(line: &str) -> Result<Draft, String> {
    let mut draft = Draft::default();
    json::read(&mut draft, line, 1).map_err(|error| json::not_json(&error))?;
    Ok(draft)
}
