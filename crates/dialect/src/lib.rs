//! Translates requests and answers between the wire formats of OpenAI, Anthropic and Ollama.
//!
//! All meet in one typed middle form. A client's body becomes a [`ChatRequest`]; the request is written for the server
//! that will answer; the server's bytes become [`Event`]s; the events are written for the client:
//!
//! ```text
//! client ──Api::parse──▶ ChatRequest ──ServerApi::write──▶ model server
//! client ◀──Encoder / Api::write_answer── Event ◀──ServerDecoder / ServerApi::parse_answer── model server
//! ```
//!
//! [`Api`] is what a client speaks, [`ServerApi`] what a model server speaks; behind them stands one module per family,
//! [`openai`], [`anthropic`] and [`ollama`], with one file per direction: `parse`, `write`, `decode`, `encode`. What a
//! kind of server cannot do stands in the tables of `ability`, what none may be asked in `address`. [`EmbedApi`] is the same
//! for embeddings.
//!
//! What this crate never does: no input or output, no clock, no randomness (ids and times come in through [`Meta`]), no
//! forwarding of bytes that it has not parsed, no silent loss: what a server cannot do is a [`RequestError`].
//!
//! ```
//! use tollhouse_dialect::{Api, JsonLimits, ServerApi, ServerDefaults};
//!
//! let body = br#"{"model":"qwen3:4b","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":8}"#;
//! let request = Api::OpenAiChat.parse(body, &JsonLimits::default())?;
//! let sent = ServerApi::Ollama.write(&request, "qwen3:4b", &ServerDefaults::default())?;
//! assert_eq!(sent.path, "/api/chat");
//! assert!(String::from_utf8_lossy(&sent.body).contains(r#""options":{"num_predict":8}"#));
//! # Ok::<(), tollhouse_dialect::RequestError>(())
//! ```

mod ability;
mod address;
mod answer;
pub mod anthropic;
mod api;
mod embed;
mod error;
mod json;
mod lines;
mod middle;
pub mod ollama;
pub mod openai;
mod sse;
mod wire;

pub use answer::{Event, FinishReason, Meta, Usage};
pub use api::{Api, Encoder, ErrorInfo, Outgoing, ServerApi, ServerDecoder, ServerDefaults, Shape};
pub use embed::{EMBED_INPUTS_MAX, EmbedApi, EmbedMeta, EmbedRequest, Embeddings, Encoding, Inputs};
pub use error::{AnswerError, DecodeError, RequestError};
pub use json::{JsonLimits, NODES_MAX};
pub use lines::{LAST_LINE_BYTES_MAX, LINE_BYTES_MAX};
pub use middle::{
    Arguments, ChatRequest, Content, Format, Image, Message, Part, Prompt, Role, Sampling, Template, Think, Thinking,
    ToolCall,
};
pub use wire::TOOL_ARGUMENTS_BYTES_MAX;
