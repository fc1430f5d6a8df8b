//! `tollhouse init --from` an nginx site: each of its directives becomes a part of `edge`, or is told of as left.

mod guards;
mod route;
mod site;
mod words;

use std::fmt::Write as _;
use std::net::SocketAddr;

use tollhouse_config::{Fate, Note, Part, PartServer};
use tollhouse_doctor::nginx::{self, Directive};

use self::guards::Guards;
use self::route::Target;
use self::site::Site;

/// Ports at which the old gateway and Ollama listen; what goes there goes to the house's own gateway.
const GATEWAY_PORTS: [u16; 2] = [18789, OLLAMA_PORT];
const OLLAMA_PORT: u16 = 11434;

/// Whether this is a file of nginx' language that has a site in it.
pub(super) fn is_site(text: &str) -> bool {
    let root = nginx::read(text);
    servers(&root).next().is_some()
}

/// What keeps a file from being understood as nginx would, with its line.
pub(super) fn fault(text: &str) -> Option<(usize, &'static str)> {
    nginx::fault(text)
}

/// What a file becomes.
pub(super) fn part(file: &str, text: &str) -> Part {
    let root = nginx::read(text);
    let mut desk = Desk { file: file.to_owned(), ..Desk::default() };
    for directive in root.block.iter().filter(|directive| directive.name() != "http").chain(within_http(&root)) {
        match directive.name() {
            "upstream" => desk.group(directive),
            "server" | "http" => {}
            "map" if directive.argument(0) == Some("$http_upgrade") => {
                desk.note_block(directive, Fate::Taken, "WebSockets go through by themselves");
            }
            _ => desk.refuse(directive, words::left(directive.name())),
        }
    }
    // Files that are included here have sites of their own.
    let is_own = |directive: &&Directive| directive.name() != "include";
    let above: Vec<Directive> = root.block.iter().chain(within_http(&root)).filter(is_own).cloned().collect();
    let above = Guards::default().below(&above);
    let mut sites: Vec<Site> = Vec::new();
    for server in servers(&root) {
        let Some(site) = site::take(&mut desk, server, &above) else { continue };
        if sites.iter().any(|known| known.hosts == site.hosts) {
            desk.note(server, "server", Fate::NotTaken, "another site has this name already");
            continue;
        }
        sites.push(site);
    }
    let sections = desk.sections(&sites);
    Part { file: desk.file, notes: desk.notes, servers: desk.servers, sections }
}

/// The parts of several files as they are put into one configuration: the sections of the first that has any, and of the others the
/// notes say that they are left.
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut has_edge = false;
    let once = |mut part: Part| {
        if has_edge && !part.sections.is_empty() {
            part.sections.clear();
            for note in &mut part.notes {
                note.fate = Fate::NotTaken;
                "another file makes `edge` already: put both into one file".clone_into(&mut note.text);
            }
        }
        has_edge |= !part.sections.is_empty();
        part
    };
    parts.into_iter().map(once).collect()
}

fn within_http(root: &Directive) -> impl Iterator<Item = &Directive> {
    root.all("http").flat_map(|http| &http.block)
}

fn servers(root: &Directive) -> impl Iterator<Item = &Directive> {
    let is_server = |directive: &&Directive| directive.name() == "server" && directive.has_block;
    root.block.iter().chain(within_http(root)).filter(is_server)
}

/// What is worked with while a file is read.
#[derive(Default)]
struct Desk {
    file: String,
    notes: Vec<Note>,
    servers: Vec<PartServer>,
    groups: Vec<Group>,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
}

/// An `upstream`.
struct Group {
    name: String,
    /// Each with its port.
    servers: Vec<String>,
    balance: Option<&'static str>,
}

impl Desk {
    fn note(&mut self, directive: &Directive, key: &str, fate: Fate, text: impl Into<String>) {
        let note =
            Note { file: self.file.clone(), line: directive.line, key: shown(key), fate, text: shown(&text.into()) };
        self.notes.push(note);
    }

    /// The same for all that stands in its block, each by its name.
    fn note_block(&mut self, directive: &Directive, fate: Fate, text: &str) {
        self.note(directive, directive.name(), fate, text);
        for inner in &directive.block {
            self.note_block(inner, fate, text);
        }
    }

    /// None of what stands here can be taken.
    fn refuse(&mut self, directive: &Directive, reason: &str) {
        self.note_block(directive, Fate::NotTaken, reason);
    }

    /// Takes an `upstream`.
    fn group(&mut self, directive: &Directive) {
        let name = directive.argument(0).unwrap_or_default().to_owned();
        let key = format!("upstream {name}");
        let mut group = Group { name, servers: Vec::new(), balance: None };
        for inner in &directive.block {
            let key = format!("{key}: {}", inner.name());
            let argument = inner.argument(0).unwrap_or_default();
            match inner.name() {
                "server" if argument.starts_with("unix:") => {
                    self.note(inner, &key, Fate::NotTaken, "a server is asked by its address and port");
                }
                "server" if inner.words.contains(&"down".to_owned()) => {
                    self.note(inner, &key, Fate::NotTaken, "it is down");
                }
                "server" => {
                    let has_port = argument.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                    let server = if has_port { argument.to_owned() } else { format!("{argument}:80") };
                    let more = &inner.words[inner.words.len().min(2)..];
                    if more.is_empty() {
                        self.note(inner, &key, Fate::Taken, format!("{server}, where the group is asked"));
                    } else {
                        let text =
                            format!("{server}, without {}: all share alike, and one that fails rests", more.join(" "));
                        self.note(inner, &key, Fate::Changed, text);
                    }
                    group.servers.push(server);
                }
                "least_conn" => {
                    group.balance = Some("least");
                    self.note(inner, &key, Fate::Taken, "balance: least");
                }
                "ip_hash" | "hash" => {
                    group.balance = Some("address");
                    let is_same = inner.name() == "ip_hash" || argument.ends_with("remote_addr");
                    let fate = if is_same { Fate::Taken } else { Fate::Changed };
                    self.note(inner, &key, fate, "balance: address (the same server for a client)");
                }
                "keepalive" | "keepalive_timeout" | "keepalive_requests" | "zone" => {
                    self.note(inner, &key, Fate::Taken, "connections to servers are kept by themselves");
                }
                _ => self.refuse(inner, words::left(inner.name())),
            }
        }
        self.groups.push(group);
    }

    /// Where a `proxy_pass` goes, with which balance, and what it says of the path.
    fn target(&mut self, url: &str, path: &str) -> Result<(Target, Option<&'static str>, bool), &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("it is no address")?;
        if url.contains('$') {
            return Err("an address with variables in it: name the servers");
        }
        if rest.starts_with("unix:") {
            return Err("a server is asked by its address and port");
        }
        let (host, uri) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let cuts = !uri.is_empty() && uri != path;
        if let Some(group) = self.groups.iter().find(|group| group.name == host) {
            let urls: Vec<String> = group.servers.iter().map(|server| format!("{scheme}://{server}")).collect();
            let balance = group.balance;
            return Ok((self.gateway_or(urls, path), balance, cuts));
        }
        Ok((self.gateway_or(vec![format!("{scheme}://{host}")], path), None, cuts))
    }

    /// The house's own gateway takes the place of the old one, and stands in front of Ollama.
    fn gateway_or(&mut self, urls: Vec<String>, path: &str) -> Target {
        let port = |url: &String| url.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let is_api = path.starts_with("/v1") || path.starts_with("/api");
        let goes = |url: &String| port(url).is_some_and(|port| GATEWAY_PORTS.contains(&port));
        if !is_api || !urls.iter().all(goes) {
            return Target::Servers(urls);
        }
        for url in urls.into_iter().filter(|url| port(url) == Some(OLLAMA_PORT)) {
            let server = PartServer { kind: "ollama", url, has_key: false, models: Vec::new() };
            if !self.servers.contains(&server) {
                self.servers.push(server);
            }
        }
        Target::Gateway
    }

    /// The section `edge`, where there is a site.
    fn sections(&self, sites: &[Site]) -> String {
        if sites.is_empty() {
            return String::new();
        }
        let mut text = String::from("edge:\n");
        if let Some(http) = self.http {
            let _ = writeln!(text, "  http: {}", yaml(&http.to_string()));
        }
        let https = self.https.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 443)));
        let _ = writeln!(text, "  https: {}\n  sites:", yaml(&https.to_string()));
        for site in sites {
            for host in &site.hosts {
                let _ = write!(text, "    {}:\n{}", yaml(host), site.yaml());
            }
        }
        text
    }
}

/// A text as YAML: JSON's quotes are YAML's, too.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Without what a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUTORIAL: &str = include_str!("nginx/tutorial.conf");

    fn fates(part: &Part) -> Vec<(usize, &str, &str)> {
        let mut fates: Vec<_> =
            part.notes.iter().map(|note| (note.line, note.key.as_str(), note.fate.word())).collect();
        fates.sort_unstable();
        fates
    }

    #[test]
    fn every_directive_of_the_tutorials_site_is_told_once() {
        let part = part("site", TUTORIAL);
        let lines: Vec<usize> = TUTORIAL
            .lines()
            .enumerate()
            .filter(|(_, line)| !matches!(line.trim(), "" | "}") && !line.trim().starts_with('#'))
            .map(|(index, _)| index + 1)
            .collect();
        let told: Vec<usize> = fates(&part).iter().map(|(line, ..)| *line).collect();
        assert_eq!(told, lines, "{:#?}", fates(&part));
    }

    #[test]
    fn the_tutorials_site_becomes_an_edge() {
        let part = part("site", TUTORIAL);
        let config = tollhouse_config::parse(&part.sections, "edge", &|_| None).unwrap();
        let edge = config.edge.unwrap();
        assert_eq!((edge.http.unwrap().port(), edge.https.port()), (80, 443));
        let [site] = &edge.sites[..] else { panic!("{:?}", edge.sites) };
        assert_eq!((site.host.as_str(), site.headers), ("ai.example.com", tollhouse_config::HeadersConfig::Tutorial));
        let routes: Vec<(&str, Vec<String>)> =
            site.routes.iter().map(|route| (route.path.as_str(), route.to.texts())).collect();
        assert_eq!(routes, [("/", vec!["http://127.0.0.1:8080".to_owned()]), ("/v1/", vec!["gateway".to_owned()])]);
        let cut = part.notes.iter().find(|note| note.key.ends_with("/v1/: proxy_pass")).unwrap();
        assert!(cut.fate == Fate::Changed && cut.text.contains("stays whole"), "{cut:?}");
    }

    #[test]
    fn groups_files_and_redirects_are_taken() {
        let text = r"
            http {
              upstream app { least_conn; server 10.0.0.1:3000; server 10.0.0.2:3000 weight=2; keepalive 8; }
              server { listen [::]:80; server_name _; if ($host = b.example.com) { return 301 https://$host$request_uri; } }
              server {
                listen 443 ssl; server_name a.example.com *.example.com; client_max_body_size 50m; proxy_read_timeout 5m;
                ssl_certificate /c.pem; ssl_certificate_key /k.pem;
                location / { proxy_pass http://app; }
                location /static/ { alias /srv/x/; expires 1y; }
                location /files { root /srv; }
                location = /old { return 301 https://www.example.com/new; }
                location ~ \.php$ { fastcgi_pass unix:/run/php; }
                location /api/ { proxy_pass http://127.0.0.1:11434; }
              }
            }";
        let part = part("site", text);
        let edge = tollhouse_config::parse(&part.sections, "edge", &|_| None).unwrap().edge.unwrap();
        assert_eq!(edge.http.unwrap().to_string(), "[::]:80");
        let routes: Vec<String> =
            edge.sites[0].routes.iter().map(|route| format!("{} {}", route.path, route.to.texts().join(" "))).collect();
        assert_eq!(
            routes,
            [
                "/ http://10.0.0.1:3000 http://10.0.0.2:3000",
                "/static/ dir:/srv/x",
                "/files dir:/srv/files",
                "/old redirect:https://www.example.com/new",
                "/api/ gateway",
            ]
        );
        let first = &edge.sites[0].routes[0];
        assert_eq!((first.body.0, first.idle.as_secs(), first.balance.as_str()), (50 << 20, 300, "least"));
        assert_eq!(part.servers[0].url, "http://127.0.0.1:11434");
        let left: Vec<&str> =
            part.notes.iter().filter(|note| note.fate == Fate::NotTaken).map(|note| note.key.as_str()).collect();
        assert_eq!(left, ["location", "fastcgi_pass"]);
    }

    /// The routes of a site with these directives, each as `path to`, and what it would be.
    fn routes(directives: &str) -> (Vec<String>, String) {
        let text = format!(
            "server {{ listen 443 ssl; server_name a.example.com; ssl_certificate /c.pem; ssl_certificate_key /k.pem;\n{directives}\n}}"
        );
        let sections = part("site", &text).sections;
        let edge = tollhouse_config::parse(&sections, "edge", &|_| None).unwrap().edge.unwrap();
        let told = |route: &tollhouse_config::RouteConfig| format!("{} {}", route.path, route.to.texts().join(" "));
        (edge.sites[0].routes.iter().map(told).collect(), sections)
    }

    const PASS: &str = "proxy_pass http://127.0.0.1:3999;";

    #[test]
    fn what_nginx_guards_is_refused() {
        for guard in [
            "auth_basic \"staff\";",
            "auth_request /ask;",
            "auth_jwt realm;",
            "auth_pam yes;",
            "access_by_lua_block { ngx.exit(403) }",
            "allow 127.0.0.1; deny all;",
            "deny 10.0.0.0/8;",
            "satisfy any;",
            "internal;",
            "limit_except GET { deny all; }",
            "if ($http_x_key != secret) { return 401; }",
            "include snippets/staff.conf;",
            "return 403;",
            "return 444;",
        ] {
            let (found, text) = routes(&format!("location / {{ {PASS} }} location /a/ {{ {PASS} {guard} }}"));
            assert_eq!(found, ["/ http://127.0.0.1:3999", "/a/ refuse"], "{guard}");
            assert!(text.contains("# - {path: \"/a/\", to: \"http://127.0.0.1:3999\"}"), "{guard}: {text}");
        }
        assert_eq!(routes("location / { root /srv; } location /s { return 403; }").0, ["/ dir:/srv", "/s refuse"]);
        // It says nothing of who may enter.
        for plain in ["allow all;", "auth_basic off;", "include proxy_params;", "auth_basic_user_file /x;"] {
            assert_eq!(routes(&format!("location / {{ {PASS} {plain} }}")).0, ["/ http://127.0.0.1:3999"], "{plain}");
        }
    }

    #[test]
    fn guards_of_a_level_above_hold_below_it() {
        let open = format!("location / {{ {PASS} }} location /open/ {{ {PASS} auth_basic off; allow all; }}");
        for guard in ["auth_basic staff;", "allow 10.0.0.0/8; deny all;"] {
            assert_eq!(routes(&format!("{guard} {open}")).0, ["/ refuse", "/open/ http://127.0.0.1:3999"], "{guard}");
        }
        for guard in ["ssl_verify_client on;", "if ($a) { return 403; }"] {
            assert_eq!(routes(&format!("{guard} {open}")).0, ["/ refuse", "/open/ refuse"], "{guard}");
        }
        let nested = format!("location / {{ {PASS} location /in/ {{ deny all; }} }}");
        assert_eq!(routes(&nested).0, ["/in/ refuse", "/ http://127.0.0.1:3999"]);
        let site = "server { listen 443 ssl; server_name a.b; ssl_certificate /c; ssl_certificate_key /k;";
        let of_http = format!("http {{ auth_basic staff; {site} location / {{ {PASS} }} }} }}");
        assert!(part("site", &of_http).sections.contains("to: refuse"));
    }

    #[test]
    fn a_wider_route_opens_nothing_that_is_guarded() {
        let site = |guarded: &str| {
            routes(&format!("location / {{ {PASS} }} location /v1/ {{ proxy_pass http://127.0.0.1:11434; }} {guarded}"))
        };
        let pattern = r"location ~ /\.git { deny all; }";
        assert_eq!(site(pattern).0, ["/ refuse", "/v1/ gateway"]);
        assert!(site(pattern).1.contains(r"(location ~ /\.git, below this path,)"), "{}", site(pattern).1);
        // Files that begin with a dot are never served.
        assert_eq!(routes(&format!("location / {{ root /srv; }} {pattern}")).0, ["/ dir:/srv"]);
        assert_eq!(site("location ~ ^/admin/ { deny all; }").0[..1], ["/ http://127.0.0.1:3999"]);
        assert_eq!(site("location ~ ^/admin/ { deny all; }").0[2], "/admin/ refuse");
        assert_eq!(site("location ~* ^/admin/ { deny all; }").0[0], "/ refuse");
        // A route is for what is below it, too.
        let exact = format!("location = /up {{ {PASS} }} location / {{ {PASS} deny all; }}");
        assert_eq!(routes(&exact).0, ["/up refuse", "/ refuse"]);
        let both = format!("location = /up {{ {PASS} }} location /up/ {{ {PASS} deny all; }}");
        assert_eq!(routes(&both).0, ["/up refuse"]);
    }

    #[test]
    fn what_nginx_would_not_take_is_told_with_its_line() {
        assert_eq!(fault(TUTORIAL), None);
        for (text, line) in [
            ("server { listen 80", 1),
            ("server {\n listen 80;\n", 1),
            ("server { listen 80; }\n}\n", 2),
            ("server {\n location / {\n deny all }\n}", 3),
            ("server { listen 80; a \"b", 1),
        ] {
            assert_eq!(fault(text).map(|(line, _)| line), Some(line), "{text}");
        }
    }

    #[test]
    fn what_is_no_site_is_none() {
        assert!(is_site(TUTORIAL) && !is_site("listen: 127.0.0.1:1\nollama_api: x") && !is_site("{ \"server\": {} }"));
        assert_eq!(part("site", "server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }").sections, "");
    }
}
