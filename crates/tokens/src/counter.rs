//! Counts what a request costs of a model's window.

use serde_json::{Map, Value};
use tollhouse_dialect::{ChatRequest, Message};

use crate::estimate::estimate;
use crate::memory::Memory;
use crate::parts::{self, Piece};
use crate::tokenizer::Tokenizer;

/// Tokens that a chat template puts around a message: its marks, the role, line feeds. ChatML and Llama 3 need 5.
pub const MESSAGE_TOKENS: u64 = 6;
/// Tokens that a chat template puts around the conversation: the beginning of the answer, a system text of its own.
pub const TEMPLATE_TOKENS: u64 = 32;
/// Tokens of a chat template's words about tools, beside their definitions.
pub const TOOLS_TOKENS: u64 = 192;
/// Tokens that a chat template puts around a tool call.
const CALL_TOKENS: u64 = 16;
/// Tokens of a picture unless [`Counter::with_media_tokens`] says otherwise. Models differ: 256 for Gemma 3, by the size
/// of the picture for Qwen-VL.
pub const MEDIA_TOKENS: u64 = 1024;
/// Bytes of a request's text that are counted by the vocabulary; what is beyond is estimated.
pub const COUNT_BYTES_MAX: usize = 1 << 20;

/// Bytes of text that a token has at most on average, when no vocabulary tells.
const AVERAGE_BYTES_MAX: u64 = 16;
/// Tokens by which two texts can be fewer together than alone, where a template joins them.
const SEAM_TOKENS: u64 = 2;

/// Counts the requests of one model. Shared by all requests of that model: it remembers long texts that it has counted,
/// so that a conversation's further turns cost only what is new in them.
#[derive(Debug)]
pub struct Counter {
    tokenizer: Option<Tokenizer>,
    media_tokens: u64,
    memory: Memory,
}

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Tokens of the whole prompt, rather too many than too few.
    pub tokens: u64,
    /// Tokens that the prompt has at the very least, when nothing of what was said has been left out.
    pub at_least: u64,
    /// How they were counted.
    pub source: Source,
}

/// How tokens were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// By the model's own vocabulary; only the chat template's share is a guess.
    Tokenizer,
    /// By the kinds of characters: a conservative guess.
    Estimate,
}

impl Source {
    /// Its name in records and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Estimate => "estimate",
        }
    }
}

impl Counter {
    /// Counts with the model's own vocabulary.
    pub fn exact(tokenizer: Tokenizer) -> Self {
        Self { tokenizer: Some(tokenizer), media_tokens: MEDIA_TOKENS, memory: Memory::default() }
    }

    /// Counts without a vocabulary.
    pub fn estimate() -> Self {
        Self { tokenizer: None, media_tokens: MEDIA_TOKENS, memory: Memory::default() }
    }

    /// Tokens of a picture or a sound, in place of [`MEDIA_TOKENS`].
    #[must_use]
    pub fn with_media_tokens(mut self, tokens: u64) -> Self {
        self.media_tokens = tokens;
        self
    }

    /// How this counter counts.
    pub fn source(&self) -> Source {
        if self.tokenizer.is_some() { Source::Tokenizer } else { Source::Estimate }
    }

    /// Counts a request. CPU work: see the [crate's page](crate#cost) for when to leave the runtime for it.
    pub fn count(&self, request: &ChatRequest) -> Count {
        let (base, messages) = self.count_parts(request);
        messages.iter().fold(base, |sum, message| sum.plus(*message))
    }

    /// Between how many and how many tokens [`count`](Self::count) can find, from lengths alone. Costs next to nothing.
    pub fn bound(&self, request: &ChatRequest) -> (u64, u64) {
        let (mut said, mut most) = (0, self.template_tokens(request));
        let mut add = |piece: Piece<'_>| {
            let bytes = match piece {
                Piece::Said(text) => {
                    said += text.len() as u64;
                    text.len() as u64
                }
                Piece::Text(text) => text.len() as u64,
                Piece::Json(value) => json_bytes(value),
                Piece::Object(map) => object_bytes(map),
                Piece::Media => self.media_tokens,
            };
            // SentencePiece puts a space in front of each text.
            most += bytes + 1;
        };
        parts::of_rest(request, &mut add);
        request.messages.iter().for_each(|message| parts::of_message(message, &mut add));
        most += request.messages.iter().map(around_message).sum::<u64>();
        let longest = self.tokenizer.as_ref().map_or(AVERAGE_BYTES_MAX, |tokenizer| tokenizer.longest() as u64);
        (said / longest.max(1), most)
    }

    /// Counts what is not in messages, and each message.
    pub(crate) fn count_parts(&self, request: &ChatRequest) -> (Count, Vec<Count>) {
        let mut budget = COUNT_BYTES_MAX;
        let mut base = Count { tokens: self.template_tokens(request), at_least: 0, source: self.source() };
        parts::of_rest(request, &mut |piece| base = base.plus(self.count_piece(piece, &mut budget)));
        (base, request.messages.iter().map(|message| self.count_message(message, &mut budget)).collect())
    }

    fn count_message(&self, message: &Message, budget: &mut usize) -> Count {
        let mut count = Count { tokens: around_message(message), at_least: 0, source: self.source() };
        parts::of_message(message, &mut |piece| count = count.plus(self.count_piece(piece, budget)));
        count
    }

    fn count_piece(&self, piece: Piece<'_>, budget: &mut usize) -> Count {
        let (tokens, source) = match piece {
            Piece::Said(text) | Piece::Text(text) => self.count_text(text, budget),
            Piece::Json(value) => self.count_text(&parts::spaced_json(value), budget),
            Piece::Object(map) => self.count_text(&parts::spaced_json(map), budget),
            Piece::Media => (self.media_tokens, self.source()),
        };
        let at_least = match piece {
            Piece::Said(_) if source == Source::Tokenizer => tokens.saturating_sub(SEAM_TOKENS),
            Piece::Said(text) => text.len() as u64 / AVERAGE_BYTES_MAX,
            _ => 0,
        };
        Count { tokens, at_least, source }
    }

    fn count_text(&self, text: &str, budget: &mut usize) -> (u64, Source) {
        let within = budget.checked_sub(text.len());
        let (Some(tokenizer), Some(rest)) = (&self.tokenizer, within) else {
            return (estimate(text) as u64, Source::Estimate);
        };
        *budget = rest;
        (self.memory.or_count(text, || tokenizer.count(text) as u64), Source::Tokenizer)
    }

    /// The template's share beside what it puts around messages.
    fn template_tokens(&self, request: &ChatRequest) -> u64 {
        let around = self.tokenizer.as_ref().map_or(1, |tokenizer| tokenizer.around().into());
        let template = if parts::has_template(request) { TEMPLATE_TOKENS } else { 0 };
        let tools = if request.tools.is_some() { TOOLS_TOKENS } else { 0 };
        around + template + tools
    }
}

impl Count {
    /// Whether the model's server read less than was sent, by the number of prompt tokens that it tells afterwards
    /// (`prompt_eval_count`, `prompt_tokens`). Ollama drops the oldest messages without a word when they do not fit.
    ///
    /// A server that tells nothing (0) is not suspected. Without a vocabulary only gross losses are found.
    pub fn is_truncated_by_server(&self, prompt_eval_count: u64) -> bool {
        prompt_eval_count > 0 && prompt_eval_count < self.at_least
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let exact = self.source == Source::Tokenizer && other.source == Source::Tokenizer;
        Self {
            tokens: self.tokens + other.tokens,
            at_least: self.at_least + other.at_least,
            source: if exact { Source::Tokenizer } else { Source::Estimate },
        }
    }

    /// Without a message that was counted in.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self { tokens: self.tokens - other.tokens, at_least: self.at_least - other.at_least, ..self }
    }
}

fn around_message(message: &Message) -> u64 {
    MESSAGE_TOKENS + CALL_TOKENS * message.tool_calls.len() as u64
}

/// Bytes of a value as [`parts::spaced_json`] writes it, at most.
fn json_bytes(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 32,
        Value::String(text) => string_bytes(text),
        Value::Array(items) => 2 + items.iter().map(|item| 2 + json_bytes(item)).sum::<u64>(),
        Value::Object(map) => object_bytes(map),
    }
}

fn object_bytes(map: &Map<String, Value>) -> u64 {
    2 + map.iter().map(|(key, value)| 4 + string_bytes(key) + json_bytes(value)).sum::<u64>()
}

fn string_bytes(text: &str) -> u64 {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 1,
        0..b' ' => 5,
        _ => 0,
    });
    2 + text.len() as u64 + escapes.sum::<u64>()
}
