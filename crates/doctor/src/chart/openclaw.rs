//! OpenClaw's settings for living behind this house.

use serde_json::Value;

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, OpenClawFacts};
use crate::said::Said;

/// Keys that OpenClaw takes for "this server wants none": with them it sends no key at all.
const MARKER_KEYS: [&str; 6] = ["ollama-local", "ollama", "local", "none", "sk-local", "THE-KEY-THAT-KEY-CREATE-SHOWS"];
/// OpenClaw gives up on a model after so many seconds where its settings say less than the gate waits.
const TIMEOUT_S: f64 = 120.0;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let Some(openclaw) = &facts.openclaw else { return Vec::new() };
    let looked = Said::AtOpenClawSettings { file: openclaw.file.clone() };
    let readable = Step::new(Area::Assistant, "openclaw.settings", looked);
    if let Some(problem) = &openclaw.problem {
        return vec![readable.fault("unreadable", Said::words(problem), Said::DoOpenClawSettings {})];
    }
    let mut checks = vec![readable.ok(Said::SettingsReadable {})];
    checks.extend(providers(facts, openclaw));
    checks.extend(behind_proxy(facts, openclaw));
    checks.push(log_file(openclaw));
    checks
}

fn step(openclaw: &OpenClawFacts, id: &'static str, setting: &str) -> Step {
    let looked = Said::AtOpenClaw { setting: setting.to_owned(), file: openclaw.file.clone() };
    Step::new(Area::Assistant, id, looked)
}

/// The port at the end of an address.
fn port(address: &str) -> Option<u16> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next()?.rsplit_once(':')?.1.parse().ok()
}

fn providers(facts: &Facts, openclaw: &OpenClawFacts) -> Vec<Check> {
    let gate = port(&facts.gate.listen);
    let public = facts.edge.public_url.as_deref();
    let servers: Vec<u16> =
        facts.servers.iter().filter(|server| server.is_here).filter_map(|server| port(&server.url)).collect();
    let providers = openclaw.settings.pointer("/models/providers").and_then(Value::as_object);
    let mut checks = Vec::new();
    let mut comes_here = false;
    for (name, provider) in providers.into_iter().flatten() {
        let base = provider["baseUrl"].as_str().unwrap_or_default();
        let is_ours =
            port(base).is_some_and(|port| Some(port) == gate) || public.is_some_and(|url| base.starts_with(url));
        if is_ours {
            comes_here = true;
            checks.extend(provider_of_ours(facts, openclaw, name, provider));
        } else if port(base).is_some_and(|port| servers.contains(&port)) {
            let step = step(openclaw, "openclaw.base_url", "models.providers.*.baseUrl").of(name.clone());
            let found = Said::ProviderAround { provider: name.clone(), url: base.to_owned() };
            checks.push(step.warn("around", found, Said::DoProviderAround { address: facts.gate.listen.clone() }));
        }
    }
    if !comes_here && checks.is_empty() {
        let step = step(openclaw, "openclaw.base_url", "models.providers.*.baseUrl");
        checks.push(step.warn("not_here", Said::ProviderNone {}, Said::DoProvider {}));
    }
    checks
}

fn provider_of_ours(facts: &Facts, openclaw: &OpenClawFacts, name: &str, provider: &Value) -> Vec<Check> {
    let step = |id, setting: &str| step(openclaw, id, setting).of(name);
    let mut checks = vec![step("openclaw.base_url", "baseUrl").ok(Said::ProviderOurs {})];
    let key = provider["apiKey"].as_str().unwrap_or_default();
    let key_step = step("openclaw.api_key", "apiKey");
    checks.push(if !facts.gate.needs_keys {
        key_step.ok(Said::KeyNotNeeded {})
    } else if key.is_empty() && provider["apiKey"].is_object() {
        key_step.ok(Said::KeyElsewhere {})
    } else if key.is_empty() {
        key_step.fault("no_key", Said::KeyMissing {}, Said::DoOpenClawKey {})
    } else if MARKER_KEYS.contains(&key) {
        key_step.fault("no_key", Said::KeyMarker { key: key.to_owned() }, Said::DoOpenClawKey {})
    } else {
        key_step.ok(Said::KeyThere {})
    });
    let timeout_step = step("openclaw.timeout", "timeoutSeconds");
    let wanted_s = facts.gate.first_byte_s.max(TIMEOUT_S);
    checks.push(match provider["timeoutSeconds"].as_f64() {
        Some(timeout_s) if timeout_s < wanted_s => {
            let fix = Said::command(format!("timeoutSeconds: {:.0}", wanted_s.max(600.0)));
            timeout_step.warn("too_short", Said::OpenClawImpatient { timeout_s, wanted_s }, fix)
        }
        Some(timeout_s) => timeout_step.ok(Said::WaitsFor { timeout_s }),
        None => timeout_step.ok(Said::TimeoutOwn {}),
    });
    checks
}

/// What it needs where a proxy on this machine, ours or another, passes browsers on to it.
fn behind_proxy(facts: &Facts, openclaw: &OpenClawFacts) -> Vec<Check> {
    let Some(url) = facts.edge.public_url.as_deref().filter(|url| url.starts_with("https://")) else {
        return Vec::new();
    };
    let gateway = &openclaw.settings["gateway"];
    let trusted = gateway["trustedProxies"].as_array();
    let trusts = trusted
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|net| net.starts_with("127.") || net.starts_with("::1"));
    let proxies = step(openclaw, "openclaw.trusted_proxies", "gateway.trustedProxies");
    let proxies = if trusts {
        proxies.ok(Said::ProxiesTrusted {})
    } else {
        let fix = Said::command("\"trustedProxies\": [\"127.0.0.1\"]");
        proxies.warn("missing", Said::ProxiesUntrusted {}, fix)
    };
    let origins = gateway.pointer("/controlUi/allowedOrigins").and_then(Value::as_array);
    let allows = origins.into_iter().flatten().filter_map(Value::as_str).any(|origin| origin == url || origin == "*");
    let origin = step(openclaw, "openclaw.allowed_origins", "gateway.controlUi.allowedOrigins");
    let origin = if allows {
        origin.ok(Said::OriginAllowed {})
    } else {
        let fix = Said::command(format!("\"controlUi\": {{\"allowedOrigins\": [\"{url}\"]}}"));
        origin.warn("missing", Said::OriginRefused { url: url.to_owned() }, fix)
    };
    vec![proxies, origin]
}

fn log_file(openclaw: &OpenClawFacts) -> Check {
    let step = step(openclaw, "openclaw.log_file", "logging.file");
    match openclaw.settings.pointer("/logging/file").and_then(Value::as_str) {
        Some(file) => step.ok(Said::words(file)),
        None => step.warn("thrown_away", Said::LogThrownAway {}, Said::DoLogFile {}),
    }
}
