//! Properties of the codecs: cutting changes nothing, nothing panics, what is written is read back.

use proptest::collection::vec;
use proptest::prelude::*;
use tollhouse_dialect::{Event, FinishReason, JsonLimits, Meta, Usage, ollama, openai};

type Outcome = (Vec<Event>, Result<(), String>);

fn decode_openai<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = openai::Decoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Err(error.to_string()));
        }
    }
    let end = decoder.finish(&mut events).map_err(|error| error.to_string());
    (events, end)
}

fn decode_ollama<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = ollama::Decoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Err(error.to_string()));
        }
    }
    let end = decoder.finish(&mut events).map_err(|error| error.to_string());
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
    Meta { id: "chatcmpl-1".into(), model: "m".into(), created_unix: 1, include_usage: true, ..Meta::default() }
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

fn encode_openai(events: &[Event]) -> Vec<u8> {
    let mut encoder = openai::StreamEncoder::new(meta());
    let mut bytes = Vec::new();
    for event in events {
        encoder.encode(event, &mut bytes);
    }
    encoder.end(&mut bytes);
    bytes
}

fn encode_ollama(events: &[Event]) -> Vec<u8> {
    let mut encoder = ollama::StreamEncoder::new(meta());
    let mut bytes = Vec::new();
    for event in events {
        encoder.encode(event, &mut bytes);
    }
    encoder.end(&mut bytes);
    bytes
}

fn without_start(events: Vec<Event>) -> Vec<Event> {
    events
        .into_iter()
        .filter(|event| !matches!(event, Event::Start { .. }))
        .map(|event| match event {
            // Times that nobody measured are absent in one dialect and absent or zero in the other.
            Event::Usage(usage) => Event::Usage(Usage { load_ms: None, prefill_ms: None, decode_ms: None, ..usage }),
            event => event,
        })
        .collect()
}

/// Something like a stream: parts of real ones in any order, and noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data:{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n".to_vec()),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn cutting_changes_nothing(events in answer(), places in vec(any::<usize>(), 0..20)) {
        let sse = encode_openai(&events);
        prop_assert_eq!(decode_openai(cut(&sse, &places)), decode_openai([sse.as_slice()]));
        let crlf = String::from_utf8(sse.clone()).expect("UTF-8").replace('\n', "\r\n: comment\r\n").into_bytes();
        prop_assert!(decode_openai(cut(&crlf, &places)).1.is_ok());
        let lines = encode_ollama(&events);
        prop_assert_eq!(decode_ollama(cut(&lines, &places)), decode_ollama([lines.as_slice()]));
    }

    #[test]
    fn cutting_noise_changes_nothing(bytes in noise(), places in vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(decode_openai(cut(&bytes, &places)), decode_openai([bytes.as_slice()]));
        prop_assert_eq!(decode_ollama(cut(&bytes, &places)), decode_ollama([bytes.as_slice()]));
    }

    #[test]
    fn what_is_written_is_read_back(events in answer()) {
        let (found, end) = decode_openai([encode_openai(&events).as_slice()]);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(without_start(found), events.clone());
        let (found, end) = decode_ollama([encode_ollama(&events).as_slice()]);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(without_start(found), events);
    }

    #[test]
    fn an_answer_cut_short_is_never_taken_for_a_whole_one(events in answer(), place in any::<usize>()) {
        let sse = encode_openai(&events);
        let end = sse.len() - b"data: [DONE]\n\n".len();
        prop_assert!(decode_openai([&sse[..place % end]]).1.is_err());
        let lines = encode_ollama(&events);
        let end = lines.trim_ascii_end().len() - 1;
        prop_assert!(decode_ollama([&lines[..place % end]]).1.is_err());
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..64), json in "[{}\\[\\]\":,a-z0-9 ]{0,64}") {
        for body in [bytes.as_slice(), json.as_bytes()] {
            let _ = openai::parse_chat(body, &JsonLimits::default());
            let _ = ollama::parse_chat(body, &JsonLimits::default());
            let _ = openai::parse_completion(body);
            let _ = ollama::parse_completion(body);
        }
    }
}
