//! Embeddings: texts in, vectors out, between OpenAI's API and both of Ollama's.
//!
//! Numbers are 32-bit floats from end to end, as the models make them: they are read from the server's own digits and
//! written with as many as tell each apart, or as base64 of their bytes, little end first.

mod ollama;
mod openai;
mod vector;

use serde_json::{Map, Value};

use crate::{DecodeError, JsonLimits, Outgoing, RequestError, Sampling, ServerApi, ServerDefaults, Shape, ability};

/// Most texts in one request, as OpenAI has it.
pub const EMBED_INPUTS_MAX: usize = 2048;

/// What a client that wants embeddings speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbedApi {
    /// `POST /v1/embeddings`
    OpenAi,
    /// `POST /api/embed`
    Ollama,
    /// `POST /api/embeddings`, Ollama's older API: one prompt, and its vector as the model made it, of any length.
    OllamaSingle,
}

impl EmbedApi {
    /// Reads a request's body; strict, and a fault of the caller's where it fails.
    pub fn parse(self, body: &[u8], limits: &JsonLimits) -> Result<EmbedRequest, RequestError> {
        match self {
            Self::OpenAi => openai::parse(body, limits),
            Self::Ollama => ollama::parse(body, limits),
            Self::OllamaSingle => ollama::parse_single(body, limits),
        }
    }

    /// The body of an answer.
    pub fn write_answer(self, meta: &EmbedMeta, embeddings: &Embeddings) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::write_answer(meta, embeddings),
            Self::Ollama => ollama::write_answer(meta, embeddings),
            Self::OllamaSingle => ollama::write_single(embeddings),
        }
    }

    /// The family of APIs that this one belongs to.
    pub fn shape(self) -> Shape {
        match self {
            Self::OpenAi => Shape::OpenAi,
            Self::Ollama | Self::OllamaSingle => Shape::Ollama,
        }
    }
}

/// One request for embeddings, free of any dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbedRequest {
    /// The model's name as the client wrote it.
    pub model: String,
    /// What is to be embedded. Ollama's clients may send nothing, to have the model loaded.
    pub inputs: Inputs,
    /// How the client wants the numbers.
    pub encoding: Encoding,
    /// How many numbers a vector is to have, where the model lets one choose.
    pub dimensions: Option<u32>,
    /// Ollama's `truncate`: whether what is too long may be cut. OpenAI refuses what is too long, so its clients are
    /// taken to say no.
    pub truncate: Option<bool>,
    /// Ollama's `keep_alive`: seconds as a number or a Go duration such as `"5m"`.
    pub keep_alive: Option<Value>,
    /// Ollama's `options`, of which only `num_ctx` means something here.
    pub sampling: Sampling,
    /// Asked through [`EmbedApi::OllamaSingle`], whose vectors are not scaled to length 1.
    pub single: bool,
    /// The family of APIs whose words the `rest` is in.
    pub family: Shape,
    /// Fields that mean nothing to us; servers of the client's own family get them verbatim.
    pub rest: Map<String, Value>,
}

impl EmbedRequest {
    /// The end user whom the client names.
    pub fn user(&self) -> Option<&str> {
        self.rest.get("user")?.as_str()
    }

    /// Whether there is one vector for each input, as there must be.
    pub fn check(&self, embeddings: &Embeddings) -> Result<(), DecodeError> {
        if embeddings.vectors.len() == self.inputs.len() {
            Ok(())
        } else {
            Err(DecodeError::Lacks("a vector per input"))
        }
    }
}

/// What is to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inputs {
    /// Texts.
    Texts(Vec<String>),
    /// Tokens of the model's own vocabulary, an array per text: servers of the OpenAI kind take them.
    Tokens(Vec<Vec<u32>>),
}

impl Default for Inputs {
    fn default() -> Self {
        Self::Texts(Vec::new())
    }
}

impl Inputs {
    /// How many vectors are wanted.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(arrays) => arrays.len(),
        }
    }

    /// Whether none is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Characters (Unicode scalar values) of all texts; none where tokens were sent.
    pub fn chars(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.iter().map(|text| text.chars().count()).sum(),
            Self::Tokens(_) => 0,
        }
    }

    /// How many tokens were sent, where they are tokens.
    pub fn tokens(&self) -> Option<u64> {
        match self {
            Self::Texts(_) => None,
            Self::Tokens(arrays) => Some(arrays.iter().map(|array| array.len() as u64).sum()),
        }
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As JSON numbers.
    #[default]
    Float,
    /// As base64 of their bytes, little end first (OpenAI).
    Base64,
}

/// What an answer is told to be, decided by the gateway and not by the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedMeta {
    /// The model's public name.
    pub model: String,
    /// How the client wants the numbers ([`EmbedRequest::encoding`]).
    pub encoding: Encoding,
}

/// The answer of a model server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embeddings {
    /// One vector per input, in the inputs' order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of the inputs, where the server tells.
    pub input_tokens: Option<u64>,
    /// Time to load the model, where the server tells, in ms.
    pub load_ms: Option<f64>,
    /// Time for all of it, where the server tells, in ms.
    pub total_ms: Option<f64>,
}

impl ServerApi {
    /// Writes a request for embeddings, asking the server's own `model`; an error where the server cannot do what is
    /// asked.
    pub fn write_embed(
        self,
        request: &EmbedRequest,
        model: &str,
        defaults: &ServerDefaults,
    ) -> Result<Outgoing, RequestError> {
        match self {
            Self::Ollama => ollama::write(request, model, defaults),
            Self::OpenAi => openai::write(request, model),
            Self::Anthropic => Err(ability::refused(self, "an embedding")),
        }
    }

    /// Reads the answer to a request for embeddings. Whether it has a vector per input, see [`EmbedRequest::check`].
    pub fn parse_embeddings(self, body: &[u8]) -> Result<Embeddings, DecodeError> {
        match self {
            Self::Ollama => ollama::parse_embeddings(body),
            Self::OpenAi => openai::parse_embeddings(body),
            Self::Anthropic => Err(DecodeError::Lacks("embeddings")),
        }
    }
}
