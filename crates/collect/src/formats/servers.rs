//! Lines of model servers: Ollama (Go's slog as pairs, gin's requests, its runner's text) and llama.cpp's `llama-server`.
//!
//! Lines of the loading and of memory get the field `event`: `model_loading`, `model_loaded`, `model_failed`,
//! `out_of_memory`. These are what an operator looks for, and each build words them differently.

use jiff::Zoned;
use serde_json::Value;

use super::json::Draft;
use super::level::Level;
use super::{json, logfmt, plain, time};

/// What says that memory was too small, in lower case.
const OUT_OF_MEMORY: [&str; 8] = [
    "out of memory",
    "cudamalloc failed",
    "failed to allocate",
    "unable to allocate",
    "cannot allocate memory",
    "requires more system memory",
    "insufficient memory",
    "erroroutofdevicememory",
];
/// What says how far the loading of a model is.
const LOADING: [(&str, &str); 8] = [
    ("failed to load model", "model_failed"),
    ("error loading model", "model_failed"),
    ("exiting due to model loading error", "model_failed"),
    ("llama runner process has terminated", "model_failed"),
    ("llama runner started in", "model_loaded"),
    ("model loaded", "model_loaded"),
    ("starting llama server", "model_loading"),
    ("loading model", "model_loading"),
];
/// Texts in which an event is looked for are no longer than this.
const EVENT_BYTES_MAX: usize = 4 << 10;

/// Reads a line of Ollama.
pub(super) fn ollama(line: &str, now: &Zoned) -> Draft {
    let mut draft = gin(line, now).or_else(|| slog(line)).unwrap_or_else(|| llama_text(line, now));
    tell_event(&mut draft);
    draft
}

/// Reads a line of llama.cpp's server.
pub(super) fn llama_cpp(line: &str, now: &Zoned) -> Draft {
    let structured = || {
        json::is_meant(line).then(|| json::parse(line).ok()).flatten().map(|object| {
            let mut draft = Draft::default();
            json::take_object(&mut draft, object, line, 0);
            draft
        })
    };
    let mut draft = structured().unwrap_or_else(|| llama_text(line, now));
    tell_event(&mut draft);
    draft
}

/// Whether a line is one that Ollama writes and others do not.
pub(super) fn is_ollama(line: &str) -> bool {
    line.starts_with("[GIN] ") || (line.starts_with("time=") && line.contains(" level=") && line.contains(" source="))
}

/// Whether a line is one that llama.cpp writes and others do not.
pub(super) fn is_llama_cpp(line: &str) -> bool {
    const BEGINNINGS: [&str; 9] = [
        "llama_model_load",
        "llama_context:",
        "llama_init",
        "load_tensors:",
        "ggml_",
        "srv  ",
        "slot ",
        "print_info: ",
        "system_info: n_threads",
    ];
    let text = stamped(line).map_or(line, |(_, text)| text);
    BEGINNINGS.iter().any(|begin| text.starts_with(begin))
}

/// `time=2026-01-27T10:20:30.456+08:00 level=INFO source=server.go:123 msg="…" name=value`
fn slog(line: &str) -> Option<Draft> {
    let mut pairs = logfmt::pairs(line)?;
    if !pairs.contains_key("level") || !pairs.contains_key("msg") {
        return None;
    }
    // Where in its code it speaks: what our records call `caller`.
    if let Some(place) = pairs.shift_remove("source") {
        pairs.insert("caller".to_owned(), place);
    }
    let mut draft = Draft::default();
    json::take_object(&mut draft, pairs, line, 0);
    Some(draft)
}

/// `[GIN] 2026/01/27 - 10:20:30 | 200 |  1.234567s |  127.0.0.1 | POST     "/api/chat"`
fn gin(line: &str, now: &Zoned) -> Option<Draft> {
    let mut parts = line.strip_prefix("[GIN] ")?.splitn(5, '|').map(str::trim);
    let (time, _) = time::of_local(parts.next()?, now)?;
    let status: u16 = parts.next()?.parse().ok()?;
    let duration_ms = time::go_duration_ms(parts.next()?)?;
    let client = parts.next()?;
    let (method, path) = parts.next()?.split_once(' ')?;
    let path = path.trim().trim_matches('"');
    let mut draft = Draft { time: Some(time), text: Some(format!("{method} {path}")), ..Draft::default() };
    draft.fields.put("status", status.into());
    draft.fields.put("duration_ms", duration_ms.into());
    draft.fields.put("client_ip", client.into());
    draft.fields.put("method", method.into());
    draft.fields.put("path", path.split('?').next().into());
    Some(draft)
}

/// A line of llama.cpp's text: `[time level] part  function: slot | task | what`.
fn llama_text(line: &str, now: &Zoned) -> Draft {
    let Some((level, text)) = stamped(line) else { return llama_fields(plain::read(line, now)) };
    let draft = plain::read(text, now);
    llama_fields(Draft { level: draft.level.or(Some(level)), ..draft })
}

/// `0.00.123.456 I `: time since the start, which is nobody's clock, and the level by its letter.
fn stamped(line: &str) -> Option<(Level, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let is_time = time.split('.').count() == 4 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let (letter, text) = rest.split_once(' ')?;
    let level = match letter {
        "D" => Level::Debug,
        "I" => Level::Info,
        "W" => Level::Warn,
        "E" => Level::Error,
        _ => return None,
    };
    is_time.then_some((level, text))
}

/// What stands in a text as `id  0 | task 12 | …`, `request: POST /v1/… 127.0.0.1 200`, `eval time = 12.3 ms / 45 tokens`.
fn llama_fields(mut draft: Draft) -> Draft {
    let text = draft.text.take().unwrap_or_default();
    let number_behind = |mark: &str| -> Option<u64> {
        let behind = text.split_once(mark)?.1.trim_start();
        behind[..behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len())].parse().ok()
    };
    if text.starts_with("slot ") {
        for (mark, name) in [("| task ", "task_id"), (": id ", "slot_id")] {
            if let Some(number) = number_behind(mark) {
                draft.fields.put(name, number.into());
            }
        }
    }
    if let Some(request) = text.split_once("request: ").map(|(_, request)| request) {
        put_request(&mut draft, request);
    }
    for line in text.lines() {
        put_timing(&mut draft, line);
    }
    draft.text = Some(text);
    draft
}

fn put_timing(draft: &mut Draft, line: &str) {
    let Some((before, behind)) = line.split_once("eval time =") else { return };
    let is_prompt = before.trim_end().ends_with("prompt");
    let (took, tokens) = if is_prompt { ("prefill_ms", "input_tokens") } else { ("decode_ms", "output_tokens") };
    let mut words = behind.split_ascii_whitespace();
    let (ms, count) = (words.next(), words.nth(2));
    if let Some(ms) = ms.and_then(|ms| ms.parse::<f64>().ok()) {
        draft.fields.put(took, ms.into());
    }
    if let Some(count) = count.and_then(|count| count.parse::<u64>().ok()) {
        draft.fields.put(tokens, count.into());
    }
}

fn put_request(draft: &mut Draft, request: &str) {
    let words: Vec<&str> = request.split_ascii_whitespace().take(5).collect();
    if let [method, path, client, status] = words[..]
        && let Ok(status) = status.parse::<u16>()
    {
        for (name, value) in [("method", method), ("path", path), ("client_ip", client)] {
            draft.fields.put(name, value.into());
        }
        draft.fields.put("status", status.into());
    }
}

/// Adds the field `event` where the text tells of one.
fn tell_event(draft: &mut Draft) {
    let text = draft.text.as_deref().unwrap_or_default();
    let text = super::beginning(text, EVENT_BYTES_MAX).0.to_ascii_lowercase();
    // What failed may stand beside the text: msg="…" error="…".
    let error = draft.fields.text("error").map(|error| super::beginning(error, EVENT_BYTES_MAX).0.to_ascii_lowercase());
    let says = |what: &str| text.contains(what) || error.as_deref().is_some_and(|error| error.contains(what));
    if OUT_OF_MEMORY.iter().any(|what| says(what)) {
        draft.level = Some(Level::Error);
        draft.fields.put("event", "out_of_memory".into());
    } else if let Some((_, event)) = LOADING.iter().find(|(what, _)| text.contains(what)) {
        if *event == "model_failed" {
            draft.level = Some(Level::Error);
        }
        draft.fields.put("event", Value::from(*event));
    }
}
