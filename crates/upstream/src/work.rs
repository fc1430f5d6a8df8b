//! What is asked of a model: a chat or embeddings.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;
use tollhouse_dialect::{
    ChatRequest, EmbedRequest, Embeddings, Outgoing, RequestError, Role, ServerApi, ServerDefaults,
};

use crate::stream::EventStream;

/// How much of a text without a conversation tells it from others, in bytes.
const PROMPT_PREFIX_BYTES: usize = 4096;

#[derive(Debug, Clone)]
pub(crate) enum Work {
    Chat(Arc<ChatRequest>),
    Embed(Arc<EmbedRequest>),
}

/// What came of it.
pub(crate) enum Product {
    Events(EventStream),
    Embeddings(Embeddings),
}

impl Work {
    /// The model as the client names it.
    pub(crate) fn model(&self) -> &str {
        match self {
            Self::Chat(request) => &request.model,
            Self::Embed(request) => &request.model,
        }
    }

    /// Whether the answer is to come piece by piece.
    pub(crate) fn streamed(&self) -> bool {
        match self {
            Self::Chat(request) => request.stream,
            Self::Embed(_) => false,
        }
    }

    /// Whether the model may call tools.
    pub(crate) fn offers_tools(&self) -> bool {
        match self {
            Self::Chat(request) => {
                request.tools.as_ref().and_then(Value::as_array).is_some_and(|tools| !tools.is_empty())
            }
            Self::Embed(_) => false,
        }
    }

    /// The context length that the client wishes for, in tokens.
    pub(crate) fn num_ctx(&self) -> Option<u32> {
        match self {
            Self::Chat(request) => request.sampling.num_ctx,
            Self::Embed(request) => request.sampling.num_ctx,
        }
    }

    pub(crate) fn write(
        &self,
        api: ServerApi,
        model: &str,
        defaults: &ServerDefaults,
    ) -> Result<Outgoing, RequestError> {
        match self {
            Self::Chat(request) => api.write(request, model, defaults),
            Self::Embed(request) => api.write_embed(request, model, defaults),
        }
    }

    /// A number that the requests of one conversation have in common: of all up to the first thing that the user says.
    pub(crate) fn prefix(&self) -> Option<u64> {
        let Self::Chat(request) = self else { return None };
        let mut hasher = DefaultHasher::new();
        request.model.hash(&mut hasher);
        for message in &request.messages {
            message.content.text().hash(&mut hasher);
            if message.role == Role::User {
                break;
            }
        }
        if let Some(prompt) = &request.prompt {
            let bytes = prompt.text.as_bytes();
            bytes[..bytes.len().min(PROMPT_PREFIX_BYTES)].hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_dialect::Message;

    use super::*;

    #[test]
    fn a_conversation_keeps_its_prefix() {
        let prefix = |texts: &[(Role, &str)]| {
            let messages = texts.iter().map(|(role, text)| Message::text(*role, *text)).collect();
            Work::Chat(Arc::new(ChatRequest { model: "m".into(), messages, ..ChatRequest::default() })).prefix()
        };
        let first = [(Role::System, "be kind"), (Role::User, "hi")];
        let later = [first[0], first[1], (Role::Assistant, "hello"), (Role::User, "and now?")];
        assert_eq!(prefix(&first), prefix(&later));
        assert_ne!(prefix(&first), prefix(&[first[0], (Role::User, "ho")]));
    }
}
