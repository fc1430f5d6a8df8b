//! Ollama's native chat: requests, answers and lines of JSON.

mod decode;
mod encode;
mod parse;
mod write;

pub use decode::{Decoder, parse_completion};
pub use encode::{StreamEncoder, error_body, write_answer, write_completion};
pub use parse::parse_chat;
pub use write::{KEEP_ALIVE_SECONDS_MAX, write_chat};

pub use crate::ServerDefaults as OllamaDefaults;
