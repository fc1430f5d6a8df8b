//! The middle form of answers, which all dialects are read into and written from.

use serde_json::Value;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server began to answer.
    Start {
        /// The server's own id of the answer.
        id: Option<String>,
        /// The server's own name of the model.
        model: Option<String>,
        /// The server's own time, seconds of the Unix epoch.
        created: Option<i64>,
    },
    /// More thinking.
    Thinking(String),
    /// More text.
    Text(String),
    /// What Anthropic signed the thoughts just sent with; they go back to it with this only.
    Signature(String),
    /// A content block of Anthropic's that is nothing else here, whole: hidden thoughts, tools that the server ran.
    Block(Value),
    /// A source that Anthropic cites for the text just sent.
    Citation(Value),
    /// Probabilities of the tokens just sent: an array, the same in both dialects.
    Logprobs(Value),
    /// A tool call or more of one.
    ToolCall {
        /// Which call of this answer, from 0. Servers may send the pieces of several calls in turns.
        index: u32,
        /// The call's id, in its first piece.
        id: Option<String>,
        /// The tool's name, in its first piece.
        name: Option<String>,
        /// More of its arguments (JSON text).
        arguments: String,
    },
    /// Ollama's `context`: the tokens of the prompt and of the answer.
    Context(Vec<u32>),
    /// Why the model stopped.
    Finish(FinishReason),
    /// What it cost; at most once, after everything else.
    Usage(Usage),
    /// The server reported an error inside the stream: its own words, not for clients.
    Error(String),
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done or met a stop string.
    Stop,
    /// It met this stop string, where the server tells which.
    StopString(String),
    /// It met the token limit.
    Length,
    /// It met the end of the context window.
    WindowFull,
    /// A server that runs tools by itself took a break; the answer sent back makes it go on (Anthropic).
    Paused,
    /// It waits for the results of tools.
    ToolCalls,
    /// A filter held something back.
    ContentFilter,
    /// A reason of the server's own.
    Other(String),
}

impl FinishReason {
    /// The reason of this name in either dialect.
    pub fn from_name(name: &str) -> Self {
        match name {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its name in OpenAI's dialect and in the records.
    pub fn name(&self) -> &str {
        match self {
            Self::Stop | Self::StopString(_) | Self::Paused => "stop",
            Self::Length | Self::WindowFull => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(name) => name,
        }
    }
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Tokens of the prompt, those that a cache had included.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Tokens of the prompt that a cache had, where the server tells.
    pub cached_tokens: Option<u64>,
    /// Tokens of the prompt that were put into a cache, where the server tells.
    pub cache_written_tokens: Option<u64>,
    /// Tokens of the answer that were thoughts, where the server tells.
    pub thinking_tokens: Option<u64>,
    /// Time to load the model, where the server tells, in ms.
    pub load_ms: Option<f64>,
    /// Time to read the prompt, where the server tells, in ms.
    pub prefill_ms: Option<f64>,
    /// Time to write the answer, where the server tells, in ms.
    pub decode_ms: Option<f64>,
}

/// What an answer is told to be, decided by the gateway and not by the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// The answer's id, such as `chatcmpl-…`.
    pub id: String,
    /// The model's public name.
    pub model: String,
    /// When the answer was made, seconds of the Unix epoch.
    pub created_unix: i64,
    /// Tokens of the prompt as far as the gateway knows: a stream of Anthropic's begins with them.
    pub input_tokens: u64,
    /// Whether a stream ends with a usage chunk (OpenAI only).
    pub include_usage: bool,
    /// Whether the model's name is left out.
    pub strip_model: bool,
    /// Whether the time is left out.
    pub strip_created: bool,
}
