//! A scripted model server, and what every test here needs.

#![expect(dead_code, reason = "each test uses a part of it")]
#![expect(unreachable_pub, reason = "each test has it as a module of its own")]

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tollhouse_dialect::{ChatRequest, Event, FinishReason, Message, Role};
use tollhouse_upstream::{Context, Kind, ModelSpec, Reply, Settings, Timeouts, UpstreamError, UpstreamSpec, Upstreams};

/// What a scripted server does with one request.
#[derive(Clone)]
pub enum Step {
    Send(String),
    /// Says nothing until the other end closes, and tells the test.
    Hang,
    /// Says nothing until the test allows more.
    Until(Arc<Notify>),
    Sleep(Duration),
    Close,
}

/// How much of what a server hears is kept for the test.
const HEARD_MAX: usize = 256;

type Script = Arc<Mutex<HashMap<&'static str, Vec<Step>>>>;
/// Decides what is done with a request: its path and all of it.
type Handler = Arc<dyn Fn(&str, &str) -> Vec<Step> + Send + Sync>;

pub struct Fake {
    pub url: String,
    script: Script,
    pub accepted: Arc<AtomicUsize>,
    pub requests: mpsc::Receiver<String>,
    pub hung_up: mpsc::Receiver<()>,
    task: JoinHandle<()>,
    hanging: Arc<AtomicUsize>,
}

impl Fake {
    pub async fn start(script: impl IntoIterator<Item = (&'static str, Vec<Step>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, script)
    }

    pub fn on(listener: TcpListener, script: impl IntoIterator<Item = (&'static str, Vec<Step>)>) -> Self {
        let script: Script = Arc::new(Mutex::new(script.into_iter().collect()));
        let known = Arc::clone(&script);
        let handler: Handler = Arc::new(move |path, _| {
            let steps = known.lock().expect("script").get(path).cloned();
            steps.unwrap_or_else(|| vec![answer("404 Not Found", "text/plain", "no such path")])
        });
        Self { script, ..Self::serve(listener, handler) }
    }

    pub async fn with(handler: impl Fn(&str, &str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.expect("a port"), Arc::new(handler))
    }

    pub fn serve(listener: TcpListener, handler: Handler) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (request_heard, requests) = mpsc::channel(HEARD_MAX);
        let (hang_up_heard, hung_up) = mpsc::channel(HEARD_MAX);
        let (count, hanging) = (Arc::clone(&accepted), Arc::new(AtomicUsize::new(0)));
        let hangs = Arc::clone(&hanging);
        let task = tokio::spawn(async move {
            // Closed with the listener when the server is stopped.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (handler, hangs) = (Arc::clone(&handler), Arc::clone(&hangs));
                connections.spawn(play(stream, handler, request_heard.clone(), hang_up_heard.clone(), hangs));
            }
        });
        Self { url, script: Script::default(), accepted, requests, hung_up, task, hanging }
    }

    /// Whether soon nobody is kept waiting any more.
    pub async fn open_hangs_become_none(&self) -> bool {
        for _ in 0..1000 {
            if self.hanging.load(Ordering::SeqCst) == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }

    /// Closes the listener and all connections, as the end of its process would.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub fn now(&self, path: &'static str, steps: Vec<Step>) {
        self.script.lock().expect("script").insert(path, steps);
    }
}

async fn play(
    mut stream: TcpStream,
    handler: Handler,
    heard: mpsc::Sender<String>,
    hung_up: mpsc::Sender<()>,
    hanging: Arc<AtomicUsize>,
) {
    while let Some((path, request)) = read_request(&mut stream).await {
        let steps = handler(&path, &request);
        let _ = heard.try_send(request);
        for step in steps {
            match step {
                Step::Send(text) if stream.write_all(text.as_bytes()).await.is_err() => return,
                Step::Send(_) => {}
                Step::Until(notify) => notify.notified().await,
                Step::Sleep(time) => tokio::time::sleep(time).await,
                Step::Close => return,
                Step::Hang => {
                    let mut rest = [0; 64];
                    hanging.fetch_add(1, Ordering::SeqCst);
                    while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
                    hanging.fetch_sub(1, Ordering::SeqCst);
                    let _ = hung_up.try_send(());
                    return;
                }
            }
        }
    }
}

/// Reads one request: its path, and all of it.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            return Some((path, text.into_owned()));
        }
    }
}

pub fn answer(status: &str, content_type: &str, body: &str) -> Step {
    Step::Send(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub fn head(content_type: &str) -> Step {
    Step::Send(format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"))
}

pub fn chunk(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()))
}

pub fn end() -> Step {
    Step::Send("0\r\n\r\n".to_owned())
}

pub const LINES: &str = "application/x-ndjson";
pub const PIECE: &str = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"done\":false}\n";
pub const DONE: &str = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":1}\n";

pub fn good_stream() -> Vec<Step> {
    vec![head(LINES), chunk(PIECE), chunk(DONE), end()]
}

pub fn good_whole() -> Vec<Step> {
    let body = DONE.replace("\"content\":\"\"", "\"content\":\"hi\"");
    vec![answer("200 OK", "application/json", &body)]
}

pub fn healthy() -> (&'static str, Vec<Step>) {
    ("/api/version", vec![answer("200 OK", "application/json", "{\"version\":\"0\"}")])
}

pub fn tags(names: &[&str]) -> (&'static str, Vec<Step>) {
    let models: Vec<Value> = names.iter().map(|name| serde_json::json!({"name": name, "size": 5})).collect();
    let body = serde_json::json!({"models": models}).to_string();
    ("/api/tags", vec![answer("200 OK", "application/json", &body)])
}

pub fn spec(name: &str, kind: Kind, url: &str) -> UpstreamSpec {
    UpstreamSpec { name: name.to_owned(), kind, url: url.to_owned(), key: None, parallel: None }
}

/// Short times where waiting is the point, long ones where it is not.
pub fn timeouts() -> Timeouts {
    Timeouts { silent: Duration::from_millis(60), ..Timeouts::default() }
}

pub fn settings() -> Settings {
    Settings { timeouts: timeouts(), ..Settings::default() }
}

pub fn models(names: &[&str]) -> Vec<ModelSpec> {
    names.iter().map(|name| ModelSpec { name: (*name).to_owned(), ..ModelSpec::default() }).collect()
}

pub fn ollama(url: &str, timeouts: Timeouts) -> Upstreams {
    Upstreams::new(vec![spec("local", Kind::Ollama, url)], models(&["m"]), Settings { timeouts, ..Settings::default() })
        .expect("set up")
}

pub fn request(stream: bool) -> ChatRequest {
    ChatRequest { model: "m".into(), messages: vec![Message::text(Role::User, "hi")], stream, ..ChatRequest::default() }
}

pub async fn chat(upstreams: &Upstreams, stream: bool) -> Result<Reply, UpstreamError> {
    upstreams.chat(Arc::new(request(stream)), Context::default()).await
}

pub async fn all(mut reply: Reply) -> (Vec<Event>, Option<UpstreamError>) {
    let mut events = Vec::new();
    while let Some(next) = reply.answer.next().await {
        match next {
            Ok(next) => events.extend(next),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

pub fn is_whole(events: &[Event]) -> bool {
    events.contains(&Event::Text("hi".into()))
        && events.contains(&Event::Finish(FinishReason::Stop))
        && matches!(events.last(), Some(Event::Usage(usage)) if usage.input_tokens == 3 && usage.output_tokens == 1)
}

/// A dead lock ends the test instead of the patience of those who wait for it.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("happens soon")
}

/// The body of what a server heard.
pub fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

pub fn json(body: &Value) -> Vec<Step> {
    vec![answer("200 OK", "application/json", &body.to_string())]
}

pub async fn state_becomes(
    upstreams: &Upstreams,
    what: &str,
    is_so: impl Fn(&tollhouse_upstream::UpstreamStatus) -> bool,
) {
    let waiting = async {
        while !is_so(&upstreams.status()[0]) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("never {what}: {upstreams:?}"));
}

/// A server of Ollama's kind with memory for one model: loading takes time, and is counted.
pub struct OneModel {
    pub fake: Fake,
    pub loads: Arc<AtomicUsize>,
}

impl OneModel {
    pub async fn start(load: Duration, work: Duration) -> Self {
        let loads = Arc::new(AtomicUsize::new(0));
        let (count, loaded) = (Arc::clone(&loads), Mutex::new(String::new()));
        let fake = Fake::with(move |path, request| match path {
            "/api/chat" => {
                let model = body_of(request)["model"].as_str().expect("a model").to_owned();
                let mut loaded = loaded.lock().expect("loaded");
                let load = if *loaded == model { Duration::ZERO } else { load };
                if !load.is_zero() {
                    count.fetch_add(1, Ordering::SeqCst);
                    loaded.clone_from(&model);
                }
                let done =
                    DONE.replace("\"eval_count\"", &format!("\"load_duration\":{},\"eval_count\"", load.as_nanos()));
                vec![Step::Sleep(load + work), head(LINES), chunk(PIECE), chunk(&done), end()]
            }
            "/api/ps" => {
                let name = loaded.lock().expect("loaded").clone();
                json(&serde_json::json!({"models": [{"name": name, "context_length": 4096}]}))
            }
            _ => json(&serde_json::json!({"version": "0"})),
        })
        .await;
        Self { fake, loads }
    }
}
