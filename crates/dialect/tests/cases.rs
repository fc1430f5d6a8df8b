//! Golden cases: a request in one dialect and the bodies it becomes, an answer in one dialect and what clients see.
//!
//! Each JSON file in `tests/cases/` is a case. `UPDATE_CASES=1 cargo test` writes what is found into the files; the
//! change is then reviewed like any change of an interface.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollhouse_dialect::{ChatRequest, Event, JsonLimits, Meta, RequestError, ollama, openai};

fn check(folder: &str, run: fn(&Value) -> Vec<(&'static str, Value)>) {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&root).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable case");
        let mut case: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (field, found) in run(&case) {
            if case[field] != found {
                if !update {
                    let want = &case[field];
                    writeln!(failures, "{} {field}:\n  want {want}\n  find {found}", file.display()).expect("memory");
                }
                case[field] = found;
            }
        }
        if update {
            fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&case).expect("JSON")))
                .expect("written case");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn request_case(case: &Value) -> Vec<(&'static str, Value)> {
    let body = match &case["request"] {
        Value::String(raw) => raw.clone().into_bytes(),
        request => serde_json::to_vec(request).expect("JSON"),
    };
    let limits = JsonLimits { depth: 64, messages: 8 };
    let parsed = match case["from"].as_str() {
        Some("openai") => openai::parse_chat(&body, &limits),
        Some("ollama") => ollama::parse_chat(&body, &limits),
        other => panic!("unknown dialect {other:?}"),
    };
    let request = match parsed {
        Ok(request) => request,
        Err(error) => return vec![("refused", json!(error.to_string()))],
    };
    let defaults = &case["defaults"];
    let defaults = ollama::OllamaDefaults {
        num_ctx: defaults["num_ctx"].as_u64().map(|number| number as u32),
        keep_alive: defaults.get("keep_alive").cloned(),
        options: defaults["options"].as_object().cloned().unwrap_or_default(),
    };
    let body = |body: Result<Vec<u8>, RequestError>| match body {
        Ok(body) => serde_json::from_slice(&body).expect("our bodies are JSON"),
        Err(error) => json!({"refused": error.to_string()}),
    };
    vec![
        ("prompt_chars", json!(request.prompt_chars())),
        ("to_openai", body(Ok(openai::write_chat(&request, "served")))),
        ("to_ollama", body(ollama::write_chat(&request, "served", &defaults))),
    ]
}

#[test]
fn requests() {
    check("requests", request_case);
}

fn stream_case(case: &Value) -> Vec<(&'static str, Value)> {
    let meta = Meta {
        id: "chatcmpl-7".to_owned(),
        model: "public".to_owned(),
        created_unix: 1_700_000_000,
        include_usage: case["include_usage"].as_bool().unwrap_or(true),
        strip_model: case["strip"].as_bool().unwrap_or(false),
        strip_created: case["strip"].as_bool().unwrap_or(false),
        ..Meta::default()
    };
    let answer: Vec<&str> =
        case["answer"].as_array().expect("answer").iter().map(|line| line.as_str().expect("text")).collect();
    let bytes = answer.join("\n").into_bytes();
    let mut events = Vec::new();
    let from_openai = case["from"] == "openai";
    let result = if case["whole"] == true {
        let parsed = if from_openai { openai::parse_completion(&bytes) } else { ollama::parse_completion(&bytes) };
        parsed.map(|parsed| events = parsed)
    } else if from_openai {
        let mut decoder = openai::Decoder::new();
        decoder.push(&bytes, &mut events).and_then(|()| decoder.finish(&mut events))
    } else {
        let mut decoder = ollama::Decoder::new();
        decoder.push(&bytes, &mut events).and_then(|()| decoder.finish(&mut events))
    };
    let fault = result.err().map(|error| error.to_string());
    let mut found = vec![("fault", json!(fault))];
    if case["whole"] == true {
        if fault.is_none() {
            let json = |body: Vec<u8>| serde_json::from_slice(&body).expect("JSON");
            found.push(("to_openai", json(openai::write_completion(&meta, &events))));
            found.push(("to_ollama", json(ollama::write_completion(&meta, &events))));
        }
        return found;
    }
    let (mut sse, mut lines) = (Vec::new(), Vec::new());
    let (mut to_openai, mut to_ollama) = (openai::StreamEncoder::new(meta.clone()), ollama::StreamEncoder::new(meta));
    for event in &events {
        to_openai.encode(event, &mut sse);
        to_ollama.encode(event, &mut lines);
    }
    if fault.is_some() {
        to_openai.error("the model is not answering", &mut sse);
        to_ollama.error("the model is not answering", &mut lines);
    }
    to_openai.end(&mut sse);
    to_ollama.end(&mut lines);
    let split = |bytes: Vec<u8>, by: &str| {
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with(by));
        json!(text.trim_end().split(by).collect::<Vec<_>>())
    };
    found.push(("to_openai", split(sse, "\n\n")));
    found.push(("to_ollama", split(lines, "\n")));
    found
}

#[test]
fn answers() {
    check("streams", stream_case);
}

#[test]
fn the_middle_form_answers_questions() {
    let body = br#"{"model":"m","user":"u1","messages":[{"role":"user","content":"one"},
        {"role":"user","content":[{"type":"text","text":"two"},{"type":"text","text":"three"}]}]}"#;
    let request: ChatRequest = openai::parse_chat(body, &JsonLimits::default()).expect("valid");
    assert_eq!(request.user(), Some("u1"));
    assert_eq!(request.last_user_text(), "two\nthree");
    assert_eq!(request.prompt_chars(), 11);
}

#[test]
fn error_bodies_have_each_dialects_form() {
    assert_eq!(
        String::from_utf8(openai::error_body("invalid api key", "authentication_error", Some("invalid_api_key")))
            .expect("UTF-8"),
        r#"{"error":{"message":"invalid api key","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
    );
    assert_eq!(ollama::error_body("a \"b\""), br#"{"error":"a \"b\""}"#);
}

#[test]
fn a_line_without_end_is_refused() {
    let mut events: Vec<Event> = Vec::new();
    let mut decoder = openai::Decoder::new();
    let piece = vec![b'x'; 1 << 16];
    let refused = (0..17).any(|_| decoder.push(&piece, &mut events).is_err());
    assert!(refused && events.is_empty());
}
