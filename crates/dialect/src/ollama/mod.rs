//! Ollama's native chat: requests, answers and lines of JSON.

mod decode;
mod encode;
pub mod generate;
mod parse;
mod write;

pub use decode::{Decoder, parse_completion};
pub use encode::{StreamEncoder, error_body, write_answer, write_completion};
pub use parse::parse_chat;
pub(crate) use parse::{RUNNER_OPTIONS, read_keep_alive, read_options, read_think};
pub use write::{KEEP_ALIVE_SECONDS_MAX, write_chat};
pub(crate) use write::{bounded_keep_alive, options};

pub use crate::ServerDefaults as OllamaDefaults;
