//! What is to be told of a request when it has ended. No words of prompts or answers are in it.

use std::time::Duration;

use crate::TraceContext;

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered.
    #[default]
    Ok,
    /// Its client left before the end.
    Cancelled,
    /// It was not as it may be, or not allowed: the client's side.
    Refused,
    /// It failed, or broke off in the middle of its answer: our side, or the model server's.
    Failed,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Cancelled, Self::Refused, Self::Failed];

    /// The word in labels and attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// From how it was answered, whether something went wrong, and whether the client left.
    pub fn of(status: u16, has_error: bool, is_cancelled: bool) -> Self {
        match status {
            _ if is_cancelled => Self::Cancelled,
            500.. => Self::Failed,
            400.. => Self::Refused,
            // It broke off after its status was told.
            _ if has_error => Self::Failed,
            _ => Self::Ok,
        }
    }
}

/// A model server that was asked in vain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Its name.
    pub upstream: String,
    /// When it was asked, from the request's head on.
    pub began: Duration,
    /// When it had failed.
    pub ended: Duration,
    /// Why, by a stable word.
    pub reason: &'static str,
}

/// A request that has ended. Times are milliseconds; those that stand for a moment count from the complete head.
#[derive(Clone, Debug, Default)]
pub struct Finished<'a> {
    /// Its place in a trace, where traces are told.
    pub trace: Option<TraceContext>,
    /// The client's trace where no traces are told, in hexadecimal digits.
    pub trace_id: Option<&'a str>,
    /// Its id.
    pub request_id: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// `chat`, `text_completion` or `embeddings` (OpenTelemetry's words), where a model was to do something.
    pub operation: Option<&'static str>,
    /// Status told.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused or failed: one of [`crate::REASONS`].
    pub reason: Option<&'static str>,
    /// The limit that stood in its way: one of [`crate::LIMITS`].
    pub limit: Option<&'static str>,
    /// A probe of our own sent it, not a user.
    pub is_probe: bool,
    /// Public name of the model that answered or was to; `None` where no such model is known: a client may write anything.
    pub model: Option<&'a str>,
    /// The model that was asked for, where another one answered.
    pub asked_model: Option<&'a str>,
    /// The model server that answered, or was asked last.
    pub upstream: Option<&'a str>,
    /// Public id of the key.
    pub key_id: Option<&'a str>,
    /// The client's address.
    pub client_ip: &'a str,
    /// Whether the answer was to come piece by piece.
    pub is_stream: bool,
    /// Why the model stopped.
    pub finish_reason: Option<&'a str>,
    /// How many model servers were asked.
    pub attempts: u32,
    /// Those of them that failed.
    pub failed: Vec<Attempt>,
    /// From the head to the last byte of the answer.
    pub duration_ms: f64,
    /// When the server began to answer.
    pub replied_ms: Option<f64>,
    /// How long the exchange with it had taken by then.
    pub exchange_ms: Option<f64>,
    /// Waiting for its turn.
    pub queue_ms: Option<f64>,
    /// Until a connection to the server was there.
    pub connect_ms: Option<f64>,
    /// Loading the model, as the server tells it.
    pub load_ms: Option<f64>,
    /// Reading the prompt, as the server tells it.
    pub prefill_ms: Option<f64>,
    /// The moment of the first token.
    pub ttft_ms: Option<f64>,
    /// Writing the answer.
    pub decode_ms: Option<f64>,
    /// Output tokens for each second of writing.
    pub tokens_per_second: Option<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Tokens of the prompt that the server's cache had.
    pub cached_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_say_whose_side_it_was() {
        for (status, has_error, is_cancelled, expected) in [
            (200, false, false, Outcome::Ok),
            (200, true, false, Outcome::Failed),
            (200, false, true, Outcome::Cancelled),
            (499, false, true, Outcome::Cancelled),
            (429, true, false, Outcome::Refused),
            (404, false, false, Outcome::Refused),
            (503, true, false, Outcome::Failed),
            (0, false, false, Outcome::Ok),
        ] {
            assert_eq!(Outcome::of(status, has_error, is_cancelled), expected, "{status} {has_error} {is_cancelled}");
        }
    }
}
