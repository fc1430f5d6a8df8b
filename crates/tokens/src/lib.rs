//! Counts the tokens of a request, and makes it fit the window of its model.
//!
//! - [`Tokenizer`] counts a text exactly, with the model's own vocabulary: from GGUF metadata as Ollama's `/api/show`
//!   tells it ([`Tokenizer::from_ggml`]) or from a `tokenizer.json` ([`Tokenizer::from_file`]). [`estimate`] guesses without
//!   one.
//! - [`Counter`] counts whole requests with either, and says which ([`Source`]). It remembers long texts, because each turn
//!   of a conversation sends all earlier ones again.
//! - [`fit`] asks for the fewest counts that decide whether a request fits, and refuses, truncates or routes it
//!   ([`Overflow`]) when it does not.
//! - [`Count::is_truncated_by_server`] finds a model server that read less than it was sent, and said nothing.
//!
//! ```
//! use tollhouse_dialect::{ChatRequest, Message, Role};
//! use tollhouse_tokens::{Counter, Fit, Overflow, fit};
//!
//! let counter = Counter::estimate();
//! let messages = vec![Message::text(Role::User, "x ".repeat(5000)), Message::text(Role::User, "And now?")];
//! let mut request = ChatRequest { messages, ..ChatRequest::default() };
//! let outcome = fit(&mut request, 4096, &counter, Overflow::Truncate);
//! assert!(matches!(outcome, Fit::Truncated { dropped_messages: 1, .. }));
//! assert_eq!(request.last_user_text(), "And now?");
//! ```
//!
//! # What is exact
//!
//! The text of a request is counted as the model's server counts it: byte-level BPE of the families that
//! `tokenizer.ggml.pre` names (Qwen 2 to 3.5, Llama 3, GPT-2, gpt-oss, DeepSeek, Mistral's Tekken, Falcon, StarCoder,
//! Command R, …), SentencePiece with scores (Llama 2, Mistral, Phi 3, Gemma) and Gemma 4. llama.cpp's own cases for
//! fourteen real vocabularies of these kinds, 181 texts sent to a real Ollama for each family, and the Python package
//! `tokenizers` gave the same numbers. The one exception is llama.cpp itself with DeepSeek's families, where it cuts a few
//! signs (`^`, `~`, U+3000) otherwise than the model's own tokenizer, which is followed here. A vocabulary of another kind
//! is an error, never a wrong number: then count with [`Counter::estimate`].
//!
//! What a chat template adds is not in the vocabulary. [`MESSAGE_TOKENS`], [`TEMPLATE_TOKENS`] and [`TOOLS_TOKENS`] stand
//! for it, chosen so that the count is rather too high: with [`Source::Tokenizer`] by a few tokens a message.
//! [`MEDIA_TOKENS`] stands for a picture. Of a request's text [`COUNT_BYTES_MAX`] bytes are counted; where there is more,
//! the further messages are estimated, and the whole count is an [`Source::Estimate`].
//!
//! # Cost
//!
//! [`Counter::bound`] looks at lengths alone, and a request of fewer bytes than the window has room for tokens needs no
//! more: [`fit`] counts the others only. 56 kB of English in one message take 4 to 6 ms in an optimised build on one of
//! two busy cores (SentencePiece and Gemma 4 15 to 30 ms, a debug build eight times as long) and 0.02 ms when they come
//! again. Time grows with n log n at worst: the most that one request can cost is 0.3 to 0.8 s, for [`COUNT_BYTES_MAX`]
//! bytes without a space.
//!
//! That is CPU work: **above 16 KiB of text call [`fit`] and [`Counter::count`] off the runtime** (`spawn_blocking`); below
//! it they take about a millisecond, the first time of a model a few. Reading a vocabulary takes 0.02 to 0.6 s and always
//! belongs off the runtime. The tokenizer then holds 4 MB (Llama 2), 16 MB (Qwen), 24 MB (Llama 3) or 43 MB (Gemma 4):
//! make one [`Counter`] per model, when it is first needed, and share it.
//!
//! # Why not the `tokenizers` crate
//!
//! It was measured first (0.23.2, no default features, `fancy-regex`): 32 ms for the same 56 kB, 80 MB for Llama 3's
//! vocabulary, 30 further crates of which one is unmaintained, and a backtracking pattern engine that stops in the middle
//! of a text when it has backtracked too often, without an error. Counting needs neither offsets nor decoding nor
//! training, and without them the algorithm is small. The crate's Python form is the reference that the tests compare
//! with.
//!
//! # What it never does
//!
//! No network, no clock, no runtime; the only file that it opens is the one given to [`Tokenizer::from_file`]. It keeps no
//! text. It does not run chat templates.

mod counter;
mod error;
mod estimate;
mod families;
mod file;
mod fit;
mod ggml;
mod memory;
mod merge;
mod parts;
mod split;
mod tokenizer;
mod visible;

pub use counter::{
    COUNT_BYTES_MAX, Count, Counter, MEDIA_TOKENS, MESSAGE_TOKENS, Source, TEMPLATE_TOKENS, TOOLS_TOKENS,
};
pub use error::TokensError;
pub use estimate::estimate;
pub use file::FILE_BYTES_MAX;
pub use fit::{ANSWER_TOKENS, Fit, Overflow, allowed, fit};
pub use tokenizer::{MERGES_MAX, PIECE_BYTES_MAX, TOKENS_MAX, Tokenizer};
