//! OpenAI chat completions: requests, answers and server-sent events.

mod chunks;
pub mod completions;
mod decode;
mod encode;
mod parse;
pub mod responses;
mod write;

pub(crate) use encode::write_error;

pub use decode::{Decoder, parse_answer};
pub use encode::{StreamEncoder, write_answer};
pub use parse::parse_chat;
pub use write::write_chat;
