//! OpenAI chat completions: requests, answers and server-sent events.

pub mod completions;
mod decode;
mod encode;
mod parse;
pub mod responses;
mod write;

pub(crate) use encode::write_error;

pub use decode::{Decoder, parse_completion};
pub use encode::{StreamEncoder, error_body, write_answer, write_completion};
pub use parse::parse_chat;
pub use write::write_chat;
