//! The four layers of the defence, from outside in: what can be reached, how it is encrypted, who may enter, what stands behind.

use crate::chart::is_loopback;
use crate::check::{Area, Check, Findings, Repair, Status, Step};
use crate::facts::{DefenceFacts, Facts, KeyFacts, ListenerFacts};
use crate::holes;
use crate::said::Said;

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
    checks.push(headers(defence));
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
    let step = Step::new(Area::Network, "network.open", Said::AtOpen {});
    let known: Vec<String> = defence.open.iter().map(told).collect();
    if known.is_empty() {
        return step.ok(Said::OpenNothing {});
    }
    let is_naked =
        |listener: &&ListenerFacts| listener.what.is_none() && NAKED.iter().any(|(port, _)| *port == listener.port);
    let naked: Vec<String> = defence.open.iter().filter(is_naked).map(told).collect();
    if naked.is_empty() {
        return step.ok(Said::words(known.join(", ")));
    }
    step.warn("naked", Said::OpenNaked { programs: naked.join(", ") }, Said::DoNaked {})
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
        let looked = Said::AtAround { name: server.name.clone() };
        let step = Step::new(Area::Network, "network.around", looked).of(server.name.clone());
        let open: Vec<&str> =
            server.listens.iter().map(String::as_str).filter(|address| !is_loopback(address)).collect();
        let addresses = open.join(", ");
        let port = server.url.rsplit(':').next().and_then(|port| port.trim_end_matches("/v1").parse::<u16>().ok());
        let is_closed = port.is_some_and(|port| drops(facts.defence.firewall.as_deref(), port));
        checks.push(match (open.is_empty(), is_closed) {
            (true, _) => step.ok(Said::AroundHere {}),
            (false, true) => step.ok(Said::AroundDropped { addresses }),
            (false, false) => step.fault("open", Said::AroundOpen { addresses }, Said::DoAround {}),
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
    let step = Step::new(Area::Network, "network.firewall", Said::AtFirewall {});
    let Some(rules) = &defence.firewall else { return step.skipped(Said::FirewallHidden {}) };
    if rules.contains("table inet tollhouse") {
        return step.ok(Said::FirewallOurs {});
    }
    if has_default_drop(rules) {
        return step.ok(Said::FirewallDrops {});
    }
    if defence.open.is_empty() {
        return step.ok(Said::FirewallNotNeeded {});
    }
    step.warn("none", Said::FirewallNone {}, Said::command("tollhouse export nftables | sudo nft --file -"))
}

fn encrypted(facts: &Facts) -> Check {
    let defence = &facts.defence;
    let step = Step::new(Area::Transport, "tls.everywhere", Said::AtEncryption {});
    let address = facts.gate.listen.clone();
    match (facts.edge.public_url.clone(), defence.listens_beyond) {
        (Some(url), _) if url.starts_with("http://") && !is_local(&url) => {
            step.fault("plain", Said::PublicPlain { url }, Said::DoPublicTls {})
        }
        (Some(url), true) => step.warn("beside", Said::PublicBeside { url, address }, Said::DoBeside {}),
        (Some(url), false) => step.ok(Said::words(url)),
        (None, true) => step.fault("plain", Said::GatePlain { address }, Said::DoGatePlain {}),
        (None, false) => step.ok(Said::StaysHere {}),
    }
}

fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]")
}

fn certificate(facts: &Facts) -> Option<Check> {
    let seen = facts.edge.certificate.as_ref()?;
    let step = Step::new(Area::Transport, "tls.certificate", Said::AtCertificate { name: seen.name.clone() });
    let found = seen.sentence();
    Some(match seen.status {
        Status::Skipped => step.skipped(found),
        Status::Ok => step.ok(found),
        Status::Warn => step.warn("ends_soon", found, Said::DoRenew {}),
        Status::Fault => step.fault("bad", found, Said::DoRenew {}),
    })
}

fn protocols(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for nginx in facts.edge.nginx.iter().filter(|nginx| !nginx.protocols.is_empty()) {
        let looked = Said::AtProtocols { file: nginx.file.clone() };
        let step = Step::new(Area::Transport, "tls.versions", looked).of(nginx.file.clone());
        let old = |version: &&String| ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"].contains(&version.as_str());
        let bad: Vec<&str> = nginx.protocols.iter().filter(old).map(String::as_str).collect();
        checks.push(if bad.is_empty() {
            step.ok(Said::words(nginx.protocols.join(" ")))
        } else {
            let found = Said::ProtocolsOld { versions: bad.join(", ") };
            step.warn("old", found, Said::command("ssl_protocols TLSv1.2 TLSv1.3;"))
        });
    }
    checks
}

fn headers(defence: &DefenceFacts) -> Check {
    let step = Step::new(Area::Transport, "tls.headers", Said::AtHeaders {});
    if defence.page.answer().is_none() {
        return step.skipped(Said::PageAway {});
    }
    let is_missing =
        |(name, part): &&(&str, &str)| !defence.page.header(name).is_some_and(|value| value.contains(part));
    let mut missing: Vec<&str> = HEADERS.iter().filter(is_missing).map(|(name, _)| *name).collect();
    if defence.page_by_tls && defence.page.header("strict-transport-security").is_none() {
        missing.push("strict-transport-security");
    }
    if missing.is_empty() {
        return step.ok(Said::HeadersThere {});
    }
    step.warn("missing", Said::HeadersMissing { headers: missing.join(", ") }, Said::DoHeaders {})
}

fn authentication(facts: &Facts) -> Check {
    let step = Step::new(Area::Entry, "entry.keys_needed", Said::AtKeysNeeded {});
    if facts.gate.needs_keys {
        return step.ok(Said::KeysNeeded {});
    }
    if facts.edge.public_url.is_some() || !facts.edge.nginx.is_empty() {
        return step.fault("off", Said::KeysOffOpen {}, Said::DoKeysOn {});
    }
    step.warn("off", Said::KeysOffHere {}, Said::DoKeysOn {})
}

fn keys(defence: &DefenceFacts) -> Vec<Check> {
    let names = |is: &dyn Fn(&KeyFacts) -> bool| -> Option<String> {
        let ids: Vec<&str> = defence.keys.iter().filter(|key| is(key)).map(|key| key.id.as_str()).collect();
        (!ids.is_empty()).then(|| ids.join(", "))
    };
    let defaults = Step::new(Area::Entry, "entry.default_secrets", Said::AtDefaultSecrets {});
    let defaults = match names(&|key| key.is_default) {
        None => defaults.ok(Said::Nothing {}),
        Some(keys) => defaults.fault("guessable", Said::KeysGuessable { keys }, Said::DoGuessable {}),
    };
    let age = Step::new(Area::Entry, "entry.key_age", Said::AtKeyAge {});
    let age = match names(&|key| key.age_days.is_some_and(|days| days > KEY_AGE_DAYS_MAX) && !key.expires) {
        None => age.ok(Said::KeysYoung { count: defence.keys.len() }),
        Some(keys) => age.warn("old", Said::KeysOld { keys }, Said::DoKeysOld {}),
    };
    let admin = Step::new(Area::Entry, "entry.admin_keys", Said::AtAdminKeys {});
    let admin = match names(&|key| key.role == "admin" && !key.is_bound && !key.expires) {
        None => admin.ok(Said::AdminKeysBound {}),
        Some(keys) => admin.warn("unbound", Said::AdminKeysFree { keys }, Said::DoAdminKeys {}),
    };
    vec![defaults, age, admin]
}

/// Whether a network has every address of its family in it.
fn is_everybody(network: &str) -> bool {
    network.split_once('/').is_some_and(|(_, bits)| bits == "0")
}

fn allow_list(defence: &DefenceFacts) -> Check {
    let step = Step::new(Area::Entry, "entry.allow_list", Said::AtAllow {});
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
            step.warn("none", Said::AllowNone {}, Said::DoAllowNone {})
        } else {
            step.ok(Said::AllowNotNeeded {})
        };
    }
    if !open.is_empty() {
        return step.warn("everybody", Said::AllowEverybody { networks: open.join(", ") }, Said::DoAllow {});
    }
    let networks = defence.allow.join(", ");
    if defence.allow.iter().all(|network| is_nobody(&network)) {
        return step.fault("nobody", Said::AllowNobody { networks }, Said::DoAllow {});
    }
    let only_here = defence.allow.iter().all(|network| network.starts_with("127.") || network.starts_with("::1"));
    if only_here && defence.listens_beyond && defence.trusted_proxies.is_empty() {
        return step.warn("only_here", Said::AllowOnlyHere {}, Said::DoAllowOnlyHere {});
    }
    step.ok(Said::words(networks))
}

fn trusted(defence: &DefenceFacts) -> Option<Check> {
    if defence.trusted_proxies.is_empty() {
        return None;
    }
    let step = Step::new(Area::Entry, "entry.trusted_proxies", Said::AtTrusted {});
    let open: Vec<&str> =
        defence.trusted_proxies.iter().map(String::as_str).filter(|network| is_everybody(network)).collect();
    Some(if open.is_empty() {
        step.ok(Said::words(defence.trusted_proxies.join(", ")))
    } else {
        step.fault("everybody", Said::TrustedEverybody { networks: open.join(", ") }, Said::DoTrusted {})
    })
}

fn modes(facts: &Facts) -> Vec<Check> {
    const OTHERS: u32 = 0o007;
    let secret = facts.places.iter().filter(|place| place.is_secret && place.exists);
    let judged = secret.filter_map(|place| {
        let bits = place.mode? & 0o777;
        let mode = format!("{bits:o}");
        let looked = Said::AtPlace { what: place.what.clone(), path: place.path.clone() };
        let step = Step::new(Area::Entry, "entry.file_modes", looked).of(place.what.clone());
        Some(if bits & OTHERS == 0 {
            step.ok(Said::ModeIs { mode })
        } else {
            let repair = Repair::Mode(place.path.clone().into(), bits & !0o027);
            step.warn("open", Said::ModeOpen { mode }, Said::command(repair.to_string())).mended_by(repair)
        })
    });
    judged.collect()
}

fn exposure(defence: &DefenceFacts) -> Option<Check> {
    let exposure = defence.exposure?;
    let step = Step::new(Area::Entry, "entry.systemd", Said::AtExposure {});
    Some(if exposure > EXPOSURE_MAX {
        step.warn("exposed", Said::ExposureHigh { exposure }, Said::DoExposure {})
    } else {
        step.ok(Said::ExposureIs { exposure })
    })
}

fn prompts(defence: &DefenceFacts) -> Option<Check> {
    let step = Step::new(Area::Entry, "entry.prompts_kept", Said::AtPrompts {});
    defence.keeps_prompts_whole.then(|| step.warn("whole", Said::PromptsWhole {}, Said::DoPrompts {}))
}

fn behind(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for server in facts.servers.iter().filter(|server| server.is_ollama()) {
        let name = || server.name.clone();
        let step = |id, looked: Said| Step::new(Area::Behind, id, looked).of(name());
        checks.push(known_holes(step("behind.known_holes", Said::AtBehindVersion { name: name() }), server.version()));
        let origins = server.environment.as_ref().and_then(|environment| environment.get("OLLAMA_ORIGINS"));
        if let Some(origins) = origins {
            let step = step("behind.origins", Said::AtOrigins { name: name() });
            checks.push(if origins.split(',').any(|origin| origin.trim() == "*") {
                step.warn("everybody", Said::OriginsEverybody {}, Said::DoOrigins {})
            } else {
                step.ok(Said::words(origins))
            });
        }
    }
    for server in facts.servers.iter().filter(|server| !server.is_here && server.kind != "demo") {
        let looked = Said::AtWay { name: server.name.clone() };
        let step = Step::new(Area::Behind, "behind.way", looked).of(server.name.clone());
        checks.push(if server.url.starts_with("https://") {
            step.ok(Said::WayTls {})
        } else {
            step.warn("plain", Said::WayPlain { url: server.url.clone() }, Said::DoWayPlain {})
        });
    }
    checks
}

fn known_holes(step: Step, version: Option<&str>) -> Check {
    let Some(version) = version.map(str::to_owned) else { return step.skipped(Said::VersionUntold {}) };
    let holes = holes::of("ollama", &version);
    if holes.is_empty() {
        return step.ok(Said::VersionSound { version });
    }
    let told = holes.iter().map(|hole| Said::Hole { id: hole.id.to_owned(), what: hole.what.to_owned() });
    let found: Vec<Said> = [Said::VersionHoles { version }].into_iter().chain(told).collect();
    step.fault("known_holes", found, Said::DoUpdateOllama { version: holes::fixed_in(&holes).to_owned() })
}
