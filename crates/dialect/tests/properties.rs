//! Properties of the codecs: cutting changes nothing, a stream always ends properly, nothing panics, what is written is
//! read back.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use tollhouse_dialect::{Api, ChatRequest, ErrorInfo, Event, FinishReason, JsonLimits, Meta, ServerApi, Usage};

const SERVERS: [ServerApi; 3] = [ServerApi::Ollama, ServerApi::OpenAi, ServerApi::Anthropic];

const CLIENTS: [Api; 6] = [
    Api::OpenAiChat,
    Api::OpenAiCompletions,
    Api::OpenAiResponses,
    Api::AnthropicMessages,
    Api::OllamaChat,
    Api::OllamaGenerate,
];

/// Clients whose streams are what a kind of server sends.
const ALIKE: [(Api, ServerApi); 3] = [
    (Api::OpenAiChat, ServerApi::OpenAi),
    (Api::AnthropicMessages, ServerApi::Anthropic),
    (Api::OllamaChat, ServerApi::Ollama),
];

type Outcome = (Vec<Event>, Result<(), String>);

fn decode<'a>(server: ServerApi, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = server.decoder();
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Err(error.to_string()));
        }
    }
    let end = decoder.finish(&mut events).map_err(|error| error.to_string());
    assert_eq!(decoder.is_done(), end.is_ok());
    (events, end)
}

/// Cuts `bytes` at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut from = 0;
    let mut pieces = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces
}

fn meta() -> Meta {
    Meta { id: "x-1".into(), model: "m".into(), created_unix: 1, include_usage: true, ..Meta::default() }
}

fn encode(client: Api, events: &[Event]) -> Vec<u8> {
    let mut encoder = client.encoder(meta(), &ChatRequest::default());
    let mut bytes = Vec::new();
    encoder.encode_all(events, &mut bytes);
    encoder.end(&mut bytes);
    bytes
}

/// An answer as a decoder gives it: pieces, then the reason, then the usage.
fn answer() -> impl Strategy<Value = Vec<Event>> {
    let text = prop_oneof![
        "[a-z ]{1,8}",
        "\\PC{1,6}",
        Just("data: [DONE]\n\n".to_owned()),
        Just("\r\n\u{2028}event: x\r".to_owned()),
        Just("{\"done\":true}".to_owned()),
    ];
    let piece = prop_oneof![
        4 => text.clone().prop_map(Event::Text),
        2 => text.clone().prop_map(Event::Thinking),
        1 => text.prop_map(|argument| Event::ToolCall {
            index: 0,
            id: Some("call".into()),
            name: Some("tool".into()),
            arguments: serde_json::json!({"a": argument}).to_string(),
        }),
    ];
    (vec(piece, 0..12), any::<bool>(), 1..1000u64, 1..1000u64).prop_map(|(mut events, long, input, output)| {
        let mut calls = 0;
        for event in &mut events {
            if let Event::ToolCall { index, id, .. } = event {
                *index = calls;
                *id = Some(format!("call-{calls}"));
                calls += 1;
            }
        }
        events.push(Event::Finish(match (long, calls) {
            (true, _) => FinishReason::Length,
            (false, 0) => FinishReason::Stop,
            (false, _) => FinishReason::ToolCalls,
        }));
        events.push(Event::Usage(Usage { input_tokens: input, output_tokens: output, ..Usage::default() }));
        events
    })
}

/// The events without what a dialect has no place for, and with the pieces of one call put together.
fn comparable(events: Vec<Event>) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    for event in events {
        match event {
            Event::Start { .. } => {}
            // Times that nobody measured are absent in one dialect and absent or zero in the other.
            Event::Usage(usage) => {
                kept.push(Event::Usage(Usage { load_ms: None, prefill_ms: None, decode_ms: None, ..usage }));
            }
            Event::ToolCall { index, id: None, name: None, arguments: more } => match kept.last_mut() {
                Some(Event::ToolCall { index: begun, arguments, .. }) if *begun == index => arguments.push_str(&more),
                other => panic!("a piece of call {index} after {other:?}"),
            },
            event => kept.push(event),
        }
    }
    kept
}

/// Something like a stream: parts of real ones in any order, and noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data:{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n".to_vec()),
        Just(b"data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n".to_vec()),
        Just(b"data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\"}}\n\n".to_vec()),
        Just(b"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n"
            .to_vec()),
        Just(b"data: {\"type\":\"content_block_stop\"}\n\n".to_vec()),
        Just(b"data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"cache_read_input_tokens\":9}}\n\n".to_vec()),
        Just(b"data: {\"type\":\"message_stop\"}\r\n\r\n".to_vec()),
        Just(b"{\"message\":{\"content\":\"x\"},\"done\":false}\n".to_vec()),
        Just(b"{\"error\":\"bad\"}\r\n".to_vec()),
        Just(b"data: {\"error\":{\"message\":\"bad\"}}\r\n\r\n".to_vec()),
        Just(b": comment\r".to_vec()),
        Just(b"event: x\n".to_vec()),
        Just(b"data: [DONE]\n\n".to_vec()),
        Just(b"<html>".to_vec()),
        vec(any::<u8>(), 0..8),
    ];
    vec(fragment, 0..8).prop_map(|fragments| fragments.concat())
}

/// How a client's stream ended: its end markers and its errors.
fn endings(client: Api, bytes: &[u8]) -> (usize, usize) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    if client.stream_type() == "application/x-ndjson" {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
        return lines.fold((0, 0), |(ends, errors), line| {
            (ends + usize::from(line["done"] == true), errors + usize::from(line.get("error").is_some()))
        });
    }
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.fold((0, 0), |(ends, errors), data| {
        if data == "[DONE]" {
            return (ends + 1, errors);
        }
        let event: Value = serde_json::from_str(data).expect("each event is JSON");
        let kind = event["type"].as_str().unwrap_or_default();
        let ends_it = matches!(kind, "message_stop" | "response.completed" | "response.incomplete");
        let fails = kind == "error" || kind == "response.failed" || (kind.is_empty() && event.get("error").is_some());
        (ends + usize::from(ends_it), errors + usize::from(fails))
    })
}

/// The recorded answers of all cases that are streams.
fn recorded() -> Vec<(ServerApi, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/streams");
    let mut answers = Vec::new();
    for entry in fs::read_dir(folder).expect("cases") {
        let text = fs::read_to_string(entry.expect("entry").path()).expect("readable case");
        let case: Value = serde_json::from_str(&text).expect("JSON");
        let server = SERVERS.into_iter().find(|server| case["from"] == server.name().to_lowercase());
        let lines = case["answer"].as_array().expect("answer").iter().map(|line| line.as_str().expect("text"));
        let answer = lines.collect::<Vec<_>>().join("\n") + "\n";
        if case["whole"] != true {
            answers.push((server.expect("a known server"), answer.into_bytes()));
        }
    }
    answers
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
fn a_recorded_answer_cut_anywhere_ends_with_a_marker_or_an_error() {
    for (server, answer) in recorded() {
        for length in 0..=answer.len() {
            let (events, end) = decode(server, [&answer[..length]]);
            for client in CLIENTS {
                let mut encoder = client.encoder(meta(), &ChatRequest::default());
                let mut bytes = Vec::new();
                encoder.encode_all(&events, &mut bytes);
                if end.is_err() {
                    encoder.error(&FAILED, &mut bytes);
                }
                // Whatever is called after the end, nothing follows it.
                encoder.end(&mut bytes);
                let over = bytes.len();
                encoder.end(&mut bytes);
                encoder.error(&FAILED, &mut bytes);
                encoder.keep_alive(&mut bytes);
                encoder.encode_all(&events, &mut bytes);
                assert_eq!(bytes.len(), over, "{client:?}");
                let (ends, errors) = endings(client, &bytes);
                assert_eq!(ends + errors, 1, "{server:?} to {client:?}: {}", String::from_utf8_lossy(&bytes));
                assert!(end.is_ok() || errors == 1, "{server:?} to {client:?} hides that the answer was cut");
            }
        }
    }
}

#[test]
fn signs_of_life_are_read_over() {
    for (client, server) in ALIKE {
        let events = [Event::Text("a".into()), Event::Text("b".into()), Event::Finish(FinishReason::Stop)];
        let mut encoder = client.encoder(meta(), &ChatRequest::default());
        let mut bytes = Vec::new();
        for event in &events {
            encoder.keep_alive(&mut bytes);
            encoder.encode(event, &mut bytes);
        }
        encoder.keep_alive(&mut bytes);
        encoder.end(&mut bytes);
        let (mut found, end) = decode(server, [bytes.as_slice()]);
        found.retain(|event| matches!(event, Event::Text(_) | Event::Finish(_)));
        assert_eq!((found.as_slice(), end), (events.as_slice(), Ok(())), "{client:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn cutting_changes_nothing(events in answer(), places in vec(any::<usize>(), 0..20)) {
        for (client, server) in ALIKE {
            let bytes = encode(client, &events);
            prop_assert_eq!(decode(server, cut(&bytes, &places)), decode(server, [bytes.as_slice()]));
            if server != ServerApi::Ollama {
                let crlf = String::from_utf8(bytes).expect("UTF-8").replace('\n', "\r\n: comment\r\n").into_bytes();
                prop_assert!(decode(server, cut(&crlf, &places)).1.is_ok());
            }
        }
    }

    #[test]
    fn cutting_a_recorded_answer_changes_nothing(which in any::<prop::sample::Index>(), places in vec(any::<usize>(), 0..20)) {
        let answers = recorded();
        let (server, bytes) = which.get(&answers);
        prop_assert_eq!(decode(*server, cut(bytes, &places)), decode(*server, [bytes.as_slice()]));
    }

    #[test]
    fn cutting_noise_changes_nothing(bytes in noise(), places in vec(any::<usize>(), 0..8)) {
        for server in SERVERS {
            prop_assert_eq!(decode(server, cut(&bytes, &places)), decode(server, [bytes.as_slice()]));
        }
    }

    #[test]
    fn what_is_written_is_read_back(events in answer()) {
        for (client, server) in ALIKE {
            let (found, end) = decode(server, [encode(client, &events).as_slice()]);
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(comparable(found), events.clone());
        }
    }

    #[test]
    fn an_answer_cut_short_is_never_taken_for_a_whole_one(events in answer(), place in any::<usize>()) {
        for (client, server) in ALIKE {
            let bytes = encode(client, &events);
            // The last event counts as soon as its JSON is whole.
            let end = match server {
                ServerApi::OpenAi => bytes.len() - b"data: [DONE]\n\n".len(),
                _ => bytes.trim_ascii_end().len() - 1,
            };
            prop_assert!(decode(server, [&bytes[..place % end]]).1.is_err());
        }
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..64), json in "[{}\\[\\]\":,a-z0-9 ]{0,64}") {
        for body in [bytes.as_slice(), json.as_bytes()] {
            for client in CLIENTS {
                let _ = client.parse(body, &JsonLimits::default());
            }
            for server in SERVERS {
                let _ = server.parse_answer(body);
            }
        }
    }
}
