//! Properties of the APIs that go on from a prompt: Ollama's generate and OpenAI's completions.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollhouse_dialect::ollama::generate;
use tollhouse_dialect::{Api, DecodeError, Event, FinishReason, JsonLimits, Meta, ServerApi, Usage};

fn meta() -> Meta {
    Meta { id: "cmpl-7".into(), model: "m".into(), created_unix: 1, include_usage: true, ..Meta::default() }
}

fn decode<'a>(server: ServerApi, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Result<(), DecodeError>) {
    let mut decoder = server.decoder();
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Err(error));
        }
    }
    let end = decoder.finish(&mut events);
    (events, end)
}

/// An answer as a server gives it to a prompt.
fn answer(with_thoughts: bool) -> impl Strategy<Value = Vec<Event>> {
    let text = "[ -~\u{2028}é\n]{1,8}";
    let piece = (text, any::<bool>()).prop_map(move |(text, thought)| {
        if thought && with_thoughts { Event::Thinking(text) } else { Event::Text(text) }
    });
    let reason = prop_oneof![Just(FinishReason::Stop), Just(FinishReason::Length)];
    let usage = (1..1000u64, 1..1000u64);
    (vec(piece, 0..10), reason, usage).prop_map(|(mut events, reason, (input, output))| {
        events.push(Event::Finish(reason));
        events.push(Event::Usage(Usage { input_tokens: input, output_tokens: output, ..Usage::default() }));
        events
    })
}

fn without_start(mut events: Vec<Event>) -> Vec<Event> {
    events.retain(|event| !matches!(event, Event::Start { .. }));
    for event in &mut events {
        if let Event::Usage(usage) = event {
            (usage.load_ms, usage.prefill_ms, usage.decode_ms) = (None, None, None);
        }
    }
    events
}

/// What is streamed is read back, cut anywhere or not, and so is what is sent whole.
fn check(client: Api, server: ServerApi, body: &Value, answer: &[Event], cut: usize) -> Result<(), TestCaseError> {
    let request = client.parse(body.to_string().as_bytes(), &JsonLimits::default()).expect("a sound request");
    let mut encoder = client.encoder(meta(), &request);
    let mut bytes = Vec::new();
    encoder.keep_alive(&mut bytes);
    encoder.encode_all(answer, &mut bytes);
    encoder.end(&mut bytes);
    let (begin, rest) = bytes.split_at(cut % (bytes.len() + 1));
    let (found, end) = decode(server, [begin, rest]);
    prop_assert_eq!(end, Ok(()));
    prop_assert_eq!(without_start(found), answer);
    let whole = client.write_answer(&meta(), &request, answer).expect("an answer");
    let whole = server.parse_answer(&whole).expect("what we write, we read");
    prop_assert_eq!(said(&whole), said(answer));
    Ok(())
}

/// All thoughts and all text, and why it ended.
fn said(events: &[Event]) -> (String, String, Option<FinishReason>) {
    let mut said = (String::new(), String::new(), None);
    for event in events {
        match event {
            Event::Thinking(text) => said.0.push_str(text),
            Event::Text(text) => said.1.push_str(text),
            Event::Finish(reason) => said.2 = Some(reason.clone()),
            _ => {}
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_generated_text_is_read_back(mut answer in answer(true), context in vec(any::<u32>(), 0..4), cut: usize) {
        let end = answer.len() - 2;
        answer.insert(end, Event::Context(context));
        check(Api::OllamaGenerate, ServerApi::Ollama, &json!({"model": "m", "prompt": "a"}), &answer, cut)?;
    }

    #[test]
    fn a_completion_is_read_back(answer in answer(false), cut: usize) {
        check(Api::OpenAiCompletions, ServerApi::OpenAi, &json!({"model": "m", "prompt": "a"}), &answer, cut)?;
    }

    #[test]
    fn an_echo_is_the_prompt_and_then_the_answer(answer in answer(false), prompt in "\\PC{1,9}") {
        let body = json!({"model": "m", "prompt": prompt, "echo": true});
        let request =
            Api::OpenAiCompletions.parse(body.to_string().as_bytes(), &JsonLimits::default()).expect("a sound request");
        let mut encoder = Api::OpenAiCompletions.encoder(meta(), &request);
        let mut bytes = Vec::new();
        encoder.encode_all(&answer, &mut bytes);
        encoder.end(&mut bytes);
        let streamed = said(&decode(ServerApi::OpenAi, [bytes.as_slice()]).0).1;
        prop_assert_eq!(&streamed, &format!("{prompt}{}", said(&answer).1));
        let whole = Api::OpenAiCompletions.write_answer(&meta(), &request, &answer).expect("an answer");
        prop_assert_eq!(said(&ServerApi::OpenAi.parse_answer(&whole).expect("ours")).1, streamed);
    }
}

#[test]
fn a_wish_to_load_needs_no_server_that_holds_its_models() {
    let at_once = |body: Value| {
        let parsed = Api::OllamaGenerate.parse(body.to_string().as_bytes(), &JsonLimits::default());
        generate::at_once(&parsed.expect("a sound request"))
    };
    let events = at_once(json!({"model": "m"})).expect("an answer");
    let request = Api::OllamaGenerate.parse(br#"{"model":"m"}"#, &JsonLimits::default()).expect("a sound request");
    let body = Api::OllamaGenerate.write_answer(&meta(), &request, &events).expect("an answer");
    let expected =
        r#"{"model":"m","created_at":"1970-01-01T00:00:01Z","response":"","done":true,"done_reason":"load"}"#;
    assert_eq!(String::from_utf8(body).expect("UTF-8"), expected);
    assert!(at_once(json!({"model": "m", "prompt": "hi"})).is_none());
    assert!(at_once(json!({"model": "m", "keep_alive": 0})).is_none());
    let completion = Api::OpenAiCompletions.parse(br#"{"model":"m","prompt":"a"}"#, &JsonLimits::default());
    assert!(generate::at_once(&completion.expect("a sound request")).is_none());
}
