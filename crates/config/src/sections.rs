//! Which keys there are, what they hold, and what must fit together.

mod access;
pub(crate) mod alerts;
mod batches;
mod channels;
mod chat;
mod console;
mod edge;
mod models;
mod probes;
mod shape;
mod ship;
mod sources;
mod store;
mod supervise;
mod tasks;
mod telemetry;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde_json::{Map, Value};
use tollhouse_units::parse_duration;

use crate::{
    config::{
        By, Compress, Config, Content, ContentMode, ErrorStyle, Keep, Limits, Listen, Logging, Queue, Shared,
        SyncPolicy, Timeouts,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    tree::{Data, Node},
};

/// Deepest nesting that the JSON parser can be asked for.
const JSON_DEPTH_MAX: u64 = 128;
/// Length of names that go into records, metrics and file names.
const NAME_CHARS_MAX: usize = 100;
/// How many requests may be let wait.
const QUEUE_DEPTH_MAX: u64 = 1_000_000;
/// Columns that the journal itself writes into each record.
const RESERVED_FIELDS: [&str; 7] = ["ts", "level", "kind", "msg", "caller", "seq", "prev"];

/// Reads the whole file.
pub(crate) fn read(decoder: &mut Decoder<'_>, root: &Node) -> Config {
    let mut config = Config::default();
    decoder.section(root, |d, s| {
        s.set(d, "service", &mut config.service, service);
        s.set(d, "data_dir", &mut config.data_dir, Decoder::path);
        let listen_node = s.get("listen");
        if let Some(read) = listen_node.and_then(|node| listen(d, node)) {
            config.listen = read;
        }
        s.set_some(d, "public_url", &mut config.public_url, public_url);
        s.set(d, "hosts", &mut config.hosts, |d, node| d.list(node, "a list of host names", host));
        let upstreams_node = s.get("upstreams");
        if let Some(upstreams) = upstreams_node.and_then(|node| models::upstreams(d, node)) {
            config.upstreams = upstreams;
        }
        check_not_own(d, &config.upstreams, upstreams_node, config.listen.address);
        // A name is known even when something else about its upstream is wrong, which is told already.
        let mut names: Vec<String> = config.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        if let Some(entries) = upstreams_node.and_then(Node::entries) {
            names = entries.iter().map(|entry| entry.name.clone()).collect();
        }
        s.set(d, "models", &mut config.models, |d, node| models::models(d, node, &names));
        let listen = config.listen.address;
        s.section(d, "access", |d, s| access::access(d, s, &mut config.access, listen));
        if config.listen.proxy_protocol && config.access.trusted_proxies.is_empty() {
            nobody_trusted(d, listen_node);
        }
        s.section(d, "limits", |d, s| limits(d, s, &mut config.limits));
        s.section(d, "timeouts", |d, s| timeouts(d, s, &mut config.timeouts));
        s.section(d, "queue", |d, s| queue(d, s, &mut config.queue));
        s.section(d, "shared", |d, s| shared(d, s, &mut config.shared));
        s.set(d, "errors", &mut config.errors, |d, node| {
            d.word(node, &[("openai", ErrorStyle::OpenAi), ("plain", ErrorStyle::Plain)])
        });
        s.section(d, "logging", |d, s| logging(d, s, &mut config.logging));
        let auth = config.access.auth;
        s.set(d, "sources", &mut config.sources, |d, node| sources::sources(d, node, listen, auth));
        s.set(d, "supervise", &mut config.supervise, |d, node| {
            supervise::processes(d, node, &config.sources, &config.upstreams)
        });
        let sources = config.all_sources();
        if let Some(shapes) = s.get("shape").and_then(|node| shape::shapes(d, node, &sources)) {
            config.shape = shapes;
        }
        if let Some(node) = s.get("tags") {
            tags(d, node, &mut config.tags);
        }
        s.section(d, "store", |d, s| store::store(d, s, &mut config.store, &config.service));
        s.section(d, "search", |d, s| store::search(d, s, &mut config.search, auth, listen));
        let ship_node = s.get("ship");
        if let Some(destinations) = ship_node.and_then(|node| ship::destinations(d, node)) {
            config.ship = destinations;
        }
        store::ship_to(d, &config.store, &mut config.ship, ship_node);
        s.set(d, "channels", &mut config.channels, channels::channels);
        if let Some(node) = s.get("alerts") {
            alerts::alerts(d, node, &mut config.alerts, &config.channels);
        }
        s.section(d, "telemetry", |d, s| telemetry::telemetry(d, s, &mut config.telemetry));
        if let Some(node) = s.get("reports") {
            alerts::reports(d, node, &mut config.reports, &config.channels);
        }
        s.section(d, "chat", |d, s| chat::chat(d, s, &mut config.chat));
        s.section(d, "console", |d, s| console::console(d, s, &mut config.console, config.public_url.as_deref()));
        config.edge = s.get("edge").and_then(|node| edge::edge(d, node, listen, auth));
        if config.edge.as_ref().is_some_and(|edge| edge.proxy_protocol) && config.access.trusted_proxies.is_empty() {
            nobody_trusted(d, s.get("edge"));
        }
        config.probes = probes::probes(d, s.get("probes"), &config.upstreams, &config.data_dir);
        let (data_dir, channels) = (&config.data_dir, &config.channels);
        config.tasks = s.get("tasks").and_then(|node| tasks::tasks(d, node, data_dir, channels));
        config.batches = s.get("batches").and_then(|node| batches::batches(d, node));
        let tasks = config.tasks.as_ref();
        config.approvals = s.get("approvals").and_then(|node| batches::approvals(d, node, tasks));
    });
    config
}

// General

/// What is told of a server that would be the house itself.
const OWN_ADDRESS: &str = "this is the house's own `listen`";

fn service(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    name(d, node, "a name of letters, digits, `.`, `_` and `-` that begins with a letter or digit")
}

/// A name that can stand in records, metrics and file names.
fn name(d: &mut Decoder<'_>, node: &Node, expected: &str) -> Option<String> {
    let name = d.text(node, expected)?.value;
    if let Err(what) = check_name(&name) {
        d.wrong(node, what, expected);
        return None;
    }
    Some(name)
}

fn check_name(name: &str) -> Result<(), Saying> {
    if let Some(character) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        return Err(Saying::NameHas { name: shown(name), character });
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Saying::NameBegins { name: shown(name) });
    }
    if name.len() > NAME_CHARS_MAX {
        return Err(Saying::NameLong { most: NAME_CHARS_MAX });
    }
    Ok(())
}

/// An address with a port, or that with what else there is to say of it.
fn listen(d: &mut Decoder<'_>, node: &Node) -> Option<Listen> {
    if !matches!(node.data, Data::Map(_)) {
        return listen_address(d, node).map(|address| Listen { address, ..Listen::default() });
    }
    let mut read = None;
    d.section(node, |d, s| {
        let expected = "an IP address and a port, such as 127.0.0.1:18789";
        let address = s.require(d, "address", expected, listen_address);
        let mut proxy_protocol = false;
        s.set(d, "proxy_protocol", &mut proxy_protocol, Decoder::bool);
        read = address.map(|address| Listen { address, proxy_protocol });
    });
    read
}

/// Without a trusted proxy no connection could come in.
fn nobody_trusted(d: &mut Decoder<'_>, listen: Option<&Node>) {
    let Some(listen) = listen else { return };
    d.wrong_hint(
        listen,
        "a PROXY header is only believed of trusted proxies, and none is named",
        "the addresses of the proxies in `access.trusted_proxies`",
        "access: {trusted_proxies: [127.0.0.1]}",
    );
}

fn listen_address(d: &mut Decoder<'_>, node: &Node) -> Option<SocketAddr> {
    let expected = "an IP address and a port, such as 127.0.0.1:18789 or [::1]:18789";
    let text = d.text(node, expected)?.value;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let what = Said::filled("`{}` is not an address with a port", &[&shown(&text)]);
    let (host, port) = text.rsplit_once(':').unwrap_or(("", &text));
    match port.parse::<u16>() {
        Ok(port) if matches!(host, "" | "localhost") => {
            d.wrong_hint(node, what, expected, Said::filled("write 127.0.0.1:{}", &[&port]));
        }
        Ok(port) => {
            d.wrong_hint(
                node,
                what,
                expected,
                Said::filled("for every address of this machine write 0.0.0.0:{}", &[&port]),
            );
        }
        Err(_) => d.wrong(node, what, expected),
    }
    None
}

fn public_url(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "an address such as https://ai.example.com", base_url)
}

/// Checks a base URL and takes the slashes at its end away.
fn base_url(text: &str) -> Result<String, Said> {
    // The URL itself is not repeated here: it may hold a password.
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or("it does not begin with http:// or https://")?;
    if rest.contains(['?', '#']) {
        return Err(Said::from("it has a query (`?`) or a fragment (`#`)"));
    }
    let uri: http::Uri = text.parse().map_err(|error| Said::filled("not a URL: {}", &[&error]))?;
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err(Said::from("it has a user name or password in it"));
    }
    let host = authority.host();
    if host.is_empty() {
        return Err(Said::from("it has no host"));
    }
    let port = authority.as_str()[host.len()..].strip_prefix(':');
    if port.is_some() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(Said::from("the port is not a number from 1 to 65535"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether a server of this URL would be the house itself, which listens at `house`.
fn is_own(url: &str, house: SocketAddr) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = |ip: IpAddr| ip == house.ip() || house.ip().is_unspecified() && ip.is_loopback();
    let is_local = host == "localhost" && (house.ip().is_loopback() || house.ip().is_unspecified());
    house.port() == port && (is_local || host.parse().is_ok_and(is_here))
}

/// Tells of model servers that would be the house itself: it would ask itself without end.
fn check_not_own(
    d: &mut Decoder<'_>,
    upstreams: &[crate::config::UpstreamConfig],
    node: Option<&Node>,
    house: SocketAddr,
) {
    for entry in node.and_then(Node::entries).into_iter().flatten() {
        if upstreams.iter().any(|upstream| upstream.name == entry.name && is_own(&upstream.url, house)) {
            d.wrong(&entry.value, OWN_ADDRESS, "the address of a model server, or another `listen`");
        }
    }
}

fn host(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "a host name such as ai.example.com, without http:// and port", |text| {
        match text.parse::<IpAddr>() {
            Ok(_) => Ok(text.to_ascii_lowercase()),
            Err(_) => host_name(text),
        }
    })
}

/// Checks a host name and gives it in small letters.
fn host_name(text: &str) -> Result<String, Said> {
    let is_label = |label: &str| {
        let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Said::filled("`{}` is not a host name", &[&shown(text)]))
    }
}

// Bounds

fn limits(d: &mut Decoder<'_>, s: &mut Section<'_>, limits: &mut Limits) {
    s.set(d, "prompt_chars", &mut limits.prompt_chars, Decoder::size);
    s.set(d, "body", &mut limits.body, Decoder::bytes);
    s.set(d, "messages", &mut limits.messages, Decoder::size);
    s.set(d, "head", &mut limits.head, Decoder::bytes);
    s.set(d, "json_depth", &mut limits.json_depth, |d, node| d.count(node, JSON_DEPTH_MAX).map(|n| n as usize));
    s.set(d, "per_address", &mut limits.per_address, Decoder::size);
}

fn timeouts(d: &mut Decoder<'_>, s: &mut Section<'_>, timeouts: &mut Timeouts) {
    s.set(d, "connect", &mut timeouts.connect, Decoder::duration);
    s.set(d, "silent", &mut timeouts.silent, Decoder::duration);
    s.set(d, "first_byte", &mut timeouts.first_byte, Decoder::duration);
    s.set(d, "idle", &mut timeouts.idle, Decoder::duration);
    if let Some(node) = s.get("pause") {
        timeouts.pause = if d.is_word(node, "off") { None } else { d.duration(node).or(timeouts.pause) };
    }
    s.set(d, "total", &mut timeouts.total, Decoder::duration);
    s.set(d, "drain", &mut timeouts.drain, Decoder::duration);
    s.set(d, "restart", &mut timeouts.restart, Decoder::duration);
    s.set(d, "keep_alive", &mut timeouts.keep_alive, Decoder::duration);
}

fn queue(d: &mut Decoder<'_>, s: &mut Section<'_>, queue: &mut Queue) {
    s.set(d, "depth", &mut queue.depth, |d, node| d.count(node, QUEUE_DEPTH_MAX).map(|n| n as usize));
    s.set(d, "wait", &mut queue.wait, Decoder::duration);
    let words: Vec<(&str, By)> = access::BY.into_iter().filter(|(_, by)| *by != By::Model).collect();
    s.set(d, "fair_by", &mut queue.fair_by, |d, node| d.word(node, &words));
}

fn shared(d: &mut Decoder<'_>, s: &mut Section<'_>, shared: &mut Shared) {
    s.set_some(d, "redis", &mut shared.redis, |d, node| {
        let url = d.secret(node)?;
        if let Err(what) = check_redis_url(url.expose()) {
            d.wrong(node, what, "a URL such as redis://127.0.0.1:6379");
            return None;
        }
        Some(url)
    });
}

/// The URL itself is not repeated in messages: it may hold a password.
fn check_redis_url(url: &str) -> Result<(), &'static str> {
    let schemes = ["redis://", "rediss://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or("it does not begin with redis:// or rediss://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err("it has no host");
    }
    Ok(())
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
    let methods = [("zstd", Compress::Zstd), ("gzip", Compress::Gzip), ("none", Compress::None)];
    s.set(d, "compress", &mut logging.compress, |d, node| d.word(node, &methods));
    s.set(d, "sync", &mut logging.sync, sync);
    content(d, s, &mut logging.content);
    s.set(d, "families", &mut logging.families, |d, node| d.word(node, &[("on", true), ("off", false)]));
}

/// `content: redacted`, or a section where a program and the time that it is kept are set too.
fn content(d: &mut Decoder<'_>, s: &mut Section<'_>, content: &mut Content) {
    let modes = [("off", ContentMode::Off), ("redacted", ContentMode::Redacted), ("full", ContentMode::Full)];
    let Some(node) = s.get("content") else { return };
    if matches!(node.data, Data::Map(_)) {
        d.section(node, |d, s| {
            s.set(d, "mode", &mut content.mode, |d, node| d.word(node, &modes));
            s.set_some(d, "vrl", &mut content.vrl, shape::program);
            s.section(d, "keep", |d, s| keep(d, s, &mut content.keep));
        });
    } else if let Some(mode) = d.word(node, &modes) {
        content.mode = mode;
    }
}

fn journal_file(d: &mut Decoder<'_>, node: &Node) -> Option<PathBuf> {
    let path = d.path(node)?;
    if path.file_name().is_none() || path.to_string_lossy().ends_with('/') {
        d.wrong(node, "this is a folder", "the path of a file, such as /var/log/tollhouse/gateway.log");
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
            Ok(time) if time.is_zero() => Err(Said::from(Saying::ZeroTime {})),
            Ok(time) => Ok(SyncPolicy::Within(time)),
            Err(error) => Err(error.into()),
        }
    })
}

fn fields(d: &mut Decoder<'_>, node: &Node) -> Option<Map<String, Value>> {
    for entry in d.entries(node, "names with values, such as {site: shanghai}")? {
        if RESERVED_FIELDS.contains(&entry.name.as_str()) {
            let what = Said::filled("`{}` is written by the journal itself", &[&entry.name]);
            let problem = Problem::of(Some(entry.name_place), "logging.fields", what);
            d.problem(problem.expected(Said::filled("a name other than {}", &[&RESERVED_FIELDS.join(", ")])));
        }
    }
    d.json_map(node)
}

/// Both of a login; one without the other is told.
fn user_and_password<'n>(
    d: &mut Decoder<'_>,
    s: &Section<'_>,
    user: Option<&'n Node>,
    password: Option<&'n Node>,
) -> Option<(&'n Node, &'n Node)> {
    match (user, password) {
        (Some(_), None) => s.missing(d, "password", "the password of `user`, \"${NAME}\" or file:/path"),
        (None, Some(_)) => s.missing(d, "user", "the name of the user whose `password` stands here"),
        _ => {}
    }
    user.zip(password)
}

fn keep(d: &mut Decoder<'_>, s: &mut Section<'_>, keep: &mut Keep) {
    s.set(d, "days", &mut keep.days, Decoder::days);
    s.set(d, "bytes", &mut keep.bytes, Decoder::bytes);
}

/// Adds the tags of the file to the default ones; one of the same name replaces it in its place.
fn tags(d: &mut Decoder<'_>, node: &Node, tags: &mut Vec<(String, String)>) {
    let expected = "tag names with queries, such as slow_request: 'duration_ms:>3000'";
    let Some(entries) = d.entries(node, expected) else { return };
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "tags", what);
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
        d.wrong_hint(node, "the journal is always JSON, one object a line", "true", "leave the key out");
    }
    Some(true)
}
