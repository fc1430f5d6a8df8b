//! Golden cases and properties of embeddings: a request and what each server gets, an answer and what each client sees.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollhouse_dialect::{
    EMBED_INPUTS_MAX, EmbedApi, EmbedMeta, Embeddings, Encoding, JsonLimits, ServerApi, ServerDefaults,
};

const CLIENTS: [(&str, EmbedApi); 3] =
    [("openai", EmbedApi::OpenAi), ("ollama", EmbedApi::Ollama), ("single", EmbedApi::OllamaSingle)];
const SERVERS: [(&str, ServerApi, &str); 3] = [
    ("openai", ServerApi::OpenAi, "to_openai"),
    ("ollama", ServerApi::Ollama, "to_ollama"),
    ("anthropic", ServerApi::Anthropic, "to_anthropic"),
];

fn case(case: &Value) -> Vec<(&'static str, Value)> {
    if case["answer"].is_null() { request_case(case) } else { answer_case(case) }
}

fn request_case(case: &Value) -> Vec<(&'static str, Value)> {
    let body = case["request"].to_string();
    let (_, from) = CLIENTS.iter().find(|(name, _)| case["from"] == *name).expect("a known client");
    let request = match from.parse(body.as_bytes(), &JsonLimits::default()) {
        Ok(request) => request,
        Err(error) => return vec![("refused", json!(error.to_string()))],
    };
    let defaults = ServerDefaults {
        num_ctx: case["defaults"]["num_ctx"].as_u64().map(|tokens| tokens as u32),
        keep_alive: case["defaults"].get("keep_alive").cloned(),
        ..ServerDefaults::default()
    };
    let to = |server: ServerApi| match server.write_embed(&request, "served", &defaults) {
        Err(error) => json!({"refused": error.to_string()}),
        Ok(outgoing) => {
            let body: Value = serde_json::from_slice(&outgoing.body).expect("our bodies are JSON");
            json!({"path": outgoing.path, "body": body})
        }
    };
    let mut found = vec![("chars", json!(request.inputs.chars())), ("inputs", json!(request.inputs.len()))];
    found.extend(SERVERS.map(|(_, server, field)| (field, to(server))));
    found
}

fn answer_case(case: &Value) -> Vec<(&'static str, Value)> {
    let (_, from, _) = SERVERS.iter().find(|(name, ..)| case["from"] == *name).expect("a known server");
    let body = case["answer"].as_str().expect("text");
    let embeddings = match from.parse_embeddings(body.as_bytes()) {
        Ok(embeddings) => embeddings,
        Err(error) => return vec![("fault", json!(error.to_string()))],
    };
    let to = |api: EmbedApi, encoding| {
        let body = api.write_answer(&EmbedMeta { model: "public".to_owned(), encoding }, &embeddings);
        json!(String::from_utf8(body).expect("UTF-8"))
    };
    vec![
        ("to_openai", to(EmbedApi::OpenAi, Encoding::Float)),
        ("to_openai_base64", to(EmbedApi::OpenAi, Encoding::Base64)),
        ("to_ollama", to(EmbedApi::Ollama, Encoding::Float)),
        ("to_single", to(EmbedApi::OllamaSingle, Encoding::Float)),
    ]
}

#[test]
fn cases() {
    support::check("embed", case);
}

#[test]
fn inputs_are_bounded() {
    let body = |count: usize| json!({"model": "m", "input": vec!["a"; count]}).to_string();
    for (_, api) in &CLIENTS[..2] {
        assert!(api.parse(body(EMBED_INPUTS_MAX).as_bytes(), &JsonLimits::default()).is_ok());
        let refused = api.parse(body(EMBED_INPUTS_MAX + 1).as_bytes(), &JsonLimits::default());
        assert_eq!(refused.expect_err("too many").to_string(), "input has 2049 items, max 2048");
    }
}

#[test]
fn a_vector_too_few_is_noticed() {
    let request = EmbedApi::OpenAi.parse(br#"{"model":"m","input":["a","b"]}"#, &JsonLimits::default()).expect("sound");
    let answer = |count: usize| Embeddings { vectors: vec![vec![1.0]; count], ..Embeddings::default() };
    assert!(request.check(&answer(2)).is_ok());
    assert!(request.check(&answer(1)).is_err());
    assert!(request.check(&answer(3)).is_err());
}

/// Any number that a vector may hold, the tiniest and the largest among them.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |number| number.is_finite()),
        1 => -1.0f32..1.0,
        1 => prop::sample::select(vec![0.0, -0.0, f32::MIN, f32::MAX, f32::MIN_POSITIVE, f32::EPSILON, 1e-45]),
    ]
}

fn bits(vectors: &[Vec<f32>]) -> Vec<Vec<u32>> {
    vectors.iter().map(|vector| vector.iter().map(|number| number.to_bits()).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_digit_is_lost(vectors in vec(vec(number(), 0..6), 0..4), tokens in proptest::option::of(1u64..1000)) {
        let embeddings = Embeddings { vectors, input_tokens: tokens, ..Embeddings::default() };
        for (client, server, encoding) in [
            (EmbedApi::OpenAi, ServerApi::OpenAi, Encoding::Float),
            (EmbedApi::OpenAi, ServerApi::OpenAi, Encoding::Base64),
            (EmbedApi::Ollama, ServerApi::Ollama, Encoding::Float),
        ] {
            let body = client.write_answer(&EmbedMeta { model: "m".to_owned(), encoding }, &embeddings);
            let found = server.parse_embeddings(&body).expect("what we write, we read");
            prop_assert_eq!(bits(&found.vectors), bits(&embeddings.vectors));
            prop_assert_eq!(found.input_tokens.unwrap_or_default(), tokens.unwrap_or_default());
        }
    }

    #[test]
    fn digits_of_wider_numbers_are_rounded_once(number in number()) {
        // Python writes a 32-bit float as the 64-bit float that it is too.
        let body = format!(r#"{{"embedding":[{:?}]}}"#, f64::from(number));
        let found = ServerApi::Ollama.parse_embeddings(body.as_bytes()).expect("a vector");
        prop_assert_eq!(found.vectors[0][0].to_bits(), number.to_bits());
    }
}
