//! What OpenClaw's settings say of its model servers and of who stands before it, and what has to be another value there.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tollhouse_config::{Config, Fate, Note, Part, PartServer, RouteTarget};
use tollhouse_doctor::json5::{self, Lines};

use super::KEY;
use crate::wiring;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// OpenClaw's usual port.
const PORT: u64 = 18789;
/// It gives up a request after so many seconds of silence, at least: a model may have to be loaded first.
pub(super) const PATIENCE_S_MIN: u64 = 300;
/// Keys that stand for none: with these it sends no key at all to a server of this machine or network.
const MARKERS: [&str; 6] = ["ollama-local", "local", "none", "no-key", "not-needed", "lm-studio"];

/// Its settings, as they are read.
pub(in crate::init) struct Settings {
    pub(super) file: PathBuf,
    value: Value,
    lines: Lines,
}

/// What of the house they have to name.
pub(super) struct House {
    pub(super) address: SocketAddr,
    /// Addresses under which people reach OpenClaw through the house.
    origins: Vec<String>,
    patience_s: u64,
}

impl House {
    pub(super) fn new(config: &Config, address: SocketAddr) -> Self {
        let sites = config.edge.iter().flat_map(|edge| &edge.sites);
        let to_servers =
            sites.filter(|site| site.routes.iter().any(|route| matches!(route.to, RouteTarget::Servers(_))));
        let mut origins: Vec<String> = to_servers.map(|site| format!("https://{}", site.host)).collect();
        if origins.is_empty() {
            origins = wiring::host_names(config).into_iter().map(|host| format!("https://{host}")).collect();
        }
        let patience_s = (config.queue.wait + config.timeouts.first_byte).as_secs().max(PATIENCE_S_MIN);
        Self { address, origins, patience_s }
    }
}

/// A value that has to be another one.
#[derive(Debug)]
pub(super) struct Change {
    path: String,
    line: Option<usize>,
    /// What it is; a key is not shown.
    from: Option<Value>,
    to: Value,
    why: String,
}

impl Change {
    pub(super) fn json(&self) -> Value {
        json!({"path": self.path, "line": self.line, "from": self.from, "to": self.to, "why": self.why})
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.line.map_or_else(|| "new".to_owned(), |line| format!("line {line}"));
        let from = self.from.as_ref().map_or_else(String::new, |from| format!("{from} → "));
        write!(f, "{} ({place}): {from}{}\n      {}", self.path, self.to, self.why)
    }
}

/// What a provider of these settings speaks, and where the house speaks it.
struct Dialect {
    kind: &'static str,
    path: &'static str,
}

fn dialect(api: &str) -> Dialect {
    match api {
        "ollama" => Dialect { kind: "ollama", path: "" },
        "anthropic-messages" => Dialect { kind: "anthropic", path: "" },
        _ => Dialect { kind: "openai", path: "/v1" },
    }
}

impl Settings {
    /// Reads them: JSON5, as OpenClaw does.
    pub(in crate::init) fn read(file: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        let opened = std::fs::File::open(file).with_context(|| format!("reading {}", file.display()))?;
        opened.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {}", file.display()))?;
        match json5::parse_with_lines(&text) {
            Ok((value, lines)) if value.is_object() => Ok(Self { file: file.to_owned(), value, lines }),
            Ok(_) => bail!("{} has no settings of OpenClaw in it", file.display()),
            Err(why) => bail!("{} is not understood: {why}", file.display()),
        }
    }

    /// Those of which only the place is known.
    pub(in crate::init) fn none(file: PathBuf) -> Self {
        Self { file, value: Value::Null, lines: Lines::new() }
    }

    /// The servers that it asks on this machine or in this network, for the house to ask in its place.
    pub(in crate::init) fn part(&self) -> Option<Part> {
        let file = self.file.display().to_string();
        let mut part = Part { file: file.clone(), ..Part::default() };
        let mut note = |line: usize, key: String, fate: Fate, text: String| {
            part.notes.push(Note { file: file.clone(), line, key, fate, text });
        };
        for (id, provider) in self.providers() {
            let key = format!("models.providers.{id}.baseUrl");
            let line = self.lines.get(&key).copied().unwrap_or(1);
            let url = provider["baseUrl"].as_str().unwrap_or_default();
            if !is_near(url) {
                let text = "a server elsewhere: OpenClaw goes on asking it by itself; name it under `upstreams` to have it counted";
                note(line, key, Fate::NotTaken, text.to_owned());
                continue;
            }
            let (kind, base) = server(provider, url);
            note(line, key, Fate::Taken, format!("upstreams: {{kind: {kind}, url: {base}}}"));
            let api_key = format!("models.providers.{id}.apiKey");
            let has_key = provider["apiKey"].as_str().is_some_and(|text| !is_marker(text));
            if let Some(line) = self.lines.get(&api_key).copied() {
                let text = if has_key { "a variable holds it for the house" } else { "it stands for none" };
                note(line, api_key, Fate::Changed, text.to_owned());
            }
            let models = models(provider);
            if let Some(line) = self.lines.get(&format!("models.providers.{id}.models")).copied() {
                let names = models.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                note(line, format!("models.providers.{id}.models"), Fate::Taken, format!("models: {names}"));
            }
            part.servers.push(PartServer { kind, url: base, has_key, models });
        }
        (!part.servers.is_empty()).then_some(part)
    }

    /// Whether a provider asks a server of this machine or network, which the house takes the place of.
    pub(super) fn has_local_provider(&self, house: &House) -> bool {
        self.providers().any(|(_, provider)| {
            provider["baseUrl"].as_str().is_some_and(|url| is_near(url) || is_house(url, house.address))
        })
    }

    /// What has to be another value, in the order of the settings.
    pub(super) fn changes(&self, house: &House) -> Vec<Change> {
        let mut changes = Vec::new();
        for (id, provider) in self.providers() {
            let url = provider["baseUrl"].as_str().unwrap_or_default();
            if is_near(url) {
                self.provider_changes(id, provider, url, house, &mut changes);
            }
        }
        if self.value.is_object() {
            self.gateway_changes(house, &mut changes);
        }
        changes
    }

    fn provider_changes(&self, id: &str, provider: &Value, url: &str, house: &House, changes: &mut Vec<Change>) {
        let mut change = |name: &str, from: Option<Value>, to: Value, why: &str| {
            let path = format!("models.providers.{id}.{name}");
            changes.push(Change { line: self.lines.get(&path).copied(), path, from, to, why: why.to_owned() });
        };
        let api = provider["api"].as_str().unwrap_or("openai-completions");
        let wanted = format!("http://{}{}", house.address, dialect(api).path);
        if url.trim_end_matches('/') != wanted {
            change("baseUrl", Some(url.into()), wanted.into(), "tollhouse, in place of the model server");
        }
        match provider["apiKey"].as_str() {
            None => change("apiKey", None, KEY.into(), "without one it sends none, and is refused with 401"),
            Some(key) if is_marker(key) => change(
                "apiKey",
                Some(key.into()),
                KEY.into(),
                "this word stands for no key: to a server of this network OpenClaw sends none then",
            ),
            // Perhaps it is one of the house's already: only its place is told.
            Some(key) if key.starts_with("th_") => {}
            Some(_) => change(
                "apiKey",
                Some("(a key)".into()),
                KEY.into(),
                "the model server's own key is the house's to show now",
            ),
        }
        let patience = provider["timeoutSeconds"].as_u64();
        if patience.is_none_or(|seconds| seconds < house.patience_s) {
            change(
                "timeoutSeconds",
                patience.map(Value::from),
                house.patience_s.into(),
                "a request may wait for its turn and for a model that is being loaded; given up sooner, it comes again with its whole prompt",
            );
        }
    }

    /// What stands before OpenClaw: through a proxy it lets nobody in whom it was not told of.
    fn gateway_changes(&self, house: &House, changes: &mut Vec<Change>) {
        let list = |path: &str| -> Vec<String> {
            let found = path.split('.').fold(&self.value, |value, name| &value[name]);
            let items = found.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let mut add = |path: &str, more: Vec<String>, why: String| {
            let known = list(path);
            let missing: Vec<String> = more.into_iter().filter(|item| !known.contains(item)).collect();
            if !missing.is_empty() {
                let to: Vec<String> = known.iter().cloned().chain(missing).collect();
                let line = self.lines.get(path).copied();
                let from = line.map(|_| json!(known));
                changes.push(Change { path: path.to_owned(), line, from, to: json!(to), why });
            }
        };
        let port = self.value["gateway"]["port"].as_u64().unwrap_or(PORT);
        if house.origins.is_empty() {
            return;
        }
        add(
            "gateway.trustedProxies",
            vec!["127.0.0.1".to_owned()],
            format!(
                "the edge (or an nginx) of this machine goes to port {port} of it; else each answer is 403 proxy_attribution_required"
            ),
        );
        add(
            "gateway.controlUi.allowedOrigins",
            house.origins.clone(),
            "the address that browsers show; each new browser needs `openclaw devices approve` once".to_owned(),
        );
    }

    fn providers(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.value["models"]["providers"].as_object().into_iter().flatten()
    }
}

/// What a provider's server speaks, and its address without the path of an API.
fn server(provider: &Value, url: &str) -> (&'static str, String) {
    let api = provider["api"].as_str().unwrap_or("openai-completions");
    let base = url.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base).to_owned();
    // An Ollama is asked in its own way, which tells more.
    let kind = if base.ends_with(":11434") { "ollama" } else { dialect(api).kind };
    (kind, base)
}

fn models(provider: &Value) -> Vec<(String, Option<u32>)> {
    let listed = provider["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let context = |model: &Value| {
        let tokens = model["contextTokens"].as_u64().or(model["params"]["num_ctx"].as_u64())?;
        u32::try_from(tokens).ok()
    };
    listed.iter().filter_map(|model| Some((model["id"].as_str()?.to_owned(), context(model)))).collect()
}

/// Whether a server stands on this machine or in a private network.
fn is_near(url: &str) -> bool {
    let Some(host) =
        url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()))
    else {
        return false;
    };
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unspecified(),
        Err(_) => matches!(host.rsplit_once('.'), None | Some((_, "local" | "internal"))),
    }
}

fn is_house(url: &str, address: SocketAddr) -> bool {
    url.trim_end_matches('/').trim_end_matches("/v1") == format!("http://{address}")
}

fn is_marker(key: &str) -> bool {
    MARKERS.contains(&key) || key.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{ // mine
  gateway: {
    port: 18789,
    trustedProxies: ["10.0.0.1"],
  },
  models: { providers: {
    local: {
      baseUrl: "http://127.0.0.1:11434/v1",
      apiKey: "ollama-local",
      models: [{ id: "qwen3:32b", contextWindow: 65536, contextTokens: 32768 }, { id: "small" }],
    },
    native: { baseUrl: "http://192.168.1.5:11434", api: "ollama", apiKey: "sk-secret-1", timeoutSeconds: 900, models: [] },
    cloud: { baseUrl: "https://api.example.com/v1", apiKey: "sk-secret-2" },
  } },
}"#;

    fn settings() -> Settings {
        let (value, lines) = json5::parse_with_lines(TEXT).unwrap();
        Settings { file: "openclaw.json".into(), value, lines }
    }

    fn house() -> House {
        House {
            address: "127.0.0.1:18790".parse().unwrap(),
            origins: vec!["https://ai.example.com".to_owned()],
            patience_s: 300,
        }
    }

    #[test]
    fn the_changes_are_exact_and_show_no_key() {
        let changes = settings().changes(&house());
        let told: Vec<(&str, Option<usize>, Value)> =
            changes.iter().map(|change| (change.path.as_str(), change.line, change.to.clone())).collect();
        assert_eq!(
            told,
            [
                ("models.providers.local.baseUrl", Some(8), json!("http://127.0.0.1:18790/v1")),
                ("models.providers.local.apiKey", Some(9), json!(KEY)),
                ("models.providers.local.timeoutSeconds", None, json!(300)),
                ("models.providers.native.baseUrl", Some(12), json!("http://127.0.0.1:18790")),
                ("models.providers.native.apiKey", Some(12), json!(KEY)),
                ("gateway.trustedProxies", Some(4), json!(["10.0.0.1", "127.0.0.1"])),
                ("gateway.controlUi.allowedOrigins", None, json!(["https://ai.example.com"])),
            ]
        );
        assert!(!format!("{changes:?}").contains("secret"));
    }

    #[test]
    fn its_servers_become_the_houses() {
        let part = settings().part().unwrap();
        let servers: Vec<(&str, &str, bool)> =
            part.servers.iter().map(|server| (server.kind, server.url.as_str(), server.has_key)).collect();
        assert_eq!(
            servers,
            [("ollama", "http://127.0.0.1:11434", false), ("ollama", "http://192.168.1.5:11434", true)]
        );
        assert_eq!(part.servers[0].models, [("qwen3:32b".to_owned(), Some(32768)), ("small".to_owned(), None)]);
        let fates: Vec<(usize, &str)> = part.notes.iter().map(|note| (note.line, note.fate.word())).collect();
        assert!(fates.contains(&(13, "not taken")), "{fates:?}");
    }

    #[test]
    fn where_nothing_is_known_nothing_is_changed() {
        assert!(Settings::none("openclaw.json".into()).changes(&house()).is_empty());
    }
}
