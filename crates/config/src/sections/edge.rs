//! `edge`: host names, their certificates, and what stands behind their paths.

use std::net::SocketAddr;

use super::{OWN_ADDRESS, base_url, host_name, is_own, listen_address};
use crate::{
    config::{
        AcmeChallenge, AcmeConfig, Auth, BalanceConfig, EdgeConfig, HeadersConfig, RecordsConfig, RouteConfig,
        RouteTarget, SiteConfig, TlsConfig,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    secret::Secret,
    tree::{Data, Node},
};

/// Most sites.
const SITES_MAX: usize = 256;
/// Most routes of a site.
const ROUTES_MAX: usize = 64;
/// Most names of a site beside its first: an authority signs up to 100 in one certificate.
const ALIASES_MAX: usize = 99;
/// Most servers behind a route.
const SERVERS_MAX: usize = 64;
/// What stands as `to`.
const TO: &str =
    "gateway, console, a server (http://127.0.0.1:3000) or a list of some, dir:/path, redirect:https://…, or refuse";
/// What only servers have.
const OF_SERVERS: [&str; 7] = ["balance", "body", "timeout", "idle", "health", "every", "slow_start"];
/// Where a site's certificate comes from.
const TLS: &str = "`acme`, or files of the certificate and its key, such as {cert: fullchain.pem, key: privkey.pem}";
/// Who signs certificates.
const DIRECTORY: &str = "letsencrypt, letsencrypt-staging, or the address of a directory (https://…)";

/// Reads the edge. `house` is where the house itself listens, and `auth` whether it asks for keys.
pub(super) fn edge(d: &mut Decoder<'_>, node: &Node, house: SocketAddr, auth: Auth) -> Option<EdgeConfig> {
    let mut read = None;
    d.section(node, |d, s| {
        let mut http = None;
        s.set_some(d, "http", &mut http, listen_address);
        let https = s.require(d, "https", "an address with a port for TLS, such as 0.0.0.0:443", listen_address);
        let mut proxy_protocol = false;
        s.set(d, "proxy_protocol", &mut proxy_protocol, Decoder::bool);
        let with_http = http.is_some();
        let acme = s.get("acme").map(|node| acme(d, node, with_http));
        let expected = "host names with settings, such as ai.example.com: {tls: {cert: …, key: …}, routes: […]}";
        let sites = s.require(d, "sites", expected, |d, node| sites(d, node, expected, house));
        if let Some(https) = https {
            let others = [Some(house), http];
            if https.port() != 0 && others.contains(&Some(https)) || (house.port() != 0 && http == Some(house)) {
                d.wrong(node, "two of `listen`, `edge.http` and `edge.https` are the same address", "one for each");
            }
        }
        if let Some(https) = https
            && auth == Auth::Off
            && !https.ip().to_canonical().is_loopback()
        {
            let what = "nobody is asked for a key, and anybody who reaches `edge.https` could use the models";
            d.wrong(node, what, "an address of this machine alone, or access: {auth: keys}");
        }
        let is_wanted = sites.iter().flatten().any(|site| site.tls == TlsConfig::Acme);
        if is_wanted && acme.is_none() {
            let what = "a site has `tls: acme`, and no `edge.acme` says who signs";
            d.wrong(node, what, "acme: {directory: letsencrypt, terms_agreed: true}");
        }
        let acme = acme.flatten();
        read = https.zip(sites).map(|(https, sites)| EdgeConfig { http, https, proxy_protocol, acme, sites });
    });
    read
}

fn acme(d: &mut Decoder<'_>, node: &Node, with_http: bool) -> Option<AcmeConfig> {
    let mut read = None;
    d.section(node, |d, s| {
        let directory = s.require(d, "directory", DIRECTORY, |d, node| d.parsed(node, DIRECTORY, directory));
        let agreed = s.require(d, "terms_agreed", "true, once you have read the authority's terms", |d, node| {
            let agreed = d.bool(node)?;
            if !agreed {
                d.wrong(node, "an authority signs for nobody who does not agree to its terms", "true");
            }
            agreed.then_some(())
        });
        let challenge = if with_http { AcmeChallenge::Http } else { AcmeChallenge::Tls };
        let mut acme = AcmeConfig {
            directory: String::new(),
            ca: None,
            contacts: Vec::new(),
            profile: None,
            challenge,
            retry: AcmeConfig::RETRY,
            binding: None,
        };
        s.set_some(d, "ca", &mut acme.ca, Decoder::path);
        let expected = "mail addresses, such as [ops@example.com]";
        s.set(d, "contacts", &mut acme.contacts, |d, node| {
            d.list(node, expected, |d, node| d.parsed(node, "a mail address", mail_address))
        });
        s.set_some(d, "profile", &mut acme.profile, |d, node| d.text(node, "a word").map(|text| text.value));
        s.set(d, "challenge", &mut acme.challenge, |d, node| {
            let word = d.word(node, &AcmeChallenge::WORDS)?;
            if word == AcmeChallenge::Http && !with_http {
                d.wrong(
                    node,
                    "`http-01` is answered at `edge.http`, which is not there",
                    "`edge.http`, or tls-alpn-01",
                );
            }
            Some(word)
        });
        s.set(d, "retry", &mut acme.retry, Decoder::duration);
        if let Some(node) = s.get("binding") {
            acme.binding = binding(d, node);
        }
        read = directory.zip(agreed).map(|(directory, ())| AcmeConfig { directory, ..acme });
    });
    read
}

fn binding(d: &mut Decoder<'_>, node: &Node) -> Option<(String, Secret)> {
    let mut read = None;
    d.section(node, |d, s| {
        let id = s.require(d, "id", "the id that the authority gave", |d, node| d.text(node, "a text"));
        let key = s.require(d, "key", "the key that the authority gave (base64url)", Decoder::secret);
        read = id.map(|id| id.value).zip(key);
    });
    read
}

fn directory(text: &str) -> Result<String, Said> {
    if let Some((_, url)) = AcmeConfig::DIRECTORIES.iter().find(|(word, _)| *word == text) {
        return Ok((*url).to_owned());
    }
    if text.starts_with("https://") {
        return base_url(text);
    }
    Err(Said::filled("`{}` is not known here", &[&shown(text)]))
}

fn mail_address(text: &str) -> Result<String, Said> {
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    match text.split_once('@') {
        Some((name, host)) if is_plain(name) && is_plain(host) && !host.contains('@') => Ok(text.to_owned()),
        _ => Err(Said::filled("`{}` is not a mail address", &[&shown(text)])),
    }
}

fn sites(d: &mut Decoder<'_>, node: &Node, expected: &str, house: SocketAddr) -> Option<Vec<SiteConfig>> {
    let entries = d.entries(node, expected)?;
    if entries.is_empty() || entries.len() > SITES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: "sites".to_owned() },
            Saying::OneToThings { most: SITES_MAX, things: "sites".to_owned() },
        );
        return None;
    }
    let mut sites: Vec<SiteConfig> = Vec::new();
    for entry in entries {
        let host = match host_name(&entry.name) {
            Ok(host) => host,
            Err(what) => {
                let problem = Problem::of(Some(entry.name_place), "edge.sites", what);
                d.problem(problem.expected("a host name such as ai.example.com, without https:// and port"));
                continue;
            }
        };
        d.section(&entry.value, |d, s| sites.extend(site(d, s, host, house)));
        let Some((last, before)) = sites.split_last() else { continue };
        let has = |name: &&String| before.iter().any(|site| site.names().any(|other| other == *name));
        if let Some(name) = last.names().find(has) {
            let what = Said::filled("`{}` stands here twice", &[&shown(name)]);
            d.problem(Problem::of(Some(entry.name_place), "edge.sites", what).expected("each host name once"));
        }
    }
    // One that is wrong is told; the others alone would be another edge.
    (sites.len() == entries.len()).then_some(sites)
}

fn site(d: &mut Decoder<'_>, s: &mut Section<'_>, host: String, house: SocketAddr) -> Option<SiteConfig> {
    let tls = s.require(d, "tls", TLS, tls);
    let mut aliases = Vec::new();
    s.set(d, "aliases", &mut aliases, |d, node| names(d, node, &host));
    let expected = "a list such as [{path: /v1/, to: gateway}, {path: /, to: console}]";
    let routes = s.require(d, "routes", expected, |d, node| routes(d, node, expected, house));
    let mut headers = HeadersConfig::default();
    s.set(d, "headers", &mut headers, |d, node| d.word(node, &HeadersConfig::WORDS));
    let mut records = RecordsConfig::default();
    s.set(d, "records", &mut records, |d, node| d.word(node, &RecordsConfig::WORDS));
    Some(SiteConfig { host, aliases, tls: tls?, routes: routes?, headers, records })
}

/// Further names of a site.
fn names(d: &mut Decoder<'_>, node: &Node, host: &str) -> Option<Vec<String>> {
    let expected = "host names such as [www.example.com]";
    let names = d.list(node, expected, |d, node| d.parsed(node, "a host name", host_name))?;
    if names.len() > ALIASES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: names.len(), things: "names".to_owned() },
            Said::filled("up to {}", &[&ALIASES_MAX]),
        );
        return None;
    }
    let is_again = |(index, name): &(usize, &String)| *name == host || names[..*index].contains(name);
    if let Some((_, name)) = names.iter().enumerate().find(is_again) {
        d.wrong(node, Said::filled("`{}` stands here twice", &[&shown(name)]), "each host name once");
    }
    Some(names)
}

fn tls(d: &mut Decoder<'_>, node: &Node) -> Option<TlsConfig> {
    if let Data::Scalar { text, .. } = &node.data {
        if d.is_word(node, "acme") {
            return Some(TlsConfig::Acme);
        }
        d.wrong(node, Said::filled("`{}` is not known here", &[&shown(text)]), TLS);
        return None;
    }
    let mut files = None;
    d.section(node, |d, s| {
        let cert = s.require(d, "cert", "the file of the certificate and its chain (PEM)", Decoder::path);
        let key = s.require(d, "key", "the file of the private key (PEM)", Decoder::path);
        files = cert.zip(key).map(|(cert, key)| TlsConfig::Files { cert, key });
    });
    files
}

fn routes(d: &mut Decoder<'_>, node: &Node, expected: &str, house: SocketAddr) -> Option<Vec<RouteConfig>> {
    let routes = d.list(node, expected, |d, node| {
        let mut read = None;
        d.section(node, |d, s| read = route(d, s, house));
        read
    })?;
    if node.is_empty() || routes.len() > ROUTES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: routes.len(), things: "routes".to_owned() },
            Saying::OneToThings { most: ROUTES_MAX, things: "routes".to_owned() },
        );
        return None;
    }
    let twice = routes.iter().enumerate().find(|(index, route)| {
        let is_same = |other: &RouteConfig| other.path.trim_end_matches('/') == route.path.trim_end_matches('/');
        routes[..*index].iter().any(is_same)
    });
    if let Some((_, route)) = twice {
        d.wrong(node, Said::filled("two routes have the path {}", &[&shown(&route.path)]), "another path for each");
    }
    Some(routes)
}

fn route(d: &mut Decoder<'_>, s: &mut Section<'_>, house: SocketAddr) -> Option<RouteConfig> {
    let path = s.require(d, "path", "a path such as /v1/", |d, node| d.parsed(node, "a path such as /v1/", path));
    let to = s.require(d, "to", TO, |d, node| {
        let to = targets(d, node)?;
        if matches!(&to, RouteTarget::Servers(urls) if urls.iter().any(|url| is_own(url, house))) {
            d.wrong(node, OWN_ADDRESS, "`gateway` or `console`, or the address of another server");
            return None;
        }
        Some(to)
    });
    let mut read = RouteConfig::new(&path?, to?);
    if matches!(read.to, RouteTarget::Servers(_)) {
        s.set(d, "balance", &mut read.balance, |d, node| d.word(node, &BalanceConfig::WORDS));
        s.set(d, "body", &mut read.body, Decoder::bytes);
        s.set(d, "timeout", &mut read.timeout, Decoder::duration);
        s.set(d, "idle", &mut read.idle, Decoder::duration);
        s.set_some(d, "health", &mut read.health, |d, node| d.parsed(node, "a path such as /healthz", self::path));
        s.set(d, "every", &mut read.every, Decoder::duration);
        s.set_some(d, "slow_start", &mut read.slow_start, Decoder::duration);
    } else {
        for name in OF_SERVERS {
            if let Some(node) = s.get(name) {
                d.wrong(node, Said::filled("`{}` is for servers", &[&name]), "`to: http://…`, or no such key");
            }
        }
    }
    Some(read)
}

fn path(text: &str) -> Result<String, Said> {
    // As a request may have it; nothing that would never be matched.
    let is_path = text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte))
        && !text.contains("//")
        && text.split('/').all(|part| !matches!(part, "." | ".."));
    if is_path { Ok(text.to_owned()) } else { Err(Said::filled("`{}` is not a plain path", &[&shown(text)])) }
}

fn targets(d: &mut Decoder<'_>, node: &Node) -> Option<RouteTarget> {
    if !matches!(node.data, Data::List(_)) {
        return d.parsed(node, TO, target);
    }
    let expected = "a list of servers, such as [http://127.0.0.1:3000, http://127.0.0.1:3001]";
    let servers =
        d.list(node, expected, |d, node| d.parsed(node, "a server, such as http://127.0.0.1:3000", base_url))?;
    if servers.is_empty() || servers.len() > SERVERS_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: servers.len(), things: "servers".to_owned() },
            Saying::OneToThings { most: SERVERS_MAX, things: "servers".to_owned() },
        );
        return None;
    }
    Some(RouteTarget::Servers(servers))
}

fn target(text: &str) -> Result<RouteTarget, Said> {
    match text {
        "gateway" => return Ok(RouteTarget::Gateway),
        "console" => return Ok(RouteTarget::Console),
        "refuse" => return Ok(RouteTarget::Refuse),
        _ => {}
    }
    if let Some(dir) = text.strip_prefix("dir:") {
        let is_absolute = dir.starts_with('/');
        return if is_absolute {
            Ok(RouteTarget::Files(dir.into()))
        } else {
            Err(Said::from("the path behind `dir:` does not begin with `/`"))
        };
    }
    if let Some(url) = text.strip_prefix("redirect:") {
        return base_url(url).map(RouteTarget::Redirect);
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return base_url(text).map(|url| RouteTarget::Servers(vec![url]));
    }
    Err(Said::filled("`{}` is not known here", &[&shown(text)]))
}
