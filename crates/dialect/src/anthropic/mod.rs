//! Anthropic's Messages: requests, answers and server-sent events, for clients and for servers that speak it.

mod error;

pub(crate) use error::write_error;
