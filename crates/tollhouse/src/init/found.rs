//! What answers on this machine.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Where Ollama listens when nobody says otherwise.
pub(super) const OLLAMA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 11434);
/// How long a server on this machine may take to answer.
const PATIENCE: Duration = Duration::from_millis(700);
/// How much of an answer is read: some hundred models.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// The models of an Ollama server at its usual place; `None` where nothing answers as Ollama does.
pub(super) fn ollama() -> Option<Vec<String>> {
    let answer: Value = serde_json::from_str(&get("/api/tags").ok()?).ok()?;
    let models = answer["models"].as_array()?;
    Some(models.iter().filter_map(|model| model["name"].as_str()).map(str::to_owned).collect())
}

/// The body of an answer, by HTTP/1.0: it comes in one piece and ends with the connection.
fn get(path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&OLLAMA, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {OLLAMA}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let is_ok = head.split(' ').nth(1) == Some("200");
    Ok(if is_ok { body.to_owned() } else { String::new() })
}
