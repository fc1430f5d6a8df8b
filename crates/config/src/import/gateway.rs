//! A hand-made gateway's `config.yaml`: flat or in sections, in any of the usual spellings.

mod keys;
mod rate;
mod words;

use std::{net::IpAddr, time::Duration};

use tollhouse_units::format_duration;

use super::{Desk, Fate, Outcome, draft, scalar_of, values};
use crate::{
    effective::scalar,
    problem::shown,
    tree::{Data, Entry, Node},
};
use words::{Meaning, below, meaning};

pub(super) use words::{MARKS, knows};

/// Where Ollama listens when nothing else is said.
const OLLAMA_PORT: u16 = 11434;

/// What is only known when all of a file was read. Numbers beside values are those of their notes.
#[derive(Default)]
struct Parts {
    host: Option<(IpAddr, usize)>,
    port: Option<(u16, usize)>,
    server_host: Option<(String, usize)>,
    server_port: Option<(u16, usize)>,
    most: Option<(u64, usize)>,
    per: Option<(Duration, usize)>,
    /// Models that clients may use.
    models: Vec<(String, usize)>,
    auth_off: Option<usize>,
}

/// Takes what can be taken.
pub(super) fn take(desk: &mut Desk<'_>, root: &Node) {
    let mut parts = Parts::default();
    walk(desk, &mut parts, root, "");
    finish(desk, parts);
}

fn walk(desk: &mut Desk<'_>, parts: &mut Parts, node: &Node, path: &str) {
    let meaning = meaning(path);
    match (&node.data, meaning) {
        (Data::Map(_) | Data::List(_), Some(Meaning::Keys)) if !node.is_empty() => keys::take(desk, node),
        (Data::List(items), Some(Meaning::Allow)) => networks(desk, node, items, "access.allow"),
        (Data::List(items), Some(Meaning::Proxies)) => networks(desk, node, items, "access.trusted_proxies"),
        (Data::List(items), Some(Meaning::Models)) if !items.is_empty() => {
            for item in items {
                model(desk, parts, item);
            }
        }
        (Data::Map(entries), Some(Meaning::LogFields)) if !entries.is_empty() => log_fields(desk, entries),
        (Data::Map(entries), _) if !entries.is_empty() => section(desk, parts, node, entries, path, meaning),
        (Data::List(items), _) if !items.is_empty() => {
            for item in items {
                walk(desk, parts, item, path);
            }
        }
        _ => leaf(desk, parts, node, path, meaning),
    }
}

fn section(
    desk: &mut Desk<'_>,
    parts: &mut Parts,
    node: &Node,
    entries: &[Entry],
    path: &str,
    meaning: Option<Meaning>,
) {
    let switch = |entry: &Entry| {
        let is_switch = matches!(super::plain_name(&entry.name).as_str(), "enabled" | "enable");
        scalar_of(&entry.value).filter(|_| is_switch).and_then(values::truth)
    };
    // Whether keys are asked for has a setting of its own.
    let has_switch = meaning != Some(Meaning::Auth);
    if has_switch && entries.iter().any(|entry| switch(entry) == Some(false)) {
        return desk.refuse(node, "it is switched off there (`enabled: false`)");
    }
    let is_known = entries.iter().any(|entry| words::meaning(&below(path, &entry.name)).is_some());
    for entry in entries {
        if has_switch && is_known && switch(entry) == Some(true) {
            desk.note(&entry.value, Fate::Taken, "what is written is in force");
        } else {
            walk(desk, parts, &entry.value, &below(path, &entry.name));
        }
    }
}

fn leaf(desk: &mut Desk<'_>, parts: &mut Parts, node: &Node, path: &str, meaning: Option<Meaning>) {
    let Some(meaning) = meaning else {
        return desk.note(node, Fate::NotTaken, "there is no such setting here");
    };
    let Some(text) = scalar_of(node).filter(|text| !text.is_empty()) else {
        return desk.note(node, Fate::NotTaken, "there is no value");
    };
    let (text, variable) = match (meaning, values::variable(text)) {
        (Meaning::Keys, _) => return keys::one(desk, node, None, text, None),
        (Meaning::Redis, Some(_)) => {
            return desk.note(node, Fate::NotTaken, "write \"${NAME}\" with this variable into `shared.redis`");
        }
        (_, Some(name)) => match desk.value_of(text) {
            Some(value) => (value, Some(name)),
            None => return desk.note(node, Fate::NotTaken, format!("the variable {name} is not set here")),
        },
        (_, None) if text.contains("${") => {
            return desk.note(node, Fate::NotTaken, "a part of it stands in a variable; write it into the new file");
        }
        (_, None) => (text.to_owned(), None),
    };
    let outcome = apply(desk, parts, meaning, path, &text);
    // A key that stands where others say whether there is one.
    let is_bare = matches!(path.rsplit('.').next(), Some("auth" | "authentication"));
    if meaning == Meaning::Auth && is_bare && outcome.is_err() && !AUTH_WORDS.contains(&text.to_lowercase().as_str()) {
        return keys::one(desk, node, None, &text, None);
    }
    let at = desk.notes.len();
    match (meaning, &outcome) {
        (Meaning::RateMost, Ok(_)) => parts.most = rate::count(&text).ok().map(|most| (most, at)),
        (Meaning::RatePer, Ok(_)) => parts.per = values::time(&text, unit_of(path)).map(|per| (per, at)),
        (Meaning::ServerHost, Ok(_)) if !has_port(&text) => parts.server_host = Some((text.clone(), at)),
        (Meaning::ServerPort, Ok(_)) => parts.server_port = text.parse().ok().map(|port| (port, at)),
        (Meaning::Auth, Ok(_)) if desk.draft.get("access.auth") == Some(AUTH_OFF) => parts.auth_off = Some(at),
        _ => {}
    }
    let outcome = outcome.map(|(fate, told)| match variable {
        None => (fate, told),
        Some(name) => (Fate::Changed, format!("{told} (as the variable {name} says now)")),
    });
    desk.tell(node, outcome);
}

/// Ways to tell who somebody is that are no key.
const AUTH_WORDS: [&str; 7] = ["basic", "jwt", "oauth", "oauth2", "oidc", "ldap", "mtls"];
/// As YAML: without the quotes it would be a truth value to older readers, but not to ours.
const AUTH_OFF: &str = "off";

fn apply(desk: &mut Desk<'_>, parts: &mut Parts, meaning: Meaning, path: &str, text: &str) -> Outcome {
    match meaning {
        Meaning::Listen | Meaning::Host if host_of(text).is_some() => {
            let host = host_of(text).ok_or("it is not an address")?;
            parts.host = Some((host, desk.notes.len()));
            let fate = if host.to_string() == text { Fate::Taken } else { Fate::Changed };
            Ok((fate, format!("listen: {host} with the port")))
        }
        Meaning::Listen => {
            let (address, why) = values::listen(text)?;
            put_with(desk, "listen", &scalar(&address), why)
        }
        Meaning::Host => Err("it must be an IP address, such as 127.0.0.1".to_owned()),
        Meaning::Port => {
            let port = text.parse().ok().filter(|port| *port > 0).ok_or("it is not a port")?;
            parts.port = Some((port, desk.notes.len()));
            Ok((Fate::Taken, format!("listen: the address with {text}")))
        }
        Meaning::Server => server(desk, text),
        Meaning::ServerHost if has_port(text) => server(desk, text),
        // Only tried here: the port may follow.
        Meaning::ServerHost => server_at(&mut draft::Draft::default(), text, OLLAMA_PORT)
            .map(|name| (Fate::Changed, format!("upstreams.{name}.url"))),
        Meaning::ServerPort => {
            text.parse().ok().filter(|port: &u16| *port > 0).ok_or("it is not a port")?;
            Ok((Fate::Taken, "upstreams.local.url".to_owned()))
        }
        Meaning::LogLevel => log_level(desk, text),
        Meaning::LogFile => log_file(desk, text),
        Meaning::LogFormat => match (text.to_lowercase().as_str(), values::truth(text)) {
            ("json", _) | (_, Some(true)) => desk.put("logging.json", "true"),
            _ => desk.put_changed("logging.json", "true", "the journal is always JSON, one object a line"),
        },
        Meaning::LogSize => {
            // Rotators count in MB where no unit stands.
            let size = values::size(text, 1_000_000).ok_or("it is not a size such as 100MB")?;
            let why = text.parse::<u64>().is_ok().then_some("a number alone was read as MB");
            put_with(desk, "logging.rotate.size", &size.to_string(), why)
        }
        Meaning::LogDays => {
            let day = Duration::from_hours(24);
            let time = values::time(text, day).ok_or("it is not a number of days")?;
            let days = time.as_secs().div_ceil(day.as_secs());
            put_with(desk, "logging.keep.days", &days.to_string(), text.parse::<u64>().is_err().then_some("in days"))
        }
        Meaning::Rate => rate::whole(desk, text),
        Meaning::RateMost if rate::count(text).is_err() && values::rate(text).is_some() => rate::whole(desk, text),
        Meaning::RateMost => rate::count(text).map(|most| (Fate::Taken, format!("access.rate_limit.requests: {most}"))),
        Meaning::RatePer => {
            let per = values::time(text, unit_of(path)).ok_or("it is not a time such as 60s")?;
            Ok((Fate::Taken, format!("access.rate_limit.per: {}", format_duration(per))))
        }
        Meaning::PerSecond => rate::put(desk, rate::count(text)?, Duration::from_secs(1), None),
        Meaning::PerMinute => rate::put(desk, rate::count(text)?, Duration::from_mins(1), None),
        Meaning::PerHour => rate::put(desk, rate::count(text)?, Duration::from_hours(1), None),
        Meaning::RateBy => rate::by(desk, text),
        Meaning::TokensPerMinute => put_number(desk, "access.rate_limit.tokens", text),
        Meaning::Concurrent => put_number(desk, "access.rate_limit.concurrent", text),
        Meaning::Auth => auth(desk, text),
        Meaning::KeyHeader => desk.put("access.header", &scalar(text)),
        Meaning::Allow => network_text(desk, "access.allow", text),
        Meaning::Proxies => network_text(desk, "access.trusted_proxies", text),
        Meaning::UserHeader => desk.put("access.user_header", &scalar(text)),
        Meaning::PromptChars => put_number(desk, "limits.prompt_chars", text),
        Meaning::Body => {
            let size = values::size(text, 1).ok_or("it is not a size such as 10MB")?.to_string();
            put_with(desk, "limits.body", &size, (size != text).then_some("our way to write it"))
        }
        Meaning::Timeout => timeout(desk, "timeouts.total", path, text),
        Meaning::Connect => timeout(desk, "timeouts.connect", path, text),
        Meaning::FirstByte => timeout(desk, "timeouts.first_byte", path, text),
        Meaning::Idle => timeout(desk, "timeouts.idle", path, text),
        Meaning::Drain => timeout(desk, "timeouts.drain", path, text),
        Meaning::QueueDepth => put_number(desk, "queue.depth", text),
        Meaning::Service => desk.put("service", &scalar(text)),
        Meaning::PublicUrl => desk.put("public_url", &scalar(text)),
        Meaning::DataDir => desk.put("data_dir", &scalar(text)),
        Meaning::Redis => redis(desk, text),
        Meaning::No(reason) => Err(reason.to_owned()),
        Meaning::Models => Err("it must be a list of models".to_owned()),
        Meaning::LogFields => Err("names with values are expected".to_owned()),
        Meaning::Keys => Err("it is no key".to_owned()),
    }
}

fn put_with(desk: &mut Desk<'_>, key: &'static str, yaml: &str, why: Option<&str>) -> Outcome {
    match why {
        Some(why) => desk.put_changed(key, yaml, why),
        None => desk.put(key, yaml),
    }
}

fn put_number(desk: &mut Desk<'_>, key: &'static str, text: &str) -> Outcome {
    let number = rate::count(text)?;
    desk.put(key, &number.to_string())
}

/// An address to listen on, without its port.
fn host_of(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        _ => text.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    }
}

/// What a number alone counts in a key of this name.
fn unit_of(path: &str) -> Duration {
    let in_ms = path.ends_with("ms") || path.ends_with("millis");
    if in_ms { Duration::from_millis(1) } else { Duration::from_secs(1) }
}

fn timeout(desk: &mut Desk<'_>, key: &'static str, path: &str, text: &str) -> Outcome {
    let unit = unit_of(path);
    let time = values::time(text, unit).ok_or("it is not a time such as 60s")?;
    let in_ms = unit < Duration::from_secs(1);
    let why = text.parse::<u64>().is_ok().then_some(if in_ms { "read as milliseconds" } else { "read as seconds" });
    put_with(desk, key, &format_duration(time), why)
}

/// A model server by its URL, which tells its kind.
pub(super) fn server(desk: &mut Desk<'_>, text: &str) -> Outcome {
    let mut url = text.trim_end_matches('/').to_owned();
    let mut why = Vec::new();
    if !url.contains("://") {
        url = format!("http://{url}");
        why.push("a URL begins with http://");
    }
    for end in ["/chat/completions", "/api/chat", "/api/generate", "/api/tags", "/api"] {
        if let Some(base) = url.strip_suffix(end) {
            url = base.to_owned();
            why.push("what stands behind depends on what is asked");
        }
    }
    let kind = if url.ends_with("/v1") && !url.contains(":11434") { "openai" } else { "ollama" };
    if kind == "ollama" && url.ends_with("/v1") {
        url.truncate(url.len() - "/v1".len());
        why.push("Ollama is spoken to by its own API");
    }
    let name = desk.draft.upstream(kind, &url, None)?;
    let told = format!("upstreams.{name}: {{kind: {kind}, url: {}}}", scalar(&url));
    Ok(if why.is_empty() { (Fate::Taken, told) } else { (Fate::Changed, format!("{told} ({})", why.join("; "))) })
}

/// Whether a host has its port with it, or is a whole URL.
fn has_port(host: &str) -> bool {
    let after_host = host.rsplit(']').next().unwrap_or_default();
    host.contains('/') || (after_host.contains(':') && host.parse::<IpAddr>().is_err())
}

/// An Ollama server by its host and port.
fn server_at(draft: &mut draft::Draft, host: &str, port: u16) -> Result<String, String> {
    let is_bare_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    let url = if is_bare_v6 { format!("http://[{host}]:{port}") } else { format!("http://{host}:{port}") };
    draft.upstream("ollama", &url, None)
}

fn log_level(desk: &mut Desk<'_>, text: &str) -> Outcome {
    let level = match text.to_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" | "panic" => "error".to_owned(),
        "notice" => "info".to_owned(),
        "verbose" => "debug".to_owned(),
        other => other.to_owned(),
    };
    put_with(desk, "logging.level", &scalar(&level), (level != text).then_some("our word for it"))
}

fn log_file(desk: &mut Desk<'_>, text: &str) -> Outcome {
    match text.to_lowercase().as_str() {
        "stdout" | "stderr" | "console" | "-" | "true" | "false" => {
            Err("records go into a file: `logging.file`, else <data_dir>/journal/gateway.log".to_owned())
        }
        _ => desk.put("logging.file", &scalar(text)),
    }
}

/// What is added to every record.
fn log_fields(desk: &mut Desk<'_>, entries: &[Entry]) {
    for Entry { name, value, .. } in entries {
        let outcome = match (&value.data, scalar_of(value)) {
            (_, Some(text)) if name == "service" => desk.put("service", &scalar(text)),
            (Data::Scalar { plain, .. }, Some(text)) => desk.draft.field(name, text, *plain),
            _ => {
                desk.refuse(value, "a single value is expected");
                continue;
            }
        };
        desk.tell(value, outcome);
    }
}

fn redis(desk: &mut Desk<'_>, text: &str) -> Outcome {
    if text.contains('@') {
        return Err(draft::REDIS_PASSWORD.to_owned());
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("redis://{text}") };
    let put = desk.draft.put("shared.redis", &scalar(&url));
    put.map_err(|_| "it is not the URL of a Redis server, or another line had one".to_owned())?;
    Ok((if url == text { Fate::Taken } else { Fate::Changed }, format!("shared.redis: {}", scalar(&url))))
}

fn auth(desk: &mut Desk<'_>, text: &str) -> Outcome {
    let on = match super::plain_name(text).as_str() {
        "apikey" | "apikeys" | "key" | "keys" | "token" | "bearer" | "static" | "required" => Some(true),
        "anonymous" | "open" => Some(false),
        _ => values::truth(text),
    };
    match on {
        Some(true) => put_with(desk, "access.auth", "keys", (text != "keys").then_some("who asks shows a key")),
        Some(false) => put_with(desk, "access.auth", AUTH_OFF, (text != "off").then_some("nobody is asked")),
        None => Err("only keys are known here; a proxy in front may do this".to_owned()),
    }
}

fn model(desk: &mut Desk<'_>, parts: &mut Parts, item: &Node) {
    let Some(text) = scalar_of(item).filter(|text| !text.is_empty()) else {
        return desk.refuse(item, "the name of a model is expected");
    };
    parts.models.push((text.to_owned(), desk.notes.len()));
    let told = format!("access.keys[].models: [{}] (what the keys may use)", scalar(text));
    desk.note(item, Fate::Changed, told);
}

/// Addresses and networks in one text.
fn network_text(desk: &mut Desk<'_>, key: &'static str, text: &str) -> Outcome {
    let texts: Vec<&str> = text.split([',', ' ']).filter(|text| !text.is_empty()).collect();
    if matches!(texts[..], ["true" | "false" | "on" | "off"]) {
        return Err("addresses are expected".to_owned());
    }
    let networks: Vec<String> = texts.iter().filter_map(|text| values::network(text)).collect();
    if networks.is_empty() && texts.len() == 1 {
        return Ok((Fate::Taken, format!("{key}: everybody, as where nothing is written")));
    }
    put_with(desk, key, &draft::list(&networks), (networks != texts).then_some("as a list"))
}

/// Networks that are understood are taken, each with a note of its own.
fn networks(desk: &mut Desk<'_>, node: &Node, items: &[Node], key: &'static str) {
    if desk.draft.get(key).is_some() {
        return desk.refuse(node, &format!("`{key}` was taken from another line already"));
    }
    if items.is_empty() {
        return desk.note(node, Fate::Taken, "it is empty: everybody, as where nothing is written");
    }
    let mut good: Vec<String> = Vec::new();
    let mut is_open = false;
    for item in items {
        let Some(text) = scalar_of(item) else {
            desk.refuse(item, "it is neither an address nor a network");
            continue;
        };
        let Some(network) = values::network(text) else {
            is_open = true;
            desk.note(item, Fate::Taken, format!("{key}: everybody, as where nothing is written"));
            continue;
        };
        let outcome = draft::Draft::default().put(key, &draft::list(std::slice::from_ref(&network)));
        let fate = if network == text { Fate::Taken } else { Fate::Changed };
        desk.tell(item, outcome.map(|()| (fate, format!("{key}: {network}"))));
        let is_good = desk.notes.last().is_some_and(|(_, note)| note.fate != Fate::NotTaken);
        if is_good && !good.contains(&network) {
            good.push(network);
        }
    }
    if is_open {
        return;
    }
    if good.is_empty() && key == "access.allow" {
        // A list of which nothing was understood must not become a door for everybody.
        good.push("127.0.0.1".to_owned());
        let at = desk.notes.len() - 1;
        let told = desk.notes[at].1.text.clone();
        desk.unsay(at, &format!("{told}; since no address is left, only this machine may enter: {key}: [127.0.0.1]"));
    }
    if !good.is_empty() {
        desk.draft.replace(key, &draft::list(&good));
    }
}

fn finish(desk: &mut Desk<'_>, mut parts: Parts) {
    finish_listen(desk, &parts);
    finish_server(desk, &parts);
    rate::finish(desk, &parts);
    finish_models(desk, std::mem::take(&mut parts.models));
    if let Some(at) = parts.auth_off
        && !is_loopback(desk.draft.get("listen"))
    {
        desk.draft.replace("access.auth", "keys");
        let why =
            "access.auth: keys (beyond this machine nobody may enter without a key; `tollhouse key create` makes one)";
        desk.say(at, Fate::Changed, why);
    }
}

/// Host and port that stood apart.
fn finish_listen(desk: &mut Desk<'_>, parts: &Parts) {
    if parts.host.is_none() && parts.port.is_none() {
        return;
    }
    let everywhere = IpAddr::from([0, 0, 0, 0]);
    let host = parts.host.map_or(everywhere, |(host, _)| host);
    let port = parts.port.map_or(desk.listen.port(), |(port, _)| port);
    let address = scalar(&std::net::SocketAddr::new(host, port).to_string());
    let ats = [parts.host.map(|(_, at)| at), parts.port.map(|(_, at)| at)];
    let old = desk.draft.get("listen").map(str::to_owned);
    for at in ats.into_iter().flatten() {
        match &old {
            Some(old) if *old != address => desk.unsay(at, "`listen` was taken from another line already"),
            _ => {
                let fate = desk.notes[at].1.fate;
                desk.say(at, fate, &format!("listen: {address}"));
            }
        }
    }
    if old.is_none() {
        desk.draft.replace("listen", &address);
    }
}

/// A model server whose host and port stood apart.
fn finish_server(desk: &mut Desk<'_>, parts: &Parts) {
    let (host, port) = match (&parts.server_host, parts.server_port) {
        (None, None) => return,
        (None, Some((_, at))) => return desk.unsay(at, "no host stands beside it"),
        (Some((host, _)), port) => (host, port.map_or(OLLAMA_PORT, |(port, _)| port)),
    };
    let found = server_at(&mut desk.draft, host, port);
    let ats = parts.server_host.iter().map(|(_, at)| *at).chain(parts.server_port.map(|(_, at)| at));
    for at in ats {
        match &found {
            Ok(name) => {
                let told = format!("upstreams.{name}: {{kind: ollama, url: http://{}:{port}}}", shown(host));
                desk.say(at, Fate::Changed, &told);
            }
            Err(reason) => desk.unsay(at, reason),
        }
    }
}

fn finish_models(desk: &mut Desk<'_>, models: Vec<(String, usize)>) {
    if desk.draft.has_keys() {
        let names: Vec<String> = models.into_iter().map(|(name, _)| name).collect();
        return desk.draft.allow_models(&names);
    }
    for (_, at) in models {
        desk.unsay(at, "models are allowed to a key, and there is none: tollhouse key create --models …");
    }
}

fn is_loopback(listen: Option<&str>) -> bool {
    let address = listen.map(|listen| listen.trim_matches('"').parse::<std::net::SocketAddr>());
    address.is_none_or(|address| address.is_ok_and(|address| address.ip().is_loopback()))
}
