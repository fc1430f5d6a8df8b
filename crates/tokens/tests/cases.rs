//! Compares counts with those of Hugging Face's `tokenizers` (`make_cases.py` wrote them), and with real vocabularies when
//! somebody has them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollhouse_dialect::{ChatRequest, Content, Format, Message, Part, Prompt, Role, Template};
use tollhouse_tokens::{COUNT_BYTES_MAX, Counter, Source, Tokenizer, TokensError, estimate};

fn case(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn metadata(name: &str, pre: &str) -> Map<String, Value> {
    let Value::Object(mut metadata) = case(name) else { panic!("{name} is no object") };
    metadata.insert("tokenizer.ggml.pre".into(), pre.into());
    metadata
}

fn from_json(file: &Value) -> Tokenizer {
    Tokenizer::from_json(&file.to_string()).unwrap()
}

/// Compares all counts and shows all that differ.
fn check(what: &str, tokenizer: &Tokenizer, texts: &Value, counts: &Value) {
    let mut wrong = Vec::new();
    for (text, count) in texts.as_array().unwrap().iter().zip(counts.as_array().unwrap()) {
        let (text, expected) = (text.as_str().unwrap(), count.as_u64().unwrap() as usize);
        let counted = tokenizer.count(text);
        if counted != expected {
            wrong.push(format!("{counted}, not {expected}: {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn byte_level_families() {
    let cases = case("bytes.cases.json");
    let file = case("bytes.tokenizer.json");
    for (family, case) in cases["families"].as_object().unwrap() {
        let tokenizer = Tokenizer::from_ggml(&metadata("bytes.ggml.json", family)).unwrap();
        check(&format!("{family} by GGUF"), &tokenizer, &cases["texts"], &case["counts"]);

        let mut file = file.clone();
        file["pre_tokenizer"] = case["pre_tokenizer"].clone();
        file["model"]["ignore_merges"] = case["ignore_merges"].clone();
        check(&format!("{family} by file"), &from_json(&file), &cases["texts"], &case["counts"]);
        file["normalizer"] = serde_json::json!({"type": "NFC"});
        check(&format!("{family} composed"), &from_json(&file), &cases["texts"], &case["composed"]);
    }
}

#[test]
fn sentencepiece_forms() {
    let cases = case("characters.cases.json");
    let file = case("characters.tokenizer.json");
    for (number, form) in cases["forms"].as_array().unwrap().iter().enumerate() {
        let mut file = file.clone();
        file["normalizer"] = form["normalizer"].clone();
        file["pre_tokenizer"] = form["pre_tokenizer"].clone();
        check(&format!("form {number}"), &from_json(&file), &cases["texts"], &form["counts"]);
    }
    let tokenizer = Tokenizer::from_ggml(&metadata("characters.ggml.json", "default")).unwrap();
    check("by scores", &tokenizer, &cases["texts"], &cases["forms"][0]["counts"]);
    assert_eq!(tokenizer.around(), 1);
}

#[test]
fn what_is_not_known_is_an_error() {
    let unsupported =
        |metadata: &Map<String, Value>| matches!(Tokenizer::from_ggml(metadata), Err(TokensError::Unsupported { .. }));
    assert!(unsupported(&metadata("bytes.ggml.json", "kimi-k2")));
    let mut changed = metadata("bytes.ggml.json", "qwen2");
    changed.insert("tokenizer.ggml.model".into(), "rwkv".into());
    assert!(unsupported(&changed));
    // As an answer of /api/show has them that is not verbose.
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.model"] {
        let mut changed = metadata("bytes.ggml.json", "qwen2");
        changed.insert(key.into(), Value::Null);
        assert!(Tokenizer::from_ggml(&changed).is_err(), "{key}");
    }
    let mut short = metadata("characters.ggml.json", "default");
    short["tokenizer.ggml.scores"].as_array_mut().unwrap().pop();
    assert!(matches!(Tokenizer::from_ggml(&short), Err(TokensError::Invalid(_))));

    for (key, value) in [
        ("normalizer", serde_json::json!({"type": "Lowercase"})),
        ("pre_tokenizer", serde_json::json!({"type": "BertPreTokenizer"})),
        ("pre_tokenizer", serde_json::json!({"type": "ByteLevel", "add_prefix_space": true})),
        ("pre_tokenizer", serde_json::json!({"type": "Split", "pattern": {"Regex": "a++"}, "behavior": "Isolated"})),
        ("model", serde_json::json!({"type": "Unigram", "vocab": [["a", -1.0]]})),
    ] {
        let mut file = case("bytes.tokenizer.json");
        file[key] = value;
        let outcome = Tokenizer::from_json(&file.to_string());
        assert!(matches!(outcome, Err(TokensError::Unsupported { .. })), "{key}: {outcome:?}");
    }
}

#[test]
fn files_are_read_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    assert!(matches!(Tokenizer::from_file(&path), Err(TokensError::Read { .. })));
    std::fs::write(&path, case("bytes.tokenizer.json").to_string()).unwrap();
    assert_eq!(Tokenizer::from_file(&path).unwrap().count("<|im_start|>"), 1);
    std::fs::File::create(&path).unwrap().set_len(tollhouse_tokens::FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(Tokenizer::from_file(&path), Err(TokensError::TooLarge { .. })));
}

fn counter() -> Counter {
    Counter::exact(Tokenizer::from_ggml(&metadata("bytes.ggml.json", "qwen2")).unwrap())
}

#[test]
fn a_raw_prompt_is_counted_exactly() {
    let text = "The road is kept in repair. 道路";
    let prompt = Prompt { text: text.into(), template: Template::Raw, ..Prompt::default() };
    let request = ChatRequest { prompt: Some(prompt), ..ChatRequest::default() };
    let tokenizer = Tokenizer::from_ggml(&metadata("bytes.ggml.json", "llama-bpe")).unwrap();
    let tokens = tokenizer.count(text) as u64 + 1;
    let count = Counter::exact(tokenizer).count(&request);
    assert_eq!((count.tokens, count.source), (tokens, Source::Tokenizer));
}

#[test]
fn everything_that_the_model_reads_is_counted() {
    let counter = counter();
    let cost = |value: &Value| {
        let text = serde_json::to_string(value).unwrap();
        let raw = Prompt { text, template: Template::Raw, ..Prompt::default() };
        counter.count(&ChatRequest { prompt: Some(raw), ..ChatRequest::default() }).tokens
    };
    let long =
        json!({"type": "object", "properties": {"road": {"type": "string", "description": "the road ".repeat(50)}}});
    let prompt = |change: fn(&mut Prompt, String)| {
        let mut prompt = Prompt { text: "a".into(), template: Template::Model, ..Prompt::default() };
        change(&mut prompt, long.to_string());
        ChatRequest { prompt: Some(prompt), ..ChatRequest::default() }
    };
    let plain = prompt(|_, _| {});
    let schema = Format::Schema { schema: long.clone(), rest: Map::default() };
    let part = |fields: Value| {
        let part = Part::Other(fields.as_object().unwrap().clone());
        let message = Message { content: Content::Parts(vec![part]), ..Message::text(Role::User, "") };
        ChatRequest { messages: vec![message], ..plain.clone() }
    };
    let source = json!({"type": "text", "media_type": "text/plain", "data": long.to_string()});
    for (what, request) in [
        ("a document's text", part(json!({"type": "document", "source": source}))),
        ("a template of the client's own", prompt(|prompt, text| prompt.own_template = Some(text))),
        ("instructions", prompt(|prompt, text| prompt.system = Some(text))),
        ("what follows the gap", prompt(|prompt, text| prompt.suffix = Some(text))),
        ("tools", ChatRequest { tools: Some(json!([long])), ..plain.clone() }),
        ("the answer's schema", ChatRequest { format: Some(schema), ..plain.clone() }),
    ] {
        let more = counter.count(&request).tokens - counter.count(&plain).tokens;
        assert!(more + 2 >= cost(&long), "{what}: {more} tokens more");
        let (least, most) = counter.bound(&request);
        assert!((least..=most).contains(&counter.count(&request).tokens), "{what}");
    }
    let film = part(
        json!({"type": "video_url", "video_url": {"url": format!("data:video/mp4;base64,{}", "A".repeat(99_999))}}),
    );
    assert!(counter.count(&film).tokens < 2000, "a film is no text");
    assert_eq!(film.prompt_chars(), "a".len() + "video_url".len());
}

#[test]
fn what_is_too_much_is_estimated() {
    let half = "the road ".repeat(COUNT_BYTES_MAX / 2 / 9);
    let ask = |times: usize| {
        let messages = vec![Message::text(Role::User, half.as_str()); times];
        counter().count(&ChatRequest { messages, ..ChatRequest::default() })
    };
    let (two, three) = (ask(2), ask(3));
    assert_eq!((two.source, three.source), (Source::Tokenizer, Source::Estimate));
    assert!(three.tokens - two.tokens >= estimate(&half) as u64);
}

#[test]
fn a_server_that_read_less_is_found() {
    let texts = case("bytes.cases.json")["texts"].clone();
    let said = texts.as_array().unwrap().iter().take(12).map(|text| Message::text(Role::User, text.as_str().unwrap()));
    let whole = ChatRequest { messages: said.collect(), ..ChatRequest::default() };
    for counter in [counter(), Counter::estimate()] {
        let count = counter.count(&whole);
        assert!(count.at_least < count.tokens);
        assert!(count.is_truncated_by_server(count.at_least - 1));
        assert!(!count.is_truncated_by_server(count.at_least));
        assert!(!count.is_truncated_by_server(0), "the server told nothing");
    }
    // With the vocabulary, a third of the conversation is missed.
    let mut cut = whole.clone();
    cut.messages.drain(..4);
    let counter = counter();
    assert!(counter.count(&whole).is_truncated_by_server(counter.count(&cut).tokens));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bounds_hold(texts in prop::collection::vec("(?s)([a-z]{1,8}[ .\n]|[中文字]{1,4}|é|😀|[0-9]{1,5}|<\\|im_end\\|>){0,40}", 0..6)) {
        let messages = texts.into_iter().map(|text| Message::text(Role::User, text)).collect();
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let characters = Tokenizer::from_ggml(&metadata("characters.ggml.json", "default")).unwrap();
        for counter in [counter(), Counter::exact(characters)] {
            let (least, most) = counter.bound(&request);
            let count = counter.count(&request);
            prop_assert!(least <= count.tokens && count.tokens <= most, "{count:?} not in {least}..={most}");
            prop_assert_eq!(count, counter.count(&request));
        }
    }
}

/// `TOLLHOUSE_VOCABULARIES=FOLDER cargo test -p tollhouse-tokens --test cases -- --ignored --nocapture`
///
/// The folder has `NAME.ggml.json` (GGUF metadata as JSON) and `NAME.cases.json` (an array of `{text, count}`), for
/// example made of llama.cpp's `models/ggml-vocab-*.gguf` with its `.inp` and `.out` files, and perhaps a `long.txt` that
/// is timed.
#[test]
#[ignore = "needs real vocabularies"]
fn real_vocabularies() {
    let folder = PathBuf::from(std::env::var("TOLLHOUSE_VOCABULARIES").expect("a folder"));
    let long = std::fs::read_to_string(folder.join("long.txt")).unwrap_or_default();
    let mut entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let Some(name) = path.to_str().unwrap().strip_suffix(".cases.json") else { continue };
        let metadata = std::fs::read_to_string(format!("{name}.ggml.json")).unwrap();
        let metadata = serde_json::from_str(&metadata).unwrap();
        let start = Instant::now();
        let tokenizer = match Tokenizer::from_ggml(&metadata) {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        let loading = start.elapsed();
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let column = |key: &str| Value::Array(cases.iter().map(|case| case[key].clone()).collect());
        check(name, &tokenizer, &column("text"), &column("count"));
        println!("{name}: {} cases right, loaded in {loading:?}", cases.len());
        if !long.is_empty() {
            let start = Instant::now();
            let count = tokenizer.count(&long);
            let counting = start.elapsed();
            println!("  {} bytes, {count} tokens in {counting:?}, estimate {}", long.len(), estimate(&long));
        }
    }
}
