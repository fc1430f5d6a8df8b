//! A model server: reached, alive, with its models, answering, and set up for what it is asked.

use serde_json::Value;

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, Reach, ServerFacts};

/// A model in memory answers a small question within this, in milliseconds (B03).
const ANSWER_MS_MAX: f64 = 1000.0;
/// What Ollama works on at once where nobody says otherwise.
const PARALLEL: u32 = 1;

pub(super) fn checks(facts: &Facts, server: &ServerFacts) -> Vec<Check> {
    if server.kind == "demo" {
        return Vec::new();
    }
    let mut checks = vec![port(server), answer(server)];
    if server.version.body().is_none() {
        return checks;
    }
    let models = models(server);
    let has_models = models.status == crate::Status::Ok;
    checks.push(models);
    checks.extend(server.spoke.as_ref().filter(|_| has_models).map(|_| spoke(server)));
    if server.is_ollama() {
        checks.push(version(server));
        checks.extend(bind(server));
        checks.extend(parallel(server));
        checks.extend(context(server));
        checks.extend(memory(facts, server));
        checks.extend(flash_attention(facts, server));
    }
    checks
}

fn step(server: &ServerFacts, id: &'static str, looked: impl Into<String>) -> Step {
    Step::new(Area::Server, id, looked).of(server.name.clone())
}

fn port(server: &ServerFacts) -> Check {
    let step = step(server, "server.port", format!("a connection to {}", server.url));
    let fix = match (server.is_ollama(), server.is_here) {
        (true, true) => {
            "start it: systemctl start ollama (or `ollama serve`); let tollhouse look after it with `supervise`"
        }
        (true, false) => {
            "start Ollama there, and let it listen where this machine reaches it (OLLAMA_HOST) behind a firewall"
        }
        _ => "start the model server, or mend its `url` under `upstreams`",
    };
    let whose = format!("the model server {}", server.name);
    super::unreached(&step, &server.version, &whose, fix).unwrap_or_else(|| step.ok("connected"))
}

fn answer(server: &ServerFacts) -> Check {
    let what = if server.is_ollama() { "/api/version" } else { "its list of models" };
    let step = step(server, "server.answer", format!("{what} of {}", server.url));
    let restart = if server.is_ollama() && server.is_here {
        "it is stuck or stopped: systemctl restart ollama (or `kill -CONT PID` where it was stopped)"
    } else {
        "it is stuck: restart it; its own log says what it did last"
    };
    match &server.version {
        Reach::Silent { seconds } => {
            step.fault("silent", format!("it takes connections and says nothing for {seconds} s"), restart)
        }
        Reach::Broken { error } => {
            step.fault("broken", error.clone(), "check `url` under `upstreams`: scheme (http or https), port and path")
        }
        Reach::Answered { status: 401 | 403, .. } => {
            let found =
                if server.has_key { "it refuses the configured key" } else { "it wants a key, and none is configured" };
            step.fault("key_refused", found, "write its key to `key` under `upstreams`")
        }
        Reach::Answered { status: 200..=299, body, ms, .. } => {
            let is_right = if server.is_ollama() { body["version"].is_string() } else { body["data"].is_array() };
            if is_right {
                return step.ok(format!("it answers in {}", super::millis(*ms)));
            }
            wrong_kind(step, server)
        }
        Reach::Answered { status: 404 | 405, .. } => wrong_kind(step, server),
        Reach::Answered { status, .. } => step.fault("failed", format!("it answers with status {status}"), restart),
        _ => step.skipped("it cannot be reached"),
    }
}

fn wrong_kind(step: Step, server: &ServerFacts) -> Check {
    step.fault(
        "other_api",
        format!("what answers there is no {} server", server.kind),
        "mend `kind` or `url` under `upstreams`: kind ollama has no /v1 at the end of its url, kind openai has",
    )
}

/// Names of the models that it has.
fn names(server: &ServerFacts) -> Vec<&str> {
    let Some(body) = server.models.body() else { return Vec::new() };
    let (list, field) = if server.is_ollama() { ("models", "name") } else { ("data", "id") };
    body[list].as_array().into_iter().flatten().filter_map(|model| model[field].as_str()).collect()
}

/// Whether two names are of one model: one without a tag is one of `latest`.
fn is_same(a: &str, b: &str) -> bool {
    a == b || (!a.contains(':') && b == format!("{a}:latest")) || (!b.contains(':') && a == format!("{b}:latest"))
}

fn models(server: &ServerFacts) -> Check {
    let step = step(server, "server.models", "the models that it has");
    if server.models.body().is_none() {
        return step.skipped("it did not tell them");
    }
    let has = names(server);
    let missing: Vec<&str> = server
        .wanted
        .iter()
        .map(|wanted| wanted.name.as_str())
        .filter(|wanted| has.iter().all(|name| !is_same(name, wanted)))
        .collect();
    let pull = |model: &str| {
        if server.is_ollama() { format!("ollama pull {model}") } else { format!("serve {model} there") }
    };
    match (missing.first(), has.is_empty()) {
        (Some(first), _) => step.fault(
            "missing",
            format!("it does not have {}", missing.join(", ")),
            format!("{}, or take it out of `models`", pull(first)),
        ),
        (None, true) => step.fault("none", "it has no model at all", pull("qwen3:32b")),
        (None, false) => step.ok(format!("{} models", has.len())),
    }
}

fn spoke(server: &ServerFacts) -> Check {
    let spoke = server.spoke.clone().unwrap_or_default();
    let step = step(server, "server.speaks", format!("a question of one word to {}", spoke.model));
    match &spoke.answer {
        Reach::Answered { status: 200..=299, ms, .. } if *ms <= ANSWER_MS_MAX || !spoke.was_loaded => {
            let loaded = if spoke.was_loaded { "" } else { ", with loading it" };
            step.ok(format!("answered in {}{loaded}", super::millis(*ms)))
        }
        Reach::Answered { status: 200..=299, ms, .. } => step.warn(
            "slow",
            format!("it answered after {}, though it was in memory", super::millis(*ms)),
            "it is busy with others (`tollhouse advise`), or works on the processor: `ollama ps` shows where",
        ),
        Reach::Answered { status, body, .. } => {
            let why =
                body["error"].as_str().or_else(|| body["error"]["message"].as_str()).unwrap_or("it does not say why");
            step.fault(
                "failed",
                format!("status {status}: {why}"),
                "its log says more; a damaged model is mended by `ollama pull`",
            )
        }
        Reach::Silent { seconds } | Reach::Unreachable { seconds } if spoke.was_loaded => step.warn(
            "no_answer",
            format!("no answer within {seconds} s, though it is in memory"),
            "others are before it, or its runner is stuck: `ollama ps`; if that does not change, restart the server",
        ),
        Reach::Silent { seconds } | Reach::Unreachable { seconds } => {
            step.skipped(format!("it was not in memory, and was not loaded within {seconds} s"))
        }
        Reach::NotAsked => step.skipped("no model is in memory that could be asked without loading it"),
        Reach::Refused { error } | Reach::NoName { error } | Reach::Broken { error } => {
            step.fault("broken", error.clone(), "its log says more")
        }
    }
}

fn version(server: &ServerFacts) -> Check {
    let step = step(server, "server.version", "its version, and the holes that are known of it");
    let Some(version) = server.version() else { return step.skipped("it does not tell its version") };
    let holes = crate::holes::of("ollama", version);
    if holes.is_empty() {
        return step.ok(version);
    }
    let names: Vec<&str> = holes.iter().map(|hole| hole.id).collect();
    let found = format!("{version} has known holes: {}", names.join(", "));
    let fixed = crate::holes::fixed_in(&holes);
    step.warn(
        "known_holes",
        found,
        format!("update Ollama to {fixed} or later; `tollhouse doctor --security` says more"),
    )
}

fn bind(server: &ServerFacts) -> Option<Check> {
    if !server.is_here || server.listens.is_empty() {
        return None;
    }
    let step = step(server, "server.bind", "where it listens");
    let open: Vec<&str> = server.listens.iter().map(String::as_str).filter(|address| !is_loopback(address)).collect();
    Some(if open.is_empty() {
        step.ok(format!("{}, on this machine only", server.listens.join(", ")))
    } else {
        let found = format!("it listens at {}: who reaches that goes around the gate, without a key", open.join(", "));
        step.warn("open", found, "OLLAMA_HOST=127.0.0.1 in its environment (`systemctl edit ollama`), then restart it")
    })
}

pub(crate) fn is_loopback(address: &str) -> bool {
    let socket: Option<std::net::SocketAddr> = address.parse().ok();
    socket.is_some_and(|socket| socket.ip().to_canonical().is_loopback())
}

fn parallel(server: &ServerFacts) -> Option<Check> {
    let environment = server.environment.as_ref()?;
    let given = server.parallel?;
    let step = step(server, "server.parallel", "OLLAMA_NUM_PARALLEL, and `parallel` here");
    let has: u32 = environment.get("OLLAMA_NUM_PARALLEL").and_then(|value| value.parse().ok()).unwrap_or(PARALLEL);
    Some(if given > has {
        let found = format!(
            "the house gives it {given} requests at once, and it works on {has}: the others wait inside it, unseen"
        );
        step.warn(
            "too_many",
            found,
            format!("parallel: {has} under `upstreams`, or OLLAMA_NUM_PARALLEL={given} for Ollama"),
        )
    } else {
        step.ok(format!("it works on {has} at once and is given {given}"))
    })
}

fn context(server: &ServerFacts) -> Vec<Check> {
    let loaded = server.loaded.body().and_then(|body| body["models"].as_array());
    let mut checks = Vec::new();
    for wanted in &server.wanted {
        let Some(context) = wanted.context else { continue };
        let step = step(server, "server.context", format!("the context of {}", wanted.name));
        if let Some(most) = wanted.context_max.filter(|most| u64::from(context) > *most) {
            let found = format!("{context} tokens are configured, and the model was made for {most}");
            checks.push(step.warn("too_long", found, format!("context: {most} under `models`")));
            continue;
        }
        let in_memory = |model: &&Value| model["name"].as_str().is_some_and(|name| is_same(name, &wanted.name));
        let has = loaded.into_iter().flatten().find(in_memory).and_then(|model| model["context_length"].as_u64());
        checks.push(match has {
            Some(has) if has != u64::from(context) => step.warn(
                "differs",
                format!("it is in memory with {has} tokens, and configured with {context}: somebody asks around the gate, and each change loads it anew"),
                "let everybody come through the gate; Ollama for others than the house is closed by OLLAMA_HOST=127.0.0.1",
            ),
            Some(has) => step.ok(format!("{has} tokens")),
            None => step.ok(format!("{context} tokens, when it is loaded")),
        });
    }
    checks
}

/// Whether there are cards that work; where they do not, that explains why nothing lies on them.
fn has_cards(facts: &Facts) -> bool {
    let works = |status| matches!(status, crate::Status::Ok | crate::Status::Warn);
    facts.probed.iter().any(|probed| probed.kind == "gpu" && works(probed.status))
}

fn memory(facts: &Facts, server: &ServerFacts) -> Vec<Check> {
    if !has_cards(facts) {
        return Vec::new();
    }
    let loaded = server.loaded.body().and_then(|body| body["models"].as_array());
    let mut checks = Vec::new();
    for model in loaded.into_iter().flatten() {
        let name = model["name"].as_str().unwrap_or_default();
        let Some((size, on_card)) =
            model["size"].as_f64().zip(model["size_vram"].as_f64()).filter(|(size, _)| *size > 0.0)
        else {
            continue;
        };
        let step = step(server, "server.spilled", format!("where {name} lies"));
        let share = 100.0 * (size - on_card) / size;
        checks.push(if share >= 1.0 {
            let found = format!("{share:.0}% of it lies in the processor's memory: it writes many times slower");
            step.warn("spilled", found, "a smaller `context`, a smaller or more compressed model, or a card with more memory; see `tollhouse advise`")
        } else {
            step.ok("all of it is on the card")
        });
    }
    checks
}

fn flash_attention(facts: &Facts, server: &ServerFacts) -> Option<Check> {
    let environment = server.environment.as_ref()?;
    if !has_cards(facts) {
        return None;
    }
    let step = step(server, "server.flash_attention", "OLLAMA_FLASH_ATTENTION");
    let value = environment.get("OLLAMA_FLASH_ATTENTION").map_or("", String::as_str);
    Some(match value {
        "0" | "false" => step.warn(
            "off",
            "it is switched off: long contexts take more of the card's memory than they need",
            "OLLAMA_FLASH_ATTENTION=1 in its environment; with it, OLLAMA_KV_CACHE_TYPE=q8_0 halves the context's memory",
        ),
        "" => step.ok("not set: Ollama decides by model"),
        _ => step.ok("on"),
    })
}
