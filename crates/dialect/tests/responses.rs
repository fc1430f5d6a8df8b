//! Properties of the Responses API's event stream: the order that its documentation gives holds for any answer, and a
//! streamed answer says what the same answer sent whole does.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollhouse_dialect::openai::responses::RESPONSE_BYTES_MAX;
use tollhouse_dialect::{Api, ChatRequest, ErrorInfo, Event, FinishReason, JsonLimits, Meta, Usage};

const FAILED: ErrorInfo = ErrorInfo {
    status: 429,
    kind: "rate_limit_error",
    code: Some("rate_limit_exceeded"),
    param: None,
    message: "the model is busy",
    request_id: "r-7",
};

fn meta() -> Meta {
    Meta { id: "resp_7".into(), model: "m".into(), created_unix: 1, ..Meta::default() }
}

fn request(summary: bool) -> ChatRequest {
    let reasoning = if summary { json!({"summary": "auto"}) } else { Value::Null };
    let body = json!({"model": "m", "input": "hi", "instructions": "be brief", "reasoning": reasoning});
    Api::OpenAiResponses.parse(body.to_string().as_bytes(), &JsonLimits::default()).expect("a sound request")
}

/// The events of a stream, each checked to be named as its data says and numbered in order.
fn events_of(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let blocks = text.strip_suffix("\n\n").expect("whole events").split("\n\n").enumerate();
    let read = |(number, block): (usize, &str)| {
        let (name, data) = block.split_once('\n').expect("a name and data");
        let data = data.strip_prefix("data: ").expect("data");
        let event: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(name.strip_prefix("event: "), event["type"].as_str());
        assert_eq!(event["sequence_number"], number);
        event
    };
    blocks.map(read).collect()
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().expect("a type")
}

/// Follows a stream as a client does; gives the last event and the items that were done.
fn follow(events: &[Value]) -> (&Value, Vec<Value>) {
    let [created, in_progress, middle @ .., last] = events else { panic!("too few events: {events:?}") };
    assert_eq!((kind(created), kind(in_progress)), ("response.created", "response.in_progress"));
    for event in [created, in_progress] {
        assert_eq!((&event["response"]["status"], &event["response"]["output"]), (&json!("in_progress"), &json!([])));
        assert_eq!(event["response"]["instructions"], "be brief");
    }
    let mut rest = middle;
    let mut done = Vec::new();
    while let [added, more @ ..] = rest {
        assert_eq!(kind(added), "response.output_item.added");
        assert_eq!(added["output_index"], done.len());
        let end = more.iter().position(|event| kind(event) == "response.output_item.done");
        let Some(end) = end else { break };
        let item = &more[end]["item"];
        follow_item(&added["item"], &more[..end], item, done.len());
        done.push(item.clone());
        rest = &more[end + 1..];
    }
    (last, done)
}

fn follow_item(added: &Value, inner: &[Value], done: &Value, index: usize) {
    let (part, text) = match done["type"].as_str().expect("a type") {
        "message" => (Some("content_part"), "output_text"),
        "reasoning" if done["summary"] == json!([]) => (Some("content_part"), "reasoning_text"),
        "reasoning" => (Some("reasoning_summary_part"), "reasoning_summary_text"),
        "function_call" => (None, "function_call_arguments"),
        other => panic!("an item of type {other}"),
    };
    assert_eq!((added["id"].as_str(), &added["status"]), (done["id"].as_str(), &json!("in_progress")));
    for event in inner {
        assert_eq!((&event["item_id"], &event["output_index"]), (&done["id"], &json!(index)));
    }
    let inner = match (part, inner) {
        (None, inner) => inner,
        (Some(part), [first, inner @ .., last]) => {
            assert_eq!(kind(first), format!("response.{part}.added"));
            assert_eq!(first["part"]["text"], "");
            assert_eq!(kind(last), format!("response.{part}.done"));
            let field = if part == "reasoning_summary_part" { "summary" } else { "content" };
            assert_eq!(done[field], json!([last["part"]]));
            inner
        }
        (Some(_), _) => panic!("parts are missing: {inner:?}"),
    };
    let [deltas @ .., end] = inner else { panic!("no end of the text") };
    assert_eq!(kind(end), format!("response.{text}.done"));
    let mut whole = String::new();
    for delta in deltas {
        assert_eq!(kind(delta), format!("response.{text}.delta"));
        whole.push_str(delta["delta"].as_str().expect("text"));
    }
    let field = if part.is_none() { "arguments" } else { "text" };
    assert_eq!(end[field], whole);
    if part.is_none() {
        assert_eq!(done["arguments"], whole);
    }
}

fn stream(request: &ChatRequest, events: &[Event]) -> Vec<Value> {
    let mut encoder = Api::OpenAiResponses.encoder(meta(), request);
    let mut bytes = Vec::new();
    encoder.encode_all(events, &mut bytes);
    encoder.end(&mut bytes);
    events_of(&bytes)
}

/// An answer as a decoder gives it; the pieces of one call follow each other.
fn answer() -> impl Strategy<Value = Vec<Event>> {
    #[derive(Debug, Clone)]
    enum Piece {
        Text(String),
        Thinking(String),
        Probabilities,
        Call(bool, Vec<String>),
    }
    let piece = prop_oneof![
        4 => "\\PC{0,5}".prop_map(Piece::Text),
        2 => "[a-z\n\"]{1,5}".prop_map(Piece::Thinking),
        1 => Just(Piece::Probabilities),
        2 => (any::<bool>(), vec("[a-z{}]{0,3}", 0..4)).prop_map(|(named, pieces)| Piece::Call(named, pieces)),
    ];
    let reason = prop_oneof![
        Just(None),
        Just(Some(FinishReason::Stop)),
        Just(Some(FinishReason::Length)),
        Just(Some(FinishReason::ContentFilter)),
        Just(Some(FinishReason::ToolCalls)),
    ];
    (vec(piece, 0..10), reason, any::<bool>()).prop_map(|(pieces, reason, told)| {
        let mut events = vec![Event::Start { id: None, model: None, created: None }];
        let mut calls = 0;
        for piece in pieces {
            match piece {
                Piece::Text(text) => events.push(Event::Text(text)),
                Piece::Thinking(text) => events.push(Event::Thinking(text)),
                Piece::Probabilities => events.push(Event::Logprobs(json!([{"token": "é", "logprob": -0.5}]))),
                Piece::Call(named, pieces) => {
                    let id = named.then(|| format!("call-{calls}"));
                    let begin =
                        Event::ToolCall { index: calls, id, name: Some("tool".into()), arguments: String::new() };
                    events.push(begin);
                    let more = |arguments| Event::ToolCall { index: calls, id: None, name: None, arguments };
                    events.extend(pieces.into_iter().map(more));
                    calls += 1;
                }
            }
        }
        events.extend(reason.map(Event::Finish));
        if told {
            events.push(Event::Usage(Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() }));
        }
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_comes_in_the_documented_order(answer in answer(), summary in any::<bool>()) {
        let request = request(summary);
        let events = stream(&request, &answer);
        let (last, done) = follow(&events);
        let reason = answer.iter().find_map(|event| if let Event::Finish(reason) = event { Some(reason) } else { None });
        let cut = match reason {
            Some(FinishReason::Length) => Some("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Some("content_filter"),
            _ => None,
        };
        let status = if cut.is_some() { "incomplete" } else { "completed" };
        prop_assert_eq!(kind(last), format!("response.{status}"));
        prop_assert_eq!(&last["response"]["status"], status);
        prop_assert_eq!(&last["response"]["incomplete_details"]["reason"], &json!(cut));
        prop_assert_eq!(&last["response"]["output"], &Value::Array(done));
        // The same answer sent whole is the same response.
        let whole = Api::OpenAiResponses.write_answer(&meta(), &request, &answer).expect("an answer");
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        let without_probabilities = |response: &Value| {
            let mut response = response.clone();
            for item in response["output"].as_array_mut().expect("items") {
                if let Some(part) = item.pointer_mut("/content/0").and_then(Value::as_object_mut) {
                    part.shift_remove("logprobs");
                }
            }
            response
        };
        // Where probabilities come late, a stream has no place for them any more.
        prop_assert_eq!(without_probabilities(&whole), without_probabilities(&last["response"]));
    }

    #[test]
    fn an_error_ends_any_answer(answer in answer(), at in any::<prop::sample::Index>(), summary in any::<bool>()) {
        let at = at.index(answer.len() + 1);
        let mut encoder = Api::OpenAiResponses.encoder(meta(), &request(summary));
        let mut bytes = Vec::new();
        encoder.encode_all(&answer[..at], &mut bytes);
        encoder.error(&FAILED, &mut bytes);
        let over = bytes.len();
        encoder.encode_all(&answer[at..], &mut bytes);
        encoder.end(&mut bytes);
        prop_assert_eq!(bytes.len(), over);
        let events = events_of(&bytes);
        if at == 0 {
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(kind(&events[0]), "error");
            prop_assert_eq!(&events[0]["code"], "rate_limit_exceeded");
            return Ok(());
        }
        let (last, done) = follow(&events);
        prop_assert_eq!(kind(last), "response.failed");
        let response = &last["response"];
        prop_assert_eq!(&response["status"], "failed");
        prop_assert_eq!(&response["error"], &json!({"code": "rate_limit_exceeded", "message": "the model is busy"}));
        prop_assert!(response["output"].as_array().expect("items").starts_with(&done));
    }
}

#[test]
fn an_answer_that_is_too_large_to_hold_is_given_up() {
    let piece = "x".repeat(1 << 20);
    let mut encoder = Api::OpenAiResponses.encoder(meta(), &request(false));
    let mut bytes = Vec::new();
    for _ in 0..=RESPONSE_BYTES_MAX >> 20 {
        bytes.clear();
        encoder.encode(&Event::Text(piece.clone()), &mut bytes);
    }
    let end = String::from_utf8(bytes.split_off(bytes.len() - 4096)).expect("UTF-8");
    assert!(end.ends_with("}}\n\n"), "{end}");
    encoder.end(&mut bytes);
    assert!(bytes.windows(15).any(|window| window == b"response.failed"));
}

#[test]
fn a_piece_of_a_call_that_is_done_is_an_error() {
    let call = |index, arguments: &str| Event::ToolCall {
        index,
        id: None,
        name: Some("tool".into()),
        arguments: arguments.to_owned(),
    };
    let events = stream(&request(false), &[call(0, "{"), call(1, "{}"), call(0, "}")]);
    assert_eq!(kind(events.last().expect("events")), "response.failed");
}
