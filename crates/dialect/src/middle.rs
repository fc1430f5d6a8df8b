//! The middle form of requests, which all dialects are read into and written from.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::Shape;

/// One chat request, free of any dialect.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the requests that are read")]
pub struct ChatRequest {
    /// The model's name as the client wrote it.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Whether the answer is to come piece by piece.
    pub stream: bool,
    /// Whether the client wants to fetch the answer later, in place of waiting for it (`background` of the Responses API).
    pub background: bool,
    /// Whether an OpenAI client asked for the usage chunk of a stream.
    pub include_usage: bool,
    /// How tokens are chosen and how many.
    pub sampling: Sampling,
    /// The `tools` array in OpenAI's form. An Anthropic client's other fields of a tool stand beside `function`, and
    /// tools that its server runs by itself are in it verbatim.
    pub tools: Option<Value>,
    /// OpenAI's `tool_choice`.
    pub tool_choice: Option<Value>,
    /// Whether several tools may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form that the answer must have.
    pub format: Option<Format>,
    /// Whether and how hard the model thinks before it answers.
    pub think: Option<Think>,
    /// Whether the thoughts are told as a summary of themselves: what the Responses API calls by that name.
    pub thinking_summary: bool,
    /// Whether probabilities of the tokens are wanted.
    pub logprobs: bool,
    /// How many alternatives per token (0 to 20).
    pub top_logprobs: Option<u8>,
    /// Ollama's `keep_alive`: seconds as a number or a Go duration such as `"5m"`.
    pub keep_alive: Option<Value>,
    /// Ollama's `truncate`: whether old messages may be dropped to fit the context.
    pub truncate: Option<bool>,
    /// A text to go on from, in place of a conversation (`/v1/completions`, `/api/generate`).
    pub prompt: Option<Prompt>,
    /// JSON fields, each with its comma in front, that the answer repeats (Responses API); no server gets them.
    pub repeated: String,
    /// The family of APIs whose words the `rest` fields here and below are in.
    pub family: Shape,
    /// Fields that mean nothing to us; servers of the client's own family get them verbatim.
    pub rest: Map<String, Value>,
}

impl ChatRequest {
    /// Characters (Unicode scalar values) of all text in the messages: contents, thinking and tool call arguments.
    /// Images, audio and the tools' descriptions do not count.
    pub fn prompt_chars(&self) -> usize {
        let prompt = self.prompt.as_ref().map_or(0, Prompt::chars);
        prompt + self.messages.iter().map(Message::chars).sum::<usize>()
    }

    /// The end user whom the client names: OpenAI's `user`, Anthropic's `metadata.user_id`.
    pub fn user(&self) -> Option<&str> {
        let user = match self.family {
            Shape::Anthropic => self.rest.get("metadata")?.get("user_id")?,
            Shape::OpenAi | Shape::Ollama => self.rest.get("user")?,
        };
        user.as_str()
    }

    /// The prompt, or the text of the last message of the user, joined; empty when there is neither.
    pub fn last_user_text(&self) -> String {
        if let Some(prompt) = &self.prompt {
            return prompt.text.clone();
        }
        let last = self.messages.iter().rev().find(|message| message.role == Role::User);
        last.map(|message| message.content.text().into_owned()).unwrap_or_default()
    }
}

/// A text that the model goes on from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// What follows the gap that the model fills.
    pub suffix: Option<String>,
    /// Who turns the text into what the model reads.
    pub template: Template,
    /// Pictures beside the text (Ollama).
    pub images: Vec<Image>,
    /// The client's own template in place of the model's (Ollama).
    pub own_template: Option<String>,
    /// Instructions beside the text (Ollama's `system`).
    pub system: Option<String>,
    /// Ollama's `context`: tokens of an earlier answer.
    pub context: Option<Value>,
    /// Whether the answer begins with the prompt (OpenAI's `echo`).
    pub echo: bool,
}

impl Prompt {
    fn chars(&self) -> usize {
        let texts = [Some(&self.text), self.suffix.as_ref(), self.system.as_ref(), self.own_template.as_ref()];
        texts.into_iter().flatten().map(|text| count(text)).sum()
    }
}

/// Who turns a prompt's text into what the model reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Template {
    /// As the server does by itself: OpenAI's completions.
    #[default]
    Servers,
    /// The model's chat template: Ollama's generate.
    Model,
    /// Nobody: Ollama's `raw`.
    Raw,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
    /// What an assistant thought before it spoke.
    pub thinking: Option<Thinking>,
    /// The tools that an assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// On a tool's result: the call that it answers.
    pub tool_call_id: Option<String>,
    /// On a tool's result: the tool's name. Elsewhere OpenAI's `name` of the participant.
    pub name: Option<String>,
    /// Fields that mean nothing to us; servers of the client's own family get them verbatim.
    pub rest: Map<String, Value>,
}

impl Message {
    /// A message with text and nothing else.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Content::Text(text.into()),
            thinking: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            rest: Map::new(),
        }
    }

    /// What an assistant thought: all of it, and the field by which servers of the OpenAI kind get it.
    pub fn thoughts(&self) -> Option<(Cow<'_, str>, &'static str)> {
        if let Some(thinking) = &self.thinking {
            return Some((Cow::Borrowed(&thinking.text), thinking.field));
        }
        let Content::Parts(parts) = &self.content else { return None };
        let thoughts = joined(parts.iter().filter_map(Part::thought));
        (!thoughts.is_empty()).then_some((thoughts, THINKING_FIELD))
    }

    fn chars(&self) -> usize {
        let content = match &self.content {
            Content::Null => 0,
            Content::Text(text) => count(text),
            Content::Parts(parts) => parts.iter().map(Part::chars).sum(),
        };
        let thinking = self.thinking.as_ref().map_or(0, |thinking| count(&thinking.text));
        let calls: usize = self.tool_calls.iter().map(|call| call.arguments.chars()).sum();
        content + thinking + calls
    }
}

fn count(text: &str) -> usize {
    text.chars().count()
}

/// Characters of all strings in a value, but not of encoded media, which is no prompt text.
fn count_strings(value: &Value) -> usize {
    match value {
        Value::String(text) => count(text),
        Value::Array(items) => items.iter().map(count_strings).sum(),
        Value::Object(map) => count_fields(map),
        _ => 0,
    }
}

fn count_fields(map: &Map<String, Value>) -> usize {
    map.iter().filter(|(name, _)| !Part::is_medium(map, name)).map(|(_, value)| count_strings(value)).sum()
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// OpenAI's newer name of `system`; Ollama gets it as `system`.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl Role {
    /// The role of this name in either dialect.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            _ => return None,
        })
    }

    /// Its name in OpenAI's dialect.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// `null` or absent, as beside tool calls.
    Null,
    /// Plain text.
    Text(String),
    /// Text and media in order.
    Parts(Vec<Part>),
}

impl Content {
    /// All text; parts are joined by a line feed.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => joined(parts.iter().filter_map(|part| match part {
                Part::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })),
        }
    }
}

/// Texts with a line feed between them; copied only where there are several.
fn joined<'a>(mut texts: impl Iterator<Item = &'a str>) -> Cow<'a, str> {
    let Some(first) = texts.next() else { return Cow::Borrowed("") };
    let Some(second) = texts.next() else { return Cow::Borrowed(first) };
    let mut joined = format!("{first}\n{second}");
    for text in texts {
        joined.push('\n');
        joined.push_str(text);
    }
    Cow::Owned(joined)
}

/// A piece of a message's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Other fields of the part, such as `cache_control`.
        rest: Map<String, Value>,
    },
    /// A picture.
    Image {
        /// The picture.
        image: Image,
        /// Other fields of `image_url`, such as `detail`.
        options: Map<String, Value>,
        /// Other fields of the part.
        rest: Map<String, Value>,
    },
    /// Recorded speech; Ollama takes it among its images.
    Audio {
        /// The sound, base64.
        base64: String,
        /// Other fields of `input_audio`, such as `format`.
        options: Map<String, Value>,
        /// Other fields of the part.
        rest: Map<String, Value>,
    },
    /// What an assistant of Anthropic's thought: its block verbatim, for it is signed and must go back unchanged.
    Thinking(Map<String, Value>),
    /// A part that only servers of the client's own family may understand.
    Other(Map<String, Value>),
}

impl Part {
    /// Whether the field `name` among those of a part that we do not know holds encoded media, which is no text.
    pub fn is_medium(fields: &Map<String, Value>, name: &str) -> bool {
        match name {
            // The source of a document of Anthropic's may be plain text.
            "data" => fields.get("type").is_none_or(|kind| kind != "text"),
            "file_data" => true,
            _ => {
                name.ends_with("url")
                    && fields.get(name).and_then(Value::as_str).is_some_and(|it| it.starts_with("data:"))
            }
        }
    }

    /// The text of thoughts that are not hidden.
    fn thought(&self) -> Option<&str> {
        match self {
            Self::Thinking(block) => block.get("thinking")?.as_str().filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn chars(&self) -> usize {
        match self {
            Self::Text { text, .. } => count(text),
            Self::Image { .. } | Self::Audio { .. } => 0,
            Self::Thinking(_) => self.thought().map_or(0, count),
            Self::Other(map) => count_fields(map),
        }
    }
}

/// A picture in the form that it came in, so that nothing is copied before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// `data:image/png;base64,…`
    DataUrl {
        /// The whole URL.
        url: String,
        /// Where the base64 begins in it.
        base64_at: usize,
    },
    /// Bare base64, as Ollama has it.
    Base64(String),
    /// Base64 beside its type, as Anthropic has it.
    Typed {
        /// Such as `image/png`.
        media_type: String,
        /// The data.
        base64: String,
    },
}

impl Image {
    /// The base64 data.
    pub fn base64(&self) -> &str {
        match self {
            Self::DataUrl { url, base64_at } => url.get(*base64_at..).unwrap_or_default(),
            Self::Base64(base64) | Self::Typed { base64, .. } => base64,
        }
    }

    /// Its media type, as told or else as the first bytes of the data tell.
    pub(crate) fn media_type(&self) -> &str {
        let told = match self {
            Self::DataUrl { url, .. } => url["data:".len()..].split([';', ',']).next().unwrap_or_default(),
            Self::Base64(_) => "",
            Self::Typed { media_type, .. } => media_type,
        };
        if !told.is_empty() {
            return told;
        }
        match self.base64().as_bytes() {
            [b'i', b'V', b'B', b'O', b'R', ..] => "image/png",
            [b'R', b'0', b'l', b'G', ..] => "image/gif",
            [b'U', b'k', b'l', b'G', ..] => "image/webp",
            _ => "image/jpeg",
        }
    }
}

/// What servers of the OpenAI kind call thoughts where the client's own dialect does not tell.
pub(crate) const THINKING_FIELD: &str = "reasoning_content";

/// What an assistant thought, and the field that a client named it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinking {
    /// The thoughts.
    pub text: String,
    /// `reasoning` or `reasoning_content`: servers of the OpenAI kind know one of the two, the client knows which.
    pub field: &'static str,
}

/// A call of a tool in an assistant's message.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// What the result refers to; Ollama's may lack it.
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Arguments,
}

/// Arguments of a tool call in the form that they came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments {
    /// JSON as text: OpenAI's form.
    Text(String),
    /// An object: Ollama's form.
    Object(Map<String, Value>),
}

impl Arguments {
    fn chars(&self) -> usize {
        match self {
            Self::Text(text) => count(text),
            Self::Object(map) => map.values().map(count_strings).sum(),
        }
    }
}

/// How tokens are chosen; what is absent is left to the model's own defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `max_tokens`, or Ollama's `num_predict` when positive.
    pub max_tokens: Option<u32>,
    /// `max_completion_tokens`, which wins over `max_tokens`.
    pub max_completion_tokens: Option<u32>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `stop`.
    pub stop: Vec<String>,
    /// `presence_penalty`.
    pub presence_penalty: Option<f64>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<f64>,
    /// `top_k`.
    pub top_k: Option<i64>,
    /// `min_p`.
    pub min_p: Option<f64>,
    /// `repeat_penalty`.
    pub repeat_penalty: Option<f64>,
    /// Ollama's `num_ctx`, which the configuration overrides.
    pub num_ctx: Option<u32>,
    /// Other options of an Ollama client that choose tokens (never those that configure the runner).
    pub options: Map<String, Value>,
}

impl Sampling {
    /// Fills what is absent from `other`.
    pub(crate) fn fill(&mut self, other: Self) {
        if self.limit().is_none() {
            (self.max_tokens, self.max_completion_tokens) = (other.max_tokens, other.max_completion_tokens);
        }
        self.temperature = self.temperature.or(other.temperature);
        self.top_p = self.top_p.or(other.top_p);
        self.seed = self.seed.or(other.seed);
        self.presence_penalty = self.presence_penalty.or(other.presence_penalty);
        self.frequency_penalty = self.frequency_penalty.or(other.frequency_penalty);
        self.top_k = self.top_k.or(other.top_k);
        self.min_p = self.min_p.or(other.min_p);
        self.repeat_penalty = self.repeat_penalty.or(other.repeat_penalty);
        self.num_ctx = self.num_ctx.or(other.num_ctx);
        if self.stop.is_empty() {
            self.stop = other.stop;
        }
        for (name, value) in other.options {
            self.options.entry(name).or_insert(value);
        }
    }

    /// The most tokens the answer may have.
    pub fn limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

/// The form that the answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Plain text, said explicitly.
    Text,
    /// Any JSON object.
    Json,
    /// JSON of a schema.
    Schema {
        /// The JSON schema.
        schema: Value,
        /// Other fields of OpenAI's `json_schema`, such as `name` and `strict`.
        rest: Map<String, Value>,
    },
    /// A `response_format` that only servers of the OpenAI kind may understand.
    Other(Value),
}

/// Whether and how hard the model thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Think {
    /// Not at all.
    Off,
    /// As the model likes.
    On,
    /// An effort by name, such as `low` or `high`.
    Effort(String),
}
