//! What each kind of server is asked: paths, headers, bodies, and what it tells about its models.

mod support;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json as value};
use support::*;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tollhouse_dialect::{ChatRequest, EmbedApi, Event, JsonLimits, Prompt};
use tollhouse_upstream::{
    Context, Fault, KNOWN_WAIT_MAX, Kind, ModelSpec, NUM_CTX_MAX, NUM_CTX_MIN, Settings, UpstreamSpec, Upstreams,
    Window, WindowSource,
};

fn one(kind: Kind, url: &str, models: Vec<ModelSpec>) -> Upstreams {
    let spec = UpstreamSpec { key: Some("sesame".to_owned()), ..spec("local", kind, url) };
    Upstreams::new(vec![spec], models, settings()).expect("set up")
}

#[tokio::test]
async fn the_anthropic_kind_is_spoken_to_in_its_own_way() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let mut fake = Fake::start([("/v1/messages", vec![head("text/event-stream"), chunk(events), end()])]).await;
    let upstreams = one(Kind::Anthropic, &fake.url, models(&["m"]));
    let (events, error) = all(chat(&upstreams, true).await.expect("reply")).await;
    assert!(error.is_none() && is_whole(&events), "{events:?} {error:?}");
    let sent = soon(fake.requests.recv()).await.expect("request");
    assert!(sent.contains("x-api-key: sesame") && sent.contains("anthropic-version: 2023-06-01"), "{sent}");
    assert!(!sent.contains("authorization"), "{sent}");
    assert_eq!(upstreams.status()[0].kind, "anthropic");
}

#[tokio::test]
async fn a_prompt_without_a_conversation_has_a_path_of_its_own() {
    let done = "{\"model\":\"m\",\"response\":\"hi\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":1}\n";
    let completion = "{\"choices\":[{\"index\":0,\"text\":\"hi\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";
    for (kind, base, path, body) in
        [(Kind::Ollama, "", "/api/generate", done), (Kind::OpenAi, "/v1", "/v1/completions", completion)]
    {
        let fake = Fake::start([(path, vec![answer("200 OK", "application/json", body)])]).await;
        let upstreams = one(kind, &format!("{}{base}", fake.url), models(&["m"]));
        let prompt = Prompt { text: "once".to_owned(), ..Prompt::default() };
        let asked = ChatRequest { model: "m".into(), prompt: Some(prompt), ..ChatRequest::default() };
        let reply = upstreams.chat(Arc::new(asked), Context::default()).await.expect("reply");
        assert!(is_whole(&all(reply).await.0), "{path}");
    }
}

#[tokio::test]
async fn texts_are_embedded() {
    let made = r#"{"model":"m","embeddings":[[1.0,2.0],[3.0,4.0]],"load_duration":500000000,"prompt_eval_count":5}"#;
    let mut fake = Fake::start([("/api/embed", vec![answer("200 OK", "application/json", made)])]).await;
    let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
    let body = br#"{"model":"m","input":["one","two"]}"#;
    let asked = Arc::new(EmbedApi::OpenAi.parse(body, &JsonLimits::default()).expect("a request"));
    let reply = upstreams.embed(Arc::clone(&asked), Context::default()).await.expect("embeddings");
    assert_eq!((reply.answer.vectors.len(), reply.answer.vectors[1][0]), (2, 3.0));
    assert_eq!((reply.attempts, reply.upstream.as_str(), upstreams.status()[0].loads), (1, "local", 1));
    assert!(soon(fake.requests.recv()).await.expect("request").starts_with("POST /api/embed"));
    // One vector too few is no answer.
    fake.now("/api/embed", vec![answer("200 OK", "application/json", r#"{"embeddings":[[1.0]]}"#)]);
    assert_eq!(upstreams.embed(Arc::clone(&asked), Context::default()).await.expect_err("short").status(), 502);
    // Whoever leaves closes the connection.
    fake.now("/api/embed", vec![Step::Hang]);
    let waiting = tokio::spawn(upstreams.embed(asked, Context::default()));
    state_becomes(&upstreams, "running", |now| now.running == 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    waiting.abort();
    soon(fake.hung_up.recv()).await.expect("closed");
    assert_eq!(upstreams.status()[0].running, 0);
}

async fn context_asked_for(fake: &mut Fake) -> Value {
    loop {
        let heard = soon(fake.requests.recv()).await.expect("request");
        if heard.starts_with("POST /api/chat") {
            return body_of(&heard)["options"]["num_ctx"].clone();
        }
    }
}

#[tokio::test]
async fn one_context_length_for_everybody_only_grows() {
    let shown = value!({"model_info": {"general.architecture": "q", "q.context_length": 20_000}});
    let running = value!({"models": [{"name": "m:latest", "context_length": 4096}]});
    let mut fake =
        Fake::start([("/api/chat", good_stream()), ("/api/show", json(&shown)), ("/api/ps", json(&running))]).await;
    let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
    assert_eq!(upstreams.window("m", None).await, Window { tokens: Some(4096), source: WindowSource::Loaded });
    let wishes = [(None, Value::Null), (Some(2048), 4096.into()), (Some(9000), 16_384.into()), (None, 16_384.into())];
    // A little more than before is no reason to load the model anew.
    let more = [(Some(9001), 16_384.into()), (Some(8000), 16_384.into()), (Some(1_000_000_000), 20_000.into())];
    for (wish, sent) in wishes.into_iter().chain(more) {
        let mut asked = request(true);
        asked.sampling.num_ctx = wish;
        let window = upstreams.window("m", wish).await;
        let told = Window { tokens: Some(sent.as_u64().unwrap_or(4096) as u32), source: WindowSource::Loaded };
        assert_eq!(window, told, "what a wish will get is known before: {wish:?}");
        let reply = upstreams.chat(Arc::new(asked), Context::default()).await.expect("reply");
        assert_eq!(reply.num_ctx.map(Value::from).unwrap_or_default(), sent, "{wish:?}");
        all(reply).await;
        assert_eq!(context_asked_for(&mut fake).await, sent, "{wish:?}");
    }
    assert_eq!(upstreams.window("m", None).await, Window { tokens: Some(20_000), source: WindowSource::Loaded });
}

#[tokio::test]
async fn a_wish_is_bounded_from_both_sides() {
    let trained = |tokens: u32| value!({"model_info": {"general.architecture": "q", "q.context_length": tokens}});
    let set = value!({"parameters": "num_ctx 12288"});
    for (shown, wish, sent) in [
        (trained(1_048_576), u32::MAX, NUM_CTX_MAX),
        (trained(1_048_576), 1, NUM_CTX_MIN),
        (trained(2048), 5000, 2048),
        (set.clone(), 1, 12_288),
        (set, 12_289, 16_384),
        (value!({}), 3_000_000_000, NUM_CTX_MAX),
    ] {
        let running = value!({"models": []});
        let script = [("/api/chat", good_stream()), ("/api/show", json(&shown)), ("/api/ps", json(&running))];
        let fake = Fake::start(script).await;
        let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
        let mut asked = request(true);
        asked.sampling.num_ctx = Some(wish);
        let reply = upstreams.chat(Arc::new(asked), Context::default()).await.expect("reply");
        assert_eq!(reply.num_ctx, Some(sent), "{wish} of {shown}");
    }
}

/// The address of a server that takes connections and says nothing.
async fn hung() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    (listener, url)
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_holds_nobody_up_who_wants_to_know_its_windows() {
    let (_listener, url) = hung().await;
    for kind in [Kind::Ollama, Kind::OpenAi, Kind::Anthropic] {
        let upstreams = one(kind, &url, models(&["m"]));
        for wish in [None, Some(9000)] {
            let began = Instant::now();
            upstreams.window("m", wish).await;
            let waited = began.elapsed();
            assert!(waited <= KNOWN_WAIT_MAX + Duration::from_millis(5), "{kind:?}: {waited:?}");
        }
        // Once it has shown that it does not answer, nobody waits at all.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let began = Instant::now();
        upstreams.window("m", None).await;
        assert!(began.elapsed() < Duration::from_millis(5), "{kind:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_version_is_asked_for_once() {
    let mut fake = Fake::start([healthy()]).await;
    let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
    for _ in 0..20 {
        assert_eq!(upstreams.version().await.as_deref(), Some("0"));
    }
    assert!(soon(fake.requests.recv()).await.expect("request").starts_with("GET /api/version"));
    assert!(fake.requests.try_recv().is_err(), "asked again");
}

#[tokio::test]
async fn windows_are_told_by_who_knows() {
    let list = value!({"data": [{"id": "m", "max_model_len": 8192}, {"id": "n", "meta": {"n_ctx": 512}}, {"id": "o"}]});
    let fake = Fake::start([("/models", json(&list))]).await;
    let mut all_models = models(&["m", "n", "o", "p"]);
    all_models[3].context = Some(77);
    let upstreams = one(Kind::OpenAi, &fake.url, all_models);
    for (model, tokens, source) in [
        ("m", Some(8192), WindowSource::Server),
        ("n", Some(512), WindowSource::Server),
        ("o", None, WindowSource::Unknown),
        ("p", Some(77), WindowSource::Configured),
        ("none", None, WindowSource::Unknown),
    ] {
        assert_eq!(upstreams.window(model, None).await, Window { tokens, source }, "{model}");
    }
    let trained = value!({"model_info": {"general.architecture": "q", "q.context_length": 40_960}});
    let fake = Fake::start([("/api/show", json(&trained)), ("/api/ps", json(&value!({"models": []})))]).await;
    let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
    assert_eq!(upstreams.window("m", None).await, Window { tokens: Some(40_960), source: WindowSource::Model });
}

#[tokio::test]
async fn models_are_described_without_what_only_operators_see() {
    let shown = value!({"license": "…", "modelfile": "FROM /secret/path", "template": "t", "details": {"family": "q"},
        "model_info": {"general.architecture": "q", "tokenizer.ggml.tokens": ["a"]}});
    let running = value!({"models": [{"name": "m:latest", "model": "m:latest", "size": 5}, {"name": "hidden"}]});
    let mut fake = Fake::start([
        ("/api/show", json(&shown)),
        ("/api/ps", json(&running)),
        ("/api/version", json(&value!({"version": "0.17.4"}))),
    ])
    .await;
    let upstreams = one(Kind::Ollama, &fake.url, models(&["m"]));
    let told = upstreams.show("m").await.expect("known");
    assert_eq!((&told["template"], told.get("license"), told.get("modelfile")), (&"t".into(), None, None));
    assert_eq!(upstreams.running().await, [value!({"name": "m", "model": "m", "size": 5})]);
    assert_eq!(upstreams.version().await.as_deref(), Some("0.17.4"));
    let vocabulary = upstreams.vocabulary("m").await.expect("told");
    assert_eq!(vocabulary["tokenizer.ggml.tokens"], value!(["a"]));
    let verbose = loop {
        let heard = soon(fake.requests.recv()).await.expect("request");
        if heard.contains("\"verbose\":true") {
            break heard;
        }
    };
    assert!(verbose.starts_with("POST /api/show"));
    assert_eq!(upstreams.show("none").await.expect_err("unknown").status(), 404);
    // What is no Ollama server is described by what is known.
    let demo = Upstreams::new(vec![spec("show", Kind::Demo, "")], Vec::new(), Settings::default()).expect("set up");
    assert_eq!(demo.show("demo").await.expect("known")["capabilities"], value!(["completion"]));
    assert_eq!((demo.version().await, demo.vocabulary("demo").await, demo.running().await), (None, None, Vec::new()));
}

#[tokio::test]
async fn management_is_passed_on_and_nothing_else() {
    let progress = "{\"status\":\"pulling\"}\n{\"status\":\"success\"}\n";
    let mut fake = Fake::start([("/api/pull", vec![answer("200 OK", LINES, progress)]), tags(&["m"])]).await;
    let upstreams = one(Kind::Ollama, &fake.url, Vec::new());
    let answer =
        upstreams.manage(None, http::Method::POST, "/api/pull", "{\"model\":\"m\"}".into()).await.expect("passed");
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().expect("text")), (200, LINES));
    assert_eq!(answer.into_body().collect().await.expect("body").to_bytes(), progress);
    assert!(soon(fake.requests.recv()).await.expect("request").ends_with("{\"model\":\"m\"}"));
    for path in ["/api/chat", "/api/pull?x", "/v1/models"] {
        let error = upstreams.manage(None, http::Method::POST, path, Vec::new().into()).await.expect_err(path);
        assert_eq!((error.status(), error.fault()), (400, Fault::Caller));
    }
    let error = upstreams.manage(Some("other"), http::Method::POST, "/api/pull", Vec::new().into()).await;
    assert!(error.expect_err("no such server").public_message().contains("local"));
    // Whoever leaves ends the call.
    fake.now("/api/pull", vec![head(LINES), chunk("{}\n"), Step::Hang]);
    let answer =
        upstreams.manage(Some("local"), http::Method::POST, "/api/pull", Vec::new().into()).await.expect("passed");
    assert_eq!(answer.body().upstream(), "local");
    assert_eq!(upstreams.models().await.len(), 1);
    let (path, more) = tags(&["m", "n"]);
    fake.now(path, more);
    drop(answer);
    soon(fake.hung_up.recv()).await.expect("closed");
    assert!(upstreams.resolve("n").await.is_some(), "the list is heard again once the call is over");
}

/// Cuts the whole HTTP answer, head and chunk sizes included, after every byte.
#[tokio::test]
async fn an_answer_cut_at_any_byte_never_ends_well() {
    let text = |steps: Vec<Step>| -> String {
        steps.into_iter().map(|step| if let Step::Send(text) = step { text } else { String::new() }).collect()
    };
    let sse = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answers = [
        (Kind::Ollama, true, "/api/chat", text(good_stream())),
        (Kind::Ollama, false, "/api/chat", text(good_whole())),
        (Kind::OpenAi, true, "/chat/completions", text(vec![head("text/event-stream"), chunk(sse), end()])),
    ];
    for (kind, stream, path, good) in answers {
        // Whatever follows the terminal marker is not missed.
        let marker = if kind == Kind::OpenAi { "[DONE]\n\n" } else { "}\n" };
        let enough = good.rfind(marker).expect("a marker") + marker.len();
        let needed = if stream { enough } else { good.len() };
        for cut in 0..needed {
            let fake = Fake::start([(path, vec![Step::Send(good[..cut].to_owned()), Step::Close])]).await;
            let upstreams =
                Upstreams::new(vec![spec("a", kind, &fake.url)], models(&["m"]), settings()).expect("set up");
            let (events, error) = match soon(chat(&upstreams, stream)).await {
                Ok(reply) => soon(all(reply)).await,
                Err(error) => (Vec::new(), Some(error)),
            };
            let told = error.map(|error| error.status());
            let usage_is_last = matches!(events.last(), Some(Event::Usage(_) | Event::Finish(_)));
            // The line feed that ends the last line may be missing when all else is there.
            let complete = cut + 2 >= needed && usage_is_last;
            assert!(
                complete || matches!(told, Some(502 | 503)),
                "{path} cut at {cut} of {needed}: {told:?} {events:?}"
            );
        }
    }
}
