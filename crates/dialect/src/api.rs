//! Every API of a client and of a model server behind one type each: what the crates above this one talk to.

use serde_json::{Map, Value};

use crate::{AnswerError, ChatRequest, DecodeError, Event, JsonLimits, Meta, RequestError, anthropic, ollama, openai};

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`
    OpenAiChat,
    /// `POST /v1/completions`
    OpenAiCompletions,
    /// `POST /v1/responses`
    OpenAiResponses,
    /// `POST /v1/messages`
    AnthropicMessages,
    /// `POST /api/chat`
    OllamaChat,
    /// `POST /api/generate`
    OllamaGenerate,
}

impl Api {
    /// Reads a request's body; strict, and a fault of the caller's where it fails.
    pub fn parse(self, body: &[u8], limits: &JsonLimits) -> Result<ChatRequest, RequestError> {
        match self {
            Self::OpenAiChat => openai::parse_chat(body, limits),
            Self::OpenAiCompletions => openai::completions::parse(body, limits),
            Self::OpenAiResponses => openai::responses::parse(body, limits),
            Self::AnthropicMessages => anthropic::parse_messages(body, limits),
            Self::OllamaChat => ollama::parse_chat(body, limits),
            Self::OllamaGenerate => ollama::generate::parse(body, limits),
        }
    }

    /// The content type of an answer that is streamed.
    pub fn stream_type(self) -> &'static str {
        match self.shape() {
            Shape::OpenAi | Shape::Anthropic => "text/event-stream",
            Shape::Ollama => "application/x-ndjson",
        }
    }

    /// The writer of one streamed answer.
    pub fn encoder(self, meta: Meta, request: &ChatRequest) -> Encoder {
        match self {
            Self::OpenAiChat => Encoder::OpenAiChat(openai::StreamEncoder::new(meta, request)),
            Self::OpenAiCompletions => {
                Encoder::OpenAiCompletions(openai::completions::StreamEncoder::new(meta, request))
            }
            Self::OpenAiResponses => Encoder::OpenAiResponses(openai::responses::StreamEncoder::new(meta, request)),
            Self::AnthropicMessages => Encoder::AnthropicMessages(anthropic::StreamEncoder::new(meta)),
            Self::OllamaChat => Encoder::OllamaChat(ollama::StreamEncoder::new(meta)),
            Self::OllamaGenerate => Encoder::OllamaGenerate(ollama::generate::StreamEncoder::new(meta)),
        }
    }

    /// The body of an answer that is sent whole; an error where this API has no form for what the model said.
    pub fn write_answer(self, meta: &Meta, request: &ChatRequest, events: &[Event]) -> Result<Vec<u8>, AnswerError> {
        match self {
            Self::OpenAiChat => Ok(openai::write_answer(meta, request, events)),
            Self::OpenAiCompletions => Ok(openai::completions::write_answer(meta, request, events)),
            Self::OpenAiResponses => Ok(openai::responses::write_answer(meta, request, events)),
            Self::AnthropicMessages => anthropic::write_answer(meta, events),
            Self::OllamaChat => ollama::write_answer(meta, events),
            Self::OllamaGenerate => Ok(ollama::generate::write_answer(meta, events)),
        }
    }

    /// The family of APIs that this one belongs to.
    pub fn shape(self) -> Shape {
        match self {
            Self::OpenAiChat | Self::OpenAiCompletions | Self::OpenAiResponses => Shape::OpenAi,
            Self::AnthropicMessages => Shape::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate => Shape::Ollama,
        }
    }

    /// What an answer's id begins with; empty where answers have none.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::OpenAiChat => "chatcmpl-",
            Self::OpenAiCompletions => "cmpl-",
            Self::OpenAiResponses => "resp_",
            Self::AnthropicMessages => "msg_",
            Self::OllamaChat | Self::OllamaGenerate => "",
        }
    }
}

/// Writes one streamed answer in the client's API. It ends with [`end`](Self::end) or with [`error`](Self::error);
/// after either, nothing more is written.
#[derive(Debug)]
pub enum Encoder {
    /// Server-sent events of chat completions.
    OpenAiChat(openai::StreamEncoder),
    /// Server-sent events of text completions.
    OpenAiCompletions(openai::completions::StreamEncoder),
    /// Server-sent events of Responses.
    OpenAiResponses(openai::responses::StreamEncoder),
    /// Server-sent events of Anthropic's Messages.
    AnthropicMessages(anthropic::StreamEncoder),
    /// Lines of JSON of Ollama's chat.
    OllamaChat(ollama::StreamEncoder),
    /// Lines of JSON of Ollama's generate.
    OllamaGenerate(ollama::generate::StreamEncoder),
}

/// Calls one method of whichever encoder it is.
macro_rules! each {
    ($this:expr, $encoder:ident => $call:expr) => {
        match $this {
            Encoder::OpenAiChat($encoder) => $call,
            Encoder::OpenAiCompletions($encoder) => $call,
            Encoder::OpenAiResponses($encoder) => $call,
            Encoder::AnthropicMessages($encoder) => $call,
            Encoder::OllamaChat($encoder) => $call,
            Encoder::OllamaGenerate($encoder) => $call,
        }
    };
}

impl Encoder {
    /// Appends what one event is in this API; some are nothing.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        each!(self, encoder => encoder.encode(event, out));
    }

    /// Appends what several events are, in order.
    pub fn encode_all(&mut self, events: &[Event], out: &mut Vec<u8>) {
        each!(self, encoder => for event in events { encoder.encode(event, out) });
    }

    /// Appends the terminal marker; nothing after an error.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        each!(self, encoder => encoder.end(out));
    }

    /// Appends the API's error event, after which nothing more is written.
    pub fn error(&mut self, error: &ErrorInfo, out: &mut Vec<u8>) {
        each!(self, encoder => encoder.fail(error, out));
    }

    /// Appends a sign of life that every client of this API reads over.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        each!(self, encoder => encoder.keep_alive(out));
    }
}

/// A family of APIs with one form of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// `{"error":{"message","type","param","code"}}`
    #[default]
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Anthropic,
    /// `{"error":"…"}`
    Ollama,
}

impl Shape {
    /// The body of an error.
    pub fn error_body(self, error: &ErrorInfo) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::write_error(error),
            Self::Anthropic => anthropic::write_error(error),
            Self::Ollama => ollama::error_body(error.message),
        }
    }
}

/// An error as a client is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorInfo<'a> {
    /// The status of HTTP that it has, or would have if the answer had not begun.
    pub status: u16,
    /// OpenAI's `type`, such as `invalid_request_error`.
    pub kind: &'a str,
    /// OpenAI's `code`, such as `model_not_found`.
    pub code: Option<&'a str>,
    /// The path of the field at fault ([`RequestError::param`]).
    pub param: Option<&'a str>,
    /// A sentence for people.
    pub message: &'a str,
    /// The gateway's id of the request.
    pub request_id: &'a str,
}

impl ErrorInfo<'static> {
    /// A fault of nobody in particular, to be filled in.
    pub(crate) const SERVER: Self =
        Self { status: 500, kind: "server_error", code: None, param: None, message: "", request_id: "" };
}

/// What a model server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerApi {
    /// Ollama's native API.
    Ollama,
    /// OpenAI's, as vLLM, llama.cpp's server, SGLang and LM Studio have it.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
}

/// A request as a model server takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What follows the server's base URL.
    pub path: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// What the configuration says about a model on a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerDefaults {
    /// The one context length for everybody, in tokens: differing ones make Ollama load the model anew.
    pub num_ctx: Option<u32>,
    /// How long Ollama keeps the model loaded; wins over the client's wish.
    pub keep_alive: Option<Value>,
    /// Options by Ollama's names that hold where the client says nothing. Those that configure the runner are allowed
    /// here and go to Ollama servers only.
    pub options: Map<String, Value>,
}

impl ServerApi {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::OpenAi => "OpenAI",
            Self::Anthropic => "Anthropic",
        }
    }

    /// Writes a request, asking the server's own `model`; an error where the server cannot do what is asked.
    pub fn write(
        self,
        request: &ChatRequest,
        model: &str,
        defaults: &ServerDefaults,
    ) -> Result<Outgoing, RequestError> {
        let (path, body) = match (self, &request.prompt) {
            (Self::Ollama, None) => ("/api/chat", ollama::write_chat(request, model, defaults)?),
            (Self::Ollama, Some(prompt)) => {
                ("/api/generate", ollama::generate::write(request, prompt, model, defaults)?)
            }
            (Self::OpenAi, None) => ("/chat/completions", openai::write_chat(request, model, defaults)?),
            (Self::OpenAi, Some(prompt)) if openai::completions::takes(prompt) => {
                ("/completions", openai::completions::write(request, prompt, model, defaults)?)
            }
            (Self::OpenAi, Some(_)) => {
                ("/chat/completions", openai::write_chat(&ollama::generate::as_chat(request)?, model, defaults)?)
            }
            (Self::Anthropic, None) => ("/v1/messages", anthropic::write_messages(request, model, defaults)?),
            (Self::Anthropic, Some(_)) => {
                ("/v1/messages", anthropic::write_messages(&ollama::generate::as_chat(request)?, model, defaults)?)
            }
        };
        Ok(Outgoing { path, body })
    }

    /// The reader of one streamed answer.
    pub fn decoder(self) -> ServerDecoder {
        match self {
            Self::Ollama => ServerDecoder::Ollama(ollama::Decoder::new()),
            Self::OpenAi => ServerDecoder::OpenAi(openai::Decoder::new()),
            Self::Anthropic => ServerDecoder::Anthropic(anthropic::Decoder::new()),
        }
    }

    /// Reads an answer that came whole.
    pub fn parse_answer(self, body: &[u8]) -> Result<Vec<Event>, DecodeError> {
        match self {
            Self::Ollama => ollama::parse_answer(body),
            Self::OpenAi => openai::parse_answer(body),
            Self::Anthropic => anthropic::parse_answer(body),
        }
    }
}

/// Reads one streamed answer of a model server, however its bytes are cut into pieces.
#[derive(Debug)]
pub enum ServerDecoder {
    /// Lines of JSON.
    Ollama(ollama::Decoder),
    /// Server-sent events.
    OpenAi(openai::Decoder),
    /// Server-sent events, as Anthropic names them.
    Anthropic(anthropic::Decoder),
}

impl ServerDecoder {
    /// Reads the next bytes; events that they complete are appended to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self {
            Self::Ollama(decoder) => decoder.push(bytes, out),
            Self::OpenAi(decoder) => decoder.push(bytes, out),
            Self::Anthropic(decoder) => decoder.push(bytes, out),
        }
    }

    /// Reads the end of the bytes; an error when the answer ended before its terminal marker or an error.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self {
            Self::Ollama(decoder) => decoder.finish(out),
            Self::OpenAi(decoder) => decoder.finish(out),
            Self::Anthropic(decoder) => decoder.finish(out),
        }
    }

    /// Whether the answer has said all that it had to say.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Ollama(decoder) => decoder.is_done(),
            Self::OpenAi(decoder) => decoder.is_done(),
            Self::Anthropic(decoder) => decoder.is_done(),
        }
    }
}
