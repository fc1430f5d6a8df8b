//! Which keys there are, what they hold, and what must fit together.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use serde_json::{Map, Value};
use tollhouse_units::parse_duration;

use crate::{
    config::{
        AccessConfig, Auth, By, Compress, Config, Deny, ErrorStyle, Keep, KeyConfig, Limits, Logging, ModelConfig,
        RateLimit, SyncPolicy, Timeouts, UpstreamConfig, UpstreamKind,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    tree::Node,
};

/// Deepest nesting that the JSON parser can be asked for.
const JSON_DEPTH_MAX: u64 = 128;
/// Length of names that go into records, metrics and file names.
const NAME_CHARS_MAX: usize = 100;
/// Length of model names, which can be paths of a registry.
const MODEL_NAME_CHARS_MAX: usize = 200;
/// Columns that the journal itself writes into each record.
const RESERVED_FIELDS: [&str; 7] = ["ts", "level", "kind", "msg", "caller", "seq", "prev"];

/// Reads the whole file.
pub(crate) fn read(decoder: &mut Decoder<'_>, root: &Node) -> Config {
    let mut config = Config::default();
    decoder.section(root, |d, s| {
        s.set(d, "service", &mut config.service, service);
        s.set(d, "data_dir", &mut config.data_dir, Decoder::path);
        s.set(d, "listen", &mut config.listen, listen);
        s.set_some(d, "public_url", &mut config.public_url, public_url);
        s.set(d, "hosts", &mut config.hosts, |d, node| d.list(node, "a list of host names", host));
        let upstreams_node = s.get("upstreams");
        if let Some(upstreams) = upstreams_node.and_then(|node| upstreams(d, node)) {
            config.upstreams = upstreams;
        }
        // A name is known even when something else about its upstream is wrong, which is told already.
        let mut names: Vec<String> = config.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        if let Some(entries) = upstreams_node.and_then(Node::entries) {
            names = entries.iter().map(|entry| entry.name.clone()).collect();
        }
        s.set(d, "models", &mut config.models, |d, node| models(d, node, &names));
        let listen = config.listen;
        s.section(d, "access", |d, s| access(d, s, &mut config.access, listen));
        s.section(d, "limits", |d, s| limits(d, s, &mut config.limits));
        s.section(d, "timeouts", |d, s| timeouts(d, s, &mut config.timeouts));
        s.set(d, "errors", &mut config.errors, |d, node| {
            d.word(node, &[("openai", ErrorStyle::OpenAi), ("plain", ErrorStyle::Plain)])
        });
        s.section(d, "logging", |d, s| logging(d, s, &mut config.logging));
        if let Some(node) = s.get("tags") {
            tags(d, node, &mut config.tags);
        }
        s.section(d, "store", |d, s| s.section(d, "keep", |d, s| keep(d, s, &mut config.store.keep)));
    });
    config
}

// General

fn service(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    name(d, node, "a name of letters, digits, `.`, `_` and `-` that begins with a letter or digit")
}

/// A name that can stand in records, metrics and file names.
fn name(d: &mut Decoder<'_>, node: &Node, expected: &str) -> Option<String> {
    let name = d.text(node, expected)?.value;
    if let Err(what) = check_name(&name) {
        d.wrong(node, &what, expected);
        return None;
    }
    Some(name)
}

fn check_name(name: &str) -> Result<(), String> {
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        return Err(format!("`{}` has the character {c:?}", shown(name)));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!("`{}` does not begin with a letter or digit", shown(name)));
    }
    if name.len() > NAME_CHARS_MAX {
        return Err(format!("the name is longer than {NAME_CHARS_MAX} characters"));
    }
    Ok(())
}

fn listen(d: &mut Decoder<'_>, node: &Node) -> Option<SocketAddr> {
    let expected = "an IP address and a port, such as 127.0.0.1:18789 or [::1]:18789";
    let text = d.text(node, expected)?.value;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let what = format!("`{}` is not an address with a port", shown(&text));
    let (host, port) = text.rsplit_once(':').unwrap_or(("", &text));
    match port.parse::<u16>() {
        Ok(port) if matches!(host, "" | "localhost") => {
            d.wrong_hint(node, &what, expected, &format!("write 127.0.0.1:{port}"));
        }
        Ok(port) => {
            d.wrong_hint(node, &what, expected, &format!("for every address of this machine write 0.0.0.0:{port}"));
        }
        Err(_) => d.wrong(node, &what, expected),
    }
    None
}

fn public_url(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "an address such as https://ai.example.com", base_url)
}

/// Checks a base URL and takes the slashes at its end away.
fn base_url(text: &str) -> Result<String, String> {
    // The URL itself is not repeated here: it may hold a password.
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or("it does not begin with http:// or https://")?;
    if rest.contains(['?', '#']) {
        return Err("it has a query (`?`) or a fragment (`#`)".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user name or password in it".to_owned());
    }
    let host = authority.host();
    if host.is_empty() {
        return Err("it has no host".to_owned());
    }
    let port = authority.as_str()[host.len()..].strip_prefix(':');
    if port.is_some() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("the port is not a number from 1 to 65535".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn host(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "a host name such as ai.example.com, without http:// and port";
    d.parsed(node, expected, |text| {
        let is_address = text.parse::<IpAddr>().is_ok();
        let is_name = text.split('.').all(|label| {
            let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
        });
        if is_address || (is_name && text.len() <= 253) {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("`{}` is not a host name", shown(text)))
        }
    })
}

// Upstreams and models

fn upstreams(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<UpstreamConfig>> {
    let expected = "names with settings, such as local: {kind: ollama, url: http://127.0.0.1:11434}";
    let entries = d.entries(node, expected)?;
    if entries.is_empty() {
        d.wrong(node, &"there is no upstream", expected);
    }
    let mut upstreams = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`upstreams`: {what}"));
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| upstreams.extend(upstream(d, s, &entry.name)));
    }
    Some(upstreams)
}

fn upstream(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &str) -> Option<UpstreamConfig> {
    let kinds = [("ollama", UpstreamKind::Ollama), ("openai", UpstreamKind::OpenAi), ("demo", UpstreamKind::Demo)];
    let kind = s.require(d, "kind", "one of: ollama, openai, demo", |d, node| d.word(node, &kinds));
    let url_node = s.get("url");
    let key_node = s.get("key");
    if kind == Some(UpstreamKind::Demo) {
        for node in [url_node, key_node].into_iter().flatten() {
            d.wrong(node, &"the kind demo is built in and needs none", "kind: demo alone");
        }
        return Some(UpstreamConfig { name: name.to_owned(), kind: UpstreamKind::Demo, url: String::new(), key: None });
    }
    let example = match kind {
        Some(UpstreamKind::OpenAi) => "a URL such as http://127.0.0.1:8000/v1",
        _ => "a URL such as http://127.0.0.1:11434",
    };
    let key = key_node.and_then(|node| d.secret(node));
    let Some(url_node) = url_node else {
        if kind.is_some() {
            s.missing(d, "url", example);
        }
        return None;
    };
    let url = d.parsed(url_node, example, base_url)?;
    if let (Some(UpstreamKind::Ollama), Some(end)) = (kind, ["/v1", "/api"].iter().find(|end| url.ends_with(*end))) {
        let hint = "for the OpenAI API of a server, write kind: openai";
        d.wrong_hint(url_node, &format!("the URL of an Ollama server does not end with {end}"), example, hint);
    }
    Some(UpstreamConfig { name: name.to_owned(), kind: kind?, url, key })
}

fn models(d: &mut Decoder<'_>, node: &Node, upstreams: &[String]) -> Option<Vec<ModelConfig>> {
    let entries = d.entries(node, "model names with settings, such as \"qwen3:32b\": {context: 32768}")?;
    let mut taken: HashMap<String, usize> =
        entries.iter().map(|entry| (entry.name.clone(), entry.name_place.line)).collect();
    let mut models = Vec::new();
    for entry in entries {
        if let Err(what) = check_model_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`models`: {what}"));
            d.problem(problem.expected("the name of a model, such as \"qwen3:32b\""));
        }
        let mut model = ModelConfig {
            name: entry.name.clone(),
            upstreams: upstreams.to_vec(),
            aliases: Vec::new(),
            context: None,
            keep_alive: None,
            options: Map::new(),
            strip: Vec::new(),
        };
        if !entry.value.is_null() {
            d.section(&entry.value, |d, s| {
                s.set(d, "upstreams", &mut model.upstreams, |d, node| model_upstreams(d, node, upstreams));
                s.set(d, "aliases", &mut model.aliases, |d, node| {
                    d.list(node, "a list of names", |d, node| alias(d, node, &mut taken))
                });
                s.set_some(d, "context", &mut model.context, Decoder::count_u32);
                s.set_some(d, "keep_alive", &mut model.keep_alive, keep_alive);
                s.set(d, "options", &mut model.options, Decoder::json_map);
                s.set(d, "strip", &mut model.strip, |d, node| {
                    d.list(node, "a list of field names", |d, node| Some(d.text(node, "the name of a field")?.value))
                });
            });
        }
        models.push(model);
    }
    Some(models)
}

fn check_model_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{}` is empty or has a space in it", shown(name)));
    }
    if name.chars().count() > MODEL_NAME_CHARS_MAX {
        return Err(format!("the name is longer than {MODEL_NAME_CHARS_MAX} characters"));
    }
    Ok(())
}

fn model_upstreams(d: &mut Decoder<'_>, node: &Node, known: &[String]) -> Option<Vec<String>> {
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut named = HashSet::new();
    let upstreams = d.list(node, "a list of upstream names", |d, item| {
        let index = d.one_of(item, &words)?;
        if !named.insert(index) {
            d.wrong(item, &format!("upstream `{}` is named twice", shown(&known[index])), "each upstream once");
            return None;
        }
        Some(known[index].clone())
    })?;
    if upstreams.is_empty() && node.is_empty() {
        d.wrong(node, &"no upstream is named", "at least one, or no such key for all of them");
    }
    Some(upstreams)
}

fn alias(d: &mut Decoder<'_>, node: &Node, taken: &mut HashMap<String, usize>) -> Option<String> {
    let expected = "a name that no other model has";
    let alias = d.text(node, expected)?.value;
    if let Err(what) = check_model_name(&alias) {
        d.wrong(node, &what, expected);
        return None;
    }
    if let Some(line) = taken.insert(alias.clone(), node.place.line) {
        d.wrong(
            node,
            &format!("`{}` is the name or an alias of a model already (line {line})", shown(&alias)),
            expected,
        );
        return None;
    }
    Some(alias)
}

/// Ollama takes a number of seconds or a duration in Go's form (time.ParseDuration); it is handed on as it is.
fn keep_alive(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "a duration such as 30m or 1h30m, a number of seconds, or -1 for ever";
    d.parsed(node, expected, |text| {
        let mut rest = text.strip_prefix('-').unwrap_or(text);
        if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(text.to_owned());
        }
        let mut parts = 0;
        while !rest.is_empty() {
            let after_number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let units = ["ms", "h", "m", "s"];
            let after_unit = units.iter().find_map(|unit| after_number.strip_prefix(unit));
            match after_unit {
                Some(after_unit) if after_number.len() < rest.len() => rest = after_unit,
                _ => return Err(format!("`{}` is not a duration", shown(text))),
            }
            parts += 1;
        }
        if parts > 0 { Ok(text.to_owned()) } else { Err(format!("`{}` is not a duration", shown(text))) }
    })
}

// Access

fn access(d: &mut Decoder<'_>, s: &mut Section<'_>, access: &mut AccessConfig, listen: SocketAddr) {
    s.set(d, "auth", &mut access.auth, |d, node| auth(d, node, listen));
    s.set(d, "header", &mut access.header, header);
    s.set(d, "keys", &mut access.keys, keys);
    s.set(d, "allow", &mut access.allow, networks);
    s.set(d, "deny", &mut access.deny, |d, node| d.word(node, &[("drop", Deny::Drop), ("403", Deny::Forbid)]));
    s.set(d, "trusted_proxies", &mut access.trusted_proxies, networks);
    s.set_some(d, "user_header", &mut access.user_header, header);
    s.set_some(d, "rate_limit", &mut access.rate_limit, rate_limit);
}

/// Loopback is not a credential, but beyond it nobody may enter without one.
fn auth(d: &mut Decoder<'_>, node: &Node, listen: SocketAddr) -> Option<Auth> {
    let auth = d.word(node, &[("keys", Auth::Keys), ("off", Auth::Off)])?;
    if auth == Auth::Off && !listen.ip().to_canonical().is_loopback() {
        d.wrong_hint(
            node,
            &format!("everybody who reaches {listen} could use the models without a key"),
            "auth: keys, since `listen` is not a loopback address",
            "to try it out without keys, write listen: 127.0.0.1:18789",
        );
        return None;
    }
    Some(auth)
}

fn header(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "the name of a header, such as X-Api-Key", |text| {
        match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(format!("`{}` is not the name of a header", shown(text))),
        }
    })
}

fn keys(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<KeyConfig>> {
    let mut ids: HashMap<String, usize> = HashMap::new();
    let mut hashes: HashMap<String, usize> = HashMap::new();
    d.list(node, "a list of keys, such as [{id: prod, sha256: \"…\"}]", |d, item| {
        let mut read = None;
        d.section(item, |d, s| {
            let id = s.require(d, "id", "a name for the key", |d, node| {
                let id = name(d, node, "a name of letters, digits, `.`, `_` and `-`")?;
                unique(d, node, &id, &mut ids, &format!("the id `{id}`"))
            });
            let sha256 = s.require(d, "sha256", "the SHA-256 of the key, 64 hexadecimal digits", |d, node| {
                let hash = sha256(d, node)?;
                unique(d, node, &hash, &mut hashes, "the same hash")
            });
            let mut key = KeyConfig {
                id: id.unwrap_or_default(),
                sha256: sha256.unwrap_or_default(),
                user: None,
                models: Vec::new(),
                role: None,
                prompt_chars: None,
                rate_limit: None,
            };
            s.set_some(d, "user", &mut key.user, |d, node| Some(d.text(node, "the name of a user")?.value));
            s.set(d, "models", &mut key.models, |d, node| {
                d.list(node, "a list of patterns, such as [\"qwen3:*\"]", |d, node| {
                    Some(d.text(node, "a pattern such as \"qwen3:*\"")?.value)
                })
            });
            s.set_some(d, "role", &mut key.role, |d, node| name(d, node, "the name of a role"));
            s.set_some(d, "prompt_chars", &mut key.prompt_chars, Decoder::size);
            s.set_some(d, "rate_limit", &mut key.rate_limit, rate_limit);
            read = Some(key);
        });
        read
    })
}

/// The value, when none of the list had it before.
fn unique(
    d: &mut Decoder<'_>,
    node: &Node,
    value: &str,
    seen: &mut HashMap<String, usize>,
    what: &str,
) -> Option<String> {
    if let Some(line) = seen.get(value) {
        d.wrong(
            node,
            &format!("{what} is given twice"),
            &format!("another one, since it stands in line {line} already"),
        );
        return None;
    }
    seen.insert(value.to_owned(), node.place.line);
    Some(value.to_owned())
}

fn sha256(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "64 hexadecimal digits";
    let text = d.text(node, expected)?.value;
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    // The value is not repeated: it may be the key itself.
    let what = format!("this is not a SHA-256 ({} characters)", text.chars().count());
    d.wrong_hint(node, &what, expected, "printf %s 'the key' | sha256sum");
    None
}

fn networks(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<IpNet>> {
    d.list(node, "a list of addresses and networks, such as [127.0.0.1, 10.0.0.0/16]", |d, item| {
        d.parsed(item, "an address or a network, such as 127.0.0.1 or 10.0.0.0/16", |text| {
            let network = text.parse::<IpNet>().map(|network| network.trunc());
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            network.or_else(|_| address()).map_err(|_| format!("`{}` is neither an address nor a network", shown(text)))
        })
    })
}

fn rate_limit(d: &mut Decoder<'_>, node: &Node) -> Option<RateLimit> {
    let mut limit = None;
    d.section(node, |d, s| {
        let requests = s.require(d, "requests", "a whole number, such as 30", Decoder::count_u32);
        let per = s.require(d, "per", "a duration, such as 60s", Decoder::duration);
        let mut by = By::Key;
        let words = [("key", By::Key), ("user", By::User), ("address", By::Address), ("model", By::Model)];
        s.set(d, "by", &mut by, |d, node| d.word(node, &words));
        limit = requests.zip(per).map(|(requests, per)| RateLimit { requests, per, by });
    });
    limit
}

// Bounds

fn limits(d: &mut Decoder<'_>, s: &mut Section<'_>, limits: &mut Limits) {
    s.set(d, "prompt_chars", &mut limits.prompt_chars, Decoder::size);
    s.set(d, "body", &mut limits.body, Decoder::bytes);
    s.set(d, "messages", &mut limits.messages, Decoder::size);
    s.set(d, "head", &mut limits.head, Decoder::bytes);
    s.set(d, "json_depth", &mut limits.json_depth, |d, node| d.count(node, JSON_DEPTH_MAX).map(|n| n as usize));
}

fn timeouts(d: &mut Decoder<'_>, s: &mut Section<'_>, timeouts: &mut Timeouts) {
    s.set(d, "connect", &mut timeouts.connect, Decoder::duration);
    s.set(d, "silent", &mut timeouts.silent, Decoder::duration);
    s.set(d, "first_byte", &mut timeouts.first_byte, Decoder::duration);
    s.set(d, "idle", &mut timeouts.idle, Decoder::duration);
    s.set(d, "total", &mut timeouts.total, Decoder::duration);
    s.set(d, "drain", &mut timeouts.drain, Decoder::duration);
}

// The book

fn logging(d: &mut Decoder<'_>, s: &mut Section<'_>, logging: &mut Logging) {
    let levels = ["trace", "debug", "info", "warn", "error"].map(|level| (level, level));
    s.set(d, "level", &mut logging.level, |d, node| d.word(node, &levels).map(str::to_owned));
    s.set_some(d, "file", &mut logging.file, journal_file);
    s.set(d, "json", &mut logging.json, json_lines);
    s.set(d, "fields", &mut logging.fields, fields);
    s.section(d, "rotate", |d, s| {
        let days = [("day", true), ("never", false)];
        s.set(d, "every", &mut logging.rotate.every_day, |d, node| d.word(node, &days));
        s.set(d, "size", &mut logging.rotate.size, Decoder::bytes);
    });
    s.section(d, "keep", |d, s| keep(d, s, &mut logging.keep));
    let methods = [("zstd", Compress::Zstd), ("none", Compress::None)];
    s.set(d, "compress", &mut logging.compress, |d, node| d.word(node, &methods));
    s.set(d, "sync", &mut logging.sync, sync);
}

fn journal_file(d: &mut Decoder<'_>, node: &Node) -> Option<PathBuf> {
    let path = d.path(node)?;
    if path.file_name().is_none() || path.to_string_lossy().ends_with('/') {
        d.wrong(node, &"this is a folder", "the path of a file, such as /var/log/tollhouse/gateway.log");
        return None;
    }
    Some(path)
}

fn sync(d: &mut Decoder<'_>, node: &Node) -> Option<SyncPolicy> {
    let expected = "`each`, or the longest time between write and sync, such as 100ms";
    d.parsed(node, expected, |text| {
        if text == "each" {
            return Ok(SyncPolicy::Each);
        }
        match parse_duration(text) {
            Ok(time) if time.is_zero() => Err("a duration of zero stands here".to_owned()),
            Ok(time) => Ok(SyncPolicy::Within(time)),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn fields(d: &mut Decoder<'_>, node: &Node) -> Option<Map<String, Value>> {
    for entry in d.entries(node, "names with values, such as {site: shanghai}")? {
        if RESERVED_FIELDS.contains(&entry.name.as_str()) {
            let message = format!("`logging.fields`: `{}` is written by the journal itself", entry.name);
            let problem = Problem::new(Some(entry.name_place), message);
            d.problem(problem.expected(format!("a name other than {}", RESERVED_FIELDS.join(", "))));
        }
    }
    d.json_map(node)
}

fn keep(d: &mut Decoder<'_>, s: &mut Section<'_>, keep: &mut Keep) {
    s.set(d, "days", &mut keep.days, Decoder::count_u32);
    s.set(d, "bytes", &mut keep.bytes, Decoder::bytes);
}

/// Adds the tags of the file to the default ones; one of the same name replaces it in its place.
fn tags(d: &mut Decoder<'_>, node: &Node, tags: &mut Vec<(String, String)>) {
    let expected = "tag names with queries, such as slow_request: 'duration_ms:>3000'";
    let Some(entries) = d.entries(node, expected) else { return };
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`tags`: {what}"));
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let Some(query) = d.text(&entry.value, "a query, such as 'duration_ms:>3000'") else { continue };
        match tags.iter_mut().find(|(name, _)| *name == entry.name) {
            Some((_, old)) => *old = query.value,
            None => tags.push((entry.name.clone(), query.value)),
        }
    }
}

/// `logging.json`: the tutorial's block says `true`, and nothing else is done.
fn json_lines(d: &mut Decoder<'_>, node: &Node) -> Option<bool> {
    let value = d.bool(node)?;
    if !value {
        d.wrong_hint(node, &"the journal is always JSON, one object a line", "true", "leave the key out");
    }
    Some(true)
}
