//! Fuzz targets for everything that reads bytes from outside: all requests' bodies, all answers of model servers, whole
//! and streamed.
//!
//! Each target takes a case of `tests/cases/`, puts odd values where it has others, breaks it at random (bytes changed,
//! cut out, put in twice, mixed with another case, tokens that parsers stumble over put in), or takes arbitrary bytes,
//! and demands that nothing panics and that what is made of it is no larger than a small multiple of it. A few hundred rounds run with the other tests. For
//! longer:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p tollhouse-dialect --test fuzz
//! ```
//!
//! A failure is made as small as it gets, printed, and its seed is kept in `tests/fuzz.proptest-regressions`, which all
//! later runs try first. Once mended it becomes a case file. (This is no `cargo fuzz`, which needs a nightly compiler.)

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tollhouse_dialect::{
    Api, ChatRequest, EmbedApi, EmbedMeta, Encoding, ErrorInfo, Event, JsonLimits, Meta, NODES_MAX, ServerApi,
    ServerDefaults, anthropic, ollama,
};
use tollhouse_testkit::{broken, cuts, fuzz_rounds, replace_node};

const CLIENTS: [Api; 6] = [
    Api::OpenAiChat,
    Api::OpenAiCompletions,
    Api::OpenAiResponses,
    Api::AnthropicMessages,
    Api::OllamaChat,
    Api::OllamaGenerate,
];
const SERVERS: [ServerApi; 3] = [ServerApi::Ollama, ServerApi::OpenAi, ServerApi::Anthropic];
const EMBED_CLIENTS: [EmbedApi; 3] = [EmbedApi::OpenAi, EmbedApi::Ollama, EmbedApi::OllamaSingle];

/// Rounds of each target unless `PROPTEST_CASES` says otherwise.
const ROUNDS: u32 = 600;

/// What a writer may make of each byte that was read, at most: names of fields around one tiny value.
const GROWTH_MAX: usize = 64;
/// What a writer may add once.
const OVERHEAD_MAX: usize = 16 << 10;

/// Bytes that parsers stumble over.
const TOKENS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "-0",
    "1e400",
    "1e-400",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "data: ",
    "data:",
    "data: [DONE]\n\n",
    "event: error\n",
    ": \n",
    "\u{feff}",
    "\u{2028}",
    "\0",
    "\u{ff}",
    "<html>",
    "\"error\":",
    "\"done\":true",
    "\"index\":4294967295",
    "\"type\":",
    "data:image/png;base64,",
    "[[[[[[[[",
    "{\"a\":",
];

fn read_folder(folder: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<_> = fs::read_dir(root).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let read = |file| serde_json::from_str(&fs::read_to_string(file).expect("readable case")).expect("JSON");
    files.into_iter().map(read).collect()
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(raw) => raw.clone().into_bytes(),
        Value::Array(lines) => {
            lines.iter().map(|line| line.as_str().expect("text")).collect::<Vec<_>>().join("\n").into_bytes()
        }
        body => body.to_string().into_bytes(),
    }
}

/// All bodies of requests, and all answers of servers, that cases have.
static REQUESTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let cases = read_folder("requests").into_iter().chain(read_folder("embed"));
    cases.map(|case| case["request"].clone()).filter(|body| !body.is_null()).map(|body| bytes_of(&body)).collect()
});
static ANSWERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let cases = read_folder("streams").into_iter().chain(read_folder("embed"));
    cases.map(|case| case["answer"].clone()).filter(|body| !body.is_null()).map(|body| bytes_of(&body)).collect()
});

/// Values that are sound JSON and seldom what is expected.
static ODD: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let long = "x".repeat(300);
    let odd = json!([
        null, true, false, 0, -1, 1, 2, 0.5, 1e300, u64::MAX, i64::MIN, "", " ", "a", "é\u{2028}\n", "null", "0", "0s",
        long, [], [[]], [null], [1], ["a"], [{}], {}, {"a": 1}, {"type": "text"}, {"type": "text", "text": "a"},
        {"role": "user", "content": "a"}, "function", "user", "tool", "data:;base64,", "data:image/png;base64,AA",
        "9999999h", "1h1h1h", "-5m", {"url": "http://a"}, {"type": "a", "b": [{"file_url": "a"}]},
        {"type": "text", "text": "a", "image_url": {"url": "file:///a"}}
    ]);
    odd.as_array().cloned().unwrap_or_default()
});

/// Puts an odd value where the JSON of one line has another.
fn reshape(bytes: &[u8], line: Index, node: Index, odd: &Value) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let parsed = |line: &str| {
        let at = line.find('{')?;
        Some((line[..at].to_owned(), serde_json::from_str::<Value>(&line[at..]).ok()?))
    };
    let mut lines: Vec<_> = text.split('\n').map(|line| parsed(line).ok_or(line)).collect();
    let mut sound: Vec<_> = lines.iter_mut().filter_map(|line| line.as_mut().ok()).collect();
    let chosen = sound.len().checked_sub(1).map(|last| line.index(last + 1))?;
    replace_node(&mut sound[chosen].1, node, odd);
    let written = lines.into_iter().map(|line| line.map_or_else(str::to_owned, |(head, json)| format!("{head}{json}")));
    Some(written.collect::<Vec<_>>().join("\n").into_bytes())
}

/// Broken cases, and cases with odd values.
fn broken_or_odd(corpus: &'static [Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    let places = vec((any::<Index>(), any::<Index>(), any::<Index>()), 1..4);
    let odd = (any::<Index>(), places).prop_map(move |(which, places)| {
        let mut bytes = which.get(corpus).clone();
        for (line, node, odd) in places {
            bytes = reshape(&bytes, line, node, odd.get(&ODD)).unwrap_or(bytes);
        }
        bytes
    });
    prop_oneof![broken(corpus, TOKENS), odd]
}

fn rounds() -> ProptestConfig {
    fuzz_rounds(ROUNDS, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz.proptest-regressions"))
}

fn is_bounded(made: usize, read: usize) -> bool {
    made <= GROWTH_MAX * read + OVERHEAD_MAX
}

fn meta() -> Meta {
    Meta { id: "x-7".into(), model: "m".into(), created_unix: 1, include_usage: true, ..Meta::default() }
}

fn defaults() -> ServerDefaults {
    let options = json!({"temperature": 0.5, "num_gpu": 1});
    ServerDefaults {
        num_ctx: Some(4096),
        keep_alive: Some("5m".into()),
        options: options.as_object().cloned().unwrap_or_default(),
    }
}

/// Whether a message's content has nothing in it that its reader would fetch from somewhere.
fn fetches_nothing(content: &Value) -> bool {
    let Value::Object(map) = content else {
        return content.as_array().into_iter().flatten().all(fetches_nothing);
    };
    // Sources of an earlier answer and the like are mere text.
    let texts = ["annotations", "citations", "metadata", "documents", "functions", "json_schema"];
    map.iter().filter(|(name, _)| !texts.contains(&name.as_str())).all(|(name, value)| match value {
        Value::String(text) if name.ends_with("url") => text.is_empty() || text.starts_with("data:"),
        value => fetches_nothing(value),
    })
}

/// Writes what was read for every server and as an answer's frame, for a request that passed.
fn write_everywhere(client: Api, request: &ChatRequest, read: usize) -> Result<(), TestCaseError> {
    let _ = (request.prompt_chars(), request.user(), request.last_user_text());
    let events = [Event::Thinking("t".into()), Event::Text("a".into())];
    for server in SERVERS {
        if let Ok(outgoing) = server.write(request, "served", &defaults()) {
            prop_assert!(is_bounded(outgoing.body.len(), read), "{:?} {}", server, outgoing.body.len());
            let body = serde_json::from_slice::<Value>(&outgoing.body);
            prop_assert!(body.is_ok(), "{:?}", server);
            if server == ServerApi::OpenAi {
                let messages = body.unwrap_or_default()["messages"].take();
                let messages = messages.as_array().into_iter().flatten();
                prop_assert!(messages.into_iter().all(|message| fetches_nothing(&message["content"])));
            }
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = client.encoder(meta(), request);
    encoder.encode_all(&events, &mut bytes);
    encoder.end(&mut bytes);
    prop_assert!(is_bounded(bytes.len(), read));
    if let Ok(body) = client.write_answer(&meta(), request, &events) {
        prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
    }
    Ok(())
}

/// Writes an answer that was read for every client.
fn answer_everyone(events: &[Event], read: usize) -> Result<(), TestCaseError> {
    // Each event needs bytes of its own to come from.
    prop_assert!(events.len() <= read + 8);
    for client in CLIENTS {
        let mut bytes = Vec::new();
        let mut encoder = client.encoder(meta(), &ChatRequest::default());
        encoder.encode_all(events, &mut bytes);
        encoder.error(
            &ErrorInfo { status: 502, kind: "server_error", code: None, param: None, message: "m", request_id: "r" },
            &mut bytes,
        );
        prop_assert!(std::str::from_utf8(&bytes).is_ok());
        prop_assert!(is_bounded(bytes.len(), read), "{:?} {} of {}", client, bytes.len(), read);
        if let Ok(body) = client.write_answer(&meta(), &ChatRequest::default(), events) {
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn requests(body in broken_or_odd(&REQUESTS)) {
        for client in CLIENTS {
            if let Ok(request) = client.parse(&body, &JsonLimits::default()) {
                write_everywhere(client, &request, body.len())?;
            }
        }
    }

    #[test]
    fn requests_to_count_and_to_show(body in broken_or_odd(&REQUESTS)) {
        let _ = anthropic::parse_count(&body, &JsonLimits::default());
        let _ = ollama::parse_show(&body, &JsonLimits::default());
    }

    #[test]
    fn requests_for_embeddings(body in broken_or_odd(&REQUESTS)) {
        for client in EMBED_CLIENTS {
            let Ok(request) = client.parse(&body, &JsonLimits::default()) else { continue };
            prop_assert!(request.inputs.len() <= NODES_MAX);
            for server in SERVERS {
                if let Ok(outgoing) = server.write_embed(&request, "served", &defaults()) {
                    prop_assert!(is_bounded(outgoing.body.len(), body.len()));
                    prop_assert!(serde_json::from_slice::<Value>(&outgoing.body).is_ok());
                }
            }
        }
    }

    #[test]
    fn whole_answers(body in broken_or_odd(&ANSWERS)) {
        for server in SERVERS {
            if let Ok(events) = server.parse_answer(&body) {
                answer_everyone(&events, body.len())?;
            }
        }
    }

    #[test]
    fn streamed_answers(body in broken_or_odd(&ANSWERS), places in vec(any::<Index>(), 0..6)) {
        let places = cuts(&places, body.len());
        for server in SERVERS {
            let mut decoder = server.decoder();
            let mut events = Vec::new();
            let mut from = 0;
            let mut failed = false;
            for place in places.iter().copied().chain([body.len()]) {
                failed = failed || decoder.push(&body[from..place], &mut events).is_err();
                from = place;
            }
            if !failed {
                let _ = decoder.finish(&mut events);
            }
            answer_everyone(&events, body.len())?;
        }
    }

    #[test]
    fn embeddings(body in broken_or_odd(&ANSWERS)) {
        for server in SERVERS {
            let Ok(embeddings) = server.parse_embeddings(&body) else { continue };
            let numbers: usize = embeddings.vectors.iter().map(Vec::len).sum();
            prop_assert!(numbers <= body.len() && embeddings.vectors.len() <= body.len());
            for (client, encoding) in EMBED_CLIENTS.into_iter().zip([Encoding::Base64, Encoding::Float, Encoding::Float]) {
                let made = client.write_answer(&EmbedMeta { model: "m".into(), encoding }, &embeddings);
                prop_assert!(serde_json::from_slice::<Value>(&made).is_ok());
                prop_assert!(is_bounded(made.len(), body.len()));
            }
        }
    }
}
