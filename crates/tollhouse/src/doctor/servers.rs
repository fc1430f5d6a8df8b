//! Gathers what there is to know of the model servers.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tollhouse_config::{Config, UpstreamConfig, UpstreamKind};
use tollhouse_doctor::{Reach, ServerFacts, SpokeFacts, WantedFacts};

use super::asker::{Asked, Asker, side_by_side};
use super::sockets::Listening;

/// How long a sign of life may take.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(1500);
/// How long a model may take for one word.
const WORD_TIME_MAX: Duration = Duration::from_millis(1500);
/// Models of one server that are asked for their longest context.
const WANTED_MAX: usize = 8;
/// Largest environment of a process.
const ENVIRONMENT_BYTES_MAX: usize = 1 << 20;

/// All of them, side by side.
pub(super) async fn facts(config: &Config, asker: &Asker, listening: &[Listening]) -> Vec<ServerFacts> {
    side_by_side(config.upstreams.iter().map(|upstream| one(config, upstream, asker, listening))).await
}

async fn one(config: &Config, upstream: &UpstreamConfig, asker: &Asker, listening: &[Listening]) -> ServerFacts {
    let (kind, health, models) = match upstream.kind {
        UpstreamKind::Ollama => ("ollama", "/api/version", "/api/tags"),
        UpstreamKind::OpenAi => ("openai", "/models", "/models"),
        UpstreamKind::Anthropic => ("anthropic", "/v1/models", "/v1/models"),
        UpstreamKind::Demo => ("demo", "", ""),
    };
    let here = here(&upstream.url);
    let own: Vec<&Listening> =
        here.iter().flat_map(|address| listening.iter().filter(|socket| socket.takes(*address))).collect();
    let mut server = ServerFacts {
        name: upstream.name.clone(),
        kind: kind.to_owned(),
        url: upstream.url.clone(),
        is_here: here.is_some(),
        has_key: upstream.key.is_some(),
        parallel: upstream.parallel,
        listens: own.iter().map(|socket| socket.address.to_string()).collect(),
        environment: own.iter().find_map(|socket| environment(socket.holder.as_ref()?.pid)),
        wanted: wanted(config, &upstream.name),
        ..ServerFacts::default()
    };
    if upstream.kind == UpstreamKind::Demo {
        return server;
    }
    let key = upstream.key.as_ref().map(tollhouse_config::Secret::expose);
    let get = |path: &str| asker.ask(Asked { key, ..Asked::get(format!("{}{path}", upstream.url), ANSWER_TIME_MAX) });
    server.version = get(health).await;
    if server.version.body().is_none() {
        return server;
    }
    if upstream.kind == UpstreamKind::Ollama {
        (server.models, server.loaded) = tokio::join!(get(models), get("/api/ps"));
        let asked = server.wanted.iter().take(WANTED_MAX).map(|wanted| context_max(asker, upstream, &wanted.name));
        let (limits, spoke) = tokio::join!(side_by_side(asked), spoke(config, asker, upstream, &server));
        for (wanted, most) in server.wanted.iter_mut().zip(limits) {
            wanted.context_max = most;
        }
        server.spoke = spoke;
    } else {
        server.models = server.version.clone();
    }
    server
}

/// Its address, where it is on this machine.
fn here(url: &str) -> Option<SocketAddr> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let ip: IpAddr = if host == "localhost" { IpAddr::from([127, 0, 0, 1]) } else { host.parse().ok()? };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    ip.to_canonical().is_loopback().then_some(SocketAddr::new(ip, port))
}

/// Models of the configuration that this server serves first.
fn wanted(config: &Config, upstream: &str) -> Vec<WantedFacts> {
    let is_here = |model: &&tollhouse_config::ModelConfig| model.tiers.iter().flatten().any(|name| name == upstream);
    let models = config.models.iter().filter(is_here);
    models.map(|model| WantedFacts { name: model.name.clone(), context: model.context, context_max: None }).collect()
}

/// `OLLAMA_…` of a process, where it may be read.
fn environment(pid: u32) -> Option<BTreeMap<String, String>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok().filter(|bytes| bytes.len() <= ENVIRONMENT_BYTES_MAX)?;
    let texts = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let pairs = texts.filter_map(|text| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    Some(pairs.filter(|(name, _)| name.starts_with("OLLAMA_")).collect())
}

/// The longest context that a model was made for.
async fn context_max(asker: &Asker, upstream: &UpstreamConfig, model: &str) -> Option<u64> {
    let url = format!("{}/api/show", upstream.url);
    let reach = asker.ask(Asked { body: Some(json!({"model": model})), ..Asked::get(url, ANSWER_TIME_MAX) }).await;
    let info = reach.body()?["model_info"].as_object()?.clone();
    info.iter().find(|(name, _)| name.ends_with(".context_length")).and_then(|(_, value)| value.as_u64())
}

/// Asks a model for one word: one that is in memory, as it is there; where none is, the first that is configured, since then none is
/// pushed out.
async fn spoke(config: &Config, asker: &Asker, upstream: &UpstreamConfig, server: &ServerFacts) -> Option<SpokeFacts> {
    let loaded = server.loaded.body()?["models"].as_array()?;
    let first = loaded.first();
    let mut body = json!({"prompt": "1+1=", "stream": false, "options": {"num_predict": 1}});
    let name = if let Some(model) = first {
        // Another context, or another end of its time, would load it anew or push it out early.
        if let Some(context) = model["context_length"].as_u64() {
            body["options"]["num_ctx"] = json!(context);
        }
        body["keep_alive"] = json!(seconds_left(&model["expires_at"]));
        model["name"].as_str()?.to_owned()
    } else {
        let name = server.wanted.first().map(|wanted| wanted.name.clone());
        let name = name.or_else(|| server.models.body()?["models"][0]["name"].as_str().map(str::to_owned))?;
        let settings = config.models.iter().find(|model| model.name == name);
        if let Some(context) = settings.and_then(|model| model.context) {
            body["options"]["num_ctx"] = json!(context);
        }
        if let Some(keep_alive) = settings.and_then(|model| model.keep_alive.clone()) {
            body["keep_alive"] = keep_alive.parse::<i64>().map_or_else(|_| json!(keep_alive), |seconds| json!(seconds));
        }
        name
    };
    body["model"] = json!(name);
    let url = format!("{}/api/generate", upstream.url);
    let answer = asker.ask(Asked { body: Some(body), ..Asked::get(url, WORD_TIME_MAX) }).await;
    // A model for embeddings has no words.
    let answer = if answer.answer().is_some_and(|(status, ..)| status == 400) { Reach::NotAsked } else { answer };
    Some(SpokeFacts { model: name, was_loaded: first.is_some(), answer })
}

/// How long it stays in memory; -1 where that is for ever.
fn seconds_left(until: &Value) -> i64 {
    const FOR_EVER_S: i64 = 10 * 365 * 86_400;
    let until: Option<Timestamp> = until.as_str().and_then(|text| text.parse().ok());
    match until.map(|until| until.as_second() - Timestamp::now().as_second()) {
        Some(left) if left > FOR_EVER_S => -1,
        Some(left) => left.max(1),
        None => 300,
    }
}
