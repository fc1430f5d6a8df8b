//! `tollhouse init`: a first configuration from what is found on this machine, or from older files.

mod found;
mod from;
mod nginx;
pub(crate) mod openclaw;

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tollhouse_config::init::{Found, first_config};

use crate::cli::InitArgs;
use crate::{say, schema};

pub(crate) use from::Unreadable;

/// The gateway's own port, which is also OpenClaw's.
const PORT: u16 = 18789;
/// How many ports are tried when the usual one is taken.
const PORTS_TRIED: u16 = 20;

/// What is to be written, and what there is to say of it.
struct Plan {
    text: String,
    listen: SocketAddr,
    /// For people, line by line.
    told: String,
    /// For programs.
    json: Value,
}

pub(crate) async fn init(args: &InitArgs) -> anyhow::Result<()> {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from("tollhouse.yaml"));
    if path.exists() && !args.force {
        bail!("{} is there already; --force replaces it, `tollhouse check` shows what it means", path.display());
    }
    let is_replaced =
        |file: &&PathBuf| fs::canonicalize(file).ok().is_some_and(|file| fs::canonicalize(&path).ok() == Some(file));
    if let Some(file) = args.from.iter().find(is_replaced) {
        bail!("{} would be replaced by what is made of it; name another file with --config", file.display());
    }
    let ollama = tokio::task::spawn_blocking(found::ollama).await?;
    let (assistants, files): (Vec<_>, Vec<_>) = args.from.iter().partition(|file| openclaw::is_named(file));
    if let Some(file) = assistants.iter().find(|file| !file.is_file()) {
        bail!("{} is not there", file.display());
    }
    let settings = match assistants.first() {
        Some(file) => Some(openclaw::Settings::read(file)?),
        // Nobody asked for it: where it cannot be read, it is only said where it is.
        None => openclaw::find()
            .map(|file| openclaw::Settings::read(&file).unwrap_or_else(|_| openclaw::Settings::none(file))),
    };
    let parts: Vec<_> =
        settings.iter().filter(|_| !assistants.is_empty()).filter_map(openclaw::Settings::part).collect();
    let is_new = files.is_empty() && parts.is_empty();
    let named = args.config.as_ref().map(|path| format!(" --config {}", path.display())).unwrap_or_default();
    let plan =
        if is_new { first(ollama.is_some(), &named)? } else { from::plan(&files, parts, ollama.is_some(), &named)? };
    let config = from::config(&plan.text);
    let models = from::models(&config, ollama.unwrap_or_default());
    let advice = settings.map(|settings| openclaw::Advice::new(settings, &config, plan.listen, models));

    let schema = path.with_extension("schema.json");
    schema::write(&schema)?;
    let text = format!("{}\n{}", schema::line(&schema), plan.text);
    write_whole(&path, &text).with_context(|| format!("writing {}", path.display()))?;
    if args.json {
        let mut json = plan.json;
        json["file"] = json!(path);
        json["schema"] = json!(schema);
        json["listen"] = json!(plan.listen.to_string());
        json["openclaw"] = advice.as_ref().map_or(Value::Null, openclaw::Advice::json);
        return say(&format!("{json:#}\n"));
    }
    eprintln!("wrote {}, and {} for editors\n{}", path.display(), schema.display(), plan.told.trim_end());
    if let Some(advice) = advice {
        eprintln!("\n{advice}");
    }
    Ok(())
}

/// A first configuration, where there is no older one. `named` is what names its file in further commands.
fn first(has_ollama: bool, named: &str) -> anyhow::Result<Plan> {
    let listen = free_address()?;
    let found = Found {
        ollama: has_ollama.then(|| format!("http://{}", found::OLLAMA)),
        listen,
        port_taken_by_default: listen.port() != PORT,
    };
    let mut told = match &found.ollama {
        Some(url) => format!("  found Ollama at {url}\n"),
        None => format!(
            "  no Ollama at http://{}: the built-in demo answers until you name a model server under `upstreams`\n",
            found::OLLAMA
        ),
    };
    if found.port_taken_by_default {
        writeln!(told, "  port {PORT} is taken (OpenClaw uses it too): listening on {listen} instead")?;
    }
    write!(told, "next: tollhouse key create{named} --name me, then tollhouse up{named}")?;
    Ok(Plan { text: first_config(&found), listen, told, json: json!({"ollama": found.ollama}) })
}

/// The usual address, or that with the next port that is free.
fn free_address() -> anyhow::Result<SocketAddr> {
    let port = (PORT..PORT + PORTS_TRIED).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let port = port.with_context(|| format!("ports {PORT} to {} are all taken", PORT + PORTS_TRIED - 1))?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// Writes a whole file, and the folder in which it lies: a reader never sees half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    // As much as the umask lets: the house's own is narrower than most.
    tollhouse_files::replace(path, text.as_bytes(), 0o666)
}
