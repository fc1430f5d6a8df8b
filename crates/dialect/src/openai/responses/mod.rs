//! OpenAI's Responses (`/v1/responses`) for clients; to every model server such a request is a chat.
//!
//! Nothing is stored: an answer says `"store":false` whatever was asked, and a request that goes on from a stored one
//! (`previous_response_id`, `conversation`, `item_reference`) is refused. Tools that OpenAI's own servers run
//! (`web_search`, `code_interpreter`, …) are refused too. The forms of requests, answers and events are those of the
//! types in OpenAI's Python client 3.52.

mod answer;
mod encode;
mod items;
mod parse;
mod tools;

pub use answer::write_answer;
pub use encode::{RESPONSE_BYTES_MAX, StreamEncoder};
pub use parse::parse;
