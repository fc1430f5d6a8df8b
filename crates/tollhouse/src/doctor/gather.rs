//! Gathers all that the doctor judges, side by side.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tollhouse_config::{Auth, ChannelKind, Config, ContentMode, SmtpConfig, SmtpTls, SourceKind};
use tollhouse_doctor::{
    DefenceFacts, Facts, GateFacts, KeyFacts, ListenerFacts, MailFacts, OpenClawFacts, Reach, json5,
};
use tollhouse_state::State;
use tollhouse_units::hex;

use super::asker::{Asked, Asker, connected, side_by_side};
use super::sockets::{self, Listening};
use super::{book, edge, machine, servers};
use crate::init::openclaw;
use crate::keys;

/// How long the gate may take to say how it is.
const GATE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a mail server may take to greet.
const GREETING_TIME_MAX: Duration = Duration::from_secs(2);
/// Keys that stand in tutorials and examples, one a line.
const DEFAULT_SECRETS: &str = include_str!("default_secrets.txt");

/// All facts but the configuration's own.
pub(super) async fn facts(config: &Config, file: Option<&Path>, root: &Path) -> anyhow::Result<Facts> {
    let asker = spawn_blocking(Asker::new).await??;
    let listening = spawn_blocking(sockets::listening).await?;
    let on_disk = {
        let (config, file, listening) = (config.clone(), file.map(Path::to_owned), listening.clone());
        spawn_blocking(move || {
            let places = machine::places(&config, file.as_deref());
            (places, machine::ports(&config, &listening), machine::budget(&config))
        })
    };
    let page = page(config, &asker);
    let (edge, gate, servers, probed, mail, told, keys, firewall, exposure, page) = tokio::join!(
        edge::facts(config, &asker, root),
        gate(config, &asker),
        servers::facts(config, &asker, &listening),
        machine::resources(config),
        side_by_side(config.channels.iter().filter_map(|channel| match &channel.kind {
            ChannelKind::Smtp(smtp) => Some(mail(&channel.name, smtp)),
            _ => None,
        })),
        book::told(config, root),
        keys(config),
        machine::firewall(),
        machine::exposure(root),
        page,
    );
    let (places, ports, budget) = on_disk.await.context("looking at files")?;
    let gate_address = keys::reachable(config.listen.address);
    let holder = listening.iter().find(|socket| socket.takes(gate_address)).and_then(Listening::holder_text);
    let counted = keys.as_ref().map(|keys| keys.len() as u64);
    Ok(Facts {
        now_ms: Timestamp::now().as_millisecond(),
        edge,
        gate: GateFacts {
            listen: gate_address.to_string(),
            answer: gate,
            holder,
            needs_keys: config.access.auth == Auth::Keys,
            keys: counted,
            refused_config: told.refused_config,
            first_byte_s: config.timeouts.first_byte.as_secs_f64(),
            recent: told.recent,
        },
        servers,
        lines: told.lines,
        lines_read: told.lines_read,
        probed,
        places,
        ports,
        budget,
        openclaw: assistant(root),
        book: told.book,
        mail,
        defence: DefenceFacts {
            open: open(config, &listening),
            firewall,
            page_by_tls: config.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
            page,
            listens_beyond: !config.listen.address.ip().to_canonical().is_loopback(),
            keys: keys.unwrap_or_default(),
            allow: config.access.allow.iter().map(ToString::to_string).collect(),
            trusted_proxies: config.access.trusted_proxies.iter().map(ToString::to_string).collect(),
            exposure,
            keeps_prompts_whole: config.logging.content.mode == ContentMode::Full,
        },
        ..Facts::default()
    })
}

async fn gate(config: &Config, asker: &Asker) -> Reach {
    let address = keys::reachable(config.listen.address);
    asker.ask(Asked::get(format!("http://{address}/health"), GATE_TIME_MAX)).await
}

/// The console's page, as users get it.
async fn page(config: &Config, asker: &Asker) -> Reach {
    let own = || format!("http://{}", keys::reachable(config.listen.address));
    let base = config.public_url.clone().unwrap_or_else(own);
    asker.ask(Asked::get(format!("{base}/"), GATE_TIME_MAX)).await
}

/// Keys that are good now; nothing where they cannot be read. A state that is not there is not made.
async fn keys(config: &Config) -> Option<Vec<KeyFacts>> {
    const DAY_MS: f64 = 86_400_000.0;
    let now_ms = Timestamp::now().as_millisecond();
    let defaults: Vec<String> = DEFAULT_SECRETS.lines().map(|secret| hex(&Sha256::digest(secret.trim()))).collect();
    let configured = config.access.keys.iter().filter(|key| key.expires_ms.is_none_or(|until| until > now_ms));
    let mut keys: Vec<KeyFacts> = configured
        .map(|key| KeyFacts {
            id: key.id.clone(),
            role: key.role.to_owned(),
            age_days: None,
            expires: key.expires_ms.is_some(),
            is_bound: !key.allow.is_empty(),
            is_default: defaults.contains(&key.sha256) || key.also.iter().any(|other| defaults.contains(other)),
        })
        .collect();
    if config.data_dir.join("state/state.db").exists() {
        let state = State::open(&config.data_dir).await.ok()?;
        let stored = state.keys().await;
        state.close().await;
        keys.extend(stored.ok()?.iter().filter(|key| key.in_force(now_ms)).map(|key| KeyFacts {
            id: key.id.clone(),
            role: key.settings.role.clone(),
            age_days: Some((now_ms - key.created_ms) as f64 / DAY_MS),
            expires: key.settings.expires_ms.is_some(),
            is_bound: !key.settings.allow.is_empty(),
            is_default: false,
        }));
    }
    Some(keys)
}

/// What listens beyond this machine, and what of the configuration it is.
fn open(config: &Config, listening: &[Listening]) -> Vec<ListenerFacts> {
    let mut known = vec![("gate".to_owned(), config.listen.address.port())];
    known.extend(config.search.listen.map(|address| ("search".to_owned(), address.port())));
    for source in &config.sources {
        match &source.kind {
            SourceKind::Listen(listen) => known.push((format!("source {}", source.name), listen.address.port())),
            SourceKind::Http(http) => known.push((format!("source {}", source.name), http.address.port())),
            SourceKind::File(_) | SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => {}
        }
    }
    for upstream in &config.upstreams {
        let uri: Option<http::Uri> = upstream.url.parse().ok();
        known.extend(uri.and_then(|uri| uri.port_u16()).map(|port| (format!("server {}", upstream.name), port)));
    }
    let told = |socket: &Listening| {
        let port = socket.address.port();
        ListenerFacts {
            address: socket.address.to_string(),
            port,
            program: socket.holder.as_ref().map(|holder| holder.name.clone()),
            what: known.iter().find(|(_, own)| *own == port).map(|(what, _)| what.clone()),
        }
    };
    listening.iter().filter(|socket| socket.is_open()).map(told).collect()
}

/// OpenClaw's settings, below the root that is looked at.
fn assistant(root: &Path) -> Option<OpenClawFacts> {
    let file = if root == Path::new("/") { openclaw::find() } else { below(root) }?;
    let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
    let settings = read.and_then(|text| json5::parse(&text));
    Some(OpenClawFacts {
        file: file.display().to_string(),
        problem: settings.as_ref().err().cloned(),
        settings: settings.unwrap_or(Value::Null),
    })
}

fn below(root: &Path) -> Option<PathBuf> {
    let own = env::home_dir().and_then(|home| Some(root.join(home.strip_prefix("/").ok()?)));
    let homes = std::fs::read_dir(root.join("home")).into_iter().flatten().flatten().map(|entry| entry.path());
    own.into_iter().chain([root.join("root")]).chain(homes).find_map(|home| openclaw::below(&home))
}

/// How the mail server of a channel greets. With TLS from the first byte only the connection is looked at.
async fn mail(channel: &str, smtp: &SmtpConfig) -> MailFacts {
    let greeting = async {
        let mut stream = match connected(&smtp.host, smtp.port).await {
            Ok(stream) => stream,
            Err(reach) => return reach,
        };
        if smtp.tls == SmtpTls::Implicit {
            return Reach::NotAsked;
        }
        let began = Instant::now();
        let mut begin = [0; 512];
        match timeout(GREETING_TIME_MAX, stream.read(&mut begin)).await {
            Err(_) => Reach::Silent { seconds: GREETING_TIME_MAX.as_secs_f64() },
            Ok(Err(error)) => Reach::Broken { error: error.to_string() },
            Ok(Ok(length)) => {
                let text = String::from_utf8_lossy(&begin[..length]).into_owned();
                match text.get(..3).and_then(|code| code.parse().ok()) {
                    Some(status) => {
                        let ms = began.elapsed().as_secs_f64() * 1000.0;
                        Reach::Answered { status, ms, body: Value::Null, headers: BTreeMap::default() }
                    }
                    None => Reach::Broken { error: "what greets there is no mail server".to_owned() },
                }
            }
        }
    };
    MailFacts { channel: channel.to_owned(), server: format!("{}:{}", smtp.host, smtp.port), greeting: greeting.await }
}
