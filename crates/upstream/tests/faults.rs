//! Faults of model servers, played by scripted TCP servers.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use support::*;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tollhouse_dialect::Event;
use tollhouse_upstream::{Context, Fault, Kind, ModelSpec, Settings, SetupError, Timeouts, UpstreamSpec, Upstreams};

async fn breaker_becomes(upstreams: &Upstreams, state: &str) {
    soon(async {
        while upstreams.status()[0].breaker != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

const NOT_ANSWERING: &str = "the model is not answering right now, please try again shortly";

#[tokio::test]
async fn answers_come_streamed_and_whole_over_one_connection() {
    let mut fake = Fake::start([("/api/chat", good_stream())]).await;
    let upstreams = ollama(&fake.url, timeouts());
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let context = Context { traceparent, ..Context::default() };
    let reply = upstreams.chat(Arc::new(request(true)), context).await.expect("reply");
    assert_eq!((reply.upstream.as_str(), reply.attempts), ("local", 1));
    assert!(reply.connect_ms <= reply.exchange_ms);
    assert!(is_whole(&all(reply).await.0));
    let sent = soon(fake.requests.recv()).await.expect("request");
    assert!(sent.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "{sent}");
    assert!(sent.contains("accept-encoding: identity") && sent.contains("\"stream\":true"), "{sent}");
    fake.now("/api/chat", good_whole());
    assert!(is_whole(&all(chat(&upstreams, false).await.expect("reply")).await.0));
    fake.now("/api/chat", good_stream());
    assert!(is_whole(&all(chat(&upstreams, true).await.expect("reply")).await.0));
    // The other one is for the question what the server has loaded now, which runs beside.
    assert!(fake.accepted.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn the_exchange_lasts_until_the_reply_is_handed_over() {
    const LATE: Duration = Duration::from_millis(30);
    let late = |first: Step, rest: Vec<Step>| [vec![first, Step::Sleep(LATE)], rest].concat();
    let stream = late(head(LINES), vec![chunk(PIECE), Step::Hang]);
    let whole = late(head("application/json"), vec![chunk(&DONE.replace("\"\"", "\"hi\"")), end()]);
    for (streamed, steps) in [(true, stream), (false, whole)] {
        let fake = Fake::start([("/api/chat", steps), healthy()]).await;
        let upstreams = ollama(&fake.url, timeouts());
        let reply = soon(chat(&upstreams, streamed)).await.expect("reply");
        assert!(reply.exchange_ms >= 30.0 && reply.connect_ms <= reply.exchange_ms, "{reply:?}");
    }
}

#[tokio::test]
async fn the_openai_kind_gets_its_key_and_may_answer_a_stream_whole() {
    let events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\r\n\r\ndata: [DONE]\r\n\r\n";
    let mut fake = Fake::start([("/v1/chat/completions", vec![head("text/event-stream"), chunk(events), end()])]).await;
    let mut spec = spec("vllm", Kind::OpenAi, &format!("{}/v1/", fake.url));
    spec.key = Some("sesame".into());
    assert!(!format!("{spec:?}").contains("sesame"));
    let upstreams = Upstreams::new(vec![spec], models(&["m"]), settings()).expect("set up");
    assert!(is_whole(&all(chat(&upstreams, true).await.expect("reply")).await.0));
    let sent = soon(fake.requests.recv()).await.expect("request");
    assert!(sent.contains("authorization: Bearer sesame") && sent.contains("\"include_usage\":true"), "{sent}");
    let whole = r#"{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    fake.now("/v1/chat/completions", vec![answer("200 OK", "application/json", whole)]);
    assert!(is_whole(&all(chat(&upstreams, true).await.expect("reply")).await.0));
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_connection() {
    // Before the first byte, streamed and whole: the future of `chat` is dropped.
    for stream in [true, false] {
        let mut fake = Fake::start([("/api/chat", vec![Step::Hang]), healthy()]).await;
        let upstreams = ollama(&fake.url, Timeouts::default());
        let waiting = tokio::spawn(async move { chat(&upstreams, stream).await.map(|_| ()) });
        soon(fake.requests.recv()).await.expect("request");
        waiting.abort();
        soon(fake.hung_up.recv()).await.expect("closed");
    }
    // In the middle of a stream, between two lines and inside one: the events are dropped.
    for more in ["", "{\"model\":"] {
        let mut steps = vec![head(LINES), chunk(PIECE)];
        if !more.is_empty() {
            steps.push(chunk(more));
        }
        steps.push(Step::Hang);
        let mut fake = Fake::start([("/api/chat", steps), healthy()]).await;
        let upstreams = ollama(&fake.url, Timeouts::default());
        let mut reply = chat(&upstreams, true).await.expect("reply");
        assert!(matches!(reply.answer.next().await, Some(Ok(_))));
        drop(reply);
        soon(fake.hung_up.recv()).await.expect("closed");
    }
    // In the middle of an answer that comes whole.
    let half = Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"model\":".to_owned());
    let mut fake = Fake::start([("/api/chat", vec![half, Step::Hang]), healthy()]).await;
    let upstreams = ollama(&fake.url, Timeouts::default());
    let waiting = tokio::spawn(async move { chat(&upstreams, false).await.map(|_| ()) });
    soon(fake.requests.recv()).await.expect("request");
    waiting.abort();
    soon(fake.hung_up.recv()).await.expect("closed");
}

#[tokio::test]
async fn a_silent_server_is_told_from_a_busy_one() {
    let go = Arc::new(Notify::new());
    let mut steps = vec![Step::Until(Arc::clone(&go))];
    steps.extend(good_stream());
    let mut fake = Fake::start([("/api/chat", steps), healthy()]).await;
    let upstreams = ollama(&fake.url, timeouts());
    let asked = upstreams.clone();
    let waiting = tokio::spawn(async move { chat(&asked, true).await });
    // The chat, and then its health three times over: the server is busy and is waited for.
    for expected in ["POST /api/chat", "GET /api/version", "GET /api/version", "GET /api/version"] {
        let heard = soon(fake.requests.recv()).await.expect("request");
        assert!(heard.starts_with(expected), "{heard}");
    }
    go.notify_one();
    assert!(is_whole(&all(soon(waiting).await.expect("task").expect("reply")).await.0));
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn silence_opens_the_breaker_and_the_health_address_closes_it() {
    let mut fake = Fake::start([("/api/chat", vec![Step::Hang]), ("/api/version", vec![Step::Hang])]).await;
    let upstreams = ollama(&fake.url, timeouts());
    let in_flight: Vec<_> = (0..3)
        .map(|_| {
            let upstreams = upstreams.clone();
            tokio::spawn(async move { chat(&upstreams, true).await.map(|_| ()) })
        })
        .collect();
    for waiting in in_flight {
        let error = soon(waiting).await.expect("task").expect_err("silent");
        assert_eq!((error.status(), error.fault(), error.public_message()), (503, Fault::Upstream, NOT_ANSWERING));
        assert!(error.retry_after().is_some() && error.upstream() == Some("local") && error.attempts() == 1);
    }
    let status = &upstreams.status()[0];
    assert_eq!(status.breaker, "open");
    assert!(status.reason.as_ref().is_some_and(|reason| reason.contains("health")));
    let error = chat(&upstreams, true).await.expect_err("refused at once");
    assert_eq!((error.status(), error.attempts()), (503, 0));
    assert!(error.to_string().contains("breaker is open"), "{error}");
    while fake.hung_up.try_recv().is_ok() {}

    fake.now("/api/chat", good_stream());
    fake.now("/api/version", healthy().1);
    // It answers at its health address: one request may show whether it is well.
    breaker_becomes(&upstreams, "half_open").await;
    assert!(is_whole(&all(chat(&upstreams, true).await.expect("reply")).await.0));
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_noticed_and_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let upstreams = ollama(&format!("http://{address}"), timeouts());
    for attempts in [1, 1, 0] {
        let error = chat(&upstreams, true).await.expect_err("refused");
        assert_eq!((error.status(), error.attempts(), error.public_message()), (503, attempts, NOT_ANSWERING));
    }
    assert_eq!(upstreams.status()[0].breaker, "open");
    let listener = TcpListener::bind(address).await.expect("the port again");
    let _fake = Fake::on(listener, [("/api/chat", good_stream()), healthy()]);
    // It answers at its health address: one request may show whether it is well.
    breaker_becomes(&upstreams, "half_open").await;
    assert!(is_whole(&all(chat(&upstreams, true).await.expect("reply")).await.0));
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn the_next_server_is_asked_before_the_first_event_only() {
    let cut_before = vec![Step::Close];
    let html = vec![answer("200 OK", "text/html", "<html>welcome</html>")];
    let broken = vec![answer("500 Internal Server Error", "application/json", "{\"error\":\"CUDA\"}")];
    let error_line = vec![answer("200 OK", LINES, "{\"error\":\"CUDA\"}\n")];
    for bad in [cut_before, html, broken, error_line] {
        let first = Fake::start([("/api/chat", bad), healthy()]).await;
        let second = Fake::start([("/api/chat", good_stream())]).await;
        let specs = vec![spec("a", Kind::Ollama, &first.url), spec("b", Kind::Ollama, &second.url)];
        let upstreams = Upstreams::new(specs, models(&["m"]), settings()).expect("set up");
        let reply = chat(&upstreams, true).await.expect("reply");
        assert_eq!((reply.upstream.as_str(), reply.attempts), ("b", 2));
        assert!(is_whole(&all(reply).await.0));
    }
    let cut_after = vec![head(LINES), chunk(PIECE), Step::Close];
    let first = Fake::start([("/api/chat", cut_after)]).await;
    let second = Fake::start([("/api/chat", good_stream())]).await;
    let specs = vec![spec("a", Kind::Ollama, &first.url), spec("b", Kind::Ollama, &second.url)];
    let upstreams = Upstreams::new(specs, models(&["m"]), settings()).expect("set up");
    let (events, error) = all(chat(&upstreams, true).await.expect("reply")).await;
    assert!(events.contains(&Event::Text("hi".into())));
    assert_eq!(error.expect("cut").status(), 502);
    assert_eq!(second.accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn answers_that_are_none_become_errors() {
    let json = "application/json";
    let cases: Vec<(Vec<Step>, u16, &str)> = vec![
        (vec![answer("404 Not Found", json, "{\"error\":\"model 'm' not found\"}")], 404, "model 'm' not found"),
        (vec![answer("400 Bad Request", json, "{\"error\":\"too long\"}")], 400, "too long"),
        (
            vec![Step::Send("HTTP/1.1 503 Service Unavailable\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n".into())],
            503,
            "the model is busy, please try again in 9 s",
        ),
        (vec![answer("200 OK", "text/html", "<html>")], 502, NOT_ANSWERING),
        (vec![answer("200 OK", json, "{\"error\":\"CUDA error\"}")], 503, NOT_ANSWERING),
        (vec![answer("200 OK", json, "")], 502, NOT_ANSWERING),
        (vec![answer("302 Found", json, "")], 502, NOT_ANSWERING),
        (
            vec![Step::Send("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".into())],
            502,
            NOT_ANSWERING,
        ),
        (vec![Step::Send("SSH-2.0-OpenSSH\r\n\r\n".into()), Step::Close], 502, NOT_ANSWERING),
        (vec![Step::Send(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)))], 502, NOT_ANSWERING),
    ];
    for (steps, status, message) in cases {
        for stream in [true, false] {
            let mut fake = Fake::start([("/api/chat", steps.clone()), healthy()]).await;
            let upstreams = ollama(&fake.url, timeouts());
            let error = match soon(chat(&upstreams, stream)).await {
                Err(error) => error,
                // A body that is read at once, by the time that the first event is asked for.
                Ok(reply) => all(reply).await.1.expect("an error"),
            };
            assert_eq!((error.status(), error.public_message()), (status, message), "{error} (stream {stream})");
            // It has worked on the request, and would only do so again.
            let sent = std::iter::from_fn(|| fake.requests.try_recv().ok());
            assert_eq!(sent.filter(|request| request.starts_with("POST /api/chat")).count(), 1, "{error}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_stops_or_never_ends_is_ended() {
    let fake = Fake::start([("/api/chat", vec![head(LINES), chunk(PIECE), Step::Hang])]).await;
    let upstreams = ollama(&fake.url, Timeouts { idle: Duration::from_millis(50), ..Timeouts::default() });
    let (events, error) = soon(all(chat(&upstreams, true).await.expect("reply"))).await;
    assert!(events.contains(&Event::Text("hi".into())));
    let error = error.expect("idle");
    assert_eq!(error.status(), 503);
    assert!(error.to_string().contains("no byte for 50ms"), "{error}");

    let upstreams = ollama(&fake.url, Timeouts { total: Duration::from_millis(50), ..Timeouts::default() });
    let error = soon(all(chat(&upstreams, true).await.expect("reply"))).await.1.expect("too long");
    assert!(error.to_string().contains("longer than 50ms"), "{error}");

    let fake = Fake::start([("/api/chat", vec![Step::Hang]), healthy()]).await;
    let upstreams = ollama(&fake.url, Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() });
    let error = soon(chat(&upstreams, true)).await.expect_err("no first byte");
    assert_eq!(error.status(), 503);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_all_the_same() {
    let mut fake = Fake::start([("/api/chat", vec![head(LINES), chunk(PIECE), Step::Hang]), healthy()]).await;
    let upstreams = ollama(&fake.url, Timeouts { total: Duration::from_millis(80), ..Timeouts::default() });
    let mut reply = chat(&upstreams, true).await.expect("reply");
    // The connection is closed and the place is free, though nobody has asked for an event.
    soon(fake.hung_up.recv()).await.expect("closed");
    state_becomes(&upstreams, "free", |now| now.running == 0).await;
    let error = reply.answer.next().await.expect("an error").expect_err("too long");
    assert_eq!((error.status(), error.upstream()), (503, Some("local")));
    assert!(error.to_string().contains("longer than 80ms"), "{error}");
    assert!(reply.answer.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_demo_too_gives_its_place_to_the_next_when_nobody_reads() {
    let spec = UpstreamSpec { parallel: Some(1), ..spec("show", Kind::Demo, "") };
    let timeouts = Timeouts { total: Duration::from_secs(5), ..Timeouts::default() };
    let settings = Settings { timeouts, ..Settings::default() };
    let upstreams = Upstreams::new(vec![spec], models(&["m"]), settings).expect("set up");
    let first = chat(&upstreams, true).await.expect("reply");
    let second = chat(&upstreams, true).await.expect("its turn");
    assert!((second.queue_ms - 4970.0).abs() < 10.0, "{} ms", second.queue_ms);
    assert!(all(first).await.1.is_some() && all(second).await.1.is_none());
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_never_ends_well() {
    let good = format!("{PIECE}{DONE}");
    for cut in (0..good.trim_end().len()).step_by(7) {
        let fake = Fake::start([("/api/chat", vec![answer("200 OK", LINES, &good[..cut])]), healthy()]).await;
        let upstreams = ollama(&fake.url, timeouts());
        let error = match chat(&upstreams, true).await {
            Ok(reply) => all(reply).await.1,
            Err(error) => Some(error),
        };
        assert_eq!(error.expect("cut").status(), 502, "cut at {cut}");
    }
}

#[tokio::test]
async fn models_are_what_the_servers_list() {
    let first = Fake::start([tags(&["qwen3:latest", "tiny"]), ("/api/chat", good_stream())]).await;
    let list = r#"{"object":"list","data":[{"id":"tiny","created":7},{"id":"big","created":9}]}"#;
    let second = Fake::start([("/v1/models", vec![answer("200 OK", "application/json", list)])]).await;
    let specs = vec![
        spec("a", Kind::Ollama, &first.url),
        spec("b", Kind::OpenAi, &format!("{}/v1", second.url)),
        spec("show", Kind::Demo, ""),
    ];
    let upstreams = Upstreams::new(specs, Vec::new(), settings()).expect("set up");
    // Found by its short name before anybody asked for the list.
    let model = upstreams.resolve("qwen3").await.expect("found");
    assert_eq!((model.name.as_str(), model.upstream.as_str()), ("qwen3:latest", "a"));
    let found = upstreams.models().await;
    let names: Vec<(&str, &str, bool)> =
        found.iter().map(|model| (model.name.as_str(), model.upstream.as_str(), model.demo)).collect();
    assert_eq!(
        names,
        [("qwen3:latest", "a", false), ("tiny", "a", false), ("big", "b", false), ("demo", "show", true)]
    );
    assert_eq!((found[0].details["size"].as_u64(), found[2].created_unix), (Some(5), 9));
    upstreams.models().await;
    assert_eq!(first.accepted.load(Ordering::SeqCst), 1, "the list is kept");
    assert!(upstreams.resolve("none").await.is_none());
    let mut unknown = request(true);
    unknown.model = "none".into();
    let error = upstreams.chat(Arc::new(unknown), Context::default()).await.expect_err("unknown");
    assert_eq!((error.status(), error.public_message()), (404, "model 'none' not found"));
    let mut short = request(true);
    short.model = "qwen3".into();
    assert!(is_whole(&all(upstreams.chat(Arc::new(short), Context::default()).await.expect("reply")).await.0));
}

#[tokio::test]
async fn a_server_that_never_told_its_models_gives_the_honest_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    let upstreams = Upstreams::new(vec![spec("a", Kind::Ollama, &url)], Vec::new(), settings()).expect("set up");
    assert!(upstreams.models().await.is_empty());
    assert_eq!(upstreams.resolve("m").await.expect("on trust").name, "m");
    assert_eq!(chat(&upstreams, true).await.expect_err("down").status(), 503);
}

#[tokio::test]
async fn configured_models_have_aliases_and_one_context_for_everybody() {
    let mut fake = Fake::start([("/api/chat", good_stream()), tags(&["m", "hidden"])]).await;
    let specs = vec![spec("a", Kind::Ollama, &fake.url), spec("show", Kind::Demo, "")];
    let m = ModelSpec {
        name: "m".into(),
        tiers: vec![vec!["a".into()]],
        aliases: vec!["gpt-4o-mini".into()],
        context: Some(8192),
        keep_alive: Some("-1".into()),
        options: serde_json::json!({"temperature": 0.7}).as_object().cloned().expect("object"),
        strip: vec!["model".into()],
        fallback: Vec::new(),
    };
    let demo = ModelSpec { name: "demo".into(), tiers: vec![vec!["show".into()]], ..ModelSpec::default() };
    let upstreams = Upstreams::new(specs, vec![m, demo], settings()).expect("set up");
    let names: Vec<String> = upstreams.models().await.into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["m", "gpt-4o-mini", "demo"]);
    let model = upstreams.resolve("gpt-4o-mini").await.expect("alias");
    assert_eq!(
        (model.name.as_str(), model.context, model.strip.as_slice()),
        ("m", Some(8192), &["model".to_owned()][..])
    );
    assert!(upstreams.resolve("hidden").await.is_none(), "what is not configured is not served");
    let mut aliased = request(true);
    aliased.model = "gpt-4o-mini".into();
    all(upstreams.chat(Arc::new(aliased), Context::default()).await.expect("reply")).await;
    let chat = loop {
        let heard = soon(fake.requests.recv()).await.expect("request");
        if heard.starts_with("POST /api/chat") {
            break heard;
        }
    };
    let body: Value = serde_json::from_str(chat.split_once("\r\n\r\n").expect("body").1).expect("JSON");
    assert_eq!(
        (&body["model"], &body["keep_alive"], &body["options"]),
        (&"m".into(), &(-1).into(), &serde_json::json!({"temperature": 0.7, "num_ctx": 8192}))
    );
    let mut forced = request(true);
    forced.tool_choice = Some("required".into());
    let error = upstreams.chat(Arc::new(forced), Context::default()).await.expect_err("Ollama cannot");
    assert_eq!((error.status(), error.fault()), (400, Fault::Caller));
    assert!(error.public_message().contains("tool_choice"));
}

#[tokio::test]
async fn the_demo_talks_without_any_server() {
    let specs = vec![spec("show", Kind::Demo, "")];
    let upstreams = Upstreams::new(specs, Vec::new(), Settings::default()).expect("set up");
    let mut hello = request(true);
    hello.model = "demo".into();
    hello.sampling.max_tokens = Some(4);
    let reply = upstreams.chat(Arc::new(hello), Context::default()).await.expect("reply");
    assert!(reply.exchange_ms >= 30.0);
    let (events, error) = all(reply).await;
    assert!(error.is_none() && events.iter().filter(|event| matches!(event, Event::Text(_))).count() == 4);
    assert_eq!(upstreams.status()[0].kind, "demo");
}

#[test]
fn what_cannot_work_is_refused_at_set_up() {
    let new = |specs, models| Upstreams::new(specs, models, Settings::default());
    for url in ["", "localhost:11434", "ftp://x", "http://u:p@x", "http://x/?q=1", "http://[::1"] {
        let error = new(vec![spec("a", Kind::Ollama, url)], Vec::new()).expect_err(url);
        assert!(matches!(error, SetupError::Url { .. }), "{url}: {error}");
    }
    let twice = vec![spec("a", Kind::Demo, ""), spec("a", Kind::Demo, "")];
    assert!(matches!(new(twice, Vec::new()), Err(SetupError::Duplicate(_))));
    let lost = ModelSpec { name: "m".into(), tiers: vec![vec!["b".into()]], ..ModelSpec::default() };
    assert!(matches!(new(vec![spec("a", Kind::Demo, "")], vec![lost]), Err(SetupError::UnknownUpstream { .. })));
    let same = ModelSpec { name: "m".into(), aliases: vec!["m".into()], ..ModelSpec::default() };
    assert!(matches!(new(vec![spec("a", Kind::Demo, "")], vec![same]), Err(SetupError::Duplicate(_))));
    let https = vec![spec("a", Kind::OpenAi, "https://127.0.0.1:1/v1")];
    assert!(new(https, Vec::new()).is_ok());
}
