//! The queue, seen through a model server: order, loads, bounds, cancellation, restarts.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::*;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tollhouse_dialect::{ChatRequest, Event};
use tollhouse_upstream::{
    Context, Kind, ModelSpec, Phase, Priority, QueueSpec, Settings, Timeouts, UpstreamSpec, Upstreams,
};

fn one_place(url: &str, names: &[&str], queue: QueueSpec) -> Upstreams {
    let spec = UpstreamSpec { parallel: Some(1), ..spec("local", Kind::Ollama, url) };
    let settings = Settings { queue, ..Settings::default() };
    Upstreams::new(vec![spec], models(names), settings).expect("set up")
}

fn asks(model: &str) -> Arc<ChatRequest> {
    Arc::new(ChatRequest { model: model.to_owned(), ..request(true) })
}

fn of(flow: &str) -> Context {
    Context { flow: flow.to_owned(), ..Context::default() }
}

/// Sends a request in the background and waits until it has got a place or waits for one.
async fn send(upstreams: &Upstreams, model: &str, context: Context) -> tokio::task::JoinHandle<Vec<Event>> {
    let chat = upstreams.chat(asks(model), context.clone());
    let before = upstreams.status()[0].clone();
    let task = tokio::spawn(async move { all(chat.await.expect("reply")).await.0 });
    state_becomes(upstreams, "queued", |now| (now.running, now.waiting) != (before.running, before.waiting)).await;
    task
}

#[tokio::test]
async fn two_models_on_one_place_are_loaded_four_times_at_most() {
    let server = OneModel::start(Duration::from_millis(120), Duration::from_millis(3)).await;
    let upstreams = one_place(&server.fake.url, &["a", "b"], QueueSpec::default());
    let mut tasks = Vec::new();
    for number in 0..40 {
        let chat = upstreams.chat(asks(if number % 2 == 0 { "a" } else { "b" }), of(&format!("flow {}", number % 3)));
        tasks.push(tokio::spawn(async move { all(chat.await.expect("reply")).await.1 }));
    }
    for task in tasks {
        assert!(soon(task).await.expect("task").is_none());
    }
    assert!(server.loads.load(Ordering::SeqCst) <= 4, "{} loads", server.loads.load(Ordering::SeqCst));
    let status = &upstreams.status()[0];
    assert_eq!(status.loads, server.loads.load(Ordering::SeqCst) as u64, "each load is told once");
    assert!(status.load_ms_total >= 120 * status.loads && !status.thrashing);
    assert_eq!((status.running, status.waiting, status.loaded.len()), (0, 0, 1));
}

#[tokio::test]
async fn loads_one_after_another_are_told_as_a_thrash() {
    let server = OneModel::start(Duration::from_millis(101), Duration::ZERO).await;
    let upstreams = one_place(&server.fake.url, &["a", "b"], QueueSpec::default());
    for number in 0..9 {
        all(upstreams.chat(asks(if number % 2 == 0 { "a" } else { "b" }), of("x")).await.expect("reply")).await;
    }
    let status = &upstreams.status()[0];
    assert!(status.thrashing && status.loads == 9, "{status:?}");
}

#[tokio::test]
async fn one_request_goes_before_the_second_of_two_hundred() {
    let go = Arc::new(Notify::new());
    let mut steps = vec![Step::Until(Arc::clone(&go))];
    steps.extend(good_stream());
    let mut fake = Fake::start([("/api/chat", steps), healthy()]).await;
    let upstreams = one_place(&fake.url, &["greedy", "single"], QueueSpec::default());
    let running = send(&upstreams, "greedy", of("greedy")).await;
    let mut greedy = Vec::new();
    for _ in 0..200 {
        greedy.push(send(&upstreams, "greedy", of("greedy")).await);
    }
    let context = of("single");
    let single = send(&upstreams, "single", context.clone()).await;
    assert_eq!(context.progress.position(), Some(1));
    go.notify_one();
    soon(running).await.expect("task");
    go.notify_one();
    soon(single).await.expect("task");
    soon(fake.requests.recv()).await.expect("the first");
    let second = loop {
        let heard = soon(fake.requests.recv()).await.expect("the second");
        if heard.starts_with("POST /api/chat") {
            break heard;
        }
    };
    assert_eq!(body_of(&second)["model"], "single");
    for task in &greedy {
        task.abort();
    }
    state_becomes(&upstreams, "empty", |now| now.running == 0 && now.waiting == 0).await;
}

#[tokio::test]
async fn places_and_phases_are_seen_on_the_way() {
    let go = Arc::new(Notify::new());
    let mut steps = vec![Step::Until(Arc::clone(&go))];
    steps.extend(good_stream());
    let fake = Fake::start([("/api/chat", steps), healthy()]).await;
    let upstreams = one_place(&fake.url, &["m"], QueueSpec::default());
    let contexts: Vec<Context> = [Priority::Normal, Priority::Normal, Priority::Low, Priority::High]
        .map(|priority| Context { priority, ..of("x") })
        .into();
    let mut tasks = Vec::new();
    for context in &contexts {
        tasks.push(send(&upstreams, "m", context.clone()).await);
    }
    let places: Vec<_> = contexts.iter().map(|context| context.progress.position()).collect();
    assert_eq!(places, [None, Some(2), Some(3), Some(1)]);
    assert_eq!(contexts[1].progress.phase(), Phase::Queued);
    for _ in 0..4 {
        go.notify_one();
        state_becomes(&upstreams, "moved up", |now| now.running == 1 || now.waiting == 0).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for task in tasks {
        assert!(is_whole(&soon(task).await.expect("task")));
    }
    let firsts: Vec<_> = contexts.iter().map(|context| context.progress.first_position()).collect();
    assert_eq!(firsts, [None, Some(1), Some(2), Some(1)]);
    assert!(contexts.iter().all(|context| context.progress.phase() == Phase::Answering));
}

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_told_with_a_time() {
    let fake = Fake::start([("/api/chat", vec![Step::Hang]), healthy()]).await;
    let upstreams = one_place(&fake.url, &["m"], QueueSpec { depth: 1, wait: Duration::from_millis(40) });
    let hangs = tokio::spawn(upstreams.chat(asks("m"), of("a")));
    state_becomes(&upstreams, "running", |now| now.running == 1).await;
    let late = tokio::spawn(upstreams.chat(asks("m"), of("a")));
    state_becomes(&upstreams, "waiting", |now| now.waiting == 1).await;
    let full = upstreams.chat(asks("m"), of("a")).await.expect_err("full");
    let late = soon(late).await.expect("task").expect_err("late");
    for (error, why) in [(full, "the queue is full"), (late, "no turn within 40ms")] {
        assert_eq!((error.status(), error.attempts(), error.kind()), (503, 0, "server_error"));
        assert!(error.to_string().contains(why), "{error}");
        let wait = error.retry_after().expect("a time").as_secs();
        assert_eq!(error.public_message(), format!("the model is busy, please try again in {wait} s"));
    }
    hangs.abort();
    state_becomes(&upstreams, "empty", |now| now.running == 0 && now.waiting == 0).await;
}

#[tokio::test]
async fn a_thousand_cancellations_leave_nothing_behind() {
    // Some answers hang before the first byte, some in the middle, some come.
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::with(move |path, _| match (path, turn.fetch_add(1, Ordering::SeqCst) % 3) {
        ("/api/ps", _) => json(&serde_json::json!({"models": []})),
        (_, 0) => vec![Step::Hang],
        (_, 1) => vec![head(LINES), chunk(PIECE), Step::Hang],
        _ => good_stream(),
    })
    .await;
    let spec = UpstreamSpec { parallel: Some(8), ..spec("local", Kind::Ollama, &fake.url) };
    let queue = QueueSpec { depth: 2000, ..QueueSpec::default() };
    let settings = Settings { queue, ..Settings::default() };
    let upstreams = Upstreams::new(vec![spec], models(&["m"]), settings).expect("set up");
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut tasks = Vec::new();
    for number in 0..1000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lives = Duration::from_micros((dice >> 33) % 300_000);
        let mut asked = request(number % 2 == 0);
        asked.model = "m".to_owned();
        let chat = upstreams.chat(Arc::new(asked), of(&format!("flow {}", number % 7)));
        tasks.push(tokio::spawn(async move {
            let whole = async { all(chat.await?).await.1.map_or(Ok(()), Err) };
            tokio::time::timeout(lives, whole).await
        }));
    }
    for task in tasks {
        let _ = soon(task).await.expect("no panic");
    }
    let status = &upstreams.status()[0];
    assert_eq!((status.running, status.waiting, status.breaker), (0, 0, "closed"));
    // The server has nobody left who hangs: what it still holds open are idle connections.
    assert!(fake.open_hangs_become_none().await);
}

#[tokio::test]
async fn a_server_that_restarts_loses_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("address");
    let fake = Fake::on(listener, [("/api/chat", good_stream()), healthy()]);
    let upstreams = one_place(&fake.url, &["m"], QueueSpec::default());
    all(upstreams.chat(asks("m"), of("a")).await.expect("well")).await;
    fake.now("/api/chat", vec![Step::Hang]);
    // One is sent and waits for its answer, one waits for its turn.
    let tasks = [send(&upstreams, "m", of("a")).await, send(&upstreams, "m", of("b")).await];
    tokio::time::sleep(Duration::from_millis(20)).await;
    fake.stop().await;
    state_becomes(&upstreams, "held", |now| now.breaker == "held").await;
    let third = send(&upstreams, "m", of("c")).await;
    state_becomes(&upstreams, "three waiting", |now| now.waiting == 3).await;
    let listener = TcpListener::bind(address).await.expect("the port again");
    let _again = Fake::on(listener, [("/api/chat", good_stream()), healthy()]);
    for task in tasks.into_iter().chain([third]) {
        assert!(is_whole(&soon(task).await.expect("answered")));
    }
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn a_server_that_does_not_come_back_is_waited_for_no_longer() {
    let fake = Fake::start([("/api/chat", good_stream()), healthy()]).await;
    let spec = UpstreamSpec { parallel: Some(1), ..spec("local", Kind::Ollama, &fake.url) };
    let settings = Settings { restart: Duration::from_millis(100), ..Settings::default() };
    let upstreams = Upstreams::new(vec![spec], models(&["m"]), settings).expect("set up");
    all(upstreams.chat(asks("m"), of("a")).await.expect("well")).await;
    fake.stop().await;
    let error = soon(upstreams.chat(asks("m"), of("a"))).await.expect_err("gone");
    assert_eq!((error.status(), upstreams.status()[0].breaker), (503, "open"));
    assert!(error.to_string().contains("connecting"), "{error}");
}

#[tokio::test]
async fn one_on_trial_decides_for_those_who_wait() {
    let times = Timeouts { silent: Duration::from_millis(60), ..Timeouts::default() };
    let fake = Fake::start([("/api/chat", vec![Step::Hang]), ("/api/version", vec![Step::Hang])]).await;
    let upstreams = ollama(&fake.url, times);
    soon(upstreams.chat(asks("m"), of("a"))).await.expect_err("silent");
    let go = Arc::new(Notify::new());
    let mut steps = vec![Step::Until(Arc::clone(&go))];
    steps.extend(good_stream());
    fake.now("/api/chat", steps);
    fake.now("/api/version", healthy().1);
    state_becomes(&upstreams, "half open", |now| now.breaker == "half_open").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(tokio::spawn(upstreams.chat(asks("m"), of("a"))));
    }
    state_becomes(&upstreams, "on trial", |now| now.running == 1 && now.waiting == 3).await;
    // It works on it, as its health address says: all may pass.
    state_becomes(&upstreams, "closed", |now| now.breaker == "closed" && now.running == 4).await;
    for task in tasks {
        go.notify_one();
        go.notify_waiters();
        drop(task);
    }
}

#[tokio::test]
async fn who_leaves_while_on_trial_lets_the_next_one_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let upstreams = ollama(&format!("http://{address}"), Timeouts::default());
    for _ in 0..2 {
        upstreams.chat(asks("m"), of("a")).await.expect_err("not there");
    }
    let listener = TcpListener::bind(address).await.expect("the port again");
    let fake = Fake::on(listener, [("/api/chat", vec![Step::Hang]), healthy()]);
    state_becomes(&upstreams, "half open", |now| now.breaker == "half_open").await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(tokio::spawn(upstreams.chat(asks("m"), of("a"))));
        tokio::task::yield_now().await;
    }
    for left in (0..3).rev() {
        state_becomes(&upstreams, "on trial", |now| (now.running, now.waiting) == (1, left)).await;
        assert_eq!(upstreams.status()[0].breaker, "half_open");
        tasks.remove(0).abort();
    }
    state_becomes(&upstreams, "empty", |now| (now.running, now.waiting) == (0, 0)).await;
    fake.now("/api/chat", good_stream());
    assert!(is_whole(&all(soon(upstreams.chat(asks("m"), of("a"))).await.expect("well")).await.0));
    assert_eq!(upstreams.status()[0].breaker, "closed");
}

#[tokio::test]
async fn who_leaves_while_connecting_leaves_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // The connection is not there before the handshake is done, and nobody answers it.
    let url = format!("https://{}/v1", listener.local_addr().expect("address"));
    let specs = vec![spec("local", Kind::OpenAi, &url)];
    let upstreams = Upstreams::new(specs, models(&["m"]), Settings::default()).expect("set up");
    let context = of("a");
    let leaving = tokio::spawn(upstreams.chat(asks("m"), context.clone()));
    let (mut connection, _) = soon(listener.accept()).await.expect("connected");
    assert_eq!((context.progress.phase(), upstreams.status()[0].running), (Phase::Connecting, 1));
    leaving.abort();
    soon(tokio::io::copy(&mut connection, &mut tokio::io::sink())).await.expect("closed");
    state_becomes(&upstreams, "free", |now| now.running == 0).await;
}

#[tokio::test]
async fn a_reload_keeps_places_and_those_who_wait() {
    let go = Arc::new(Notify::new());
    let mut steps = vec![Step::Until(Arc::clone(&go))];
    steps.extend(good_stream());
    let fake = Fake::start([("/api/chat", steps), healthy()]).await;
    let old = one_place(&fake.url, &["m"], QueueSpec::default());
    let tasks = [send(&old, "m", of("a")).await, send(&old, "m", of("a")).await];
    let same = UpstreamSpec { parallel: Some(2), ..spec("local", Kind::Ollama, &fake.url) };
    let gone = ModelSpec { tiers: vec![vec!["other".to_owned()]], ..models(&["m"]).remove(0) };
    old.reconfigured(vec![same.clone()], vec![gone], Settings::default()).expect_err("no such upstream");
    assert_eq!((old.status()[0].parallel, old.status()[0].waiting), (1, 1), "nothing has changed");
    let new = old.reconfigured(vec![same], models(&["m", "n"]), Settings::default()).expect("set up");
    state_becomes(&new, "both running", |now| (now.parallel, now.running, now.waiting) == (2, 2, 0)).await;
    drop(old);
    for task in tasks {
        go.notify_one();
        tokio::time::sleep(Duration::from_millis(5)).await;
        go.notify_one();
        assert!(is_whole(&soon(task).await.expect("answered")));
    }
    assert_eq!(new.status()[0].running, 0);
}

#[tokio::test]
async fn what_is_taken_back_waits_again_and_is_no_try() {
    let fake = Fake::start([("/api/chat", vec![Step::Hang]), healthy()]).await;
    let upstreams = ollama(&fake.url, Timeouts::default());
    let asked = tokio::spawn(upstreams.chat(asks("m"), of("a")));
    state_becomes(&upstreams, "running", |now| now.running == 1).await;
    let before = upstreams.flowing("local").expect("known");
    assert_eq!((before.pieces, before.running, before.whole), (0, 1, 0));
    // While it is held, what comes back waits.
    let held = upstreams.hold("local", "it does not get on").expect("known");
    assert_eq!(upstreams.recall("local", "it does not get on"), 1);
    state_becomes(&upstreams, "waiting", |now| now.running == 0 && now.waiting == 1).await;
    fake.now("/api/chat", good_stream());
    drop(held);
    let reply = soon(asked).await.expect("no panic").expect("answered");
    assert_eq!(reply.attempts, 1, "whoever takes it back sees to the server");
    all(reply).await;
    assert!(upstreams.flowing("local").expect("known").pieces >= 2);
    assert_eq!((upstreams.flowing("nobody"), upstreams.recall("nobody", "x")), (None, 0));
}

#[tokio::test]
async fn a_server_that_lost_its_runner_is_asked_once_more() {
    let text = r#"{"error":"model runner has unexpectedly stopped, this may be due to resource limitations"}"#;
    let failed = vec![answer("500 Internal Server Error", "application/json", text)];
    let fake = Fake::start([("/api/chat", failed.clone()), healthy()]).await;
    let upstreams = ollama(&fake.url, Timeouts::default());
    let error = soon(upstreams.chat(asks("m"), of("a"))).await.expect_err("it does so each time");
    assert_eq!((error.status(), error.attempts()), (503, 2));
    let asked = tokio::spawn(upstreams.chat(asks("m"), of("a")));
    tokio::time::sleep(Duration::from_millis(250)).await;
    fake.now("/api/chat", good_stream());
    let reply = soon(asked).await.expect("no panic").expect("answered");
    assert_eq!(reply.attempts, 2);
    all(reply).await;
}
