//! A `server` of nginx: its names, its certificate, its headers, and what stands behind its paths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tollhouse_config::Fate;
use tollhouse_doctor::nginx::{self, Directive};

use super::guards::{self, Guards};
use super::route::{Route, Settings, Target};
use super::{Desk, words, yaml};

/// A site as it becomes.
#[derive(Default)]
pub(super) struct Site {
    pub(super) hosts: Vec<String>,
    certificate: Option<String>,
    key: Option<String>,
    routes: Vec<Route>,
    is_tutorial: bool,
    /// Headers with their values, and where they stand.
    headers: Vec<(Directive, String, String)>,
    /// Guarded locations that are patterns, which no route can be.
    patterns: Vec<Directive>,
}

/// Takes a site; nothing where it serves nothing that is encrypted.
pub(super) fn take(desk: &mut Desk, server: &Directive, above: &Guards) -> Option<Site> {
    let guards = above.below(&server.block);
    let is_encrypted = server.all("listen").any(|listen| listen.words.iter().any(|word| word == "ssl"))
        || server.all("ssl").any(|ssl| ssl.argument(0) == Some("on"));
    desk.note(
        server,
        "server",
        if is_encrypted { Fate::Taken } else { Fate::Changed },
        if is_encrypted { "edge.sites" } else { "edge.http, where all is led to the encrypted address" },
    );
    let mut site = Site::default();
    let mut settings = Settings::default();
    // What holds for all locations may stand below them.
    for directive in server.block.iter().filter(|directive| !is_place(directive)) {
        setting(desk, directive, &mut settings, "");
    }
    for directive in &server.block {
        match directive.name() {
            "listen" => listen(desk, directive, is_encrypted),
            "server_name" => names(desk, directive, &mut site, is_encrypted),
            "return" | "if" if !is_encrypted => redirect_to_tls(desk, directive),
            "location" if !is_encrypted => {
                let text = "without encryption everything is led to the encrypted address";
                let is_challenge = directive.words.iter().any(|word| word.contains("acme-challenge"));
                let text =
                    if is_challenge { "certificates are made and renewed by whoever writes their files" } else { text };
                desk.refuse(directive, text);
            }
            "ssl_certificate" => file(desk, directive, &mut site.certificate, "tls.cert"),
            "ssl_certificate_key" => file(desk, directive, &mut site.key, "tls.key"),
            "ssl_protocols" => protocols(desk, directive),
            "add_header" => header(desk, directive, &mut site, ""),
            "location" => location(desk, directive, &mut site, &settings, &guards),
            "return" => whole_redirect(desk, directive, &mut site),
            name if is_setting(name) => {}
            name => other(desk, directive, name),
        }
    }
    tell_headers(desk, &mut site);
    site.close_patterns(desk);
    site.close_below_exact(&guards);
    if !is_encrypted {
        return None;
    }
    let missing = match (&site.hosts[..], &site.certificate, &site.key, &site.routes[..]) {
        ([], ..) => "no name that a site could have",
        (_, None, ..) | (_, _, None, _) => "no certificate with its key",
        (.., []) => "nothing in it that could be served",
        _ => return Some(site),
    };
    desk.note(server, "server", Fate::NotTaken, format!("the site is not taken: it has {missing}"));
    None
}

impl Site {
    /// What stands below its name.
    pub(super) fn yaml(&self) -> String {
        let file = |path: &Option<String>| yaml(path.as_deref().unwrap_or_default());
        let mut text = format!("      tls: {{cert: {}, key: {}}}\n", file(&self.certificate), file(&self.key));
        if self.is_tutorial {
            text += "      headers: tutorial\n";
        }
        text += "      routes:\n";
        for route in &self.routes {
            text += &route.yaml();
        }
        text
    }

    /// No route is a pattern: where one is guarded, whatever could serve such a path is refused.
    fn close_patterns(&mut self, desk: &mut Desk) {
        for directive in std::mem::take(&mut self.patterns) {
            let pattern = directive.words[1..].join(" ");
            let is_of_hidden = directive.words.last().is_some_and(|last| guards::is_of_hidden(last));
            let mut closed = Vec::new();
            for route in &mut self.routes {
                let could_serve = match route.to {
                    Some(Target::Servers(_)) => true,
                    Some(Target::Files(_)) => !is_of_hidden,
                    Some(Target::Gateway | Target::Redirect(_)) | None => false,
                };
                if could_serve && route.guard.is_none() {
                    route.guard = Some(format!("location {pattern}, below this path,"));
                    closed.push(route.path.as_str());
                }
            }
            let of_routes = match &closed[..] {
                [] => String::new(),
                closed => {
                    format!(", and what could serve its paths is refused until you have decided: {}", closed.join(", "))
                }
            };
            desk.refuse(&directive, &format!("NGINX GUARDS IT, a route is no pattern{of_routes}"));
        }
    }

    /// A route is for what is below its path, too: where nginx opens one path alone within a guarded one, it is refused.
    fn close_below_exact(&mut self, of_server: &Guards) {
        let around: Vec<(String, Option<String>)> = self
            .routes
            .iter()
            .filter(|route| !route.is_exact)
            .map(|route| (route.path.clone(), route.guard.clone()))
            .collect();
        for route in self.routes.iter_mut().filter(|route| route.is_exact && route.guard.is_none()) {
            let nearest =
                around.iter().filter(|(path, _)| route.path.starts_with(path)).max_by_key(|(path, _)| path.len());
            route.guard = nearest.map_or_else(|| of_server.said(), |(_, guard)| guard.clone());
        }
    }
}

/// Whether a directive has others for a place of its own.
fn is_place(directive: &Directive) -> bool {
    matches!(directive.name(), "location" | "if")
}

fn is_setting(name: &str) -> bool {
    matches!(name, "client_max_body_size" | "proxy_read_timeout" | "root")
}

/// Takes what holds for a level.
fn setting(desk: &mut Desk, directive: &Directive, settings: &mut Settings, place: &str) {
    let key = format!("{place}{}", directive.name());
    let argument = directive.argument(0).unwrap_or_default();
    match directive.name() {
        "client_max_body_size" => match size(argument) {
            Some(size) => {
                desk.note(directive, &key, Fate::Taken, format!("body: {size}, of routes to servers"));
                settings.body = Some(size);
            }
            None => desk.note(directive, &key, Fate::NotTaken, "a request's body has a bound"),
        },
        "proxy_read_timeout" => match nginx::seconds(argument).filter(|seconds| *seconds > 0.0) {
            Some(seconds) => {
                let text = format!("timeout and idle: {}s, of routes to servers", seconds.ceil());
                desk.note(directive, &key, Fate::Taken, text);
                settings.silence = Some(seconds);
            }
            None => desk.note(directive, &key, Fate::NotTaken, "it is no time"),
        },
        "root" => {
            settings.root = Some(argument.to_owned());
            desk.note(directive, &key, Fate::Taken, format!("dir:{argument}"));
        }
        _ => {}
    }
}

/// nginx' sizes: bytes, or with `k`, `m`, `g`; without a bound there is none.
fn size(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = lower.split_at(lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len()));
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    let unit = match unit {
        "" => "B",
        "k" => "KiB",
        "m" => "MiB",
        "g" => "GiB",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

fn listen(desk: &mut Desk, directive: &Directive, is_encrypted: bool) {
    let text = directive.argument(0).unwrap_or_default();
    let Some(address) = address(text, if is_encrypted { 443 } else { 80 }) else {
        return desk.note(directive, "listen", Fate::NotTaken, "an address and a port are listened on");
    };
    let place = if is_encrypted { &mut desk.https } else { &mut desk.http };
    let name = if is_encrypted { "edge.https" } else { "edge.http" };
    let (fate, said) = match *place {
        None => {
            *place = Some(address);
            (Fate::Taken, format!("{name}: {address}"))
        }
        Some(known) if known == address => (Fate::Taken, format!("{name}: {address}")),
        // [::] is every address of both kinds.
        Some(known)
            if known.port() == address.port() && (known.ip().is_unspecified() || address.ip().is_unspecified()) =>
        {
            let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
            *place = Some(both);
            (Fate::Changed, format!("{name}: {both}, which is every address of IPv4 and IPv6"))
        }
        Some(known) => (Fate::NotTaken, format!("the edge has one address for this, {known}")),
    };
    desk.note(directive, "listen", fate, said);
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let any: IpAddr = Ipv4Addr::UNSPECIFIED.into();
    let text = text.replace("localhost", "127.0.0.1").replace('*', "0.0.0.0");
    text.parse::<SocketAddr>()
        .ok()
        .or_else(|| text.parse::<u16>().ok().map(|port| SocketAddr::new(any, port)))
        .or_else(|| text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

fn names(desk: &mut Desk, directive: &Directive, site: &mut Site, is_encrypted: bool) {
    let (plain, other): (Vec<&String>, Vec<&String>) = directive.words[1..]
        .iter()
        .partition(|name| !name.starts_with(['~', '*', '.', '_']) && !name.ends_with(".*") && !name.is_empty());
    if !is_encrypted {
        return desk.note(directive, "server_name", Fate::Changed, "every name is led to the encrypted address");
    }
    site.hosts.extend(plain.into_iter().map(|name| name.to_lowercase()));
    let hosts = site.hosts.join(", ");
    if other.is_empty() {
        desk.note(directive, "server_name", Fate::Taken, format!("edge.sites: {hosts}"));
    } else {
        let other: Vec<&str> = other.into_iter().map(String::as_str).collect();
        let (fate, which) =
            if hosts.is_empty() { (Fate::NotTaken, "none of them") } else { (Fate::Changed, hosts.as_str()) };
        let text = format!("{which}: a site has a whole name, and {} is none", other.join(" "));
        desk.note(directive, "server_name", fate, text);
    }
}

/// `return` and `if` of a site without encryption.
fn redirect_to_tls(desk: &mut Desk, directive: &Directive) {
    let leads = |inner: &Directive| {
        inner.name() == "return"
            && inner.argument(0).is_some_and(|code| matches!(code, "301" | "302" | "307" | "308"))
            && inner.argument(1).is_some_and(|to| to.starts_with("https://"))
    };
    let is_one = leads(directive) || !directive.block.is_empty() && directive.block.iter().all(leads);
    if is_one {
        desk.note_block(directive, Fate::Taken, "edge.http leads to the encrypted address with 301");
    } else {
        desk.note_block(directive, Fate::NotTaken, "without encryption everything is led to the encrypted address");
    }
}

/// `return` of a whole encrypted site.
fn whole_redirect(desk: &mut Desk, directive: &Directive, site: &mut Site) {
    match redirect(directive) {
        Ok((url, is_added)) => {
            let (fate, text) = told_redirect(&url, is_added);
            desk.note(directive, "return", fate, text);
            let settings = Settings::default();
            let to = Some(Target::Redirect(url));
            let path = "/".to_owned();
            site.routes.push(Route { path, to, balance: None, settings, is_exact: false, guard: None });
        }
        Err(reason) => desk.note(directive, "return", Fate::NotTaken, reason),
    }
}

/// Where a `return` leads to, and whether the path is added there as here.
fn redirect(directive: &Directive) -> Result<(String, bool), &'static str> {
    let url = match (directive.argument(0), directive.argument(1)) {
        (Some("301" | "302" | "303" | "307" | "308"), Some(url)) => url,
        (Some(url), None) if url.contains("://") => url,
        _ => return Err("no answer of its own can be written"),
    };
    let bare = url.strip_suffix("$request_uri").or_else(|| url.strip_suffix("$uri"));
    let (url, is_added) = (bare.unwrap_or(url), bare.is_some());
    if url.contains('$') || !url.starts_with("http") {
        return Err("it leads to an address with variables in it");
    }
    Ok((url.trim_end_matches('/').to_owned(), is_added))
}

/// What is told of a `return`.
fn told_redirect(url: &str, is_added: bool) -> (Fate, String) {
    if is_added {
        (Fate::Taken, format!("to: redirect:{url}"))
    } else {
        (Fate::Changed, format!("to: redirect:{url}, to which the path is added"))
    }
}

fn file(desk: &mut Desk, directive: &Directive, place: &mut Option<String>, name: &str) {
    let path = directive.argument(0).unwrap_or_default();
    if place.is_some() {
        return desk.note(directive, directive.name(), Fate::NotTaken, "a site has one certificate");
    }
    if !path.starts_with('/') {
        return desk.note(directive, directive.name(), Fate::NotTaken, "the whole path is needed");
    }
    *place = Some(path.to_owned());
    desk.note(directive, directive.name(), Fate::Taken, format!("{name}: {path}"));
}

fn protocols(desk: &mut Desk, directive: &Directive) {
    let is_current = directive.words[1..].iter().all(|word| matches!(word.as_str(), "TLSv1.2" | "TLSv1.3"));
    let fate = if is_current { Fate::Taken } else { Fate::Changed };
    desk.note(directive, "ssl_protocols", fate, "TLS 1.2 and 1.3 are spoken");
}

/// `add_header`; which profile is meant is known when all are read.
fn header(desk: &mut Desk, directive: &Directive, site: &mut Site, place: &str) {
    let name = directive.argument(0).unwrap_or_default().to_lowercase();
    let value = directive.argument(1).unwrap_or_default();
    if words::is_of_profile(&name) {
        site.is_tutorial |= words::is_of_tutorial(&name, value);
        site.headers.push((directive.clone(), name, value.to_owned()));
    } else if name == "cache-control" {
        let text = "files whose name has a hash are `public, max-age=31536000, immutable`, others are asked for again";
        desk.note(directive, &format!("{place}add_header {name}"), Fate::Changed, text);
    } else {
        desk.note(
            directive,
            &format!("{place}add_header {name}"),
            Fate::NotTaken,
            "no other header is added to answers",
        );
    }
}

fn tell_headers(desk: &mut Desk, site: &mut Site) {
    let profile = if site.is_tutorial { "tutorial" } else { "current" };
    for (directive, name, value) in std::mem::take(&mut site.headers) {
        let is_same = words::is_same_value(&name, &value, site.is_tutorial);
        let fate = if is_same { Fate::Taken } else { Fate::Changed };
        let text = format!("headers: {profile} sets it{}", if is_same { "" } else { " as it has it (docs/edge.md)" });
        desk.note(&directive, &format!("add_header {name}"), fate, text);
    }
}

fn location(desk: &mut Desk, directive: &Directive, site: &mut Site, above: &Settings, guards_above: &Guards) {
    let guards = guards_above.below(&directive.block);
    let (modifier, mut path) = match &directive.words[1..] {
        [path] => ("", path.as_str()),
        [modifier, path] => (modifier.as_str(), path.as_str()),
        _ => ("", ""),
    };
    let key = format!("location {path}");
    if modifier.starts_with('~') {
        let is_cached =
            directive.block.iter().all(|inner| matches!(inner.name(), "expires" | "add_header" | "access_log"));
        if is_cached {
            let text = "files whose name has a hash are kept for a year, wherever they are";
            return desk.note_block(directive, Fate::Changed, text);
        }
        match guards::plain_beginning(modifier, path) {
            Some(beginning) if guards.said().is_some() => path = beginning,
            _ if guards::is_anywhere(guards_above, directive) => return site.patterns.push(directive.clone()),
            _ => return desk.refuse(directive, "a route is a path, and no pattern"),
        }
    }
    if !path.starts_with('/') {
        return desk.refuse(directive, "a route is a path");
    }
    let mut settings = above.clone();
    for inner in &directive.block {
        setting(desk, inner, &mut settings, &format!("{key}: "));
    }
    let mut found: Option<(Target, Option<&'static str>)> = None;
    for inner in &directive.block {
        let inner_key = format!("{key}: {}", inner.name());
        match inner.name() {
            "proxy_pass" => match desk.target(inner.argument(0).unwrap_or_default(), path) {
                Ok((to, balance, cuts)) => {
                    let who = match &to {
                        Target::Gateway => "gateway".to_owned(),
                        Target::Servers(urls) => urls.join(", "),
                        Target::Files(_) | Target::Redirect(_) => String::new(),
                    };
                    let (fate, more) = match (&to, cuts && path != "/") {
                        (_, true) => (Fate::Changed, format!(", and the path stays whole: nginx cuts {path} off")),
                        (Target::Gateway, _) => (Fate::Changed, ", the house's own".to_owned()),
                        _ => (Fate::Taken, String::new()),
                    };
                    desk.note(inner, &inner_key, fate, format!("to: {who}{more}"));
                    found = Some((to, balance));
                }
                Err(reason) => desk.note(inner, &inner_key, Fate::NotTaken, reason),
            },
            "alias" => {
                let folder = inner.argument(0).unwrap_or_default().trim_end_matches('/');
                desk.note(inner, &inner_key, Fate::Taken, format!("to: dir:{folder}"));
                found = Some((Target::Files(folder.to_owned()), None));
            }
            "return" => match redirect(inner) {
                Ok((url, is_added)) => {
                    let (fate, text) = told_redirect(&url, is_added);
                    desk.note(inner, &inner_key, fate, text);
                    found = Some((Target::Redirect(url), None));
                }
                Err(reason) => desk.note(inner, &inner_key, Fate::NotTaken, reason),
            },
            "add_header" => header(desk, inner, site, &format!("{key}: ")),
            "location" if guards::is_anywhere(&guards, inner) => location(desk, inner, site, &settings, &guards),
            name if is_setting(name) => {}
            name => other(desk, inner, name),
        }
    }
    // Files below `root` have the location's path in their own.
    let of_root = || {
        let root = settings.root.as_deref()?.trim_end_matches('/');
        Some((Target::Files(format!("{root}{}", path.trim_end_matches('/'))), None))
    };
    let guard = guards.said();
    let (to, balance) = found.or_else(of_root).unzip();
    if to.is_none() && guard.is_none() {
        return desk.note(directive, &key, Fate::NotTaken, "nothing in it says who answers");
    }
    let is_same = |route: &&mut Route| route.path.trim_end_matches('/') == path.trim_end_matches('/');
    if let Some(known) = site.routes.iter_mut().find(is_same) {
        // Both are one route here.
        known.guard = known.guard.take().or(guard);
        return desk.note(directive, &key, Fate::NotTaken, "another route has this path already");
    }
    let is_exact = modifier == "=";
    let exact = if is_exact { ", and for what is below it" } else { "" };
    if let Some(guard) = &guard {
        let text = format!(
            "NGINX GUARDS IT ({guard}), and no route asks who comes: {path} is refused{exact} (`to: refuse`) until you have decided who asks there"
        );
        desk.note(directive, &key, Fate::NotTaken, text);
    } else {
        let fate = if is_exact { Fate::Changed } else { Fate::Taken };
        desk.note(directive, &key, fate, format!("a route for {path}{exact}"));
    }
    let balance = balance.flatten();
    site.routes.push(Route { path: path.to_owned(), to, balance, settings, is_exact, guard });
}

/// What needs no look at the rest.
fn other(desk: &mut Desk, directive: &Directive, name: &str) {
    if name == "proxy_set_header" {
        let header = directive.argument(0).unwrap_or_default().to_lowercase();
        let (fate, text) = words::proxy_header(&header, directive.argument(1).unwrap_or_default());
        return desk.note(directive, &format!("proxy_set_header {header}"), fate, text);
    }
    if matches!(name, "proxy_buffering" | "proxy_request_buffering" | "proxy_cache")
        && directive.argument(0) == Some("off")
    {
        return desk.note(directive, name, Fate::Taken, "nothing is gathered or cached");
    }
    if name == "index" && directive.argument(0) == Some("index.html") {
        return desk.note(directive, name, Fate::Taken, "a folder is its index.html");
    }
    match words::by_itself(name) {
        Some((fate, text)) => desk.note_block(directive, fate, text),
        None => desk.refuse(directive, words::left(name)),
    }
}
