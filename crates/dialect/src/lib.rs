//! Translates chat requests and answers between the OpenAI and the Ollama wire formats.
//!
//! Both dialects meet in one typed middle form. A client's body becomes a [`ChatRequest`]; the request is written in
//! the dialect of the server that will answer; the server's bytes become [`Event`]s; the events are written in the
//! dialect that the client speaks:
//!
//! ```text
//! client ──parse_chat──▶ ChatRequest ──write_chat──▶ model server
//! client ◀──StreamEncoder / write_completion── Event ◀──Decoder / parse_completion── model server
//! ```
//!
//! [`openai`] and [`ollama`] hold the same functions under the same names, one file per direction: `parse`, `write`,
//! `decode`, `encode`.
//!
//! What this crate never does: no input or output, no clock, no randomness (ids and times come in through [`Meta`]), no
//! forwarding of bytes that it has not parsed, no silent loss: what a server cannot do is a [`RequestError`].
//!
//! ```
//! use tollhouse_dialect::{JsonLimits, ollama, openai};
//!
//! let body = br#"{"model":"qwen3:4b","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":8}"#;
//! let request = openai::parse_chat(body, &JsonLimits::default())?;
//! let sent = ollama::write_chat(&request, "qwen3:4b", &ollama::OllamaDefaults::default())?;
//! assert!(String::from_utf8_lossy(&sent).contains(r#""options":{"num_predict":8}"#));
//! # Ok::<(), tollhouse_dialect::RequestError>(())
//! ```

mod ability;
pub mod anthropic;
mod api;
mod embed;
mod error;
mod json;
mod lines;
mod middle;
pub mod ollama;
pub mod openai;
mod wire;

pub use api::{Api, Encoder, ErrorInfo, Outgoing, ServerApi, ServerDecoder, ServerDefaults, Shape};
pub use embed::{EMBED_INPUTS_MAX, EmbedApi, EmbedMeta, EmbedRequest, Embeddings, Encoding, Inputs};
pub use error::{AnswerError, DecodeError, RequestError};
pub use json::{JsonLimits, NODES_MAX};
pub use lines::LINE_BYTES_MAX;
pub use middle::{
    Arguments, ChatRequest, Content, Event, FinishReason, Format, Image, Message, Meta, Part, Prompt, Role, Sampling,
    Template, Think, Thinking, ToolCall, Usage,
};
pub use wire::TOOL_ARGUMENTS_BYTES_MAX;
