//! OpenAI's text completions (`/v1/completions`): a prompt in, a text that goes on from it out.
//!
//! Servers of the OpenAI kind answer these in their chat decoder's form but for the text's place, so
//! [`Decoder`](super::Decoder) reads both.

mod encode;
mod logprobs;
mod parse;
mod write;

pub(super) use logprobs::Probabilities;

pub use encode::{StreamEncoder, write_answer};
pub use parse::parse;
pub use write::write;

use crate::{ChatRequest, Prompt, Template};

/// Whether servers of the OpenAI kind go on from this prompt as it is; else it is a chat to them.
pub(crate) fn takes(prompt: &Prompt) -> bool {
    !prompt.text.is_empty() && (prompt.template != Template::Model || prompt.suffix.is_some())
}

/// The prompt, where the answer begins with it and we put it there: few servers know `echo`. Only with probabilities is
/// it left to the server, for it alone knows those of the prompt.
fn echoed(request: &ChatRequest) -> Option<&str> {
    let prompt = request.prompt.as_ref()?;
    (prompt.echo && !request.logprobs).then_some(prompt.text.as_str())
}
