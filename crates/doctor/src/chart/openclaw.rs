//! OpenClaw's settings for living behind this house.

use serde_json::Value;

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, OpenClawFacts};

/// Keys that OpenClaw takes for "this server wants none": with them it sends no key at all.
const MARKER_KEYS: [&str; 6] = ["ollama-local", "ollama", "local", "none", "sk-local", "THE-KEY-THAT-KEY-CREATE-SHOWS"];
/// OpenClaw gives up on a model after so many seconds where its settings say less than the gate waits.
const TIMEOUT_S: f64 = 120.0;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let Some(openclaw) = &facts.openclaw else { return Vec::new() };
    let readable = step(openclaw, "openclaw.settings", "its settings");
    if let Some(problem) = &openclaw.problem {
        let fix = "mend the file; OpenClaw itself says more: openclaw doctor";
        return vec![readable.fault("unreadable", problem.clone(), fix)];
    }
    let mut checks = vec![readable.ok("readable")];
    checks.extend(providers(facts, openclaw));
    checks.extend(behind_proxy(facts, openclaw));
    checks.push(log_file(openclaw));
    checks
}

fn step(openclaw: &OpenClawFacts, id: &'static str, looked: &str) -> Step {
    Step::new(Area::Assistant, id, format!("{looked} in {}", openclaw.file))
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
            let found = format!("the provider {name} goes to {base}, around the gate: no limit, no record, no `why`");
            let fix = format!("baseUrl: \"http://{}/v1\" and a key of this house", facts.gate.listen);
            checks.push(
                step(openclaw, "openclaw.base_url", "models.providers.*.baseUrl")
                    .of(name.clone())
                    .warn("around", found, fix),
            );
        }
    }
    if !comes_here && checks.is_empty() {
        let step = step(openclaw, "openclaw.base_url", "models.providers.*.baseUrl");
        let fix = "`tollhouse init --from` its settings prints the lines that make it ask this house";
        checks.push(step.warn("not_here", "no provider asks this house for its models", fix));
    }
    checks
}

fn provider_of_ours(facts: &Facts, openclaw: &OpenClawFacts, name: &str, provider: &Value) -> Vec<Check> {
    let step = |id, looked: &str| step(openclaw, id, looked).of(name);
    let mut checks = vec![step("openclaw.base_url", "baseUrl").ok("it asks this house")];
    let key = provider["apiKey"].as_str().unwrap_or_default();
    let key_step = step("openclaw.api_key", "apiKey");
    checks.push(if !facts.gate.needs_keys {
        key_step.ok("this house asks for none")
    } else if key.is_empty() && provider["apiKey"].is_object() {
        key_step.ok("it is kept elsewhere")
    } else if key.is_empty() || MARKER_KEYS.contains(&key) {
        let found = if key.is_empty() {
            "there is none".to_owned()
        } else {
            format!("{key:?} is a marker: OpenClaw sends no key with it")
        };
        let fix = "tollhouse key create --name openclaw, and write the key there";
        key_step.fault("no_key", format!("{found}, so every request is refused with 401"), fix)
    } else {
        key_step.ok("there is one")
    });
    let timeout = provider["timeoutSeconds"].as_f64();
    let timeout_step = step("openclaw.timeout", "timeoutSeconds");
    let wanted = facts.gate.first_byte_s.max(TIMEOUT_S);
    checks.push(match timeout {
        Some(seconds) if seconds < wanted => timeout_step.warn(
            "too_short",
            format!("it gives up after {seconds} s, and the gate waits {wanted} s for a model: it asks again with the whole prompt meanwhile"),
            format!("timeoutSeconds: {:.0}", wanted.max(600.0)),
        ),
        Some(seconds) => timeout_step.ok(format!("{seconds} s")),
        None => timeout_step.ok("not set: its own, which is long enough"),
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
        proxies.ok("this machine is among them")
    } else {
        let found = "the proxy on this machine is not among them: OpenClaw answers 403 proxy_attribution_required";
        proxies.warn("missing", found, "\"trustedProxies\": [\"127.0.0.1\"]")
    };
    let origins = gateway.pointer("/controlUi/allowedOrigins").and_then(Value::as_array);
    let allows = origins.into_iter().flatten().filter_map(Value::as_str).any(|origin| origin == url || origin == "*");
    let origin = step(openclaw, "openclaw.allowed_origins", "gateway.controlUi.allowedOrigins");
    let origin = if allows {
        origin.ok("the public address is among them")
    } else {
        let found = format!("{url} is not among them: browsers that come that way are refused (1008)");
        origin.warn("missing", found, format!("\"controlUi\": {{\"allowedOrigins\": [\"{url}\"]}}"))
    };
    vec![proxies, origin]
}

fn log_file(openclaw: &OpenClawFacts) -> Check {
    let step = step(openclaw, "openclaw.log_file", "logging.file");
    match openclaw.settings.pointer("/logging/file").and_then(Value::as_str) {
        Some(file) => step.ok(file),
        None => step.warn(
            "thrown_away",
            "it is not set: OpenClaw writes below /tmp/openclaw and throws that away after a day",
            "\"logging\": {\"file\": \"/var/log/openclaw/gateway.log\"}, and a source of format openclaw here",
        ),
    }
}
