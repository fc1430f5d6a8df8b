//! What can be wrong with a client's request and with a server's answer.

/// A request that cannot be accepted or cannot be done by the chosen kind of server; always the caller's to mend (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not the JSON that we accept: syntax, encoding, a duplicate key, nested too deeply.
    #[error("invalid JSON at line {line} column {column}: {message}")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column (in bytes) of the fault, from 1.
        column: usize,
        /// What was found or expected.
        message: String,
    },
    /// A field has a wrong type or value.
    #[error("{field} {problem}")]
    Field {
        /// The field's path, such as `messages[2].content`.
        field: String,
        /// The rest of the sentence, such as `must be a string`.
        problem: String,
    },
    /// More messages than the configuration allows.
    #[error("too many messages: {found}, max {max}")]
    TooManyMessages {
        /// How many were sent.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The request is sound, but the server that would answer it cannot do what it asks.
    #[error("{0}")]
    Unsupported(String),
}

impl RequestError {
    /// The path of the field that is at fault, for the `param` of an OpenAI error.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Field { field, .. } => Some(field),
            _ => None,
        }
    }

    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }
}

/// An answer of a model server that is not what its dialect promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line or one server-sent event exceeds [`LINE_BYTES_MAX`](crate::LINE_BYTES_MAX).
    #[error("a line of the answer is longer than {max} bytes")]
    LineTooLong {
        /// The bound.
        max: usize,
    },
    /// A line or body that should be JSON is not.
    #[error("the answer is not valid JSON: {0}")]
    Json(String),
    /// The bytes are no stream of this dialect at all, an HTML page for instance.
    #[error("the answer is not in the expected format, it starts with {0:?}")]
    NotAStream(String),
    /// The body is the server's own error object, though the status said success.
    #[error("the server reported: {0}")]
    Reported(String),
    /// The JSON lacks what every answer has.
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
    /// The stream ended before its terminal marker.
    #[error("the answer ended before its end marker")]
    Truncated,
}

/// An answer of a model that the client's dialect has no form for; the model server's fault (502).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The arguments of a tool call are no JSON object, which Ollama's form and Anthropic's need.
    #[error("the model made a tool call that is not valid JSON, please try again")]
    BadCall,
}
