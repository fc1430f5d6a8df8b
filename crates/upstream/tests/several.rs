//! Several servers and models: tiers, balance, affinity, retries, fallbacks, Retry-After.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::*;
use tollhouse_dialect::{ChatRequest, Message, Role};
use tollhouse_upstream::{Context, Fault, Kind, MayCall, ModelSpec, UpstreamSpec, Upstreams};

fn tiers(tiers: &[&[&str]]) -> Vec<ModelSpec> {
    let tiers = tiers.iter().map(|tier| tier.iter().map(|name| (*name).to_owned()).collect()).collect();
    vec![ModelSpec { name: "m".into(), tiers, ..ModelSpec::default() }]
}

fn set_up(servers: &[(&str, &str)], models: Vec<ModelSpec>) -> Upstreams {
    let specs = servers.iter().map(|(name, url)| UpstreamSpec { parallel: Some(2), ..spec(name, Kind::Ollama, url) });
    Upstreams::new(specs.collect(), models, settings()).expect("set up")
}

fn about(topic: &str) -> Arc<ChatRequest> {
    Arc::new(ChatRequest { messages: vec![Message::text(Role::User, topic)], ..request(true) })
}

fn broken() -> Vec<Step> {
    vec![answer("500 Internal Server Error", "application/json", "{\"error\":\"CUDA\"}")]
}

#[tokio::test]
async fn equal_servers_share_and_keep_their_conversations() {
    let (a, b) = (Fake::start([("/api/chat", good_stream())]).await, Fake::start([("/api/chat", good_stream())]).await);
    let upstreams = set_up(&[("a", &a.url), ("b", &b.url)], tiers(&[&["a", "b"]]));
    // Three at once make both load the model.
    let mut held = Vec::new();
    for expected in ["a", "a", "b"] {
        let reply = chat(&upstreams, true).await.expect("reply");
        assert_eq!(reply.upstream, expected);
        held.push(reply);
    }
    held.clear();
    let mut homes: Vec<String> = Vec::new();
    for topic in ["cats", "dogs"] {
        // Both are kept open, so that the second goes where less is to do.
        let context = Context { tokens: 100, ..Context::default() };
        let reply = upstreams.chat(about(topic), context).await.expect("reply");
        homes.push(reply.upstream.clone());
        held.push(reply);
    }
    assert_eq!(homes, ["a", "b"]);
    drop(held);
    for _ in 0..3 {
        for (topic, home) in ["cats", "dogs"].iter().zip(&homes) {
            let reply = upstreams.chat(about(topic), Context::default()).await.expect("reply");
            assert_eq!(reply.upstream, *home);
            all(reply).await;
        }
    }
}

#[tokio::test]
async fn a_later_tier_is_asked_when_the_first_is_busy() {
    let (a, b) = (Fake::start([("/api/chat", good_stream())]).await, Fake::start([("/api/chat", good_stream())]).await);
    let upstreams = set_up(&[("a", &a.url), ("b", &b.url)], tiers(&[&["a"], &["b"]]));
    let mut names = Vec::new();
    let mut held = Vec::new();
    for _ in 0..4 {
        let reply = chat(&upstreams, true).await.expect("reply");
        names.push(reply.upstream.clone());
        held.push(reply);
    }
    assert_eq!(names, ["a", "a", "b", "b"]);
    let waiting = tokio::spawn({
        let upstreams = upstreams.clone();
        async move { chat(&upstreams, true).await.expect("reply").upstream }
    });
    state_becomes(&upstreams, "waiting", |now| now.waiting == 1).await;
    held.pop();
    assert_eq!(soon(waiting).await.expect("task"), "b", "whoever is free first");
}

#[tokio::test]
async fn retries_keep_to_their_budget() {
    let count = Arc::new(AtomicUsize::new(0));
    let mut fakes = Vec::new();
    for _ in 0..2 {
        let count = Arc::clone(&count);
        fakes.push(
            Fake::with(move |path, _| {
                count.fetch_add(usize::from(path == "/api/chat"), Ordering::SeqCst);
                broken()
            })
            .await,
        );
    }
    let upstreams = set_up(&[("a", &fakes[0].url), ("b", &fakes[1].url)], tiers(&[&["a", "b"]]));
    for _ in 0..300 {
        assert_eq!(chat(&upstreams, true).await.expect_err("broken").status(), 503);
    }
    let retries = count.load(Ordering::SeqCst) - 300;
    assert!((30..=45).contains(&retries), "{retries} retries of 300");
}

#[tokio::test]
async fn another_model_answers_when_all_servers_have_failed_and_the_caller_may() {
    let fake =
        Fake::with(|_, request| if body_of(request)["model"] == "small" { good_stream() } else { broken() }).await;
    let fallback = vec!["secret".to_owned(), "small".to_owned()];
    let mut all_models = models(&["m", "secret", "small"]);
    all_models[0].fallback = fallback;
    let upstreams = set_up(&[("a", &fake.url)], all_models);
    let error = chat(&upstreams, true).await.expect_err("nothing else is allowed");
    assert_eq!((error.status(), error.attempts()), (503, 1));
    let context = Context { may_call: Arc::new(|model| model == "small"), ..Context::default() };
    let reply = upstreams.chat(Arc::new(request(true)), context).await.expect("the small one");
    assert_eq!((reply.model.as_str(), reply.attempts), ("small", 2));
    assert!(is_whole(&all(reply).await.0));
    let mut forced = request(true);
    forced.tool_choice = Some("required".into());
    let context = Context { may_call: Arc::new(|_| true), ..Context::default() };
    let error = upstreams.chat(Arc::new(forced), context).await.expect_err("what cannot be done is no failure");
    assert_eq!(error.fault(), Fault::Caller);
}

#[tokio::test]
async fn a_fallback_without_room_for_the_prompt_is_passed_over() {
    let fake = Fake::with(|_, request| if body_of(request)["model"] == "m" { broken() } else { good_stream() }).await;
    let mut all_models = models(&["m", "small", "large"]);
    (all_models[1].context, all_models[2].context) = (Some(4096), Some(32_768));
    all_models[0].fallback = vec!["small".to_owned(), "large".to_owned()];
    let upstreams = set_up(&[("a", &fake.url)], all_models.clone());
    let sized = |prompt_tokens, answer| {
        let may_call: MayCall = Arc::new(|_| true);
        Context { prompt_tokens, tokens: prompt_tokens + answer, may_call, ..Context::default() }
    };
    // An answer may be cut by its end; it takes no more than a quarter of a window from its prompt.
    for (prompt, answer, model) in [
        (100, 100, "small"),
        (3072, 1_000_000, "small"),
        (3900, 100, "small"),
        (3900, 200, "large"),
        (5000, 1, "large"),
    ] {
        let reply = upstreams.chat(Arc::new(request(true)), sized(prompt, answer)).await.expect("a fallback");
        assert_eq!(reply.model, model, "{prompt} + {answer}");
        all(reply).await;
    }
    let error = upstreams.chat(Arc::new(request(true)), sized(40_000, 0)).await.expect_err("no room");
    assert_eq!((error.status(), error.attempts()), (503, 1), "what became of the model itself");
    assert!(error.to_string().ends_with("CUDA; no fallback model has room for a prompt of 40000 tokens"), "{error}");
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is() {
    let busy = Step::Send("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n".to_owned());
    let a = Fake::start([("/api/chat", vec![busy])]).await;
    let b = Fake::start([("/api/chat", good_stream())]).await;
    let upstreams = set_up(&[("a", &a.url), ("b", &b.url)], tiers(&[&["a"], &["b"]]));
    let reply = chat(&upstreams, true).await.expect("the other one");
    assert_eq!((reply.upstream.as_str(), reply.attempts), ("b", 2));
    all(reply).await;
    let reply = chat(&upstreams, true).await.expect("the other one");
    assert_eq!((reply.upstream.as_str(), reply.attempts), ("b", 1), "the first is not asked");
    all(reply).await;
    let alone = set_up(&[("a", &a.url)], tiers(&[&["a"]]));
    for attempts in [1, 0] {
        let error = chat(&alone, true).await.expect_err("busy");
        assert_eq!((error.status(), error.attempts()), (503, attempts));
        let wait = error.retry_after().expect("a time");
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(7), "{wait:?}");
    }
}

#[tokio::test]
async fn what_one_server_cannot_do_another_does() {
    let events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    let vllm = Fake::start([("/v1/chat/completions", vec![answer("200 OK", "text/event-stream", events)])]).await;
    let local = Fake::start([("/api/chat", good_stream())]).await;
    let specs = vec![spec("a", Kind::Ollama, &local.url), spec("b", Kind::OpenAi, &format!("{}/v1", vllm.url))];
    let upstreams = Upstreams::new(specs, tiers(&[&["a", "b"]]), settings()).expect("set up");
    let mut forced = request(true);
    forced.tools = Some(serde_json::json!([{"type": "function", "function": {"name": "f"}}]));
    forced.tool_choice = Some("required".into());
    let reply = upstreams.chat(Arc::new(forced), Context::default()).await.expect("reply");
    assert_eq!((reply.upstream.as_str(), reply.attempts), ("b", 1), "the first was not asked");
    assert!(is_whole(&all(reply).await.0));
}

/// Two servers that list this, without any configured model.
async fn listing(first: &[&str], second: &[&str]) -> (Fake, Fake, Upstreams) {
    let a = Fake::start([("/api/chat", good_stream()), tags(first)]).await;
    let b = Fake::start([("/api/chat", good_stream()), tags(second)]).await;
    let upstreams = set_up(&[("a", &a.url), ("b", &b.url)], Vec::new());
    (a, b, upstreams)
}

async fn answerer(upstreams: &Upstreams) -> String {
    let reply = chat(upstreams, true).await.expect("reply");
    let upstream = reply.upstream.clone();
    all(reply).await;
    upstream
}

#[tokio::test]
async fn a_model_that_moved_is_found_again_without_anybody_waiting() {
    let (a, b, upstreams) = listing(&["m"], &[]).await;
    assert_eq!(answerer(&upstreams).await, "a");
    let ((path, none), (_, some)) = (tags(&[]), tags(&["m"]));
    a.now(path, none);
    b.now(path, some);
    assert_eq!(answerer(&upstreams).await, "a", "what was heard a moment ago serves");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    // It serves once more, and is heard again meanwhile.
    soon(async { while answerer(&upstreams).await != "b" {} }).await;
}

#[tokio::test]
async fn a_server_that_does_not_have_what_it_listed_is_heard_again_at_once() {
    let (a, _b, upstreams) = listing(&["m"], &["m"]).await;
    upstreams.models().await;
    let (path, none) = tags(&[]);
    a.now(path, none);
    a.now("/api/chat", vec![answer("404 Not Found", "application/json", "{\"error\":\"model 'm' not found\"}")]);
    assert_eq!(upstreams.resolve("m").await.expect("listed").upstream, "a");
    let reply = chat(&upstreams, true).await.expect("reply");
    assert_eq!((reply.upstream.as_str(), reply.attempts), ("b", 2));
    assert_eq!(upstreams.resolve("m").await.expect("listed").upstream, "b");
}
