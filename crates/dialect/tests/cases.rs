//! Golden cases: a request in one dialect and the bodies it becomes, an answer in one dialect and what clients see.
//!
//! Each JSON file in `tests/cases/` is a case. `UPDATE_CASES=1 cargo test` writes what is found into the files; the
//! change is then reviewed like any change of an interface.

mod support;

use serde_json::{Value, json};
use tollhouse_dialect::{
    Api, ChatRequest, ErrorInfo, Event, JsonLimits, LAST_LINE_BYTES_MAX, LINE_BYTES_MAX, Meta, Outgoing, RequestError,
    ServerApi, ServerDefaults, Shape, anthropic,
};

use support::check;

/// The clients, by the names that cases call them.
const CLIENTS: [(&str, Api, &str); 6] = [
    ("openai", Api::OpenAiChat, "to_openai"),
    ("responses", Api::OpenAiResponses, "to_responses"),
    ("completions", Api::OpenAiCompletions, "to_completions"),
    ("anthropic", Api::AnthropicMessages, "to_anthropic"),
    ("ollama", Api::OllamaChat, "to_ollama"),
    ("generate", Api::OllamaGenerate, "to_generate"),
];

/// Those whose answers a case shows if it names no others.
const CLIENTS_SHOWN: [&str; 4] = ["openai", "responses", "anthropic", "ollama"];

const SERVERS: [(&str, ServerApi, &str); 3] = [
    ("openai", ServerApi::OpenAi, "to_openai"),
    ("ollama", ServerApi::Ollama, "to_ollama"),
    ("anthropic", ServerApi::Anthropic, "to_anthropic"),
];

fn request_case(case: &Value) -> Vec<(&'static str, Value)> {
    let body = match &case["request"] {
        Value::String(raw) => raw.clone().into_bytes(),
        request => serde_json::to_vec(request).expect("JSON"),
    };
    let limits = JsonLimits { depth: 64, messages: 8 };
    let from = CLIENTS.iter().find(|(name, ..)| case["from"] == *name).expect("a known client");
    let request = match from.1.parse(&body, &limits) {
        Ok(request) => request,
        Err(error) => return vec![("refused", json!(error.to_string()))],
    };
    let defaults = &case["defaults"];
    let defaults = ServerDefaults {
        num_ctx: defaults["num_ctx"].as_u64().map(|number| number as u32),
        keep_alive: defaults.get("keep_alive").cloned(),
        options: defaults["options"].as_object().cloned().unwrap_or_default(),
    };
    let model = case["model"].as_str().unwrap_or("served");
    let mut found = vec![("prompt_chars", json!(request.prompt_chars()))];
    for (_, server, field) in SERVERS {
        found.push((field, shown(server.write(&request, model, &defaults), request.prompt.is_some())));
    }
    found
}

/// The body that a server gets; with its path where there is a choice.
fn shown(outgoing: Result<Outgoing, RequestError>, with_path: bool) -> Value {
    match outgoing {
        Err(error) => json!({"refused": error.to_string()}),
        Ok(outgoing) => {
            let body: Value = serde_json::from_slice(&outgoing.body).expect("our bodies are JSON");
            if with_path { json!({"path": outgoing.path, "body": body}) } else { body }
        }
    }
}

#[test]
fn requests() {
    check("requests", request_case);
}

fn stream_case(case: &Value) -> Vec<(&'static str, Value)> {
    let answer: Vec<&str> =
        case["answer"].as_array().expect("answer").iter().map(|line| line.as_str().expect("text")).collect();
    let bytes = answer.join("\n").into_bytes();
    let (_, server, _) = SERVERS.iter().find(|(name, ..)| case["from"] == *name).expect("a known server");
    let is_whole = case["whole"] == true;
    let mut events = Vec::new();
    let result = if is_whole {
        server.parse_answer(&bytes).map(|parsed| events = parsed)
    } else {
        let mut decoder = server.decoder();
        decoder.push(&bytes, &mut events).and_then(|()| decoder.finish(&mut events))
    };
    let fault = result.err().map(|error| error.to_string());
    let mut found = vec![("fault", json!(fault))];
    for (name, client, field) in CLIENTS {
        let is_shown = match case["clients"].as_array() {
            Some(named) => named.iter().any(|named| named == name),
            None => CLIENTS_SHOWN.contains(&name),
        };
        if is_shown && !(is_whole && fault.is_some()) {
            found.push((field, answered(case, client, &events, is_whole, fault.is_some())));
        }
    }
    found
}

/// What the client is sent.
fn answered(case: &Value, client: Api, events: &[Event], is_whole: bool, has_failed: bool) -> Value {
    let strip = case["strip"].as_bool().unwrap_or(false);
    let meta = Meta {
        id: format!("{}7", client.id_prefix()),
        model: "public".to_owned(),
        created_unix: 1_700_000_000,
        input_tokens: 5,
        include_usage: case["include_usage"].as_bool().unwrap_or(true),
        strip_model: strip,
        strip_created: strip,
    };
    let request = match case.get("request") {
        // What some answers repeat, or tell otherwise, of their request.
        Some(body) => client.parse(body.to_string().as_bytes(), &JsonLimits::default()).expect("a sound request"),
        None => ChatRequest { stream: !is_whole, ..ChatRequest::default() },
    };
    if is_whole {
        return match client.write_answer(&meta, &request, events) {
            Ok(body) => serde_json::from_slice(&body).expect("JSON"),
            Err(error) => json!({"error": error.to_string()}),
        };
    }
    let mut encoder = client.encoder(meta, &request);
    let mut bytes = Vec::new();
    encoder.encode_all(events, &mut bytes);
    if has_failed {
        encoder.error(&FAILED, &mut bytes);
    }
    encoder.end(&mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8");
    let by = if client.stream_type() == "text/event-stream" { "\n\n" } else { "\n" };
    assert!(text.is_empty() || text.ends_with(by));
    json!(text.trim_end().split(by).collect::<Vec<_>>())
}

const FAILED: ErrorInfo = ErrorInfo {
    status: 502,
    kind: "server_error",
    code: None,
    param: None,
    message: "the model is not answering",
    request_id: "r-7",
};

#[test]
fn answers() {
    check("streams", stream_case);
}

#[test]
fn the_middle_form_answers_questions() {
    let body = br#"{"model":"m","user":"u1","messages":[{"role":"user","content":"one"},
        {"role":"user","content":[{"type":"text","text":"two"},{"type":"text","text":"three"}]}]}"#;
    let request = Api::OpenAiChat.parse(body, &JsonLimits::default()).expect("valid");
    assert_eq!(request.user(), Some("u1"));
    assert_eq!(request.last_user_text(), "two\nthree");
    assert_eq!(request.prompt_chars(), 11);
    let body =
        br#"{"model":"m","max_tokens":9,"metadata":{"user_id":"u2"},"messages":[{"role":"user","content":"one"}],
        "tools":[{"name":"t","input_schema":{}}]}"#;
    let request = Api::AnthropicMessages.parse(body, &JsonLimits::default()).expect("valid");
    assert_eq!(request.user(), Some("u2"));
}

#[test]
fn errors_have_each_family_s_form() {
    let told = ErrorInfo {
        status: 401,
        kind: "authentication_error",
        code: Some("invalid_api_key"),
        param: None,
        message: "invalid \"key\"",
        request_id: "r-1",
    };
    let body = |shape: Shape| String::from_utf8(shape.error_body(&told)).expect("UTF-8");
    assert_eq!(
        body(Shape::OpenAi),
        r#"{"error":{"message":"invalid \"key\"","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
    );
    assert_eq!(
        body(Shape::Anthropic),
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid \"key\""},"request_id":"r-1"}"#
    );
    assert_eq!(body(Shape::Ollama), r#"{"error":"invalid \"key\""}"#);
}

#[test]
fn tokens_are_counted_for_the_body_of_a_message_without_its_limit() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"one"}]}"#;
    assert!(anthropic::parse_count(body, &JsonLimits::default()).is_ok());
    let refused = anthropic::parse_messages(body, &JsonLimits::default()).expect_err("no limit");
    assert_eq!(refused.to_string(), "max_tokens is missing");
    assert_eq!(anthropic::write_count(7), br#"{"input_tokens":7}"#);
}

#[test]
fn thoughts_are_told_by_the_name_that_the_client_uses() {
    for (said, told) in [("reasoning_content", "reasoning_content"), ("reasoning", "reasoning"), ("other", "reasoning")]
    {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","content":"a","{said}":"b"}},{{"role":"user","content":"c"}}]}}"#
        );
        let request = Api::OpenAiChat.parse(body.as_bytes(), &JsonLimits::default()).expect("valid");
        let events = [Event::Thinking("hm".into())];
        let mut bytes = Vec::new();
        Api::OpenAiChat.encoder(Meta::default(), &request).encode_all(&events, &mut bytes);
        bytes.extend(Api::OpenAiChat.write_answer(&Meta::default(), &request, &events).expect("written"));
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(text.matches(&format!(r#""{told}":"hm""#)).count(), 2, "{text}");
    }
}

/// How many bytes a decoder takes of a line that begins so and never ends.
fn bytes_taken(server: ServerApi, begin: &str) -> usize {
    let mut events: Vec<Event> = Vec::new();
    let mut decoder = server.decoder();
    decoder.push(begin.as_bytes(), &mut events).expect("a short line");
    let piece = vec![b'1'; 1 << 16];
    let taken = (0..1024).take_while(|_| decoder.push(&piece, &mut events).is_ok()).count();
    assert!(events.is_empty());
    taken * piece.len()
}

#[test]
fn a_line_without_end_is_refused() {
    for (_, server, _) in SERVERS {
        assert!(bytes_taken(server, "x") < LINE_BYTES_MAX);
        let looks_last = r#"{"response":"\"done\":true","context":["#;
        assert!(bytes_taken(server, looks_last) < LINE_BYTES_MAX);
    }
    let last = r#"{"model":"m","response":"","done":true,"context":["#;
    assert!(bytes_taken(ServerApi::OpenAi, last) < LINE_BYTES_MAX);
    let taken = bytes_taken(ServerApi::Ollama, last);
    assert!((LAST_LINE_BYTES_MAX - (2 << 16)..LAST_LINE_BYTES_MAX).contains(&taken), "{taken}");
}

#[test]
fn a_long_conversation_s_tokens_come_in_one_last_line() {
    let context: Vec<u32> = (0..300_000).map(|number| 1_000_000 + number).collect();
    let tokens = serde_json::to_string(&context).expect("JSON");
    assert!(tokens.len() > 2 << 20);
    let answer = format!(
        "{{\"model\":\"m\",\"response\":\"hi\",\"done\":false}}\n\
         {{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":{tokens}}}\n"
    );
    let mut events = Vec::new();
    let mut decoder = ServerApi::Ollama.decoder();
    for piece in answer.as_bytes().chunks(16 << 10) {
        decoder.push(piece, &mut events).expect("a sound answer");
    }
    decoder.finish(&mut events).expect("a whole answer");
    assert!(events.contains(&Event::Context(context)));
    let mut bytes = Vec::new();
    let mut encoder = Api::OllamaGenerate.encoder(Meta::default(), &ChatRequest::default());
    encoder.encode_all(&events, &mut bytes);
    encoder.end(&mut bytes);
    assert!(bytes.ends_with(format!("\"context\":{tokens}}}\n").as_bytes()));
}
