//! `tollhouse init`: a first configuration from what is found on this machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tollhouse_config::init::{Found, first_config};

use crate::cli::InitArgs;

/// Where Ollama listens when nobody says otherwise.
const OLLAMA: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 11434);
/// The gateway's own port, which is also OpenClaw's.
const PORT: u16 = 18789;
/// How many ports are tried when the usual one is taken.
const PORTS_TRIED: u16 = 20;
/// How long a server on this machine may take to answer.
const PATIENCE: Duration = Duration::from_millis(700);

pub(crate) async fn init(args: &InitArgs) -> anyhow::Result<()> {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from("tollhouse.yaml"));
    if path.exists() && !args.force {
        bail!("{} is there already; --force replaces it, `tollhouse check` shows what it means", path.display());
    }
    let port = (PORT..PORT + PORTS_TRIED).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let port = port.with_context(|| format!("ports {PORT} to {} are all taken", PORT + PORTS_TRIED - 1))?;
    let found = Found {
        ollama: tokio::task::spawn_blocking(ollama_answers).await?.then(|| format!("http://{OLLAMA}")),
        listen: (Ipv4Addr::LOCALHOST, port).into(),
        port_taken_by_default: port != PORT,
    };
    let text = first_config(&found);
    write_whole(&path, &text).with_context(|| format!("writing {}", path.display()))?;

    eprintln!("wrote {}", path.display());
    match &found.ollama {
        Some(url) => eprintln!("  found Ollama at {url}"),
        None => eprintln!(
            "  no Ollama at http://{OLLAMA}: the built-in demo answers until you name a model server under `upstreams`"
        ),
    }
    if found.port_taken_by_default {
        eprintln!("  port {PORT} is taken (OpenClaw uses it too): listening on {} instead", found.listen);
    }
    eprintln!("next: tollhouse key create --name me, then tollhouse up");
    Ok(())
}

/// Whether something at Ollama's address answers as Ollama does.
fn ollama_answers() -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&OLLAMA, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /api/version HTTP/1.1\r\nHost: {OLLAMA}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"version\""))
}

/// Writes beside and renames: a reader never sees half a file.
fn write_whole(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let aside = path.with_extension("yaml.new");
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, path)
}
