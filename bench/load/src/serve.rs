//! The model server: reads requests as far as it must, and drips the same stream for each.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::HEAD_MAX;

const BACKLOG: u32 = 8192;
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// What is written for each chat, made once.
struct Drip {
    first: Vec<u8>,
    word: Vec<u8>,
    last: Vec<u8>,
    models: Vec<u8>,
    tokens: u32,
    pause: Duration,
}

/// Listens on loopback and answers until the process is ended.
pub(crate) async fn serve(port: u16, tokens: u32, pause: Duration) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into()).with_context(|| format!("listening on port {port}"))?;
    let listener = socket.listen(BACKLOG)?;
    let drip = Rc::new(Drip::new(tokens, pause));
    LocalSet::new().run_until(accept(listener, drip)).await
}

async fn accept(listener: TcpListener, drip: Rc<Drip>) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let drip = Rc::clone(&drip);
        // A reader who leaves is the end of a connection, not an error of the bench.
        spawn_local(async move { drop(connection(stream, &drip).await) });
    }
}

async fn connection(mut stream: TcpStream, drip: &Drip) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(1024);
    while let Some(line) = request(&mut stream, &mut buffer).await? {
        if !line.starts_with(b"POST") {
            stream.write_all(&drip.models).await?;
            continue;
        }
        stream.write_all(&drip.first).await?;
        let begun = Instant::now();
        for token in 1..=drip.tokens {
            sleep_until(begun + drip.pause * token).await;
            stream.write_all(&drip.word).await?;
        }
        stream.write_all(&drip.last).await?;
    }
    Ok(())
}

/// Reads one whole request and gives its first line; none when the other side has closed.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let whole = end + 4 + length.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
            while buffer.len() < whole {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            let line = buffer[..find(buffer, b"\r\n").unwrap_or(end)].to_vec();
            buffer.drain(..whole);
            return Ok(Some(line));
        }
        if buffer.len() > HEAD_MAX || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Where `pattern` begins in `data`.
pub(crate) fn find(data: &[u8], pattern: &[u8]) -> Option<usize> {
    data.windows(pattern.len()).position(|window| window == pattern)
}

impl Drip {
    fn new(tokens: u32, pause: Duration) -> Self {
        let event = |delta: serde_json::Value, finish: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            let body =
                json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
            chunk(&format!("data: {body}\n\n"))
        };
        let models = r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#;
        let length = models.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        Self {
            first: [STREAM, &event(json!({"role": "assistant", "content": ""}), None)].concat(),
            word: event(json!({"content": " word"}), None),
            last: [event(json!({}), Some("stop")), chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat(),
            models: [head.as_bytes(), models.as_bytes()].concat(),
            tokens,
            pause,
        }
    }
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
