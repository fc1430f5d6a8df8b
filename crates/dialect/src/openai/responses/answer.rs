//! The response object of the Responses API and the items in it; writes answers that are sent whole.

use serde_json::Value;

use crate::json::{self, Object};
use crate::{ChatRequest, ErrorInfo, Event, FinishReason, Meta, Usage};

/// What every answer repeats of a request that says nothing to repeat.
const REPEATED: &str = r#","parallel_tool_calls":true,"tool_choice":"auto","tools":[]"#;

/// What OpenAI gives for the logarithm of a probability that has none.
const UNLIKELY: f64 = -9999.0;

/// What is the same in all the events that carry the response.
#[derive(Debug)]
pub(super) struct Frame {
    /// The response object from its start up to the status.
    head: Vec<u8>,
    /// Further fields, each with its comma in front.
    repeated: String,
    /// What the ids of items have in common.
    suffix: String,
    /// Whether thoughts are told as a summary.
    summary: bool,
}

impl Frame {
    pub(super) fn new(meta: &Meta, request: &ChatRequest) -> Self {
        let mut head = Vec::with_capacity(128);
        let mut object = Object::open(&mut head);
        object.put("id", &meta.id);
        object.put("object", "response");
        if !meta.strip_created {
            object.put("created_at", &meta.created_unix);
        }
        if !meta.strip_model {
            object.put("model", &meta.model);
        }
        let repeated = if request.repeated.is_empty() { REPEATED } else { &request.repeated };
        Self {
            head,
            repeated: repeated.to_owned(),
            suffix: meta.id.strip_prefix("resp_").unwrap_or(&meta.id).to_owned(),
            summary: request.thinking_summary,
        }
    }

    /// The response object; `output` is the items in JSON, with commas between them.
    pub(super) fn write(&self, out: &mut Vec<u8>, status: Status, output: &[u8], usage: Option<&Usage>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#","status":"#);
        json::value(out, status.name());
        out.extend_from_slice(br#","error":"#);
        match status {
            Status::Failed(error) => write_error(out, error),
            _ => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","incomplete_details":"#);
        match status {
            Status::Incomplete(reason) => {
                let mut details = Object::open(out);
                details.put("reason", reason);
                details.close();
            }
            _ => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","output":["#);
        out.extend_from_slice(output);
        out.extend_from_slice(br#"],"background":false,"previous_response_id":null,"store":false"#);
        out.extend_from_slice(self.repeated.as_bytes());
        out.extend_from_slice(br#","usage":"#);
        match usage {
            Some(usage) => write_usage(out, usage),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }

    /// The id of the item at this place of the output.
    pub(super) fn item_id(&self, said: &Said, index: u32) -> String {
        let prefix = match said {
            Said::Thoughts(_) => "rs",
            Said::Text { .. } => "msg",
            Said::Call { .. } => "fc",
        };
        format!("{prefix}_{}_{index}", self.suffix)
    }

    /// What a call is answered by, where the server gave it nothing.
    pub(super) fn call_id(&self, call: u32) -> String {
        format!("call_{}_{call}", self.suffix)
    }

    pub(super) fn tells_summary(&self) -> bool {
        self.summary
    }

    /// One item of the output. It is empty where it has just been begun.
    pub(super) fn write_item(&self, out: &mut Vec<u8>, said: &Said, id: &str, status: &'static str) {
        let mut item = Object::open(out);
        item.put("id", id);
        match said {
            Said::Thoughts(text) => {
                item.put("type", "reasoning");
                let (full, empty) = if self.summary { ("summary", "content") } else { ("content", "summary") };
                json::array(item.key(full), Some(text).filter(|text| !text.is_empty()), |out, text| {
                    write_thoughts(out, text, self.summary);
                });
                item.key(empty).extend_from_slice(b"[]");
                item.put("encrypted_content", &Value::Null);
                item.put("status", status);
            }
            Said::Text { text, logprobs } => {
                item.put("type", "message");
                item.put("role", "assistant");
                item.put("status", status);
                let begun = status == "in_progress";
                json::array(item.key("content"), Some(text).filter(|_| !begun), |out, text| {
                    write_text(out, text, logprobs);
                });
            }
            Said::Call { call_id, name, arguments, .. } => {
                item.put("type", "function_call");
                item.put("call_id", call_id);
                item.put("name", name);
                item.put("arguments", arguments);
                item.put("status", status);
            }
        }
        item.close();
    }
}

/// What one item of the output holds.
#[derive(Debug)]
pub(super) enum Said {
    Thoughts(String),
    Text { text: String, logprobs: Vec<Value> },
    Call { index: u32, call_id: String, name: String, arguments: String },
}

/// How a response is going.
#[derive(Debug, Clone, Copy)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed(&'a ErrorInfo<'a>),
}

impl Status<'_> {
    /// How an answer that ended for this reason went.
    pub(super) fn of(reason: Option<&FinishReason>) -> Self {
        match reason {
            Some(FinishReason::Length | FinishReason::WindowFull) => Self::Incomplete("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }

    /// What its last item is called.
    pub(super) fn of_item(self) -> &'static str {
        match self {
            Self::Failed(_) => "incomplete",
            status => status.name(),
        }
    }
}

/// A part of a message.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str, logprobs: &[Value]) {
    let mut part = Object::open(out);
    part.put("type", "output_text");
    part.put("text", text);
    part.key("annotations").extend_from_slice(b"[]");
    write_logprobs(part.key("logprobs"), logprobs);
    part.close();
}

/// A part of an item of thoughts.
pub(super) fn write_thoughts(out: &mut Vec<u8>, text: &str, summary: bool) {
    let mut part = Object::open(out);
    part.put("type", if summary { "summary_text" } else { "reasoning_text" });
    part.put("text", text);
    part.close();
}

/// Probabilities; the alternatives and the bytes are always there in this API.
pub(super) fn write_logprobs(out: &mut Vec<u8>, logprobs: &[Value]) {
    fn write(out: &mut Vec<u8>, item: &Value, with_alternatives: bool) {
        let token = item.get("token").and_then(Value::as_str).unwrap_or_default();
        let mut body = Object::open(out);
        body.put("token", token);
        body.put("logprob", &item.get("logprob").and_then(Value::as_f64).unwrap_or(UNLIKELY));
        match item.get("bytes") {
            Some(bytes @ Value::Array(_)) => body.put("bytes", bytes),
            _ => body.put("bytes", token.as_bytes()),
        }
        if with_alternatives {
            let alternatives = item.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
            json::array(body.key("top_logprobs"), alternatives, |out, item| write(out, item, false));
        }
        body.close();
    }
    json::array(out, logprobs, |out, item| write(out, item, true));
}

/// The codes that a response may fail with are a closed list.
pub(super) fn error_code(error: &ErrorInfo) -> &'static str {
    match error.status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    }
}

fn write_error(out: &mut Vec<u8>, error: &ErrorInfo) {
    let mut body = Object::open(out);
    body.put("code", error_code(error));
    body.put("message", error.message);
    body.close();
}

fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut body = Object::open(out);
    body.put("input_tokens", &usage.input_tokens);
    let mut details = Object::open(body.key("input_tokens_details"));
    details.put("cached_tokens", &usage.cached_tokens.unwrap_or_default());
    details.put("cache_write_tokens", &usage.cache_written_tokens.unwrap_or_default());
    details.close();
    body.put("output_tokens", &usage.output_tokens);
    let mut details = Object::open(body.key("output_tokens_details"));
    details.put("reasoning_tokens", &usage.thinking_tokens.unwrap_or_default());
    details.close();
    body.put("total_tokens", &usage.input_tokens.saturating_add(usage.output_tokens));
    body.close();
}

/// The body of an answer that is sent whole.
pub fn write_answer(meta: &Meta, request: &ChatRequest, events: &[Event]) -> Vec<u8> {
    let frame = Frame::new(meta, request);
    let mut said: Vec<Said> = Vec::new();
    let (mut finish, mut usage) = (None, None);
    for event in events {
        match event {
            Event::Thinking(text) => match said.last_mut() {
                Some(Said::Thoughts(thoughts)) => thoughts.push_str(text),
                _ => said.push(Said::Thoughts(text.clone())),
            },
            Event::Text(more) => match said.last_mut() {
                Some(Said::Text { text, .. }) => text.push_str(more),
                _ => said.push(Said::Text { text: more.clone(), logprobs: Vec::new() }),
            },
            Event::Logprobs(Value::Array(items)) => {
                let texts = said.iter_mut().rev().filter_map(|said| match said {
                    Said::Text { logprobs, .. } => Some(logprobs),
                    _ => None,
                });
                texts.take(1).for_each(|logprobs| logprobs.extend_from_slice(items));
            }
            Event::ToolCall { index, id, name, arguments } => {
                gather(&frame, &mut said, *index, id.as_deref(), name.as_deref(), arguments);
            }
            Event::Finish(reason) => finish = Some(reason),
            Event::Usage(found) => usage = Some(found),
            _ => {}
        }
    }
    if said.is_empty() {
        said.push(Said::Text { text: String::new(), logprobs: Vec::new() });
    }
    let status = Status::of(finish);
    let last = said.len() - 1;
    let mut output = Vec::new();
    for (index, said) in said.iter_mut().enumerate() {
        if index > 0 {
            output.push(b',');
        }
        complete(said);
        let item_status = if index == last { status.of_item() } else { "completed" };
        frame.write_item(&mut output, said, &frame.item_id(said, index as u32), item_status);
    }
    let mut out = Vec::with_capacity(512 + frame.repeated.len() + output.len());
    frame.write(&mut out, status, &output, usage);
    out
}

fn gather(frame: &Frame, said: &mut Vec<Said>, call: u32, id: Option<&str>, tool: Option<&str>, more: &str) {
    let of_call = |said: &&mut Said| matches!(said, Said::Call { index, .. } if *index == call);
    let Some(Said::Call { name, arguments, .. }) = said.iter_mut().find(of_call) else {
        said.push(Said::Call {
            index: call,
            call_id: id.map_or_else(|| frame.call_id(call), str::to_owned),
            name: tool.unwrap_or_default().to_owned(),
            arguments: more.to_owned(),
        });
        return;
    };
    arguments.push_str(more);
    if name.is_empty() {
        tool.unwrap_or_default().clone_into(name);
    }
}

/// What is still lacking of a call whose last piece has come: clients read its arguments as JSON, and nothing is none.
pub(super) fn complete(said: &mut Said) -> Option<&'static str> {
    match said {
        Said::Call { arguments, .. } if arguments.trim().is_empty() => {
            arguments.push_str("{}");
            Some("{}")
        }
        _ => None,
    }
}
