//! The four layers of the defence, from outside in: what can be reached, how it is encrypted, who may enter, what stands behind.

use crate::chart::is_loopback;
use crate::check::{Area, Check, Findings, Repair, Status, Step};
use crate::facts::{DefenceFacts, Facts, KeyFacts, ListenerFacts};
use crate::holes;

/// A key that is older than this should be rotated, in days.
const KEY_AGE_DAYS_MAX: f64 = 365.0;
/// What `systemd-analyze security` calls exposed, of 10.
const EXPOSURE_MAX: f64 = 7.0;
/// Headers that the console's page has to have, with a part of their value.
const HEADERS: [(&str, &str); 4] = [
    ("content-security-policy", "default-src"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", ""),
    ("cross-origin-opener-policy", "same-origin"),
];
/// Programs that must not be reached from other machines without a door of their own.
const NAKED: [(u16, &str); 6] = [
    (11434, "Ollama"),
    (6379, "Redis"),
    (9200, "Elasticsearch"),
    (5601, "Kibana"),
    (5432, "PostgreSQL"),
    (8000, "vLLM"),
];

/// Judges the four layers.
pub fn security(facts: &Facts) -> Findings {
    let defence = &facts.defence;
    let mut checks = vec![open_ports(defence)];
    checks.extend(around(facts));
    checks.push(firewall(defence));
    checks.push(encrypted(facts));
    checks.extend(certificate(facts));
    checks.extend(protocols(facts));
    checks.extend(headers(defence));
    checks.push(authentication(facts));
    checks.extend(keys(defence));
    checks.push(allow_list(defence));
    checks.extend(trusted(defence));
    checks.extend(modes(facts));
    checks.extend(exposure(defence));
    checks.extend(prompts(defence));
    checks.extend(behind(facts));
    checks.sort_by_key(|check| check.area);
    Findings(checks)
}

fn open_ports(defence: &DefenceFacts) -> Check {
    let step = Step::new(Area::Network, "network.open", "what listens where other machines reach it (/proc/net)");
    let known: Vec<String> = defence.open.iter().map(told).collect();
    if known.is_empty() {
        return step.ok("nothing");
    }
    let is_naked =
        |listener: &&ListenerFacts| listener.what.is_none() && NAKED.iter().any(|(port, _)| *port == listener.port);
    let naked: Vec<String> = defence.open.iter().filter(is_naked).map(told).collect();
    if naked.is_empty() {
        return step.ok(known.join(", "));
    }
    let fix = "let it listen on 127.0.0.1 only, or let a firewall close its port: tollhouse export nftables";
    step.warn("naked", format!("programs that ask nobody for a key can be reached: {}", naked.join(", ")), fix)
}

fn told(listener: &ListenerFacts) -> String {
    let by_port = || NAKED.iter().find(|(port, _)| *port == listener.port).map(|(_, name)| (*name).to_owned());
    let name = listener.what.clone().or_else(|| listener.program.clone()).or_else(by_port);
    match name {
        Some(name) => format!("{} ({name})", listener.address),
        None => listener.address.clone(),
    }
}

/// Model servers that can be reached around the gate.
fn around(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for server in facts.servers.iter().filter(|server| server.is_here && !server.listens.is_empty()) {
        let step = Step::new(
            Area::Network,
            "network.around",
            format!("whether {} can be reached around the gate", server.name),
        );
        let step = step.of(server.name.clone());
        let open: Vec<&str> =
            server.listens.iter().map(String::as_str).filter(|address| !is_loopback(address)).collect();
        let port = server.url.rsplit(':').next().and_then(|port| port.trim_end_matches("/v1").parse::<u16>().ok());
        let is_closed = port.is_some_and(|port| drops(facts.defence.firewall.as_deref(), port));
        checks.push(match (open.is_empty(), is_closed) {
            (true, _) => step.ok("it listens on this machine only"),
            (false, true) => {
                step.ok(format!("it listens at {}, and the firewall drops what comes from elsewhere", open.join(", ")))
            }
            (false, false) => step.fault(
                "open",
                format!("it listens at {}: everybody who reaches this machine uses it without a key", open.join(", ")),
                "OLLAMA_HOST=127.0.0.1 (`systemctl edit ollama`), and: tollhouse export nftables | sudo nft --file -",
            ),
        });
    }
    checks
}

/// Whether the rules drop what comes to this port: by a rule of its own, or since all that is not allowed is dropped.
fn drops(rules: Option<&str>, port: u16) -> bool {
    let Some(rules) = rules else { return false };
    let names = |line: &str, port: u16| {
        line.split(|c: char| !c.is_ascii_digit()).any(|word| word.parse() == Ok(port)) && line.contains("dport")
    };
    let is_rule = |line: &&str| names(line, port) && (line.contains("drop") || line.contains("reject"));
    let is_open = |line: &&str| names(line, port) && line.contains("accept") && !line.contains("saddr");
    rules.lines().any(|line| is_rule(&line)) || (has_default_drop(rules) && !rules.lines().any(|line| is_open(&line)))
}

fn has_default_drop(rules: &str) -> bool {
    rules.lines().any(|line| line.contains("hook input") && line.contains("policy drop"))
}

fn firewall(defence: &DefenceFacts) -> Check {
    let step = Step::new(Area::Network, "network.firewall", "the rules of the firewall (nft list ruleset)");
    let Some(rules) = &defence.firewall else {
        return step.skipped("they may not be read: run it as root (sudo tollhouse doctor --security)");
    };
    let is_ours = rules.contains("table inet tollhouse");
    if is_ours || has_default_drop(rules) {
        return step.ok(if is_ours {
            "the rules of `export nftables` are in force"
        } else {
            "what is not allowed is dropped"
        });
    }
    if defence.open.is_empty() {
        return step.ok("none is needed: nothing listens beyond this machine");
    }
    step.warn(
        "none",
        "it drops nothing, and programs listen beyond this machine",
        "tollhouse export nftables | sudo nft --file -",
    )
}

fn encrypted(facts: &Facts) -> Check {
    let defence = &facts.defence;
    let step = Step::new(Area::Transport, "tls.everywhere", "whether keys cross the network in the clear");
    let public = facts.edge.public_url.as_deref();
    match (public, defence.listens_beyond) {
        (Some(url), _) if url.starts_with("http://") && !is_local(url) => step.fault(
            "plain",
            format!("{url} has no TLS: whoever is on the way reads keys and prompts"),
            "let a proxy with a certificate serve it (nginx and certbot), and write https:// in `public_url`",
        ),
        (Some(url), true) => step.warn(
            "beside",
            format!("{url} has TLS, and the gate itself can be reached beside it without ({})", facts.gate.listen),
            "listen: 127.0.0.1:PORT where the proxy is on this machine, or a firewall that lets the proxy alone in",
        ),
        (Some(url), false) => step.ok(url),
        (None, true) => step.fault(
            "plain",
            format!("the gate listens at {} without TLS: whoever is on the way reads keys and prompts", facts.gate.listen),
            "listen: 127.0.0.1:PORT behind a proxy with TLS, whose address is `public_url`; in a closed network at least `access.allow`",
        ),
        (None, false) => step.ok("nothing leaves this machine"),
    }
}

fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]")
}

fn certificate(facts: &Facts) -> Option<Check> {
    let seen = facts.edge.certificate.as_ref()?;
    let step = Step::new(Area::Transport, "tls.certificate", format!("the certificate of {}", seen.name));
    Some(match seen.status {
        Status::Skipped => step.skipped(seen.found.clone()),
        Status::Ok => step.ok(seen.found.clone()),
        Status::Warn => step.warn("ends_soon", seen.found.clone(), "certbot renew"),
        Status::Fault => {
            step.fault("bad", seen.found.clone(), "certbot renew, and let the proxy load it: nginx -s reload")
        }
    })
}

fn protocols(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for nginx in facts.edge.nginx.iter().filter(|nginx| !nginx.protocols.is_empty()) {
        let step = Step::new(Area::Transport, "tls.versions", format!("`ssl_protocols` in {}", nginx.file))
            .of(nginx.file.clone());
        let old = |version: &&String| ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"].contains(&version.as_str());
        let bad: Vec<&str> = nginx.protocols.iter().filter(old).map(String::as_str).collect();
        checks.push(if bad.is_empty() {
            step.ok(nginx.protocols.join(" "))
        } else {
            let found = format!("{} are allowed, which are broken or long out of use", bad.join(", "));
            step.warn("old", found, "ssl_protocols TLSv1.2 TLSv1.3;")
        });
    }
    checks
}

fn headers(defence: &DefenceFacts) -> Vec<Check> {
    let step = || Step::new(Area::Transport, "tls.headers", "the headers of the console's page");
    if defence.page.answer().is_none() {
        return vec![step().skipped("the page does not answer")];
    }
    let is_missing =
        |(name, part): &&(&str, &str)| !defence.page.header(name).is_some_and(|value| value.contains(part));
    let mut missing: Vec<&str> = HEADERS.iter().filter(is_missing).map(|(name, _)| *name).collect();
    if defence.page_by_tls && defence.page.header("strict-transport-security").is_none() {
        missing.push("strict-transport-security");
    }
    vec![if missing.is_empty() {
        step().ok("all that browsers heed are there")
    } else {
        let found = format!("{} are missing", missing.join(", "));
        let fix = "let the proxy pass our headers on as they are, and add: add_header Strict-Transport-Security \"max-age=31536000\" always;";
        step().warn("missing", found, fix)
    }]
}

fn authentication(facts: &Facts) -> Check {
    let step = Step::new(Area::Entry, "entry.keys_needed", "whether a key is needed (`access.auth`)");
    if facts.gate.needs_keys {
        return step.ok("every request needs one");
    }
    let fix = "auth: keys under `access`, and: tollhouse key create --name me";
    if facts.edge.public_url.is_some() || !facts.edge.nginx.is_empty() {
        return step.fault("off", "nobody is asked for a key, and a proxy brings others here", fix);
    }
    step.warn("off", "nobody is asked for a key; every program of this machine may use the models", fix)
}

fn keys(defence: &DefenceFacts) -> Vec<Check> {
    let mut checks = Vec::new();
    let names = |is: &dyn Fn(&KeyFacts) -> bool| -> Vec<&str> {
        defence.keys.iter().filter(|key| is(key)).map(|key| key.id.as_str()).collect()
    };
    let defaults = names(&|key| key.is_default);
    let step = Step::new(Area::Entry, "entry.default_secrets", "keys that stand in tutorials and examples");
    checks.push(if defaults.is_empty() {
        step.ok("none")
    } else {
        let found = format!("{} can be guessed: it stands in tutorials", defaults.join(", "));
        step.fault("guessable", found, "make keys with `tollhouse key create`, and take this one out")
    });
    let old = names(&|key| key.age_days.is_some_and(|days| days > KEY_AGE_DAYS_MAX) && !key.expires);
    let step = Step::new(Area::Entry, "entry.key_age", "the ages of keys");
    checks.push(if old.is_empty() {
        step.ok(format!("none of {} is older than a year", defence.keys.len()))
    } else {
        let found = format!("{} are older than a year and never end", old.join(", "));
        step.warn("old", found, "tollhouse key rotate ID --overlap 7d, and give the new one out")
    });
    let free = names(&|key| key.role == "admin" && !key.is_bound && !key.expires);
    let step = Step::new(Area::Entry, "entry.admin_keys", "keys of the role admin");
    checks.push(if free.is_empty() {
        step.ok("none that holds everywhere and for ever")
    } else {
        let found = format!("{} may pull and delete models from everywhere, for ever", free.join(", "));
        step.warn("unbound", found, "make admin keys with --allow and --expires, and revoke this one")
    });
    checks
}

/// Whether a network has every address of its family in it.
fn is_everybody(network: &str) -> bool {
    network.split_once('/').is_some_and(|(_, bits)| bits == "0")
}

fn allow_list(defence: &DefenceFacts) -> Check {
    let step = Step::new(Area::Entry, "entry.allow_list", "`access.allow`");
    let open: Vec<&str> = defence.allow.iter().map(String::as_str).filter(|network| is_everybody(network)).collect();
    let is_nobody = |network: &&String| {
        let address: Option<std::net::IpAddr> = network.split('/').next().and_then(|address| address.parse().ok());
        // Networks of documentation (RFC 5737, RFC 3849), and addresses that nobody has.
        let named =
            ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"].iter().any(|begin| network.starts_with(begin));
        named
            || address
                .is_some_and(|address| address.is_multicast() || (address.is_unspecified() && !is_everybody(network)))
    };
    if defence.allow.is_empty() {
        return if defence.listens_beyond {
            let found = "there is none, and the gate listens beyond this machine: every address may try keys";
            step.warn("none", found, "access: {allow: [127.0.0.1, 10.0.0.0/16]}, with your own network")
        } else {
            step.ok("none is needed on this machine alone")
        };
    }
    if !open.is_empty() {
        let found = format!("{} is everybody: the list keeps nobody out", open.join(", "));
        return step.warn("everybody", found, "name your own networks in its place");
    }
    if defence.allow.iter().all(|network| is_nobody(&network)) {
        let found = format!("nobody has an address of {}: the list keeps everybody out", defence.allow.join(", "));
        return step.fault("nobody", found, "name your own networks in its place");
    }
    let only_here = defence.allow.iter().all(|network| network.starts_with("127.") || network.starts_with("::1"));
    if only_here && defence.listens_beyond && defence.trusted_proxies.is_empty() {
        let found = "the gate listens beyond this machine, and the list lets this machine alone in";
        return step.warn("only_here", found, "add the networks of your users, or listen on 127.0.0.1");
    }
    step.ok(defence.allow.join(", "))
}

fn trusted(defence: &DefenceFacts) -> Option<Check> {
    if defence.trusted_proxies.is_empty() {
        return None;
    }
    let step = Step::new(Area::Entry, "entry.trusted_proxies", "`access.trusted_proxies`");
    let open: Vec<&str> =
        defence.trusted_proxies.iter().map(String::as_str).filter(|network| is_everybody(network)).collect();
    Some(if open.is_empty() {
        step.ok(defence.trusted_proxies.join(", "))
    } else {
        let found = format!("{} is everybody: whoever comes may say that he is somebody else", open.join(", "));
        step.fault("everybody", found, "name the addresses of your proxies alone")
    })
}

fn modes(facts: &Facts) -> Vec<Check> {
    const OTHERS: u32 = 0o007;
    let secret = facts.places.iter().filter(|place| place.is_secret && place.exists);
    let judged = secret.filter_map(|place| {
        let mode = place.mode? & 0o777;
        let step = Step::new(Area::Entry, "entry.file_modes", format!("{}: {}", place.what, place.path))
            .of(place.what.clone());
        Some(if mode & OTHERS == 0 {
            step.ok(format!("mode {mode:o}"))
        } else {
            let closed = mode & !0o027;
            let found = format!("everybody on this machine may read it (mode {mode:o})");
            let repair = Repair::Mode(place.path.clone().into(), closed);
            step.warn("open", found, repair.to_string()).mended_by(repair)
        })
    });
    judged.collect()
}

fn exposure(defence: &DefenceFacts) -> Option<Check> {
    let score = defence.exposure?;
    let step = Step::new(Area::Entry, "entry.systemd", "systemd-analyze security tollhouse");
    Some(if score > EXPOSURE_MAX {
        let fix = "ProtectSystem=strict, NoNewPrivileges=yes, PrivateTmp=yes, CapabilityBoundingSet= in its unit";
        step.warn("exposed", format!("{score} of 10: a hole in the program would reach the whole system"), fix)
    } else {
        step.ok(format!("{score} of 10"))
    })
}

fn prompts(defence: &DefenceFacts) -> Option<Check> {
    if !defence.keeps_prompts_whole {
        return None;
    }
    let step = Step::new(Area::Entry, "entry.prompts_kept", "`logging.content`");
    let found = "prompts and answers are kept as they are, with what people write into them";
    Some(step.warn("whole", found, "content: redacted, or a short `keep`"))
}

fn behind(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for server in facts.servers.iter().filter(|server| server.is_ollama()) {
        let step = |id, looked: &str| {
            Step::new(Area::Behind, id, format!("{looked} of {}", server.name)).of(server.name.clone())
        };
        let known = step("behind.known_holes", "the version");
        checks.push(match server.version() {
            None => known.skipped("it does not tell its version"),
            Some(version) => {
                let holes = holes::of("ollama", version);
                if holes.is_empty() {
                    known.ok(format!("{version}: no hole of our table (docs/doctor.md)"))
                } else {
                    let told: Vec<String> = holes.iter().map(|hole| format!("{} ({})", hole.id, hole.what)).collect();
                    let found = format!("{version}: {}", told.join("; "));
                    known.fault("known_holes", found, format!("update Ollama to {} or later", holes::fixed_in(&holes)))
                }
            }
        });
        let origins = server.environment.as_ref().and_then(|environment| environment.get("OLLAMA_ORIGINS"));
        if let Some(origins) = origins {
            let step = step("behind.origins", "OLLAMA_ORIGINS");
            checks.push(if origins.split(',').any(|origin| origin.trim() == "*") {
                step.warn(
                    "everybody",
                    "every web page that somebody opens on this machine may use it",
                    "take OLLAMA_ORIGINS=* out of its environment",
                )
            } else {
                step.ok(origins.clone())
            });
        }
    }
    for server in facts.servers.iter().filter(|server| !server.is_here && server.kind != "demo") {
        let step = Step::new(Area::Behind, "behind.way", format!("the way to {}", server.name)).of(server.name.clone());
        checks.push(if server.url.starts_with("https://") {
            step.ok("by TLS")
        } else {
            let found = format!(
                "{} is on another machine and asked without TLS: whoever is on the way reads prompts",
                server.url
            );
            step.warn("plain", found, "a proxy with TLS before it, or a tunnel (WireGuard) between the machines")
        });
    }
    checks
}
