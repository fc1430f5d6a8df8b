//! OpenClaw's gateway protocol (version 4), as far as questions for approval need it: JSON texts over one WebSocket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tollhouse_config::OpenclawApprovals;
use tollhouse_outbound::{Trust, encrypted, resolve};
use tollhouse_units::chain;

use crate::cli;

/// How long a connection and its greeting may take.
const OPEN_TIME_MAX: Duration = Duration::from_secs(10);
/// How long sending may take.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);
/// Nothing is heard for so long only of a gateway that is gone: it says `tick` every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Largest message that is read.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Frames that may come before the greeting.
const GREETING_FRAMES_MAX: usize = 8;
/// The protocol that is spoken.
const PROTOCOL: u32 = 4;
/// Ids of our requests.
const CONNECT: &str = "connect";
const LIST: &str = "list";
const RESOLVE: &str = "resolve:";

/// A question for approval.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    pub(super) id: String,
    request: Request,
    /// When it answers itself, in milliseconds since 1970.
    #[serde(rename = "expiresAtMs")]
    pub(super) expires_ms: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Request {
    command: String,
    #[serde(default)]
    cwd: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    agent_id: Option<String>,
    #[serde(default)]
    session_key: Option<String>,
    #[serde(default)]
    warning_text: Option<String>,
    #[serde(default)]
    command_analysis: Option<Analysis>,
}

/// What OpenClaw itself sees in a command.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    #[serde(default)]
    warning_lines: Vec<String>,
}

impl Question {
    /// What a human is asked.
    pub(super) fn text(&self) -> String {
        let Request { command, cwd, host, agent_id, session_key, warning_text, command_analysis } = &self.request;
        let mut text = format!("OpenClaw asks whether this may be run once:\n\n{command}\n");
        let told = [("directory", cwd), ("host", host), ("agent", agent_id), ("session", session_key)];
        for (name, value) in told {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                text.extend(["\n", name, ": ", value.as_str()]);
            }
        }
        let seen = command_analysis.iter().flat_map(|analysis| &analysis.warning_lines);
        for warning in warning_text.iter().chain(seen).filter(|warning| !warning.is_empty()) {
            text.extend(["\nwarning: ", warning.as_str()]);
        }
        text
    }
}

/// What came over the connection.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// All questions that are open.
    Open(Vec<Question>),
    /// A further one.
    Asked(Question),
    /// One was answered, by whomever.
    Answered { id: String },
    /// Our answer was taken, or why not.
    Taken { id: String, error: Option<String> },
    /// Nothing that matters here.
    Other,
}

/// Bytes in both directions, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that is greeted. Errors are texts for people, without the token.
pub(super) struct Connection {
    socket: WebSocketStream<Box<dyn Wire>>,
    last_heard: Instant,
}

impl Connection {
    /// Connects, and shows the token.
    pub(super) async fn open(wanted: &OpenclawApprovals) -> Result<Self, String> {
        let opened = timeout(OPEN_TIME_MAX, Self::connect(wanted)).await;
        opened.unwrap_or_else(|_| Err(format!("no greeting within {OPEN_TIME_MAX:?}")))
    }

    async fn connect(wanted: &OpenclawApprovals) -> Result<Self, String> {
        let (url, token) = (wanted.url.as_str(), wanted.token.expose());
        let stream = stream(url, wanted.ca.as_deref()).await?;
        let mut bounds = WebSocketConfig::default();
        bounds.max_message_size = Some(MESSAGE_BYTES_MAX);
        bounds.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let connected = client_async_with_config(url, stream, Some(bounds)).await;
        let (socket, _) = connected.map_err(|error| error.to_string())?;
        let mut connection = Self { socket, last_heard: Instant::now() };
        // Its first words are a challenge, which a client on this side with a token need not answer.
        let greeting = json!({
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            // Names are a closed list; this is the one for programs behind the gateway.
            "client": {"id": "gateway-client", "version": cli::VERSION, "platform": "linux", "mode": "backend"},
            "role": "operator",
            // Its gateway shows what others ask to those alone who may do everything, unless they are a device that was named.
            "scopes": ["operator.read", "operator.approvals", "operator.admin"],
            // Without that, it takes nobody to be there who could answer, and refuses the question at once.
            "caps": ["exec-approvals"],
            "commands": [],
            "permissions": {},
            "auth": {"token": token},
            "locale": "en-US",
            "userAgent": "tollhouse",
        });
        connection.next().await?;
        connection.ask(CONNECT, "connect", greeting).await?;
        for _ in 0..GREETING_FRAMES_MAX {
            let frame = connection.next().await?;
            if frame["type"] == "res" && frame["id"] == CONNECT {
                return if frame["ok"] == true { Ok(connection) } else { Err(refusal(&frame)) };
            }
        }
        Err("it does not answer the greeting".to_owned())
    }

    /// Asks for all questions that are open; they come as [`Heard::Open`].
    pub(super) async fn ask_for_open(&mut self) -> Result<(), String> {
        self.ask(LIST, "exec.approval.list", json!({})).await
    }

    /// Answers a question; whether that was taken comes as [`Heard::Taken`].
    pub(super) async fn resolve(&mut self, id: &str, decision: &str) -> Result<(), String> {
        let params = json!({"id": id, "decision": decision});
        self.ask(&format!("{RESOLVE}{id}"), "exec.approval.resolve", params).await
    }

    /// Waits for what comes next. Nothing is lost when this is dropped.
    pub(super) async fn hear(&mut self) -> Result<Heard, String> {
        let frame = timeout_at(self.last_heard + SILENCE_MAX, self.next()).await;
        let frame = frame.map_err(|_| format!("nothing was heard for {SILENCE_MAX:?}"))??;
        self.last_heard = Instant::now();
        read(&frame)
    }

    async fn ask(&mut self, id: &str, method: &str, params: Value) -> Result<(), String> {
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        let sent = timeout(SEND_TIME_MAX, self.socket.send(Message::text(frame.to_string()))).await;
        sent.map_err(|_| "sending took too long".to_owned())?.map_err(|error| error.to_string())
    }

    async fn next(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|_| "what it says is not JSON".to_owned());
                }
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| format!("{}: {}", frame.code, frame.reason)).unwrap_or_default();
                    return Err(format!("it closed the connection ({why})"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("it closed the connection".to_owned()),
            }
        }
    }
}

/// Connects, and encrypts where the address says so.
async fn stream(url: &str, ca: Option<&Path>) -> Result<Box<dyn Wire>, String> {
    let uri: Uri = url.parse().map_err(|_| "the address cannot be read".to_owned())?;
    let is_encrypted = uri.scheme_str() == Some("wss");
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 }));
    let addresses = resolve(host, port).await.map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(&addresses[..]).await.map_err(|error| error.to_string())?;
    if !is_encrypted {
        return Ok(Box::new(stream));
    }
    // Read each time: the file may be another one by now.
    let trust = Trust::of(ca, true);
    let tls = spawn_blocking(move || trust.tls()).await.map_err(|error| error.to_string())?;
    let tls = tls.map_err(|error| chain(&error))?;
    let stream = encrypted(stream, host, Arc::new(tls)).await;
    Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
}

fn read(frame: &Value) -> Result<Heard, String> {
    let payload = &frame["payload"];
    Ok(match (frame["type"].as_str(), frame["event"].as_str(), frame["id"].as_str()) {
        (Some("event"), Some("exec.approval.requested"), _) => question(payload).map_or(Heard::Other, Heard::Asked),
        (Some("event"), Some("exec.approval.resolved"), _) => match payload["id"].as_str() {
            Some(id) => Heard::Answered { id: id.to_owned() },
            None => Heard::Other,
        },
        (Some("res"), _, Some(LIST)) if frame["ok"] == true => {
            let list = payload.as_array().or_else(|| payload["approvals"].as_array());
            Heard::Open(list.into_iter().flatten().filter_map(question).collect())
        }
        (Some("res"), _, Some(LIST)) => return Err(refusal(frame)),
        (Some("res"), _, Some(id)) => match id.strip_prefix(RESOLVE) {
            Some(id) => Heard::Taken { id: id.to_owned(), error: (frame["ok"] != true).then(|| refusal(frame)) },
            None => Heard::Other,
        },
        _ => Heard::Other,
    })
}

fn question(value: &Value) -> Option<Question> {
    let question: Question = Question::deserialize(value).ok()?;
    (!question.id.is_empty() && !question.request.command.trim().is_empty()).then_some(question)
}

/// What it says of a request that it does not take.
fn refusal(frame: &Value) -> String {
    let message = frame["error"]["message"].as_str().unwrap_or("it refused without a word");
    message.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: &str) -> Value {
        let request = json!({"command": "rm -rf build", "cwd": "/srv", "agentId": "main", "host": null, "ask": "always", "warningText": null,
                "commandAnalysis": {"commandCount": 1, "warningLines": ["Contains inline-eval: sh -c"]}});
        json!({"id": id, "request": request, "createdAtMs": 1, "expiresAtMs": 2})
    }

    #[test]
    fn frames_are_told_apart() {
        let event = |name: &str, payload: Value| json!({"type": "event", "event": name, "payload": payload});
        let Heard::Asked(question) = read(&event("exec.approval.requested", asked("a"))).unwrap() else { panic!() };
        assert_eq!((question.id.as_str(), question.expires_ms), ("a", 2));
        let text = question.text();
        assert!(
            text.contains("\nrm -rf build\n")
                && text.contains("directory: /srv")
                && !text.contains("host")
                && text.ends_with("\nwarning: Contains inline-eval: sh -c"),
            "{text}"
        );
        let resolved = event("exec.approval.resolved", json!({"id": "a", "decision": "deny"}));
        assert_eq!(read(&resolved).unwrap(), Heard::Answered { id: "a".to_owned() });
        let list = json!({"type": "res", "id": "list", "ok": true, "payload": [asked("a"), {"id": "", "request": {}}]});
        assert!(matches!(read(&list).unwrap(), Heard::Open(open) if open.len() == 1));
        let taken = json!({"type": "res", "id": "resolve:a", "ok": false, "error": {"message": "unknown or expired"}});
        let error = Some("unknown or expired".to_owned());
        assert_eq!(read(&taken).unwrap(), Heard::Taken { id: "a".to_owned(), error });
        assert_eq!(read(&event("tick", json!({}))).unwrap(), Heard::Other);
        assert!(read(&json!({"type": "res", "id": "list", "ok": false})).is_err());
    }
}
