//! `ship`: where the records are brought to: clusters, OpenTelemetry, syslog.

use super::{base_url, check_name, user_and_password};
use crate::{
    config::{ShipConfig, ShipKind, ShipLogin, SyslogMessage},
    decode::{Decoder, Section},
    problem::Problem,
    saying::Said,
    tree::Node,
};
use tollhouse_units::Bytes;

/// What stands as `kind`.
const KINDS: [(&str, ShipKind); 4] = [
    ("elasticsearch", ShipKind::Elasticsearch),
    ("opensearch", ShipKind::OpenSearch),
    ("otlp", ShipKind::Otlp),
    ("syslog", ShipKind::Syslog(SyslogMessage::Json)),
];
/// Held back for a destination where nothing is said.
const BUFFER: Bytes = Bytes(4 << 30);
/// What a URL has to be.
const URL: &str = "an address such as http://127.0.0.1:9200";
/// The same where it is one of syslog.
const SYSLOG_URL: &str = "an address such as tcp://127.0.0.1:514, tls://logs.example.com:6514 or udp://127.0.0.1:514";
/// Ways to a syslog server, with the port that each has where none is named.
const SYSLOG_WAYS: [(&str, u16); 3] = [("tcp://", 514), ("tls://", 6514), ("udp://", 514)];
/// What stands as `format` of syslog.
const SYSLOG_FORMATS: [(&str, ()); 1] = [("rfc5424", ())];

/// Reads all destinations.
pub(super) fn destinations(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<ShipConfig>> {
    let expected = "names with settings, such as es: {kind: elasticsearch, url: http://127.0.0.1:9200}";
    let mut destinations = Vec::new();
    for entry in d.entries(node, expected)? {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "ship", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| destinations.extend(destination(d, s, &entry.name)));
    }
    Some(destinations)
}

fn destination(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &str) -> Option<ShipConfig> {
    let kind = s.require(d, "kind", "elasticsearch, opensearch, otlp or syslog", |d, node| d.word(node, &KINDS));
    of_kind(d, s, name, kind)
}

/// What there is to say of a destination of this kind.
pub(super) fn of_kind(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    name: &str,
    mut kind: Option<ShipKind>,
) -> Option<ShipConfig> {
    let is_syslog = matches!(kind, Some(ShipKind::Syslog(_)));
    let urls = if is_syslog { urls(d, s, SYSLOG_URL, syslog_url) } else { urls(d, s, URL, base_url) };
    // A syslog server asks nobody who they are, but for a certificate.
    let login = if is_syslog { None } else { login(d, s) };
    let mut ca = None;
    let ca_node = s.get("ca");
    if let Some(node) = ca_node {
        ca = d.path(node);
        let scheme = if is_syslog { "tls:" } else { "https:" };
        if urls.as_ref().is_some_and(|urls| urls.iter().all(|url| !url.starts_with(scheme))) {
            let expected = Said::filled("a url that begins with {}//", &[&scheme]);
            d.wrong(node, "nothing is encrypted, so no certificate is looked at", expected);
        }
    }
    let (mut template, mut buffer) = (kind.is_some_and(ShipKind::is_cluster), BUFFER);
    if template {
        s.set(d, "template", &mut template, Decoder::bool);
    }
    if let Some(ShipKind::Syslog(message)) = &mut kind {
        s.set(d, "format", &mut (), |d, node| d.word(node, &SYSLOG_FORMATS));
        s.set(d, "message", message, |d, node| d.word(node, &SyslogMessage::WORDS));
    }
    s.set(d, "buffer", &mut buffer, Decoder::bytes);
    Some(ShipConfig { name: name.to_owned(), kind: kind?, urls: urls?, login, ca, template, buffer })
}

/// `url`, or `urls` where there are several.
fn urls(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    expected: &'static str,
    read: fn(&str) -> Result<String, Said>,
) -> Option<Vec<String>> {
    match (s.get("url"), s.get("urls")) {
        (Some(one), None) => Some(vec![d.parsed(one, expected, read)?]),
        (None, Some(several)) => {
            let urls = d.list(several, "a list of addresses", |d, node| d.parsed(node, expected, read))?;
            if several.is_empty() {
                d.wrong(several, "the list is empty", expected);
            }
            Some(urls)
        }
        (Some(_), Some(several)) => {
            d.wrong(several, "`url` says where it is already", "one of `url` and `urls`");
            None
        }
        (None, None) => {
            s.missing(d, "url", expected);
            None
        }
    }
}

/// An address of a syslog server, with its port.
fn syslog_url(text: &str) -> Result<String, Said> {
    let text = text.trim_end_matches('/');
    let way = SYSLOG_WAYS.iter().find_map(|(way, port)| Some((way, port, text.strip_prefix(way)?)));
    let (way, port, rest) = way.ok_or("it does not begin with tcp://, tls:// or udp://")?;
    // Read as every other URL is; what it is spoken over makes no difference to where it is.
    let url = base_url(&format!("http://{rest}"))?;
    let authority = url.trim_start_matches("http://");
    if authority.contains('/') {
        return Err(Said::from("it has a path"));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    Ok(if has_port { format!("{way}{authority}") } else { format!("{way}{authority}:{port}") })
}

/// `user` and `password`, or `api_key`. An empty secret is none.
fn login(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ShipLogin> {
    let (user, password, api_key) = (s.get("user"), s.get("password"), s.get("api_key"));
    if let Some(node) = api_key {
        if user.or(password).is_some() {
            d.wrong(node, "`user` and `password` stand here already", "one of both ways to log in");
        }
        return d.secret(node).map(ShipLogin::ApiKey);
    }
    let (user, password) = user_and_password(d, s, user, password)?;
    let name = d.parsed(user, "the name of a user", |text| {
        let has_colon = text.contains(':');
        if has_colon { Err("a name with a colon in it cannot be sent") } else { Ok(text.to_owned()) }
    });
    let password = d.secret(password)?;
    Some(ShipLogin::User { name: name?, password })
}
