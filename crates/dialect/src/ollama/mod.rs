//! Ollama's native chat: requests, answers and lines of JSON.

mod decode;
mod encode;
pub mod generate;
mod parse;
mod show;
mod write;

pub use decode::{Decoder, parse_answer};
pub(crate) use encode::error_body;
pub use encode::{StreamEncoder, write_answer};
pub use parse::parse_chat;
pub(crate) use parse::{NUM_CTX_MAX, RUNNER_OPTIONS, read_keep_alive, read_options, read_think};
pub use show::parse_show;
pub use write::{KEEP_ALIVE_SECONDS_MAX, KEEP_ALIVE_SECONDS_MIN, write_chat};
pub(crate) use write::{bounded_keep_alive, options};
