//! Anthropic's Messages: requests, answers and server-sent events, for clients and for servers that speak it.

mod decode;
mod encode;
mod error;
mod parse;
mod thinking;
mod whole;
mod write;

pub use decode::{Decoder, parse_answer};
pub use encode::{StreamEncoder, write_count};
pub(crate) use error::write_error;
pub use parse::{parse_count, parse_messages};
pub use whole::write_answer;
pub use write::{ANSWER_TOKENS_DEFAULT, write_messages};
