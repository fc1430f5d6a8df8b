//! The way of a request, walked with the built-in demo model and a real journal.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tollhouse_access::{AddressList, Key, Keyring, sha256};
use tollhouse_dialect::JsonLimits;
use tollhouse_gateway::{By, Door, DoorSettings, Entry, ErrorStyle, Families, Gateway, Settings};
use tollhouse_journal::{Journal, Opened, Options, Reader, Writer};
use tollhouse_limits::{Budget, Failures, Limits, Period, Rate, Rules};
use tollhouse_telemetry::Telemetry;
use tollhouse_upstream::{Kind, Settings as UpstreamSettings, UpstreamSpec, Upstreams};
use tollhouse_web::{Answer, Dropped, Peer};

struct House {
    gateway: Gateway,
    writer: Writer,
    journal: Journal,
    dir: tempfile::TempDir,
}

fn house(change: impl FnOnce(&mut Settings, &mut DoorSettings, &mut Key)) -> House {
    let dir = tempfile::tempdir().unwrap();
    let Opened { journal, writer, .. } = Journal::open(Options::new(dir.path().join("gateway.log"), "test")).unwrap();
    let mut settings = Settings {
        limits: Arc::default(),
        by: By::Key,
        fair_by: By::Key,
        prompt_chars_max: 1000,
        body_bytes_max: 10_000,
        body_timeout: Duration::from_secs(5),
        json: JsonLimits::default(),
        errors: ErrorStyle::Dialect,
        keep_alive: Duration::from_secs(10),
        models: HashMap::new(),
        contents: None,
        families: None,
        telemetry: Telemetry::new(),
        later: None,
    };
    let mut door = DoorSettings {
        keys_asked: true,
        header: HeaderName::from_static("x-api-key"),
        allow: AddressList::default(),
        drop_others: true,
        trusted_proxies: AddressList::default(),
        encrypted_hosts: Vec::new(),
        user_header: Some(HeaderName::from_static("x-user-id")),
    };
    let mut key = Key::new("k1", "user");
    change(&mut settings, &mut door, &mut key);
    let keyring = Keyring::new([(sha256("secret"), Arc::new(key))], [], Arc::new(sha256));
    let demo = UpstreamSpec { name: "demo".into(), kind: Kind::Demo, url: String::new(), key: None, parallel: None };
    let upstreams = Upstreams::new(vec![demo], vec![], UpstreamSettings::default()).unwrap();
    let gateway = Gateway::new(
        settings,
        Arc::new(Door::new(door, keyring, Failures::new())),
        Limits::local(),
        upstreams,
        journal.clone(),
    );
    House { gateway, writer, journal, dir }
}

impl House {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Dropped> {
        self.gateway.handle(request, Peer(([127, 0, 0, 1], 4711).into()), Entry::Door).await
    }

    async fn chat(&self, body: Value) -> (u16, Value) {
        let (status, text) = whole(self.send(post("/v1/chat/completions", &body.to_string())).await.unwrap()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Closes the journal and reads its records of one kind.
    fn records(self, kind: &str) -> Vec<Value> {
        drop((self.gateway, self.journal));
        self.writer.close().unwrap();
        read(self.dir.path()).into_iter().filter(|record| record["kind"] == kind).collect()
    }
}

fn read(dir: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    Reader::open(&dir.join("gateway.log"), None).unwrap().next_batch(1000, &mut lines).unwrap();
    lines.iter().map(|line| serde_json::from_slice(&line.bytes).unwrap()).collect()
}

fn post(path: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("authorization", "Bearer secret").header("x-request-id", "r-1");
    request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

fn rate(most: u64) -> Rate {
    Rate { most: NonZeroU64::new(most).unwrap(), per: Duration::from_secs(60) }
}

fn hello() -> Value {
    json!({"model": "demo", "messages": [{"role": "user", "content": "hello"}]})
}

async fn whole(answer: Answer) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_chat_is_answered_and_recorded_with_its_figures() {
    let house = house(|_, _, _| {});
    let mut request = post("/v1/chat/completions", &hello().to_string());
    let trace = "00-813bfa99fbbf374488f8ad4ad24b4df5-770640b25ee96b80-01";
    request.headers_mut().insert("traceparent", trace.parse().unwrap());
    request.headers_mut().insert("x-user-id", "alice".parse().unwrap());
    let answer = house.send(request).await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "r-1");
    assert_eq!(answer.headers()["x-tollhouse-upstream"], "demo");
    let (status, body) = whole(answer).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["model"]), (200, &json!("demo")));

    let dir = house.dir.path().to_owned();
    assert_eq!(read(&dir).iter().filter(|record| record["kind"] == "request").count(), 1, "before the answer was read");
    let records = house.records("request");
    let record = &records[0];
    for (field, value) in [
        ("status", json!(200)),
        ("method", json!("POST")),
        ("path", json!("/v1/chat/completions")),
        ("request_id", json!("r-1")),
        ("trace_id", json!("813bfa99fbbf374488f8ad4ad24b4df5")),
        ("key_id", json!("k1")),
        ("user_id", json!("alice")),
        ("client_ip", json!("127.0.0.1")),
        ("model", json!("demo")),
        ("upstream", json!("demo")),
        ("attempts", json!(1)),
        ("stream", json!(false)),
        ("finish_reason", json!("stop")),
        ("prompt_chars", json!(5)),
        ("cancelled", json!(false)),
        ("input_tokens", body["usage"]["prompt_tokens"].clone()),
        ("output_tokens", body["usage"]["completion_tokens"].clone()),
        ("usage_source", json!("upstream")),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    let [duration, ttft, own] = ["duration_ms", "ttft_ms", "gateway_ms"].map(|name| record[name].as_f64().unwrap());
    assert!(0.0 < own && own < ttft && ttft <= duration, "{record}");
}

#[tokio::test]
async fn a_record_tells_the_family_of_its_prompt_and_not_the_prompt() {
    let house = house(|settings, _, _| settings.families = Some(Families::new(sha256)));
    let dir = house.dir.path().to_owned();
    for question in ["hello", "what is this?"] {
        let instructions = json!({"role": "system", "content": "You are the keeper of a secret place."});
        let messages = [instructions, json!({"role": "user", "content": question})];
        assert_eq!(house.chat(json!({"model": "demo", "messages": messages})).await.0, 200);
    }
    assert_eq!(house.chat(hello()).await.0, 200);
    let records = read(&dir);
    let ended = records.iter().filter(|record| record["kind"] == "request");
    let families: Vec<&str> = ended.map(|record| record["prompt_family"].as_str().unwrap()).collect();
    assert_eq!(families[0], families[1]);
    assert!(families[0].starts_with("s-") && families[2].starts_with("q-"), "{families:?}");
    assert!(!records.iter().any(|record| record.to_string().contains("secret place")), "the words stand nowhere");
}

/// By a clock that stands still but for what is waited for: a slow client and a slow model leave nothing of our own.
#[tokio::test(start_paused = true)]
async fn neither_a_slow_client_nor_a_slow_model_is_the_own_part() {
    const UPLOAD: Duration = Duration::from_secs(2);
    let house = house(|_, _, _| {});
    for stream in [true, false] {
        let text = json!({"model": "demo", "stream": stream, "messages": [{"role": "user", "content": "slow"}]});
        let uploaded = async move {
            tokio::time::sleep(UPLOAD).await;
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(text.to_string())))
        };
        let body = StreamBody::new(futures_util::stream::once(uploaded));
        let request = post("/v1/chat/completions", "").map(|_| body);
        let peer = Peer(([127, 0, 0, 1], 4711).into());
        let answer = house.gateway.handle(request, peer, Entry::Door).await.unwrap();
        assert_eq!(whole(answer).await.0, 200);
    }
    for record in house.records("request") {
        assert!(record["ttft_ms"].as_f64().unwrap() >= 5000.0, "{record}");
        assert_eq!(record["gateway_ms"], 0.0, "{record}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_marker_after_its_record_was_written() {
    let house = house(|_, _, _| {});
    let mut body = hello();
    body["stream"] = json!(true);
    let mut answer = house.send(post("/v1/chat/completions", &body.to_string())).await.unwrap().into_body();
    let mut text = String::new();
    while let Some(frame) = answer.frame().await {
        text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        let recorded = read(house.dir.path()).iter().any(|record| record["kind"] == "request");
        assert_eq!(text.ends_with("data: [DONE]\n\n"), recorded, "the record and the last byte come together");
    }
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_with_what_it_got() {
    let house = house(|_, _, _| {});
    let mut body = hello();
    body["stream"] = json!(true);
    let mut answer = house.send(post("/v1/chat/completions", &body.to_string())).await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    drop(answer);
    let records = house.records("request");
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0]["cancelled"], &records[0]["status"]), (&json!(true), &json!(200)));
    assert!(records[0]["output_tokens"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_is_recorded_too() {
    let house = house(|_, _, _| {});
    let request = house.send(post("/v1/chat/completions", &hello().to_string()));
    // The demo takes its time before the first token; the client does not wait for it.
    assert!(tokio::time::timeout(Duration::from_millis(5), request).await.is_err());
    let records = house.records("request");
    assert_eq!((&records[0]["cancelled"], &records[0]["status"]), (&json!(true), &json!(499)));
}

#[tokio::test]
async fn refusals_have_the_statuses_and_texts_of_the_table_and_each_a_record() {
    let house = house(|_, _, key| key.models = vec!["de*".into()]);
    let long = "x".repeat(1001);
    let cases = [
        (post("/v1/chat/completions", "{"), 400, "invalid JSON at line 1 column 1"),
        (
            post(
                "/v1/chat/completions",
                &json!({"model": "demo", "messages": [{"role": "user", "content": long}]}).to_string(),
            ),
            400,
            "prompt too long, max 1000 chars",
        ),
        (post("/v1/chat/completions", &"x".repeat(10_001)), 413, "body too large, max 10000 bytes"),
        (
            post(
                "/v1/chat/completions",
                &json!({"model": "denied", "messages": [{"role": "user", "content": "a"}]}).to_string(),
            ),
            404,
            "model 'denied' not found",
        ),
        (
            post(
                "/v1/chat/completions",
                &json!({"model": "other", "messages": [{"role": "user", "content": "a"}]}).to_string(),
            ),
            403,
            "model not allowed for this key",
        ),
        (post("/v1/nothing", "{}"), 404, "no such path"),
        (post("/v1/models", "{}"), 405, "method not allowed"),
    ];
    let count = cases.len();
    for (request, status, text) in cases {
        let (got, body) = whole(house.send(request).await.unwrap()).await;
        assert_eq!(got, status, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["error"]["message"].as_str().unwrap().starts_with(text), "{body}");
    }
    let records = house.records("request");
    assert_eq!(records.len(), count);
    assert!(records.iter().all(|record| record["error"].is_string() && record["status"].as_u64().unwrap() >= 400));
}

#[tokio::test]
async fn without_the_right_key_nothing_is_said_but_that() {
    let house = house(|_, _, _| {});
    for header in [None, Some("Bearer wrong"), Some("Basic c2VjcmV0"), Some("Bearer ")] {
        for path in ["/v1/chat/completions", "/v1/nothing", "/api/chat"] {
            let mut request = post(path, &hello().to_string());
            request.headers_mut().remove("authorization");
            if let Some(header) = header {
                request.headers_mut().insert("authorization", header.parse().unwrap());
            }
            let (status, body) = whole(house.send(request).await.unwrap()).await;
            assert_eq!(status, 401);
            assert!(body.contains("invalid api key"), "{body}");
        }
    }
}

#[tokio::test]
async fn an_address_outside_the_list_is_dropped_and_recorded() {
    let house = house(|_, door, _| door.allow = AddressList::new(vec!["10.0.0.0/8".parse().unwrap()]));
    assert_eq!(house.send(post("/v1/chat/completions", "{}")).await.map(|_| ()), Err(Dropped));
    let records = house.records("request");
    assert_eq!(records[0]["error"], "address not allowed");
}

#[tokio::test]
async fn the_rate_limit_tells_what_is_left_and_how_long_to_wait() {
    let house =
        house(|settings, _, _| settings.limits = Arc::new(Rules { requests: Some(rate(2)), ..Rules::default() }));
    let first = house.send(post("/v1/chat/completions", &hello().to_string())).await.unwrap();
    assert_eq!(first.headers()["x-ratelimit-limit-requests"], "2");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "1");
    assert_eq!(house.chat(hello()).await.0, 200);
    let third = house.send(post("/v1/chat/completions", &hello().to_string())).await.unwrap();
    assert_eq!(third.status(), 429);
    let wait: u64 = third.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    let (_, body) = whole(third).await;
    assert!(
        body.contains("rate limit exceeded: 2 requests per 60 s") && body.contains("rate_limit_exceeded"),
        "{body}"
    );
}

#[tokio::test]
async fn what_an_answer_may_take_is_reserved_before_it_is_written() {
    let house =
        house(|settings, _, _| settings.limits = Arc::new(Rules { tokens: Some(rate(10_000)), ..Rules::default() }));
    let mut long = hello();
    long["stream"] = json!(true);
    long["max_tokens"] = json!(8000);
    let first = house.send(post("/v1/chat/completions", &long.to_string())).await.unwrap();
    assert_eq!(first.status(), 200);
    // While the first is written, what it may still take is not there for anybody else.
    assert_eq!(house.chat(long.clone()).await.0, 429);
    // Once it has ended, what it did not take is.
    assert_eq!(whole(first).await.0, 200);
    assert_eq!(house.chat(long).await.0, 200);
}

#[tokio::test]
async fn a_name_that_anybody_may_write_opens_no_window() {
    async fn with_header(house: &House, name: &str) -> u16 {
        let mut request = post("/v1/chat/completions", &hello().to_string());
        request.headers_mut().insert("x-user-id", name.parse().unwrap());
        house.send(request).await.unwrap().status().as_u16()
    }

    let per_user = |settings: &mut Settings| {
        settings.limits = Arc::new(Rules { requests: Some(rate(1)), ..Rules::default() });
        settings.by = By::User;
    };
    let told = house(|settings, _, _| per_user(settings));
    let mut body = hello();
    body["user"] = json!("alice");
    assert_eq!(told.chat(body.clone()).await.0, 200);
    body["user"] = json!("bob");
    assert_eq!(told.chat(body).await.0, 429);
    let records = told.records("request");
    assert_eq!((&records[0]["user_id"], &records[0]["user_claimed"]), (&json!("alice"), &json!(true)));

    // Where proxies are trusted by name, a header of anybody else says nothing.
    let behind = house(|settings, door, _| {
        per_user(settings);
        door.trusted_proxies = AddressList::new(vec!["10.0.0.1/32".parse().unwrap()]);
    });
    assert_eq!(with_header(&behind, "alice").await, 200);
    assert_eq!(with_header(&behind, "bob").await, 429);
    assert_eq!(behind.records("request")[0].get("user_id"), None);

    let trusting = house(|settings, _, _| per_user(settings));
    assert_eq!(with_header(&trusting, "alice").await, 200);
    assert_eq!(with_header(&trusting, "bob").await, 200);
    assert_eq!(with_header(&trusting, "bob").await, 429);
}

#[tokio::test]
async fn errors_can_be_plain_on_every_api() {
    let house = house(|settings, _, _| settings.errors = ErrorStyle::Plain);
    let (_, body) = whole(house.send(post("/v1/nothing", "{}")).await.unwrap()).await;
    assert_eq!(body, r#"{"error":"no such path"}"#);
}

#[tokio::test]
async fn the_console_needs_no_key_and_is_named_in_the_record() {
    let house = house(|_, _, _| {});
    let mut request = post("/v1/chat/completions", &hello().to_string());
    request.headers_mut().remove("authorization");
    let answer = house.gateway.handle(request, Peer(([127, 0, 0, 1], 1).into()), Entry::Console).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(house.records("request")[0]["key_id"], "console");
}

#[tokio::test]
async fn nothing_is_sent_to_a_model_while_the_journal_takes_no_records() {
    let House { gateway, writer, journal: _journal, dir: _dir } = house(|_, _, _| {});
    tokio::task::spawn_blocking(move || writer.close().unwrap()).await.unwrap();
    for path in ["/v1/chat/completions", "/api/chat"] {
        let answer = gateway
            .handle(post(path, &hello().to_string()), Peer(([127, 0, 0, 1], 1).into()), Entry::Door)
            .await
            .unwrap();
        assert!(
            answer.headers().get("retry-after").is_some() && answer.headers().get("x-tollhouse-upstream").is_none()
        );
        let (status, body) = whole(answer).await;
        assert_eq!(status, 503);
        assert!(body.contains("cannot keep its records"), "{body}");
        assert!(!gateway.records());
    }
}

#[tokio::test]
async fn a_stream_whose_record_cannot_be_written_does_not_end_as_if_all_were_well() {
    let House { gateway, writer, journal: _journal, dir: _dir } = house(|_, _, _| {});
    let mut body = hello();
    body["stream"] = json!(true);
    let request = post("/v1/chat/completions", &body.to_string());
    let mut answer = gateway.handle(request, Peer(([127, 0, 0, 1], 1).into()), Entry::Door).await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || writer.close().unwrap()).await.unwrap();
    let rest = String::from_utf8(answer.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(rest.contains("cannot keep its records") && !rest.contains("[DONE]"), "{rest}");
}

#[tokio::test]
async fn every_api_is_answered_in_its_own_form() {
    let house = house(|_, _, _| {});
    let messages = json!([{"role": "user", "content": "hello"}]);
    let cases = [
        ("/v1/chat/completions", json!({"model": "demo", "messages": messages}), "/choices/0/message/content"),
        ("/v1/completions", json!({"model": "demo", "prompt": "hello"}), "/choices/0/text"),
        ("/v1/responses", json!({"model": "demo", "input": "hello"}), "/output/0/content/0/text"),
        ("/v1/messages", json!({"model": "demo", "max_tokens": 50, "messages": messages}), "/content/0/text"),
        ("/api/chat", json!({"model": "demo", "messages": messages, "stream": false}), "/message/content"),
        ("/api/generate", json!({"model": "demo", "prompt": "hello", "stream": false}), "/response"),
    ];
    for (path, body, place) in cases {
        let (status, text) = whole(house.send(post(path, &body.to_string())).await.unwrap()).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let said = answer.pointer(place).and_then(Value::as_str).unwrap_or_default();
        assert!(status == 200 && !said.is_empty(), "{path}: {status} {text}");
    }
    let count = json!({"model": "demo", "messages": messages});
    let (status, text) = whole(house.send(post("/v1/messages/count_tokens", &count.to_string())).await.unwrap()).await;
    let counted: Value = serde_json::from_str(&text).unwrap();
    assert!(status == 200 && counted["input_tokens"].as_u64().unwrap() > 0, "{text}");
}

#[tokio::test]
async fn a_stream_of_every_api_ends_with_its_own_marker() {
    let house = house(|_, _, _| {});
    let messages = json!([{"role": "user", "content": "hello"}]);
    let cases = [
        ("/v1/completions", json!({"model": "demo", "prompt": "hello", "stream": true}), "data: [DONE]\n\n"),
        ("/v1/responses", json!({"model": "demo", "input": "hello", "stream": true}), "response.completed"),
        (
            "/v1/messages",
            json!({"model": "demo", "max_tokens": 50, "messages": messages, "stream": true}),
            "event: message_stop",
        ),
        ("/api/chat", json!({"model": "demo", "messages": messages}), "\"done\":true"),
        ("/api/generate", json!({"model": "demo", "prompt": "hello"}), "\"done\":true"),
    ];
    for (path, body, marker) in cases {
        let (status, text) = whole(house.send(post(path, &body.to_string())).await.unwrap()).await;
        assert!(status == 200 && text.contains(marker), "{path}: {status} {text}");
    }
}

#[tokio::test]
async fn a_spent_budget_is_told_in_a_sentence_and_locks_nobody_out() {
    let budgets = vec![Budget { tokens: 40, period: Period::Day }];
    let house = house(|_, _, key| key.rules = Rules { budgets, ..Rules::default() });
    let small = json!({"model": "demo", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1});
    let mut last = (0, Value::Null);
    for _ in 0..20 {
        last = house.chat(small.clone()).await;
        if last.0 != 200 {
            break;
        }
    }
    assert_eq!((last.0, &last.1["error"]["code"]), (400, &json!("budget_exceeded")), "{last:?}");
    assert!(last.1["error"]["message"].as_str().unwrap().contains("opens again at"), "{last:?}");
}

#[tokio::test]
async fn whoever_guesses_keys_has_to_wait_and_the_owner_of_the_key_elsewhere_does_not() {
    let house = house(|_, _, _| {});
    let mut statuses = Vec::new();
    for guess in 0..12 {
        let mut request = post("/v1/chat/completions", "{}");
        request.headers_mut().insert("authorization", format!("Bearer guess-{guess}").parse().unwrap());
        statuses.push(house.send(request).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    let elsewhere = Peer(([127, 0, 0, 2], 1).into());
    let request = post("/v1/chat/completions", &hello().to_string());
    assert_eq!(house.gateway.handle(request, elsewhere, Entry::Door).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_anthropic_client_gets_the_models_page_by_page() {
    let house = house(|_, _, _| {});
    let list = async |query: &str| {
        let mut request = post(&format!("/v1/models{query}"), "");
        *request.method_mut() = http::Method::GET;
        request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
        let (status, body) = whole(house.send(request).await.unwrap()).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, first) = list("?limit=1&beta=true").await;
    assert_eq!((status, &first["first_id"], &first["last_id"]), (200, &json!("demo"), &json!("demo")));
    assert_eq!((&first["has_more"], &first["data"][0]["id"]), (&json!(false), &json!("demo")));
    let (_, after) = list("?after_id=demo").await;
    assert_eq!(after, json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
    let (status, refused) = list("?limit=0").await;
    assert_eq!((status, &refused["type"]), (400, &json!("error")));
    assert_eq!(refused["error"]["message"], "limit must be a whole number from 1 to 1000");
}

#[tokio::test]
async fn a_key_in_the_address_or_from_the_wrong_place_is_not_taken() {
    let house = house(|_, _, key| key.allow = AddressList::new(vec!["10.0.0.0/8".parse().unwrap()]));
    let (status, body) = whole(house.send(post("/v1/models?api_key=secret", "")).await.unwrap()).await;
    assert!(status == 400 && body.contains("Authorization"), "{body}");
    assert_eq!(house.chat(hello()).await.0, 403);
    let there = Peer(([10, 0, 0, 1], 1).into());
    let request = post("/v1/chat/completions", &hello().to_string());
    assert_eq!(house.gateway.handle(request, there, Entry::Door).await.unwrap().status(), 200);
}

#[tokio::test]
async fn lists_are_counted_too() {
    for path in ["/api/version", "/api/ps", "/api/tags", "/v1/models", "/v1/models/demo"] {
        let house =
            house(|settings, _, _| settings.limits = Arc::new(Rules { requests: Some(rate(1)), ..Rules::default() }));
        for status in [200, 429] {
            let mut request = post(path, "");
            *request.method_mut() = http::Method::GET;
            assert_eq!(house.send(request).await.unwrap().status(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn only_administrators_manage_models() {
    let house = house(|_, _, _| {});
    let (status, body) = whole(house.send(post("/api/pull", "{}")).await.unwrap()).await;
    assert!(status == 403 && body.contains("role admin"), "{body}");
}
