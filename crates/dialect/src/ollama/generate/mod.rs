//! Ollama's generate (`/api/generate`): a prompt in, and out the text that goes on from it or answers it.
//!
//! A prompt without text asks for no answer but for the model to be loaded. An Ollama server does that and says so by
//! `done_reason`; for servers that hold one model always, see [`at_once`]. With `keep_alive` 0 it asks for the model to be
//! unloaded, which is refused: others may be using it.
//! The lines of an answer differ from a chat's in the text's place only, so [`Decoder`](super::Decoder) reads both.

mod encode;
mod parse;
mod write;

pub use encode::{StreamEncoder, write_answer};
pub use parse::parse;
pub use write::{as_chat, at_once, write};
